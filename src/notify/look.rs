//! What is news: the facts beside what has been told of them. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, Kind};
use super::facts::{CertificateFact, Facts, Role, ServerFact};
use crate::lifecycle::State;
use crate::time::Timestamp;

/// What one notifier has been told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Ends that were told, by role and name; the last ones.
    #[serde(default)]
    told_ends: BTreeMap<String, Vec<ToldEnd>>,
    /// When it was last told of what is going wrong, by kind and subject.
    #[serde(default)]
    troubles: BTreeMap<String, Timestamp>,
    /// Fingerprints that servers have shown, by upstream and address; the last ones.
    #[serde(default)]
    shown: BTreeMap<String, Vec<String>>,
    /// The last heartbeat, or when the first week began.
    #[serde(default)]
    heartbeat: Option<Timestamp>,
}

/// The nearest end that was told of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ToldEnd {
    sha256: String,
    days: u32,
    /// When the certificate was last there, to the day.
    seen: Timestamp,
}

impl Memory {
    /// What is to be told of now, of the kinds that are wanted; from here on it counts as told.
    pub(super) fn look(&mut self, facts: &Facts, wants: &dyn Fn(Kind) -> bool, now: Timestamp) -> Vec<Event> {
        let mut news = Vec::new();
        if wants(Kind::Expiring) {
            let unfollowed = facts.certificates.iter().filter(|certificate| !is_followed(certificate, facts));
            news.extend(unfollowed.filter_map(|certificate| self.ending(certificate, now)));
        }
        if wants(Kind::Failing) {
            news.extend(facts.certificates.iter().filter_map(|certificate| self.failing(certificate, now)));
        }
        for server in &facts.servers {
            news.extend(self.refused(server, now).filter(|_| wants(Kind::PinChanged)));
            news.extend(self.changed(server, now).filter(|_| wants(Kind::UpstreamChanged)));
        }
        if wants(Kind::Heartbeat) {
            news.extend(self.heartbeat(facts, now));
        }
        self.forget(now);
        news
    }

    /// Of a few that take turns, as behind a load balancer, each is told once.
    fn ending(&mut self, certificate: &CertificateFact, now: Timestamp) -> Option<Event> {
        let (begin, end) = certificate.not_before.zip(certificate.not_after).filter(|_| certificate.is_manual)?;
        let days = reached(begin, end, now)?;
        let key = format!("{} {}", certificate.role.as_str(), certificate.name);
        let told = self.told_ends.entry(key).or_default();
        match told.iter_mut().find(|told| told.sha256 == certificate.sha256) {
            Some(known) => {
                if now.since(known.seen) >= DAY {
                    known.seen = now;
                }
                if known.days <= days {
                    return None;
                }
                known.days = days;
            }
            None => {
                told.push(ToldEnd { sha256: certificate.sha256.clone(), days, seen: now });
                let surplus = told.len().saturating_sub(MOST_SHOWN);
                told.drain(..surplus);
            }
        }
        Some(Event {
            role: Some(certificate.role),
            not_after: Some(end),
            days_left: Some(days_between(now, end)),
            is_down: now > end && certificate.role == Role::Listener,
            ..Event::new(Kind::Expiring, &*certificate.name, now)
        })
    }

    fn failing(&mut self, certificate: &CertificateFact, now: Timestamp) -> Option<Event> {
        if !is_serious(certificate, now) || !self.may_tell(Kind::Failing, &certificate.name, now) {
            return None;
        }
        let failure = certificate.failure.as_ref();
        Some(Event {
            role: Some(certificate.role),
            not_after: certificate.not_after,
            failures: Some(certificate.failures),
            is_down: is_down(certificate),
            detail: failure.map(|failure| failure.detail.clone()),
            fix: failure.and_then(|failure| failure.fix.clone()),
            next_attempt: certificate.next_attempt,
            ..Event::new(Kind::Failing, &*certificate.name, now)
        })
    }

    fn refused(&mut self, server: &ServerFact, now: Timestamp) -> Option<Event> {
        let why = server.refused.as_ref()?;
        if !self.may_tell(Kind::PinChanged, &server.place(), now) {
            return None;
        }
        let event = Event::new(Kind::PinChanged, &*server.upstream, now);
        Some(Event { is_down: true, detail: Some(format!("{}: {why}", server.address)), ..event })
    }

    /// The first certificate is no change; neither is one of a few that take turns, as behind a load balancer.
    fn changed(&mut self, server: &ServerFact, now: Timestamp) -> Option<Event> {
        let sha256 = server.sha256.as_ref()?;
        let shown = self.shown.entry(server.place()).or_default();
        if shown.contains(sha256) {
            return None;
        }
        let is_first = shown.is_empty();
        shown.push(sha256.clone());
        let surplus = shown.len().saturating_sub(MOST_SHOWN);
        shown.drain(..surplus);
        let event = Event::new(Kind::UpstreamChanged, &*server.upstream, now);
        let detail = format!("{}: SHA-256 {sha256}", server.address);
        (!is_first).then_some(Event { not_after: server.not_after, detail: Some(detail), ..event })
    }

    fn heartbeat(&mut self, facts: &Facts, now: Timestamp) -> Option<Event> {
        // A clock that was wrong must not silence it.
        if !self.is_beat_due(now) {
            self.heartbeat = Some(self.heartbeat.unwrap_or(now).min(now));
            return None;
        }
        self.heartbeat = Some(now);
        Some(Event { report: Some(Report::of(facts, now)), ..Event::new(Kind::Heartbeat, "", now) })
    }

    /// Whether a week has passed since the last heartbeat.
    pub(super) fn is_beat_due(&self, now: Timestamp) -> bool {
        self.heartbeat.is_some_and(|last| now.since(last) >= WEEK)
    }

