//! What happens in a certificate's life, told once to log and metrics.

use super::{Failure, Kind, Validity, Why, Window};
use crate::time::Timestamp;

/// One happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something will be done later.
    Planned {
        /// When; `None` is not before the settings change.
        at: Option<Timestamp>,
        /// What is waited for.
        why: Why,
    },
    /// A certificate is asked for.
    Attempt {
        /// First certificate or renewal.
        kind: Kind,
        /// What makes it necessary.
        why: Why,
        /// Failures before this attempt.
        failures: u32,
        /// Who is asked: the ACME directory's host, or `internal`.
        ca: String,
    },
    /// The attempt gave a certificate, and handshakes get it.
    Issued {
        /// First certificate or renewal.
        kind: Kind,
        /// Of the new certificate.
        validity: Validity,
        /// Of the new certificate, lower-case hex.
        serial: String,
        /// Who has issued it.
        ca: String,
    },
    /// The attempt gave none.
    Failed {
        /// First certificate or renewal.
        kind: Kind,
        /// Why.
        failure: Failure,
        /// Failures in a row, this one included.
        consecutive: u32,
        /// As many of the last failures in a row only the operator can mend.
        unmended: u32,
        /// Who was asked.
        ca: String,
    },
    /// The CA has said when it wants the certificate to be renewed, and not the same as before (RFC 9773 §4.2).
    Informed {
        /// Its window.
        window: Window,
        /// The moment that was drawn.
        due: Option<Timestamp>,
    },
    /// The CA has not said when to renew.
    Uninformed {
        /// What happened.
        trouble: String,
    },
    /// The new certificate is served, but nobody has seen it yet: listeners are not open, or do not answer.
    Unseen {
        /// Which, and why.
        detail: String,
    },
    /// Handshakes do not get the new certificate, so the one before is served again.
    RolledBack {
        /// What they get.
        failure: Failure,
    },
    /// Handshakes get another identity from now on.
    Activated {
        /// Where it comes from.
        origin: Origin,
        /// Last second of its validity.
        not_after: Timestamp,
        /// Identifiers asked for that it is not issued to.
        uncovered: Vec<String>,
    },
    /// The whole way was tried at the CA's twin, after failures that only the operator can mend.
    Rehearsed {
        /// Directory of the twin.
        directory: String,
        /// Which step failed and why, and what can be done about it.
        outcome: Result<(), String>,
        /// When the CA itself is asked next.
        next: Option<Timestamp>,
    },
    /// Something outside of an attempt went wrong: files that cannot be used, a store that cannot be written.
    Trouble {
        /// What, why and how to mend it.
        failure: Failure,
    },
}

/// Where an identity that is served comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Just issued.
    Issued,
    /// Found in the store, at start or put there by another process.
    Store,
    /// Read from files.
    Files,
    /// Made by ourselves, trusted by nobody.
    Placeholder,
}

impl Origin {
    /// For the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Store => "store",
            Self::Files => "files",
            Self::Placeholder => "placeholder",
        }
    }
}
