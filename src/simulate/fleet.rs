//! Years of a fleet's life, with bad luck of every kind.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::ca::{Limit, Names, seconds};
use super::draw::{self, DAY, YEAR};
use super::executor::Millis;
use super::run::{Outcome, Scenario};
use super::tally::Line;
use super::world::{Lifetime, Site};
use crate::source::{AcmeCas, AcmeSettings, CertificateSettings, Settings};

/// How large, how long, and which luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Certificates: a quarter each of 24 h, 160 h, 45 d and 90 d.
    pub certificates: usize,
    /// Of virtual time.
    pub days: u32,
    /// The same gives the same, to the last request.
    pub seed: u64,
}

/// What was seen of a fleet.
#[derive(Debug, Serialize)]
pub struct FleetReport {
    seed: u64,
    certificates: usize,
    days: u32,
    faults: usize,
    turns: u64,
    requests: u64,
    attempts: u64,
    by_lifetime: Vec<(u64, Line)>,
    failures: Vec<(&'static str, u64)>,
    /// Of how many a lapse was seen, excused or not.
    lapsed_certificates: usize,
    excused_lapses: Vec<(&'static str, u64)>,
    busiest_minute_orders: u64,
    busiest_minute: String,
    reactions_seconds: Reactions,
    limits: Vec<(&'static str, u32, u32, u64)>,
    excused_limits: u64,
    violations: u64,
    told: Vec<String>,
}

/// How long after an incident certificates were renewed, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Reactions {
    count: usize,
    median: i64,
    longest: i64,
}

impl Fleet {
    /// Runs it.
    pub fn run(self) -> FleetReport {
        let scenario = self.scenario();
        let faults = scenario.faults.len();
        self.report(faults, scenario.run())
    }

    pub(super) fn scenario(self) -> Scenario {
        let mut rng = SmallRng::seed_from_u64(self.seed);
        let machines = self.certificates.div_ceil(PER_MACHINE).max(1);
        let until = BEGIN + Millis::from(self.days) * DAY;
        let site = |nth: usize| {
            let machine = nth / PER_MACHINE;
            let cas = if machine.is_multiple_of(2) { vec![0] } else { vec![0, 1] };
            Site {
                settings: settings(nth, &cas),
                lifetime: Lifetime::Fixed(LIFETIMES[nth % LIFETIMES.len()]),
                machine,
                names: Names { set: nth, domain: machine as u64 },
                cas,
                found: None,
            }
        };
        Scenario {
            seed: self.seed,
            from: BEGIN,
            until,
            sites: (0..self.certificates).map(site).collect(),
            begins: (0..machines).map(|_| BEGIN + rng.random_range(0..DAY)).collect(),
            cas: 2,
            processes: 1,
            faults: draw::faults(self.seed, BEGIN + DAY, until, 2, machines),
            hidden: Vec::new(),
            is_watched: false,
        }
    }

    fn report(self, faults: usize, outcome: Outcome) -> FleetReport {
        let tally = &outcome.tally;
        let (busiest, at) = tally.busiest();
        let reactions: Vec<Millis> = tally.reactions().into_iter().map(|span| span / 1_000).collect();
        let limit = |(limit, high): &(Limit, u32)| {
            let refused = tally.limits().get(limit.in_words()).copied().unwrap_or(0);
            (limit.in_words(), *high, limit.burst(), refused)
        };
        let years = f64::from(self.days) * DAY as f64 / YEAR as f64;
        let too_many: Vec<_> = tally.lines().filter_map(|(lifetime, line)| excess(lifetime, line, years)).collect();
        let violations = tally.violations + too_many.len() as u64;
        FleetReport {
            seed: self.seed,
            certificates: self.certificates,
            days: self.days,
            faults,
            turns: outcome.turns,
            requests: outcome.requests,
            attempts: tally.attempts,
            by_lifetime: tally.lines().map(|(lifetime, line)| (lifetime.as_secs(), line.clone())).collect(),
            failures: tally.failures().iter().map(|(reason, count)| (*reason, *count)).collect(),
            lapsed_certificates: outcome.lapsed.iter().collect::<std::collections::BTreeSet<_>>().len(),
            excused_lapses: tally.excuses().iter().map(|(words, count)| (*words, *count)).collect(),
            busiest_minute_orders: busiest,
            busiest_minute: seconds(at).to_string(),
            reactions_seconds: Reactions {
                count: reactions.len(),
                median: reactions.get(reactions.len() / 2).copied().unwrap_or(0),
                longest: reactions.last().copied().unwrap_or(0),
            },
            limits: outcome.limits.iter().map(limit).collect(),
            excused_limits: tally.excused_limits,
            violations,
            told: outcome.violations.iter().map(ToString::to_string).chain(too_many).collect(),
        }
    }
}

impl FleetReport {
    /// Whether nothing happened that should not.
    pub fn is_clean(&self) -> bool {
        self.violations == 0
    }
}

impl fmt::Display for FleetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} certificates, {} days, {} faults",
            self.seed, self.certificates, self.days, self.faults
        )?;
        writeln!(f, "{} wake-ups, {} attempts, {} requests", self.turns, self.attempts, self.requests)?;
        writeln!(f)?;
        writeln!(
            f,
            "lifetime  certificates  renewed  orders/year  requests/year  at most  lapses  longest  least left"
        )?;
        let years = f64::from(self.days) * DAY as f64 / YEAR as f64;
        for (lifetime, line) in &self.by_lifetime {
            let each = |count: u64| count as f64 / line.certificates as f64 / years;
            writeln!(
                f,
                "{:>6} h  {:>12}  {:>7}  {:>11.1}  {:>13.0}  {:>7.0}  {:>6}  {:>5.0} h  {:>8.1} %",
                lifetime / 3_600,
                line.certificates,
                line.renewed,
                each(line.orders),
                each(line.requests),
                most_requests(Duration::from_secs(*lifetime)),
                line.lapses,
                line.longest_lapse_seconds as f64 / 3_600.0,
                line.least_left_permille.unwrap_or(1_000) as f64 / 10.0,
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "lapses with an excuse: {} (of {} certificates)",
            counts(&self.excused_lapses),
            self.lapsed_certificates
        )?;
        writeln!(f, "failed attempts: {}", counts(&self.failures))?;
        writeln!(f, "most orders in a minute: {} at {}", self.busiest_minute_orders, self.busiest_minute)?;
        let Reactions { count, median, longest } = self.reactions_seconds;
        let (median, longest) = (median as f64 / 3_600.0, longest as f64 / 3_600.0);
        writeln!(
            f,
            "renewed after mass revocation: {count}, half of them within {median:.1} h, all within {longest:.1} h"
        )?;
        writeln!(f)?;
        writeln!(f, "limits: most taken of a bucket, its size, refusals")?;
        for (words, high, burst, refused) in &self.limits {
            writeln!(f, "  {words:<40} {high:>5} of {burst:>5}  {refused:>5}")?;
        }
        let excused = self.excused_limits;
        writeln!(f, "refusals after bad chains, or another CA's outage: {excused}")?;
        writeln!(f)?;
        writeln!(f, "violations: {}", self.violations)?;
        self.told.iter().try_for_each(|told| f.write_str(told))?;
        if !self.is_clean() {
            let Self { seed, certificates, days, .. } = self;
            writeln!(f, "again: portvakt simulate --fleet {certificates} --days {days} --seed {seed}")?;
        }
        Ok(())
    }
}

