//! Several servers behind one route: while one of them lives, no request that may be repeated fails.

use std::io::Write;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::load::Load;
use crate::support::ports::free_port;
use crate::support::raw::Reply;
use crate::support::{Ca, Echo, Nginx, eventually, raw, tls};

#[test]
fn given_load_when_servers_are_killed_and_started_then_no_get_fails() {
    let (mut first, mut second) = (Nginx::start(), Nginx::start());
    let (stage, _portvakt) = behind(&format!("{{ urls = {:?} }}", [url(first.http), url(second.http)]));
    let load = Load::start(&stage.target("/x"), 2, 2);

    for _ in 0..2 {
        for nginx in [&mut first, &mut second] {
            load.wait_for(100);
            nginx.stop();
            load.wait_for(100);
            nginx.start_again();
            // Only then may the other one go.
            wait_healthy(&stage, nginx.http, 1.0);
        }
    }

    load.stop().assert_flawless();
}

#[test]
fn given_a_dead_server_when_posted_then_the_other_takes_it_and_no_byte_is_sent_twice() {
    let dead = free_port();
    let stage = Stage::new();
    stage.home.configure("", &Stage::site_with(&format!("{{ urls = {:?} }}", [url(dead), stage.echo.url()])));
    let portvakt = stage.home.start();

    for _ in 0..10 {
        let reply = stage.request("POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(reply.status, 200);
    }

    assert_eq!(stage.echo.requests().len(), 10);
    portvakt.child.wait_line("which one is left out", |line| line.contains(&format!("peer=\"127.0.0.1:{dead}\"")));
    let metrics = stage.home.metrics();
    assert_eq!(metrics.sum("portvakt_upstream_peer_healthy", &[("peer", &format!("127.0.0.1:{dead}"))]), 0.0);
    assert_eq!(metrics.sum("portvakt_upstream_healthy", &[]), 1.0, "one is left");
}

#[test]
fn given_a_server_that_closes_without_an_answer_when_another_is_left_then_a_get_goes_there_and_a_post_does_not() {
    let (stage, other) = (Stage::new(), Echo::start());
    stage.home.configure("", &Stage::site_with(&format!("{{ urls = {:?} }}", [other.url(), stage.echo.url()])));
    let _portvakt = stage.home.start();
    let seen = || stage.echo.requests().len() + other.requests().len();

    assert_eq!(stage.request("POST /close HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello").status, 502);
    assert_eq!(seen(), 1);

    assert_eq!(stage.get("/close").status, 502);
    assert!((3..=4).contains(&seen()), "both were asked, and at most three times: {}", seen());
}

#[test]
fn given_a_busy_server_when_more_requests_come_then_the_idle_one_takes_them() {
    let (stage, other) = (Stage::new(), Echo::start());
    stage.home.configure("", &Stage::site_with(&format!("{{ urls = {:?} }}", [other.url(), stage.echo.url()])));
    let _portvakt = stage.home.start();
    let mut held = stage.connect();
    held.write_all(b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("it is held", PATIENCE, || (stage.echo.requests().len() + other.requests().len() == 1).then_some(()));
    let (busy, idle) = if other.requests().is_empty() { (&stage.echo, &other) } else { (&other, &stage.echo) };

    (0..10).for_each(|_| assert_eq!(stage.get("/x").status, 200));

    let (of_busy, of_idle) = (busy.requests().len(), idle.requests().len());
    // A request may come before the place of the one before is free.
    assert!(of_busy <= 2 && of_busy + of_idle == 11, "{of_busy} {of_idle}");
    busy.release();
    assert_eq!(raw::read_reply(&mut held).unwrap().status, 200);
}

#[test]
fn given_a_client_that_authenticated_when_it_goes_on_then_it_stays_with_its_server() {
    let (stage, other) = (Stage::new(), Echo::start());
    stage.home.configure("", &Stage::site_with(&format!("{{ urls = {:?} }}", [other.url(), stage.echo.url()])));
    let _portvakt = stage.home.start();
    let mut alice = stage.connect();
    assert_eq!(ask(&mut alice, "Authorization: NTLM alice\r\n").text(), "alice\n");

    for _ in 0..20 {
        assert_eq!(ask(&mut alice, "").text(), "alice\n");
        assert_eq!(ask(&mut stage.connect(), "").text(), "nobody\n");
    }
}

#[test]
fn given_checks_when_every_server_fails_them_then_503_at_once_until_one_passes() {
    let (mut first, mut second) = (Nginx::start(), Nginx::start());
    let health = "{ path = \"/health\", interval = \"100ms\", fail_after = 2, pass_after = 2 }";
    let (stage, portvakt) =
        behind(&format!("{{ urls = {:?}, health = {health} }}", [url(first.http), url(second.http)]));
    assert_eq!(stage.get("/x").status, 200);

    first.stop();
    portvakt.child.wait_line("it is left out", |line| line.contains(&left_out(first.http)));
    (0..20).for_each(|_| assert_eq!(stage.get("/x").status, 200));
    second.stop();
    wait_state(&stage, 0, "down");
    wait_state(&stage, 1, "down");

    let reply = stage.get("/x");
    assert_eq!(reply.status, 503);
    let id = reply.header("portvakt-request-id").expect("a request id").to_owned();
    portvakt.child.wait_line("why", |line| line.contains(&id) && line.contains("health checks fail"));
    assert_eq!(stage.home.metrics().sum("portvakt_upstream_healthy", &[]), 0.0);

    second.start_again();
    wait_state(&stage, 1, "up");
    (0..20).for_each(|_| assert_eq!(stage.get("/x").status, 200));
    assert_eq!(stage.home.metrics().sum("portvakt_upstream_healthy", &[]), 1.0);
}

#[test]
fn given_checks_when_a_server_shows_another_certificate_then_it_is_down() {
    let (ca, other) = (Ca::new("legacy root"), Ca::new("another root"));
    let mut nginx = Nginx::start_tls(&ca.issue(&["legacy.local"]));
    let stage = Stage::new();
    ca.write(stage.home.path().join("legacy-root.pem"));
    let health = "{ path = \"/health\", interval = \"100ms\", fail_after = 1, pass_after = 1 }";
    stage.home.configure(
        "",
        &Stage::site_with(&format!(
            "{{ url = \"https://127.0.0.1:{}\", server_name = \"legacy.local\", trust_anchors = \"legacy-root.pem\", health = {health} }}",
            nginx.https
        )),
    );
    let _portvakt = stage.home.start();
    wait_state(&stage, 0, "up");
    assert_eq!(stage.get("/x").status, 200);

    nginx.show(&other.issue(&["legacy.local"]));
    wait_state(&stage, 0, "down");
    assert_eq!(stage.get("/x").status, 503);

    nginx.show(&ca.issue(&["legacy.local"]));
    wait_state(&stage, 0, "up");
    assert_eq!(stage.get("/x").status, 200);
}

#[test]
fn given_a_server_less_when_reloaded_then_its_series_are_gone_and_requests_go_on() {
    let (first, second) = (Nginx::start(), Nginx::start());
    let (stage, portvakt) = behind(&format!("{{ urls = {:?}, name = \"app\" }}", [url(first.http), url(second.http)]));
    assert_eq!(stage.home.metrics().series("portvakt_upstream_peer_healthy", &[("upstream", "app")]).len(), 2);

    stage.home.configure("", &Stage::site_with(&format!("{{ urls = {:?}, name = \"app\" }}", [url(second.http)])));
    assert!(portvakt.reload(&stage.home));

    let peer = format!("127.0.0.1:{}", second.http);
    assert_eq!(stage.home.metrics().one("portvakt_upstream_peer_healthy", &[("upstream", "app")]), 1.0);
    assert_eq!(stage.home.metrics().sum("portvakt_upstream_peer_healthy", &[("peer", &peer)]), 1.0);
    assert_eq!(stage.get("/x").status, 200);
}

fn behind(upstream: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    stage.home.configure("", &Stage::site_with(upstream));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn left_out(port: u16) -> String {
    format!("peer=\"127.0.0.1:{port}\"")
}

fn wait_healthy(stage: &Stage, port: u16, value: f64) {
    let peer = format!("127.0.0.1:{port}");
    stage.home.wait_metrics("the server is used again", PATIENCE, |metrics| {
        (metrics.sum("portvakt_upstream_peer_healthy", &[("peer", &peer)]) == value).then_some(())
    });
}

/// Waits until a peer of the only upstream is in `state`, as `/status.json` says.
fn wait_state(stage: &Stage, peer: usize, state: &str) {
    eventually(&format!("peer {peer} is {state}"), PATIENCE, || {
        let status: serde_json::Value = serde_json::from_str(&stage.home.admin("/status.json").text()).unwrap();
        (status["upstreams"][0]["peers"][peer]["state"] == state).then_some(())
    });
}

fn ask(stream: &mut tls::Stream, headers: &str) -> Reply {
    stream.write_all(format!("GET /ntlm HTTP/1.1\r\nHost: m5.test\r\n{headers}\r\n").as_bytes()).unwrap();
    raw::read_reply(stream).unwrap()
}
