//! A client identity changes while an application works: at its date, when its files change, when it is refused. No
//! request is lost, and what works is not given up for what does not.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::support::bankid::{Act, EXPIRED, Verdict, password_file};
use crate::support::ca::{Ca, Leaf, replace};
use crate::support::clock::PATIENCE;
use crate::support::home::{Home, Portvakt, run};
use crate::support::ports::free_port;
use crate::support::{BankId, eventually, raw};
use crate::wipes_keys_from_memory::Traces;

#[test]
fn given_new_files_under_load_when_accepted_then_they_take_over_and_no_request_is_lost() {
    let scene = Scene::new(Rotation::None);
    let load = Load::start(scene.port, 4);
    load.wait_for(50);
    let new = scene.client("FP new");
    scene.service.judge(&new.der, Verdict::Believed);

    new.write(scene.home.path(), "rp");

    scene.wait_shown(&new.der);
    load.wait_for(50);
    load.stop();
    assert_eq!(scene.trials(), std::slice::from_ref(&new.der), "tried once");
    // Five called at a time; the connections of the old identity are closed as soon as they are idle.
    eventually("connections of the old identity end", PATIENCE, || (scene.service.open() <= 5).then_some(()));
    let calls = scene.service.calls();
    assert!(calls[calls.len() - 30..].iter().all(|call| call.leaf == new.der));
    scene.portvakt.child.wait_line("a new name", |line| line.contains("users will see that one"));
}

/// Applications rest at night.
#[test]
fn given_a_new_identity_when_nobody_calls_then_connections_and_key_of_the_old_one_are_gone_all_the_same() {
    let scene = Scene::new(Rotation::None);
    assert_eq!(scene.call(), 200);
    let process = scene.portvakt.child.id();
    let old = Traces::of(&scene.home.path().join("rp.key"));
    assert!(old.found_in(process) > 0, "the search finds a key that is in use");
    let new = scene.client("FP new");
    scene.service.judge(&new.der, Verdict::Believed);

    new.write(scene.home.path(), "rp");

    scene.portvakt.child.wait_line("the new identity", |line| line.contains("in use") && line.contains("CN=FP new"));
    eventually("connections of the old identity end", PATIENCE, || (scene.service.open() == 0).then_some(()));
    eventually("the old key is gone from memory", PATIENCE, || (old.found_in(process) == 0).then_some(()));
}

#[test]
fn given_new_files_that_are_refused_when_they_appear_then_the_old_identity_works_on() {
    let scene = Scene::new(Rotation::None);
    let stranger = scene.client("FP stranger");

    stranger.write(scene.home.path(), "rp");

    scene.portvakt.child.wait_line("the refusal", |line| line.contains("CN=FP stranger is not taken into use"));
    for _ in 0..5 {
        assert_eq!(scene.call(), 200);
    }
    assert_eq!(scene.last_shown(), scene.first.der);
    assert_eq!(scene.service.refusals().len(), 1, "tried once: {:?}", scene.service.refusals());
    assert_eq!(scene.refused("unknown_ca"), 1.0);
}

#[test]
fn given_files_of_no_use_when_they_appear_then_the_old_identity_works_on_and_it_is_told() {
    let scene = Scene::new(Rotation::None);
    let foreign = scene.client("FP other");

    for (file, text) in [("rp.key", foreign.key.as_str()), ("rp.pem", "nonsense")] {
        let mark = scene.portvakt.child.mark();
        replace(&scene.home.path().join(file), text);
        scene.portvakt.child.wait_line_after(mark, file, |line| line.contains("what was in use stays"));
        assert_eq!(scene.call(), 200);
    }
    assert_eq!(scene.last_shown(), scene.first.der);
}

#[test]
fn given_a_next_identity_without_a_date_when_started_then_it_takes_over_after_one_trial() {
    let scene = Scene::new(Rotation::Next { from: None });
    scene.wait_shown(&scene.next.der);
    assert_eq!(scene.trials(), std::slice::from_ref(&scene.next.der));
    scene.wait_in_use("next");
}

#[test]
fn given_a_next_identity_for_later_when_its_date_has_come_then_it_takes_over_under_load() {
    let scene = Scene::new(Rotation::Next { from: Some("2199-01-01") });
    let load = Load::start(scene.port, 3);
    load.wait_for(30);
    assert_eq!(scene.last_shown(), scene.first.der);
    scene.wait_in_use("identity");
    assert!(scene.trials().is_empty(), "it is not asked before");

    scene.configure(Rotation::Next { from: Some("2020-01-01") });
    assert!(scene.portvakt.reload(&scene.home));

    scene.wait_shown(&scene.next.der);
    load.wait_for(30);
    load.stop();
}

