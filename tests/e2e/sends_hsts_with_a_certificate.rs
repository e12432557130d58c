//! Strict-Transport-Security is sent where it was asked for, and only once a CA's certificate serves.

use std::time::Duration;

use crate::support::gate::Door;
use crate::support::pebble::Settings;
use crate::support::{Curl, Echo, Gate, Home, Pebble};

#[test]
fn given_hsts_when_the_certificate_comes_then_it_is_sent_from_then_on() {
    let (home, echo) = (Home::new(), Echo::start());
    let gate = Gate::before(home.http, Door::Held);
    let pebble = Pebble::start(Settings::on(gate.port(), home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    let rules = "hsts = { max_age = \"180d\" }\nhttps = { mode = \"permanent\" }\n";
    home.configure("", &format!("{}challenges = [\"http-01\"]\n{site}{rules}", pebble.acme_section()));
    let _portvakt = home.start();
    gate.first_target();
    let url = format!("https://m5.test:{}/", home.https);
    let hsts = || {
        let answer = Curl::new().resolve("m5.test", home.https).with(&["-k"]).get(&url);
        answer.header("strict-transport-security").map(str::to_owned)
    };

    assert_eq!(hsts(), None, "a placeholder serves");
    gate.set(Door::Open);
    home.wait_certificate("m5.test", "issued", Duration::from_secs(90));

    assert_eq!(hsts().as_deref(), Some("max-age=15552000"));
}
