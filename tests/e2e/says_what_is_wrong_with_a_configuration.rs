//! `check` and `run` say every problem at once, in one format, and with an exit code that a script can trust.

use std::fs;
use std::process::Output;

use crate::stage::Stage;
use crate::support::Home;
use crate::support::home::run;

#[test]
fn given_a_sound_configuration_when_checked_then_0_and_no_error() {
    let stage = Stage::new();
    stage.configure("", "");

    let output = run(stage.home.path(), &["check", "--config", "portvakt.toml"]);

    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(!words(&output).contains("error["), "{}", words(&output));
}

#[test]
fn given_several_problems_when_checked_or_run_then_1_and_all_of_them_are_said() {
    let home = Home::new();
    home.configure(
        "",
        "[[site]]\ndomain = \"m5.test\"\nupsteam = \"http://127.0.0.1:1\"\nhttps = { mode = \"sometimes\" }\n",
    );

    for verb in ["check", "run"] {
        let output = run(home.path(), &[verb, "--config", "portvakt.toml"]);
        let words = words(&output);
        assert_eq!(output.status.code(), Some(1), "{verb}: {words}");
        assert!(words.matches("error[PV").count() >= 2, "{verb}: {words}");
        for expected in ["portvakt.toml:", "upsteam", "upstream", "sometimes", "fix"] {
            assert!(words.contains(expected), "{verb}: `{expected}` in {words}");
        }
        let more = words.lines().find_map(|line| line.strip_prefix("more: portvakt ")).expect(&words);
        let help = run(home.path(), &more.split(' ').collect::<Vec<_>>());
        assert_eq!(help.status.code(), Some(0), "{more}");
        assert!(String::from_utf8_lossy(&help.stdout).contains("PV0102: unknown key"), "{more}");
    }
}

#[test]
fn given_one_thing_wrong_when_checked_then_1() {
    let rows = [
        (
            "no such key file",
            "certificate = { chain = \"m5.pem\", key = \"none.key\" }\nupstream = \"http://127.0.0.1:1\"\n",
        ),
        ("plaintext to another host", "certificate = \"internal\"\nupstream = \"http://192.0.2.1:80\"\n"),
        (
            "paths without rest",
            "certificate = \"internal\"\nupstream = \"http://127.0.0.1:1\"\nhttps = { paths = { \"/a/\" = \"reject\" } }\n",
        ),
        ("acme without agreement", "upstream = \"http://127.0.0.1:1\"\n"),
        (
            "hsts beside a plain path",
            "certificate = \"internal\"\nupstream = \"http://127.0.0.1:1\"\nhttps = { rest = \"allow\" }\nhsts = { max_age = \"1s\" }\n",
        ),
        ("no upstream", "certificate = \"internal\"\n"),
        (
            "a wrong fingerprint",
            "certificate = \"internal\"\nupstream = { url = \"https://127.0.0.1:1\", fingerprint = \"zz\" }\n",
        ),
    ];
    for (what, keys) in rows {
        let stage = Stage::new();
        stage.home.configure("", &format!("[[site]]\ndomain = \"m5.test\"\n{keys}"));
        let output = run(stage.home.path(), &["check", "--config", "portvakt.toml"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", words(&output));
        assert!(words(&output).contains("error[PV"), "{what}: {}", words(&output));
    }
}

#[test]
fn given_plaintext_to_another_host_when_allowed_then_0() {
    let home = Home::new();
    let upstream = "{ url = \"http://192.0.2.1:80\", allow_plaintext = true }";
    home.configure("", &format!("[[site]]\ndomain = \"m5.test\"\ncertificate = \"internal\"\nupstream = {upstream}\n"));

    let output = run(home.path(), &["check", "--config", "portvakt.toml"]);

    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
}

#[test]
fn given_no_file_when_checked_or_run_then_1_and_its_name_is_said() {
    let home = Home::new();

    for verb in ["check", "run"] {
        let output = run(home.path(), &[verb, "--config", "none.toml"]);
        assert_eq!(output.status.code(), Some(1), "{verb}");
        assert!(words(&output).contains("none.toml"), "{}", words(&output));
    }
}

#[test]
fn given_a_taken_port_when_checked_then_a_warning_and_when_run_an_error() {
    let stage = Stage::new();
    stage.configure("", "");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", stage.home.https)).unwrap();
    let port = stage.home.https.to_string();

    let checked = run(stage.home.path(), &["check", "--config", "portvakt.toml"]);
    let started = run(stage.home.path(), &["run", "--config", "portvakt.toml"]);

    assert_eq!(checked.status.code(), Some(0), "{}", words(&checked));
    assert!(words(&checked).contains(&port), "{}", words(&checked));
    assert_eq!(started.status.code(), Some(1), "{}", words(&started));
    assert!(words(&started).contains(&port), "{}", words(&started));
}

#[test]
fn given_offline_when_files_are_missing_then_0() {
    let stage = Stage::new();
    stage.configure("", "");
    fs::remove_file(stage.home.path().join("m5.key")).unwrap();

    let online = run(stage.home.path(), &["check", "--config", "portvakt.toml"]);
    let offline = run(stage.home.path(), &["check", "--config", "portvakt.toml", "--offline"]);

    assert_eq!((online.status.code(), offline.status.code()), (Some(1), Some(0)), "{}", words(&offline));
}

#[test]
fn given_json_when_checked_then_a_program_can_read_it() {
    let home = Home::new();
    home.configure("", "[[site]]\ndomain = \"m5.test\"\nupsteam = \"http://127.0.0.1:1\"\n");

    let output = run(home.path(), &["check", "--config", "portvakt.toml", "--json"]);

    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(!values.is_empty() && text.contains("PV") && text.contains("upsteam"), "{text}");
}

#[test]
fn given_the_one_liner_when_the_terms_are_not_agreed_to_then_1_and_the_flag_is_named() {
    let home = Home::new();

    let output = run(home.path(), &["run", "--domain", "m5.test", "--upstream", "http://127.0.0.1:1"]);

    assert!(matches!(output.status.code(), Some(1 | 2)), "{}", words(&output));
    assert!(words(&output).contains("--agree-tos"), "{}", words(&output));
}

#[test]
fn given_an_unknown_verb_when_called_then_2() {
    let home = Home::new();

    assert_eq!(run(home.path(), &["serve"]).status.code(), Some(2));
    assert_eq!(run(home.path(), &["--version"]).status.code(), Some(0));
    assert_eq!(run(home.path(), &["--help"]).status.code(), Some(0));
    assert_eq!(run(home.path(), &["help", "check"]).status.code(), Some(0));
    assert_eq!(run(home.path(), &["help", "PV9999"]).status.code(), Some(2));
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}
