//! TOML as written: a tree of values, each with its place. The only file that knows the `toml` crate.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue, Error};
use toml::{Spanned, Value as TomlValue};

use super::code::Code;
use super::environment::Environment;
use super::foreign;
use super::problem::{Place, Problem, Problems, Source, quoted};
use super::variable;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What can stand after `=`.
#[derive(Clone, Debug)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Boolean(bool),
    /// Nothing in a configuration is a fraction.
    Float,
    /// Nothing in a configuration is a date.
    Date,
    List(Vec<Node>),
    Table(Table),
}

/// Keys and values between braces or under a heading.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its heading or braces.
    pub(super) place: Place,
    pub(super) entries: Vec<Entry>,
}

/// `key = value`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl fmt::Display for Value {
    /// What was found, for a message about what was expected.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "the string {}", quoted(text)),
            Self::Integer(number) => write!(f, "the number `{number}`"),
            Self::Boolean(value) => write!(f, "`{value}`"),
            Self::Float => f.write_str("a fraction"),
            Self::Date => f.write_str("a date"),
            Self::List(_) => f.write_str("a list"),
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

/// Reads a text, with the first syntax error of each line, and puts environment variables in.
pub(super) fn parse(source: &Arc<Source>, environment: &dyn Environment) -> (Table, Problems) {
    if let Some(problem) = foreign::recognise(source) {
        let mut problems = Problems::default();
        problems.push(problem);
        return (Table { place: Place::new(source, 0..0), entries: Vec::new() }, problems);
    }
    let mut text = source.text.clone();
    let mut errors = blank_dead_ends(&mut text);
    let (table, others) = DeTable::parse_recoverable(&text);
    errors.extend(others);
    let mut reader = Reader { source, environment, problems: Problems::default() };
    reader.report(&errors);
    let place = reader.place(0..0);
    let table = reader.table(place, table.get_ref());
    (table, reader.problems)
}

/// At a key without value the parser gives up. Such lines are overwritten with spaces, so that what follows them is
/// read; their errors are returned.
fn blank_dead_ends(text: &mut String) -> Vec<Error> {
    let mut errors = Vec::new();
    for _ in 0..MOST_DEAD_ENDS {
        let (_, found) = DeTable::parse_recoverable(text);
        let Some(at) = found.iter().find(|error| is_dead_end(error)).and_then(Error::span) else { break };
        let line = line_around(text, at.start);
        let is_on_line =
            |error: &Error| error.span().is_some_and(|span| line.start <= span.start && span.start <= line.end);
        errors.extend(found.into_iter().filter(is_on_line));
        let blank = " ".repeat(line.len());
        text.replace_range(line, &blank);
    }
    errors
}

fn is_dead_end(error: &Error) -> bool {
    error.message().starts_with("key with no value")
}

/// The line that an offset lies on, without its line break.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |before| before + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    start..end
}

/// A string as it is written, variables as they are named.
pub(super) fn unexpanded(place: &Place) -> String {
    let text = format!("v = {}", place.text());
    let (table, _) = DeTable::parse_recoverable(&text);
    match table.get_ref().get("v").map(Spanned::get_ref) {
        Some(DeValue::String(text)) => text.to_string(),
        _ => String::new(),
    }
}

