//! `answers` of a site or a route.

use super::section::{Section, Text};
use super::{Check, Objection, limits, shape};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::config::raw::Value;
use crate::route::{Answers, Origin, SameSite};

/// What a site says, for its routes, or a route in its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    locations: Option<bool>,
    cookies: Option<bool>,
    origins: Option<Vec<Origin>>,
    same_site: Option<SameSite>,
    http_only: Option<bool>,
    xml: Option<Option<u64>>,
}

/// Reads `answers`.
pub(super) fn read(check: &mut Check<'_>, parent: &Section<'_>) -> Wanted {
    let Some(table) = parent.table(check, "answers") else { return Wanted::default() };
    let section = Section::open(check, table, &shape::ANSWERS);
    let words =
        [SameSite::Strict, SameSite::Lax, SameSite::None].map(|word| (word.as_str().to_ascii_lowercase(), word));
    let words: Vec<_> = words.iter().map(|(name, word)| (name.as_str(), *word)).collect();
    let boolean = |check: &mut Check<'_>, key| section.boolean(check, key).map(|given| given.value);
    Wanted {
        locations: boolean(check, "locations"),
        cookies: boolean(check, "cookies"),
        origins: section.strings(check, "origins").map(|all| origins(check, all)),
        same_site: section.choice(check, "same_site", &words),
        http_only: boolean(check, "http_only"),
        xml: xml(check, &section),
    }
}

impl Wanted {
    /// These, and what `later` says in their place.
    pub(super) fn then(&self, later: &Self) -> Self {
        Self {
            locations: later.locations.or(self.locations),
            cookies: later.cookies.or(self.cookies),
            origins: later.origins.clone().or_else(|| self.origins.clone()),
            same_site: later.same_site.or(self.same_site),
            http_only: later.http_only.or(self.http_only),
            xml: later.xml.or(self.xml),
        }
    }

    /// With the defaults for what nobody says.
    pub(super) fn meant(&self) -> Answers {
        let default = Answers::default();
        Answers {
            locations: self.locations.unwrap_or(default.locations),
            cookies: self.cookies.unwrap_or(default.cookies),
            origins: self.origins.clone().unwrap_or(default.origins),
            same_site: self.same_site.or(default.same_site),
            http_only: self.http_only.unwrap_or(default.http_only),
            xml: self.xml.unwrap_or(default.xml),
        }
    }
}

fn origins(check: &mut Check<'_>, texts: Vec<Text<'_>>) -> Vec<Origin> {
    let mut origins = Vec::new();
    for text in texts {
        match Origin::parse(text.value) {
            Some(origin) => origins.push(origin),
            None => {
                let why = "an origin is scheme, host and port, as the server writes them before the path of a URL";
                let objection =
                    Objection::new(why, "write it like `http://intern` or `http://10.0.0.5:8080`, without a path");
                check.refuse(Code::InvalidOrigin, format!("{} is not an origin", quoted(text.value)), text, objection);
            }
        }
    }
    origins
}

/// `true`, `false`, or how long a description may be.
fn xml(check: &mut Check<'_>, section: &Section<'_>) -> Option<Option<u64>> {
    let node = section.node("xml")?;
    if let Value::Boolean(is_wanted) = node.value {
        return Some(is_wanted.then_some(LONGEST));
    }
    let size = limits::size_of(check, section, "xml")?;
    if size > MOST {
        let problem = Problem::error(Code::InvalidSize, "a description is kept in memory until all of it is there");
        check.report(problem.at(&node.place).fix("write at most `\"16MiB\"`"));
    }
    Some(Some(size))
}

/// Far more than any description of a service has.
const LONGEST: u64 = 1 << 20;
/// Several may be held at a time.
const MOST: u64 = 16 << 20;
