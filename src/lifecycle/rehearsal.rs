//! The rehearsal that a row of failures is answered with: the whole way to a certificate at the CA's twin for tries, which
//! costs nothing where it counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Lifecycle;
use crate::time::Timestamp;

/// One rehearsal, begun or over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// When it began.
    pub at: Timestamp,
    /// Directory of the CA that was asked.
    pub directory: String,
    /// Whether everything worked; `None` while it is under way, or when its process has died in it.
    pub is_good: Option<bool>,
    /// Which step failed and why, with what can be done about it.
    pub detail: Option<String>,
}

impl fmt::Display for Rehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, directory, is_good, detail } = self;
        match is_good {
            None => write!(f, "begun at {at} at {directory}"),
            Some(true) => write!(f, "works now, as tried at {at} at {directory}: the next try should too"),
            Some(false) => write!(f, "fails too, at {at} at {directory}: {}", detail.as_deref().unwrap_or("no reason")),
        }
    }
}

impl Lifecycle {
    /// Whether a rehearsal is worth its time: two failures in a row that only the operator can mend, and none was made since
    /// they began.
    pub fn is_rehearsal_due(&self) -> bool {
        self.record.operator_failures >= FAILURES && self.record.rehearsal.is_none()
    }

    /// How many of the last failures in a row only the operator can mend.
    pub fn operator_failures(&self) -> u32 {
        self.record.operator_failures
    }

    /// A rehearsal begins. To be kept before it does, so that a row of failures has one at most, whatever dies.
    pub fn rehearsing(&mut self, directory: &str, now: Timestamp) {
        let directory = directory.to_owned();
        self.record.rehearsal = Some(Rehearsed { at: now, directory, is_good: None, detail: None });
    }

    /// It is over. What is planned stays as it was: another way of failing at the CA itself would not show there.
    pub fn rehearsed(&mut self, outcome: Result<(), String>) {
        if let Some(rehearsal) = &mut self.record.rehearsal {
            rehearsal.is_good = Some(outcome.is_ok());
            rehearsal.detail = outcome.err();
        }
    }
}

/// One may have been bad luck.
const FAILURES: u32 = 2;
