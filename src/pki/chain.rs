//! Certificate chains.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::pem::{self, PemError};
use super::subject::{self, Purposes};
use super::{Fingerprint, Pkcs12, RenewalId, SpkiPin, pkcs7};
use crate::time::Timestamp;

/// Leaf first, then intermediates, no root (RFC 8446 §4.4.2). Never empty; every certificate can be read.
#[derive(Clone, Debug)]
pub struct CertificateChain {
    certificates: Vec<CertificateDer<'static>>,
    leaf: LeafFacts,
    not_after: Timestamp,
    fingerprint: Fingerprint,
}

impl CertificateChain {
    /// Reads every certificate of a PEM text, in its order. Blocks of other kinds are passed over.
    ///
    /// # Errors
    ///
    /// [`ChainError`], with the position of the certificate that is broken.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ChainError> {
        Self::from_der(certificates_of_pem(pem)?)
    }

    /// Reads every certificate of a file, in its order: PEM, DER, or PKCS #7 in either. Other blocks of PEM are passed over.
    ///
    /// # Errors
    ///
    /// [`ChainError`], with the position of the certificate that is broken.
    pub fn certificates_of_file(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ChainError> {
        if !pem::is_der(bytes) {
            return certificates_of_pem(bytes);
        }
        if Pkcs12::is_likely(bytes) {
            return Err(ChainError::Missing {
                found: "the file is PKCS #12, write it as `pkcs12 = \"...\"`".to_owned(),
            });
        }
        match pkcs7::certificates(bytes) {
            Ok(certificates) if certificates.is_empty() => {
                Err(ChainError::Missing { found: "the PKCS #7 file holds none".to_owned() })
            }
            Ok(certificates) => Ok(certificates),
            // One certificate. Whether it is one is told by whoever reads it.
            Err(_) => Ok(vec![CertificateDer::from(bytes.to_vec())]),
        }
    }

    /// Takes certificates in DER.
    ///
    /// # Errors
    ///
    /// [`ChainError::Missing`] for none, [`ChainError::Unreadable`] for the first that is not X.509.
    pub fn from_der(certificates: Vec<CertificateDer<'static>>) -> Result<Self, ChainError> {
        let total = certificates.len();
        let mut facts = certificates.iter().enumerate().map(|(index, certificate)| {
            LeafFacts::read(certificate).map_err(|reason| ChainError::Unreadable { position: index + 1, total, reason })
        });
        let Some(leaf) = facts.next().transpose()? else {
            return Err(ChainError::Missing { found: "the chain is empty".to_owned() });
        };
        let not_after = facts.try_fold(leaf.not_after, |earliest, facts| Ok(earliest.min(facts?.not_after)))?;
        let fingerprint = Fingerprint::of(&certificates.iter().map(|der| &**der).collect::<Vec<_>>().concat());
        Ok(Self { certificates, leaf, not_after, fingerprint })
    }

    /// PEM blocks in order.
    pub fn to_pem(&self) -> String {
        self.certificates.iter().map(|certificate| pem::encode("CERTIFICATE", certificate).to_string()).collect()
    }

    /// All certificates in DER.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What the leaf says.
    pub fn leaf(&self) -> &LeafFacts {
        &self.leaf
    }

    /// SHA-256 over all certificates: another intermediate makes another chain.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The earliest `not_after` of the chain, the leaf included.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Common name of each certificate's issuer, in their order; empty where there is none.
    pub fn issuers(&self) -> Vec<String> {
        let issuer =
            |der| X509Certificate::from_der(der).map(|(_, read)| common_name(read.issuer())).unwrap_or_default();
        self.certificates.iter().map(|der| issuer(der)).collect()
    }

    /// How the leaf's CA knows it (RFC 9773 §4.1); `None` when it names no authority.
    pub fn renewal_id(&self) -> Option<RenewalId> {
        self.certificates.first().and_then(RenewalId::of)
    }
}

