//! Caddy's ACME server: a real one of another family than pebble (smallstep's), which checks challenges on ports 80 and 443
//! as the internet's do, of names that the machine knows: `localhost`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustls::RootCertStore;
use tempfile::TempDir;

use super::ca::Ca;
use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::program;
use super::ports::free_port;
use super::{pebble, raw};

/// The server.
pub(crate) struct Caddy {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Caddy {
    /// Starts one; its certificates live for an hour.
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let ca = Ca::new("root of Caddy's own listener");
        ca.write(dir.path().join("listener-root.pem"));
        ca.issue(&["127.0.0.1"]).write(dir.path(), "caddy");
        fs::write(dir.path().join("Caddyfile"), configuration(port)).expect("the configuration is written");
        let mut command = Command::new(program("caddy"));
        command.current_dir(dir.path()).args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
        command.env("HOME", dir.path()).env("XDG_DATA_HOME", dir.path()).env("XDG_CONFIG_HOME", dir.path());
        let mut child = Child::start("caddy", &mut command);
        eventually("Caddy listens", PATIENCE, || {
            assert!(child.ended().is_none(), "Caddy has ended: {:?}", child.lines());
            raw::try_connect(port).ok()
        });
        Self { dir, port, child }
    }

    /// Port of the directory.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Path of the directory.
    pub(crate) const DIRECTORY: &str = "/acme/local/directory";

    /// What a client of ours believes the directory's own certificate by.
    pub(crate) fn listener_roots(&self) -> RootCertStore {
        pebble::roots(&self.dir.path().join("listener-root.pem"))
    }

    /// What a client of ours believes the certificates by that it issues.
    pub(crate) fn issued_roots(&self) -> RootCertStore {
        let root: PathBuf = self.dir.path().join("storage/pki/authorities/local/root.crt");
        eventually("Caddy has made its root", PATIENCE, || root.is_file().then_some(()));
        pebble::roots(&root)
    }

    /// Its log so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.child.lines()
    }
}

fn configuration(port: u16) -> String {
    format!(
        "{{\n admin off\n auto_https off\n skip_install_trust\n storage file_system storage\n}}\n\
         https://127.0.0.1:{port} {{\n tls caddy.pem caddy.key\n acme_server {{\n  ca local\n  lifetime 1h\n  \
         challenges http-01 tls-alpn-01\n }}\n}}\n"
    )
}
