//! An order that waits for the CA, so that a restart goes on with it.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, document};
use crate::pki::PrivateKey;
use crate::time::Timestamp;

/// What is needed to go on with an order (RFC 8555 §7.1.3) after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderRecord {
    /// URL of the CA's directory.
    pub directory: String,
    /// URL of the account that ordered.
    pub account: String,
    /// URL of the order.
    pub order: String,
    /// What was ordered.
    pub identifiers: Vec<String>,
    /// The profile that was asked for, if any.
    #[serde(default)]
    pub profile: Option<String>,
    /// Kind of the key, such as `P-256`.
    #[serde(default)]
    pub key_type: String,
    /// The key that the certificate will be for: a finalized order cannot be finalized again with another.
    #[serde(with = "key_as_pem")]
    pub key: PrivateKey,
    /// When it was ordered.
    pub created: Timestamp,
    /// The step that was begun last.
    pub phase: String,
    /// The CA has taken it as the renewal of another certificate (RFC 9773 §5).
    #[serde(default)]
    pub replaces: bool,
    /// How often the CA did not come to an end with it, or refused to go on with it.
    #[serde(default)]
    pub setbacks: u32,
}

impl Store {
    /// Saves the open order of a certificate at the CA of its directory, in place of one before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the order before is unharmed then.
    pub fn save_order(&self, name: &str, order: &OrderRecord) -> Result<(), StoreError> {
        document::save(&self.order(name, &order.directory), order)?;
        match self.former_order(name)? {
            Some(former) if former.directory == order.directory => super::atomic::remove(&self.former_order_file(name)),
            Some(_) | None => Ok(()),
        }
    }

    /// Loads the open order of a certificate at the CA with this directory; `None` when there is none, or a damaged one,
    /// which is logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_order(&self, name: &str, directory: &str) -> Result<Option<OrderRecord>, StoreError> {
        let loaded = match document::load_or_warn(&self.order(name, directory))? {
            Some(order) => Some(order),
            None => self.former_order(name)?,
        };
        Ok(loaded.filter(|order| order.directory == directory))
    }

    /// Forgets the open order of a certificate at the CA with this directory, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file cannot be removed.
    pub fn clear_order(&self, name: &str, directory: &str) -> Result<(), StoreError> {
        if self.former_order(name)?.is_none_or(|order| order.directory == directory) {
            super::atomic::remove(&self.former_order_file(name))?;
        }
        super::atomic::remove(&self.order(name, directory))
    }

    /// Loads the open orders of a certificate at all CAs; damaged ones are logged and left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when a file is there but cannot be read.
    pub fn load_orders(&self, name: &str) -> Result<Vec<OrderRecord>, StoreError> {
        let loaded = self.order_files(name)?.into_iter().map(|file| document::load_or_warn(&file));
        Ok(loaded.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Forgets the open orders of a certificate at all CAs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when a file cannot be removed.
    pub fn clear_orders(&self, name: &str) -> Result<(), StoreError> {
        self.order_files(name)?.iter().try_for_each(|file| super::atomic::remove(file))
    }

    fn order(&self, name: &str, directory: &str) -> PathBuf {
        self.layout.order(name, directory)
    }

    /// The one file of an older portvakt, whatever the CA.
    fn former_order_file(&self, name: &str) -> PathBuf {
        self.layout.certificate(name).join(format!("{ORDER}{JSON}"))
    }

    fn former_order(&self, name: &str) -> Result<Option<OrderRecord>, StoreError> {
        document::load_or_warn(&self.former_order_file(name))
    }

    fn order_files(&self, name: &str) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.layout.certificate(name);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &folder)(error)),
        };
        let files = entries.map(|entry| entry.map(|entry| entry.path()).map_err(StoreError::io("read", &folder)));
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.retain(|file| {
            let file = file.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            file.starts_with(ORDER) && file.ends_with(JSON)
        });
        Ok(files)
    }
}

/// What every file of an order begins with.
pub(super) const ORDER: &str = "order";
/// What it ends with.
pub(super) const JSON: &str = ".json";

/// PKCS #8 in PEM.
mod key_as_pem {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    use crate::pki::PrivateKey;

