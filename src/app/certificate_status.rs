//! Certificates as operators and metrics see them: our own, those of others, and roots.

use std::sync::{Arc, Weak};

use super::{Inner, client_status, client_trust};
use crate::admin::{Certificate, Next};
use crate::lifecycle::{Action, State};
use crate::manager;
use crate::metrics::{CertificateRole, CertificateStatus, RenewalInformation};
use crate::pki::{CertificateChain, LeafFacts};
use crate::source::Settings;
use crate::time::{Clock, SystemClock};
use crate::upstream::{self, Probed, Trust};

/// Every certificate that is used or seen, for the metrics. Nothing once the process is gone.
pub(super) fn certificates(inner: &Weak<Inner>) -> Vec<CertificateStatus> {
    let Some(inner) = inner.upgrade() else { return Vec::new() };
    let own = inner.manager.statuses().into_iter().map(own);
    own.chain(inner.foreign()).chain(inner.internal_ca()).collect()
}

impl Inner {
    /// Certificates of others and for others: shown to us by servers, believed by us, shown to servers by us.
    fn foreign(&self) -> Vec<CertificateStatus> {
        let now = SystemClock.now();
        let of_clients = self.clients.statuses();
        let mut all: Vec<_> = of_clients.iter().flat_map(|status| client_status::certificates(status, now)).collect();
        for upstream in self.server.upstreams() {
            // One series for each upstream: of several peers the certificate that ends first.
            let shown = upstream.peers().iter().filter_map(|peer| peer.certificate());
            all.extend(seen(upstream.settings(), shown.min_by_key(|probed| probed.chain.leaf().not_after)));
        }
        for egress in self.server.egresses() {
            all.extend(seen(egress.client().settings(), egress.client().certificate()));
        }
        all.extend(client_trust::anchors(&self.config.load()));
        all
    }

    fn internal_ca(&self) -> Option<CertificateStatus> {
        let config = self.config.load();
        let is_used = config.certificates.iter().any(|c| matches!(c.source, Settings::Internal));
        let read = || {
            let identity = self.store.internal_ca().ok().flatten()?;
            Some(of_chain("internal-ca", CertificateRole::InternalCa, State::Static, identity.chain()))
        };
        is_used.then(|| self.cas.root(read)).flatten()
    }
}

/// Every certificate that is used or seen, for people.
pub(super) fn shown(inner: &Inner) -> Vec<Certificate> {
    let own = inner.manager.statuses().into_iter().map(|status| {
        let life = &status.life;
        let next = Next {
            action: life.next.action.as_str().to_owned(),
            at: life.next.at,
            reason: life.next.reason,
            why: life.next.why.clone(),
        };
        let failure = life.last_failure.clone();
        let rehearsal = life.rehearsal.as_ref().map(ToString::to_string);
        let diagnosis = inner.record.diagnoses.of(&status.name);
        Certificate { rehearsal, diagnosis, ..Certificate::new(self::own(status), Some(next), failure) }
    });
    let seen = inner.foreign().into_iter().chain(inner.internal_ca());
    own.chain(seen.map(|status| Certificate::new(status, None, None))).collect()
}

/// A certificate of ours.
fn own(status: manager::CertificateStatus) -> CertificateStatus {
    let life = &status.life;
    let leaf = status.leaf.as_ref();
    let text = |of: fn(&LeafFacts) -> String| leaf.map(of).unwrap_or_default();
    CertificateStatus {
        role: CertificateRole::Listener,
        state: life.state,
        // A placeholder has dates too, but nobody is to plan with them.
        not_before: life.not_before,
        not_after: life.not_after,
        chain_not_after: life.not_after.and(status.chain_not_after),
        renewal_due: life.renewal_due,
        emergency: life.emergency.filter(|_| status.source != "files"),
        renewal_manual: status.source == "files",
        issuer: text(|leaf| leaf.issuer.clone()),
        serial: text(|leaf| leaf.serial.clone()),
        sha256: text(|leaf| leaf.fingerprint.to_string()),
        key_type: text(|leaf| leaf.key_type.clone()),
        profile: status.profile.unwrap_or_default(),
        sans: leaf.map_or(status.identifiers, |leaf| leaf.names.clone()),
        consecutive_failures: life.consecutive_failures,
        last_attempt: life.last_attempt,
        last_success: life.last_success,
        next_attempt: life.next.at,
        next_action: life.next.action.as_str(),
        next_reason: life.next.reason,
        information: life.info.as_ref().map(|info| RenewalInformation {
            window: info.window.as_ref().map(|window| (window.start, window.end)),
            asked_at: info.asked_at,
            explanation: info.window.as_ref().and_then(|window| window.explanation.clone()),
        }),
        stored: status.stored,
        name: status.name,
    }
}

/// The certificate that an upstream showed, and the trust anchors that it is judged by.
fn seen(upstream: &upstream::Settings, shown: Option<Arc<Probed>>) -> Vec<CertificateStatus> {
    let name = &upstream.name;
    let mut all = Vec::new();
    all.extend(shown.map(|probed| of_chain(name, CertificateRole::UpstreamPeer, State::Static, &probed.chain)));
    let tls = upstream.peers.iter().find_map(|peer| peer.tls.as_ref());
    if let Some(Trust::Anchors(anchors)) = tls.map(|tls| &tls.trust) {
        // Of several anchors the one that ends first; all of Mozilla's would be noise.
        let chains = anchors.certificates().iter().filter_map(|der| CertificateChain::from_der(vec![der.clone()]).ok());
        let first = chains.min_by_key(|chain| chain.leaf().not_after).filter(|_| anchors.certificates().len() <= FEW);
        all.extend(first.map(|chain| of_chain(name, CertificateRole::TrustAnchor, State::Static, &chain)));
    }
    all
}

pub(super) fn of_chain(name: &str, role: CertificateRole, state: State, chain: &CertificateChain) -> CertificateStatus {
    let leaf = chain.leaf();
    CertificateStatus {
        name: name.to_owned(),
        role,
        state,
        not_before: Some(leaf.not_before),
        not_after: Some(leaf.not_after),
        chain_not_after: Some(chain.not_after()),
        renewal_due: None,
        emergency: None,
        renewal_manual: true,
        issuer: leaf.issuer.clone(),
        serial: leaf.serial.clone(),
        sha256: leaf.fingerprint.to_string(),
        key_type: leaf.key_type.clone(),
        profile: String::new(),
        sans: leaf.names.clone(),
        consecutive_failures: 0,
        last_attempt: None,
        last_success: None,
        next_attempt: None,
        next_action: Action::Nothing.as_str(),
        next_reason: "by_hand",
        information: None,
        stored: None,
    }
}

/// More trust anchors than this are a list that somebody else keeps.
const FEW: usize = 8;
