//! `cert renew` orders at once, or says at once why not and when it will work: a time that the CA has named, its limits, another
//! process. What somebody has wished for who waits no more is not done.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::support::clock::PATIENCE;
use crate::support::home::{Home, command, run};
use crate::support::pebble::Settings;
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Echo, Pebble, Witness};

#[test]
fn given_a_time_that_the_ca_has_named_when_asked_then_only_by_force_before_it() {
    let scene = Scene::new();
    let wait = Fault::problem(429, "rateLimited", &[("retry-after", "7200")]);
    scene.witness.rule(Rule::on(Operation::NewOrder, wait));
    let portvakt = scene.home.start();
    portvakt.child.wait_line("planned", |line| line.contains("next attempt planned"));
    assert_eq!(scene.reason(), "retry_after");
    let asked = scene.witness.count(Operation::NewOrder);
    scene.witness.heal();

    let told = error_of(&scene.renew(&[]));
    assert!(
        told.contains("no new certificate was ordered") && told.contains("the CA asks to wait (until 20"),
        "{told}"
    );
    assert!(told.contains("it is ordered by itself then; `--force`"), "{told}");
    assert_eq!(scene.witness.count(Operation::NewOrder), asked, "nothing is sent");

    let told = scene.renew(&["--force"]);
    assert!(told.status.success(), "{}", error_of(&told));
    assert_eq!(scene.witness.count(Operation::NewOrder), asked + 1);
}

#[test]
fn given_another_process_that_orders_when_asked_then_told_at_once_who_it_is() {
    let scene = Scene::new();
    fs::create_dir_all(scene.home.state().join("locks")).unwrap();
    let path = scene.home.state().join("locks/m5.example.se.lock");
    let mut lock = File::create(path).unwrap();
    lock.lock().unwrap();
    writeln!(lock, "process 77 on another").unwrap();
    let portvakt = scene.home.start();
    let line = portvakt.child.wait_line("it waits", |line| line.contains("another process orders it"));
    assert!(line.contains("process 77 on another"), "{line}");

    let told = error_of(&scene.renew(&[]));

    assert!(
        told.contains("another process that shares the state directory is ordering (process 77 on another)"),
        "{told}"
    );
    assert_eq!(scene.witness.count(Operation::NewOrder), 0);
    drop(lock);
    scene.home.wait_certificate(NAME, "issued", PATIENCE);
}

#[test]
fn given_a_wish_whose_asker_has_gone_when_it_could_be_granted_then_nothing_is_ordered() {
    let scene = Scene::new();
    scene.witness.rule(Rule::on(Operation::NewOrder, Fault::HoldBefore));
    let portvakt = scene.home.start();
    scene.witness.await_held();
    let mut asker = scene.command(&["renew", NAME]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let line = portvakt.child.wait_line("it is asked", |line| line.contains("an operator asks on the control socket"));
    assert!(line.contains("Renew"), "{line}");

    asker.kill().unwrap();
    asker.wait().unwrap();
    portvakt.child.wait_line("he has gone", |line| line.contains("who asked on the control socket has gone"));
    scene.witness.let_go();
    portvakt.child.wait_line("planned", |line| line.contains("next attempt planned"));
    let asked = scene.witness.count(Operation::NewOrder);

    let told = scene.renew(&[]);
    assert!(told.status.success(), "{}", error_of(&told));
    assert_eq!(scene.witness.count(Operation::NewOrder), asked + 1, "one for who waits, none for who has gone");
}

/// A container that keeps its account and loses its certificates at each deployment.
#[test]
fn given_limits_that_are_used_up_when_asked_then_when_it_works_and_nothing_overrides_that() {
    let scene = Scene::in_the_name_of_lets_encrypt();
    for number in 1..=5 {
        let mut portvakt = scene.home.start();
        scene.home.wait_certificate(NAME, "issued", PATIENCE);
        assert_eq!(scene.left(), f64::from(5 - number));
        portvakt.child.kill();
        fs::remove_dir_all(scene.home.state().join("certs")).unwrap();
    }

    let portvakt = scene.home.start();
    portvakt
        .child
        .wait_line("planned", |line| line.contains("next attempt planned") && line.contains("reason=\"budget\""));

    let metrics = scene.home.metrics();
    assert_eq!(metrics.one("portvakt_next_action_reason", &[("cert", NAME), ("reason", "budget")]), 1.0);
    assert_eq!((scene.left(), scene.reason().as_str()), (0.0, "budget"));
    let told = error_of(&scene.renew(&[]));
    assert!(told.contains("by its limits the CA would refuse an order now (until 20"), "{told}");
    assert!(told.contains("`portvakt acme budget` shows what is left"), "{told}");
    let told = error_of(&scene.renew(&["--force"]));
    assert!(
        told.contains("5 certificates for exactly `m5.example.se`") && told.contains("one more is possible at"),
        "{told}"
    );
    assert_eq!(scene.witness.count(Operation::NewOrder), 5, "the sixth was not sent");
}

/// Only a renewal within the CA's window counts against no limit; that of ninety days opens in two months.
#[test]
fn given_renewals_before_the_cas_window_when_asked_for_then_they_are_counted_and_the_sixth_is_not_sent() {
    let scene = Scene::in_the_name_of_lets_encrypt();
    let _portvakt = scene.home.start();
    scene.home.wait_certificate(NAME, "issued", PATIENCE);
    for number in 2..=5 {
        let renewed = scene.renew(&[]);
        assert!(renewed.status.success(), "{number}: {}", error_of(&renewed));
        assert_eq!(scene.left(), f64::from(5 - number));
    }

    let told = error_of(&scene.renew(&[]));

    assert!(told.contains("5 certificates for exactly `m5.example.se`"), "{told}");
    assert_eq!(scene.witness.count(Operation::NewOrder), 5, "the sixth was not sent");
}

struct Scene {
    home: Home,
    witness: Witness,
    _pebble: Pebble,
    _echo: Echo,
}

impl Scene {
    fn new() -> Self {
        Self::before(Witness::before, |_| String::new())
    }

    fn in_the_name_of_lets_encrypt() -> Self {
        let witness = |pebble: &Pebble| Witness::in_the_name_of("acme-v02.api.letsencrypt.org", pebble);
        Self::before(witness, |witness| format!("proxy = \"{}\"\n", witness.proxy()))
    }

    fn before(witness: impl Fn(&Pebble) -> Witness, more: impl Fn(&Witness) -> String) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
        let witness = witness(&pebble);
        let site = format!("[[site]]\ndomain = \"{NAME}\"\nupstream = \"{}\"\n", echo.url());
        let log = "[log]\nlevel = \"debug\"\n";
        home.configure("", &format!("{}{}{log}{site}", witness.acme_section(), more(&witness)));
        Self { home, witness, _pebble: pebble, _echo: echo }
    }

    fn renew(&self, more: &[&str]) -> Output {
        run(self.home.path(), &[&["cert", "renew", NAME], more].concat())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.home.path());
        command.arg("cert").args(arguments);
        command
    }

    fn left(&self) -> f64 {
        self.home.metrics().one("portvakt_acme_budget_remaining", &[("cert", NAME), ("limit", "duplicate_set")])
    }

    /// What decides over the next action.
    fn reason(&self) -> String {
        let status: serde_json::Value = serde_json::from_slice(&self.home.admin("/status.json").body).unwrap();
        status["certificates"][0]["next"]["reason"].as_str().unwrap().to_owned()
    }
}

fn error_of(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const NAME: &str = "m5.example.se";
