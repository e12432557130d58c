//! Success means seen: a new certificate that clients do not get makes way for the one before, and nothing else does.

use std::fs;
use std::process::Output;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::stage::Stage;
use crate::support::ca::{Leaf, replace};
use crate::support::clock::PATIENCE;
use crate::support::holder::shared;
use crate::support::home::{Home, Portvakt, run};
use crate::support::metrics::Metrics;
use crate::support::pebble::Settings;
use crate::support::tls::served;
use crate::support::{Echo, Holder, Inbox, Nginx, Pebble, eventually};

#[test]
fn given_files_with_a_key_that_browsers_refuse_when_changed_then_the_one_before_is_served_on() {
    let (stage, portvakt) = Stage::running();
    seen(&stage.home, "m5.test");

    stage.ca.issue_ed25519(&["m5.test"]).write(stage.home.path(), "m5");

    let line = portvakt.child.wait_line("refused", |line| line.contains("reason=\"not_served\""));
    assert!(line.contains("clients do not get the certificate in the files"), "{line}");
    assert_eq!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
    assert_eq!(stage.get("/").status, 200);
    let next = stage.ca.issue(&["m5.test"]);
    next.write(stage.home.path(), "m5");
    eventually("the next one is taken", PATIENCE, || {
        (served(stage.home.https, "m5.test").ok()? == next.der).then_some(())
    });
}

/// Somebody has forgotten an nginx with the old certificate on the more specific address of the port.
#[test]
fn given_a_server_that_shows_the_old_one_when_renewed_then_rolled_back_and_when_it_is_gone_then_renewed() {
    let scene = Scene::issued_by_pebble();
    let nginx = Nginx::start_tls_on(scene.port, &scene.generation(1));
    let success = last_success(&scene.home.metrics());

    let told = scene.renew();

    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.code() == Some(1) && text.contains("handshakes do not get the new certificate"), "{text}");
    assert!(text.contains("another certificate is shown"), "{text}");
    scene.portvakt.child.wait_line("loud", |line| line.contains("NEW CERTIFICATE ROLLED BACK"));
    assert_eq!(scene.current(), "1");
    assert!(scene.home.state().join("certs/m5.test/2/chain.pem").exists(), "it is kept");
    let metrics = scene.home.metrics();
    let failures = [("cert", "m5.test"), ("reason", "not_served")];
    assert_eq!(metrics.sum("portvakt_acme_failures_total", &failures), 1.0);
    assert_eq!(metrics.sum("portvakt_acme_attempts_total", &[("kind", "renew"), ("result", "ok")]), 0.0);
    assert_eq!(last_success(&metrics), success);
    let next = metrics.one("portvakt_next_action_timestamp_seconds", &[("cert", "m5.test")]);
    assert!(
        next > metrics.one("portvakt_acme_last_attempt_timestamp_seconds", &[]),
        "the CA is not asked again at once"
    );
    assert_eq!(scene.orders(), 2);

    drop(nginx);
    let told = scene.renew();

    let text = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && text.contains("clients get it"), "{text}");
    assert_eq!(scene.current(), "3");
    assert_eq!(served(scene.port, "m5.test").unwrap(), scene.generation(3).der);
    let metrics = scene.home.metrics();
    assert_eq!(metrics.sum("portvakt_acme_attempts_total", &[("kind", "renew"), ("result", "ok")]), 1.0);
}

#[test]
fn given_somebody_to_tell_when_rolled_back_then_told_which_and_why() {
    let inbox = Inbox::webhook();
    let scene = Scene::begin(None, |_| None, &inbox.hook(None, ""));
    let nginx = Nginx::start_tls_on(scene.port, &scene.generation(1));

    assert_eq!(scene.renew().status.code(), Some(1));

    let told = inbox.wait_event("rolled_back");
    assert_eq!((&told["subject"], &told["severity"]), (&"m5.test".into(), &"warning".into()), "{told}");
    assert!(told["detail"].as_str().unwrap().contains("another certificate is shown"), "{told}");
    assert!(told["title"].as_str().unwrap().contains("m5.test"), "{told}");
    drop(nginx);
}

#[test]
fn given_a_listener_that_answers_nobody_when_renewed_then_the_new_one_stays_and_success_waits_until_it_is_seen() {
    let scene = Scene::internal();
    let silent = shared(([127, 0, 0, 1], scene.port).into());
    let success = last_success(&scene.home.metrics());

    let told = scene.renew();

    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success() && text.contains("nobody has seen it in a handshake yet"), "{text}");
    assert_eq!(scene.current(), "2");
    assert_eq!(last_success(&scene.home.metrics()), success, "not told before it is seen");

    drop(silent);
    scene.portvakt.child.wait_line("told", |line| line.contains("certificate issued") && line.contains("renew"));
    scene.home.wait_metrics("the success counts", PATIENCE, |metrics| (last_success(metrics) > success).then_some(()));
    assert_eq!(served(scene.port, "m5.test").unwrap(), scene.generation(2).der);
}

