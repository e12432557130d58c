//! What goes wrong, and when: at the CAs, and on the machines.

use std::fmt;

use super::executor::Millis;
use crate::lifecycle::Reason;

/// Something that is wrong from a moment on, up to another that is not part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fault {
    /// First moment.
    pub(super) from: Millis,
    /// First moment after it; the same as the first of what takes no time.
    pub(super) until: Millis,
    /// What.
    pub(super) what: What,
}

/// Kind of a [`Fault`], and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// At the CA of this index.
    Ca(usize, CaFault),
    /// On the machine of this index.
    Machine(usize, MachineFault),
}

/// What goes wrong at a CA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CaFault {
    /// No connection is taken.
    Outage,
    /// Requests are refused, though no limit is reached.
    Storm {
        /// 429 or 503.
        status: u16,
        /// What the refusals ask to wait.
        retry_after: Option<Millis>,
        /// So many of a hundred.
        share: u8,
    },
    /// Each answer takes longer.
    Slow {
        /// By so much.
        by: Millis,
    },
    /// What is issued cannot be used.
    BadChains,
    /// Renewal information alone gives errors.
    InfoAway,
    /// Windows of renewal information end before they begin, or lie years ahead.
    InfoNonsense,
    /// So many of a hundred certificates must go: their windows lie in the past from now on.
    Revocation {
        /// Of a hundred.
        share: u8,
    },
}

/// What goes wrong on a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MachineFault {
    /// Every write fails.
    DiskFull,
    /// The clock is wrong.
    Clock {
        /// By so much; less than zero is late.
        by: Millis,
    },
    /// The CA cannot validate: firewall, DNS and the like.
    Validation(Reason),
    /// No CA can be reached.
    Offline,
    /// The process does not run.
    Down,
    /// The process dies and is started again, over and over.
    CrashLoop {
        /// Between two deaths, at most.
        life: Millis,
        /// Dies inside of attempts: after so many steps at most of what the tasks do; `None` only by time.
        steps: Option<u32>,
    },
    /// The settings are read again, and the tasks begun anew.
    Reload,
    /// What is stored is lost with each start: a state directory that belongs to a container.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "breaks limits whatever portvakt does: for the tests of the checks")
    )]
    Forgetful,
}

impl Fault {
    /// Whether a certificate of this machine can be hindered by it, and until when: a refusal that asks to wait holds on
    /// behind the storm.
    ///
    /// What portvakt must cope with by itself hinders nothing.
    pub(super) fn hinders(&self, machine: usize, ca: usize) -> Option<Millis> {
        let until = match self.what {
            What::Ca(at, _) if at != ca => return None,
            What::Machine(at, _) if at != machine => return None,
            What::Ca(_, CaFault::Outage | CaFault::BadChains) => self.until,
            What::Ca(_, CaFault::Storm { retry_after, .. }) => self.until + retry_after.unwrap_or(0),
            What::Ca(_, CaFault::Slow { by }) if is_too_slow(by) => self.until,
            What::Ca(
                _,
                CaFault::Slow { .. } | CaFault::InfoAway | CaFault::InfoNonsense | CaFault::Revocation { .. },
            ) => {
                return None;
            }
            // CAs tell the time.
            What::Machine(_, MachineFault::Reload | MachineFault::Clock { .. }) => return None,
            What::Machine(
                _,
                MachineFault::DiskFull
                | MachineFault::Validation(_)
                | MachineFault::Offline
                | MachineFault::Down
                | MachineFault::CrashLoop { .. }
                | MachineFault::Forgetful,
            ) => self.until,
        };
        Some(until)
    }
}

/// All faults of a run, found quickly.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    cas: Vec<Vec<Fault>>,
    machines: Vec<Vec<Fault>>,
}

impl Book {
    /// Of faults in the order of their beginning.
    pub(super) fn new(faults: &[Fault]) -> Self {
        let mut book = Self::default();
        for fault in faults {
            let (shelf, at) = match fault.what {
                What::Ca(ca, _) => (&mut book.cas, ca),
                What::Machine(machine, _) => (&mut book.machines, machine),
            };
            if shelf.len() <= at {
                shelf.resize(at + 1, Vec::new());
            }
            shelf[at].push(*fault);
        }
        book
    }

