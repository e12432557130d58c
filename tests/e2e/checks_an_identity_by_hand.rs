//! `portvakt egress check` shows an identity to its service once, with no process running, and names every cause.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::support::BankId;
use crate::support::bankid::{Act, EXPIRED, PASSWORD, Verdict};
use crate::support::ca::Ca;
use crate::support::home::{Home, run};
use crate::support::ports::free_port;

#[test]
fn given_identities_that_are_let_in_when_checked_then_all_is_told_and_the_exit_code_is_0() {
    let scene = Scene::new();

    let output = scene.check(&[]);

    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for part in [
        "partner: https://localhost:",
        "rp.pem",
        "shown as      \"FP first\"",
        "CN=FP first, issued by a bank",
        "(in 364 days)",
        "TLS 1.3",
        "believed by   CN=root of the stand-in for BankID",
        "answer        404",
        "accepted",
        "next.pem",
        "users see \"FP first\" now, and will see \"FP next\"",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert_eq!(scene.service.calls().len(), 2, "one request for each");
}

#[test]
fn given_json_when_checked_then_the_same_for_programs() {
    let scene = Scene::new();
    scene.service.judge(&scene.next, Verdict::Revoked);

    let output = scene.check(&["--json"]);

    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((object["ok"].as_bool(), output.status.code()), (Some(false), Some(1)), "{object:#}");
    let [first, next] = [&object["identities"][0], &object["identities"][1]];
    assert_eq!((&first["cause"], &next["cause"]), (&"accepted".into(), &"refused".into()));
    assert_eq!(first["certificate"]["days_left"], 364);
    assert!(next["detail"].as_str().unwrap().contains("revoked"), "{next:#}");
    assert_eq!(first["server"]["chain"].as_array().unwrap().len(), 1);
}

#[test]
fn given_what_may_be_wrong_when_checked_then_each_cause_in_plain_words() {
    let stranger = Ca::new("a stranger's root");
    let nobody = free_port();
    #[rustfmt::skip]
    let table: [(&str, Change<'_>, &[&str]); 7] = [
        ("refused", &|scene| scene.service.judge(&scene.first, Verdict::UnknownCa), &["refused", "does not know the certificate's issuer", "One for test is refused in production"]),
        ("unauthorized", &|scene| scene.service.judge(&scene.first, Verdict::Unauthorized), &["refused", "401"]),
        ("cut off", &|scene| scene.service.script("trial", [Act::Close, Act::Close]), &["broken", "fix"]),
        ("wrong root", &|scene| { stranger.write(scene.home.path().join("bankid-root.pem")); }, &["not believed", "it shows", "issued by root of the stand-in for BankID", "intercepts TLS"]),
        ("wrong name", &|scene| scene.configure(scene.service.port(), "server_name = \"other.test\"\n"), &["wrong name", "for localhost", "server_name"]),
        ("unreachable", &|scene| scene.configure(nobody, ""), &["unreachable", "cannot connect", "firewall"]),
        ("foreign key", &|scene| { std::fs::copy(scene.home.path().join("next.key"), scene.home.path().join("rp.key")).unwrap(); }, &["key"]),
    ];
    for (name, change, parts) in table {
        let scene = Scene::new();
        change(&scene);

        let output = scene.check(&[]);

        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        for part in parts {
            assert!(text.contains(part), "{name}: {part} is missing:\n{text}");
        }
    }
}

#[test]
fn given_an_expired_identity_when_checked_then_since_when_and_what_the_service_says() {
    let scene = Scene::new();
    scene.service.judge(&EXPIRED.leaf(), Verdict::Expired);
    std::fs::write(scene.home.path().join("rp.pass"), PASSWORD).unwrap();
    let identity = format!("{{ pkcs12 = \"{}\", password_file = \"rp.pass\" }}", EXPIRED.path().display());
    scene.configure_as(&identity, scene.service.port(), "");

    let output = scene.check(&[]);

    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("CN=FP Testcert 4 expired ") && text.contains("days ago; the server refuses it"), "{text}");
    assert!(text.contains("order a new one"), "{text}");
}

#[test]
fn given_bankids_rules_when_checked_then_an_order_that_nobody_has_is_asked_for_and_the_answer_is_explained() {
    let scene = Scene::new();
    scene.configure_with("rules = \"bankid\"\n");

    let output = scene.check(&[]);

    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("answer        400 invalidParameters") && text.contains("BankID lets the identity in"),
        "{text}"
    );
    let calls = scene.service.calls();
    assert!(calls.iter().all(|call| call.head.starts_with(b"POST /rp/v6.0/collect HTTP/1.1\r\n")));
    assert_ne!(calls[0].body, calls[1].body, "never the same order");
}

#[test]
fn given_a_name_that_is_not_there_when_checked_then_those_that_are() {
    let scene = Scene::new();
    let output = run(scene.home.path(), &["egress", "check", "bankid"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no client identity named `bankid`") && text.contains("has `partner`"), "{text}");
}

/// What makes a scene go wrong.
type Change<'a> = &'a dyn Fn(&Scene);

struct Scene {
    service: BankId,
    home: Home,
    first: rustls::pki_types::CertificateDer<'static>,
    next: rustls::pki_types::CertificateDer<'static>,
}

impl Scene {
    fn new() -> Self {
        let (ca, home) = (Ca::new("a bank"), Home::new());
        let year = Duration::from_secs(365 * 86_400 - 60);
        let [first, next] = ["FP first", "FP next"].map(|name| ca.issue_client(name, year));
        let service = BankId::believing(&[first.der.clone(), next.der.clone()]);
        first.write(home.path(), "rp");
        next.write(home.path(), "next");
        service.write_root(home.path());
        let scene = Self { service, home, first: first.der, next: next.der };
        scene.configure(scene.service.port(), "");
        scene
    }

    fn configure(&self, port: u16, more: &str) {
        self.configure_as("{ chain = \"rp.pem\", key = \"rp.key\" }", port, more);
    }

    /// Without a trial of our own.
    fn configure_with(&self, more: &str) {
        self.write("{ chain = \"rp.pem\", key = \"rp.key\" }", self.service.port(), more);
    }

    fn configure_as(&self, identity: &str, port: u16, more: &str) {
        self.write(identity, port, &format!("trial = \"GET /rp/v6.0/trial\"\n{more}"));
    }

    fn write(&self, identity: &str, port: u16, more: &str) {
        let egress = format!(
            "[[egress]]\nname = \"partner\"\nlisten = \"127.0.0.1:{}\"\ndestination = \"https://localhost:{port}\"\n\
             trust_anchors = \"bankid-root.pem\"\nidentity = {identity}\n\
             next = {{ chain = \"next.pem\", key = \"next.key\" }}\nallow = [\"POST /rp/v6.0/*\"]\n{more}",
            free_port(),
        );
        self.home.configure("", &egress);
    }

    fn check(&self, more: &[&str]) -> Output {
        run(self.home.path(), &[&["egress", "check", "partner"], more].concat())
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
