//! `identity` and `next`: who we are to a server that asks for a certificate.

mod guard;
mod next;

use super::identity_files::{self, Files};
use super::section::{Section, Text};
use super::shape::{self, Shape};
use super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::{Node, Value};
use crate::egress::Environment;
use crate::source::{ClientIdentitySettings, NextIdentity, Trial};
use crate::time::Timestamp;

/// To whom the identity is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audience<'a> {
    /// Which of BankID's environments, when it is BankID.
    pub(super) environment: Option<Environment>,
    /// Where that is written.
    pub(super) place: &'a Place,
}

/// Reads both tables of an egress or an upstream; `None` when there is no `identity` that could be used.
pub(super) fn read(
    check: &mut Check<'_>,
    section: &Section<'_>,
    audience: Audience<'_>,
    trial: Trial,
) -> Option<ClientIdentitySettings> {
    let identity = table(check, section, "identity", &shape::IDENTITY).map(|(files, _)| files);
    let next = table(check, section, "next", &shape::NEXT).map(|(files, section)| {
        let from = section.string(check, "from").and_then(|text| from(check, text));
        next::Next { files, from }
    });
    if let Some(identity) = &identity {
        guard::judge(check, identity, audience);
        guard::judge_validity(check, identity, audience, next.as_ref());
    }
    if let Some(next) = &next {
        guard::judge(check, &next.files, audience);
        next::judge(check, identity.as_ref(), next, audience);
    }
    let next = next.map(|next| NextIdentity { files: next.files.settings, from: next.from });
    Some(ClientIdentitySettings { name: String::new(), files: identity?.settings, next, trial })
}

fn table<'a>(
    check: &mut Check<'_>,
    section: &Section<'a>,
    key: &str,
    shape: &'static Shape,
) -> Option<(Files<'a>, Section<'a>)> {
    if let Some(acme) = section.node(key).and_then(public_ca) {
        refuse_public_ca(check, acme, key);
        return None;
    }
    let table = section.table(check, key)?;
    let section = Section::open(check, table, shape);
    Some((identity_files::read(check, &section, key), section))
}

/// Where a certificate of a public CA is asked for.
fn public_ca(node: &Node) -> Option<&Place> {
    match &node.value {
        Value::String(text) => (text == "acme").then_some(&node.place),
        Value::Table(table) => table.get("acme").map(|entry| &entry.key_place),
        _ => None,
    }
}

fn refuse_public_ca(check: &mut Check<'_>, place: &Place, key: &str) {
    let problem =
        Problem::error(Code::PublicCaIdentity, "such a certificate cannot authenticate to a server").at(place);
    let problem = problem.label("extended key usage is serverAuth only").why(guard::NO_PUBLIC_CA);
    let fix = format!(
        "use the certificate that the service's operator has given out, for BankID the one from your bank: \
         `{key} = {{ pkcs12 = \"rp.p12\", password_file = \"rp.pass\" }}`"
    );
    check.report(problem.fix(fix));
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
