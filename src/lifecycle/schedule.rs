//! When to renew, and how long to wait after a failure.

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::failure::Class;
use crate::time::Timestamp;

/// First and last second in which a certificate is valid, both included (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Its length; zero when it ends before it begins.
    pub fn total(self) -> Duration {
        self.not_after.since(self.not_before)
    }

    /// The latest moment to renew at, whatever any plan says: a twentieth of the total validity before its end.
    pub fn emergency(self) -> Timestamp {
        self.not_after - self.total() / 20
    }

    /// How long one that is due the moment it comes is kept before another is ordered: an eighth of the validity, from a
    /// minute to a day.
    pub(super) fn brake(self) -> Duration {
        (self.total() / 8).clamp(Duration::from_secs(60), Duration::from_secs(86_400))
    }

    /// One that is due within this time after it has come is due too soon: two fifths of the validity, a day at most. No CA asks
    /// for that unless something is wrong there, or with a clock.
    pub(super) fn soon(self) -> Duration {
        (self.total() / 5 * 2).min(Duration::from_secs(86_400))
    }

    /// Draws the moment to renew at: two thirds of the validity, one half under ten days of it, and up to a
    /// hundredth of it earlier: within the window that Let's Encrypt suggests when asked, outside of which a renewal counts
    /// against its limits.
    ///
    /// The random part keeps certificates that were issued together from being renewed together. Draw once and keep the
    /// result.
    pub fn draw_renewal(self, rng: &mut impl Rng) -> Timestamp {
        let total = self.total();
        let point = if total < SHORT_LIVED { total / 2 } else { total / 3 * 2 };
        let earlier = (total / 100).mul_f64(rng.random_range(0.0..=1.0));
        self.not_before + point - earlier
    }
}

/// How long to wait after the `failures`th failure in a row, with `remaining` life in the certificate served.
///
/// Let's Encrypt's published schedule with a jitter of 30 %, never more than an eighth of the remaining life, so that a
/// short-lived certificate still gets its tries; with nothing valid served, never more than six hours, or one where
/// trying costs nothing at the CA: clients stand before a closed door. Never less than [`SHORTEST`].
pub(super) fn backoff(class: Class, failures: u32, remaining: Duration, rng: &mut impl Rng) -> Duration {
    let steps: &[u64] = match class {
        Class::Transient => &TRANSIENT,
        Class::Lasting => &LASTING,
    };
    let nth = usize::try_from(failures.max(1) - 1).unwrap_or(usize::MAX);
    let step = Duration::from_secs(steps[nth.min(steps.len() - 1)]);
    let cap = match class {
        _ if !remaining.is_zero() => remaining / 8,
        Class::Transient => HOUR,
        Class::Lasting => LONGEST_WITHOUT_CERTIFICATE,
    };
    step.mul_f64(rng.random_range(0.7..=1.3)).min(cap).max(SHORTEST)
}

/// A time that a CA has named, within bounds: no sooner than [`SHORTEST`], no later than a week.
pub(super) fn retry_at(at: Timestamp, now: Timestamp) -> Timestamp {
    at.clamp(now + SHORTEST, now + LONGEST_RETRY_AFTER)
}

/// Failures of one certificate in any hour, at most (Let's Encrypt refuses the sixth).
pub const FAILURES_PER_HOUR: usize = 4;

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// No two attempts are closer.
pub(super) const SHORTEST: Duration = Duration::from_secs(42);

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(7 * 86_400);

pub(super) const LONGEST_WITHOUT_CERTIFICATE: Duration = Duration::from_secs(6 * 3600);

const SHORT_LIVED: Duration = Duration::from_secs(10 * 86_400);

/// Let's Encrypt's integration guide: 1 min, 10 min, 100 min, then daily.
const LASTING: [u64; 4] = [60, 600, 6_000, 86_400];

/// Nothing at the CA was used up: the network, the CA's own trouble, our disk.
const TRANSIENT: [u64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];
