//! How control over names was proven, so that what worked is tried first and what failed is not tried again at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, document};
use crate::time::Timestamp;

/// What is known of proving one name. Kinds are as in RFC 8555 §9.7.8, such as `http-01`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The kind that worked last.
    #[serde(default)]
    pub worked: Option<String>,
    /// The kind that failed last, when nothing has worked since.
    #[serde(default)]
    pub failed: Option<FailedProof>,
}

/// A challenge whose answer the CA did not like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedProof {
    /// Such as `http-01`.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// The CA's words, without tokens.
    pub why: String,
}

impl Store {
    /// What is known of the names of a certificate; nothing when the file is damaged, which is logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_proofs(&self, certificate: &str) -> Result<BTreeMap<String, Proof>, StoreError> {
        Ok(document::load_or_warn(&self.proofs(certificate))?.unwrap_or_default())
    }

    /// Saves what is known of the names of a certificate.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save_proofs(&self, certificate: &str, proofs: &BTreeMap<String, Proof>) -> Result<(), StoreError> {
        document::save(&self.proofs(certificate), proofs)
    }

    fn proofs(&self, certificate: &str) -> PathBuf {
        self.layout.certificate(certificate).join("challenges.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_proofs_when_saved_then_loaded_and_nothing_for_a_damaged_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.load_proofs("m5").unwrap().is_empty());
        let failed = FailedProof { kind: "http-01".into(), at: Timestamp::from_unix(7), why: "no".into() };
        let proof = Proof { worked: Some("tls-alpn-01".into()), failed: Some(failed) };
        let proofs = BTreeMap::from([("m5.test".to_owned(), proof)]);
        store.save_proofs("m5", &proofs).unwrap();
        assert_eq!(store.load_proofs("m5").unwrap(), proofs);
        std::fs::write(store.proofs("m5"), "{").unwrap();
        assert!(store.load_proofs("m5").unwrap().is_empty());
    }
}
