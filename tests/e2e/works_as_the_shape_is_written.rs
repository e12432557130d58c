//! The shape of the configuration is fixed: `tests/data/shape.toml` works as written, with real peers behind each line.

use std::fs;
use std::time::Duration;

use crate::support::ca::Ca;
use crate::support::nginx::Nginx;
use crate::support::pebble::{Pebble, Settings};
use crate::support::{Curl, Echo, Home, raw};

#[test]
fn given_the_shape_when_only_its_ports_are_filled_in_then_every_line_of_it_holds() {
    let (home, plain) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings::on(home.http, home.https));
    let ca = Ca::new("legacy root");
    let legacy = Nginx::start_tls(&ca.issue(&["legacy.local"]));
    fs::copy(pebble.trust_anchors(), home.path().join("pebble.pem")).unwrap();
    ca.write(home.path().join("legacy-root.pem"));
    let mut text = include_str!("../data/shape.toml").to_owned();
    for (written, real) in [
        (":5002", home.http),
        (":5001", home.https),
        (":9464", home.admin),
        (":8080", plain.port()),
        (":8443", legacy.https),
    ] {
        text = text.replace(written, &format!(":{real}"));
    }
    text = text.replace("https://127.0.0.1:14000/dir", &pebble.directory());
    fs::write(home.file(), text).unwrap();

    let _portvakt = home.start();
    home.wait_certificate("m5.test", "issued", Duration::from_secs(90));

    let curl = || Curl::new().resolve("m5.test", home.https).cacert(&pebble.issued_root());
    let url = |path: &str| format!("https://m5.test:{}{path}", home.https);
    assert_eq!(curl().get(&url("/")).status, 200);
    assert_eq!(curl().get(&url("/api/x")).status, 200);
    let plain_http = |path: &str| raw::get(home.http, "m5.test", path).status;
    assert_eq!(["/", "/M5UserAPI/x", "/public/x"].map(plain_http), [301, 403, 200]);
}
