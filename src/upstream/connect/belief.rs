//! Whether a peer is who it is said to be.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{AcceptError, HANDSHAKE_EXTRA, Peer, Place, UpstreamError};
use crate::causes::with_causes;
use crate::pki::{Fingerprint, LeafFacts};
use crate::upstream::handshake::{Handshake, Met};
use crate::upstream::probe::{ProbeError, Probed, connect};
use crate::upstream::shown::Shown;
use crate::upstream::{TlsFailure, TlsSettings, Trust};

impl Peer {
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
            Trust::Anchors(_) => !self.is_doubtful.load(Ordering::Acquire),
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
