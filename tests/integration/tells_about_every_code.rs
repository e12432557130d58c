//! Each code of a problem has a page whose wrong example leads to it and whose right example does not.

use std::path::Path;

use portvakt::config::{Code, Loaded, Problems, Purpose, from_text_on};

use crate::files::make_files;
use crate::machine::{FixedMachine, views};

#[test]
fn given_every_code_when_its_page_is_read_then_it_has_four_parts() {
    for code in Code::ALL {
        let page = code.page();
        for (part, text) in [("Why", page.why()), ("How to mend it", page.fix())] {
            assert!(text.len() > 10, "src/config/pages/{code}.md has no `## {part}`");
            assert!(text.ends_with(['.', '`']), "src/config/pages/{code}.md: `## {part}` ends in the middle: {text}");
        }
        for (part, text) in [("Wrong", page.wrong()), ("Right", page.right())] {
            assert!(text.contains('='), "src/config/pages/{code}.md has no `## {part}` with a block of toml");
        }
        let longest = format!("{page}").lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(130), "src/config/pages/{code}.md has a line that does not fit a terminal");
    }
}

#[test]
fn given_every_code_when_its_examples_are_loaded_then_only_the_wrong_one_leads_to_it() {
    let files = tempfile::tempdir().unwrap();
    make_files(files.path());
    let mut complaints = Vec::new();
    for code in Code::ALL {
        let page = code.page();
        let machine = FixedMachine::with(|word| page.given() == word);
        let load = |text| load(text, files.path(), machine, page.given() == "online");
        let (wrong, _) = load(page.wrong());
        if !wrong.iter().any(|problem| problem.code == *code) {
            complaints.push(format!("src/config/pages/{code}.md: the wrong example does not lead to it:\n{wrong}"));
        }
        let others = wrong.iter().filter(|problem| problem.code != *code).count();
        if others > 0 {
            complaints
                .push(format!("src/config/pages/{code}.md: the wrong example leads to other codes too:\n{wrong}"));
        }
        let (right, is_good) = load(page.right());
        if !is_good || !right.is_empty() {
            complaints.push(format!("src/config/pages/{code}.md: the right example is not good:\n{right}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn given_every_page_then_it_belongs_to_a_code() {
    for entry in std::fs::read_dir("src/config/pages").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let code = name.strip_suffix(".md").and_then(|name| name.parse::<Code>().ok());
        assert_eq!(code.map(|code| format!("{code}.md")), Some(name.clone()), "src/config/pages/{name}");
    }
}

/// The problems, and whether it can run.
fn load(text: &str, base: &Path, machine: FixedMachine, is_online: bool) -> (Problems, bool) {
    match from_text_on("portvakt.toml", text, base, Purpose::Check, &machine) {
        Ok(loaded) if is_online => {
            let problems = loaded.warnings.clone().with(loaded.judge(&views(&loaded.config)));
            let is_good = !problems.has_errors();
            (problems, is_good)
        }
        Ok(Loaded { warnings, .. }) => (warnings, true),
        Err(problems) => (problems, false),
    }
}
