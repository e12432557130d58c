//! The service manager hears the truth: ready when there is an answer, reloading, stopping, alive; and the unit fits to it.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use crate::stage::Stage;
use crate::support::ca::replace;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::supervisor::{Supervisor, value};
use crate::support::{eventually, tls};

#[test]
fn given_a_service_manager_when_started_then_ready_is_told_when_there_is_an_answer() {
    let (stage, supervisor, mut portvakt) = supervised("");

    let (_, ready) = supervisor.wait_for(0, "READY=1");

    assert_eq!(tls::served(stage.home.https, "m5.test").unwrap(), stage.leaf.der, "served, not a placeholder");
    assert_eq!(value(&ready, "STATUS"), "serving; 1 of 1 certificates valid");
    assert!(portvakt.terminate().success());
    supervisor.wait_for(0, "STOPPING=1");
}

#[test]
fn given_a_reload_when_it_is_done_then_reloading_and_ready_are_told() {
    let (stage, supervisor, portvakt) = supervised("");
    let (mark, _) = supervisor.wait_for(0, "READY=1");

    assert!(portvakt.reload(&stage.home));

    let (mark, reloading) = supervisor.wait_for(mark, "RELOADING=1");
    let since_boot: u64 = value(&reloading, "MONOTONIC_USEC").parse().unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!(since_boot as f64 <= (uptime + 1.0) * 1e6, "{since_boot} is on the clock of {uptime}");
    let (_, ready) = supervisor.wait_for(mark, "READY=1");
    assert_eq!(value(&ready, "STATUS"), "serving; 1 of 1 certificates valid");
}

#[test]
fn given_a_broken_configuration_when_reloaded_then_ready_again_and_the_status_says_so() {
    let (stage, supervisor, portvakt) = supervised("");
    let (mark, _) = supervisor.wait_for(0, "READY=1");
    let good = fs::read_to_string(stage.home.file()).unwrap();

    replace(&stage.home.file(), "this is no TOML [");
    assert!(!portvakt.reload(&stage.home));

    let (mark, _) = supervisor.wait_for(mark, "RELOADING=1");
    let (mark, ready) = supervisor.wait_for(mark, "READY=1");
    assert!(value(&ready, "STATUS").contains("the last reload failed"), "{ready}");

    replace(&stage.home.file(), &good);
    assert!(portvakt.reload(&stage.home));
    let (_, ready) = supervisor.wait_for(mark, "READY=1");
    assert!(!ready.contains("failed"), "{ready}");
}

#[test]
fn given_a_watchdog_when_serving_then_it_is_fed_again_and_again() {
    let stage = Stage::new();
    stage.configure("", "");
    let supervisor = Supervisor::start(stage.home.path());
    let mut command = stage.home.command();
    supervisor.listen_to(&mut command).env("WATCHDOG_USEC", "200000");
    let mut portvakt = stage.home.launch_as(&mut command);

    let mut mark = 0;
    for _ in 0..5 {
        mark = supervisor.wait_for(mark, "WATCHDOG=1").0;
    }

    assert!(portvakt.terminate().success());
}

#[test]
fn given_a_watchdog_of_another_process_when_serving_then_it_is_left_alone() {
    let stage = Stage::new();
    stage.configure("", "");
    let supervisor = Supervisor::start(stage.home.path());
    let mut command = stage.home.command();
    supervisor.listen_to(&mut command).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let mut portvakt = stage.home.launch_as(&mut command);
    supervisor.wait_for(0, "READY=1");

    assert!(portvakt.reload(&stage.home));
    assert!(portvakt.terminate().success());

    let messages = supervisor.messages();
    assert!(!messages.iter().any(|message| message.contains("WATCHDOG")), "{messages:?}");
}

#[test]
fn given_an_open_request_when_terminated_then_more_time_is_asked_for_and_the_status_counts() {
    let (stage, supervisor, mut portvakt) = supervised("drain = \"20s\"\n");
    supervisor.wait_for(0, "READY=1");
    let mut open = stage.connect();
    open.write_all(b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("the request is open", PATIENCE, || (!stage.echo.requests().is_empty()).then_some(()));

    portvakt.signal("TERM");

    let (mark, _) = supervisor.wait_for(0, "STOPPING=1");
    let (mark, first) = supervisor.wait_for(mark, "EXTEND_TIMEOUT_USEC=");
    let asked = Duration::from_micros(value(&first, "EXTEND_TIMEOUT_USEC").parse().unwrap());
    assert!(asked > Duration::from_secs(20), "{asked:?} covers the drain");
    assert!(value(&first, "STATUS").starts_with("draining; "), "{first}");
    supervisor.wait_for(mark, "EXTEND_TIMEOUT_USEC=");
    stage.echo.release();
    assert!(portvakt.child.wait(PATIENCE).success());
}

#[test]
fn given_a_notify_socket_that_is_none_when_started_then_the_error_says_how_to_mend_it() {
    let stage = Stage::new();
    stage.configure("", "");
    let mut portvakt = stage.home.launch_as(stage.home.command().env("NOTIFY_SOCKET", "elsewhere"));

    assert_eq!(portvakt.child.wait(PATIENCE).code(), Some(1));
    let told = portvakt.child.stderr();
    assert!(told.contains("NOTIFY_SOCKET") && told.contains("= fix: unset"), "{told}");
}

/// systemd before 253 knows no `notify-reload`, says so, and keeps the line before it.
#[test]
fn given_the_units_when_verified_then_systemd_finds_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["portvakt.service", "portvakt.socket"] {
        let unit = fs::read_to_string(format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let installed = env!("CARGO_BIN_EXE_portvakt");
        fs::write(dir.path().join(name), unit.replace("/usr/local/bin/portvakt", installed)).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "./portvakt.service", "./portvakt.socket"]).current_dir(dir.path());

    let output = verify.output().expect("systemd-analyze: apt-get install systemd");

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let faults: Vec<_> =
        told.lines().filter(|line| line.contains("portvakt.") && !line.ends_with("ignoring: notify-reload")).collect();
    assert!(output.status.success() && faults.is_empty(), "{told}");
}

fn supervised(top: &str) -> (Stage, Supervisor, Portvakt) {
    let stage = Stage::new();
    stage.configure(top, "");
    let supervisor = Supervisor::start(stage.home.path());
    let mut command = stage.home.command();
    let portvakt = stage.home.launch_as(supervisor.listen_to(&mut command));
    (stage, supervisor, portvakt)
}
