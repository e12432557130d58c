//! A client that floods an HTTP/2 connection is sent away, takes a bounded amount of memory, and nobody else notices.
//!
//! Beside every attack stand clients that behave well; each of their requests has to be answered.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::h2::{
    self, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, HEADERS, PING, PRIORITY, SETTINGS,
    SETTINGS_INITIAL_WINDOW_SIZE, frame,
};
use crate::support::{H2, eventually, raw};

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/attack")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/upload")];

/// MiB by which the program may grow under any attack here: above what its caches, the allocator and a debug build take.
const MOST: u64 = 64;

#[test]
fn given_frames_that_ask_for_nothing_when_flooded_then_the_client_is_sent_away() {
    let floods: &[(&str, Vec<u8>)] = &[
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS", h2::settings_frame(&[(SETTINGS_INITIAL_WINDOW_SIZE, 65_535)])),
        ("empty SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("WINDOW_UPDATE by one", h2::window_update(0, 1)),
        ("unknown frames", frame(0xee, 0, 0, &[0; 64])),
    ];
    for (what, bytes) in floods {
        assert_sent_away(what, &[], bytes);
    }
}

#[test]
fn given_empty_frames_of_a_body_when_flooded_then_the_client_is_sent_away() {
    assert_sent_away("empty DATA", &h2::headers(1, &POST, false), &h2::data(1, &[], false));
}

#[test]
fn given_headers_without_end_when_flooded_then_the_client_is_sent_away() {
    let begun = frame(HEADERS, END_STREAM, 1, &h2::block(&GET));
    let more = h2::block(&[("x-more", &"x".repeat(1000))]);
    assert_sent_away("CONTINUATION", &begun, &frame(CONTINUATION, 0, 1, &more));
    assert_sent_away("empty CONTINUATION", &begun, &frame(CONTINUATION, 0, 1, &[]));
}

#[test]
fn given_requests_that_are_reset_at_once_when_flooded_then_sent_away_and_the_server_behind_is_spared() {
    // CVE-2023-44487.
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    for path in ["/attack", "/stall"] {
        let before = stage.echo.connections();
        let mut attacker = attacker(&stage);
        for _ in 0..400 {
            let mut bytes = Vec::new();
            for _ in 0..50 {
                let stream = attacker.next_stream();
                let fields = [GET[0], GET[1], GET[2], (":path", path)];
                bytes.extend([h2::headers(stream, &fields, true), h2::reset(stream)].concat());
            }
            if attacker.send(&bytes).is_err() {
                break;
            }
        }
        assert_ends(&mut attacker, path);
        // The victims' own connections are among them.
        let made = stage.echo.connections() - before;
        assert!(made <= 400, "{made} connections to the server behind, for {path}");
    }
    victims.assert_unharmed(MOST);
}

#[test]
fn given_requests_that_make_the_server_reset_them_when_flooded_then_sent_away() {
    // CVE-2025-8671: each of these is an error of the stream, not of the connection.
    type Spoiler = fn(u32) -> Vec<u8>;
    let spoilers: [(&str, Spoiler); 3] = [
        ("an update by zero", |stream| h2::window_update(stream, 0)),
        ("a window beyond its size", |stream| h2::window_update(stream, 0x7fff_ffff)),
        ("a body behind the end", |stream| h2::data(stream, b"x", true)),
    ];
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    for (what, spoiler) in spoilers {
        let mut attacker = attacker(&stage);
        for _ in 0..400 {
            let mut bytes = Vec::new();
            for _ in 0..50 {
                let stream = attacker.next_stream();
                bytes.extend([h2::headers(stream, &GET, true), spoiler(stream)].concat());
            }
            if attacker.send(&bytes).is_err() {
                break;
            }
        }
        assert_ends(&mut attacker, what);
    }
    victims.assert_unharmed(MOST);
}

#[test]
fn given_headers_that_grow_when_unpacked_when_sent_then_refused_and_the_memory_is_bounded() {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    stage.echo.take();

    // One long field into the dynamic table, then references to it: 14,000 bytes stand for 40 MB (RFC 7541 §7.3).
    let mut bomb = h2::block(&[GET[0], GET[1], GET[2], (":path", "/bomb")]);
    bomb.push(0x40);
    h2::push_string(&mut bomb, b"x-long");
    h2::push_string(&mut bomb, &[b'x'; 4000]);
    bomb.extend([0xbe; 10_000]);
    // A cookie in the smallest pieces: three bytes each on the wire.
    let mut crumbs = h2::block(&[GET[0], GET[1], GET[2], (":path", "/bomb")]);
    crumbs.extend([0x10 + 0x0f, 0x11, 0x00].repeat(5000));
    let large = h2::block(&[GET[0], GET[1], GET[2], (":path", "/bomb"), ("x-large", &"x".repeat(15_000))]);
    for (what, block) in [("references", bomb), ("crumbs", crumbs)] {
        let mut attacker = stage.h2(&[]);
        for _ in 0..30 {
            let stream = attacker.next_stream();
            if attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)).is_err() {
                break;
            }
        }
        let end = attacker.end_of(1);
        assert!(!matches!(end, End::Answered(200, _)), "{what}");
    }
    assert_eq!(attacker(&stage).request(&[GET[0], GET[1], GET[2], (":path", "/sound")], None).status(), Some(200));
    let mut attacker = attacker(&stage);
    let parts =
        [frame(HEADERS, END_STREAM, 1, &large), frame(CONTINUATION, 0, 1, &h2::block(&[("x-a", &"x".repeat(16_000))]))];
    let last = frame(CONTINUATION, END_HEADERS, 1, &h2::block(&[("x-b", "")]));
    let rest = parts[1].repeat(4);
    let _ = attacker.send(&[&parts[0][..], &rest, &last].concat());
    let end = attacker.end_of(1);
    assert!(!matches!(end, End::Answered(200, _)), "a header of more than 64 KiB is forwarded");

    victims.assert_unharmed(MOST);
    assert!(!stage.echo.take().iter().any(|request| request.target() == "/bomb"));
}

