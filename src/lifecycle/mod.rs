//! The life of one certificate, decided from facts alone.
//!
//! In: what is served ([`Served`]), what is wanted ([`Asked`]), how attempts ended ([`Failure`]), `now` and chance.
//! Out: what to do next ([`Step`]), what to keep ([`Record`]), what to show ([`Status`]), what to tell ([`Event`]).
//! Pure: no socket, file or clock. Imports `pki` (names of certificates) and `time`. Client identities, which nobody issues
//! to us, have a life of their own in [`rotation`].
//!
//! Promises: a renewal is planned once for a certificate and kept over restarts; whatever the plan says, a last guard
//! that looks only at `not_after` renews; attempts that fail come ever more seldom, never more than
//! [`FAILURES_PER_HOUR`] in any hour, and never before a `Retry-After`; a crash loop costs at most one order more than
//! the schedule allows.
//!
//! # Why
//!
//! The record is to be saved *before* a CA is called (after [`Lifecycle::begin`]). A process that dies in an attempt
//! finds it there: the first time it may go on at once with the order it had stored, after that the death counts as a
//! failure.

mod event;
mod failure;
pub mod outlook;
mod record;
pub mod rotation;
mod schedule;
mod status;

pub use event::{Event, Origin};
pub use failure::{Failure, Reason, Retry};
pub use record::{Asked, Attempt, LastFailure, Record};
pub use schedule::{FAILURES_PER_HOUR, Validity};
pub use status::{Action, Next, State, Status};

use std::time::Duration;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use record::{Hold, Plan};

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
        let Some(need) = self.need(now) else {
            return Step::Wait { until: self.renewal(), why: Why::RenewalPlanned };
        };
        match self.barrier(now) {
            Some((until, why)) => Step::Wait { until, why },
            None => Step::Obtain { kind: need.kind(), why: need },
        }
    }

    /// An attempt begins. Save the [`record`](Self::record) before anything is sent.
    pub fn begin(&mut self, kind: Kind, now: Timestamp) {
        let resumed = self.record.attempt.as_ref().map_or(0, |a| a.resumed.saturating_add(1));
        self.record.attempt = Some(Attempt { started_at: now, kind, resumed });
        self.record.last_attempt = Some(now);
        self.record.hold = None;
    }

    /// The attempt gave a certificate, which is served now.
    pub fn succeeded(&mut self, validity: Validity, now: Timestamp, rng: &mut impl Rng) {
        self.served = Served::Certificate(validity);
        let record = &mut self.record;
        record.issued_for = Some(self.asked.product.clone());
        record.attempt = None;
        record.consecutive_failures = 0;
        record.last_failure = None;
        record.last_success = Some(now);
        record.hold = None;
        self.plan(rng);
        self.brake(validity, now);
    }

    /// The attempt gave none.
    pub fn failed(&mut self, failure: &Failure, now: Timestamp, rng: &mut impl Rng) {
        let remaining = self.served.validity().map_or(Duration::ZERO, |v| v.not_after.since(now));
        let record = &mut self.record;
        record.attempt = None;
        record.consecutive_failures = record.consecutive_failures.saturating_add(1);
        record.note_failure(now);
        record.hold = Some(match failure.retry {
            Retry::Never => Hold::UntilChanged,
            Retry::At(at) => Hold::ByIssuer { since: now, until: schedule::retry_at(at, now) },
            Retry::Backoff => {
                let delay = schedule::backoff(failure.reason.class(), record.consecutive_failures, remaining, rng);
                Hold::Backoff { since: now, until: now + delay }
            }
        });
        record.last_failure = Some(failure.noted(now));
    }

    /// What to keep in the store.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is served.
    pub fn served(&self) -> Served {
        self.served
    }

    /// What to show.
    pub fn status(&self, now: Timestamp) -> Status {
        let validity = self.served.validity();
        Status {
            state: State::of(self.served, now),
            not_before: validity.map(|v| v.not_before),
            not_after: validity.map(|v| v.not_after),
            renewal_due: self.record.plan.as_ref().map(|plan| plan.at),
            emergency: validity.map(|v| v.emergency()),
            next: self.next(now),
            consecutive_failures: self.record.consecutive_failures,
            last_failure: self.record.last_failure.clone(),
            last_attempt: self.record.last_attempt,
            last_success: self.record.last_success,
        }
    }

    fn next(&self, now: Timestamp) -> Next {
        if let Some(attempt) = &self.record.attempt {
            let why = format!("an attempt has run since {}", attempt.started_at);
            return Next { action: attempt.kind.into(), at: Some(attempt.started_at), why };
        }
        match self.poll(now) {
            Step::Obtain { kind, why } => Next { action: kind.into(), at: Some(now), why: why.to_string() },
            Step::Wait { until: None, why } => Next { action: Action::Nothing, at: None, why: why.to_string() },
            Step::Wait { until, why } => {
                let kind = self.need(now).map_or(Kind::Renew, Why::kind);
                Next { action: kind.into(), at: until, why: why.to_string() }
            }
        }
    }

    /// Why a certificate is wanted now, the first reason that holds; `None` when all is well.
    fn need(&self, now: Timestamp) -> Option<Why> {
        let Some(validity) = self.served.validity() else { return Some(Why::NothingServed) };
        if self.record.issued_for.as_deref() != Some(&self.asked.product) {
            return Some(Why::AskedForSomethingElse);
        }
        if now > validity.not_after {
            return Some(Why::Expired);
        }
        if now >= validity.emergency() {
            return Some(Why::Emergency);
        }
        self.record.plan.as_ref().is_some_and(|plan| now >= plan.at).then_some(Why::RenewalDue)
    }

    /// What forbids an attempt that is wanted, and until when; `None` for until the settings change.
    fn barrier(&self, now: Timestamp) -> Option<(Option<Timestamp>, Why)> {
        if let Some(hold) = self.record.hold.as_ref().filter(|hold| hold.is_in_force(now)) {
            return Some((hold.until(), hold.why()));
        }
        self.record.crowded_until(now).map(|until| (Some(until), Why::TooManyFailures))
    }

    fn renewal(&self) -> Option<Timestamp> {
        let emergency = self.served.validity().map(|v| v.emergency());
        self.record.plan.as_ref().map(|plan| plan.at).into_iter().chain(emergency).min()
    }

    /// Draws the renewal of the served certificate, unless that was done before.
    fn plan(&mut self, rng: &mut impl Rng) {
        let Some(validity) = self.served.validity() else {
            self.record.plan = None;
            return;
        };
        if self.record.plan.as_ref().is_none_or(|plan| plan.of != validity) {
            self.record.plan = Some(Plan { of: validity, at: validity.draw_renewal(rng) });
        }
    }

    /// A certificate that is due the moment it comes (a clock far off) must not be ordered again and again.
    fn brake(&mut self, validity: Validity, now: Timestamp) {
        if self.renewal().is_some_and(|at| now >= at) {
            let pause = (validity.total() / 8).clamp(Duration::from_secs(60), Duration::from_secs(86_400));
            self.record.hold = Some(Hold::Backoff { since: now, until: now + pause });
        }
    }
}

