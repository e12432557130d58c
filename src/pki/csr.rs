//! Signing requests, and the certificate that answers a tls-alpn-01 challenge.

use std::sync::Arc;

use rcgen::CustomExtension;
use rustls::sign::CertifiedKey;

use super::{IdentityError, KeyError, KeyType, PrivateKey, template};

/// Makes a signing request in DER (RFC 2986).
///
/// It has an empty subject and, as its only extension, a subjectAltName of exactly these identifiers: DNS names, or IP
/// addresses as RFC 8738 §3 wants them. No common name and no extended key usage, which some CAs refuse.
///
/// # Errors
///
/// [`KeyError::Identifier`] for an identifier that no certificate can name, [`KeyError::Sign`] when the key fails.
pub fn signing_request(key: &PrivateKey, identifiers: &[String]) -> Result<Vec<u8>, KeyError> {
    let request = template::for_identifiers(identifiers)?;
    let request = request.serialize_request(&*key.key_pair()?).map_err(KeyError::Sign)?;
    Ok(request.der().to_vec())
}

/// Makes the self-signed certificate that proves control over `name` in a tls-alpn-01 handshake (RFC 8737 §3).
///
/// `name` is a DNS name or an IP address (RFC 8738 §4); `digest` is the SHA-256 of the key authorization. The validity is
/// as wide as can be, since the CA does not look at it and our clock may be wrong.
///
/// # Errors
///
/// [`IdentityError::Key`] when `name` cannot be named or no key can be made, [`IdentityError::Make`] when signing fails.
pub fn acme_tls_alpn_identity(name: &str, digest: &[u8; 32]) -> Result<Arc<CertifiedKey>, IdentityError> {
    let key = PrivateKey::generate(KeyType::P256)?;
    let mut certificate = template::for_identifiers(&[name.to_owned()])?;
    certificate.distinguished_name = template::common_name("portvakt acme challenge");
    certificate.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = certificate.self_signed(&*key.key_pair()?).map_err(IdentityError::Make)?;
    let signing_key = key.signing_key()?;
    // `CertifiedKey::from_der` would parse the certificate and refuse the critical extension, which webpki does not know.
    Ok(Arc::new(CertifiedKey::new(vec![certificate.into()], signing_key)))
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::extensions::ParsedExtension;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    #[test]
    fn given_names_and_addresses_when_requested_then_only_a_subject_alt_name_and_a_good_signature() {
        let identifiers = ["m5.test", "*.m5.test", "192.0.2.7", "2001:db8::7"].map(str::to_owned);
        for key_type in [KeyType::P256, KeyType::P384, KeyType::Rsa2048] {
            let der = signing_request(&PrivateKey::generate(key_type).unwrap(), &identifiers).unwrap();

            let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
            assert!(rest.is_empty());
            request.verify_signature().unwrap();
            assert_eq!(request.certification_request_info.subject.iter().count(), 0);
            let extensions: Vec<_> = request.requested_extensions().unwrap().collect();
            let [ParsedExtension::SubjectAlternativeName(names)] = extensions[..] else {
                panic!("{extensions:?}");
            };
            let names: Vec<String> = names.general_names.iter().map(ToString::to_string).collect();
            assert_eq!(
                names,
                [
                    "DNSName(m5.test)",
                    "DNSName(*.m5.test)",
                    "IPAddress(c0:00:02:07)",
                    "IPAddress(20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:07)"
                ]
            );
        }
    }

    #[test]
    fn given_what_no_certificate_can_name_when_requested_then_the_error_names_it() {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        for bad in ["", "ö.test", "a b", "*", "*.", "a.*.test", "m5.test.", "http://m5.test", "m5.test:443", "1.2.3"] {
            let error = signing_request(&key, &["m5.test".to_owned(), bad.to_owned()]).unwrap_err();
            assert!(matches!(&error, KeyError::Identifier { identifier } if identifier == bad), "{bad}: {error}");
        }
    }

    #[test]
    fn given_a_challenge_when_answered_then_the_certificate_is_that_of_rfc_8737() {
        let digest = [0xab; 32];

        let certified = acme_tls_alpn_identity("m5.test", &digest).unwrap();

        let (_, certificate) = X509Certificate::from_der(&certified.cert[0]).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        assert_eq!(names.value.general_names[0].to_string(), "DNSName(m5.test)");
        let acme: Vec<_> =
            certificate.extensions().iter().filter(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").collect();
        assert_eq!(acme.len(), 1);
        assert!(acme[0].critical);
        assert_eq!(acme[0].value, [&[0x04, 0x20][..], &digest].concat());
        certificate.verify_signature(None).unwrap();
        assert_eq!(&*certified.key.public_key().unwrap(), certificate.public_key().raw);
    }

    #[test]
    fn given_an_address_when_a_challenge_is_answered_then_it_is_an_ip_address_name() {
        let certified = acme_tls_alpn_identity("192.0.2.7", &[0; 32]).unwrap();
        let (_, certificate) = X509Certificate::from_der(&certified.cert[0]).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names[0].to_string(), "IPAddress(c0:00:02:07)");
    }
}
