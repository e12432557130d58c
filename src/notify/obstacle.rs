//! Why nobody could be reached, and what mends it. Pure.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

use super::remedy::Remedy;

/// What stood between us and a receiver, as far as the causes of an error tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The host's name leads nowhere.
    Name,
    /// Nothing listens there.
    Refused,
    /// No way leads there, or nobody answers.
    Silence,
    /// The proxy on the way wants to know who we are.
    ProxyUser,
    /// The proxy on the way does not let us through.
    Proxy,
    /// What listens there speaks no TLS.
    NoTls,
    /// Nobody whom we believe has issued the certificate.
    Issuer,
    /// The certificate is for another name.
    OtherName,
    /// The certificate has run out, or is not valid yet.
    Validity,
    /// The certificate cannot be used for another reason.
    Certificate,
    /// Anything else.
    Other,
}

impl Obstacle {
    /// Looks through an error and its causes, and inside of I/O errors, which pass over what they hold.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        let mut found = Self::Other;
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::of_tls(tls);
            }
            let held = error.downcast_ref::<io::Error>();
            found = match (Self::in_words(&error.to_string()), held) {
                (Self::Other, Some(io)) if Self::of_io(io) != Self::Other => Self::of_io(io),
                (Self::Other, _) => found,
                (told, _) => told,
            };
            let inside = held.and_then(io::Error::get_ref).map(|held| -> &(dyn Error + 'static) { held });
            cause = inside.or_else(|| error.source());
        }
        found
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer => Self::Issuer,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Validity,
                _ => Self::Certificate,
            },
            _ => Self::Other,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::Silence,
            _ => Self::Other,
        }
    }

    /// What has no type of its own: the words of hyper's connector, of the system's resolver, and of the tunnel.
    fn in_words(text: &str) -> Self {
        let has = |words: &str| text.contains(words);
        match () {
            () if has("dns error") || has("failed to lookup address") => Self::Name,
            () if has("proxy authorization required") => Self::ProxyUser,
            () if has("tunnel error: unsuccessful") || has("tunnel error: unexpected end") => Self::Proxy,
            () => Self::Other,
        }
    }

    /// What mends it. `believes` says by whom the receiver is believed.
    pub(super) const fn remedy(self, believes: Believes) -> Remedy {
        match (self, believes) {
            (Self::Name, _) => Remedy::Name,
            (Self::Refused, _) => Remedy::Listener,
            (Self::Silence, _) => Remedy::Silence,
            (Self::ProxyUser, _) => Remedy::ProxyUser,
            (Self::Proxy, _) => Remedy::Proxy,
            (Self::NoTls, _) => Remedy::NoTls,
            (Self::Issuer, Believes::Browsers) => Remedy::Issuer,
            (Self::Issuer, Believes::Anchors) => Remedy::Anchors,
            (Self::OtherName, _) => Remedy::OtherName,
            (Self::Validity, _) => Remedy::Validity,
            (Self::Certificate, _) => Remedy::Certificate,
            (Self::Other, _) => Remedy::Way,
        }
    }
}

/// By whom a receiver is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believes {
    /// The roots that browsers trust.
    Browsers,
    /// Those that `trust_anchors` names.
    Anchors,
}

impl Believes {
    pub(super) const fn of<T>(trust_anchors: Option<&T>) -> Self {
        match trust_anchors {
            Some(_) => Self::Anchors,
            None => Self::Browsers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Outer {
        words: &'static str,
        source: Option<Box<dyn Error + Send + Sync>>,
    }

    fn wrapped(words: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Outer {
        Outer { words, source: Some(source.into()) }
    }

    #[test]
    fn given_an_error_when_looked_through_then_the_obstacle_wherever_it_lies() {
        let tls = |error: CertificateError| io::Error::other(rustls::Error::InvalidCertificate(error));
        let io = |kind: ErrorKind| io::Error::from(kind);
        let told = |words| Outer { words, source: None };
        let table = [
            (wrapped("client error (Connect)", io(ErrorKind::ConnectionRefused)), Obstacle::Refused),
            (wrapped("tcp", wrapped("inner", io(ErrorKind::TimedOut))), Obstacle::Silence),
            (wrapped("c", wrapped("dns error", io(ErrorKind::Other))), Obstacle::Name),
            (told("failed to lookup address information: Name or service not known"), Obstacle::Name),
            (told("tunnel error: proxy authorization required"), Obstacle::ProxyUser),
            (wrapped("c", told("tunnel error: unsuccessful")), Obstacle::Proxy),
            (wrapped("c", io::Error::other(io::Error::other(rustls::Error::General(String::new())))), Obstacle::Other),
            (wrapped("c", tls(CertificateError::UnknownIssuer)), Obstacle::Issuer),
            (wrapped("c", tls(CertificateError::NotValidForName)), Obstacle::OtherName),
            (wrapped("c", tls(CertificateError::Expired)), Obstacle::Validity),
            (wrapped("c", tls(CertificateError::BadEncoding)), Obstacle::Certificate),
            (
                wrapped(
                    "c",
                    io::Error::other(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)),
                ),
                Obstacle::NoTls,
            ),
            (told("it is late"), Obstacle::Other),
        ];
        for (error, expected) in table {
            assert_eq!(Obstacle::of(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn given_an_unknown_issuer_when_mended_then_by_what_is_believed() {
        assert_eq!(Obstacle::Issuer.remedy(Believes::Browsers), Remedy::Issuer);
        assert_eq!(Obstacle::Issuer.remedy(Believes::Anchors), Remedy::Anchors);
    }
}
