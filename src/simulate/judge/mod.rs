//! Sees everything, knows the truth, and says what should not have happened.

mod docket;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::ca::{Limit, seconds};
use super::executor::Millis;
use super::faults::{Book, CaFault, Fault, What};
use super::tally::Tally;
use super::world::{Identity, Site};
use crate::lifecycle::{Event, FAILURES_PER_HOUR, Failure, Retry};
use crate::time::Timestamp;
use docket::{Attempt, Docket, Failed, Note, is_transient};
use verdict::end;

/// Something that should not have happened.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    /// When it was noticed.
    pub(super) at: Millis,
    /// To which certificate.
    pub(super) site: usize,
    /// What.
    pub(super) what: String,
    /// What happened to the certificate before, oldest first.
    pub(super) history: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  certificate {}: {}", seconds(self.at), self.site, self.what)?;
        self.history.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// The judge of one run.
#[derive(Debug)]
pub(super) struct Judge {
    book: Book,
    dockets: Vec<Docket>,
    /// What was seen, in numbers.
    pub(super) tally: Tally,
    violations: Vec<Violation>,
    lapsed: Vec<usize>,
}

impl Judge {
    /// Of so many processes for each site, which begin at the given moments.
    pub(super) fn new(sites: &[Site], began: &[Millis], processes: usize, faults: &[Fault]) -> Self {
        let docket = |site: &Site| Docket {
            machine: site.machine,
            cas: site.cas.clone(),
            began: began[site.machine],
            served: vec![None; processes],
            attempts: vec![None; processes],
            failed: BTreeMap::new(),
            consecutive: 0,
            refused: Vec::new(),
            failures: VecDeque::new(),
            must_go: None,
            history: VecDeque::with_capacity(HISTORY),
        };
        let dockets = sites.iter().map(docket).collect();
        Self { book: Book::new(faults), dockets, tally: Tally::new(sites), violations: Vec::new(), lapsed: Vec::new() }
    }

    /// What should not have happened.
    pub(super) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The certificates that lapsed, excused or not, in the order of time.
    pub(super) fn lapsed(&self) -> &[usize] {
        &self.lapsed
    }

    /// A keeper calls a CA for a certificate.
    pub(super) fn attempt_begins(&mut self, site: usize, process: usize, ca: usize, now: Millis) {
        self.tally.attempts += 1;
        self.docket(site).attempts[process] = Some(Attempt { ca });
        self.note(site, now, Note::Asks { ca });
        let docket = &self.dockets[site];
        let Some(failed) = docket.failed.get(&ca).copied() else { return };
        let hour = docket.failures.iter().filter(|at| now - **at < 3_600_000 - SECONDS).count();
        // A clock that is put right makes failures lie in the future; what the CA has heard of them, its own limits count.
        if hour >= FAILURES_PER_HOUR && !self.is_clock_wrong(site, now - 3_600_000, now) {
            self.blame(site, now, format!("attempt after {hour} failures within an hour"));
        }
        if let Some(until) = failed.until.filter(|until| now + SECONDS < *until) {
            self.blame(site, now, format!("attempt {} s before the time that the CA named", (until - now) / 1_000));
        }
        let (waited, least) = (now - failed.at, failed.least());
        // A clock that is wrong shows less time left than there is, and a CA that does not answer cannot say so.
        let is_told = self.runs_on(site, failed.at, now) && !self.is_clock_wrong(site, failed.at, now);
        if failed.until.is_none() && waited + SECONDS < least && is_told {
            let (waited, least) = (waited / 1_000, least / 1_000);
            self.blame(site, now, format!("attempt {waited} s after failure {}, {least} s at least", failed.count));
        }
    }

    /// It has ended, with a failure perhaps. `clock` is what the machine's clock shows.
    pub(super) fn attempt_ended(
        &mut self,
        site: usize,
        process: usize,
        failure: Option<&Failure>,
        now: Millis,
        clock: Timestamp,
    ) {
        let docket = self.docket(site);
        let Some(attempt) = docket.attempts[process].take() else { return };
        let Some(failure) = failure else {
            docket.failed.remove(&attempt.ca);
            docket.consecutive = 0;
            return;
        };
        docket.consecutive += 1;
        let here = docket.failed.get(&attempt.ca).map_or(1, |failed| failed.count + 1);
        let count = here.min(docket.consecutive);
        let until = match failure.retry {
            Retry::At(at) => Some(now + 1_000 * at.since(clock).as_secs().min(WEEK) as Millis),
            Retry::Backoff | Retry::Never => None,
        };
        let left = docket.served[process].map_or(0, |served| end(served) - now);
        let cap = match left {
            1.. => left / 8,
            _ if is_transient(failure.reason) => 3_600_000,
            _ => 6 * 3_600_000,
        };
        docket.failed.insert(attempt.ca, Failed { at: now, count, reason: failure.reason, until, cap });
        docket.failures.push_back(now);
        if docket.failures.len() > FAILURES_PER_HOUR {
            docket.failures.pop_front();
        }
        self.tally.failed(failure.reason);
        self.note(site, now, Note::Failed { reason: failure.reason, count, retry: failure.retry });
    }

    /// A process of a machine has died, or its tasks were begun anew.
    pub(super) fn died(&mut self, machine: usize, now: Millis) {
        for site in 0..self.dockets.len() {
            let docket = &mut self.dockets[site];
            if docket.machine != machine {
                continue;
            }
            if docket.attempts.iter_mut().any(|attempt| attempt.take().is_some()) {
                self.note(site, now, Note::Died);
            }
        }
    }

