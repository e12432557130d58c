//! Bodies pass as they come, in both directions, whatever their size: nothing is collected first.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;

use crate::stage::Stage;
use crate::support::child::Child;
use crate::support::clock::PATIENCE;
use crate::support::echo::{Checksum, pattern};
use crate::support::peers::program;
use crate::support::{Nginx, eventually, raw, tls};

const BIG: u64 = 50 << 20;

#[test]
fn given_an_event_stream_when_the_first_event_is_out_then_it_arrives_before_the_second_exists() {
    let (stage, _portvakt) = Stage::running();
    let mut stream = stage.connect();
    stream.write_all(b"GET /drip HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();

    read_until(&mut stream, "data: first\n\n");
    stage.echo.release();
    read_until(&mut stream, "data: second\n\n");
}

#[test]
fn given_an_event_stream_over_h2_when_the_first_event_is_out_then_it_arrives_before_the_second_exists() {
    let (stage, _portvakt) = Stage::running();
    let resolve = format!("m5.test:{}:127.0.0.1", stage.home.https);
    let mut command = Command::new(program("curl"));
    command.args(["-qsSN", "--http2", "--resolve", &resolve, "--cacert", stage.root(), &stage.url("/drip")]);
    let mut curl = Child::start("curl", &mut command);

    curl.wait_line("the first event", |line| line == "data: first");
    stage.echo.release();

    assert!(curl.wait(PATIENCE).success());
    assert!(curl.stdout().contains("data: second"));
}

#[test]
fn given_an_upload_when_its_first_part_is_sent_then_it_arrives_before_the_last() {
    let (stage, _portvakt) = Stage::running();

    for framing in ["Content-Length: 200000", "Transfer-Encoding: chunked"] {
        let before = stage.echo.uploaded();
        let mut stream = stage.connect();
        let head = format!("POST /upload HTTP/1.1\r\nHost: m5.test\r\n{framing}\r\n\r\n");
        let part: Vec<u8> = (0..100_000).map(pattern).collect();
        let parts = if framing.starts_with('T') {
            let chunk = [b"186a0\r\n", &part[..], b"\r\n"].concat();
            [chunk.clone(), [&chunk[..], b"0\r\n\r\n"].concat()]
        } else {
            [part.clone(), part.clone()]
        };
        stream.write_all(&[head.as_bytes(), &parts[0]].concat()).unwrap();
        eventually("the first part has arrived", PATIENCE, || {
            (stage.echo.uploaded() >= before + 100_000).then_some(())
        });
        stream.write_all(&parts[1]).unwrap();

        let reply = raw::read_reply(&mut stream).unwrap();
        let whole = [part.clone(), part].concat();
        assert_eq!(reply.text(), format!("{}\n", Checksum::of(&whole)), "{framing}");
    }
}

#[test]
fn given_an_upload_with_a_length_when_forwarded_then_the_length_stays() {
    let (stage, _portvakt) = Stage::running();

    stage.request("POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\n\r\nhello");
    let received = stage.echo.last();

    assert_eq!((received.header("content-length").as_deref(), &received.body[..]), (Some("5"), &b"hello"[..]));
    assert_eq!(received.header("transfer-encoding"), None);
}

#[test]
fn given_expect_100_when_the_server_asks_for_the_body_then_the_client_is_told() {
    let (stage, _portvakt) = Stage::running();
    let mut stream = stage.connect();
    stream
        .write_all(b"POST /continue HTTP/1.1\r\nHost: m5.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .unwrap();

    let interim = raw::read_head(&mut stream).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
    stream.write_all(b"hello").unwrap();

    let reply = raw::read_reply(&mut stream).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
}

#[test]
fn given_expect_100_when_the_server_says_nothing_then_the_upload_still_goes_through() {
    let (stage, _portvakt) = Stage::running();
    let body = stage.home.path().join("body");
    fs::write(&body, bytes(5 << 20)).unwrap();

    let file = format!("@{}", body.display());
    for framing in ["Content-Length: 5242880", "Transfer-Encoding: chunked"] {
        let arguments = ["--http1.1", "-H", "Expect: 100-continue", "-H", framing, "--data-binary", &file];
        let answer = stage.curl().with(&arguments).get(&stage.url("/upload"));
        assert_eq!(answer.text(), format!("{}\n", Checksum::of_pattern(5 << 20)), "{framing}");
        let refused = stage.curl().with(&arguments).get(&stage.url("/early"));
        assert_eq!(refused.status, 413, "{framing}: an answer before the body reaches the client");
    }
}

#[test]
fn given_a_refusal_when_it_comes_before_the_body_is_sent_then_the_client_gets_it() {
    let (stage, _portvakt) = Stage::running();
    let mut stream = stage.connect();
    stream.write_all(b"POST /early HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 1000000\r\n\r\nbeginning").unwrap();

    assert_eq!(raw::read_reply(&mut stream).unwrap().status, 413);
}

#[test]
fn given_50_mb_when_downloaded_over_h1_and_h2_then_every_byte_is_right() {
    let (stage, _portvakt) = Stage::running();
    let expected = Checksum::of_pattern(BIG);

    for version in ["--http1.1", "--http2"] {
        let answer = stage.curl().with(&[version]).get(&stage.url(&format!("/download/{BIG}")));
        assert_eq!(Checksum::of(&answer.body), expected, "{version}");
    }
}

#[test]
fn given_50_mb_when_uploaded_to_nginx_and_back_then_every_byte_is_right() {
    let (nginx, stage) = (Nginx::start(), Stage::new());
    stage.home.configure("", &Stage::site_with(&format!("\"http://127.0.0.1:{}\"", nginx.http)));
    let _portvakt = stage.home.start();
    let (file, content) = (stage.home.path().join("big"), bytes(BIG));
    fs::write(&file, &content).unwrap();

    for (version, name) in [("--http1.1", "one"), ("--http2", "two")] {
        let url = stage.url(&format!("/files/{name}"));
        let put = stage.curl().with(&[version, "-T", file.to_str().unwrap()]).get(&url);
        assert_eq!(put.status, 201, "{version}");
        assert!(fs::read(nginx.files().join(name)).unwrap() == content, "{version}: the upload differs");
        let got = stage.curl().with(&[version]).get(&url);
        assert!(got.body == content, "{version}: the download differs");
    }
}

#[test]
fn given_head_and_bodiless_answers_when_forwarded_then_the_connection_stays_in_step() {
    let (stage, _portvakt) = Stage::running();
    let mut stream = stage.connect();

    stream.write_all(b"HEAD /x HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    assert!(raw::read_head(&mut stream).unwrap().starts_with(b"HTTP/1.1 200"));
    let next = tls::exchange(&mut stream, "GET /y HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();

    assert!(next.text().starts_with("GET /y HTTP/1.1\r\n"), "{}", next.text());
}

fn bytes(length: u64) -> Vec<u8> {
    (0..length).map(pattern).collect()
}

fn read_until(stream: &mut tls::Stream, wanted: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let length = stream.read(&mut buffer).expect("more of the stream");
        assert!(length > 0, "the stream ended before {wanted:?}");
        seen.extend(&buffer[..length]);
    }
}
