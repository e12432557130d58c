//! One downstream connection: its life over several requests, its limits in time, its end when drained.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

use super::contained::{Lender, contain};
use super::expulsion::{Expelled, Expulsion};
use super::gather::Gathering;
use super::head::{Flaw, Head};
use super::loops::Trail;
use super::{answer, http2};
use crate::listener::{Limits, Place};
use crate::metrics::{ListenerMetrics, RouteMetrics};
use crate::time::{Clock, SystemClock};
use crate::tls::{Handshaken, Proof};
use crate::upstream::{Affinity, Bond};

/// What every request of a connection knows of it.
pub(super) struct Connection {
    pub(super) listener: Arc<ListenerMetrics>,
    pub(super) peer: SocketAddr,
    pub(super) is_secure: bool,
    /// The site of the TLS handshake.
    pub(super) site: Option<Arc<str>>,
    limits: Limits,
    /// What requests are counted on that reach no route.
    pub(super) unrouted: Arc<RouteMetrics>,
    /// Among the open connections.
    pub(super) place: Place,
    /// NTLM or Negotiate was seen: upstream connections are the client's own from now on.
    bond: OnceLock<Arc<Bond>>,
    /// Of each upstream the peer that the client has authenticated itself to.
    usual_peers: Mutex<Vec<(u64, usize)>>,
    /// What the client has proven in the handshake.
    proof: OnceLock<Proof>,
    /// It ends when what it carries would not be given any more.
    pub(super) expulsion: Expulsion,
    /// Who wants to know whether the last answer has arrived.
    receipt: Mutex<Option<Receipt>>,
    /// The redirects that it follows.
    trail: Mutex<Option<Box<Trail>>>,
    stop: watch::Receiver<bool>,
}

impl Handshaken for Connection {
    fn handshaken(&self, proof: Proof) {
        // A connection has one handshake.
        let _ = self.proof.set(proof);
    }
}

impl Connection {
    /// What the client has shown of itself in the handshake; `None` without TLS.
    pub(super) fn proof(&self) -> Option<&Proof> {
        self.proof.get()
    }

    pub(super) fn new(
        listener: Arc<ListenerMetrics>,
        peer: SocketAddr,
        site: Option<Arc<str>>,
        limits: Limits,
        unrouted: Arc<RouteMetrics>,
        place: Place,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            listener,
            peer,
            is_secure: site.is_some(),
            site,
            limits,
            unrouted,
            place,
            bond: OnceLock::new(),
            usual_peers: Mutex::default(),
            proof: OnceLock::new(),
            expulsion: Expulsion::default(),
            receipt: Mutex::default(),
            trail: Mutex::default(),
            stop,
        }
    }

    /// The redirects that it follows, if it does.
    pub(super) fn trail(&self) -> MutexGuard<'_, Option<Box<Trail>>> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds that the connection may stay unused after this request; `None` closes it.
    pub(super) fn keep_alive(&self) -> Option<u64> {
        (!self.is_draining()).then_some(self.limits.keep_alive.as_secs())
    }

    /// How long it may be unused.
    pub(super) fn keep_alive_time(&self) -> Duration {
        self.limits.keep_alive
    }

    /// How long the first frame of an HTTP/2 client may take.
    pub(super) fn first_frame(&self) -> Duration {
        self.limits.header.min(self.limits.keep_alive)
    }

    /// Tells pingora to end soon.
    pub(super) fn stop(&self) -> &watch::Receiver<bool> {
        &self.stop
    }

    /// Returns when draining has begun.
    pub(super) async fn drain(&self) {
        // A sender that is gone means the same.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.stop.borrow()
    }

    /// The server knows the client by its connection, or asks to: nobody else may use its upstream connections.
    pub(super) fn bind(&self) {
        self.bond.get_or_init(Bond::new);
    }

    /// Whose upstream connections the next request may use.
    pub(super) fn affinity(&self) -> Affinity {
        self.bond.get().map_or(Affinity::Shared, |bond| Affinity::Own(bond.clone()))
    }

    /// The peer of an upstream that an authenticated connection stays with; its upstream connection is there.
    pub(super) fn usual_peer(&self, upstream: u64) -> Option<usize> {
        self.bond.get()?;
        let peers = self.usual_peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter().find(|(id, _)| *id == upstream).map(|(_, peer)| *peer)
    }

    /// Stays with a peer from now on, where the connection is authenticated.
    pub(super) fn remember_peer(&self, upstream: u64, peer: usize) {
        if self.bond.get().is_none() {
            return;
        }
        let mut peers = self.usual_peers.lock().unwrap_or_else(PoisonError::into_inner);
        match peers.iter_mut().find(|(id, _)| *id == upstream) {
            Some((_, known)) => *known = peer,
            None => peers.push((upstream, peer)),
        }
    }

    /// Returns when an upstream connection of the client's own has ended, while no request is on its way.
    async fn upstream_end(&self) {
        match self.bond.get() {
            Some(bond) => bond.broken().await,
            None => std::future::pending().await,
        }
    }

    /// Asks to be told whether the answer that was just written has arrived.
    ///
    /// # Why
    ///
    /// What is written lies in a buffer of the system. Only what the client does next tells what became of it: a client that
    /// closes a socket with unread bytes resets the connection, every other one has read them.
    pub(super) fn await_receipt(&self, receipt: Receipt) {
        *self.receipt.lock().unwrap_or_else(PoisonError::into_inner) = Some(receipt);
    }

    /// Whether somebody has asked for a receipt.
    pub(super) fn awaits_receipt(&self) -> bool {
        self.receipt.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Tells whoever has asked, and does not know yet.
    pub(super) fn give_receipt(&self, has_arrived: bool) {
        let receipt = self.receipt.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut receipt) = receipt {
            receipt(if has_arrived { Arrival::Known } else { Arrival::Failed });
        }
    }

    /// Says that nothing was heard against it for a while.
    pub(super) fn presume_receipt(&self) {
        if let Some(receipt) = self.receipt.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            receipt(Arrival::Presumed);
        }
    }

    /// Returns when an unused connection has to go: after its time, or soon after draining began. One that is new has a request
    /// on its way most likely.
    async fn idle_end(&self, is_new: bool) {
        let grace = if is_new { NEW_GRACE } else { DRAIN_GRACE };
        tokio::select! {
            () = tokio::time::sleep(self.limits.keep_alive) => {}
            () = self.drain() => tokio::time::sleep(grace).await,
        }
    }
}

