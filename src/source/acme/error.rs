//! Why ACME gave no certificate: the CA's words, what they mean for the next attempt, and what the operator can do.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use instant_acme::Problem;
use rustls::CertificateError;

use super::bounded::{bounded, cut};
use super::dns::DnsError;
use super::eab::EabError;
use super::http::TransportError;
use super::masked::masked;
use super::seen::Seen;
use super::traffic::Operation;
use crate::causes::with_causes;
use crate::lifecycle::budget::{Limit, Refusal};
use crate::lifecycle::{Failure, Reason, Retry};
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
}

impl Answer {
    pub(super) fn latest(seen: &Seen) -> Self {
        Self { status: seen.status().unwrap_or(0), retry_after: seen.retry_after(), visit: seen.visit() }
    }
}

impl AcmeError {
    /// Sorts instant-acme's error.
    pub(super) fn at(step: Step, directory: &str, seen: &Seen, error: instant_acme::Error) -> Self {
        let source: Box<dyn StdError + Send + Sync> = match error {
            instant_acme::Error::Api(problem) => {
                let answer = Answer::latest(seen);
                return Self::Refused { step, identifier: None, problem: bounded(problem).into(), answer };
            }
            instant_acme::Error::Other(other) => other,
            other => other.into(),
        };
        let answered = source.downcast_ref().and_then(TransportError::status);
        let answer = answered.map(|status| Answer { status: status.as_u16(), ..Answer::latest(seen) });
        Self::Unreachable { directory: directory.to_owned(), step, answer, source }
    }

    /// Names the identifier that a refusal is about.
    pub(super) fn of(self, of: &str) -> Self {
        match self {
            Self::Refused { step, identifier: _, problem, answer } => {
                Self::Refused { step, identifier: Some(of.to_owned()), problem, answer }
            }
            other => other,
        }
    }

    /// What a refusal is about, when that is one identifier.
    pub(super) fn identifier(&self) -> Option<&str> {
        match self {
            Self::Refused { identifier, .. } => identifier.as_deref(),
            Self::Unproven { refusal, .. } => refusal.identifier(),
            _ => None,
        }
    }

