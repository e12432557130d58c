//! The status of a running process as people read it.
//!
//! What another version does not send is left out, so that an older process can be asked by a newer program.

mod notifier;
mod verdict;

use std::fmt::Write;

use serde::Deserialize;

use self::notifier::Notifier;
use self::verdict::{Paint, Problem};
use crate::time::Timestamp;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    ok: Option<bool>,
    problems: Vec<Problem>,
    version: String,
    host: String,
    now: String,
    uptime: u64,
    config_file: Option<String>,
    last_reload: Reload,
    confined: bool,
    listeners: Vec<Listener>,
    http1_only: Vec<Http1Only>,
    certificates: Vec<Certificate>,
    served: Vec<Served>,
    client_identities: Vec<ClientIdentity>,
    client_crls: Vec<ClientCrl>,
    egress: Vec<Egress>,
    upstreams: Vec<Upstream>,
    troubles: Vec<Trouble>,
    acme: Vec<Acme>,
    notifiers: Vec<Notifier>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reload {
    ok: bool,
    at: String,
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listener {
    kind: String,
    address: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Http1Only {
    site: String,
    since: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Certificate {
    name: String,
    role: String,
    state: String,
    names: Vec<String>,
    issuer: String,
    sha256: String,
    not_after: Option<String>,
    last_attempt: Option<String>,
    consecutive_failures: u32,
    last_error: Option<String>,
    rehearsal: Option<String>,
    diagnosis: Option<Diagnosis>,
    next: Option<Next>,
}

/// What the doctor found when it could not be had.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Diagnosis {
    at: String,
    findings: Vec<DoctorFinding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DoctorFinding {
    code: String,
    what: String,
    fix: String,
}

/// What a handshake with one of its listeners shows for one name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Served {
    certificate: String,
    listener: String,
    name: String,
    at: Option<String>,
    as_published: Option<bool>,
    found: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    action: String,
    at: Option<String>,
    why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientIdentity {
    destination: String,
    in_use: Option<String>,
    why: Option<String>,
    identities: Vec<ShownIdentity>,
    last_refusal: Option<Told>,
    last_trial: Option<Told>,
    last_answer: Option<String>,
    next: Next,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ShownIdentity {
    slot: String,
    is_in_use: bool,
    file: Option<String>,
    subject: String,
    display_name: String,
    issuer: String,
    sha256: String,
    not_after: Option<String>,
    refused: Option<Told>,
    trouble: Option<String>,
}

/// Something that a destination said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    at: String,
    outcome: String,
    detail: String,
}

/// A list of revoked clients.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientCrl {
    site: String,
    file: String,
    issuer: String,
    next_update: String,
}

/// A service outside.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Egress {
    name: String,
    address: String,
    listener: String,
    last_call: Option<Call>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call {
    at: String,
    answered: bool,
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Upstream {
    name: String,
    address: String,
    healthy: bool,
    last_error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    code: String,
    about: String,
    what: String,
    fix: String,
    count: u64,
    last_seen: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Acme {
    directory: String,
    account: Option<String>,
    clock_ahead: Option<i64>,
}

impl Status {
    pub(super) fn to_text(&self, is_colored: bool) -> String {
        let paint = Paint(is_colored);
        let mut out = String::new();
        // Writing to a text does not fail.
        let _ = self.write(&mut out, paint);
        out
    }

    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        verdict::write(out, self.ok, &self.problems, paint)?;
        let on = if self.host.is_empty() { String::new() } else { format!(" on {}", self.host) };
        writeln!(out, "portvakt {}{on}, up {}", self.version, duration(self.uptime))?;
        let file = self.config_file.as_deref().unwrap_or("none: everything came from the command line");
        writeln!(out, "configuration  {file}")?;
        match self.last_reload.ok {
            true => writeln!(out, "loaded         {}, {}", self.last_reload.at, paint.good("good"))?,
            false => {
                writeln!(
                    out,
                    "last reload    {}, {}; the one before serves",
                    self.last_reload.at,
                    paint.bad("failed")
                )?;
                indented(out, self.last_reload.error.as_deref().unwrap_or_default())?;
            }
        }
        if self.confined {
            writeln!(out, "confined       to the files that its configuration needs (Landlock)")?;
        }
        for listener in &self.listeners {
            writeln!(out, "listening      {} on {}", listener.kind, listener.address)?;
        }
        self.http1_only.iter().try_for_each(|site| site.write(out, &self.now))?;
        for certificate in &self.certificates {
            certificate.write(out, paint, &self.now)?;
            let served = self.served.iter().filter(|served| served.certificate == certificate.name);
            served
                .filter(|_| certificate.role == "listener")
                .try_for_each(|served| served.write(out, paint, &self.now))?;
        }
        self.client_identities.iter().try_for_each(|identity| identity.write(out, paint, &self.now))?;
        self.client_crls.iter().try_for_each(|list| list.write(out, &self.now))?;
        self.egress.iter().try_for_each(|egress| egress.write(out, paint, &self.now))?;
        self.upstreams.iter().try_for_each(|upstream| upstream.write(out, paint))?;
        self.troubles.iter().try_for_each(|trouble| trouble.write(out, paint))?;
        self.notifiers.iter().try_for_each(|notifier| notifier.write(out, paint, &self.now))?;
        self.acme.iter().try_for_each(|acme| acme.write(out))
    }
}

impl Http1Only {
    fn write(&self, out: &mut String, now: &str) -> std::fmt::Result {
        let why = match &self.since {
            Some(at) => format!("its server asks for NTLM or Negotiate, first seen {}", dated(at, now)),
            None => "by `affinity = \"connection\"`".to_owned(),
        };
        writeln!(out, "HTTP/1.1 only  {}: {why}", self.site)
    }
}

impl Certificate {
    fn write(&self, out: &mut String, paint: Paint, now: &str) -> std::fmt::Result {
        let state = match self.state.as_str() {
            "issued" | "static" => paint.good(&self.state),
            _ => paint.bad(&self.state),
        };
        writeln!(out, "\ncertificate {} ({}): {state}", self.name, self.role)?;
        if !self.names.is_empty() {
            writeln!(out, "  names        {}", self.names.join(", "))?;
        }
        if !self.sha256.is_empty() {
            writeln!(out, "  issuer       {}\n  sha256       {}", self.issuer, self.sha256)?;
        }
        if let Some(end) = &self.not_after {
            writeln!(out, "  valid until  {}", dated(end, now))?;
        }
        if let Some(next) = &self.next {
            let at = next.at.as_deref().map(|at| format!(" {}", dated(at, now))).unwrap_or_default();
            writeln!(out, "  next         {}{at}, because {}", next.action, next.why)?;
        }
        if let Some(error) = &self.last_error {
            let at = self.last_attempt.as_deref().map_or_else(|| "unknown".to_owned(), |at| dated(at, now));
            writeln!(out, "  last try     {at}, {} failed in a row", self.consecutive_failures)?;
            writeln!(out, "  last error   {}", paint.bad(error))?;
        }
        if let Some(rehearsal) = &self.rehearsal {
            writeln!(out, "  rehearsal    {rehearsal}")?;
        }
        if let Some(Diagnosis { at, findings }) = &self.diagnosis {
            let found = if findings.is_empty() { ", and finds nothing wrong from here" } else { "" };
            writeln!(out, "  doctor       looked {}{found}", dated(at, now))?;
            for DoctorFinding { code, what, fix } in findings {
                writeln!(out, "    {code}     {what}; {fix}")?;
            }
        }
        Ok(())
    }
}

impl Served {
    fn write(&self, out: &mut String, paint: Paint, now: &str) -> std::fmt::Result {
        let found = match self.as_published {
            Some(true) => paint.good(&self.found),
            Some(false) | None => paint.bad(&self.found),
        };
        let at = self.at.as_deref().map(|at| format!(", {}", dated(at, now))).unwrap_or_default();
        writeln!(out, "  clients get  {} on {}: {found}{at}", self.name, self.listener)
    }
}

impl ClientIdentity {
    fn write(&self, out: &mut String, paint: Paint, now: &str) -> std::fmt::Result {
        let state = match &self.in_use {
            Some(slot) => paint.good(&format!("`{slot}` is in use")),
            None => paint.bad("nothing to show"),
        };
        let why = self.why.as_deref().map(|why| format!(", because {why}")).unwrap_or_default();
        writeln!(out, "\nclient identity for {}: {state}{why}", self.destination)?;
        self.identities.iter().try_for_each(|shown| shown.write(out, paint, now))?;
        if let Some(told) = &self.last_refusal {
            writeln!(out, "  last refusal {}: {}", dated(&told.at, now), told.detail)?;
        }
        if let Some(told) = &self.last_trial {
            writeln!(out, "  last trial   {}: {}, {}", dated(&told.at, now), told.outcome, told.detail)?;
        }
        let answer = self.last_answer.as_deref().map_or_else(|| "none yet".to_owned(), |at| dated(at, now));
        writeln!(out, "  last answer  {answer}")?;
        let by = self.next.at.as_deref().map(|at| format!(" by {}", dated(at, now))).unwrap_or_default();
        writeln!(out, "  next         {}{by}", self.next.action)
    }
}

impl ShownIdentity {
    fn write(&self, out: &mut String, paint: Paint, now: &str) -> std::fmt::Result {
        let mark = if self.is_in_use { paint.good("in use") } else { "waiting".to_owned() };
        let file = self.file.as_deref().map(|file| format!(", {file}")).unwrap_or_default();
        writeln!(out, "  {:<12} {mark}{file}", self.slot)?;
        if let Some(end) = &self.not_after {
            writeln!(
                out,
                "    subject    CN={}, shown as {:?}, issued by {}",
                self.subject, self.display_name, self.issuer
            )?;
            writeln!(out, "    sha256     {}\n    until      {}", self.sha256, dated(end, now))?;
        }
        if let Some(told) = &self.refused {
            writeln!(out, "    refused    {}", paint.bad(&format!("{}: {}", dated(&told.at, now), told.detail)))?;
        }
        match &self.trouble {
            Some(trouble) => writeln!(out, "    trouble    {}", paint.bad(trouble)),
            None => Ok(()),
        }
    }
}

impl ClientCrl {
    fn write(&self, out: &mut String, now: &str) -> std::fmt::Result {
        let Self { site, file, issuer, next_update } = self;
        writeln!(out, "\nlist of revoked clients {file} of {site}\n  issuer       {issuer}")?;
        writeln!(out, "  next due     {}", dated(next_update, now))
    }
}

impl Egress {
    fn write(&self, out: &mut String, paint: Paint, now: &str) -> std::fmt::Result {
        let Self { name, address, listener, last_call } = self;
        let state = match last_call {
            None => "not called yet".to_owned(),
            Some(call) if call.answered => paint.good("answers"),
            Some(_) => paint.bad("no answer"),
        };
        writeln!(out, "\negress {name}: {state}\n  address      {address}, called on {listener}")?;
        let Some(call) = last_call else { return Ok(()) };
        writeln!(out, "  last call    {}", dated(&call.at, now))?;
        call.error.iter().try_for_each(|error| writeln!(out, "  last error   {error}"))
    }
}

impl Acme {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let account = self.account.as_deref().unwrap_or("none yet");
        writeln!(out, "\nacme {}\n  account      {account}", self.directory)?;
        match self.clock_ahead {
            Some(seconds @ 1..) => writeln!(out, "  clock        {seconds} s ahead of ours"),
            Some(seconds @ ..0) => writeln!(out, "  clock        {} s behind ours", seconds.unsigned_abs()),
            Some(0) | None => Ok(()),
        }
    }
}

impl Upstream {
    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let state = if self.healthy { paint.good("healthy") } else { paint.bad("unreachable") };
        writeln!(out, "\nupstream {}: {state}\n  address      {}", self.name, self.address)?;
        match &self.last_error {
            Some(error) => writeln!(out, "  last error   {error}"),
            None => Ok(()),
        }
    }
}

impl Trouble {
    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let Self { code, about, what, fix, count, last_seen } = self;
        writeln!(out, "\nto be mended: {about}: {}\n  why          {what}\n  fix          {fix}", paint.bad(code))?;
        writeln!(out, "  seen         {count} times, last {last_seen}")
    }
}

