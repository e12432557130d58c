//! Why ACME gave no certificate: the CA's words, what they mean for the next attempt, and what the operator can do.

mod hint;
mod problem;
mod verdict;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use instant_acme::Problem;

use self::problem::Words;
pub(super) use self::problem::words;
use super::bounded::cut;
use super::dns::DnsError;
use super::eab::EabError;
use super::seen::Seen;
use super::traffic::Operation;
use crate::causes::with_causes;
use crate::lifecycle::Failure;
use crate::lifecycle::budget::{Limit, Refusal};
use crate::pki::{ChainError, IdentityError, KeyError};
use crate::store::{FailedProof, StoreError};
use crate::time::Timestamp;

/// Why ACME gave no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// `agree_tos` is false.
    #[error("`{directory}` issues only to those who agree to its terms of service")]
    TermsNotAgreed {
        /// Of the CA.
        directory: String,
    },
    /// The CA would refuse the order, by its published limits and what was ordered before; it was not sent.
    #[error("`{directory}` would refuse {}: {refusal}", match refusal.limit { Limit::Registrations => "a new account", _ => "the order" })]
    Budget {
        /// Of the CA.
        directory: String,
        /// Which limit, and until when.
        refusal: Refusal,
    },
    /// TLS cannot be set up.
    #[error("HTTPS to the CA cannot be set up")]
    Tls(#[from] rustls::Error),
    /// No answer of an ACME server.
    #[error("cannot {step} at `{directory}`")]
    Unreachable {
        /// Of the CA.
        directory: String,
        /// What was being done.
        step: Step,
        /// Whether the answer was an HTTP error, and when it asks to be back.
        answer: Option<Answer>,
        /// Name, network, TLS or HTTP.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A problem document (RFC 8555 §6.7).
    #[error("the CA refused to {step}{}: {}", Of(identifier), Words(problem))]
    Refused {
        /// What was being done.
        step: Step,
        /// What it was done for, when that is one identifier.
        identifier: Option<String>,
        /// The CA's own words.
        problem: Box<Problem>,
        /// HTTP status, and when to be back.
        answer: Answer,
    },
    /// The CA was not convinced that a name is ours.
    #[error("{refusal}; it was to be proven by {kind}{}", Earlier(earlier))]
    Unproven {
        /// Such as `http-01`.
        kind: String,
        /// How it failed before by another kind.
        earlier: Option<FailedProof>,
        /// The CA's own words.
        refusal: Box<Self>,
    },
    /// The CA did not come to an end.
    #[error("the CA did not {step} within {} s", after.as_secs())]
    Timeout {
        /// What was waited for.
        step: Step,
        /// How long.
        after: Duration,
    },
    /// The order waits for what can never come (RFC 8555 §7.1.6).
    #[error(
        "the CA calls the authorization of `{identifier}` {status} while the order waits for it, and does not say why"
    )]
    AuthorizationOver {
        /// What was to be proven.
        identifier: String,
        /// In the CA's words.
        status: &'static str,
    },
    /// None of our challenge kinds.
    #[error("the CA offers {offered} for `{identifier}`, and the settings allow {allowed}")]
    NoChallenge {
        /// What is to be proven.
        identifier: String,
        /// The CA's kinds.
        offered: String,
        /// Ours.
        allowed: String,
    },
    /// The CA gave the order up and did not say why.
    #[error("the order became invalid, and the CA does not say why")]
    OrderInvalid,
    /// What was issued cannot be served.
    #[error("the issued certificate cannot be used")]
    Unusable(#[from] Unusable),
    /// Account or order cannot be kept.
    #[error("the state directory fails")]
    Store(#[from] StoreError),
    /// Another process or certificate registers the account, and does not come to an end.
    #[error("the account of `{directory}` is locked by another process")]
    AccountLocked {
        /// Of the CA.
        directory: String,
    },
    /// What is kept of the account is not what we keep.
    #[error("the kept account of `{directory}` cannot be used")]
    AccountUnreadable {
        /// Of the CA.
        directory: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The CA wants an account that is bound to one of its operator's, and none is set.
    #[error("`{directory}` gives accounts only to those who are known to its operator (external account binding)")]
    ExternalAccountRequired {
        /// Of the CA.
        directory: String,
    },
    /// The key of the external account.
    #[error("the key of `acme.eab` cannot be used")]
    ExternalAccountKey(#[from] EabError),
    /// The CA has other profiles.
    #[error("`{directory}` has no certificate profile `{profile}`: it has {}", Listed(offered))]
    NoProfile {
        /// Of the CA.
        directory: String,
        /// What is set.
        profile: String,
        /// What it has.
        offered: Vec<String>,
    },
    /// Nothing to work with.
    #[error("no account at `{directory}` is kept")]
    NoAccount {
        /// Of the CA.
        directory: String,
    },
    /// The CA's directory has no `keyChange`.
    #[error("`{directory}` does not offer another key for an account")]
    NoRollover {
        /// Of the CA.
        directory: String,
    },
    /// The CA's directory has no `revokeCert`.
    #[error("`{directory}` does not offer to revoke")]
    NoRevocation {
        /// Of the CA.
        directory: String,
    },
    /// A certificate that nobody trusts would take the place of a good one.
    #[error("`{directory}` is for tries, and a certificate of `{serving}` is good until {until}")]
    OverProduction {
        /// Of the CA that is set.
        directory: String,
        /// Who has issued what is served.
        serving: String,
        /// Its last second.
        until: Timestamp,
    },
    /// What is kept is not a key for an account.
    #[error("the kept key of the account cannot sign")]
    AccountKey,
    /// A key cannot be made or used.
    #[error("a private key fails")]
    Key(#[from] KeyError),
    /// A text did not come into DNS, or was not seen there.
    #[error("no proof over DNS")]
    Dns(#[from] DnsError),
    /// The certificate of tls-alpn-01 cannot be made.
    #[error("the answer to the challenge cannot be made")]
    Challenge(#[source] IdentityError),
}

/// Why an issued certificate is not served.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not a chain.
    #[error("it cannot be read")]
    Chain(#[from] ChainError),
    /// Not ours.
    #[error("it does not fit the private key")]
    Identity(#[from] IdentityError),
    /// An identifier is missing.
    #[error("it is not issued to `{identifier}`")]
    NotCovered {
        /// What was ordered.
        identifier: String,
    },
    /// An intermediate certificate is missing (RFC 8555 §7.4.2), so that clients that do not have it refuse.
    #[error("it is half a chain: the certificate of its issuer `{issuer}` does not come with it")]
    HalfChain {
        /// Who has signed it.
        issuer: String,
    },
    /// Not valid now, by the CA's clock.
    #[error("it is valid from {not_before} to {not_after}, and the CA's clock says {now}")]
    NotNow {
        /// First second.
        not_before: Timestamp,
        /// Last second.
        not_after: Timestamp,
        /// From the CA's `Date`.
        now: Timestamp,
    },
}

/// What was being done at the CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// GET of the directory.
    Connect,
    /// newAccount.
    Register,
    /// newOrder, or looking at a stored one.
    Order,
    /// Authorizations and challenges.
    Authorize,
    /// Finalize.
    Finalize,
    /// GET of the certificate.
    Download,
    /// A question for renewal information (RFC 9773).
    RenewalInfo,
    /// revokeCert.
    Revoke,
    /// keyChange.
    ChangeKey,
}

impl Step {
    /// As it is counted.
    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Connect => Operation::Directory,
            Self::Register => Operation::Account,
            Self::Order => Operation::Order,
            Self::Authorize => Operation::Authorization,
            Self::Finalize => Operation::Finalize,
            Self::Download => Operation::Certificate,
            Self::RenewalInfo => Operation::RenewalInfo,
            Self::Revoke => Operation::Revoke,
            Self::ChangeKey => Operation::KeyChange,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "read the directory",
            Self::Register => "register the account",
            Self::Order => "take the order",
            Self::Authorize => "validate",
            Self::Finalize => "issue the certificate",
            Self::Download => "hand out the certificate",
            Self::RenewalInfo => "say when to renew",
            Self::Revoke => "revoke the certificate",
            Self::ChangeKey => "change the account's key",
        })
    }
}

/// What an HTTP response said beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Such as 429.
    pub status: u16,
    /// When to be back.
    pub retry_after: Option<Timestamp>,
    /// What a human is to open in a browser (RFC 8555 §7.3.3), when the CA says so.
    pub visit: Option<String>,
    /// Seconds that the CA's clock is ahead of ours.
    pub skew: i64,
}

impl Answer {
    pub(super) fn latest(seen: &Seen) -> Self {
        Self {
            status: seen.status().unwrap_or(0),
            retry_after: seen.retry_after(),
            visit: seen.visit(),
            skew: seen.skew(),
        }
    }
}

impl From<AcmeError> for Failure {
    fn from(error: AcmeError) -> Self {
        Self {
            reason: error.reason(),
            retry: error.retry(),
            fix: error.fix().map(Cow::into_owned),
            detail: cut(with_causes(&error), LONGEST_FAILURE),
        }
    }
}

/// What is kept, shown and logged of a failure. A CA may write a megabyte.
const LONGEST_FAILURE: usize = 4000;

/// Names in backticks.
struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none"),
            names => f.write_str(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// `for NAME`, when there is one.
struct Of<'a>(&'a Option<String>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(identifier) => write!(f, " for `{identifier}`"),
            None => Ok(()),
        }
    }
}

/// How another kind of challenge failed before, when one has.
struct Earlier<'a>(&'a Option<FailedProof>);

impl fmt::Display for Earlier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(FailedProof { kind, at, why }) => write!(f, "; by {kind} it had failed at {at}: {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
