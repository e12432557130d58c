//! `kill -9` just before the CA hears of a step, and just when it has answered: one account, and another order only where
//! nobody but the CA can know of the first.

use std::time::Duration;

use crate::support::pebble::Settings;
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Echo, Home, Pebble, Witness};

#[test]
fn given_a_death_on_either_side_of_every_step_when_started_again_then_issued_by_one_account_without_needless_orders() {
    let (pebble, echo) = (Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) }), Echo::start());
    let scenes: Vec<_> = STEPS.iter().flat_map(|step| Scene::both(&pebble, &echo, *step)).collect();
    // Nobody is held for ever.
    for some in scenes.chunks(4) {
        let started: Vec<_> = some.iter().map(|scene| scene.home.start()).collect();
        for (scene, mut portvakt) in some.iter().zip(started) {
            scene.witness.await_held();
            portvakt.child.kill();
            scene.witness.let_go();
        }
    }

    let again: Vec<_> = scenes.iter().map(|scene| scene.home.start_at(scene.pause())).collect();

    for (scene, portvakt) in scenes.iter().zip(&again) {
        scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
        let is_resumed = portvakt.child.lines().iter().any(|line| line.contains("going on with the stored order"));
        assert_eq!(is_resumed, scene.step.has_order, "{}", scene.name());
        let orders = if scene.step.operation == Operation::NewOrder { 2 } else { 1 };
        assert_eq!(scene.witness.orders_asked("m5.test"), orders, "{}", scene.name());
    }
    assert_eq!(pebble.accounts(), scenes.len());
    // One order is the CA's secret: its answer was on the way when portvakt died.
    assert_eq!((pebble.orders(), pebble.issued()), (scenes.len() + 1, scenes.len()));
}

/// A request of the way to a certificate.
#[derive(Clone, Copy, Debug)]
struct Step {
    operation: Operation,
    /// An order is kept when it is sent.
    has_order: bool,
}

const fn step(operation: Operation, has_order: bool) -> Step {
    Step { operation, has_order }
}

const STEPS: [Step; 9] = [
    step(Operation::Directory, false),
    step(Operation::NewNonce, false),
    step(Operation::NewAccount, false),
    step(Operation::NewOrder, false),
    step(Operation::Authorization, true),
    step(Operation::Challenge, true),
    step(Operation::Order, true),
    step(Operation::Finalize, true),
    step(Operation::Certificate, true),
];

/// One portvakt that dies at one step.
struct Scene {
    home: Home,
    witness: Witness,
    step: Step,
    /// The CA has answered when it dies.
    is_answered: bool,
}

impl Scene {
    fn both(pebble: &Pebble, echo: &Echo, step: Step) -> [Self; 2] {
        [false, true].map(|is_answered| {
            let (home, witness) = (Home::new(), Witness::before(pebble));
            let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
            home.configure("", &format!("{}{site}", witness.acme_section()));
            let fault = if is_answered { Fault::HoldAfter } else { Fault::HoldBefore };
            witness.rule(Rule::on(step.operation, fault));
            Self { home, witness, step, is_answered }
        })
    }

    /// A kept order is gone on with at once; where there is none the death counts as a failure, whose pause has to end.
    /// Seconds.
    fn pause(&self) -> i64 {
        if self.step.has_order { 0 } else { 7200 }
    }

    fn name(&self) -> String {
        format!("{:?}, answered: {}", self.step.operation, self.is_answered)
    }
}

/// An order on a machine that is busy with many.
const AN_ORDER: Duration = Duration::from_secs(90);
