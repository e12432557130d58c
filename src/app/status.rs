//! What the operators' listener shows, gathered from the rooms.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, Weak};

use tokio::time::Instant;

use super::listeners::Kind;
use super::{App, Inner, client_status, client_trust};
use crate::admin::{
    self, Acme, Certificate, Http1Only, Listener, ListenerKind, Next, Observed, Observing, Reload, Status,
};
use crate::lifecycle::budget::{Limit, Standing};
use crate::lifecycle::{Action, LastFailure, State};
use crate::manager;
use crate::metrics::{
    BudgetLeft, CertificateRole, CertificateStatus, ClientIdentityStatus, RenewalInformation, ServedStatus,
};
use crate::pki::{CertificateChain, LeafFacts};
use crate::probe::{Finding, Sight, Truth};
use crate::proxy::Seen;
use crate::route::{Line, Mode};
use crate::source::acme::{self, CaBudget, account_url};
use crate::source::{self, Settings};
use crate::time::{Clock, SystemClock};
use crate::tls::SiteSettings;
use crate::upstream::{self, Peer, Probed, Trust, Upstream};

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Listeners are not open yet.
    Starting,
    /// Serving.
    Ready,
    /// Finishing open requests.
    Draining,
}

/// The process as operators see it.
pub(super) struct View(pub(super) App);

impl admin::State for View {
    fn metrics(&self) -> Vec<u8> {
        self.0.0.metrics.render()
    }

    fn status(&self) -> Status {
        let inner = &self.0.0;
        let now = SystemClock.now();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now,
            started: inner.started,
            uptime: now.since(inner.started).as_secs(),
            config_file: inner.file.as_deref().map(absolute),
            last_reload: inner.last_reload(),
            descriptor_limit: inner.descriptors,
            listeners: inner.listeners().open().into_iter().map(listener).collect(),
            http1_only: http1_only(inner),
            observe: observing(inner),
            certificates: shown(inner),
            served: inner.truth.sights().into_iter().map(sight).collect(),
            client_identities: inner.clients.statuses().into_iter().map(|it| client_status::shown(it, now)).collect(),
            upstreams: inner.server.upstreams().iter().map(|upstream| self::upstream(upstream)).collect(),
            troubles: inner.server.troubles().into_iter().map(trouble).collect(),
            acme: accounts(inner),
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn readiness(&self, strict: bool) -> Result<(), Vec<String>> {
        let inner = &self.0.0;
        let mut missing = match *inner.phase.borrow() {
            Phase::Starting => vec!["the listeners are not open yet".to_owned()],
            Phase::Draining => vec!["draining: no new connections are accepted".to_owned()],
            Phase::Ready => Vec::new(),
        };
        if strict {
            let all = inner.manager.statuses();
            let unfit = all.iter().filter(|c| !matches!(c.life.state, State::Issued | State::Static));
            missing.extend(unfit.map(|c| format!("certificate {}: {}", c.name, c.life.state.as_str())));
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }
}

/// Every certificate that is used or seen, for the metrics. Nothing once the process is gone.
pub(super) fn certificates(inner: &Weak<Inner>) -> Vec<CertificateStatus> {
    let Some(inner) = inner.upgrade() else { return Vec::new() };
    let own = inner.manager.statuses().into_iter().map(own);
    own.chain(inner.foreign()).chain(inner.internal_ca()).collect()
}

/// What our own listeners were seen to serve, for the metrics.
pub(super) fn served(truth: &Truth) -> Vec<ServedStatus> {
    let of = |sight: Sight| {
        let shown = sight.proof.as_ref().and_then(|(_, finding)| match finding {
            Finding::Shown { not_after, .. } => Some(*not_after),
            Finding::Fault(_) => None,
        });
        ServedStatus {
            certificate: sight.target.certificate.clone(),
            listener: sight.target.listener.clone(),
            domain: sight.target.domain.clone(),
            not_after: shown,
            matches: sight.proof.as_ref().map(|(_, finding)| finding.is_good()),
            at: sight.proof.map_or(sight.since, |(at, _)| at),
        }
    };
    truth.sights().into_iter().map(of).collect()
}

fn sight(sight: Sight) -> admin::Served {
    let Sight { target, proof, last, .. } = sight;
    admin::Served {
        certificate: target.certificate.clone(),
        listener: target.listener.clone(),
        name: target.domain.clone(),
        at: proof.as_ref().map(|(at, _)| *at),
        as_published: proof.as_ref().map(|(_, finding)| finding.is_good()),
        found: last.map_or_else(|| "not looked at yet".to_owned(), |finding| finding.to_string()),
    }
}

/// How every client identity stands, for the metrics. Nothing once the process is gone.
pub(super) fn client_identities(inner: &Weak<Inner>) -> Vec<ClientIdentityStatus> {
    let Some(inner) = inner.upgrade() else { return Vec::new() };
    inner.clients.statuses().iter().map(client_status::numbers).collect()
}

/// What ACME CAs still allow, for the metrics. Nothing once the process is gone, or where the ledger cannot be read.
pub(super) fn budgets(inner: &Weak<Inner>) -> Vec<BudgetLeft> {
    let Some(inner) = inner.upgrade() else { return Vec::new() };
    let config = inner.config.load();
    let all = acme::budgets(&inner.store, &config.certificates, SystemClock.now()).unwrap_or_default();
    all.iter().flat_map(left).collect()
}

/// Of several names of one certificate, the one with the least.
fn left(budget: &CaBudget) -> Vec<BudgetLeft> {
    let ca = source::host(&budget.directory);
    let of = |certificate: &str, standings: &[Standing]| {
        let mut least: BTreeMap<Limit, u32> = BTreeMap::new();
        for standing in standings {
            let left = least.entry(standing.limit).or_insert(standing.left);
            *left = standing.left.min(*left);
        }
        let told = |(limit, left)| BudgetLeft { ca: ca.clone(), limit, certificate: certificate.to_owned(), left };
        least.into_iter().map(told).collect::<Vec<_>>()
    };
    let certificates = budget.certificates.iter().flat_map(|it| of(&it.name, &it.standings));
    of("", &budget.standings).into_iter().chain(certificates).collect()
}

impl Inner {
    pub(super) fn last_reload(&self) -> Reload {
        match &*self.last_reload.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(outcome) => Reload { ok: outcome.error.is_none(), at: outcome.at, error: outcome.error.clone() },
            None => Reload { ok: true, at: self.started, error: None },
        }
    }

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
        let identity = is_used.then(|| self.store.internal_ca().ok().flatten())??;
        let role = CertificateRole::InternalCa;
        Some(of_chain("internal-ca", role, State::Static, identity.chain()))
    }
}

