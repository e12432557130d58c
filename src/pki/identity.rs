//! Chain and key that belong together.

use std::sync::Arc;

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use rustls::sign::CertifiedKey;

use super::{CertificateChain, ChainError, KeyError, KeyType, PrivateKey, template};
use crate::time::Timestamp;

/// A certificate chain and the private key of its leaf: what one side proves itself with.
#[derive(Clone, Debug)]
pub struct Identity {
    chain: CertificateChain,
    key: PrivateKey,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Joins them, after checking that the key is the leaf's.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Mismatch`] when the leaf's SubjectPublicKeyInfo is not that of the key.
    pub fn new(chain: CertificateChain, key: PrivateKey) -> Result<Self, IdentityError> {
        let signing_key = key.signing_key()?;
        if key.pin()? != chain.leaf().pin {
            return Err(IdentityError::Mismatch);
        }
        let certified = Arc::new(CertifiedKey::new(chain.certificates().to_vec(), signing_key));
        Ok(Self { chain, key, certified })
    }

    /// A certificate that nobody trusts, so that a listener can answer at all.
    ///
    /// Its subject says [`PLACEHOLDER`](Self::PLACEHOLDER). Names that no certificate can carry are left out: answering
    /// with the others is better than not answering.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Key`] and [`IdentityError::Make`] when the cryptographic library fails, which no input causes.
    pub fn self_signed(names: &[String], not_before: Timestamp, not_after: Timestamp) -> Result<Self, IdentityError> {
        let key = PrivateKey::generate(KeyType::P256)?;
        let mut certificate = template::for_identifiers(&[])?;
        certificate.distinguished_name = template::common_name(Self::PLACEHOLDER);
        certificate.subject_alt_names = names.iter().filter_map(|name| template::subject_alt_name(name).ok()).collect();
        certificate.not_before = template::x509_time(not_before);
        certificate.not_after = template::x509_time(not_after);
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = certificate.self_signed(&*key.key_pair()?).map_err(IdentityError::Make)?;
        Self::new(CertificateChain::from_der(vec![certificate.into()])?, key)
    }

    /// Whether [`Identity::self_signed`] made it.
    pub fn is_placeholder(&self) -> bool {
        let leaf = self.chain.leaf();
        leaf.is_self_issued && leaf.common_name == Self::PLACEHOLDER
    }

    /// The chain.
    pub fn chain(&self) -> &CertificateChain {
        &self.chain
    }

    /// The key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// In rustls's form, made once.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }

    /// Common name of a placeholder, so that whoever meets one knows where to look.
    pub const PLACEHOLDER: &str = "portvakt placeholder";
}

/// Why chain and key are no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The leaf holds another public key.
    #[error("the private key does not belong to the certificate; are chain and key from the same order, leaf first?")]
    Mismatch,
    /// The chain cannot be read.
    #[error("the certificate chain cannot be used")]
    Chain(#[from] ChainError),
    /// The key cannot be used.
    #[error("the private key cannot be used")]
    Key(#[from] KeyError),
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Make(#[source] rcgen::Error),
    /// It shall sign others, but does not say that it may.
    #[error("the certificate is not that of a CA; expected basicConstraints with CA:TRUE")]
    NoAuthority,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);
    const LATER: Timestamp = Timestamp::from_unix(1_795_311_180 + 86_400);

    fn made(names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Identity::self_signed(&names, NOW, LATER).unwrap()
    }

    #[test]
    fn given_names_when_self_signed_then_a_marked_placeholder_that_covers_them() {
        let identity = made(&["m5.test", "*.m5.test", "127.0.0.1", "not a name", ""]);

        let leaf = identity.chain().leaf();
        assert_eq!(leaf.names, ["m5.test", "*.m5.test", "127.0.0.1"]);
        assert_eq!((leaf.common_name.as_str(), leaf.is_self_issued, leaf.is_ca), (Identity::PLACEHOLDER, true, false));
        assert_eq!((leaf.not_before, leaf.not_after), (NOW, LATER));
        assert!(identity.is_placeholder());
    }

    #[test]
    fn given_no_usable_name_when_self_signed_then_still_an_identity() {
        assert!(made(&["ö"]).chain().leaf().names.is_empty());
    }

    #[test]
    fn given_times_beyond_x509_when_self_signed_then_the_nearest() {
        let identity =
            Identity::self_signed(&[], Timestamp::from_unix(i64::MIN), Timestamp::from_unix(i64::MAX)).unwrap();
        assert_eq!(identity.chain().leaf().not_before.to_string(), "1950-01-01T00:00:00Z");
        assert_eq!(identity.chain().leaf().not_after.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn given_chain_and_key_of_one_identity_when_joined_then_rustls_agrees() {
        let identity = made(&["a.test"]);
        let joined = Identity::new(identity.chain().clone(), identity.key().clone()).unwrap();
        joined.certified().keys_match().unwrap();
    }

    #[test]
    fn given_the_key_of_another_when_joined_then_mismatch() {
        for key_type in [KeyType::P256, KeyType::P384, KeyType::Rsa2048] {
            let foreign = PrivateKey::generate(key_type).unwrap();
            let error = Identity::new(made(&["a.test"]).chain().clone(), foreign).unwrap_err();
            assert!(matches!(error, IdentityError::Mismatch), "{key_type:?}");
        }
    }
}
