//! An upstream: its peers, and which of them takes the next request.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::choice::{Candidate, choose};
use super::{Acquaintances, ClientIdentities, Peer, Settings, UpstreamError, check};

/// One upstream at work.
pub struct Upstream {
    settings: Settings,
    /// Unique in the process.
    id: u64,
    peers: Vec<Arc<Peer>>,
    standing: Arc<Standing>,
    has_begun: AtomicBool,
}

impl Upstream {
    /// Makes an upstream ready; connects to nothing yet. `observer` is told when a peer's health changes, `identities` has
    /// those that the settings name, `acquaintances` what was seen at first use.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`] when a trust anchor cannot be used or a socket's path is no text.
    pub fn new(
        settings: Settings,
        observer: Observer,
        identities: &ClientIdentities,
        acquaintances: &Acquaintances,
    ) -> Result<Self, UpstreamError> {
        let standing = Arc::new(Standing::new(&settings, observer));
        let peer = |index| Peer::new(&settings, index, standing.clone(), identities, acquaintances).map(Arc::new);
        let peers = (0..settings.peers.len()).map(peer).collect::<Result<_, _>>()?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self { settings, id, peers, standing, has_begun: AtomicBool::new(false) })
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Unique in the process, so that what is remembered about an upstream is never taken for another's.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its peers, in the order of the configuration.
    pub fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// The peer for the next try of a request, which counts there until what is returned drops; `preferred` wins unless it
    /// was tried or has just failed. `None` when every peer is down by its checks.
    pub fn choose(&self, tried: Tried, preferred: Option<usize>) -> Option<Chosen> {
        let now = Instant::now();
        let candidate = |(index, peer): (usize, &Arc<Peer>)| Candidate {
            availability: peer.availability(now),
            in_flight: peer.in_flight(),
            is_tried: tried.has(index),
        };
        let is_fit = |index: &usize| {
            !tried.has(*index) && self.peers.get(*index).is_some_and(|peer| peer.availability(now).is_up())
        };
        let index = match preferred.filter(is_fit) {
            Some(index) => index,
            None => choose(self.peers.iter().enumerate().map(candidate), &mut rand::rng())?,
        };
        self.peers.get(index).map(|peer| Chosen::new(peer.clone(), index))
    }

    /// Whether a request that was tried on these peers could be tried on another one.
    pub fn has_another(&self, tried: Tried) -> bool {
        let now = Instant::now();
        self.peers.iter().enumerate().any(|(index, peer)| !tried.has(index) && !peer.availability(now).is_down())
    }

    /// Whether nothing is known against at least one peer.
    pub fn is_healthy(&self) -> bool {
        self.standing.any()
    }

    /// Tells the observer how the peers stand, and begins the checks that the settings ask for; they end with the
    /// upstream. A second call does nothing.
    pub fn begin(self: &Arc<Self>) {
        if self.has_begun.swap(true, Ordering::Relaxed) {
            return;
        }
        for peer in &self.standing.peers {
            self.standing.tell(peer, peer.is_good.load(Ordering::Acquire));
        }
        if self.settings.health.is_none() {
            return;
        }
        for index in 0..self.peers.len() {
            tokio::spawn(check::run(Arc::downgrade(self), index));
        }
    }

    /// Tells nobody anything from now on: another upstream may have the name. Requests that it has are finished.
    pub fn retire(&self) {
        self.standing.is_retired.store(true, Ordering::Release);
    }

    /// Whether it has no successor yet.
    pub(super) fn is_in_use(&self) -> bool {
        !self.standing.is_retired.load(Ordering::Acquire)
    }
}

/// The peers that a request was tried on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried(u32);

impl Tried {
    /// Adds one.
    pub fn add(&mut self, index: usize) {
        self.0 |= Self::bit(index);
    }

    fn has(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    fn bit(index: usize) -> u32 {
        u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0)
    }
}

/// A peer that was chosen for a request, counted as in flight there until this drops.
pub struct Chosen {
    peer: Arc<Peer>,
    /// Among the upstream's peers.
    pub index: usize,
}

impl Chosen {
    fn new(peer: Arc<Peer>, index: usize) -> Self {
        peer.requests.fetch_add(1, Ordering::Relaxed);
        Self { peer, index }
    }
}

impl Deref for Chosen {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.peer.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Is told that a peer's health changed, and when the upstream begins.
pub type Observer = Arc<dyn Fn(&Change<'_>) + Send + Sync>;

/// How a peer stands from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The peer: `host:port`.
    pub peer: &'a str,
    /// Whether nothing is known against the peer.
    pub is_healthy: bool,
    /// The same of at least one peer of the upstream.
    pub is_any_healthy: bool,
}

/// How the peers stand, with whoever wants to know.
pub(super) struct Standing {
    upstream: String,
    peers: Vec<PeerStanding>,
    good: AtomicUsize,
    observer: Observer,
    /// Whether changes are told in the log; where there is one peer, the lines of its requests say it all.
    is_logged: bool,
    is_retired: AtomicBool,
}

struct PeerStanding {
    label: String,
    is_good: AtomicBool,
    told: Mutex<Told>,
}

/// What the log knows of a peer.
#[derive(Debug, Default)]
struct Told {
    /// When it was last told to be bad.
    bad_at: Option<Instant>,
    /// That it is bad was the last that was told.
    is_bad: bool,
}

impl Standing {
    fn new(settings: &Settings, observer: Observer) -> Self {
        let peer = |label| PeerStanding { label, is_good: AtomicBool::new(true), told: Mutex::default() };
        let peers: Vec<_> = settings.peers.iter().map(|settings| peer(settings.address.to_string())).collect();
        Self {
            upstream: settings.name.clone(),
            good: AtomicUsize::new(peers.len()),
            is_logged: peers.len() > 1 || settings.health.is_some(),
            is_retired: AtomicBool::new(false),
            peers,
            observer,
        }
    }

