//! However a client writes a request, the server behind sees one that is well-formed, or none; and nothing of another.

use std::io::Write;

use crate::stage::Stage;
use crate::support::echo::Received;
use crate::support::h2::{self, End};
use crate::support::home::Portvakt;
use crate::support::{raw, tls};

/// Heads that two servers might cut in two ways; each is sent with [`HIDDEN`] where a second reading would find a request.
const HEADS: &[&str] = &[
    // CL.TE and TE.CL, also with names and values that one of two servers overlooks.
    "Content-Length: LEN\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding: xchunked\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding : chunked\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding:\tchunked\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding:\x0bchunked\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding: \"chunked\"\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding: chunked, identity\r\n",
    "Content-Length: LEN\r\nTransfer-Encoding:\r\n chunked\r\n",
    "Content-Length: LEN\r\nX: y\r\n Transfer-Encoding: chunked\r\n",
    "Content-Length: LEN\r\nX: y\nTransfer-Encoding: chunked\r\n",
    "Content-Length: LEN\r\nX: y\rTransfer-Encoding: chunked\r\n",
    "Content-Length: LEN\r\nTransfer\0-Encoding: chunked\r\n",
    "Content-Length: LEN\r\n\rTransfer-Encoding: chunked\r\n",
    "Content-Length: LEN\r\n\x0cTransfer-Encoding: chunked\r\n",
    // TE.TE.
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
    "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-encoding: chunked\r\n",
    "Transfer-Encoding: chunked;q=0\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    // CL.CL and lengths that are none.
    "Content-Length: 0\r\nContent-Length: LEN\r\n",
    "Content-Length: LEN\r\nContent-Length: 0\r\n",
    "Content-Length: LEN\r\nContent-Length: LEN\r\n",
    "Content-Length: LEN, LEN\r\n",
    "Content-Length: 0, LEN\r\n",
    "Content-Length: +LEN\r\n",
    "Content-Length: -0\r\n",
    "Content-Length: 0x10\r\n",
    "Content-Length: 1 0\r\n",
    "Content-Length: LEN;\r\n",
    "Content-Length: \r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length : LEN\r\n",
    "Content-Length\t: LEN\r\n",
    " Content-Length: LEN\r\n",
    "Content Length: LEN\r\n",
    // Nothing at all: the body that follows is no body.
    "",
    "Connection: Content-Length\r\nContent-Length: LEN\r\n",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "Expect: 100-continue\r\nContent-Length: 0\r\n",
];

/// Bodies of a chunked request that two servers might cut in two ways.
const CHUNKS: &[&str] = &[
    "5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5;a=b\r\nhello\r\n0;c\r\n\r\nHIDDEN",
    "5;a=\"\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5;\nhello\r\n0\r\n\r\nHIDDEN",
    "5\nhello\n0\n\nHIDDEN",
    "5\nhello\r\n0\r\n\r\nHIDDEN",
    "5\r\nhello\n0\r\n\r\nHIDDEN",
    "5\r\nhelloXX0\r\n\r\nHIDDEN",
    "5 \r\nhello\r\n0\r\n\r\nHIDDEN",
    " 5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "05\r\nhello\r\n00\r\n\r\nHIDDEN",
    "0x5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "+5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "-5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5_0\r\nhello\r\n0\r\n\r\nHIDDEN",
    "100000005\r\nhello\r\n0\r\n\r\nHIDDEN",
    "10000000000000005\r\nhello\r\n0\r\n\r\nHIDDEN",
    "ffffffffffffffff\r\nhello\r\n0\r\n\r\nHIDDEN",
    "\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5\r\nhello\r\n0\r\nContent-Length: 5\r\nHost: other.test\r\n\r\nHIDDEN",
    "5\r\nhello\r\n0\r\nHIDDEN",
    "5\r\nhello\r\n0\r\n\nHIDDEN",
    "5\r\nhello\r\n0\n\r\nHIDDEN",
    "5\r\rhello\r\n0\r\n\r\nHIDDEN",
    "5\0\r\nhello\r\n0\r\n\r\nHIDDEN",
];

