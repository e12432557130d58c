//! What is wrong, and how bad: one judgement for the page, `/status.json` and `portvakt status`. Pure.

use std::time::Duration;

use super::status::{Certificate, ClientIdentity, Phase, Served, Status, Upstream};
use crate::lifecycle::outlook::Todo;
use crate::lifecycle::{Reason, State};
use crate::metrics::CertificateRole;
use crate::time::Timestamp;

/// How bad it is; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Somebody is turned away now.
    Broken,
    /// Somebody has to do something, and there is time.
    Mend,
    /// It is being worked on, and nobody has to do anything.
    Wait,
}

impl Level {
    /// As in JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Mend => "mend",
            Self::Wait => "wait",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) level: Level,
    pub(super) matter: Matter,
    /// The certificate, upstream or destination; empty where it is the whole process.
    pub(super) about: String,
    /// For `portvakt help`.
    pub(super) code: Option<String>,
    /// What was seen, in the program's own words or a server's.
    pub(super) detail: Option<String>,
    /// What mends just this, in the program's own words.
    pub(super) remedy: Option<String>,
    /// When it gets worse, or got bad.
    pub(super) at: Option<Timestamp>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    /// A new configuration was refused.
    ReloadFailed,
    /// A certificate that is over.
    Expired {
        /// What gave no new one.
        reason: Option<Reason>,
        /// Somebody has to replace it.
        is_manual: bool,
    },
    /// There is nothing to serve.
    Missing,
    /// A self-signed certificate is served.
    Placeholder {
        /// What gave no other one.
        reason: Option<Reason>,
    },
    /// Clients get something else.
    NotServed {
        /// Names and listeners.
        count: usize,
    },
    /// Renewal fails.
    Failing {
        /// Why.
        reason: Reason,
        /// How often in a row.
        times: u32,
        /// The last guard has been passed.
        is_emergency: bool,
    },
    /// Renewal should have happened.
    Overdue,
    /// Nothing renews it, and it ends soon.
    Ends {
        /// Of which kind it is.
        role: CertificateRole,
        /// Whole days that are left.
        days: u64,
    },
    /// Something in the chain ends before the leaf.
    ChainEnds {
        /// Whole days that are left.
        days: u64,
    },
    /// The disk does not hold what is served.
    NotStored,
    /// There is no client identity to show.
    NoIdentity,
    /// The destination refuses the client identity in use.
    IdentityRefused {
        /// A bank has to be asked.
        is_bankid: bool,
    },
    /// The client identity in use is over.
    IdentityExpired {
        /// A bank has to be asked.
        is_bankid: bool,
    },
    /// It ends soon, and no other takes over.
    IdentityEnds {
        /// A bank has to be asked.
        is_bankid: bool,
        /// Whole days that are left.
        days: u64,
    },
    /// Files of an identity cannot be used.
    IdentityFiles,
    /// The one that is to take over is refused.
    NextRefused,
    /// No server of an upstream can be used.
    UpstreamDown,
    /// Some cannot.
    PeersDown {
        /// How many.
        down: usize,
        /// Of how many.
        all: usize,
    },
    /// The certificate of an upstream that is believed by trust anchors ends soon.
    UpstreamEnds {
        /// Whole days that are left; negative for those since.
        days: i64,
    },
    /// Answers give a mistake away.
    Answers,
}

impl Matter {
    /// As in JSON.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::ReloadFailed => "reload_failed",
            Self::Expired { .. } => "certificate_expired",
            Self::Missing => "certificate_missing",
            Self::Placeholder { .. } => "placeholder_served",
            Self::NotServed { .. } => "not_served",
            Self::Failing { .. } => "renewal_failing",
            Self::Overdue => "renewal_overdue",
            Self::Ends { .. } => "certificate_ends",
            Self::ChainEnds { .. } => "chain_ends",
            Self::NotStored => "not_stored",
            Self::NoIdentity => "no_identity",
            Self::IdentityRefused { .. } => "identity_refused",
            Self::IdentityExpired { .. } => "identity_expired",
            Self::IdentityEnds { .. } => "identity_ends",
            Self::IdentityFiles => "identity_files",
            Self::NextRefused => "next_identity_refused",
            Self::UpstreamDown => "upstream_down",
            Self::PeersDown { .. } => "peers_down",
            Self::UpstreamEnds { .. } => "upstream_certificate_ends",
            Self::Answers => "answers",
        }
    }
}

