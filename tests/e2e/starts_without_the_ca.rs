//! The start waits for nobody: with the CA down a marked placeholder serves, and the program is ready.

use std::time::Duration;

use crate::support::clock::PATIENCE;
use crate::support::openssl::s_client;
use crate::support::pebble::Settings;
use crate::support::ports::free_port;
use crate::support::{Curl, Echo, Home, Pebble, raw};

#[test]
fn given_the_ca_is_down_when_started_then_ready_with_a_loud_placeholder() {
    let (home, pebble, _echo) = scene();

    let portvakt = home.start();

    let url = format!("https://m5.test:{}/", home.https);
    assert_eq!(Curl::new().resolve("m5.test", home.https).with(&["-k"]).get(&url).status, 200);
    assert_eq!(Curl::new().resolve("m5.test", home.https).try_get(&url).unwrap_err().code, 60);
    assert!(s_client(home.https, &["-servername", "m5.test"]).text.to_lowercase().contains("placeholder"));
    home.wait_certificate("m5.test", "placeholder", PATIENCE);
    assert_eq!(home.admin("/livez").status, 200);
    assert_eq!(home.admin("/readyz").status, 200);
    assert_eq!(home.admin("/readyz?cert=strict").status, 503);
    portvakt.child.wait_line("that a placeholder serves", |line| {
        line.contains("m5.test") && line.to_lowercase().contains("placeholder")
    });
    drop(pebble);
}

#[test]
fn given_a_ca_that_accepts_and_says_nothing_when_started_then_ready_all_the_same() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (home, pebble, _echo) = scene();
    let silent = format!("https://127.0.0.1:{}/dir", silent.local_addr().unwrap().port());
    let text = std::fs::read_to_string(home.file()).unwrap().replace(&pebble.directory(), &silent);
    std::fs::write(home.file(), text).unwrap();

    let _portvakt = home.start();

    let failures = home.metrics().sum("portvakt_acme_failures_total", &[("cert", "m5.test")]);
    assert_eq!(failures, 0.0, "it is waited for still");
    assert_eq!(raw::get(home.http, "m5.test", "/").status, 302);
}

#[test]
#[ignore = "long: waits out the first backoff of a minute and more"]
fn given_the_ca_comes_up_later_when_its_time_has_come_then_issued() {
    let (home, mut pebble, _echo) = scene();
    let _portvakt = home.start();
    home.wait_metrics("the first attempt has failed", PATIENCE, |metrics| {
        (metrics.sum("portvakt_acme_failures_total", &[("cert", "m5.test")]) > 0.0).then_some(())
    });

    pebble.go();

    home.wait_certificate("m5.test", "issued", Duration::from_secs(240));
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
}

#[test]
fn given_the_ca_is_down_when_terminated_then_it_ends_with_0() {
    let (home, _pebble, _echo) = scene();
    let mut portvakt = home.start();

    assert!(portvakt.terminate().success());
}

#[test]
fn given_a_directory_on_a_closed_port_when_the_upstream_is_down_too_then_still_ready() {
    let home = Home::new();
    let (directory, upstream) = (free_port(), free_port());
    home.configure(
        "",
        &format!(
            "[acme]\ndirectory = \"https://127.0.0.1:{directory}/dir\"\nagree_tos = true\n\
             [[site]]\ndomain = \"m5.test\"\nupstream = \"http://127.0.0.1:{upstream}\"\n"
        ),
    );

    let _portvakt = home.start();

    assert_eq!(home.admin("/readyz").status, 200);
}

/// portvakt configured for a CA that is not there.
fn scene() -> (Home, Pebble, Echo) {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::stopped(Settings::on(home.http, home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    home.configure("", &format!("{}{site}", pebble.acme_section()));
    (home, pebble, echo)
}
