//! Locks between processes that share a state directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use super::{Store, StoreError, atomic};
use crate::platform;

/// A lock that is held until this drops, or the process ends in whatever way.
#[derive(Debug)]
#[must_use = "the lock is released when this drops"]
pub struct LockGuard {
    /// The operating system releases the lock when it is closed. The file stays: removing it would let two processes hold
    /// locks on two files of one name.
    _file: File,
}

impl Store {
    /// Takes the right to order the certificate of this name; `None` while another process has it, or another caller here.
    ///
    /// It guards ordering and saving, never serving or loading.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the lock file cannot be made, or the file system knows no locks.
    pub fn lock(&self, name: &str) -> Result<Option<LockGuard>, StoreError> {
        let path = self.layout.lock(name);
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                // For people alone; a full disk does not keep anybody from ordering.
                let _ = sign(&file);
                Ok(Some(LockGuard { _file: file }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
        }
    }

    /// Who has taken the right to order the certificate of this name last, for people; `None` where nobody can tell, as on
    /// Windows while he has it.
    pub fn lock_holder(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.layout.lock(name)).ok()?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect())
    }

    /// Takes the right to make the internal CA. Waits for a process that is making it, which takes milliseconds.
    ///
    /// # Errors
    ///
    /// As [`Store::lock`].
    pub fn lock_internal_ca(&self) -> Result<LockGuard, StoreError> {
        wait(&self.layout.ca().join("lock"))
    }
}

/// Takes the lock of a file, made when needed. Waits for whoever has it.
pub(super) fn wait(path: &Path) -> Result<LockGuard, StoreError> {
    let file = open(path)?;
    file.lock().map_err(StoreError::io("lock", path))?;
    Ok(LockGuard { _file: file })
}

/// Writes down whose it is.
fn sign(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "process {} on {}", std::process::id(), platform::host_name())
}

fn open(path: &Path) -> Result<File, StoreError> {
    if let Some(dir) = path.parent() {
        atomic::create_dir(dir)?;
    }
    platform::open_private_file(path).map_err(StoreError::io("open", path))
}

/// Of what a lock file says, which others may have written.
const LONGEST_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_two_stores_on_one_folder_when_locked_then_one_holds_it_until_it_drops() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| Store::open(dir.path()).unwrap());

        let guard = first.lock("m5").unwrap();
        assert!(guard.is_some());
        assert!(second.lock("m5").unwrap().is_none());
        assert!(first.lock("m5").unwrap().is_none());
        assert!(second.lock("other").unwrap().is_some());
        if cfg!(target_os = "linux") {
            let holder = second.lock_holder("m5").unwrap();
            assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
        }
        assert_eq!(second.lock_holder("nobody's"), None);

        drop(guard);
        assert!(second.lock("m5").unwrap().is_some());
    }

    #[test]
    fn given_the_ca_being_made_when_another_asks_then_it_has_to_wait() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let other = || open(&dir.path().join("ca/lock")).unwrap();

        let guard = store.lock_internal_ca().unwrap();
        assert!(matches!(other().try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        other().try_lock().unwrap();
    }
}
