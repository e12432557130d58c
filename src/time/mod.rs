//! Wall time: [`Timestamp`] and the [`Clock`] that tells it.
//!
//! The only place that reads the system clock. Decisions take `now: Timestamp`; timeouts and sleeps use tokio's
//! monotonic time.

mod compared;

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

pub use compared::Compared;

/// A point of wall time, in whole seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
///
/// Its `Display` is RFC 3339 in UTC, such as `2026-11-22T01:33:00Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The timestamp `seconds` after the epoch (before it when negative).
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn as_unix(self) -> i64 {
        self.0
    }

    /// This many seconds later; earlier when negative.
    pub const fn shifted(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl Timestamp {
    /// As `Date` has it, such as `Sun, 22 Nov 2026 06:30:00 GMT` (RFC 9110 §5.6.7); years from 1970 to 9999.
    pub fn to_http_date(self) -> String {
        let since_1970 = u64::try_from(self.0).unwrap_or(0).min(END_OF_9999);
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970))
    }
}

/// Four digits are all that the format has for a year.
const END_OF_9999: u64 = 253_402_300_799;

impl From<SystemTime> for Timestamp {
    fn from(t: SystemTime) -> Self {
        match t.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self::default() + after,
            Err(before) => Self::default() - before.duration(),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp(self.0).ok().and_then(|t| t.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "@{}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = time::error::Parse;

    /// Reads RFC 3339; parts of a second are left out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339).map(|at| Self(at.unix_timestamp()))
    }
}

/// A point of wall time for a log: to the millisecond, and nothing to decide by.
///
/// Its `Display` is RFC 3339 in UTC, such as `2026-11-22T01:33:00.007Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(SystemTime);

impl Moment {
    /// This one.
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the system clock")]
    pub fn now() -> Self {
        Self(SystemTime::now())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from(self.0).format(MILLISECONDS) {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "{}", Timestamp::from(self.0)),
        }
    }
}

const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Tells wall time, and sleeps until a point of it.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns at `until`, or earlier: at least hourly, since wall time can jump. Ask [`Clock::now`] again.
    async fn sleep_until(&self, until: Timestamp);
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    async fn sleep_until(&self, until: Timestamp) {
        tokio::time::sleep(until.since(self.now()).min(LONGEST_SLEEP)).await;
    }
}

/// How long a sleep may last before wall time is asked again: wall time jumps, laptops sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_timestamp_when_displayed_then_rfc3339_in_utc() {
        assert_eq!(Timestamp::from_unix(1_795_311_180).to_string(), "2026-11-22T01:33:00Z");
    }

    #[test]
    fn given_a_timestamp_when_displayed_then_reads_back() {
        let time = Timestamp::from_unix(1_763_776_800);
        assert_eq!(time.to_string().parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn given_a_moment_when_displayed_then_rfc3339_to_the_millisecond() {
        let moment = Moment(SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_311_180_007_900));
        assert_eq!(moment.to_string(), "2026-11-22T01:33:00.007Z");
    }

    #[test]
    fn given_an_earlier_time_when_since_then_zero() {
        let now = Timestamp::from_unix(100);
        assert_eq!(now.since(now + Duration::from_secs(5)), Duration::ZERO);
        assert_eq!((now + Duration::from_secs(5)).since(now), Duration::from_secs(5));
    }
}
