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
mod info;
pub mod outlook;
mod record;
pub mod rotation;
mod schedule;
mod status;

pub use event::{Event, Origin};
pub use failure::{Failure, Reason, Retry};
pub use info::{InfoAnswer, Window};
pub use record::{Asked, Attempt, LastFailure, Record};
pub use schedule::{FAILURES_PER_HOUR, Validity};
pub use status::{Action, Info as InfoStatus, Next, State, Status};

use std::time::Duration;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use choice::Choice;
use info::Info;
use record::{Hold, Plan, Unseen};

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
        // A window that has passed when the certificate is just there must not lead to one order after the other.
        // A success in the future was noted by a clock that has been put right, and would brake for as long.
        let is_fresh = |at: &Timestamp| *at <= now + schedule::SHORTEST && now.since(*at) < validity.brake();
        if let Some(at) = self.record.last_success.filter(is_fresh) {
            self.brake(validity, at, now);
        }
    }

    /// The operator wants a new certificate now. With `force`, a time that the CA has named is not waited for either.
    pub fn request(&mut self, force: bool, now: Timestamp) {
        let lifted = |hold: &mut Option<Hold>| {
            if force || !matches!(hold, Some(Hold::ByIssuer { .. })) {
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
        if let Some(attempt) = record.attempt.take() {
            record.journals.remove(&attempt.ca);
        }
        record.refused = None;
        record.consecutive_failures = 0;
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
        record.note_failure(now);
        let journal = record.journal_mut(&ca);
        journal.failures = journal.failures.saturating_add(1);
        if failure.reason.is_trouble_of_ca() {
            journal.troubles = journal.troubles.saturating_add(1);
        }
        let failures = if failure.reason.is_about_us() { record.consecutive_failures } else { journal.failures };
        let hold = match failure.retry {
            Retry::Never => Hold::UntilChanged,
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
            renewal_due: self.renewal_due(),
            fallback: self.record.plan.as_ref().map(|plan| plan.at),
            emergency: validity.map(|v| v.emergency()),
            overdue: self.overdue(),
            info: validity.and_then(|v| self.record.info_of(v)).map(status::Info::of),
            next: self.next(now),
            consecutive_failures: self.record.consecutive_failures,
            last_failure: self.record.last_failure.clone(),
            last_attempt: self.record.last_attempt,
            last_success: match &self.record.unseen {
                Some(unseen) => unseen.last_success,
                None => self.record.last_success,
            },
        }
    }

    fn next(&self, now: Timestamp) -> Next {
        if let Some(attempt) = &self.record.attempt {
            let why = format!("an attempt has run since {}", attempt.started_at);
            return Next { action: attempt.kind.into(), at: Some(attempt.started_at), why };
        }
        match self.poll(now) {
            Step::AskRenewalInfo => Next {
                action: Action::Renew,
                at: self.renewal(),
                why: "the CA is being asked when to renew".to_owned(),
            },
            Step::Obtain { kind, why, .. } => Next { action: kind.into(), at: Some(now), why: why.to_string() },
            Step::Wait { until: None, why } => Next { action: Action::Nothing, at: None, why: why.to_string() },
            Step::Wait { until, why: Why::RenewalPlanned } => {
                Next { action: Action::Renew, at: until, why: self.why_then(until) }
            }
            Step::Wait { until, why } => {
                let kind = self.need(now).map_or(Kind::Renew, Why::kind);
                Next { action: kind.into(), at: until, why: why.to_string() }
            }
        }
    }

    /// What decided over the moment of a planned renewal, in words.
    fn why_then(&self, at: Option<Timestamp>) -> String {
        let info = self.served.validity().and_then(|validity| self.record.info_of(validity));
        match info.and_then(|info| Some((info, info.window.as_ref()?))) {
            Some((info, window)) if at == info.selected => format!(
                "renewal is planned in the CA's window from {} to {}, asked for at {}",
                window.start, window.end, info.asked_at
            ),
            Some(_) => "renewal is planned ahead of the CA's window, which begins too late".to_owned(),
            None => Why::RenewalPlanned.to_string(),
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
        if self.record.requested_at.is_some() {
            return Some(Why::Requested);
        }
        if now >= validity.emergency() {
            return Some(Why::Emergency);
        }
        self.renewal_due().is_some_and(|at| now >= at).then_some(Why::RenewalDue)
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
        self.renewal_due().into_iter().chain(emergency).min()
    }

    /// What the CA's window gave, else the moment drawn by ourselves.
    fn renewal_due(&self) -> Option<Timestamp> {
        let validity = self.served.validity()?;
        let selected = self.record.info_of(validity).and_then(|info| info.selected);
        selected.or_else(|| self.record.plan.as_ref().map(|plan| plan.at))
    }

    /// When somebody should look: a quarter of what is left behind the renewal's moment.
    fn overdue(&self) -> Option<Timestamp> {
        let (due, validity) = (self.renewal()?, self.served.validity()?);
        Some(due + validity.not_after.since(due) / 4)
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
    fn brake(&mut self, validity: Validity, issued_at: Timestamp, now: Timestamp) {
        let is_held = matches!(&self.record.hold, Some(hold @ Hold::ByOperator { .. }) if hold.is_in_force(now));
        if self.renewal().is_some_and(|at| now >= at) && !is_held {
            self.record.hold = Some(Hold::Backoff { since: now, until: issued_at + validity.brake() });
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
    /// Ask the CA when the certificate served is to be renewed, and tell by [`Lifecycle::informed`].
    AskRenewalInfo,
    /// Get a certificate now.
    Obtain {
        /// First certificate or renewal.
        kind: Kind,
        /// What makes it necessary.
        why: Why,
        /// Index of the CA to be asked, among [`Asked::cas`]; zero where there is none.
        ca: usize,
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
    /// Obtain: the operator wants another.
    #[error("a renewal was asked for")]
    Requested,
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
    /// Wait: a certificate of before is what the operator wants.
    #[error("the operator has gone back to this certificate")]
    WentBack,
    /// Wait: trying again cannot help.
    #[error("refused for good: waiting for changed settings")]
    WaitingForChange,
    /// Wait: the rolling hour is full.
    #[error("too many failures within an hour")]
    TooManyFailures,
}

impl Why {
    /// Whether the CA's word on the time is of use first.
    const fn may_wait_for_info(self) -> bool {
        matches!(self, Self::RenewalDue)
    }

    const fn kind(self) -> Kind {
        match self {
            Self::NothingServed | Self::AskedForSomethingElse => Kind::Issue,
            Self::Expired
            | Self::Requested
            | Self::WentBack
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
