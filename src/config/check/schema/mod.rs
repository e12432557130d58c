//! The configuration's JSON schema (draft 2020-12), for editors and for checks before a file reaches a machine.
//!
//! # Why
//!
//! Keys come from [`shape`](super::shape), so that a schema without one of them, or with one too many, cannot be made. What
//! a key takes stands in [`kind`]; a test holds every line of it against what the checks themselves refuse. Words and
//! defaults come from `config/portvakt.toml`, which tests compare with the checks.
//!
//! A schema knows forms, not meaning: that a file is there, or that two keys exclude each other, is told by `check` alone.

mod kind;
#[cfg(test)]
mod tests;
mod words;

use serde_json::{Map, Value, json};

use self::kind::{Kind, NEEDED, kind};
use super::shape::{self, Shape};
use crate::config::show;

/// The schema of a configuration file, also of one in `conf.d`.
pub(in crate::config) fn schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(format!("portvakt {}", env!("CARGO_PKG_VERSION"))));
    schema.insert("description".to_owned(), json!("The configuration of portvakt."));
    schema.extend(table(&shape::ROOT, ""));
    Value::Object(schema)
}

/// A table at `path`, such as `site.https`; the top level is the empty path.
fn table(shape: &'static Shape, path: &str) -> Map<String, Value> {
    let property = |key: &&'static str| ((*key).to_owned(), Value::Object(property(shape, path, key)));
    let properties: Map<_, _> = shape.keys.iter().map(property).collect();
    let parts = [("type", json!("object")), ("properties", json!(properties)), ("additionalProperties", json!(false))];
    let mut table: Map<_, _> = parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let needed = NEEDED.iter().filter(|(prefix, _)| *prefix == shape.prefix).map(|(_, alternatives)| *alternatives);
    let (single, several): (Vec<_>, Vec<_>) = needed.partition(|alternatives| alternatives.len() == 1);
    if !single.is_empty() {
        table.insert("required".to_owned(), json!(single.concat()));
    }
    if !several.is_empty() {
        let any = |keys: &&[&str]| json!({ "anyOf": keys.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() });
        table.insert("allOf".to_owned(), several.iter().map(any).collect());
    }
    table
}

fn property(shape: &'static Shape, path: &str, key: &str) -> Map<String, Value> {
    let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    // A key without a kind takes anything, rather than being refused by an editor; a test tells of it.
    let Value::Object(mut property) = kind(shape, key).map_or_else(|| json!({}), |kind| form(kind, &below)) else {
        return Map::new();
    };
    if let Some(words) = words::about(shape, path, key) {
        property.insert("description".to_owned(), json!(words));
    }
    if let Some(default) = show::default(path, key) {
        property.insert("default".to_owned(), default);
    }
    property
}

/// What the value at `path` looks like.
fn form(kind: &Kind, path: &str) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Kind::Several(least, most) => {
            json!({ "type": ["string", "array"], "items": { "type": "string" }, "minItems": least, "maxItems": most })
        }
        Kind::Words(words) => json!({ "type": "string", "anyOf": [{ "enum": words }, { "pattern": VARIABLE }] }),
        Kind::WordLists(words) => {
            let word = form(&Kind::Words(words), path);
            json!({ "anyOf": [word, { "type": "array", "items": word }] })
        }
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Numbers(least, most) => {
            let number = form(&Kind::Number(*least, *most), path);
            json!({ "anyOf": [number, { "type": "array", "items": number, "minItems": 1 }] })
        }
        Kind::Duration => pattern("^([0-9]+(ms|s|m|h|d))+$"),
        Kind::Rate => pattern("^[0-9]+/[smh]$"),
        Kind::Size => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, pattern("^[0-9]+(B|KiB|MiB|GiB)?$")] })
        }
        Kind::Map(values) => json!({ "type": "object", "additionalProperties": form(values, path) }),
        Kind::Table(shape) => Value::Object(table(shape, path)),
        Kind::Tables(shape) => json!({ "type": "array", "items": table(shape, path) }),
        Kind::Any(kinds) => json!({ "anyOf": kinds.iter().map(|kind| form(kind, path)).collect::<Vec<_>>() }),
    }
}

/// A string of this form, or with a variable in it, whose value nobody knows before it is read.
fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|{VARIABLE}") })
}

/// `${NAME}` anywhere.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}";
