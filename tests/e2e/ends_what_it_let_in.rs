//! Who was let in by a certificate stays only for as long as it would let him in: over sessions, connections, WebSockets and
//! streams of events, when lists and trust anchors run out and when rules change.

use std::fs;
use std::io;
use std::path::PathBuf;

use rustls::HandshakeKind;
use tungstenite::{Message, WebSocket};

use crate::lets_users_in_by_certificate::{Scene, of, write_crl};
use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::tls::{Client, Shared, Stream, connect, exchange};
use crate::support::{Ca, Leaf, Portvakt, eventually};

const ASK: &str = "GET /x HTTP/1.1\r\nHost: m5.test\r\n\r\n";

#[test]
fn given_a_list_that_runs_out_when_nobody_reloads_then_neither_sessions_nor_connections_get_in() {
    for version in VERSIONS {
        let scene = Scene::new();
        write_crl(&scene, &[], 1);
        let (clock, portvakt) = by_clock(&scene, "mode = \"require\"\ncrl = \"staff.crl\"");
        runs_out(&scene, version, &clock, || {
            portvakt.child.wait_line("that is told", |line| line.contains("the list of revoked clients is old"));
        });
        let metrics = scene.stage.home.metrics();
        let labels = [("site", "m5.test"), ("file", "staff.crl")];
        let [made, due] = ["this", "next"]
            .map(|word| metrics.one(&format!("portvakt_client_crl_{word}_update_timestamp_seconds"), &labels));
        assert_eq!(due - made, 4.0 * 86_400.0);
    }
}

#[test]
fn given_a_trust_anchor_that_runs_out_when_nobody_reloads_then_neither_sessions_nor_connections_get_in() {
    for version in VERSIONS {
        let scene = Scene::by(Ca::ending_in("Staff CA", 1));
        let (clock, portvakt) = by_clock(&scene, "mode = \"accept\"\npaths = { \"/x\" = \"require\" }");
        runs_out(&scene, version, &clock, || {
            portvakt.child.wait_line("that is told", |line| line.contains("a trust anchor of clients has expired"));
        });
        let labels = [("cert", "m5.test"), ("role", "client_ca")];
        assert!(scene.stage.home.metrics().one("portvakt_certificate_not_after_timestamp_seconds", &labels) > 0.0);
    }
}

/// A CA publishes a list each day; nobody has to sign in again for that.
#[test]
fn given_a_new_list_when_reloaded_then_whom_it_names_is_out_at_once_and_everybody_else_stays() {
    let (scene, portvakt) = running_with_list();
    let bert = scene.staff.issue_as(&["bert.staff.test"], DAY, &|params| of(params, "bert@staff.test"));
    let [anna, bert] = [&scene.anna, &bert].map(|leaf| client(&scene, leaf));
    let [mut of_anna, mut of_bert] = [&anna, &bert].map(|client| open(&scene, client));
    let [mut kept_anna, mut kept_bert] = [&anna, &bert].map(|client| kept(&scene, client));
    let events = std::thread::scope(|scope| {
        let events = scope.spawn(|| scene.curl_as("anna").with(&["--http2", "-N"]).try_get(&scene.stage.url("/drip")));
        eventually("events flow", PATIENCE, || {
            scene.stage.echo.requests().iter().any(|request| request.target() == "/drip").then_some(())
        });
        write_crl(&scene, &[&scene.anna], 20);
        assert!(portvakt.reload(&scene.stage.home));
        events.join().unwrap()
    });

    assert!(events.is_err(), "they were to have an end");
    assert!(is_ended(&mut of_anna));
    let refused = exchange(&mut kept_anna, ASK).unwrap();
    assert_eq!((refused.status, refused.closes()), (421, true));
    assert!(connect(&anna, scene.stage.home.https, "m5.test").and_then(|mut it| exchange(&mut it, ASK)).is_err());
    eventually("each is counted", PATIENCE, || (scene.refusals("before_a_change") >= 3.0).then_some(()));

    assert_eq!(exchange(&mut kept_bert, ASK).unwrap().status, 200, "not asked anew");
    of_bert.send(Message::text("hej")).unwrap();
    assert_eq!(of_bert.read().unwrap(), Message::text("hej"));
}

#[test]
fn given_a_websocket_of_nobody_when_certificates_are_required_then_it_is_ended() {
    let scene = Scene::new();
    scene.stage.configure("", "");
    let portvakt = scene.stage.home.start();
    let nobody = Client::new(scene.stage.ca.roots()).share();
    let mut socket = open(&scene, &nobody);
    scene.configure("mode = \"accept\"");
    assert!(portvakt.reload(&scene.stage.home));

    assert!(is_ended(&mut socket), "asked for nothing, it might have something to show");

    let mut socket = open(&scene, &nobody);
    scene.configure("mode = \"accept\"\npaths = { \"/ws\" = \"require\" }");
    assert!(portvakt.reload(&scene.stage.home));
    assert!(is_ended(&mut socket));
    eventually("it says why", PATIENCE, || (scene.refusals("missing") >= 1.0).then_some(()));
}

