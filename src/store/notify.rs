//! What notifiers have told and are still to tell.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{LockGuard, Store, StoreError, document};

impl Store {
    /// What is kept of a notifier; `None` when there is nothing, or the file is damaged, which is logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_notifier<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        document::load_or_warn(&self.layout.notifier(name))
    }

    /// Keeps what a notifier has told and is still to tell.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the file before is unharmed then.
    pub fn save_notifier<T: Serialize>(&self, name: &str, kept: &T) -> Result<(), StoreError> {
        document::save(&self.layout.notifier(name), kept)
    }

    /// Takes the right to send a notifier's messages; `None` while another process on this state directory has it.
    ///
    /// # Errors
    ///
    /// As [`Store::lock`].
    pub fn lock_notifier(&self, name: &str) -> Result<Option<LockGuard>, StoreError> {
        self.lock(&notifier_lock(name))
    }
}

/// Name of the lock that is taken for a notifier.
pub fn notifier_lock(name: &str) -> String {
    format!("notify {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_notifier_when_kept_then_loaded_and_none_for_a_damaged_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.load_notifier::<u8>("../ops").unwrap(), None);
        store.save_notifier("../ops", &7u8).unwrap();
        assert_eq!(store.load_notifier::<u8>("../ops").unwrap(), Some(7));
        std::fs::write(store.layout.notifier("../ops"), "{").unwrap();
        assert_eq!(store.load_notifier::<u8>("../ops").unwrap(), None);
    }

    #[test]
    fn given_two_processes_when_both_would_tell_then_one() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| Store::open(dir.path()).unwrap());
        let guard = first.lock_notifier("ops").unwrap();
        assert!(guard.is_some() && second.lock_notifier("ops").unwrap().is_none());
        drop(guard);
        assert!(second.lock_notifier("ops").unwrap().is_some());
    }
}
