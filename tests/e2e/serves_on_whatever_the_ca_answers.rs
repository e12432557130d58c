//! Whatever a CA answers, the certificate of before is served on, the log and the status say what is wrong, the CA gets a
//! bounded number of requests, and the first sound answer mends it all.

use std::thread;
use std::time::Duration;

use portvakt::pki::CertificateChain;
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::support::ca::Life;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::pebble::Settings;
use crate::support::tls::{self, Client};
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Ca, Echo, Home, Pebble, Witness, eventually};

#[test]
fn given_a_certificate_when_the_ca_answers_a_renewal_with_rubbish_then_served_on_and_renewed_when_it_is_sound() {
    let rows = rows();
    let scene = Scene::new(&rows);
    let mut portvakt = scene.home.start();
    for row in &rows {
        scene.home.wait_certificate(&row.site(), "issued", AN_ORDER);
    }
    let before: Vec<_> = rows.iter().map(|row| (scene.served(row), scene.witness.count_of(&row.site()))).collect();
    for row in &rows {
        scene.witness.rule(Rule::on(row.operation, (row.fault)(&row.site())).of(&row.site()));
    }

    // Another kind of key makes another certificate necessary at once.
    scene.configure(&rows, "p384", "");
    assert!(portvakt.reload(&scene.home));

    // An answer that drips fails after half a minute, and soon after that the others are tried again.
    let (late, soon): (Vec<_>, Vec<_>) = rows.iter().zip(&before).partition(|(row, _)| row.name == "drip");
    let judge = |(row, before): (&Row, _)| scene.wrong(row, before, &portvakt);
    let mut wrong: Vec<_> = soon.into_iter().filter_map(judge).collect();
    scene.witness.heal();
    wrong.extend(late.into_iter().filter_map(judge));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for row in rows.iter().filter(|row| row.then != Then::GivesUp) {
        scene.await_new_key(row);
    }
    let given_up: Vec<_> = rows.iter().filter(|row| row.then == Then::GivesUp).collect();
    for row in &given_up {
        assert_eq!(scene.status_of(row)["key_type"], "P-256", "{}: only other settings can help", row.name);
    }
    scene.configure(&rows, "p384", "contact = [\"mailto:a@m5.test\"]\n");
    assert!(portvakt.reload(&scene.home));
    for row in &given_up {
        scene.await_new_key(row);
    }
    assert_eq!(scene.pebble.accounts(), 1);
    assert_calm(&mut portvakt);
}

#[test]
fn given_a_ca_that_fails_from_the_first_answer_on_when_started_then_a_placeholder_serves_until_it_is_sound() {
    let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
    let scenes: Vec<_> = first_answers().into_iter().map(|row| First::new(&pebble, row)).collect();
    let mut portvakts: Vec<_> = scenes.iter().map(|scene| scene.home.launch()).collect();
    scenes.iter().zip(&mut portvakts).for_each(|(scene, portvakt)| portvakt.wait_ready(&scene.home));

    let wrong: Vec<_> = scenes.iter().zip(&portvakts).filter_map(|(scene, portvakt)| scene.wrong(portvakt)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    scenes.iter().for_each(|scene| scene.witness.heal());
    for (scene, portvakt) in scenes.iter().zip(&mut portvakts) {
        scene.home.wait_certificate("m5.test", "issued", A_PAUSE);
        assert_calm(portvakt);
    }
    assert!(pebble.accounts() <= scenes.len(), "{} accounts", pebble.accounts());
}

/// What goes wrong with one site's renewal.
struct Row {
    /// Host label of its own.
    name: &'static str,
    operation: Operation,
    fault: fn(&str) -> Fault,
    /// What the operator has to be told.
    words: &'static [&'static str],
    /// Requests for the site until it gives up.
    most: usize,
    then: Then,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It fails, and is tried again.
    TriesAgain,
    /// It fails, and only other settings can help.
    GivesUp,
    /// It is issued all the same.
    Succeeds,
}

impl Row {
    fn site(&self) -> String {
        format!("{}.test", self.name)
    }
}

