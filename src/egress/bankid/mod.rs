//! What BankID asks of a relying party, and what its answers tell: the API v6.0 of BankID, as rules.
//!
//! In: a request's method, path and body, the pieces of an answer, and the time since one beginning. Out: a [`Refusal`] or what
//! is [`Asked`], [`Findings`]. Pure: no socket, clock or file. Imports http types, serde_json and a hash.
//!
//! Standards: BankID's relying-party guidelines (RFT4, RFT6, RFT9, RFA1-RFA30) and API v6.0, JSON (RFC 8259).
//!
//! Promises: no bytes panic; what is not clearly wrong passes unchanged; nothing that a request or an answer holds is in a
//! message, a label or a log line, an order's reference is known by its hash alone; memory has a bound whatever comes.

mod call;
mod closed;
mod judge;
mod key;
mod message;
pub mod orders;
mod refusal;
mod watch;
mod words;

pub use self::call::{Call, Method, Version};
pub use self::closed::{ClosedVersion, VersionError};
pub use self::judge::{Asked, judge};
pub use self::key::OrderKey;
pub use self::message::Message;
pub use self::orders::Orders;
pub use self::refusal::Refusal;
pub use self::watch::{Findings, Watch};
pub use self::words::{ErrorCode, Hint, Status};

/// `rules = "bankid"`, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of a collect that comes too early.
    pub pace: Pace,
    /// Whether answers tell which message the user should see.
    pub user_message: UserMessage,
    /// Versions of the API that are not called any more.
    pub closed: Vec<ClosedVersion>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pace: Pace::default(), user_message: UserMessage::default(), closed: ClosedVersion::published() }
    }
}

/// What becomes of a collect less than a second after the last one of its order (RFT9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// It waits until the second has passed: the application notices nothing.
    #[default]
    Hold,
    /// 429, so that the application's error is seen.
    Reject,
}

/// Where an answer tells which message the user should see (RFA). Off by default: an answer passes as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserMessage {
    /// Nowhere.
    #[default]
    Off,
    /// In a field of the response's header.
    Header,
    /// In a member of the answer's JSON object, which is the only change to it.
    Field,
}
