//! Whether what has happened should have: told from the faults, by rules that portvakt does not share.

use super::super::ca::{self, seconds};
use super::super::excuse::{Case, SLACK, is_calm};
use super::super::executor::Millis;
use super::super::faults::{CaFault, Fault, MachineFault, What};
use super::super::world::Identity;
use super::{DAY, Judge, REACTION, millis};
use crate::lifecycle::Validity;

impl Judge {
    /// `before` was served until `now`: perhaps beyond its end.
    pub(super) fn judge_replaced(&mut self, site: usize, before: Identity, now: Millis) {
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
    pub(super) fn judge_wait(&mut self, site: usize, from: Millis, now: Millis, what: &str) {
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
    pub(super) fn judge_incident(&mut self, site: usize, since: Millis, now: Millis) {
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
    pub(super) fn runs_on(&self, site: usize, from: Millis, until: Millis) -> bool {
        !self.on_machine(site, from, until, |fault| {
            matches!(
                fault,
                MachineFault::Down | MachineFault::CrashLoop { .. } | MachineFault::DiskFull | MachineFault::Reload
            )
        })
    }

    pub(super) fn is_clock_wrong(&self, site: usize, from: Millis, until: Millis) -> bool {
        self.on_machine(site, from, until, |fault| matches!(fault, MachineFault::Clock { .. }))
    }

    fn on_machine(&self, site: usize, from: Millis, until: Millis, is: fn(MachineFault) -> bool) -> bool {
        let faults = self.book.about(self.dockets[site].machine, &[], from, until + 1);
        faults.iter().any(|fault| from <= fault.until && matches!(fault.what, What::Machine(_, what) if is(what)))
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
pub(super) fn end(identity: Identity) -> Millis {
    identity.issued.map_or(0, |issued| millis(issued.validity.not_after) + 1_000)
}
