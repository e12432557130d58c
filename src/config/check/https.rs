//! `site.https` and `site.hsts`.

use super::section::{Section, Sited, choose};
use super::{Check, Objection, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, Severity, quoted};
use crate::config::raw::{Entry, Table, Value};
use crate::route::{Enforcement, Hsts, Mode, PathPrefix, PlainPolicy, RedirectMethods};

/// Reads `[site.https]`.
pub(super) fn enforcement(check: &mut Check<'_>, site: &Section<'_>) -> Enforcement {
    let Some(table) = site.table(check, "https") else { return Enforcement::default() };
    let section = Section::open(check, table, &shape::HTTPS);
    let modes = [("observe", Mode::Observe), ("temporary", Mode::Temporary), ("permanent", Mode::Permanent)];
    let methods = [("safe", RedirectMethods::Safe), ("all", RedirectMethods::All)];
    let mode = section.choice(check, "mode", &modes).unwrap_or_default();
    let redirect_methods = section.choice(check, "redirect_methods", &methods).unwrap_or_default();
    let rest = section.choice(check, "rest", &POLICIES).unwrap_or_default();
    let paths = section.table(check, "paths").map(|table| paths(check, table)).unwrap_or_default();
    require_rest(check, &section);
    Enforcement { mode, rest, paths, redirect_methods }
}

/// What happens to every other path is too important to be guessed.
fn require_rest(check: &mut Check<'_>, section: &Section<'_>) {
    let Some(paths) = section.key_place("paths") else { return };
    if section.node("rest").is_some() {
        return;
    }
    let problem = Problem::error(Code::MissingKey, "`rest` must be written where `paths` is given")
        .at(paths)
        .why("it says what plain HTTP gets on every other path")
        .fix("`rest = \"redirect\"`: GET and HEAD are sent to https, everything else is refused")
        .fix("`rest = \"reject\"`: everything is refused")
        .fix("`rest = \"allow\"`: every other path stays as it is, without encryption");
    check.report(problem);
}

/// The rules of `paths`, the longest first.
fn paths(check: &mut Check<'_>, table: &Table) -> Vec<(PathPrefix, PlainPolicy)> {
    let mut rules: Vec<(PathPrefix, PlainPolicy, &Place)> = Vec::new();
    for entry in &table.entries {
        let path = path(check, Sited { value: entry.key.as_str(), place: &entry.key_place });
        let (Some(path), Some(policy)) = (path, policy(check, entry)) else { continue };
        match rules.iter().find(|(other, _, _)| *other == path) {
            Some((_, _, first)) => check.report(duplicate(entry, first)),
            None => rules.push((path, policy, &entry.key_place)),
        }
    }
    rules.sort_by_key(|(path, _, _)| std::cmp::Reverse(path.as_str().len()));
    rules.into_iter().map(|(path, policy, _)| (path, policy)).collect()
}

/// Reads a path prefix.
pub(super) fn path(check: &mut Check<'_>, text: Sited<'_, &str>) -> Option<PathPrefix> {
    match PathPrefix::parse(text.value) {
        Ok(path) => Some(path),
        Err(error) => {
            let fix = match text.value.starts_with('/') {
                true => "write it like `/api/`".to_owned(),
                false => format!("write {}", quoted(&format!("/{}", text.value))),
            };
            let objection = Objection::new(error.to_string(), fix);
            check.refuse(Code::InvalidPath, format!("{} is not a path prefix", quoted(text.value)), text, objection);
            None
        }
    }
}

fn policy(check: &mut Check<'_>, entry: &Entry) -> Option<PlainPolicy> {
    let Value::String(word) = &entry.node.value else {
        let problem = Problem::error(Code::WrongType, format!("the path {} takes a string", quoted(&entry.key)))
            .at(&entry.node.place)
            .label(format!("found {}", entry.node.value));
        check.report(problem.fix("write `\"redirect\"`, `\"reject\"` or `\"allow\"`"));
        return None;
    };
    choose(check, "site.https.paths", Sited { value: word, place: &entry.node.place }, &POLICIES)
}

fn duplicate(entry: &Entry, first: &Place) -> Problem {
    Problem::error(Code::DuplicatePath, format!("the path {} has a rule already", quoted(&entry.key)))
        .at(&entry.key_place)
        .related(first, "the same path")
        .why("case and a slash at the end make no difference")
        .fix("keep one of them")
}

/// Reads `site.hsts`: a table, or `true` for the defaults.
pub(super) fn hsts(check: &mut Check<'_>, site: &Section<'_>, https: &Enforcement) -> Option<Hsts> {
    let node = site.node("hsts")?;
    let hsts = match &node.value {
        Value::Boolean(false) => return None,
        Value::Boolean(true) => Hsts::default(),
        Value::Table(table) => hsts_table(check, table),
        _ => {
            let problem = site.wrong_type("hsts", node, "a table or `true`");
            check.report(problem.fix("write `hsts = { max_age = \"180d\" }`, or `hsts = true` for the same"));
            return None;
        }
    };
    judge_hsts(check, &node.place, https);
    Some(hsts)
}

fn hsts_table(check: &mut Check<'_>, table: &Table) -> Hsts {
    let section = Section::open(check, table, &shape::HSTS);
    let default = Hsts::default();
    Hsts {
        max_age: section.duration_or_zero(check, "max_age").map_or(default.max_age, |age| age.as_secs()),
        include_subdomains: section.boolean(check, "include_subdomains").is_some_and(|include| include.value),
    }
}

fn judge_hsts(check: &mut Check<'_>, place: &Place, https: &Enforcement) {
    let allows_plain =
        https.rest == PlainPolicy::Allow || https.paths.iter().any(|(_, policy)| *policy == PlainPolicy::Allow);
    let problem = Problem::error(Code::HstsOverPlain, "HSTS is set while plain HTTP is allowed").at(place);
    if allows_plain {
        let problem = problem
            .label("`rest` or a path is `allow`")
            .why("a browser that has seen HSTS asks for every path of the host over https, also for the allowed ones");
        check.report(problem.fix("remove `hsts`, or allow plain HTTP nowhere"));
    } else if https.mode != Mode::Permanent {
        let mut problem = problem.why("browsers remember it for `max_age`, so it is sent only in the mode `permanent`");
        "HSTS is not sent in this mode".clone_into(&mut problem.title);
        problem.severity = Severity::Warning;
        check.report(problem.fix("once everything works over https, set `https = { mode = \"permanent\" }`"));
    }
}

const POLICIES: [(&str, PlainPolicy); 3] =
    [("redirect", PlainPolicy::Redirect), ("reject", PlainPolicy::Reject), ("allow", PlainPolicy::Allow)];
