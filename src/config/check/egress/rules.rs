//! `rules`, and how they are kept.

use super::super::section::{Section, Text};
use super::super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::egress::Service;
use crate::egress::bankid::{ClosedVersion, Pace, Settings, UserMessage};

/// Reads `rules`, `pace`, `user_message` and `closed_versions`; the service of a preset says what holds by default.
pub(super) fn read(check: &mut Check<'_>, section: &Section<'_>, service: Option<&Service>) -> Option<Settings> {
    let default = service.is_some_and(|service| service.has_rules);
    let is_bankid = section.choice(check, "rules", &[("bankid", true), ("none", false)]).unwrap_or(default);
    let paces = [("hold", Pace::Hold), ("reject", Pace::Reject)];
    let messages = [("off", UserMessage::Off), ("header", UserMessage::Header), ("field", UserMessage::Field)];
    let pace = section.choice(check, "pace", &paces).unwrap_or_default();
    let user_message = section.choice(check, "user_message", &messages).unwrap_or_default();
    let closed = closed(check, section).unwrap_or_else(ClosedVersion::published);
    // Where `rules` itself could not be read, or a preset, nothing follows from it.
    if !is_bankid
        && section.node("rules").is_none_or(|node| node.place.text().contains("none"))
        && section.lacks("preset")
    {
        refuse_without_rules(check, section);
    }
    is_bankid.then_some(Settings { pace, user_message, closed })
}

fn refuse_without_rules(check: &mut Check<'_>, section: &Section<'_>) {
    for key in ["pace", "user_message", "closed_versions"] {
        let Some(place) = section.key_place(key) else { continue };
        let title = format!("`{key}` has no effect without BankID's rules");
        let problem = Problem::error(Code::Conflict, title).at(place);
        let problem = problem.why("requests are judged, and answers looked at, by `rules = \"bankid\"` only");
        check.report(problem.fix("add `rules = \"bankid\"`, or a preset of BankID; or remove the key"));
    }
}

fn closed(check: &mut Check<'_>, section: &Section<'_>) -> Option<Vec<ClosedVersion>> {
    let texts = section.strings(check, "closed_versions")?;
    Some(texts.into_iter().filter_map(|text| version(check, text)).collect())
}

fn version(check: &mut Check<'_>, text: Text<'_>) -> Option<ClosedVersion> {
    let version = text.value.parse().ok();
    if version.is_none() {
        let title = format!("{} is not a version of BankID's API", quoted(text.value));
        let why = "a version stands in the path of each call, such as `/rp/v5.1/auth`";
        let objection = Objection::new(why, "write it like `v5.1`; `[]` when every version may be called");
        check.refuse(Code::InvalidClosedVersion, title, text, objection);
    }
    version
}
