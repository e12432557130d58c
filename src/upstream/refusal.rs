//! What a server says about our client certificate, read from its alerts.
//!
//! TLS 1.2 tells it in the handshake. In TLS 1.3 the client's handshake is over before the server has looked at the
//! certificate (RFC 8446 §4.4.2.4): connecting works, writing works, and the first read brings the alert.

use std::error::Error;
use std::io;

use rustls::AlertDescription;

use crate::lifecycle::rotation::Refusal;

/// The fatal alert that an error comes from, if it comes from one.
pub(super) fn alert_of(error: &(dyn Error + 'static)) -> Option<AlertDescription> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner: Option<&(dyn Error + 'static)> = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => None,
        };
        for error in [Some(error), inner].into_iter().flatten() {
            if let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref() {
                return Some(*alert);
            }
        }
        next = error.source();
    }
    None
}

/// What an alert says about our certificate; `None` for one about something else (RFC 8446 §6.2).
///
/// `was_asked`: the server has asked for a certificate. Only then does `handshake_failure` speak of it: TLS 1.2 has no other
/// alert for a certificate that is missing (RFC 5246 §7.4.6).
pub(super) const fn refusal(alert: AlertDescription, was_asked: bool, has_shown: bool) -> Option<Refusal> {
    use AlertDescription as A;
    Some(match alert {
        A::CertificateRequired => Refusal::Required,
        A::CertificateExpired => Refusal::Expired,
        A::CertificateRevoked => Refusal::Revoked,
        A::UnknownCA => Refusal::UnknownCa,
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown => Refusal::Bad,
        A::AccessDenied => Refusal::Other,
        A::HandshakeFailure if was_asked && has_shown => Refusal::Bad,
        A::HandshakeFailure if was_asked => Refusal::Required,
        _ => return None,
    })
}

/// The same from the text of an error; pingora hands on nothing else.
pub(super) fn refusal_in_text(text: &str) -> Option<Refusal> {
    let (_, alert) = text.split_once("received fatal alert: ")?;
    let word = alert.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let alerts = [
        AlertDescription::CertificateRequired,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateRevoked,
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateUnknown,
        AlertDescription::AccessDenied,
    ];
    let alert = alerts.into_iter().find(|alert| format!("{alert:?}") == word)?;
    refusal(alert, true, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_alert_when_read_then_what_it_says_about_our_certificate() {
        use AlertDescription as A;
        #[rustfmt::skip]
        let table = [
            (A::CertificateRequired, false, false, Some(Refusal::Required)),
            (A::CertificateExpired, false, true, Some(Refusal::Expired)),
            (A::CertificateRevoked, false, true, Some(Refusal::Revoked)),
            (A::UnknownCA, false, true, Some(Refusal::UnknownCa)),
            (A::BadCertificate, false, true, Some(Refusal::Bad)),
            (A::UnsupportedCertificate, false, true, Some(Refusal::Bad)),
            (A::CertificateUnknown, false, true, Some(Refusal::Bad)),
            (A::AccessDenied, false, true, Some(Refusal::Other)),
            (A::HandshakeFailure, true, false, Some(Refusal::Required)),
            (A::HandshakeFailure, true, true, Some(Refusal::Bad)),
            (A::HandshakeFailure, false, true, None),
            (A::HandshakeFailure, false, false, None),
            (A::ProtocolVersion, true, true, None),
            (A::InternalError, true, true, None),
            (A::CloseNotify, true, true, None),
        ];
        for (alert, was_asked, has_shown, expected) in table {
            assert_eq!(refusal(alert, was_asked, has_shown), expected, "{alert:?} {was_asked} {has_shown}");
        }
    }

    #[test]
    fn given_an_error_of_any_depth_when_read_then_its_alert() {
        let alert = || rustls::Error::AlertReceived(AlertDescription::CertificateExpired);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, alert());
        let twice = io::Error::other(crate::upstream::ProbeError::Handshake {
            address: ([127, 0, 0, 1], 1).into(),
            failure: crate::upstream::TlsFailure::ClientCertRejected,
            refusal: None,
            source: io::Error::new(io::ErrorKind::InvalidData, alert()),
        });
        for error in [&alert() as &(dyn Error + 'static), &wrapped, &twice] {
            assert_eq!(alert_of(error), Some(AlertDescription::CertificateExpired), "{error}");
        }
        assert_eq!(alert_of(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }

    #[test]
    fn given_the_text_of_an_error_when_read_then_the_same() {
        for (text, expected) in [
            ("ReadError: received fatal alert: CertificateRequired", Some(Refusal::Required)),
            ("received fatal alert: UnknownCA, Peer: x", Some(Refusal::UnknownCa)),
            ("received fatal alert: the peer is BadCertificate", None),
            ("received fatal alert: HandshakeFailure", None),
            ("invalid peer certificate: UnknownIssuer", None),
            ("", None),
        ] {
            assert_eq!(refusal_in_text(text), expected, "{text}");
        }
    }
}
