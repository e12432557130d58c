//! Certificates of upstreams that were believed at first use, so that another one is noticed, also after a restart.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{LockGuard, Store, StoreError, document};
use crate::time::Timestamp;

/// The certificate that a peer of an upstream is believed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPeer {
    /// What its upstream was called then.
    pub upstream: String,
    /// Its leaf, PEM.
    pub certificate: String,
    /// From when on it is believed.
    pub since: Timestamp,
    /// Because of what.
    pub by: KnownBy,
    /// The one that was believed before.
    #[serde(default)]
    pub before: Option<Replaced>,
    /// The last other one that was shown, and not believed.
    #[serde(default)]
    pub refused: Option<RefusedPeer>,
}

/// Why a certificate is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// It was the first one that was seen.
    FirstUse,
    /// An operator has named it.
    Operator,
}

/// A certificate that was believed once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Lower-case hex.
    pub fingerprint: String,
    /// When another took its place.
    pub at: Timestamp,
}

/// A certificate that was shown in place of the one that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPeer {
    /// Its leaf, PEM.
    pub certificate: String,
    /// When it was seen first.
    pub at: Timestamp,
}

impl Store {
    /// What is known of the peer at `address` (`host:port`), when it is asked by `server_name`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file is there but cannot be read: then nobody is to be believed at first use.
    pub fn known_peer(&self, address: &str, server_name: &str) -> Result<Option<KnownPeer>, StoreError> {
        document::load(&self.known(address, server_name), MEND)
    }

    /// Keeps the certificate of a peer that nothing is known of, and gives what is known from now on: another process may
    /// have been faster.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be kept, or what is there cannot be read.
    pub fn meet_peer(&self, address: &str, server_name: &str, first: KnownPeer) -> Result<KnownPeer, StoreError> {
        let _guard = self.lock_known()?;
        match self.known_peer(address, server_name)? {
            Some(known) => Ok(known),
            None => {
                document::save(&self.known(address, server_name), &first)?;
                Ok(first)
            }
        }
    }

    /// Replaces what is known of a peer; `change` gets what was known, if it can be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn replace_known_peer(
        &self,
        address: &str,
        server_name: &str,
        change: impl FnOnce(Option<KnownPeer>) -> KnownPeer,
    ) -> Result<KnownPeer, StoreError> {
        let _guard = self.lock_known()?;
        let path = self.known(address, server_name);
        let new = change(document::load_or_warn(&path)?);
        document::save(&path, &new)?;
        Ok(new)
    }

    /// The error for a record whose certificate is none.
    pub(crate) fn damaged_known_peer(&self, address: &str, server_name: &str) -> StoreError {
        let reason = "the certificate in it cannot be read".to_owned();
        StoreError::damaged(self.known(address, server_name), reason, MEND)
    }

    fn known(&self, address: &str, server_name: &str) -> PathBuf {
        self.layout.known_peer(address, server_name)
    }

    /// For milliseconds.
    fn lock_known(&self) -> Result<LockGuard, StoreError> {
        self.wait(&self.layout.root().join("upstreams").join("lock"))
    }
}

const MEND: &str = "`portvakt upstream accept` writes it anew";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_peer_when_met_twice_then_the_first_certificate_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.known_peer(AT, "legacy.local").unwrap(), None);

        store.meet_peer(AT, "legacy.local", known("first")).unwrap();
        let kept = store.meet_peer(AT, "legacy.local", known("second")).unwrap();

        assert_eq!(kept, known("first"));
        let again = Store::open(dir.path()).unwrap();
        assert_eq!(again.known_peer(AT, "legacy.local").unwrap(), Some(known("first")));
        assert_eq!(again.known_peer(AT, "other.local").unwrap(), None, "another name, another server");
    }

    #[test]
    fn given_a_damaged_file_when_met_then_an_error_and_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.meet_peer(AT, "a", known("first")).unwrap();
        std::fs::write(store.known(AT, "a"), "{").unwrap();

        let error = store.meet_peer(AT, "a", known("second")).unwrap_err().to_string();

        assert!(error.contains("portvakt upstream accept"), "{error}");
        let new = store.replace_known_peer(AT, "a", |before| {
            assert_eq!(before, None);
            known("second")
        });
        assert_eq!(store.known_peer(AT, "a").unwrap(), Some(new.unwrap()));
    }

    fn known(certificate: &str) -> KnownPeer {
        KnownPeer {
            upstream: "legacy".into(),
            certificate: certificate.into(),
            since: Timestamp::from_unix(7),
            by: KnownBy::FirstUse,
            before: None,
            refused: None,
        }
    }

    const AT: &str = "10.0.0.5:8443";
}
