//! Let's Encrypt's limits, as its page of 5 August 2026 has them: token buckets, kept as the CA keeps them.
//!
//! Written apart from the budget that portvakt keeps for itself, so that one checks the other.

use std::collections::HashMap;

use crate::simulate::executor::Millis;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::simulate) enum Limit {
    /// New accounts of one address.
    Registrations,
    /// New orders of one account.
    Orders,
    /// Certificates under one registered domain, whoever orders them.
    Domain,
    /// Certificates of exactly the same identifiers, whoever orders them.
    SameSet,
    /// Failed authorizations of one identifier by one account.
    FailedAuthorizations,
    /// The same, since the last that succeeded; whoever fills it is paused.
    Paused,
    /// Calls of newOrder from one address.
    OrderCalls,
    /// Questions for renewal information from one address.
    InfoCalls,
    /// All other calls from one address.
    Calls,
}

impl Limit {
    /// Every limit, in the order of declaration.
    pub(in crate::simulate) const ALL: [Self; 9] = [
        Self::Registrations,
        Self::Orders,
        Self::Domain,
        Self::SameSet,
        Self::FailedAuthorizations,
        Self::Paused,
        Self::OrderCalls,
        Self::InfoCalls,
        Self::Calls,
    ];

    /// In words.
    pub(in crate::simulate) const fn in_words(self) -> &'static str {
        match self {
            Self::Registrations => "new accounts of an address",
            Self::Orders => "new orders of an account",
            Self::Domain => "certificates of a registered domain",
            Self::SameSet => "certificates of the same names",
            Self::FailedAuthorizations => "failed authorizations of a name",
            Self::Paused => "failed authorizations in a row: paused",
            Self::OrderCalls => "newOrder calls of an address",
            Self::InfoCalls => "renewalInfo calls of an address",
            Self::Calls => "calls of an address",
        }
    }

    /// How many at once, and how long until one of them is free again.
    const fn shape(self) -> Shape {
        const MINUTE: Millis = 60_000;
        const HOUR: Millis = 60 * MINUTE;
        match self {
            Self::Registrations => Shape { burst: 10, refill: 18 * MINUTE },
            Self::Orders => Shape { burst: 300, refill: 36_000 },
            Self::Domain => Shape { burst: 50, refill: 7 * 24 * HOUR / 50 },
            Self::SameSet => Shape { burst: 5, refill: 7 * 24 * HOUR / 5 },
            Self::FailedAuthorizations => Shape { burst: 5, refill: 12 * MINUTE },
            Self::Paused => Shape { burst: 1_152, refill: 24 * HOUR },
            Self::OrderCalls => Shape { burst: 200, refill: 3 },
            Self::InfoCalls => Shape { burst: 100, refill: 1 },
            Self::Calls => Shape { burst: 125, refill: 4 },
        }
    }

    /// How many at once.
    pub(in crate::simulate) const fn burst(self) -> u32 {
        self.shape().burst
    }
}

#[derive(Clone, Copy)]
struct Shape {
    burst: u32,
    refill: Millis,
}

/// All buckets of one CA. A bucket that is not there is full.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Limits {
    /// When the bucket will be full again, by limit and what it counts for.
    full_at: HashMap<(Limit, u64), Millis>,
    /// The most that was ever taken out of a bucket.
    high: HashMap<Limit, u32>,
}

impl Limits {
    /// Whether one more is allowed; else when it will be.
    pub(in crate::simulate) fn check(&self, limit: Limit, of: u64, now: Millis) -> Result<(), Millis> {
        let Shape { burst, refill } = limit.shape();
        let full_at = self.full_at.get(&(limit, of)).copied().unwrap_or(now).max(now);
        let allowed_at = full_at + refill - Millis::from(burst) * refill;
        if allowed_at <= now { Ok(()) } else { Err(allowed_at) }
    }

    /// Takes one, allowed or not.
    pub(in crate::simulate) fn take(&mut self, limit: Limit, of: u64, now: Millis) {
        let refill = limit.shape().refill;
        let full_at = self.full_at.entry((limit, of)).or_insert(now);
        *full_at = (*full_at).max(now) + refill;
        let taken = u32::try_from((*full_at - now + refill - 1) / refill).unwrap_or(u32::MAX);
        let high = self.high.entry(limit).or_default();
        *high = taken.max(*high);
    }

    /// Takes one when it is allowed; else says when it will be.
    pub(in crate::simulate) fn spend(&mut self, limit: Limit, of: u64, now: Millis) -> Result<(), Millis> {
        self.check(limit, of, now)?;
        self.take(limit, of, now);
        Ok(())
    }

    /// Fills a bucket.
    pub(in crate::simulate) fn reset(&mut self, limit: Limit, of: u64) {
        self.full_at.remove(&(limit, of));
    }

    /// The most that was ever taken out of a bucket of this limit, of [`Limit::burst`].
    pub(in crate::simulate) fn high(&self, limit: Limit) -> u32 {
        self.high.get(&limit).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn given_a_full_bucket_when_spent_then_as_many_as_its_burst_and_then_one_for_each_refill() {
        // What Let's Encrypt publishes: so many in so long.
        let table = [
            (Limit::Registrations, 10, 3 * HOUR, 18 * 60_000),
            (Limit::Orders, 300, 3 * HOUR, 36_000),
            (Limit::Domain, 50, 7 * 24 * HOUR, 12_096_000),
            (Limit::SameSet, 5, 7 * 24 * HOUR, 33 * HOUR + 36 * 60_000),
            (Limit::FailedAuthorizations, 5, HOUR, 12 * 60_000),
        ];
        for (limit, count, period, refill) in table {
            let mut limits = Limits::default();
            for nth in 0..count {
                assert_eq!(limits.spend(limit, 7, 0), Ok(()), "{limit:?} {nth}");
            }
            assert_eq!(limits.spend(limit, 7, 0), Err(refill), "{limit:?}");
            assert_eq!(limits.spend(limit, 8, 0), Ok(()), "{limit:?}: another one's bucket");
            assert_eq!(limits.spend(limit, 7, refill - 1), Err(refill), "{limit:?}");
            assert_eq!(limits.spend(limit, 7, refill), Ok(()), "{limit:?}");
            assert_eq!(limits.high(limit), count, "{limit:?}");
            let later = refill + period;
            assert!((0..count).all(|_| limits.spend(limit, 7, later).is_ok()), "{limit:?}: full again");
        }
    }

    #[test]
    fn given_an_empty_bucket_when_reset_then_full() {
        let mut limits = Limits::default();
        for _ in 0..Limit::Paused.burst() {
            limits.take(Limit::Paused, 1, 0);
        }
        assert!(limits.check(Limit::Paused, 1, HOUR).is_err());
        limits.reset(Limit::Paused, 1);
        assert!(limits.check(Limit::Paused, 1, HOUR).is_ok());
    }
}
