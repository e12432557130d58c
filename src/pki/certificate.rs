//! One certificate by itself, with all that a verifier asks of it.

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::assemble::{issued, issuers_url, text};
use super::chain::LeafFacts;
use super::{CertificateChain, ChainError};

/// One certificate of any kind: a leaf, an intermediate or a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    facts: LeafFacts,
    subject: String,
    issuer: String,
    digest: Digest,
    issuers_url: Option<String>,
    is_self_signed: bool,
}

/// What a signature was made over (RFC 5280 §4.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// Broken since 2004.
    Md5,
    /// Refused by everybody since 2017.
    Sha1,
    /// SHA-2, or an algorithm with a digest of its own.
    Strong,
}

impl Certificate {
    /// Reads one certificate.
    ///
    /// # Errors
    ///
    /// [`ChainError::Unreadable`] when it is not X.509.
    pub fn read(der: CertificateDer<'static>) -> Result<Self, ChainError> {
        let facts = CertificateChain::from_der(vec![der.clone()])?.leaf().clone();
        let unreadable = |reason: String| ChainError::Unreadable { position: 1, total: 1, reason };
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|reason| unreadable(reason.to_string()))?;
        let (subject, issuer) = (text(parsed.subject()), text(parsed.issuer()));
        let is_self_signed = signed(&parsed, &parsed, &facts);
        let (digest, issuers_url) = (Digest::of(&parsed.signature_algorithm.algorithm), issuers_url(&parsed));
        Ok(Self { facts, subject, issuer, digest, issuers_url, is_self_signed, der })
    }

    /// The bytes.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Names, validity, key, purposes.
    pub fn facts(&self) -> &LeafFacts {
        &self.facts
    }

    /// The whole subject, for people.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole issuer, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What its signature was made over.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the certificate says that its issuer's can be had (RFC 5280 §4.2.2.1).
    pub fn issuers_url(&self) -> Option<&str> {
        self.issuers_url.as_deref()
    }

    /// Signed with its own key, as every root is, and what nobody else vouches for.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_signed
    }

    /// By name and signature. A signature that we cannot check counts as good, since clients check it.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        let parsed = (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der));
        let (Ok((_, own)), Ok((_, theirs))) = parsed else { return false };
        signed(&theirs, &own, &issuer.facts)
    }

    /// Bits of the modulus; `None` for a key that is not RSA's.
    pub fn rsa_bits(&self) -> Option<usize> {
        self.facts.key_type.strip_prefix("RSA-")?.parse().ok()
    }
}

fn signed(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>, facts: &LeafFacts) -> bool {
    // aws-lc checks no signature of an RSA key that is this short.
    let is_too_short =
        facts.key_type.strip_prefix("RSA-").and_then(|bits| bits.parse().ok()).is_some_and(|bits: u32| bits < 2048);
    issued(issuer, certificate) || (is_too_short && issuer.subject().as_raw() == certificate.issuer().as_raw())
}

impl Digest {
    fn of(algorithm: &Oid<'_>) -> Self {
        let is = |known: &[Oid<'_>]| known.contains(algorithm);
        // md2, md4 and md5 with RSA (RFC 3279 §2.2.1).
        if is(&[oid!(1.2.840.113549.1.1.2), oid!(1.2.840.113549.1.1.3), oid!(1.2.840.113549.1.1.4)]) {
            return Self::Md5;
        }
        // With RSA, RSA as OIW named it, DSA, ECDSA.
        let sha1 = [oid!(1.2.840.113549.1.1.5), oid!(1.3.14.3.2.29), oid!(1.2.840.10040.4.3), oid!(1.2.840.10045.4.1)];
        if is(&sha1) { Self::Sha1 } else { Self::Strong }
    }

    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Strong => "SHA-2",
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::pki::TrustAnchors;

    fn pair() -> (Certificate, Certificate) {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Test CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = Certificate::read(ca.self_signed(&key).unwrap().into()).unwrap();
        let leaf = CertificateParams::new(vec!["leaf.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(ca, key)).unwrap();
        (Certificate::read(leaf.into()).unwrap(), root)
    }

    #[test]
    fn given_a_leaf_and_its_root_when_asked_then_who_has_signed_whom() {
        let (leaf, root) = pair();
        let (_, stranger) = pair();
        assert!(leaf.is_issued_by(&root) && root.is_self_signed() && !leaf.is_self_signed());
        assert!(!root.is_issued_by(&leaf));
        assert!(!leaf.is_issued_by(&stranger), "the name alone is not enough");
        assert_eq!((leaf.digest(), leaf.rsa_bits()), (Digest::Strong, None));
        assert!(leaf.issuer().contains("Test CA"), "{}", leaf.issuer());
    }

    #[test]
    fn given_mozillas_roots_when_read_then_each_signs_itself_and_is_told_apart() {
        for der in TrustAnchors::mozilla().certificates() {
            let root = Certificate::read(der.clone()).unwrap();
            assert!(root.is_self_signed(), "{}", root.subject());
            assert!(root.rsa_bits().is_none_or(|bits| bits >= 2048), "{}", root.subject());
        }
    }

    #[test]
    fn given_bytes_that_are_no_certificate_when_read_then_an_error() {
        assert!(Certificate::read(CertificateDer::from(b"junk".to_vec())).is_err());
    }
}
