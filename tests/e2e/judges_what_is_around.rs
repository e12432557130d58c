//! The verdict knows what is around the machine: its clock, services outside that nobody reaches or believes, and lists of revoked
//! clients; in `/status.json` and `portvakt status` alike, and no longer than it is so.

use std::fs;

use serde_json::Value;

use crate::egress_stage::{RULES, WayOut};
use crate::lets_users_in_by_certificate::{Scene, write_crl};
use crate::support::clock::{PATIENCE, eventually};
use crate::support::home::run;
use crate::support::pebble::Settings;
use crate::support::ports::free_port;
use crate::support::{Ca, Echo, Home, Pebble};

#[test]
fn given_a_clock_that_is_fast_when_a_ca_answers_then_told_until_it_is_set() {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings::on(home.http, home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    home.configure("", &format!("{}{site}", pebble.acme_section()));
    let clock = home.path().join("clock");
    fs::write(&clock, "+2h\n").unwrap();
    let _portvakt = home.start_as(&mut home.command_by_clock(&clock));

    let told = wait_problem(&home, "clock_wrong");

    assert_eq!((told["level"].as_str(), told["code"].as_str()), (Some("mend"), Some("PV0295")));
    let what = told["what"].as_str().expect("words");
    assert!(
        what.starts_with("The clock of this machine is 119 minutes fast") || what.contains("2 hours fast"),
        "{what}"
    );
    fs::write(&clock, "+0\n").unwrap();
    wait_well(&home, "clock_wrong");
}

#[test]
fn given_a_service_outside_when_nobody_is_there_or_another_then_told_until_it_answers() {
    let way = WayOut::new();
    Ca::new("another root").write(way.home.path().join("another.pem"));
    let nowhere = format!("destination = \"https://127.0.0.1:{}\"\n{RULES}", free_port());
    way.configure("", &nowhere);
    let portvakt = way.home.start();
    assert!(problem(&way.home, "egress_unreachable").is_none(), "nobody has called it");

    way.post("auth", crate::egress_stage::AUTH);
    let told = wait_problem(&way.home, "egress_unreachable");
    assert_eq!((told["level"].as_str(), told["about"].as_str()), (Some("broken"), Some("bankid")));
    let text = run(way.home.path(), &["status", "--config", "portvakt.toml"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("what         The service cannot be reached: calls to it fail"), "{text}");

    way.configure("", &format!("trust_anchors = \"another.pem\"\n{RULES}"));
    assert!(portvakt.reload(&way.home));
    wait_well(&way.home, "egress_unreachable");
    way.post("auth", crate::egress_stage::AUTH);
    assert_eq!(wait_problem(&way.home, "egress_not_believed")["code"], "PV0436");

    way.configure("", RULES);
    assert!(portvakt.reload(&way.home));
    way.auth();
    wait_well(&way.home, "egress_not_believed");
    assert_eq!(status(&way.home)["egress"][0]["last_call"]["answered"], true);
}

#[test]
fn given_a_list_of_revoked_clients_when_it_is_old_then_told_as_what_follows_from_it() {
    let scene = Scene::new();
    write_crl(&scene, &[], -1);
    let keys = "mode = \"require\"\ncrl = \"staff.crl\"";
    let home = &scene.stage.home;
    scene.configure(keys);
    let portvakt = home.start();

    let told = wait_problem(home, "client_crl_old");

    assert_eq!((told["level"].as_str(), told["code"].as_str()), (Some("broken"), Some("PV0441")));
    scene.configure(&format!("{keys}\nexpired_crl = \"accept\""));
    assert!(portvakt.reload(home));
    assert_eq!(wait_problem(home, "client_crl_old")["level"], "mend");
    write_crl(&scene, &[], 20);
    scene.configure(keys);
    assert!(portvakt.reload(home));
    wait_well(home, "client_crl_old");
}

fn status(home: &Home) -> Value {
    serde_json::from_slice(&home.admin("/status.json").body).expect("JSON")
}

fn problem(home: &Home, matter: &str) -> Option<Value> {
    status(home)["problems"].as_array()?.iter().find(|problem| problem["matter"] == matter).cloned()
}

fn wait_problem(home: &Home, matter: &str) -> Value {
    eventually(matter, PATIENCE, || problem(home, matter))
}

fn wait_well(home: &Home, matter: &str) {
    eventually(&format!("no {matter}"), PATIENCE, || problem(home, matter).is_none().then_some(()));
}
