//! A client that is slow, silent, half gone or talks nonsense holds its own connection only; all others are served.
//!
//! Beside every attack stand clients that behave well; each of their requests has to be answered.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::stage::Stage;
use crate::support::child::Child;
use crate::support::clock::PATIENCE;
use crate::support::h2::{self, SETTINGS_INITIAL_WINDOW_SIZE};
use crate::support::home::Portvakt;
use crate::support::{eventually, raw, tls};

/// MiB by which the program may grow: above what its caches, the allocator and a debug build take.
const MOST: u64 = 64;

#[test]
fn given_many_headers_that_drip_when_others_ask_then_they_are_served_and_these_closed() {
    let (stage, portvakt) =
        Stage::running_with("", "https = { rest = \"allow\" }\n[limits]\nheader_timeout = \"2s\"\n");
    let victims = stage.victims(&portvakt);
    let mut slow: Vec<_> = (0..100).map(|_| raw::connect(stage.home.http)).collect();

    // One byte at a time, until the server has had enough of each.
    let mut head = b"GET /slow HTTP/1.1\r\nHost: m5.test\r\nX-Long: ".iter().copied().chain(std::iter::repeat(b'x'));
    eventually("the slow ones are closed", PATIENCE, || {
        let byte = [head.next().expect("without end")];
        slow.retain_mut(|stream| stream.write_all(&byte).is_ok());
        slow.is_empty().then_some(())
    });

    victims.assert_unharmed(MOST);
    assert!(!stage.echo.requests().iter().any(|request| request.target() == "/slow"));
}

#[test]
fn given_connections_that_say_nothing_or_half_when_others_ask_then_they_are_served() {
    let (stage, portvakt) = Stage::running_with("", "[limits]\nhandshake_timeout = \"2s\"\nkeep_alive = \"2s\"\n");
    let victims = stage.victims(&portvakt);
    let mut held = Vec::new();
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16", b"GET / HTTP/1.1\r\nHo"] {
        for port in [stage.home.http, stage.home.https] {
            for _ in 0..20 {
                let mut stream = raw::connect_from(ATTACKER, port);
                stream.write_all(beginning).unwrap();
                held.push(stream);
            }
        }
    }
    // Half of them say that they will say no more.
    held.iter().step_by(2).for_each(raw::finish);

    victims.wait_for(20);
    for stream in &mut held {
        // Closed or reset; what was said before does not matter.
        let end = stream.read_to_end(&mut Vec::new());
        assert!(end.as_ref().is_ok() || !is_timeout(end.as_ref().unwrap_err()), "still open");
    }
    victims.assert_unharmed(MOST);
}

#[test]
fn given_nonsense_when_sent_to_both_listeners_then_each_connection_ends_and_others_are_served() {
    let (stage, portvakt) = Stage::running_with("", "[limits]\nhandshake_timeout = \"2s\"\nheader_timeout = \"2s\"\n");
    let victims = stage.victims(&portvakt);
    // The same bytes in every run: a linear congruence (Knuth's MMIX).
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    for round in 0..60 {
        let mut bytes: Vec<u8> = (0..round * 37).map(|_| random()).collect();
        if round % 3 == 1 {
            bytes.splice(0..0, *b"\x16\x03\x01\x40\x00");
        }
        for port in [stage.home.http, stage.home.https] {
            let mut stream = raw::connect(port);
            let _ = stream.write_all(&bytes);
            raw::finish(&stream);
            let end = stream.read_to_end(&mut Vec::new());
            assert!(end.as_ref().is_ok() || !is_timeout(end.as_ref().unwrap_err()), "round {round} on {port}");
        }
    }
    victims.assert_unharmed(MOST);
    assert!(stage.echo.requests().iter().all(|request| request.target() == "/"));
}

#[test]
fn given_hellos_in_the_smallest_records_when_many_then_bounded_and_others_are_served() {
    let (stage, portvakt) = Stage::running_with("", "[limits]\nhandshake_timeout = \"3s\"\n");
    let victims = stage.victims(&portvakt);
    let mut held = Vec::new();
    for _ in 0..40 {
        // A hello of 16 MiB, one byte in each record: refused after 64 KiB of them.
        let message = [1, 0xff, 0xff, 0xff, 3, 3].into_iter().chain(std::iter::repeat(0)).take(20_000);
        let records: Vec<u8> = message.flat_map(|byte| [22, 3, 1, 0, 1, byte]).collect();
        let mut stream = raw::connect(stage.home.https);
        let _ = stream.write_all(&records);
        held.push(stream);
    }
    for stream in &mut held {
        let end = stream.read_to_end(&mut Vec::new());
        assert!(end.as_ref().is_ok() || !is_timeout(end.as_ref().unwrap_err()));
    }
    victims.assert_unharmed(MOST);
}

