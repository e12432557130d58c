//! An HTTP/1.1 client of one peer, as one identity, with connections kept warm.
//!
//! # Why
//!
//! pingora makes its TLS configuration anew for each connection, resumes no session where there is a client identity, and
//! gives up an answer when its client leaves. What a request of an egress brings can often be had only once.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::AlertDescription;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connect::HANDSHAKE_EXTRA;
use super::handshake::Handshake;
use super::heard::{Heard, Lack};
use super::identity::{ClientIdentities, ClientIdentity};
use super::refusal::alert_of;
use super::resolve::Addresses;
use super::{Address, ProbeError, Probed, Settings, Timeouts, TlsSettings, UpstreamError};
use crate::lifecycle::rotation::Refusal;
use crate::pki::{Fingerprint, Identity};
use crate::time::{Clock, SystemClock};

/// Sends requests to one peer.
pub struct Client {
    settings: Settings,
    tls: TlsSettings,
    addresses: Arc<Addresses>,
    identity: Option<Arc<ClientIdentity>>,
    lane: Arc<ArcSwapOption<Lane>>,
    peer: ArcSwapOption<Probed>,
    heard: ArcSwapOption<Heard>,
}

/// The body of a request.
pub type RequestBody = BoxBody<Bytes, io::Error>;

impl Client {
    /// Makes it ready; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Unusable`] for settings without a peer that is reached over TLS and TCP.
    pub fn new(settings: Settings, identities: &ClientIdentities) -> Result<Self, UpstreamError> {
        let unusable = |why: &str| UpstreamError::Unusable { upstream: settings.name.clone(), why: why.to_owned() };
        let peer = settings.peers.first().ok_or_else(|| unusable("it has no peer"))?;
        let Address::Tcp { host, port } = &peer.address else { return Err(unusable("it is a Unix socket")) };
        let tls = peer.tls.clone().ok_or_else(|| unusable("it speaks no TLS"))?;
        Ok(Self {
            addresses: Arc::new(Addresses::new(host, *port)),
            identity: tls.identity.as_deref().map(|name| identities.get(name)),
            tls,
            lane: Arc::default(),
            peer: ArcSwapOption::empty(),
            heard: ArcSwapOption::empty(),
            settings,
        })
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The certificate that the peer showed last.
    pub fn certificate(&self) -> Option<Arc<Probed>> {
        self.peer.load_full()
    }

    /// What came of the last call, as far as it tells something about the way there; `None` before the first.
    pub fn heard(&self) -> Option<Arc<Heard>> {
        self.heard.load_full()
    }

    /// Sends a request, whose target is path and query, and waits for the head of the answer.
    ///
    /// A connection that was kept and has ended meanwhile is replaced, as long as nothing of the request was written to it.
    /// Beyond that nothing is sent twice.
    ///
    /// # Errors
    ///
    /// See [`ExchangeError`].
    pub async fn send(&self, request: Request<RequestBody>) -> Result<Answer, ExchangeError> {
        let lane = self.lane()?;
        let outcome = self.send_on(&lane, request).await;
        self.hear(&outcome);
        if let Some(identity) = &self.identity {
            tell(identity, &lane, &outcome);
        }
        outcome
    }

    fn hear(&self, outcome: &Result<Answer, ExchangeError>) {
        let lack = match outcome {
            Ok(_) => None,
            Err(error) => match Lack::of(error) {
                Some(lack) => Some(lack),
                None => return,
            },
        };
        self.heard.store(Some(Arc::new(Heard { at: SystemClock.now(), lack })));
    }

    async fn send_on(&self, lane: &Arc<Lane>, mut request: Request<RequestBody>) -> Result<Answer, ExchangeError> {
        while let Some(line) = lane.take(self.timeouts().idle) {
            match self.try_line(lane, line, request).await {
                Ok(answer) => return Ok(answer),
                Err(Failed { unsent: Some(again), .. }) => request = again,
                Err(failed) => return Err(failed.error),
            }
        }
        let line = self.open(lane).await?;
        self.try_line(lane, line, request).await.map_err(|failed| failed.error)
    }

    /// The connections of the identity that is in use.
    fn lane(&self) -> Result<Arc<Lane>, ExchangeError> {
        let identity = match &self.identity {
            Some(identity) => Some(identity.in_use().ok_or(ExchangeError::NoIdentity)?),
            None => None,
        };
        let shown = identity.as_ref().map(|identity| identity.chain().fingerprint());
        if let Some(lane) = self.lane.load_full().filter(|lane| lane.shown == shown) {
            return Ok(lane);
        }
        let handshake =
            Handshake::new(&self.tls, identity.as_deref()).map_err(|source| ExchangeError::Unusable { source })?;
        let lane = Arc::new(Lane { shown, identity, handshake, idle: Mutex::default() });
        self.lane.store(Some(lane.clone()));
        let idle = self.timeouts().idle;
        tokio::spawn(tend(Arc::downgrade(&self.lane), Arc::downgrade(&lane), self.identity.clone(), idle));
        Ok(lane)
    }

    async fn open(&self, lane: &Lane) -> Result<Line, ExchangeError> {
        let address = self.addresses.next().await.map_err(|source| ExchangeError::Resolve { source })?;
        let connected = lane.handshake.connect(address, None, self.timeouts().connect + HANDSHAKE_EXTRA).await;
        let (stream, probed) = connected.map_err(|source| {
            if source.is_unreachable() {
                self.addresses.failed(address);
            }
            lane.refused(&source).unwrap_or(ExchangeError::Connect { source })
        })?;
        self.peer.store(Some(Arc::new(probed)));
        let broken = |source| ExchangeError::Broken { address, is_sent: false, source: Box::new(source) };
        let mut builder = http1::Builder::new();
        let (sender, connection) =
            builder.title_case_headers(true).handshake(TokioIo::new(stream)).await.map_err(broken)?;
        Ok(Line { address, sender, driver: tokio::spawn(connection), unused_since: Instant::now() })
    }

    async fn try_line(
        &self,
        lane: &Arc<Lane>,
        mut line: Line,
        request: Request<RequestBody>,
    ) -> Result<Answer, Failed> {
        let limit = self.timeouts().first_byte;
        let address = line.address;
        match tokio::time::timeout(limit, line.sender.try_send_request(request)).await {
            Ok(Ok(response)) => Ok(Answer { response, line: Some((lane.clone(), line)), idle: self.timeouts().idle }),
            Ok(Err(mut error)) => {
                let unsent = error.take_message();
                let error = line.why(lane, error.into_error(), unsent.is_none()).await;
                Err(Failed { error, unsent })
            }
            Err(_elapsed) => Err(Failed { error: ExchangeError::Timeout { address, limit }, unsent: None }),
        }
    }

    fn timeouts(&self) -> &Timeouts {
        &self.settings.timeouts
    }
}

/// Closes connections that were unused for longer than `idle`, and gives up a lane whose identity is not in use any more, with
/// its key, whether anybody calls or not.
async fn tend(
    place: Weak<ArcSwapOption<Lane>>,
    lane: Weak<Lane>,
    identity: Option<Arc<ClientIdentity>>,
    idle: Duration,
) {
    loop {
        tokio::time::sleep(TENDED_EVERY).await;
        let (Some(place), Some(lane)) = (place.upgrade(), lane.upgrade()) else { return };
        drop(lane.sweep(idle));
        let in_use = identity.as_ref().and_then(|identity| identity.in_use());
        if in_use.map(|identity| identity.chain().fingerprint()) != lane.shown {
            // Another one may be there already.
            place.compare_and_swap(&lane, None);
            return;
        }
    }
}

/// Lets the identity hear what the peer thinks of it.
fn tell(identity: &ClientIdentity, lane: &Lane, outcome: &Result<Answer, ExchangeError>) {
    match (outcome, lane.shown) {
        (Err(error @ ExchangeError::Refused { why, .. }), shown) => identity.refused(shown, *why, &error.to_string()),
        (Ok(answer), Some(shown)) => {
            identity.answered(shown);
            let status = answer.response.status();
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                identity.forbidden(shown, &format!("the server answers {status}"));
            }
        }
        (Ok(_) | Err(_), _) => {}
    }
}

