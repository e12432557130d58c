//! Certificates, keys and the trust in them, as values.
//!
//! In: bytes of PEM, DER, PKCS #7 and PKCS #12. Out: [`Certificate`], [`CertificateChain`], [`PrivateKey`], [`Identity`], [`TrustAnchors`],
//! [`Fingerprint`], [`SpkiPin`], [`Authority`], signing requests. Imports libraries only; reads no file and no clock.
//! Whatever bytes come in, nothing here panics or works for more than seconds. Standards: RFC 5280 (certificates),
//! RFC 7468 (PEM), RFC 5958 (PKCS #8), RFC 8018 (PBES2), RFC 5652 §5 (PKCS #7), RFC 7292 (PKCS #12), RFC 2986
//! (PKCS #10), RFC 7469 §2.4 (pins), RFC 8737 (the certificate of tls-alpn-01).
//!
//! # Why
//!
//! PKCS #12 is read by a few hundred lines of ours: the libraries for it either know no RC2, which half of the files in
//! the field use, or bring two dozen crates in pre-release versions and leave decrypted keys in memory. ASN.1 comes from
//! x509-parser, digests, PBKDF2 and AES from aws-lc-rs, both here already; RC2 and triple DES from RustCrypto.

mod anchors;
mod asn1;
mod assemble;
mod authority;
mod certificate;
mod chain;
mod crl;
mod csr;
mod export;
mod holder;
mod identity;
mod key;
mod password;
mod pbe;
mod pem;
mod pin;
mod pkcs12;
mod pkcs7;
mod renewal_id;
mod request;
mod subject;
mod template;

pub use anchors::TrustAnchors;
pub use assemble::{Assembled, MissingIssuer};
pub use authority::Authority;
pub use certificate::{Certificate, Digest};
pub use chain::{CertificateChain, ChainError, LeafFacts};
pub use crl::{Crl, CrlError};
pub use csr::{acme_tls_alpn_identity, signing_request};
pub use export::{ExportError, Readers, pkcs12};
pub use holder::Holder;
pub use identity::{Identity, IdentityError};
pub use key::{KeyError, KeyType, PrivateKey};
pub use password::{Password, PasswordError};
pub use pem::PemError;
pub(crate) use pin::sha256;
pub use pin::{Fingerprint, PinError, SpkiPin};
pub use pkcs12::{Pkcs12, Pkcs12Error};
pub use renewal_id::RenewalId;
pub use request::request_like;
pub use subject::Purposes;
