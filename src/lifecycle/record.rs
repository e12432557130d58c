//! What is remembered of a certificate over restarts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::choice::Journal;
use super::haste::Haste;
use super::info::Info;
use super::rehearsal::Rehearsed;
use super::schedule::{FAILURES_PER_HOUR, HOUR, SHORTEST, Validity};
use super::{Kind, Reason, Served, Why};
use crate::time::Timestamp;

/// Kept in the store beside the certificate. Unknown fields of a newer version are ignored, missing ones are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// What is asked for.
    pub asked: Asked,
    /// [`Asked::product`] that the certificate served was issued for.
    pub issued_for: Option<String>,
    /// An attempt that has begun and not ended.
    pub attempt: Option<Attempt>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Failures in a row that only the operator can mend.
    pub(super) operator_failures: u32,
    /// The rehearsal of this row of failures.
    pub(super) rehearsal: Option<Rehearsed>,
    /// When the last attempt began.
    pub last_attempt: Option<Timestamp>,
    /// When the last attempt succeeded.
    pub last_success: Option<Timestamp>,
    /// The last attempt's failure; empty after a success.
    pub last_failure: Option<LastFailure>,
    pub(super) plan: Option<Plan>,
    pub(super) hold: Option<Hold>,
    pub(super) recent_failures: Vec<Timestamp>,
    pub(super) info: Option<Info>,
    /// By directory of the CA.
    pub(super) journals: BTreeMap<String, Journal>,
    /// What is served was got, and nobody has seen it in a handshake yet.
    pub(super) unseen: Option<Unseen>,
    /// Generation in the store that clients did not get.
    pub(super) refused: Option<u64>,
    pub(super) haste: Haste,
    /// The operator wants a new certificate.
    pub(super) requested_at: Option<Timestamp>,
}

impl Record {
    /// The first record. A certificate found without one is taken to be what is asked for.
    pub(super) fn new(asked: &Asked, served: Served) -> Self {
        let issued_for = served.validity().map(|_| asked.product.clone());
        Self { asked: asked.clone(), issued_for, ..Self::default() }
    }

    /// Takes over new settings: what was refused may now be granted.
    ///
    /// A wait that a CA has named is not lifted: it is the account's, or that of a name that may still be among them. Going
    /// back to an earlier certificate was the operator's wish, and stands as long as the same thing is asked for.
    pub(super) fn asked_for(mut self, asked: &Asked) -> Self {
        if self.asked.product != asked.product {
            self.hold = self.hold.filter(Hold::is_by_issuer);
            self.keep_what_cas_named();
            self.attempt = None;
            self.refused = None;
            self.end_row();
        } else if self.asked.way != asked.way {
            self.hold = self.hold.filter(|hold| hold.is_by_issuer() || matches!(hold, Hold::ByOperator { .. }));
            self.keep_what_cas_named();
            self.end_row();
        }
        self.asked = asked.clone();
        self
    }

    /// Ends the attempt with the certificate that it gave at `at` for `product`: it was kept, and the process died before
    /// the record of that was. A certificate from before the attempt changes nothing.
    pub fn completed(mut self, product: &str, at: Timestamp) -> Self {
        let is_its = self.attempt.as_ref().is_some_and(|attempt| attempt.started_at <= at);
        if is_its && !product.is_empty() {
            self.issued_for = Some(product.to_owned());
            self.haste.replaced();
            if let Some(attempt) = self.attempt.take() {
                self.journals.remove(&attempt.ca);
                // Whoever died had not seen it in a handshake.
                self.unseen = Some(Unseen { kind: attempt.kind, last_success: self.last_success });
            }
            self.requested_at = None;
            self.end_row();
            self.last_failure = None;
            self.last_success = Some(at);
            self.hold = None;
        }
        self
    }

    /// What fails from now on is another row of failures.
    pub(super) fn end_row(&mut self) {
        self.consecutive_failures = 0;
        self.operator_failures = 0;
        self.rehearsal = None;
    }

    fn keep_what_cas_named(&mut self) {
        for journal in self.journals.values_mut() {
            let hold = journal.hold.take().filter(Hold::is_by_issuer);
            *journal = Journal { hold, ..Journal::default() };
        }
    }

    /// What is known of the renewal of the certificate with this validity.
    pub(super) fn info_of(&self, validity: Validity) -> Option<&Info> {
        self.info.as_ref().filter(|info| info.of == validity)
    }

