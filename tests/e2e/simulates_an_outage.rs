//! An operator asks what an outage of the CA would do to his own certificates, and gets an answer before it happens.

use std::fs;

use crate::support::home::{Home, run};

const CONFIG: &str = r#"
state_dir = "state"
[acme]
agree_tos = true
[[site]]
domain = "app.example.com"
upstream = "http://127.0.0.1:8080"
"#;

fn simulate(home: &Home, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = ["simulate"].iter().chain(arguments).copied().collect();
    let output = run(home.path(), &arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn home() -> Home {
    let home = Home::new();
    fs::write(home.path().join("portvakt.toml"), CONFIG).unwrap();
    home
}

#[test]
fn given_a_configuration_when_the_ca_is_away_then_the_answer_stands_on_top_and_nothing_is_written() {
    let home = home();

    let (code, text, error) = simulate(&home, &["--ca-outage", "5d"]);

    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert!(
        text.starts_with("The certificate survives.\nacme-v02.api.letsencrypt.org is away for 5 d, from "),
        "{text}"
    );
    assert!(text.contains("app.example.com: lifetime "), "{text}");
    assert!(text.contains("PortvaktAcmeFailing (warning)"), "{text}");
    assert!(!home.path().join("state").exists(), "nothing is written");
    assert_eq!(simulate(&home, &["--ca-outage", "5d"]).1.lines().count(), text.lines().count());
}

#[test]
fn given_short_lives_when_the_ca_is_away_longer_then_exit_code_one_and_json_says_which() {
    let home = home();

    let (code, text, _) = simulate(&home, &["--ca-outage", "2d", "--lifetime", "24h", "--days", "10", "--json"]);

    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["survives"], false);
    assert_eq!(report["certificates"][0]["name"], "app.example.com");
    assert!(report["certificates"][0]["lapses"][0]["until"].is_string(), "{text}");
    let alerts = report["alerts"].to_string();
    assert!(alerts.contains("PortvaktCertificateExpired"), "{alerts}");
}

#[test]
fn given_what_makes_no_sense_when_asked_then_a_clear_error() {
    let home = home();
    let internal =
        CONFIG.replace("[acme]\nagree_tos = true\n", "").replace("upstream", "certificate = \"internal\"\nupstream");
    fs::write(home.path().join("internal.toml"), internal).unwrap();
    let table: [(&[&str], i32, &str); 6] = [
        (&[], 2, "--ca-outage"),
        (&["--ca-outage", "5"], 2, "it has no unit"),
        (&["--ca-outage", "5d", "--from", "soon"], 2, "expected a day such as `2027-01-20`"),
        (&["--ca-outage", "5d", "--from", "2001-01-01"], 2, "lies in the past"),
        (
            &["--ca-outage", "5d", "--config", "internal.toml"],
            1,
            "no certificate of this configuration comes from a CA by ACME",
        ),
        (&["--ca-outage", "5d", "--config", "missing.toml"], 1, "missing.toml"),
    ];
    for (arguments, expected, words) in table {
        let (code, _, error) = simulate(&home, arguments);
        assert_eq!(code, Some(expected), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn given_a_small_fleet_when_its_luck_is_played_then_clean_and_the_same_again() {
    let home = home();
    let fleet = ["--fleet", "8", "--days", "30", "--seed", "5"];
    let (code, text, _) = simulate(&home, &fleet);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("seed 5: 8 certificates, 30 days, ") && text.contains("violations: 0"), "{text}");
    assert_eq!(simulate(&home, &fleet).1, text);
}

/// What CI runs: about five minutes of the two cores that it has.
#[test]
#[ignore = "long: a year of two hundred certificates, twice"]
fn given_a_fleet_when_its_luck_is_played_for_a_year_then_nothing_happens_that_should_not() {
    let home = home();
    for seed in ["1", "2"] {
        let (code, text, error) = simulate(&home, &["--fleet", "200", "--days", "365", "--seed", seed]);
        println!("{text}");
        assert_eq!(code, Some(0), "{text}{error}");
    }
}
