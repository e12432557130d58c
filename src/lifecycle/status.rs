//! What an operator sees of a certificate's life.

use serde::Serialize;

use super::{Kind, LastFailure, Served, Window, info};
use crate::time::Timestamp;

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
                why: "the files are read again when they change".to_owned(),
            },
            consecutive_failures: last_failure.iter().count() as u32,
            last_failure,
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
