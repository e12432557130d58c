//! `limits` of sites and routes: bodies, requests in flight and requests of one client end where the configuration says,
//! and the others do not notice.

use std::io::{Read, Write};
use std::thread;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::raw::{self, Outcome};
use crate::support::{eventually, tls};

#[test]
fn given_an_announced_length_over_the_limit_when_sent_then_413_and_nothing_is_forwarded() {
    let (stage, _portvakt) = Stage::running_with("", "limits = { body = 10 }\n");

    for version in ["--http1.1", "--http2"] {
        let post = |body: &str| stage.curl().with(&[version, "--data", body]).get(&stage.url("/x")).status;
        assert_eq!(post("01234567890"), 413, "{version}");
        assert_eq!(stage.echo.requests().len(), 0, "{version}");
        assert_eq!(post("0123456789"), 200, "{version}");
        assert_eq!(stage.echo.take()[0].body, b"0123456789");
    }
    let mut stream = stage.connect();
    let reply =
        tls::exchange(&mut stream, "POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 11\r\n\r\n01234567890");
    assert!(reply.unwrap().closes());
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0, "the connection ends");
    assert_eq!(limited(&stage, "body"), 3.0);
}

#[test]
fn given_a_body_without_length_when_it_passes_the_limit_then_413_and_the_upstream_never_sees_more() {
    let (stage, _portvakt) = Stage::running_with("", "limits = { body = \"64KiB\" }\n");

    let part = vec![b'x'; 16 * 1024];
    let mut stream = stage.connect();
    let head = "POST /upload HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..5 {
        let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat();
        // It may be refused before all is sent.
        let _ = stream.write_all(&chunk);
    }
    let Outcome::Answered(reply) = raw::receive(&mut stream) else { panic!("no answer") };
    assert_eq!((reply.status, reply.closes()), (413, true));
    eventually("it is counted", PATIENCE, || (limited(&stage, "body") == 1.0).then_some(()));
    assert!(stage.echo.uploaded() <= 64 * 1024, "{}", stage.echo.uploaded());
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_an_h2_body_without_length_when_it_passes_the_limit_then_refused_and_the_upstream_never_sees_more() {
    let (stage, _portvakt) = Stage::running_with("", "limits = { body = \"64KiB\" }\n");
    let file = stage.home.path().join("large");
    std::fs::write(&file, vec![b'x'; 80 * 1024]).unwrap();

    let upload = ["--http2", "-T", file.to_str().unwrap(), "-X", "POST", "-H", "Content-Length:"];
    let answer = stage.curl().with(&upload).try_get(&stage.url("/upload"));

    assert!(answer.map_or(true, |answer| answer.status == 413), "it must not succeed");
    eventually("it is counted", PATIENCE, || (limited(&stage, "body") == 1.0).then_some(()));
    assert!(stage.echo.uploaded() <= 64 * 1024, "{}", stage.echo.uploaded());
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_websocket_and_a_body_limit_when_more_is_sent_over_it_then_it_passes() {
    use tungstenite::{Message, client::IntoClientRequest};
    let (stage, _portvakt) = Stage::running_with("", "limits = { body = 10 }\n");
    let (mut socket, _) =
        tungstenite::client("wss://m5.test/ws".into_client_request().unwrap(), stage.connect()).expect("a WebSocket");

    let long = "x".repeat(1000);
    socket.send(Message::text(long.clone())).unwrap();

    assert_eq!(socket.read().unwrap(), Message::text(long));
}

#[test]
fn given_a_claim_to_upgrade_when_a_body_over_the_limit_comes_then_413_all_the_same() {
    let (stage, _portvakt) = Stage::running_with("", "limits = { body = 10 }\n");
    let head = "POST /upload HTTP/1.1\r\nHost: m5.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";

    for body in
        ["Content-Length: 11\r\n\r\n01234567890", "Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"]
    {
        let reply = tls::exchange(&mut stage.connect(), &format!("{head}{body}"));
        assert!(reply.map_or(true, |reply| reply.status >= 400), "{body}");
        assert!(stage.echo.uploaded() <= 10, "{}", stage.echo.uploaded());
    }
}

#[test]
fn given_a_client_that_has_spent_its_burst_when_it_goes_on_then_429_with_whole_seconds_and_others_are_served() {
    let top = "trusted_proxies = [\"127.0.0.0/8\"]\n";
    let (stage, _portvakt) = Stage::running_with(top, "limits = { requests = { rate = \"1/h\", burst = 2 } }\n");

    for version in ["--http1.1", "--http2"] {
        let client = |address: &str| {
            let forwarded = format!("X-Forwarded-For: {address}");
            stage.curl().with(&[version]).header(&forwarded).get(&stage.url("/"))
        };
        let (own, other) =
            if version == "--http2" { ("192.0.2.1", "192.0.2.2") } else { ("2001:db8::1", "2001:db8:0:1::") };
        let statuses: Vec<_> = (0..3).map(|_| client(own).status).collect();
        assert_eq!(statuses, [200, 200, 429], "{version}");
        let refused = client(own);
        let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
        assert!((1..=3600).contains(&wait), "{wait}");
        assert_eq!(client(other).status, 200, "{version}");
    }
    assert_eq!(limited(&stage, "requests"), 4.0);
}

#[test]
fn given_limits_of_requests_on_every_level_when_spent_then_the_narrowest_holds_and_a_reload_goes_on() {
    let stage = Stage::new();
    let route = format!("[[site.route]]\npath = \"/login/\"\nupstream = \"{}\"\n", stage.echo.url());
    let tables = format!("{route}limits = {{ requests = \"1/h\" }}\n[limits]\nrequests = {{ rate = \"3/h\" }}\n");
    stage.configure("", &tables);
    let portvakt = stage.home.start();

    assert_eq!([stage.get("/login/").status, stage.get("/LOGIN/").status], [200, 429]);
    assert!(portvakt.reload(&stage.home));
    assert_eq!(stage.get("/login/").status, 429, "a reload gives no new tokens");
    assert_eq!(stage.get("/").status, 429, "the client has spent what it has everywhere");
    assert_eq!(stage.home.admin("/livez").status, 200);
}

#[test]
fn given_as_many_requests_in_flight_as_may_be_when_one_more_comes_then_503_until_one_ends() {
    let stage = Stage::new();
    let route = format!(
        "[[site.route]]\npath = \"/hold\"\nupstream = \"{}\"\nlimits = {{ connections = 1 }}\n",
        stage.echo.url()
    );
    stage.configure("", &route);
    let _portvakt = stage.home.start();

    let mut held = stage.connect();
    held.write_all(b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("it is in flight", PATIENCE, || (stage.echo.requests().len() == 1).then_some(()));
    let refused = stage.curl().with(&["--http2"]).get(&stage.url("/hold"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(stage.get("/").status, 200, "another route has room");

    stage.echo.release();
    let Outcome::Answered(reply) = raw::receive(&mut held) else { panic!("no answer") };
    assert_eq!(reply.status, 200);
    stage.echo.release();
    eventually("there is room again", PATIENCE, || (stage.get("/hold").status == 200).then_some(()));
    assert!(limited(&stage, "connections") >= 1.0);
}

#[test]
fn given_a_site_with_its_own_header_timeout_when_a_header_drips_over_tls_then_it_ends_earlier() {
    let (stage, _portvakt) =
        Stage::running_with("", "limits = { header_timeout = \"1s\" }\n[limits]\nheader_timeout = \"10m\"\n");
    let mut stream = stage.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: m5.test\r\n").unwrap();
    stream.flush().unwrap();

    // It would be the patience of the connection that ends, as an error.
    assert!(matches!(stream.read(&mut [0; 64]), Ok(0)) || is_closed(&mut stream));
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_many_clients_at_once_when_one_is_limited_then_the_rest_is_served() {
    let top = "trusted_proxies = [\"127.0.0.0/8\"]\n";
    let (stage, _portvakt) = Stage::running_with(top, "limits = { requests = { rate = \"1/h\", burst = 5 } }\n");

    let ask = |address: String| {
        let text = format!("GET / HTTP/1.1\r\nHost: m5.test\r\nX-Forwarded-For: {address}\r\n\r\n");
        stage.request(&text).status
    };
    thread::scope(|scope| {
        let greedy =
            scope.spawn(|| (0..20).map(|_| ask("192.0.2.1".to_owned())).filter(|&status| status == 200).count());
        let modest = scope.spawn(|| (1..20).all(|last| ask(format!("198.51.100.{last}")) == 200));
        assert_eq!(greedy.join().unwrap(), 5);
        assert!(modest.join().unwrap());
    });
}

fn limited(stage: &Stage, reason: &str) -> f64 {
    stage.home.metrics().sum("portvakt_requests_limited_total", &[("reason", reason)])
}

fn is_closed(stream: &mut tls::Stream) -> bool {
    let error = stream.read(&mut [0; 64]).err();
    error.is_none_or(|error| !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut))
}
