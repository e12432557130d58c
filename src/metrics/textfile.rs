//! The metrics in a file, for machines that nobody scrapes: a textfile collector reads it.

use std::io::{self, Write};
use std::path::Path;

use crate::platform;

/// Replaces the file at `path`, so that a collector reads the old numbers or the new ones, never a part; every user of this
/// machine may read it, since the collector is another one. Blocks.
///
/// # Errors
///
/// The system's own; the file before is unharmed then.
pub fn write_textfile(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // Collectors pass over names that do not end in `.prom`. Removed when it is dropped before it got its name.
    let mut file = tempfile::Builder::new().prefix(".portvakt-").suffix(".new").tempfile_in(folder)?;
    file.write_all(text)?;
    platform::let_all_read(file.as_file())?;
    // Not flushed: after a power cut the next one comes within a minute.
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn given_a_file_when_written_twice_then_the_new_text_for_all_to_read_and_nothing_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("portvakt.prom");
        write_textfile(&path, b"old and longer\n").unwrap();
        write_textfile(&path, b"new\n").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(!cfg!(unix) || platform::is_open_to_all(&path));
    }

    #[test]
    fn given_no_folder_when_written_then_an_error_and_nothing_made() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_textfile(&dir.path().join("none/portvakt.prom"), b"").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
