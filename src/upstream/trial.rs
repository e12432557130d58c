//! One real exchange, by which it is found out whether a server accepts an identity.
//!
//! On a connection of its own, with a handshake of its own: a session that is resumed, or a connection that was kept, would
//! prove another identity or nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ProtocolVersion;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::connect::HANDSHAKE_EXTRA;
use super::handshake::Handshake;
use super::{Address, ProbeError, Probed, Settings, TlsSettings};
use crate::causes::with_causes;
use crate::lifecycle::rotation::Refusal;
use crate::pki::Identity;

/// What is asked in a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Sent as `application/json`.
    pub json: Option<String>,
}

/// What was seen in a trial.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who answered.
    pub address: SocketAddr,
    /// The server's certificates.
    pub server: Probed,
    /// `TLS 1.2` or `TLS 1.3`.
    pub tls: &'static str,
    /// The answer, where something was asked.
    pub answer: Option<TrialAnswer>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct TrialAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its body, or as much of it as is of use.
    pub body: Bytes,
}

impl TrialAnswer {
    /// Whether it says that the identity is not let in, and in which words.
    ///
    /// nginx refuses a client certificate behind the handshake, with a 400 of its own.
    pub fn refusal(&self) -> Option<(Refusal, String)> {
        let status = self.status;
        let told = || format!("the server answers {status}");
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some((Refusal::Other, told())),
            StatusCode::BAD_REQUEST => {
                let text = String::from_utf8_lossy(&self.body);
                let says = |words: &str| text.contains(words);
                if says("No required SSL certificate was sent") {
                    Some((Refusal::Required, format!("{}: no certificate was sent", told())))
                } else if says("The SSL certificate error") {
                    Some((Refusal::Bad, format!("{}: the SSL certificate error", told())))
                } else {
                    None
                }
            }
            _ => None,
        }
    }
}

/// Why a trial brought no acceptance.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The settings fit no trial.
    #[error("nothing can be tried: {0}")]
    Unfit(String),
    /// The name has no address.
    #[error("the name `{host}` cannot be resolved")]
    Resolve {
        /// Which.
        host: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// No connection, or a server that is not believed.
    #[error(transparent)]
    Connect(ProbeError),
    /// The server does not accept the identity.
    #[error("the server refuses it: {why} ({detail})")]
    Refused {
        /// In one word.
        why: Refusal,
        /// In the server's.
        detail: String,
        /// Who.
        address: SocketAddr,
    },
    /// The exchange broke.
    #[error("the exchange with {address} broke")]
    Broken {
        /// Who.
        address: SocketAddr,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("{address} did not answer within {limit:?}")]
    Timeout {
        /// Who.
        address: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
}

/// Shows `identity` to the first peer that can be reached, and asks it once.
///
/// Without a question the server gets a moment to send an alert. An answer that says that the identity is not let in is
/// [`TrialError::Refused`] too.
///
/// # Errors
///
/// See [`TrialError`].
pub async fn attempt(
    settings: &Settings,
    identity: Option<&Identity>,
    question: Option<&Question>,
) -> Result<Seen, TrialError> {
    let mut last = TrialError::Unfit(format!("upstream `{}` has no peer over TLS", settings.name));
    for peer in &settings.peers {
        let (Address::Tcp { host, port }, Some(tls)) = (&peer.address, &peer.tls) else { continue };
        let addresses = match tokio::net::lookup_host((host.as_str(), *port)).await {
            Ok(addresses) => addresses,
            Err(source) => {
                last = TrialError::Resolve { host: host.clone(), source };
                continue;
            }
        };
        for address in addresses {
            let trial =
                Trial { settings, tls, address, host: settings.host.clone().unwrap_or_else(|| authority(host, *port)) };
            match trial.run(identity, question).await {
                Err(TrialError::Connect(error)) if error.is_unreachable() => last = TrialError::Connect(error),
                outcome => return outcome,
            }
        }
    }
    Err(last)
}

/// As in a URL; the port of https is left out (RFC 9110 §7.2).
fn authority(host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == 443 { host } else { format!("{host}:{port}") }
}

struct Trial<'a> {
    settings: &'a Settings,
    tls: &'a TlsSettings,
    address: SocketAddr,
    host: String,
}

impl Trial<'_> {
    async fn run(&self, identity: Option<&Identity>, question: Option<&Question>) -> Result<Seen, TrialError> {
        let address = self.address;
        let handshake = Handshake::new(self.tls, identity).map_err(|e| TrialError::Unfit(with_causes(&e)))?;
        let limit = self.settings.timeouts.connect + HANDSHAKE_EXTRA;
        let connected = handshake.connect(address, None, limit).await;
        let (stream, server) = connected.map_err(|error| match handshake.refusal(&error) {
            Some((why, alert)) => TrialError::Refused { why, detail: format!("TLS alert `{alert:?}`"), address },
            None => TrialError::Connect(error),
        })?;
        let tls = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        let limit = self.settings.timeouts.first_byte.min(LONGEST);
        let told = async {
            match question {
                Some(question) => self.ask(stream, question).await.map(Some),
                None => listen(stream).await.map(|()| None),
            }
        };
        let outcome =
            tokio::time::timeout(limit, told).await.map_err(|_elapsed| TrialError::Timeout { address, limit })?;
        let answer = outcome.map_err(|source| match handshake.refusal(&*source) {
            Some((why, alert)) => TrialError::Refused { why, detail: format!("TLS alert `{alert:?}`"), address },
            None => TrialError::Broken { address, source },
        })?;
        match answer.as_ref().and_then(TrialAnswer::refusal) {
            Some((why, detail)) => Err(TrialError::Refused { why, detail, address }),
            None => Ok(Seen { address, server, tls, answer }),
        }
    }

    async fn ask(&self, stream: TlsStream<TcpStream>, question: &Question) -> Result<TrialAnswer, Cause> {
        let mut request = Request::builder()
            .method(question.method.as_str())
            .uri(&question.target)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, concat!("portvakt/", env!("CARGO_PKG_VERSION"), " (identity trial)"))
            .header(header::CONNECTION, "close");
        if question.json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = question.json.clone().map(Bytes::from).unwrap_or_default();
        let request = request.body(Full::new(body))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            // The connection's own end says more than that of its request.
            Err(error) => {
                drop(sender);
                let own = driver.await.ok().and_then(Result::err);
                return Err(own.unwrap_or(error).into());
            }
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BODY).collect().await;
        Ok(TrialAnswer { status, body: body.map(http_body_util::Collected::to_bytes).unwrap_or_default() })
    }
}

/// Gives the server a moment to send an alert. What else it does is no refusal.
async fn listen(mut stream: TlsStream<TcpStream>) -> Result<(), Cause> {
    match tokio::time::timeout(A_MOMENT, stream.read(&mut [0])).await {
        Ok(Err(error)) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Nobody waits longer for one small answer.
const LONGEST: Duration = Duration::from_secs(15);
const A_MOMENT: Duration = Duration::from_secs(2);
/// An answer that says something about an identity is short.
const MOST_BODY: usize = 64 * 1024;
