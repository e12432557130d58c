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
/// clock of ours, by which everything is due always: without a brake there would be one order after the other.
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

    fn is_loop(self) -> bool {
        self.row >= LOOP
    }
}

impl Lifecycle {
    /// Judges a certificate that came at `issued_at`, so short a time ago that it should not be due.
    pub(super) fn brake(&mut self, validity: Validity, issued_at: Timestamp, now: Timestamp) {
        if self.renewal().is_none_or(|at| now < at) {
            self.record.haste.is_not_due();
            return;
        }
        self.record.haste.is_due();
        let is_held = matches!(&self.record.hold, Some(hold @ Hold::ByOperator { .. }) if hold.is_in_force(now));
        if self.record.haste.is_loop() && !is_held {
            self.record.hold = Some(Hold::ByLoop { since: now, until: issued_at + validity.brake() });
        }
    }
}

/// So many in a row are no chance.
const LOOP: u32 = 2;