    /// The CA does not know our account (any more).
    pub(super) fn is_account_gone(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if kind(problem) == "accountDoesNotExist")
    }

    /// The CA does not take an order as a renewal of the certificate that it names (RFC 9773 §5).
    pub(super) fn is_about_replaced(&self) -> bool {
        match self {
            Self::Refused { step: Step::Order, problem, answer, .. } => {
                // Some look the certificate up, and call it their own error that it is not found.
                let is_not_found = kind(problem) == "serverInternal" && detail(problem).contains("certificate");
                answer.status == 409
                    || is_not_found
                    || matches!(kind(problem), "alreadyReplaced" | "malformed" | "unauthorized")
            }
            _ => false,
        }
    }

    /// The CA has taken the order, and did not say of which certificate: instant-acme gives it up.
    pub(super) fn is_not_as_renewal(&self) -> bool {
        match self {
            Self::Unreachable { step: Step::Order, answer: None, source, .. } => {
                source.to_string().starts_with("replaces field mismatch")
            }
            _ => false,
        }
    }

    /// The CA had its chance with the order: it did not come to an end, refused to go on, or answered nonsense. What it says
    /// about the account, its load or its own trouble does not speak against the order.
    pub(super) fn is_setback(&self) -> bool {
        const NOT_OF_ORDER: [&str; 7] = [
            "accountDoesNotExist",
            "unauthorized",
            "userActionRequired",
            "externalAccountRequired",
            "rateLimited",
            "serverInternal",
            "badNonce",
        ];
        match self {
            Self::Timeout { .. } => true,
            Self::Refused { problem, answer, .. } => {
                (400..500).contains(&answer.status) && answer.status != 429 && !NOT_OF_ORDER.contains(&kind(problem))
            }
            Self::Unreachable { answer: None, source, .. } => source.downcast_ref::<TransportError>().is_none(),
            _ => false,
        }
    }

    /// What was to be revoked was revoked before.
    pub(super) fn is_already_revoked(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if kind(problem) == "alreadyRevoked")
    }

    /// The CA has looked at the request and refused it.
    pub(super) fn is_final_refusal(&self) -> bool {
        match self {
            Self::NoRollover { .. } => true,
            Self::Refused { answer, .. } => (400..500).contains(&answer.status),
            _ => false,
        }
    }

    /// What the CA has issued has ended already.
    pub(super) fn has_run_out(&self) -> bool {
        matches!(self, Self::Unusable(Unusable::NotNow { not_after, now, .. }) if not_after <= now)
    }

    /// The signature or the account was not accepted, as happens while somebody changes the account's key.
    pub(super) fn is_about_account(&self) -> bool {
        let Self::Refused { problem, .. } = self else { return false };
        matches!(kind(problem), "accountDoesNotExist" | "unauthorized" | "malformed")
    }

    /// The CA does not say whether it knows a key: some want an external account for every question, and some read none
    /// that only asks.
    pub(super) fn is_about_question(&self) -> bool {
        let Self::Refused { problem, .. } = self else { return false };
        matches!(kind(problem), "externalAccountRequired" | "unauthorized" | "malformed")
    }

    /// The CA has answered, and not taken what it was sent.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreachable { answer: Some(_), .. })
    }

    /// The CA says that it does not have what was asked for, rather than that we may not see it or that it cannot answer.
    pub(super) fn is_about_object(&self) -> bool {
        match self {
            Self::Refused { answer, .. } => matches!(answer.status, 404 | 410) && !self.is_account_gone(),
            Self::Unreachable { answer: Some(answer), .. } => matches!(answer.status, 404 | 410),
            _ => false,
        }
    }

    /// Kind, for metrics and for the schedule.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TermsNotAgreed { .. }
            | Self::AccountLocked { .. }
            | Self::AccountUnreadable { .. }
            | Self::ExternalAccountRequired { .. }
            | Self::ExternalAccountKey(_)
            | Self::NoAccount { .. }
            | Self::NoRollover { .. }
            | Self::NoRevocation { .. }
            | Self::AccountKey => Reason::Account,
            Self::NoProfile { .. } | Self::OverProduction { .. } => Reason::RejectedIdentifier,
            Self::Budget { .. } => Reason::Budget,
            Self::Unreachable { answer: Some(answer), .. } => reason_of_status(answer.status),
            Self::Unreachable { source, .. } => match source.downcast_ref() {
                Some(TransportError::Connect { .. } | TransportError::Exchange { .. }) => Reason::Network,
                Some(TransportError::Timeout { .. }) => Reason::Timeout,
                Some(
                    TransportError::TooLong
                    | TransportError::Status { .. }
                    | TransportError::Redirect { .. }
                    | TransportError::NoDirectory { .. }
                    | TransportError::DirectoryUrl { .. }
                    | TransportError::Url { .. },
                )
                | None => Reason::Server,
            },
            Self::Refused { problem, answer, step, .. } => ruling(problem, answer, *step).0,
            Self::Unproven { refusal, .. } => refusal.reason(),
            // The CA is at work, and has not seen our answer: another CA would not either.
            Self::Timeout { step: Step::Authorize, .. } => Reason::Unauthorized,
            Self::Timeout { .. } => Reason::Timeout,
            Self::NoChallenge { .. } => Reason::RejectedIdentifier,
            Self::OrderInvalid | Self::AuthorizationOver { .. } => Reason::OrderNotReady,
            Self::Unusable(Unusable::NotNow { .. }) => Reason::Clock,
            Self::Unusable(_) => Reason::Unusable,
            Self::Store(_) | Self::Tls(_) => Reason::Storage,
            Self::Key(_) | Self::Challenge(_) => Reason::BadCsr,
            Self::Dns(DnsError::Store(_)) => Reason::Storage,
            Self::Dns(DnsError::Lookup(error)) if error.is_dnssec() => Reason::Dnssec,
            Self::Dns(_) => Reason::Dns,
        }
    }

    /// Whether trying again can help. `now` bounds times that the CA names in words.
    pub fn retry(&self) -> Retry {
        match self {
            Self::TermsNotAgreed { .. }
            | Self::NoChallenge { .. }
            | Self::ExternalAccountRequired { .. }
            | Self::NoProfile { .. }
            | Self::NoRollover { .. }
            | Self::NoRevocation { .. }
            | Self::OverProduction { .. }
            | Self::Key(KeyError::Identifier { .. }) => Retry::Never,
            Self::Budget { refusal, .. } => Retry::At(refusal.at),
            Self::Refused { problem, answer, step, .. } => ruling(problem, answer, *step).1,
            Self::Unproven { refusal, .. } => refusal.retry(),
            Self::Unreachable { answer: Some(Answer { retry_after: Some(at), .. }), .. } => Retry::At(*at),
            Self::Unreachable { .. }
            | Self::AccountLocked { .. }
            | Self::AccountUnreadable { .. }
            | Self::AccountKey
            | Self::ExternalAccountKey(_)
            | Self::NoAccount { .. }
            | Self::Timeout { .. }
            | Self::OrderInvalid
            | Self::AuthorizationOver { .. }
            | Self::Unusable(_)
            | Self::Store(_)
            | Self::Tls(_)
            | Self::Key(_)
            | Self::Dns(_)
            | Self::Challenge(_) => Retry::Backoff,
        }
    }

    /// What the operator can do.
    pub fn fix(&self) -> Option<Cow<'static, str>> {
        let fix = match self {
            Self::TermsNotAgreed { .. } => "read them, then set `agree_tos = true` under `[acme]`",
            Self::Unreachable { source, .. } => way_to_reach(source.downcast_ref()),
            Self::Refused { problem, answer, step, .. } => return refused_fix(problem, answer, *step),
            Self::Unproven { kind, refusal, .. } => {
                return by_dns(kind, refusal.reason()).map(Cow::Borrowed).or_else(|| refusal.fix());
            }
            Self::AccountUnreadable { .. } | Self::AccountKey => {
                "delete its `account.json` in the state directory to register a new account"
            }
            Self::NoChallenge { .. } => "wildcards need dns-01: set `[acme.dns]`, or use file certificates for them",
            Self::ExternalAccountRequired { .. } => {
                "get a key id and a MAC key from the CA, and set `eab = { kid = \"..\", key_file = \"FILE\" }` under `[acme]`"
            }
            Self::ExternalAccountKey(_) => "copy the MAC key again from where the CA shows it beside the key id",
            Self::NoProfile { .. } => "set `acme.profile` to one of them, or leave it out",
            Self::OverProduction { .. } => {
                "for a try use `portvakt rehearse`; to serve certificates that nobody trusts, remove the certificate's folder in the state directory"
            }
            Self::Budget { .. } => {
                "nothing: it is ordered then. `portvakt acme budget` shows what is left; keep the whole state directory over deployments"
            }
            Self::NoRollover { .. } => "nothing: this CA's accounts keep their key",
            Self::NoAccount { .. } => "start portvakt: it registers an account with its first order",
            Self::Unusable(Unusable::NotNow { .. }) => return hint(Reason::Clock).map(Cow::Borrowed),
            Self::Unusable(Unusable::HalfChain { .. }) => {
                "tell the CA; if it issues by its root itself, add that root to `acme.trust_anchors`"
            }
            Self::Dns(error) => return error.fix().map(Cow::Owned),
            Self::Key(_) => "check the site's `domain`",
            Self::Timeout { step: Step::Authorize, .. } => {
                "make port 80 (http-01) or 443 (tls-alpn-01) of every address of the name reachable from the whole internet, or its zone (dns-01): `portvakt doctor` looks for what is in the way"
            }
            Self::Timeout { .. }
            | Self::OrderInvalid
            | Self::AuthorizationOver { .. }
            | Self::AccountLocked { .. }
            | Self::NoRevocation { .. }
            | Self::Unusable(_)
            | Self::Tls(_)
            | Self::Challenge(_)
            | Self::Store(_) => return None,
        };
        Some(Cow::Borrowed(fix))
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