/// What a leaf says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafFacts {
    /// DNS names (lower case) and IP addresses of the subjectAltName, in its order.
    pub names: Vec<String>,
    /// Subject common name, empty when there is none.
    pub common_name: String,
    /// Issuer common name, empty when there is none.
    pub issuer: String,
    /// Lower-case hex of the serial number.
    pub serial: String,
    /// First second of validity.
    pub not_before: Timestamp,
    /// Last second of validity.
    pub not_after: Timestamp,
    /// SHA-256 of the DER.
    pub fingerprint: Fingerprint,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub pin: SpkiPin,
    /// Such as `P-256` or `RSA-2048`.
    pub key_type: String,
    /// basicConstraints say CA.
    pub is_ca: bool,
    /// Issuer and subject are the same.
    pub is_self_issued: bool,
    /// Subject attribute `name` (2.5.4.41): what BankID shows to users. Empty when there is none.
    pub display_name: String,
    /// Subject attribute `serialNumber` (2.5.4.5): the organisation's number. Empty when there is none.
    pub organisation_number: String,
    /// What it may be used for.
    pub purposes: Purposes,
    /// Its key may make signatures, as a client's has to.
    pub may_sign: bool,
}

impl LeafFacts {
    /// Whether the certificate is issued to this DNS name or IP address; a wildcard stands for one label (RFC 9525 §6.3).
    ///
    /// Case and a trailing dot do not matter. The common name is not asked (RFC 9525 §2).
    pub fn covers(&self, name: &str) -> bool {
        if let Ok(address) = name.parse::<IpAddr>() {
            return self.names.iter().any(|own| own.parse() == Ok(address));
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let parent = name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        self.names.iter().any(|own| {
            let wildcard = own.strip_prefix("*.");
            *own == name || (wildcard.is_some() && wildcard == parent)
        })
    }

    fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|reason| reason.to_string())?;
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the certificate", rest.len()));
        }
        Ok(Self {
            names: names(&certificate)?,
            common_name: common_name(certificate.subject()),
            issuer: common_name(certificate.issuer()),
            serial: serial(certificate.raw_serial()),
            not_before: Timestamp::from_unix(certificate.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix(certificate.validity().not_after.timestamp()),
            fingerprint: Fingerprint::of(der),
            pin: SpkiPin::of(certificate.public_key().raw),
            key_type: key_type(certificate.public_key()),
            is_ca: certificate.is_ca(),
            is_self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            display_name: subject::display_name(certificate.subject()),
            organisation_number: subject::organisation_number(certificate.subject()),
            purposes: Purposes::of(&certificate),
            may_sign: subject::may_sign(&certificate),
        })
    }
}

/// Why bytes are no certificate chain, or no trust anchors.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// No PEM block of a certificate.
    #[error("no certificate found, expected a PEM block `CERTIFICATE`; {found}")]
    Missing {
        /// What the text looks like instead.
        found: String,
    },
    /// A PEM block is broken.
    #[error("certificate {position} of {total} is broken PEM")]
    Pem {
        /// Which one, counted from 1.
        position: usize,
        /// Of how many.
        total: usize,
        /// What is wrong with it.
        source: PemError,
    },
    /// Not X.509.
    #[error("certificate {position} of {total} cannot be read as X.509: {reason}")]
    Unreadable {
        /// Which one, counted from 1.
        position: usize,
        /// Of how many.
        total: usize,
        /// The parser's word.
        reason: String,
    },
    /// More than belong to one server.
    #[error("the file holds {found} certificates; is it a bundle of roots? expected the leaf and its intermediates")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A certificate, but not one to be believed as a root.
    #[error("certificate {position} of {total} cannot be a trust anchor: {reason}")]
    NoTrustAnchor {
        /// Which one, counted from 1.
        position: usize,
        /// Of how many.
        total: usize,
        /// The verifier's word.
        reason: String,
    },
}

