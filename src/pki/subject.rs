//! What a certificate says about whom it names, and what it may be used for.

use x509_parser::asn1_rs::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_X509_NAME, OID_X509_SERIALNUMBER, Oid};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Extended key usage (RFC 5280 §4.2.1.12): what a certificate may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purposes {
    /// It does not say, so that there is no limit; so are BankID's.
    Any,
    /// Only for these, such as `serverAuth` or, where it has no name here, `1.3.6.1.5.5.7.3.9`.
    Only(Vec<String>),
}

impl Purposes {
    /// Whether a client may show it (id-kp-clientAuth).
    pub fn allow_client(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Only(purposes) => purposes.iter().any(|purpose| purpose == CLIENT || purpose == ANY),
        }
    }

    /// As the certificate has them. An extension that is there twice or broken allows nothing.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let extension = match certificate.extended_key_usage() {
            Ok(None) => return Self::Any,
            Ok(Some(extension)) => extension,
            Err(_) => return Self::Only(Vec::new()),
        };
        let usage = extension.value;
        let named = [(usage.any, ANY), (usage.server_auth, "serverAuth"), (usage.client_auth, CLIENT)];
        let more = [
            (usage.code_signing, "codeSigning"),
            (usage.email_protection, "emailProtection"),
            (usage.time_stamping, "timeStamping"),
            (usage.ocsp_signing, "OCSPSigning"),
        ];
        let known = named.into_iter().chain(more).filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_owned());
        Self::Only(known.chain(usage.other.iter().map(Oid::to_id_string)).collect())
    }
}

/// Whether its key may make signatures, as every client's does in TLS 1.3 (RFC 5280 §4.2.1.3: no limit where there is no
/// extension). Not with one that is there twice or broken.
pub(super) fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.digital_signature()))
}

/// The attribute `name` (X.520 §6.2.1); BankID shows it to users as the party that asks. Empty when there is none.
pub(super) fn display_name(subject: &X509Name<'_>) -> String {
    last(subject, &OID_X509_NAME)
}

/// The attribute `serialNumber` (X.520 §6.2.9), where Swedish CAs put the organisation's number. Empty when there is none.
pub(super) fn organisation_number(subject: &X509Name<'_>) -> String {
    last(subject, &OID_X509_SERIALNUMBER)
}

/// The last one: X.500 goes from the general to the particular.
fn last(subject: &X509Name<'_>, oid: &Oid<'_>) -> String {
    subject.iter_by_oid(oid).last().map(text).unwrap_or_default()
}

/// A DirectoryString (RFC 5280 §4.1.2.4); what none of its kinds explains is replaced, not left out.
fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    let bytes = value.data;
    match value.tag() {
        Tag::BmpString => utf16(bytes),
        // In the field it is Latin-1.
        Tag::T61String => bytes.iter().copied().map(char::from).collect(),
        Tag::UniversalString => {
            let points = bytes.chunks_exact(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
            points.map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<_> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

const CLIENT: &str = "clientAuth";
const ANY: &str = "anyExtendedKeyUsage";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

    use super::*;
    use crate::pki::{CertificateChain, LeafFacts, Password, Pkcs12};

    fn published(file: &str) -> LeafFacts {
        let bytes = std::fs::read(format!("tests/data/bankid/{file}")).unwrap();
        let opened = Pkcs12::read(&bytes, Some(&Password::new("qwerty123"))).unwrap();
        CertificateChain::from_der(opened.certificates).unwrap().leaf().clone()
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> LeafFacts {
        let mut params = CertificateParams::default();
        change(&mut params);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        CertificateChain::from_der(vec![certificate.into()]).unwrap().leaf().clone()
    }

    #[test]
    fn given_bankids_published_certificates_when_read_then_whom_users_see_and_no_limit_of_use() {
        for (file, common_name) in [
            ("FPTestcert5_20240610.p12", "FP Testcert 5"),
            ("FPTestcert5_20240610-legacy.pfx", "FP Testcert 5"),
            ("FPTestcert4_20220818.p12", "FP Testcert 4"),
        ] {
            let leaf = published(file);
            assert_eq!((&*leaf.common_name, &*leaf.display_name), (common_name, "Test av BankID"), "{file}");
            assert_eq!(leaf.organisation_number, "5566304928");
            assert_eq!(leaf.purposes, Purposes::Any);
            assert!(leaf.may_sign && leaf.purposes.allow_client());
        }
    }

    #[test]
    fn given_extended_key_usages_when_asked_then_a_client_needs_its_own_or_any() {
        use ExtendedKeyUsagePurpose::{Any, ClientAuth, Other, ServerAuth};
        let only = |names: &[&str]| Purposes::Only(names.iter().map(|name| (*name).to_owned()).collect());
        for (usages, expected, allows) in [
            (vec![], Purposes::Any, true),
            (vec![ServerAuth], only(&["serverAuth"]), false),
            (vec![ServerAuth, ClientAuth], only(&["serverAuth", "clientAuth"]), true),
            (vec![Any], only(&["anyExtendedKeyUsage"]), true),
            (vec![Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 9, 9])], only(&["1.3.6.1.5.5.7.3.9.9"]), false),
        ] {
            let purposes = made(|params| params.extended_key_usages = usages).purposes;
            assert_eq!((purposes.allow_client(), &purposes), (allows, &expected));
        }
    }

    #[test]
    fn given_key_usages_when_asked_then_whether_the_key_may_sign() {
        use KeyUsagePurpose::{DigitalSignature, KeyEncipherment};
        for (usages, expected) in [(vec![], true), (vec![DigitalSignature], true), (vec![KeyEncipherment], false)] {
            assert_eq!(made(|params| params.key_usages = usages).may_sign, expected);
        }
    }

    #[test]
    fn given_a_name_in_any_kind_of_string_when_read_then_the_same_text() {
        for value in [
            DnValue::Utf8String("Åkeri AB".to_owned()),
            DnValue::BmpString("Åkeri AB".try_into().unwrap()),
            DnValue::UniversalString("Åkeri AB".try_into().unwrap()),
        ] {
            let leaf = made(|params| params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 41]), value));
            assert_eq!(leaf.display_name, "Åkeri AB");
        }
        assert_eq!(made(|_| {}).display_name, "");
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_taken_for_utf_16_then_nothing_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            prop_assert!(utf16(&bytes).chars().count() <= bytes.len());
        }
    }
}
