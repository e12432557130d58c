//! One handshake as server.

use std::any::Any;
use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::listeners::TlsAccept;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::tls::TlsRef;
use pingora::protocols::tls::server::handshake_with_callback;
use pingora::protocols::{Digest, Ssl, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::hello::{BadHello, Hello, HelloReader, alert_record};
use super::{Choice, Handshaken, Judge, Proof, Resolver};
use crate::time::{Clock, SystemClock};

/// Runs the handshake on a fresh stream; `local` is the address that it was accepted on.
///
/// The caller limits it in time. Whatever the client sends, the answer is a handshake, an alert or a closed connection.
///
/// # Errors
///
/// [`Failure`] tells the metric's reason and the words for the log; the client has had its alert by then.
pub async fn accept<C: Handshaken>(
    resolver: &Resolver,
    mut stream: L4Stream,
    local: IpAddr,
    context: impl FnOnce(Arc<str>) -> Arc<C>,
) -> Result<Accepted<C>, Failure> {
    let Some(hello) = read_hello(&mut stream).await? else { return Ok(Accepted::Left) };
    match resolver.choose(hello.server_name.as_deref(), hello.acme, local) {
        Some(Choice::Site(site)) => {
            let context = context(site.name());
            let remember = Remember { context: context.clone(), judge: site.judge().cloned() };
            let tls = handshake_with_callback(&Acceptor::from_server_config(site.config()), stream, &remember)
                .await
                .map_err(|e| Failure::from_handshake(&hello, &e))?;
            let version = Version::of(&tls);
            Ok(Accepted::Http { stream: Box::new(tls), version, context })
        }
        Some(Choice::Challenge(config)) => {
            let mut tls = tokio_rustls::TlsAcceptor::from(config).accept(stream).await.map_err(Failure::io)?;
            // The CA has seen the certificate; how it closes does not matter (RFC 8737 §3).
            let _ = tls.shutdown().await;
            Ok(Accepted::ChallengeAnswered { server_name: hello.server_name.unwrap_or_default() })
        }
        None => Err(refuse_name(stream, hello).await),
    }
}

/// How a handshake ended well.
pub enum Accepted<C> {
    /// A client of a site.
    Http {
        /// Decrypted; its TLS digest carries `context`, for every request on it.
        stream: Stream,
        /// What the handshake agreed on.
        version: Version,
        /// What the caller made for the site.
        context: Arc<C>,
    },
    /// A CA checked a tls-alpn-01 challenge; the connection is closed.
    ChallengeAnswered {
        /// What was validated.
        server_name: String,
    },
    /// The peer closed without sending anything.
    Left,
}

/// What [`accept`] was given along, as a request finds it in its connection's digest.
pub fn context_of<C: Send + Sync + 'static>(digest: &Digest) -> Option<&Arc<C>> {
    digest.ssl_digest.as_ref()?.extension.get::<Arc<C>>()
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// For the metric.
    pub reason: FailureReason,
    text: String,
}

impl Failure {
    pub(super) fn new(reason: FailureReason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    pub(super) fn io(error: io::Error) -> Self {
        Self::new(FailureReason::of(&error), error.to_string())
    }

    fn from_handshake(hello: &Hello, error: &pingora::Error) -> Self {
        let cause = error.root_cause();
        let name = hello.server_name.as_deref().unwrap_or("no server name");
        let text = format!("handshake for {name}: {cause}");
        let reason = match FailureReason::of(cause) {
            // pingora keeps rustls's words alone.
            FailureReason::Other => FailureReason::in_text(&cause.to_string()),
            known => known,
        };
        Self::new(reason, text)
    }
}

/// Why a handshake with a client failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// No server name, and no site is the default.
    NoServerName,
    /// A server name that no site has.
    UnknownServerName,
    /// Neither TLS 1.2 nor 1.3, or nothing but suites that are too weak.
    OldProtocol,
    /// No client certificate, where one is required.
    NoClientCertificate,
    /// A client certificate that is not believed: another issuer, expired, revoked.
    BadClientCertificate,
    /// Anything else: not TLS at all, the client did not like the certificate, the network broke.
    Other,
}

