//! One peer: what the next connection to it needs, and whether the one that answered may be believed.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::{ALPN, HttpPeer};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::Instant;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::acquaintance::{Acquaintance, in_words};
use super::affinity::Affinity;
use super::check::{CheckError, ask};
use super::choice::Availability;
use super::group::Standing;
use super::handshake::{Handshake, Met};
use super::health::Health;
use super::probe::{ProbeError, Probed, connect};
use super::resolve::Addresses;
use super::shown::Shown;
use super::upgrade;
use super::{
    Acquaintances, Address, ClientIdentities, HealthCheck, PeerSettings, Settings, Timeouts, TlsFailure, TlsSettings,
    Trust,
};
use crate::causes::with_causes;
use crate::pki::{Fingerprint, Identity, LeafFacts};
use crate::store::StoreError;

/// One peer of an upstream at work: its addresses, its trust, its health and its part of the connection pool.
pub struct Peer {
    /// The upstream's name.
    upstream: String,
    /// Among the upstream's peers.
    index: usize,
    settings: PeerSettings,
    timeouts: Timeouts,
    /// Part of every pool key: unique in the process, so that a reload never meets an old connection.
    generation: u64,
    place: Place,
    roots: Option<Arc<[WrappedX509]>>,
    /// Who we are there.
    identity: Option<Shown>,
    /// What it showed at first use, where that is the trust.
    acquaintance: Option<Arc<Acquaintance>>,
    /// pingora's last handshake failed: the next one is ours, since it tells why.
    is_doubtful: AtomicBool,
    last_failure: Mutex<Option<TlsFailure>>,
    /// The leaf seen by the last good probe.
    admitted: ArcSwapOption<Probed>,
    probing: tokio::sync::Mutex<()>,
    failed_probes: AtomicU64,
    /// The last of them found nobody.
    was_unreachable: AtomicBool,
    health: Mutex<Health>,
    standing: Arc<Standing>,
    last_error: ArcSwapOption<String>,
    /// Requests that it is answering.
    pub(super) requests: AtomicUsize,
}

enum Place {
    Tcp(Arc<Addresses>),
    #[cfg(unix)]
    Unix(String),
}

/// A connection for a check.
enum Line {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Peer {
    /// Makes the peer at `index` ready; connects to nothing yet.
    pub(super) fn new(
        upstream: &Settings,
        index: usize,
        standing: Arc<Standing>,
        identities: &ClientIdentities,
        acquaintances: &Acquaintances,
    ) -> Result<Self, UpstreamError> {
        let (name, timeouts) = (upstream.name.clone(), upstream.timeouts);
        let Some(settings) = upstream.peers.get(index).cloned() else {
            return Err(UpstreamError::Unusable { upstream: name, why: format!("it has no peer {index}") });
        };
        let place = match &settings.address {
            Address::Tcp { host, port } => Place::Tcp(Arc::new(Addresses::new(host, *port))),
            Address::Unix(path) => unix_place(&name, path)?,
        };
        let roots = match settings.tls.as_ref().map(|tls| &tls.trust) {
            None => None,
            Some(Trust::Anchors(anchors)) => Some(wrap(&name, anchors.certificates())?),
            // Pinned peers are not verified by chain, but pingora refuses to connect with no root at all.
            Some(Trust::Pinned { .. } | Trust::FirstUse) => Some(wrap(&name, &[throwaway_root()?])?),
        };
        let identity = settings.tls.as_ref().and_then(|tls| tls.identity.as_deref());
        let met = settings.tls.as_ref().filter(|tls| tls.trust == Trust::FirstUse);
        let acquaintance = met.map(|tls| acquaintances.of(&settings.address.to_string(), &tls.server_name));
        Ok(Self {
            upstream: name,
            index,
            acquaintance,
            is_doubtful: AtomicBool::new(false),
            last_failure: Mutex::default(),
            identity: identity.map(|name| Shown::new(identities.get(name))),
            settings,
            timeouts,
            generation: NEXT_GENERATION.fetch_add(1, Ordering::Relaxed),
            place,
            roots,
            admitted: ArcSwapOption::empty(),
            probing: tokio::sync::Mutex::const_new(()),
            failed_probes: AtomicU64::new(0),
            was_unreachable: AtomicBool::new(false),
            health: Mutex::default(),
            standing,
            last_error: ArcSwapOption::empty(),
            requests: AtomicUsize::new(0),
        })
    }

