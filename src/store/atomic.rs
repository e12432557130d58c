//! Files that are there whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::StoreError;
use crate::platform;

/// Replaces a file (0600), so that a reader and a power cut find the old bytes or the new ones, never a mixture. Makes its
/// folder when needed.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let dir = folder_of(path);
    create_dir(dir)?;
    replace(dir, path, bytes).map_err(StoreError::io("write", path))
}

/// Makes a folder (0700) and the folders above it, durably.
pub(super) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    platform::create_private_dir(dir).map_err(StoreError::io("create the folder", dir))?;
    for parent in missing.iter().filter_map(|dir| dir.parent()) {
        sync(parent)?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync(dir: &Path) -> Result<(), StoreError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    platform::sync_dir(dir).map_err(StoreError::io("flush the folder", dir))
}

/// Removes a file that need not be there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync(folder_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

/// The paths here are files below the state directory, so there always is one.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn replace(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Made with mode 0600, and removed when it is dropped before it got its name.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    platform::sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_file_when_replaced_then_new_bytes_private_and_nothing_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        write(&path, b"old and longer").unwrap();
        write(&path, b"new").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        for private in [&path, &dir.path().join("a"), &dir.path().join("a/b")] {
            assert!(!platform::is_mode_too_open(private).unwrap(), "{}", private.display());
        }
    }

    #[test]
    fn given_a_folder_in_the_way_when_written_then_error_and_nothing_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = write(&path, b"new").unwrap_err();
        assert!(error.to_string().starts_with("cannot write `"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn given_no_file_when_removed_then_fine() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
