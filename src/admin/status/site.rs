//! Sites: what is enforced on them, what would be, and where HTTP/2 is not offered.

use serde::Serialize;

use super::{maybe_time, time};
use crate::time::Timestamp;

/// A site that HTTP/2 is not offered for.
#[derive(Clone, Debug, Serialize)]
pub struct Http1Only {
    /// Its name.
    pub site: String,
    /// When its server was first seen to ask for NTLM or Negotiate; `None` where the configuration says it.
    #[serde(serialize_with = "maybe_time")]
    pub since: Option<Timestamp>,
}

/// A site in `observe`: what would be done with its requests over plain HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct Observing {
    /// Its name.
    pub site: String,
    /// Since when it was counted.
    #[serde(serialize_with = "time")]
    pub since: Timestamp,
    /// Requests that would have been refused.
    pub would_refuse: u64,
    /// Requests that would have been sent to https.
    pub would_redirect: u64,
    /// By path, client and reason; what would be refused first, then the most frequent.
    pub requests: Vec<Observed>,
}

/// Observed requests of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Observed {
    /// Below what they lie; `None` for all paths that are not listed.
    pub path: Option<String>,
    /// Family of the client, such as `android_app`.
    pub client: &'static str,
    /// The same for people.
    pub who: &'static str,
    /// `breaks`: refused; `may_break`: sent to https, which not every program follows; `goes_on`: a browser.
    pub risk: &'static str,
    /// Why, in a word: `credentials`, `path`, `method` or `redirect`.
    pub reason: &'static str,
    /// Why, for people.
    pub why: &'static str,
    /// Such as `POST`; of the last one.
    pub method: &'static str,
    /// How many.
    pub count: u64,
    /// The first one.
    #[serde(serialize_with = "time")]
    pub first_seen: Timestamp,
    /// The last one.
    #[serde(serialize_with = "time")]
    pub last_seen: Timestamp,
}

/// What was done with a site's requests over plain HTTP since the start of the process.
#[derive(Clone, Debug, Serialize)]
pub struct Enforced {
    /// Name of the site.
    pub site: String,
    /// `observe`, `temporary` or `permanent`.
    pub mode: &'static str,
    /// Sent to https.
    pub redirected: u64,
    /// Refused: they must not come in clear.
    pub rejected: u64,
    /// Refused, because they showed credentials in clear.
    pub credential_blocked: u64,
    /// Forwarded: plain HTTP is allowed there.
    pub allowed: u64,
    /// Forwarded in `observe`; would have been sent to https.
    pub would_redirect: u64,
    /// Forwarded in `observe`; would have been refused.
    pub would_reject: u64,
}