    /// What the configuration says.
    pub fn settings(&self) -> &PeerSettings {
        &self.settings
    }

    /// The name of its upstream.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// What the next connection needs; `long_lived` is for WebSockets.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Resolve`], or [`UpstreamError::NotBelieved`] from the probe of a pinned upstream.
    pub async fn connection(&self, affinity: &Affinity, long_lived: bool) -> Result<Box<HttpPeer>, UpstreamError> {
        let mut peer = match &self.place {
            Place::Tcp(addresses) => {
                let address = self.resolve(addresses).await?;
                self.settle_pin(address).await?;
                HttpPeer::new(address, self.settings.tls.is_some(), self.server_name())
            }
            #[cfg(unix)]
            Place::Unix(path) => HttpPeer::new_uds(path, false, String::new())
                .map_err(|e| UpstreamError::Unusable { upstream: self.upstream.clone(), why: e.to_string() })?,
        };
        self.set_options(&mut peer, long_lived);
        if long_lived && matches!(affinity, Affinity::Shared) {
            // Somebody else's connection would not hesitate.
            peer.options.custom_l4 = Some(upgrade::connector(self.timeouts.connect));
        }
        let generation = match &self.identity {
            Some(identity) => {
                let number = identity.put_on(&mut peer).ok_or_else(|| self.without_identity())?;
                mix(self.generation, number)
            }
            None => self.generation,
        };
        peer.group_key = match affinity {
            Affinity::Shared if long_lived => mix(NEXT_GENERATION.fetch_add(1, Ordering::Relaxed), 0),
            Affinity::Shared => mix(generation, 0),
            Affinity::Own(bond) => mix(generation, bond.id()),
        };
        if let (Affinity::Own(bond), Place::Tcp(_)) = (affinity, &self.place) {
            bond.tie(self.generation, &mut peer);
        }
        Ok(Box::new(peer))
    }

    /// The client identity that a connection shows, by its chain.
    pub fn shown(&self, connection: &HttpPeer) -> Option<Fingerprint> {
        self.identity.as_ref()?.of(connection)
    }

    /// Tells how a request failed on a connection that showed this client identity: when the peer has refused it, the next
    /// request shows another.
    pub fn identity_failed(&self, shown: Option<Fingerprint>, text: &str) {
        if let Some(identity) = &self.identity {
            identity.failed(shown, text);
        }
    }

    /// Tells that a request got an answer on a connection that showed this client identity.
    pub fn identity_answered(&self, shown: Option<Fingerprint>) {
        if let Some((identity, shown)) = self.identity.as_ref().zip(shown) {
            identity.answered(shown);
        }
    }

    /// Whether a connection whose leaf has the SHA-256 `digest` may carry a request.
    ///
    /// With trust anchors rustls has decided. With pins an unknown leaf means one new probe, since the certificate may have
    /// been renewed with the pinned key.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::NotBelieved`]; nothing was sent.
    pub async fn admit(&self, digest: Option<&[u8]>) -> Result<(), UpstreamError> {
        let Some(tls) = &self.settings.tls else { return Ok(()) };
        let shown: Option<[u8; 32]> = digest.and_then(|d| d.try_into().ok());
        let shown = shown.map(Fingerprint);
        let is_known = |shown| match (&tls.trust, &self.acquaintance) {
            (Trust::Anchors(_), _) => true,
            (Trust::Pinned { fingerprints, .. }, _) => {
                fingerprints.contains(&shown) || self.admitted_leaf() == Some(shown)
            }
            // Not what was admitted once: an operator may have accepted another since.
            (Trust::FirstUse, acquaintance) => acquaintance.as_ref().and_then(|it| it.fingerprint()) == Some(shown),
        };
        if matches!(tls.trust, Trust::Anchors(_)) || shown.is_some_and(is_known) {
            return Ok(());
        }
        let Place::Tcp(addresses) = &self.place else { return Ok(()) };
        let address = self.resolve(addresses).await?;
        self.probe_now(address, tls).await?;
        if shown.is_some() && self.admitted_leaf() == shown {
            return Ok(());
        }
        Err(self.not_believed("its certificate changed between two connections".to_owned()))
    }

    /// Whether the certificate of the first use is what this peer is believed by.
    pub fn is_met_at_first_use(&self) -> bool {
        self.acquaintance.is_some()
    }

