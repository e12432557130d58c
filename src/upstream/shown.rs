//! A client identity in pingora's form.
//!
//! pingora keeps a copy of the key for each connection that it opens, and does not wipe it. Where that weighs more than what
//! pingora does for a site, use an egress.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::CertKey;

use super::identity::ClientIdentity;
use super::refusal::refusal_in_text;
use crate::lifecycle::rotation::Refusal;
use crate::pki::{Fingerprint, Identity};

/// What a peer's connections show, made once for each identity.
pub(super) struct Shown {
    identity: Arc<ClientIdentity>,
    made: ArcSwapOption<Made>,
}

struct Made {
    fingerprint: Fingerprint,
    key: Arc<CertKey>,
}

impl Shown {
    pub(super) fn new(identity: Arc<ClientIdentity>) -> Self {
        Self { identity, made: ArcSwapOption::empty() }
    }

    /// What a handshake of our own shows.
    pub(super) fn in_use(&self) -> Option<Arc<Identity>> {
        self.identity.in_use()
    }

    /// Lets a connection show the identity in use, and gives a number for its pool key, so that connections of another
    /// identity are never taken for its own. `None` when there is no identity.
    pub(super) fn put_on(&self, connection: &mut HttpPeer) -> Option<u64> {
        let identity = self.identity.in_use()?;
        let fingerprint = identity.chain().fingerprint();
        let made = match self.made.load_full().filter(|made| made.fingerprint == fingerprint) {
            Some(made) => made,
            None => {
                let certificates = identity.chain().certificates().iter().map(|der| der.to_vec()).collect();
                let key = Arc::new(CertKey::new(certificates, identity.key().der().to_vec()));
                let made = Arc::new(Made { fingerprint, key });
                self.made.store(Some(made.clone()));
                made
            }
        };
        connection.client_cert_key = Some(made.key.clone());
        Some(number(fingerprint))
    }

    /// What a connection shows.
    pub(super) fn of(&self, connection: &HttpPeer) -> Option<Fingerprint> {
        let key = connection.client_cert_key.as_ref()?;
        if let Some(made) = self.made.load().as_ref().filter(|made| Arc::ptr_eq(&made.key, key)) {
            return Some(made.fingerprint);
        }
        let rest = key.intermediates();
        let chain = std::iter::once(key.leaf()).chain(rest).map(|certificate| certificate.borrow_raw_cert().as_slice());
        Some(Fingerprint::of(&chain.collect::<Vec<_>>().concat()))
    }

    /// Tells how a connection that showed the chain of this fingerprint failed.
    pub(super) fn failed(&self, shown: Option<Fingerprint>, text: &str) {
        if let Some(why) = refusal_in_text(text) {
            self.identity.refused(shown, why, text);
        }
    }

    /// Tells what a handshake of our own was told of the chain of this fingerprint.
    pub(super) fn refused(&self, shown: Option<Fingerprint>, why: Refusal, text: &str) {
        self.identity.refused(shown, why, text);
    }

    /// Tells that a request which showed the chain of this fingerprint got an answer.
    ///
    /// A 403 is none of its business: the application behind a site has reasons of its own to send one.
    pub(super) fn answered(&self, shown: Fingerprint) {
        self.identity.answered(shown);
    }
}

fn number(fingerprint: Fingerprint) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = fingerprint.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
