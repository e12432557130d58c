//! An upstream connection that a client has authenticated (NTLM, Negotiate) serves that client and nobody else.

use std::io::{Read, Write};
use std::process::Command;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::peers::program;
use crate::support::raw::Reply;
use crate::support::{raw, tls};

#[test]
fn given_a_client_that_authenticated_when_it_goes_on_then_it_stays_who_it_is() {
    let (stage, _portvakt) = Stage::running();
    let mut alice = stage.connect();

    assert_eq!(ask(&mut alice, "").status, 401);
    assert_eq!(ask(&mut alice, "Authorization: NTLM alice\r\n").text(), "alice\n");
    assert_eq!(ask(&mut alice, "").text(), "alice\n", "without credentials, by its connection");
}

#[test]
fn given_a_client_that_authenticated_when_others_come_then_nobody_is_taken_for_it() {
    let (stage, _portvakt) = Stage::running();
    for credentials in [
        "Authorization: NTLM alice\r\n",
        "authorization: ntlm alice\r\n",
        "Authorization: Basic eDp5\r\nAuthorization: NTLM alice\r\n",
        "Authorization: NTLM\talice\r\n",
    ] {
        // The first request leaves a connection in the common pool, which must not become hers.
        let mut alice = stage.connect();
        assert_eq!(ask(&mut alice, "").status, 401);
        assert_eq!(ask(&mut alice, credentials).text(), "alice\n", "{credentials:?}");

        for _ in 0..3 {
            assert_eq!(ask(&mut stage.connect(), "").text(), "nobody\n", "{credentials:?}");
        }
        let mut bob = stage.connect();
        assert_eq!(ask(&mut bob, "Authorization: NTLM bob\r\n").text(), "bob\n");
        assert_eq!(ask(&mut alice, "").text(), "alice\n", "{credentials:?}");
        drop(alice);
        assert_eq!(ask(&mut stage.connect(), "").text(), "nobody\n", "she has left: {credentials:?}");
    }
}

#[test]
fn given_h2_when_a_request_authenticates_then_it_goes_over_http_1_and_nobody_is_taken_for_it() {
    let (stage, _portvakt) = Stage::running();
    let (url, resolve) = (stage.url("/ntlm"), format!("m5.test:{}:127.0.0.1", stage.home.https));
    let common = ["-sS", "--http2", "--resolve", &resolve, "--cacert", stage.root(), "-w", "%{http_version} "];
    let mut command = Command::new(program("curl"));
    command.arg("-q").args(common).args(["-H", "Authorization: NTLM alice", &url]);

    let output = command.output().unwrap();

    assert_eq!(String::from_utf8_lossy(&output.stdout), "alice\n1.1 ");
    assert_eq!(ask(&mut stage.connect(), "").text(), "nobody\n");
}

#[test]
fn given_a_client_that_authenticated_when_it_leaves_or_its_server_does_then_both_sides_end() {
    let (stage, _portvakt) = Stage::running();
    let mut alice = stage.connect();
    assert_eq!(ask(&mut alice, "Authorization: NTLM alice\r\n").text(), "alice\n");

    // The server closes behind this answer, which does not say so.
    let bye = tls::exchange(&mut alice, "GET /leave HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();

    assert_eq!(bye.status, 200);
    assert_eq!(alice.read(&mut [0; 16]).unwrap(), 0, "her connection ends with the server's");
}

#[test]
fn given_clients_that_authenticated_when_counted_then_their_connections_are_until_they_leave() {
    let (stage, _portvakt) = Stage::running();
    let pinned = |count: f64| {
        stage.home.wait_metrics("the connections that are pinned", PATIENCE, |metrics| {
            (metrics.sum("portvakt_upstream_pinned_connections", &[]) == count).then_some(())
        });
    };
    assert_eq!(stage.get("/x").status, 200);
    pinned(0.0);
    let (mut alice, mut bob) = (stage.connect(), stage.connect());
    assert_eq!(ask(&mut alice, "Authorization: NTLM alice\r\n").text(), "alice\n");
    assert_eq!(ask(&mut alice, "").text(), "alice\n");
    pinned(1.0);
    assert_eq!(ask(&mut bob, "Authorization: NTLM bob\r\n").text(), "bob\n");
    pinned(2.0);
    drop(alice);
    pinned(1.0);
    drop(bob);
    pinned(0.0);
}

#[test]
fn given_a_websocket_when_its_connection_is_authenticated_then_it_opens_there() {
    let (stage, _portvakt) = Stage::running();
    let mut alice = stage.connect();
    assert_eq!(ask(&mut alice, "Authorization: NTLM alice\r\n").text(), "alice\n");

    let request = tungstenite::client::IntoClientRequest::into_client_request("wss://m5.test/ws").unwrap();
    let (mut socket, _) = tungstenite::client(request, alice).map_err(|error| error.to_string()).unwrap();
    socket.send(tungstenite::Message::text("hej")).unwrap();

    assert_eq!(socket.read().unwrap(), tungstenite::Message::text("hej"));
    let connections: Vec<_> = stage.echo.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0], "the server knows her by that connection");
}

