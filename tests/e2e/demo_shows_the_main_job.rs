//! `portvakt demo` shows the main job on a fresh machine: what it tells you to try, works.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::support::child::Child;
use crate::support::clock::PATIENCE;
use crate::support::home::{self, Portvakt};
use crate::support::{eventually, raw};

#[test]
fn given_a_demo_when_its_commands_are_typed_then_all_work_and_ctrl_c_ends_it_with_0() {
    let dir = TempDir::new().unwrap();
    let mut demo = start(&dir);
    let commands = commands(&demo);

    let answers: Vec<_> = commands.iter().map(|command| type_in(command, &dir)).collect();

    // What each of them is to show, in the order in which they are told.
    let shown: [&[&str]; 7] = [
        &["<h1>"],
        &["<h1>"],
        &["301 Moved Permanently", "https://localhost:"],
        &["403 Forbidden"],
        &["\"asked over\": \"https\""],
        &["302", "location: https://localhost:", "Path=/M5UserAPI/; HttpOnly; Secure"],
        &["portvakt_certificate_not_after_timestamp_seconds{"],
    ];
    assert_eq!(commands.len(), shown.len(), "{commands:?}");
    for ((command, answer), wanted) in commands.iter().zip(&answers).zip(shown) {
        assert!(wanted.iter().all(|text| answer.contains(text)), "{command}: {wanted:?} in\n{answer}");
    }
    demo.signal("INT");
    assert_eq!(demo.child.wait(PATIENCE).code(), Some(0));
}

#[test]
fn given_a_demo_when_its_status_address_is_opened_then_the_metrics_are_behind_it() {
    let dir = TempDir::new().unwrap();
    let demo = start(&dir);
    let port = status_port(&demo);

    assert_eq!(raw::get(port, "127.0.0.1", "/").status, 200);
    assert_eq!(raw::get(port, "127.0.0.1", "/readyz").status, 200);
    assert!(raw::get(port, "127.0.0.1", "/metrics").text().contains("portvakt_certificate_ready"));
}

#[test]
fn given_one_demo_when_a_second_is_started_then_both_run() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (first, second) = (start(&one), start(&two));

    assert_ne!(status_port(&first), status_port(&second));
}

#[test]
fn given_a_demo_when_it_has_ended_then_nothing_is_left_behind() {
    let dir = TempDir::new().unwrap();
    let mut demo = start(&dir);
    commands(&demo);
    assert!(fs::read_dir(dir.path()).unwrap().count() > 0, "the demo keeps its files in the temporary folder");

    demo.signal("INT");
    demo.child.wait(PATIENCE);

    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn type_in(command: &str, dir: &TempDir) -> String {
    let output = Command::new("sh").args(["-c", command]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A demo that takes `dir` for the temporary folder, and is ready.
///
/// One starts after the other, as people start them: each sees which ports the others have taken.
fn start(dir: &TempDir) -> Portvakt {
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = home::command(dir.path());
    command.arg("demo").env("TMPDIR", dir.path());
    let demo = Portvakt { child: Child::start("portvakt demo", &mut command) };
    let port = status_port(&demo);
    eventually("the demo is ready", PATIENCE, || {
        raw::try_connect(port).ok()?;
        (raw::get(port, "127.0.0.1", "/readyz").status == 200).then_some(())
    });
    demo
}

/// The commands that it tells one to try.
fn commands(demo: &Portvakt) -> Vec<String> {
    demo.child.wait_line("a command to try", |line| is_command(line).is_some());
    let lines = demo.child.lines();
    lines.iter().filter_map(|line| is_command(line)).map(str::to_owned).collect()
}

fn is_command(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("$ ");
    line.starts_with("curl ").then_some(line)
}

fn status_port(demo: &Portvakt) -> u16 {
    let line = demo.child.wait_line("the status address", |line| port_in(line).is_some());
    port_in(&line).unwrap()
}

/// The port of a `http://127.0.0.1:PORT/` that is not part of a command.
fn port_in(line: &str) -> Option<u16> {
    if is_command(line).is_some() || !line.to_lowercase().contains("status") {
        return None;
    }
    let rest = line.split_once("http://127.0.0.1:")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

static STARTING: Mutex<()> = Mutex::new(());
