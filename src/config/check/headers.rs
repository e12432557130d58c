//! `headers` of a site or a route.

use http::{HeaderName, HeaderValue};

use super::section::{Section, Sited, Text};
use super::shape::{self, Shape};
use super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::{Entry, Table, Value};
use crate::route::{HeaderEdits, Unsettable};

/// What is done to requests and to answers.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) request: HeaderEdits,
    pub(super) response: HeaderEdits,
}

/// Whether a header may be changed.
type Judge = fn(&HeaderName, Option<&HeaderValue>) -> Option<Unsettable>;

/// Reads `headers`.
pub(super) fn read(check: &mut Check<'_>, parent: &Section<'_>) -> Edits {
    let Some(table) = parent.table(check, "headers") else { return Edits::default() };
    let section = Section::open(check, table, &shape::HEADERS);
    Edits {
        request: edits(check, &section, "request", &shape::REQUEST_HEADERS, Unsettable::in_request),
        response: edits(check, &section, "response", &shape::RESPONSE_HEADERS, Unsettable::in_response),
    }
}

fn edits(check: &mut Check<'_>, headers: &Section<'_>, key: &str, shape: &'static Shape, judge: Judge) -> HeaderEdits {
    let Some(table) = headers.table(check, key) else { return HeaderEdits::default() };
    let section = Section::open(check, table, shape);
    let set = section.table(check, "set").map(|table| set(check, table, judge)).unwrap_or_default();
    let mut remove = Vec::new();
    for text in section.strings(check, "remove").unwrap_or_default() {
        let Some(name) = name(check, text) else { continue };
        if set.iter().any(|(set, _)| *set == name) {
            let title = format!("the header {} is set and removed", quoted(text.value));
            let problem = Problem::error(Code::Conflict, title).at(text.place);
            check.report(problem.why("setting it replaces every value that is there").fix("take it out of `remove`"));
        }
        refuse(check, judge(&name, None), text.value, text.place);
        remove.push(name);
    }
    HeaderEdits { set, remove }
}

/// Reads the name of a request header that portvakt is to set.
pub(super) fn settable_name(check: &mut Check<'_>, text: Text<'_>) -> Option<HeaderName> {
    let name = name(check, text)?;
    let objection = Unsettable::in_request(&name, None);
    refuse(check, objection, text.value, text.place);
    objection.is_none().then_some(name)
}

fn set(check: &mut Check<'_>, table: &Table, judge: Judge) -> Vec<(HeaderName, HeaderValue)> {
    let mut set: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for entry in &table.entries {
        let name = name(check, Sited { value: entry.key.as_str(), place: &entry.key_place });
        let (Some(name), Some(value)) = (name, value(check, entry)) else { continue };
        refuse(check, judge(&name, Some(&value)), &entry.key, &entry.key_place);
        if set.iter().any(|(known, _)| *known == name) {
            let title = format!("the header {} is set twice", quoted(&entry.key));
            let problem = Problem::error(Code::DuplicateKey, title).at(&entry.key_place);
            check.report(problem.why("case makes no difference in names of headers").fix("keep one of them"));
        }
        set.push((name, value));
    }
    set
}

fn name(check: &mut Check<'_>, text: Text<'_>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.value.as_bytes()).ok();
    if name.is_none() {
        let why = "a name has letters, digits and `-` only (RFC 9110 §5.1)";
        let objection = Objection::new(why, "write it without colon and spaces, such as `X-Frame-Options`");
        check.refuse(
            Code::InvalidHeader,
            format!("{} is not the name of a header", quoted(text.value)),
            text,
            objection,
        );
    }
    name
}

fn value(check: &mut Check<'_>, entry: &Entry) -> Option<HeaderValue> {
    let Value::String(text) = &entry.node.value else {
        let problem = Problem::error(Code::WrongType, format!("the header {} takes a string", quoted(&entry.key)))
            .at(&entry.node.place)
            .label(format!("found {}", entry.node.value));
        check.report(problem.fix("put the value in quotes; to take the header away, name it in `remove`"));
        return None;
    };
    let is_clean = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text && !text.is_empty();
    let value = HeaderValue::from_str(text).ok().filter(|_| is_clean);
    if value.is_none() {
        let title = format!("the header {} cannot have this value", quoted(&entry.key));
        let problem = Problem::error(Code::InvalidHeader, title).at(&entry.node.place);
        let problem =
            problem.why("a value is printable ASCII in one line, with no space at either end (RFC 9110 §5.5)");
        check.report(problem.fix("write it in one line; to take the header away, name it in `remove`"));
    }
    value
}

fn refuse(check: &mut Check<'_>, reason: Option<Unsettable>, name: &str, place: &Place) {
    let Some(reason) = reason else { return };
    let (why, fix) = match reason {
        Unsettable::Framing => (
            "it belongs to a connection, or says where a message ends; a wrong word lets requests be smuggled",
            "leave it out",
        ),
        Unsettable::Host => ("it is set by the upstream", "write `upstream = { url = \"..\", host = \"..\" }`"),
        Unsettable::Forwarding => (
            "it tells the upstream who the client is, and only portvakt knows that",
            "leave it out; proxies in front of portvakt belong into `trusted_proxies`",
        ),
        Unsettable::WebSocket => ("it is part of the handshake of a WebSocket", "leave it out"),
        Unsettable::Hsts => ("it would lock browsers out of paths in plain HTTP", "write `hsts = true` in the site"),
        Unsettable::Cookie => ("setting it would take the upstream's cookies away", "leave it out"),
        Unsettable::ConnectionAuthentication => (
            "NTLM and Negotiate authenticate a connection, and clients share those of an upstream",
            "use `Basic` or a key that stands for each request",
        ),
    };
    let title = format!("the header {} is not yours to change", quoted(name));
    check.report(Problem::error(Code::HeaderNotYours, title).at(place).why(why).fix(fix));
}
