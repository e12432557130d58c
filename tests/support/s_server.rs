//! `openssl s_server` as an old server: versions, suites and keys that nothing new would offer.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::{library, program};
use super::ports::free_port;
use super::raw;

/// A running `openssl s_server -www`, which answers any GET with a page about the handshake.
pub(crate) struct OldServer {
    /// TLS.
    pub(crate) port: u16,
    dir: TempDir,
    _child: Child,
}

/// What its certificate is like, self-signed and issued to `legacy.local`.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// As `openssl req -newkey` takes it, such as `rsa:1024`.
    pub(crate) key: &'static str,
    /// Such as `sha1`.
    pub(crate) digest: &'static str,
    /// Lines of extensions, divided by `;`.
    pub(crate) extensions: &'static str,
    /// It was made so many days ago, for thirty days.
    pub(crate) age: u32,
}

impl Kind {
    /// Nothing is wrong with it.
    pub(crate) const SOUND: Self = Self {
        key: "rsa:2048",
        digest: "sha256",
        extensions: "subjectAltName=DNS:legacy.local;basicConstraints=CA:FALSE",
        age: 0,
    };
}

impl OldServer {
    /// A server with `offer` (versions, suites), divided at spaces.
    pub(crate) fn start(certificate: Kind, offer: &str) -> Self {
        let (dir, port) = (TempDir::new().expect("a temporary folder"), free_port());
        make_certificate(dir.path(), certificate);
        let mut command = Command::new(program("openssl"));
        command.current_dir(dir.path()).args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www"]);
        command.args(["-cert", "cert.pem", "-key", "key.pem"]).args(offer.split(' ').filter(|word| !word.is_empty()));
        let mut child = Child::start("openssl s_server", &mut command);
        eventually("openssl s_server listens", PATIENCE, || {
            assert!(child.ended().is_none(), "it has ended: {:?}", child.lines());
            raw::try_connect(port).ok()
        });
        Self { port, dir, _child: child }
    }

    /// SHA-256 of its certificate, lower-case hex.
    pub(crate) fn fingerprint(&self) -> String {
        let printed = openssl(self.dir.path(), "x509 -in cert.pem -noout -fingerprint -sha256");
        printed.trim().rsplit('=').next().expect("a value").replace(':', "").to_lowercase()
    }

    /// Its certificate, PEM.
    pub(crate) fn certificate(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("cert.pem")).expect("it was written")
    }
}

fn make_certificate(dir: &Path, kind: Kind) {
    let extensions = kind.extensions.replace(';', "\n");
    let settings = format!("[req]\ndistinguished_name = dn\nx509_extensions = ext\n[dn]\n[ext]\n{extensions}\n");
    std::fs::write(dir.join("req.cnf"), settings).expect("the settings are written");
    let Kind { key, digest, age, .. } = kind;
    let request = format!("req -x509 -nodes -config req.cnf -subj /CN=legacy.local -newkey {key} -{digest} -days 30");
    openssl_ago(dir, &format!("{request} -keyout key.pem -out cert.pem"), age);
}

fn openssl(dir: &Path, arguments: &str) -> String {
    openssl_ago(dir, arguments, 0)
}

/// As it would have been done `days` ago.
fn openssl_ago(dir: &Path, arguments: &str, days: u32) -> String {
    let mut command = Command::new(program("openssl"));
    command.current_dir(dir).args(arguments.split(' '));
    if days > 0 {
        command.env("LD_PRELOAD", library("faketime/libfaketime.so.1")).env("FAKETIME", format!("-{days}d"));
    }
    let output = command.output().expect("openssl starts");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
