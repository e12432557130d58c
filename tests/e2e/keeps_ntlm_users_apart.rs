//! A server with Windows authentication works behind portvakt as it does alone: whoever logs in is served as himself, on his
//! own connection and over HTTP/1.1, and nobody is ever served as somebody else.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::process::Command;

use portvakt::pki::Fingerprint;

use crate::stage::Stage;
use crate::support::clock::{PATIENCE, eventually};
use crate::support::h2::End;
use crate::support::home::{Portvakt, command, run};
use crate::support::ntlm::{ANNA, BERTIL, Clients, User};
use crate::support::peers::program;
use crate::support::raw;
use crate::support::tls::{self, Client};
use crate::support::{Leaf, Ntlm};

#[test]
fn given_a_user_when_he_asks_twice_on_one_connection_then_served_as_himself_and_the_next_client_is_asked() {
    let (ntlm, stage, _portvakt) = running();

    let told = curl(&stage, ANNA, &["/a", "/b"]);

    let [first, second] = &told[..] else { panic!("{told:?}") };
    assert_eq!((first.user.as_str(), first.path.as_str()), (ANNA.name, "/a"));
    assert_eq!((second.user.as_str(), second.path.as_str()), (ANNA.name, "/b"));
    assert_eq!(first.connection, second.connection, "one connection to the server for one of the client");
    let next = stage.get("/a");
    assert_eq!((next.status, next.text().as_str()), (401, "who are you?\n"));
    // She has left, and took her connection to the server with her.
    ntlm.wait_end(&first.connection);
    let wrong = curl(&stage, User { password: "wrong", ..BERTIL }, &["/a"]);
    assert!(wrong.is_empty(), "{wrong:?}");
    ntlm.wait_word("Invalid NTLM response");
}

#[test]
fn given_the_challenge_of_a_server_when_passed_on_then_in_its_order_and_the_connection_stays() {
    let (_ntlm, stage, _portvakt) = running();
    let mut stream = stage.connect();

    for _ in 0..2 {
        let reply = tls::exchange(&mut stream, "GET /a HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
        let challenges: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
        assert_eq!(challenges.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["Negotiate", "NTLM"]);
        assert_eq!(raw::header(&reply.headers, "connection"), Some("keep-alive"));
    }
}

#[test]
fn given_200_clients_of_two_users_at_once_when_served_then_no_answer_is_for_the_other() {
    let (_ntlm, stage, _portvakt) = running();
    let users = [ANNA, BERTIL];
    let requests = [("GET", "/a", 0), ("GET", "/b", 0), ("POST", "/c", 5000), ("GET", "/d", 0)];

    let (by_curl, by_requests) = std::thread::scope(|scope| {
        let curls: Vec<_> = (0..100)
            .map(|index| {
                let (stage, user) = (&stage, users[index % 2]);
                scope.spawn(move || (user, curl(stage, user, &["/a", "/b", "/c", "/d"])))
            })
            .collect();
        let by_requests = scope.spawn(|| clients(&stage, &users, 100, false).ask(&requests));
        let by_curl: Vec<_> = curls.into_iter().map(|curl| curl.join().unwrap()).collect();
        (by_curl, by_requests.join().unwrap())
    });

    assert_eq!(by_curl.len() + by_requests.len(), 200);
    for (user, told) in &by_curl {
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().all(|one| one.user == user.name && one.connection == told[0].connection), "{told:?}");
    }
    for (user, answers) in &by_requests {
        assert_eq!(answers.len(), 4);
        for (status, text) in answers {
            assert!(*status == 200 && text.starts_with(&format!("{user} ")), "{user}: {status} {text}");
        }
    }
}

#[test]
fn given_h2_when_the_server_asks_for_ntlm_then_http_1_is_asked_for_and_nothing_else_is_offered_from_then_on() {
    let (_ntlm, stage, mut portvakt) = running();
    assert_eq!(alpn(&stage), "h2");

    let end = stage.h2(&[]).get("m5.test", "/a");

    assert_eq!(end, End::Reset(HTTP_1_1_REQUIRED));
    portvakt
        .child
        .wait_line("the site is told", |line| line.contains("HTTP/1.1 alone is offered") && line.contains("m5.test"));
    assert_eq!(alpn(&stage), "http/1.1");
    assert_eq!(curl(&stage, ANNA, &["/a"])[0].user, ANNA.name);
    let status = verb(&stage, &["status"]);
    assert!(status.contains("HTTP/1.1 only  m5.test: its server asks for NTLM or Negotiate"), "{status}");
    wait_kept(&stage);
    assert!(portvakt.terminate().success());
    let _portvakt = stage.home.start();
    assert_eq!(alpn(&stage), "http/1.1", "remembered over a restart");

    let told = verb(&stage, &["http2", "allow", "m5.test"]);

    assert_eq!(told, "m5.test: HTTP/2 is offered again\n");
    assert_eq!(alpn(&stage), "h2");
    assert_eq!(verb(&stage, &["http2", "list"]), "m5.test: HTTP/2 and HTTP/1.1\n");
}

