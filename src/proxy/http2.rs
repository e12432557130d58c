//! One HTTP/2 connection: its streams, its limits, its end.
//!
//! # Why
//!
//! pingora's own loop knows neither how many requests are on their way after the client has reset them (CVE-2023-44487), nor
//! a body that stands still, nor floods of frames; and it says no GOAWAY. This one does, on the same parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use h2::Reason;
use http::{Method, StatusCode, header};
use pingora::apps::HttpServerApp;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, Stream};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use super::connection::{BODY_PAUSE, Connection};
use super::contained::contain;
use super::metered::{Flood, Metered};
use super::progress::Progress;
use crate::metrics::ConnectionRejection;

/// Serves a connection until it ends.
pub(super) async fn serve<P>(proxy: &Arc<P>, stream: Stream, connection: Arc<Connection>)
where
    P: HttpServerApp + Send + Sync + 'static,
{
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    });
    let flood = Arc::new(Flood::default());
    let stream: Stream = Box::new(Metered::new(stream, flood.clone()));
    let begun = timeout(connection.first_frame(), handshake(stream, Some(options()))).await;
    let Ok(Ok(mut http2)) = begun else { return };

    let streams = Arc::new(Streams::default());
    let mut is_draining = false;
    let mut rejected = 0;
    let reason = loop {
        let accepted = tokio::select! {
            biased;
            () = connection.drain(), if !is_draining => {
                http2.graceful_shutdown();
                is_draining = true;
                continue;
            }
            () = connection.expulsion.comes() => break Reason::NO_ERROR,
            () = flood.begins() => break Reason::ENHANCE_YOUR_CALM,
            accepted = HttpSession::from_h2_conn(&mut http2, digest.clone()) => accepted,
            () = streams.idle(connection.keep_alive_time()) => break Reason::NO_ERROR,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => streams.spawn(session, proxy, &connection),
            Ok(Some(H2Accept::Rejected)) => rejected += 1,
            // Closed, by whichever side; a client that just leaves is nothing to tell.
            Ok(None) | Err(_) => return,
        }
        if rejected > MOST_REJECTED || streams.is_abused() {
            break Reason::ENHANCE_YOUR_CALM;
        }
    };
    if reason == Reason::ENHANCE_YOUR_CALM {
        connection.listener.rejected(ConnectionRejection::Flood);
        debug!(peer = %connection.peer, "closed: the client floods its HTTP/2 connection");
    }
    http2.abrupt_shutdown(reason);
    // A client that does not read it has its end all the same.
    let _ = timeout(GOODBYE, std::future::poll_fn(|context| http2.poll_closed(context))).await;
}

/// The requests of one connection.
#[derive(Default)]
struct Streams {
    /// On their way, also those that the client has reset.
    open: watch::Sender<usize>,
    answered: AtomicUsize,
    /// Ended without an answer: reset by the client, or by us for what it did.
    unanswered: AtomicUsize,
}

impl Streams {
    fn spawn<P>(self: &Arc<Self>, mut session: HttpSession, proxy: &Arc<P>, connection: &Arc<Connection>)
    where
        P: HttpServerApp + Send + Sync + 'static,
    {
        let Some(place) = connection.place.request() else { return refuse(session, connection) };
        let progress = Arc::new(Progress::new(session.is_body_done()));
        let method = session.req_header().method.clone();
        session.req_header_mut().extensions_mut().insert(progress.clone());
        let guard = StreamGuard::new(self, progress.clone());
        let (proxy, connection) = (proxy.clone(), connection.clone());
        tokio::spawn(async move {
            let _held = (guard, place);
            tokio::select! {
                // The stream is reset when its session drops, which it does in a panic too.
                _none = contain(proxy.process_new_http(ServerSession::new_http2(session), connection.stop())) => {}
                () = progress.body_stalls(BODY_PAUSE) => tell_stalled(&progress, &connection, &method),
            }
        });
    }

    /// Returns when no request has been on its way for `limit`.
    async fn idle(&self, limit: Duration) {
        // The sender is ours.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
        tokio::time::sleep(limit).await;
    }

    /// Whether there are more requests on their way than a client may open, or most of many came to nothing.
    fn is_abused(&self) -> bool {
        let [answered, unanswered] = [&self.answered, &self.unanswered].map(|count| count.load(Ordering::Relaxed));
        *self.open.borrow() > 2 * STREAMS || unanswered > MOST_UNANSWERED + answered
    }
}

/// Answers a request beyond what all connections of the client together may have open.
fn refuse(mut session: HttpSession, connection: &Connection) {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let method = session.req_header().method.clone();
    let answer = ResponseHeader::build(status, Some(2)).and_then(|mut answer| {
        answer.insert_header(header::CONTENT_LENGTH, 0)?;
        answer.insert_header(header::RETRY_AFTER, 1)?;
        session.write_response_header(Box::new(answer), true)
    });
    if answer.is_ok() {
        connection.unrouted.answered(&connection.listener, &method, status, Duration::ZERO);
    }
    debug!(peer = %connection.peer, %method, "refused: the client has too many requests open");
}

fn tell_stalled(progress: &Progress, connection: &Connection, method: &Method) {
    let status = StatusCode::REQUEST_TIMEOUT;
    if let Some(route) = progress.route() {
        route.answered(&connection.listener, method, status, progress.elapsed());
    }
    debug!(peer = %connection.peer, %method, limit = ?BODY_PAUSE, "reset: the body stands still");
}

/// One request on its way.
struct StreamGuard {
    streams: Arc<Streams>,
    progress: Arc<Progress>,
}

impl StreamGuard {
    fn new(streams: &Arc<Streams>, progress: Arc<Progress>) -> Self {
        streams.open.send_modify(|open| *open += 1);
        Self { streams: streams.clone(), progress }
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let count = if self.progress.is_answered() { &self.streams.answered } else { &self.streams.unanswered };
        count.fetch_add(1, Ordering::Relaxed);
        self.streams.open.send_modify(|open| *open -= 1);
    }
}

/// pingora's, which limit the header list to 64 KiB, and less memory for a client that does not read.
fn options() -> H2Options {
    let mut options = default_h2_options();
    options.max_concurrent_streams(u32::try_from(STREAMS).unwrap_or(u32::MAX));
    options.max_send_buffer_size(SEND_BUFFER);
    options.max_local_error_reset_streams(Some(MOST_RESET));
    options
}

/// Requests at a time.
const STREAMS: usize = 100;
/// Answers that wait for the client, for each stream; four frames of the usual size.
const SEND_BUFFER: usize = 64 * 1024;
/// Resets that the client provokes on a connection (CVE-2025-8671).
const MOST_RESET: usize = 256;
/// Requests that are refused before they are looked at.
const MOST_REJECTED: usize = 32;
/// A browser that leaves a page resets what is on its way; that is once in a while.
const MOST_UNANSWERED: usize = 200;
/// For the last words.
const GOODBYE: Duration = Duration::from_secs(1);
