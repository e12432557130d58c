//! What an error means: whose fault it is, whether to try again, how to mend it.

use std::borrow::Cow;
use std::error::Error as StdError;

use super::super::bounded::bounded;
use super::super::dns::DnsError;
use super::super::http::TransportError;
use super::super::seen::Seen;
use super::hint::{by_dns, hint, way_to_reach};
use super::problem::{detail, kind, reason_of_status, refused_fix, ruling};
use super::{AcmeError, Answer, Step, Unusable};
use crate::lifecycle::{Reason, Retry};
use crate::pki::KeyError;

impl AcmeError {
    /// Sorts instant-acme's error.
    pub(in crate::source::acme) fn at(step: Step, directory: &str, seen: &Seen, error: instant_acme::Error) -> Self {
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
    pub(in crate::source::acme) fn of(self, of: &str) -> Self {
        match self {
            Self::Refused { step, identifier: _, problem, answer } => {
                Self::Refused { step, identifier: Some(of.to_owned()), problem, answer }
            }
            other => other,
        }
    }

    /// What a refusal is about, when that is one identifier.
    pub(in crate::source::acme) fn identifier(&self) -> Option<&str> {
        match self {
            Self::Refused { identifier, .. } => identifier.as_deref(),
            Self::Unproven { refusal, .. } => refusal.identifier(),
            _ => None,
        }
    }

    /// The CA does not know our account (any more).
    pub(in crate::source::acme) fn is_account_gone(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if kind(problem) == "accountDoesNotExist")
    }

    /// The CA does not take an order as a renewal of the certificate that it names (RFC 9773 §5).
    pub(in crate::source::acme) fn is_about_replaced(&self) -> bool {
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
    pub(in crate::source::acme) fn is_not_as_renewal(&self) -> bool {
        match self {
            Self::Unreachable { step: Step::Order, answer: None, source, .. } => {
                source.to_string().starts_with("replaces field mismatch")
            }
            _ => false,
        }
    }

    /// The CA had its chance with the order: it did not come to an end, refused to go on, or answered nonsense. What it says
    /// about the account, its load or its own trouble does not speak against the order.
    pub(in crate::source::acme) fn is_setback(&self) -> bool {
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
    pub(in crate::source::acme) fn is_already_revoked(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if kind(problem) == "alreadyRevoked")
    }

    /// The CA has looked at the request and refused it.
    pub(in crate::source::acme) fn is_final_refusal(&self) -> bool {
        match self {
            Self::NoRollover { .. } => true,
            Self::Refused { answer, .. } => (400..500).contains(&answer.status),
            _ => false,
        }
    }

    /// What the CA has issued has ended already.
    pub(in crate::source::acme) fn has_run_out(&self) -> bool {
        matches!(self, Self::Unusable(Unusable::NotNow { not_after, now, .. }) if not_after <= now)
    }

    /// The signature or the account was not accepted, as happens while somebody changes the account's key.
    pub(in crate::source::acme) fn is_about_account(&self) -> bool {
        let Self::Refused { problem, .. } = self else { return false };
        matches!(kind(problem), "accountDoesNotExist" | "unauthorized" | "malformed")
    }

    /// The CA does not say whether it knows a key: some want an external account for every question, and some read none
    /// that only asks.
    pub(in crate::source::acme) fn is_about_question(&self) -> bool {
        let Self::Refused { problem, .. } = self else { return false };
        matches!(kind(problem), "externalAccountRequired" | "unauthorized" | "malformed")
    }

    /// The CA has answered, and not taken what it was sent.
    pub(in crate::source::acme) fn is_answered(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreachable { answer: Some(_), .. })
    }

    /// The CA says that it does not have what was asked for, rather than that we may not see it or that it cannot answer.
    pub(in crate::source::acme) fn is_about_object(&self) -> bool {
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
