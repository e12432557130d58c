//! What BankID gives once, the application gets: whoever leaves before the answer arrives is given it when it asks again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::bankid::{Act, COMPLETE, MODERN, password_file};
use crate::support::home::{Home, Portvakt};
use crate::support::ports::free_port;
use crate::support::{BankId, Curl};

#[test]
fn given_an_application_that_leaves_before_the_answer_when_it_collects_again_then_it_gets_it_once() {
    let scene = Scene::new();
    let order = scene.order();
    scene.bankid.script("collect", [Act::Hold]);

    let gone = scene.send_collect(&order);
    scene.bankid.await_held(1);
    drop(gone);
    scene.bankid.release();
    scene.portvakt.child.wait_line("that it is kept", |line| line.contains("did not take a final answer"));

    let again = scene.collect(&order);
    assert!(again.contains("\"complete\""), "{again}");
    let third = scene.collect(&order);
    assert!(third.contains("invalidParameters") && third.contains("PV0612"), "{third}");
    assert_eq!(scene.bankid.count("collect"), 1);
    let metrics = scene.home.metrics();
    assert_eq!(metrics.one("portvakt_egress_answers_undelivered_total", &[("destination", "localhost")]), 1.0);
}

#[test]
fn given_an_application_that_does_not_read_the_answer_when_it_collects_again_then_it_gets_it() {
    let scene = Scene::new();
    let order = scene.order();

    let mut deaf = scene.send_collect(&order);
    let mut first = [0; 1];
    deaf.read_exact(&mut first).unwrap();
    drop(deaf);
    scene.portvakt.child.wait_line("that it is kept", |line| line.contains("did not take a final answer"));

    assert!(scene.collect(&order).contains("\"complete\""));
    assert_eq!(scene.bankid.count("collect"), 1);
}

#[test]
fn given_an_application_that_has_read_the_answer_when_it_collects_again_then_it_is_told_that_it_has() {
    let scene = Scene::new();

    for close in [false, true] {
        let order = scene.order();
        let mut reader = scene.send_collect_with(&order, if close { "Connection: close\r\n" } else { "" });
        let answer = read_answer(&mut reader);
        assert!(answer.contains("\"complete\""), "{answer}");
        drop(reader);

        let again = scene.collect(&order);
        assert!(again.contains("PV0612"), "{close}: {again}");
    }
    assert_eq!(scene.bankid.count("collect"), 2);
}

struct Scene {
    bankid: BankId,
    home: Home,
    portvakt: Portvakt,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        let (bankid, home, port) = (BankId::start(), Home::new(), free_port());
        bankid.plan(COMPLETE.after(&[]));
        let egress = format!(
            "[[egress]]\nlisten = \"127.0.0.1:{port}\"\ndestination = \"{}\"\ntrust_anchors = \"{}\"\n\
             identity = {{ pkcs12 = \"{}\", password_file = \"{}\" }}\nallow = [\"POST /rp/v6.0/*\"]\nrules = \"bankid\"\n",
            bankid.url(),
            bankid.write_root(home.path()).display(),
            MODERN.path().display(),
            password_file(home.path()).display(),
        );
        home.configure("", &egress);
        let portvakt = home.start();
        Self { bankid, home, portvakt, port }
    }

    fn order(&self) -> String {
        let answer = self.post("auth", r#"{"endUserIp":"192.0.2.7"}"#);
        let told: serde_json::Value = serde_json::from_str(&answer).unwrap();
        told["orderRef"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn collect(&self, order: &str) -> String {
        self.post("collect", &format!("{{\"orderRef\":\"{order}\"}}"))
    }

    fn post(&self, method: &str, body: &str) -> String {
        let url = format!("http://127.0.0.1:{}/rp/v6.0/{method}", self.port);
        Curl::new().with(&["-H", "Content-Type: application/json", "-d", body]).get(&url).text()
    }

    fn send_collect(&self, order: &str) -> TcpStream {
        self.send_collect_with(order, "")
    }

    fn send_collect_with(&self, order: &str, more: &str) -> TcpStream {
        let body = format!("{{\"orderRef\":\"{order}\"}}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST /rp/v6.0/collect HTTP/1.1\r\nHost: any\r\n{more}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream
    }
}

/// Head and body, by the length that the head names.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut byte = [0; 1];
    while !read.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}