/// Requests for a certificate in a year, at most: for each renewal, at half of its life, twice the eight that an order takes,
/// and twice the questions for renewal information that are due every six hours. What is more is a task that asks too often.
fn most_requests(lifetime: Duration) -> f64 {
    let year = YEAR as f64 / 1_000.0;
    let renewals = year / (lifetime.as_secs_f64() / 2.0);
    2.0 * (8.0 * renewals + year / ASKED_EVERY)
}

/// What is said of certificates for which a CA was asked too often. A short time is all beginnings, and proves nothing.
fn excess(lifetime: Duration, line: &Line, years: f64) -> Option<String> {
    let (asked, most) = (line.requests as f64 / line.certificates.max(1) as f64 / years, most_requests(lifetime));
    let hours = lifetime.as_secs() / 3_600;
    let is_long = years >= SHORTEST;
    (is_long && asked > most)
        .then(|| format!("certificates of {hours} h: {asked:.0} requests a year for each, {most:.0} at most\n"))
}

/// What a keeper of the fleet is told.
pub(super) fn settings(nth: usize, cas: &[usize]) -> CertificateSettings {
    let ca = |ca: &usize| AcmeSettings {
        directory: format!("https://acme-v02.api.letsencrypt.org/{ca}"),
        agree_tos: true,
        ..AcmeSettings::default()
    };
    let first = cas.first().map_or_else(AcmeSettings::default, ca);
    let next = cas.iter().skip(1).map(ca).collect();
    CertificateSettings {
        name: format!("s{nth}"),
        identifiers: vec![format!("s{nth}.example")],
        source: Settings::Acme(AcmeCas { first, next }),
    }
}

fn counts(of: &[(&'static str, u64)]) -> String {
    if of.is_empty() {
        return "none".to_owned();
    }
    of.iter().map(|(words, count)| format!("{words} {count}")).collect::<Vec<_>>().join(", ")
}

const LIFETIMES: [Duration; 4] = [hours(24), hours(160), hours(45 * 24), hours(90 * 24)];

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

/// Seconds between two questions for renewal information, where the CA names no time.
const ASKED_EVERY: f64 = 6.0 * 3_600.0;
/// Years in which the requests of a beginning do not count for much.
const SHORTEST: f64 = 0.15;

/// Sites behind one sidecar, with one account, under one registered domain.
const PER_MACHINE: usize = 25;

/// 2027-01-01 00:00:00 UTC.
const BEGIN: Millis = 1_798_761_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_requests_when_counted_by_year_then_told_beyond_what_a_life_needs() {
        let day = hours(24);
        let line = |requests| Line { certificates: 2, requests, ..Line::default() };
        let most = most_requests(day);
        assert!(14_000.0 < most && most < 15_000.0, "{most}");
        assert!(most_requests(hours(90 * 24)) < 3_100.0);

        assert_eq!(excess(day, &line(2 * 14_000), 1.0), None);
        let told = excess(day, &line(2 * 15_000), 1.0).unwrap();
        assert!(told.contains("certificates of 24 h: 15000 requests a year for each"), "{told}");
        assert_eq!(excess(day, &line(2 * 15_000), 0.01), None, "a beginning");
    }
}
