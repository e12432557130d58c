//! Which CA to ask, when there are several.

use serde::{Deserialize, Serialize};

use super::record::Hold;
use super::{Lifecycle, Why};
use crate::time::Timestamp;

/// How it went at one CA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Journal {
    /// Failures since the last success there.
    pub(super) failures: u32,
    /// Those of them that were trouble of the CA.
    pub(super) troubles: u32,
    pub(super) hold: Option<Hold>,
}

/// Outcome of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The CA of this index.
    Ask(usize),
    /// None yet; `None` is until the settings change.
    Held { until: Option<Timestamp>, why: Why },
}

impl Lifecycle {
    /// The first CA that may be asked.
    ///
    /// A later one only while the earlier ones are in trouble of their own, and only when time grows short: what a CA
    /// refuses about our names, another would refuse too, and each order counts there.
    pub(super) fn choose(&self, now: Timestamp) -> Choice {
        if let Some(ca) = self.resumed_at() {
            return Choice::Ask(ca);
        }
        let mut held: Option<(Option<Timestamp>, Why)> = None;
        for ca in 0..self.asked.cas.len().max(1) {
            let journal = self.record.journal(self.ca(ca));
            let Some(hold) = journal.hold.as_ref().filter(|hold| hold.is_in_force(now)) else {
                return Choice::Ask(ca);
            };
            held = Some(sooner(held, (hold.until(), hold.why())));
            match self.passes_on_at(journal, now) {
                Some(at) if at <= now => {}
                Some(at) if ca + 1 < self.asked.cas.len() => {
                    held = Some(sooner(held, (Some(at), hold.why())));
                    break;
                }
                Some(_) | None => break,
            }
        }
        let (until, why) = held.unwrap_or((None, Why::WaitingForChange));
        Choice::Held { until, why }
    }

    /// Directory of the CA of this index; empty where there is no choice.
    pub(super) fn ca(&self, index: usize) -> &str {
        self.asked.cas.get(index).map_or("", String::as_str)
    }

    /// The CA that an attempt was begun at, which has not ended.
    fn resumed_at(&self) -> Option<usize> {
        let attempt = self.record.attempt.as_ref()?;
        if attempt.ca.is_empty() {
            return Some(0);
        }
        self.asked.cas.iter().position(|ca| *ca == attempt.ca)
    }

    /// From when on the next CA may be asked in place of this one; `None` for never.
    fn passes_on_at(&self, journal: &Journal, now: Timestamp) -> Option<Timestamp> {
        let validity = self.served.validity().filter(|validity| now <= validity.not_after);
        let outlasts = |until: Timestamp| {
            validity.map_or(now + super::schedule::LONGEST_WITHOUT_CERTIFICATE, |v| v.emergency()) < until
        };
        let is_held_long = matches!(&journal.hold, Some(Hold::ByIssuer { until, .. } | Hold::ByBudget { until, .. }) if outlasts(*until));
        // Clients stand before a closed door: another CA rather than a long pause.
        let is_closed_for_long = validity.is_none()
            && journal.troubles > 0
            && journal.hold.as_ref().and_then(Hold::until).is_some_and(|until| now + super::schedule::HOUR < until);
        if journal.troubles < TROUBLES && !is_held_long && !is_closed_for_long {
            return None;
        }
        let Some(validity) = validity else { return Some(now) };
        let due = self.renewal_due().unwrap_or(now).min(validity.emergency());
        Some(due + validity.emergency().since(due) / 3 * 2)
    }
}

/// The earlier of two ends; one that no time ends is the later.
fn sooner(one: Option<(Option<Timestamp>, Why)>, other: (Option<Timestamp>, Why)) -> (Option<Timestamp>, Why) {
    match one {
        Some((Some(until), why)) if other.0.is_none_or(|at| until <= at) => (Some(until), why),
        _ => other,
    }
}

/// Failures of a CA before another is asked.
const TROUBLES: u32 = 3;