impl FailureReason {
    /// Looks for rustls's own error below what wraps it.
    fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let rustls = error.downcast_ref().or_else(|| inner.and_then(|e| e.downcast_ref::<rustls::Error>()));
            match rustls {
                Some(rustls::Error::PeerIncompatible(_)) => return Self::OldProtocol,
                Some(rustls::Error::NoCertificatesPresented) => return Self::NoClientCertificate,
                Some(rustls::Error::InvalidCertificate(_)) => return Self::BadClientCertificate,
                Some(_) | None => {}
            }
            next = error.source();
        }
        Self::Other
    }
}

impl FailureReason {
    /// Reads rustls's words about a client's certificate.
    fn in_text(text: &str) -> Self {
        if text.contains("peer sent no certificates") {
            Self::NoClientCertificate
        } else if text.contains("invalid peer certificate") || text.contains("invalid certificate revocation list") {
            Self::BadClientCertificate
        } else {
            Self::Other
        }
    }
}

/// Reads the ClientHello and puts it back; `None` when the peer closed without a word.
async fn read_hello(stream: &mut L4Stream) -> Result<Option<Hello>, Failure> {
    let mut reader = HelloReader::default();
    let mut buffer = [0_u8; 4096];
    loop {
        let read = stream.read(&mut buffer).await.map_err(Failure::io)?;
        if read == 0 && reader.is_empty() {
            return Ok(None);
        }
        if read == 0 {
            return Err(Failure::new(FailureReason::Other, "closed in the middle of the ClientHello"));
        }
        match reader.push(&buffer[..read]) {
            Ok(None) => {}
            Ok(Some(hello)) => {
                stream.rewind(&reader.into_raw());
                return Ok(Some(hello));
            }
            Err(BadHello { failure, answer }) => {
                tell(stream, &answer).await;
                return Err(failure);
            }
        }
    }
}

async fn refuse_name(mut stream: L4Stream, hello: Hello) -> Failure {
    tell(&mut stream, &alert_record(ALERT_UNRECOGNIZED_NAME)).await;
    match hello.server_name {
        Some(name) if hello.acme => {
            Failure::new(FailureReason::UnknownServerName, format!("no tls-alpn-01 challenge is pending for {name}"))
        }
        Some(name) => Failure::new(FailureReason::UnknownServerName, format!("no site has the server name {name}")),
        None => Failure::new(FailureReason::NoServerName, "no server name was sent and no site is the default"),
    }
}

async fn tell(stream: &mut L4Stream, answer: &[u8]) {
    // The peer may be gone; then there is nobody to tell.
    let _ = stream.write_all(answer).await;
    let _ = stream.flush().await;
}

/// Carries what is known of the connection into the stream's digest.
struct Remember<C> {
    context: Arc<C>,
    judge: Option<Arc<Judge>>,
}

#[async_trait]
impl<C: Handshaken> TlsAccept for Remember<C> {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let proof = Proof::of(tls.peer_cert_chain_der(), self.judge.as_deref(), SystemClock.now());
        self.context.handshaken(proof);
        Some(Arc::new(self.context.clone()))
    }
}

/// A version that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    fn of(stream: &dyn Ssl) -> Self {
        match stream.get_ssl_digest().as_deref().map(|digest| digest.version.as_ref()) {
            Some("TLSv1_2") => Self::Tls12,
            _ => Self::Tls13,
        }
    }
}

/// RFC 6066 §3.
const ALERT_UNRECOGNIZED_NAME: u8 = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_old_peer_below_wrappers_when_classified_then_old_protocol() {
        let error = rustls::Error::PeerIncompatible(rustls::PeerIncompatible::NoCipherSuitesInCommon);
        assert_eq!(FailureReason::of(&io::Error::other(error)), FailureReason::OldProtocol);
        assert_eq!(FailureReason::of(&io::Error::other("reset")), FailureReason::Other);
    }

    #[test]
    fn given_rustls_words_about_a_clients_certificate_when_read_then_the_reason() {
        use rustls::CertificateError;
        for (error, reason) in [
            (rustls::Error::NoCertificatesPresented, FailureReason::NoClientCertificate),
            (rustls::Error::InvalidCertificate(CertificateError::Revoked), FailureReason::BadClientCertificate),
            (rustls::CertRevocationListError::BadSignature.into(), FailureReason::BadClientCertificate),
            (rustls::Error::DecryptError, FailureReason::Other),
        ] {
            assert_eq!(FailureReason::in_text(&format!("tls connect error: {error}")), reason, "{error}");
        }
    }
}
