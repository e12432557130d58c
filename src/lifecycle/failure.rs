//! Why an attempt failed, and whether another can help.

use serde::{Deserialize, Serialize};

use super::LastFailure;
use crate::time::Timestamp;

/// An attempt that gave no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// Kind, for metrics and for the schedule.
    pub reason: Reason,
    /// Whether and when to try again.
    pub retry: Retry,
    /// What happened, with the CA's own words; for the operator.
    pub detail: String,
    /// What the operator can do, when anything.
    pub fix: Option<String>,
}

impl Failure {
    /// For the record and the status.
    pub fn noted(&self, at: Timestamp) -> LastFailure {
        LastFailure { at, reason: self.reason, detail: self.detail.clone(), fix: self.fix.clone() }
    }

    /// The time that the CA has named, as a clock shows it that is `seconds` ahead of the one it was counted by.
    pub fn shifted(self, seconds: i64) -> Self {
        let retry = match self.retry {
            Retry::At(at) => Retry::At(at.shifted(seconds)),
            Retry::Never | Retry::Backoff => self.retry,
        };
        Self { retry, ..self }
    }

    /// The process ended in the middle of an attempt.
    pub(super) fn interrupted() -> Self {
        Self {
            reason: Reason::OrderNotReady,
            retry: Retry::Backoff,
            detail: "the process ended in the middle of an attempt".to_owned(),
            fix: None,
        }
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Only other settings can.
    Never,
    /// Later, ever more seldom.
    Backoff,
    /// Not before this time, which the CA has named.
    At(Timestamp),
}

/// Why an attempt failed: the closed set of `portvakt_acme_failures_total`'s label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The CA could not resolve a name.
    Dns,
    /// The CA could not connect to us.
    Connection,
    /// The CA saw a wrong answer, or none.
    Unauthorized,
    /// A CAA record forbids this CA.
    Caa,
    /// A signature in DNS does not hold.
    Dnssec,
    /// Too many requests.
    #[serde(rename = "ratelimited")]
    RateLimited,
    /// The CA does not issue for this identifier or profile.
    RejectedIdentifier,
    /// The CA does not accept the signing request or another of our requests.
    BadCsr,
    /// Trouble at the CA, or an answer that makes no sense.
    Server,
    /// What the CA has issued cannot be used, and may count against its limits.
    Unusable,
    /// The CA could not be reached.
    Network,
    /// The CA did not finish in time.
    Timeout,
    /// The order cannot be finished.
    OrderNotReady,
    /// The account is refused.
    Account,
    /// The store or a file cannot be read or written.
    Storage,
    /// The certificate is not valid now: somebody's clock is wrong.
    Clock,
    /// Handshakes on our own listeners did not get the new certificate.
    NotServed,
    /// The CA would surely refuse the order, by its published limits.
    Budget,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::Dns,
        Self::Connection,
        Self::Unauthorized,
        Self::Caa,
        Self::Dnssec,
        Self::RateLimited,
        Self::RejectedIdentifier,
        Self::BadCsr,
        Self::Server,
        Self::Unusable,
        Self::Network,
        Self::Timeout,
        Self::OrderNotReady,
        Self::Account,
        Self::Storage,
        Self::Clock,
        Self::NotServed,
        Self::Budget,
    ];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Unauthorized => "unauthorized",
            Self::Caa => "caa",
            Self::Dnssec => "dnssec",
            Self::RateLimited => "ratelimited",
            Self::RejectedIdentifier => "rejected_identifier",
            Self::BadCsr => "bad_csr",
            Self::Server => "server",
            Self::Unusable => "unusable",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::OrderNotReady => "order_not_ready",
            Self::Account => "account",
            Self::Storage => "storage",
            Self::Clock => "clock",
            Self::NotServed => "not_served",
            Self::Budget => "budget",
        }
    }

    pub(super) const fn class(self) -> Class {
        match self {
            Self::Server | Self::Network | Self::Timeout | Self::OrderNotReady | Self::Storage => Class::Transient,
            Self::Dns
            | Self::Connection
            | Self::Unauthorized
            | Self::Caa
            | Self::Dnssec
            | Self::RateLimited
            | Self::RejectedIdentifier
            | Self::BadCsr
            | Self::Account
            | Self::Unusable
            | Self::Clock
            | Self::NotServed
            | Self::Budget => Class::Lasting,
        }
    }

    /// Trouble that another CA would not have.
    pub(super) const fn is_trouble_of_ca(self) -> bool {
        matches!(self, Self::Server | Self::Unusable | Self::Network | Self::Timeout | Self::RateLimited)
    }

    /// Only the operator can mend it: DNS, ports, or what answers there.
    pub(super) const fn is_for_operator(self) -> bool {
        matches!(self, Self::Dns | Self::Connection | Self::Unauthorized | Self::Caa | Self::Dnssec)
    }

    /// Trouble that would be the same at every CA.
    pub(super) const fn is_about_us(self) -> bool {
        match self {
            Self::Dns
            | Self::Connection
            | Self::Unauthorized
            | Self::Caa
            | Self::Dnssec
            | Self::Storage
            | Self::Clock
            | Self::NotServed => true,
            Self::RateLimited
            | Self::RejectedIdentifier
            | Self::BadCsr
            | Self::Server
            | Self::Unusable
            | Self::Network
            | Self::Timeout
            | Self::OrderNotReady
            | Self::Account
            | Self::Budget => false,
        }
    }
}

/// What time does to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It passes by itself.
    Transient,
    /// It stands until somebody acts.
    Lasting,
}
