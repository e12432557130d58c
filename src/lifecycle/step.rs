//! What is to be done, and why.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

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
    /// Wait: the CA would refuse an order by its limits.
    #[error("by its limits the CA would refuse an order now")]
    Budget,
    /// Wait: one certificate after the other is due as soon as it comes.
    #[error("each new certificate is due again as soon as it comes: no other is ordered before some time has passed")]
    Loop,
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
    /// For log, status and label of metrics: a word of a closed set.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NothingServed => "nothing_served",
            Self::AskedForSomethingElse => "settings_changed",
            Self::Expired => "expired",
            Self::Requested => "requested",
            Self::Emergency => "emergency",
            Self::RenewalDue => "renewal_due",
            Self::RenewalPlanned => "renewal_planned",
            Self::Backoff => "backoff",
            Self::IssuerSaysWait => "retry_after",
            Self::Budget => "budget",
            Self::Loop => "renewal_loop",
            Self::WentBack => "went_back",
            Self::WaitingForChange => "refused",
            Self::TooManyFailures => "too_many_failures",
        }
    }

    /// Whether the CA's word on the time is of use first.
    pub(super) const fn may_wait_for_info(self) -> bool {
        matches!(self, Self::RenewalDue)
    }

    pub(super) const fn kind(self) -> Kind {
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
            | Self::Budget
            | Self::Loop
            | Self::WaitingForChange
            | Self::TooManyFailures => Kind::Renew,
        }
    }
}
