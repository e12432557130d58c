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
    let Value::Object(root) = table(&shape::ROOT, "") else { unreachable!("a table is an object") };
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(format!("portvakt {}", env!("CARGO_PKG_VERSION"))));
    schema.insert("description".to_owned(), json!("The configuration of portvakt."));
    schema.extend(root);
    Value::Object(schema)
}

/// A table at `path`, such as `site.https`; the top level is the empty path.
fn table(shape: &'static Shape, path: &str) -> Value {
    let property = |key: &&'static str| ((*key).to_owned(), property(shape, path, key));
    let properties: Map<_, _> = shape.keys.iter().map(property).collect();
    let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    for (_, alternatives) in NEEDED.iter().filter(|(prefix, _)| *prefix == shape.prefix) {
        let all = table.as_object_mut().expect("made above");
        match alternatives {
            [one] => list(all, "required").push(json!(one)),
            several => list(all, "allOf")
                .push(json!({ "anyOf": several.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() })),
        }
    }
    table
}

/// A list inside of `all`, which begins empty.
fn list<'a>(all: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    all.entry(key).or_insert_with(|| json!([])).as_array_mut().expect("only lists are put there")
}

fn property(shape: &'static Shape, path: &str, key: &str) -> Value {
    let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    // A key without a kind takes anything, rather than being refused by an editor; a test tells of it.
    let mut property = kind(shape, key).map_or_else(|| json!({}), |kind| form(kind, &below));
    let all = property.as_object_mut().expect("every form is an object");
    if let Some(words) = words::about(shape, path, key) {
        all.insert("description".to_owned(), json!(words));
    }
    if let Some(default) = show::default(path, key) {
        all.insert("default".to_owned(), default);
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
        Kind::Table(shape) => table(shape, path),
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