fn indented(out: &mut String, text: &str) -> std::fmt::Result {
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}

/// A time and how far it lies from `now`, both in RFC 3339; the time alone where one of them is none.
fn dated(time: &str, now: &str) -> String {
    match (time.parse(), now.parse()) {
        (Ok(at), Ok(now)) => format!("{time} ({})", distance(at, now)),
        _ => time.to_owned(),
    }
}

/// Such as `in 62 days` or `3 hours ago`: in the largest unit of which there are two.
pub(super) fn distance(time: Timestamp, now: Timestamp) -> String {
    let seconds = time.as_unix().saturating_sub(now.as_unix());
    let units = [("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)];
    let length = seconds.unsigned_abs();
    match units.into_iter().find(|(_, size)| length / size >= 2) {
        Some((unit, size)) if seconds > 0 => format!("in {} {unit}", length / size),
        Some((unit, size)) => format!("{} {unit} ago", length / size),
        None => "now".to_owned(),
    }
}

/// Such as `3d 4h`: the two largest units.
fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, length) in units {
        if rest >= length || (unit == "s" && parts.is_empty()) {
            parts.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_time_when_written_then_its_two_largest_units() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3600, "1h"), (273_600, "3d 4h")] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn given_a_date_when_written_then_how_far_it_is_too() {
        let now = "2026-11-22T12:00:00Z";
        for (time, text) in [
            ("2027-01-23T12:00:01Z", "2027-01-23T12:00:01Z (in 62 days)"),
            ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z (in 24 hours)"),
            ("2026-11-22T11:55:00Z", "2026-11-22T11:55:00Z (5 minutes ago)"),
            ("2026-11-22T12:00:01Z", "2026-11-22T12:00:01Z (now)"),
            ("soon", "soon"),
        ] {
            assert_eq!(dated(time, now), text);
        }
        assert_eq!(dated(now, ""), now);
    }

    #[test]
    fn given_failed_attempts_when_written_then_when_how_often_and_how_to_mend_it() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "now": "2026-11-22T12:00:00Z",
            "certificates": [{ "name": "a", "state": "expiring", "last_attempt": "2026-11-22T09:00:00Z",
                "consecutive_failures": 3, "last_error": "no address; let its name lead here" }],
        }))
        .unwrap();
        let text = status.to_text(false);
        assert!(text.contains("last try     2026-11-22T09:00:00Z (3 hours ago), 3 failed in a row"), "{text}");
        assert!(text.contains("last error   no address; let its name lead here"), "{text}");
    }

    #[test]
    fn given_a_status_when_written_then_why_the_next_step_comes_and_colour_only_where_wanted() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "version": "9.9", "last_reload": { "ok": false, "at": "then", "error": "error[PV0102]: x" },
            "certificates": [{ "name": "a", "role": "listener", "state": "placeholder", "names": ["a.test"],
                "next": { "action": "issue", "at": null, "why": "there is none yet" }, "new": true }],
            "served": [{ "certificate": "a", "listener": "https :443", "name": "a.test", "found": "nothing", "at": "then" }],
        }))
        .unwrap();
        let plain = status.to_text(false);
        assert!(plain.contains("issue, because there is none yet") && plain.contains("  error[PV0102]: x"), "{plain}");
        assert!(plain.contains("  clients get  a.test on https :443: nothing, "), "{plain}");
        assert!(!plain.contains('\u{1b}') && status.to_text(true).contains("\u{1b}[31mplaceholder"));
    }
}
