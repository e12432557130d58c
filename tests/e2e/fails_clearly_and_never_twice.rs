//! When the server behind fails, the client gets a clear status with an id to ask about, and nothing is done twice.

use std::io::Write;

use crate::stage::Stage;
use crate::support::clock::timed;
use crate::support::home::Portvakt;
use crate::support::ports::free_port;
use crate::support::raw::Reply;
use crate::support::{Echo, raw, tls};

#[test]
fn given_a_server_that_is_down_when_called_then_502_with_an_id_that_the_log_knows() {
    let (stage, portvakt) = behind(&format!("\"http://127.0.0.1:{}\"", free_port()));

    let reply = stage.get("/x");

    assert_eq!(reply.status, 502);
    logged(&portvakt, &reply);
    for version in ["--http1.1", "--http2"] {
        let answer = stage.curl().with(&[version]).get(&stage.url("/x"));
        assert!(answer.status == 502 && answer.header("portvakt-request-id").is_some(), "{version}");
    }
}

#[test]
fn given_a_server_whose_name_has_no_address_when_called_then_503_with_an_id_that_the_log_knows() {
    let (stage, portvakt) = behind("{ url = \"http://nowhere.invalid:80\", allow_plaintext = true }");

    let reply = stage.get("/x");

    assert_eq!(reply.status, 503);
    logged(&portvakt, &reply);
}

#[test]
fn given_a_server_that_is_down_when_called_a_hundred_times_then_the_log_is_not_flooded() {
    let (stage, portvakt) = behind(&format!("\"http://127.0.0.1:{}\"", free_port()));

    let (_, took) = timed(|| (0..100).for_each(|_| assert_eq!(stage.get("/x").status, 502)));

    let told = portvakt.child.lines().iter().filter(|line| line.contains("ConnectRefused")).count();
    let periods = 1 + usize::try_from(took.as_secs()).unwrap() / 10;
    assert!((1..=20 * periods).contains(&told), "{told} in {took:?}");
}

#[test]
fn given_a_server_that_was_down_when_it_is_up_again_then_it_is_used_at_once() {
    let port = free_port();
    let (stage, _portvakt) = behind(&format!("\"http://127.0.0.1:{port}\""));
    assert_eq!(stage.get("/x").status, 502);

    let _echo = Echo::start_on(port);

    assert_eq!(stage.get("/x").status, 200);
}

#[test]
fn given_a_server_that_stalls_when_the_limit_passes_then_504_with_an_id() {
    let stage = Stage::new();
    let upstream = format!("{{ url = \"{}\", response_timeout = \"1s\" }}", stage.echo.url());
    stage.home.configure("", &Stage::site_with(&upstream));
    let portvakt = stage.home.start();

    let (reply, took) = timed(|| stage.get("/stall"));

    assert_eq!(reply.status, 504);
    assert!(took.as_secs() < 300, "{took:?}: the default");
    logged(&portvakt, &reply);
    assert_eq!(stage.echo.requests().len(), 1, "a request that was sent is not sent again");
}

#[test]
fn given_an_answer_of_the_server_when_it_is_an_error_then_it_passes_unchanged() {
    let (stage, _portvakt) = Stage::running();

    let reply = stage.request("POST /early HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\n\r\n");

    assert_eq!((reply.status, reply.text().as_str()), (413, "too large\n"));
}

#[test]
fn given_a_server_that_closes_without_an_answer_when_posted_then_502_and_it_saw_one_request() {
    let (stage, _portvakt) = Stage::running();

    for method in ["POST", "PATCH"] {
        stage.echo.take();
        let text = format!("{method} /close HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(stage.request(&text).status, 502, "{method}");
        assert_eq!(stage.echo.take().len(), 1, "{method}");
    }
}

#[test]
fn given_a_kept_connection_when_the_server_closes_it_under_a_post_then_502_and_it_saw_one_request() {
    let (stage, _portvakt) = Stage::running();

    for round in 0..20 {
        // A GET leaves a connection in the pool; the POST goes out on it, and is read before it is closed.
        assert_eq!(stage.get("/").status, 200);
        stage.echo.take();
        let reply = stage.request("POST /close HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(reply.status, 502, "round {round}");
        assert_eq!(stage.echo.take().len(), 1, "round {round}");
    }
}

#[test]
fn given_a_server_that_closes_without_an_answer_when_it_was_a_get_then_tried_at_most_three_times() {
    let (stage, _portvakt) = Stage::running();

    assert_eq!(stage.get("/close").status, 502);

    let tries = stage.echo.requests().len();
    assert!((1..=3).contains(&tries), "{tries}");
}

#[test]
fn given_kept_connections_when_the_server_closes_each_behind_its_answer_then_no_get_fails_and_no_post_is_doubled() {
    let (stage, _portvakt) = Stage::running();

    for round in 0..30 {
        assert_eq!(stage.get("/leave").status, 200, "round {round}");
        stage.echo.take();
        let reply = stage.request("POST /leave HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello");
        let arrived = stage.echo.take().len();
        assert!((reply.status, arrived) == (200, 1) || reply.status == 502 && arrived <= 1, "{round}: {reply:?}");
    }
}

#[test]
fn given_an_answer_that_breaks_off_when_forwarded_then_the_client_can_tell() {
    let (stage, _portvakt) = Stage::running();

    let mut stream = stage.connect();
    assert!(tls::exchange(&mut stream, "GET /half HTTP/1.1\r\nHost: m5.test\r\n\r\n").is_err());
    assert!(stage.curl().with(&["--http2"]).try_get(&stage.url("/half")).is_err());
}

#[test]
fn given_many_requests_when_one_follows_the_other_then_one_connection_to_the_server_is_kept() {
    let (stage, _portvakt) = Stage::running();

    for _ in 0..10 {
        assert_eq!(stage.get("/").status, 200);
    }
    let mut stream = stage.connect();
    for _ in 0..10 {
        assert_eq!(tls::exchange(&mut stream, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap().status, 200);
    }

    assert_eq!(stage.echo.requests().len(), 20);
    // A request may come before the connection of the one before is back.
    assert!(stage.echo.connections() <= 2, "{}", stage.echo.connections());
}

#[test]
fn given_a_client_that_leaves_when_the_server_works_for_it_then_others_are_served() {
    let (stage, _portvakt) = Stage::running();
    let mut leaving = stage.connect();
    leaving.write_all(b"GET /stall HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    crate::support::eventually("the request arrives", crate::support::clock::PATIENCE, || {
        (!stage.echo.requests().is_empty()).then_some(())
    });
    drop(leaving);

    assert_eq!(stage.get("/").status, 200);
}

fn behind(upstream: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    stage.home.configure("", &Stage::site_with(upstream));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn logged(portvakt: &Portvakt, reply: &Reply) {
    let id = raw::header(&reply.headers, "portvakt-request-id").expect("a request id").to_owned();
    assert!(!id.is_empty());
    portvakt.child.wait_line("the request id", |line| line.contains(&id));
}
