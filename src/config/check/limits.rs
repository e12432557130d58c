//! `limits` of requests: everywhere, of a site, of a route.

use std::time::Duration;

use super::section::Section;
use super::{Check, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::{Node, Value};
use crate::route::{Limits, Rate};

/// What `[limits]` says about requests.
pub(super) fn everywhere(check: &mut Check<'_>, section: &Section<'_>) -> Limits {
    Limits { connections: None, body: body(check, section), requests: requests(check, section) }
}

/// `[site.limits]`, and the time for a header on TLS connections that ask for the site.
pub(super) fn of_site(check: &mut Check<'_>, site: &Section<'_>) -> (Limits, Option<Duration>) {
    let Some(table) = site.table(check, "limits") else { return Default::default() };
    let section = Section::open(check, table, &shape::SITE_LIMITS);
    (read(check, &section), section.duration(check, "header_timeout"))
}

/// `[site.route.limits]`.
pub(super) fn of_route(check: &mut Check<'_>, route: &Section<'_>) -> Limits {
    let Some(table) = route.table(check, "limits") else { return Limits::default() };
    let section = Section::open(check, table, &shape::ROUTE_LIMITS);
    read(check, &section)
}

fn read(check: &mut Check<'_>, section: &Section<'_>) -> Limits {
    let connections = section.number(check, "connections", 1, MOST_CONNECTIONS);
    Limits { connections, body: body(check, section), requests: requests(check, section) }
}

/// The largest body, in bytes.
pub(super) fn body(check: &mut Check<'_>, section: &Section<'_>) -> Option<u64> {
    size_of(check, section, "body")
}

/// Bytes: a number, or a string with a unit.
pub(super) fn size_of(check: &mut Check<'_>, section: &Section<'_>, key: &str) -> Option<u64> {
    let node = section.node(key)?;
    let size = match &node.value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => size(text),
        _ => {
            let problem = section.wrong_type(key, node, "a size");
            check.report(problem.fix("write it like `\"10MiB\"`, or as a number of bytes"));
            return None;
        }
    };
    if size.is_none() {
        let problem = Problem::error(Code::InvalidSize, format!("{} is not a size", quoted(written(node))));
        let problem =
            problem.at(&node.place).why("a size is a whole number of bytes, or one with `KiB`, `MiB` or `GiB`");
        check.report(problem.fix("write it like `\"512KiB\"`, `\"10MiB\"` or `10485760`"));
    }
    size
}

fn size(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `"100/s"`, or a table with `rate` and `burst`.
fn requests(check: &mut Check<'_>, section: &Section<'_>) -> Option<Rate> {
    let node = section.node("requests")?;
    match &node.value {
        Value::String(text) => rate(check, text, &node.place, None),
        Value::Table(table) => {
            let section = Section::open(check, table, &shape::REQUESTS);
            let burst = section.number(check, "burst", 1, Rate::MOST);
            if section.lacks("rate") {
                let problem =
                    section.missing("rate").why("it says how many requests a client may send in the long run");
                check.report(problem.fix("write `rate = \"100/s\"`"));
            }
            let text = section.string(check, "rate")?;
            rate(check, text.value, text.place, burst)
        }
        _ => {
            let problem = section.wrong_type("requests", node, "a rate");
            check.report(problem.fix("write `requests = { rate = \"100/s\", burst = 200 }`"));
            None
        }
    }
}

/// Without a burst as many may come at once as the rate has in its unit.
fn rate(check: &mut Check<'_>, text: &str, place: &Place, burst: Option<u32>) -> Option<Rate> {
    let rate = text.split_once('/').and_then(|(count, unit)| {
        let count = count.parse::<u32>().ok().filter(|count| (1..=Rate::MOST).contains(count))?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        Some(Rate::new(count, Duration::from_secs(seconds), burst.unwrap_or(count)))
    });
    if rate.is_none() {
        let problem = Problem::error(Code::InvalidRate, format!("{} is not a rate", quoted(text))).at(place);
        let problem = problem.why("a rate is a number from 1 to 1000000 in each second, minute or hour");
        check.report(problem.fix("write it like `100/s`, `30/m` or `1000/h`"));
    }
    rate
}

fn written(node: &Node) -> &str {
    match &node.value {
        Value::String(text) => text,
        _ => node.place.text(),
    }
}

/// As many as a listener may have.
const MOST_CONNECTIONS: u32 = 1_000_000;
