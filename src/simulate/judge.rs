//! Sees everything, knows the truth, and says what should not have happened.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::ca::{self, Limit, seconds};
use super::excuse::{Case, SLACK, is_calm};
use super::executor::Millis;
use super::faults::{Book, CaFault, Fault, MachineFault, What};
use super::tally::Tally;
use super::world::{Identity, Site};
use crate::lifecycle::{Event, FAILURES_PER_HOUR, Failure, Reason, Retry, Validity};
use crate::time::Timestamp;

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

/// What is known of one certificate.
#[derive(Debug)]
struct Docket {
    machine: usize,
    cas: Vec<usize>,
    /// When somebody began to want it.
    began: Millis,
    /// What each process serves.
    served: Vec<Option<Identity>>,
    /// Attempts that run, by process.
    attempts: Vec<Option<Attempt>>,
    /// By CA: the failure after which nothing has succeeded there yet.
    failed: BTreeMap<usize, Failed>,
    /// Failures in a row, at whatever CA.
    consecutive: u32,
    /// Times in which a CA refused by a limit for which portvakt is not to blame.
    refused: Vec<(Millis, Millis)>,
    /// When attempts failed.
    failures: VecDeque<Millis>,
    /// An incident's beginning, and the certificate that must go.
    must_go: Option<(Millis, u64)>,
    history: VecDeque<(Millis, Note)>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    ca: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    at: Millis,
    /// In a row.
    count: u32,
    reason: Reason,
    /// Not before, says the CA.
    until: Option<Millis>,
    /// Longest that an eighth of what was left allows.
    cap: Millis,
}

