//! CAs that are ordered from, and what they still allow.

use serde::{Serialize, Serializer};

use super::maybe_time;
use crate::lifecycle::budget::Limit;
use crate::time::Timestamp;

/// A CA that is ordered from.
#[derive(Clone, Debug, Serialize)]
pub struct Acme {
    /// URL of its directory.
    pub directory: String,
    /// Its name, where its limits are known; it tells them by asking to wait otherwise.
    pub name: Option<&'static str>,
    /// URL of our account there; `None` until there is one.
    pub account: Option<String>,
    /// Seconds that its clock is ahead of ours, zero below two minutes; negative where it is behind, `None` before it has answered and
    /// once our clock was set.
    pub clock_ahead: Option<i64>,
    /// What it allows this account.
    pub limits: Vec<Allowance>,
    /// Every certificate that is, or may be, ordered there.
    pub certificates: Vec<AcmeCertificate>,
}

/// What a CA allows for one certificate.
#[derive(Clone, Debug, Serialize)]
pub struct AcmeCertificate {
    /// The configured name.
    pub name: String,
    /// What counts by its names.
    pub limits: Vec<Allowance>,
    /// Until when the CA has asked to wait.
    #[serde(serialize_with = "maybe_time")]
    pub retry_after: Option<Timestamp>,
}

/// What is left of one limit, by what this portvakt has done.
#[derive(Clone, Debug, Serialize)]
pub struct Allowance {
    /// As in the metrics, such as `duplicate_set`.
    #[serde(serialize_with = "limit")]
    pub limit: Limit,
    /// Whose: an account, a registered domain, or names.
    pub of: String,
    /// How often still.
    pub left: u32,
    /// How often when nothing was done.
    pub capacity: u32,
    /// When there is one more; `None` when nothing was done.
    #[serde(serialize_with = "maybe_time")]
    pub next: Option<Timestamp>,
}

fn limit<S: Serializer>(limit: &Limit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(limit.as_str())
}
