mod checks;
mod drills;
mod faults;

use super::draw::DAY;
use super::executor::Millis;
use super::faults::{CaFault, Fault, MachineFault, What};
use super::run::{Outcome, Scenario};
use super::*;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

#[test]
fn given_a_small_fleet_and_bad_luck_when_run_then_nothing_happens_that_should_not() {
    for seed in [1, 2] {
        let report = Fleet { certificates: 40, days: 60, seed }.run();
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn given_a_seed_when_run_twice_then_the_same_to_the_last_request() {
    let fleet = Fleet { certificates: 12, days: 20, seed: 7 };
    assert_eq!(fleet.run().to_string(), fleet.run().to_string());
    assert_ne!(fleet.run().to_string(), Fleet { seed: 8, ..fleet }.run().to_string());
}

/// A fleet to which nothing happens but what is added: all begins at once.
fn calm(certificates: usize, days: u32) -> Scenario {
    let mut scenario = Fleet { certificates, days, seed: 3 }.scenario();
    scenario.faults.clear();
    scenario.begins.fill(scenario.from);
    scenario
}

/// From some hours behind the beginning, for some hours.
fn fault(scenario: &Scenario, from: Millis, hours: Millis, what: What) -> Fault {
    let from = scenario.from + from * HOUR;
    Fault { from, until: from + hours * HOUR, what }
}

fn told(outcome: &Outcome) -> String {
    outcome.violations.iter().map(ToString::to_string).collect()
}

fn lapses(outcome: &Outcome) -> u64 {
    outcome.tally.lines().map(|(_, line)| line.lapses).sum()
}

fn orders(outcome: &Outcome) -> u64 {
    outcome.tally.lines().map(|(_, line)| line.orders).sum()
}
