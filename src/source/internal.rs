//! The internal CA: certificates without anybody's help, for a lab, a demo, or clients that were told to trust its root.
//!
//! The root is made once and kept in the store. Its key never leaves it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Order, Source, blocking};
use crate::causes::with_causes;
use crate::lifecycle::{Failure, Reason, Retry};
use crate::pki::{Authority, Identity, IdentityError, KeyType, LeafFacts};
use crate::store::{Store, StoreError};
use crate::time::{Clock, Timestamp};

/// The CA of one state directory.
#[derive(Clone, Debug)]
pub struct InternalCa {
    authority: Authority,
}

impl InternalCa {
    /// Loads the CA of a store, or makes it when there is none. Blocks.
    ///
    /// Processes that share the store get the same root: one makes it, the others wait.
    ///
    /// # Errors
    ///
    /// [`InternalCaError::Store`] when it cannot be loaded or saved; a damaged root is never replaced.
    /// [`InternalCaError::Certificate`] when what is stored is no CA.
    pub fn open(store: &Store, now: Timestamp) -> Result<Self, InternalCaError> {
        if let Some(root) = store.internal_ca()? {
            return Ok(Self { authority: Authority::from_root(root)? });
        }
        let _guard = store.lock_internal_ca()?;
        // Another process may have made it while we waited.
        if let Some(root) = store.internal_ca()? {
            return Ok(Self { authority: Authority::from_root(root)? });
        }
        let authority = Authority::create(NAME, now - BACKDATED, now + ROOT_VALIDITY)?;
        store.save_internal_ca(authority.root())?;
        tracing::info!(root = %authority.root().chain().leaf().common_name, "made the internal CA");
        Ok(Self { authority })
    }

    /// The root, for clients to trust.
    pub fn root_pem(&self) -> String {
        self.authority.root().chain().to_pem()
    }

    /// What the root says.
    pub fn root(&self) -> &LeafFacts {
        self.authority.root().chain().leaf()
    }

    /// Issues a server certificate with a new key, valid for 30 days. Takes CPU time, with RSA a good part of a second.
    ///
    /// # Errors
    ///
    /// [`InternalCaError::Expired`] when the root has run out, [`InternalCaError::Certificate`] for an identifier that no
    /// certificate can name.
    pub fn issue(
        &self,
        identifiers: &[String],
        key_type: KeyType,
        now: Timestamp,
    ) -> Result<Identity, InternalCaError> {
        let root = self.root();
        if now >= root.not_after {
            return Err(InternalCaError::Expired { name: root.common_name.clone(), not_after: root.not_after });
        }
        Ok(self.authority.issue(identifiers, key_type, now - BACKDATED, now + LEAF_VALIDITY)?)
    }
}

/// The internal CA as a [`Source`]; its key type is P-256.
pub struct InternalSource {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl InternalSource {
    /// Of the CA of this store, which is made when it is first asked.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl Source for InternalSource {
    async fn obtain(&self, order: &Order, _replaces: Option<&Identity>) -> Result<Identity, Failure> {
        let (identifiers, now) = (order.identifiers.clone(), self.clock.now());
        let issue = move |store: &Store| InternalCa::open(store, now)?.issue(&identifiers, KeyType::P256, now);
        Ok(blocking(&self.store, issue).await?)
    }
}

/// Why the internal CA gives no certificate.
#[derive(Debug, thiserror::Error)]
pub enum InternalCaError {
    /// The root cannot be loaded or saved.
    #[error("the internal CA cannot be kept in the state directory")]
    Store(#[from] StoreError),
    /// The root is no CA, or a certificate cannot be made.
    #[error("the internal CA cannot issue")]
    Certificate(#[from] IdentityError),
    /// The root has run out.
    #[error(
        "the internal CA `{name}` ended at {not_after}; move `ca/` out of the state directory and restart, \
         then tell every client to trust the new root"
    )]
    Expired {
        /// Common name of the root.
        name: String,
        /// Its last second.
        not_after: Timestamp,
    },
}

impl From<InternalCaError> for Failure {
    fn from(error: InternalCaError) -> Self {
        let reason = match &error {
            InternalCaError::Store(_) => Reason::Storage,
            InternalCaError::Certificate(_) => Reason::BadCsr,
            InternalCaError::Expired { .. } => Reason::Clock,
        };
        Self { reason, retry: Retry::Backoff, detail: with_causes(&error), fix: None }
    }
}

/// Begins the common name of every root; an id that says nothing about the host follows.
const NAME: &str = "portvakt internal CA";
/// Clocks of clients may be this much behind ours.
const BACKDATED: Duration = Duration::from_secs(5 * 60);
/// A new root means a visit to every client.
const ROOT_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Short enough to exercise renewal, long enough to survive a host that sleeps over the holidays.
const LEAF_VALIDITY: Duration = Duration::from_secs(30 * 86_400);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;
    use std::{fs, thread};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    fn identifiers() -> Vec<String> {
        ["m5.test", "*.m5.test", "127.0.0.1"].map(str::to_owned).to_vec()
    }

