//! Lists of revoked certificates (RFC 5280 §5).

use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use webpki::OwnedCertRevocationList;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::assemble::text;
use super::pem;
use crate::time::Timestamp;

/// One list. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    der: Arc<[u8]>,
    /// Whose certificates it speaks of.
    pub issuer: String,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is due; from then on it is old.
    pub next_update: Timestamp,
}

impl Crl {
    /// Reads every list of a file, PEM or DER; one at least.
    ///
    /// # Errors
    ///
    /// [`CrlError`].
    pub fn of_file(bytes: &[u8]) -> Result<Vec<Self>, CrlError> {
        if pem::is_der(bytes) {
            return Ok(vec![Self::read(bytes)?]);
        }
        let blocks = pem::blocks(bytes).into_iter().filter(|block| block.label == "X509 CRL");
        let lists: Vec<_> = blocks
            .map(|block| Self::read(&block.body.map_err(|error| CrlError::Unreadable(error.to_string()))?))
            .collect::<Result<_, _>>()?;
        if lists.is_empty() { Err(CrlError::Missing) } else { Ok(lists) }
    }

    /// For rustls.
    pub fn der(&self) -> CertificateRevocationListDer<'static> {
        CertificateRevocationListDer::from(self.der.to_vec())
    }

    fn read(der: &[u8]) -> Result<Self, CrlError> {
        let (rest, list) =
            CertificateRevocationList::from_der(der).map_err(|reason| CrlError::Unreadable(reason.to_string()))?;
        if !rest.is_empty() {
            return Err(CrlError::Unreadable(format!("{} bytes follow the list", rest.len())));
        }
        let Some(next_update) = list.next_update() else { return Err(CrlError::Endless) };
        // It is judged by webpki later, which takes less than what can be read.
        match OwnedCertRevocationList::from_der(der) {
            Ok(_) => {}
            Err(webpki::Error::UnsupportedDeltaCrl) => return Err(CrlError::Delta),
            Err(webpki::Error::UnsupportedIndirectCrl) => return Err(CrlError::Indirect),
            Err(reason) => return Err(CrlError::Unusable(reason.to_string())),
        }
        let at = |at: x509_parser::time::ASN1Time| Timestamp::from_unix(at.timestamp());
        let (this_update, next_update) = (at(list.last_update()), at(next_update));
        Ok(Self { der: der.into(), issuer: text(list.issuer()), this_update, next_update })
    }
}

/// Why a file holds no list of revoked certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Neither DER nor PEM of one.
    #[error("no list found, expected DER or a PEM block `X509 CRL`")]
    Missing,
    /// It is none.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// No `nextUpdate`, which CAs must set (RFC 5280 §5.1.2.5).
    #[error("it does not say when the next one is due (`nextUpdate`), so that nobody would know when it is old")]
    Endless,
    /// RFC 5280 §5.2.4.
    #[error("it is a delta CRL, which tells only what has changed since another list")]
    Delta,
    /// RFC 5280 §5.2.5.
    #[error("it is an indirect CRL, which speaks of certificates of other issuers")]
    Indirect,
    /// Something in it is not understood, and may be critical.
    #[error("it cannot be used: {0}")]
    Unusable(String),
}
