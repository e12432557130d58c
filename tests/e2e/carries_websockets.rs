//! A WebSocket passes both ways, by TLS and where plain HTTP is allowed, and lives while it is idle.

use std::io::{Read, Write};

use tungstenite::{Message, WebSocket};

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::{raw, tls};

#[test]
fn given_a_websocket_when_messages_are_sent_then_they_come_back() {
    let (stage, _portvakt) = Stage::running();
    let mut socket = open(stage.connect());

    for message in [Message::text("hej"), Message::binary(vec![0, 255, 7]), Message::text("x".repeat(200_000))] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    let received = stage.echo.last();
    assert_eq!(received.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(received.header("sec-websocket-protocol").as_deref(), Some("door"));
}

#[test]
fn given_plain_http_when_allowed_then_a_websocket_passes_there_too() {
    let (stage, _portvakt) = Stage::running_with("", "https = { rest = \"allow\" }\n");
    let mut socket = open(raw::connect(stage.home.http));

    socket.send(Message::text("hej")).unwrap();

    assert_eq!(socket.read().unwrap(), Message::text("hej"));
}

/// One in a hundred was cut off behind its 101, where the upstream answered fast and the machine was busy.
#[test]
fn given_many_websockets_when_opened_at_once_then_each_carries_its_message() {
    for affinity in ["auto", "connection"] {
        open_many(affinity);
    }
}

fn open_many(affinity: &str) {
    let stage = Stage::new();
    let upstream = format!("{{ url = \"{}\", affinity = \"{affinity}\" }}", stage.echo.url());
    stage.home.configure("", &format!("{}https = {{ rest = \"allow\" }}\n", Stage::site_with(&upstream)));
    let _portvakt = stage.home.start();
    let open_in_turn = || {
        for _ in 0..40 {
            let mut socket = open(raw::connect(stage.home.http));
            socket.send(Message::text("hej")).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text("hej"));
        }
    };

    std::thread::scope(|scope| (0..10).for_each(|_| drop(scope.spawn(open_in_turn))));
}

#[test]
fn given_an_upgrade_that_the_server_does_not_grant_when_answered_then_its_connection_is_closed_at_once() {
    let stage = Stage::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("\"http://{}\"", listener.local_addr().unwrap());
    stage.home.configure("", &Stage::site_with(&upstream));
    let _portvakt = stage.home.start();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        // Less than the time for which connections are kept.
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        raw::read_head(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").unwrap();
        stream.read(&mut [0; 16])
    });

    let text = "GET /ws HTTP/1.1\r\nHost: m5.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut client = stage.connect();
    assert_eq!(tls::exchange(&mut client, text).unwrap().text(), "no");
    assert_eq!(server.join().unwrap().unwrap(), 0, "the connection has ended");
}

#[test]
fn given_plain_http_when_not_allowed_then_the_upgrade_is_not_forwarded() {
    let (stage, _portvakt) = Stage::running_with("", "https = { rest = \"reject\" }\n");

    let reply = tungstenite::client(request(), raw::connect(stage.home.http));

    assert!(reply.is_err());
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_a_websocket_when_it_is_idle_for_longer_than_every_other_limit_then_it_lives() {
    let stage = Stage::new();
    let upstream = format!("{{ url = \"{}\", idle_timeout = \"1s\", response_timeout = \"1s\" }}", stage.echo.url());
    let limits = "[limits]\nkeep_alive = \"1s\"\nheader_timeout = \"1s\"\nhandshake_timeout = \"1s\"\n";
    stage.home.configure("", &format!("{}{limits}", Stage::site_with(&upstream)));
    let _portvakt = stage.home.start();
    let mut socket = open(stage.connect());

    for _ in 0..3 {
        outlive_an_idle_connection(&stage);
    }

    socket.send(Message::text("still here")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("still here"));
}

#[test]
fn given_a_websocket_when_its_own_limit_passes_then_it_is_closed() {
    let stage = Stage::new();
    let upstream = format!("{{ url = \"{}\", websocket_idle_timeout = \"1s\" }}", stage.echo.url());
    stage.home.configure("", &Stage::site_with(&upstream));
    let _portvakt = stage.home.start();
    let mut socket = open(stage.connect());

    // Nothing is sent: the read ends when portvakt does it, or fails after the patience of the connection.
    let end = socket.read().unwrap_err();

    let timed_out = matches!(&end, tungstenite::Error::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!timed_out, "{end}");
}

#[test]
fn given_an_upgrade_to_something_else_when_sent_then_it_is_not_passed_on() {
    let (stage, _portvakt) = Stage::running();

    let reply = stage.request(
        "GET /x HTTP/1.1\r\nHost: m5.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );

    assert_ne!(reply.status, 101);
    for received in stage.echo.requests() {
        assert_eq!((received.header("upgrade"), received.header("http2-settings")), (None, None));
    }
}

fn open<S: Read + Write>(stream: S) -> WebSocket<S> {
    match tungstenite::client(request(), stream) {
        Ok((socket, _)) => socket,
        Err(error) => panic!("no WebSocket: {error}"),
    }
}

fn request() -> tungstenite::http::Request<()> {
    use tungstenite::client::IntoClientRequest;
    let mut request = "wss://m5.test/ws".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "door".parse().unwrap());
    request
}

/// Waits until portvakt has closed an ordinary connection for being idle: the clock of this test.
fn outlive_an_idle_connection(stage: &Stage) {
    let mut idle = stage.connect();
    let reply = tls::exchange(&mut idle, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    assert_eq!(reply.status, 200);
    let _ = idle.read(&mut [0; 16]);
}