const fn row(
    name: &'static str,
    operation: Operation,
    fault: fn(&str) -> Fault,
    words: &'static [&'static str],
    most: usize,
) -> Row {
    Row { name, operation, fault, words, most, then: Then::TriesAgain }
}

const fn lasting(row: Row) -> Row {
    Row { then: Then::GivesUp, ..row }
}

const fn borne(row: Row) -> Row {
    Row { then: Then::Succeeds, ..row }
}

fn rows() -> Vec<Row> {
    use Operation::{Authorization, Certificate, Challenge, Finalize, NewOrder, Order};
    vec![
        row("html", NewOrder, |_| html(), &["take the order"], 2),
        row("no-json", NewOrder, |_| Fault::body(|_| b"it works!".to_vec()), &["take the order"], 2),
        row("empty", NewOrder, |_| Fault::body(|_| Vec::new()), &["take the order"], 2),
        row("half", NewOrder, |_| Fault::body(|body| body[..body.len() / 2].to_vec()), &["take the order"], 2),
        row("types", NewOrder, |_| types(), &["take the order"], 2),
        row("no-place", NewOrder, |_| Fault::without("location"), &["take the order"], 2),
        borne(row("no-nonce", NewOrder, |_| Fault::without("replay-nonce"), &[], 20)),
        row("loop", NewOrder, |_| Fault::answer(302, &[("location", "/order-plz")], ""), &["take the order"], 2),
        row("ten-mb", NewOrder, |_| Fault::body(|_| vec![b' '; 10 << 20]), &["longer than 1048576 bytes"], 2),
        row("endless", NewOrder, |_| endless(), &["longer than 1048576 bytes"], 2),
        row("drip", NewOrder, |_| drip(), &["no answer within 30 s"], 2),
        row("cut", NewOrder, |_| Fault::CutBefore, &["take the order"], 4),
        row("nonces", NewOrder, |_| problem("badNonce"), &["badNonce"], 20),
        row("internal", NewOrder, |_| Fault::problem(500, "serverInternal", &[]), &["serverInternal"], 2),
        row("gone", NewOrder, |_| problem("accountDoesNotExist"), &["accountDoesNotExist"], 2),
        row("terms", NewOrder, |_| Fault::problem(403, "userActionRequired", &[]), &["userActionRequired"], 2),
        row("limit", NewOrder, |_| Fault::problem(429, "rateLimited", &[("retry-after", "45")]), &["rateLimited"], 2),
        row("busy", NewOrder, |_| Fault::answer(503, &[("retry-after", "45")], "<html>"), &["503"], 2),
        lasting(row("rejected", NewOrder, |_| problem("rejectedIdentifier"), &["rejectedIdentifier"], 2)),
        row("authz", Authorization, |_| Fault::body(|_| b"[]".to_vec()), &["validate"], 4),
        row("authz-500", Authorization, |_| Fault::problem(500, "serverInternal", &[]), &["serverInternal"], 4),
        row("challenge", Challenge, |_| html(), &["validate"], 6),
        row("order", Order, |_| Fault::body(|_| b"null".to_vec()), &["validate"], 8),
        row("not-ready", Finalize, |_| Fault::problem(403, "orderNotReady", &[]), &["orderNotReady"], 12),
        lasting(row("csr", Finalize, |_| problem("badCSR"), &["badCSR"], 12)),
        row("finalize", Finalize, |_| Fault::CutBefore, &["issue the certificate"], 14),
        row("alone", Certificate, |_| Fault::body(first_of), &["it is half a chain"], 14),
        row("stranger", Certificate, |_| stranger(), &["it is half a chain"], 14),
        row("chain", Certificate, |_| Fault::body(|_| b"no certificate".to_vec()), &["cannot be used"], 14),
        row("chain-html", Certificate, |_| html(), &["cannot be used"], 14),
        row("chain-cut", Certificate, |_| Fault::body(|body| body[..700].to_vec()), &["cannot be used"], 14),
        row("key", Certificate, other_key, &["does not fit the private key"], 14),
        row("expired", Certificate, |site| signed(site, Some(Life::Ended)), &["it is valid from"], 14),
        row("early", Certificate, |site| signed(site, Some(Life::ToCome)), &["it is valid from"], 14),
        row("name", Certificate, |_| signed("other.test", None), &["is not issued to"], 14),
        row("gone-at-last", Certificate, |_| Fault::answer(404, &[], ""), &["404"], 14),
    ]
}

