//! What every certificate and signing request made here starts from.

use std::net::IpAddr;

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls::pki_types::DnsName;
use time::OffsetDateTime;

use super::KeyError;
use crate::time::Timestamp;

/// Empty subject, subjectAltName of exactly these identifiers, no further extension.
///
/// # Errors
///
/// [`KeyError::Identifier`] for the first that cannot be named.
pub(super) fn for_identifiers(identifiers: &[String]) -> Result<CertificateParams, KeyError> {
    let mut template = CertificateParams::default();
    template.distinguished_name = DistinguishedName::new();
    template.subject_alt_names = identifiers.iter().map(|name| subject_alt_name(name)).collect::<Result<_, _>>()?;
    Ok(template)
}

/// The form of an identifier in a subjectAltName: IP address, DNS name, or DNS name behind `*.` (RFC 5280 §4.2.1.6).
pub(super) fn subject_alt_name(identifier: &str) -> Result<SanType, KeyError> {
    let refused = || KeyError::Identifier { identifier: identifier.to_owned() };
    if let Ok(address) = identifier.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let host = identifier.strip_prefix("*.").unwrap_or(identifier);
    if host.ends_with('.') || DnsName::try_from(host).is_err() {
        return Err(refused());
    }
    identifier.try_into().map(SanType::DnsName).map_err(|_| refused())
}

/// A subject of nothing but this common name.
pub(super) fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// The nearest time that X.509 can say: 1950 to 9999 (RFC 5280 §4.1.2.5).
pub(super) fn x509_time(time: Timestamp) -> OffsetDateTime {
    let seconds = time.as_unix().clamp(YEAR_1950, END_OF_YEAR_9999);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

const YEAR_1950: i64 = -631_152_000;
const END_OF_YEAR_9999: i64 = 253_402_300_799;
