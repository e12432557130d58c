//! Whether a peer is who it is said to be.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::{AcceptError, HANDSHAKE_EXTRA, Peer, Place, UpstreamError, next_generation};
use crate::causes::with_causes;
use crate::pki::{Fingerprint, LeafFacts};
use crate::upstream::handshake::{Handshake, Met};
use crate::upstream::probe::{ProbeError, Probed, connect};
use crate::upstream::shown::Shown;
use crate::upstream::{TlsFailure, TlsSettings, Trust};

impl Peer {
    /// Whether a connection whose leaf has the SHA-256 `digest` may carry a request.
    ///
    /// With trust anchors rustls has decided. With pins an unknown leaf means a new probe, since the certificate may have been
    /// renewed with the pinned key; a few of them, since behind one address there may be servers with a leaf each.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::NotBelieved`], or [`UpstreamError::Changed`] when no probe has met that leaf; nothing was sent.
    pub async fn admit(&self, digest: Option<&[u8]>) -> Result<(), UpstreamError> {
        let Some(tls) = &self.settings.tls else { return Ok(()) };
        if matches!(tls.trust, Trust::Anchors(_)) {
            return Ok(());
        }
        let shown = digest.and_then(|digest| digest.try_into().ok()).map(Fingerprint);
        let is_known = || shown.is_some_and(|shown| self.is_known(&tls.trust, shown));
        let Place::Tcp(addresses) = &self.place else { return Ok(()) };
        if is_known() {
            return Ok(());
        }
        let _one_at_a_time = self.probing.lock().await;
        for _ in 0..looks(&tls.trust) {
            if is_known() {
                return Ok(());
            }
            let address = self.resolve(addresses).await?;
            self.probe_now(address, tls).await?;
        }
        if is_known() { Ok(()) } else { Err(self.changed(shown)) }
    }

    /// Whether a leaf was seen in a handshake that proved its key, and is believed.
    fn is_known(&self, trust: &Trust, shown: Fingerprint) -> bool {
        match (trust, &self.acquaintance) {
            (Trust::Anchors(_), _) => true,
            (Trust::Pinned { fingerprints, .. }, _) => fingerprints.contains(&shown) || self.leaves.contains(shown),
            // Not what was admitted once: an operator may have accepted another since.
            (Trust::FirstUse, acquaintance) => acquaintance.as_ref().and_then(|it| it.fingerprint()) == Some(shown),
        }
    }

    fn changed(&self, shown: Option<Fingerprint>) -> UpstreamError {
        let error = UpstreamError::Changed { upstream: self.upstream.clone(), shown, probed: self.admitted_leaf() };
        self.fail(error.to_string());
        error
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
        // Connections that showed the one before are not believed any more.
        self.generation.store(next_generation(), Ordering::Release);
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

    /// Tells that pingora's handshake failed, of which it says little: the next connection begins with one of our own.
    pub fn doubt(&self) {
        self.is_doubtful.store(true, Ordering::Release);
    }

    /// Reads a pinned upstream's leaf before pingora meets it, and finds out why pingora's handshake failed.
    pub(super) async fn settle_pin(&self, address: SocketAddr) -> Result<(), UpstreamError> {
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
    pub(super) fn is_settled(&self, tls: &TlsSettings) -> bool {
        match tls.trust {
            _ if self.is_doubtful.load(Ordering::Acquire) => false,
            Trust::Anchors(_) => true,
            Trust::Pinned { .. } | Trust::FirstUse => self.admitted.load().is_some(),
        }
    }

    /// Why TLS with it does not come about now, where that is why the last connection failed.
    pub fn tls_failure(&self) -> Option<TlsFailure> {
        *self.last_failure()
    }

    pub(super) fn last_failure(&self) -> std::sync::MutexGuard<'_, Option<TlsFailure>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn met(&self) -> Option<Met<'_>> {
        self.acquaintance.as_ref().map(|acquaintance| Met { acquaintance, upstream: &self.upstream })
    }

    pub(super) async fn probe_now(&self, address: SocketAddr, tls: &TlsSettings) -> Result<Arc<Probed>, UpstreamError> {
        let identity = self.identity.as_ref().and_then(Shown::in_use);
        let limit = self.timeouts.connect + HANDSHAKE_EXTRA;
        match connect(address, tls, identity.as_deref(), self.met(), limit).await {
            Ok((_stream, probed)) => {
                self.is_doubtful.store(false, Ordering::Release);
                *self.last_failure() = None;
                let probed = Arc::new(probed);
                if let Trust::Pinned { .. } = tls.trust {
                    self.leaves.add(probed.chain.leaf().fingerprint);
                }
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

    pub(super) fn admitted_leaf(&self) -> Option<Fingerprint> {
        self.admitted.load().as_ref().map(|probed| probed.chain.leaf().fingerprint)
    }
}

/// The leaves that pins have admitted, the last few; they may be shown in any order.
///
/// # Why
///
/// A pin is for a key, which may be in several leaves at once: an old connection still has the one before, and servers behind
/// one address have one each. Whoever has shown one of them has proven that key.
#[derive(Debug, Default)]
pub(super) struct Leaves(Mutex<VecDeque<Fingerprint>>);

impl Leaves {
    fn contains(&self, leaf: Fingerprint) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&leaf)
    }

    fn add(&self, leaf: Fingerprint) {
        let mut leaves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leaves.contains(&leaf) {
            return;
        }
        leaves.truncate(LEAVES - 1);
        leaves.push_front(leaf);
    }
}

/// How often an unknown leaf is looked for; only a key can be in several.
fn looks(trust: &Trust) -> usize {
    match trust {
        Trust::Pinned { pins, .. } if !pins.is_empty() => 3,
        Trust::Pinned { .. } | Trust::FirstUse | Trust::Anchors(_) => 1,
    }
}

/// More than a load balancer has servers whose certificates were made apart.
const LEAVES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_more_leaves_than_are_kept_when_added_then_the_oldest_is_forgotten() {
        let leaves = Leaves::default();
        let leaf = |number| Fingerprint([number; 32]);
        (0..=8).chain([8]).for_each(|number| leaves.add(leaf(number)));
        assert_eq!(
            (0..=8).filter(|number| leaves.contains(leaf(*number))).collect::<Vec<_>>(),
            (1..=8).collect::<Vec<_>>()
        );
    }
}