    /// Believes the certificate with `fingerprint` from now on, if it is the one that the peer shows.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; nothing has changed then.
    pub async fn accept(&self, fingerprint: Fingerprint) -> Result<LeafFacts, AcceptError> {
        let (Some(acquaintance), Some(tls), Place::Tcp(addresses)) =
            (&self.acquaintance, &self.settings.tls, &self.place)
        else {
            return Err(AcceptError::NotAtFirstUse);
        };
        let address = self.resolve(addresses).await?;
        let identity = self.identity.as_ref().and_then(Shown::in_use);
        let handshake = Handshake::new(tls, identity.as_deref());
        let handshake = handshake.map_err(|source| ProbeError::Unfit { address, source })?;
        let shown = handshake.look(address, self.timeouts.connect + HANDSHAKE_EXTRA).await?;
        let leaf = shown.chain.leaf();
        if leaf.fingerprint != fingerprint {
            return Err(AcceptError::ShowsAnother { shown: Box::new(leaf.clone()) });
        }
        acquaintance.accept(&self.upstream, &shown.chain).await?;
        let leaf = leaf.clone();
        self.admitted.store(Some(Arc::new(shown)));
        self.connected();
        Ok(leaf)
    }

    /// Shakes hands once, to learn the certificate and whether it is believed; plain upstreams give `None`.
    ///
    /// # Errors
    ///
    /// As [`Peer::connection`].
    pub async fn probe(&self) -> Result<Option<Arc<Probed>>, UpstreamError> {
        let (Some(tls), Place::Tcp(addresses)) = (&self.settings.tls, &self.place) else { return Ok(None) };
        let address = self.resolve(addresses).await?;
        self.probe_now(address, tls).await.map(Some)
    }

    /// The chain seen by the last good probe.
    pub fn certificate(&self) -> Option<Arc<Probed>> {
        self.admitted.load_full()
    }

    /// Tells that a connection to `address` could not be opened: the next one tries another.
    pub fn connect_failed(&self, address: Option<SocketAddr>, why: String) {
        if let (Place::Tcp(addresses), Some(address)) = (&self.place, address) {
            addresses.failed(address);
        }
        self.fail(why);
    }

    /// Tells that pingora's handshake failed, of which it says little: the next connection begins with one of our own.
    pub fn doubt(&self) {
        self.is_doubtful.store(true, Ordering::Release);
    }

    /// Tells that a connection was opened.
    pub fn connected(&self) {
        // Nearly always so, and asked with each request.
        if self.is_healthy() {
            return;
        }
        let mut health = self.health();
        health.worked();
        self.settle(&health, "");
    }

    /// Whether nothing is known against it: the last connection could be opened, or none was tried, and it passes its
    /// checks.
    pub fn is_healthy(&self) -> bool {
        self.standing.is_good(self.index)
    }

    /// Whether it is given requests.
    pub fn availability(&self, now: Instant) -> Availability {
        if self.is_healthy() { Availability::Up } else { self.health().availability(now) }
    }

    /// Requests that it is answering, WebSockets included.
    pub fn in_flight(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Asks it the way that requests go, on a connection of its own.
    pub(super) async fn ask(&self, rules: &HealthCheck, host: Option<&str>) -> Result<(), CheckError> {
        let identity = self.identity.as_ref().and_then(Shown::in_use);
        let outcome = self.ask_as(identity.as_deref(), rules, host).await;
        if let Err(error) = &outcome {
            let shown = identity.as_ref().map(|identity| identity.chain().fingerprint());
            self.identity_failed(shown, &with_causes(error));
        }
        outcome
    }

    async fn ask_as(
        &self,
        identity: Option<&Identity>,
        rules: &HealthCheck,
        host: Option<&str>,
    ) -> Result<(), CheckError> {
        let own_host = self.settings.address.to_string();
        let addresses = match &self.place {
            Place::Tcp(addresses) => addresses,
            #[cfg(unix)]
            Place::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(CheckError::Socket)?;
                return ask(stream, rules, host.unwrap_or("localhost")).await;
            }
        };
        let resolved = addresses.next().await;
        let address = resolved.map_err(|source| {
            CheckError::Resolve(UpstreamError::Resolve { upstream: self.upstream.clone(), source })
        })?;
        let host = host.unwrap_or(&own_host);
        let limit = self.timeouts.connect + HANDSHAKE_EXTRA;
        let connected = async {
            match &self.settings.tls {
                Some(tls) => Ok(Line::Tls(Box::new(connect(address, tls, identity, self.met(), limit).await?.0))),
                None => match TcpStream::connect(address).await {
                    Ok(stream) => Ok(Line::Plain(stream)),
                    Err(source) => Err(ProbeError::Connect { address, source }),
                },
            }
        };
        match tokio::time::timeout(limit, connected).await {
            Ok(Ok(Line::Tls(stream))) => ask(*stream, rules, host).await,
            Ok(Ok(Line::Plain(stream))) => ask(stream, rules, host).await,
            Ok(Err(error)) => {
                if error.is_unreachable() {
                    addresses.failed(address);
                }
                Err(error.into())
            }
            Err(_elapsed) => {
                addresses.failed(address);
                Err(ProbeError::Timeout { address, limit: self.timeouts.connect + HANDSHAKE_EXTRA }.into())
            }
        }
    }

