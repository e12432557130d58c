//! What the operators' listener shows, gathered from the rooms.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, Weak};

use tokio::time::Instant;

use super::listeners::Kind;
use super::{App, Inner, certificate_status, client_status, client_trust, notify};
use crate::admin::{
    self, Acme, AcmeCertificate, Allowance, Call, Enforced, Http1Only, Listener, ListenerKind, Observed, Observing,
    Reload, Status,
};
use crate::lifecycle::State;
use crate::lifecycle::budget::{Limit, Standing};
use crate::metrics::{BudgetLeft, ClientIdentityStatus, ServedStatus};
use crate::platform;
use crate::probe::{Finding, Sight, Truth};
use crate::proxy::{Egress, Seen};
use crate::route::{Action, Line, Mode, Site};
use crate::source;
use crate::source::acme::{self, CaBudget, CertificateBudget};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::tls::SiteSettings;
use crate::upstream::{Heard, Peer, TlsFailure, Trust, Upstream};

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
            host: platform::host_name(),
            phase: match *inner.phase.borrow() {
                Phase::Starting => admin::Phase::Starting,
                Phase::Ready => admin::Phase::Ready,
                Phase::Draining => admin::Phase::Draining,
            },
            now,
            started: inner.started,
            uptime: now.since(inner.started).as_secs(),
            config_file: inner.file.as_deref().map(absolute),
            last_reload: inner.last_reload(),
            descriptor_limit: inner.descriptors,
            confined: inner.confined.is_some(),
            listeners: inner.listeners().open().into_iter().map(listener).collect(),
            http1_only: http1_only(inner),
            enforcement: enforced(inner),
            observe: observing(inner),
            certificates: certificate_status::shown(inner),
            served: inner.truth.sights().into_iter().map(sight).collect(),
            client_identities: inner.clients.statuses().into_iter().map(|it| client_status::shown(it, now)).collect(),
            client_crls: client_trust::shown(&inner.config.load()),
            egress: inner.server.egresses().iter().map(|egress| self::egress(egress)).collect(),
            upstreams: inner.server.upstreams().iter().map(|upstream| self::upstream(upstream)).collect(),
            troubles: inner.server.troubles().into_iter().map(trouble).collect(),
            acme: allowances(inner, now),
            notifiers: inner.notifiers.standings().into_iter().map(notify::shown).collect(),
            events: inner.events.newest(),
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
    inner.budgets().iter().flat_map(left).collect()
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
    /// What ACME CAs still allow, as it was read lately. Nothing where the ledger cannot be read, which the log tells.
    fn budgets(&self) -> Arc<[CaBudget]> {
        self.cas.budgets(|| {
            let (config, now) = (self.config.load(), SystemClock.now());
            let all = acme::budgets(&self.store, &config.certificates, now).unwrap_or_default();
            all.into_iter().map(|budget| budget.with_waits(&self.store, now)).collect()
        })
    }

    pub(super) fn last_reload(&self) -> Reload {
        match &*self.last_reload.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(outcome) => Reload { ok: outcome.error.is_none(), at: outcome.at, error: outcome.error.clone() },
            None => Reload { ok: true, at: self.started, error: None },
        }
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

/// What was done with plain requests, of every site.
fn enforced(inner: &Inner) -> Vec<Enforced> {
    let config = inner.config.load();
    let of = |site: &Site| {
        let routes: Vec<_> = site.labels().iter().map(|label| inner.metrics.route(label)).collect();
        let count = |action| routes.iter().map(|route| route.enforced_so_far(action)).sum();
        Enforced {
            site: site.name.clone(),
            mode: site.https.mode.as_str(),
            redirected: count(Action::Redirected),
            rejected: count(Action::Rejected),
            credential_blocked: count(Action::CredentialBlocked),
            allowed: count(Action::Allowed),
            would_redirect: count(Action::WouldRedirect),
            would_reject: count(Action::WouldReject),
        }
    };
    config.route.sites.iter().map(of).collect()
}

/// What ACME CAs still allow, and how far their clocks are from ours.
fn allowances(inner: &Inner, now: Timestamp) -> Vec<Acme> {
    let of = |budget: &CaBudget| {
        let ahead = inner.reckoning.ahead_of(&source::host(&budget.directory), now);
        let clock_ahead = ahead.map(i64::saturating_neg);
        Acme { clock_ahead, ..allowance(budget) }
    };
    inner.budgets().iter().map(of).collect()
}

fn allowance(budget: &CaBudget) -> Acme {
    let limits = |standings: &[Standing]| {
        let of = |standing: &Standing| {
            let Standing { limit, of, left, capacity, next } = standing.clone();
            Allowance { limit, of, left, capacity, next }
        };
        standings.iter().map(of).collect()
    };
    let certificate = |of: &CertificateBudget| AcmeCertificate {
        name: of.name.clone(),
        limits: limits(&of.standings),
        retry_after: of.retry_after,
    };
    Acme {
        directory: budget.directory.clone(),
        name: budget.name,
        account: budget.account.clone(),
        clock_ahead: None,
        limits: limits(&budget.standings),
        certificates: budget.certificates.iter().map(certificate).collect(),
    }
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
        reason: line.observed.would.as_str(),
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

fn egress(egress: &Egress) -> admin::Egress {
    let (settings, client) = (egress.settings(), egress.client());
    let call = |heard: &Heard| Call {
        at: heard.at,
        answered: heard.lack.is_none(),
        code: heard.lack.as_ref().and_then(|lack| lack.failure).map(TlsFailure::code),
        error: heard.lack.as_ref().map(|lack| lack.detail.clone()),
    };
    admin::Egress {
        name: settings.name.clone(),
        address: client.settings().peers.first().map(ToString::to_string).unwrap_or_default(),
        listener: settings.listen.to_string(),
        last_call: client.heard().as_deref().map(call),
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
    let last_error = peer.last_error().map(|error| error.to_string());
    admin::Peer {
        address: peer.settings().to_string(),
        healthy: peer.is_healthy(),
        state: peer.availability(Instant::now()).as_str(),
        requests: peer.in_flight(),
        code: last_error.as_deref().and_then(TlsFailure::in_text).map(TlsFailure::code),
        last_error,
        trust: peer.settings().tls.as_ref().map(|tls| match &tls.trust {
            Trust::Anchors(_) => "trust_anchors",
            Trust::Pinned { .. } => "pinned",
            Trust::FirstUse => "first_use",
        }),
        certificate: peer.certificate().map(|probed| {
            let leaf = probed.chain.leaf();
            admin::PeerCertificate {
                subject: leaf.common_name.clone(),
                sha256: leaf.fingerprint.to_string(),
                not_before: leaf.not_before,
                not_after: leaf.not_after,
            }
        }),
    }
}
