//! Two processes on one state directory place one order, and both serve its certificate; the metrics tell who is at it.

use std::fs::{self, File};

use crate::support::clock::PATIENCE;
use crate::support::gate::Door;
use crate::support::pebble::Settings;
use crate::support::tls::served;
use crate::support::{Echo, Gate, Home, Pebble, eventually};

#[test]
fn given_an_order_whose_process_is_stopped_when_another_starts_then_it_waits_and_both_serve_the_one_certificate() {
    let Pair { first, second, gate, pebble, .. } = &Pair::new();
    let holder = first.start();
    gate.first_target();
    holder.signal("STOP");
    let waiter = second.start();
    waiter.child.wait_line("that it waits", |line| line.contains("another process orders it"));
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    holder.signal("CONT");
    gate.set(Door::Open);

    for home in [first, second] {
        home.wait_certificate("m5.test", "issued", PATIENCE * 3);
    }
    eventually("both serve the same", PATIENCE, || {
        let [one, other] = [first, second].map(|home| served(home.https, "m5.test").ok());
        (one.is_some() && one == other).then_some(())
    });
    assert_eq!((pebble.accounts(), pebble.orders(), pebble.issued()), (1, 1, 1));
}

#[test]
fn given_an_order_that_takes_its_time_when_both_are_asked_then_the_metrics_tell_who_holds_the_lock() {
    let Pair { first, second, gate, .. } = &Pair::new();
    let held = |home: &Home| home.metrics().one("portvakt_storage_lock_held", &[("name", "m5.test")]);
    let _holder = first.start();
    gate.first_target();
    let waiter = second.start();
    waiter.child.wait_line("that it waits", |line| line.contains("another process orders it"));

    assert_eq!((held(first), held(second)), (1.0, 0.0));
    gate.set(Door::Open);

    for home in [first, second] {
        home.wait_certificate("m5.test", "issued", PATIENCE * 3);
        home.wait_metrics("the lock is free", PATIENCE, |_| (held(home) == 0.0).then_some(()));
    }
}

#[test]
fn given_a_lock_that_another_process_holds_when_it_lets_go_then_the_wait_is_measured() {
    let (home, echo) = (Home::new(), Echo::start());
    let site = format!("domain = \"m5.test\"\nupstream = \"{}\"\ncertificate = \"internal\"\n", echo.url());
    home.configure("", &format!("[[site]]\n{site}"));
    fs::create_dir_all(home.state().join("locks")).unwrap();
    let lock = File::create(home.state().join("locks/m5.test.lock")).unwrap();
    lock.lock().unwrap();
    let long = || {
        let metrics = home.metrics();
        let quick = metrics.one("portvakt_storage_lock_wait_seconds_bucket", &[("le", "0.1")]);
        metrics.one("portvakt_storage_lock_wait_seconds_count", &[]) - quick
    };
    let portvakt = home.start();
    portvakt.child.wait_line("that it waits", |line| line.contains("another process orders it"));
    assert_eq!(long(), 0.0);

    drop(lock);

    home.wait_certificate("m5.test", "issued", PATIENCE);
    assert_eq!(long(), 1.0);
}

/// Two that keep their state in one directory, a CA, and a gate between the CA and the first of them.
struct Pair {
    first: Home,
    second: Home,
    gate: Gate,
    pebble: Pebble,
    _echo: Echo,
}

impl Pair {
    fn new() -> Self {
        let (first, second, echo) = (Home::new(), Home::new(), Echo::start());
        let gate = Gate::before(first.http, Door::Held);
        let pebble = Pebble::start(Settings::on(gate.port(), first.https));
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        for home in [&first, &second] {
            home.configure("", &format!("{}challenges = [\"http-01\"]\n{site}", pebble.acme_section()));
        }
        // The second keeps its state where the first does.
        let text = fs::read_to_string(second.file()).unwrap();
        let shared = format!("state_dir = {:?}", first.state().to_str().unwrap());
        fs::write(second.file(), text.replacen("state_dir = \"state\"", &shared, 1)).unwrap();
        Self { first, second, gate, pebble, _echo: echo }
    }
}