#[test]
fn given_a_list_that_is_gone_or_of_another_kind_when_reloaded_then_refused_and_the_one_before_counts_on() {
    let (scene, portvakt) = running_with_list();
    let url = scene.stage.url("/x");
    write_crl(&scene, &[&scene.anna], 30);
    assert!(portvakt.reload(&scene.stage.home));
    assert!(scene.curl_as("anna").try_get(&url).is_err());

    fs::remove_file(scene.file("staff.crl")).unwrap();
    assert!(!portvakt.reload(&scene.stage.home));
    assert!(scene.curl_as("anna").try_get(&url).is_err(), "revoked as before");

    // A list by somebody else who calls himself the same revokes nobody, and nobody is let in by it.
    let forged = Ca::new("Staff CA").crl(&[], 30);
    crate::support::ca::replace(&scene.file("staff.crl"), &forged);
    assert!(portvakt.reload(&scene.stage.home));
    assert!(scene.curl_as("anna").try_get(&url).is_err());
    scene.stage.home.wait_metrics("each is counted", PATIENCE, |metrics| {
        let bad = metrics.sum("portvakt_tls_handshake_failures_total", &[("reason", "bad_client_cert")]);
        (bad >= 3.0).then_some(())
    });

    // Of two lists of one issuer the newer one counts, wherever it stands.
    let newer = scene.staff.crl(&[&scene.anna], 30);
    let older = scene.staff.crl_made(10, &[], 30);
    for lists in [format!("{older}{newer}"), format!("{newer}{older}")] {
        crate::support::ca::replace(&scene.file("staff.crl"), &lists);
        assert!(portvakt.reload(&scene.stage.home));
        assert!(scene.curl_as("anna").try_get(&url).is_err());
    }
    crate::support::ca::replace(&scene.file("staff.crl"), &scene.staff.crl(&[], 30));
    assert!(portvakt.reload(&scene.stage.home));
    assert_eq!(scene.curl_as("anna").get(&url).status, 200);
}

#[test]
fn given_a_path_that_asks_for_a_certificate_when_explained_then_told() {
    let scene = Scene::new();
    scene.configure("mode = \"accept\"\npaths = { \"/admin/\" = \"require\" }\npass_on = \"X-Client\"");
    let explain = |path: &str| {
        let output =
            run(scene.stage.home.path(), &["explain", &format!("https://m5.test{path}"), "--config", "portvakt.toml"]);
        String::from_utf8(output.stdout).unwrap()
    };

    let told = explain("/admin/x");
    assert!(told.contains("client      certificate required here: without one the answer is 403"), "{told}");
    let told = explain("/x");
    assert!(told.contains("client      certificate may be shown here; handed on as x-client"), "{told}");
}

/// Sessions and a connection from before, and a clock that goes over the end of what is believed, and back.
fn runs_out(
    scene: &Scene,
    version: &'static rustls::SupportedProtocolVersion,
    clock: &PathBuf,
    meanwhile: impl FnOnce(),
) {
    let client = Client::with_versions(scene.stage.ca.roots(), &[version]).resuming().showing(&scene.anna).share();
    let go = || -> io::Result<(u16, Option<HandshakeKind>)> {
        let mut stream = connect(&client, scene.stage.home.https, "m5.test")?;
        let reply = exchange(&mut stream, ASK)?;
        Ok((reply.status, stream.conn.handshake_kind()))
    };
    let mut open = kept(scene, &client);
    assert_eq!(go().unwrap(), (200, Some(HandshakeKind::Resumed)), "tickets work");

    fs::write(clock, "+2d\n").unwrap();

    let refused = eventually("an open connection is refused", PATIENCE, || {
        Some(exchange(&mut open, ASK).unwrap()).filter(|reply| reply.status != 200)
    });
    assert_eq!((refused.status, refused.closes()), (421, true), "{}", refused.text());
    let error = go().expect_err("neither by a session").to_string();
    assert!(error.contains("alert"), "the handshake says so: {error}");
    assert!(scene.curl_as("anna").try_get(&scene.stage.url("/x")).is_err(), "nor anew");
    assert!(scene.refusals("before_a_change") >= 1.0);
    meanwhile();

    fs::write(clock, "+0\n").unwrap();
    eventually("let in by the right time", PATIENCE, || go().ok().filter(|(status, _)| *status == 200));
}

/// portvakt, by a clock that the file sets.
fn by_clock(scene: &Scene, keys: &str) -> (PathBuf, Portvakt) {
    scene.configure(keys);
    let clock = scene.file("clock");
    fs::write(&clock, "+0\n").unwrap();
    let home = &scene.stage.home;
    (clock.clone(), home.start_as(&mut home.command_by_clock(&clock)))
}

fn running_with_list() -> (Scene, Portvakt) {
    let scene = Scene::new();
    write_crl(&scene, &[], 30);
    scene.configure("mode = \"require\"\ncrl = \"staff.crl\"");
    let portvakt = scene.stage.home.start();
    (scene, portvakt)
}

fn client(scene: &Scene, leaf: &Leaf) -> Shared {
    Client::new(scene.stage.ca.roots()).showing(leaf).share()
}

/// A connection that has carried a request.
fn kept(scene: &Scene, client: &Shared) -> Stream {
    let mut stream = connect(client, scene.stage.home.https, "m5.test").unwrap();
    assert_eq!(exchange(&mut stream, ASK).unwrap().status, 200);
    stream
}

fn open(scene: &Scene, client: &Shared) -> WebSocket<Stream> {
    let stream = connect(client, scene.stage.home.https, "m5.test").unwrap();
    let (mut socket, _) = tungstenite::client("wss://m5.test/ws", stream).unwrap();
    socket.send(Message::text("hej")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("hej"));
    socket
}

/// By the other side, not by our patience.
fn is_ended(socket: &mut WebSocket<Stream>) -> bool {
    match socket.read() {
        Ok(message) => panic!("it lives: {message}"),
        Err(tungstenite::Error::Io(error)) => {
            !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        }
        Err(_) => true,
    }
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