/// What an operator does about a problem document.
fn refused_fix(problem: &Problem, answer: &Answer, step: Step) -> Option<Cow<'static, str>> {
    let page = answer.visit.clone().or_else(|| page_in(detail(problem)));
    match (kind(problem), page) {
        (_, page) if is_paused(problem) => Some(Cow::Owned(format!(
            "open {}, unpause the names there, then `portvakt cert renew NAME --force`: until then nothing is tried",
            page.as_deref().unwrap_or("the CA's self-service portal")
        ))),
        ("userActionRequired", Some(page)) => Some(Cow::Owned(format!("open {page} and do what the CA asks there"))),
        ("externalAccountRequired", _) => AcmeError::ExternalAccountRequired { directory: String::new() }.fix(),
        ("unauthorized" | "malformed", _) if step == Step::Register => Some(Cow::Borrowed(
            "if `acme.eab` is set: compare `kid` and key with what the CA shows, they may have been used or have expired (`portvakt help PV0245`)",
        )),
        _ => hint(reason_of(problem, answer, step)).map(Cow::Borrowed),
    }
}

/// Let's Encrypt has stopped looking at names that failed a thousand times, until a human says that they are mended.
fn is_paused(problem: &Problem) -> bool {
    let words = detail(problem);
    kind(problem) == "rateLimited" && (words.contains("/unpause") || words.contains("temporarily prevented"))
}

