//! A message as mail.
//!
//! # Why
//!
//! lettre's feature `tracing` stays off: it would write the login, base64 and all, into the log.

use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::message::Message;
use super::obstacle::Believes;
use super::send::SendError;
use super::settings::{Address, MailSettings, MailTls};
use crate::pki::TrustAnchors;
use crate::platform;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Hands a message to the server; it was taken when the server says so at the end of the data (RFC 5321 §4.2.5).
pub(super) async fn send(settings: &MailSettings, message: &Message) -> Result<(), SendError> {
    let mail = compose(settings, message)?;
    let transport = transport(settings)?;
    let sent = transport.send(mail).await;
    sent.map(drop).map_err(|source| refused(settings, source))
}

fn refused(settings: &MailSettings, source: lettre::transport::smtp::Error) -> SendError {
    SendError::Mail {
        server: settings.server(),
        tls: settings.tls,
        has_login: settings.login.is_some(),
        believes: Believes::of(settings.trust_anchors.as_ref()),
        source,
    }
}

/// Plain text in UTF-8, marked as sent by a program so that nobody's absence answers it (RFC 3834 §5).
fn compose(settings: &MailSettings, message: &Message) -> Result<lettre::Message, SendError> {
    let domain = settings.from.mailbox().email.domain().to_owned();
    let text = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    let mut mail = lettre::Message::builder()
        .from(settings.from.mailbox())
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .subject(message.title.clone())
        .raw_header(text("Auto-Submitted", "auto-generated"))
        .raw_header(text("X-Portvakt-Event", message.kind.as_str()))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    for to in settings.to.iter().map(Address::mailbox) {
        mail = mail.to(to);
    }
    mail.body(message.text.clone()).map_err(|source| SendError::Unwritable { source })
}

fn transport(settings: &MailSettings) -> Result<Transport, SendError> {
    let mut builder = Transport::builder_dangerous(&*settings.host).port(settings.port).hello_name(hello());
    builder = match settings.tls {
        MailTls::Off => builder.tls(Tls::None),
        MailTls::StartTls => builder.tls(Tls::Required(tls(settings)?)),
        MailTls::Implicit => builder.tls(Tls::Wrapper(tls(settings)?)),
    };
    if let Some((user, password)) = &settings.login {
        let password = password.load()?;
        builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
    }
    Ok(builder.build())
}

fn tls(settings: &MailSettings) -> Result<TlsParameters, SendError> {
    let failed = |source| refused(settings, source);
    let anchors = settings.trust_anchors.clone().unwrap_or_else(TrustAnchors::mozilla);
    let mut builder = TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::None);
    for anchor in anchors.certificates() {
        builder = builder.add_root_certificate(Certificate::from_der(anchor.to_vec()).map_err(failed)?);
    }
    builder.build_rustls().map_err(failed)
}

/// Who we are to the server (RFC 5321 §4.1.1.1); without a good name lettre's own word for this machine.
fn hello() -> ClientId {
    let name = platform::host_name();
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    match !name.is_empty() && name.bytes().all(is_good) {
        true => ClientId::Domain(name),
        false => ClientId::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Lang;
    use crate::notify::{Channel, Kind, Settings};
    use crate::time::Timestamp;

    fn settings() -> MailSettings {
        MailSettings {
            host: "localhost".to_owned(),
            port: 25,
            tls: MailTls::Off,
            trust_anchors: None,
            login: None,
            from: "portvakt <portvakt@box.test>".parse().unwrap(),
            to: vec!["ops@corp.test".parse().unwrap()],
        }
    }

    #[test]
    fn given_hostile_names_when_composed_then_the_headers_are_ours_alone() {
        let settings = settings();
        let notifier = Settings {
            name: "mail".to_owned(),
            channel: Channel::Mail(settings.clone()),
            events: Kind::ALL.to_vec(),
            language: Lang::Sv,
        };
        for host in ["box", "box\r\nBcc: all@evil.test\r\n\r\n", "b\u{f6}x\nTo: x@evil.test"] {
            let message = Message::test(&notifier, host, Timestamp::from_unix(7));
            let mail = compose(&settings, &message).unwrap();
            let text = String::from_utf8(mail.formatted()).unwrap();
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            let mut names: Vec<_> = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).collect();
            names.iter_mut().for_each(|line| *line = line.split(':').next().unwrap_or_default());
            names.sort_unstable();
            let ours = [
                "Auto-Submitted",
                "Content-Transfer-Encoding",
                "Content-Type",
                "Date",
                "From",
                "MIME-Version",
                "Message-ID",
                "Subject",
                "To",
                "X-Portvakt-Event",
            ];
            assert_eq!(names, ours, "{head}");
            assert_eq!(mail.envelope().to().len(), 1);
            assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
        }
    }

    #[test]
    fn given_a_title_with_line_ends_when_composed_by_itself_then_no_header_either() {
        let settings = settings();
        let notifier = Settings {
            name: "mail".to_owned(),
            channel: Channel::Mail(settings.clone()),
            events: Kind::ALL.to_vec(),
            language: Lang::En,
        };
        let message = Message::test(&notifier, "box", Timestamp::from_unix(7));
        let title = "a\r\nBcc: all@evil.test".to_owned();
        let text = String::from_utf8(compose(&settings, &Message { title, ..message }).unwrap().formatted()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }
}
