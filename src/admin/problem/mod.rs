//! What is wrong, and how bad: one judgement for the page, `/status.json` and `portvakt status`. Pure.

mod around;
mod certificate;

use std::time::Duration;

use self::around::{of_clock, of_egress, of_identity, of_notifier, of_upstream};
use self::certificate::{of_certificate, of_list};
use super::status::{Phase, Status};
use crate::language::Say;
use crate::lifecycle::Reason;
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
        /// Of which kind it is.
        role: CertificateRole,
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
        /// As in the metrics.
        reason: &'static str,
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
    NextRefused {
        /// As in the metrics.
        reason: &'static str,
    },
    /// The clock of this machine and a CA's differ.
    Clock {
        /// Seconds that ours is behind; negative where it is ahead.
        behind: i64,
    },
    /// A list of revoked clients is old.
    CrlOld {
        /// Whoever it would speak of is refused.
        refuses: bool,
    },
    /// A list of revoked clients runs out soon.
    CrlEnds {
        /// Whole days that are left.
        days: u64,
    },
    /// A service outside cannot be reached.
    EgressUnreachable {
        /// Where it should be.
        address: String,
    },
    /// Who answers in the place of a service outside is not believed.
    EgressNotBelieved,
    /// Messages to somebody are not taken.
    NotTold {
        /// What mends it.
        fix: Say,
    },
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
            Self::NextRefused { .. } => "next_identity_refused",
            Self::Clock { .. } => "clock_wrong",
            Self::CrlOld { .. } => "client_crl_old",
            Self::CrlEnds { .. } => "client_crl_ends",
            Self::EgressUnreachable { .. } => "egress_unreachable",
            Self::EgressNotBelieved => "egress_not_believed",
            Self::NotTold { .. } => "notifier_failing",
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

    fn coded(mut self, code: Option<&str>) -> Self {
        self.code = code.map(str::to_owned);
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
    all.extend(of_clock(&status.acme));
    for certificate in &status.certificates {
        all.extend(of_certificate(certificate, status.now));
    }
    all.extend(certificate::not_served(status));
    all.extend(status.client_identities.iter().flat_map(|identity| of_identity(identity, status.now)));
    all.extend(status.client_crls.iter().filter_map(|list| of_list(list, status.now)));
    all.extend(status.egress.iter().filter_map(|egress| of_egress(egress, status.now)));
    all.extend(status.notifiers.iter().filter_map(of_notifier));
    all.extend(status.upstreams.iter().flat_map(|upstream| of_upstream(upstream, status.now)));
    for trouble in &status.troubles {
        let seen = Problem::new(Level::Mend, Matter::Answers, &trouble.about);
        all.push(seen.coded(Some(&trouble.code)).at(Some(trouble.last_seen)));
    }
    // A stable sort: what is equal stays in the order of the configuration.
    all.sort_by_key(|problem| (problem.level, problem.at.unwrap_or_default()));
    all
}

/// Whether new connections are taken, and nobody has to do anything.
pub(super) fn is_well(status: &Status, problems: &[Problem]) -> bool {
    status.phase == Phase::Ready && problems.iter().all(|problem| problem.level == Level::Wait)
}

/// The first code in a text, such as `PV0431`.
fn code_in(text: &str) -> Option<String> {
    let code = text.match_indices("PV").filter_map(|(at, _)| text.get(at..at + 6));
    code.filter(|code| code.bytes().skip(2).all(|byte| byte.is_ascii_digit())).map(str::to_owned).next()
}

fn whole_days(left: Duration) -> u64 {
    left.as_secs() / DAY.unsigned_abs()
}

/// Whether a certificate that we do not renew is in the last fifth of its life and has less than [`SOON_DAYS`], as the alerts
/// for them judge: who renews it in time, by a program or by hand, is not called.
fn ends_soon(begin: Option<Timestamp>, end: Timestamp, now: Timestamp) -> bool {
    let left = end.since(now);
    let is_last_fifth = begin.is_none_or(|begin| left * 5 < end.since(begin));
    end <= now || (whole_days(left) < SOON_DAYS && is_last_fifth)
}

/// As in the alerts.
const SOON_DAYS: u64 = 30;
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests;
