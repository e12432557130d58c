//! A client that is slow, silent, greedy or many takes a bounded share, and the others do not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::stage::Stage;
use crate::support::child::Child;
use crate::support::clock::{PATIENCE, timed};
use crate::support::home::Portvakt;
use crate::support::{eventually, raw, tls};

/// What would hold if the setting did nothing.
const DEFAULT_HEADER: Duration = Duration::from_secs(15);
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(75);

#[test]
fn given_a_silent_client_when_the_handshake_timeout_passes_then_it_is_closed_and_counted() {
    let (stage, _portvakt) = Stage::running_with("", "[limits]\nhandshake_timeout = \"1s\"\n");

    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut silent = raw::connect(stage.home.https);
        silent.write_all(beginning).unwrap();
        let (closed, took) = timed(|| ends(&mut silent));
        assert!(closed, "still open after {took:?} and {} bytes", beginning.len());
        assert!(took < Duration::from_secs(10), "{took:?}: the default");
    }
    let timeouts = [("reason", "timeout")];
    stage.home.wait_sum("portvakt_tls_handshake_failures_total", &timeouts, 3.0);
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_client_hello_without_end_when_sent_then_it_is_refused_early() {
    let (stage, _portvakt) = Stage::running();
    let mut greedy = raw::connect(stage.home.https);

    // Records of 16 KiB that claim to be parts of one ClientHello of almost 16 MiB.
    let mut record = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff, 3, 3];
    record.resize(5 + 0x4000, 0);
    let mut sent = 0;
    let mut following = vec![0x16, 3, 1, 0x40, 0];
    following.resize(5 + 0x4000, 0);
    while sent < 2 << 20 && greedy.write_all(&record).is_ok() {
        sent += record.len();
        record.clone_from(&following);
    }

    // What the sockets hold between us is not what portvakt has read; two megabytes are beyond both.
    assert!(ends(&mut greedy), "it still listens after {sent} bytes");
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_header_that_drips_when_the_header_timeout_passes_then_it_is_closed() {
    let (stage, _portvakt) =
        Stage::running_with("", "https = { rest = \"allow\" }\n[limits]\nheader_timeout = \"1s\"\n");

    let mut plain = raw::connect(stage.home.http);
    assert!(drips_until_closed(&mut plain) < DEFAULT_HEADER);
    let mut encrypted = stage.connect();
    encrypted.write_all(b"GET / HTTP/1.1\r\nHost: m5.test\r\n").unwrap();
    encrypted.flush().unwrap();
    let (_, took) = timed(|| encrypted.read_to_end(&mut Vec::new()));
    assert!(took < DEFAULT_HEADER, "{took:?}");
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_a_second_header_that_drips_when_the_header_timeout_passes_then_it_is_closed() {
    let (stage, _portvakt) =
        Stage::running_with("", "https = { rest = \"allow\" }\n[limits]\nheader_timeout = \"1s\"\n");
    let mut stream = raw::connect(stage.home.http);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    assert_eq!(raw::receive(&mut stream).status(), Some(200));

    assert!(drips_until_closed(&mut stream) < DEFAULT_HEADER);
    assert_eq!(stage.echo.requests().len(), 1);
}

#[test]
fn given_an_idle_connection_when_keep_alive_passes_then_it_is_closed() {
    let (stage, _portvakt) = Stage::running_with("", "[limits]\nkeep_alive = \"1s\"\n");
    let mut stream = stage.connect();
    let reply = tls::exchange(&mut stream, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    assert!(!reply.closes());

    let (rest, took) = timed(|| stream.read(&mut [0; 64]));

    assert!(matches!(rest, Ok(0)) || rest.is_err_and(|error| error.kind() != ErrorKind::WouldBlock));
    assert!(took < DEFAULT_KEEP_ALIVE, "{took:?}");
}

#[test]
fn given_as_many_connections_as_one_client_may_have_when_one_more_comes_then_it_is_closed_until_one_leaves() {
    let (stage, _portvakt) = Stage::running_with("", "[limits]\nconnections_per_client = 2\n");

    let mut held = vec![raw::connect(stage.home.https), raw::connect(stage.home.https)];
    let mut third = raw::connect(stage.home.https);
    assert!(ends(&mut third));
    assert!(!held.iter_mut().any(closed_already));

    held.pop();
    eventually("a place is free again", PATIENCE, || {
        let client = tls::Client::new(stage.ca.roots());
        client.connect(stage.home.https, "m5.test").ok()
    });
}

#[test]
fn given_a_trusted_proxy_when_it_makes_more_connections_than_a_client_may_then_they_are_served() {
    let (stage, _portvakt) =
        Stage::running_with("trusted_proxies = [\"127.0.0.1\"]\n", "[limits]\nconnections_per_client = 2\n");

    let _held = [raw::connect(stage.home.https), raw::connect(stage.home.https)];

    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_as_many_connections_as_a_listener_may_have_when_one_more_comes_then_only_that_listener_is_full() {
    let tables = "https = { rest = \"allow\" }\n[limits]\nconnections = 2\n";
    let (stage, _portvakt) = Stage::running_with("", tables);

    let held = [raw::connect(stage.home.https), raw::connect(stage.home.https)];
    assert!(ends(&mut raw::connect(stage.home.https)));
    assert_eq!(raw::get(stage.home.http, "m5.test", "/").status, 200);
    assert_eq!(stage.home.admin("/livez").status, 200);
    drop(held);
    eventually("a place is free again", PATIENCE, || {
        let client = tls::Client::new(stage.ca.roots());
        client.connect(stage.home.https, "m5.test").ok()
    });
}

#[test]
fn given_more_headers_than_anyone_needs_when_sent_then_refused() {
    let (stage, _portvakt) = Stage::running();
    let many: String = (0..2000).map(|index| format!("X-{index}: {index}\r\n")).collect();

    let mut stream = stage.connect();
    let reply = tls::exchange(&mut stream, &format!("GET / HTTP/1.1\r\nHost: m5.test\r\n{many}\r\n"));

    assert!(reply.map_or(true, |reply| (400..500).contains(&reply.status)));
    assert!(stage.echo.requests().is_empty());
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_kerberos_ticket_of_16_kib_when_sent_then_it_arrives() {
    let (stage, _portvakt) = Stage::running();
    let ticket = format!("Negotiate {}", "A".repeat(16 * 1024));

    let reply = stage.request(&format!("GET / HTTP/1.1\r\nHost: m5.test\r\nAuthorization: {ticket}\r\n\r\n"));

    assert_eq!(reply.status, 200);
    assert_eq!(stage.echo.last().header("authorization"), Some(ticket));
}

#[test]
fn given_tickets_of_32_kib_when_sent_by_h1_and_h2_then_they_arrive() {
    let (stage, _portvakt) = Stage::running();
    let ticket = format!("Negotiate {}", "A".repeat(32 * 1024));
    for version in ["--http1.1", "--http2"] {
        let header = format!("Authorization: {ticket}");
        assert_eq!(stage.curl().with(&[version]).header(&header).get(&stage.url("/")).status, 200, "{version}");
        assert_eq!(stage.echo.last().header("authorization").as_ref(), Some(&ticket), "{version}");
    }
}

#[test]
fn given_an_h2_client_that_says_nothing_when_keep_alive_passes_then_it_is_closed() {
    let (stage, _portvakt) = Stage::running_with("", "[limits]\nkeep_alive = \"1s\"\n");
    let mut silent = tls::Client::new(stage.ca.roots()).alpn(&["h2"]).connect(stage.home.https, "m5.test").unwrap();

    let (end, took) = timed(|| silent.read_to_end(&mut Vec::new()));

    assert!(end.is_ok() || end.is_err_and(|error| error.kind() != ErrorKind::WouldBlock), "still open after {took:?}");
    assert!(took < DEFAULT_KEEP_ALIVE, "{took:?}");
}

#[test]
fn given_a_refused_upload_when_all_of_it_is_sent_first_then_the_answer_is_still_read() {
    let (stage, _portvakt) = Stage::running_with("", "https = { rest = \"reject\" }\n");
    let part = vec![b'x'; 64 * 1024];
    let mut stream = raw::connect(stage.home.http);
    let head = format!("POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: {}\r\n\r\n", 160 * part.len());
    stream.write_all(head.as_bytes()).unwrap();

    for sent in 0..160 {
        stream.write_all(&part).unwrap_or_else(|error| panic!("after {sent} parts of 64 KiB: {error}"));
    }

    assert_eq!(raw::read_reply(&mut stream).unwrap().status, 403);
    assert!(raw::is_closed(&mut stream, PATIENCE));
    assert!(stage.echo.requests().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn given_no_descriptor_left_when_clients_come_then_the_log_says_so_once_and_they_are_served_later() {
    let stage = Stage::new();
    stage.configure("", "");
    let file = stage.home.file();
    let script = "ulimit -n 40; exec \"$0\" run --config \"$1\"";
    let mut command = std::process::Command::new("sh");
    command.current_dir(stage.home.path()).args(["-c", script, env!("CARGO_BIN_EXE_portvakt")]).arg(&file);
    let mut portvakt = Portvakt { child: Child::start("portvakt", &mut command) };
    portvakt.wait_ready(&stage.home);

    let held: Vec<_> = (0..60).map(|_| raw::connect(stage.home.https)).collect();
    portvakt.child.wait_line("the shortage", |line| line.contains("cannot accept"));
    drop(held);

    eventually("a client is served again", PATIENCE, || {
        let client = tls::Client::new(stage.ca.roots());
        client.connect(stage.home.https, "m5.test").ok()
    });
    let told = portvakt.child.lines().iter().filter(|line| line.contains("cannot accept")).count();
    // Once on each listener for a row of failures, of which there may be several; else dozens a second.
    assert!(told <= 10, "{told}");
}

/// Whether the peer closes or resets, within [`PATIENCE`]; what it sends before does not count.
fn ends(stream: &mut TcpStream) -> bool {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

fn closed_already(stream: &mut TcpStream) -> bool {
    raw::is_closed(stream, Duration::from_millis(500))
}

/// Sends a header line every 100 ms until nobody listens any more; gives how long that took.
fn drips_until_closed(stream: &mut TcpStream) -> Duration {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let drip = || {
        let mut line = &b"GET /slow HTTP/1.1\r\nHost: m5.test\r\n"[..];
        for _ in 0..200 {
            if stream.write_all(line).is_err() {
                return;
            }
            line = b"X-More: 1\r\n";
            match stream.read(&mut [0; 4096]) {
                Ok(0) => return,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    };
    timed(drip).1
}