/// First lines.
const LINES: &[&str] = &[
    "GET /m\r\n",
    "GET /m HTTP/0.9\r\n",
    "GET /m HTTP/1.1 HTTP/1.1\r\n",
    "GET /m HTTP/1.1\rX: y\r\n",
    "GET /m\x0b HTTP/1.1\r\n",
    "GET\t/m\tHTTP/1.1\r\n",
    "GET /m\0 HTTP/1.1\r\n",
    "GET /m%0d%0aX:%20y HTTP/1.1\r\n",
    "GET /m?x=\r HTTP/1.1\r\n",
    "GET http://m5.test HTTP/1.1\r\n",
    "GET http://m5.test\\@other.test/ HTTP/1.1\r\n",
    "GET http://other.test@m5.test/ HTTP/1.1\r\n",
    "GET //other.test/hidden HTTP/1.1\r\n",
    "GET ftp://m5.test/m HTTP/1.1\r\n",
    "GET http:/m HTTP/1.1\r\n",
    "GET * HTTP/1.1\r\n",
    "GET ?x HTTP/1.1\r\n",
    "GET /m#x HTTP/1.1\r\n",
    "get /m HTTP/1.1\r\n",
    "GET /m HTTP/1.1\x20\r\n",
    "\r\n\r\nGET /m HTTP/1.1\r\n",
    "\nGET /m HTTP/1.1\r\n",
    "X: y\r\nGET /m HTTP/1.1\r\n",
];

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: m5.test\r\nX-Hidden: 1\r\n\r\n";

#[test]
fn given_a_head_that_can_be_cut_in_two_ways_when_sent_then_one_sound_request_or_none() {
    let (stage, _portvakt) = plain_allowed();
    let length = HIDDEN.len();
    for fields in HEADS {
        let fields = fields.replace("LEN", &length.to_string());
        let head = format!("POST /m HTTP/1.1\r\nHost: m5.test\r\n{fields}\r\n");
        for body in [HIDDEN.to_owned(), format!("0\r\n\r\n{HIDDEN}"), format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n")] {
            assert_one_or_none(&stage, &format!("{head}{body}"));
        }
    }
}

#[test]
fn given_chunks_that_can_be_cut_in_two_ways_when_sent_then_one_sound_request_or_none() {
    let (stage, _portvakt) = plain_allowed();
    for body in CHUNKS {
        let body = body.replace("HIDDEN", HIDDEN);
        let head = "POST /m HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        // The end of what the client sends ends the wait for the rest of a chunk.
        let mut stream = raw::connect(stage.home.http);
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
        raw::finish(&stream);
        raw::receive(&mut stream);
        assert_one_or_none_arrived(&stage, &body, 1);
    }
}

#[test]
fn given_a_first_line_that_can_be_read_in_two_ways_when_sent_then_one_sound_request_or_none() {
    let (stage, _portvakt) = plain_allowed();
    for line in LINES {
        assert_one_or_none(&stage, &format!("{line}Host: m5.test\r\n\r\n{HIDDEN}"));
    }
}