/// The first address of a web page in the CA's words.
fn page_in(words: &str) -> Option<String> {
    let start = words.find("https://")?;
    let page = words[start..].split(|c: char| c.is_whitespace() || "<>\"'`".contains(c)).next()?;
    Some(page.trim_end_matches(['.', ',', ';', ')']).to_owned())
}

/// What a problem document means (RFC 8555 §6.7, and types that CAs have added).
fn ruling(problem: &Problem, answer: &Answer, step: Step) -> (Reason, Retry) {
    let reason = reason_of(problem, answer, step);
    let retry = match kind(problem) {
        _ if is_paused(problem) => Retry::Never,
        "rejectedIdentifier"
        | "unsupportedIdentifier"
        | "invalidProfile"
        | "badCSR"
        | "badPublicKey"
        | "badSignatureAlgorithm"
        | "externalAccountRequired"
        | "invalidContact"
        | "unsupportedContact" => Retry::Never,
        _ => retry_after(problem, answer).map_or(Retry::Backoff, Retry::At),
    };
    (reason, retry)
}

fn reason_of(problem: &Problem, answer: &Answer, step: Step) -> Reason {
    match kind(problem) {
        "dns" if detail(problem).contains("DNSSEC") => Reason::Dnssec,
        "dns" => Reason::Dns,
        "connection" | "tls" => Reason::Connection,
        // So pebble calls a name that it cannot look up, and other CAs an answer that they cannot read.
        "malformed" if step == Step::Authorize => Reason::Unauthorized,
        "unauthorized" if step != Step::Authorize => Reason::Account,
        "malformed" if step == Step::Register => Reason::Account,
        "unauthorized" | "incorrectResponse" => Reason::Unauthorized,
        "caa" => Reason::Caa,
        "rateLimited" => Reason::RateLimited,
        "rejectedIdentifier" | "unsupportedIdentifier" | "invalidProfile" => Reason::RejectedIdentifier,
        "badCSR" | "badPublicKey" | "badSignatureAlgorithm" | "malformed" => Reason::BadCsr,
        "orderNotReady" => Reason::OrderNotReady,
        "accountDoesNotExist"
        | "externalAccountRequired"
        | "invalidContact"
        | "unsupportedContact"
        | "userActionRequired" => Reason::Account,
        "compound" => {
            problem.subproblems.iter().map(|sub| reason_of(&alone(sub), answer, step)).next().unwrap_or(Reason::Server)
        }
        _ => reason_of_status(answer.status),
    }
}

