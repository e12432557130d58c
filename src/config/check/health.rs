//! `upstream.health`.

use http::StatusCode;
use http::uri::PathAndQuery;

use super::section::Section;
use super::{Check, shape};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::config::raw::{Node, Value};
use crate::upstream::HealthCheck;

/// Reads the table; `None` when there is none, or it says nothing that can be checked.
pub(super) fn read(check: &mut Check<'_>, upstream: &Section<'_>) -> Option<HealthCheck> {
    let table = upstream.table(check, "health")?;
    let section = Section::open(check, table, &shape::HEALTH);
    if section.lacks("path") {
        let problem = section.missing("path").why("the check is a GET, and has to ask for something");
        check.report(problem.fix("write `path = \"/health\"`, or another page that needs no login"));
    }
    let path = path(check, &section);
    let defaults = HealthCheck::of("/");
    let status = status(check, &section);
    let interval = section.duration(check, "interval").unwrap_or(defaults.interval);
    let timeout = section.duration(check, "timeout").unwrap_or(defaults.timeout);
    let fail_after = section.number(check, "fail_after", 1, MOST_CHECKS).unwrap_or(defaults.fail_after);
    let pass_after = section.number(check, "pass_after", 1, MOST_CHECKS).unwrap_or(defaults.pass_after);
    let status = status.unwrap_or(defaults.status);
    Some(HealthCheck { path: path?, interval, timeout, status, fail_after, pass_after })
}

fn path(check: &mut Check<'_>, section: &Section<'_>) -> Option<String> {
    let text = section.string(check, "path")?;
    if text.value.starts_with('/') && text.value.parse::<PathAndQuery>().is_ok() {
        return Some(text.value.to_owned());
    }
    let title = format!("{} cannot be asked for by a health check", quoted(text.value));
    let problem = Problem::error(Code::InvalidHealthCheck, title).at(text.place);
    check.report(problem.why("it is a path, perhaps with a query").fix("write it like `/health` or `/ping?deep=1`"));
    None
}

/// One status or a list of them.
fn status(check: &mut Check<'_>, section: &Section<'_>) -> Option<Vec<StatusCode>> {
    let node = section.node("status")?;
    let items = match &node.value {
        Value::List(items) if !items.is_empty() => items.as_slice(),
        Value::Integer(_) => std::slice::from_ref(node),
        _ => {
            let problem = section.wrong_type("status", node, "a status, or a list of at least one");
            check.report(problem.fix("write `status = [200]`"));
            return None;
        }
    };
    items.iter().map(|item| one(check, item)).collect()
}

fn one(check: &mut Check<'_>, node: &Node) -> Option<StatusCode> {
    let number = match node.value {
        Value::Integer(number) => u16::try_from(number).ok().filter(|number| (200..600).contains(number)),
        _ => None,
    };
    let status = number.and_then(|number| StatusCode::from_u16(number).ok());
    if status.is_none() {
        let title = format!("{} is not the status of an answer", quoted(node.place.text()));
        let problem = Problem::error(Code::InvalidHealthCheck, title).at(&node.place);
        check.report(problem.fix("write numbers from 200 to 599, such as `[200, 204]`"));
    }
    status
}

/// More would take hours to notice.
const MOST_CHECKS: u32 = 100;
