//! Why nobody could be reached, and what mends it. Pure.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

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
    pub(super) const fn fix(self, believes: Believes) -> &'static str {
        match self {
            Self::Name => "correct the host's name, or mend this machine's name resolution",
            Self::Refused => "nothing listens at that port: correct it, or start the receiver",
            Self::Silence => {
                "see whether this machine gets there: address, firewall; a webhook also goes through the proxy that \
                 `proxy` or HTTPS_PROXY names"
            }
            Self::ProxyUser => {
                "the proxy wants a user: name it as `http://user:password@host:port` in the environment, as \
                 HTTPS_PROXY or by `proxy = \"${NAME}\"`"
            }
            Self::Proxy => {
                "the proxy does not let this through: allow host and port there, or spare the host by NO_PROXY"
            }
            Self::NoTls => "what listens at that port does not begin with TLS: correct the port",
            Self::Issuer => match believes {
                Believes::Browsers => {
                    "no CA that browsers trust has issued its certificate: set `trust_anchors` to the root of the CA \
                     that has, a PEM file; your company's may be in the system's own file already, on Debian \
                     `trust_anchors = \"/etc/ssl/certs/ca-certificates.crt\"`"
                }
                Believes::Anchors => {
                    "none of `trust_anchors` has issued its certificate: name the root of the CA that has, or leave \
                     the key out where browsers trust it"
                }
            },
            Self::OtherName => {
                "its certificate is for other names: write one of those as the host, or have it issued for this one"
            }
            Self::Validity => "have its certificate renewed; where it is in date, set the clock of this machine",
            Self::Certificate => {
                "have it show a certificate that can be used as a server's: `openssl s_client -connect HOST:PORT` shows \
                 the one it has"
            }
            Self::Other => "see whether this machine reaches it: name, port, firewall",
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
        let (browsers, anchors) = (Obstacle::Issuer.fix(Believes::Browsers), Obstacle::Issuer.fix(Believes::Anchors));
        assert!(browsers.contains("set `trust_anchors`") && browsers.contains("ca-certificates.crt"), "{browsers}");
        assert!(anchors.contains("none of `trust_anchors`"), "{anchors}");
    }
}
