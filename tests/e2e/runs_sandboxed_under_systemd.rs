//! The unit is as closed as it says, and keys that belong to root reach portvakt as credentials.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::egress_stage::{RULES, WayOut};
use crate::support::bankid::{MODERN, PASSWORD};
use crate::support::home::run;
use crate::support::podman::deploy;
use crate::support::{Ca, Curl, Echo};

#[test]
fn given_the_unit_when_analyzed_then_it_is_exposed_no_more_than_it_states() {
    let unit = fs::read_to_string(deploy("portvakt.service")).unwrap();
    let stated = unit.split("exposure ").nth(1).unwrap().split(". ").next().unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--no-pager", "--offline=true"]).arg(deploy("portvakt.service"));

    let output = analyze.output().expect("systemd-analyze: apt-get install systemd");

    let told = String::from_utf8_lossy(&output.stdout);
    let line = told.lines().find(|line| line.contains("Overall exposure level")).expect("a verdict");
    let measured = line.split(": ").nth(1).unwrap().split(' ').next().unwrap();
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{text}"));
    assert!(number(measured) <= number(stated) && number(stated) < 2.0, "stated {stated}: {line}");
}

#[test]
fn given_the_credentials_when_the_unit_is_verified_then_systemd_finds_no_fault() {
    let dir = TempDir::new().unwrap();
    let unit = fs::read_to_string(deploy("portvakt.service")).unwrap();
    fs::write(
        dir.path().join("portvakt.service"),
        unit.replace("/usr/local/bin/portvakt", env!("CARGO_BIN_EXE_portvakt")),
    )
    .unwrap();
    fs::create_dir(dir.path().join("portvakt.service.d")).unwrap();
    let credentials = fs::read_to_string(deploy("portvakt.service.d/credentials.conf")).unwrap();
    let place = dir.path().join("portvakt.service.d/credentials.conf");
    let verify = || {
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "./portvakt.service"]).current_dir(dir.path());
        let output = verify.env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display())).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        told.lines().filter(|line| line.contains("credentials.conf")).map(str::to_owned).collect::<Vec<_>>()
    };

    fs::write(&place, &credentials).unwrap();
    assert_eq!(verify(), [""; 0]);
    fs::write(&place, credentials.replace("LoadCredential=site", "LoadCredentials=site")).unwrap();
    assert_eq!(verify().len(), 1, "the file is looked at");
}

/// The lines that the file shows, in a configuration; the folder is made by us in systemd's place.
#[test]
fn given_the_lines_that_the_file_shows_when_run_then_keys_come_from_the_credentials() {
    let (way, ca, echo) = (WayOut::new(), Ca::new("root of the test"), Echo::start());
    let (home, credentials) = (&way.home, TempDir::new().unwrap());
    ca.issue(&["m5.test"]).write(home.path(), "site");
    fs::rename(home.path().join("site.key"), credentials.path().join("site.key")).unwrap();
    fs::copy(MODERN.path(), credentials.path().join("rp.p12")).unwrap();
    fs::write(credentials.path().join("rp.pass"), PASSWORD).unwrap();
    let file = fs::read_to_string(deploy("portvakt.service.d/credentials.conf")).unwrap();
    let shown = |key: &str| {
        let line = file.lines().find_map(|line| line.trim_start_matches("# ").trim().strip_prefix(key)).expect(key);
        format!("{key}{line}\n").replace("/etc/portvakt/site.pem", "site.pem")
    };
    for loaded in file.lines().filter_map(|line| line.strip_prefix("LoadCredential=")) {
        let name = loaded.split(':').next().unwrap();
        assert!(
            credentials.path().join(name).exists() && file.contains(&format!("${{CREDENTIALS_DIRECTORY}}/{name}\"")),
            "{name}"
        );
    }
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = {:?}\n{}", echo.url(), shown("certificate"));
    home.configure("", &format!("{site}{}", way.egress(&format!("{RULES}{}", shown("identity")))));

    let without = run(home.path(), &["check", "--config", "portvakt.toml"]);
    assert!(String::from_utf8_lossy(&without.stderr).contains("CREDENTIALS_DIRECTORY"), "it is missing here");
    let _portvakt = home.start_as(home.command().env("CREDENTIALS_DIRECTORY", credentials.path()));

    let curl = Curl::new().resolve("m5.test", home.https).cacert(&ca.write(home.path().join("root.pem")));
    assert_eq!(curl.get(&format!("https://m5.test:{}/", home.https)).status, 200);
    way.auth();
}
