//! What the CA says about when to renew (RFC 9773).

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::Validity;
use crate::time::Timestamp;

/// The time in which a CA wants a certificate to be renewed (RFC 9773 §4.1), both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First moment.
    pub start: Timestamp,
    /// Last moment; later than the first in a valid answer.
    pub end: Timestamp,
    /// URL of a page that tells a human why, such as of an incident.
    #[serde(default)]
    pub explanation: Option<String>,
}

/// How a question for renewal information ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfoAnswer {
    /// The CA suggests a window.
    Window {
        /// As the CA has sent it, not yet judged.
        window: Window,
        /// From `Retry-After`, not yet clamped.
        ask_again: Option<Timestamp>,
    },
    /// Its directory has no `renewalInfo`.
    NotOffered,
    /// No answer that makes sense.
    Failed {
        /// A timeout or an answer of 500 and above; anything else lasts longer (RFC 9773 §4.3.3).
        temporary: bool,
        /// From `Retry-After`, not yet clamped.
        ask_again: Option<Timestamp>,
        /// What happened, for the operator.
        detail: String,
    },
}

impl InfoAnswer {
    /// The times that our clock has counted, as another shows them that is `seconds` ahead of it. The window is the CA's own.
    pub fn shifted(self, seconds: i64) -> Self {
        let shifted = |at: Option<Timestamp>| at.map(|at| at.shifted(seconds));
        match self {
            Self::Window { window, ask_again } => Self::Window { window, ask_again: shifted(ask_again) },
            Self::Failed { temporary, ask_again, detail } => {
                Self::Failed { temporary, ask_again: shifted(ask_again), detail }
            }
            Self::NotOffered => Self::NotOffered,
        }
    }
}

/// What is kept of the answers for one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Info {
    pub(super) of: Validity,
    /// The last valid answer.
    pub(super) window: Option<Window>,
    /// A moment of the window, drawn once.
    pub(super) selected: Option<Timestamp>,
    pub(super) asked_at: Timestamp,
    pub(super) ask_at: Timestamp,
    /// Questions without a valid answer, in a row.
    pub(super) troubles: u32,
    pub(super) trouble: Option<String>,
}

impl Info {
    /// Before the first answer.
    pub(super) fn new(of: Validity, now: Timestamp) -> Self {
        Self { of, window: None, selected: None, asked_at: now, ask_at: now, troubles: 0, trouble: None }
    }

    /// Takes an answer in. The drawn moment stays while the window does.
    pub(super) fn take(&mut self, answer: InfoAnswer, now: Timestamp, rng: &mut impl Rng) {
        self.asked_at = now;
        match answer {
            InfoAnswer::Window { window, ask_again } if window.start < window.end => {
                let is_same = self.window.as_ref().is_some_and(|w| (w.start, w.end) == (window.start, window.end));
                if !is_same || self.selected.is_none() {
                    self.selected = Some(draw(&window, rng));
                }
                self.window = Some(window);
                self.ask_at = ask_again.unwrap_or(now + LONG_TERM).clamp(now + SOONEST, now + LATEST);
                (self.troubles, self.trouble) = (0, None);
            }
            InfoAnswer::Window { window, ask_again } => {
                let trouble = format!("the window ends at {}, which is not after its start", window.end);
                self.note(trouble, LONG_TERM, ask_again, now);
            }
            InfoAnswer::NotOffered => {
                (self.window, self.selected, self.troubles, self.trouble) = (None, None, 0, None);
                self.ask_at = now + LATEST;
            }
            InfoAnswer::Failed { temporary: false, ask_again, detail } => self.note(detail, LONG_TERM, ask_again, now),
            InfoAnswer::Failed { temporary: true, ask_again, detail } => {
                let step = SOONEST.saturating_mul(1 << self.troubles.min(9)).min(LONG_TERM);
                self.note(detail, step.mul_f64(rng.random_range(0.8..=1.2)), ask_again, now);
            }
        }
    }

    /// Asks again after `pause`, or when the CA has asked us to if that is later.
    fn note(&mut self, trouble: String, pause: Duration, ask_again: Option<Timestamp>, now: Timestamp) {
        self.troubles = self.troubles.saturating_add(1);
        self.trouble = Some(trouble);
        let wanted = ask_again.map_or(now, |at| at.min(now + LATEST));
        self.ask_at = wanted.max(now + pause);
    }

    /// When to ask, with regard to a clock that has been put right since.
    pub(super) fn ask_at(&self, now: Timestamp) -> Timestamp {
        if self.asked_at > now + SOONEST { now } else { self.ask_at }
    }
}

/// Uniform over the window (RFC 9773 §4.2).
fn draw(window: &Window, rng: &mut impl Rng) -> Timestamp {
    let span = window.end.since(window.start).as_secs();
    window.start + Duration::from_secs(rng.random_range(0..=span))
}

/// Bounds of `Retry-After` (RFC 9773 §4.3.2).
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(86_400);
/// After what will not pass by itself (RFC 9773 §4.3.3), and where the CA names no time.
const LONG_TERM: Duration = Duration::from_secs(6 * 3600);
