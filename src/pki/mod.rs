//! Certificates, keys and the trust in them, as values.
//!
//! In: PEM and DER bytes. Out: [`CertificateChain`], [`PrivateKey`], [`Identity`], [`TrustAnchors`], [`Fingerprint`],
//! [`SpkiPin`], [`Authority`], signing requests. Imports libraries only; reads no file and no clock. Whatever bytes come in, nothing here
//! panics. Standards: RFC 5280 (certificates), RFC 7468 (PEM), RFC 2986 (PKCS #10), RFC 7469 §2.4 (pins), RFC 8737
//! (the certificate of tls-alpn-01).

mod anchors;
mod authority;
mod chain;
mod csr;
mod identity;
mod key;
mod pem;
mod pin;
mod template;

pub use anchors::TrustAnchors;
pub use authority::Authority;
pub use chain::{CertificateChain, ChainError, LeafFacts};
pub use csr::{acme_tls_alpn_identity, signing_request};
pub use identity::{Identity, IdentityError};
pub use key::{KeyError, KeyType, PrivateKey};
pub use pem::PemError;
pub use pin::{Fingerprint, PinError, SpkiPin};
