//! What was seen in a run, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::ca::Limit;
use super::excuse::Case;
use super::executor::Millis;
use super::faults::{Fault, What};
use super::world::Site;
use crate::lifecycle::{Reason, Validity};
use crate::time::Timestamp;

/// Counted by the judge.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) attempts: u64,
    pub(super) violations: u64,
    /// Refusals by a limit that are no fault of portvakt.
    pub(super) excused_limits: u64,
    /// By lifetime, in seconds.
    by_lifetime: BTreeMap<u64, Line>,
    lifetimes: Vec<u64>,
    failures: BTreeMap<&'static str, u64>,
    limits: BTreeMap<&'static str, u64>,
    excuses: BTreeMap<&'static str, u64>,
    orders: Busiest,
    reactions: Vec<Millis>,
}

/// All certificates of one lifetime.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Line {
    /// How many there are.
    pub(super) certificates: u64,
    /// First certificates.
    pub(super) issued: u64,
    /// Further ones.
    pub(super) renewed: u64,
    /// Orders placed.
    pub(super) orders: u64,
    /// Requests to a CA, those for renewal information included.
    pub(super) requests: u64,
    /// Questions for renewal information.
    pub(super) info_requests: u64,
    /// Times at which one was not renewed before its end.
    pub(super) lapses: u64,
    /// The longest of them.
    pub(super) longest_lapse_seconds: u64,
    /// Least that was left when one was renewed before its end, of a thousand parts of its life; none counted yet is empty.
    pub(super) least_left_permille: Option<u64>,
}

/// The minute with the most.
#[derive(Clone, Copy, Debug, Default)]
struct Busiest {
    minute: Millis,
    count: u64,
    most: u64,
    at: Millis,
}

impl Tally {
    pub(super) fn new(sites: &[Site]) -> Self {
        let lifetimes: Vec<u64> = sites.iter().map(|site| site.lifetime.at(Timestamp::default()).as_secs()).collect();
        let mut by_lifetime: BTreeMap<u64, Line> = BTreeMap::new();
        for lifetime in &lifetimes {
            by_lifetime.entry(*lifetime).or_default().certificates += 1;
        }
        Self { by_lifetime, lifetimes, ..Self::default() }
    }

    pub(super) fn requested(&mut self, site: usize) {
        self.line(site).requests += 1;
    }

    pub(super) fn asked_for_info(&mut self, site: usize) {
        self.line(site).info_requests += 1;
    }

    pub(super) fn ordered(&mut self, site: usize, now: Millis) {
        self.line(site).orders += 1;
        self.orders.count(now);
    }

    pub(super) fn issued(&mut self, site: usize, is_renewal: bool) {
        let line = self.line(site);
        if is_renewal {
            line.renewed += 1;
        } else {
            line.issued += 1;
        }
    }

    pub(super) fn failed(&mut self, reason: Reason) {
        *self.failures.entry(reason.as_str()).or_default() += 1;
    }

    pub(super) fn limit_reached(&mut self, limit: Limit) {
        *self.limits.entry(limit.in_words()).or_default() += 1;
    }

    pub(super) fn lapsed(&mut self, site: usize, span: Millis) {
        let line = self.line(site);
        line.lapses += 1;
        line.longest_lapse_seconds = line.longest_lapse_seconds.max(u64::try_from(span / 1_000).unwrap_or(0));
    }

    pub(super) fn renewed_at(&mut self, validity: Validity, now: Timestamp) {
        let (left, total) = (validity.not_after.since(now).as_secs(), validity.total().as_secs().max(1));
        if let Some(line) = self.by_lifetime.get_mut(&(total + 1)).filter(|_| left > 0) {
            let permille = left * 1_000 / total;
            line.least_left_permille = Some(line.least_left_permille.map_or(permille, |least| least.min(permille)));
        }
    }

    pub(super) fn reacted(&mut self, after: Millis) {
        self.reactions.push(after);
    }

    /// Counts what hindered the renewal longest.
    pub(super) fn excuse(&mut self, faults: &[Fault], case: &Case<'_>) {
        let overlap = |fault: &Fault| {
            let until = case.cas.iter().filter_map(|ca| fault.hinders(case.machine, *ca)).max()?;
            Some((until.min(case.end) - fault.from.max(case.due), fault.what))
        };
        let longest = faults.iter().filter_map(overlap).max_by_key(|(span, _)| *span);
        let words = longest.map_or("nothing", |(_, what)| match what {
            What::Ca(_, fault) => fault.in_words(),
            What::Machine(_, fault) => fault.in_words(),
        });
        *self.excuses.entry(words).or_default() += 1;
    }

    /// By lifetime, the shortest first.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Duration, &Line)> {
        self.by_lifetime.iter().map(|(lifetime, line)| (Duration::from_secs(*lifetime), line))
    }

    /// Failed attempts by reason.
    pub(super) fn failures(&self) -> &BTreeMap<&'static str, u64> {
        &self.failures
    }

    /// Refusals by limits, by limit.
    pub(super) fn limits(&self) -> &BTreeMap<&'static str, u64> {
        &self.limits
    }

    /// Lapses with an excuse, by what hindered longest.
    pub(super) fn excuses(&self) -> &BTreeMap<&'static str, u64> {
        &self.excuses
    }

    /// The most orders in a minute, and when.
    pub(super) fn busiest(&self) -> (u64, Millis) {
        (self.orders.most, self.orders.at)
    }

    /// How long after the beginning of an incident certificates were renewed, in rising order.
    pub(super) fn reactions(&self) -> Vec<Millis> {
        let mut reactions = self.reactions.clone();
        reactions.sort_unstable();
        reactions
    }

    fn line(&mut self, site: usize) -> &mut Line {
        self.by_lifetime.entry(self.lifetimes[site]).or_default()
    }
}

impl Busiest {
    fn count(&mut self, now: Millis) {
        let minute = now / 60_000;
        if self.minute != minute {
            (self.minute, self.count) = (minute, 0);
        }
        self.count += 1;
        if self.count > self.most {
            (self.most, self.at) = (self.count, minute * 60_000);
        }
    }
}
