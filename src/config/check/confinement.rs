//! `landlock`, and whether what is configured lies where a confined process can open it.

use std::path::Path;

use super::Check;
use super::section::Section;
use crate::config::Config;
use crate::config::code::Code;
use crate::config::need::{Need, needs};
use crate::config::problem::{Place, Problem, quoted};
use crate::platform::{Access, CONFINE_FIX};

/// `landlock`: whether the process confines itself.
pub(super) fn landlock(check: &mut Check<'_>, root: &Section<'_>) -> bool {
    let Some(given) = root.boolean(check, "landlock").filter(|given| given.value) else { return false };
    let able = if check.opens_files() { check.environment.can_confine() } else { Ok(()) };
    if let Err(error) = able {
        let problem = Problem::error(Code::NoLandlock, "this system cannot confine portvakt (`landlock`)");
        let problem = problem.at(given.place).label(error.to_string());
        let problem = problem.why("portvakt does not start without a protection that it is told to have");
        check.report(problem.fix(CONFINE_FIX));
    }
    true
}

/// Reports what a process that has confined itself cannot open any more.
pub(super) fn require_granted(check: &mut Check<'_>, config: &Config) {
    let Some(granted) = check.environment.granted() else { return };
    let outside: Vec<_> = needs(config).into_iter().filter(|need| !granted.allow(need.access, &need.path)).collect();
    for need in &outside {
        let path = need.path.display().to_string();
        let places: Vec<_> = check.resolved.places(&path).cloned().collect();
        // That it could not be read follows from this.
        let is_there = |place: &Place| places.iter().any(|own| own.contains(place) && place.contains(own));
        check
            .problems
            .retain(|problem| problem.code != Code::Unreadable || !problem.place.as_ref().is_some_and(is_there));
        match places.first() {
            Some(place) => check.report(outside_of(need).at(place)),
            // What is not written lies in the state directory, which is told.
            None if outside.iter().any(|other| other != need && need.path.starts_with(&other.path)) => {}
            None => check.report(outside_of(need)),
        }
    }
}

fn outside_of(need: &Need) -> Problem {
    let what = match need.access {
        Access::Read => "read",
        Access::Run => "run",
        Access::Write => "write to",
    };
    let title = format!("this process cannot {what} {}", shown(&need.path));
    let why = format!(
        "with `landlock = true` a process gives up every folder that its configuration did not name at its start, and {} was \
         not among them; that cannot be taken back",
        shown(need.folder())
    );
    let problem = Problem::error(Code::OutsideConfinement, title).why(why);
    problem.fix("restart portvakt, which opens that folder too then, or use one that it has")
}

fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}