fn alone(sub: &instant_acme::Subproblem) -> Problem {
    Problem { r#type: sub.r#type.clone(), detail: sub.detail.clone(), status: None, subproblems: Vec::new() }
}

const fn reason_of_status(status: u16) -> Reason {
    match status {
        429 => Reason::RateLimited,
        _ => Reason::Server,
    }
}

/// The header first; Let's Encrypt also writes `retry after 2026-06-04 12:34:56 UTC` in its words.
fn retry_after(problem: &Problem, answer: &Answer) -> Option<Timestamp> {
    answer.retry_after.or_else(|| written_time(detail(problem)))
}

fn written_time(words: &str) -> Option<Timestamp> {
    let (_, after) = words.split_once("retry after ")?;
    let (date, rest) = after.split_at_checked(10)?;
    let time = rest.trim_start_matches([' ', 'T']).get(..8)?;
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let read = time::PrimitiveDateTime::parse(&format!("{date} {time}"), format).ok()?;
    Some(Timestamp::from_unix(read.assume_utc().unix_timestamp()))
}

/// The last word of a problem's type.
fn kind(problem: &Problem) -> &str {
    let urn = problem.r#type.as_deref().unwrap_or_default();
    urn.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(urn)
}

fn detail(problem: &Problem) -> &str {
    problem.detail.as_deref().unwrap_or_default()
}

/// What to do about a directory that cannot be talked to.
fn way_to_reach(error: Option<&TransportError>) -> &'static str {
    if let Some(TransportError::DirectoryUrl { .. }) = error {
        return "tell the CA; until it is mended, set `acme.directory` to another one";
    }
    if let Some(TransportError::NoDirectory { .. } | TransportError::Redirect { .. }) = error {
        return "set `acme.directory` to the URL that the CA gives for its ACME directory: it answers with JSON";
    }
    match error.and_then(TransportError::refused_certificate) {
        Some(CertificateError::UnknownIssuer) => {
            "the CA's own server is not believed: set `acme.trust_anchors` to the root that its certificate chains to (without the key, only the roots that browsers trust are believed)"
        }
        Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "write `acme.directory` with a name that the certificate of that server is issued to"
        }
        Some(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "set the clock of this machine; if it is right, the certificate of the CA's own server must be renewed",
        _ => {
            "check `acme.directory` and the way out to it: name resolution, firewall, proxy (`acme.proxy`, HTTPS_PROXY)"
        }
    }
}

/// What is wrong with a proof over DNS is not the way to our ports.
fn by_dns(kind: &str, reason: Reason) -> Option<&'static str> {
    let is_about_way = matches!(reason, Reason::Dns | Reason::Connection | Reason::Unauthorized);
    match kind {
        "dns-01" if is_about_way => Some(
            "the CA did not find the text that portvakt had put into DNS: the registrar must delegate the zone to the name servers \
             that have it (name them in `acme.dns.nameservers`), and all of them must answer alike, whoever asks",
        ),
        "dns-persist-01" if is_about_way => Some(
            "`portvakt acme dns-record` shows the text that must stand in DNS, and whether it does; every name server of the zone \
             must have it",
        ),
        _ => None,
    }
}

const fn hint(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Dns => Some("make the name resolve, for the whole internet, to this machine"),
        Reason::Connection => Some(
            "the CA must reach port 80 (http-01) or 443 (tls-alpn-01) at every address of the name: check firewall, port forwarding and AAAA records",
        ),
        Reason::Unauthorized => {
            Some("something else answers in portvakt's place: check A and AAAA records, proxies and port forwarding")
        }
        Reason::Caa => Some("add this CA to the CAA records of the domain"),
        Reason::Dnssec => Some("repair the DNSSEC signatures of the domain"),
        Reason::RateLimited => Some("nothing: portvakt comes back when the CA allows it"),
        Reason::RejectedIdentifier => Some("take the name out of the configuration, or choose another CA or profile"),
        Reason::BadCsr => Some("check the site's domains and `acme.key_type`"),
        Reason::Account => Some("check `acme.contact` and what the CA says about the account"),
        Reason::Clock => Some("set the clock of this machine, and keep it right with NTP"),
        Reason::Server
        | Reason::Unusable
        | Reason::Network
        | Reason::Timeout
        | Reason::OrderNotReady
        | Reason::Storage
        | Reason::NotServed
        | Reason::Budget => None,
    }
}

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

