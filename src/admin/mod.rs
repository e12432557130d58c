//! The operators' listener: metrics, health, status.
//!
//! In: a [`State`] to ask. Out: `/metrics`, `/livez`, `/readyz`, `/status.json` with its schema and a page at `/` in four
//! languages, over plain HTTP/1.1 on an address of their own, loopback by default. What is wrong is judged once, in `problem`, for
//! all of them. May import: `metrics`, `lifecycle`, `route`'s host names and troubles, `upstream`'s failures of TLS, `pki`'s digest,
//! `language`, `html`, `time`.
//!
//! Standards: HTTP/1.1 (RFC 9112); the text format 0.0.4 of Prometheus; WCAG 2.2 AA; CSP 3; JSON Schema 2020-12.
//!
//! Promises: nothing can be changed from here; nothing secret is shown; a web page that points its own name at this
//! address (DNS rebinding) gets nothing, since only IP addresses and `localhost` are taken as `Host`.

mod answer;
mod page;
mod problem;
mod report;
mod status;
mod turn;
mod words;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

pub use report::{Need, Report, SCHEMA, needs};
pub use status::{
    Acme, AcmeCertificate, Allowance, Call, Certificate, CertificateFailure, ClientCrl, ClientIdentity, Detail,
    Diagnosis, DoctorFinding, Egress, Enforced, Event, EventKind, Http1Only, IdentityAction, IdentityRefusal,
    IdentityTrial, Listener, ListenerKind, Next, Notifier, NotifierFailure, Observed, Observing, Peer, PeerCertificate,
    Phase, Reload, RenewalInformation, Served, ShownIdentity, Status, Trouble, Upstream,
};

pub use turn::Turn;

/// What the operators' listener asks. What may wait for the disk is asked on a thread that may.
pub trait State: Send + Sync + 'static {
    /// Every metric, as [`crate::metrics::Metrics::render`] gives them; may wait for the disk.
    fn metrics(&self) -> Vec<u8>;

    /// What there is to know now; may wait for the disk.
    fn status(&self) -> Status;

    /// Whether the process works; where not, it should be started anew.
    fn is_live(&self) -> bool;

    /// Whether traffic may come; `strict` also asks for a certificate of a CA for every site.
    ///
    /// # Errors
    ///
    /// The reasons why not, one line each.
    fn readiness(&self, strict: bool) -> Result<(), Vec<String>>;
}

/// Serves until `shutdown` is true or its sender is gone; open requests get a short time to finish.
pub async fn serve(listener: TcpListener, state: Arc<dyn State>, mut shutdown: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let turns = Arc::<answer::Turns>::default();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MOST_CONNECTIONS => {
                    connections.spawn(converse(stream, state.clone(), turns.clone(), shutdown.clone()));
                }
                Ok((_, peer)) => debug!(%peer, "admin connection closed: {MOST_CONNECTIONS} are open"),
                Err(error) => {
                    warn!(%error, "admin listener cannot accept, trying again");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    state: Arc<dyn State>,
    turns: Arc<answer::Turns>,
    mut shutdown: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let (state, turns) = (state.clone(), turns.clone());
        async move { Ok::<_, Infallible>(answer::answer(state, &turns, request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(LARGEST_HEADER);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut connection => return note(ended),
        () = stopped(&mut shutdown) => connection.as_mut().graceful_shutdown(),
    }
    if let Ok(ended) = tokio::time::timeout(GRACE, connection).await {
        note(ended);
    }
}

fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        debug!(%error, "admin connection ended early");
    }
}

/// Returns when serving is to end.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    drop(shutdown.wait_for(|&stop| stop).await);
}

/// Scrapers and people, not traffic.
const MOST_CONNECTIONS: usize = 64;

/// Also how long an unused connection stays.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes; the least that hyper takes, and more than a browser sends.
const LARGEST_HEADER: usize = 8 * 1024;

/// For a request that was being answered when serving ends.
const GRACE: Duration = Duration::from_secs(2);

/// Out of file descriptors, most likely: without a pause the loop would spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
