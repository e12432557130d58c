//! An order that waits for the CA, so that a restart goes on with it.

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
}

impl Store {
    /// Saves the open order of a certificate, in place of one before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the order before is unharmed then.
    pub fn save_order(&self, name: &str, order: &OrderRecord) -> Result<(), StoreError> {
        document::save(&self.order(name), order)
    }

    /// Loads the open order of a certificate; `None` when there is none, or a damaged one, which is logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_order(&self, name: &str) -> Result<Option<OrderRecord>, StoreError> {
        document::load_or_warn(&self.order(name))
    }

    /// Forgets the open order of a certificate, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file cannot be removed.
    pub fn clear_order(&self, name: &str) -> Result<(), StoreError> {
        super::atomic::remove(&self.order(name))
    }

    fn order(&self, name: &str) -> PathBuf {
        self.layout.certificate(name).join("order.json")
    }
}

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

    fn order() -> OrderRecord {
        OrderRecord {
            directory: "https://acme.test/dir".to_owned(),
            account: "https://acme.test/account/1".to_owned(),
            order: "https://acme.test/order/1".to_owned(),
            identifiers: vec!["m5.test".to_owned()],
            profile: None,
            key_type: KeyType::P256.as_str().to_owned(),
            key: PrivateKey::generate(KeyType::P256).unwrap(),
            created: Timestamp::from_unix(1),
            phase: "authorizations".to_owned(),
            replaces: false,
        }
    }

    #[test]
    fn given_an_order_when_saved_then_loads_privately_until_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.load_order("m5").unwrap().is_none());

        let order = order();
        store.save_order("m5", &order).unwrap();

        let loaded = store.load_order("m5").unwrap().unwrap();
        assert_eq!(loaded.key.der(), order.key.der());
        assert_eq!((loaded.order, loaded.identifiers, loaded.created), (order.order, order.identifiers, order.created));
        assert!(!platform::is_mode_too_open(&store.order("m5")).unwrap());
        assert!(store.load_order("other").unwrap().is_none());
        store.clear_order("m5").unwrap();
        store.clear_order("m5").unwrap();
        assert!(store.load_order("m5").unwrap().is_none());
    }

    #[test]
    fn given_a_broken_key_when_loaded_then_no_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.save_order("m5", &order()).unwrap();
        let text = std::fs::read_to_string(store.order("m5")).unwrap();
        std::fs::write(store.order("m5"), text.replace("BEGIN PRIVATE", "BEGIN PUBLIC")).unwrap();
        assert!(store.load_order("m5").unwrap().is_none());
    }

    #[test]
    fn given_an_order_when_debugged_then_its_key_is_not_shown() {
        assert!(format!("{:?}", order()).contains("key: PrivateKey(..)"));
    }
}
