//! What a message says: a title, a text and JSON, in the notifier's language. Pure.

use rand::RngExt;
use serde_json::{Value, json};

use super::event::{Event, Kind, Severity};
use super::ledger::{Digest, Repeated};
use super::look::{Need, Report};
use super::settings::Settings;
use super::words;
use crate::language::Lang;
use crate::time::Timestamp;

/// A message that is ready to be sent. Everything in it is free of control characters but for the line ends of `text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name: the same in each try.
    pub id: String,
    /// In one line what it is about, and from which machine.
    pub title: String,
    /// The whole of it, several lines.
    pub text: String,
    /// The same for programs.
    pub json: Value,
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) severity: Severity,
}

impl Message {
    /// One that an operator has asked for.
    pub fn test(settings: &Settings, host: &str, now: Timestamp) -> Self {
        let digest = Digest { id: new_id(), events: vec![Event::new(Kind::Test, "", now)], ..Digest::default() };
        Self::new(&digest, settings, host, now)
    }

    /// Puts a digest into words; `host` is the machine that we run on.
    pub(super) fn new(digest: &Digest, settings: &Settings, host: &str, now: Timestamp) -> Self {
        let language = settings.language;
        let told: Vec<_> = digest.events.iter().map(|event| Told::of(event, language)).collect();
        // The gravest is named first, and of equals the oldest.
        let head = digest.events.iter().zip(&told).rev().max_by_key(|(event, _)| event.severity());
        let first = head.map_or_else(|| words::ABOUT_MESSAGES.to(language).to_owned(), |(_, told)| told.title.clone());
        let count = told.len().to_string();
        let what = match told.len() {
            0 | 1 => first,
            _ => words::SEVERAL.fill(language, &[("count", &count), ("first", &first)]),
        };
        let title = line(&format!("[portvakt {host}] {what}"), LONGEST_TITLE);
        let notes = notes(digest, language);
        let parts = told.iter().map(|told| format!("{}\n{}", told.title, told.text).trim_end().to_owned());
        let text = parts.chain(notes).collect::<Vec<_>>().join("\n\n");
        let events: Vec<_> = digest.events.iter().zip(&told).map(|(event, told)| told.json(event)).collect();
        let severity = head.map_or(Severity::Info, |(event, _)| event.severity());
        let json = json!({
            "version": SCHEMA_VERSION,
            "id": digest.id,
            "sent": now.to_string(),
            "notifier": settings.name,
            "host": line(host, LONGEST_NAME),
            "portvakt": env!("CARGO_PKG_VERSION"),
            "language": language.tag(),
            "severity": severity.as_str(),
            "title": title,
            "text": format!("{title}\n\n{text}"),
            "events": events,
            "repeated": digest.repeated.iter().map(repeated_json).collect::<Vec<_>>(),
            "lost": digest.lost,
            "unsure": digest.unsure,
        });
        let kind = head.map_or(Kind::Test, |(event, _)| event.kind);
        let subject = head.map_or_else(String::new, |(event, _)| line(&event.subject, LONGEST_NAME));
        Self { id: digest.id.clone(), title, text, json, at: now, kind, subject, severity }
    }
}

/// A name that no other message has.
pub(super) fn new_id() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// An event in words.
struct Told {
    title: String,
    text: String,
}

impl Told {
    fn of(event: &Event, language: Lang) -> Self {
        let needs = event.report.as_ref().map_or(0, |report| report.needs.len());
        let facts = Facts::of(event, language, needs);
        let title = words::title(event.kind, end(event), needs).fill(language, &facts.pairs());
        let text = sentences(event, language, &facts).join("\n");
        Self { title: line(&title, LONGEST_TITLE), text: block(&text) }
    }

    fn json(&self, event: &Event) -> Value {
        let mut json = json!({
            "event": event.kind.as_str(),
            "severity": event.severity().as_str(),
            "subject": line(&event.subject, LONGEST_NAME),
            "at": event.at.to_string(),
            "title": self.title,
            "text": self.text,
        });
        let optional = [
            ("role", event.role.map(|role| json!(role.as_str()))),
            ("not_after", event.not_after.map(|at| json!(at.to_string()))),
            ("days_left", event.days_left.map(|days| json!(days))),
            ("failures", event.failures.map(|failures| json!(failures))),
            ("detail", event.detail.as_ref().map(|detail| json!(block(detail)))),
            ("fix", event.fix.as_ref().map(|fix| json!(block(fix)))),
            ("next_attempt", event.next_attempt.map(|at| json!(at.to_string()))),
            ("issuer", event.issuer.as_ref().map(|issuer| json!(line(issuer, LONGEST_NAME)))),
            ("report", event.report.as_ref().map(report_json)),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                json[key] = value;
            }
        }
        json
    }
}

