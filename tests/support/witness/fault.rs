//! What goes wrong on the way to a CA, by rules that a test writes.

use std::io::{self, Write};
use std::sync::Arc;

use super::operation::{Asked, Operation};
use crate::support::raw::Reply;

/// What happens to the requests that a rule is for.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The CA never hears of it, and this is its answer.
    Answer(Reply),
    /// The CA never hears of it, and these bytes are written in its place; the connection ends with them.
    Write(Arc<Writing>),
    /// The CA's answer is passed on changed.
    Change(Arc<Changing>),
    /// The connection is cut before the CA hears of it.
    CutBefore,
    /// The CA has answered, and the connection is cut.
    CutAfter,
    /// As [`Self::CutBefore`], when the test lets it go.
    HoldBefore,
    /// As [`Self::CutAfter`], when the test lets it go.
    HoldAfter,
}

/// Writes to whoever has asked.
type Writing = dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync;
/// Changes an answer.
type Changing = dyn Fn(&mut Reply) + Send + Sync;

/// A fault, and the requests that meet it.
#[derive(Clone)]
pub(crate) struct Rule {
    operation: Option<Operation>,
    name: Option<String>,
    /// How many requests are let through before the first that meets it.
    skip: usize,
    /// How many more meet it; `None` is all.
    times: Option<usize>,
    fault: Fault,
}

impl Rule {
    /// For every request of this kind.
    pub(crate) fn on(operation: Operation, fault: Fault) -> Self {
        Self { operation: Some(operation), name: None, skip: 0, times: None, fault }
    }

    /// For every request.
    pub(crate) fn always(fault: Fault) -> Self {
        Self { operation: None, name: None, skip: 0, times: None, fault }
    }

    /// Only for orders whose first identifier this is.
    pub(crate) fn of(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Only that often.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only after that many.
    pub(crate) fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// The fault, when the request meets it; counts down.
    pub(super) fn meet(&mut self, asked: &Asked) -> Option<Fault> {
        let is_its = self.operation.is_none_or(|operation| operation == asked.operation)
            && self.name.as_ref().is_none_or(|name| asked.name.as_ref() == Some(name));
        if !is_its || self.times == Some(0) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(self.fault.clone())
    }
}

impl Fault {
    /// Answers with `status`, these headers and this body.
    pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        Self::Answer(reply(status, headers, body.as_bytes()))
    }

    /// Answers with a problem document (RFC 8555 §6.7).
    pub(crate) fn problem(status: u16, kind: &str, headers: &[(&str, &str)]) -> Self {
        Self::problem_in_words(status, kind, headers, "the CA's own words")
    }

    /// As [`Self::problem`], with `detail`.
    pub(crate) fn problem_in_words(status: u16, kind: &str, headers: &[(&str, &str)], detail: &str) -> Self {
        let problem = serde_json::json!({
            "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status
        });
        let kind = [("content-type", "application/problem+json")];
        Self::answer(status, &[&kind, headers].concat(), &problem.to_string())
    }

    /// Writes these bytes.
    pub(crate) fn write(write: impl Fn(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::Write(Arc::new(write))
    }

    /// Changes the CA's answer.
    pub(crate) fn change(change: impl Fn(&mut Reply) + Send + Sync + 'static) -> Self {
        Self::Change(Arc::new(change))
    }

    /// Changes the CA's answer's body.
    pub(crate) fn body(change: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::change(move |reply| reply.body = change(&reply.body))
    }

    /// Leaves the header `name` out of the CA's answer.
    pub(crate) fn without(name: &'static str) -> Self {
        Self::change(move |reply| reply.headers.retain(|(known, _)| known != name))
    }
}

/// An answer as a CA gives it, with a nonce of nobody's.
fn reply(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let nonce = [("replay-nonce", "bm9uY2U")];
    let headers = nonce.iter().chain(headers).map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Reply { status, headers: headers.collect(), body: body.to_vec() }
}