    #[test]
    fn given_no_ca_when_opened_then_made_once_for_ten_years() {
        let (_dir, store) = store();
        let first = InternalCa::open(&store, NOW).unwrap();
        let second = InternalCa::open(&store, NOW + ROOT_VALIDITY).unwrap();

        assert_eq!(first.root_pem(), second.root_pem());
        assert!(first.root().common_name.starts_with("portvakt internal CA "), "{:?}", first.root());
        assert_eq!(first.root().not_before, NOW - BACKDATED);
        assert_eq!(first.root().not_after, NOW + ROOT_VALIDITY);
    }

    #[test]
    fn given_many_openers_at_once_when_none_is_there_then_all_get_one_root() {
        let (_dir, store) = store();
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                thread::spawn(move || InternalCa::open(&store, NOW).unwrap().root_pem())
            })
            .collect();
        let mut roots: Vec<String> = openers.into_iter().map(|opener| opener.join().unwrap()).collect();
        roots.dedup();
        assert_eq!(roots.len(), 1);
    }

    #[test]
    fn given_a_damaged_root_when_opened_then_an_error_and_no_new_root() {
        let (dir, store) = store();
        InternalCa::open(&store, NOW).unwrap();
        fs::write(dir.path().join("ca/root.pem"), "junk").unwrap();
        assert!(matches!(InternalCa::open(&store, NOW), Err(InternalCaError::Store(StoreError::Damaged { .. }))));
        assert_eq!(fs::read_to_string(dir.path().join("ca/root.pem")).unwrap(), "junk");
    }

    #[test]
    fn given_identifiers_when_issued_then_valid_for_thirty_days_with_a_new_key() {
        let (_dir, store) = store();
        let ca = InternalCa::open(&store, NOW).unwrap();
        let [first, second] = [(); 2].map(|()| ca.issue(&identifiers(), KeyType::P256, NOW).unwrap());

        let leaf = first.chain().leaf();
        assert_eq!((leaf.not_before, leaf.not_after), (NOW - BACKDATED, NOW + LEAF_VALIDITY));
        assert_eq!(leaf.names, identifiers());
        assert_eq!(leaf.issuer, ca.root().common_name);
        assert_ne!(leaf.serial, second.chain().leaf().serial);
        assert_ne!(leaf.pin, second.chain().leaf().pin);
    }

    #[test]
    fn given_a_root_that_ran_out_when_issued_then_refused_with_the_mend() {
        let (_dir, store) = store();
        let ca = InternalCa::open(&store, NOW).unwrap();
        let last = ca.root().not_after - Duration::from_secs(1);
        assert!(ca.issue(&identifiers(), KeyType::P256, last).is_ok());
        let error = ca.issue(&identifiers(), KeyType::P256, ca.root().not_after).unwrap_err().to_string();
        assert!(error.contains("ended at 2036-") && error.contains("move `ca/`"), "{error}");
    }

    #[test]
    fn given_a_chain_when_verified_by_openssl_then_trusted_for_its_names_alone() {
        let (dir, store) = store();
        let ca = InternalCa::open(&store, NOW).unwrap();
        for key_type in [KeyType::P256, KeyType::P384, KeyType::Rsa2048] {
            let identity = ca.issue(&identifiers(), key_type, NOW).unwrap();
            fs::write(dir.path().join("root.pem"), ca.root_pem()).unwrap();
            fs::write(dir.path().join("leaf.pem"), identity.chain().to_pem()).unwrap();

            for (option, name, expected) in [
                ("-verify_hostname", "m5.test", true),
                ("-verify_hostname", "a.m5.test", true),
                ("-verify_hostname", "other.test", false),
                ("-verify_ip", "127.0.0.1", true),
                ("-verify_ip", "127.0.0.2", false),
            ] {
                let (verified, output) = openssl_verify(dir.path(), &[option, name]);
                assert_eq!(verified, expected, "{key_type:?} {name}: {output}");
            }
            let (verified, output) = openssl_verify(dir.path(), &["-purpose", "sslclient"]);
            assert!(!verified, "{key_type:?}: {output}");
        }
    }

    fn openssl_verify(dir: &Path, options: &[&str]) -> (bool, String) {
        let output = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-attime", &NOW.as_unix().to_string()])
            .args(options)
            .args(["-CAfile", "root.pem", "leaf.pem"])
            .current_dir(dir)
            .output()
            .expect("this test needs the program `openssl`");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}
