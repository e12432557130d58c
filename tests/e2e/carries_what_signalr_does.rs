//! What ASP.NET SignalR does, one after the other on one connection: negotiate, Server-Sent Events, a long poll, a WebSocket.

use std::io::{Read, Write};

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::{eventually, raw, tls};

#[test]
fn given_a_signalr_client_when_it_tries_each_transport_then_all_work_and_nothing_waits_for_an_end() {
    let (stage, _portvakt) = Stage::running();
    let mut stream = stage.connect();
    let negotiated =
        tls::exchange(&mut stream, "GET /signalr/negotiate?_=1 HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    assert_eq!(negotiated.status, 200);

    // Server-Sent Events: the first one is here while the second does not exist.
    stream.write_all(b"GET /drip HTTP/1.1\r\nHost: m5.test\r\nAccept: text/event-stream\r\n\r\n").unwrap();
    read_until(&mut stream, "data: first\n\n");
    stage.echo.release();
    read_until(&mut stream, "0\r\n\r\n");

    // A long poll: its head reaches the server at once, and the answer comes when there is one.
    stage.echo.take();
    stream.write_all(b"GET /hold?transport=longPolling HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("the poll is at the server", PATIENCE, || (!stage.echo.requests().is_empty()).then_some(()));
    stage.echo.release();
    assert_eq!(raw::read_reply(&mut stream).unwrap().text(), "released\n");

    let request = tungstenite::client::IntoClientRequest::into_client_request("wss://m5.test/ws").unwrap();
    let (mut socket, _) = tungstenite::client(request, stream).map_err(|error| error.to_string()).unwrap();
    socket.send(tungstenite::Message::text("hej")).unwrap();
    assert_eq!(socket.read().unwrap(), tungstenite::Message::text("hej"));
}

/// 110 s is what SignalR and ASP.NET's `executionTimeout` take.
#[test]
fn given_no_setting_then_a_poll_of_110_s_is_within_the_time_for_an_answer() {
    let default = portvakt::upstream::Timeouts::default();
    assert!(default.first_byte.as_secs() >= 300 && default.websocket_idle.as_secs() >= 600, "{default:?}");
}

/// As [`given_no_setting_then_a_poll_of_110_s_is_within_the_time_for_an_answer`], lived through.
#[test]
#[ignore = "long: a poll of 110 s"]
fn given_a_long_poll_of_110_s_when_answered_at_its_end_then_the_client_has_it_over_h1_and_h2() {
    let (stage, _portvakt) = Stage::running();
    std::thread::scope(|scope| {
        let polls = ["--http1.1", "--http2"].map(|version| {
            let curl = stage.curl().with(&[version, "--max-time", "200"]);
            let url = stage.url("/hold?transport=longPolling");
            scope.spawn(move || curl.get(&url))
        });
        eventually("both polls are at the server", PATIENCE, || (stage.echo.requests().len() == 2).then_some(()));
        std::thread::sleep(std::time::Duration::from_secs(110));
        stage.echo.release();
        stage.echo.release();
        for poll in polls {
            let answer = poll.join().expect("an answer");
            assert_eq!((answer.status, answer.text().as_str()), (200, "released\n"));
        }
    });
}

fn read_until(stream: &mut tls::Stream, wanted: &str) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let length = stream.read(&mut buffer).expect("more of the stream");
        assert!(length > 0, "the stream ended before {wanted:?}");
        seen.extend(&buffer[..length]);
    }
}
