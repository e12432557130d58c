//! A token bucket whose whole state is one moment.

use std::time::Duration;

use crate::time::Timestamp;

/// A bucket that holds `capacity` tokens and gets one more every so often, as long as it is not full.
///
/// Its state is the moment at which it is full again: what Let's Encrypt keeps too (the generic cell rate algorithm), so
/// that both sides round alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens in a full one.
    pub capacity: u32,
    /// Seconds until one more is there.
    pub every: u32,
}

impl Bucket {
    /// A bucket of `capacity` tokens that is filled, from empty to full, within `seconds`.
    pub const fn filled_within(capacity: u32, seconds: u32) -> Self {
        Self { capacity, every: seconds / capacity }
    }

    /// Tokens left.
    pub fn left(self, full_at: Timestamp, now: Timestamp) -> u32 {
        let spent = self.lacking(full_at, now).as_secs().div_ceil(u64::from(self.every));
        self.capacity.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
    }

    /// Takes a token, or leaves an empty bucket empty; gives when it is full again.
    pub fn spend(self, full_at: Timestamp, now: Timestamp) -> Timestamp {
        now + (self.lacking(full_at, now) + self.times(1)).min(self.times(self.capacity))
    }

    /// Puts a token back that bought nothing.
    pub fn put_back(self, full_at: Timestamp, now: Timestamp) -> Timestamp {
        now + self.lacking(full_at, now).saturating_sub(self.times(1))
    }

    /// When there is one token more than now; `None` when it is full.
    pub fn next_token(self, full_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let missing = self.capacity - self.left(full_at, now);
        (missing > 0).then(|| full_at - self.times(missing - 1))
    }

    /// How far from full it is, in time.
    ///
    /// More than a whole bucket was never spent: such a moment was noted by a clock that has been put right, and tells
    /// nothing.
    fn lacking(self, full_at: Timestamp, now: Timestamp) -> Duration {
        let lacking = full_at.since(now);
        if lacking > self.times(self.capacity) { Duration::ZERO } else { lacking }
    }

    const fn times(self, tokens: u32) -> Duration {
        Duration::from_secs(self.every as u64 * tokens as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const NEVER_USED: Timestamp = Timestamp::from_unix(0);

    fn buckets() -> impl Strategy<Value = Bucket> {
        (1..1200_u32, 1..200_000_u32).prop_map(|(capacity, every)| Bucket { capacity, every })
    }

    #[test]
    fn given_five_a_week_when_spent_then_the_sixth_waits_for_a_fifth_of_the_week() {
        let bucket = Bucket::filled_within(5, 7 * 86_400);
        let mut full_at = NEVER_USED;
        for left in (0..5).rev() {
            full_at = bucket.spend(full_at, NOW);
            assert_eq!(bucket.left(full_at, NOW), left);
        }
        let next = bucket.next_token(full_at, NOW).unwrap();
        assert_eq!(next.since(NOW).as_secs(), 7 * 86_400 / 5);
        assert_eq!((bucket.left(full_at, next - Duration::from_secs(1)), bucket.left(full_at, next)), (0, 1));
        assert_eq!(full_at.since(NOW).as_secs(), 7 * 86_400);
    }

    #[test]
    fn given_a_moment_that_no_spending_makes_when_read_then_the_bucket_is_full() {
        let bucket = Bucket::filled_within(5, 3600);
        let by_a_wrong_clock = NOW + Duration::from_secs(86_400);
        assert_eq!((bucket.left(by_a_wrong_clock, NOW), bucket.next_token(by_a_wrong_clock, NOW)), (5, None));
        assert_eq!(bucket.left(bucket.spend(by_a_wrong_clock, NOW), NOW), 4);
    }

    proptest! {
        #[test]
        fn given_any_spending_then_never_above_capacity_and_one_less_by_each(
            bucket in buckets(), gaps in prop::collection::vec(0..400_000_u64, 1..60),
        ) {
            let (mut full_at, mut now) = (NEVER_USED, NOW);
            for gap in gaps {
                now = now + Duration::from_secs(gap);
                let before = bucket.left(full_at, now);
                full_at = bucket.spend(full_at, now);
                prop_assert!(before <= bucket.capacity);
                prop_assert_eq!(bucket.left(full_at, now), before.saturating_sub(1));
                if before > 0 {
                    prop_assert_eq!(bucket.left(bucket.put_back(full_at, now), now), before);
                }
            }
        }

        #[test]
        fn given_any_bucket_when_its_time_has_passed_then_exactly_one_token_more(
            bucket in buckets(), spent in 1..40_u32, waited in 0..1_000_000_u64,
        ) {
            let mut full_at = NEVER_USED;
            (0..spent).for_each(|_| full_at = bucket.spend(full_at, NOW));
            let now = NOW + Duration::from_secs(waited);
            let left = bucket.left(full_at, now);
            match bucket.next_token(full_at, now) {
                None => prop_assert_eq!(left, bucket.capacity),
                Some(at) => {
                    prop_assert!(at > now && at.since(now).as_secs() <= u64::from(bucket.every));
                    prop_assert_eq!(bucket.left(full_at, at), left + 1);
                    prop_assert_eq!(bucket.left(full_at, at - Duration::from_secs(1)), left);
                }
            }
        }

        #[test]
        fn given_only_what_is_left_when_spent_then_no_time_as_long_as_the_filling_sees_more_than_twice_the_capacity(
            capacity in 1..20_u32, every in 1..500_u32, gaps in prop::collection::vec(0..2000_u64, 1..200),
        ) {
            let bucket = Bucket { capacity, every };
            let (mut full_at, mut now, mut spent) = (NEVER_USED, NOW, Vec::new());
            for gap in gaps {
                now = now + Duration::from_secs(gap);
                if bucket.left(full_at, now) > 0 {
                    full_at = bucket.spend(full_at, now);
                    spent.push(now);
                }
            }
            let filling = Duration::from_secs(u64::from(capacity) * u64::from(every));
            for (at, begin) in spent.iter().enumerate() {
                let within = spent[at..].iter().filter(|time| time.since(*begin) < filling).count();
                prop_assert!(within < 2 * capacity as usize + 1, "{} within {:?}", within, filling);
            }
        }
    }
}
