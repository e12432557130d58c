//! When the first CA is in trouble of its own and time grows short, the next one gives the certificate, and it is told which
//! has; a CA for tries never takes the place of a real one.

use std::fs;

use serde_json::Value;

use crate::support::clock::PATIENCE;
use crate::support::home::{Portvakt, run};
use crate::support::pebble::Settings;
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Echo, Home, Pebble, Witness, eventually};

#[test]
fn given_no_certificate_when_the_first_ca_fails_thrice_then_the_second_is_asked_and_it_is_told_which_has_issued() {
    let scene = Scene::new();
    scene.first.rule(Rule::always(Fault::answer(503, &[], "<html>busy</html>")));
    for hours in [0, 6] {
        scene.fail_at(hours * HOUR);
        assert_eq!(scene.second.requests().len(), 0, "{hours} h later");
    }

    let portvakt = scene.home.start_at(24 * HOUR);
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);

    assert_eq!((scene.first.count(Operation::NewOrder), scene.second.count(Operation::NewOrder)), (0, 1));
    scene.assert_issued_by(&scene.second);
    // What a CA refuses about the names it would have refused at the first one, too: each has its own account.
    assert_eq!(scene.pebbles.each_ref().map(Pebble::accounts), [0, 1]);
    drop(portvakt);
}

#[test]
fn given_a_certificate_when_the_first_ca_fails_at_its_renewal_then_the_second_is_asked_in_the_last_third_alone() {
    let scene = Scene::new();
    let portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    scene.assert_issued_by(&scene.first);
    assert_eq!(scene.profile(), "default");
    eventually("the CA is asked", PATIENCE, || (scene.first.count(Operation::RenewalInfo) > 0).then_some(()));
    portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
    drop(portvakt);
    scene.first.rule(Rule::always(Fault::answer(503, &[], "<html>busy</html>")));

    // Two thirds of ninety days are over.
    for days in [62, 64, 67, 70] {
        scene.fail_at(days * DAY);
        assert_eq!(scene.second.requests().len(), 0, "{days} days later");
    }
    let _portvakt = scene.home.start_at(80 * DAY);
    scene.home.wait_metrics("the second CA has renewed it", PATIENCE, |metrics| {
        let renewed = [("kind", "renew"), ("result", "ok"), ("ca", &*scene.host(&scene.second))];
        (metrics.sum("portvakt_acme_attempts_total", &renewed) == 1.0).then_some(())
    });

    scene.assert_issued_by(&scene.second);
    assert_eq!(scene.profile(), "", "that is set for the first CA alone");
    let requests = scene.second.requests();
    let ordered = requests.iter().find(|request| request.asked.operation == Operation::NewOrder).expect("an order");
    assert_eq!(ordered.payload["replaces"], Value::Null, "the other CA knows nothing of it");
}

#[test]
fn given_an_order_in_flight_at_the_first_ca_when_the_second_has_been_asked_then_it_is_gone_on_with() {
    let scene = Scene::new();
    // It takes the order, and nothing more.
    scene.first.rule(Rule::on(Operation::Authorization, Fault::answer(503, &[], "<html>busy</html>")));
    scene.second.rule(Rule::on(Operation::NewOrder, Fault::answer(503, &[], "<html>busy, too</html>")));
    for hours in [0, 6] {
        scene.fail_at(hours * HOUR);
    }
    let portvakt = scene.home.start_at(24 * HOUR);
    eventually("the second is asked", PATIENCE, || (scene.second.count(Operation::NewOrder) > 0).then_some(()));
    portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
    drop(portvakt);
    scene.first.heal();

    let _portvakt = scene.home.start_at(48 * HOUR);
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);

    scene.assert_issued_by(&scene.first);
    assert_eq!((scene.first.count(Operation::NewOrder), scene.pebbles[0].orders()), (1, 1));
}

