//! The PROXY header of a load balancer says who the client is; from anybody else it is never believed.
//!
//! The load balancer of these tests connects from 127.0.0.2, everybody else from 127.0.0.1.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use socket2::{Domain, Socket, Type};

use crate::stage::Stage;
use crate::support::child::Child;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::peers::program;
use crate::support::ports::free_port;
use crate::support::{eventually, raw};

#[test]
fn given_headers_of_the_load_balancer_when_forwarded_then_the_client_is_who_they_name() {
    let (stage, _portvakt) = behind_load_balancer("");
    #[rustfmt::skip]
    let table: [(&[u8], &str); 6] = [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 56324 443\r\n",        "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n",                               "127.0.0.2"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\xdc\x04\x01\xbb",                "192.0.2.9"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\x02\x0a\xc6\x33\x64\x01\xdc\x04\x01\xbb\x04\0\x02ab",    "192.0.2.10"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",                  "127.0.0.2"),
    ];
    for (header, client) in table {
        let mut stream = from_load_balancer(stage.home.http);
        stream.write_all(&[header, REQUEST].concat()).unwrap();
        assert_eq!(raw::read_reply(&mut stream).unwrap().status, 200, "{client}");
        assert_eq!(stage.echo.last().header("x-forwarded-for").as_deref(), Some(client));
    }
}

#[test]
fn given_a_header_that_comes_byte_by_byte_when_read_then_nothing_behind_it_is_lost() {
    let (stage, _portvakt) = behind_load_balancer("");
    let mut stream = from_load_balancer(stage.home.http);
    stream.set_nodelay(true).unwrap();
    for byte in [b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", REQUEST].concat() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(raw::read_reply(&mut stream).unwrap().status, 200);
    assert_eq!(stage.echo.last().header("x-forwarded-for").as_deref(), Some("192.0.2.7"));
}

#[test]
fn given_curl_by_tls_when_it_sends_the_header_then_the_handshake_follows_it() {
    let (stage, _portvakt) = behind_load_balancer("");
    for version in ["--http1.1", "--http2"] {
        let curl = stage.curl().with(&[version, "--interface", "127.0.0.2", "--haproxy-protocol"]);
        assert_eq!(curl.get(&stage.url("/x")).status, 200, "{version}");
        assert_eq!(stage.echo.last().header("x-forwarded-for").as_deref(), Some("127.0.0.2"), "{version}");
    }
}

#[test]
fn given_haproxy_when_it_sends_either_version_then_its_client_is_told() {
    let (stage, _portvakt) = behind_load_balancer("");
    for word in ["send-proxy", "send-proxy-v2"] {
        let (port, _haproxy) = haproxy(&stage, word);
        let answer = stage.curl().with(&["--connect-to", &format!("::127.0.0.1:{port}")]).get(&stage.url("/x"));
        assert_eq!(answer.status, 200, "{word}");
        assert_eq!(stage.echo.last().header("x-forwarded-for").as_deref(), Some("127.0.0.1"), "{word}");
    }
}

#[test]
fn given_the_load_balancer_when_it_sends_none_then_closed_counted_and_told_once_with_the_mend() {
    let (stage, portvakt) = behind_load_balancer("");
    for begin in [REQUEST, b"PROXY TCP4 nobody\r\n", b"PROXY TCP4 192.0.2.7"] {
        let mut stream = from_load_balancer(stage.home.http);
        stream.write_all(begin).unwrap();
        raw::finish(&stream);
        let mut rest = Vec::new();
        // Closed or reset, but not answered.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
    // A check of the load balancer that says nothing is no fault.
    drop(from_load_balancer(stage.home.http));

    let labels = [("reason", "proxy_protocol")];
    stage.home.wait_metrics("all are counted", PATIENCE, |metrics| {
        (metrics.sum("portvakt_connections_rejected_total", &labels) == 3.0).then_some(())
    });
    let told = || portvakt.child.lines().iter().filter(|line| line.contains("listen.proxy_protocol")).count();
    portvakt.child.wait_line("how to mend it", |line| line.contains("WARN") && line.contains("send-proxy-v2"));
    assert_eq!(told(), 1);
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_anybody_else_when_a_header_is_sent_then_it_is_no_header() {
    let (stage, _portvakt) = behind_load_balancer("");
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

    let status = raw::exchange(stage.home.http, &[header, REQUEST].concat()).status();
    assert!(matches!(status, None | Some(400)), "{status:?}");
    let failure = stage.curl().with(&["--haproxy-protocol"]).try_get(&stage.url("/x")).unwrap_err();
    assert_eq!(failure.code, 35, "no TLS: {}", failure.message);
    assert!(stage.echo.requests().is_empty());

    assert_eq!(stage.get("/x").status, 200);
    assert_eq!(stage.echo.last().header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[test]
fn given_a_limit_for_each_client_when_behind_the_load_balancer_then_its_clients_are_counted_not_itself() {
    let (stage, _portvakt) = behind_load_balancer("[limits]\nconnections_per_client = 1\n");
    let client = |last: u8| {
        let mut stream = from_load_balancer(stage.home.http);
        let header = format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 56324 443\r\n");
        stream.write_all(&[header.as_bytes(), REQUEST].concat()).unwrap();
        let answer = raw::read_reply(&mut stream).map(|reply| reply.status).ok();
        (stream, answer)
    };

    let (first, answer) = client(1);
    assert_eq!(answer, Some(200));
    assert_eq!(client(1).1, None, "the second of the same client");
    assert_eq!(client(2).1, Some(200), "another client");

    drop(first);
    eventually("the first client may come again", PATIENCE, || (client(1).1 == Some(200)).then_some(()));
}

#[test]
fn given_a_header_that_stays_away_when_the_time_for_the_handshake_is_over_then_closed() {
    let (stage, portvakt) = behind_load_balancer("[limits]\nhandshake_timeout = \"200ms\"\n");
    for port in [stage.home.http, stage.home.https] {
        let mut stream = from_load_balancer(port);
        stream.write_all(b"PROXY TCP4 192").unwrap();
        assert!(raw::is_closed(&mut stream, PATIENCE));
    }
    portvakt.child.wait_line("why", |line| line.contains("no PROXY header within 200ms"));
}

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: m5.test\r\n\r\n";

fn behind_load_balancer(tables: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    let site = format!("{}https = {{ rest = \"allow\" }}\n", stage.site());
    // What comes first still belongs to `[listen]`.
    stage.home.configure("", &format!("proxy_protocol = \"127.0.0.2\"\n{tables}{site}"));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn from_load_balancer(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// HAProxy in front of the TLS listener.
fn haproxy(stage: &Stage, word: &str) -> (u16, Child) {
    let (port, file) = (free_port(), stage.home.path().join("haproxy.cfg"));
    let configuration = format!(
        "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
         listen door\n bind 127.0.0.1:{port}\n server us 127.0.0.1:{} {word} source 127.0.0.2\n",
        stage.home.https
    );
    fs::write(&file, configuration).unwrap();
    let mut child = Child::start("haproxy", Command::new(program("haproxy")).arg("-db").arg("-f").arg(&file));
    eventually("haproxy listens", PATIENCE, || {
        assert!(child.ended().is_none(), "haproxy has ended: {:?}", child.lines());
        raw::try_connect(port).ok()
    });
    (port, child)
}
