//! Who gets messages: a web server of Python's standard library, or aiosmtpd, a mail server.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::python_with;
use super::ports::free_port;
use super::{Ca, raw};

/// A receiver that keeps all that it gets.
pub(crate) struct Inbox {
    kind: &'static str,
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Inbox {
    /// A webhook over TLS.
    pub(crate) fn webhook() -> Self {
        Self::stopped("webhook").started()
    }

    /// A mail server that demands STARTTLS, then [`USER`] and [`PASSWORD`].
    pub(crate) fn smtp() -> Self {
        Self::stopped("smtp").started()
    }

    /// A receiver that nobody has started yet: `webhook`, `smtp`, `smtps` (TLS from the first byte) or `plain`.
    pub(crate) fn stopped(kind: &'static str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let ca = Ca::new("root of the receiver");
        ca.write(dir.path().join("root.pem"));
        ca.issue(&["localhost", "127.0.0.1", FAR]).write(dir.path(), "inbox");
        Self { kind, port: free_port(), dir, child: None }
    }

    /// Starts it.
    pub(crate) fn go(&mut self) {
        let mut command = python_with("smtp", "aiosmtpd");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/inbox/post.py"));
        command.current_dir(self.dir.path()).args([self.kind, &self.port.to_string()]);
        if self.kind != "plain" {
            command.args(["inbox.pem", "inbox.key"]);
        }
        if self.kind.starts_with("smtp") {
            command.args([USER, PASSWORD]);
        }
        let mut child = Child::start(self.kind, &mut command);
        eventually("the receiver listens", PATIENCE, || {
            assert!(child.ended().is_none(), "the receiver has ended: {:?}", child.lines());
            raw::try_connect(self.port).ok()
        });
        self.child = Some(child);
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// File with the root of its certificate.
    pub(crate) fn root(&self) -> String {
        self.dir.path().join("root.pem").display().to_string()
    }

    /// Everything that it has got so far.
    pub(crate) fn all(&self) -> Vec<Value> {
        let text = self.child.as_ref().map(Child::stdout).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The first message of which `wanted` is true, once there is one.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, PATIENCE, || self.all().into_iter().find(&wanted))
    }

    /// The first event of this kind in a message of a webhook, once there is one.
    pub(crate) fn wait_event(&self, kind: &str) -> Value {
        eventually(&format!("somebody is told: {kind}"), PATIENCE, || self.events(kind).into_iter().next())
    }

    /// Every event of this kind in what a webhook has got so far.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let events = |message: &Value| message["body"]["events"].as_array().expect("events").clone();
        self.all().iter().flat_map(events).filter(|event| event["event"] == kind).collect()
    }

    /// `[[notify]]` that posts here, with further keys.
    pub(crate) fn hook(&self, token: Option<&Path>, keys: &str) -> String {
        let token = token.map(|file| format!(", token_file = {:?}", file.display().to_string())).unwrap_or_default();
        let (port, root) = (self.port, self.root());
        format!(
            "[[notify]]\nname = \"hook\"\n{keys}\nwebhook = {{ url = \"https://localhost:{port}/geheim\", trust_anchors = {root:?}{token} }}\n"
        )
    }

    /// `[[notify]]` that mails here; the password is in `mail.pw` beside the configuration.
    pub(crate) fn mail(&self, tls: &str, keys: &str) -> String {
        let (port, root) = (self.port, self.root());
        let login = format!("user = \"{USER}\", password_file = \"mail.pw\", trust_anchors = {root:?}, ");
        let login = if self.kind == "plain" { String::new() } else { login };
        format!(
            "[[notify]]\nname = \"mail\"\n{keys}\nsmtp = {{ server = \"localhost:{port}\", tls = \"{tls}\", {login}\
             from = \"portvakt <portvakt@box.test>\", to = [\"ops@corp.test\", \"Night <night@corp.test>\"] }}\n"
        )
    }

    fn started(mut self) -> Self {
        self.go();
        self
    }
}

/// A name that a receiver's certificate is for, and that leads nowhere but through a proxy.
pub(crate) const FAR: &str = "hooks.portvakt.invalid";
/// Who may send.
pub(crate) const USER: &str = "portvakt@corp.test";
/// What lets him.
pub(crate) const PASSWORD: &str = "correct horse geheim";