    /// Tells how a check ended.
    pub(super) fn checked(&self, outcome: Result<(), CheckError>, rules: &HealthCheck) {
        let why = outcome.as_ref().err().map(|error| format!("health check of {}: {}", rules.path, with_causes(error)));
        let mut health = self.health();
        health.checked(outcome.is_ok(), rules);
        if let Some(why) = &why {
            self.last_error.store(Some(Arc::new(why.clone())));
        }
        self.settle(&health, why.as_deref().unwrap_or_default());
    }

    /// Tells how it stands; the lock is held, so that the last word is the last one told.
    fn settle(&self, health: &Health, why: &str) {
        if health.is_good() && why.is_empty() {
            self.last_error.store(None);
        }
        self.standing.set(self.index, health.is_good(), why);
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last connection could not be opened.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.last_error.load_full()
    }

    /// Why TLS with it does not come about now, where that is why the last connection failed.
    pub fn tls_failure(&self) -> Option<TlsFailure> {
        *self.last_failure()
    }

    async fn resolve(&self, addresses: &Arc<Addresses>) -> Result<SocketAddr, UpstreamError> {
        addresses.next().await.map_err(|source| {
            let error = UpstreamError::Resolve { upstream: self.upstream.clone(), source };
            self.fail(error.with_causes());
            error
        })
    }

    /// Reads a pinned upstream's leaf before pingora meets it, and finds out why pingora's handshake failed.
    async fn settle_pin(&self, address: SocketAddr) -> Result<(), UpstreamError> {
        let Some(tls) = &self.settings.tls else { return Ok(()) };
        if self.is_settled(tls) {
            return Ok(());
        }
        let before = self.failed_probes.load(Ordering::Acquire);
        let _one_at_a_time = self.probing.lock().await;
        if self.is_settled(tls) {
            return Ok(());
        }
        if self.failed_probes.load(Ordering::Acquire) != before {
            // Somebody has tried meanwhile. Trying again, one after the other, would let each wait for all before it.
            let why = self.last_error().map(|error| error.to_string()).unwrap_or_default();
            let unreachable = self.was_unreachable.load(Ordering::Relaxed);
            let failure = *self.last_failure();
            return Err(UpstreamError::JustTried { upstream: self.upstream.clone(), why, unreachable, failure });
        }
        self.probe_now(address, tls).await.map(drop)
    }

    /// Whether pingora may meet it.
    fn is_settled(&self, tls: &TlsSettings) -> bool {
        match tls.trust {
            Trust::Anchors(_) => !self.is_doubtful.load(Ordering::Acquire),
            Trust::Pinned { .. } | Trust::FirstUse => self.admitted.load().is_some(),
        }
    }

    fn last_failure(&self) -> std::sync::MutexGuard<'_, Option<TlsFailure>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn met(&self) -> Option<Met<'_>> {
        self.acquaintance.as_ref().map(|acquaintance| Met { acquaintance, upstream: &self.upstream })
    }

