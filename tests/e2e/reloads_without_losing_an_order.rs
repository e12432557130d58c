//! A reload costs no order at the CA, though it comes while the answer to a new one is on its way.

use std::sync::{Mutex, mpsc};

use crate::support::clock::PATIENCE;
use crate::support::pebble::Settings;
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Echo, Home, Pebble, Witness};

#[test]
fn given_an_order_whose_answer_is_on_its_way_when_reloaded_then_gone_on_with_and_no_other_is_placed() {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
    let witness = Witness::before(&pebble);
    let configure = |contact: &str| {
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}contact = [\"{contact}\"]\n{site}", witness.acme_section()));
    };
    configure("mailto:a@m5.test");
    let (placed, is_placed) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (placed, may_go_on) = (Mutex::new(placed), Mutex::new(may_go_on));
    let late = Fault::change(move |_| {
        placed.lock().unwrap().send(()).unwrap();
        may_go_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    });
    witness.rule(Rule::on(Operation::NewOrder, late).times(1));
    let portvakt = home.start();
    is_placed.recv_timeout(PATIENCE).expect("an order is placed");

    configure("mailto:b@m5.test");
    portvakt.signal("HUP");
    portvakt.child.wait_line("the reload waits", |line| line.contains("waiting for the CA's answer"));
    go_on.send(()).unwrap();

    home.wait_certificate("m5.test", "issued", PATIENCE);
    portvakt.child.wait_line("reloaded", |line| line.contains("reloaded") && line.contains("SIGHUP"));
    portvakt.child.wait_line("gone on with", |line| line.contains("going on with the stored order"));
    assert_eq!((witness.orders_asked("m5.test"), pebble.orders()), (1, 1));
}
