//! A server that knows its users by NTLM, as IIS does, and clients of it: PyPI `pyspnego` and `requests_ntlm`.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ca::Leaf;
use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::python_with;
use super::ports::free_port;
use super::raw;

/// A user of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// With its domain, as the server says it.
    pub(crate) name: &'static str,
    /// In clear.
    pub(crate) password: &'static str,
}

/// Two users.
pub(crate) const ANNA: User = User { name: "DOM\\anna", password: "Blomma-17" };
/// The other one.
pub(crate) const BERTIL: User = User { name: "DOM\\bertil", password: "Cykel-2042" };

/// A running server; see `server.py`.
pub(crate) struct Ntlm {
    /// TCP port.
    pub(crate) port: u16,
    child: Child,
    _dir: TempDir,
}

impl Ntlm {
    /// By plain HTTP.
    pub(crate) fn start() -> Self {
        Self::launch(|_| Vec::new())
    }

    /// By TLS with `identity`; clients have to name that certificate (Extended Protection).
    pub(crate) fn start_protected(identity: &Leaf) -> Self {
        Self::launch(|dir| {
            let (chain, key) = identity.write(dir, "server");
            let [chain, key] = [chain, key].map(|path| path.display().to_string());
            vec!["--tls".into(), chain.clone(), key, "--bindings".into(), chain]
        })
    }

    /// Its URL by plain HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until the connection with this number has ended.
    pub(crate) fn wait_end(&self, connection: &str) {
        let wanted = format!("connection {connection} has ended");
        self.child.wait_line(&wanted, |line| line == wanted);
    }

    /// Waits until it says so.
    pub(crate) fn wait_word(&self, text: &str) {
        self.child.wait_line(text, |line| line.contains(text));
    }

    fn launch(options: impl Fn(&Path) -> Vec<String>) -> Self {
        let (dir, port) = (TempDir::new().expect("a temporary folder"), free_port());
        let users = [ANNA, BERTIL].map(|user| format!("{}:{}\n", user.name.replace('\\', ":"), user.password));
        fs::write(dir.path().join("users"), users.concat()).expect("the users are written");
        let mut command = python_with("ntlm", "spnego");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/ntlm/server.py")).arg(port.to_string());
        command.args(options(dir.path())).env("NTLM_USER_FILE", dir.path().join("users"));
        let mut child = Child::start("ntlm", &mut command);
        eventually("the NTLM server listens", PATIENCE, || {
            assert!(child.ended().is_none(), "it has ended: {:?}", child.lines());
            raw::try_connect(port).ok()
        });
        Self { port, child, _dir: dir }
    }
}

/// Many clients at once; see `client.py`.
pub(crate) struct Clients<'a> {
    /// The server's name and port.
    pub(crate) server: (&'a str, u16),
    /// File with the trust anchor.
    pub(crate) root: &'a str,
    /// Who they are, in turn.
    pub(crate) users: &'a [User],
    /// How many.
    pub(crate) count: usize,
    /// Whether they name the certificate that they saw.
    pub(crate) bindings: bool,
}

impl Clients<'_> {
    /// Asks `requests`, each a method, a path and the length of a body; gives each client's user, and its answers.
    pub(crate) fn ask(&self, requests: &[(&str, &str, usize)]) -> Vec<(String, Vec<(u16, String)>)> {
        let told: Vec<(Value, Vec<(u16, String)>)> = self.carry_out(json!({ "requests": requests }));
        told.into_iter().map(|(user, answers)| (user.as_str().unwrap_or_default().to_owned(), answers)).collect()
    }

    /// Authenticates one connection by `scheme` and opens a WebSocket on it.
    pub(crate) fn open_websocket(&self, scheme: &str) -> OpenedWebSocket {
        let (statuses, answer, user, echo) = self.carry_out(json!({ "websocket": scheme }));
        OpenedWebSocket { statuses, answer, user, echo }
    }

    fn carry_out<T: DeserializeOwned>(&self, mut plan: Value) -> T {
        let users: Vec<_> = self.users.iter().map(|user| (user.name, user.password)).collect();
        let (host, port) = self.server;
        let common = json!({
            "host": host, "port": port, "root": self.root, "users": users, "clients": self.count,
            "bindings": self.bindings,
        });
        let common = common.as_object().expect("it was made as one").clone();
        plan.as_object_mut().expect("callers give one").extend(common);
        let mut command = python_with("ntlm", "requests_ntlm");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/ntlm/client.py")).arg(plan.to_string());
        let output = command.output().expect("python3 starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// A WebSocket on an authenticated connection.
#[derive(Debug)]
pub(crate) struct OpenedWebSocket {
    /// Of the answers on the way there; the last one is that of the upgrade.
    pub(crate) statuses: Vec<u16>,
    /// What the server said to the last request before it.
    pub(crate) answer: String,
    /// Who the server says that the WebSocket belongs to.
    pub(crate) user: Option<String>,
    /// What came back of `hej`.
    pub(crate) echo: String,
}
