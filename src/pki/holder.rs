//! Who holds a client's certificate.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::assemble::text;
use super::{CertificateChain, ChainError, Fingerprint, LeafFacts, SpkiPin};
use crate::time::Timestamp;

/// What a client's certificate says, as far as one may be let in by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// subjectAltName: DNS names, IP addresses, mail addresses and URIs, in lower case.
    pub names: Vec<String>,
    /// Common name of the issuer, which may be empty.
    pub issuer: String,
    /// The issuer's whole name, such as `C=SE, O=Example, CN=Staff CA`.
    pub issuer_name: String,
    /// SHA-256 of the public key.
    pub pin: SpkiPin,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// Last second of validity.
    pub not_after: Timestamp,
}

impl Holder {
    /// Reads a leaf.
    ///
    /// # Errors
    ///
    /// [`ChainError::Unreadable`] when it is not X.509.
    pub fn read(der: &CertificateDer<'static>) -> Result<Self, ChainError> {
        let chain = CertificateChain::from_der(vec![der.clone()])?;
        let unreadable = |reason: String| ChainError::Unreadable { position: 1, total: 1, reason };
        let (_, parsed) = X509Certificate::from_der(der).map_err(|reason| unreadable(reason.to_string()))?;
        let LeafFacts { names, issuer, pin, fingerprint, not_after, .. } = chain.leaf().clone();
        let alternative = parsed.subject_alternative_name().map_err(|reason| unreadable(reason.to_string()))?;
        let all = alternative.iter().flat_map(|extension| &extension.value.general_names);
        let others = all.filter_map(|name| match name {
            GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let names = names.into_iter().chain(others).collect();
        Ok(Self { names, issuer, issuer_name: text(parsed.issuer()), pin, fingerprint, not_after })
    }
}
