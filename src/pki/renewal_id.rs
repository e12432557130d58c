//! How a certificate is named when its CA is asked for renewal information (RFC 9773 §4.1).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// Names a certificate at its CA: the authority's key identifier and the serial number. Its `Display` is the text of
/// RFC 9773 §4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalId {
    authority: Vec<u8>,
    serial: Vec<u8>,
}

impl RenewalId {
    /// `None` for a certificate without an authority key identifier, which no ACME CA issues.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let authority = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(found) => Some(found.key_identifier.as_ref()?.0.to_vec()),
            _ => None,
        })?;
        // With the zero byte that DER puts before a high bit.
        Some(Self { authority, serial: certificate.raw_serial().to_vec() })
    }

    /// The keyIdentifier of the authority key identifier (RFC 5280 §4.2.1.1).
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The serial number as DER holds it.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

impl fmt::Display for RenewalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", URL_SAFE_NO_PAD.encode(&self.authority), URL_SAFE_NO_PAD.encode(&self.serial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::CertificateChain;

    /// The certificate of RFC 9773, Appendix A.
    const EXAMPLE: &str = "-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----";

    #[test]
    fn given_the_example_of_the_rfc_when_named_then_as_there() {
        let chain = CertificateChain::from_pem(EXAMPLE.as_bytes()).unwrap();
        let id = RenewalId::of(&chain.certificates()[0]).unwrap();
        assert_eq!(id.to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        assert_eq!(id.serial(), [0, 0x87, 0x65, 0x43, 0x21]);
    }

    #[test]
    fn given_a_self_signed_certificate_when_named_then_nothing() {
        let made = rcgen::generate_simple_self_signed(["m5.test".to_owned()]).unwrap();
        assert_eq!(RenewalId::of(made.cert.der()), None);
        assert_eq!(RenewalId::of(&CertificateDer::from(vec![0x30])), None);
    }
}