/// Told whether an answer has arrived. Dropped without knowledge, it has not.
pub(super) type Receipt = Box<dyn FnMut(Arrival) + Send>;

/// What is known of an answer that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing was heard against it; more may be told later.
    Presumed,
    /// The client has it.
    Known,
    /// The client does not.
    Failed,
}

/// Serves HTTP on a connection until it ends. HTTP/2 when ALPN says so, else HTTP/1.
pub(super) async fn serve<P>(proxy: &Arc<P>, stream: Stream, connection: Arc<Connection>)
where
    P: HttpServerApp + Send + Sync + 'static,
{
    if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
        http2::serve(proxy, stream, connection).await;
    } else {
        serve_http1(proxy, stream, connection).await;
    }
}

/// # Why
///
/// pingora knows no limit for a whole header, and none at all on a connection that has carried a request. So the head of
/// each request is read here, judged, and handed on whole.
async fn serve_http1<P>(proxy: &Arc<P>, stream: Stream, connection: Arc<Connection>)
where
    P: HttpServerApp + Send + Sync + 'static,
{
    let lender = Lender::default();
    let gathering = Gathering::new(stream, lender.clone()).until(Expelled::new(connection.clone()));
    let mut stream: Stream = Box::new(gathering);
    let mut settings: Option<HttpPersistentSettings> = None;
    loop {
        let head = match next_head(&mut stream, &connection, settings.is_none()).await {
            Next::Head(head) => head,
            Next::Flawed(flaw, head) => return refuse(stream, &connection, flaw, &head).await,
            Next::None => return close(stream).await,
        };
        let mut session = ServerSession::new_http1(stream);
        match settings {
            Some(settings) => settings.apply_to_session(&mut session),
            None => {
                session.set_keepalive(Some(connection.limits.keep_alive.as_secs()));
                session.set_connection_user_context(Some(Box::new(connection.clone())));
            }
        }
        let method = method_of(&head);
        session.set_pipelined_prefix(head);
        lender.begin();
        let Some(reused) = contain(proxy.process_new_http(session, &connection.stop)).await else {
            let Some(stream) = lender.take_back() else { return };
            return tell(stream, &connection, StatusCode::BAD_GATEWAY, PANICKED, method).await;
        };
        let Some((unused, kept)) = reused.map(ReusedHttpStream::consume) else { return };
        (stream, settings) = (unused, kept);
    }
}

/// What comes next on a connection.
enum Next {
    /// A whole head, and what has come of a body behind it.
    Head(BytesMut),
    /// A head that is not to be acted on.
    Flawed(Flaw, BytesMut),
    /// Nothing, or nothing in time.
    None,
}

