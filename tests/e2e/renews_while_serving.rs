//! A certificate is renewed by a real CA while clients shake hands: none of them notices.

use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::load::{Load, Target};
use crate::support::pebble::Settings;
use crate::support::tls::{Client, served};
use crate::support::{Echo, Home, Pebble, eventually, tls};

#[test]
fn given_load_when_the_ca_renews_then_no_handshake_and_no_request_fails() {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings::on(home.http, home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    home.configure("", &format!("{}{site}", pebble.acme_section()));
    let _portvakt = home.start();
    home.wait_certificate("m5.test", "issued", PATIENCE);
    let first = served(home.https, "m5.test").unwrap();

    let client = Client::new(pebble.issued_roots()).alpn(&["http/1.1"]).share();
    let target = Target { port: home.https, name: "m5.test".into(), path: "/".into(), client };
    let mut old = tls::connect(&target.client, home.https, "m5.test").unwrap();
    let load = Load::start(&target, 2, 2);
    load.wait_for(20);
    // One whose life runs out while a busy machine is slow would fail for another reason.
    let ordered = run(home.path(), &["cert", "renew", "m5.test", "--config", "portvakt.toml"]);
    assert!(ordered.status.success(), "{}", String::from_utf8_lossy(&ordered.stderr));
    eventually("another certificate is served", PATIENCE, || {
        (served(home.https, "m5.test").ok()? != first).then_some(())
    });
    load.wait_for(20);

    load.stop().assert_flawless();
    let request = "GET /old HTTP/1.1\r\nHost: m5.test\r\n\r\n";
    assert_eq!(tls::exchange(&mut old, request).unwrap().status, 200, "a connection of before lives on");
    let renewed = [("cert", "m5.test"), ("kind", "renew"), ("result", "ok")];
    home.wait_metrics("the renewal is counted", PATIENCE, |metrics| {
        (metrics.sum("portvakt_acme_attempts_total", &renewed) >= 1.0).then_some(())
    });
    assert_eq!(pebble.accounts(), 1);
}