/// The DER of every certificate of a PEM text, one at least.
pub(super) fn certificates_of_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, ChainError> {
    let (certificates, others): (Vec<_>, Vec<_>) = pem::blocks(text).into_iter().partition(|block| {
        matches!(block.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE" | "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS")
    });
    let total = certificates.len();
    if total == 0 {
        return Err(ChainError::Missing { found: pem::describe(text, &others) });
    }
    let mut found = Vec::with_capacity(total);
    for (index, block) in certificates.into_iter().enumerate() {
        let position = index + 1;
        let der = block.body.map_err(|source| ChainError::Pem { position, total, source })?;
        if block.label.ends_with("CERTIFICATE") {
            found.push(CertificateDer::from(der.to_vec()));
            continue;
        }
        let reason = || "the PKCS #7 block is damaged".to_owned();
        found.extend(pkcs7::certificates(&der).map_err(|_| ChainError::Unreadable {
            position,
            total,
            reason: reason(),
        })?);
    }
    if found.is_empty() {
        return Err(ChainError::Missing { found: "the PKCS #7 block holds none".to_owned() });
    }
    Ok(found)
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let extension = certificate.subject_alternative_name().map_err(|reason| reason.to_string())?;
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    Ok(names.filter_map(name).collect())
}

/// A DNS name or an IP address; other kinds name no server. An address written as a DNS name counts for nothing, as in
/// every verifier.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) if name.parse::<IpAddr>().is_err() => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// The last one: X.500 goes from the general to the particular.
fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name().last().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

/// Without the zero byte that DER puts before a high bit.
fn serial(bytes: &[u8]) -> String {
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => bytes,
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key_type(spki: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return match spki.parsed() {
            Ok(PublicKey::RSA(key)) => format!("RSA-{}", bits(key.modulus)),
            _ => "RSA".to_owned(),
        };
    }
    if *algorithm == OID_SIG_ED25519 {
        return "Ed25519".to_owned();
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| Oid::try_from(parameters).ok());
        return curve.map_or_else(|| "EC".to_owned(), |curve| curve_name(&curve));
    }
    algorithm.to_id_string()
}

fn curve_name(curve: &Oid<'_>) -> String {
    for (oid, name) in [(OID_EC_P256, "P-256"), (OID_NIST_EC_P384, "P-384"), (OID_NIST_EC_P521, "P-521")] {
        if oid == *curve {
            return name.to_owned();
        }
    }
    curve.to_id_string()
}

