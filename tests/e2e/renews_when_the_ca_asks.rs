//! The CA says when to renew (RFC 9773): a window that it moves is found out by the next question, and rubbish in its
//! answers changes nothing.

use std::time::Duration;

use serde_json::json;

use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::pebble::Settings;
use crate::support::tls::served;
use crate::support::witness::{Fault, Operation, Request, Rule};
use crate::support::{Echo, Home, Pebble, Witness, eventually};

#[test]
fn given_a_window_moved_to_the_past_when_the_ca_is_asked_again_then_renewed_within_that_question() {
    let scene = Scene::new();
    drop(scene.issued());
    scene.move_window();

    // pebble wants to be asked every six hours; what a CA wants to be replaced on its first day waits until that is over.
    let portvakt = scene.home.start_at(31 * 3600);
    scene.await_renewal();

    let requests = scene.witness.requests();
    let orders: Vec<_> = positions(&requests, Operation::NewOrder);
    let asked = positions(&requests, Operation::RenewalInfo).into_iter().filter(|at| *at < orders[1]).count();
    assert_eq!((orders.len(), asked), (2, 2), "one question at first, and the one that tells");
    let replaced = requests[orders[1]].payload["replaces"].as_str().expect("it says what it replaces");
    assert!(requests.iter().any(|request| request.target.ends_with(replaced)), "{replaced}");
    portvakt.child.wait_line("the explanation", |line| line.contains("https://ca.test/incident"));
}

#[test]
fn given_a_ca_that_calls_the_certificate_replaced_when_renewed_then_ordered_at_once_without_saying_so() {
    let scene = Scene::new();
    drop(scene.issued());
    scene.move_window();
    scene.witness.rule(Rule::on(Operation::NewOrder, Fault::problem(409, "alreadyReplaced", &[])).times(1));

    let _portvakt = scene.home.start_at(31 * 3600);
    scene.await_renewal();

    let requests = scene.witness.requests();
    let orders: Vec<_> = positions(&requests, Operation::NewOrder);
    let replaces: Vec<_> = orders.iter().map(|at| requests[*at].payload["replaces"].is_string()).collect();
    assert_eq!(replaces, [false, true, false]);
}

#[test]
fn given_rubbish_for_renewal_information_when_asked_then_the_certificate_stays_and_the_ca_is_not_pestered() {
    let rubbish = [
        Fault::answer(200, &[("content-type", "text/html")], "<!doctype html>"),
        Fault::answer(200, &[], ""),
        Fault::answer(200, &[], r#"{"suggestedWindow": {"start": "now", "end": 7}}"#),
        Fault::answer(200, &[("retry-after", "1")], &window("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")),
        Fault::answer(200, &[("retry-after", "0")], &window("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z")),
        Fault::answer(500, &[], ""),
        Fault::problem(404, "malformed", &[]),
        Fault::body(|_| vec![b'['; 2 << 20]),
        Fault::CutBefore,
    ];
    let scene = Scene::new();
    for fault in rubbish {
        scene.witness.rule(Rule::on(Operation::RenewalInfo, fault).times(1));
    }
    drop(scene.issued());
    let first = served(scene.home.https, "m5.test").ok();
    assert_eq!(first, None, "stopped");
    for hours in 1..=8 {
        let before = scene.witness.count(Operation::RenewalInfo);
        let mut portvakt: Portvakt = scene.home.start_at(hours * 30 * 3600);
        eventually("asked again", PATIENCE, || (scene.witness.count(Operation::RenewalInfo) > before).then_some(()));
        scene.home.wait_certificate("m5.test", "issued", PATIENCE);
        assert!(portvakt.terminate().success());
        let asked = scene.witness.count(Operation::RenewalInfo) - before;
        assert!(asked <= 2, "asked {asked} times");
        assert!(!portvakt.child.lines().iter().any(|line| line.contains("bug of its own")));
    }
    assert_eq!(scene.witness.count(Operation::NewOrder), 1, "none of it is a reason to renew");
}

fn window(start: &str, end: &str) -> String {
    json!({ "suggestedWindow": { "start": start, "end": end } }).to_string()
}

fn positions(requests: &[Request], operation: Operation) -> Vec<usize> {
    (0..requests.len()).filter(|at| requests[*at].asked.operation == operation).collect()
}

struct Scene {
    home: Home,
    pebble: Pebble,
    witness: Witness,
    _echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
        let witness = Witness::before(&pebble);
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}{site}", witness.acme_section()));
        Self { home, pebble, witness, _echo: echo }
    }

    /// With a certificate, and the CA asked once.
    fn issued(&self) -> Portvakt {
        let portvakt = self.home.start();
        self.home.wait_certificate("m5.test", "issued", PATIENCE);
        eventually("the CA is asked", PATIENCE, || (self.witness.count(Operation::RenewalInfo) == 1).then_some(()));
        // The answer is on the disk before anything is planned by it.
        portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
        portvakt
    }

    /// The CA wants what is stored to be renewed as from long ago.
    fn move_window(&self) {
        let suggested = json!({ "start": "2026-01-02T00:00:00Z", "end": "2026-01-03T00:00:00Z" });
        let answer = json!({ "suggestedWindow": suggested, "explanationURL": "https://ca.test/incident" });
        self.pebble.set_renewal_info_of(&self.home, "m5.test", &answer);
    }

    fn await_renewal(&self) {
        let renewed = [("cert", "m5.test"), ("kind", "renew"), ("result", "ok")];
        self.home.wait_metrics("the renewal is counted", A_RENEWAL, |metrics| {
            (metrics.sum("portvakt_acme_attempts_total", &renewed) == 1.0).then_some(())
        });
    }
}

const A_RENEWAL: Duration = Duration::from_secs(60);