async fn next_head(stream: &mut Stream, connection: &Connection, is_new: bool) -> Next {
    let mut is_presumed = !connection.awaits_receipt();
    let begun = loop {
        tokio::select! {
            // What has come is never closed upon, however late this task gets its turn.
            biased;
            begun = poll_fn(|cx| poll_first_bytes(stream, cx)) => break begun,
            // Most who had not read it would have closed by then.
            () = tokio::time::sleep(RECEIPT), if !is_presumed => {
                connection.presume_receipt();
                is_presumed = true;
            }
            () = connection.idle_end(is_new) => break Ok(None),
            // What the server knew of the client is gone with it.
            () = connection.upstream_end() => break Ok(None),
        }
    };
    connection.give_receipt(begun.is_ok());
    let Ok(Some(begun)) = begun else { return Next::None };
    // Who is not done by then gets no answer: it would not read one either.
    tokio::time::timeout(connection.limits.header, rest_of_head(stream, begun)).await.unwrap_or(Next::None)
}

/// Takes memory only once there is something to keep: most connections wait most of the time.
///
/// `None` when the client has closed, an error when it has reset the connection.
fn poll_first_bytes(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>> {
    let mut space = [0; HEADER_BUFFER];
    let mut space = ReadBuf::new(&mut space);
    ready!(Pin::new(stream).poll_read(cx, &mut space))?;
    if space.filled().is_empty() {
        return Poll::Ready(Ok(None));
    }
    let mut begun = BytesMut::with_capacity(HEADER_BUFFER);
    begun.extend_from_slice(space.filled());
    Poll::Ready(Ok(Some(begun)))
}

async fn rest_of_head(stream: &mut Stream, mut begun: BytesMut) -> Next {
    let mut scanned = 0;
    loop {
        while begun.starts_with(b"\r\n") {
            // Some clients send an empty line behind a body (RFC 9112 §2.2).
            begun.advance(2);
            scanned = 0;
        }
        let is_line_begun = matches!(&begun[..], b"" | b"\r");
        match Head::judge(&begun, scanned) {
            Head::Whole(_) => return Next::Head(begun),
            Head::Flawed(flaw) if !is_line_begun => return Next::Flawed(flaw, begun),
            Head::Flawed(_) | Head::Partial => {}
        }
        scanned = begun.len();
        begun.reserve(1);
        if !matches!(stream.read_buf(&mut begun).await, Ok(length) if length > 0) {
            return Next::None;
        }
    }
}

/// Answers a head that is not acted on, and counts it.
async fn refuse(stream: Stream, connection: &Connection, flaw: Flaw, head: &[u8]) {
    tell(stream, connection, flaw.status(), &flaw.to_string(), method_of(head)).await;
}

fn method_of(head: &[u8]) -> Method {
    let method = head.split(|&byte| byte == b' ').next().and_then(|word| Method::from_bytes(word).ok());
    method.unwrap_or_default()
}

/// Answers without pingora, counts it and closes.
async fn tell(mut stream: Stream, connection: &Connection, status: StatusCode, why: &str, method: Method) {
    let began = Instant::now();
    let id = answer::request_id();
    let text = format!("{status}: {why}\nrequest id: {id}\n");
    let length = text.len();
    let page = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\ndate: {}\r\n{}: {id}\r\nconnection: close\r\n\r\n{text}",
        SystemClock.now().to_http_date(),
        answer::REQUEST_ID,
    );
    connection.unrouted.answered(&connection.listener, &method, status, began.elapsed());
    debug!(peer = %connection.peer, %status, request_id = id, "refused: {why}");
    let said = async {
        stream.write_all(page.as_bytes()).await?;
        stream.flush().await
    };
    if let Ok(Ok(())) = tokio::time::timeout(REFUSAL, said).await {
        linger(stream).await;
    }
}

async fn close(mut stream: Stream) {
    // If the client is gone, there is nobody to tell.
    let _ = stream.shutdown().await;
}

/// Takes what the client still sends: unread bytes would reset the connection, and the answer with it (RFC 9112 §9.6).
async fn linger(mut stream: Stream) {
    // It learns that nothing more comes, and closes; if it is gone, there is nobody to tell.
    let _ = stream.shutdown().await;
    let mut rest = [0; 1024];
    let drain = async { while matches!(stream.read(&mut rest).await, Ok(length) if length > 0) {} };
    let _ = tokio::time::timeout(REFUSAL, drain).await;
}

/// What a client hears of it.
const PANICKED: &str = "the request could not be carried out";
/// How long an idle connection may still bring a request after draining began, which is then answered with
/// `Connection: close`. Closing at once would meet requests that are on their way.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// The same for one that has brought none yet: no client sends the first one again, as it may a later one (RFC 9112 §9.3.1).
const NEW_GRACE: Duration = Duration::from_secs(5);
/// A body that stands still for longer ends the request, either way.
pub(super) const BODY_PAUSE: Duration = Duration::from_secs(60);
/// For an answer to what is no request, and for the client to take it.
const REFUSAL: Duration = Duration::from_secs(5);
/// A client that has not closed without its answer by then has read it most likely; one that stands still shows it later.
pub(super) const RECEIPT: Duration = Duration::from_secs(1);
/// What pingora begins with, too.
const HEADER_BUFFER: usize = 4096;
