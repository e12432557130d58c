//! SIGTERM: nobody new is let in, open requests are finished, and the end comes in bounded time with exit code 0.

use std::io::{Read, Write};
use std::time::Duration;

use crate::stage::Stage;
use crate::support::clock::{PATIENCE, timed};
use crate::support::load::Load;
use crate::support::{eventually, raw, tls};

/// What a connection that is not let go would take.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

#[test]
fn given_an_open_request_when_terminated_then_it_is_finished_and_new_connections_are_refused() {
    let (stage, mut portvakt) = Stage::running();
    let mut open = hold(&stage);

    portvakt.signal("TERM");
    eventually("the listeners are closed", PATIENCE, || {
        let closed = |port| raw::try_connect(port).is_err();
        (closed(stage.home.https) && closed(stage.home.http)).then_some(())
    });
    stage.echo.release();

    let reply = raw::read_reply(&mut open).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "released\n"));
    assert!(reply.closes(), "the client is told that this connection ends");
    assert!(portvakt.child.wait(PATIENCE).success());
}

#[test]
fn given_a_request_that_never_ends_when_the_drain_is_over_then_it_ends_with_0() {
    let (stage, mut portvakt) = Stage::running_with("drain = \"1s\"\n", "");
    let _open = hold(&stage);

    let (status, took) = timed(|| portvakt.terminate());

    assert!(status.success(), "{status}");
    assert!(took < DEFAULT_DRAIN, "{took:?}");
}

#[test]
fn given_a_drain_when_asked_to_stop_again_then_it_ends_at_once_with_0() {
    for again in ["TERM", "INT"] {
        let (stage, mut portvakt) = Stage::running();
        let _open = hold(&stage);
        portvakt.signal("TERM");
        portvakt.child.wait_line("the drain", |line| line.contains("draining"));

        portvakt.signal("HUP");
        portvakt.signal(again);
        let (status, took) = timed(|| portvakt.child.wait(PATIENCE));

        assert!(status.success(), "{status}");
        assert!(took < DEFAULT_DRAIN, "{took:?}");
    }
}

#[test]
fn given_idle_connections_when_terminated_then_they_do_not_keep_it() {
    let (stage, mut portvakt) = Stage::running();
    let mut idle = stage.connect();
    assert_eq!(tls::exchange(&mut idle, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap().status, 200);
    let mut silent = raw::connect(stage.home.https);
    let mut plain = raw::connect(stage.home.http);

    let (status, took) = timed(|| portvakt.terminate());

    assert!(status.success(), "{status}");
    assert!(took < DEFAULT_DRAIN, "{took:?}");
    assert!(matches!(idle.read(&mut [0; 16]), Ok(0) | Err(_)));
    assert!(matches!(silent.read(&mut [0; 16]), Ok(0) | Err(_)));
    assert!(matches!(plain.read(&mut [0; 16]), Ok(0) | Err(_)));
}

#[test]
fn given_a_connection_that_was_just_made_when_terminated_then_its_first_request_is_answered() {
    let (stage, mut portvakt) = Stage::running();
    let get = "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n";
    let mut idle = stage.connect();
    assert_eq!(tls::exchange(&mut idle, get).unwrap().status, 200);
    let mut fresh = stage.connect();

    portvakt.signal("TERM");
    // Who has had an answer tries again elsewhere, and is let go before.
    assert!(matches!(idle.read(&mut [0; 16]), Ok(0) | Err(_)));

    let reply = tls::exchange(&mut fresh, get).expect("an answer");
    assert_eq!(reply.status, 200);
    assert!(reply.closes());
    assert!(portvakt.child.wait(PATIENCE).success());
}

#[test]
fn given_an_open_request_over_h2_when_terminated_then_it_is_finished() {
    use crate::support::child::Child;
    let (stage, mut portvakt) = Stage::running();
    let resolve = format!("m5.test:{}:127.0.0.1", stage.home.https);
    let mut command = std::process::Command::new(crate::support::peers::program("curl"));
    command.args(["-qsS", "--http2", "--resolve", &resolve, "--cacert", stage.root(), &stage.url("/hold")]);
    let mut curl = Child::start("curl", &mut command);
    eventually("the request is open", PATIENCE, || (!stage.echo.requests().is_empty()).then_some(()));

    portvakt.signal("TERM");
    eventually("the listener is closed", PATIENCE, || raw::try_connect(stage.home.https).is_err().then_some(()));
    stage.echo.release();

    assert!(curl.wait(PATIENCE).success());
    assert_eq!(curl.stdout(), "released\n");
    assert!(portvakt.child.wait(PATIENCE).success());
}

#[test]
fn given_load_when_terminated_then_no_answer_breaks_off_and_none_is_an_error() {
    let (stage, mut portvakt) = Stage::running();
    let load = Load::start(&stage.target("/download/200000"), 2, 3);
    load.wait_for(20);

    load.expect_end();
    let status = portvakt.terminate();

    load.stop().assert_flawless();
    assert!(status.success(), "{status}");
}

#[test]
fn given_sigint_when_sent_then_it_ends_like_sigterm() {
    let (_stage, mut portvakt) = Stage::running();

    portvakt.signal("INT");

    assert!(portvakt.child.wait(PATIENCE).success());
}

#[test]
fn given_readiness_when_draining_then_it_says_no() {
    let (stage, portvakt) = Stage::running();
    let _open = hold(&stage);

    portvakt.signal("TERM");

    eventually("not ready any more", PATIENCE, || {
        let mut admin = raw::try_connect(stage.home.admin).ok();
        let Some(stream) = &mut admin else { return Some(()) };
        let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        match raw::read_reply(stream) {
            Ok(reply) if reply.status == 200 => None,
            _ => Some(()),
        }
    });
}

/// A request that is open at the server behind.
fn hold(stage: &Stage) -> tls::Stream {
    let mut open = stage.connect();
    open.write_all(b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("the request is open", PATIENCE, || (!stage.echo.requests().is_empty()).then_some(()));
    open
}
