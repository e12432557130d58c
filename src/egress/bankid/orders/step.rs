//! What passes between the memory of orders and whoever sends the collects.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::super::{Findings, OrderKey};
use super::Answer;

/// One collect of the application.
#[derive(Debug)]
pub struct Asking {
    pub(super) key: OrderKey,
    pub(super) arrived: Duration,
}

/// What to do with a collect.
#[derive(Debug)]
pub enum Step {
    /// Send it, and tell how it [ended](super::Orders::ended).
    Send(Turn),
    /// Too early: ask again then.
    Hold {
        /// The earliest time at which it may go.
        until: Duration,
    },
    /// Another collect of this order is under way: ask again when it has ended, or then.
    Wait {
        /// The time at which its patience is at an end.
        until: Duration,
    },
    /// Too early, and not held: [`Refusal::TooSoon`](super::super::Refusal::TooSoon).
    TooSoon {
        /// Until the next may come.
        wait: Duration,
    },
    /// Give this answer, which was not delivered before, and tell how it [ended](super::Orders::ended).
    Kept(Turn, Arc<Answer>),
    /// The final answer was delivered: [`Refusal::AlreadyFinal`](super::super::Refusal::AlreadyFinal).
    AlreadyFinal,
}

/// The right to be the one collect of an order that is under way, until it has [ended](super::Orders::ended).
#[derive(Debug)]
#[must_use = "the order's next collect waits until this one has ended"]
pub struct Turn {
    pub(super) key: OrderKey,
    pub(super) number: u64,
}

/// How a collect ended.
#[derive(Debug)]
pub enum Ended {
    /// BankID's answer came whole.
    Answered {
        /// Its status.
        status: StatusCode,
        /// What it tells.
        found: Findings,
        /// Whether the application has it.
        delivery: Delivery,
    },
    /// No whole answer came, or nothing was sent.
    Unanswered,
    /// A kept answer was given.
    Given {
        /// Whether the application has it.
        delivered: bool,
    },
    /// A kept answer was given, and nothing was heard against it: [`Orders::settled`](super::Orders::settled) tells more.
    Presumed,
}

/// Whether the application got an answer.
#[derive(Debug)]
pub enum Delivery {
    /// To its last byte.
    Whole,
    /// It did not; this is the whole answer.
    Broken(Answer),
    /// Nothing was heard against it: [`Orders::settled`](super::Orders::settled) tells more. This is the whole answer.
    Presumed(Answer),
}
