//! `kill -9` at any step of an order costs neither a second account nor, where the CA has answered, a second order.

use std::thread;
use std::time::Duration;

use crate::support::clock::PATIENCE;
use crate::support::gate::Door;
use crate::support::pebble::Settings;
use crate::support::{Curl, Echo, Gate, Home, Pebble, eventually, raw};

const AN_ORDER: Duration = Duration::from_secs(90);

#[test]
fn given_a_kill_while_the_ca_validates_when_started_again_then_the_same_order_is_finished() {
    let scene = Scene::new();
    let mut portvakt = scene.home.start();
    let target = scene.gate.first_target();

    portvakt.child.kill();
    let _portvakt = scene.home.start();
    eventually("the challenge is answered again", PATIENCE, || {
        (raw::get(scene.home.http, "m5.test", &target).status == 200).then_some(())
    });
    scene.gate.set(Door::Open);

    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
    scene.assert_served();
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders(), scene.pebble.issued()), (1, 1, 1));
}

#[test]
#[ignore = "long: one order for every step"]
fn given_a_kill_at_every_step_when_started_again_then_issued_with_one_account() {
    let steps = [
        "There are now 1 accounts in memory",
        "There are now 1 orders in the db",
        "Pulled a task from the Tasks queue",
        "set VALID by completed challenge",
        "is fully authorized. Processing finalization",
        "Issued certificate serial",
    ];
    for step in steps {
        let scene = Scene::new();
        scene.gate.set(Door::Open);
        let mut portvakt = scene.home.start();
        scene.pebble.wait_line(step);
        portvakt.child.kill();
        let _portvakt = scene.home.start();

        scene.home.wait_certificate("m5.test", "issued", AN_ORDER * 2);

        scene.assert_served();
        assert_eq!(scene.pebble.accounts(), 1, "{step}");
        assert!(scene.pebble.orders() <= 2, "{step}: {} orders", scene.pebble.orders());
    }
}

#[test]
#[ignore = "long: two dozen deaths, and the backoff after them"]
fn given_kills_at_any_moment_when_started_again_then_issued_by_one_account_without_needless_orders() {
    let rounds: Vec<_> = (0..12).map(|_| thread::spawn(die_twice_and_finish)).collect();

    for round in rounds {
        round.join().expect("the round ends well");
    }
}

/// Kills portvakt twice, each time when the CA has said a random number of lines or an attempt is over.
///
/// Another order is placed only where the CA alone knows of the last one, since its answer was lost, and where the CA
/// has called it invalid, since nobody answered when it came to look.
fn die_twice_and_finish() {
    let scene = Scene::new();
    scene.gate.set(Door::Open);
    let mut lost = 0;
    for _ in 0..2 {
        let enough = scene.pebble.lines().len() + rand::random_range(1..LINES_OF_AN_ORDER);
        let mut portvakt = scene.home.start();
        eventually("the moment to die", PATIENCE, || {
            let rests = || portvakt.child.lines().iter().any(|line| line.contains("next attempt planned"));
            (scene.pebble.lines().len() >= enough || rests()).then_some(())
        });
        portvakt.child.kill();
        let is_kept = ["order-", "current"].iter().any(|file| scene.has_kept(file));
        lost += usize::from(scene.pebble.orders() > lost && !is_kept);
    }
    let _portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", AN_ORDER * 2);
    scene.assert_served();
    let invalid = scene.pebble.lines().iter().filter(|line| line.contains("set INVALID by invalid authz")).count();
    let (accounts, orders) = (scene.pebble.accounts(), scene.pebble.orders());
    assert_eq!((accounts, scene.pebble.issued()), (1, 1));
    assert!(orders <= 1 + lost + invalid, "{orders} orders, {lost} lost, {invalid} invalid");
}

/// What pebble logs from the first request to the certificate, roughly.
const LINES_OF_AN_ORDER: usize = 50;

#[test]
fn given_an_issued_certificate_when_killed_and_started_with_the_ca_down_then_it_serves() {
    let mut scene = Scene::new();
    scene.gate.set(Door::Open);
    let mut portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
    let root = scene.pebble.issued_root();

    portvakt.child.kill();
    scene.pebble.stop();
    let _portvakt = scene.home.start();

    let url = format!("https://m5.test:{}/", scene.home.https);
    let answer = Curl::new().resolve("m5.test", scene.home.https).cacert(&root).get(&url);
    assert_eq!(answer.status, 200);
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    assert_eq!(scene.home.admin("/readyz?cert=strict").status, 200);
}

struct Scene {
    home: Home,
    pebble: Pebble,
    gate: Gate,
    _echo: Echo,
}

impl Scene {
    /// A CA whose http-01 validations are held at a gate, and portvakt configured for it.
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let gate = Gate::before(home.http, Door::Held);
        let pebble = Pebble::start(Settings::on(gate.port(), home.https));
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}challenges = [\"http-01\"]\n{site}", pebble.acme_section()));
        Self { home, pebble, gate, _echo: echo }
    }

    /// Whether a file is kept of the certificate whose name begins so.
    fn has_kept(&self, prefix: &str) -> bool {
        let files = std::fs::read_dir(self.home.state().join("certs/m5.test")).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with(prefix))
    }

    fn assert_served(&self) {
        let url = format!("https://m5.test:{}/", self.home.https);
        let curl = Curl::new().resolve("m5.test", self.home.https).cacert(&self.pebble.issued_root());
        assert_eq!(curl.get(&url).status, 200);
    }
}
