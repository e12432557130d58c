//! One downstream connection: its life over several requests, its limits in time, its end when drained.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::listener::Limits;
use crate::metrics::ListenerMetrics;
use crate::upstream::Affinity;

/// What every request of a connection knows of it.
pub(super) struct Connection {
    pub(super) listener: Arc<ListenerMetrics>,
    pub(super) peer: SocketAddr,
    pub(super) is_secure: bool,
    /// The site of the TLS handshake.
    pub(super) site: Option<Arc<str>>,
    limits: Limits,
    id: u64,
    /// A request has been read and, in HTTP/1, is not answered yet.
    is_busy: AtomicBool,
    /// The client has shown NTLM or Negotiate: upstream connections are its own from now on.
    is_authenticated: AtomicBool,
    /// Of each upstream the peer that the client has authenticated itself to.
    usual_peers: Mutex<Vec<(u64, usize)>>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    pub(super) fn new(
        listener: Arc<ListenerMetrics>,
        peer: SocketAddr,
        site: Option<Arc<str>>,
        limits: Limits,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            listener,
            peer,
            is_secure: site.is_some(),
            site,
            limits,
            id: next_id(),
            is_busy: AtomicBool::new(false),
            is_authenticated: AtomicBool::new(false),
            usual_peers: Mutex::default(),
            stop,
        }
    }

    /// A request header was read: the connection is not idle until [`Connection::finish_request`].
    pub(super) fn begin_request(&self) {
        self.is_busy.store(true, Ordering::Release);
    }

    fn finish_request(&self) {
        self.is_busy.store(false, Ordering::Release);
    }

    /// Seconds that the connection may stay unused after this request; `None` closes it.
    pub(super) fn keep_alive(&self) -> Option<u64> {
        (!self.is_draining()).then_some(self.limits.keep_alive.as_secs())
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.stop.borrow()
    }

    /// The client has authenticated the connection itself, so that nobody else may use its upstream connections.
    pub(super) fn mark_authenticated(&self) {
        self.is_authenticated.store(true, Ordering::Release);
    }

    /// Whose upstream connections the next request may use. An HTTP/2 connection carries requests of several users at a
    /// time, so there each gets connections of its own.
    pub(super) fn affinity(&self, is_http2: bool) -> Affinity {
        match (self.is_authenticated.load(Ordering::Acquire), is_http2) {
            (false, _) => Affinity::Shared,
            (true, false) => Affinity::Own(self.id),
            (true, true) => Affinity::Own(next_id()),
        }
    }

    /// The peer of an upstream that an authenticated connection stays with; its upstream connection is there.
    pub(super) fn usual_peer(&self, affinity: Affinity, upstream: u64) -> Option<usize> {
        if affinity != Affinity::Own(self.id) {
            return None;
        }
        let peers = self.usual_peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter().find(|(id, _)| *id == upstream).map(|(_, peer)| *peer)
    }

    /// Stays with a peer from now on, where the connection is authenticated.
    pub(super) fn remember_peer(&self, affinity: Affinity, upstream: u64, peer: usize) {
        if affinity != Affinity::Own(self.id) {
            return;
        }
        let mut peers = self.usual_peers.lock().unwrap_or_else(PoisonError::into_inner);
        match peers.iter_mut().find(|(id, _)| *id == upstream) {
            Some((_, known)) => *known = peer,
            None => peers.push((upstream, peer)),
        }
    }

    /// Returns when a header that has begun is not whole in time; never while a request is answered.
    async fn header_end(&self) {
        tokio::time::sleep(self.limits.header).await;
        if self.is_busy.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when an HTTP/2 connection has brought no request in time; never once it has.
    ///
    /// pingora waits for the client's first frame without end, and knows idle connections only after it.
    async fn never_used(&self) {
        tokio::time::sleep(self.limits.keep_alive).await;
        if self.is_busy.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when an unused connection has to go: after its time, or soon after draining began.
    async fn idle_end(&self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(self.limits.keep_alive) => {}
            // A sender that is gone means the same.
            () = async { drop(stop.wait_for(|stop| *stop).await) } => tokio::time::sleep(DRAIN_GRACE).await,
        }
    }
}

/// Serves HTTP on a connection until it ends. HTTP/2 when ALPN says so, else HTTP/1.
pub(super) async fn serve<P>(proxy: &Arc<P>, stream: Stream, connection: Arc<Connection>)
where
    P: HttpServerApp + Send + Sync + 'static,
{
    if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
        tokio::select! {
            _none = proxy.process_new(stream, &connection.stop) => {}
            () = connection.never_used() => {}
        }
    } else {
        serve_http1(proxy, stream, connection).await;
    }
}

/// # Why
///
/// pingora knows no limit for a whole header, and none at all on a connection that has carried a request. So the first
/// bytes of each request are read here, which tells waiting from sending, and handed on.
async fn serve_http1<P>(proxy: &Arc<P>, mut stream: Stream, connection: Arc<Connection>)
where
    P: HttpServerApp + Send + Sync + 'static,
{
    let mut settings: Option<HttpPersistentSettings> = None;
    loop {
        let Some(begun) = first_bytes(&mut stream, &connection).await else {
            stream.shutdown().await;
            return;
        };
        let mut session = ServerSession::new_http1(stream);
        match settings {
            Some(settings) => settings.apply_to_session(&mut session),
            None => {
                session.set_keepalive(Some(connection.limits.keep_alive.as_secs()));
                session.set_connection_user_context(Some(Box::new(connection.clone())));
            }
        }
        session.set_pipelined_prefix(begun);
        let reused = tokio::select! {
            reused = proxy.process_new_http(session, &connection.stop) => reused,
            () = connection.header_end() => None,
        };
        connection.finish_request();
        let Some((unused, kept)) = reused.map(ReusedHttpStream::consume) else { return };
        (stream, settings) = (unused, kept);
    }
}

/// Waits for a request to begin; `None` when none will.
async fn first_bytes(stream: &mut Stream, connection: &Connection) -> Option<BytesMut> {
    let mut begun = BytesMut::with_capacity(HEADER_BUFFER);
    let read = tokio::select! {
        read = stream.read_buf(&mut begun) => read,
        () = connection.idle_end() => return None,
    };
    matches!(read, Ok(length) if length > 0).then_some(begun)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How long an idle connection may still bring a request after draining began, which is then answered with
/// `Connection: close`. Closing at once would meet requests that are on their way.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// What pingora begins with, too.
const HEADER_BUFFER: usize = 4096;
