//! portvakt itself: a folder with its configuration and state, its ports, and the program as a child.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::ca::replace;
use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::metrics::Metrics;
use super::peers::library;
use super::ports::free_port;
use super::raw::{self, Reply};

/// Where one portvakt lives; it outlives the process, so that a test can kill and start again.
pub(crate) struct Home {
    /// Plain HTTP.
    pub(crate) http: u16,
    /// TLS.
    pub(crate) https: u16,
    /// Operators.
    pub(crate) admin: u16,
    dir: TempDir,
}

impl Home {
    /// An empty folder and three free ports.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        Self { http: free_port(), https: free_port(), admin: free_port(), dir }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("portvakt.toml")
    }

    /// Writes a configuration: `[listen]` with our ports between the keys in `top` and the tables in `tables`.
    ///
    /// File watching is off, so that a test decides when files are read; one that wants it says `watch = true`.
    pub(crate) fn configure(&self, top: &str, tables: &str) {
        let watch = if top.contains("watch") { "" } else { "watch = false\n" };
        let listen = format!(
            "[listen]\nhttp = \"127.0.0.1:{}\"\nhttps = \"127.0.0.1:{}\"\nadmin = \"127.0.0.1:{}\"\n",
            self.http, self.https, self.admin
        );
        replace(&self.file(), &format!("state_dir = \"state\"\n{watch}{top}\n{listen}\n{tables}"));
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn start(&self) -> Portvakt {
        let mut portvakt = self.launch();
        portvakt.wait_ready(self);
        portvakt
    }

    /// As [`Self::start`], with wall clocks `seconds` ahead of ours, or behind when negative; the time that only goes
    /// forward is what it is.
    pub(crate) fn start_at(&self, seconds: i64) -> Portvakt {
        self.start_as(&mut self.command_at(seconds))
    }

    /// As [`Self::start`], as `command`, which [`Self::command`] or [`Self::command_at`] gave.
    pub(crate) fn start_as(&self, command: &mut Command) -> Portvakt {
        let mut portvakt = self.launch_as(command);
        portvakt.wait_ready(self);
        portvakt
    }

    /// The command of [`Self::start_at`].
    pub(crate) fn command_at(&self, seconds: i64) -> Command {
        let mut command = self.command();
        command
            .env("LD_PRELOAD", library("faketime/libfaketime.so.1"))
            .env("FAKETIME", format!("{seconds:+}"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        command
    }

    /// As [`Self::command_at`], with wall clocks that move while it runs: as far from ours as the file says, such as `+2d`.
    pub(crate) fn command_by_clock(&self, file: &Path) -> Command {
        let mut command = self.command_at(0);
        command.env_remove("FAKETIME").env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_CACHE_DURATION", "1");
        command
    }

    /// Starts it.
    pub(crate) fn launch(&self) -> Portvakt {
        self.launch_as(&mut self.command())
    }

    /// Starts it as `command`, which [`Home::command`] gave.
    pub(crate) fn launch_as(&self, command: &mut Command) -> Portvakt {
        Portvakt { child: Child::start("portvakt", command) }
    }

    /// `portvakt run` with our configuration, to be changed before it is started.
    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_portvakt")))
    }

    /// As [`Home::command`], of another file with the program.
    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = command_of(program, self.path());
        command.args(["run", "--config"]).arg(self.file());
        command
    }

    /// `portvakt ca root`: the internal CA's root, in a file.
    pub(crate) fn internal_root(&self) -> PathBuf {
        let output = run(self.path(), &["ca", "root", "--config", "portvakt.toml"]);
        assert!(output.status.success(), "ca root: {}", String::from_utf8_lossy(&output.stderr));
        let path = self.path().join("internal-root.pem");
        fs::write(&path, output.stdout).expect("the root is written");
        path
    }

    /// A GET to the admin listener.
    pub(crate) fn admin(&self, target: &str) -> Reply {
        raw::get(self.admin, "127.0.0.1", target)
    }

    /// One scrape.
    pub(crate) fn metrics(&self) -> Metrics {
        let reply = self.admin("/metrics");
        assert_eq!(reply.status, 200);
        Metrics::parse(&reply.text())
    }

    /// Waits until `probe` is content with a scrape.
    pub(crate) fn wait_metrics<T>(&self, what: &str, within: Duration, probe: impl Fn(&Metrics) -> Option<T>) -> T {
        eventually(what, within, || probe(&self.metrics()))
    }

    /// Waits until the series of this name and these labels have this sum: what is counted is so after the answer's last byte.
    pub(crate) fn wait_sum(&self, name: &str, labels: &[(&str, &str)], sum: f64) {
        self.wait_metrics(&format!("{name} {labels:?} is {sum}"), PATIENCE, |metrics| {
            (metrics.sum(name, labels) == sum).then_some(())
        });
    }

    /// Waits until the certificate named `cert` is in `state`, such as `issued`.
    pub(crate) fn wait_certificate(&self, cert: &str, state: &str, within: Duration) {
        let labels = [("cert", cert), ("state", state)];
        self.wait_metrics(&format!("certificate {cert} is {state}"), within, |metrics| {
            (metrics.sum("portvakt_certificate_ready", &labels) == 1.0).then_some(())
        });
    }
}

/// Runs portvakt in `dir` to its end.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Output {
    command(dir).args(arguments).output().expect("portvakt starts")
}

/// The built program, free of what the environment would tell it.
pub(crate) fn command(dir: &Path) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_portvakt")), dir)
}

fn command_of(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    for told in TOLD_BY_ENVIRONMENT {
        command.env_remove(told);
    }
    command.current_dir(dir).env("XDG_STATE_HOME", dir);
    command
}

/// A running portvakt.
pub(crate) struct Portvakt {
    /// The process and its log.
    pub(crate) child: Child,
}

impl Portvakt {
    /// Starts the program in `dir`.
    pub(crate) fn launch(dir: &Path, arguments: &[&str]) -> Self {
        Self { child: Child::start("portvakt", command(dir).args(arguments)) }
    }

    /// Waits until `/readyz` of `home` says yes.
    ///
    /// # Panics
    /// When the program ends before, or [`PATIENCE`] does.
    pub(crate) fn wait_ready(&mut self, home: &Home) {
        eventually("portvakt is ready", PATIENCE, || {
            if let Some(status) = self.child.ended() {
                panic!("portvakt has ended with {status}");
            }
            let mut stream = raw::try_connect(home.admin).ok()?;
            let asked = std::io::Write::write_all(&mut stream, b"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
            asked.ok()?;
            (raw::read_reply(&mut stream).ok()?.status == 200).then_some(())
        });
    }

    /// Sends the signal `name`, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// Sends SIGHUP and waits until that reload has succeeded or failed; gives whether it succeeded.
    pub(crate) fn reload(&self, home: &Home) -> bool {
        let before = reloads(&home.metrics());
        self.signal("HUP");
        let after = home.wait_metrics("the reload is counted", PATIENCE, |metrics| {
            let after = reloads(metrics);
            (after != before).then_some(after)
        });
        after.1 == before.1
    }

    /// Ends it with SIGTERM and gives its exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait(PATIENCE)
    }
}

/// How many reloads there were: those that succeeded, and those that failed.
fn reloads(metrics: &Metrics) -> (f64, f64) {
    let count = |result| metrics.sum("portvakt_config_reloads_total", &[("result", result)]);
    (count("ok"), count("error"))
}

/// What would reach it from whoever runs the tests.
const TOLD_BY_ENVIRONMENT: [&str; 7] =
    ["RUST_LOG", "STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"];
