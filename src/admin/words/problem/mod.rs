//! What is wrong, and what to do, in plain words.

mod around;
mod certificate;
mod identity;

use std::time::Duration;

use super::{Advice, Lang, Say, advice, coded, days, length, refused};
use crate::admin::problem::{Matter, Problem};
use crate::metrics::CertificateRole;

/// A problem in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Told {
    /// What is wrong.
    pub(in crate::admin) title: String,
    /// Why, where that is known.
    pub(in crate::admin) why: Option<String>,
    /// What to do.
    pub(in crate::admin) fix: String,
}

/// Tells a problem.
pub(in crate::admin) fn tell(problem: &Problem, lang: Lang) -> Told {
    let facts = facts(problem, lang);
    let (own, cause) = (words(problem), cause(problem));
    let why = cause.map(|cause| cause.what).or_else(|| refusal(&problem.matter));
    let fix = match problem.matter {
        // What mends a server does not mend who stands in its place.
        Matter::EgressNotBelieved => own.fix,
        _ => cause.map_or(own.fix, |cause| cause.fix),
    };
    Told {
        title: own.what.fill(lang, &facts),
        why: why.map(|why| sentence(why.to(lang))),
        fix: sentence(&fix.fill(lang, &facts).replace("NAME", &problem.about)),
    }
}

/// With a capital letter at its begin.
pub(in crate::admin) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Why, by the reason of an attempt or by a number.
fn cause(problem: &Problem) -> Option<&'static Advice> {
    match &problem.matter {
        Matter::Expired { reason, .. } | Matter::Placeholder { reason } => reason.map(advice),
        Matter::Failing { reason, .. } => Some(advice(*reason)),
        Matter::UpstreamDown | Matter::PeersDown { .. } | Matter::Answers | Matter::EgressNotBelieved => {
            coded(problem.code.as_deref()?)
        }
        _ => None,
    }
}

fn refusal(matter: &Matter) -> Option<Say> {
    match matter {
        Matter::IdentityRefused { reason, .. } | Matter::NextRefused { reason } => refused(reason),
        _ => None,
    }
}

fn facts(problem: &Problem, lang: Lang) -> Vec<(&'static str, String)> {
    let mut facts = vec![("name", problem.about.clone())];
    match &problem.matter {
        Matter::NotServed { count } => facts.push(("count", count.to_string())),
        Matter::Failing { times, .. } => facts.push(("count", times.to_string())),
        Matter::Ends { days: left, .. }
        | Matter::ChainEnds { days: left }
        | Matter::IdentityEnds { days: left, .. }
        | Matter::CrlEnds { days: left } => {
            facts.push(("days", days(*left, lang)));
        }
        Matter::Clock { behind } => facts.push(("span", length(Duration::from_secs(behind.unsigned_abs()), lang))),
        Matter::EgressUnreachable { address } => facts.push(("address", address.clone())),
        Matter::NotTold { fix } => facts.push(("fix", sentence(fix.to(lang)))),
        Matter::UpstreamEnds { days: left } => facts.push(("days", days(left.unsigned_abs(), lang))),
        Matter::PeersDown { down, all } => facts.extend([("count", down.to_string()), ("all", all.to_string())]),
        _ => {}
    }
    facts
}

/// With places for facts.
fn words(problem: &Problem) -> &'static Advice {
    match &problem.matter {
        Matter::ReloadFailed => &around::RELOAD_FAILED,
        Matter::Expired { role: CertificateRole::ClientCa, .. } => &certificate::CLIENT_CA_ENDED,
        Matter::Expired { role: CertificateRole::TrustAnchor, .. } => &certificate::ANCHOR_ENDED,
        Matter::Expired { is_manual: true, .. } => &certificate::EXPIRED_BY_HAND,
        Matter::Expired { is_manual: false, .. } => &certificate::EXPIRED,
        Matter::Missing => &certificate::MISSING,
        Matter::Placeholder { reason: None } => &certificate::ON_ITS_WAY,
        Matter::Placeholder { reason: Some(_) } => &certificate::PLACEHOLDER,
        Matter::NotServed { .. } => &certificate::NOT_SERVED,
        Matter::Failing { is_emergency: true, .. } => &certificate::FAILING_LATE,
        Matter::Failing { times: 1, .. } => &certificate::FAILED_ONCE,
        Matter::Failing { .. } => &certificate::FAILING,
        Matter::Overdue => &certificate::OVERDUE,
        Matter::Ends { role: CertificateRole::Listener, .. } => &certificate::ENDS,
        Matter::Ends { role: CertificateRole::ClientCa, .. } => &certificate::CLIENT_CA_ENDS,
        Matter::Ends { .. } => &certificate::ANCHOR_ENDS,
        Matter::ChainEnds { .. } => &certificate::CHAIN_ENDS,
        Matter::NotStored => &certificate::NOT_STORED,
        Matter::NoIdentity => &identity::NO_IDENTITY,
        Matter::IdentityRefused { is_bankid: true, .. } => &identity::IDENTITY_REFUSED_BANK,
        Matter::IdentityRefused { is_bankid: false, .. } => &identity::IDENTITY_REFUSED,
        Matter::IdentityExpired { is_bankid: true } => &identity::IDENTITY_EXPIRED_BANK,
        Matter::IdentityExpired { is_bankid: false } => &identity::IDENTITY_EXPIRED,
        Matter::IdentityEnds { is_bankid: true, .. } => &identity::IDENTITY_ENDS_BANK,
        Matter::IdentityEnds { is_bankid: false, .. } => &identity::IDENTITY_ENDS,
        Matter::IdentityFiles => &identity::IDENTITY_FILES,
        Matter::NextRefused { .. } => &identity::NEXT_REFUSED,
        Matter::Clock { behind: 0.. } => &around::CLOCK_BEHIND,
        Matter::Clock { .. } => &around::CLOCK_AHEAD,
        Matter::CrlOld { refuses: true } => &certificate::CRL_OLD,
        Matter::CrlOld { refuses: false } => &certificate::CRL_OLD_COUNTS,
        Matter::CrlEnds { .. } => &certificate::CRL_ENDS,
        Matter::EgressUnreachable { .. } => &around::EGRESS_UNREACHABLE,
        Matter::EgressNotBelieved => &around::EGRESS_NOT_BELIEVED,
        Matter::NotTold { .. } => &around::NOT_TOLD,
        Matter::UpstreamDown if cause(problem).is_some() => &around::UPSTREAM_TLS,
        Matter::UpstreamDown => &around::UPSTREAM_DOWN,
        Matter::PeersDown { .. } => &around::PEERS_DOWN,
        Matter::UpstreamEnds { days: ..0 } => &around::UPSTREAM_ENDED,
        Matter::UpstreamEnds { .. } => &around::UPSTREAM_ENDS,
        Matter::Answers => &around::ANSWERS,
    }
}