/// The first look tells nothing, and only a later one that clients get the old one: perhaps of another process.
#[test]
fn given_a_certificate_that_only_a_later_look_shows_wrong_when_found_then_rolled_back_over_a_restart_too() {
    for dies in [false, true] {
        let mut scene = Scene::internal();
        let silent = shared(([127, 0, 0, 1], scene.port).into());
        let told = scene.renew();
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.status.success() && text.contains("nobody has seen it in a handshake yet"), "{text}");
        assert_eq!(scene.current(), "2");

        if dies {
            scene.portvakt.child.kill();
        }
        // Both answer for a moment, so that nobody sees the new one between them.
        let nginx = Nginx::start_tls_on(scene.port, &scene.generation(1));
        drop(silent);
        if dies {
            scene.start();
        }

        let line = eventually("rolled back", AN_ORDER, || {
            scene.portvakt.child.lines().into_iter().find(|line| line.contains("NEW CERTIFICATE ROLLED BACK"))
        });
        assert!(line.contains("handshakes do not get the new certificate") && line.contains("m5.test"), "{line}");
        eventually("the pointer is moved back", PATIENCE, || (scene.current() == "1").then_some(()));
        assert!(scene.home.state().join("certs/m5.test/2/chain.pem").exists(), "it is kept");
        drop(nginx);
        eventually("the one before is served", PATIENCE, || {
            (served(scene.port, "m5.test").ok()? == scene.generation(1).der).then_some(())
        });
    }
}

#[test]
fn given_an_operator_who_goes_back_when_running_then_served_at_once_and_nothing_newer_is_taken_up() {
    let mut scene = Scene::internal();
    assert!(scene.renew().status.success());
    assert_eq!(served(scene.port, "m5.test").unwrap(), scene.generation(2).der);

    let told = scene.cert(&["rollback", "m5.test"]);

    let text = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && text.contains("generation 1 is in service again"), "{text}");
    assert!(text.contains("clients get it"), "{text}");
    assert_eq!((scene.current().as_str(), served(scene.port, "m5.test").unwrap()), ("1", scene.generation(1).der));
    let shown = String::from_utf8_lossy(&scene.cert(&["show", "m5.test"]).stdout).into_owned();
    assert!(shown.contains("generation 1 (in service)") && shown.contains("generation 2: got"), "{shown}");

    // A restart keeps it, and so does going back to where it was while nothing runs.
    assert!(scene.portvakt.terminate().success());
    scene.start();
    assert_eq!(served(scene.port, "m5.test").unwrap(), scene.generation(1).der);
    assert!(scene.portvakt.terminate().success());
    let told = scene.cert(&["rollback", "m5.test", "--to", "2"]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && text.contains("from the next start on"), "{text}");
    scene.start();
    assert_eq!(served(scene.port, "m5.test").unwrap(), scene.generation(2).der);
    assert!(!scene.home.state().join("certs/m5.test/3").exists(), "nothing was ordered");

    let told = scene.cert(&["rollback", "m5.test", "--to", "7"]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.code() == Some(1) && text.contains("known are 2, 1"), "{text}");
}

/// portvakt for `m5.test` on a port that others may listen on too.
struct Scene {
    home: Home,
    portvakt: Portvakt,
    port: u16,
    holder: Holder,
    pebble: Option<Pebble>,
    _echo: Echo,
}

impl Scene {
    fn internal() -> Self {
        Self::begin(None, |_| None, "")
    }

    fn issued_by_pebble() -> Self {
        let scene = Self::begin(Some(()), |home| Some(Pebble::start(Settings::on(home.http, home.https))), "");
        assert_eq!(scene.orders(), 1);
        scene
    }

    fn begin(acme: Option<()>, pebble: impl Fn(&Home) -> Option<Pebble>, tables: &str) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let (pebble, port) = (pebble(&home), home.https);
        let section = pebble.as_ref().map(|pebble| format!("{}challenges = [\"http-01\"]\n", pebble.acme_section()));
        let certificate = if acme.is_none() { "certificate = \"internal\"\n" } else { "" };
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n{certificate}", echo.url());
        home.configure("", &format!("{}{site}{tables}", section.unwrap_or_default()));
        let text = fs::read_to_string(home.file()).unwrap();
        replace(&home.file(), &text.replace(&format!("127.0.0.1:{port}"), &format!("0.0.0.0:{port}")));
        let holder = Holder::share(port);
        let portvakt = home.launch_as(&mut holder.hand_to(&home.command()));
        let mut scene = Self { home, portvakt, port, holder, pebble, _echo: echo };
        scene.portvakt.wait_ready(&scene.home);
        scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
        scene.home.wait_metrics("the success is told", AN_ORDER, |metrics| {
            metrics.series("portvakt_acme_last_success_timestamp_seconds", &[]).first().map(|_| ())
        });
        seen(&scene.home, "m5.test");
        scene
    }

    fn start(&mut self) {
        self.portvakt = self.home.launch_as(&mut self.holder.hand_to(&self.home.command()));
        self.portvakt.wait_ready(&self.home);
    }

    fn cert(&self, arguments: &[&str]) -> Output {
        run(self.home.path(), &[&["cert"], arguments].concat())
    }

    fn renew(&self) -> Output {
        self.cert(&["renew", "m5.test"])
    }

    fn orders(&self) -> usize {
        self.pebble.as_ref().map_or(0, Pebble::orders)
    }

    /// What the store's pointer says.
    fn current(&self) -> String {
        fs::read_to_string(self.home.state().join("certs/m5.test/current")).unwrap().trim().to_owned()
    }

    fn generation(&self, number: u64) -> Leaf {
        let folder = self.home.state().join(format!("certs/m5.test/{number}"));
        let [chain, key] = ["chain.pem", "key.pem"].map(|file| fs::read_to_string(folder.join(file)).unwrap());
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        Leaf { chain, key, der }
    }
}

fn seen(home: &Home, domain: &str) {
    home.wait_metrics(&format!("{domain} is seen"), PATIENCE, |metrics| {
        let series = metrics.series("portvakt_served_certificate_matches", &[("sni", domain)]);
        (series.first()?.value == 1.0).then_some(())
    });
}

fn last_success(metrics: &Metrics) -> f64 {
    metrics.sum("portvakt_acme_last_success_timestamp_seconds", &[("cert", "m5.test")])
}

const AN_ORDER: Duration = Duration::from_secs(90);