#[test]
fn given_affinity_by_rule_when_clients_come_then_each_has_its_own_connection_and_no_h2() {
    let stage = Stage::new();
    stage
        .home
        .configure("", &Stage::site_with(&format!("{{ url = \"{}\", affinity = \"connection\" }}", stage.echo.url())));
    let _portvakt = stage.home.start();

    assert_eq!(stage.curl().with(&["--http2"]).get(&stage.url("/")).version, "1.1");

    let mut clients = [stage.connect(), stage.connect()];
    stage.echo.take();
    for index in [0, 1, 0, 1] {
        assert_eq!(tls::exchange(&mut clients[index], "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap().status, 200);
    }

    let of: Vec<_> = stage.echo.take().iter().map(|request| request.connection).collect();
    assert!(of[0] == of[2] && of[1] == of[3] && of[0] != of[1], "{of:?}");
}

/// Kerberos in SPNEGO (RFC 4178), which Windows may bind to the connection as it does NTLM.
#[test]
fn given_negotiate_with_a_token_that_is_no_ntlm_when_a_connection_is_authenticated_then_it_is_one_clients() {
    let stage = Stage::new();
    stage.home.configure("", &Stage::site_with(&format!("\"http://127.0.0.1:{}\"", negotiating())));
    let _portvakt = stage.home.start();
    let shown = |name: &str| format!("Authorization: Negotiate {}\r\n", spnego(name));
    assert_eq!(ask(&mut stage.connect(), "").status, 401);
    let (mut alice, mut bob) = (stage.connect(), stage.connect());
    assert_eq!(ask(&mut alice, &shown("alice")).text(), "alice");
    assert_eq!(ask(&mut bob, &shown("bob")).text(), "bob");

    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(ask(&mut stage.connect(), "").status, 401)));
        }
    });
    for _ in 0..3 {
        assert_eq!((ask(&mut alice, "").text(), ask(&mut bob, "").text()), ("alice".to_owned(), "bob".to_owned()));
    }
    drop(alice);
    assert_eq!(ask(&mut stage.connect(), "").status, 401);
}

/// A `NegTokenInit` as far as a server looks at it that believes everybody; the name stands for the ticket.
fn spnego(name: &str) -> String {
    use base64::Engine;
    let kerberos = [0x60, 0x30, 6, 6, 0x2b, 6, 1, 5, 5, 2, 0xa0, 0x26];
    base64::engine::general_purpose::STANDARD.encode([&kerberos[..], name.as_bytes()].concat())
}

/// A server that asks for Negotiate, and knows its client by the connection from then on.
fn negotiating() -> u16 {
    use base64::Engine;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = |mut stream: std::net::TcpStream| {
        let mut user: Option<String> = None;
        while let Ok(head) = raw::read_head(&mut stream) {
            let headers = raw::parse_headers(&head);
            let token = raw::header(&headers, "authorization").and_then(|value| value.strip_prefix("Negotiate "));
            let token = token.and_then(|token| base64::engine::general_purpose::STANDARD.decode(token).ok());
            if let Some(token) = token.filter(|token| token.first() == Some(&0x60)) {
                user = Some(String::from_utf8_lossy(&token[12..]).into_owned());
            }
            let answer = match &user {
                Some(user) => format!(
                    "HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate oQcwBaADCgEA\r\nContent-Length: {}\r\n\r\n{user}",
                    user.len()
                ),
                None => {
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n".to_owned()
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn ask(stream: &mut tls::Stream, headers: &str) -> Reply {
    stream.write_all(format!("GET /ntlm HTTP/1.1\r\nHost: m5.test\r\n{headers}\r\n").as_bytes()).unwrap();
    raw::read_reply(stream).unwrap()
}
