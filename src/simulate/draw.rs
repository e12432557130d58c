//! Draws ten years of bad luck.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::executor::Millis;
use super::faults::{CaFault, Fault, MachineFault, What};
use crate::lifecycle::Reason;

/// Faults of a time, in the order of their beginning. The same seed gives the same.
pub(super) fn faults(seed: u64, from: Millis, until: Millis, cas: usize, machines: usize) -> Vec<Fault> {
    let mut rng = SmallRng::seed_from_u64(seed ^ SALT);
    let mut faults = Vec::new();
    for ca in 0..cas {
        for row in CA {
            row.draw(&mut rng, from, until, |rng, span| (What::Ca(ca, (row.what)(rng)), span), &mut faults);
        }
    }
    for machine in 0..machines {
        for row in MACHINE {
            row.draw(&mut rng, from, until, |rng, span| (What::Machine(machine, (row.what)(rng)), span), &mut faults);
        }
    }
    faults.sort_by_key(|fault| (fault.from, fault.until));
    faults
}

/// One kind of fault: how often, and how long.
struct Row<T> {
    /// In a thousand years.
    often: u32,
    shortest: Millis,
    longest: Millis,
    what: fn(&mut SmallRng) -> T,
}

impl<T> Row<T> {
    fn draw(
        &self,
        rng: &mut SmallRng,
        from: Millis,
        until: Millis,
        mut what: impl FnMut(&mut SmallRng, Millis) -> (What, Millis),
        into: &mut Vec<Fault>,
    ) {
        let mean = 1_000 * YEAR / Millis::from(self.often);
        let mut at = from + wait(rng, mean);
        while at < until {
            let drawn = log_uniform(rng, self.shortest, self.longest);
            let (what, span) = what(rng, drawn);
            into.push(Fault { from: at, until: at + span, what });
            at += span + wait(rng, mean);
        }
    }
}

/// The time to the next of what happens once in `mean`.
fn wait(rng: &mut SmallRng, mean: Millis) -> Millis {
    let uniform: f64 = rng.random_range(f64::EPSILON..1.0);
    scaled(mean, -uniform.ln())
}

/// Short ones are as many as long ones: minutes, hours, days.
fn log_uniform(rng: &mut SmallRng, shortest: Millis, longest: Millis) -> Millis {
    if shortest >= longest {
        return longest;
    }
    let ratio = longest as f64 / shortest as f64;
    scaled(shortest, ratio.powf(rng.random_range(0.0..1.0)))
}

fn scaled(span: Millis, by: f64) -> Millis {
    // Spans are far from the bounds of both types.
    (span as f64 * by) as Millis
}

fn retry_after(rng: &mut SmallRng) -> Option<Millis> {
    Some(log_uniform(rng, MINUTE, 12 * HOUR))
}

fn share(rng: &mut SmallRng) -> u8 {
    rng.random_range(30..=100)
}

fn away(rng: &mut SmallRng) -> CaFault {
    let _ = rng;
    CaFault::Outage
}

const CA: &[Row<CaFault>] = &[
    Row { often: 12_000, shortest: MINUTE, longest: 2 * HOUR, what: away },
    Row { often: 3_000, shortest: 2 * HOUR, longest: DAY, what: away },
    Row { often: 400, shortest: DAY, longest: 7 * DAY, what: away },
    Row { often: 150, shortest: 7 * DAY, longest: 30 * DAY, what: away },
    Row {
        often: 4_000,
        shortest: 10 * MINUTE,
        longest: DAY,
        what: |rng| CaFault::Storm { status: 429, retry_after: retry_after(rng), share: share(rng) },
    },
    Row {
        often: 3_000,
        shortest: 10 * MINUTE,
        longest: DAY,
        what: |rng| CaFault::Storm { status: 429, retry_after: None, share: share(rng) },
    },
    Row {
        often: 4_000,
        shortest: 10 * MINUTE,
        longest: DAY,
        what: |rng| CaFault::Storm { status: 503, retry_after: retry_after(rng), share: share(rng) },
    },
    Row {
        often: 4_000,
        shortest: 10 * MINUTE,
        longest: 2 * DAY,
        what: |rng| CaFault::Storm { status: 503, retry_after: None, share: share(rng) },
    },
    Row {
        often: 6_000,
        shortest: HOUR,
        longest: 3 * DAY,
        what: |rng| CaFault::Slow { by: rng.random_range(1_000..60_000) },
    },
    Row { often: 1_500, shortest: 10 * MINUTE, longest: 2 * DAY, what: |_| CaFault::BadChains },
    Row { often: 3_000, shortest: HOUR, longest: 14 * DAY, what: |_| CaFault::InfoAway },
    Row { often: 1_000, shortest: HOUR, longest: 7 * DAY, what: |_| CaFault::InfoNonsense },
    Row { often: 1_000, shortest: 0, longest: 0, what: |rng| CaFault::Revocation { share: rng.random_range(5..=100) } },
];

const MACHINE: &[Row<MachineFault>] = &[
    Row { often: 1_000, shortest: 10 * MINUTE, longest: 3 * DAY, what: |_| MachineFault::DiskFull },
    Row { often: 1_000, shortest: 10 * MINUTE, longest: 3 * DAY, what: |rng| MachineFault::Clock { by: jump(rng) } },
    Row { often: 2_000, shortest: 10 * MINUTE, longest: 4 * DAY, what: |rng| MachineFault::Validation(reason(rng)) },
    Row { often: 4_000, shortest: MINUTE, longest: DAY, what: |_| MachineFault::Offline },
    Row { often: 2_000, shortest: MINUTE, longest: DAY, what: |_| MachineFault::Down },
    Row { often: 1_000, shortest: 10 * MINUTE, longest: 6 * HOUR, what: crash_loop },
    Row { often: 6_000, shortest: 0, longest: 0, what: |_| MachineFault::Reload },
];

fn jump(rng: &mut SmallRng) -> Millis {
    let by = log_uniform(rng, 2 * MINUTE, 20 * DAY);
    if rng.random_bool(0.5) { by } else { -by }
}

fn reason(rng: &mut SmallRng) -> Reason {
    const REASONS: [Reason; 5] = [Reason::Dns, Reason::Connection, Reason::Unauthorized, Reason::Caa, Reason::Dnssec];
    REASONS[rng.random_range(0..REASONS.len())]
}

fn crash_loop(rng: &mut SmallRng) -> MachineFault {
    let steps = rng.random_bool(0.7).then(|| rng.random_range(2..40));
    MachineFault::CrashLoop { life: log_uniform(rng, 2_000, 5 * MINUTE), steps }
}

const SALT: u64 = 0x6661_756c_7473;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;
pub(super) const YEAR: Millis = 365 * DAY + DAY / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_seed_when_drawn_twice_then_the_same_and_every_kind_comes() {
        let drawn = faults(7, 0, 10 * YEAR, 2, 5);

        assert_eq!(drawn, faults(7, 0, 10 * YEAR, 2, 5));
        assert_ne!(drawn, faults(8, 0, 10 * YEAR, 2, 5));
        assert!(drawn.is_sorted_by_key(|fault| fault.from));
        let kinds: std::collections::BTreeSet<_> = drawn
            .iter()
            .map(|fault| match fault.what {
                What::Ca(_, fault) => fault.in_words(),
                What::Machine(_, fault) => fault.in_words(),
            })
            .collect();
        assert_eq!(kinds.len(), 11 + 8, "{kinds:?}");
    }
}
