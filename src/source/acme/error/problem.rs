//! Problem documents of CAs (RFC 8555 §6.7, RFC 9457): what they mean, and their words.

use std::borrow::Cow;
use std::fmt;

use instant_acme::Problem;

use super::super::bounded::cut;
use super::super::masked::masked;
use super::hint::hint;
use super::{AcmeError, Answer, LONGEST_FAILURE, Step};
use crate::lifecycle::{Reason, Retry};
use crate::time::Timestamp;

/// What an operator does about a problem document.
pub(super) fn refused_fix(problem: &Problem, answer: &Answer, step: Step) -> Option<Cow<'static, str>> {
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
pub(super) fn is_paused(problem: &Problem) -> bool {
    let words = detail(problem);
    kind(problem) == "rateLimited" && (words.contains("/unpause") || words.contains("temporarily prevented"))
}

/// The first address of a web page in the CA's words.
pub(super) fn page_in(words: &str) -> Option<String> {
    let start = words.find("https://")?;
    let page = words[start..].split(|c: char| c.is_whitespace() || "<>\"'`".contains(c)).next()?;
    Some(page.trim_end_matches(['.', ',', ';', ')']).to_owned())
}

/// What a problem document means (RFC 8555 §6.7, and types that CAs have added).
pub(super) fn ruling(problem: &Problem, answer: &Answer, step: Step) -> (Reason, Retry) {
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

pub(super) fn reason_of(problem: &Problem, answer: &Answer, step: Step) -> Reason {
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

pub(super) fn alone(sub: &instant_acme::Subproblem) -> Problem {
    Problem { r#type: sub.r#type.clone(), detail: sub.detail.clone(), status: None, subproblems: Vec::new() }
}

pub(super) const fn reason_of_status(status: u16) -> Reason {
    match status {
        429 => Reason::RateLimited,
        _ => Reason::Server,
    }
}

/// The header first; Let's Encrypt also writes `retry after 2026-06-04 12:34:56 UTC` in its words. By our clock, either way.
pub(super) fn retry_after(problem: &Problem, answer: &Answer) -> Option<Timestamp> {
    answer.retry_after.or_else(|| Some(written_time(detail(problem))?.shifted(answer.skew.saturating_neg())))
}

pub(super) fn written_time(words: &str) -> Option<Timestamp> {
    let (_, after) = words.split_once("retry after ")?;
    let (date, rest) = after.split_at_checked(10)?;
    let time = rest.trim_start_matches([' ', 'T']).get(..8)?;
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let read = time::PrimitiveDateTime::parse(&format!("{date} {time}"), format).ok()?;
    Some(Timestamp::from_unix(read.assume_utc().unix_timestamp()))
}

/// The last word of a problem's type.
pub(super) fn kind(problem: &Problem) -> &str {
    let urn = problem.r#type.as_deref().unwrap_or_default();
    urn.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(urn)
}

pub(super) fn detail(problem: &Problem) -> &str {
    problem.detail.as_deref().unwrap_or_default()
}

/// A problem in the CA's own words, without tokens, and not longer than a page.
pub(in crate::source::acme) fn words(problem: &Problem) -> String {
    cut(Words(problem).to_string(), LONGEST_FAILURE)
}

/// A problem in the CA's own words, without tokens.
pub(super) struct Words<'a>(pub(super) &'a Problem);

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
