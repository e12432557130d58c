//! One peer: what the next connection to it needs, and whether the one that answered may be believed.

mod belief;
mod condition;
mod error;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::{ALPN, HttpPeer};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use self::belief::Leaves;
pub use self::error::{AcceptError, UpstreamError};
use super::acquaintance::Acquaintance;
use super::affinity::Affinity;
use super::group::Standing;
use super::health::Health;
use super::probe::Probed;
use super::resolve::Addresses;
use super::shown::Shown;
use super::upgrade;
use super::{
    Acquaintances, Address, ClientIdentities, PeerSettings, Settings, Timeouts, TlsFailure, TlsSettings, Trust,
};
use crate::pki::Fingerprint;

/// One peer of an upstream at work: its addresses, its trust, its health and its part of the connection pool.
pub struct Peer {
    /// The upstream's name.
    upstream: String,
    /// Among the upstream's peers.
    index: usize,
    settings: PeerSettings,
    timeouts: Timeouts,
    /// Unique in the process.
    id: u64,
    /// Part of every pool key: unique in the process, so that neither a reload nor a newly accepted certificate meets an old
    /// connection.
    generation: AtomicU64,
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
    /// Those that a pin has admitted.
    leaves: Leaves,
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
            id: next_generation(),
            generation: AtomicU64::new(next_generation()),
            place,
            roots,
            admitted: ArcSwapOption::empty(),
            leaves: Leaves::default(),
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

    /// Unique in the process.
    pub fn id(&self) -> u64 {
        self.id
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
            // Nobody could use it again where the server does not upgrade, and it would take a place in the pool.
            peer.options.idle_timeout = Some(Duration::ZERO);
        }
        let generation = match &self.identity {
            Some(identity) => {
                let number = identity.put_on(&mut peer).ok_or_else(|| self.without_identity())?;
                mix(self.generation.load(Ordering::Acquire), number)
            }
            None => self.generation.load(Ordering::Acquire),
        };
        peer.group_key = match affinity {
            Affinity::Shared if long_lived => mix(next_generation(), 0),
            Affinity::Shared => mix(generation, 0),
            Affinity::Own(bond) => mix(generation, bond.id()),
        };
        if let (Affinity::Own(bond), Place::Tcp(_)) = (affinity, &self.place) {
            bond.tie(self.id, &mut peer);
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

    async fn resolve(&self, addresses: &Arc<Addresses>) -> Result<SocketAddr, UpstreamError> {
        addresses.next().await.map_err(|source| {
            let error = UpstreamError::Resolve { upstream: self.upstream.clone(), source };
            self.fail(error.with_causes());
            error
        })
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

fn next_generation() -> u64 {
    NEXT_GENERATION.fetch_add(1, Ordering::Relaxed)
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
