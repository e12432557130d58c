//! Each alert has a page that says what to do, each page an alert, and what a page says to type exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::home::run;
use crate::support::podman::deploy;

#[test]
fn given_an_alert_then_it_has_its_page_and_each_page_its_alert() {
    let (alerts, pages) = (alerts(), pages());

    let names: BTreeSet<_> = alerts.keys().collect();
    assert_eq!(names, pages.keys().collect(), "an alert without a page, or a page without an alert");
    for (name, rule) in &alerts {
        let page = &pages[name];
        let severity = rule.split_once("severity: ").expect("a severity").1.split(['}', ',']).next().unwrap();
        assert!(page.starts_with(&format!("# {name}\n\nSeverity: {severity}.\n")), "{name} is {severity}");
        assert!(rule.contains(&format!("\n      runbook_url: 'deploy/runbooks/{name}.md'\n")), "{name}: {rule}");
        assert_eq!(page.lines().filter(|line| line.starts_with("## ")).collect::<Vec<_>>(), HEADINGS, "{name}");
    }
}

#[test]
fn given_a_command_in_a_page_or_a_rule_then_it_and_its_flags_exist() {
    let texts = pages().into_iter().chain(alerts());
    let mut commands = BTreeSet::new();
    for (name, text) in texts {
        // A code span may go over the end of a line.
        let spans: Vec<_> = text.split('`').collect();
        assert_eq!(spans.len() % 2, 1, "{name}: a code span is open");
        let typed = spans.iter().skip(1).step_by(2).filter_map(|span| span.strip_prefix("portvakt "));
        commands.extend(typed.map(|rest| rest.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        let verb: Vec<_> =
            words.iter().take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).copied().collect();
        let output = run(Path::new("/"), &[&verb[..], &["--help"]].concat());
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(!verb.is_empty() && output.status.success(), "`portvakt {command}`");
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "`portvakt {command}`: {flag}"
            );
        }
    }
}

#[test]
fn given_a_metric_or_another_page_that_a_page_names_then_it_is_there() {
    let metrics = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics/names.txt")).unwrap();
    let pages = pages();
    for (name, page) in &pages {
        let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        for word in words.filter(|word| word.starts_with("portvakt_")) {
            assert!(metrics.contains(&format!("{}{{", word.trim_end_matches('.'))), "{name}: {word}");
        }
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(pages.contains_key(link.trim_end_matches(".md")), "{name}: {link}");
        }
    }
}

/// The text of each rule, by the alert's name.
fn alerts() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for text in texts_in("prometheus").into_values() {
        for rule in text.split("- alert: ").skip(1) {
            let name = rule.lines().next().unwrap().to_owned();
            assert!(found.insert(name, rule.to_owned()).is_none(), "{rule}");
        }
    }
    assert!(found.len() > 15);
    found
}

fn pages() -> BTreeMap<String, String> {
    texts_in("runbooks").into_iter().map(|(name, text)| (name.trim_end_matches(".md").to_owned(), text)).collect()
}

fn texts_in(folder: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(deploy(folder)).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

const HEADINGS: [&str; 5] = ["## What it means", "## How bad it is", "## Look", "## Mend", "## When it goes away"];
