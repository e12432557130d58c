//! `portvakt.toml` and `conf.d/*.toml` as one tree.

use super::code::Code;
use super::problem::{Problem, Problems, quoted};
use super::raw::{Entry, Node, Table, Value};

/// Adds `more` to `table`: tables are merged, `[[tables]]` appended; anything else may stand in one file only.
pub(super) fn merge(table: &mut Table, more: Table, problems: &mut Problems) {
    for entry in more.entries {
        match table.entries.iter_mut().find(|present| present.key == entry.key) {
            Some(present) => join(present, entry, problems),
            None => table.entries.push(entry),
        }
    }
}

fn join(present: &mut Entry, entry: Entry, problems: &mut Problems) {
    match (&mut present.node.value, entry.node.value) {
        (Value::Table(table), Value::Table(more)) => merge(table, more, problems),
        (Value::List(list), Value::List(more)) if all_tables(list) && all_tables(&more) => list.extend(more),
        _ => problems.push(
            Problem::error(Code::DuplicateKey, format!("{} is set in two files", quoted(&entry.key)))
                .at(&entry.key_place)
                .label("and here")
                .related(&present.key_place, "set here")
                .why("files are merged, and neither overrides the other")
                .fix("keep one of them"),
        ),
    }
}

fn all_tables(list: &[Node]) -> bool {
    list.iter().all(|node| matches!(node.value, Value::Table(_)))
}
