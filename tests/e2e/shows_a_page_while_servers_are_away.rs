//! While no server can be reached, people see the operator's page and programs get JSON; what a server says itself passes.

use std::fs;

use crate::stage::Stage;
use crate::support::home::Portvakt;
use crate::support::ports::free_port;
use crate::support::{Echo, Nginx};

const PAGE: &str = "<!doctype html><h1>vi är strax tillbaka</h1>\n";

#[test]
fn given_a_page_when_every_server_is_down_then_it_is_shown_until_one_is_back() {
    let (mut first, mut second) = (Nginx::start(), Nginx::start());
    let urls = [first.http, second.http].map(|port| format!("http://127.0.0.1:{port}"));
    let (stage, portvakt) = with_page(&format!("{{ urls = {urls:?} }}"));
    assert_eq!(stage.get("/x").status, 200);

    first.stop();
    assert_eq!(stage.get("/x").status, 200);
    second.stop();

    for version in ["--http1.1", "--http2"] {
        let answer = stage.curl().with(&[version]).header("Accept: text/html,application/json").get(&stage.url("/x"));
        assert_eq!((answer.status, answer.text().as_str()), (503, PAGE), "{version}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("retry-after"), Some("30"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let id = answer.header("portvakt-request-id").expect("a request id").to_owned();
        portvakt.child.wait_line("the failure", |line| line.contains(&id) && line.contains("status=503"));
    }
    let json = stage.curl().header("Accept: application/json").get(&stage.url("/x"));
    assert_eq!((json.status, json.header("content-type")), (503, Some("application/json")));
    let body: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!((&body["status"], &body["retry_after"]), (&503.into(), &30.into()));
    assert_eq!(body["request_id"].as_str(), json.header("portvakt-request-id"));
    for version in ["--http1.1", "--http2"] {
        let head = stage.curl().with(&["--head", version]).get(&stage.url("/x"));
        assert_eq!((head.status, head.header("content-length")), (503, Some(PAGE.len().to_string().as_str())));
    }
    let post = stage.request("POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((post.status, post.text().as_str()), (503, PAGE));

    second.start_again();
    assert_eq!(stage.get("/x").status, 200);
}

#[test]
fn given_checks_that_fail_when_called_then_the_page_without_a_try() {
    let upstream = format!(
        "{{ url = \"http://127.0.0.1:{}\", health = {{ path = \"/\", interval = \"100ms\", fail_after = 1 }} }}",
        free_port()
    );
    let (stage, portvakt) = with_page(&upstream);
    portvakt.child.wait_line("it is down", |line| line.contains("left out: health check"));

    let reply = stage.get("/x");

    assert_eq!((reply.status, reply.text().as_str()), (503, PAGE));
    let id = reply.header("portvakt-request-id").expect("a request id").to_owned();
    portvakt.child.wait_line("why", |line| line.contains(&id) && line.contains("health checks fail"));
}

#[test]
fn given_a_server_that_answers_or_breaks_off_when_called_then_no_page() {
    let echo = Echo::start();
    let (stage, _portvakt) = with_page(&format!("{:?}", echo.url()));
    echo.script(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");

    assert_eq!(stage.get("/scripted").text(), "busy");
    let reply = stage.request("POST /close HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(reply.status, 502, "it was reached, and may have done something");
}

#[test]
fn given_another_page_when_reloaded_then_that_one_is_shown() {
    let (stage, portvakt) = with_page(&format!("\"http://127.0.0.1:{}\"", free_port()));
    assert_eq!(stage.get("/x").text(), PAGE);

    fs::write(stage.home.path().join("page.html"), "another").unwrap();
    assert!(portvakt.reload(&stage.home));

    assert_eq!(stage.get("/x").text(), "another");
}

fn with_page(upstream: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    fs::write(stage.home.path().join("page.html"), PAGE).unwrap();
    stage.home.configure("", &format!("{}maintenance = \"page.html\"\n", Stage::site_with(upstream)));
    let portvakt = stage.home.start();
    (stage, portvakt)
}
