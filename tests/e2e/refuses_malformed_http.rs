//! Two servers never disagree about where a request ends: what is ambiguous is refused here and not forwarded.

use std::io::Write;

use crate::stage::Stage;
use crate::support::raw::{self, Outcome};
use crate::support::tls;

/// Each row spoils one thing in a sound request. All are answered with 400, CONNECT with 405.
const MALFORMED: &[(&str, &str)] = &[
    (
        "two different lengths",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
    ("two lengths in one line", "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("a length that is no number", "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: five\r\n\r\nhello"),
    ("a length with a sign", "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: +5\r\n\r\nhello"),
    ("a negative length", "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: -5\r\n\r\nhello"),
    (
        "a length beyond all numbers",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    ),
    (
        "a length and chunks",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("chunks not last", "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("an unknown coding", "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (
        "chunks twice",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks and identity",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    ("chunks in HTTP/1.0", "POST /m HTTP/1.0\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (
        "a coding before chunks",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks twice in one line",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a space before the colon", "GET /m HTTP/1.1\r\nHost: m5.test\r\nX-Other : 1\r\n\r\n"),
    ("a space before the colon of the length", "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length : 5\r\n\r\nhello"),
    ("a folded line", "GET /m HTTP/1.1\r\nHost: m5.test\r\nX-Other: 1\r\n 2\r\n\r\n"),
    ("NUL in a value", "GET /m HTTP/1.1\r\nHost: m5.test\r\nX-Other: a\0b\r\n\r\n"),
    ("a lone CR in a value", "GET /m HTTP/1.1\r\nHost: m5.test\r\nX-Other: a\rb\r\n\r\n"),
    ("a name that is no token", "GET /m HTTP/1.1\r\nHost: m5.test\r\nX[Other]: 1\r\n\r\n"),
    ("a header without a colon", "GET /m HTTP/1.1\r\nHost: m5.test\r\nX-Other\r\n\r\n"),
    ("a header without a name", "GET /m HTTP/1.1\r\nHost: m5.test\r\n: 1\r\n\r\n"),
    ("two hosts", "GET /m HTTP/1.1\r\nHost: m5.test\r\nHost: m5.test\r\n\r\n"),
    ("no host", "GET /m HTTP/1.1\r\nX-Other: 1\r\n\r\n"),
    ("a host with a path", "GET /m HTTP/1.1\r\nHost: m5.test/x\r\n\r\n"),
    ("a host with a user", "GET /m HTTP/1.1\r\nHost: a@m5.test\r\n\r\n"),
    ("two names in a host", "GET /m HTTP/1.1\r\nHost: m5.test, other.test\r\n\r\n"),
    ("an absolute target that is not the host", "GET http://other.test/m HTTP/1.1\r\nHost: m5.test\r\n\r\n"),
    ("Connection names Host", "GET /m HTTP/1.1\r\nHost: m5.test\r\nConnection: close, Host\r\n\r\n"),
    (
        "Connection names a forwarding header",
        "GET /m HTTP/1.1\r\nHost: m5.test\r\nConnection: close, X-Forwarded-For\r\n\r\n",
    ),
    ("a control character in the target", "GET /m\x01x HTTP/1.1\r\nHost: m5.test\r\n\r\n"),
    ("a target without a slash", "GET m HTTP/1.1\r\nHost: m5.test\r\n\r\n"),
    ("a method that is no token", "G(ET /m HTTP/1.1\r\nHost: m5.test\r\n\r\n"),
    ("no method", " /m HTTP/1.1\r\nHost: m5.test\r\n\r\n"),
    ("an unknown version", "GET /m HTTP/3.7\r\nHost: m5.test\r\n\r\n"),
    ("no version", "GET /m\r\nHost: m5.test\r\n\r\n"),
    ("CONNECT", "CONNECT m5.test:443 HTTP/1.1\r\nHost: m5.test:443\r\n\r\n"),
    ("not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
    ("the preface of h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
];

/// Requests whose head is sound, and whose body is not: the head may arrive, a complete request may not.
const MALFORMED_BODIES: &[(&str, &str)] = &[
    (
        "a chunk size that is no number",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with a sign",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with 0x",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk longer than its size",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size beyond all numbers",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    ),
];

#[test]
fn given_a_malformed_head_when_sent_then_refused_and_never_forwarded() {
    let (stage, _portvakt) = plain_allowed();

    for (what, text) in MALFORMED {
        let expected = Some(if *what == "CONNECT" { 405 } else { 400 });
        assert_eq!(stage.plain(text).status(), expected, "plain: {what}");
        assert_eq!(encrypted(&stage, text).status(), expected, "TLS: {what}");
        assert!(stage.echo.take().is_empty(), "forwarded: {what}");
    }
}

#[test]
fn given_a_raw_space_in_the_target_when_sent_then_forwarded_once_and_escaped() {
    let (stage, _portvakt) = plain_allowed();
    stage.echo.take();

    assert_eq!(stage.plain("GET /m x HTTP/1.1\r\nHost: m5.test\r\n\r\n").status(), Some(200));

    let seen = stage.echo.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].target(), "/m%20x");
}

#[test]
fn given_the_sound_request_behind_every_row_when_sent_then_forwarded() {
    let (stage, _portvakt) = plain_allowed();

    let sound = [
        "GET /m HTTP/1.1\r\nHost: m5.test\r\nX-Other: 1\r\n\r\n",
        "GET /m HTTP/1.0\r\nHost: m5.test\r\n\r\n",
        "GET http://m5.test/m HTTP/1.1\r\nHost: m5.test\r\n\r\n",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
    ];
    for text in sound {
        assert_eq!(stage.plain(text).status(), Some(200), "{text:?}");
    }
    assert_eq!(stage.echo.requests().len(), sound.len());
}

#[test]
fn given_a_malformed_body_when_sent_then_no_complete_request_arrives() {
    let (stage, _portvakt) = plain_allowed();

    for (what, text) in MALFORMED_BODIES {
        stage.echo.take();
        let outcome = stage.plain(text);
        assert_eq!(outcome.status(), Some(400), "{what}");
        assert!(stage.echo.take().is_empty(), "{what}");
    }
}

#[test]
fn given_a_hidden_second_request_when_sent_then_the_server_sees_one_at_most() {
    let (stage, _portvakt) = plain_allowed();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: m5.test\r\n\r\n";

    let carriers = [
        format!("POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!(
            "POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
            hidden.len()
        ),
        format!("GET /m HTTP/1.1\r\nHost: m5.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{hidden}"),
        format!("POST /m HTTP/1.1\r\nHost: m5.test\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("POST /m HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\n\rX: y\r\n\r\n{hidden}"),
    ];
    for carrier in carriers {
        stage.echo.take();
        stage.plain(&carrier);
        // A request that follows on a connection of its own shows whether the hidden one was still on its way.
        assert_eq!(stage.plain("GET /after HTTP/1.1\r\nHost: m5.test\r\n\r\n").status(), Some(200));
        let seen: Vec<_> = stage.echo.take().iter().map(|request| request.target()).collect();
        assert!(!seen.contains(&"/hidden".to_owned()), "{carrier:?}: {seen:?}");
    }
}

#[test]
fn given_a_bare_lf_when_accepted_then_the_server_gets_sound_lines() {
    let (stage, _portvakt) = plain_allowed();

    let outcome = stage.plain("GET /m HTTP/1.1\nHost: m5.test\nX-Other: 1\n\n");

    match stage.echo.take().first() {
        None => assert!(matches!(outcome.status(), None | Some(400))),
        Some(received) => {
            let head = String::from_utf8_lossy(&received.head).into_owned();
            assert_eq!(head.matches('\n').count(), head.matches("\r\n").count(), "{head:?}");
        }
    }
}

#[test]
fn given_a_refused_request_when_the_next_comes_then_the_program_still_serves() {
    let (stage, _portvakt) = plain_allowed();

    for (_, text) in MALFORMED.iter().chain(MALFORMED_BODIES) {
        let _ = stage.plain(text);
    }

    assert_eq!(stage.get("/").status, 200);
    assert_eq!(raw::get(stage.home.http, "m5.test", "/").status, 200);
}

fn plain_allowed() -> (Stage, crate::support::home::Portvakt) {
    // A request that is taken for the beginning of a longer one is given up soon.
    Stage::running_with("", "https = { rest = \"allow\" }\n[limits]\nheader_timeout = \"2s\"\n")
}

fn encrypted(stage: &Stage, text: &str) -> Outcome {
    let mut stream: tls::Stream = stage.connect();
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    raw::receive(&mut stream)
}