#[test]
fn given_more_streams_than_allowed_when_opened_then_the_others_are_refused_and_these_served() {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    let mut greedy = stage.h2(&[]);
    let fields = [GET[0], GET[1], GET[2], (":path", "/hold")];

    for _ in 0..150 {
        let stream = greedy.next_stream();
        greedy.send(&h2::headers(stream, &fields, true)).unwrap();
    }
    let refused = greedy.end_of(299);
    (0..150).for_each(|_| stage.echo.release());

    // REFUSED_STREAM: nothing of it was done (RFC 9113 §8.7).
    assert_eq!(refused, End::Reset(7));
    assert_eq!(greedy.end_of(199).status(), Some(200));
    victims.assert_unharmed(MOST);
}

#[test]
fn given_clients_that_read_nothing_of_large_answers_when_many_then_the_memory_is_bounded() {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    let fields = [GET[0], GET[1], GET[2], (":path", "/download/2000000")];

    // No window at all, the usual one, and one without end on a socket that nobody reads.
    let mut held = Vec::new();
    for window in [0, 65_535, 0x7fff_ffff] {
        let mut lazy = stage.h2(&[(SETTINGS_INITIAL_WINDOW_SIZE, window)]);
        if window > 65_535 {
            lazy.send(&h2::window_update(0, window - 65_535)).unwrap();
        }
        for _ in 0..100 {
            let stream = lazy.next_stream();
            lazy.send(&h2::headers(stream, &fields, true)).unwrap();
        }
        held.push(lazy);
    }

    victims.wait_for(50);
    // 300 streams, each of which may have half a MiB on its way through us: what is read ahead of the client.
    victims.assert_unharmed(3 * MOST);
}

