//! Each kind of trouble alone, where what comes of it can be said exactly.

use std::time::Duration;

use super::*;
use crate::simulate::world::Lifetime;

/// How many orders a fleet needs to which nothing happens.
fn orders_when_calm(certificates: usize, days: u32) -> u64 {
    let outcome = calm(certificates, days).run();
    assert_eq!((told(&outcome), lapses(&outcome)), (String::new(), 0));
    orders(&outcome)
}

#[test]
fn given_a_crash_loop_when_over_then_no_order_more_than_without_it() {
    let mut scenario = calm(8, 4);
    // Certificates of 24 h are due in it.
    let crashes = MachineFault::CrashLoop { life: MINUTE, steps: Some(12) };
    let crashes = fault(&scenario, 34, 6, What::Machine(0, crashes));
    scenario.faults.push(crashes);

    let outcome = scenario.run();

    assert_eq!(told(&outcome), "");
    // Two of the eight are due; an order whose answer nobody has read may be placed anew, once each.
    let (orders, calm) = (orders(&outcome), orders_when_calm(8, 4));
    assert!(orders <= calm + 2, "{orders} orders, {calm} without crashes");
}

#[test]
fn given_a_first_ca_that_is_away_for_two_months_when_there_is_another_then_nothing_lapses() {
    let mut scenario = calm(50, 70);
    // No CA that issues five a week can help out where two a day are needed.
    scenario.sites.iter_mut().step_by(4).for_each(|site| site.lifetime = Lifetime::Fixed(SIX_DAYS));
    let away = fault(&scenario, 100, 60 * 24, What::Ca(0, CaFault::Outage));
    scenario.faults.push(away);

    let outcome = scenario.run();

    assert_eq!(told(&outcome), "");
    let machines: Vec<usize> = outcome.lapsed.iter().map(|site| site / 25).collect();
    assert!(!machines.is_empty() && machines.iter().all(|machine| *machine == 0), "{machines:?}");
}

#[test]
fn given_a_mass_revocation_when_the_ca_tells_then_all_are_renewed_within_eight_hours() {
    // Once just after they were issued, where a certificate that is due looks like a mistake.
    for hour in [1, 60] {
        let mut scenario = calm(40, 6);
        let revocation = fault(&scenario, hour, 0, What::Ca(0, CaFault::Revocation { share: 100 }));
        scenario.faults.push(revocation);

        let outcome = scenario.run();

        assert_eq!(told(&outcome), "", "after {hour} h");
        let reactions = outcome.tally.reactions();
        assert_eq!(reactions.len(), 40, "after {hour} h");
        assert!(reactions.iter().all(|span| *span <= judge::REACTION), "after {hour} h: {reactions:?}");
    }
}

#[test]
fn given_two_processes_on_one_state_directory_when_run_then_as_many_orders_as_by_one() {
    let mut scenario = calm(8, 10);
    scenario.processes = 2;

    let outcome = scenario.run();

    assert_eq!((told(&outcome), lapses(&outcome)), (String::new(), 0));
    assert_eq!(orders(&outcome), orders_when_calm(8, 10));
}

#[test]
fn given_one_trouble_when_run_then_nothing_is_wrong_and_orders_are_few() {
    let day = 24;
    let table = [
        ("a full disk", MachineFault::DiskFull, 2 * day),
        ("a clock twenty days ahead", MachineFault::Clock { by: 20 * DAY }, day),
        ("a clock twenty days late", MachineFault::Clock { by: -20 * DAY }, day),
        ("an unreachable name", MachineFault::Validation(crate::lifecycle::Reason::Connection), 2 * day),
        ("no network", MachineFault::Offline, 2 * day),
        ("a stopped process", MachineFault::Down, 2 * day),
    ];
    let calm_orders = orders_when_calm(8, 8);
    for (name, what, hours) in table {
        let mut scenario = calm(8, 8);
        let trouble = fault(&scenario, 60, hours, What::Machine(0, what));
        scenario.faults.push(trouble);
        let outcome = scenario.run();
        assert_eq!(told(&outcome), "", "{name}");
        // Eight certificates that are all thought to be due, or some twenty tries each of the four that are.
        assert!(orders(&outcome) <= calm_orders + 80, "{name}: {} orders, {calm_orders} else", orders(&outcome));
    }
}

#[test]
fn given_a_clock_that_is_wrong_when_a_public_ca_tells_the_time_then_all_is_as_with_one_that_is_right() {
    let calm_orders = orders_when_calm(8, 8);
    for by in [44 * MINUTE, 5 * HOUR, 20 * DAY, -44 * MINUTE, -5 * HOUR, -20 * DAY] {
        let mut scenario = calm(8, 8);
        let wrong = fault(&scenario, 60, 3 * 24, What::Machine(0, MachineFault::Clock { by }));
        scenario.faults.push(wrong);
        let outcome = scenario.run();
        assert_eq!((told(&outcome), lapses(&outcome)), (String::new(), 0), "{by}");
        assert!(orders(&outcome) <= calm_orders + 1, "{by}: {} orders, {calm_orders} else", orders(&outcome));
    }
}

#[test]
fn given_a_clock_that_is_wrong_when_a_ca_says_to_wait_and_the_process_dies_again_and_again_then_it_waits() {
    for by in [44 * MINUTE, 5 * HOUR, -44 * MINUTE, -5 * HOUR] {
        let mut scenario = calm(8, 3);
        let storm = CaFault::Storm { status: 429, retry_after: Some(2 * HOUR), share: 100 };
        let troubles = [
            (3 * 24, What::Machine(0, MachineFault::Clock { by })),
            (5, What::Ca(0, storm)),
            (8, What::Machine(0, MachineFault::CrashLoop { life: 5 * MINUTE, steps: None })),
        ];
        let faults: Vec<_> = troubles.into_iter().map(|(hours, what)| fault(&scenario, 0, hours, what)).collect();
        scenario.faults.extend(faults);
        assert_eq!(told(&scenario.run()), "", "{by}");
    }
}

#[test]
fn given_a_ca_without_renewal_information_when_run_for_months_then_no_limit_is_broken() {
    let mut scenario = calm(4, 90);
    let silent = fault(&scenario, 0, 90 * 24, What::Ca(0, CaFault::InfoAway));
    scenario.faults.push(silent);
    let outcome = scenario.run();
    assert_eq!((told(&outcome), lapses(&outcome)), (String::new(), 0));
}

#[test]
fn given_a_ca_that_issues_what_cannot_be_used_when_run_then_nothing_else_is_wrong() {
    let mut scenario = calm(4, 12);
    let bad = fault(&scenario, 60, 4 * 24, What::Ca(0, CaFault::BadChains));
    scenario.faults.push(bad);
    assert_eq!(told(&scenario.run()), "");
}

const SIX_DAYS: Duration = Duration::from_secs(160 * 3_600);
