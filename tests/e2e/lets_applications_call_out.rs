//! An application of this machine reaches a service that demands a client certificate, over plain HTTP to us.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::bankid::{MODERN, password_file};
use crate::support::ca::Ca;
use crate::support::clock::PATIENCE;
use crate::support::home::{Home, Portvakt};
use crate::support::ports::free_port;
use crate::support::{BankId, Curl, eventually, raw};

#[test]
fn given_an_application_when_it_calls_then_the_service_sees_our_identity_and_its_own_host() {
    let scene = Scene::new("");

    let answer = scene.curl().with(&POST).get(&scene.url("/rp/v6.0/auth"));

    assert_eq!(answer.status, 200, "{}", answer.text());
    let call = scene.service.last();
    assert_eq!((call.leaf.clone(), call.body.clone()), (MODERN.leaf(), BODY.as_bytes().to_vec()));
    assert_eq!(call.header("host"), Some(format!("localhost:{}", scene.service.port())));
    assert_eq!(call.server_name.as_deref(), Some("localhost"));
}

#[test]
fn given_what_the_allow_list_does_not_name_when_called_then_it_stays_here() {
    let scene = Scene::new("");

    for (arguments, path) in [
        (&["-X", "GET"][..], "/rp/v6.0/auth"),
        (&POST[..], "/rp/v5.1/auth"),
        (&["--path-as-is", "-d", "{}"][..], "/rp/v6.0/../v5.1/auth"),
        (&POST[..], "/rp/v6.0/%2e%2e/v5.1/auth"),
    ] {
        let answer = scene.curl().with(arguments).get(&scene.url(path));
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    assert_eq!(scene.service.calls().len(), 0);
    let labels = [("destination", "partner"), ("reason", "not_allowed")];
    assert_eq!(scene.home.metrics().one("portvakt_egress_local_answers_total", &labels), 4.0);
}

#[test]
fn given_a_token_when_callers_show_it_then_they_pass_and_it_goes_no_further() {
    let scene = Scene::new("token_file = \"token\"\n");

    let with = |line: &str| scene.curl().header(line).with(&POST).get(&scene.url("/rp/v6.0/auth"));
    let without = scene.curl().with(&POST).get(&scene.url("/rp/v6.0/auth"));

    assert_eq!(without.status, 401);
    assert_eq!(with("Authorization: Bearer another-token-than-ours").status, 401);
    assert_eq!(with(&format!("Authorization: Bearer {TOKEN}")).status, 200);
    let call = scene.service.last();
    assert_eq!(call.header("authorization"), None);
    assert_eq!(scene.service.calls().len(), 1);
}

#[test]
fn given_a_body_over_the_limit_when_called_then_413_and_nothing_goes_out() {
    let scene = Scene::new("body = \"1KiB\"\n");
    let large = "x".repeat(2000);

    let announced = scene.curl().with(&["-d", &large]).get(&scene.url("/rp/v6.0/auth"));
    let chunked =
        scene.curl().with(&["-d", &large, "-H", "Transfer-Encoding: chunked"]).get(&scene.url("/rp/v6.0/auth"));

    assert_eq!((announced.status, chunked.status), (413, 413));
    assert_eq!(scene.service.calls().len(), 0);
}

#[test]
fn given_a_unix_socket_when_an_application_calls_then_it_reaches_the_service() {
    let mut scene = Scene::new("");
    let socket = scene.home.path().join("partner.sock");
    scene.configure(&format!("unix:{}", socket.display()), "");
    assert!(scene.portvakt.reload(&scene.home));

    let answer =
        scene.curl().with(&["--unix-socket", socket.to_str().unwrap()]).with(&POST).get("http://any/rp/v6.0/auth");

    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(mode(&socket), 0o600);
    scene.portvakt.terminate();
    assert!(!socket.exists());
}

/// A firewall forgets an unused connection without a word, and what is sent on it cannot be sent again.
#[test]
fn given_idle_timeout_when_nobody_calls_then_kept_connections_are_closed() {
    let scene = Scene::new("idle_timeout = \"1s\"\n");
    assert_eq!(scene.curl().with(&POST).get(&scene.url("/rp/v6.0/auth")).status, 200);

    eventually("it is closed", PATIENCE, || (scene.service.open() == 0).then_some(()));
}

/// As IIS does where the certificate is wanted for one path only.
#[test]
fn given_a_service_that_shakes_hands_again_when_called_then_the_log_says_what_to_mend() {
    let (home, port, service) = (Home::new(), free_port(), free_port());
    let ca = Ca::new("root");
    ca.write(home.path().join("root.pem"));
    ca.issue(&["localhost"]).write(home.path(), "service");
    password_file(home.path());
    home.configure(
        "",
        &format!(
            "[[egress]]\nname = \"partner\"\nlisten = \"127.0.0.1:{port}\"\ndestination = \"https://localhost:{service}\"\n\
             trust_anchors = \"root.pem\"\nidentity = {{ pkcs12 = {:?}, password_file = \"rp.pass\" }}\nallow = [\"* /*\"]\n",
            MODERN.path(),
        ),
    );
    let mut command = Command::new("openssl");
    command.args([
        "s_server",
        "-tls1_2",
        "-cert",
        "service.pem",
        "-key",
        "service.key",
        "-accept",
        &service.to_string(),
    ]);
    let mut server =
        Killed(command.current_dir(home.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ACCEPT"));
    let portvakt = home.start();

    let mut application = raw::connect(port);
    application.write_all(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\n").unwrap();
    assert!(lines.any(|line| line.starts_with("POST /x")));
    // Renegotiate, and ask for a certificate (openssl-s_server(1)).
    let mut commands = server.0.stdin.take().unwrap();
    commands.write_all(b"R\n").unwrap();

    assert_eq!(raw::read_reply(&mut application).unwrap().status, 502);
    portvakt.child.wait_line("what to mend", |line| line.contains("let it ask in the first handshake"));
}

#[test]
fn given_other_settings_when_reloaded_then_open_connections_follow_them() {
    let scene = Scene::new("");
    assert_eq!(scene.curl().with(&POST).get(&scene.url("/rp/v6.0/auth")).status, 200);

    scene.configure(&format!("127.0.0.1:{}", scene.port), "token_file = \"token\"\n");
    assert!(scene.portvakt.reload(&scene.home));

    assert_eq!(scene.curl().with(&POST).get(&scene.url("/rp/v6.0/auth")).status, 401);
}

/// A service, and portvakt as the way to it.
struct Scene {
    service: BankId,
    home: Home,
    portvakt: Portvakt,
    port: u16,
}

impl Scene {
    fn new(more: &str) -> Self {
        let (service, home, port) = (BankId::start(), Home::new(), free_port());
        service.write_root(home.path());
        password_file(home.path());
        std::fs::write(home.path().join("token"), TOKEN).unwrap();
        write(&service, &home, &format!("127.0.0.1:{port}"), more);
        let portvakt = home.start();
        Self { service, home, portvakt, port }
    }

    fn configure(&self, listen: &str, more: &str) {
        write(&self.service, &self.home, listen, more);
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    fn curl(&self) -> Curl {
        Curl::new()
    }
}

fn write(service: &BankId, home: &Home, listen: &str, more: &str) {
    let root = service.write_root(home.path());
    let egress = format!(
        "[[egress]]\nname = \"partner\"\nlisten = \"{listen}\"\ndestination = \"{}\"\ntrust_anchors = \"{}\"\n\
         identity = {{ pkcs12 = \"{}\", password_file = \"{}\" }}\nallow = [\"POST /rp/v6.0/*\"]\n{more}",
        service.url(),
        root.display(),
        MODERN.path().display(),
        password_file(home.path()).display(),
    );
    home.configure("", &egress);
}

/// Ends with the test, however that ends.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const BODY: &str = r#"{"endUserIp":"192.0.2.7"}"#;
const POST: [&str; 4] = ["-H", "Content-Type: application/json", "-d", BODY];
const TOKEN: &str = "a-token-of-some-length";
