//! The alert rules that come with portvakt fire when somebody has to act, and not before; and they ask for metrics that exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::kubernetes::yaml;
use crate::support::peers::program;

#[test]
fn given_the_rules_when_promtool_checks_them_then_nothing_is_wrong() {
    for name in FILES {
        let output = Command::new(program("promtool")).args(["check", "rules"]).arg(rules(name)).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn given_days_that_pass_when_promtool_plays_them_then_each_alert_fires_from_its_moment_on() {
    let dir = TempDir::new().unwrap();
    let folder = root().join("deploy/prometheus");
    for name in FILES {
        let test = fs::read_to_string(root().join(format!("tests/data/alerts/{name}.test.yml"))).unwrap();
        let file = dir.path().join(format!("{name}.test.yml"));
        fs::write(&file, test.replace("RULES", folder.to_str().unwrap())).unwrap();

        let output = Command::new(program("promtool")).args(["test", "rules"]).arg(file).output().unwrap();

        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn given_an_alert_when_looked_for_in_the_tests_then_it_is_seen_to_fire_and_to_be_silent() {
    for name in FILES {
        let file = yaml(&fs::read_to_string(root().join(format!("tests/data/alerts/{name}.test.yml"))).unwrap());
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let looks: Vec<_> = list(&file[0]["tests"]).iter().flat_map(|test| list(&test["alert_rule_test"])).collect();
        let rules = fs::read_to_string(rules(name)).unwrap();
        for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
            let of_alert = looks.iter().filter(|look| look["alertname"] == *alert);
            let (silent, fires): (Vec<_>, Vec<_>) = of_alert.partition(|look| look["exp_alerts"][0].is_null());
            assert!(!fires.is_empty(), "{alert} is never seen to fire");
            assert!(!silent.is_empty(), "{alert} is never seen to be silent");
        }
    }
}

#[test]
fn given_a_metric_that_a_rule_names_when_looked_up_then_it_is_one_of_ours() {
    let names = fs::read_to_string(root().join("src/metrics/names.txt")).unwrap();
    let names: Vec<_> = names.lines().filter_map(|line| line.split('{').next()).collect();
    let rules = FILES.map(|name| fs::read_to_string(rules(name)).unwrap()).concat();
    let expressions: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(expressions.len(), rules.matches("- alert: ").count());

    for expression in expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let asked: Vec<_> = words.filter(|word| word.starts_with("portvakt_")).collect();
        assert!(!asked.is_empty() || expression.contains("up{job=\"portvakt\"}"), "{expression}");
        for name in asked {
            assert!(names.contains(&name), "{name} in {expression}");
        }
    }
}

const FILES: [&str; 3] = ["egress", "certificates", "service"];

fn rules(name: &str) -> PathBuf {
    root().join(format!("deploy/prometheus/{name}.rules.yml"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