/// What happened, to be told if it matters.
#[derive(Clone, Copy, Debug)]
enum Note {
    Served { serial: u64, until: Timestamp },
    Asks { ca: usize },
    Failed { reason: Reason, count: u32, retry: Retry },
    Ordered,
    MustGo,
    Died,
    Window { start: Timestamp, due: Option<Timestamp> },
    Limit(Limit),
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
        if self.is_clock_wrong(site, failed.at, now) {
            return;
        }
        let hour = docket.failures.iter().filter(|at| now - **at < 3_600_000 - SECONDS).count();
        if hour >= FAILURES_PER_HOUR {
            self.blame(site, now, format!("attempt after {hour} failures within an hour"));
        }
        if let Some(until) = failed.until.filter(|until| now + SECONDS < *until) {
            self.blame(site, now, format!("attempt {} s before the time that the CA named", (until - now) / 1_000));
        }
        let (waited, least) = (now - failed.at, failed.least());
        if failed.until.is_none() && waited + SECONDS < least && self.runs_on(site, failed.at, now) {
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
        let cap = if left > 0 { left / 8 } else { 6 * 3_600_000 };
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

    /// Whether the CA itself had issued what cannot be used, or the clock was wrong, or a CA had to help out for another that
    /// was away: all of a week, as the limit counts.
    fn is_limit_excused(&self, site: usize, ca: usize, now: Millis) -> bool {
        let docket = &self.dockets[site];
        let since = now - 1_000 * WEEK as Millis;
        let faults = self.book.about(docket.machine, &docket.cas, since, now + 1);
        faults.iter().filter(|fault| since < fault.until).any(|fault| match fault.what {
            What::Ca(at, CaFault::BadChains) => at == ca,
            What::Ca(at, _) => at != ca && fault.hinders(docket.machine, at).is_some(),
            What::Machine(_, MachineFault::Clock { .. }) => true,
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

    /// `before` was served until `now`: perhaps beyond its end.
    fn judge_replaced(&mut self, site: usize, before: Identity, now: Millis) {
        let Some(issued) = before.issued else { return };
        let end = end(before);
        self.tally.renewed_at(issued.validity, seconds(now));
        if now <= end {
            return;
        }
        self.tally.lapsed(site, now - end);
        self.lapsed.push(site);
        let docket = &self.dockets[site];
        let faults = self.book.about(docket.machine, &docket.cas, millis(issued.validity.not_before), end);
        let case = Case {
            machine: docket.machine,
            cas: &docket.cas,
            due: due(&faults, issued.validity),
            emergency: millis(issued.validity.emergency()),
            end,
            refused: &docket.refused,
        };
        match case.opportunity(&faults) {
            Some((from, until)) => {
                let hours = (now - end) / 3_600_000;
                let (from, until) = (seconds(from), seconds(until));
                self.blame(
                    site,
                    now,
                    format!("lapsed for {hours} h without excuse: nothing was wrong from {from} to {until}"),
                );
            }
            None => self.tally.excuse(&faults, &case),
        }
        self.judge_wait(site, end, now, "another certificate");
    }

    /// Nothing valid was served since `from`: nothing must have been well for long.
    fn judge_wait(&mut self, site: usize, from: Millis, now: Millis, what: &str) {
        let docket = &self.dockets[site];
        // With nothing valid, six hours are the longest pause, and every CA may be asked.
        let case = Case {
            machine: docket.machine,
            cas: &docket.cas,
            due: from,
            emergency: from,
            end: now,
            refused: &docket.refused,
        };
        let longest = 6 * 3_600_000 + SLACK;
        let faults = self.book.about(docket.machine, &docket.cas, from, now);
        if let Some((begin, end)) = case.free(&faults).into_iter().find(|(begin, end)| end - begin > longest) {
            let (begin, end) = (seconds(begin), seconds(end));
            self.blame(site, now, format!("waited too long for {what}: nothing was wrong from {begin} to {end}"));
        }
    }

    /// The CA wanted it gone since `since`.
    fn judge_incident(&mut self, site: usize, since: Millis, now: Millis) {
        let docket = &self.dockets[site];
        let (from, until) = (since - 2 * DAY, since + REACTION);
        let faults = self.book.about(docket.machine, &docket.cas, from, until);
        // Two within a day are what a CA looks like that calls everything due.
        let again = |fault: &Fault| matches!(fault.what, What::Ca(_, CaFault::Revocation { .. })) && fault.from < since;
        let is_again = faults.iter().any(|fault| again(fault) && since - DAY <= fault.from);
        if is_again || !is_calm(&faults, docket.machine, &docket.cas, from, until) {
            return;
        }
        self.tally.reacted(now - since);
        if now - since > REACTION {
            let (hours, most) = ((now - since) / 3_600_000, REACTION / 3_600_000);
            self.blame(site, now, format!("renewed {hours} h after the CA wanted it gone, {most} h at most"));
        }
    }

    /// Whether the process lived all the time, and its disk took what it wrote.
    fn runs_on(&self, site: usize, from: Millis, until: Millis) -> bool {
        !self.on_machine(site, from, until, |fault| {
            matches!(
                fault,
                MachineFault::Down | MachineFault::CrashLoop { .. } | MachineFault::DiskFull | MachineFault::Reload
            )
        })
    }

    fn is_clock_wrong(&self, site: usize, from: Millis, until: Millis) -> bool {
        self.on_machine(site, from, until, |fault| matches!(fault, MachineFault::Clock { .. }))
    }

    fn on_machine(&self, site: usize, from: Millis, until: Millis, is: fn(MachineFault) -> bool) -> bool {
        let faults = self.book.about(self.dockets[site].machine, &[], from, until + 1);
        faults.iter().any(|fault| from <= fault.until && matches!(fault.what, What::Machine(_, what) if is(what)))
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

impl Failed {
    /// The least that must be waited: Let's Encrypt's schedule less its jitter, or the cap; 42 seconds in any case.
    fn least(self) -> Millis {
        let steps: &[Millis] = match self.reason {
            Reason::Server | Reason::Network | Reason::Timeout | Reason::OrderNotReady | Reason::Storage => {
                &[60, 300, 900, 3_600, 21_600, 86_400]
            }
            _ => &[60, 600, 6_000, 86_400],
        };
        let nth = usize::try_from(self.count.max(1) - 1).unwrap_or(usize::MAX).min(steps.len() - 1);
        (steps[nth] * 700).min(self.cap).max(42_000)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served { serial, until } => write!(f, "serves {serial:x}, valid until {until}"),
            Self::Asks { ca } => write!(f, "asks CA {ca}"),
            Self::Failed { reason, count, retry } => write!(f, "failure {count}: {} ({retry:?})", reason.as_str()),
            Self::Ordered => f.write_str("placed an order"),
            Self::MustGo => f.write_str("the CA wants it gone"),
            Self::Died => f.write_str("died in the attempt"),
            Self::Window { start, due: Some(due) } => write!(f, "window from {start}, due {due}"),
            Self::Window { start, due: None } => write!(f, "window from {start}"),
            Self::Limit(limit) => write!(f, "limit: {}", limit.in_words()),
        }
    }
}

/// The end of the CA's window; the emergency, where the CA may have said something that makes no sense.
fn due(faults: &[Fault], validity: Validity) -> Millis {
    let is_nonsense = |fault: &Fault| {
        matches!(fault.what, What::Ca(_, CaFault::InfoNonsense)) && millis(validity.not_before) < fault.until
    };
    millis(if faults.iter().any(is_nonsense) { validity.emergency() } else { ca::window(validity).end })
}

/// The first moment at which it is valid no more.
fn end(identity: Identity) -> Millis {
    identity.issued.map_or(0, |issued| millis(issued.validity.not_after) + 1_000)
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