    /// Whether nothing is known against a peer.
    pub(super) fn is_good(&self, index: usize) -> bool {
        self.peers.get(index).is_some_and(|peer| peer.is_good.load(Ordering::Acquire))
    }

    fn any(&self) -> bool {
        self.good.load(Ordering::Acquire) > 0
    }

    /// Changes one; the caller holds the lock of that peer's health. Only a change is told.
    pub(super) fn set(&self, index: usize, is_good: bool, why: &str) {
        let Some(peer) = self.peers.get(index) else { return };
        if peer.is_good.swap(is_good, Ordering::AcqRel) == is_good {
            return;
        }
        let left = if is_good {
            self.good.fetch_add(1, Ordering::AcqRel) + 1
        } else {
            self.good.fetch_sub(1, Ordering::AcqRel) - 1
        };
        self.log(peer, is_good, left, why);
        self.tell(peer, is_good);
    }

    /// A peer that comes and goes many times in a second is told once in a while.
    fn log(&self, peer: &PeerStanding, is_good: bool, left: usize, why: &str) {
        let (upstream, now) = (&self.upstream, Instant::now());
        let mut told = peer.told.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = &peer.label;
        let is_due = told.bad_at.is_none_or(|at| now >= at + TOLD_EVERY);
        if !self.is_logged || self.is_retired.load(Ordering::Acquire) || !(if is_good { told.is_bad } else { is_due }) {
            debug!(upstream, peer, is_good, left, "{why}");
        } else if is_good {
            told.is_bad = false;
            info!(upstream, peer, left, "a peer of the upstream is used again");
        } else {
            *told = Told { bad_at: Some(now), is_bad: true };
            warn!(upstream, peer, left, "a peer of the upstream is left out: {why}");
        }
    }

    fn tell(&self, peer: &PeerStanding, is_healthy: bool) {
        if self.is_retired.load(Ordering::Acquire) {
            return;
        }
        let peer = &peer.label;
        (self.observer)(&Change { upstream: &self.upstream, peer, is_healthy, is_any_healthy: self.any() });
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// How often the log says of one peer that it is left out.
const TOLD_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::{Address, AffinityRule, PeerSettings, RequestBuffering, Timeouts};
    use super::*;

    #[test]
    fn given_requests_in_flight_when_chosen_then_the_idle_peer_until_they_end() {
        let upstream = upstream(2);
        let first = upstream.choose(Tried::default(), None).unwrap();
        let second = upstream.choose(Tried::default(), None).unwrap();
        assert_ne!(first.index, second.index);

        let index = first.index;
        drop(first);

        assert_eq!(upstream.choose(Tried::default(), None).unwrap().index, index);
    }

    #[test]
    fn given_a_preferred_peer_when_chosen_then_it_until_it_fails_or_was_tried() {
        let upstream = upstream(2);
        let _busy = upstream.choose(Tried::default(), Some(1)).unwrap();
        assert_eq!(upstream.choose(Tried::default(), Some(1)).unwrap().index, 1);
        let mut tried = Tried::default();
        tried.add(1);
        assert_eq!(upstream.choose(tried, Some(1)).unwrap().index, 0);

        upstream.peers()[1].connect_failed(None, "refused".into());

        assert_eq!(upstream.choose(Tried::default(), Some(1)).unwrap().index, 0);
    }

    #[test]
    fn given_peers_that_fail_one_by_one_when_told_then_each_change_once_and_the_last_says_none_is_left() {
        let seen: Arc<Mutex<Vec<(String, bool, bool)>>> = Arc::default();
        let record = seen.clone();
        let observer: Observer = Arc::new(move |change| {
            record.lock().unwrap().push((change.peer.to_owned(), change.is_healthy, change.is_any_healthy));
        });
        let upstream =
            Upstream::new(settings(2), observer, &ClientIdentities::default(), &Acquaintances::default()).unwrap();

        for index in [0, 0, 1] {
            upstream.peers()[index].connect_failed(None, "refused".into());
        }
        assert!(!upstream.is_healthy());
        assert!(upstream.choose(Tried::default(), None).is_some(), "the last one is never given up");
        upstream.peers()[0].connected();

        let told = seen.lock().unwrap().clone();
        let row = |port: u16, good, any| (format!("127.0.0.1:{port}"), good, any);
        assert_eq!(told, [row(1, false, true), row(2, false, false), row(1, true, true)]);
    }

    fn upstream(peers: u16) -> Upstream {
        Upstream::new(settings(peers), Arc::new(|_| {}), &ClientIdentities::default(), &Acquaintances::default())
            .unwrap()
    }

    fn settings(peers: u16) -> Settings {
        let peer = |port| PeerSettings { address: Address::Tcp { host: "127.0.0.1".into(), port }, tls: None };
        Settings {
            name: "app".into(),
            peers: (1..=peers).map(peer).collect(),
            host: None,
            preset: None,
            timeouts: Timeouts::default(),
            health: None,
            affinity: AffinityRule::Auto,
            request_buffering: RequestBuffering::Off,
        }
    }
}
