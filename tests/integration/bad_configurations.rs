//! A bad configuration is answered with what is wrong, where, why and how to mend it: word for word.
//!
//! Every `tests/data/bad/NAME.toml`, and every `tests/data/bad/NAME/portvakt.toml` with its `conf.d`, is checked, and
//! what is printed must be `NAME.txt`. `UPDATE_GOLDEN=1` writes these files anew. A file may say what it takes as given:
//!
//! ```toml
//! # given: run          (not: check)
//! # given: offline
//! # given: online   (the CAs of `machine.rs` are asked)
//! # given: homeless
//! # given: root
//! # given: landless (the kernel has no Landlock)
//! # given: volatile (`/run` is emptied by a restart)
//! # given: confined (a process that has confined itself reloads it)
//! ```
//!
//! The files that a configuration names are made by the test, see [`make_files`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portvakt::config::{Code, Loaded, Problems, Purpose, Style, from_text_on, load_on};

use crate::files::make_files;
use crate::machine::{FixedMachine, views};

#[test]
fn given_a_bad_configuration_when_checked_then_exactly_this_is_printed() {
    let files = tempfile::tempdir().unwrap();
    make_files(files.path());
    let mut wrong = Vec::new();
    for case in cases() {
        let problems = check(&case, files.path());
        let printed = problems.render(Style::Plain);
        assert!(!printed.contains(&*files.path().to_string_lossy()), "a path of this machine is in {printed}");
        let log: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        for shown in [&printed, &problems.render(Style::Color), &problems.to_json_lines(), &log] {
            assert!(!shown.contains("geheim"), "a password is in {shown}");
        }
        let golden = case.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &printed).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if printed != expected {
            wrong.push(format!("{}\n--- expected\n{expected}\n--- printed\n{printed}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{} differ; UPDATE_GOLDEN=1 writes them anew\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn given_all_bad_configurations_when_checked_then_every_code_is_met_and_named_in_its_file() {
    let files = tempfile::tempdir().unwrap();
    make_files(files.path());
    let met: BTreeSet<_> = cases()
        .iter()
        .flat_map(|case| check(case, files.path()).iter().map(|it| it.code).collect::<Vec<_>>())
        .collect();
    let missed: Vec<_> = Code::ALL.iter().filter(|code| !met.contains(code)).collect();
    assert!(missed.is_empty(), "no bad configuration leads to {missed:?}");
}

#[test]
fn given_all_bad_configurations_when_checked_then_every_error_says_how_to_mend_it() {
    let files = tempfile::tempdir().unwrap();
    make_files(files.path());
    for case in cases() {
        for problem in &check(&case, files.path()) {
            assert!(!problem.fix.is_empty(), "{}: {problem}", case.display());
            assert!(!problem.title.ends_with('.') && problem.title.lines().count() == 1, "{problem}");
        }
    }
}

#[test]
fn given_a_bad_configuration_when_asked_for_json_then_one_object_a_line_with_the_same_facts() {
    let case = Path::new("tests/data/bad/unknown-certificate-source.toml");
    let lines = check(case, Path::new("/nowhere")).to_json_lines();
    let object: serde_json::Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!(object["code"], "PV0204");
    assert_eq!(object["severity"], "error");
    assert_eq!(object["file"], "unknown-certificate-source.toml");
    assert_eq!((object["line"].as_u64(), object["column"].as_u64()), (Some(5), Some(15)));
    assert_eq!(object["fix"][0], "did you mean `acme`?");
}

#[test]
fn given_colour_when_printed_then_the_same_text_in_colour() {
    let problems = check(Path::new("tests/data/bad/unknown-certificate-source.toml"), Path::new("/nowhere"));
    let colored = problems.render(Style::Color);
    assert!(colored.contains("\u{1b}["));
    assert!(!problems.render(Style::Plain).contains('\u{1b}'));
}

/// Every bad configuration, by name.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new("tests/data/bad");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    assert!(cases.len() > 30, "only {} cases", cases.len());
    cases
}

fn check(case: &Path, files: &Path) -> Problems {
    let mut is_online = false;
    let loaded = if case.is_dir() {
        load_on(&case.join("portvakt.toml"), Purpose::Check, &FixedMachine::default())
    } else {
        let text = fs::read_to_string(case).unwrap();
        let given = |word: &str| text.lines().any(|line| line.strip_prefix("# given: ") == Some(word));
        is_online = given("online");
        let purpose = match (given("run"), given("offline")) {
            (true, _) => Purpose::Run,
            (_, true) => Purpose::CheckOffline,
            _ => Purpose::Check,
        };
        let machine = FixedMachine::with(given);
        from_text_on(case.file_name().unwrap().to_str().unwrap(), &text, files, purpose, &machine)
    };
    match loaded {
        Ok(loaded) if is_online => loaded.warnings.clone().with(loaded.judge(&views(&loaded.config))),
        Ok(Loaded { warnings, .. }) => warnings,
        Err(problems) => problems,
    }
}
