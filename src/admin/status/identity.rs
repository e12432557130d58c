//! Client identities: who we are to others.

use serde::{Serialize, Serializer};

use super::{maybe_time, time};
use crate::lifecycle::outlook::Todo;
use crate::lifecycle::rotation::Why;
use crate::time::Timestamp;

/// Who we are to one destination that asks for a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct ClientIdentity {
    /// The egress or upstream.
    pub destination: String,
    /// It is for BankID, and comes from a bank.
    pub is_bankid: bool,
    /// `identity` or `next`: where what is in use came from; `None` when there is nothing to show.
    pub in_use: Option<&'static str>,
    /// Why it is that one.
    #[serde(serialize_with = "why")]
    pub why: Option<Why>,
    /// Each that is configured.
    pub identities: Vec<ShownIdentity>,
    /// The last time that the destination refused one.
    pub last_refusal: Option<IdentityRefusal>,
    /// The last time that one was tried.
    pub last_trial: Option<IdentityTrial>,
    /// When the destination last answered a request.
    #[serde(serialize_with = "maybe_time")]
    pub last_answer: Option<Timestamp>,
    /// What happens next, or what somebody has to do.
    pub next: IdentityAction,
}

/// A client identity as its certificate says.
#[derive(Clone, Debug, Serialize)]
pub struct ShownIdentity {
    /// `identity`, `next`, or `replaced` for one in use whose files hold another by now.
    pub slot: &'static str,
    /// It is the one that is shown.
    pub is_in_use: bool,
    /// Its file; `None` for one that is in none any more.
    pub file: Option<String>,
    /// Common name; empty when the files hold nothing of use.
    pub subject: String,
    /// What people see when it is shown.
    pub display_name: String,
    /// Who issued it.
    pub issuer: String,
    /// The leaf's fingerprint, hexadecimal.
    pub sha256: String,
    /// Begin of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_before: Option<Timestamp>,
    /// End of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_after: Option<Timestamp>,
    /// Whole days that are left; negative for those since.
    pub days_left: Option<i64>,
    /// When the destination last accepted it, since it was last refused.
    #[serde(serialize_with = "maybe_time")]
    pub accepted: Option<Timestamp>,
    /// Why the destination refuses it.
    pub refused: Option<IdentityRefusal>,
    /// Why its files cannot be used.
    pub trouble: Option<String>,
}

/// That a destination refused a client identity.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityRefusal {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// As in the metrics, such as `expired`.
    pub reason: &'static str,
    /// In words.
    pub detail: String,
}

/// That a client identity was tried.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityTrial {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// Common name of what was tried.
    pub subject: String,
    /// `accepted`, `refused` or `unreachable`.
    pub outcome: &'static str,
    /// In words.
    pub detail: String,
}

/// What happens next to a client identity.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityAction {
    /// What, in a word.
    pub todo: Todo,
    /// Such as `order a new one at your bank`.
    pub action: String,
    /// When, at the latest; `None` for now.
    #[serde(serialize_with = "maybe_time")]
    pub at: Option<Timestamp>,
}

fn why<S: Serializer>(why: &Option<Why>, serializer: S) -> Result<S::Ok, S::Error> {
    why.map(|why| why.to_string()).serialize(serializer)
}
