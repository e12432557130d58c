//! `init`, `config show`, `completions` and `man` print what can be written to a file and used.

use std::fs;

use crate::stage::Stage;
use crate::support::Home;
use crate::support::home::{command, run};

const ONE_LINER: [&str; 5] = ["--domain", "app.example.com", "--upstream", "http://127.0.0.1:8080", "--agree-tos"];

#[test]
fn given_the_one_liner_when_frozen_then_the_file_is_good_and_means_the_same() {
    let home = Home::new();

    let frozen = run(home.path(), &[&["init"], &ONE_LINER[..]].concat());
    assert!(frozen.status.success());
    fs::write(home.file(), &frozen.stdout).unwrap();

    let checked = run(home.path(), &["check", "--offline"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let of_file = values(&run(home.path(), &["config", "show", "--effective", "--json"]).stdout);
    let of_line =
        values(&run(home.path(), &[&["config", "show", "--effective", "--json"], &ONE_LINER[..]].concat()).stdout);
    assert_eq!(of_file, of_line);
    assert!(of_file.len() > 30, "{of_file:?}");
}

#[test]
fn given_no_flags_when_initialised_then_the_file_asks_for_the_agreement_and_nothing_else() {
    let home = Home::new();

    let frozen = run(home.path(), &["init"]);
    fs::write(home.file(), &frozen.stdout).unwrap();

    let checked = run(home.path(), &["check", "--offline"]);
    let words = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(words.contains("error[PV0402]") && words.contains("1 error\n"), "{words}");
    let refused = run(home.path(), &["init", "--domain", "https://x/", "--upstream", "http://127.0.0.1:1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("error[PV0201]") && refused.stdout.is_empty());
}

#[test]
fn given_a_variable_when_shown_then_its_value_is_not() {
    let stage = Stage::new();
    stage.home.configure("", &Stage::site_with("\"http://${HIDDEN_HOST}:1\""));

    for arguments in [&["config", "show"][..], &["config", "show", "--effective"], &["config", "show", "--json"]] {
        let output = command(stage.home.path()).args(arguments).env("HIDDEN_HOST", "localhost").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("http://${HIDDEN_HOST}:1"), "{text}");
        assert!(!text.contains("http://localhost"), "{text}");
    }
}

#[test]
fn given_shells_and_man_when_asked_then_they_get_their_scripts_and_pages() {
    let home = Home::new();

    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(home.path(), &["completions", shell]);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("explain"), "{shell}");
    }
    let script = home.path().join("completion.bash");
    fs::write(&script, run(home.path(), &["completions", "bash"]).stdout).unwrap();
    let read = std::process::Command::new("bash").arg("-n").arg(&script).status().unwrap();
    assert!(read.success(), "bash reads its script");
    assert!(String::from_utf8_lossy(&run(home.path(), &["man"]).stdout).contains(".TH portvakt 1"));
    assert!(run(home.path(), &["man", "--dir", "man1"]).status.success());
    assert!(home.path().join("man1/portvakt-config-show.1").exists());
}

#[test]
fn given_every_verb_when_helped_then_it_has_words_and_the_exit_codes_are_told() {
    let home = Home::new();
    let help = String::from_utf8(run(home.path(), &["help"]).stdout).unwrap();
    assert!(
        help.contains("Exit codes: 0 well, 1 a problem that was told, 2 a command line that makes no sense"),
        "{help}"
    );

    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<_> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() >= 12, "{verbs:?}");
    for verb in verbs {
        let output = run(home.path(), &["help", verb]);
        assert!(output.status.success(), "{verb}");
        let text = String::from_utf8(output.stdout).unwrap();
        let has_verbs_below = text.contains("Commands:");
        assert!(has_verbs_below || verb == "demo" || text.contains("Example"), "no example for {verb}:\n{text}");
    }
}

/// Keys and values, without their origin.
fn values(json: &[u8]) -> Vec<(String, String)> {
    let json: serde_json::Value = serde_json::from_slice(json).unwrap();
    let settings = json["settings"].as_array().unwrap();
    let mut all: Vec<_> = settings.iter().map(|it| (it["key"].to_string(), it["value"].to_string())).collect();
    all.sort();
    all
}