impl Problem {
    fn new(level: Level, matter: Matter, about: &str) -> Self {
        Self { level, matter, about: about.to_owned(), code: None, detail: None, remedy: None, at: None }
    }

    fn told(mut self, detail: Option<&str>) -> Self {
        self.detail = detail.map(str::to_owned);
        self.code = self.code.or_else(|| detail.and_then(code_in));
        self
    }

    fn mended(mut self, remedy: Option<&str>) -> Self {
        self.remedy = remedy.map(str::to_owned);
        self
    }

    fn at(mut self, at: Option<Timestamp>) -> Self {
        self.at = at;
        self
    }
}

/// Everything that is wrong, the worst and the soonest first.
pub(super) fn judge(status: &Status) -> Vec<Problem> {
    let mut all = Vec::new();
    if !status.last_reload.ok {
        let reload = &status.last_reload;
        // Warnings before it are not what refused it.
        let error = reload.error.as_deref().map(|text| text.find("error[").map_or(text, |at| &text[at..]));
        let failed = Problem::new(Level::Mend, Matter::ReloadFailed, "").told(error);
        all.push(failed.at(Some(reload.at)));
    }
    for certificate in &status.certificates {
        all.extend(of_certificate(certificate, status.now));
    }
    all.extend(not_served(status));
    all.extend(status.client_identities.iter().flat_map(|identity| of_identity(identity, status.now)));
    all.extend(status.upstreams.iter().flat_map(|upstream| of_upstream(upstream, status.now)));
    for trouble in &status.troubles {
        let seen = Problem::new(Level::Mend, Matter::Answers, &trouble.about);
        let seen = Problem { code: Some(trouble.code.clone()), ..seen }.told(Some(trouble.what));
        all.push(seen.mended(Some(trouble.fix)).at(Some(trouble.last_seen)));
    }
    // A stable sort: what is equal stays in the order of the configuration.
    all.sort_by_key(|problem| (problem.level, problem.at.unwrap_or_default()));
    all
}

/// Whether new connections are taken, and nobody has to do anything.
pub(super) fn is_well(status: &Status, problems: &[Problem]) -> bool {
    status.phase == Phase::Ready && problems.iter().all(|problem| problem.level == Level::Wait)
}

fn of_certificate(certificate: &Certificate, now: Timestamp) -> Vec<Problem> {
    // What others show and what we show to others is judged where it is used.
    if matches!(certificate.role, CertificateRole::EgressClient | CertificateRole::UpstreamPeer) {
        return Vec::new();
    }
    let failure = certificate.last_failure.as_ref();
    let reason = failure.map(|failure| failure.reason);
    let matter = match certificate.state {
        State::Expired => {
            let reason = reason.filter(|_| !certificate.renewal_manual);
            Some((Level::Broken, Matter::Expired { reason, is_manual: certificate.renewal_manual }))
        }
        State::Missing => Some((Level::Broken, Matter::Missing)),
        State::Placeholder if reason.is_none() => Some((Level::Wait, Matter::Placeholder { reason })),
        State::Placeholder => Some((Level::Broken, Matter::Placeholder { reason })),
        State::Issued | State::Static => of_living(certificate, now),
    };
    let about = |(level, matter)| {
        let problem = Problem::new(level, matter, &certificate.name).at(certificate.not_after);
        let problem = Problem { code: failure.map(|failure| failure.code.clone()), ..problem };
        problem.told(failure.map(|failure| &*failure.detail)).mended(failure.and_then(|failure| failure.fix.as_deref()))
    };
    let not_stored = Problem::new(Level::Mend, Matter::NotStored, &certificate.name);
    let stored = (certificate.stored == Some(false)).then_some(not_stored);
    matter.map(about).into_iter().chain(stored).chain(of_chain(certificate, now)).collect()
}