#[test]
fn given_a_first_that_is_refused_when_called_then_one_502_and_the_next_request_shows_the_other() {
    for version in [&TLS12, &TLS13] {
        let scene = Scene::new(Rotation::Next { from: Some("2199-01-01") });
        scene.service.versions(&[version]);
        assert_eq!(scene.call(), 200);

        scene.service.judge(&scene.first.der, Verdict::Revoked);
        scene.service.hang_up();
        eventually("the kept connection is gone", PATIENCE, || (scene.service.open() == 0).then_some(()));

        let statuses: Vec<_> = (0..6).map(|_| scene.call()).collect();
        assert_eq!(statuses, [502, 200, 200, 200, 200, 200], "{version:?}");
        assert_eq!(scene.last_shown(), scene.next.der);
        assert_eq!((scene.refused("revoked"), scene.service.refusals().len()), (1.0, 1));
        scene.wait_in_use("next");
        scene
            .portvakt
            .child
            .wait_line("the refusal", |line| line.contains("refuses the") && line.contains("CN=FP first"));
    }
}

#[test]
fn given_both_refused_when_called_then_every_request_is_told_so_and_an_accepted_one_heals_it() {
    let scene = Scene::new(Rotation::Next { from: Some("2199-01-01") });
    scene.service.judge(&scene.first.der, Verdict::Expired);
    scene.service.judge(&scene.next.der, Verdict::Bad);

    assert_eq!((0..4).map(|_| scene.call()).collect::<Vec<_>>(), [502; 4]);
    assert_eq!((scene.refused("expired"), scene.refused("bad")), (1.0, 3.0), "no flapping");

    scene.service.judge(&scene.next.der, Verdict::Believed);
    assert_eq!(scene.call(), 200);
    assert_eq!(scene.last_shown(), scene.next.der);
}

#[test]
fn given_an_answer_401_when_called_then_it_is_passed_on_and_counted_and_nothing_changes() {
    let scene = Scene::new(Rotation::Next { from: Some("2199-01-01") });
    scene.service.judge(&scene.first.der, Verdict::Unauthorized);

    assert_eq!((0..3).map(|_| scene.call()).collect::<Vec<_>>(), [401; 3]);

    assert_eq!(scene.refused("other"), 3.0);
    assert_eq!(scene.last_shown(), scene.first.der);
}

#[test]
fn given_a_server_that_gives_no_answer_when_new_files_appear_then_they_are_tried_again() {
    let scene = Scene::new(Rotation::None);
    let new = scene.client("FP new");
    scene.service.judge(&new.der, Verdict::Believed);
    scene.service.script("trial", [Act::Close]);

    new.write(scene.home.path(), "rp");

    scene.portvakt.child.wait_line("a trial in vain", |line| line.contains("could not be tried"));
    assert_eq!(scene.call(), 200);
    assert_eq!(scene.last_shown(), scene.first.der, "what works stays in use");
    scene.wait_shown(&new.der);
    assert_eq!(scene.trials().len(), 2);
}

