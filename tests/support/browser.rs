//! Chromium, which looks at pages as people do, and axe-core, which judges whether everybody can.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;
use serde_json::{Value, json};

use super::peers::{fetched, program};

/// How a page is looked at.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Where it is, and on which screen.
    value: Value,
}

impl View {
    /// On the screen of a desk, in daylight.
    pub(crate) fn desk(url: &str) -> Self {
        Self { value: json!({ "url": url, "width": 1280, "height": 800, "dark": false }) }
    }

    /// On a phone.
    pub(crate) fn phone(url: &str) -> Self {
        Self { value: json!({ "url": url, "width": 390, "height": 844, "dark": false }) }
    }

    /// At night.
    pub(crate) fn dark(self) -> Self {
        self.with("dark", json!(true))
    }

    /// On paper.
    pub(crate) fn printed(self) -> Self {
        self.with("print", json!(true))
    }

    /// By somebody who reads this language.
    pub(crate) fn in_language(self, tag: &str) -> Self {
        self.with("language", json!(tag))
    }

    /// Pressing these keys.
    pub(crate) fn pressing(self, keys: &[&str]) -> Self {
        self.with("keyboard", json!(keys))
    }

    /// Taking a picture, for people to look at.
    pub(crate) fn pictured(self, name: &str) -> Self {
        match pictures() {
            Some(folder) => self.with("screenshot", json!(folder.join(format!("{name}.png")))),
            None => self,
        }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.value[key] = value;
        self
    }
}

/// What was seen.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    /// Of the tab.
    pub(crate) title: String,
    /// Of the document.
    pub(crate) lang: String,
    /// All that can be read.
    pub(crate) text: String,
    /// Pixels that stick out to the right.
    pub(crate) overflow: i64,
    /// What axe-core finds wrong.
    pub(crate) violations: Vec<String>,
    /// What the browser complains of.
    pub(crate) told: Vec<String>,
    /// Every URL that was asked for.
    pub(crate) asked: Vec<String>,
    /// Where each key led to.
    pub(crate) focused: Vec<Focus>,
    /// What pictures are called.
    pub(crate) images: Vec<String>,
}

/// What has the focus.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Focus {
    /// Such as `A`.
    pub(crate) tag: String,
    /// What stands on it.
    pub(crate) text: String,
    /// It can be seen that it has the focus.
    pub(crate) outlined: bool,
    /// What it opens is open; `None` for what opens nothing.
    pub(crate) open: Option<bool>,
}

/// Looks; `profile` is a folder for Chromium.
pub(crate) fn look(profile: &Path, views: &[View]) -> Vec<Seen> {
    let mut command = Command::new(program("node"));
    command.arg(format!("{}/tests/support/browser.mjs", env!("CARGO_MANIFEST_DIR")));
    command.arg(program("chromium")).arg(profile.join("chromium")).arg(axe());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("node starts");
    let views: Vec<_> = views.iter().map(|view| &view.value).collect();
    serde_json::to_writer(child.stdin.take().expect("piped"), &views).expect("node reads");
    let output = child.wait_with_output().expect("node ends");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"))
}

/// The folder of axe-core.
///
/// # Panics
/// When it is missing.
fn axe() -> PathBuf {
    let folder = fetched().join("browser/node_modules/axe-core");
    assert!(folder.is_dir(), "`axe-core` is missing\n  hint: run `tests/peers`, or `tests/run`, which calls it");
    folder
}

/// Where pictures go that somebody wants to look at: `PORTVAKT_SCREENSHOTS`.
fn pictures() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("PORTVAKT_SCREENSHOTS")?);
    fs::create_dir_all(&folder).expect("a folder for pictures");
    Some(folder)
}