/// Of a certificate that is in date.
fn of_living(certificate: &Certificate, now: Timestamp) -> Option<(Level, Matter)> {
    if certificate.renewal_manual {
        let end = certificate.not_after?;
        if end < now {
            return Some((Level::Broken, Matter::Expired { reason: None, is_manual: true }));
        }
        let days = whole_days(end.since(now));
        let matter = Matter::Ends { role: certificate.role, days };
        return (days < MANUAL_DAYS || certificate.last_failure.is_some()).then_some((Level::Mend, matter));
    }
    let is_emergency = certificate.emergency.is_some_and(|at| now >= at);
    let is_overdue = is_overdue(certificate, now);
    match &certificate.last_failure {
        Some(failure) => {
            let (reason, times) = (failure.reason, certificate.consecutive_failures);
            let level = match is_emergency || is_overdue || times >= SEVERAL || wants_somebody(reason) {
                true => Level::Mend,
                false => Level::Wait,
            };
            Some((level, Matter::Failing { reason, times, is_emergency }))
        }
        None => is_overdue.then_some((Level::Mend, Matter::Overdue)),
    }
}

/// A quarter of what was left when renewal became due has passed: as the alert `PortvaktRenewalOverdue` judges.
fn is_overdue(certificate: &Certificate, now: Timestamp) -> bool {
    let Some((due, end)) = certificate.renewal_due.zip(certificate.not_after) else { return false };
    now.since(due) > end.since(due) / 4
}

/// Trying again cannot help, as far as we know.
const fn wants_somebody(reason: Reason) -> bool {
    match reason {
        Reason::Dns
        | Reason::Connection
        | Reason::Unauthorized
        | Reason::Caa
        | Reason::Dnssec
        | Reason::RejectedIdentifier
        | Reason::BadCsr
        | Reason::Account
        | Reason::Storage
        | Reason::Clock
        | Reason::NotServed => true,
        Reason::RateLimited
        | Reason::Server
        | Reason::Unusable
        | Reason::Network
        | Reason::Timeout
        | Reason::OrderNotReady
        | Reason::Budget => false,
    }
}

fn of_chain(certificate: &Certificate, now: Timestamp) -> Option<Problem> {
    let (chain, leaf) = certificate.chain_not_after.zip(certificate.not_after)?;
    let days = whole_days(chain.since(now));
    let is_soon = chain < leaf && now < leaf && days < CHAIN_DAYS;
    is_soon.then(|| Problem::new(Level::Mend, Matter::ChainEnds { days }, &certificate.name).at(Some(chain)))
}

/// One for each certificate, however many names and listeners show something else.
fn not_served(status: &Status) -> Vec<Problem> {
    // What is shown as published, and over, is told once.
    let is_known = |seen: &&Served| {
        let own = status.certificates.iter().find(|it| it.name == seen.certificate);
        own.is_some_and(|it| matches!(it.state, State::Expired | State::Missing))
    };
    let mut all: Vec<Problem> = Vec::new();
    for seen in status.served.iter().filter(|seen| seen.as_published == Some(false) && !is_known(seen)) {
        let known = all.iter_mut().find(|problem| problem.about == seen.certificate);
        if let Some(Problem { matter: Matter::NotServed { count }, .. }) = known {
            *count += 1;
            continue;
        }
        let detail = format!("{} on {}: {}", seen.name, seen.listener, seen.found);
        all.push(Problem::new(Level::Broken, Matter::NotServed { count: 1 }, &seen.certificate).told(Some(&detail)));
    }
    all
}

