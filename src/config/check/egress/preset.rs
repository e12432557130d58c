//! `preset`.

use super::super::Check;
use super::super::section::Section;
use crate::config::code::Code;
use crate::config::problem::{Problem, listed, quoted};
use crate::config::suggest;
use crate::egress::Preset;

/// Reads the name of a preset, and refuses what it has already.
pub(super) fn read(check: &mut Check<'_>, section: &Section<'_>) -> Option<&'static Preset> {
    let text = section.string(check, "preset")?;
    let Some(preset) = Preset::find(text.value) else {
        let known: Vec<_> = Preset::ALL.iter().map(|preset| preset.name).collect();
        let problem = Problem::error(Code::UnknownPreset, format!("unknown preset {}", quoted(text.value)));
        let problem = problem.at(text.place).why(format!("known presets are {}", listed(&known)));
        check.report(problem.fix(match suggest::closest(text.value, known) {
            Some(word) => format!("did you mean `{word}`?"),
            None => "choose one of them, or write `destination`, `trust_anchors` and `allow` yourself".to_owned(),
        }));
        return None;
    };
    for key in ["trust_anchors", "fingerprint", "pin", "server_name"] {
        let Some(place) = section.key_place(key) else { continue };
        let title = format!("`{key}` has no place beside `preset`");
        let problem = Problem::error(Code::Conflict, title).at(place).related(text.place, "it has host and root");
        let problem = problem.why("which server is believed is what a preset is for; its root is built in");
        check.report(problem.fix("remove one of them"));
    }
    Some(preset)
}
