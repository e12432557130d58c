use super::*;

#[test]
fn given_a_small_fleet_and_bad_luck_when_run_then_nothing_happens_that_should_not() {
    let report = Fleet { certificates: 40, days: 60, seed: 1 }.run();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn given_a_seed_when_run_twice_then_the_same_to_the_last_request() {
    let fleet = Fleet { certificates: 12, days: 20, seed: 7 };
    assert_eq!(fleet.run().to_string(), fleet.run().to_string());
}
