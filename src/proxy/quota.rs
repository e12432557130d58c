//! How often the same trouble is told.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets a few lines through in each period, and counts the others.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    until: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Quota {
    /// Whether to tell now; gives how many were not told in the period before.
    pub(super) fn take(&self) -> Option<u64> {
        let now = Instant::now();
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.until.is_none_or(|until| now >= until) {
            let untold = period.untold;
            *period = Period { until: Some(now + PERIOD), told: 1, untold: 0 };
            return Some(untold);
        }
        if period.told < LINES {
            period.told += 1;
            return Some(0);
        }
        period.untold += 1;
        None
    }
}

/// Enough to see a pattern, too few to fill a disk while a busy upstream is down.
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_more_than_a_quota_when_told_then_the_rest_is_counted_and_told_in_the_next_period() {
        let quota = Quota::default();
        for _ in 0..LINES {
            assert_eq!(quota.take(), Some(0));
        }
        assert_eq!((quota.take(), quota.take()), (None, None));

        tokio::time::advance(PERIOD).await;

        assert_eq!(quota.take(), Some(2));
        assert_eq!(quota.take(), Some(0));
    }
}
