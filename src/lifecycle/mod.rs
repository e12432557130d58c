//! The life of one certificate, decided from facts alone.
//!
//! In: what is served ([`Served`]), what is wanted ([`Asked`]), how attempts ended ([`Failure`]), `now` and chance.
//! Out: what to do next ([`Step`]), what to keep ([`Record`]), what to show ([`Status`]), what to tell ([`Event`]).
//! What a CA allows is judged in [`budget`]. Pure: no socket, file or clock. Imports `pki` (names of certificates) and `time`.
//! Client identities, which nobody issues to us, have a life of their own in [`rotation`].
//!
//! Promises: a renewal is planned once for a certificate and kept over restarts, at a moment of the window that the CA
//! suggests (RFC 9773) or, without one, by the validity; whatever the plan says, a last guard that looks only at `not_after`
//! renews; another CA is asked only when the first is in trouble of its own and time grows short; attempts that fail come ever more seldom, never more than
//! [`FAILURES_PER_HOUR`] in any hour, and never before a `Retry-After`; a crash loop costs at most one order more than
//! the schedule allows.
//!
//! # Why
//!
//! The record is to be saved *before* a CA is called (after [`Lifecycle::begin`]). A process that dies in an attempt
//! finds it there: the first time it may go on at once with the order it had stored, after that the death counts as a
//! failure.

pub mod budget;
mod choice;
mod event;
mod failure;
mod haste;
mod help;
mod info;
mod need;
pub mod outlook;
mod record;
mod rehearsal;
pub mod rotation;
mod schedule;
mod status;
mod step;

pub use event::{Event, Origin};
pub use failure::{Failure, Reason, Retry};
pub use info::{InfoAnswer, Window};
pub use record::{Asked, Attempt, LastFailure, Record};
pub use rehearsal::Rehearsed;
pub use schedule::{FAILURES_PER_HOUR, Validity};
pub use status::{Action, Info as InfoStatus, Next, State, Status};
pub use step::{Kind, Step, Why};

use std::time::Duration;

use rand::Rng;

use crate::time::Timestamp;
use choice::Choice;
use haste::Haste;
use info::Info;
use record::{Hold, Unseen};

/// State machine of one certificate that is issued to us: ACME or internal CA.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    record: Record,
    asked: Asked,
    served: Served,
}

