//! What is known of one certificate, and of its attempts.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::super::ca::Limit;
use super::super::executor::Millis;
use super::super::world::Identity;
use crate::lifecycle::{Reason, Retry};
use crate::time::Timestamp;

/// What is known of one certificate.
#[derive(Debug)]
pub(super) struct Docket {
    pub(super) machine: usize,
    pub(super) cas: Vec<usize>,
    /// When somebody began to want it.
    pub(super) began: Millis,
    /// What each process serves.
    pub(super) served: Vec<Option<Identity>>,
    /// Attempts that run, by process.
    pub(super) attempts: Vec<Option<Attempt>>,
    /// By CA: the failure after which nothing has succeeded there yet.
    pub(super) failed: BTreeMap<usize, Failed>,
    /// Failures in a row, at whatever CA.
    pub(super) consecutive: u32,
    /// Times in which a CA refused by a limit for which portvakt is not to blame.
    pub(super) refused: Vec<(Millis, Millis)>,
    /// When attempts failed.
    pub(super) failures: VecDeque<Millis>,
    /// An incident's beginning, and the certificate that must go.
    pub(super) must_go: Option<(Millis, u64)>,
    pub(super) history: VecDeque<(Millis, Note)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) ca: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) at: Millis,
    /// In a row.
    pub(super) count: u32,
    pub(super) reason: Reason,
    /// Not before, says the CA.
    pub(super) until: Option<Millis>,
    /// Longest that an eighth of what was left allows.
    pub(super) cap: Millis,
}

/// What happened, to be told if it matters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note {
    Served { serial: u64, until: Timestamp },
    Asks { ca: usize },
    Failed { reason: Reason, count: u32, retry: Retry },
    Ordered,
    MustGo,
    Died,
    Window { start: Timestamp, due: Option<Timestamp> },
    Limit(Limit),
}

impl Failed {
    /// The least that must be waited: Let's Encrypt's schedule less its jitter, or the cap; 42 seconds in any case.
    pub(super) fn least(self) -> Millis {
        let steps: &[Millis] = match is_transient(self.reason) {
            true => &[60, 300, 900, 3_600, 21_600, 86_400],
            false => &[60, 600, 6_000, 86_400],
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

/// Whether trying costs nothing at the CA.
pub(super) const fn is_transient(reason: Reason) -> bool {
    matches!(reason, Reason::Server | Reason::Network | Reason::Timeout | Reason::OrderNotReady | Reason::Storage)
}
