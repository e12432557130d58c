//! The status and the judgement on it, as programs get them.

use serde::{Serialize, Serializer};

use super::Status;
use super::problem::{Level, Problem, is_well, judge};
use super::words::{Lang, tell};

/// `/status.json`, and the answer to `portvakt status`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Nobody has to do anything, and connections are accepted.
    ok: bool,
    /// What is wrong, the worst first.
    #[serde(serialize_with = "problems")]
    problems: Vec<Problem>,
    #[serde(flatten)]
    status: Status,
}

impl Report {
    /// Judges a status.
    pub fn of(status: Status) -> Self {
        let problems = judge(&status);
        Self { ok: is_well(&status, &problems), problems, status }
    }
}

/// Something that somebody has to do, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is, as in JSON.
    pub matter: &'static str,
    /// Somebody is turned away now.
    pub is_broken: bool,
    /// The certificate, upstream or destination; empty where it is the whole process.
    pub about: String,
    /// What is wrong; without its full stop.
    pub what: String,
    /// What to do; without its full stop.
    pub fix: String,
}

/// Everything that somebody has to do, the worst first.
pub fn needs(status: &Status, lang: Lang) -> Vec<Need> {
    let of = |problem: Problem| {
        let (told, is_broken) = (tell(&problem, lang), problem.level == Level::Broken);
        Need { matter: problem.matter.as_str(), is_broken, about: problem.about, what: told.title, fix: told.fix }
    };
    judge(status).into_iter().filter(|problem| problem.level != Level::Wait).map(of).collect()
}

/// A problem for programs. Its words are English and may change; its level and its matter do not.
#[derive(Serialize)]
struct Shown<'a> {
    level: &'static str,
    matter: &'static str,
    about: &'a str,
    what: String,
    why: Option<String>,
    fix: String,
    detail: Option<&'a str>,
    remedy: Option<&'a str>,
    code: Option<&'a str>,
}

fn problems<S: Serializer>(problems: &[Problem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(|problem| {
        let told = tell(problem, Lang::En);
        Shown {
            level: problem.level.as_str(),
            matter: problem.matter.as_str(),
            about: &problem.about,
            what: told.title,
            why: told.why,
            fix: told.fix,
            detail: problem.detail.as_deref(),
            remedy: problem.remedy.as_deref(),
            code: problem.code.as_deref(),
        }
    }))
}

/// The JSON Schema (2020-12) of a [`Report`].
pub const SCHEMA: &str = include_str!("status.schema.json");
