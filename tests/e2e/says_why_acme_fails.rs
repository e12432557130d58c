//! When the CA gives no certificate, the log, the status and the metrics say why in plain words, and what to do.

use std::fs;

use serde_json::Value;

use crate::support::clock::PATIENCE;
use crate::support::pebble::Settings;
use crate::support::{Ca, Echo, Home, Pebble, eventually};

#[test]
fn given_foreign_trust_anchors_when_ordered_then_they_are_named_as_the_cause() {
    let scene = Scene::new();
    Ca::new("somebody else").write(scene.pebble.trust_anchors());
    let portvakt = scene.home.start();

    let error = scene.last_error();

    assert!(error.contains("UnknownIssuer"), "{error}");
    assert!(error.contains("`acme.trust_anchors`") && !error.contains("way out"), "{error}");
    portvakt.child.wait_line("the cause and its mend", |line| {
        line.contains("UnknownIssuer") && line.contains("acme.trust_anchors") && line.contains("m5.test")
    });
    assert!(scene.home.admin("/").text().contains("acme.trust_anchors"));
    assert!(error.contains("portvakt help PV0290"), "{error}");
    let failures = [("cert", "m5.test"), ("reason", "network")];
    assert_eq!(scene.home.metrics().sum("portvakt_acme_failures_total", &failures), 1.0);
}

#[test]
fn given_a_directory_that_is_no_acme_server_when_ordered_then_that_is_said() {
    let scene = Scene::new();
    let text = fs::read_to_string(scene.home.file()).unwrap();
    fs::write(scene.home.file(), text.replace("/dir\"", "/directory\"")).unwrap();
    let _portvakt = scene.home.start();

    let error = scene.last_error();

    assert!(error.contains("404") && error.contains("is it an ACME server?"), "{error}");
    assert!(error.contains("`acme.directory`") && error.contains("PV0288"), "{error}");
}

#[test]
fn given_a_state_directory_that_refuses_when_ordered_then_served_all_the_same_and_said() {
    let scene = Scene::new();
    // A file where the folder of the certificate is to be: works for every user, root included.
    fs::create_dir_all(scene.home.state().join("certs")).unwrap();
    fs::write(scene.home.state().join("certs/m5.test"), "").unwrap();
    let _portvakt = scene.home.start();

    let error = scene.last_error();

    assert!(error.contains("certs/m5.test") && error.contains("move it away"), "{error}");
    assert_eq!(scene.home.admin("/readyz").status, 200);
    assert_eq!(scene.pebble.orders(), 0, "nothing is ordered that cannot be kept");
}

#[test]
fn given_an_account_when_registered_then_the_status_names_it() {
    let scene = Scene::new();
    let _portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);

    let account = &scene.status()["acme"][0]["account"];

    assert!(account.as_str().is_some_and(|url| url.starts_with("https://127.0.0.1:")), "{account}");
}

struct Scene {
    home: Home,
    pebble: Pebble,
    _echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings::on(home.http, home.https));
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}{site}", pebble.acme_section()));
        Self { home, pebble, _echo: echo }
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON")
    }

    /// Waits for the first failure, as the status tells it.
    fn last_error(&self) -> String {
        eventually("an error is told", PATIENCE, || {
            Some(self.status()["certificates"][0]["last_error"].as_str()?.to_owned())
        })
    }
}