/// A request that had no answer, and the request itself where nothing of it was written.
struct Failed {
    error: ExchangeError,
    unsent: Option<Request<RequestBody>>,
}

/// The connections of one identity.
struct Lane {
    shown: Option<Fingerprint>,
    identity: Option<Arc<Identity>>,
    handshake: Handshake,
    idle: Mutex<Vec<Line>>,
}

impl Lane {
    /// The connection that was used last, if one is still good and not unused for longer than `limit`.
    ///
    /// # Why
    ///
    /// A firewall forgets an unused connection without a word: what is written to it then is neither sent nor refused, and
    /// cannot be sent again.
    fn take(&self, limit: Duration) -> Option<Line> {
        let mut idle = self.sweep(limit);
        let newest = idle.pop()?;
        Some(newest).filter(|line| line.sender.is_ready())
    }

    fn put(&self, mut line: Line, limit: Duration) {
        line.unused_since = Instant::now();
        let mut idle = self.sweep(limit);
        if idle.len() < MOST_IDLE {
            idle.push(line);
        }
    }

    /// Closes what has been unused for longer than `limit`.
    fn sweep(&self, limit: Duration) -> MutexGuard<'_, Vec<Line>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|line| !line.sender.is_closed() && line.unused_since.elapsed() < limit);
        idle
    }

    /// What an error says about our certificate.
    fn refused(&self, error: &(dyn Error + 'static)) -> Option<ExchangeError> {
        let (why, alert) = self.handshake.refusal(error)?;
        Some(ExchangeError::Refused { identity: self.identity.clone(), why, alert })
    }
}

/// One connection. Dropping it closes it, once what is under way is done.
struct Line {
    address: SocketAddr,
    sender: SendRequest<RequestBody>,
    driver: JoinHandle<hyper::Result<()>>,
    unused_since: Instant,
}

