//! ACME accounts, one for each directory.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

use super::{Store, StoreError, document};
use crate::time::Timestamp;

/// An account at a CA (RFC 8555 §7.1.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The directory that it belongs to.
    pub directory: String,
    /// `mailto:` URLs that the CA knows.
    pub contact: Vec<String>,
    /// Account URL and key, in the form of the ACME client.
    pub credentials: Credentials,
    /// When a change to this key was begun; `None` for the first key, and in what an older portvakt has kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Timestamp>,
}

/// What an ACME client proves an account with. Its strings are zeroized on drop.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credentials(Value);

impl Credentials {
    /// Takes what the client wants kept.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// Shows it, for the client alone.
    pub fn expose(&self) -> &Value {
        &self.0
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        zeroize(&mut self.0);
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Store {
    /// Loads the account at a directory; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] rather than `None` for a damaged file: a new account for every start would soon meet the
    /// CA's limits.
    pub fn load_account(&self, directory: &str) -> Result<Option<Account>, StoreError> {
        let path = self.layout.account(directory).join(ACCOUNT);
        document::load(
            &path,
            "put `account.prev.json` in its place if there is one, or delete it to register a new account",
        )
    }

    /// Saves the account at a directory. An account that it replaces is kept beside it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the account before is unharmed then.
    pub fn save_account(&self, directory: &str, account: &Account) -> Result<(), StoreError> {
        let folder = self.layout.account(directory);
        if let Some(before) = document::read(&folder.join(ACCOUNT))? {
            super::atomic::write(&folder.join(PREVIOUS), &before)?;
        }
        document::save(&folder.join(ACCOUNT), account)
    }

    /// File of the account at a directory, whether or not there is one.
    pub fn account_file(&self, directory: &str) -> PathBuf {
        self.layout.account(directory).join(ACCOUNT)
    }

    /// Loads what the account at a directory is about to become; `None` when it stays as it is.
    ///
    /// # Errors
    ///
    /// As [`Store::load_account`].
    pub fn load_next_account(&self, directory: &str) -> Result<Option<Account>, StoreError> {
        let path = self.layout.account(directory).join(NEXT);
        document::load(&path, "delete it when the account works; else it holds the key that the CA knows")
    }

    /// Saves what the account at a directory is about to become; what it is stays. One that was about to come is set aside.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save_next_account(&self, directory: &str, account: &Account) -> Result<(), StoreError> {
        self.set_next_account_aside(directory)?;
        document::save(&self.layout.account(directory).join(NEXT), account)
    }

    /// Makes the next account the one in use. The one before is kept beside it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; then the next one is still there, and this can be called again.
    pub fn promote_next_account(&self, directory: &str) -> Result<(), StoreError> {
        let folder = self.layout.account(directory);
        let Some(next) = document::read(&folder.join(NEXT))? else { return Ok(()) };
        let before = document::read(&folder.join(ACCOUNT))?;
        // Called again after it was broken off half way: what is in use is the next one already.
        if let Some(before) = before.filter(|before| *before != next) {
            super::atomic::write(&folder.join(PREVIOUS), &before)?;
        }
        super::atomic::write(&folder.join(ACCOUNT), &next)?;
        super::atomic::remove(&folder.join(NEXT))
    }

    /// Sets the next account aside: it was not taken, as far as is known. It is never deleted, since a CA may have taken it
    /// and not have told.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; then the next one is still there, and this can be called again.
    pub fn set_next_account_aside(&self, directory: &str) -> Result<(), StoreError> {
        self.rewrite(directory, NEXT, UNUSED)
    }

    /// Whether an account was set aside.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when that cannot be read.
    pub fn has_unused_account(&self, directory: &str) -> Result<bool, StoreError> {
        Ok(document::read(&self.layout.account(directory).join(UNUSED))?.is_some())
    }

    /// Makes what was set aside last the next account again, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; then it is still set aside, and this can be called again.
    pub fn recall_unused_account(&self, directory: &str) -> Result<(), StoreError> {
        self.rewrite(directory, UNUSED, NEXT)
    }

    /// What `from` held is in `to` then; nothing is done when there is none.
    fn rewrite(&self, directory: &str, from: &str, to: &str) -> Result<(), StoreError> {
        let folder = self.layout.account(directory);
        let Some(bytes) = document::read(&folder.join(from))? else { return Ok(()) };
        super::atomic::write(&folder.join(to), &bytes)?;
        super::atomic::remove(&folder.join(from))
    }
}

fn zeroize(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(zeroize),
        Value::Object(fields) => fields.values_mut().for_each(zeroize),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

const ACCOUNT: &str = "account.json";
const PREVIOUS: &str = "account.prev.json";
const NEXT: &str = "account.next.json";
const UNUSED: &str = "account.unused.json";

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::platform;

    const DIRECTORY: &str = "https://acme.test/dir";

    fn account(id: &str) -> Account {
        Account {
            directory: DIRECTORY.to_owned(),
            contact: vec!["mailto:a@m5.test".to_owned()],
            begun: None,
            credentials: Credentials::new(json!({ "id": id, "key_pkcs8": "hunter2", "urls": [{ "x": "y" }] })),
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn given_an_account_when_saved_then_loads_for_its_directory_alone() {
        let (_dir, store) = store();
        store.save_account(DIRECTORY, &account("1")).unwrap();

        let loaded = store.load_account(DIRECTORY).unwrap().unwrap();
        assert_eq!(loaded.credentials.expose(), account("1").credentials.expose());
        assert_eq!(loaded.contact, ["mailto:a@m5.test"]);
        assert!(store.load_account("https://acme.test/other").unwrap().is_none());
        assert!(!platform::is_mode_too_open(&store.layout.account(DIRECTORY).join(ACCOUNT)).unwrap());
    }

    #[test]
    fn given_an_account_when_replaced_then_the_one_before_is_kept() {
        let (_dir, store) = store();
        for id in ["1", "2", "3"] {
            store.save_account(DIRECTORY, &account(id)).unwrap();
        }
        let path = store.layout.account(DIRECTORY).join("account.prev.json");
        let before: Account = document::load(&path, "").unwrap().unwrap();
        assert_eq!(before.credentials.expose()["id"], "2");
        assert!(!platform::is_mode_too_open(&path).unwrap());
    }

    #[test]
    fn given_a_next_account_when_promoted_then_in_use_and_the_one_before_beside_it() {
        let (_dir, store) = store();
        let id = |account: Option<Account>| account.map(|account| account.credentials.expose()["id"].clone());
        store.save_account(DIRECTORY, &account("1")).unwrap();
        store.save_next_account(DIRECTORY, &account("2")).unwrap();
        assert_eq!(id(store.load_account(DIRECTORY).unwrap()), Some(json!("1")));
        assert_eq!(id(store.load_next_account(DIRECTORY).unwrap()), Some(json!("2")));

        store.promote_next_account(DIRECTORY).unwrap();
        store.promote_next_account(DIRECTORY).unwrap();
        assert_eq!(id(store.load_account(DIRECTORY).unwrap()), Some(json!("2")));
        assert!(store.load_next_account(DIRECTORY).unwrap().is_none());
        let path = store.layout.account(DIRECTORY).join(PREVIOUS);
        assert_eq!(id(document::load(&path, "").unwrap()), Some(json!("1")));

        store.save_next_account(DIRECTORY, &account("3")).unwrap();
        store.set_next_account_aside(DIRECTORY).unwrap();
        store.set_next_account_aside(DIRECTORY).unwrap();
        store.promote_next_account(DIRECTORY).unwrap();
        assert_eq!(id(store.load_account(DIRECTORY).unwrap()), Some(json!("2")));
        assert!(store.has_unused_account(DIRECTORY).unwrap());
        store.recall_unused_account(DIRECTORY).unwrap();
        store.recall_unused_account(DIRECTORY).unwrap();
        assert!(!store.has_unused_account(DIRECTORY).unwrap());
        assert_eq!(id(store.load_next_account(DIRECTORY).unwrap()), Some(json!("3")));
        store.save_next_account(DIRECTORY, &account("4")).unwrap();
        let aside = store.layout.account(DIRECTORY).join(UNUSED);
        assert_eq!(id(document::load(&aside, "").unwrap()), Some(json!("3")));
        assert!(!platform::is_mode_too_open(&aside).unwrap());
        assert!(!platform::is_mode_too_open(&store.account_file(DIRECTORY)).unwrap());
    }

    #[test]
    fn given_a_damaged_account_when_loaded_then_an_error_that_says_how_to_mend_it() {
        let (_dir, store) = store();
        store.save_account(DIRECTORY, &account("1")).unwrap();
        fs::write(store.layout.account(DIRECTORY).join(ACCOUNT), "{\"directory\": \"x\", \"key\": \"hunter2").unwrap();
        let error = store.load_account(DIRECTORY).unwrap_err().to_string();
        assert!(error.contains("account.prev.json") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn given_an_account_when_debugged_then_its_credentials_are_not_shown() {
        let text = format!("{:?}", account("1"));
        assert!(text.contains("Credentials(..)") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn given_credentials_when_wiped_then_no_string_is_left() {
        let mut value = account("1").credentials.expose().clone();
        zeroize(&mut value);
        assert_eq!(value, json!({ "id": "", "key_pkcs8": "", "urls": [{ "x": "" }] }));
    }
}
