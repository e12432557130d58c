//! BIND: a real name server on a free port of 127.0.0.1, with zones that can be changed where they say so.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use super::child::Child;
use super::peers::program;
use super::ports::free_port;

/// A name server: its place, and what it answers once started.
pub(crate) struct Bind {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

/// What it answers for, and who may change that.
pub(crate) struct Zone {
    name: String,
    clauses: String,
    /// `None` for one that lies elsewhere.
    records: Option<String>,
    /// Its signatures must hold.
    is_checked: bool,
}

impl Zone {
    /// A zone with a start of authority, one name server and these further lines, which nobody may change.
    pub(crate) fn new(name: &str, records: &str) -> Self {
        let apex = "@ IN SOA ns1 hostmaster 1 3600 600 86400 1\n@ IN NS ns1\nns1 IN A 127.0.0.1\n";
        let records = format!("$ORIGIN {name}.\n$TTL 1\n{apex}{records}");
        Self {
            name: name.to_owned(),
            clauses: "type primary; file \"FILE\"; allow-transfer { any; };".to_owned(),
            records: Some(records),
            is_checked: false,
        }
    }

    /// The root, with nothing in it: a server that has it follows aliases from zone to zone, and asks nobody.
    pub(crate) fn root() -> Self {
        Self { name: ".".to_owned(), ..Self::new("", "") }
    }

    /// The same, which who has the key may change (RFC 2136).
    pub(crate) fn changed_by(mut self, key: &Key) -> Self {
        self.clauses += &format!(" allow-update {{ key \"{}\"; }};", key.name);
        self
    }

    /// A zone that another server has, believed only with signatures by a key that nobody has.
    pub(crate) fn believed_when_signed(name: &str, server: SocketAddr) -> Self {
        let (ip, port) = (server.ip(), server.port());
        let clauses = format!("type forward; forward only; forwarders {{ {ip} port {port}; }};");
        Self { name: name.to_owned(), clauses, records: None, is_checked: true }
    }

    /// A copy of a zone of another server, which it looks at anew every second, or hardly ever.
    pub(crate) fn copied(name: &str, primary: SocketAddr, is_prompt: bool) -> Self {
        let refresh =
            if is_prompt { "max-refresh-time 1; min-refresh-time 1; max-retry-time 1; min-retry-time 1;" } else { "" };
        let primaries = format!("primaries {{ {} port {}; }};", primary.ip(), primary.port());
        Self {
            name: name.to_owned(),
            clauses: format!("type secondary; {primaries} {refresh}"),
            records: None,
            is_checked: false,
        }
    }
}

/// A TSIG key (RFC 8945), with a secret that each test draws anew.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) algorithm: &'static str,
    pub(crate) secret: String,
}

impl Key {
    pub(crate) fn new(name: &'static str, algorithm: &'static str) -> Self {
        Self { name, algorithm, secret: BASE64_STANDARD.encode(rand::random::<[u8; 32]>()) }
    }

    /// As `tsig-keygen` writes it, and BIND and nsupdate read it.
    pub(crate) fn file(&self) -> String {
        format!("key \"{}\" {{\n\talgorithm {};\n\tsecret \"{}\";\n}};\n", self.name, self.algorithm, self.secret)
    }
}

impl Bind {
    /// Starts one that knows these zones and nothing else.
    pub(crate) fn start(keys: &[Key], zones: &[Zone]) -> Self {
        let mut bind = Self { dir: TempDir::new().expect("a temporary folder"), port: free_ports(), child: None };
        bind.write(keys, zones);
        bind.go();
        bind
    }

    /// Where it listens, for UDP and TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Ends it; its place and its zones stay.
    pub(crate) fn stop(&mut self) {
        self.child = None;
    }

    /// Starts it again.
    pub(crate) fn go(&mut self) {
        let mut command = Command::new(program("named"));
        command.current_dir(self.dir.path()).args(["-g", "-n", "1", "-c", "named.conf"]);
        let child = Child::start("named", &mut command);
        child.wait_line("all zones loaded", |line| line.ends_with(" all zones loaded"));
        self.child = Some(child);
    }

    /// Its log so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.child.as_ref().map(Child::lines).unwrap_or_default()
    }

    /// The texts that it answers with now.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        texts_at(self.address(), name)
    }

    /// Changes zones by hand: lines of `nsupdate`.
    pub(crate) fn nsupdate(&self, key: &Key, lines: &str) {
        let file = self.dir.path().join("nsupdate.key");
        write(&file, &key.file());
        let script = self.dir.path().join("nsupdate.txt");
        write(&script, &format!("server 127.0.0.1 {}\n{lines}\nsend\n", self.port));
        let status = Command::new(program("nsupdate")).arg("-k").args([file, script]).status();
        assert!(status.is_ok_and(|status| status.success()), "nsupdate: {lines}");
    }

    /// Waits until a zone is copied from elsewhere.
    pub(crate) fn wait_copied(&self, zone: &str) {
        let child = self.child.as_ref().expect("the name server was started");
        child.wait_line("the zone is copied", |line| {
            line.contains(&format!("transfer of '{zone}/IN'")) && line.contains("Transfer completed")
        });
    }

    fn write(&self, keys: &[Key], zones: &[Zone]) {
        let dir = self.dir.path();
        let mut configuration = format!(
            "options {{\n  directory \"{}\";\n  listen-on port {} {{ 127.0.0.1; }};\n  listen-on-v6 {{ none; }};\n  \
             pid-file none;\n  session-keyfile none;\n  recursion {};\n  allow-query {{ any; }};\n  dnssec-validation {};\n  \
             notify no;\n}};\ncontrols {{}};\n",
            dir.display(),
            self.port,
            if zones.iter().any(|zone| zone.name == "." || zone.is_checked) { "yes" } else { "no" },
            if zones.iter().any(|zone| zone.is_checked) { "yes" } else { "no" }
        );
        for zone in zones.iter().filter(|zone| zone.is_checked) {
            let digest = "0".repeat(64);
            configuration += &format!("trust-anchors {{ \"{}\" static-ds 1 13 2 \"{digest}\"; }};\n", zone.name);
        }
        keys.iter().for_each(|key| configuration += &key.file());
        for zone in zones {
            let file = format!("{}.zone", zone.name);
            if let Some(records) = &zone.records {
                write(&dir.join(&file), records);
            }
            let clauses = zone.clauses.replace("FILE", &file);
            configuration += &format!("zone \"{}\" {{ {clauses} }};\n", zone.name);
        }
        write(&dir.join("named.conf"), &configuration);
    }
}

/// The texts that a name server answers with now, by `dig`.
pub(crate) fn texts_at(server: SocketAddr, name: &str) -> Vec<String> {
    let at = format!("@{}", server.ip());
    let port = server.port().to_string();
    let output = Command::new(program("dig"))
        .args(["+norecurse", "+short", "+tries=1", &at, "-p", &port, "TXT", name])
        .output()
        .expect("dig starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.starts_with('"')).map(|line| line.trim_matches('"').to_owned()).collect()
}

/// A port that is free for UDP and TCP.
fn free_ports() -> u16 {
    loop {
        let port = free_port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file of the name server is written");
}
