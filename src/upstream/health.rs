//! What is known of a peer's health: pure, with the time passed in.
//!
//! Requests tell it in passing: whoever cannot be connected to, or shows a certificate that is not believed, is ejected
//! for 5 s, and for twice as long each further time, up to a minute. Checks of our own, where they are configured, tell it
//! regularly.
//!
//! # Why
//!
//! What an application answers ejects nobody: a 503 may be the right answer to that request. Neither does a slow answer: a
//! report that takes minutes is no dead server. A server that accepts and then hangs is found by checks.

use std::time::Duration;

use tokio::time::Instant;

use super::HealthCheck;
use super::choice::Availability;

/// A peer's health.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failed attempts since the last that worked; those that come while it is ejected are one.
    failures: u32,
    ejected_until: Option<Instant>,
    /// Its checks say so.
    is_down: bool,
    /// Checks in a row that say otherwise than `is_down`.
    contradictions: u32,
}

impl Health {
    /// A request could not reach it.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.ejected_until.is_some_and(|until| now < until) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.ejected_until = Some(now + ejection(self.failures));
    }

    /// A request has reached it.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
        self.ejected_until = None;
    }

    /// A check of ours has ended.
    pub(super) fn checked(&mut self, has_passed: bool, rules: &HealthCheck) {
        if has_passed {
            // Checks go the same way as requests.
            self.worked();
        }
        if has_passed != self.is_down {
            self.contradictions = 0;
            return;
        }
        self.contradictions += 1;
        let needed = if has_passed { rules.pass_after } else { rules.fail_after };
        if self.contradictions >= needed {
            self.is_down = !has_passed;
            self.contradictions = 0;
        }
    }

    pub(super) fn availability(&self, now: Instant) -> Availability {
        if self.is_down {
            Availability::Down
        } else if self.ejected_until.is_some_and(|until| now < until) {
            Availability::Ejected
        } else {
            Availability::Up
        }
    }

    /// Whether nothing is known against it. One whose ejection is over stays unhealthy until it has worked.
    pub(super) fn is_good(&self) -> bool {
        !self.is_down && self.failures == 0
    }
}

/// How long a peer is left alone after so many failures in a row.
fn ejection(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    (SHORTEST * 2_u32.pow(doublings)).min(LONGEST)
}

const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_failures_in_a_row_when_each_ejection_is_over_then_the_next_is_twice_as_long_up_to_a_minute() {
        let (mut health, mut now) = (Health::default(), Instant::now());
        for seconds in [5, 10, 20, 40, 60, 60] {
            health.failed(now);
            now += Duration::from_secs(seconds) - Duration::from_millis(1);
            assert_eq!(health.availability(now), Availability::Ejected, "{seconds}");
            now += Duration::from_millis(1);
            assert_eq!(health.availability(now), Availability::Up, "{seconds}");
            assert!(!health.is_good(), "not before it has worked");
        }
    }

    #[test]
    fn given_many_failures_at_a_time_when_counted_then_they_are_one() {
        let (mut health, now) = (Health::default(), Instant::now());
        (0..50).for_each(|_| health.failed(now));
        assert_eq!(health.availability(now + SHORTEST), Availability::Up);
    }

    #[test]
    fn given_an_ejected_peer_when_it_works_then_it_is_good_and_begins_anew() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(now);
        health.worked();
        assert!(health.is_good());

        health.failed(now + LONGEST);

        assert_eq!(health.availability(now + LONGEST + SHORTEST), Availability::Up);
    }

    #[test]
    fn given_checks_when_enough_of_them_agree_then_down_and_up_again() {
        let (mut health, now) = (Health::default(), Instant::now());
        #[rustfmt::skip]
        let table = [
            (false, Availability::Up), (false, Availability::Up), (true, Availability::Up),
            (false, Availability::Up), (false, Availability::Up), (false, Availability::Down),
            (true, Availability::Down), (false, Availability::Down),
            (true, Availability::Down), (true, Availability::Up),
        ];
        for (step, (has_passed, expected)) in table.into_iter().enumerate() {
            health.checked(has_passed, &rules());
            assert_eq!(health.availability(now), expected, "step {step}");
        }
    }

    #[test]
    fn given_an_ejected_peer_when_a_check_passes_then_it_is_back() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(now);
        health.checked(true, &rules());
        assert_eq!((health.availability(now), health.is_good()), (Availability::Up, true));
    }

    #[test]
    fn given_a_peer_that_its_checks_hold_down_when_a_late_request_works_then_it_stays_down() {
        let mut health = Health::default();
        (0..3).for_each(|_| health.checked(false, &rules()));
        health.worked();
        assert_eq!((health.availability(Instant::now()), health.is_good()), (Availability::Down, false));
    }

    proptest! {
        #[test]
        fn given_any_number_of_failures_then_the_ejection_lies_in_its_bounds(failures: u32) {
            prop_assert!((SHORTEST..=LONGEST).contains(&ejection(failures)));
        }
    }

    fn rules() -> HealthCheck {
        HealthCheck { fail_after: 3, pass_after: 2, ..HealthCheck::of("/health") }
    }
}
