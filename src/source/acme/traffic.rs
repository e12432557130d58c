//! Requests to CAs, to whoever counts them.

use std::time::Duration;

use crate::source::ChallengeKind;
use crate::time::Timestamp;

/// Hears of every request to a CA. Called from the certificates' tasks: be quick.
///
/// `ca` is the host of the CA's directory, and its port where it has another than 443.
pub trait Traffic: Send + Sync {
    /// A request has ended after `took`; without a status no answer came.
    fn requested(&self, ca: &str, operation: Operation, status: Option<u16>, took: Duration);

    /// The CA's clock is this many seconds ahead of ours; behind when negative.
    fn skew(&self, ca: &str, seconds: i64);

    /// The CA has asked not to be back before this time.
    fn retry_after(&self, ca: &str, at: Timestamp);

    /// A challenge was answered, and the CA has said whether that was good.
    fn challenged(&self, kind: ChallengeKind, is_valid: bool);
}

/// Nobody counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncounted;

impl Traffic for Uncounted {
    fn requested(&self, _: &str, _: Operation, _: Option<u16>, _: Duration) {}
    fn skew(&self, _: &str, _: i64) {}
    fn retry_after(&self, _: &str, _: Timestamp) {}
    fn challenged(&self, _: ChallengeKind, _: bool) {}
}

/// What a request to a CA is for: the closed set of `portvakt_acme_requests_total`'s label `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// GET of the directory.
    Directory,
    /// A nonce.
    Nonce,
    /// newAccount, and changes of the account.
    Account,
    /// newOrder, and looks at an order.
    Order,
    /// Authorizations and challenges.
    Authorization,
    /// Finalize, and waiting for its end.
    Finalize,
    /// The certificate and its alternates.
    Certificate,
    /// When to renew (RFC 9773).
    RenewalInfo,
    /// revokeCert.
    Revoke,
    /// keyChange.
    KeyChange,
}

impl Operation {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Directory,
        Self::Nonce,
        Self::Account,
        Self::Order,
        Self::Authorization,
        Self::Finalize,
        Self::Certificate,
        Self::RenewalInfo,
        Self::Revoke,
        Self::KeyChange,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Nonce => "nonce",
            Self::Account => "account",
            Self::Order => "order",
            Self::Authorization => "authorization",
            Self::Finalize => "finalize",
            Self::Certificate => "certificate",
            Self::RenewalInfo => "renewal_info",
            Self::Revoke => "revoke",
            Self::KeyChange => "key_change",
        }
    }
}
