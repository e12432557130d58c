//! Our clock, beside one that is right.

use std::time::Duration;

use super::Timestamp;

/// How far our clock was ahead of a better one, when they were compared.
///
/// It holds as long as our clock goes as monotonic time does: one that has been set since, or a machine that has slept, may
/// be right now, or more wrong than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    ahead: i64,
    ours: Timestamp,
    steady: Duration,
}

impl Compared {
    /// Our clock, which shows `ours` at `steady` of monotonic time, is `ahead` seconds ahead; behind when negative. Less than
    /// two minutes are a drift, and count as none.
    pub const fn new(ahead: i64, ours: Timestamp, steady: Duration) -> Self {
        let ahead = if ahead.unsigned_abs() < WRONG { 0 } else { ahead };
        Self { ahead, ours, steady }
    }

    /// Seconds that our clock is ahead now; `None` when it has been set since.
    pub fn ahead(&self, ours: Timestamp, steady: Duration) -> Option<i64> {
        let passed = i64::try_from(steady.saturating_sub(self.steady).as_secs()).unwrap_or(i64::MAX);
        let shown = ours.as_unix().saturating_sub(self.ours.as_unix());
        (shown.saturating_sub(passed).unsigned_abs() <= SLEWED).then_some(self.ahead)
    }
}

/// Seconds from which on a clock is wrong: a CA's window for a certificate of a day is half an hour long.
const WRONG: u64 = 120;
/// Seconds that a clock may gain or lose against monotonic time without having been set: some parts in ten thousand, and what
/// whole seconds leave out.
const SLEWED: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Timestamp = Timestamp::from_unix(1_795_311_180);
    const STEADY: Duration = Duration::from_secs(500);

    #[test]
    fn given_a_comparison_when_our_clock_goes_on_then_it_holds_and_not_once_it_is_set() {
        let table = [
            ("at once", 0, 0, Some(18_000)),
            ("days later", 400_000, 400_000, Some(18_000)),
            ("slewed", 400_030, 400_000, Some(18_000)),
            ("put right", 600 - 18_000, 600, None),
            ("set ahead once more", 600 + 7_200, 600, None),
            ("slept", 30_000, 600, None),
        ];
        let compared = Compared::new(18_000, OURS, STEADY);
        for (name, shown, passed, expected) in table {
            let ahead = compared.ahead(OURS.shifted(shown), STEADY + Duration::from_secs(passed));
            assert_eq!(ahead, expected, "{name}");
        }
    }

    #[test]
    fn given_a_clock_less_than_two_minutes_off_when_compared_then_it_is_right() {
        for (off, expected) in [(0, 0), (119, 0), (-119, 0), (120, 120), (-90_000, -90_000)] {
            assert_eq!(Compared::new(off, OURS, STEADY).ahead(OURS, STEADY), Some(expected), "{off}");
        }
    }
}
