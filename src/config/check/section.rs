//! Reads one table, key by key, and says what does not fit.

use std::time::Duration;

use super::Check;
use super::shape::{self, Shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, listed, quoted};
use crate::config::raw::{Entry, Node, Table, Value};
use crate::config::{duration, suggest};

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sited<'a, T> {
    pub(super) value: T,
    pub(super) place: &'a Place,
}

/// A string and where it stands.
pub(super) type Text<'a> = Sited<'a, &'a str>;

/// A table whose keys are known.
///
/// A reading function gives `None` when the key is absent or its value does not fit; in the second case it has reported
/// a problem.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    table: &'a Table,
    shape: &'static Shape,
}

impl<'a> Section<'a> {
    /// Takes a table; every key without meaning is a problem.
    pub(super) fn open(check: &mut Check<'_>, table: &'a Table, shape: &'static Shape) -> Self {
        for entry in table.entries.iter().filter(|entry| !shape.keys.contains(&entry.key.as_str())) {
            check.report(unknown_key(entry, shape));
        }
        Self { table, shape }
    }

    /// Where it begins.
    pub(super) fn place(&self) -> &'a Place {
        &self.table.place
    }

    /// Where a key stands, if it does.
    pub(super) fn key_place(&self, key: &str) -> Option<&'a Place> {
        self.table.get(key).map(|entry| &entry.key_place)
    }

    /// The value of a key, whatever it is.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.table.get(key).map(|entry| &entry.node)
    }

    pub(super) fn string(&self, check: &mut Check<'_>, key: &str) -> Option<Text<'a>> {
        let node = self.node(key)?;
        let Value::String(text) = &node.value else {
            check.report(self.wrong_type(key, node, "a string").fix(as_string(node)));
            return None;
        };
        Some(Sited { value: text, place: &node.place })
    }

    /// One string or a list of them.
    pub(super) fn strings(&self, check: &mut Check<'_>, key: &str) -> Option<Vec<Text<'a>>> {
        let node = self.node(key)?;
        match &node.value {
            Value::String(text) => Some(vec![Sited { value: text, place: &node.place }]),
            Value::List(items) => Some(items.iter().filter_map(|item| self.item(check, key, item)).collect()),
            _ => {
                check.report(self.wrong_type(key, node, "a string or a list of strings").fix(as_string(node)));
                None
            }
        }
    }

    fn item(&self, check: &mut Check<'_>, key: &str, node: &'a Node) -> Option<Text<'a>> {
        let Value::String(text) = &node.value else {
            check.report(self.wrong_type(key, node, "strings only").fix(as_string(node)));
            return None;
        };
        Some(Sited { value: text, place: &node.place })
    }

    pub(super) fn boolean(&self, check: &mut Check<'_>, key: &str) -> Option<Sited<'a, bool>> {
        let node = self.node(key)?;
        let Value::Boolean(value) = node.value else {
            check.report(self.wrong_type(key, node, "`true` or `false`").fix("write one of them, without quotes"));
            return None;
        };
        Some(Sited { value, place: &node.place })
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, check: &mut Check<'_>, key: &str, least: u32, most: u32) -> Option<u32> {
        let node = self.node(key)?;
        let Value::Integer(number) = node.value else {
            let fix = format!("write a number from {least} to {most}, without quotes");
            check.report(self.wrong_type(key, node, "a whole number").fix(fix));
            return None;
        };
        let fitting = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
        if fitting.is_none() {
            let title = format!("`{}` cannot be {}", self.name(key), quoted(node.place.text()));
            let problem = Problem::error(Code::InvalidNumber, title).at(&node.place);
            check.report(problem.label("out of range").fix(format!("choose a number from {least} to {most}")));
        }
        fitting
    }

    /// A duration longer than nothing.
    pub(super) fn duration(&self, check: &mut Check<'_>, key: &str) -> Option<Duration> {
        let duration = self.duration_or_zero(check, key)?;
        if duration.is_zero() {
            let problem = Problem::error(Code::InvalidDuration, format!("`{}` cannot be zero", self.name(key)));
            let place = &self.node(key)?.place;
            check.report(problem.at(place).fix("write a number with a unit, such as `10s`, or leave the key out"));
            return None;
        }
        Some(duration)
    }

    pub(super) fn duration_or_zero(&self, check: &mut Check<'_>, key: &str) -> Option<Duration> {
        let node = self.node(key)?;
        let text = match &node.value {
            Value::String(text) => text,
            Value::Integer(number) => {
                let problem = self.wrong_type(key, node, "a duration, which is a string");
                check.report(problem.fix(format!("write the unit: `\"{number}s\"` for seconds")));
                return None;
            }
            _ => {
                let problem = self.wrong_type(key, node, "a duration, which is a string");
                check.report(problem.fix("write it like `\"250ms\"`, `\"10s\"`, `\"5m\"` or `\"1h\"`"));
                return None;
            }
        };
        match duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let title = format!("{} is not a duration", quoted(text));
                let problem = Problem::error(Code::InvalidDuration, title).at(&node.place).why(error.to_string());
                check.report(problem.fix("write it like `250ms`, `10s`, `5m`, `1h30m` or `180d`"));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, check: &mut Check<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.string(check, key)?;
        choose(check, &self.name(key), text, words)
    }

    /// A table inside of this one.
    pub(super) fn table(&self, check: &mut Check<'_>, key: &str) -> Option<&'a Table> {
        let node = self.node(key)?;
        let Value::Table(table) = &node.value else {
            let name = self.name(key);
            let fix = format!("write `{key} = {{ .. }}`, or `[{name}]` and its keys below it");
            check.report(self.wrong_type(key, node, "a table").fix(fix));
            return None;
        };
        Some(table)
    }

    /// `[[tables]]`.
    pub(super) fn tables(&self, check: &mut Check<'_>, key: &str) -> Vec<&'a Table> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let heading = format!("`[[{}]]`", self.name(key));
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => {
                let problem = self.wrong_type(key, node, &format!("a list of tables, {heading}"));
                check.report(problem.fix(format!("write {heading} with two brackets")));
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for item in items {
            match &item.value {
                Value::Table(table) => tables.push(table),
                _ => {
                    let problem = self.wrong_type(key, item, &format!("tables, {heading}"));
                    check.report(problem.fix(format!("write {heading} and its keys below it")));
                }
            }
        }
        tables
    }

    /// A problem with a value of the wrong type.
    pub(super) fn wrong_type(&self, key: &str, node: &Node, expected: &str) -> Problem {
        Problem::error(Code::WrongType, format!("`{}` takes {expected}", self.name(key)))
            .at(&node.place)
            .label(format!("found {}", node.value))
    }

    /// Whether a key is absent, and not only misspelt.
    pub(super) fn lacks(&self, key: &str) -> bool {
        self.node(key).is_none() && !self.is_misspelt(key)
    }

    /// Whether an unknown key, which is reported as such, was meant to be this one.
    pub(super) fn is_misspelt(&self, key: &str) -> bool {
        let mut unknown = self.table.entries.iter().filter(|entry| !self.shape.keys.contains(&entry.key.as_str()));
        unknown.any(|entry| self.shape.meant(&entry.key) == Some(key))
    }

    /// A problem with a key that is not set.
    pub(super) fn missing(&self, key: &str) -> Problem {
        let title = format!("`{key}` is missing {}", self.shape.place());
        Problem::error(Code::MissingKey, title).at(self.place())
    }

    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.shape.prefix)
    }
}

/// Finds the meaning of a word, or reports that it has none.
pub(super) fn choose<T: Copy>(check: &mut Check<'_>, name: &str, text: Text<'_>, words: &[(&str, T)]) -> Option<T> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text.value) {
        return Some(*meaning);
    }
    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let title = format!("unknown value {} for {}", quoted(text.value), quoted(name));
    let problem = Problem::error(Code::UnknownValue, title)
        .at(text.place)
        .why(format!("known values are {}", listed(&known)))
        .fix(match suggest::closest(text.value, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => "choose one of them".to_owned(),
        });
    check.report(problem);
    None
}

/// How a value becomes the string that it should be.
fn as_string(node: &Node) -> String {
    match node.value {
        Value::List(_) => "write one string, without brackets".to_owned(),
        Value::Table(_) => "write a string between quotes".to_owned(),
        _ => format!("put it in quotes: `\"{}\"`", node.place.text()),
    }
}

fn unknown_key(entry: &Entry, shape: &Shape) -> Problem {
    let fix = match (shape.translated(&entry.key), shape::home_of(&entry.key), shape.meant(&entry.key)) {
        (Some(meant), _, _) => format!("here it is called `{meant}`"),
        (None, Some(home), _) => format!("`{}` belongs to {}", entry.key, home.heading),
        (None, None, Some(meant)) => format!("did you mean `{meant}`?"),
        (None, None, None) => match shape::home_of_meant(&entry.key) {
            Some((meant, home)) => format!("here it is called `{meant}` and belongs to {}", home.heading),
            None => "choose one of them, or remove it".to_owned(),
        },
    };
    Problem::error(Code::UnknownKey, format!("unknown key {} {}", quoted(&entry.key), shape.place()))
        .at(&entry.key_place)
        .why(format!("known keys are {}", listed(shape.keys)))
        .fix(fix)
}