/// What [`Lifecycle::poll`] wants to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before `until`; `None` is until the settings change.
    Wait {
        /// When to ask again.
        until: Option<Timestamp>,
        /// What is waited for.
        why: Why,
    },
    /// Get a certificate now.
    Obtain {
        /// First certificate or renewal.
        kind: Kind,
        /// What makes it necessary.
        why: Why,
    },
}

/// Whether something is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// There was none for what is asked for.
    Issue,
    /// There is one.
    Renew,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::Issue, Self::Renew];

    /// Label of metrics: `issue` or `renew`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Renew => "renew",
        }
    }
}

/// The reason for a [`Step`]; `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Obtain: only a placeholder or nothing at all.
    #[error("there is no certificate yet")]
    NothingServed,
    /// Obtain: other identifiers, issuer, profile or key type than what is served was issued for.
    #[error("the settings ask for another certificate than the one served")]
    AskedForSomethingElse,
    /// Obtain: `not_after` has passed.
    #[error("the certificate has expired")]
    Expired,
    /// Obtain: a twentieth of the validity is left.
    #[error("the certificate expires soon")]
    Emergency,
    /// Obtain: the drawn moment has come.
    #[error("renewal is due")]
    RenewalDue,
    /// Wait: all is well.
    #[error("renewal is planned")]
    RenewalPlanned,
    /// Wait: the last attempt failed.
    #[error("waiting after a failure")]
    Backoff,
    /// Wait: the CA has named a time.
    #[error("the CA asks to wait")]
    IssuerSaysWait,
    /// Wait: trying again cannot help.
    #[error("refused for good: waiting for changed settings")]
    WaitingForChange,
    /// Wait: the rolling hour is full.
    #[error("too many failures within an hour")]
    TooManyFailures,
}

impl Why {
    const fn kind(self) -> Kind {
        match self {
            Self::NothingServed | Self::AskedForSomethingElse => Kind::Issue,
            Self::Expired
            | Self::Emergency
            | Self::RenewalDue
            | Self::RenewalPlanned
            | Self::Backoff
            | Self::IssuerSaysWait
            | Self::WaitingForChange
            | Self::TooManyFailures => Kind::Renew,
        }
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
