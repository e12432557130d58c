//! Files for Kubernetes: rendered by kubectl and helm, held against the schemas of several versions.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::peers::{kubernetes, program};

/// What `kubectl kustomize FOLDER` makes.
pub(crate) fn kustomize(folder: &Path) -> Vec<Value> {
    let output = Command::new(program("kubectl")).arg("kustomize").arg(folder).output().expect("kubectl starts");
    assert!(output.status.success(), "{folder:?}: {}", String::from_utf8_lossy(&output.stderr));
    yaml(&String::from_utf8_lossy(&output.stdout))
}

/// What helm makes of `chart` as the release `name`.
///
/// # Errors
/// helm's own words, when it refuses the values.
pub(crate) fn helm(chart: &Path, name: &str, values: &Value) -> Result<Vec<Value>, String> {
    let chart = chart.to_str().expect("the sources' path is text");
    ask(&["helm", chart, name, &values.to_string()], "").map(|text| documents(&text))
}

/// What `helm lint` finds: how bad (2 a warning, 3 an error), and what.
pub(crate) fn lint(chart: &Path) -> Vec<(u64, String)> {
    let chart = chart.to_str().expect("the sources' path is text");
    let report = ask(&["lint", chart, "{}"], "").unwrap_or_else(|error| panic!("{error}"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let messages = report["messages"].as_array().expect("messages");
    messages.iter().map(|m| (m["severity"].as_u64().expect("a number"), m["error"].to_string())).collect()
}

/// YAML, as its documents.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    documents(&ask(&["yaml"], text).unwrap_or_else(|error| panic!("{error}")))
}

/// What is wrong with documents by the schemas of Kubernetes `version`, and of the Prometheus operator for its kinds.
pub(crate) fn faults(of: &[Value], version: &str) -> Vec<String> {
    let (operators, others): (Vec<_>, Vec<_>) =
        of.iter().partition(|document| document["apiVersion"] == "monitoring.coreos.com/v1");
    let others = serde_json::to_string(&others).expect("JSON");
    let mut told = ask(&["validate", version], &others).unwrap_or_else(|error| panic!("{error}"));
    if !operators.is_empty() {
        let mut node = Command::new(program("node"));
        node.arg(support("kubernetes.mjs")).arg(kubernetes());
        told += &feed(&mut node, &serde_json::to_string(&operators).expect("JSON")).unwrap_or_else(|e| panic!("{e}"));
    }
    told.lines().map(str::to_owned).collect()
}

fn documents(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("a list of documents")
}

fn ask(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut python = Command::new(program("python3"));
    python.arg("-s").env("PYTHONPATH", kubernetes()).env("PYTHONDONTWRITEBYTECODE", "1");
    feed(python.arg(support("kubernetes.py")).args(arguments), input)
}

/// Runs `command` with `input`: what it prints, or what it complains of.
fn feed(command: &mut Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    // One that fails before it has read everything tells why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn support(name: &str) -> String {
    format!("{}/tests/support/{name}", env!("CARGO_MANIFEST_DIR"))
}
