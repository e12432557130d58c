//! Prometheus itself, which scrapes portvakt every second and judges the rules that come with it.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::program;
use super::ports::free_port;
use super::raw;

/// A running Prometheus.
pub(crate) struct Prometheus {
    port: u16,
    child: Child,
    dir: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes the admin listener on `target` as the job `portvakt`, with all rules of `deploy/prometheus`.
    pub(crate) fn scraping(target: u16) -> Self {
        let (dir, port) = (TempDir::new().expect("a temporary folder"), free_port());
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/*.rules.yml");
        let settings = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{rules}']\nscrape_configs:\n\
             - job_name: portvakt\n  static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
        );
        fs::write(dir.path().join("prometheus.yml"), settings).expect("the configuration is written");
        let mut command = Command::new(program("prometheus"));
        command.current_dir(dir.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        let mut child = Child::start("prometheus", command.arg(format!("--web.listen-address=127.0.0.1:{port}")));
        eventually("Prometheus is ready", PATIENCE, || {
            assert!(child.ended().is_none(), "Prometheus has ended: {:?}", child.lines());
            raw::try_connect(port).ok()?;
            (raw::get(port, "127.0.0.1", "/-/ready").status == 200).then_some(())
        });
        Self { port, child, dir }
    }

    /// What `expression` gives now.
    ///
    /// # Panics
    /// When Prometheus does not take it.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.api(&format!("query?query={}", encoded(expression)));
        match &data["result"] {
            Value::Array(found) => found.clone(),
            other => panic!("{expression}: {other}"),
        }
    }

    /// As [`Self::query`], once there is something.
    ///
    /// # Panics
    /// When there is nothing in the end.
    pub(crate) fn wait(&self, expression: &str) -> Vec<Value> {
        eventually(&format!("Prometheus has an answer to {expression}"), PATIENCE, || {
            Some(self.query(expression)).filter(|found| !found.is_empty())
        })
    }

    /// The one number that `expression` gives, once it gives something: a scrape that was late makes a gap.
    pub(crate) fn number(&self, expression: &str) -> f64 {
        match &self.wait(expression)[..] {
            [one] => one["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number"),
            other => panic!("{expression}: {other:?}"),
        }
    }

    /// Every rule, as Prometheus tells of it.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let groups = self.api("rules")["groups"].as_array().expect("groups").clone();
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    fn api(&self, target: &str) -> Value {
        let reply = raw::get(self.port, "127.0.0.1", &format!("/api/v1/{target}"));
        assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        let answer: Value = serde_json::from_str(&reply.text()).expect("JSON");
        answer["data"].clone()
    }
}

/// For a query of a URL (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