    async fn probe_now(&self, address: SocketAddr, tls: &TlsSettings) -> Result<Arc<Probed>, UpstreamError> {
        let identity = self.identity.as_ref().and_then(Shown::in_use);
        let limit = self.timeouts.connect + HANDSHAKE_EXTRA;
        match connect(address, tls, identity.as_deref(), self.met(), limit).await {
            Ok((_stream, probed)) => {
                self.is_doubtful.store(false, Ordering::Release);
                *self.last_failure() = None;
                let probed = Arc::new(probed);
                self.admitted.store(Some(probed.clone()));
                Ok(probed)
            }
            Err(error) => {
                if !matches!(tls.trust, Trust::Anchors(_)) {
                    self.admitted.store(None);
                }
                if let (ProbeError::Handshake { refusal: Some(why), .. }, Some(shown)) = (&error, &self.identity) {
                    let fingerprint = identity.as_ref().map(|identity| identity.chain().fingerprint());
                    shown.refused(fingerprint, *why, &with_causes(&error));
                }
                *self.last_failure() = error.failure();
                self.was_unreachable.store(error.is_unreachable(), Ordering::Relaxed);
                if let (Place::Tcp(addresses), true) = (&self.place, error.is_unreachable()) {
                    addresses.failed(address);
                }
                self.failed_probes.fetch_add(1, Ordering::AcqRel);
                let error = UpstreamError::NotBelieved { upstream: self.upstream.clone(), source: Box::new(error) };
                self.fail(error.with_causes());
                Err(error)
            }
        }
    }

    fn admitted_leaf(&self) -> Option<Fingerprint> {
        self.admitted.load().as_ref().map(|probed| probed.chain.leaf().fingerprint)
    }

    fn not_believed(&self, why: String) -> UpstreamError {
        let error = UpstreamError::Unusable { upstream: self.upstream.clone(), why };
        self.fail(error.to_string());
        error
    }

    fn fail(&self, why: String) {
        let mut health = self.health();
        health.failed(Instant::now());
        self.settle(&health, &why);
        self.last_error.store(Some(Arc::new(why)));
    }

    fn without_identity(&self) -> UpstreamError {
        let why = "there is no client identity to show: its files were never good".to_owned();
        UpstreamError::Unusable { upstream: self.upstream.clone(), why }
    }

    fn server_name(&self) -> String {
        self.settings.tls.as_ref().map(|tls| tls.server_name.clone()).unwrap_or_default()
    }

    fn set_options(&self, peer: &mut HttpPeer, long_lived: bool) {
        let timeouts = &self.timeouts;
        let options = &mut peer.options;
        let traffic = if long_lived { timeouts.websocket_idle } else { timeouts.first_byte };
        options.alpn = ALPN::H1;
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect + HANDSHAKE_EXTRA);
        options.read_timeout = Some(traffic);
        options.write_timeout = Some(traffic);
        options.idle_timeout = Some(timeouts.idle);
        options.ca = self.roots.clone();
        if let Some(TlsSettings { trust: Trust::Pinned { .. } | Trust::FirstUse, .. }) = self.settings.tls {
            options.verify_cert = false;
            options.verify_hostname = false;
        }
    }
}

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its name has no address.
    #[error("the name of upstream `{upstream}` cannot be resolved")]
    Resolve {
        /// Its label.
        upstream: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// The probe refused it, or did not get through.
    #[error("upstream `{upstream}` {}", if source.is_unreachable() { "cannot be reached" } else { "is not believed" })]
    NotBelieved {
        /// Its label.
        upstream: String,
        /// Why.
        source: Box<ProbeError>,
    },
    /// Another request has just tried.
    #[error("upstream `{upstream}` was tried a moment ago: {why}")]
    JustTried {
        /// Its label.
        upstream: String,
        /// What came of it.
        why: String,
        /// Nobody answered.
        unreachable: bool,
        /// What was the matter with whoever did.
        failure: Option<TlsFailure>,
    },
    /// The checks of all its peers fail.
    #[error("upstream `{upstream}` is down: its health checks fail{}", why.as_ref().map(|why| format!(", the last one: {why}")).unwrap_or_default())]
    Down {
        /// Its label.
        upstream: String,
        /// What a check met.
        why: Option<Arc<String>>,
    },
    /// It cannot be used as it is.
    #[error("upstream `{upstream}` cannot be used: {why}")]
    Unusable {
        /// Its label.
        upstream: String,
        /// Why.
        why: String,
    },
}

impl UpstreamError {
    /// Whether nobody answered, so that another of its addresses may be tried.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::NotBelieved { source, .. } => source.is_unreachable(),
            Self::JustTried { unreachable, .. } => *unreachable,
            Self::Resolve { .. } | Self::Down { .. } | Self::Unusable { .. } => false,
        }
    }

    /// What is the matter with the server, where one has answered.
    pub fn failure(&self) -> Option<TlsFailure> {
        match self {
            Self::NotBelieved { source, .. } => source.failure(),
            Self::JustTried { failure, .. } => *failure,
            Self::Unusable { .. } => TlsFailure::in_text(&self.to_string()),
            Self::Resolve { .. } | Self::Down { .. } => None,
        }
    }

    /// The error and its causes in one line.
    pub fn with_causes(&self) -> String {
        with_causes(self)
    }
}