impl Lifecycle {
    /// Takes up the life of a certificate, at start or after another process has changed the store.
    ///
    /// `record` is what was kept last, `order_stored` whether an order is kept that could be gone on with. A record of
    /// an attempt that has not ended means that its process died.
    pub fn open(
        record: Option<Record>,
        asked: Asked,
        served: Served,
        order_stored: bool,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Self {
        let record = record.unwrap_or_else(|| Record::new(&asked, served)).asked_for(&asked);
        let mut life = Self { record, asked, served };
        life.plan(rng);
        if life.record.attempt.as_ref().is_some_and(|a| !(order_stored && a.resumed == 0)) {
            life.failed(&Failure::interrupted(), now, rng);
        }
        life
    }

    /// What to do now.
    pub fn poll(&self, now: Timestamp) -> Step {
        if self.info_due(now).is_some_and(|at| at <= now) {
            return Step::AskRenewalInfo;
        }
        let Some(need) = self.need(now) else {
            return Step::Wait { until: self.renewal(), why: Why::RenewalPlanned };
        };
        if let Some((until, why)) = self.barrier(now) {
            return Step::Wait { until, why };
        }
        match self.choose(now) {
            Choice::Ask(ca) => Step::Obtain { kind: need.kind(), why: need, ca },
            Choice::Held { until, why } => Step::Wait { until, why },
        }
    }

    /// When the CA is to be asked for renewal information, whatever else is waited for; `None` when it is not.
    ///
    /// Only of a certificate of an ACME CA that has not expired (RFC 9773 §4.3.2), and not when another is wanted whatever
    /// the answer: who waits for a moment that has passed never sleeps.
    pub fn info_due(&self, now: Timestamp) -> Option<Timestamp> {
        let validity = self.served.validity().filter(|validity| now <= validity.not_after)?;
        let is_asked = !self.asked.cas.is_empty() && self.record.attempt.is_none();
        if !is_asked || !self.need(now).is_none_or(Why::may_wait_for_info) {
            return None;
        }
        Some(self.record.info_of(validity).map_or(now, |info| info.ask_at(now)))
    }

    /// The CA was asked for renewal information.
    pub fn informed(&mut self, answer: InfoAnswer, now: Timestamp, rng: &mut impl Rng) {
        let Some(validity) = self.served.validity() else { return };
        let mut info = self.record.info_of(validity).cloned().unwrap_or_else(|| Info::new(validity, now));
        info.take(answer, now, rng);
        self.record.info = Some(info);
        // A success in the future was noted by a clock that has been put right, and would brake for as long.
        let is_fresh = |at: &Timestamp| *at <= now + schedule::SHORTEST && now.since(*at) < validity.soon();
        if let Some(at) = self.record.last_success.filter(is_fresh) {
            self.brake(validity, at, now);
        }
    }

    /// The operator wants a new certificate now. With `force`, a time that the CA has named is not waited for either, and
    /// what its limits allow is counted anew.
    pub fn request(&mut self, force: bool, now: Timestamp) {
        let lifted = |hold: &mut Option<Hold>| {
            if force || !matches!(hold, Some(Hold::ByIssuer { .. } | Hold::ByBudget { .. })) {
                *hold = None;
            }
        };
        lifted(&mut self.record.hold);
        self.record.journals.values_mut().for_each(|journal| lifted(&mut journal.hold));
        self.record.requested_at = Some(now);
    }

    /// An attempt begins at the CA of this index. Save the [`record`](Self::record) before anything is sent.
    pub fn begin(&mut self, kind: Kind, ca: usize, now: Timestamp) {
        let resumed = self.record.attempt.as_ref().map_or(0, |a| a.resumed.saturating_add(1));
        let ca = self.ca(ca).to_owned();
        self.record.journal_mut(&ca).hold = None;
        self.record.attempt = Some(Attempt { started_at: now, kind, resumed, ca });
        self.record.last_attempt = Some(now);
        self.record.hold = None;
    }

    /// The attempt gave a certificate, which is served now. It is a success when it was [`seen`](Self::seen).
    pub fn succeeded(&mut self, kind: Kind, validity: Validity, now: Timestamp, rng: &mut impl Rng) {
        self.served = Served::Certificate(validity);
        let record = &mut self.record;
        record.unseen = Some(Unseen { kind, last_success: record.last_success });
        record.issued_for = Some(self.asked.product.clone());
        record.haste.replaced();
        if let Some(attempt) = record.attempt.take() {
            record.journals.remove(&attempt.ca);
        }
        record.refused = None;
        record.end_row();
        record.last_failure = None;
        record.last_success = Some(now);
        record.hold = None;
        record.requested_at = None;
        self.plan(rng);
        self.brake(validity, now, now);
    }

    /// Whether what was got has yet to be seen in a handshake, and whether it replaced something.
    pub fn unseen(&self) -> Option<Kind> {
        self.record.unseen.as_ref().map(|unseen| unseen.kind)
    }

    /// The generation in the store that clients did not get: it is there, and no other has to be ordered while it is good.
    pub fn refused(&self) -> Option<u64> {
        self.record.refused
    }

    /// Clients do not get this generation; `None` forgets about it.
    pub fn refuse(&mut self, generation: Option<u64>) {
        self.record.refused = generation;
    }

    /// What was got is what handshakes get.
    pub fn seen(&mut self, now: Timestamp) {
        if self.record.unseen.take().is_some() {
            self.record.last_success = Some(now);
        }
    }

    /// Clients do not get what was got after all, so that the one before is served again: issued for `product`, got at
    /// `last_success`. To be followed by a failure.
    pub fn took_back(
        &mut self,
        product: &str,
        validity: Validity,
        last_success: Option<Timestamp>,
        rng: &mut impl Rng,
    ) {
        self.served = Served::Certificate(validity);
        let record = &mut self.record;
        if !product.is_empty() {
            record.issued_for = Some(product.to_owned());
        }
        record.unseen = None;
        record.last_success = last_success;
        record.haste = Haste::default();
        self.plan(rng);
    }

    /// The operator has gone back to a certificate of before, which was issued for `product` and is served now.
    ///
    /// Nothing is ordered before its emergency, or until he asks for a renewal: he has a reason.
    pub fn went_back(&mut self, product: &str, validity: Validity, now: Timestamp, rng: &mut impl Rng) {
        self.served = Served::Certificate(validity);
        let record = &mut self.record;
        if !product.is_empty() {
            record.issued_for = Some(product.to_owned());
        }
        record.attempt = None;
        record.unseen = None;
        record.refused = None;
        record.haste = Haste::default();
        record.requested_at = None;
        let until = validity.emergency().max(now + schedule::HOUR);
        record.hold = Some(Hold::ByOperator { since: now, until });
        self.plan(rng);
    }

    /// The attempt gave none.
    pub fn failed(&mut self, failure: &Failure, now: Timestamp, rng: &mut impl Rng) {
        let remaining = self.served.validity().map_or(Duration::ZERO, |v| v.not_after.since(now));
        let ca = self.record.attempt.take().map_or_else(|| self.ca(0).to_owned(), |attempt| attempt.ca);
        let record = &mut self.record;
        record.consecutive_failures = record.consecutive_failures.saturating_add(1);
        record.operator_failures = match failure.reason.is_for_operator() {
            true => record.operator_failures.saturating_add(1),
            false => 0,
        };
        record.note_failure(now);
        let journal = record.journal_mut(&ca);
        journal.failures = journal.failures.saturating_add(1);
        if failure.reason.is_trouble_of_ca() {
            journal.troubles = journal.troubles.saturating_add(1);
        }
        let failures = if failure.reason.is_about_us() { record.consecutive_failures } else { journal.failures };
        let hold = match failure.retry {
            Retry::Never => Hold::UntilChanged,
            // Nobody was asked, so nobody is spared by waiting longer.
            Retry::At(at) if failure.reason == Reason::Budget => {
                Hold::ByBudget { since: now, until: schedule::retry_at(at, now) }
            }
            // Its own time alone once; then the CA's is the least, or one that says "5" for days would be asked for days.
            Retry::At(at) if failures <= 1 => Hold::ByIssuer { since: now, until: schedule::retry_at(at, now) },
            Retry::At(at) => {
                let delay = schedule::backoff(failure.reason.class(), failures, remaining, rng);
                Hold::ByIssuer { since: now, until: schedule::retry_at(at, now).max(now + delay) }
            }
            Retry::Backoff => {
                let delay = schedule::backoff(failure.reason.class(), failures, remaining, rng);
                Hold::Backoff { since: now, until: now + delay }
            }
        };
        match failure.reason.is_about_us() {
            true => record.hold = Some(hold),
            false => record.journal_mut(&ca).hold = Some(hold),
        }
        record.last_failure = Some(failure.noted(now));
    }

    /// Whether the time that counts is that of the CAs: a public one is asked, by whose clock the world goes. A private one's may
    /// be as wrong as ours.
    pub fn goes_by_cas(&self) -> bool {
        self.asked.has_public_ca
    }

    /// Whether the CA wants the certificate that is served to be replaced now (RFC 9773 §4.2).
    pub fn is_in_window(&self, now: Timestamp) -> bool {
        let info = self.served.validity().and_then(|validity| self.record.info_of(validity));
        let window = info.and_then(|info| info.window.as_ref());
        window.is_some_and(|window| (window.start..=window.end).contains(&now))
    }

    /// What to keep in the store.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is served.
    pub fn served(&self) -> Served {
        self.served
    }
}

/// What handshakes get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// No identity at all.
    Nothing,
    /// A self-signed one that nobody trusts.
    Placeholder,
    /// An issued one, expired or not.
    Certificate(Validity),
}

impl Served {
    /// Validity of an issued certificate.
    pub const fn validity(self) -> Option<Validity> {
        match self {
            Self::Nothing | Self::Placeholder => None,
            Self::Certificate(validity) => Some(validity),
        }
    }
}

#[cfg(test)]
mod tests;
