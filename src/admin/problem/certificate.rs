//! Certificates: our own, roots, and lists of the revoked.

use super::{Level, Matter, Problem, SOON_DAYS, ends_soon, whole_days};
use crate::admin::status::{Certificate, ClientCrl, Served, Status};
use crate::lifecycle::{Reason, State};
use crate::metrics::CertificateRole;
use crate::time::Timestamp;

pub(super) fn of_certificate(certificate: &Certificate, now: Timestamp) -> Vec<Problem> {
    // What others show and what we show to others is judged where it is used.
    if matches!(certificate.role, CertificateRole::EgressClient | CertificateRole::UpstreamPeer) {
        return Vec::new();
    }
    let failure = certificate.last_failure.as_ref();
    let reason = failure.map(|failure| failure.reason);
    let matter = match certificate.state {
        State::Expired => {
            let reason = reason.filter(|_| !certificate.renewal_manual);
            Some((
                Level::Broken,
                Matter::Expired { reason, role: certificate.role, is_manual: certificate.renewal_manual },
            ))
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
            let matter = Matter::Expired { reason: None, role: certificate.role, is_manual: true };
            return Some((Level::Broken, matter));
        }
        let is_soon = match certificate.role {
            CertificateRole::Listener => ends_soon(certificate.not_before, end, now),
            // Roots: whoever lives by them needs another one in time, however long they have lived.
            _ => whole_days(end.since(now)) < SOON_DAYS,
        };
        let matter = Matter::Ends { role: certificate.role, days: whole_days(end.since(now)) };
        return (is_soon || certificate.last_failure.is_some()).then_some((Level::Mend, matter));
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
pub(super) fn not_served(status: &Status) -> Vec<Problem> {
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

pub(super) fn of_list(list: &ClientCrl, now: Timestamp) -> Option<Problem> {
    let (level, matter) = match now {
        _ if now >= list.next_update && list.refuses_when_old => (Level::Broken, Matter::CrlOld { refuses: true }),
        _ if now >= list.next_update => (Level::Mend, Matter::CrlOld { refuses: false }),
        _ if now >= list.due => (Level::Mend, Matter::CrlEnds { days: whole_days(list.next_update.since(now)) }),
        _ => return None,
    };
    let ClientCrl { file, issuer, this_update, next_update, .. } = list;
    let detail = format!("`{file}` of {issuer}, made {this_update}, next due {next_update}");
    let problem = Problem::new(level, matter, &list.site).coded(Some(OLD_LIST)).told(Some(&detail));
    Some(problem.at(Some(list.next_update)))
}

/// A failure may pass by itself; as many in a row do not.
const SEVERAL: u32 = 3;
/// As the alert for chains.
const CHAIN_DAYS: u64 = 14;
/// For `portvakt help`, as where the configuration is checked.
const OLD_LIST: &str = "PV0441";