#[test]
fn given_clients_that_do_not_read_their_answers_when_many_then_others_are_served() {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    let mut held: Vec<_> = (0..50).map(|_| stage.connect()).collect();

    for stream in &mut held {
        stream.write_all(b"GET /download/8000000 HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
        stream.flush().unwrap();
    }

    victims.wait_for(50);
    // Half a MiB each is on its way through us.
    victims.assert_unharmed(MOST);
}

#[test]
fn given_uploads_that_stand_still_when_many_then_others_are_served() {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    let mut held: Vec<_> = (0..50).map(|_| stage.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"POST /upload HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 1000000\r\n\r\nbegun").unwrap();
        stream.flush().unwrap();
    }
    let mut over_h2 = stalled_h2_uploads(&stage, 100);

    victims.wait_for(50);
    victims.assert_unharmed(MOST);
    over_h2.send(&h2::window_update(0, 1)).expect("the connection is still served");
}

#[test]
#[ignore = "long: a body may stand still for a minute"]
fn given_bodies_that_stand_still_when_their_time_is_over_then_they_end_by_h1_and_h2() {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    let mut h1 = stage.connect();
    h1.sock.set_read_timeout(Some(OVER_A_MINUTE)).unwrap();
    h1.write_all(b"POST /upload HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 1000000\r\n\r\nbegun").unwrap();
    h1.flush().unwrap();
    let mut h2 = stalled_h2_uploads(&stage, 3);
    let mut lazy = stage.h2(&[(SETTINGS_INITIAL_WINDOW_SIZE, 0)]);
    let stream = lazy.next_stream();
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/download/1000000")];
    lazy.send(&h2::headers(stream, &fields, true)).unwrap();
    h2.patience(OVER_A_MINUTE);
    lazy.patience(OVER_A_MINUTE);

    assert_eq!(raw::receive(&mut h1).status(), Some(408));
    assert!(matches!(h2.end_of(1), h2::End::Reset(_)));
    assert!(matches!(lazy.end_of(stream), h2::End::Reset(_)));
    let labels = [("code", "408")];
    stage.home.wait_sum("portvakt_http_requests_total", &labels, 4.0);
    victims.assert_unharmed(MOST);
}

#[test]
fn given_an_address_that_takes_all_it_may_when_others_come_then_they_are_served() {
    let (stage, portvakt) = Stage::running_with("", "[limits]\nconnections_per_client = 20\n");
    let victims = stage.victims(&portvakt);

    let mut held: Vec<_> = (0..200).map(|_| raw::connect_from(ATTACKER, stage.home.https)).collect();
    let refused = [("reason", "connections_per_client")];
    stage.home.wait_metrics("those over the limit are closed", PATIENCE, |metrics| {
        (metrics.sum("portvakt_connections_rejected_total", &refused) >= 180.0).then_some(())
    });

    victims.assert_unharmed(MOST);
    held.clear();
}

#[test]
fn given_a_full_listener_when_a_connection_is_kept_then_it_is_served_and_so_is_the_other_listener() {
    let (stage, _portvakt) = Stage::running_with("", "https = { rest = \"allow\" }\n[limits]\nconnections = 30\n");
    let mut kept = stage.connect();
    let _held: Vec<_> = (0..60).map(|_| raw::connect_from(ATTACKER, stage.home.https)).collect();
    let refused = [("reason", "connections")];
    stage.home.wait_metrics("the listener is full", PATIENCE, |metrics| {
        (metrics.sum("portvakt_connections_rejected_total", &refused) >= 31.0).then_some(())
    });

    for _ in 0..20 {
        let reply = tls::exchange(&mut kept, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(raw::get(stage.home.http, "m5.test", "/").status, 200);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn given_no_descriptor_left_when_open_connections_ask_then_they_are_served() {
    let stage = Stage::new();
    stage.configure("", "");
    let script = "ulimit -n 64; exec \"$0\" run --config \"$1\"";
    let mut command = std::process::Command::new("sh");
    command.current_dir(stage.home.path()).args(["-c", script, env!("CARGO_BIN_EXE_portvakt")]).arg(stage.home.file());
    let mut portvakt = Portvakt { child: Child::start("portvakt", &mut command) };
    portvakt.wait_ready(&stage.home);
    let mut kept = stage.connect();
    assert_eq!(tls::exchange(&mut kept, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap().status, 200);

    let _held: Vec<_> = (0..100).map(|_| raw::connect_from(ATTACKER, stage.home.https)).collect();
    portvakt.child.wait_line("the shortage", |line| line.contains("cannot accept"));

    // Its connection to the server behind is kept, too.
    for _ in 0..20 {
        assert_eq!(tls::exchange(&mut kept, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap().status, 200);
    }
}

/// POSTs on one connection whose bodies do not come.
fn stalled_h2_uploads(stage: &Stage, count: usize) -> h2::H2 {
    let mut stalled = stage.h2(&[]);
    let fields = [(":method", "POST"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/upload")];
    for _ in 0..count {
        let stream = stalled.next_stream();
        stalled.send(&h2::headers(stream, &fields, false)).unwrap();
        stalled.send(&h2::data(stream, b"begun", false)).unwrap();
    }
    stalled
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const OVER_A_MINUTE: Duration = Duration::from_secs(90);
