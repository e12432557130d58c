//! How to mend what has gone wrong, by reason.

use rustls::CertificateError;

use super::super::http::TransportError;
use crate::lifecycle::Reason;

/// What to do about a directory that cannot be talked to.
pub(super) fn way_to_reach(error: Option<&TransportError>) -> &'static str {
    if let Some(TransportError::DirectoryUrl { .. }) = error {
        return "tell the CA; until it is mended, set `acme.directory` to another one";
    }
    if let Some(TransportError::NoDirectory { .. } | TransportError::Redirect { .. }) = error {
        return "set `acme.directory` to the URL that the CA gives for its ACME directory: it answers with JSON";
    }
    match error.and_then(TransportError::refused_certificate) {
        Some(CertificateError::UnknownIssuer) => {
            "the CA's own server is not believed: set `acme.trust_anchors` to the root that its certificate chains to (without the key, only the roots that browsers trust are believed)"
        }
        Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "write `acme.directory` with a name that the certificate of that server is issued to"
        }
        Some(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "set the clock of this machine; if it is right, the certificate of the CA's own server must be renewed",
        _ => {
            "check `acme.directory` and the way out to it: name resolution, firewall, proxy (`acme.proxy`, HTTPS_PROXY)"
        }
    }
}

/// What is wrong with a proof over DNS is not the way to our ports.
pub(super) fn by_dns(kind: &str, reason: Reason) -> Option<&'static str> {
    let is_about_way = matches!(reason, Reason::Dns | Reason::Connection | Reason::Unauthorized);
    match kind {
        "dns-01" if is_about_way => Some(
            "the CA did not find the text that portvakt had put into DNS: the registrar must delegate the zone to the name servers \
             that have it (name them in `acme.dns.nameservers`), and all of them must answer alike, whoever asks",
        ),
        "dns-persist-01" if is_about_way => Some(
            "`portvakt acme dns-record` shows the text that must stand in DNS, and whether it does; every name server of the zone \
             must have it",
        ),
        _ => None,
    }
}

pub(super) const fn hint(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Dns => Some("make the name resolve, for the whole internet, to this machine"),
        Reason::Connection => Some(
            "the CA must reach port 80 (http-01) or 443 (tls-alpn-01) at every address of the name: check firewall, port forwarding and AAAA records",
        ),
        Reason::Unauthorized => {
            Some("something else answers in portvakt's place: check A and AAAA records, proxies and port forwarding")
        }
        Reason::Caa => Some("add this CA to the CAA records of the domain"),
        Reason::Dnssec => Some("repair the DNSSEC signatures of the domain"),
        Reason::RateLimited => Some("nothing: portvakt comes back when the CA allows it"),
        Reason::RejectedIdentifier => Some("take the name out of the configuration, or choose another CA or profile"),
        Reason::BadCsr => Some("check the site's domains and `acme.key_type`"),
        Reason::Account => Some("check `acme.contact` and what the CA says about the account"),
        Reason::Clock => Some("set the clock of this machine, and keep it right with NTP"),
        Reason::Server
        | Reason::Unusable
        | Reason::Network
        | Reason::Timeout
        | Reason::OrderNotReady
        | Reason::Storage
        | Reason::NotServed
        | Reason::Budget => None,
    }
}
