//! An upstream connection that a client has authenticated (NTLM, Negotiate) serves that client and nobody else.

use std::io::Write;
use std::process::Command;

use crate::stage::Stage;
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
fn given_h2_when_one_request_authenticates_then_no_other_is_taken_for_it() {
    let (stage, _portvakt) = Stage::running();
    let (url, resolve) = (stage.url("/ntlm"), format!("m5.test:{}:127.0.0.1", stage.home.https));
    let common = ["-sS", "--http2", "--resolve", &resolve, "--cacert", stage.root()];
    let mut command = Command::new(program("curl"));
    // Both requests go over one connection; only the first is authenticated.
    command.arg("-q").args(common).args(["-H", "Authorization: NTLM alice", &url, "--next"]).args(common).arg(&url);

    let output = command.output().unwrap();

    assert_eq!(String::from_utf8_lossy(&output.stdout), "alice\nnobody\n");
    assert_eq!(ask(&mut stage.connect(), "").text(), "nobody\n");
}

fn ask(stream: &mut tls::Stream, headers: &str) -> Reply {
    stream.write_all(format!("GET /ntlm HTTP/1.1\r\nHost: m5.test\r\n{headers}\r\n").as_bytes()).unwrap();
    raw::read_reply(stream).unwrap()
}
