//! Signing requests for a certificate that is to follow another one.

use rustls::SignatureScheme;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{CertificateChain, KeyError, PrivateKey, pem};

/// Makes a signing request in PEM (RFC 2986) with the subject of a chain's leaf, byte for byte: every attribute, in its
/// order and its kind of string. No attribute asks for extensions, which the CA knows better.
///
/// # Errors
///
/// [`KeyError::Unsupported`] for a key that cannot sign a request, [`KeyError::Subject`] when the leaf cannot be read.
pub fn request_like(chain: &CertificateChain, key: &PrivateKey) -> Result<String, KeyError> {
    let leaf = chain.certificates().first().ok_or(KeyError::Subject)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| KeyError::Subject)?;
    let signing_key = key.signing_key()?;
    let public_key = signing_key.public_key().ok_or(KeyError::NoRequest)?;
    let signer = signing_key.choose_scheme(&SCHEMES).ok_or(KeyError::NoRequest)?;
    let algorithm = algorithm(signer.scheme()).ok_or(KeyError::NoRequest)?;
    let version = tlv(INTEGER, &[&[0]]);
    let no_attributes = tlv(CONTEXT_0, &[]);
    let info = tlv(SEQUENCE, &[&version, leaf.subject().as_raw(), &public_key, &no_attributes]);
    let signature = signer.sign(&info).map_err(|_| KeyError::NoRequest)?;
    let request = tlv(SEQUENCE, &[&info, &tlv(SEQUENCE, &[algorithm]), &tlv(BIT_STRING, &[&[0], &signature])]);
    Ok(pem::encode("CERTIFICATE REQUEST", &request).to_string())
}

/// The content of the AlgorithmIdentifier (RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3).
fn algorithm(scheme: SignatureScheme) -> Option<&'static [u8]> {
    Some(match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
        SignatureScheme::ECDSA_NISTP256_SHA256 => b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
        SignatureScheme::ECDSA_NISTP384_SHA384 => b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
        SignatureScheme::ECDSA_NISTP521_SHA512 => b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
        SignatureScheme::ED25519 => b"\x06\x03\x2b\x65\x70",
        _ => return None,
    })
}

/// Tag, length and content in DER (X.690 §8.1).
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let skipped = bytes.iter().take_while(|byte| **byte == 0).count();
            // Eight bytes at most, so that the count fits.
            der.push(0x80 | u8::try_from(bytes.len() - skipped).unwrap_or(8));
            der.extend_from_slice(&bytes[skipped..]);
        }
    }
    parts.iter().for_each(|part| der.extend_from_slice(part));
    der
}

const SCHEMES: [SignatureScheme; 5] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};
    use x509_parser::certification_request::X509CertificationRequest;

    use super::*;
    use crate::pki::{KeyType, Password, Pkcs12};

    fn published() -> CertificateChain {
        let bytes = std::fs::read("tests/data/bankid/FPTestcert5_20240610.p12").unwrap();
        let opened = Pkcs12::read(&bytes, Some(&Password::new("qwerty123"))).unwrap();
        CertificateChain::from_der(opened.certificates).unwrap()
    }

    fn subject(chain: &CertificateChain) -> Vec<u8> {
        let (_, leaf) = X509Certificate::from_der(&chain.certificates()[0]).unwrap();
        leaf.subject().as_raw().to_vec()
    }

    #[test]
    fn given_bankids_certificate_when_requested_again_then_its_subject_byte_for_byte_and_a_good_signature() {
        let chain = published();
        for key in [
            PrivateKey::generate(KeyType::Rsa2048).unwrap(),
            PrivateKey::generate(KeyType::P256).unwrap(),
            PrivateKey::generate_like("P-384").unwrap(),
        ] {
            let pem = request_like(&chain, &key).unwrap();
            let der = pem::blocks(pem.as_bytes()).remove(0).body.unwrap();
            let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
            assert!(rest.is_empty());
            request.verify_signature().unwrap();
            let info = &request.certification_request_info;
            assert_eq!(info.subject.as_raw(), subject(&chain));
            assert_eq!(info.attributes().len(), 0);
            assert_eq!(crate::pki::SpkiPin::of(info.subject_pki.raw), key.pin().unwrap());
        }
    }

    #[test]
    fn given_strings_of_every_kind_when_requested_again_then_each_keeps_its_kind() {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, DnValue::PrintableString("SE".try_into().unwrap()));
        params.distinguished_name.push(DnType::OrganizationName, DnValue::TeletexString("Akeri".try_into().unwrap()));
        params
            .distinguished_name
            .push(DnType::CustomDnType(vec![2, 5, 4, 41]), DnValue::BmpString("Åkeri".try_into().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "x".repeat(300));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let chain = CertificateChain::from_der(vec![certificate.into()]).unwrap();
        let pem = request_like(&chain, &PrivateKey::generate(KeyType::P384).unwrap()).unwrap();
        let der = pem::blocks(pem.as_bytes()).remove(0).body.unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert_eq!(request.certification_request_info.subject.as_raw(), subject(&chain));
    }

    #[test]
    fn given_lengths_when_written_then_in_as_few_bytes_as_der_wants() {
        for (length, head) in [(0, &[4, 0][..]), (127, &[4, 127]), (128, &[4, 0x81, 128]), (256, &[4, 0x82, 1, 0])] {
            let der = tlv(4, &[&vec![7; length]]);
            assert_eq!((&der[..head.len()], der.len()), (head, head.len() + length));
        }
    }
}
