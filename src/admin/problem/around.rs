//! What is around us: who we are to others, servers and services, and the clock.

use std::time::Duration;

use super::{DAY, Level, Matter, Problem, ends_soon, whole_days};
use crate::admin::status::{Acme, ClientIdentity, Egress, Notifier, Upstream};
use crate::lifecycle::Reason;
use crate::lifecycle::outlook::Todo;
use crate::time::Timestamp;

/// The CA whose clock is the furthest from ours: it is our clock that is one, and the CAs' that are many.
pub(super) fn of_clock(all: &[Acme]) -> Option<Problem> {
    let (ca, ahead) =
        all.iter().filter_map(|ca| Some((ca, ca.clock_ahead?))).max_by_key(|(_, ahead)| ahead.unsigned_abs())?;
    let matter = Matter::Clock { behind: ahead };
    let wrong =
        || Problem::new(Level::Mend, matter, ca.name.unwrap_or(&ca.directory)).coded(Some(&Reason::Clock.code()));
    (ahead.unsigned_abs() >= WRONG).then(wrong)
}

pub(super) fn of_identity(identity: &ClientIdentity, now: Timestamp) -> Vec<Problem> {
    let (name, is_bankid) = (&*identity.destination, identity.is_bankid);
    let mut all = Vec::new();
    match identity.identities.iter().find(|shown| shown.is_in_use) {
        None => all.push(Problem::new(Level::Broken, Matter::NoIdentity, name)),
        Some(shown) if shown.not_after.is_some_and(|end| end < now) => {
            all.push(Problem::new(Level::Broken, Matter::IdentityExpired { is_bankid }, name).at(shown.not_after));
        }
        Some(shown) => match (&shown.refused, identity.next.todo, shown.not_after) {
            (Some(refused), ..) => {
                let matter = Matter::IdentityRefused { is_bankid, reason: refused.reason };
                let refusal = Problem::new(Level::Broken, matter, name);
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
            let matter = Matter::NextRefused { reason: refused.reason };
            let refusal = Problem::new(Level::Mend, matter, name).told(Some(&refused.detail));
            all.push(refusal.at(Some(refused.at)));
        }
    }
    all
}

/// By the last call: no other is made on purpose. One that is long ago tells what was, so that it is not the worst any more.
pub(super) fn of_egress(egress: &Egress, now: Timestamp) -> Option<Problem> {
    let call = egress.last_call.as_ref().filter(|call| !call.answered)?;
    let level = if now.since(call.at) < AN_HOUR { Level::Broken } else { Level::Mend };
    let matter = match call.code {
        Some(_) => Matter::EgressNotBelieved,
        None => Matter::EgressUnreachable { address: egress.address.clone() },
    };
    let problem = Problem::new(level, matter, &egress.name).coded(call.code.as_deref()).told(call.error.as_deref());
    Some(problem.at(Some(call.at)))
}

/// What nobody takes, nobody learns of.
pub(super) fn of_notifier(notifier: &Notifier) -> Option<Problem> {
    let failure = notifier.last_error.as_ref()?;
    let problem = Problem::new(Level::Mend, Matter::NotTold { fix: failure.fix }, &notifier.name);
    Some(problem.told(Some(&failure.error)).at(Some(failure.at)))
}

pub(super) fn of_upstream(upstream: &Upstream, now: Timestamp) -> Vec<Problem> {
    let down = upstream.peers.iter().filter(|peer| !peer.healthy);
    let (count, of) = (down.clone().count(), upstream.peers.len());
    let worst = down.clone().find(|peer| peer.last_error.is_some());
    let (detail, code) =
        (worst.and_then(|peer| peer.last_error.as_deref()), worst.and_then(|peer| peer.code.as_deref()));
    let matter = match (upstream.healthy, count) {
        (false, _) => Some((Level::Broken, Matter::UpstreamDown)),
        (true, 1..) => Some((Level::Mend, Matter::PeersDown { down: count, all: of })),
        (true, 0) => None,
    };
    let about = |(level, matter)| Problem::new(level, matter, &upstream.name).coded(code).told(detail);
    let health = matter.map(about);
    health.into_iter().chain(upstream_ends(upstream, now)).collect()
}

/// Pins do not look at dates.
fn upstream_ends(upstream: &Upstream, now: Timestamp) -> Option<Problem> {
    let judged = upstream.peers.iter().filter(|peer| peer.trust == Some("trust_anchors"));
    let shown = judged.filter_map(|peer| peer.certificate.as_ref());
    let ending = shown.filter(|shown| ends_soon(Some(shown.not_before), shown.not_after, now));
    let end = ending.map(|shown| shown.not_after).min()?;
    let days = end.as_unix().saturating_sub(now.as_unix()).div_euclid(DAY);
    let matter = Matter::UpstreamEnds { days };
    Some(Problem::new(Level::Mend, matter, &upstream.name).at(Some(end)))
}

/// Seconds, as the alert `PortvaktClockSkew`.
const WRONG: u64 = 120;
const AN_HOUR: Duration = Duration::from_secs(3600);