/// Why a certificate was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is believed for another reason.
    #[error("it is not believed by its first use")]
    NotAtFirstUse,
    /// It shows another one than was named.
    #[error("it shows another certificate: {}", in_words(.shown))]
    ShowsAnother {
        /// Which.
        shown: Box<LeafFacts>,
    },
    /// Its name has no address.
    #[error(transparent)]
    Resolve(#[from] UpstreamError),
    /// It could not be asked.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A root that nobody can have issued anything under: its key is gone.
///
/// # Errors
///
/// Fails only when the random source does.
pub fn throwaway_root() -> Result<CertificateDer<'static>, UpstreamError> {
    let make = || {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate()?;
        params.self_signed(&key).map(|certificate| certificate.der().clone())
    };
    make().map_err(|e: rcgen::Error| UpstreamError::Unusable { upstream: "all".into(), why: e.to_string() })
}

/// pingora's wrapper panics on bad DER, so every certificate is read once before.
fn wrap(upstream: &str, certificates: &[CertificateDer<'static>]) -> Result<Arc<[WrappedX509]>, UpstreamError> {
    let wrap_one = |der: &CertificateDer<'static>| match X509Certificate::from_der(der) {
        Ok(_) => Ok(WrappedX509::new(der.to_vec(), parse_x509)),
        Err(e) => Err(UpstreamError::Unusable { upstream: upstream.into(), why: format!("trust anchor: {e}") }),
    };
    certificates.iter().map(wrap_one).collect()
}

#[cfg(unix)]
fn unix_place(upstream: &str, path: &Path) -> Result<Place, UpstreamError> {
    path.to_str().map(|path| Place::Unix(path.to_owned())).ok_or_else(|| UpstreamError::Unusable {
        upstream: upstream.to_owned(),
        why: "the socket's path is not UTF-8".to_owned(),
    })
}

#[cfg(windows)]
fn unix_place(upstream: &str, _path: &Path) -> Result<Place, UpstreamError> {
    Err(UpstreamError::Unusable { upstream: upstream.to_owned(), why: "Windows has no unix: upstreams".to_owned() })
}

/// Spreads two numbers over a pool key (the finalizer of SplitMix64).
const fn mix(generation: u64, owner: u64) -> u64 {
    let mut z = generation.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ owner;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);
/// What a slow handshake may take beyond the time to connect.
pub(super) const HANDSHAKE_EXTRA: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::super::{AffinityRule, RequestBuffering, Upstream};
    use super::*;

    #[tokio::test]
    async fn given_an_unreachable_pinned_upstream_when_many_ask_then_none_waits_for_all_before_it() {
        let upstream =
            Upstream::new(pinned(), Arc::new(|_| {}), &ClientIdentities::default(), &Acquaintances::default())
                .unwrap()
                .peers()[0]
                .clone();
        let held = upstream.probing.lock().await;
        let asked: Vec<_> = (0..20)
            .map(|_| {
                let upstream = upstream.clone();
                tokio::spawn(async move { upstream.connection(&Affinity::Shared, false).await.map(drop) })
            })
            .collect();
        // One thread: after this each of them waits for its turn.
        tokio::task::yield_now().await;
        drop(held);

        for one in asked {
            let error = one.await.unwrap().unwrap_err();
            assert!(error.is_unreachable(), "{}", error.with_causes());
        }
        assert_eq!(upstream.failed_probes.load(Ordering::Acquire), 1);
    }

    /// On a port that nobody listens on.
    fn pinned() -> Settings {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Settings {
            name: "legacy".into(),
            peers: vec![PeerSettings {
                address: Address::Tcp { host: "127.0.0.1".into(), port: free.local_addr().unwrap().port() },
                tls: Some(TlsSettings {
                    server_name: "legacy.local".into(),
                    identity: None,
                    trust: Trust::Pinned { fingerprints: vec![Fingerprint([0; 32])], pins: vec![] },
                }),
            }],
            host: None,
            preset: None,
            timeouts: Timeouts::default(),
            health: None,
            affinity: AffinityRule::Auto,
            request_buffering: RequestBuffering::Off,
        }
    }
}
