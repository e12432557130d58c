//! Lists of revoked certificates (RFC 5280 §5).

use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
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
    /// When the next one is due; after that it is old.
    pub next_update: Option<Timestamp>,
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
        let next_update = list.next_update().map(|at| Timestamp::from_unix(at.timestamp()));
        Ok(Self { der: der.into(), issuer: text(list.issuer()), next_update })
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
}