/// A text as a TOML string, quotes included.
pub(super) fn string_literal(text: &str) -> String {
    TomlValue::String(text.to_owned()).to_string()
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    environment: &'a dyn Environment,
    problems: Problems,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, span)
    }

    /// One error a line: the others mostly follow from it.
    fn report(&mut self, errors: &[Error]) {
        let mut found: Vec<_> = errors.iter().map(|error| self.syntax_problem(error)).collect();
        found.sort_by_key(|problem| problem.place.as_ref().map(|place| place.span().start));
        found.dedup_by_key(|problem| problem.place.as_ref().map(Place::line));
        found.into_iter().for_each(|problem| self.problems.push(problem));
    }

    fn table(&mut self, place: Place, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> =
            table.iter().map(|(key, value)| self.entry(key.get_ref(), key.span(), value)).collect();
        entries.sort_by_key(|entry| entry.key_place.span().start);
        Table { place, entries }
    }

    fn entry(&mut self, key: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) -> Entry {
        Entry { key: key.to_owned(), key_place: self.place(span), node: self.node(value) }
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(self.expanded(text, &place)),
            DeValue::Integer(number) => Value::Integer(saturated(number.as_str(), number.radix())),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Float(_) => Value::Float,
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(list) => Value::List(list.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(place.clone(), table)),
        };
        Node { place, value }
    }

    fn expanded(&mut self, text: &str, place: &Place) -> String {
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            self.problems.push(control_character(c, place));
        }
        let (text, problems) = variable::expand(text, place, self.environment);
        self.problems.extend(problems);
        text
    }

    fn syntax_problem(&self, error: &Error) -> Problem {
        let place = self.place(self.shown_span(error.span().unwrap_or_default()));
        let (what, expected) = match error.message().split_once(", expected ") {
            Some((what, expected)) => (what, Some(expected)),
            None => (error.message(), None),
        };
        if what == "duplicate key" {
            return duplicate(&place);
        }
        let problem = Problem::error(Code::Syntax, format!("syntax error: {what}")).at(&place);
        match (remedy(what, place.text(), place.line_text()), expected) {
            (Some(fix), _) => problem.fix(fix),
            (None, Some(expected)) => problem.fix(format!("write {expected} here")),
            (None, None) => problem,
        }
    }

    /// An error at the end of a line is shown under its last character.
    fn shown_span(&self, span: Range<usize>) -> Range<usize> {
        let text = self.source.text.as_str();
        let end = text.trim_end().len();
        if span.start > end { end..end } else { span }
    }
}

/// A number of more than 64 bits is out of every range, and stays so.
fn saturated(digits: &str, radix: u32) -> i64 {
    i64::from_str_radix(digits, radix).unwrap_or(i64::MAX)
}

fn duplicate(place: &Place) -> Problem {
    Problem::error(Code::DuplicateKey, format!("{} is set twice", quoted(place.text())))
        .at(place)
        .label("for the second time")
        .why("a key and a `[table]` may stand once; only `[[tables]]` with two brackets may be repeated")
        .fix("keep one of them; for a further site write `[[site]]`")
}

fn control_character(c: char, place: &Place) -> Problem {
    let title = format!("a text holds the control character `{}`", c.escape_default());
    let why = "in \"double quotes\" `\\n` is a line break and `\\t` a tab, also in a Windows path";
    let fix = "write the text in 'single quotes', double each backslash, or take the character out";
    Problem::error(Code::ControlCharacter, title).at(place).why(why).fix(fix)
}

/// What helps against the syntax errors that are made most.
fn remedy(what: &str, found: &str, line: &str) -> Option<String> {
    if what.starts_with("unexpected key or value") && line.ends_with([',', ';']) {
        return Some("remove what stands at the end of the line: TOML ends one without comma or semicolon".to_owned());
    }
    if what.starts_with("string values must be quoted") && found.is_empty() {
        return Some("write a value after `=`".to_owned());
    }
    if what.starts_with("string values must be quoted") {
        return Some(format!(
            "put it in quotes: {}",
            string_literal(found.trim_matches(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']))
        ));
    }
    if what.contains("unicode value digits") || what.contains("escaped value") {
        return Some(
            "in \"double quotes\" a backslash must be doubled; in 'single quotes' it stands for itself".to_owned(),
        );
    }
    if line.contains(':') && (what.starts_with("key with no value") || what.starts_with("invalid unquoted key")) {
        return Some("TOML writes `key = value`, not `key: value`".to_owned());
    }
    None
}

/// A text with more lines that are no `key = value` is no configuration.
const MOST_DEAD_ENDS: usize = 50;