#[test]
fn given_fields_that_would_become_lines_when_sent_by_h2_then_one_sound_request_or_none() {
    let (stage, _portvakt) = plain_allowed();
    let inject = "x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: m5.test\r\n\r\n";
    let path = format!("/m HTTP/1.1\r\nHost: m5.test\r\n\r\n{HIDDEN}");
    let method = format!("GET /m HTTP/1.1\r\nHost: m5.test\r\n\r\n{HIDDEN}GET");
    let authority = format!("m5.test\r\n\r\n{HIDDEN}");
    let name = format!("x: y\r\n\r\n{HIDDEN}");
    let spoiled: &[&[(&str, &str)]] = &[
        &[("x-other", inject)],
        &[("x-other", "a\nb: c")],
        &[("x-other", "a\rb: c")],
        &[("x-other", "a\0b")],
        &[("cookie", inject)],
        &[("x-forwarded-for", inject)],
        &[(&name, "1")],
        &[("x other", "1")],
        &[("X-Other", "1")],
        &[("x-other:", "1")],
        &[("", "1")],
        &[("transfer-encoding", "chunked")],
        &[("connection", "close, x-forwarded-for")],
        &[("keep-alive", "1")],
        &[("proxy-connection", "keep-alive")],
        &[("upgrade", "websocket"), ("connection", "upgrade")],
        &[("te", "chunked")],
        &[("content-length", "5"), ("content-length", "6")],
        &[("content-length", "+5")],
        &[("content-length", "5, 6")],
        &[("content-length", "0")],
        &[("content-length", "4")],
        &[("content-length", "60")],
        &[("host", "other.test")],
        &[("host", "m5.test"), ("host", "m5.test")],
        &[(":path", "/hidden")],
        &[(":other", "1")],
        &[(":status", "200")],
        &[(":protocol", "websocket")],
    ];
    for extra in spoiled {
        let fields = [&sound()[..], extra].concat();
        assert_h2_one_or_none(&stage, &fields);
    }
    let replaced: &[(&str, &str)] = &[
        (":path", &path),
        (":path", "/m x"),
        (":path", "/m\tx"),
        (":path", "/m\0"),
        (":path", ""),
        (":path", "m"),
        (":path", "*"),
        (":path", "http://other.test/hidden"),
        (":path", "//other.test/hidden"),
        (":path", "/m#x"),
        (":path", "?x"),
        (":method", &method),
        (":method", "GET /hidden HTTP/1.1"),
        (":method", ""),
        (":method", "G\nET"),
        (":method", "CONNECT"),
        (":authority", &authority),
        (":authority", "m5.test/hidden"),
        (":authority", "a@m5.test"),
        (":authority", "m5.test:80:80"),
        (":authority", "m5.test other.test"),
        (":authority", ""),
        (":scheme", "http://other.test/hidden?"),
        (":scheme", "https\r\nX: y"),
        (":scheme", ""),
        (":scheme", "http"),
    ];
    for (name, value) in replaced {
        let mut fields = sound();
        fields.iter_mut().filter(|field| field.0 == *name).for_each(|field| field.1 = value);
        assert_h2_one_or_none(&stage, &fields);
    }
    // A field of the request behind its headers; and no name of a host at all.
    let late = [sound()[0], sound()[1], ("x-other", "1"), sound()[2], sound()[3]];
    assert_h2_one_or_none(&stage, &late);
    assert_h2_one_or_none(&stage, &[sound()[0], sound()[1], sound()[3]]);
}

#[test]
fn given_trailers_when_sent_by_h2_then_they_say_nothing_about_the_request() {
    let (stage, _portvakt) = plain_allowed();
    for fields in
        [[(":path", "/hidden")], [("content-length", "0")], [("transfer-encoding", "chunked")], [("x", "a\r\nb: c")]]
    {
        stage.echo.take();
        let mut client = stage.h2(&[]);
        let stream = client.next_stream();
        let bytes = [
            h2::headers(stream, &sound(), false),
            h2::data(stream, b"hello", false),
            h2::headers(stream, &fields, true),
        ];
        // Whether it is answered does not matter, only what arrives.
        let _ = client.send(&bytes.concat()).map(|()| client.end_of(stream));
        assert_eq!(stage.get("/after").status, 200);
        assert_sound(&stage.echo.take(), &format!("{fields:?}"));
    }
}