    /// Those that can matter to a machine and its CAs between two moments, a `Retry-After` of a storm before included.
    pub(super) fn about(&self, machine: usize, cas: &[usize], from: Millis, until: Millis) -> Vec<Fault> {
        let shelves = cas.iter().filter_map(|ca| self.cas.get(*ca)).chain(self.machines.get(machine));
        let is_recent = |fault: &&Fault| from <= fault.until + LONGEST_RETRY_AFTER;
        shelves
            .flat_map(|shelf| &shelf[..shelf.partition_point(|fault| fault.from < until)])
            .filter(is_recent)
            .copied()
            .collect()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca(ca, fault) => write!(f, "CA {ca}: {}", fault.in_words()),
            Self::Machine(machine, fault) => write!(f, "machine {machine}: {}", fault.in_words()),
        }
    }
}

impl CaFault {
    /// Its kind, in words.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Outage => "the CA is away",
            Self::Storm { status: 429, retry_after: Some(_), .. } => "429 with Retry-After",
            Self::Storm { status: 429, retry_after: None, .. } => "429 without Retry-After",
            Self::Storm { retry_after: Some(_), .. } => "503 with Retry-After",
            Self::Storm { retry_after: None, .. } => "503 without Retry-After",
            Self::Slow { by } if is_too_slow(by) => "answers come too late",
            Self::Slow { .. } => "answers are slow",
            Self::BadChains => "issued certificates cannot be used",
            Self::InfoAway => "no renewal information",
            Self::InfoNonsense => "renewal information makes no sense",
            Self::Revocation { .. } => "mass revocation",
        }
    }
}

impl MachineFault {
    /// Its kind, in words.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::DiskFull => "the disk is full",
            Self::Clock { by } if by < 0 => "the clock is late",
            Self::Clock { .. } => "the clock is ahead",
            Self::Validation(_) => "validation fails",
            Self::Offline => "no network",
            Self::Down => "the process is down",
            Self::CrashLoop { .. } => "crash loop",
            Self::Reload => "reload",
            Self::Forgetful => "the state directory is lost with each start",
        }
    }
}

/// How it stands at a CA now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) is_away: bool,
    pub(super) storm: Option<(u16, Option<Millis>, u8)>,
    pub(super) slow: Millis,
    pub(super) bad_chains: bool,
    pub(super) info_away: bool,
    pub(super) info_nonsense: bool,
}

impl Weather {
    /// Of all that is wrong at the CA now.
    pub(super) fn of<'a>(faults: impl Iterator<Item = &'a Fault>, ca: usize) -> Self {
        let mut weather = Self::default();
        for fault in faults {
            let What::Ca(at, fault) = &fault.what else { continue };
            if *at != ca {
                continue;
            }
            match *fault {
                CaFault::Outage => weather.is_away = true,
                CaFault::Storm { status, retry_after, share } => weather.storm = Some((status, retry_after, share)),
                CaFault::Slow { by } => weather.slow = weather.slow.max(by),
                CaFault::BadChains => weather.bad_chains = true,
                CaFault::InfoAway => weather.info_away = true,
                CaFault::InfoNonsense => weather.info_nonsense = true,
                CaFault::Revocation { .. } => {}
            }
        }
        weather
    }
}

/// How it stands on a machine now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Condition {
    pub(super) disk_full: bool,
    pub(super) clock: Millis,
    pub(super) validation: Option<Reason>,
    pub(super) offline: bool,
    pub(super) down: bool,
    pub(super) crashes: Option<(Millis, Option<u32>)>,
    pub(super) forgetful: bool,
}

impl Condition {
    /// Of all that is wrong on the machine now.
    pub(super) fn of<'a>(faults: impl Iterator<Item = &'a Fault>, machine: usize) -> Self {
        let mut condition = Self::default();
        for fault in faults {
            let What::Machine(at, fault) = &fault.what else { continue };
            if *at != machine {
                continue;
            }
            match *fault {
                MachineFault::DiskFull => condition.disk_full = true,
                MachineFault::Clock { by } => condition.clock += by,
                MachineFault::Validation(reason) => condition.validation = Some(reason),
                MachineFault::Offline => condition.offline = true,
                MachineFault::Down => condition.down = true,
                MachineFault::CrashLoop { life, steps } => condition.crashes = Some((life, steps)),
                MachineFault::Forgetful => condition.forgetful = true,
                MachineFault::Reload => {}
            }
        }
        condition
    }
}

/// Whether answers that are late by so much can come too late: they take a moment even without.
const fn is_too_slow(by: Millis) -> bool {
    by + LONGEST_ANSWER > PATIENCE
}

const LONGEST_RETRY_AFTER: Millis = 7 * 24 * 3_600_000;
/// How long an answer is waited for.
pub(super) const PATIENCE: Millis = 30_000;
/// What an answer takes when nothing is slow, at most.
pub(super) const LONGEST_ANSWER: Millis = 900;
