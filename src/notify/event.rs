//! What is worth a message.

use serde::{Deserialize, Serialize};

use super::facts::Role;
use super::look::Report;
use crate::time::Timestamp;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A certificate was issued, and seen in a handshake.
    Renewed,
    /// A certificate cannot be had, and that has become serious.
    Failing,
    /// Something that nothing renews ends soon, or has ended.
    Expiring,
    /// A server shows another certificate than the one that it is believed by; requests for it fail.
    PinChanged,
    /// A server shows another certificate, which is believed.
    UpstreamChanged,
    /// Handshakes did not get a new certificate, so that the one before is served.
    RolledBack,
    /// A configuration was not taken over.
    ReloadRefused,
    /// Once a week: alive, and how everything stands.
    Heartbeat,
    /// Asked for by an operator.
    Test,
}

impl Kind {
    /// Those that `events` can name.
    pub const ALL: [Self; 8] = [
        Self::Renewed,
        Self::Failing,
        Self::Expiring,
        Self::PinChanged,
        Self::UpstreamChanged,
        Self::RolledBack,
        Self::ReloadRefused,
        Self::Heartbeat,
    ];

    /// As in configurations and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Failing => "failing",
            Self::Expiring => "expiring",
            Self::PinChanged => "pin_changed",
            Self::UpstreamChanged => "upstream_changed",
            Self::RolledBack => "rolled_back",
            Self::ReloadRefused => "reload_refused",
            Self::Heartbeat => "heartbeat",
            Self::Test => "test",
        }
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Good to know.
    Info,
    /// Somebody must act, but not tonight.
    Warning,
    /// Clients are refused, or will be within a day.
    Critical,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One happening, without words: those come when it is sent, in the notifier's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// To which certificate, identity, upstream or file, by its configured name.
    pub subject: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// What the certificate is used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Last second of the certificate that is spoken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Whole days until then; 0 on the last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_left: Option<u32>,
    /// Failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// Nothing that clients accept is served.
    #[serde(default)]
    pub is_down: bool,
    /// The cause, in the words of whoever knows it: of a CA, a server or ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// Who has issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// How everything stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

impl Event {
    /// One of which nothing more is known yet.
    pub fn new(kind: Kind, subject: impl Into<String>, at: Timestamp) -> Self {
        Self {
            kind,
            subject: subject.into(),
            at,
            role: None,
            not_after: None,
            days_left: None,
            failures: None,
            is_down: false,
            detail: None,
            fix: None,
            next_attempt: None,
            issuer: None,
            report: None,
        }
    }

    pub(super) fn severity(&self) -> Severity {
        match self.kind {
            Kind::Renewed | Kind::UpstreamChanged | Kind::Test => Severity::Info,
            Kind::Heartbeat => match &self.report {
                Some(report) if report.needs.iter().any(|need| need.is_broken) => Severity::Critical,
                Some(report) if !report.needs.is_empty() => Severity::Warning,
                Some(_) | None => Severity::Info,
            },
            Kind::PinChanged => Severity::Critical,
            Kind::Failing if self.is_down => Severity::Critical,
            Kind::Expiring if self.days_left.is_none_or(|days| days <= 1) => Severity::Critical,
            Kind::Failing | Kind::Expiring | Kind::RolledBack | Kind::ReloadRefused => Severity::Warning,
        }
    }
}
