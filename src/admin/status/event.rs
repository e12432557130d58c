//! What happened last.

use serde::{Serialize, Serializer};

use super::time;
use crate::admin::words::{Lang, detail};
use crate::lifecycle::Reason;
use crate::time::Timestamp;

/// Something that an operator may want to know of afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// The certificate, upstream or destination; empty where it is the whole process.
    pub about: String,
    /// Why it went wrong, where that is one of the known reasons; as in the metrics.
    #[serde(serialize_with = "reason")]
    pub reason: Option<Reason>,
    /// More of it.
    #[serde(serialize_with = "in_english")]
    pub detail: Detail,
}

/// More of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// As in the log; may be empty.
    Words(String),
    /// Who issued a certificate, and until when it is good.
    Issued {
        /// The CA.
        by: String,
        /// Its end.
        until: Timestamp,
    },
    /// Until when a certificate is good.
    Until(Timestamp),
    /// Whose certificate is shown, and until when it is good.
    Shown {
        /// Its common name.
        name: String,
        /// Its end.
        until: Timestamp,
    },
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The process began to serve.
    Started,
    /// A first certificate came.
    Issued,
    /// A newer one came.
    Renewed,
    /// Another one was read from files, or from the state directory.
    Loaded,
    /// An attempt gave no certificate.
    Failed,
    /// The certificate before is served again.
    RolledBack,
    /// Clients get a self-signed certificate.
    Placeholder,
    /// Something outside of an attempt went wrong: files, disk.
    Trouble,
    /// Another configuration serves.
    Reloaded,
    /// A new configuration was refused; the one before serves on.
    ReloadFailed,
    /// A server is not used any more.
    UpstreamLost,
    /// A server is used again.
    UpstreamBack,
    /// Another client identity is shown.
    IdentityInUse,
    /// No client identity is left that can be shown.
    IdentityLost,
}

impl EventKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 14] = [
        Self::Started,
        Self::Issued,
        Self::Renewed,
        Self::Loaded,
        Self::Failed,
        Self::RolledBack,
        Self::Placeholder,
        Self::Trouble,
        Self::Reloaded,
        Self::ReloadFailed,
        Self::UpstreamLost,
        Self::UpstreamBack,
        Self::IdentityInUse,
        Self::IdentityLost,
    ];
}

fn reason<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

fn in_english<S: Serializer>(told: &Detail, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&detail(told, Lang::En, |at| at.to_string()))
}
