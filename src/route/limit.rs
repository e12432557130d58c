//! How much a client, a site and a route may have: settings, and the token bucket that a rate is.

use std::time::Duration;

/// `limits` of a site or a route. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight; a WebSocket is one for as long as it is open.
    pub connections: Option<u32>,
    /// Bytes of a request's body.
    pub body: Option<u64>,
    /// Requests of one client address.
    pub requests: Option<Rate>,
}

/// So many requests in so much time, and how many may come at once (a token bucket).
///
/// Kept as the time between two requests in the long run: then a bucket is one number, the moment at which it is full again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// The most that can be asked for, in any unit.
    pub const MOST: u32 = 1_000_000;

    /// `count` requests in each `period`, `burst` of them at once; neither number is zero.
    pub fn new(count: u32, period: Duration, burst: u32) -> Self {
        Self { interval: (period / count.clamp(1, Self::MOST)).max(Duration::from_nanos(1)), burst: burst.max(1) }
    }

    /// Takes a token at `now` out of the bucket that is full again at `full_at`; both are times since one beginning.
    ///
    /// Gives the moment at which the bucket is full again after this request.
    ///
    /// # Errors
    ///
    /// [`TooMany`], with the time until there is a token again; the bucket stays as it is.
    pub fn take(&self, full_at: Duration, now: Duration) -> Result<Duration, TooMany> {
        let owed = full_at.saturating_sub(now);
        let most = self.interval.saturating_mul(self.burst - 1);
        match owed.checked_sub(most) {
            Some(wait) if !wait.is_zero() => Err(TooMany { wait }),
            _ => Ok(now.saturating_add(owed).saturating_add(self.interval)),
        }
    }
}

/// A client has sent more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Until the next request is taken.
    pub wait: Duration,
}

impl TooMany {
    /// `Retry-After`: whole seconds, never too few (RFC 9110 §10.2.3).
    pub fn retry_after(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Times, in milliseconds, at which requests are taken.
    fn taken(rate: Rate, times: &[u64]) -> Vec<u64> {
        let mut full_at = Duration::ZERO;
        let mut take = |&time: &u64| match rate.take(full_at, Duration::from_millis(time)) {
            Ok(next) => {
                full_at = next;
                true
            }
            Err(_) => false,
        };
        times.iter().copied().filter(|time| take(time)).collect()
    }

    #[test]
    fn given_a_burst_when_spent_then_one_for_each_interval() {
        let rate = Rate::new(2, SECOND, 3);
        assert_eq!(taken(rate, &[0, 0, 0, 0, 499, 500, 501, 999, 1000]), [0, 0, 0, 500, 1000]);
    }

    #[test]
    fn given_a_long_pause_when_over_then_no_more_than_a_burst() {
        let rate = Rate::new(1, SECOND, 2);
        assert_eq!(taken(rate, &[0, 0, 0, 100_000, 100_000, 100_000]), [0, 0, 100_000, 100_000]);
    }

    #[test]
    fn given_a_refusal_when_told_then_whole_seconds_rounded_up() {
        for (millis, seconds) in [(1, 1), (999, 1), (1000, 1), (1001, 2), (60_000, 60)] {
            assert_eq!(TooMany { wait: Duration::from_millis(millis) }.retry_after(), seconds, "{millis} ms");
        }
    }

    prop_compose! {
        fn any_rate()(count in 1..=Rate::MOST, seconds in prop_oneof![Just(1), Just(60), Just(3600)], burst in 1..=1000_u32) -> Rate {
            Rate::new(count, Duration::from_secs(seconds), burst)
        }
    }

    proptest! {
        #[test]
        fn given_any_requests_when_limited_then_in_no_time_more_than_the_burst_and_the_rate(
            count in 1..=50_u32,
            burst in 1..=10_u32,
            mut times in proptest::collection::vec(0..5_000_u64, 0..200),
        ) {
            times.sort_unstable();
            let taken = taken(Rate::new(count, SECOND, burst), &times);
            for (first, &from) in taken.iter().enumerate() {
                for (more, &to) in taken[first..].iter().enumerate() {
                    let most = u64::from(burst) + (to - from) * u64::from(count) / 1000 + 1;
                    prop_assert!((more as u64) < most, "{} from {from} to {to}", more + 1);
                }
            }
        }

        #[test]
        fn given_a_refusal_when_waited_out_then_taken_and_not_before(rate in any_rate(), full_at: u32, now: u32) {
            let (full_at, now) = (Duration::from_micros(full_at.into()), Duration::from_micros(now.into()));
            if let Err(TooMany { wait }) = rate.take(full_at, now) {
                prop_assert!(rate.take(full_at, now + wait).is_ok());
                prop_assert!(rate.take(full_at, now + wait - Duration::from_nanos(1)).is_err());
            }
        }

        #[test]
        fn given_requests_no_faster_than_the_rate_when_limited_then_all_taken(rate in any_rate(), steps in proptest::collection::vec(0..1000_u32, 0..50)) {
            let (mut full_at, mut now) = (Duration::ZERO, Duration::ZERO);
            for step in steps {
                let next = rate.take(full_at, now);
                prop_assert!(next.is_ok());
                full_at = next.unwrap_or_default();
                now += rate.interval + Duration::from_micros(step.into());
            }
        }

        #[test]
        fn given_any_moments_when_taken_then_no_panic(rate in any_rate(), full_at: Duration, now: Duration) {
            let _ = rate.take(full_at, now);
        }
    }
}
