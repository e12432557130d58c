//! How long a certificate that nobody renews for us lasts, and when a human has to act.

use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

/// What is left of a certificate that a human has to order anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Last second of its validity.
    pub not_after: Timestamp,
    /// How urgent it is.
    pub level: Level,
    /// Whole days that are left; those since then where it has expired.
    pub days: u64,
}

/// How urgent it is to order a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is time.
    Fine,
    /// It is time: [`ORDER`] is left, or less.
    Order,
    /// An order that takes days may come too late: [`URGENT`] is left, or less.
    Urgent,
    /// Too late.
    Expired,
}

/// What comes next for an identity that a human orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Todo {
    /// Somebody: put an identity into the files.
    PutIn,
    /// Somebody: order another, since the server refuses what there is.
    Replace,
    /// Nobody: the next one takes over.
    TakeOver,
    /// Somebody: order a new one, in time.
    OrderBy,
    /// Somebody: order a new one now.
    OrderNow,
}

impl Outlook {
    /// Of a certificate that is valid up to this second.
    pub fn of(not_after: Timestamp, now: Timestamp) -> Self {
        let left = not_after.since(now);
        let level = match left {
            _ if now > not_after => Level::Expired,
            _ if left <= URGENT => Level::Urgent,
            _ if left <= ORDER => Level::Order,
            _ => Level::Fine,
        };
        let span = if level == Level::Expired { now.since(not_after) } else { left };
        Self { not_after, level, days: span.as_secs() / DAY }
    }

    /// When a new one is to be ordered, at the latest.
    pub fn order_by(self) -> Timestamp {
        self.not_after - ORDER
    }

    /// How it stands, behind the certificate's name: `expires in 12 days`.
    pub fn in_words(self) -> String {
        match (self.level, self.days) {
            (Level::Expired, 0) => "expired today".to_owned(),
            (Level::Expired, 1) => "expired yesterday".to_owned(),
            (Level::Expired, days) => format!("expired {days} days ago"),
            (_, 0) => "expires within a day".to_owned(),
            (_, 1) => "expires in 1 day".to_owned(),
            (_, days) => format!("expires in {days} days"),
        }
    }
}

/// A bank writes to its customer as long before.
pub const ORDER: Duration = Duration::from_secs(60 * DAY);
/// From here on it is an alarm.
pub const URGENT: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_end_when_looked_at_then_level_and_words_of_the_table() {
        let now = Timestamp::from_unix(1_795_311_180);
        let day = Duration::from_secs(DAY);
        let second = Duration::from_secs(1);
        #[rustfmt::skip]
        let table = [
            (now + day * 61, Level::Fine, "expires in 61 days"),
            (now + ORDER + second, Level::Fine, "expires in 60 days"),
            (now + ORDER, Level::Order, "expires in 60 days"),
            (now + URGENT + second, Level::Order, "expires in 14 days"),
            (now + URGENT, Level::Urgent, "expires in 14 days"),
            (now + day, Level::Urgent, "expires in 1 day"),
            (now, Level::Urgent, "expires within a day"),
            (now - second, Level::Expired, "expired today"),
            (now - day, Level::Expired, "expired yesterday"),
            (now - day * 3 - second, Level::Expired, "expired 3 days ago"),
        ];
        for (not_after, level, words) in table {
            let outlook = Outlook::of(not_after, now);
            assert_eq!((outlook.level, &*outlook.in_words()), (level, words));
        }
    }
}
