//! A server that reads no chunks gets every body with its length, from memory or from a file that nobody else can read.

use std::fs;
use std::io::Write;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::echo::{Checksum, pattern};
use crate::support::home::Portvakt;
use crate::support::{eventually, raw, tls};

#[test]
fn given_a_body_in_chunks_when_collected_then_it_has_its_length_and_the_connection_goes_on() {
    let (stage, _portvakt) = running("");
    let mut stream = stage.connect();

    for body in ["5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "0\r\n\r\n"] {
        let head = "POST /x HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let reply = tls::exchange(&mut stream, &format!("{head}{body}")).unwrap();
        assert_eq!(reply.status, 200);
        let received = stage.echo.last();
        let length = if body.starts_with('5') { 11 } else { 0 };
        assert_eq!(received.header("content-length"), Some(length.to_string()));
        assert_eq!((received.header("transfer-encoding"), received.body.len()), (None, length));
    }
    // One with a length is passed on as before.
    let reply = tls::exchange(&mut stream, "POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    assert_eq!((reply.status, stage.echo.last().body), (200, b"hi".to_vec()));
}

#[test]
fn given_5_mb_when_sent_in_every_way_then_each_byte_arrives_under_its_length() {
    let (stage, _portvakt) = running("");
    let file = stage.home.path().join("body");
    fs::write(&file, (0..5 << 20).map(pattern).collect::<Vec<u8>>()).unwrap();
    let upload = format!("@{}", file.display());

    for (version, chunked) in [
        ("--http1.1", "Transfer-Encoding: chunked"),
        ("--http1.1", "Content-Length: 5242880"),
        ("--http2", "Content-Length:"),
    ] {
        for expect in ["Expect: 100-continue", "Expect:"] {
            let arguments = [version, "-H", chunked, "-H", expect, "--data-binary", &upload];
            let answer = stage.curl().with(&arguments).get(&stage.url("/upload"));
            assert_eq!(answer.text(), format!("{}\n", Checksum::of_pattern(5 << 20)), "{version} {chunked} {expect}");
            let received = stage.echo.last();
            assert_eq!(received.header("content-length").as_deref(), Some("5242880"), "{version} {chunked} {expect}");
        }
    }
}

#[test]
fn given_a_body_beyond_the_limit_when_collected_then_413_and_the_server_hears_nothing() {
    let (stage, _portvakt) = running("limits = { body = \"64KiB\" }\n");
    let mut stream = stage.connect();
    let chunk = [b"8000\r\n".as_slice(), &vec![b'x'; 0x8000], b"\r\n"].concat();
    let head = b"POST /x HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(&[head, &chunk[..], &chunk, &chunk].concat()).unwrap();

    assert_eq!(raw::read_reply(&mut stream).unwrap().status, 413);
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_a_refusal_when_it_comes_before_the_body_then_the_client_gets_it() {
    let (stage, _portvakt) = running("");
    let file = stage.home.path().join("body");
    fs::write(&file, vec![b'x'; 5 << 20]).unwrap();
    let upload = format!("@{}", file.display());

    for (version, framing) in [("--http1.1", "Transfer-Encoding: chunked"), ("--http2", "Content-Length:")] {
        let arguments = [version, "-H", framing, "-H", "Expect:", "--data-binary", &upload];
        assert_eq!(stage.curl().with(&arguments).get(&stage.url("/early")).status, 413, "{version}");
    }
}

#[test]
fn given_a_collected_body_when_the_server_closes_without_an_answer_then_502_and_it_saw_one_request() {
    let (stage, _portvakt) = running("");

    for method in ["PUT", "POST"] {
        // A connection that is kept, which would be a reason to try again.
        assert_eq!(stage.get("/").status, 200);
        stage.echo.take();
        let head = format!("{method} /close HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(stage.request(&format!("{head}5\r\nhello\r\n0\r\n\r\n")).status, 502, "{method}");
        assert_eq!(stage.echo.take().len(), 1, "{method}");
    }
}

#[test]
fn given_bodies_that_fill_the_room_when_another_comes_then_503_until_one_of_them_is_gone() {
    let (stage, _portvakt) = running_with("[limits]\ncollected = \"3MiB\"\n", "");
    let upload = |path: &str, chunks: usize, end: &str| {
        let mut stream = stage.connect();
        let head = format!("POST {path} HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"80000\r\n".as_slice(), &vec![b'x'; 0x80000], b"\r\n"].concat();
        stream.write_all(head.as_bytes()).unwrap();
        // Once refused, the rest may meet a closed connection.
        let sent =
            (0..chunks).try_for_each(|_| stream.write_all(&chunk)).and_then(|()| stream.write_all(end.as_bytes()));
        (stream, sent)
    };
    // 1 MiB of each is in memory. Each way out gives the room back, or the last of these would not get in.
    for path in ["/upload", "/close", "/upload", "/close"] {
        let (mut stream, sent) = upload(path, 7, "0\r\n\r\n");
        sent.unwrap();
        let expected = if path == "/close" { 502 } else { 200 };
        assert_eq!(raw::read_reply(&mut stream).unwrap().status, expected, "{path}");
    }
    // What is written is not read yet: where the second gets the room first, the first is the one that is refused.
    let (unfinished, refusal) = eventually("the room is full", PATIENCE, || {
        let (unfinished, _) = upload("/upload", 7, "");
        let (mut stream, _) = upload("/upload", 4, "0\r\n\r\n");
        let refusal = raw::read_reply(&mut stream).ok().filter(|reply| reply.status == 503)?;
        Some((unfinished, refusal))
    });
    assert!(refusal.header("retry-after").is_some() && refusal.text().contains("no room"), "{refusal:?}");
    assert!(stage.home.metrics().sum("portvakt_requests_limited_total", &[("reason", "collected")]) >= 1.0);
    drop(unfinished);
    eventually("there is room again", PATIENCE, || {
        let (mut stream, _) = upload("/upload", 4, "0\r\n\r\n");
        raw::read_reply(&mut stream).ok().filter(|reply| reply.status == 200)
    });
}

fn running(site: &str) -> (Stage, Portvakt) {
    running_with("", site)
}

fn running_with(top: &str, site: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    let upstream = format!("{{ url = \"{}\", request_buffering = \"length\" }}", stage.echo.url());
    stage.home.configure(top, &format!("{}{site}", Stage::site_with(&upstream)));
    let portvakt = stage.home.start();
    (stage, portvakt)
}
