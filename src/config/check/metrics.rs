//! `[metrics]`.

use std::path::{Path, PathBuf};

use super::section::{Section, Text};
use super::{Check, Objection, shape};
use crate::config::code::Code;
use crate::config::problem::quoted;

/// `metrics.textfile`: where the metrics are written for a collector on this machine.
pub(super) fn textfile(check: &mut Check<'_>, root: &Section<'_>) -> Option<PathBuf> {
    let table = root.table(check, "metrics")?;
    let section = Section::open(check, table, &shape::METRICS);
    section.string(check, "textfile").map(|text| path(check, text))
}

/// The file itself is made when it is first written; its folder is not.
fn path(check: &mut Check<'_>, text: Text<'_>) -> PathBuf {
    let path = check.located(text);
    let has_folder = path.parent().is_some_and(Path::is_dir);
    let objection = match path.extension().is_some_and(|extension| extension == "prom") {
        false => Some(("collectors read files that end in `.prom` only", "name it like `portvakt.prom`")),
        true if !check.opens_files() => None,
        true if path.is_dir() => Some(("it is a folder", "name a file in it, such as `portvakt.prom`")),
        true if !has_folder => {
            Some(("there is no such folder", "make the folder that the collector reads, or correct the path"))
        }
        true => None,
    };
    if let Some((why, fix)) = objection {
        let title = format!("the metrics cannot be written to {}", quoted(text.value));
        check.refuse(Code::TextfileNowhere, title, text, Objection::new(why, fix));
    }
    path
}
