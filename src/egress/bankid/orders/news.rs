//! What the memory of orders has to tell.

use std::time::Duration;

use super::SECOND;

/// The time between two collects of one order, as the application asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Not allowed (RFT9).
    UnderOneSecond,
    /// As it should be.
    OneToFiveSeconds,
    /// So slow that users wait.
    OverFiveSeconds,
}

impl Gap {
    /// The label of `portvakt_egress_collect_gaps_total`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnderOneSecond => "under_1s",
            Self::OneToFiveSeconds => "1s_to_5s",
            Self::OverFiveSeconds => "over_5s",
        }
    }

    pub(super) fn of(gap: Duration) -> Self {
        match gap {
            gap if gap < SECOND => Self::UnderOneSecond,
            gap if gap <= 5 * SECOND => Self::OneToFiveSeconds,
            _ => Self::OverFiveSeconds,
        }
    }
}

/// What has happened since it was told last: numbers to be added to counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Orders whose answer was `complete`.
    pub completed: u64,
    /// Orders whose answer was `failed`.
    pub failed: u64,
    /// Orders that BankID let be cancelled.
    pub cancelled: u64,
    /// Orders that came to no end here: their time is over, or BankID knows them no more.
    pub never_collected: u64,
    /// Final answers that the application did not get at once.
    pub undelivered: u64,
    /// Those of them that it will not get any more: the evidence is lost.
    pub lost: u64,
    /// Orders that were forgotten, or not remembered at all, because memory was full.
    pub pushed_out: u64,
}