#[test]
fn given_many_connections_of_one_address_when_nothing_is_read_on_them_then_the_memory_is_bounded() {
    let (stage, portvakt) = Stage::running_with("", "[limits]\nconnections_per_client = 16\n");
    let victims = stage.victims(&portvakt);
    let fields = [GET[0], GET[1], GET[2], (":path", "/download/2000000")];

    let mut held: Vec<_> = (0..12).map(|_| from_elsewhere(&stage)).collect();
    for lazy in &mut held {
        for _ in 0..99 {
            let stream = lazy.next_stream();
            lazy.send(&h2::headers(stream, &fields, true)).unwrap();
        }
    }
    let last = held.last_mut().expect("there are twelve");

    // Of 1188 requests 100 are taken, each worth half a MiB; without a bound 500 MiB would be held.
    assert_eq!(last.end_of(197).status(), Some(503));
    victims.wait_for(50);
    victims.assert_unharmed(2 * MOST);
}

#[test]
fn given_requests_beyond_what_an_address_may_have_when_one_ends_then_the_next_is_served() {
    let (stage, _portvakt) = Stage::running_with("", "[limits]\nconnections_per_client = 2\n");
    let (mut first, mut second) = (stage.h2(&[]), stage.h2(&[]));
    let hold = [GET[0], GET[1], GET[2], (":path", "/hold")];
    for connection in [&mut first, &mut second] {
        for _ in 0..50 {
            let stream = connection.next_stream();
            connection.send(&h2::headers(stream, &hold, true)).unwrap();
        }
    }
    eventually("they have arrived", PATIENCE, || (stage.echo.requests().len() == 100).then_some(()));

    assert_eq!(first.request(&GET, None).status(), Some(503));
    (0..100).for_each(|_| stage.echo.release());
    assert_eq!(first.end_of(1).status(), Some(200));
    eventually("there is a place again", PATIENCE, || (second.request(&GET, None).status() == Some(200)).then_some(()));
}

#[test]
fn given_a_header_block_that_is_never_finished_when_keep_alive_passes_then_it_is_closed() {
    let (stage, portvakt) = Stage::running_with("", "[limits]\nkeep_alive = \"4s\"\n");
    let victims = stage.victims(&portvakt);
    let mut held: Vec<_> = (0..20).map(|_| stage.h2(&[])).collect();

    for slow in &mut held {
        slow.send(&frame(HEADERS, END_STREAM, 1, &h2::block(&GET))).unwrap();
    }

    for slow in &mut held {
        slow.ends();
    }
    victims.assert_unharmed(MOST);
}

/// Sends `begun` once and `bytes` again and again beside victims; the client has to be sent away.
fn assert_sent_away(what: &str, begun: &[u8], bytes: &[u8]) {
    let (stage, portvakt) = Stage::running();
    let victims = stage.victims(&portvakt);
    let mut attacker = attacker(&stage);

    let sent = attacker.send(begun).map(|()| attacker.flood(bytes, 200_000));

    assert_ends(&mut attacker, &format!("{what}, {sent:?} frames"));
    victims.assert_unharmed(MOST);
}

fn assert_ends(attacker: &mut H2, what: &str) {
    // A reset may overtake the GOAWAY, when the attacker still sends.
    let code = attacker.ends();
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{what}: GOAWAY with {code:?}");
}

/// A connection of another address, with no window.
fn from_elsewhere(stage: &Stage) -> H2 {
    let socket = raw::connect_from(Ipv4Addr::new(127, 0, 0, 9), stage.home.https);
    H2::over(&stage.target("/").client, socket, "m5.test", &[(SETTINGS_INITIAL_WINDOW_SIZE, 0)]).expect("a handshake")
}

fn attacker(stage: &Stage) -> H2 {
    let attacker = stage.h2(&[]);
    attacker.patience(Duration::from_secs(5));
    attacker
}