fn problem(kind: &str) -> Fault {
    Fault::problem(400, kind, &[])
}

fn html() -> Fault {
    Fault::answer(200, &[("content-type", "text/html")], "<!doctype html><title>Please log in</title>")
}

fn types() -> Fault {
    Fault::body(|_| br#"{"status": 7, "identifiers": "m5.test", "authorizations": {}, "finalize": null}"#.to_vec())
}

fn endless() -> Fault {
    Fault::write(|visitor| {
        visitor.write_all(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            visitor.write_all(b"1000\r\n")?;
            visitor.write_all(&[b' '; 0x1000])?;
            visitor.write_all(b"\r\n")?;
        }
    })
}

/// A byte a second: every one of them in time, the answer never.
fn drip() -> Fault {
    Fault::write(|visitor| {
        visitor.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 1000\r\n\r\n")?;
        for _ in 0..1000 {
            visitor.write_all(b" ")?;
            visitor.flush()?;
            thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    })
}

/// The leaf without what connects it with a root.
fn first_of(chain: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(chain);
    let end = text.find(END).expect("the CA gives a chain") + END.len();
    text[..end].as_bytes().to_vec()
}

/// The leaf, and an intermediate that has not signed it.
fn stranger() -> Fault {
    let intermediate = Ca::new("another CA").intermediate("of another CA").pem();
    Fault::body(move |body| [&first_of(body), intermediate.as_bytes()].concat())
}

fn other_key(site: &str) -> Fault {
    let leaf = Ca::new("another CA").issue(&[site]);
    Fault::body(move |_| leaf.chain.clone().into_bytes())
}

/// The right key in a certificate that another CA has signed.
fn signed(site: &str, life: Option<Life>) -> Fault {
    let (ca, site) = (Ca::new("another CA"), site.to_owned());
    Fault::body(move |body| {
        let chain = CertificateChain::from_pem(body).expect("the CA gives a chain");
        ca.issue_to_key_of(&chain.certificates()[0], &[&site], life).into_bytes()
    })
}

/// What goes wrong before there is any order, and what the operator has to be told.
fn first_answers() -> Vec<(Operation, Fault, &'static str)> {
    use Operation::{Directory, NewAccount, NewNonce};
    vec![
        (Directory, html(), "/dir"),
        (Directory, Fault::body(|_| Vec::new()), "/dir"),
        (Directory, Fault::body(|body| body[..body.len() / 2].to_vec()), "/dir"),
        (Directory, Fault::body(|_| br#"{"newNonce": 1}"#.to_vec()), "/dir"),
        (Directory, Fault::answer(301, &[("location", "/dir")], ""), "/dir"),
        (Directory, endless(), "longer than 1048576 bytes"),
        (Directory, Fault::CutBefore, "/dir"),
        (Directory, Fault::write(|visitor| visitor.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")), "/dir"),
        (Directory, Fault::answer(503, &[("retry-after", "1")], ""), "503"),
        (NewNonce, Fault::without("replay-nonce"), "no nonce"),
        (NewNonce, Fault::answer(500, &[], ""), "500"),
        (NewAccount, html(), "register the account"),
        (NewAccount, Fault::without("location"), "register the account"),
        (NewAccount, Fault::CutAfter, "register the account"),
        (NewAccount, Fault::problem(429, "rateLimited", &[("retry-after", "1")]), "rateLimited"),
    ]
}

/// One portvakt of its own, since what fails is in the way of every site.
struct First {
    home: Home,
    witness: Witness,
    words: &'static str,
    operation: Operation,
    _echo: Echo,
}

impl First {
    fn new(pebble: &Pebble, (operation, fault, words): (Operation, Fault, &'static str)) -> Self {
        let (home, echo, witness) = (Home::new(), Echo::start(), Witness::before(pebble));
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}{site}", witness.acme_section()));
        witness.rule(Rule::on(operation, fault));
        Self { home, witness, words, operation, _echo: echo }
    }

    /// What is not as it should be after the first attempt.
    fn wrong(&self, portvakt: &Portvakt) -> Option<String> {
        portvakt.child.wait_line("the failure", |line| line.contains("no certificate certificate="));
        let error = eventually("a failure", PATIENCE, || {
            let status: Value = serde_json::from_slice(&self.home.admin("/status.json").body).ok()?;
            Some(status["certificates"][0]["last_error"].as_str()?.to_owned())
        });
        self.home.wait_certificate("m5.test", "placeholder", PATIENCE);
        let requests = self.witness.requests().len();
        let is_right = error.contains(self.words) && requests <= 8 && tls::served(self.home.https, "m5.test").is_ok();
        (!is_right).then(|| format!("{:?}: {requests} requests: {error}", self.operation))
    }
}

/// Many sites at one CA, which another stands before.
struct Scene {
    home: Home,
    pebble: Pebble,
    witness: Witness,
    echo: Echo,
}

impl Scene {
    fn new(rows: &[Row]) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(home.http, home.https) });
        let witness = Witness::before(&pebble);
        let scene = Self { home, pebble, witness, echo };
        scene.configure(rows, "p256", "");
        scene
    }

    fn configure(&self, rows: &[Row], key: &str, more: &str) {
        let (url, acme) = (self.echo.url(), self.witness.acme_section());
        let site = |row: &Row| format!("[[site]]\ndomain = \"{}\"\nupstream = \"{url}\"\n", row.site());
        let sites: String = rows.iter().map(site).collect();
        self.home.configure("", &format!("{acme}key_type = \"{key}\"\n{more}{sites}"));
    }

    fn served(&self, row: &Row) -> CertificateDer<'static> {
        let stream = Client::new(self.pebble.issued_roots()).connect(self.home.https, &row.site());
        tls::leaf(&stream.unwrap_or_else(|error| panic!("{}: {error}", row.name)))
    }

    fn status_of(&self, row: &Row) -> Value {
        let status: Value = serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON");
        let all = status["certificates"].as_array().expect("a list");
        all.iter().find(|certificate| certificate["name"] == row.site()).expect("every site is shown").clone()
    }

    /// What is not as it should be after the attempt to renew; `before` is what was served, and the requests until then.
    fn wrong(&self, row: &Row, before: &(CertificateDer<'_>, usize), portvakt: &Portvakt) -> Option<String> {
        if row.then == Then::Succeeds {
            self.await_new_key(row);
        }
        let error = eventually(row.name, AN_ORDER, || match &self.status_of(row)["last_error"] {
            Value::String(error) => Some(error.clone()),
            _ if row.then == Then::Succeeds => Some(String::new()),
            _ => None,
        });
        let requests = self.witness.count_of(&row.site()) - before.1;
        if row.then != Then::Succeeds {
            let is_told = |line: &str| line.contains("no certificate certificate=") && line.contains(&row.site());
            portvakt.child.wait_line(row.name, is_told);
        }
        let is_kept = (self.served(row) == before.0) == (row.then != Then::Succeeds);
        let is_right = is_kept && requests <= row.most && row.words.iter().all(|words| error.contains(words));
        (!is_right).then(|| format!("{}: {requests} requests: {error}", row.name))
    }

    fn await_new_key(&self, row: &Row) {
        eventually(row.name, A_PAUSE, || (self.status_of(row)["key_type"] == "P-384").then_some(()));
    }
}

fn assert_calm(portvakt: &mut Portvakt) {
    assert!(portvakt.terminate().success());
    let lines = portvakt.child.lines();
    let panic = lines.iter().find(|line| line.contains("panicked") || line.contains("bug of its own"));
    assert_eq!(panic, None);
}

const END: &str = "-----END CERTIFICATE-----\n";

/// A round of orders on a busy machine.
const AN_ORDER: Duration = Duration::from_secs(90);
/// The longest first pause after a failure, and an attempt.
const A_PAUSE: Duration = Duration::from_secs(120);
