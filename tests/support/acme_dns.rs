//! acme-dns: a stand-in in Python that speaks its API. The original is packaged by no Debian, and is one Go program with
//! the name server built in.

use std::fs;
use std::process::Command;

use super::bind::{Bind, Key};
use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::curl::Curl;
use super::peers::program;
use super::ports::free_port;
use super::raw;

/// A running server.
pub(crate) struct AcmeDns {
    port: u16,
    _child: Child,
    _dir: tempfile::TempDir,
}

impl AcmeDns {
    /// Starts one that keeps its texts in a zone, which the key may change.
    pub(crate) fn start(bind: &Bind, key: &Key, zone: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("key");
        fs::write(&file, key.file()).expect("the key is written");
        let port = free_port();
        let mut command = Command::new(program("python3"));
        command.arg("-c").arg(include_str!("acme_dns.py"));
        command.args([&port.to_string(), zone, &bind.address().port().to_string()]).arg(file);
        let mut child = Child::start("acme-dns", &mut command);
        eventually("acme-dns listens", PATIENCE, || {
            assert!(child.ended().is_none(), "acme-dns has ended: {:?}", child.lines());
            raw::try_connect(port).ok()
        });
        Self { port, _child: child, _dir: dir }
    }

    /// Of its API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new account.
    pub(crate) fn register(&self) -> serde_json::Value {
        let answer = Curl::new().with(&["--data", "{}"]).get(&format!("{}/register", self.url()));
        assert_eq!(answer.status, 201);
        serde_json::from_slice(&answer.body).expect("an account is JSON")
    }
}
