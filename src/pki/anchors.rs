//! Roots we believe.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::chain::certificates_of_pem;
use super::{CertificateChain, ChainError};

/// Trust anchors (RFC 5280 §6.1), one at least. Clones share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchors(Arc<[CertificateDer<'static>]>);

impl TrustAnchors {
    /// Reads every certificate of a PEM text. All must be readable, so that a trust anchor is never left out in silence.
    ///
    /// # Errors
    ///
    /// [`ChainError`] with the position of the certificate that is broken.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ChainError> {
        // Read both by x509-parser and by webpki: either of them meets these bytes later and must not be surprised.
        let certificates = CertificateChain::from_der(certificates_of_pem(pem)?)?.certificates().to_vec();
        let total = certificates.len();
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            roots.add(certificate.clone()).map_err(|reason| ChainError::NoTrustAnchor {
                position: index + 1,
                total,
                reason: reason.to_string(),
            })?;
        }
        Ok(Self(certificates.into()))
    }

    /// Mozilla's roots, as built in.
    pub fn mozilla() -> Self {
        Self(webpki_root_certs::TLS_SERVER_ROOT_CERTS.into())
    }

    /// Their DER.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// For rustls.
    pub fn root_store(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.0.iter().cloned());
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Identity;
    use crate::time::Timestamp;

    fn root() -> CertificateDer<'static> {
        let identity = Identity::self_signed(&[], Timestamp::from_unix(0), Timestamp::from_unix(1)).unwrap();
        identity.chain().certificates()[0].clone()
    }

    fn pem(certificates: Vec<CertificateDer<'static>>) -> String {
        CertificateChain::from_der(certificates).unwrap().to_pem()
    }

    #[test]
    fn given_two_roots_when_read_then_both_are_believed() {
        let roots = vec![root(), root()];
        let anchors = TrustAnchors::from_pem(pem(roots.clone()).as_bytes()).unwrap();
        assert_eq!(anchors.certificates(), roots);
        assert_eq!(anchors.root_store().len(), 2);
    }

    #[test]
    fn given_one_broken_root_when_read_then_all_are_refused_with_its_position() {
        let text = pem(vec![root(), root()]);
        let last = text.rfind("-----BEGIN").unwrap();
        let broken = format!("{}{}", &text[..last], text[last..].replacen("\nMII", "\nMIA", 1));
        let error = TrustAnchors::from_pem(broken.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("certificate 2 of 2 "), "{error}");
    }

    #[test]
    fn given_no_certificate_when_read_then_missing() {
        assert!(matches!(TrustAnchors::from_pem(b"nothing"), Err(ChainError::Missing { .. })));
    }

    #[test]
    fn given_mozillas_roots_when_used_then_none_is_left_out() {
        let mozilla = TrustAnchors::mozilla();
        assert!(mozilla.certificates().len() > 100);
        assert_eq!(mozilla.root_store().len(), mozilla.certificates().len());
    }
}
