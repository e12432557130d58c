//! The pingora adapter: reads the facts of a request, asks `route`, carries the decision out.
//!
//! In: accepted connections, a [`Snapshot`] of what the configuration means. Out: answers, numbers in `metrics`, records in
//! `access`. Imports route, challenge, tls, upstream, listener's streams, metrics, access; pingora's types end here.
//!
//! Promises: ACME challenges are answered before everything else; a client's own forwarding headers never pass; a request
//! keeps the snapshot that it began with, whatever is reloaded meanwhile; bodies stream both ways, but for servers that ask
//! for a length first; a request is sent again
//! only when nothing of it was sent, or its method is idempotent; an upstream connection that a client has authenticated
//! (NTLM) carries nobody else's requests, and ends with the client's; over HTTP/2 no such request is carried at all.
//! Standards: RFC 9110, RFC 9112, RFC 9113, RFC 6455, W3C Trace Context (passed on, never begun).

mod answer;
mod certificate;
mod collected;
mod connection;
mod contained;
mod describe;
mod egress;
mod expulsion;
mod frames;
mod gather;
mod head;
mod http2;
mod limiter;
mod log_id;
mod loops;
mod metered;
mod ntlm;
mod passed_on;
mod progress;
mod quota;
mod record;
mod request;
mod response;
mod room;
mod service;
mod snapshot;
mod troubles;
mod words;

pub use self::egress::{Caller, Egress};
pub use self::head::{Flaw, Head};
pub use self::snapshot::{Clients, Snapshot};
pub use self::troubles::Seen;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::connection::Connection;
use self::egress::Egresses;
use self::service::{Service, Shared};
use self::troubles::Troubles;
use crate::challenge::Challenges;
use crate::egress::Listen;
use crate::listener::proxy_protocol::{self, ReadError};
use crate::listener::{Incoming, Limits};
use crate::metrics::{ConnectionRejection, HandshakeFailure, ListenerMetrics, TlsMetrics, TlsVersion};
use crate::pki::{CertificateChain, ChainError};
use crate::route::{Line, Report};
use crate::tls::{Accepted, FailureReason, Resolver, Version, accept};
use crate::upstream::{Upstream, UpstreamError, throwaway_root};

/// Serves accepted connections; one per process, shared by all listeners, so that there is one upstream pool.
pub struct Server {
    proxy: Arc<HttpProxy<Service>>,
    resolver: Arc<Resolver>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    report: Arc<Mutex<Report>>,
    troubles: Arc<Troubles>,
    open: TaskTracker,
    /// That a load balancer sends no PROXY header was told.
    is_header_missed: AtomicBool,
    egresses: Egresses,
}

impl Server {
    /// Makes the server ready for its first connection. `on_http1` is told a site's name once HTTP/2 is offered for it no more.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when pingora's connector cannot be set up.
    pub fn new(
        snapshot: Snapshot,
        resolver: Arc<Resolver>,
        challenges: Challenges,
        on_http1: Http1Observer,
    ) -> Result<Self, ServerError> {
        let open = TaskTracker::new();
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let report = Arc::<Mutex<Report>>::default();
        let troubles = Arc::<Troubles>::default();
        let shared = Shared { snapshot: snapshot.clone(), report: report.clone(), troubles: troubles.clone() };
        let service = Service::new(shared, resolver.clone(), challenges, on_http1, open.clone());
        // The connector loads the system's roots, and panics when they are missing. No peer of ours uses them: each
        // carries its own.
        let roots = tempfile::NamedTempFile::new().map_err(ServerError::Roots)?;
        let pem = CertificateChain::from_der(vec![throwaway_root()?])?.to_pem();
        std::fs::write(roots.path(), pem).map_err(ServerError::Roots)?;
        let conf = ServerConf {
            ca_file: Some(roots.path().display().to_string()),
            max_retries: 1 + RETRIES,
            upstream_keepalive_pool_size: POOL,
            threads: 1,
            ..ServerConf::default()
        };
        let mut proxy = HttpProxy::new(service, Arc::new(conf));
        proxy.handle_init_modules();
        Ok(Self {
            proxy: Arc::new(proxy),
            resolver,
            snapshot,
            report,
            troubles,
            open,
            is_header_missed: AtomicBool::new(false),
            egresses: Egresses::default(),
        })
    }

    /// Judges the requests that come from now on by `snapshot`.
    pub fn apply(&self, mut snapshot: Snapshot) {
        self.is_header_missed.store(false, Ordering::Relaxed);
        snapshot.go_on_from(&self.snapshot.load());
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.retain(|site| snapshot.site_by_name(site).is_some());
        drop(report);
        self.troubles.forget();
        let old = self.snapshot.swap(Arc::new(snapshot));
        let new = self.snapshot.load_full();
        let is_kept = |upstream: &Arc<Upstream>| new.upstreams().iter().any(|other| Arc::ptr_eq(other, upstream));
        old.upstreams().iter().filter(|upstream| !is_kept(upstream)).for_each(|upstream| upstream.retire());
        self.begin();
    }

