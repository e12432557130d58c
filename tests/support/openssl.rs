//! `openssl s_client`: a second opinion on every handshake.

use std::process::{Command, Stdio};

use super::peers::program;

/// What `s_client` said about a handshake.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// It was finished.
    pub(crate) finished: bool,
    /// All of its words.
    pub(crate) text: String,
}

/// Shakes hands with `port` on loopback; `arguments` go to `openssl s_client`.
pub(crate) fn s_client(port: u16, arguments: &[&str]) -> Handshake {
    let output = Command::new(program("openssl"))
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-showcerts"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("openssl starts");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Handshake { finished: is_finished(&text), text }
}

/// In TLS 1.3 the suite is known before the server's last word, which may be an alert.
fn is_finished(text: &str) -> bool {
    text.contains("Cipher is ") && !text.contains("Cipher is (NONE)") && !text.contains("SSL alert number")
}

impl Handshake {
    /// `TLSv1.2` or `TLSv1.3`.
    pub(crate) fn version(&self) -> &str {
        self.between("New, ", ",")
    }

    /// The suite, as OpenSSL calls it.
    pub(crate) fn cipher(&self) -> &str {
        self.between("Cipher is ", "\n")
    }

    /// The protocol agreed by ALPN; empty without one.
    pub(crate) fn alpn(&self) -> &str {
        self.between("ALPN protocol: ", "\n")
    }

    /// The server's certificate and those it sent along.
    pub(crate) fn certificates(&self) -> usize {
        self.text.matches("-----BEGIN CERTIFICATE-----").count()
            - usize::from(self.text.contains("Server certificate\n-----BEGIN"))
    }

    /// OpenSSL believes the chain, given what was passed as `-CAfile` and `-verify_hostname`.
    pub(crate) fn verified(&self) -> bool {
        self.text.contains("Verify return code: 0 (ok)")
    }

    fn between(&self, before: &str, after: &str) -> &str {
        let rest = self.text.split_once(before).map_or("", |(_, rest)| rest);
        rest.split_once(after).map_or(rest, |(found, _)| found).trim()
    }
}