/// It is on the disk a moment after it was seen.
fn wait_kept(stage: &Stage) {
    eventually("it is kept", PATIENCE, || {
        verb(stage, &["http2", "list"]).starts_with("m5.test: HTTP/1.1 only").then_some(())
    });
}

#[test]
fn given_a_stopped_portvakt_when_http2_is_allowed_then_it_is_from_the_next_start_on() {
    let (_ntlm, stage, mut portvakt) = running();
    assert_eq!(stage.get("/a").status, 401);
    assert_eq!(alpn(&stage), "http/1.1", "also when it was seen over HTTP/1.1");
    wait_kept(&stage);
    assert!(portvakt.terminate().success());
    assert!(verb(&stage, &["http2", "list"]).starts_with("m5.test: HTTP/1.1 only, NTLM or Negotiate was seen"));

    verb(&stage, &["http2", "allow", "m5.test"]);

    let _portvakt = stage.home.start();
    assert_eq!(alpn(&stage), "h2");
}

#[test]
fn given_credentials_over_h2_when_they_are_for_a_connection_then_they_reach_no_server() {
    let (stage, _portvakt) = Stage::running();
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "m5.test"),
        (":path", "/"),
        ("authorization", "Negotiate YIIabc="),
    ];

    let mut connection = stage.h2(&[]);
    let end = connection.request(&fields, None);

    assert_eq!(end, End::Reset(HTTP_1_1_REQUIRED));
    assert!(stage.echo.requests().is_empty());
    assert_eq!(connection.get("m5.test", "/").status(), Some(200), "other requests of the connection go on");
    // A client alone does not take HTTP/2 away from all others.
    assert_eq!(alpn(&stage), "h2");
}

#[test]
fn given_a_user_when_a_websocket_is_opened_then_it_is_his_whatever_the_scheme() {
    let (_ntlm, stage, _portvakt) = running();

    for scheme in ["NTLM", "Negotiate"] {
        let opened = clients(&stage, &[BERTIL], 1, false).open_websocket(scheme);

        assert!(opened.answer.starts_with(BERTIL.name), "{opened:?}");
        assert_eq!(opened.user.as_deref(), Some(BERTIL.name), "{opened:?}");
        assert_eq!((opened.statuses.last(), opened.echo.as_str()), (Some(&101), "hej"), "{opened:?}");
    }
}

#[test]
fn given_credentials_of_32_kb_when_passed_on_then_whole() {
    let (stage, _portvakt) = Stage::running();

    for length in [16 << 10, 32 << 10] {
        let credentials = format!("Negotiate {}", "YIIa".repeat(length / 4));
        let head = format!("GET / HTTP/1.1\r\nHost: m5.test\r\nAuthorization: {credentials}\r\n\r\n");
        assert_eq!(tls::exchange(&mut stage.connect(), &head).unwrap().status, 200, "{length}");
        assert_eq!(stage.echo.last().header("authorization").as_deref(), Some(&*credentials), "{length}");
    }
}