/// A problem in the CA's own words, without tokens, and not longer than a page.
pub(super) fn words(problem: &Problem) -> String {
    cut(Words(problem).to_string(), LONGEST_FAILURE)
}

/// A problem in the CA's own words, without tokens.
struct Words<'a>(&'a Problem);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.detail.as_deref() {
            // The address to open holds what opens it.
            Some(detail) if is_paused(self.0) => f.write_str(detail)?,
            Some(detail) => f.write_str(&masked(detail))?,
            None => f.write_str("it gives no detail")?,
        }
        for sub in &self.0.subproblems {
            write!(f, "; {}", masked(&sub.to_string()))?;
        }
        match self.0.r#type.as_deref() {
            Some(kind) => write!(f, " ({kind})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Timestamp = Timestamp::from_unix(1_900_000_000);

    fn refused(kind: &str, detail: &str) -> AcmeError {
        let body = serde_json::json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail});
        AcmeError::Refused {
            step: Step::Authorize,
            identifier: None,
            problem: serde_json::from_value(body).unwrap(),
            answer: Answer { status: 403, ..Answer::default() },
        }
    }

    fn with_retry_after(error: AcmeError, at: Timestamp) -> AcmeError {
        match error {
            AcmeError::Refused { step, identifier, problem, answer } => {
                AcmeError::Refused { step, identifier, problem, answer: Answer { retry_after: Some(at), ..answer } }
            }
            other => other,
        }
    }

    #[test]
    fn given_each_problem_type_when_ruled_then_reason_and_retry() {
        let table = [
            ("dns", Reason::Dns, Retry::Backoff),
            ("connection", Reason::Connection, Retry::Backoff),
            ("tls", Reason::Connection, Retry::Backoff),
            ("unauthorized", Reason::Unauthorized, Retry::Backoff),
            ("incorrectResponse", Reason::Unauthorized, Retry::Backoff),
            ("caa", Reason::Caa, Retry::Backoff),
            ("rateLimited", Reason::RateLimited, Retry::Backoff),
            ("rejectedIdentifier", Reason::RejectedIdentifier, Retry::Never),
            ("unsupportedIdentifier", Reason::RejectedIdentifier, Retry::Never),
            ("invalidProfile", Reason::RejectedIdentifier, Retry::Never),
            ("badCSR", Reason::BadCsr, Retry::Never),
            ("badPublicKey", Reason::BadCsr, Retry::Never),
            ("malformed", Reason::Unauthorized, Retry::Backoff),
            ("orderNotReady", Reason::OrderNotReady, Retry::Backoff),
            ("externalAccountRequired", Reason::Account, Retry::Never),
            ("invalidContact", Reason::Account, Retry::Never),
            ("userActionRequired", Reason::Account, Retry::Backoff),
            ("accountDoesNotExist", Reason::Account, Retry::Backoff),
            ("serverInternal", Reason::Server, Retry::Backoff),
            ("badNonce", Reason::Server, Retry::Backoff),
            ("somethingNew", Reason::Server, Retry::Backoff),
        ];
        for (kind, reason, retry) in table {
            let error = refused(kind, "no");
            assert_eq!((error.reason(), error.retry()), (reason, retry), "{kind}");
        }
    }

    #[test]
    fn given_a_retry_after_when_ruled_then_kept_unless_refused_for_good() {
        assert_eq!(with_retry_after(refused("rateLimited", "no"), LATER).retry(), Retry::At(LATER));
        assert_eq!(with_retry_after(refused("serverInternal", "no"), LATER).retry(), Retry::At(LATER));
        assert_eq!(with_retry_after(refused("badCSR", "no"), LATER).retry(), Retry::Never);
    }

    #[test]
    fn given_a_time_in_words_when_ruled_then_read() {
        let table = [
            ("too many certificates, retry after 2026-11-22 01:33:00 UTC: see x", Some(1_795_311_180)),
            ("retry after 2026-11-22T01:33:00Z", Some(1_795_311_180)),
            ("retry after some time", None),
            ("retry after 2026-13-22 01:33:00", None),
            ("retry after é", None),
            ("no", None),
        ];
        for (words, expected) in table {
            let expected = expected.map_or(Retry::Backoff, |at| Retry::At(Timestamp::from_unix(at)));
            assert_eq!(refused("rateLimited", words).retry(), expected, "{words}");
        }
    }

    #[test]
    fn given_a_refused_account_when_ordering_then_it_is_not_a_failed_validation() {
        let AcmeError::Refused { problem, answer, .. } = refused("unauthorized", "account deactivated") else {
            unreachable!()
        };
        assert_eq!(ruling(&problem, &answer, Step::Order).0, Reason::Account);
    }

    #[test]
    fn given_a_refusal_when_told_then_the_ca_is_quoted_and_a_fix_is_given() {
        let failure =
            Failure::from(refused("connection", "192.0.2.1: Fetching http://m5.test/: refused").of("m5.test"));

        assert_eq!(
            failure.detail,
            "the CA refused to validate for `m5.test`: 192.0.2.1: Fetching http://m5.test/: refused \
             (urn:ietf:params:acme:error:connection)"
        );
        assert!(failure.fix.is_some_and(|fix| fix.contains("port 80")));
    }

    #[test]
    fn given_paused_names_when_told_then_the_page_to_open_and_no_further_try() {
        let words = "Your account is temporarily prevented from requesting certificates for m5.test. Please visit: https://portal.example/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4.";
        let error = refused("rateLimited", words);
        assert_eq!((error.reason(), error.retry()), (Reason::RateLimited, Retry::Never));
        let failure = Failure::from(error);
        let page = "https://portal.example/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4";
        assert!(
            failure.fix.as_ref().is_some_and(|fix| fix.contains(&format!("open {page},")) && fix.contains("--force")),
            "{failure:?}"
        );
        assert!(failure.detail.contains(page), "{failure:?}");
    }

    #[test]
    fn given_an_action_that_a_human_must_take_when_told_then_where() {
        let AcmeError::Refused { step, identifier, problem, answer } =
            refused("userActionRequired", "terms have changed")
        else {
            unreachable!()
        };
        let answer = Answer { visit: Some("https://ca.test/agree".to_owned()), ..answer };
        let error = AcmeError::Refused { step, identifier, problem, answer };
        assert!(error.fix().is_some_and(|fix| fix.contains("open https://ca.test/agree and")), "{:?}", error.fix());
    }

    #[test]
    fn given_answers_to_an_order_when_it_named_what_it_replaces_then_those_that_are_about_that() {
        let table = [
            ("alreadyReplaced", 409, true),
            ("malformed", 400, true),
            ("unauthorized", 403, true),
            ("conflict", 409, true),
            ("rateLimited", 429, false),
            ("serverInternal", 500, false),
        ];
        for (kind, status, expected) in table {
            let AcmeError::Refused { identifier, problem, .. } = refused(kind, "no") else { unreachable!() };
            let answer = Answer { status, ..Answer::default() };
            let error = AcmeError::Refused { step: Step::Order, identifier, problem, answer };
            assert_eq!(error.is_about_replaced(), expected, "{kind}");
        }
    }

    #[test]
    fn given_answers_about_an_order_when_judged_then_only_those_of_the_order_speak_against_it() {
        let refused = |kind, status| {
            let AcmeError::Refused { identifier, problem, .. } = refused(kind, "no") else { unreachable!() };
            AcmeError::Refused {
                step: Step::Order,
                identifier,
                problem,
                answer: Answer { status, ..Answer::default() },
            }
        };
        let unreachable = |answer: Option<u16>, source: Box<dyn StdError + Send + Sync>| AcmeError::Unreachable {
            directory: String::new(),
            step: Step::Order,
            answer: answer.map(|status| Answer { status, ..Answer::default() }),
            source,
        };
        let timeout = |step| AcmeError::Timeout { step, after: Duration::from_secs(300) };
        // Error, whether the order is gone, whether it is given up when that comes twice.
        let table = [
            (refused("malformed", 404), true, true),
            (refused("malformed", 410), true, true),
            (refused("malformed", 400), false, true),
            (refused("orderNotReady", 403), false, true),
            (refused("accountDoesNotExist", 404), false, false),
            (refused("accountDoesNotExist", 400), false, false),
            (refused("unauthorized", 401), false, false),
            (refused("userActionRequired", 403), false, false),
            (refused("rateLimited", 429), false, false),
            (refused("serverInternal", 500), false, false),
            (unreachable(Some(404), "x".into()), true, false),
            (unreachable(Some(503), "x".into()), false, false),
            (unreachable(None, "no JSON".into()), false, true),
            (unreachable(None, Box::new(TransportError::TooLong)), false, false),
            (timeout(Step::Authorize), false, true),
            (timeout(Step::Finalize), false, true),
            (AcmeError::OrderInvalid, false, false),
        ];
        for (error, is_gone, is_setback) in table {
            assert_eq!((error.is_about_object(), error.is_setback()), (is_gone, is_setback), "{error:?}");
        }
    }

    #[test]
    fn given_a_wait_without_end_when_ruled_then_a_validation_is_no_trouble_of_the_ca() {
        let timeout = |step| AcmeError::Timeout { step, after: Duration::from_secs(300) };
        assert_eq!(timeout(Step::Authorize).reason(), Reason::Unauthorized);
        assert!(timeout(Step::Authorize).fix().is_some_and(|fix| fix.contains("portvakt doctor")));
        assert_eq!(timeout(Step::Finalize).reason(), Reason::Timeout);
    }

    #[test]
    fn given_a_megabyte_of_words_when_told_then_a_page_is_kept() {
        let problem = serde_json::json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "é".repeat(1 << 19) });
        let error = instant_acme::Error::Api(serde_json::from_value(problem).unwrap());
        let failure = Failure::from(AcmeError::at(Step::Order, "https://ca.test/dir", &Seen::default(), error));
        assert_eq!(failure.reason, Reason::Dns);
        assert!(failure.detail.len() < 2200 && failure.detail.ends_with("(urn:ietf:params:acme:error:dns)"));

        let offered = (0..100_000).map(|number| number.to_string()).collect();
        let error = AcmeError::NoProfile { directory: String::new(), profile: "x".to_owned(), offered };
        assert!(Failure::from(error).detail.len() < LONGEST_FAILURE + 10);
    }

    #[test]
    fn given_a_compound_problem_when_ruled_then_its_first_part_decides() {
        let body = serde_json::json!({
            "type": "urn:ietf:params:acme:error:compound",
            "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids"}],
        });
        let problem: Problem = serde_json::from_value(body).unwrap();
        assert_eq!(ruling(&problem, &Answer { status: 403, ..Answer::default() }, Step::Authorize).0, Reason::Caa);
        assert!(Words(&problem).to_string().contains("CAA forbids"));
    }

    #[test]
    fn given_no_answer_when_sorted_then_network_timeout_or_server() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let table = [
            (TransportError::Connect { source: refused.into(), proxy: None }, Reason::Network),
            (TransportError::Timeout { after: Duration::from_secs(30) }, Reason::Timeout),
            (TransportError::TooLong, Reason::Server),
        ];
        for (source, reason) in table {
            let words = source.to_string();
            let error = instant_acme::Error::Other(Box::new(source));
            let error = AcmeError::at(Step::Connect, "https://ca.test/dir", &Seen::default(), error);
            assert_eq!((error.reason(), error.retry()), (reason, Retry::Backoff), "{words}");
            assert!(Failure::from(error).detail.contains(&words));
        }
    }

    #[test]
    fn given_an_http_error_without_problem_when_sorted_then_by_status() {
        for (status, reason) in [(429, Reason::RateLimited), (503, Reason::Server), (500, Reason::Server)] {
            let error = AcmeError::Unreachable {
                directory: String::new(),
                step: Step::Order,
                answer: Some(Answer { status, retry_after: Some(LATER), visit: None }),
                source: "x".into(),
            };
            assert_eq!((error.reason(), error.retry()), (reason, Retry::At(LATER)));
        }
    }
}
