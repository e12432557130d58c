//! What an operator sees of a certificate's life.

use serde::Serialize;

use super::{Kind, LastFailure, Lifecycle, Rehearsed, Served, Step, Why, Window, info};
use crate::time::Timestamp;

impl Lifecycle {
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
            info: validity.and_then(|v| self.record.info_of(v)).map(Info::of),
            next: self.next(now),
            consecutive_failures: self.record.consecutive_failures,
            last_failure: self.record.last_failure.clone(),
            rehearsal: self.record.rehearsal.clone(),
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
            return Next { action: attempt.kind.into(), at: Some(attempt.started_at), reason: ATTEMPT, why };
        }
        let (action, at, why) = match self.poll(now) {
            Step::AskRenewalInfo => {
                let why = "the CA is being asked when to renew".to_owned();
                return Next { action: Action::Renew, at: self.renewal(), reason: ASKING, why };
            }
            Step::Obtain { kind, why, .. } => (kind.into(), Some(now), why),
            Step::Wait { until: None, why } => (Action::Nothing, None, why),
            Step::Wait { until, why } => (self.need(now).map_or(Kind::Renew, Why::kind).into(), until, why),
        };
        let words = if why == Why::RenewalPlanned { self.why_then(at) } else { why.to_string() };
        Next { action, at, reason: why.as_str(), why: words }
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
}

/// A certificate's life as plain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// In one word.
    pub state: State,
    /// First second of the certificate served; `None` for a placeholder.
    pub not_before: Option<Timestamp>,
    /// Last second of the certificate served; `None` for a placeholder.
    pub not_after: Option<Timestamp>,
    /// The moment of renewal: drawn from the CA's window, else [`fallback`](Self::fallback).
    pub renewal_due: Option<Timestamp>,
    /// The moment that was drawn by the validity alone.
    pub fallback: Option<Timestamp>,
    /// The latest moment of renewal.
    pub emergency: Option<Timestamp>,
    /// When a renewal that has not come is late, and the alert fires: a quarter of what is left behind its moment.
    pub overdue: Option<Timestamp>,
    /// What the CA says about the renewal; `None` before it was asked.
    pub info: Option<Info>,
    /// What happens next.
    pub next: Next,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// How the last attempt failed; `None` after a success.
    pub last_failure: Option<LastFailure>,
    /// The rehearsal that the failures were answered with; `None` when there was none.
    pub rehearsal: Option<Rehearsed>,
    /// When the last attempt began.
    pub last_attempt: Option<Timestamp>,
    /// When the last attempt succeeded.
    pub last_success: Option<Timestamp>,
}

impl Status {
    /// Of a certificate that nobody issues to us: two files.
    pub fn of_files(served: Served, last_failure: Option<LastFailure>, now: Timestamp) -> Self {
        let validity = served.validity();
        let state = match State::of(served, now) {
            State::Issued => State::Static,
            other => other,
        };
        Self {
            state,
            not_before: validity.map(|v| v.not_before),
            not_after: validity.map(|v| v.not_after),
            renewal_due: None,
            fallback: None,
            emergency: None,
            overdue: None,
            info: None,
            next: Next {
                action: Action::Nothing,
                at: None,
                reason: FILES,
                why: "the files are read again when they change".to_owned(),
            },
            consecutive_failures: last_failure.iter().count() as u32,
            last_failure,
            rehearsal: None,
            last_attempt: None,
            last_success: None,
        }
    }
}

/// Renewal information of the CA (RFC 9773).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The window that it suggests; `None` when it offers none, or has never said so validly.
    pub window: Option<Window>,
    /// When it was asked last.
    pub asked_at: Timestamp,
    /// When it is asked next.
    pub ask_at: Timestamp,
    /// Why the last question was in vain.
    pub trouble: Option<String>,
}

impl Info {
    pub(super) fn of(info: &info::Info) -> Self {
        Self {
            window: info.window.clone(),
            asked_at: info.asked_at,
            ask_at: info.ask_at,
            trouble: info.trouble.clone(),
        }
    }
}

/// A certificate's life in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Issued to us and in its validity.
    Issued,
    /// Self-signed until there is a better one.
    Placeholder,
    /// Its validity has passed.
    Expired,
    /// From files, and in its validity.
    Static,
    /// Nothing can be served.
    Missing,
}

impl State {
    /// Every state, in the order of declaration.
    pub const ALL: [Self; 5] = [Self::Issued, Self::Placeholder, Self::Expired, Self::Static, Self::Missing];

    /// As in JSON, and the label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Placeholder => "placeholder",
            Self::Expired => "expired",
            Self::Static => "static",
            Self::Missing => "missing",
        }
    }

    pub(super) fn of(served: Served, now: Timestamp) -> Self {
        match served {
            Served::Nothing => Self::Missing,
            Served::Placeholder => Self::Placeholder,
            Served::Certificate(validity) if now > validity.not_after => Self::Expired,
            Served::Certificate(_) => Self::Issued,
        }
    }
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// What.
    pub action: Action,
    /// When; in the past while it runs.
    pub at: Option<Timestamp>,
    /// Why then: a word of the closed set of [`Why::as_str`], or one for what runs just now.
    pub reason: &'static str,
    /// Why then, in words.
    pub why: String,
}

/// Kind of a [`Next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A first certificate.
    Issue,
    /// A newer one.
    Renew,
    /// Nothing by itself.
    Nothing,
}

impl Action {
    /// Label of metrics, and as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Renew => "renew",
            Self::Nothing => "nothing",
        }
    }
}

impl From<Kind> for Action {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Issue => Self::Issue,
            Kind::Renew => Self::Renew,
        }
    }
}

/// An attempt runs.
const ATTEMPT: &str = "attempt";
/// The CA is being asked when to renew.
const ASKING: &str = "asking_the_ca";
/// Somebody else renews it.
const FILES: &str = "files";
