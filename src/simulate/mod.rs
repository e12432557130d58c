//! Years in seconds: the real keepers of certificates in a world that can be made to fail.
//!
//! In: a fleet and a seed, or an operator's certificates and an outage. Out: a report. Drives [`lifecycle`](crate::lifecycle)
//! and the keeper of [`manager`](crate::manager) as they are, in virtual time; simulated are clock, chance, disk and CA.
//! Imports those two, `source` (settings), `store` (types) and `time`; opens no socket and starts no thread.
//!
//! ```text
//! executor    tasks, wakers and sleeps in virtual time
//! ca          orders, validations, renewal information, Let's Encrypt's limits
//! faults      what goes wrong, and when; draw: from a seed
//! world       machines, disks, CAs; parts: how a keeper sees them; run: from beginning to end
//! watch       writes everything down; alerts: those of our rules, and when they fire
//! judge       knows the truth; excuse: whether a lapse had one; tally: numbers
//! fleet       years of bad luck
//! drill       an operator's own certificates and an outage; report: in plain words
//! ```
//!
//! # Why
//!
//! A lapse is excused only by the faults that were made, told apart from anything portvakt says: see [`excuse`]. The CA's
//! limits are written apart from portvakt's own budget. Certificates are validities in place of X.509, so that ten years of
//! a thousand of them take minutes; what reads and checks real ones is tested elsewhere.

mod alerts;
mod ca;
mod draw;
mod drill;
mod excuse;
mod executor;
mod faults;
mod fleet;
mod judge;
mod parts;
mod report;
mod run;
mod tally;
mod watch;
mod world;

#[cfg(test)]
mod tests;

pub use drill::{Drill, Kept, Life, Stored};
pub use fleet::{Fleet, FleetReport};
pub use report::DrillReport;