    /// Begins what upstreams do on their own; nothing happens to those that have begun.
    pub fn begin(&self) {
        self.snapshot.load().upstreams().iter().for_each(Upstream::begin);
    }

    /// What was observed on plain HTTP of a site in `observe`, and would have been refused or redirected.
    pub fn observed(&self, site: &str) -> Vec<Line> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).lines(site)
    }

    /// What limits a client's connections, and whether it may have any number of them.
    pub fn limits(&self, client: IpAddr) -> (Limits, bool) {
        let snapshot = self.snapshot.load();
        // A load balancer's connections count for its clients, as soon as they are known.
        (snapshot.limits(), snapshot.is_trusted(client) || snapshot.is_load_balancer(client))
    }

    /// What answers have told about the set-up behind us, since the last reload.
    pub fn troubles(&self) -> Vec<Seen> {
        self.troubles.seen()
    }

    /// The upstreams in use.
    pub fn upstreams(&self) -> Vec<Arc<Upstream>> {
        self.snapshot.load().upstreams().to_vec()
    }

    /// What is not finished while it lives: a listener that still accepts.
    pub fn keep_open(&self) -> impl Send + use<> {
        self.open.token()
    }

    /// Serves one connection until it ends; `stop` asks it to end soon. It is open from the call on, polled or not.
    pub fn serve(
        self: Arc<Self>,
        incoming: Incoming,
        listener: Listener,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send {
        let open = self.open.token();
        async move {
            self.converse(incoming, listener, stop).await;
            drop(open);
        }
    }

    async fn converse(&self, incoming: Incoming, listener: Listener, stop: watch::Receiver<bool>) {
        let started = Instant::now();
        if incoming.is_own {
            return self.answer_ourselves(incoming, started).await;
        }
        let _counted = listener.metrics.opened();
        let Some(incoming) = self.hear_load_balancer(incoming, &listener, started).await else { return };
        let Incoming { stream, peer, local, place, is_own: _ } = incoming;
        let stream = L4Stream::from(stream);
        let (limits, unrouted) = {
            let snapshot = self.snapshot.load();
            (snapshot.limits(), snapshot.unrouted())
        };
        let Some(tls) = listener.tls else {
            let connection = Arc::new(Connection::new(listener.metrics, peer, None, limits, unrouted, place, stop));
            connection::serve(&self.proxy, Box::new(stream), connection).await;
            return;
        };
        let snapshot = self.snapshot.load_full();
        let make = move |site: Arc<str>| {
            let limits = snapshot.limits_of(&site);
            Arc::new(Connection::new(listener.metrics, peer, Some(site), limits, unrouted, place, stop))
        };
        // Boxed, since a connection is not to keep the room that only its handshake needs.
        let handshake = Box::pin(accept(&self.resolver, stream, local.ip(), make));
        let outcome = tokio::time::timeout_at(started + limits.handshake, handshake).await;
        match outcome {
            Ok(Ok(Accepted::Http { stream, version, context })) => {
                tls.succeeded(version_label(version), started.elapsed());
                connection::serve(&self.proxy, stream, context).await;
            }
            Ok(Ok(Accepted::ChallengeAnswered { server_name })) => info!(server_name, "tls-alpn-01 challenge answered"),
            Ok(Ok(Accepted::Left)) => {}
            Ok(Err(failure)) => {
                tls.failed(failure_label(failure.reason));
                debug!(%peer, "no TLS handshake: {failure}");
            }
            Err(_elapsed) => {
                tls.failed(HandshakeFailure::Timeout);
                debug!(%peer, limit = ?limits.handshake, "no TLS handshake: timed out");
            }
        }
    }

    /// Shakes hands with ourselves as with any client, and says nothing of it: whoever looks tells what he has seen.
    async fn answer_ourselves(&self, mut incoming: Incoming, started: Instant) {
        let limit = self.snapshot.load().limits().handshake;
        let is_load_balancer = self.snapshot.load().is_load_balancer(incoming.peer.ip().to_canonical());
        let handshake = Box::pin(async {
            if is_load_balancer && proxy_protocol::read(&mut incoming.stream).await.is_err() {
                return;
            }
            let local = incoming.local.ip();
            drop(accept(&self.resolver, L4Stream::from(incoming.stream), local, |_| Arc::new(())).await);
        });
        if tokio::time::timeout_at(started + limit, handshake).await.is_err() {
            debug!(?limit, "our own look at a listener got no handshake in time");
        }
    }

    /// Judges requests of applications by these from now on; where they are called changes with the listeners.
    pub fn apply_egresses(&self, egresses: Vec<Egress>) {
        self.egresses.apply(egresses);
    }

    /// The ways out in use, in the order of their names.
    pub fn egresses(&self) -> Vec<Arc<Egress>> {
        self.egresses.all()
    }

    /// Serves one connection of an application until it ends, as [`Server::serve`] does.
    pub fn serve_application(
        self: Arc<Self>,
        caller: Caller,
        listen: &Listen,
        metrics: Arc<ListenerMetrics>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (open, door) = (self.open.token(), self.egresses.door(listen));
        async move {
            let (limits, unrouted) = {
                let snapshot = self.snapshot.load();
                (snapshot.limits(), snapshot.unrouted())
            };
            if let Some(door) = door {
                egress::serve(door, caller, metrics, limits, unrouted, stop).await;
            }
            drop(open);
        }
    }

    /// How many connections and requests are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes a load balancer's word for who the client is; `None` when the connection is to be closed. Whoever is none is
    /// not asked, and what it sends is not looked at.
    async fn hear_load_balancer(
        &self,
        mut incoming: Incoming,
        listener: &Listener,
        started: Instant,
    ) -> Option<Incoming> {
        let peer = incoming.peer;
        let limits = {
            let snapshot = self.snapshot.load();
            if !snapshot.is_load_balancer(peer.ip().to_canonical()) {
                return Some(incoming);
            }
            snapshot.limits()
        };
        let header = proxy_protocol::read(&mut incoming.stream);
        let why = match tokio::time::timeout_at(started + limits.handshake, header).await {
            Ok(Ok(client)) => return self.stand_for(incoming, client, listener),
            Ok(Err(ReadError::Left)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no PROXY header within {:?}", limits.handshake),
        };
        listener.metrics.rejected(ConnectionRejection::ProxyProtocol);
        if self.is_header_missed.swap(true, Ordering::Relaxed) {
            debug!(%peer, why, "closed");
        } else {
            warn!(%peer, why, fix = SEND_HEADER, "closed a connection from `listen.proxy_protocol`; further ones are counted");
        }
        None
    }

    /// Counts the connection for its real client.
    fn stand_for(&self, mut incoming: Incoming, client: Option<SocketAddr>, listener: &Listener) -> Option<Incoming> {
        // Where nothing is told, the load balancer speaks for itself.
        let Some(client) = client else { return Some(incoming) };
        let snapshot = self.snapshot.load();
        let address = client.ip().to_canonical();
        if let Err(why) = incoming.place.count_for(address, &snapshot.limits(), snapshot.is_trusted(address)) {
            debug!(peer = %client, ?why, "closed: too many connections");
            listener.metrics.rejected(ConnectionRejection::ConnectionsPerClient);
            return None;
        }
        incoming.peer = client;
        Some(incoming)
    }

    /// Returns when every connection and request is finished. Nothing new is accepted by then.
    pub async fn drained(&self) {
        self.open.close();
        self.open.wait().await;
    }
}

/// Is told the name of a site whose server asks for NTLM or Negotiate, when that is new.
pub type Http1Observer = Arc<dyn Fn(&str) + Send + Sync>;

/// What connections of one listener are counted on.
#[derive(Clone)]
pub struct Listener {
    /// Connections and requests.
    pub metrics: Arc<ListenerMetrics>,
    /// Handshakes; `None` is plain HTTP.
    pub tls: Option<Arc<TlsMetrics>>,
}

const fn version_label(version: Version) -> TlsVersion {
    match version {
        Version::Tls12 => TlsVersion::Tls12,
        Version::Tls13 => TlsVersion::Tls13,
    }
}

const fn failure_label(reason: FailureReason) -> HandshakeFailure {
    match reason {
        FailureReason::NoServerName => HandshakeFailure::NoServerName,
        FailureReason::UnknownServerName => HandshakeFailure::UnknownServerName,
        FailureReason::OldProtocol => HandshakeFailure::OldProtocol,
        FailureReason::NoClientCertificate => HandshakeFailure::NoClientCertificate,
        FailureReason::BadClientCertificate => HandshakeFailure::BadClientCertificate,
        FailureReason::Other => HandshakeFailure::Other,
    }
}

/// Why the server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// pingora's connector wants a file of roots, and the folder for temporary files does not take one.
    #[error("cannot write to the folder for temporary files `{}`", std::env::temp_dir().display())]
    Roots(#[source] std::io::Error),
    /// No throwaway root could be made.
    #[error(transparent)]
    Root(#[from] UpstreamError),
    /// The throwaway root cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ChainError),
}

const SEND_HEADER: &str = "let it send the header (HAProxy: `send-proxy-v2`, nginx: `proxy_protocol on`), or take its \
                           address out of `listen.proxy_protocol`";
/// A request is tried this often again, only before any byte was sent or when its method is idempotent.
const RETRIES: usize = 2;
/// Unused upstream connections kept, over all upstreams; NTLM users hold one each.
const POOL: usize = 16_384;