/// The sites that HTTP/2 is not offered for.
fn http1_only(inner: &Inner) -> Vec<Http1Only> {
    let config = inner.config.load();
    let why = |site: &SiteSettings| match inner.ntlm_sites.seen(&site.name) {
        _ if site.is_http1_only => Some(None),
        Some(seen) => Some(Some(seen.at)),
        None => None,
    };
    let of = |site: &SiteSettings| Some(Http1Only { site: site.name.clone(), since: why(site)? });
    config.tls.iter().filter_map(of).collect()
}

/// The sites in `observe`, and what was seen of them.
fn observing(inner: &Inner) -> Vec<Observing> {
    let config = inner.config.load();
    let sites = config.route.sites.iter().filter(|site| site.https.mode == Mode::Observe);
    sites
        .map(|site| {
            let lines = inner.server.observed(&site.name);
            let sum = |refused: bool| {
                let kinds = lines.iter().filter(|line| line.observed.would.refuses() == refused);
                kinds.map(|line| line.count).sum::<u64>()
            };
            Observing {
                site: site.name.clone(),
                since: inner.started,
                would_refuse: sum(true),
                would_redirect: sum(false),
                requests: lines.iter().map(observed).collect(),
            }
        })
        .collect()
}

fn observed(line: &Line) -> Observed {
    Observed {
        path: line.observed.place.clone(),
        client: line.agent.as_str(),
        who: line.agent.in_words(),
        risk: line.risk().as_str(),
        why: line.observed.would.why(),
        method: line.method,
        count: line.count,
        first_seen: line.first,
        last_seen: line.last,
    }
}

/// As `cd` does not change it.
fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

fn shown(inner: &Inner) -> Vec<Certificate> {
    let own = inner.manager.statuses().into_iter().map(|status| {
        let life = &status.life;
        let next = Next {
            action: life.next.action.as_str().to_owned(),
            at: life.next.at,
            reason: life.next.reason,
            why: life.next.why.clone(),
        };
        let error = life.last_failure.as_ref().map(LastFailure::told);
        let rehearsal = life.rehearsal.as_ref().map(ToString::to_string);
        Certificate { rehearsal, ..Certificate::new(self::own(status), Some(next), error) }
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
        profile: String::new(),
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

fn listener((kind, address): (Kind, std::net::SocketAddr)) -> Listener {
    let kind = match kind {
        Kind::Http => ListenerKind::Http,
        Kind::Https => ListenerKind::Https,
        Kind::Admin => ListenerKind::Admin,
        Kind::Egress => ListenerKind::Egress,
    };
    Listener { kind, address: address.to_string() }
}

fn upstream(upstream: &Upstream) -> admin::Upstream {
    let settings = upstream.settings();
    let peers: Vec<_> = upstream.peers().iter().map(|peer| self::peer(peer)).collect();
    admin::Upstream {
        name: settings.name.clone(),
        address: peers.iter().map(|peer| &*peer.address).collect::<Vec<_>>().join(", "),
        healthy: upstream.is_healthy(),
        last_error: peers.iter().find_map(|peer| peer.last_error.clone()),
        peers,
    }
}

fn trouble(seen: Seen) -> admin::Trouble {
    let Seen { trouble, about, first, last, count } = seen;
    admin::Trouble {
        code: trouble.to_string(),
        reason: trouble.as_str(),
        about,
        what: trouble.what(),
        fix: trouble.fix(),
        count,
        first_seen: first,
        last_seen: last,
    }
}

fn peer(peer: &Peer) -> admin::Peer {
    admin::Peer {
        address: peer.settings().to_string(),
        healthy: peer.is_healthy(),
        state: peer.availability(Instant::now()).as_str(),
        requests: peer.in_flight(),
        last_error: peer.last_error().map(|error| error.to_string()),
        certificate: peer.certificate().map(|probed| {
            let leaf = probed.chain.leaf();
            admin::PeerCertificate {
                subject: leaf.common_name.clone(),
                sha256: leaf.fingerprint.to_string(),
                not_after: leaf.not_after,
            }
        }),
    }
}

fn accounts(inner: &Inner) -> Vec<Acme> {
    let config = inner.config.load();
    let mut directories: Vec<_> = config
        .certificates
        .iter()
        .filter_map(|certificate| match &certificate.source {
            Settings::Acme(cas) => Some(cas),
            Settings::Internal | Settings::Files(_) => None,
        })
        .flat_map(|cas| cas.iter().map(|ca| ca.directory.clone()))
        .collect();
    directories.sort();
    directories.dedup();
    let account = |directory: &str| account_url(&inner.store.load_account(directory).ok().flatten()?);
    directories.into_iter().map(|directory| Acme { account: account(&directory), directory }).collect()
}

/// More trust anchors than this are a list that somebody else keeps.
const FEW: usize = 8;
