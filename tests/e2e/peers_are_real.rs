//! The servers and clients of these tests are real ones, and ours tell the truth about what they saw.

use std::fs;
use std::io::Write;

use crate::support::clock::PATIENCE;
use crate::support::echo::Checksum;
use crate::support::gate::Door;
use crate::support::load::{Load, Target};
use crate::support::openssl::s_client;
use crate::support::pebble::Settings;
use crate::support::tls::Client;
use crate::support::{Ca, Curl, Echo, Gate, Nginx, Pebble, eventually, raw};

#[test]
fn given_nginx_when_asked_by_http_and_https_then_it_tells_what_it_received() {
    let ca = Ca::new("peers");
    let nginx = Nginx::start_tls(&ca.issue(&["legacy.local"]));

    let plain = raw::get(nginx.http, "legacy.local", "/a?b");
    let root = ca.write(nginx.files().join("root.pem"));
    let url = format!("https://legacy.local:{}/", nginx.https);
    let encrypted = Curl::new().resolve("legacy.local", nginx.https).cacert(&root).get(&url);

    assert!(plain.text().contains("scheme=http sni= method=GET uri=/a?b host=legacy.local"), "{}", plain.text());
    assert!(encrypted.text().contains("scheme=https sni=legacy.local"), "{}", encrypted.text());
    assert_eq!(raw::get(nginx.http, "x", "/files/root.pem").body, fs::read(root).unwrap());
}

#[test]
fn given_pebble_when_started_then_it_has_no_accounts_and_serves_its_root() {
    let pebble = Pebble::start(Settings::on(1, 1));

    assert!(fs::read_to_string(pebble.issued_root()).unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0));
}

#[test]
fn given_an_untrusted_server_when_curl_calls_then_it_refuses_with_60() {
    let nginx = Nginx::start_tls(&Ca::new("one").issue(&["legacy.local"]));
    let other = Ca::new("other").write(nginx.files().join("other.pem"));

    let url = format!("https://legacy.local:{}/", nginx.https);
    let answer = Curl::new().resolve("legacy.local", nginx.https).cacert(&other).try_get(&url);

    assert_eq!(answer.unwrap_err().code, 60);
}

#[test]
fn given_a_handshake_when_openssl_looks_then_version_suite_and_chain_are_read() {
    let ca = Ca::new("peers");
    let nginx = Nginx::start_tls(&ca.issue(&["legacy.local"]));
    let root = ca.write(nginx.files().join("root.pem"));

    let root = root.to_str().unwrap();
    let seen = s_client(nginx.https, &["-servername", "legacy.local", "-tls1_2", "-CAfile", root]);

    assert!(seen.finished && seen.verified(), "{}", seen.text);
    assert_eq!((seen.version(), seen.certificates()), ("TLSv1.2", 1), "{}", seen.text);
    assert!(seen.cipher().contains("GCM"), "{}", seen.text);
}

#[test]
fn given_the_echo_server_when_spoken_to_then_bytes_bodies_and_connections_are_recorded() {
    let echo = Echo::start();
    let body = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let first = raw::request(
        echo.port(),
        &format!("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}"),
    );
    let second = raw::get(echo.port(), "b", "/x?y");
    let third = raw::get(echo.port(), "b", "/download/100000");

    assert_eq!(first.text(), format!("{}\n", Checksum::of(b"hello world")));
    assert_eq!(second.text(), "GET /x?y HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
    assert_eq!(Checksum::of(&third.body), Checksum::of_pattern(100_000));
    assert_eq!((echo.requests().len(), echo.connections(), echo.uploaded()), (3, 3, 11));
    assert_eq!(raw::exchange(echo.port(), b"GET /close HTTP/1.1\r\n\r\n"), raw::Outcome::Closed);
    assert_eq!(raw::exchange(echo.port(), b"GET /half HTTP/1.1\r\n\r\n"), raw::Outcome::Closed);
}

#[test]
fn given_a_held_gate_when_opened_then_the_visitor_gets_through() {
    let echo = Echo::start();
    let gate = Gate::before(echo.port(), Door::Held);
    let mut visitor = raw::connect(gate.port());
    visitor.write_all(b"GET /token HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();

    assert_eq!(gate.first_target(), "/token");
    assert!(echo.requests().is_empty());
    gate.set(Door::Open);

    assert_eq!(raw::receive(&mut visitor).status(), Some(200));
    gate.set(Door::Shut);
    assert_eq!(raw::exchange(gate.port(), b"GET / HTTP/1.1\r\n\r\n"), raw::Outcome::Closed);
}

#[test]
fn given_a_server_that_dies_under_load_when_reported_then_failures_are_counted() {
    let ca = Ca::new("peers");
    let nginx = Nginx::start_tls(&ca.issue(&["legacy.local"]));
    let client = Client::new(ca.roots()).share();
    let target = Target { port: nginx.https, name: "legacy.local".into(), path: "/".into(), client };

    let load = Load::start(&target, 1, 1);
    load.wait_for(20);
    drop(nginx);
    eventually("the load notices", PATIENCE, || (load.failures() > 0).then_some(()));
    let report = load.stop();

    assert!(!report.failures.is_empty());
    assert!(report.handshakes > 2 && report.requests >= 20);
}