#[test]
fn given_a_good_certificate_of_lets_encrypt_when_a_ca_for_tries_is_set_then_nothing_is_asked_and_it_serves_on() {
    let scene = Scene::new();
    let portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
    drop(portvakt);
    let meta = scene.home.state().join("certs/m5.test/1/meta.json");
    let kept: Value = serde_json::from_slice(&fs::read(&meta).unwrap()).unwrap();
    for directory in [Value::from(LETS_ENCRYPT), Value::Null] {
        // As this version keeps it, and as one of before did.
        let mut kept = kept.clone();
        kept["source"] = format!("acme {LETS_ENCRYPT}").into();
        kept["directory"] = directory;
        fs::write(&meta, kept.to_string()).unwrap();
        let _ = fs::remove_file(scene.home.state().join("certs/m5.test/lifecycle.json"));
        let proxy = scene.first.proxy();
        scene.configure(&format!(
            "[acme]\ndirectory = \"letsencrypt-staging\"\nproxy = \"{proxy}\"\nagree_tos = true\n"
        ));
        let sent = scene.first.requests().len();

        let _portvakt = scene.home.start();
        scene.ask_for_another();

        let error = eventually("the refusal", PATIENCE, || Some(scene.status()["last_error"].as_str()?.to_owned()));
        assert!(error.contains("is for tries") && error.contains(LETS_ENCRYPT), "{error}");
        assert_eq!((scene.status()["state"].as_str(), scene.first.requests().len()), (Some("issued"), sent));
    }
}

struct Scene {
    home: Home,
    pebbles: [Pebble; 2],
    first: Witness,
    second: Witness,
    echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let pebble = || Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
        let pebbles = [pebble(), pebble()];
        let [first, second] = pebbles.each_ref().map(Witness::before);
        let scene = Self { home: Home::new(), pebbles, first, second, echo: Echo::start() };
        let next = scene.second.acme_section().replace("[acme]", "[[acme.next]]");
        scene.configure(&format!("{}profile = \"default\"\n{next}", scene.first.acme_section()));
        scene
    }

    fn configure(&self, acme: &str) {
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", self.echo.url());
        self.home.configure("", &format!("{acme}{site}"));
    }

    /// A process that tries once, so many seconds later, and ends.
    fn fail_at(&self, seconds: i64) {
        let portvakt: Portvakt = self.home.start_at(seconds);
        portvakt.child.wait_line("the failure", |line| line.contains("no certificate") && line.contains("503"));
        portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
    }

    fn ask_for_another(&self) {
        let file = self.home.file();
        run(self.home.path(), &["cert", "renew", "m5.test", "--config", file.to_str().unwrap()]);
    }

    fn status(&self) -> Value {
        let status: Value = serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON");
        status["certificates"][0].clone()
    }

    /// Of the certificate in use, as the metrics name it.
    fn profile(&self) -> String {
        let (metrics, labels) = (self.home.metrics(), [("cert", "m5.test")]);
        metrics.series("portvakt_certificate_info", &labels)[0].labels["profile"].clone()
    }

    /// As the label `ca` names it.
    fn host(&self, witness: &Witness) -> String {
        witness.directory().trim_start_matches("https://").trim_end_matches("/dir").to_owned()
    }

    fn assert_issued_by(&self, witness: &Witness) {
        let (host, file) = (self.host(witness), self.home.file());
        self.home.wait_metrics("the CA is counted", PATIENCE, |metrics| {
            let issued = [("result", "ok"), ("ca", &*host)];
            (metrics.sum("portvakt_acme_attempts_total", &issued) == 1.0).then_some(())
        });
        let shown = run(self.home.path(), &["cert", "show", "m5.test", "--config", file.to_str().unwrap()]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let issued_by = shown.lines().find(|line| line.contains("issued by")).unwrap_or_default();
        assert!(issued_by.contains(&format!("acme: {host}")), "{shown}");
        let generation = shown.lines().find(|line| line.contains("(in service)")).unwrap_or_default();
        assert!(generation.contains(&format!("from acme {}", witness.directory())), "{shown}");
    }
}

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Seconds.
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
