//! That the checks can fail: each breaks one rule on purpose.

use super::*;

#[test]
fn given_a_ca_that_refuses_without_excuse_when_judged_then_the_lapses_are_told_with_their_history() {
    let mut scenario = calm(4, 6);
    let away = fault(&scenario, 48, 40, What::Ca(0, CaFault::Outage));
    scenario.hidden.push(away);

    let outcome = scenario.clone().run();

    let told = told(&outcome);
    assert!(told.contains("certificate 0: lapsed for") && told.contains("without excuse"), "{told}");
    assert!(told.contains(": network (Backoff)"), "{told}");

    scenario.faults = std::mem::take(&mut scenario.hidden);
    let excused = scenario.run();
    assert_eq!((excused.violations.len(), lapses(&excused)), (0, lapses(&outcome)), "the same with the excuse");
}

#[test]
fn given_a_state_directory_that_is_lost_with_each_start_when_in_a_crash_loop_then_limits_are_broken() {
    let mut scenario = calm(4, 2);
    let crashes = MachineFault::CrashLoop { life: 5 * MINUTE, steps: None };
    for what in [MachineFault::Forgetful, crashes] {
        let fault = fault(&scenario, 3, 6, What::Machine(0, what));
        scenario.faults.push(fault);
    }

    let told = told(&scenario.run());

    assert!(told.contains("a limit is broken: certificates of the same names (5)"), "{told}");
}

#[test]
fn given_no_memory_of_failures_when_validation_fails_then_backoff_and_limit_are_broken() {
    let mut scenario = calm(4, 1);
    scenario.begins.fill(scenario.from + HOUR);
    let crashes = MachineFault::CrashLoop { life: 2 * MINUTE, steps: None };
    for what in [MachineFault::Validation(crate::lifecycle::Reason::Dns), crashes, MachineFault::Forgetful] {
        let fault = fault(&scenario, 0, 6, What::Machine(0, what));
        // The judge believes in a process that runs on.
        scenario.hidden.push(fault);
    }

    let told = told(&scenario.run());

    assert!(told.contains("a limit is broken: failed authorizations of a name (5)"), "{told}");
    assert!(told.contains("failures within an hour") && told.contains("s at least"), "{told}");
}
