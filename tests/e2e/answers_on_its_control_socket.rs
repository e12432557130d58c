//! `status` and `reload` reach a running process over a socket that only its own user may open.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::stage::Stage;
use crate::support::Home;
use crate::support::clock::{PATIENCE, eventually};
use crate::support::home::run;

#[test]
fn given_a_running_process_when_asked_for_its_status_then_certificate_upstream_and_next_step_are_told() {
    let (stage, _portvakt) = Stage::running();

    let output = run(stage.home.path(), &["status"]);

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    let fingerprint = stage.home.admin("/status.json").text();
    let fingerprint: serde_json::Value = serde_json::from_str(&fingerprint).unwrap();
    let fingerprint = fingerprint["certificates"][0]["sha256"].as_str().unwrap().to_owned();
    for expected in [
        "certificate m5.test (listener): static",
        &format!("sha256       {fingerprint}"),
        "next         ",
        "because the files are read again when they change",
        &format!("listening      https on 127.0.0.1:{}", stage.home.https),
        &format!("upstream 127.0.0.1:{}: healthy", stage.echo.port()),
    ] {
        assert!(text.contains(expected), "`{expected}` in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour only for a terminal");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&run(stage.home.path(), &["status", "--json"]))).unwrap();
    assert_eq!(json["certificates"][0]["name"], "m5.test");
}

#[test]
fn given_a_good_change_when_reload_is_called_then_it_serves_and_what_changed_is_told() {
    let (stage, _portvakt) = Stage::running();
    stage.configure("drain = \"7s\"\n", "https = { mode = \"permanent\" }\n");

    let output = run(stage.home.path(), &["reload"]);

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("site `m5.test` changed: https"), "{}", stdout(&output));
    assert!(stdout(&output).contains("`drain` changed"), "{}", stdout(&output));
    let reply = stage.plain("GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n");
    assert_eq!(reply.status(), Some(301));
    assert!(stdout(&run(stage.home.path(), &["reload"])).contains("nothing has changed"));
}

#[test]
fn given_a_bad_change_when_reload_is_called_then_1_every_problem_is_told_and_the_old_one_serves_on() {
    let (stage, _portvakt) = Stage::running();
    stage.configure("dran = \"7s\"\n", "https = { mode = \"sometimes\" }\n");

    let output = run(stage.home.path(), &["reload"]);

    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for expected in ["error[PV0102]", "dran", "error[PV0205]", "sometimes", "= fix:", "portvakt.toml:", "serves on"] {
        assert!(text.contains(expected), "`{expected}` in\n{text}");
    }
    assert_eq!(stage.get("/").status, 200);
    let status = stdout(&run(stage.home.path(), &["status"]));
    assert!(
        status.contains("last reload") && status.contains("failed") && status.contains("error[PV0102]"),
        "{status}"
    );
}

#[test]
fn given_no_process_when_asked_then_1_and_how_to_start_one() {
    let stage = Stage::new();
    stage.configure("", "");

    for verb in ["status", "reload"] {
        let output = run(stage.home.path(), &[verb]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{verb}: {text}");
        assert!(text.contains("no portvakt answers") && text.contains("control.sock"), "{verb}: {text}");
        assert!(text.contains("portvakt run --config portvakt.toml"), "{verb}: {text}");
    }
}

#[test]
fn given_a_socket_when_looked_at_then_only_its_user_may_open_it_and_it_goes_with_the_process() {
    let (stage, mut portvakt) = Stage::running();
    let socket = stage.home.state().join("control.sock");

    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();

    assert_eq!(mode & 0o777, 0o600);
    assert!(portvakt.terminate().success());
    assert!(!socket.exists());
}

#[test]
fn given_a_process_that_was_killed_when_started_again_then_its_socket_answers() {
    let (stage, mut portvakt) = Stage::running();
    portvakt.child.kill();
    assert!(stage.home.state().join("control.sock").exists(), "the kill left it");

    let _portvakt = stage.home.start();

    assert_eq!(run(stage.home.path(), &["status"]).status.code(), Some(0));
}

#[test]
fn given_a_socket_of_the_configuration_when_started_then_it_lies_there() {
    let stage = Stage::new();
    stage.configure("control = \"run/c.sock\"\n", "");
    let _portvakt = stage.home.start();

    assert_eq!(run(stage.home.path(), &["status"]).status.code(), Some(0));
    assert_eq!(run(stage.home.path(), &["status", "--socket", "run/c.sock"]).status.code(), Some(0));
    let mode = std::fs::metadata(stage.home.path().join("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn given_a_path_too_long_for_a_socket_when_started_then_it_serves_without_one_and_says_so() {
    let home = Home::new();
    let site = "[[site]]\ndomain = \"m5.test\"\ncertificate = \"internal\"\nupstream = \"http://127.0.0.1:9\"\n";
    home.configure("", site);
    let text = std::fs::read_to_string(home.file()).unwrap();
    std::fs::write(home.file(), text.replace("\"state\"", &format!("{:?}", "x".repeat(110)))).unwrap();

    let portvakt = home.start();

    portvakt.child.wait_line("the missing socket", |line| line.contains("no control socket"));
    let checked = run(home.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(stderr(&checked).contains("warning[PV0510]"), "{}", stderr(&checked));
}

#[test]
fn given_many_reloads_at_once_when_called_then_each_is_answered() {
    let (stage, _portvakt) = Stage::running();

    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| run(stage.home.path(), &["reload"]))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });

    assert!(answers.iter().all(|answer| answer.status.success()));
    eventually("it serves", PATIENCE, || (stage.get("/").status == 200).then_some(()));
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
