//! What only the network knows about a configuration: what its CAs say, put to the places where they are named.
//!
//! # Why
//!
//! Whoever asks is not of this room; here it is judged. What makes every order fail whatever happens outside is an error;
//! what may be mended outside, or pass, is a warning, since portvakt serves on all the same.

use super::code::Code;
use super::load::Loaded;
use super::problem::{Place, Problem, Problems, quoted};
use super::raw::{Table, Value};
use crate::source::acme::{Misfit, NoOffer};
use crate::source::{AcmeCas, Settings};

/// What was seen of one CA.
#[derive(Clone, Debug)]
pub struct CaView {
    /// URL of its directory.
    pub directory: String,
    /// What keeps it from issuing to us; or why it could not be asked.
    pub outcome: Result<Vec<Misfit>, NoOffer>,
    /// Names by which it goes in CAA records.
    pub issuers: Vec<String>,
    /// Names that CAA records keep it from issuing to.
    pub refused: Vec<CaaView>,
}

/// A name that a CA may not issue to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaView {
    /// As it is ordered.
    pub name: String,
    /// The name that has the records; `None` when they cannot be read for their signatures.
    pub at: Option<String>,
    /// In the words of RFC 8659, as a CA would.
    pub why: String,
}

impl Loaded {
    /// What is wrong with this configuration by what was seen of its CAs.
    pub fn judge(&self, views: &[CaView]) -> Problems {
        let mut problems = Problems::default();
        for view in views {
            match &view.outcome {
                Err(error) => problems.push(at(no_offer(view, error), self.place_of_ca(&view.directory))),
                Ok(misfits) => misfits.iter().for_each(|misfit| {
                    problems.push(at(self::misfit(view, misfit), self.place_of_ca(&view.directory)))
                }),
            }
            for refused in &view.refused {
                let place = self.place_of_name(&refused.name).or_else(|| self.place_of_ca(&view.directory));
                problems.push(at(caa(view, refused), place));
            }
        }
        problems.sort();
        problems
    }

    /// `directory` of a CA, else the heading of its table.
    fn place_of_ca(&self, directory: &str) -> Option<Place> {
        let acme = table(&self.tree().root.get("acme")?.node.value)?;
        let index = self.cas()?.iter().position(|ca| ca.directory == directory)?;
        let ca = match index.checked_sub(1) {
            None => acme,
            Some(index) => tables(acme, "next").nth(index)?,
        };
        Some(ca.get("directory").map_or_else(|| ca.place.clone(), |entry| entry.node.place.clone()))
    }

    /// Where a site says a name.
    fn place_of_name(&self, name: &str) -> Option<Place> {
        let keys = ["domain", "domains", "aliases"];
        let entries = tables(&self.tree().root, "site").flat_map(|site| keys.iter().filter_map(|key| site.get(key)));
        entries
            .flat_map(|entry| match &entry.node.value {
                Value::List(nodes) => nodes.iter().collect(),
                _ => vec![&entry.node],
            })
            .find(|node| matches!(&node.value, Value::String(text) if text.eq_ignore_ascii_case(name)))
            .map(|node| node.place.clone())
    }

    fn cas(&self) -> Option<&AcmeCas> {
        self.config.certificates.iter().find_map(|certificate| match &certificate.source {
            Settings::Acme(cas) => Some(cas),
            Settings::Internal | Settings::Files(_) => None,
        })
    }
}

fn no_offer(view: &CaView, error: &NoOffer) -> Problem {
    let directory = quoted(&view.directory);
    match error {
        NoOffer::Unreachable(why) => Problem::warning(
            Code::CaUnreachable,
            format!("the CA {directory} cannot be asked from here"),
        )
        .why(why)
        .fix("let this machine reach it over https, straight or by `proxy`; for a CA of your own set `trust_anchors`")
        .fix("where there is no network, `portvakt check --offline` does not ask"),
        NoOffer::NotAcme(why) => Problem::error(Code::NotAcme, format!("{directory} is no ACME directory"))
            .why(why)
            .fix("give the URL of the directory itself, as the CA names it; some have one for each account"),
    }
}

fn misfit(view: &CaView, misfit: &Misfit) -> Problem {
    let directory = quoted(&view.directory);
    match misfit {
        Misfit::NoExternalAccount => {
            Problem::error(Code::ExternalAccountWanted, format!("the CA {directory} wants to know you first"))
                .why("it gives accounts only to those that it knows (RFC 8555 §7.3.4), and `eab` is not set")
                .fix("get a key id and a MAC key from it, and set `eab = { kid = \"..\", key_file = \"FILE\" }`")
        }
        Misfit::NoProfile { profile, offered } => {
            let title = format!("the CA {directory} has no certificate profile {}", quoted(profile));
            let problem = Problem::error(Code::UnknownProfile, title);
            match offered[..] {
                [] => problem.why("it has none").fix("remove `profile`"),
                _ => {
                    let names: Vec<_> = offered.iter().map(|name| quoted(name)).collect();
                    problem
                        .why(format!("it has {}", names.join(", ")))
                        .fix("set `profile` to one of them, or remove it")
                }
            }
        }
    }
}

fn caa(view: &CaView, refused: &CaaView) -> Problem {
    let name = quoted(&refused.name);
    let title = format!("the CA {} would refuse {name}", quoted(&view.directory));
    let problem = Problem::warning(Code::CaaForbids, title);
    let Some(at) = &refused.at else {
        return problem.why(&refused.why).fix("repair the DNSSEC signatures of the domain: CAs check them too");
    };
    let issuers: Vec<_> = view.issuers.iter().map(|name| quoted(name)).collect();
    problem
        .why(format!("CAA records of {}: {}", quoted(at), refused.why))
        .why(format!("it goes by {} there", issuers.join(", ")))
        .fix("add a record `CAA 0 issue \"..\"` with one of its names (for a wildcard `issuewild`, where there is any)")
        .fix("or let another CA issue: `portvakt acme account show` tells the record for your account")
}

fn at(problem: Problem, place: Option<Place>) -> Problem {
    match place {
        Some(place) => problem.at(&place),
        None => problem,
    }
}

fn table(value: &Value) -> Option<&Table> {
    if let Value::Table(table) = value { Some(table) } else { None }
}

/// The tables of a list.
fn tables<'a>(root: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> + use<'a> {
    let nodes = match root.get(key).map(|entry| &entry.node.value) {
        Some(Value::List(nodes)) => nodes.as_slice(),
        _ => &[],
    };
    nodes.iter().filter_map(|node| table(&node.value))
}
