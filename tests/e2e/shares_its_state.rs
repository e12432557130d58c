//! Two processes on one state directory place one order, and both serve its certificate.

use std::fs;

use crate::support::clock::PATIENCE;
use crate::support::gate::Door;
use crate::support::pebble::Settings;
use crate::support::tls::served;
use crate::support::{Echo, Gate, Home, Pebble, eventually};

#[test]
fn given_an_order_whose_process_is_stopped_when_another_starts_then_it_waits_and_both_serve_the_one_certificate() {
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

    let holder = first.start();
    gate.first_target();
    holder.signal("STOP");
    let waiter = second.start();
    waiter.child.wait_line("that it waits", |line| line.contains("another process orders it"));
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    holder.signal("CONT");
    gate.set(Door::Open);

    for home in [&first, &second] {
        home.wait_certificate("m5.test", "issued", PATIENCE * 3);
    }
    eventually("both serve the same", PATIENCE, || {
        let [one, other] = [&first, &second].map(|home| served(home.https, "m5.test").ok());
        (one.is_some() && one == other).then_some(())
    });
    assert_eq!((pebble.accounts(), pebble.orders(), pebble.issued()), (1, 1, 1));
}