fn of_identity(identity: &ClientIdentity, now: Timestamp) -> Vec<Problem> {
    let (name, is_bankid) = (&*identity.destination, identity.is_bankid);
    let mut all = Vec::new();
    match identity.identities.iter().find(|shown| shown.is_in_use) {
        None => all.push(Problem::new(Level::Broken, Matter::NoIdentity, name)),
        Some(shown) if shown.not_after.is_some_and(|end| end < now) => {
            all.push(Problem::new(Level::Broken, Matter::IdentityExpired { is_bankid }, name).at(shown.not_after));
        }
        Some(shown) => match (&shown.refused, identity.next.todo, shown.not_after) {
            (Some(refused), ..) => {
                let refusal = Problem::new(Level::Broken, Matter::IdentityRefused { is_bankid }, name);
                all.push(refusal.told(Some(&refused.detail)).at(Some(refused.at)));
            }
            (None, Todo::OrderNow, Some(end)) => {
                let days = whole_days(end.since(now));
                all.push(Problem::new(Level::Mend, Matter::IdentityEnds { is_bankid, days }, name).at(Some(end)));
            }
            _ => {}
        },
    }
    for shown in &identity.identities {
        if let Some(trouble) = &shown.trouble {
            all.push(Problem::new(Level::Mend, Matter::IdentityFiles, name).told(Some(trouble)));
        }
        if let Some(refused) = shown.refused.as_ref().filter(|_| !shown.is_in_use && shown.slot == "next") {
            let refusal = Problem::new(Level::Mend, Matter::NextRefused, name).told(Some(&refused.detail));
            all.push(refusal.at(Some(refused.at)));
        }
    }
    all
}

fn of_upstream(upstream: &Upstream, now: Timestamp) -> Vec<Problem> {
    let down = upstream.peers.iter().filter(|peer| !peer.healthy);
    let (count, of) = (down.clone().count(), upstream.peers.len());
    let detail = down.clone().find_map(|peer| peer.last_error.as_deref());
    let matter = match (upstream.healthy, count) {
        (false, _) => Some((Level::Broken, Matter::UpstreamDown)),
        (true, 1..) => Some((Level::Mend, Matter::PeersDown { down: count, all: of })),
        (true, 0) => None,
    };
    let health = matter.map(|(level, matter)| Problem::new(level, matter, &upstream.name).told(detail));
    health.into_iter().chain(upstream_ends(upstream, now)).collect()
}

/// Pins do not look at dates.
fn upstream_ends(upstream: &Upstream, now: Timestamp) -> Option<Problem> {
    let judged = upstream.peers.iter().filter(|peer| peer.trust == Some("trust_anchors"));
    let end = judged.filter_map(|peer| peer.certificate.as_ref()).map(|shown| shown.not_after).min()?;
    let days = end.as_unix().saturating_sub(now.as_unix()).div_euclid(DAY);
    let matter = Matter::UpstreamEnds { days };
    (days < 30).then(|| Problem::new(Level::Mend, matter, &upstream.name).at(Some(end)))
}

/// The first code in a text, such as `PV0431`.
fn code_in(text: &str) -> Option<String> {
    let code = text.match_indices("PV").filter_map(|(at, _)| text.get(at..at + 6));
    code.filter(|code| code.bytes().skip(2).all(|byte| byte.is_ascii_digit())).map(str::to_owned).next()
}

fn whole_days(left: Duration) -> u64 {
    left.as_secs() / DAY.unsigned_abs()
}

/// A failure may pass by itself; as many in a row do not.
const SEVERAL: u32 = 3;
/// As the alert for certificates that nothing renews.
const MANUAL_DAYS: u64 = 30;
/// As the alert for chains.
const CHAIN_DAYS: u64 = 14;
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests;
