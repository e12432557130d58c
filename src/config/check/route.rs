//! `site.upstream` and `[[site.route]]`.

use super::answers::Wanted;
use super::headers::Edits;
use super::section::Section;
use super::site::{Names, duplicate_name};
use super::upstream::Upstreams;
use super::{Check, answers, global, headers, https, limits, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::Table;
use crate::route::{AllowList, Limits, PathPrefix, Route};

/// The routes of one site.
pub(super) struct Routes<'s, 'a> {
    site: &'s str,
    names: &'s mut Names,
    upstreams: &'s mut Upstreams,
    inherited: Inherited,
    found: Vec<(Route, &'a Place)>,
}

/// What routes have from their site.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) allow_from: AllowList,
    pub(super) headers: Edits,
    pub(super) answers: Wanted,
    /// Bytes.
    pub(super) body: Option<u64>,
}

impl<'s, 'a> Routes<'s, 'a> {
    /// None yet.
    pub(super) fn new(site: &'s str, names: &'s mut Names, upstreams: &'s mut Upstreams, inherited: Inherited) -> Self {
        Self { site, names, upstreams, inherited, found: Vec::new() }
    }

    /// Reads the site's own upstream, which takes `/`, and its routes.
    pub(super) fn read(&mut self, check: &mut Check<'_>, site: &Section<'a>) {
        if let (Some(node), Some(place)) = (site.node("upstream"), site.key_place("upstream")) {
            let upstream = self.upstreams.read(check, node, place);
            if let Some(upstream) = upstream {
                let name = format!("{}:/", self.site);
                let route = Route { name, path: PathPrefix::root(), upstream, ..Route::default() };
                self.add(check, self.inherit(route, None, Edits::default(), &Wanted::default()), place);
            }
        }
        for table in site.tables(check, "route") {
            self.read_route(check, table);
        }
    }

    /// The routes, the longest first.
    pub(super) fn finish(self, check: &mut Check<'_>, site: &Section<'_>) -> Vec<Route> {
        let is_tried = !site.lacks("upstream") || !site.lacks("redirect_to");
        if !is_tried && !self.found.iter().any(|(route, _)| route.path.as_str() == "/") {
            let problem =
                site.missing("upstream").why("every request needs somewhere to go, also outside of the routes");
            check.report(
                problem.fix("write `upstream = \"http://127.0.0.1:8080\"`, or a `[[site.route]]` with `path = \"/\"`"),
            );
        }
        let mut routes: Vec<_> = self.found.into_iter().map(|(route, _)| route).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.as_str().len()));
        routes
    }

    fn read_route(&mut self, check: &mut Check<'_>, table: &'a Table) {
        let section = Section::open(check, table, &shape::ROUTE);
        for key in ["path", "upstream"].into_iter().filter(|key| section.lacks(key)) {
            let problem = section.missing(key).why("a route says which path goes to which upstream");
            check.report(problem.fix("write `path = \"/api/\"` and `upstream = \"http://127.0.0.1:8081\"`"));
        }
        let name = self.name(check, &section);
        let text = section.string(check, "path");
        let path = text.and_then(|text| https::path(check, text));
        let upstream = match (section.node("upstream"), section.key_place("upstream")) {
            (Some(node), Some(place)) => self.upstreams.read(check, node, place),
            _ => None,
        };
        let allow_from = global::allow_from(check, &section);
        let edits = headers::read(check, &section);
        let answers = answers::read(check, &section);
        let limits = limits::of_route(check, &section);
        let strip_prefix = strip_prefix(check, &section, path.as_ref());
        if let (Some(text), Some(path), Some(upstream)) = (text, path, upstream) {
            let name = name.unwrap_or_else(|| format!("{}:{}", self.site, path.as_str()));
            let route = Route { name, path, upstream, strip_prefix, limits, ..Route::default() };
            self.add(check, self.inherit(route, allow_from, edits, &answers), text.place);
        }
    }

    /// Adds what the site says: its own list of clients replaces the site's, its headers come after them.
    fn inherit(&self, route: Route, allow_from: Option<AllowList>, edits: Edits, answers: &Wanted) -> Route {
        let site = &self.inherited;
        Route {
            allow_from: allow_from.unwrap_or_else(|| site.allow_from.clone()),
            request_headers: site.headers.request.then(&edits.request),
            response_headers: site.headers.response.then(&edits.response),
            answers: site.answers.then(answers).meant(),
            limits: Limits { body: route.limits.body.or(site.body), ..route.limits },
            ..route
        }
    }

    fn name(&mut self, check: &mut Check<'_>, section: &Section<'_>) -> Option<String> {
        let text = section.string(check, "name")?;
        if !is_label(text.value) {
            check.report(bad_label(text.value, text.place));
        }
        Some(text.value.to_owned())
    }

    fn add(&mut self, check: &mut Check<'_>, route: Route, place: &'a Place) {
        if let Some((_, first)) = self.found.iter().find(|(other, _)| other.path == route.path) {
            let title = format!("the path {} has a route already", quoted(route.path.as_str()));
            let problem = Problem::error(Code::DuplicatePath, title).at(place).related(first, "the same path");
            check.report(problem.why("the site's own `upstream` is the route of `/`").fix("keep one of them"));
            return;
        }
        if let Err(first) = self.names.claim(&route.name, place) {
            check.report(duplicate_name("route", &route.name, place, &first));
        }
        self.found.push((route, place));
    }
}

fn strip_prefix(check: &mut Check<'_>, section: &Section<'_>, path: Option<&PathPrefix>) -> bool {
    let Some(given) = section.boolean(check, "strip_prefix").filter(|given| given.value) else { return false };
    let is_root = path.is_some_and(|path| path.as_str() == "/");
    if is_root {
        let problem =
            Problem::error(Code::Conflict, "`strip_prefix` has nothing to take away from `/`").at(given.place);
        check.report(problem.fix("leave `strip_prefix` out, or give the route a longer path"));
    }
    !is_root
}

/// Whether a text can be a label of metrics that people can read.
pub(in crate::config) fn is_label(name: &str) -> bool {
    (1..=100).contains(&name.len()) && !name.chars().any(char::is_control) && name.trim() == name
}

/// Reports a name that cannot be a label.
pub(super) fn bad_label(name: &str, place: &Place) -> Problem {
    Problem::error(Code::InvalidName, format!("{} cannot be a name", quoted(name)))
        .at(place)
        .why("it becomes a label of metrics")
        .fix("use up to 100 characters, with no space at either end")
}