/// What the words of an event have places for.
struct Facts {
    values: Vec<(&'static str, String)>,
}

impl Facts {
    fn of(event: &Event, language: Lang, needs: usize) -> Self {
        let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let number = |number: Option<u32>| number.unwrap_or_default().to_string();
        let short = |text: &Option<String>| text.clone().unwrap_or_default();
        let values = vec![
            ("subject", line(&event.subject, LONGEST_NAME)),
            ("what", event.role.map(|role| words::what(role).to(language)).unwrap_or_default().to_owned()),
            ("days", number(event.days_left)),
            ("failures", number(event.failures)),
            ("until", at(event.not_after)),
            ("next", at(event.next_attempt)),
            ("issuer", line(&short(&event.issuer), LONGEST_NAME)),
            ("detail", short(&event.detail)),
            ("fix", short(&event.fix)),
            ("needs", needs.to_string()),
        ];
        Self { values }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

fn end(event: &Event) -> words::End {
    match event.days_left {
        _ if event.not_after.is_some_and(|end| event.at > end) => words::End::Over,
        Some(..2) => words::End::Soon,
        Some(2..) | None => words::End::Days,
    }
}

/// What is said below the title.
fn sentences(event: &Event, language: Lang, facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |say: words::Say| said.push(say.fill(language, &facts.pairs()));
    match event.kind {
        Kind::Renewed => say(words::ISSUED_BY),
        Kind::Test => say(words::TESTED),
        Kind::RolledBack => say(words::OLD_SERVES_ON),
        Kind::ReloadRefused => say(words::SERVES_ON),
        Kind::PinChanged => say(words::REFUSED),
        Kind::UpstreamChanged => say(words::STILL_BELIEVED),
        Kind::Failing | Kind::Expiring if event.is_down => say(words::DOWN),
        Kind::Failing | Kind::Expiring | Kind::Heartbeat => {}
    }
    if event.kind != Kind::Renewed && event.not_after.is_some() {
        say(words::UNTIL);
    }
    if let (Kind::Expiring, Some(role)) = (event.kind, event.role) {
        say(words::advice(role));
    }
    let optional = [
        (event.detail.is_some(), if event.kind == Kind::UpstreamChanged { words::SHOWN } else { words::WHY }),
        (event.fix.is_some(), words::FIX),
        (event.next_attempt.is_some(), words::NEXT),
    ];
    optional.into_iter().filter(|(is_known, _)| *is_known).for_each(|(_, sentence)| say(sentence));
    said.extend(event.report.iter().flat_map(|report| report_lines(report, language)));
    said
}

fn report_lines(report: &Report, language: Lang) -> Vec<String> {
    let (valid, all) = (report.valid.to_string(), report.certificates.to_string());
    let mut lines = vec![words::STANDING.fill(language, &[("valid", &valid), ("all", &all)])];
    if let Some(first) = &report.first_to_end {
        let (days, until) = (first.days_left.to_string(), first.not_after.to_string());
        let what = words::what(first.role).to(language);
        let facts = [("what", what), ("name", &*first.name), ("days", &days), ("until", &until)];
        lines.push(words::FIRST_END.fill(language, &facts));
    }
    lines.extend(report.needs.iter().map(|need| format!("- {}", need_line(need, language))));
    lines
}

fn need_line(need: &Need, language: Lang) -> String {
    let about = if need.about.is_empty() { String::new() } else { format!("{}: ", need.about) };
    format!("{about}{}. {}.", need.what, words::FIX.fill(language, &[("fix", &need.fix)]))
}

fn report_json(report: &Report) -> Value {
    let ending = |ending: &super::look::Ending| {
        json!({
            "name": line(&ending.name, LONGEST_NAME),
            "role": ending.role.as_str(),
            "not_after": ending.not_after.to_string(),
            "days_left": ending.days_left,
        })
    };
    let need = |need: &Need| {
        json!({
            "matter": need.matter,
            "level": if need.is_broken { "broken" } else { "mend" },
            "about": line(&need.about, LONGEST_NAME),
            "what": line(&need.what, LONGEST_LINE),
            "fix": line(&need.fix, LONGEST_LINE),
        })
    };
    json!({
        "certificates": report.certificates,
        "valid": report.valid,
        "first_to_end": report.first_to_end.as_ref().map(ending),
        "needs": report.needs.iter().map(need).collect::<Vec<_>>(),
    })
}

/// What is to be said about messages that were not sent.
fn notes(digest: &Digest, language: Lang) -> Vec<String> {
    let again = |repeated: &Repeated| {
        let what = line(&format!("{} {}", repeated.kind.as_str(), repeated.subject), LONGEST_NAME);
        words::REPEATED.fill(language, &[("what", &what), ("times", &repeated.times.to_string())])
    };
    let mut notes: Vec<_> = digest.repeated.iter().take(MOST_LINES).map(again).collect();
    let counted = [(digest.lost, words::LOST), (digest.unsure, words::UNSURE)];
    let told = counted.into_iter().filter(|(count, _)| *count > 0);
    notes.extend(told.map(|(count, say)| say.fill(language, &[("count", &count.to_string())])));
    notes
}

fn repeated_json(repeated: &Repeated) -> Value {
    json!({
        "event": repeated.kind.as_str(),
        "subject": line(&repeated.subject, LONGEST_NAME),
        "times": repeated.times,
    })
}

/// One line of so many characters at most, whatever others have written into it.
pub(super) fn line(text: &str, most: usize) -> String {
    let plain: String = text.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect();
    let plain = plain.trim();
    match plain.char_indices().nth(most) {
        Some((at, _)) => format!("{}..", &plain[..at]),
        None => plain.to_owned(),
    }
}

/// A few lines, whatever others have written into them.
fn block(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(MOST_LINES);
    lines.map(line_kept).collect::<Vec<_>>().join("\n")
}

/// As [`line`], with the spaces that it begins with.
fn line_kept(text: &str) -> String {
    let begin = text.len() - text.trim_start_matches(' ').len();
    format!("{}{}", &text[..begin.min(MOST_INDENT)], line(text, LONGEST_LINE))
}

/// Control characters, and those that break or turn lines round.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Of the JSON; a later one adds keys, another number means that some mean something else.
const SCHEMA_VERSION: u32 = 1;
/// Characters.
const LONGEST_TITLE: usize = 200;
const LONGEST_NAME: usize = 120;
const LONGEST_LINE: usize = 600;
const MOST_LINES: usize = 40;
const MOST_INDENT: usize = 8;