    /// The settings have changed: what was refused may be tried again.
    pub(super) fn resettled(&mut self, machine: usize) {
        for docket in self.dockets.iter_mut().filter(|docket| docket.machine == machine) {
            docket.consecutive = 0;
            docket.failed.retain(|_, failed| failed.until.is_some());
            docket.failed.values_mut().for_each(|failed| failed.count = 0);
        }
    }

    /// A new order stands at the CA.
    pub(super) fn ordered(&mut self, site: usize, now: Millis) {
        self.tally.ordered(site, now);
        self.note(site, now, Note::Ordered);
    }

    /// A request was sent.
    pub(super) fn requested(&mut self, site: usize) {
        self.tally.requested(site);
    }

    /// Of which renewal information was the aim.
    pub(super) fn info_asked(&mut self, site: usize) {
        self.tally.asked_for_info(site);
    }

    /// The CA has refused, until `until`, by a limit that it has published.
    pub(super) fn limit_reached(&mut self, site: usize, ca: usize, limit: Limit, until: Millis, now: Millis) {
        self.note(site, now, Note::Limit(limit));
        self.tally.limit_reached(limit);
        if limit == Limit::SameSet && self.is_limit_excused(site, ca, now) {
            self.tally.excused_limits += 1;
            self.docket(site).refused.push((now, until));
            return;
        }
        self.blame(site, now, format!("a limit is broken: {} ({})", limit.in_words(), limit.burst()));
    }

    /// Whether the CA itself had issued what cannot be used, or a CA had to help out for another that was away: all of a week, as
    /// the limit counts.
    fn is_limit_excused(&self, site: usize, ca: usize, now: Millis) -> bool {
        let docket = &self.dockets[site];
        let since = now - 1_000 * WEEK as Millis;
        let faults = self.book.about(docket.machine, &docket.cas, since, now + 1);
        faults.iter().filter(|fault| since < fault.until).any(|fault| match fault.what {
            What::Ca(at, CaFault::BadChains) => at == ca,
            What::Ca(at, _) => at != ca && fault.hinders(docket.machine, at).is_some(),
            What::Machine(..) => false,
        })
    }

    /// The CA wants a certificate gone, which is served perhaps.
    pub(super) fn must_go(&mut self, site: usize, ca: usize, serial: u64, now: Millis) {
        let docket = self.docket(site);
        let is_served =
            |served: &Identity| served.ca == ca && served.issued.is_some_and(|issued| issued.serial == serial);
        if docket.served[0].as_ref().is_some_and(is_served) {
            docket.must_go = Some((now, serial));
            self.note(site, now, Note::MustGo);
        }
    }

    /// Something is woken again and again, and time stands still.
    pub(super) fn spins(&mut self, now: Millis) {
        self.blame(0, now, "a task runs without end".to_owned());
    }

    /// A process serves an identity from now on.
    pub(super) fn served(&mut self, site: usize, process: usize, identity: Identity, now: Millis) {
        let Some(issued) = identity.issued else { return };
        let before = self.docket(site).served[process].replace(identity);
        if before == Some(identity) {
            return;
        }
        self.note(site, now, Note::Served { serial: issued.serial, until: issued.validity.not_after });
        if process > 0 {
            return;
        }
        self.tally.issued(site, before.is_some());
        match before {
            Some(before) => self.judge_replaced(site, before, now),
            None => self.judge_wait(site, self.dockets[site].began, now, "the first certificate"),
        }
        if let Some((since, _)) = self.dockets[site].must_go.filter(|(_, serial)| *serial != issued.serial) {
            self.dockets[site].must_go = None;
            self.judge_incident(site, since, now);
        }
    }

    /// The run is over: what is not renewed by now is judged as it stands.
    pub(super) fn close(&mut self, now: Millis) {
        for site in 0..self.dockets.len() {
            match self.dockets[site].served[0] {
                Some(served) => self.judge_replaced(site, served, now),
                None => self.judge_wait(site, self.dockets[site].began, now, "the first certificate"),
            }
        }
    }

    /// What a keeper tells.
    pub(super) fn told(&mut self, site: usize, _process: usize, event: &Event, now: Millis) {
        if let Event::Informed { window, due } = event {
            self.note(site, now, Note::Window { start: window.start, due: *due });
        }
    }

    fn docket(&mut self, site: usize) -> &mut Docket {
        &mut self.dockets[site]
    }

    fn note(&mut self, site: usize, at: Millis, note: Note) {
        let history = &mut self.docket(site).history;
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back((at, note));
    }

    fn blame(&mut self, site: usize, at: Millis, what: String) {
        self.tally.violations += 1;
        if self.violations.len() < MOST {
            let history =
                self.dockets[site].history.iter().map(|(at, note)| format!("{}  {note}", seconds(*at))).collect();
            self.violations.push(Violation { at, site, what, history });
        }
    }
}

fn millis(at: Timestamp) -> Millis {
    at.as_unix() * 1_000
}

/// How soon a certificate that must go is renewed, when nothing else is wrong: the longest pause between two questions,
/// six hours and a fifth, and the order.
pub(super) const REACTION: Millis = 8 * 3_600_000;
/// Keepers count in whole seconds.
const SECONDS: Millis = 2_000;
const HISTORY: usize = 24;
/// Kept with their history; the others are counted.
const MOST: usize = 50;
const DAY: Millis = 24 * 3_600_000;
const WEEK: u64 = 7 * 86_400;
