//! `identity` and `next`: who we are to a server that asks for a certificate.

use super::identity_files::{self, Files};
use super::section::{Section, Text};
use super::shape::{self, Shape};
use super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::quoted;
use crate::source::{ClientIdentitySettings, NextIdentity, Trial};
use crate::time::Timestamp;

/// Reads both tables of an egress or an upstream; `None` when there is no `identity` that could be used.
pub(super) fn read(check: &mut Check<'_>, section: &Section<'_>, trial: Trial) -> Option<ClientIdentitySettings> {
    let identity = table(check, section, "identity", &shape::IDENTITY).map(|(files, _)| files);
    let next = table(check, section, "next", &shape::NEXT).map(|(files, section)| {
        let from = section.string(check, "from").and_then(|text| from(check, text));
        NextIdentity { files: files.settings, from }
    });
    Some(ClientIdentitySettings { name: String::new(), files: identity?.settings, next, trial })
}

fn table<'a>(
    check: &mut Check<'_>,
    section: &Section<'a>,
    key: &str,
    shape: &'static Shape,
) -> Option<(Files<'a>, Section<'a>)> {
    let table = section.table(check, key)?;
    let section = Section::open(check, table, shape);
    Some((identity_files::read(check, &section, key), section))
}

/// A date is its first second, in UTC.
fn from(check: &mut Check<'_>, text: Text<'_>) -> Option<Timestamp> {
    let written = text.value.trim();
    let whole = if written.len() == DATE.len() { format!("{written}T00:00:00Z") } else { written.to_owned() };
    let from = whole.parse().ok();
    if from.is_none() {
        let objection = Objection::new(
            "it is the moment from which the next identity is used; a date is its first second in UTC",
            "write a date such as `\"2026-12-01\"`, or with a time: `\"2026-12-01T06:00:00+01:00\"`",
        );
        check.refuse(Code::InvalidDate, format!("{} is not a date", quoted(text.value)), text, objection);
    }
    from
}

/// As a date is written (RFC 3339 §5.6).
const DATE: &str = "YYYY-MM-DD";
