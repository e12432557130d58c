//! The internal CA's root and key.

use super::{Store, StoreError, atomic, document};
use crate::pki::{CertificateChain, Identity, PrivateKey};

impl Store {
    /// Loads the internal CA; `None` when none was ever saved.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] rather than `None` when root or key cannot be read: another root made in silence would be
    /// trusted by no client.
    pub fn internal_ca(&self) -> Result<Option<Identity>, StoreError> {
        let (root_path, key_path) = (self.layout.ca().join(ROOT), self.layout.ca().join(KEY));
        let Some(root) = document::read(&root_path)? else {
            return Ok(None);
        };
        let damaged = |path, reason| StoreError::damaged(path, reason, MEND);
        let root = CertificateChain::from_pem(&root).map_err(|error| damaged(root_path, error.to_string()))?;
        let Some(key) = document::read(&key_path)? else {
            return Err(damaged(key_path, "the file is missing".to_owned()));
        };
        let key = PrivateKey::from_pem(&key).map_err(|error| damaged(key_path.clone(), error.to_string()))?;
        Identity::new(root, key).map(Some).map_err(|error| damaged(key_path, error.to_string()))
    }

    /// Saves a new internal CA. To be called under [`Store::lock_internal_ca`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when there is one already, [`StoreError::Io`] when it cannot be written.
    pub fn save_internal_ca(&self, ca: &Identity) -> Result<(), StoreError> {
        let root = self.layout.ca().join(ROOT);
        if root.exists() {
            return Err(StoreError::Exists { path: root });
        }
        // The root makes it valid, so it comes last.
        atomic::write(&self.layout.ca().join(KEY), ca.key().to_pem().as_bytes())?;
        atomic::write(&root, ca.chain().to_pem().as_bytes())
    }
}

const ROOT: &str = "root.pem";
const KEY: &str = "key.pem";
const MEND: &str = "put both files of `ca/` back from a backup, or move the folder away: portvakt then makes a new root, \
                    which every client must be told to trust";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::platform;
    use crate::time::Timestamp;

    fn ca() -> Identity {
        Identity::self_signed(&[], Timestamp::from_unix(0), Timestamp::from_unix(1)).unwrap()
    }

    fn with_ca() -> (tempfile::TempDir, Store, Identity) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let ca = ca();
        assert!(store.internal_ca().unwrap().is_none());
        store.save_internal_ca(&ca).unwrap();
        (dir, store, ca)
    }

    #[test]
    fn given_a_ca_when_saved_then_loads_and_its_files_are_private() {
        let (dir, store, ca) = with_ca();
        let loaded = store.internal_ca().unwrap().unwrap();
        assert_eq!(loaded.chain().certificates(), ca.chain().certificates());
        assert_eq!(loaded.key().der(), ca.key().der());
        for file in ["ca", "ca/key.pem", "ca/root.pem"] {
            assert!(!platform::is_mode_too_open(&dir.path().join(file)).unwrap(), "{file}");
        }
    }

    #[test]
    fn given_a_ca_when_another_is_saved_then_refused() {
        let (_dir, store, first) = with_ca();
        assert!(matches!(store.save_internal_ca(&ca()), Err(StoreError::Exists { .. })));
        assert_eq!(store.internal_ca().unwrap().unwrap().key().der(), first.key().der());
    }

    #[test]
    fn given_a_crash_between_key_and_root_when_loaded_then_none_and_it_can_be_saved_again() {
        let (dir, store, _) = with_ca();
        fs::remove_file(dir.path().join("ca/root.pem")).unwrap();
        assert!(store.internal_ca().unwrap().is_none());
        store.save_internal_ca(&ca()).unwrap();
        assert!(store.internal_ca().unwrap().is_some());
    }

    #[test]
    fn given_one_damage_when_loaded_then_an_error_that_names_the_file_and_the_mend() {
        for (file, text) in [("key.pem", None), ("key.pem", Some("")), ("root.pem", Some("junk"))] {
            let (dir, store, _) = with_ca();
            let path = dir.path().join("ca").join(file);
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let error = store.internal_ca().unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("backup"), "{error}");
        }
        let (dir, store, _) = with_ca();
        fs::write(dir.path().join("ca/key.pem"), ca().key().to_pem().as_bytes()).unwrap();
        assert!(store.internal_ca().unwrap_err().to_string().contains("does not belong"));
    }
}
