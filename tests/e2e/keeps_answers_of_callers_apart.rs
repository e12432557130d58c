//! Whatever a destination sends, and however an application asks: each request gets its own answer, or is told that there is
//! none. Never that of another.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::egress_stage::{AUTH, RULES, WayOut, json_of};
use crate::support::bankid::Act;
use crate::support::clock::PATIENCE;
use crate::support::{eventually, raw};

/// Each behind the other on one connection of the application, so that what is left of one would be taken for the next.
#[test]
fn given_odd_answers_when_the_next_request_is_sent_then_it_gets_its_own() {
    let own = "HTTP/1.1 200 OK\r\n";
    #[rustfmt::skip]
    let table = [
        ("two lengths, short", format!("{own}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"), 200, "hello world"),
        ("two lengths, long",  format!("{own}Transfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"), 200, "hello world"),
        ("a second answer",    format!("{own}Content-Length: 2\r\n\r\n{{}}{own}Content-Length: 6\r\n\r\nSECOND"), 200, "{}"),
        ("more than announced", format!("{own}Content-Length: 2\r\n\r\n{{}}more"), 200, "{}"),
        ("informational",      format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{own}Content-Length: 2\r\n\r\n{{}}"), 200, "{}"),
        ("another protocol",   "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nSECRET".to_owned(), 502, ""),
        ("no content",         "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello".to_owned(), 204, ""),
        ("not modified",       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello".to_owned(), 304, ""),
        ("unequal lengths",    format!("{own}Content-Length: 5\r\nContent-Length: 2\r\n\r\nhello"), 502, ""),
        ("a folded line",      format!("{own}X-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello"), 502, ""),
        ("extensions and trailers", format!("{own}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: y\r\n\r\n"), 200, "hello"),
        ("a nominated length", format!("{own}Connection: content-length, x-a\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello"), 200, "hello"),
    ];
    for rules in ["", RULES] {
        let (way, _portvakt) = WayOut::running_with("", rules);
        for (name, said, status, body) in &table {
            way.bankid.script("auth", [Act::Say(said.clone().into_bytes())]);
            let mut stream = raw::connect(way.port);

            let odd = ask(&mut stream, *status == 304);
            assert_eq!(odd.status, *status, "{name}: {}", odd.text());
            assert!(*status == 502 || odd.text() == *body, "{name}: {}", odd.text());
            let framings = ["content-length", "transfer-encoding"].map(|field| odd.header(field).is_some());
            assert_ne!(framings, [true, true], "{name}: {odd:?}");

            let next = ask(&mut stream, false);
            assert_eq!(next.status, 200, "behind {name}: {}", next.text());
            assert_eq!(json_of(&next)["orderRef"], way.bankid.order().order_ref.as_str(), "behind {name}");
        }
    }
}

/// The service sends a body with it, which belongs to nothing.
#[test]
fn given_head_when_the_next_request_is_sent_then_it_gets_its_own() {
    let (way, _portvakt) = WayOut::running_with("", "allow = [\"* /*\"]\n");
    let mut stream = raw::connect(way.port);

    stream.write_all(b"HEAD /rp/v6.0/auth HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let head = raw::read_head_reply(&mut stream).unwrap();
    let next = ask(&mut stream, false);

    assert_eq!((head.status, next.status), (405, 200));
    assert_eq!(json_of(&next)["orderRef"], way.bankid.order().order_ref.as_str());
}

/// RFC 9112 §9.3.2 lets a server close instead; what it did not answer was not done.
#[test]
fn given_a_request_before_the_answer_to_the_last_when_sent_then_the_first_is_answered_and_the_second_not_begun() {
    let (way, _portvakt) = WayOut::running();
    let mut stream = raw::connect(way.port);

    stream.write_all(request().repeat(2).as_bytes()).unwrap();

    let first = raw::read_reply(&mut stream).unwrap();
    assert_eq!(json_of(&first)["orderRef"], way.bankid.order().order_ref.as_str());
    assert!(raw::is_closed(&mut stream, PATIENCE));
    assert_eq!(way.bankid.count("auth"), 1);
}

#[test]
fn given_a_target_that_is_no_uri_when_asked_then_400_and_nothing_goes_out() {
    let (way, _portvakt) = WayOut::running_with("", "allow = [\"* /*\"]\n");

    let reply = raw::request(way.port, "GET /rp/v6.0/\"<>|{}^` HTTP/1.1\r\nHost: a\r\n\r\n");

    assert_eq!((reply.status, way.bankid.calls().len()), (400, 0));
}

/// What was sent in vain is read before the connection ends: it would be reset with the answer in it.
#[test]
fn given_a_large_body_that_is_refused_when_all_of_it_is_sent_then_the_answer_is_read() {
    let (way, _portvakt) = WayOut::running_with("", "body = \"1KiB\"\n");
    let body = "x".repeat(8 * 1024 * 1024);
    for framing in
        [format!("Content-Length: {}\r\n\r\n", body.len()), "Transfer-Encoding: chunked\r\n\r\n800000\r\n".into()]
    {
        let head = format!("POST /rp/v6.0/auth HTTP/1.1\r\nHost: a\r\n{framing}");
        let mut stream = raw::connect(way.port);

        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("all of it is read");

        assert_eq!(raw::read_reply(&mut stream).expect("an answer").status, 413);
    }
    assert_eq!(way.bankid.calls().len(), 0);
}

/// An answer of BankID's is read on, since it tells of an order; one without an end is not BankID's.
#[test]
fn given_an_answer_without_end_when_the_application_has_left_then_its_connection_is_given_up() {
    for rules in ["", RULES] {
        let (way, _portvakt) = WayOut::running_with("", rules);
        let mut said = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
        said.resize(32 * 1024 * 1024, b' ');
        way.bankid.script("auth", [Act::Say(said)]);

        let mut stream = raw::connect(way.port);
        stream.write_all(request().as_bytes()).unwrap();
        assert_eq!(raw::read_head_reply(&mut stream).unwrap().status, 200);
        drop(stream);

        eventually("nobody reads it any more", PATIENCE, || (way.bankid.open() == 0).then_some(()));
    }
}

/// Who sends a request and reads nothing holds no connection of the destination's for longer than a minute.
#[test]
#[ignore = "long: a body may stand still for a minute"]
fn given_an_application_that_never_reads_when_its_time_is_over_then_it_is_given_up() {
    let (way, _portvakt) = WayOut::running_with("", "");
    let mut said = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
    said.resize(32 * 1024 * 1024, b' ');
    way.bankid.script("auth", [Act::Say(said)]);

    let mut deaf = raw::connect(way.port);
    deaf.write_all(request().as_bytes()).unwrap();
    assert_eq!(raw::read_head_reply(&mut deaf).unwrap().status, 200);
    assert_eq!(way.bankid.open(), 1, "the answer is under way");

    eventually("nobody waits for it any more", Duration::from_secs(150), || (way.bankid.open() == 0).then_some(()));
    // Open to the last, or its end would have told.
    drop(deaf);
}

fn ask(stream: &mut TcpStream, has_no_body: bool) -> raw::Reply {
    stream.write_all(request().as_bytes()).unwrap();
    if has_no_body { raw::read_head_reply(stream) } else { raw::read_reply(stream) }.expect("an answer")
}

/// On a connection that is kept.
fn request() -> String {
    let length = AUTH.len();
    format!(
        "POST /rp/v6.0/auth HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{AUTH}"
    )
}