    pub(super) fn serialize<S: Serializer>(key: &PrivateKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key.to_pem())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PrivateKey, D::Error> {
        let pem = Zeroizing::new(String::deserialize(deserializer)?);
        PrivateKey::from_pem(pem.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::KeyType;
    use crate::platform;

    const CA: &str = "https://acme.test/dir";
    const OTHER: &str = "https://other.test/dir";

    fn order() -> OrderRecord {
        OrderRecord {
            directory: CA.to_owned(),
            account: "https://acme.test/account/1".to_owned(),
            order: "https://acme.test/order/1".to_owned(),
            identifiers: vec!["m5.test".to_owned()],
            profile: None,
            key_type: KeyType::P256.as_str().to_owned(),
            key: PrivateKey::generate(KeyType::P256).unwrap(),
            created: Timestamp::from_unix(1),
            phase: "authorizations".to_owned(),
            replaces: false,
            setbacks: 0,
        }
    }

    #[test]
    fn given_an_order_when_saved_then_loads_privately_until_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.load_order("m5", CA).unwrap().is_none());

        let order = order();
        store.save_order("m5", &order).unwrap();

        let loaded = store.load_order("m5", CA).unwrap().unwrap();
        assert_eq!(loaded.key.der(), order.key.der());
        assert_eq!((loaded.order, loaded.identifiers, loaded.created), (order.order, order.identifiers, order.created));
        assert!(!platform::is_mode_too_open(&store.order("m5", CA)).unwrap());
        assert!(store.load_order("other", CA).unwrap().is_none());
        store.clear_order("m5", CA).unwrap();
        store.clear_order("m5", CA).unwrap();
        assert!(store.load_order("m5", CA).unwrap().is_none());
    }

    #[test]
    fn given_a_broken_key_when_loaded_then_no_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.save_order("m5", &order()).unwrap();
        let text = std::fs::read_to_string(store.order("m5", CA)).unwrap();
        std::fs::write(store.order("m5", CA), text.replace("BEGIN PRIVATE", "BEGIN PUBLIC")).unwrap();
        assert!(store.load_order("m5", CA).unwrap().is_none());
    }

    #[test]
    fn given_orders_at_two_cas_when_one_is_over_then_the_other_is_still_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.save_order("m5", &order()).unwrap();
        store.save_order("m5", &OrderRecord { directory: OTHER.to_owned(), ..order() }).unwrap();
        assert_eq!(store.load_orders("m5").unwrap().len(), 2);

        store.clear_order("m5", OTHER).unwrap();
        assert!(store.load_order("m5", OTHER).unwrap().is_none());
        assert_eq!(store.load_order("m5", CA).unwrap().unwrap().directory, CA);

        store.clear_orders("m5").unwrap();
        store.clear_orders("other").unwrap();
        assert!(store.load_orders("m5").unwrap().is_empty());
    }

    #[test]
    fn given_the_order_of_an_older_portvakt_when_loaded_then_found_at_its_ca_alone_until_saved_or_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let former = store.former_order_file("m5");
        document::save(&former, &order()).unwrap();
        assert_eq!(store.load_order("m5", CA).unwrap().unwrap().order, order().order);
        assert!(store.load_order("m5", OTHER).unwrap().is_none());
        assert_eq!(store.load_orders("m5").unwrap().len(), 1);

        store.clear_order("m5", OTHER).unwrap();
        store.save_order("m5", &OrderRecord { directory: OTHER.to_owned(), ..order() }).unwrap();
        assert!(former.exists());
        store.save_order("m5", &OrderRecord { phase: "finalizing".to_owned(), ..order() }).unwrap();
        assert!(!former.exists());
        assert_eq!(store.load_order("m5", CA).unwrap().unwrap().phase, "finalizing");

        document::save(&former, &order()).unwrap();
        store.clear_order("m5", CA).unwrap();
        assert!(!former.exists() && store.load_order("m5", CA).unwrap().is_none());
    }

    #[test]
    fn given_an_order_when_debugged_then_its_key_is_not_shown() {
        assert!(format!("{:?}", order()).contains("key: PrivateKey(..)"));
    }
}