    /// Once a day at most.
    fn may_tell(&mut self, kind: Kind, subject: &str, now: Timestamp) -> bool {
        let key = format!("{} {subject}", kind.as_str());
        if self.troubles.get(&key).is_some_and(|told| is_within(*told, DAY, now)) {
            return false;
        }
        self.troubles.insert(key, now);
        true
    }

    fn forget(&mut self, now: Timestamp) {
        self.troubles.retain(|_, told| is_within(*told, DAY, now));
        self.told_ends.retain(|_, told| {
            // What was seen tomorrow was told by a clock that was wrong.
            told.retain(|told| told.seen < now + DAY && now < told.seen + LONG_GONE);
            !told.is_empty()
        });
    }
}

impl ServerFact {
    fn place(&self) -> String {
        format!("{} {}", self.upstream, self.address)
    }
}

/// How everything stands, for people far away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Certificates that clients get.
    pub certificates: u32,
    /// Those of them that clients accept, as far as it depends on their validity.
    pub valid: u32,
    /// Of everything that has an end, what ends first.
    pub first_to_end: Option<Ending>,
    /// What needs somebody.
    pub needs: Vec<Need>,
}

/// A name and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The configured name.
    pub name: String,
    /// What it is used for.
    pub role: Role,
    /// Last second of its validity.
    pub not_after: Timestamp,
    /// Whole days until then; 0 on the last day and after it.
    pub days_left: u32,
}

/// Something that needs somebody, in the words of the notifier's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// What it is, as in `/status.json`.
    pub matter: String,
    /// Somebody is turned away now.
    pub is_broken: bool,
    /// The certificate, upstream or destination; empty where it is the whole process.
    pub about: String,
    /// What is wrong; without its full stop.
    pub what: String,
    /// What to do; without its full stop.
    pub fix: String,
}

impl Report {
    fn of(facts: &Facts, now: Timestamp) -> Self {
        let served = || facts.certificates.iter().filter(|certificate| certificate.role == Role::Listener);
        let endings = facts.certificates.iter().filter_map(|certificate| ending(certificate, now));
        let first_to_end = endings.min_by_key(|ending| ending.not_after);
        let valid = served().filter(|it| !is_down(it)).count();
        Self { certificates: count(served().count()), valid: count(valid), first_to_end, needs: facts.needs.clone() }
    }
}

fn ending(certificate: &CertificateFact, now: Timestamp) -> Option<Ending> {
    let not_after = certificate.not_after?;
    let days_left = days_between(now, not_after);
    Some(Ending { name: certificate.name.clone(), role: certificate.role, not_after, days_left })
}

/// Whether another identity takes over when this one of two ends.
fn is_followed(certificate: &CertificateFact, facts: &Facts) -> bool {
    let name = certificate.name.strip_suffix(NEXT).unwrap_or(&certificate.name);
    let is_other =
        |it: &CertificateFact| it.name != certificate.name && it.name.strip_suffix(NEXT).unwrap_or(&it.name) == name;
    let mut others = facts.certificates.iter().filter(|it| it.role == Role::EgressClient && is_other(it));
    certificate.role == Role::EgressClient && others.any(|other| other.not_after > certificate.not_after)
}

/// Clients refuse what is served.
fn is_down(certificate: &CertificateFact) -> bool {
    match certificate.state {
        State::Placeholder | State::Expired | State::Missing => certificate.role == Role::Listener,
        State::Issued | State::Static => false,
    }
}

/// A CA that fails once or twice is nothing for people, unless time is short or nothing is there to fall back on. Files
/// are replaced one after the other, so that for a while they do not fit.
fn is_serious(certificate: &CertificateFact, now: Timestamp) -> bool {
    match &certificate.failure {
        None => false,
        Some(failure) if certificate.is_manual => now.since(failure.at) >= WHILE_FILES_CHANGE,
        Some(_) => {
            certificate.failures >= FAILURES
                || is_down(certificate)
                || certificate.emergency.is_some_and(|emergency| now >= emergency)
        }
    }
}

/// The nearest of [`THRESHOLDS`] that is reached; none that is more than a quarter of its life ahead: what renews it by itself
/// may do so later than that.
fn reached(begin: Timestamp, end: Timestamp, now: Timestamp) -> Option<u32> {
    let life = end.since(begin);
    let fits = |days: &u32| DAY * (*days * 4) < life || *days == 0;
    let is_reached = |days: &u32| now + DAY * *days > end;
    THRESHOLDS.into_iter().filter(fits).find(is_reached)
}

fn days_between(now: Timestamp, end: Timestamp) -> u32 {
    u32::try_from(end.since(now).as_secs() / DAY.as_secs()).unwrap_or(u32::MAX)
}

/// Whether `at` lies less than `span` back. What lies in the future was told by a clock that was wrong.
pub(super) fn is_within(at: Timestamp, span: Duration, now: Timestamp) -> bool {
    at <= now && now.since(at) < span
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Days before the end, the nearest first; 0 is the end itself.
const THRESHOLDS: [u32; 5] = [0, 1, 7, 14, 30];
/// Ends the name of the second of two client identities.
const NEXT: &str = "/next";
pub(super) const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// In a row, before a CA that fails is something for people.
const FAILURES: u32 = 3;
/// Shorter than the time after which files that were refused are read again, which makes the failure new.
const WHILE_FILES_CHANGE: Duration = Duration::from_secs(300);
/// What was told of a certificate is kept for so long when it is no longer there.
const LONG_GONE: Duration = Duration::from_secs(90 * 86_400);
/// Servers behind one address that show a certificate each.
const MOST_SHOWN: usize = 8;
