//! Certificates that are due as soon as they come.

use serde::{Deserialize, Serialize};

use super::record::Hold;
use super::{Lifecycle, Validity};
use crate::time::Timestamp;

/// How many certificates in a row were due as soon as they had come, or soon after.
///
/// # Why
///
/// One alone is a mass revocation that has met a new certificate, and is to be followed at once. Two in a row are a CA, or a
/// clock of ours, by which everything is due always: without a brake there would be one order after the other. Renewals before
/// the CA's own time for them count against its limits, and who has used those up gets none when it matters; so the brake
/// grows with the row, until each certificate is kept for half its life. It does so only where every CA is a public one, whose
/// clock is right: when it is the CA's clock that is wrong, certificates live shorter than they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Haste {
    row: u32,
    /// What is served is one of them.
    is_counted: bool,
}

impl Haste {
    /// What was served has made way for another.
    pub(super) fn replaced(&mut self) {
        self.row = if self.is_counted { self.row } else { 0 };
        self.is_counted = false;
    }

    /// What is served is due, soon after it has come.
    fn is_due(&mut self) {
        if !self.is_counted {
            self.row = self.row.saturating_add(1);
            self.is_counted = true;
        }
    }

    /// What is served is not due after all: the CA has given it time.
    fn is_not_due(&mut self) {
        if self.is_counted {
            self.row = self.row.saturating_sub(1);
            self.is_counted = false;
        }
    }

    /// How many brakes long a certificate is kept; none unless this is a loop.
    fn brakes(self, may_grow: bool) -> Option<u32> {
        let further = self.row.checked_sub(LOOP)?;
        Some(if may_grow { 1 << further.min(2) } else { 1 })
    }
}

impl Lifecycle {
    /// Judges a certificate that came at `issued_at`, so short a time ago that it should not be due soon.
    pub(super) fn brake(&mut self, validity: Validity, issued_at: Timestamp, now: Timestamp) {
        if self.renewal().is_none_or(|at| issued_at + validity.soon() <= at) {
            self.record.haste.is_not_due();
            return;
        }
        self.record.haste.is_due();
        let Some(brakes) = self.record.haste.brakes(self.goes_by_cas()) else { return };
        let until = issued_at + validity.brake() * brakes;
        // What the CA, an operator or a failure asks to wait for stays.
        let is_free = match &self.record.hold {
            None | Some(Hold::ByLoop { .. }) => true,
            Some(hold) => !hold.is_in_force(now),
        };
        if is_free && now < until {
            self.record.hold = Some(Hold::ByLoop { since: now, until });
        }
    }
}

/// So many in a row are no chance.
const LOOP: u32 = 2;
