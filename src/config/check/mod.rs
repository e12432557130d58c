//! From the tree as written to settings: every rule of the configuration, every problem at once.
//!
//! A function that meets a problem reports it and goes on with the default, so that what follows is still looked at.
//! Whether the result may be used is decided once, at the end, by the problems.

mod acme;
mod acme_ca;
mod acme_dns;
mod address;
mod anchors;
mod answers;
mod bankid_roots;
mod certificate;
mod certificate_files;
mod client_certificates;
mod client_identity;
mod confinement;
mod domain;
mod egress;
mod global;
mod headers;
mod health;
mod https;
mod identity_files;
mod limits;
mod listen;
mod metrics;
mod notify;
mod proxy;
mod redirect;
mod resolved;
mod route;
mod schema;
mod section;
mod shape;
mod site;
mod upstream;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(super) use self::resolved::Resolved;
pub(super) use self::route::is_label;
pub(super) use self::schema::schema;
use self::section::{Section, Text};
pub(super) use self::site::is_folder_name;
use super::code::Code;
use super::environment::Environment;
use super::problem::{Problem, Problems, quoted};
use super::raw::Table;
use super::{Config, Purpose};
use crate::listener;

/// What a check knows and finds.
pub(super) struct Check<'e> {
    purpose: Purpose,
    environment: &'e dyn Environment,
    /// What relative paths are relative to; absolute.
    base: PathBuf,
    problems: Problems,
    /// What was read or will be.
    files: Vec<PathBuf>,
    /// What written values stand for.
    resolved: Resolved,
}

impl<'e> Check<'e> {
    /// Begins with nothing found.
    pub(super) fn new(purpose: Purpose, environment: &'e dyn Environment, base: &Path, files: Vec<PathBuf>) -> Self {
        Self {
            purpose,
            environment,
            base: base.to_owned(),
            problems: Problems::default(),
            files,
            resolved: Resolved::default(),
        }
    }

    /// Checks everything. The settings may be used only when no problem is an error.
    pub(super) fn run(mut self, root: &Table) -> (Config, Problems, Resolved) {
        let config = self.config(root);
        (config, self.problems, self.resolved)
    }

    fn config(&mut self, root: &Table) -> Config {
        let root = Section::open(self, root, &shape::ROOT);
        let listen = listen::read(self, &root, egress::is_alone(&root));
        let acme = acme::read(self, &root, &listen.listener);
        let sites = site::read_all(self, &root, &acme.cas, &listen.requests);
        acme::require_agreement(self, &acme, &sites);
        let state_dir = global::state_dir(self, &root);
        let control = global::control(self, &root, &state_dir);
        let own = (control.clone(), root.node("control").map_or_else(|| root.place(), |node| &node.place));
        let taken = egress::Taken { addresses: listen.bound, sockets: vec![own] };
        let out = egress::read_all(self, &root, taken, sites.upstream_names());
        acme::require_challenge(self, &acme, &sites, &listen.listener);
        let site::ForRooms { route, tls, certificates, upstreams, identities } =
            sites.into_settings(listen.public_https_port, listen.requests.requests);
        let config = Config {
            control,
            state_dir,
            run_as: global::run_as(self, &root),
            landlock: confinement::landlock(self, &root),
            listen: listener::Settings { egress: egress::addresses(&out.egress), ..listen.listener },
            route,
            tls,
            upstreams,
            certificates,
            egress: out.egress,
            client_identities: [out.identities, identities].concat(),
            trusted_proxies: global::trusted_proxies(self, &root),
            drain: root.duration(self, "drain").unwrap_or(Config::DRAIN),
            watch: root.boolean(self, "watch").is_none_or(|watch| watch.value),
            log: global::log(self, &root),
            textfile: metrics::textfile(self, &root),
            notify: notify::read_all(self, &root),
            files: std::mem::take(&mut self.files),
        };
        confinement::require_granted(self, &config);
        global::warn_of_volatile_state(self, &root, &config);
        config
    }

    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reports that a value cannot be what it should be.
    fn refuse(&mut self, code: Code, title: String, text: Text<'_>, objection: Objection) {
        self.report(Problem::error(code, title).at(text.place).why(objection.why).fix(objection.fix));
    }

    /// Whether files may be opened.
    fn opens_files(&self) -> bool {
        self.purpose != Purpose::CheckOffline
    }

    /// A path as the operator means it; remembered among the files.
    fn path(&mut self, text: Text<'_>) -> PathBuf {
        let path = self.located(text);
        if !self.files.contains(&path) {
            self.files.push(path.clone());
        }
        path
    }

    /// A path as the operator means it, which need not be there.
    fn located(&mut self, text: Text<'_>) -> PathBuf {
        let path = self.base.join(text.value);
        self.resolved.note(text.place, path.display().to_string());
        path
    }

    /// Reads a file; `what` says what it should hold.
    fn read(&mut self, text: Text<'_>, what: &str) -> Option<Vec<u8>> {
        let path = self.path(text);
        match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.cannot_read(text, what, &error);
                None
            }
        }
    }

    /// Reports that a file cannot be read; `what` says what it should hold.
    fn cannot_read(&mut self, text: Text<'_>, what: &str, error: &std::io::Error) {
        let title = format!("cannot read the {what} {}", quoted(text.value));
        let problem = Problem::error(Code::Unreadable, title).at(text.place).label(reason(error));
        self.report(match error.kind() {
            ErrorKind::PermissionDenied => problem.fix("let the user that portvakt runs as read it"),
            _ => problem
                .why("relative paths begin at the folder of the configuration file")
                .fix("put the file there, or correct the path"),
        });
    }
}

/// Why a value cannot be used, and what can.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Objection {
    why: String,
    fix: String,
}

impl Objection {
    fn new(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { why: why.into(), fix: fix.into() }
    }
}

/// An error and its causes in one line.
fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    line
}

/// Why a file cannot be read, in the same words on every system.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
