//! curl, as the operator's own client: HTTP/1.1 and HTTP/2 over real TLS.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::clock::PATIENCE;
use super::peers::program;
use super::raw::{header, parse_headers};

/// A call of curl, being put together.
pub(crate) struct Curl {
    arguments: Vec<String>,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// `1.1` or `2`.
    pub(crate) version: String,
    /// Of the last answer; names are lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// As received.
    pub(crate) body: Vec<u8>,
    /// Connections that were opened for it.
    pub(crate) connects: u32,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// curl's exit code, such as 35 for a failed handshake and 60 for a certificate that is not believed.
    pub(crate) code: i32,
    /// curl's own words.
    pub(crate) message: String,
}

impl Curl {
    /// curl that reads no settings of the user's.
    pub(crate) fn new() -> Self {
        let patience = PATIENCE.as_secs().to_string();
        Self { arguments: ["-q", "-sS", "--noproxy", "*", "--max-time", &patience].map(str::to_owned).into() }
    }

    /// Takes `name` on `port` for an address on loopback.
    pub(crate) fn resolve(self, name: &str, port: u16) -> Self {
        self.with(&["--resolve", &format!("{name}:{port}:127.0.0.1")])
    }

    /// Believes the roots in `file` and no others.
    pub(crate) fn cacert(self, file: &Path) -> Self {
        self.with(&["--cacert", file.to_str().expect("a temporary folder's name is text")])
    }

    /// Adds a request header.
    pub(crate) fn header(self, line: &str) -> Self {
        self.with(&["-H", line])
    }

    /// Adds arguments as they are.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Calls `url`.
    ///
    /// # Panics
    /// When there is no answer.
    pub(crate) fn get(self, url: &str) -> Answer {
        self.try_get(url).unwrap_or_else(|failure| panic!("curl {url}: exit {}: {}", failure.code, failure.message))
    }

    /// Calls `url`.
    pub(crate) fn try_get(self, url: &str) -> Result<Answer, Failure> {
        let dir = TempDir::new().expect("a temporary folder");
        let (head, body) = (dir.path().join("head"), dir.path().join("body"));
        let output = Command::new(program("curl"))
            .args(&self.arguments)
            .arg("-D")
            .arg(&head)
            .arg("-o")
            .arg(&body)
            .args(["-w", "%{http_code} %{http_version} %{num_connects}", url])
            .output()
            .expect("curl starts");
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure { code: output.status.code().unwrap_or(-1), message });
        }
        let facts = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(answer(&facts, &fs::read(head).unwrap_or_default(), fs::read(body).unwrap_or_default()))
    }
}

impl Answer {
    /// The first value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn answer(facts: &str, head: &[u8], body: Vec<u8>) -> Answer {
    let mut facts = facts.split(' ');
    let mut fact = || facts.next().unwrap_or_default();
    let status = fact().parse().expect("curl prints the status");
    let version = fact().to_owned();
    let connects = fact().parse().expect("curl prints the number of connections");
    // Interim answers stand before the last one.
    let text = String::from_utf8_lossy(head).into_owned();
    let last = text.split("\r\n\r\n").filter(|part| part.starts_with("HTTP/")).last().unwrap_or_default();
    Answer { status, version, headers: parse_headers(last.as_bytes()), body, connects }
}
