//! Waiting: for something to become true, never for a number of seconds.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything that is only local may take, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A point in monotonic time after which a wait has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The point `within` from now.
    pub(crate) fn after(within: Duration) -> Self {
        Self(now() + within)
    }

    /// What is left; zero when it has passed.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// Whether it has passed.
    pub(crate) fn passed(self) -> bool {
        self.left().is_zero()
    }
}

/// How long `work` took, beside what it gave.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = now();
    let result = work();
    (result, began.elapsed())
}

/// Asks `probe` until it gives something.
///
/// # Panics
/// When that has not happened within `within`; `what` says what was waited for.
pub(crate) fn eventually<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(within);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(!deadline.passed(), "waited {within:?} in vain: {what}");
        thread::sleep(BETWEEN_PROBES);
    }
}

/// This moment, of the time that only goes forward.
#[expect(clippy::disallowed_methods, reason = "tests watch real processes, whose time cannot be paused")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

const BETWEEN_PROBES: Duration = Duration::from_millis(20);
