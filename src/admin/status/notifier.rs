//! Who is told.

use serde::{Serialize, Serializer};

use super::{maybe_time, time};
use crate::language::Say;
use crate::time::Timestamp;

/// One `[[notify]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notifier {
    /// Its name.
    pub name: String,
    /// `webhook`, `smtp` or `exec`.
    pub kind: &'static str,
    /// Where it leads, without what may be secret.
    pub to: String,
    /// When a message was last taken.
    #[serde(serialize_with = "maybe_time")]
    pub last_delivery: Option<Timestamp>,
    /// Why the last try failed; `None` when it did not.
    pub last_error: Option<NotifierFailure>,
    /// Events that are still to be told.
    pub waiting: usize,
    /// When a message that was not taken is tried again.
    #[serde(serialize_with = "maybe_time")]
    pub next_try: Option<Timestamp>,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotifierFailure {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// Why.
    pub error: String,
    /// What can be done about it.
    #[serde(serialize_with = "in_english")]
    pub(crate) fix: Say,
}

fn in_english<S: Serializer>(say: &Say, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(say.en)
}