#[test]
fn given_a_post_without_credentials_when_the_401_comes_before_its_body_then_the_connection_goes_on() {
    let (_ntlm, stage, _portvakt) = running();
    let mut stream = stage.connect();
    let head = "POST /a HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 3000000\r\n\r\n";

    for _ in 0..2 {
        let refused = tls::exchange(&mut stream, &format!("{head}{}", "x".repeat(3_000_000))).unwrap();
        assert_eq!((refused.status, raw::header(&refused.headers, "connection")), (401, Some("keep-alive")));
    }
    let next = tls::exchange(&mut stream, "GET /a HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    assert_eq!(next.status, 401);
}

#[test]
fn given_a_body_without_end_behind_a_401_when_it_was_read_for_long_then_the_client_has_its_answer_and_the_end() {
    let (_ntlm, stage, _portvakt) = running();
    let mut stream = stage.connect();
    stream.write_all(b"POST /a HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..12 * 16 {
        stream.write_all(&chunk).expect("12 MiB are taken, 8 of them for the server");
    }
    stream.write_all(b"0\r\n\r\n").unwrap();

    assert_eq!(raw::read_reply(&mut stream).unwrap().status, 401);
    let end = stream.read(&mut [0; 16]);
    let is_end = end.as_ref().map_or_else(|error| error.kind() == ErrorKind::UnexpectedEof, |length| *length == 0);
    assert!(is_end, "{end:?}");
}

#[test]
fn given_an_upload_by_a_user_when_sent_by_curl_then_whole_and_his() {
    let (_ntlm, stage, _portvakt) = running();
    let file = stage.home.path().join("body");
    fs::write(&file, vec![b'x'; 5 << 20]).unwrap();
    let (user, upload) = (format!("{}:{}", ANNA.name, ANNA.password), format!("@{}", file.display()));

    for expect in ["Expect: 100-continue", "Expect:"] {
        let arguments = ["--ntlm", "--user", &user, "-H", expect, "--data-binary", &upload];
        let answer = stage.curl().with(&arguments).get(&stage.url("/upload"));
        let text = answer.text();
        assert!(text.starts_with(ANNA.name) && text.contains(" /upload 5242880 "), "{expect}: {text}");
    }
}

#[test]
fn given_extended_protection_when_the_server_shows_another_certificate_then_401_and_with_the_same_one_200() {
    let stage = Stage::new();
    for (is_same, bindings, status) in [(false, true, 401), (true, true, 200), (true, false, 401)] {
        let leaf = if is_same { exported(&stage) } else { stage.ca.issue(&["m5.test"]) };
        let ntlm = Ntlm::start_protected(&leaf);
        let fingerprint = Fingerprint::of(&leaf.der);
        let upstream = format!("{{ url = \"https://127.0.0.1:{}\", fingerprint = \"{fingerprint}\" }}", ntlm.port);
        stage.home.configure("", &Stage::site_with(&upstream));
        let _portvakt = stage.home.start();

        let told = clients(&stage, &[ANNA], 1, bindings).ask(&[("GET", "/a", 0)]);

        assert_eq!(told[0].1[0].0, status, "same certificate: {is_same}, named by the client: {bindings}: {told:?}");
        if status == 401 {
            ntlm.wait_word("bindings");
        }
    }
}

/// What `cert export` gives for old Windows, as openssl reads it.
fn exported(stage: &Stage) -> Leaf {
    stage.configure("", "");
    let _ = fs::remove_file(stage.home.path().join("site.pfx"));
    let arguments = ["cert", "export", "m5.test", "--format", "pfx", "--old", "--with-key", "--out", "site.pfx"];
    let mut command = command(stage.home.path());
    command.args(arguments).args(["--password-env", "PFX_PASSWORD"]).env("PFX_PASSWORD", "pass word");
    assert!(command.status().unwrap().success());
    let read = |what: &str| {
        let mut command = Command::new(program("openssl"));
        command.current_dir(stage.home.path()).args([
            "pkcs12",
            "-legacy",
            "-in",
            "site.pfx",
            "-passin",
            "pass:pass word",
        ]);
        let output = command.args(["-nodes", what]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    Leaf { chain: read("-nokeys"), key: read("-nocerts"), der: stage.leaf.der.clone() }
}

/// What the server told of a request.
#[derive(Debug)]
struct Told {
    user: String,
    connection: String,
    path: String,
}

fn running() -> (Ntlm, Stage, Portvakt) {
    let (ntlm, stage) = (Ntlm::start(), Stage::new());
    let limits = "[limits]\nconnections_per_client = 1000\n";
    stage.home.configure("", &format!("{}{limits}", Stage::site_with(&format!("{:?}", ntlm.url()))));
    let portvakt = stage.home.start();
    (ntlm, stage, portvakt)
}

/// Asks all paths by one call of curl, which uses one connection; answers that are no 200 are left out.
fn curl(stage: &Stage, user: User, paths: &[&str]) -> Vec<Told> {
    let mut command = Command::new(program("curl"));
    command.args(["-q", "-sS", "--max-time", "180", "--ntlm", "--user", &format!("{}:{}", user.name, user.password)]);
    command.args(["--resolve", &format!("m5.test:{}:127.0.0.1", stage.home.https), "--cacert", stage.root()]);
    let output = command.args(paths.iter().map(|path| stage.url(path))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().filter_map(told).collect()
}

fn told(line: &str) -> Option<Told> {
    let mut words = line.split(' ').map(str::to_owned);
    let (user, connection, path) = (words.next()?, words.next()?, words.next()?);
    user.starts_with("DOM\\").then_some(Told { user, connection, path })
}

fn clients<'a>(stage: &'a Stage, users: &'a [User], count: usize, bindings: bool) -> Clients<'a> {
    Clients { server: ("m5.test", stage.home.https), root: stage.root(), users, count, bindings }
}

/// What a client agrees on that offers both.
fn alpn(stage: &Stage) -> String {
    let client = Client::new(stage.ca.roots()).alpn(&["h2", "http/1.1"]);
    let stream = client.connect(stage.home.https, "m5.test").unwrap();
    String::from_utf8_lossy(stream.conn.alpn_protocol().unwrap_or_default()).into_owned()
}

fn verb(stage: &Stage, arguments: &[&str]) -> String {
    let output = run(stage.home.path(), &[arguments, &["--config", "portvakt.toml"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// RFC 9113 §7.
const HTTP_1_1_REQUIRED: u32 = 0xd;