/// Length of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let Some(first) = number.iter().position(|byte| *byte != 0) else {
        return 0;
    };
    (number.len() - first) * 8 - number[first].leading_zeros() as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::pki::{Identity, KeyType, PrivateKey};

    fn leaf(names: &[&str]) -> LeafFacts {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let identity = Identity::self_signed(&names, Timestamp::from_unix(0), Timestamp::from_unix(1)).unwrap();
        identity.chain().leaf().clone()
    }

    /// A leaf for `Leaf.test`, valid 2026 to 2028, and its intermediate, valid 2025 to 2027.
    fn pair() -> Vec<CertificateDer<'static>> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Test CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.not_before = rcgen::date_time_ymd(2025, 1, 1);
        ca.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let ca_key = KeyPair::generate().unwrap();
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let mut leaf = CertificateParams::new(vec!["Leaf.test".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "leaf");
        leaf.serial_number = Some(vec![0xfe, 0x01].into());
        leaf.not_before = rcgen::date_time_ymd(2026, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2028, 1, 1);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        vec![leaf.into(), ca_certificate.into()]
    }

    #[test]
    fn given_a_chain_when_read_then_the_facts_are_the_leafs() {
        let chain = CertificateChain::from_der(pair()).unwrap();

        let leaf = chain.leaf();
        assert_eq!(leaf.names, ["leaf.test", "192.0.2.1"]);
        assert_eq!((leaf.common_name.as_str(), leaf.issuer.as_str()), ("leaf", "Test CA"));
        assert_eq!((leaf.serial.as_str(), leaf.key_type.as_str()), ("fe01", "P-384"));
        assert_eq!(leaf.not_before.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(leaf.not_after.to_string(), "2028-01-01T00:00:00Z");
        assert!(!leaf.is_ca && !leaf.is_self_issued);
        assert_eq!(leaf.fingerprint, Fingerprint::of(&chain.certificates()[0]));
    }

    #[test]
    fn given_an_intermediate_that_ends_first_when_asked_then_the_chain_ends_with_it() {
        let chain = CertificateChain::from_der(pair()).unwrap();
        assert_eq!(chain.not_after().to_string(), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn given_a_ca_first_when_read_then_its_facts_say_so() {
        let chain = CertificateChain::from_der(pair().split_off(1)).unwrap();
        assert!(chain.leaf().is_ca && chain.leaf().is_self_issued);
        assert_eq!(chain.leaf().key_type, "P-256");
    }

    #[test]
    fn given_an_rsa_leaf_when_read_then_its_bits_are_told() {
        let key = PrivateKey::generate(KeyType::Rsa2048).unwrap().key_pair().unwrap();
        let certificate = CertificateParams::default().self_signed(&*key).unwrap();
        let chain = CertificateChain::from_der(vec![certificate.into()]).unwrap();
        assert_eq!(chain.leaf().key_type, "RSA-2048");
    }

    #[test]
    fn given_pem_with_a_key_and_words_around_when_read_then_the_same_chain() {
        let certificates = pair();
        let pem = CertificateChain::from_der(certificates.clone()).unwrap().to_pem();
        let key = PrivateKey::generate(KeyType::P256).unwrap().to_pem();
        for text in [pem.clone(), format!("\u{feff}{}words\n{pem}", *key), pem.replace('\n', "\r\n")] {
            assert_eq!(CertificateChain::from_pem(text.as_bytes()).unwrap().certificates(), certificates);
        }
    }

    #[test]
    fn given_one_broken_certificate_when_read_then_its_position_is_told() {
        let mut three = pair();
        three.extend(pair().pop());
        let pem = CertificateChain::from_der(three).unwrap().to_pem();
        let blocks: Vec<String> = pem.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect();
        let with_second = |second: String| [&blocks[0], &second, &blocks[2]].map(String::as_str).concat();
        let longer = pem::encode("CERTIFICATE", &[&pair()[0][..], b"more"].concat()).to_string();
        for (second, expected) in [
            (pem::encode("CERTIFICATE", b"junk").to_string(), "certificate 2 of 3 cannot be read as X.509"),
            (blocks[1].replacen("\nM", "\n*", 1), "certificate 2 of 3 is broken PEM"),
            (blocks[1].replace("-----END", "END"), "certificate 2 of 3 is broken PEM"),
            (longer, "certificate 2 of 3 cannot be read as X.509: 4 bytes follow"),
        ] {
            let error = CertificateChain::from_pem(with_second(second).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn given_nothing_to_read_when_read_then_says_what_was_there() {
        let key = PrivateKey::generate(KeyType::P256).unwrap().to_pem();
        for (text, word) in [("", "empty"), ("words", "no PEM block"), (key.as_str(), "holds `PRIVATE KEY`")] {
            let error = CertificateChain::from_pem(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(CertificateChain::from_der(Vec::new()).is_err());
    }

    #[test]
    fn given_a_name_when_asked_then_covered_as_in_rfc_9525() {
        let leaf = leaf(&["m5.test", "*.Wild.test", "192.0.2.1", "2001:db8::1"]);
        for (name, expected) in [
            ("m5.test", true),
            ("M5.TEST", true),
            ("m5.test.", true),
            ("www.m5.test", false),
            ("test", false),
            ("a.wild.test", true),
            ("A.WILD.test", true),
            ("*.wild.test", true),
            ("wild.test", false),
            (".wild.test", false),
            ("b.a.wild.test", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::1", true),
            ("2001:DB8:0::1", true),
            ("::1", false),
            ("", false),
            (".", false),
            ("portvakt placeholder", false),
        ] {
            assert_eq!(leaf.covers(name), expected, "{name}");
        }
    }

    #[test]
    fn given_an_address_written_as_a_dns_name_when_read_then_it_counts_for_nothing() {
        let mut certificate = CertificateParams::default();
        certificate.subject_alt_names = vec![rcgen::SanType::DnsName("192.0.2.1".try_into().unwrap())];
        let certificate = certificate.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let chain = CertificateChain::from_der(vec![certificate.into()]).unwrap();
        assert!(!chain.leaf().covers("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_nothing_panics(der in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = CertificateChain::from_pem(&der);
            let _ = CertificateChain::from_der(vec![der.into()]);
        }

        #[test]
        fn given_any_name_when_asked_then_nothing_panics_and_a_wildcard_keeps_to_one_label(label in "[a-z.*]{0,8}") {
            let covered = leaf(&["*.wild.test"]).covers(&format!("{label}.wild.test"));
            prop_assert_eq!(covered, !label.is_empty() && !label.contains('.'));
        }
    }

    #[test]
    fn given_any_byte_changed_when_read_then_nothing_panics() {
        let good = pair().remove(0).to_vec();
        for at in 0..good.len() {
            for to in [0, 1, 0x30, 0x7f, 0x80, 0xff, good[at] ^ 1] {
                let mut der = good.clone();
                der[at] = to;
                if let Ok(chain) = CertificateChain::from_der(vec![der.into()]) {
                    let _ = chain.leaf().covers("leaf.test");
                }
            }
        }
    }
}