#[test]
fn given_an_expired_rp_certificate_when_started_then_since_when_and_where_to_order_another() {
    let (service, home) = (BankId::start(), Home::new());
    let root = service.write_root(home.path());
    let egress = format!(
        "[[egress]]\nname = \"partner\"\nlisten = \"127.0.0.1:{}\"\ndestination = \"{}\"\ntrust_anchors = \"{}\"\n\
         identity = {{ pkcs12 = \"{}\", password_file = \"{}\" }}\nallow = [\"POST /rp/v6.0/*\"]\nrules = \"bankid\"\n",
        free_port(),
        service.url(),
        root.display(),
        EXPIRED.path().display(),
        password_file(home.path()).display(),
    );
    home.configure("", &egress);
    let portvakt = home.start();

    portvakt.child.wait_line("when it expired", |line| {
        line.contains("RP certificate CN=FP Testcert 4 expired ")
            && line.contains(" days ago; order a new one at your bank")
            && line.contains("ERROR")
    });
    let status: Value = serde_json::from_slice(&home.admin("/status.json").body).unwrap();
    let identity = &status["client_identities"][0];
    assert_eq!((&identity["destination"], &identity["in_use"]), (&"partner".into(), &"identity".into()));
    assert_eq!(identity["why"], "it has expired, and there is none that is valid");
    assert!(identity["identities"][0]["days_left"].as_i64().unwrap() < -300, "{identity:#}");
    assert!(identity["next"]["action"].as_str().unwrap().starts_with("order a new one at your bank"), "{identity:#}");
    let shown = run(home.path(), &["status", "--config", "portvakt.toml"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("client identity for partner") && shown.contains("order a new one at your bank"), "{shown}");
}

/// A service, an application's way to it, and two identities.
struct Scene {
    service: BankId,
    ca: Ca,
    first: Leaf,
    next: Leaf,
    home: Home,
    portvakt: Portvakt,
    port: u16,
}

#[derive(Clone, Copy)]
enum Rotation {
    None,
    Next { from: Option<&'static str> },
}

impl Scene {
    fn new(rotation: Rotation) -> Self {
        let ca = Ca::new("a bank");
        let [first, next] = ["FP first", "FP next"].map(|name| ca.issue_client(name, YEAR));
        let service = BankId::believing(&[first.der.clone(), next.der.clone()]);
        let (home, port) = (Home::new(), free_port());
        first.write(home.path(), "rp");
        next.write(home.path(), "next");
        write(&service, &home, port, rotation);
        let portvakt = home.start();
        Self { service, ca, first, next, home, portvakt, port }
    }

    fn client(&self, name: &str) -> Leaf {
        self.ca.issue_client(name, YEAR)
    }

    fn configure(&self, rotation: Rotation) {
        write(&self.service, &self.home, self.port, rotation);
    }

    /// One request of an application.
    fn call(&self) -> u16 {
        raw::request(self.port, &request("close")).status
    }

    /// Whom the service saw last in a request of the application.
    fn last_shown(&self) -> CertificateDer<'static> {
        let calls = self.service.calls();
        calls.into_iter().rfind(|call| !is_trial(&call.head)).expect("a request came").leaf
    }

    /// Whom it saw in trials.
    fn trials(&self) -> Vec<CertificateDer<'static>> {
        self.service.calls().into_iter().filter(|call| is_trial(&call.head)).map(|call| call.leaf).collect()
    }

    /// Calls until the service sees `leaf`.
    fn wait_shown(&self, leaf: &CertificateDer<'static>) {
        eventually("the new identity is shown", PATIENCE, || {
            assert_eq!(self.call(), 200);
            (self.last_shown() == *leaf).then_some(())
        });
    }

    fn wait_in_use(&self, slot: &str) {
        self.home.wait_metrics(&format!("`{slot}` is in use"), PATIENCE, |metrics| {
            let of = |slot| metrics.one(IN_USE, &[("destination", "partner"), ("identity", slot)]);
            let other = if slot == "next" { "identity" } else { "next" };
            (of(slot) == 1.0 && of(other) == 0.0).then_some(())
        });
    }

    fn refused(&self, reason: &str) -> f64 {
        self.home.metrics().one(REFUSED, &[("destination", "partner"), ("reason", reason)])
    }
}

fn write(service: &BankId, home: &Home, port: u16, rotation: Rotation) {
    let root = service.write_root(home.path());
    let next = match rotation {
        Rotation::None => String::new(),
        Rotation::Next { from } => {
            let from = from.map(|from| format!(", from = \"{from}\"")).unwrap_or_default();
            format!("next = {{ chain = \"next.pem\", key = \"next.key\"{from} }}\n")
        }
    };
    let egress = format!(
        "[[egress]]\nname = \"partner\"\nlisten = \"127.0.0.1:{port}\"\ndestination = \"{}\"\ntrust_anchors = \"{}\"\n\
         identity = {{ chain = \"rp.pem\", key = \"rp.key\" }}\n{next}allow = [\"POST /rp/v6.0/*\"]\n\
         trial = \"GET /rp/v6.0/trial\"\n",
        service.url(),
        root.display(),
    );
    home.configure("watch = true\n", &egress);
}

/// Applications that call one after the other, each on its own connection.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(port: u16, callers: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let caller = |_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || {
                let mut stream = raw::connect(port);
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(request("keep-alive").as_bytes()).expect("portvakt reads");
                    let reply = raw::read_reply(&mut stream).expect("an answer");
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let callers = (0..callers).map(caller).collect();
        Self { stop, answered, callers }
    }

    /// Waits for so many more answers.
    fn wait_for(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        let is_there = || (self.answered.load(Ordering::Relaxed) >= until).then_some(());
        eventually("answers under load", PATIENCE, is_there);
    }

    /// Ends it; a request that was lost fails here.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().expect("every request was answered with 200");
        }
    }
}

fn request(connection: &str) -> String {
    format!(
        "POST /rp/v6.0/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{BODY}",
        BODY.len()
    )
}

fn is_trial(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).contains("(identity trial)")
}

const BODY: &str = r#"{"endUserIp":"192.0.2.7"}"#;
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const IN_USE: &str = "portvakt_egress_identity_in_use";
const REFUSED: &str = "portvakt_egress_identity_refused_total";
