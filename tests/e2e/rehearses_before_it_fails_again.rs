//! After two failures in a row that only the operator can mend, the whole way is tried once at the CA's twin, where it costs
//! nothing: the log and the status say what came of it. After three the doctor is asked.

use std::fs;

use serde_json::Value;

use crate::support::clock::PATIENCE;
use crate::support::home::{Portvakt, run};
use crate::support::pebble::Settings;
use crate::support::{Echo, Home, Pebble, eventually};

#[test]
fn given_two_failures_when_the_twin_reaches_us_then_told_that_it_works_now_and_the_ca_is_not_asked_for_it() {
    let scene = Scene::new(|home| Settings::on(home.http, home.https));
    let portvakt = scene.start_and_fail_twice();

    let line = portvakt.child.wait_line("that it works now", |line| line.contains("the rehearsal works now"));

    assert!(line.contains(&scene.twin.directory()) && line.contains("next="), "{line}");
    let told = scene.rehearsal();
    assert!(told.starts_with("works now") && told.contains(&scene.twin.directory()), "{told}");
    assert_eq!((scene.twin.accounts(), scene.twin.orders(), scene.twin.issued()), (1, 1, 1));
    assert_eq!((scene.pebble.accounts(), scene.pebble.issued()), (1, 0));
    let orders = scene.pebble.orders();
    assert!(orders <= 2, "{orders} orders of two tries");
    assert!(!scene.home.state().join("certs/m5.test/current").exists(), "nothing of it is kept");

    // Once for a row of failures, over a restart too.
    scene.renew();
    drop(portvakt);
    let portvakt = scene.home.start();
    scene.renew();
    let _ = portvakt;
    assert_eq!(scene.twin.orders(), 1);
}

#[test]
fn given_two_failures_when_the_twin_does_not_reach_us_either_then_told_why_and_how_to_mend_it() {
    let scene = Scene::new(|_| Settings::on(1, 1));
    let portvakt = scene.start_and_fail_twice();

    let line = portvakt.child.wait_line("that it fails too", |line| line.contains("the rehearsal fails too"));

    assert!(line.contains("challenge: ") && line.contains("port"), "{line}");
    let told = scene.rehearsal();
    assert!(told.starts_with("fails too") && told.contains("challenge: "), "{told}");
    let shown = run(scene.home.path(), &["status", "--config", "portvakt.toml"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("  rehearsal    fails too"), "{shown:?}");
    let shown = run(scene.home.path(), &["cert", "show", "m5.test", "--config", "portvakt.toml"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("  rehearsal    fails too"), "{shown:?}");
}

#[test]
fn given_three_failures_when_only_the_operator_can_mend_them_then_the_doctor_is_asked_once_and_its_findings_are_told() {
    let scene = Scene::new(|_| Settings::on(1, 1));
    let portvakt = scene.start_and_fail_twice();
    assert!(scene.certificate()["diagnosis"].is_null(), "two may have been bad luck");
    scene.renew();

    let line = portvakt.child.wait_line("the doctor's finding", |line| line.contains("the doctor has looked"));

    // No name server knows it.
    assert!(line.contains("m5.test") && line.contains("code=\"PV064") && line.contains("fix="), "{line}");
    let diagnosis = eventually("the status tells it", PATIENCE, || {
        let diagnosis = scene.certificate()["diagnosis"].take();
        diagnosis.is_object().then_some(diagnosis)
    });
    let first = &diagnosis["findings"][0];
    assert!(first["what"].as_str().is_some_and(|what| what.contains("m5.test")), "{diagnosis}");
    let code = first["code"].as_str().expect("a code");
    let shown = run(scene.home.path(), &["status", "--config", "portvakt.toml"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("  doctor       looked ") && shown.contains(&format!("    {code}     ")), "{shown}");
    let page = String::from_utf8(scene.home.admin("/?lang=sv").body).expect("UTF-8");
    assert!(page.contains("Vad doktorn hittar") && page.contains(&format!("portvakt help {code}")), "{page}");

    // Once for a row of failures.
    scene.renew();
    assert_eq!(scene.certificate()["diagnosis"]["at"], diagnosis["at"]);
}

/// A CA that cannot come to us, and its twin.
struct Scene {
    home: Home,
    pebble: Pebble,
    twin: Pebble,
    _echo: Echo,
}

impl Scene {
    fn new(twin: fn(&Home) -> Settings) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let (pebble, twin) = (Pebble::start(Settings::on(1, 1)), Pebble::start(twin(&home)));
        let roots = [&pebble, &twin].map(|ca| fs::read_to_string(ca.trust_anchors()).expect("a root"));
        fs::write(home.path().join("roots.pem"), roots.concat()).expect("the roots are written");
        let tables = format!(
            "[acme]\ndirectory = \"{}\"\nstaging = \"{}\"\ntrust_anchors = \"roots.pem\"\nagree_tos = true\n\
             [[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n",
            pebble.directory(),
            twin.directory(),
            echo.url()
        );
        home.configure("", &tables);
        Self { home, pebble, twin, _echo: echo }
    }

    fn start_and_fail_twice(&self) -> Portvakt {
        let portvakt = self.home.start();
        portvakt.child.wait_line("a failure", |line| line.contains("no certificate"));
        assert_eq!(self.twin.accounts(), 0, "one failure may be bad luck");
        self.renew();
        portvakt
    }

    /// It fails, and says so.
    fn renew(&self) {
        let output = run(self.home.path(), &["cert", "renew", "m5.test", "--config", "portvakt.toml"]);
        assert!(!output.status.success(), "{output:?}");
    }

    /// As the status tells it.
    fn rehearsal(&self) -> String {
        eventually("the status tells it", PATIENCE, || {
            let told = self.certificate()["rehearsal"].as_str()?.to_owned();
            (!told.starts_with("begun")).then_some(told)
        })
    }

    fn certificate(&self) -> Value {
        let mut status: Value = serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON");
        status["certificates"][0].take()
    }
}
