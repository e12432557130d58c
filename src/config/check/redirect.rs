//! `site.redirect_to`, and what cannot stand beside it.

use super::section::Section;
use super::site::Domain;
use super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::route::{Destination, DestinationError, Mode};

/// Reads `redirect_to`.
pub(super) fn read(
    check: &mut Check<'_>,
    site: &Section<'_>,
    domains: &[Domain<'_>],
    mode: Mode,
) -> Option<Destination> {
    let text = site.string(check, "redirect_to")?;
    refuse_conflicts(check, site, mode);
    let destination = match Destination::parse(text.value) {
        Ok(destination) => destination,
        Err(error) => {
            let fix = match error {
                DestinationError::NotHttps => {
                    let bare = text.value.split_once("://").map_or(text.value, |(_, rest)| rest);
                    format!("write {}", quoted(&format!("https://{bare}")))
                }
                DestinationError::Host | DestinationError::Query => {
                    "write it like `https://www.example.com`".to_owned()
                }
            };
            let title = format!("clients cannot be sent to {}", quoted(text.value));
            check.refuse(Code::InvalidRedirect, title, text, Objection::new(error.to_string(), fix));
            return None;
        }
    };
    if let Some(own) = domains.iter().find(|domain| domain.name == destination.host()) {
        let title = format!("the site sends its clients back to itself, {}", quoted(&own.name));
        let problem = Problem::error(Code::InvalidRedirect, title).at(text.place).related(own.place, "its own name");
        let problem = problem.why("a client would be sent round in circles");
        check.report(problem.fix("name another site, or use `aliases` for further names of this one"));
    }
    Some(destination)
}

fn refuse_conflicts(check: &mut Check<'_>, site: &Section<'_>, mode: Mode) {
    for key in ["upstream", "route", "aliases", "headers"] {
        let Some(place) = site.key_place(key) else { continue };
        let problem = Problem::error(Code::Conflict, format!("`{key}` has no effect beside `redirect_to`")).at(place);
        let problem = problem.why("a site with `redirect_to` only redirects; nothing is forwarded");
        check.report(match key {
            "aliases" => problem.fix("put the names into `domains`: all of them are sent on"),
            _ => problem.fix(format!("remove `{key}` or `redirect_to`")),
        });
    }
    if let Some(place) = site.key_place("https").filter(|_| mode == Mode::Observe) {
        let problem = Problem::error(Code::Conflict, "`mode = \"observe\"` has nothing to serve beside `redirect_to`");
        check.report(problem.at(place).fix("write `mode = \"temporary\"` or `mode = \"permanent\"`"));
    }
}