    /// Until when a CA, named by its directory, has asked to wait.
    pub fn waits_for(&self, ca: &str, now: Timestamp) -> Option<Timestamp> {
        let hold = self.journal(ca).hold.as_ref().filter(|hold| hold.is_by_issuer() && hold.is_in_force(now));
        hold.and_then(Hold::until)
    }

    /// How it went at a CA.
    pub(super) fn journal(&self, ca: &str) -> &Journal {
        static NONE: Journal = Journal { failures: 0, troubles: 0, hold: None };
        self.journals.get(ca).unwrap_or(&NONE)
    }

    pub(super) fn journal_mut(&mut self, ca: &str) -> &mut Journal {
        self.journals.entry(ca.to_owned()).or_default()
    }

    pub(super) fn note_failure(&mut self, now: Timestamp) {
        self.recent_failures.retain(|at| is_recent(*at, now));
        self.recent_failures.push(now);
    }

    /// When the hour has room for another failure, if it has none now.
    pub(super) fn crowded_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut recent: Vec<_> = self.recent_failures.iter().copied().filter(|at| is_recent(*at, now)).collect();
        recent.sort_unstable();
        let nth = recent.len().checked_sub(FAILURES_PER_HOUR)?;
        Some(recent[nth] + HOUR)
    }
}

/// Whether a failure lies in the hour before `now`. One in the future was noted by a clock that has been put right.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at + HOUR
}

/// What the settings ask for, as two comparable texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// What makes the certificate: source, directory, identifiers, key type, profile. Another one must be issued when
    /// it changes.
    pub product: String,
    /// How it is got: contact, challenges and the like. A change lets a refused order be tried again.
    pub way: String,
    /// Directories of the ACME CAs in the order to be asked; empty for other sources.
    pub cas: Vec<String>,
    /// One of them is public: the world goes by its clock.
    pub has_public_ca: bool,
}

/// An attempt that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub started_at: Timestamp,
    /// First certificate or renewal.
    pub kind: Kind,
    /// How often it was taken up again after the process had died in it.
    #[serde(default)]
    pub resumed: u32,
    /// Directory of the CA that is asked; empty for other sources.
    #[serde(default)]
    pub ca: String,
}

/// A certificate that was got, and that nobody has seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unseen {
    pub(super) kind: Kind,
    /// The success before.
    #[serde(default)]
    pub(super) last_success: Option<Timestamp>,
}

/// How the last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// Kind.
    pub reason: Reason,
    /// What happened.
    pub detail: String,
    /// What the operator can do.
    pub fix: Option<String>,
}

/// The drawn moment of renewal, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) of: Validity,
    pub(super) at: Timestamp,
}

/// What keeps the next attempt from beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hold {
    UntilChanged,
    ByIssuer { since: Timestamp, until: Timestamp },
    Backoff { since: Timestamp, until: Timestamp },
    ByOperator { since: Timestamp, until: Timestamp },
    ByBudget { since: Timestamp, until: Timestamp },
    ByLoop { since: Timestamp, until: Timestamp },
}

impl Hold {
    /// A hold that begins in the future was made by a clock that has been put right, and could last for years.
    pub(super) fn is_in_force(&self, now: Timestamp) -> bool {
        match self {
            Self::UntilChanged => true,
            Self::ByIssuer { since, until }
            | Self::Backoff { since, until }
            | Self::ByOperator { since, until }
            | Self::ByBudget { since, until }
            | Self::ByLoop { since, until } => *since <= now + SHORTEST && now < *until,
        }
    }

    pub(super) const fn is_by_issuer(&self) -> bool {
        matches!(self, Self::ByIssuer { .. })
    }

    pub(super) const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::UntilChanged => None,
            Self::ByIssuer { until, .. }
            | Self::Backoff { until, .. }
            | Self::ByOperator { until, .. }
            | Self::ByBudget { until, .. }
            | Self::ByLoop { until, .. } => Some(*until),
        }
    }

    pub(super) const fn why(&self) -> Why {
        match self {
            Self::UntilChanged => Why::WaitingForChange,
            Self::ByIssuer { .. } => Why::IssuerSaysWait,
            Self::Backoff { .. } => Why::Backoff,
            Self::ByOperator { .. } => Why::WentBack,
            Self::ByBudget { .. } => Why::Budget,
            Self::ByLoop { .. } => Why::Loop,
        }
    }
}