impl Line {
    /// Why an exchange failed: the connection's own error says more than that of its request.
    async fn why(self, lane: &Lane, error: hyper::Error, is_sent: bool) -> ExchangeError {
        drop(self.sender);
        let ended = tokio::time::timeout(LAST_WORD, self.driver).await;
        let own = ended.ok().and_then(Result::ok).and_then(Result::err);
        let refused = own.as_ref().and_then(|own| lane.refused(own)).or_else(|| lane.refused(&error));
        let address = self.address;
        let alert = own.as_ref().and_then(|own| alert_of(own)).or_else(|| alert_of(&error));
        if refused.is_none() && alert == Some(AlertDescription::HandshakeFailure) {
            return ExchangeError::Renegotiation { address };
        }
        refused.unwrap_or_else(|| ExchangeError::Broken { address, is_sent, source: Box::new(own.unwrap_or(error)) })
    }
}

/// An answer whose body is still to come.
pub struct Answer {
    /// Head, and what is read of the body.
    pub response: Response<Incoming>,
    line: Option<(Arc<Lane>, Line)>,
    /// How long the connection may be unused.
    idle: Duration,
}

impl Answer {
    /// The next piece of the body; `None` behind the last. `pause` limits the wait for it.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`] when the connection ends before the body does, or stands still.
    pub async fn next(&mut self, pause: Duration) -> Result<Option<Bytes>, ExchangeError> {
        let address = self.line.as_ref().map_or(UNKNOWN, |(_, line)| line.address);
        loop {
            let frame = tokio::time::timeout(pause, self.response.body_mut().frame()).await;
            match frame.map_err(|_elapsed| ExchangeError::Timeout { address, limit: pause })? {
                None => {
                    self.give_back();
                    return Ok(None);
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        if self.response.body().is_end_stream() {
                            self.give_back();
                        }
                        return Ok(Some(data));
                    }
                    // Trailers: nobody of those who are called sends them with a meaning.
                    Err(_trailers) => {}
                },
                Some(Err(error)) => {
                    // Behind the head of an answer an alert says nothing about our certificate any more.
                    return Err(ExchangeError::Broken { address, is_sent: true, source: Box::new(error) });
                }
            }
        }
    }

    /// Keeps the connection for the next request, as soon as nothing of this answer is to come.
    fn give_back(&mut self) {
        let (Some((lane, mut line)), idle) = (self.line.take(), self.idle) else { return };
        tokio::spawn(async move {
            let is_ready = tokio::time::timeout(LAST_WORD, line.sender.ready()).await;
            if matches!(is_ready, Ok(Ok(()))) {
                lane.put(line, idle);
            }
        });
    }
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// There is no identity to show: its files were never good.
    #[error("there is no client identity to show")]
    NoIdentity,
    /// The settings fit no TLS.
    #[error("TLS cannot be set up")]
    Unusable {
        /// rustls's word.
        source: io::Error,
    },
    /// The name has no address.
    #[error("its name cannot be resolved")]
    Resolve {
        /// The resolver's word.
        source: io::Error,
    },
    /// No connection, or none that is believed.
    #[error(transparent)]
    Connect {
        /// Why.
        source: ProbeError,
    },
    /// The peer did not accept the identity; it said so in the handshake (TLS 1.2) or behind it (TLS 1.3).
    #[error("it does not accept our client certificate{}: {why} (TLS alert `{alert:?}`)", subject(identity.as_deref()))]
    Refused {
        /// What was shown.
        identity: Option<Arc<Identity>>,
        /// What it has against it.
        why: Refusal,
        /// The peer's word (RFC 8446 §6.2).
        alert: AlertDescription,
    },
    /// No head of an answer, or no further piece of it, in time.
    #[error("{address} did not answer within {limit:?}")]
    Timeout {
        /// Who.
        address: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// It gave up the connection when we did not shake hands again, most likely to ask for the client certificate (RFC 5246 §7.4.1.1).
    #[error(
        "{address} wants to shake hands again behind the request, most likely to ask for the client certificate; TLS 1.3 has no \
         such renegotiation, nor have we: let it ask in the first handshake (in IIS `netsh http ... clientcertnegotiation=enable`)"
    )]
    Renegotiation {
        /// Who.
        address: SocketAddr,
    },
    /// It goes over to another protocol.
    #[error("it answers `101 Switching Protocols`, which was not asked for")]
    Switched,
    /// The connection ended, or something that is no answer came.
    #[error("the connection to {address} broke {}", if *is_sent { "after the request was sent" } else { "before the request was sent" })]
    Broken {
        /// Who.
        address: SocketAddr,
        /// Whether something of the request may have arrived.
        is_sent: bool,
        /// hyper's word.
        source: Box<hyper::Error>,
    },
}

fn subject(identity: Option<&Identity>) -> String {
    identity.map(|identity| format!(" CN={}", identity.chain().leaf().common_name)).unwrap_or_default()
}

/// For the connection to say why it ended.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Connections last for minutes.
const TENDED_EVERY: Duration = Duration::from_secs(1);
/// More are closed behind their answer.
const MOST_IDLE: usize = 64;
const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