#[test]
fn given_what_a_client_says_when_it_is_repeated_in_an_answer_then_it_makes_no_line_there() {
    let (stage, _portvakt) = Stage::running();
    let targets = [
        "/a%0d%0aX-Injected:%201",
        "/a%0aX-Injected:%201",
        "/a%E5%98%8D%E5%98%8AX-Injected:%201",
        "/a?b=%0d%0aX-Injected:%201",
        "/a?b=\u{560a}X-Injected: 1",
        "//evil.test/%0d%0a",
        "/\\evil.test",
    ];
    for target in targets {
        for host in ["m5.test", "m5.test:80", "M5.Test."] {
            let outcome = stage.plain(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let raw::Outcome::Answered(reply) = outcome else { panic!("no answer to {target}") };
            assert!(!reply.headers.iter().any(|(name, _)| name == "x-injected"), "{target}: {reply:?}");
            if let Some(location) = reply.header("location") {
                let ours = format!("https://m5.test:{}/", stage.home.https);
                assert!(location.starts_with(&ours) && location.is_ascii(), "{target}: {location:?}");
            }
        }
    }
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_what_is_no_request_when_refused_then_the_answer_names_it_and_no_program() {
    let (stage, _portvakt) = plain_allowed();
    for (text, status) in [
        ("GET /m HTTP/1.1\r\nHost : m5.test\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0", 400),
        ("CONNECT m5.test:443 HTTP/1.1\r\nHost: m5.test:443\r\n\r\n", 405),
        (&format!("GET /m HTTP/1.1\r\nHost: m5.test\r\nX: {}\r\n\r\n", "y".repeat(70_000)), 431),
    ] {
        let raw::Outcome::Answered(reply) = stage.plain(text) else { panic!("no answer to {text:.40?}") };
        assert_eq!(reply.status, status, "{text:.40?}");
        assert_eq!(reply.header("server"), None);
        assert!(reply.header("date").is_some_and(|date| date.ends_with(" GMT")), "{reply:?}");
        let id = reply.header("portvakt-request-id").expect("a request id").to_owned();
        assert!(reply.text().contains(&id) && reply.closes(), "{reply:?}");
    }
    let labels = [("code", "400")];
    assert!(stage.home.metrics().sum("portvakt_http_requests_total", &labels) >= 2.0);
}

/// Sends `text` on both listeners and looks at what the server behind has seen once a later request has arrived.
fn assert_one_or_none(stage: &Stage, text: &str) {
    stage.plain(text);
    let mut stream: tls::Stream = stage.connect();
    // It may be refused before all is sent.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    raw::receive(&mut stream);
    assert_one_or_none_arrived(stage, text, 2);
}

/// After as many connections that each sent `text`.
fn assert_one_or_none_arrived(stage: &Stage, text: &str, times: usize) {
    let after = stage.plain("GET /after HTTP/1.1\r\nHost: m5.test\r\n\r\n");
    assert_eq!(after.status(), Some(200), "{text:?}");
    let seen = stage.echo.take();
    assert!(seen.len() <= times + 1, "{text:?}: {seen:?}");
    assert_sound(&seen, text);
}

fn assert_h2_one_or_none(stage: &Stage, fields: &[(&str, &str)]) {
    stage.echo.take();
    let mut client = stage.h2(&[]);
    let end = client.request(fields, Some(b"hello"));
    assert_eq!(stage.h2(&[]).get("m5.test", "/after").status(), Some(200), "{fields:?}");
    let seen = stage.echo.take();
    assert!(seen.len() <= 2, "{fields:?}: {seen:?}");
    assert_sound(&seen, &format!("{fields:?}"));
    if let End::Answered(200, _) = end {
        assert_eq!(seen.len(), 2, "{fields:?} is answered by nobody");
    }
}

/// Every request that arrived is well-formed, and none is the hidden one.
fn assert_sound(seen: &[Received], what: &str) {
    for request in seen {
        let head = std::str::from_utf8(&request.head).unwrap_or_else(|_| panic!("{what}: not text"));
        let lines: Vec<_> = head.strip_suffix("\r\n\r\n").expect("a whole head").split("\r\n").collect();
        assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{what}: {head:?}");
        let words: Vec<_> = lines[0].split(' ').collect();
        assert!(words.len() == 3 && words[2] == "HTTP/1.1", "{what}: {head:?}");
        assert!(request.target().starts_with('/') && request.target() != "/hidden", "{what}: {head:?}");
        assert!(lines[1..].iter().all(|line| line.find(':').is_some_and(|at| at > 0)), "{what}: {head:?}");
        let hosts = request.all("host");
        assert!(hosts.len() == 1 && hosts[0].eq_ignore_ascii_case("m5.test"), "{what}: {head:?}");
        let (lengths, codings) = (request.all("content-length"), request.all("transfer-encoding"));
        assert!(lengths.len() + codings.len() <= 1, "{what}: {head:?}");
        assert!(lengths.iter().all(|length| length.bytes().all(|byte| byte.is_ascii_digit())), "{what}: {head:?}");
        assert!(codings.iter().all(|coding| coding == "chunked"), "{what}: {head:?}");
        assert!(request.header("x-hidden").is_none(), "{what}: the hidden request has arrived");
    }
}

fn sound() -> [(&'static str, &'static str); 4] {
    [(":method", "POST"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/m")]
}

fn plain_allowed() -> (Stage, Portvakt) {
    // What is taken for the beginning of something longer is given up soon.
    Stage::running_with("", "https = { rest = \"allow\" }\n[limits]\nheader_timeout = \"1s\"\nkeep_alive = \"1s\"\n")
}
