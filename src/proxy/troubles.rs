//! Which mistakes in the set-up behind us were seen, and how often they are told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::route::{LOOKED_AT, Trouble};
use crate::time::Timestamp;

/// What was seen, by what it is about. Names come from the configuration, so that there are few.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<(Trouble, String), Record>>);

#[derive(Clone, Copy, Debug)]
struct Record {
    first: Timestamp,
    last: Timestamp,
    told: Timestamp,
    count: u64,
}

/// A mistake in the set-up behind us, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub trouble: Trouble,
    /// The name of an upstream or a route.
    pub about: String,
    /// The first time since the last reload.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
}

impl Troubles {
    /// Remembers it; gives how often it was seen when it is time to tell so: at first, and then once an hour at most.
    pub(super) fn note(&self, trouble: Trouble, about: &str, now: Timestamp) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = all.get_mut(&(trouble, about.to_owned())) else {
            all.insert((trouble, about.to_owned()), Record { first: now, last: now, told: now, count: 1 });
            return Some(1);
        };
        (record.last, record.count) = (now, record.count + 1);
        if now.since(record.told) < AGAIN {
            return None;
        }
        record.told = now;
        Some(record.count)
    }

    /// Everything that was seen.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.iter().map(|((trouble, about), record)| Seen {
            trouble: *trouble,
            about: about.clone(),
            first: record.first,
            last: record.last,
            count: record.count,
        });
        seen.collect()
    }

    /// Forgets everything: a reload may have mended it, and what it has not comes back.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The begin of the body of a 403, while it passes.
#[derive(Debug, Default)]
pub(super) struct Look(Vec<u8>);

impl Look {
    /// Takes in a part; gives all that is looked at as soon as it is there.
    pub(super) fn take(&mut self, part: Option<&Bytes>, is_end: bool) -> Option<Vec<u8>> {
        let part = part.map(|part| &part[..]).unwrap_or_default();
        let room = LOOKED_AT.saturating_sub(self.0.len());
        self.0.extend_from_slice(&part[..part.len().min(room)]);
        (is_end || self.0.len() >= LOOKED_AT).then(|| std::mem::take(&mut self.0))
    }
}

/// Often enough to be found in today's log, too seldom to fill it.
const AGAIN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_same_trouble_again_when_noted_then_counted_and_told_once_an_hour() {
        let (troubles, begin) = (Troubles::default(), Timestamp::from_unix(1_000));
        let note = |after| troubles.note(Trouble::SslRequired, "iis", begin + Duration::from_secs(after));
        assert_eq!([0, 1, 3_599, 3_600, 3_601].map(note), [Some(1), None, None, Some(4), None]);
        assert_eq!(troubles.note(Trouble::SslRequired, "other", begin), Some(1));

        let seen = troubles.seen();
        assert_eq!((seen.len(), seen[0].about.as_str(), seen[0].count), (2, "iis", 5));
        assert_eq!((seen[0].first, seen[0].last), (begin, begin + Duration::from_secs(3_601)));

        troubles.forget();
        assert_eq!(troubles.seen(), []);
    }

    #[test]
    fn given_a_body_in_parts_when_looked_at_then_its_begin_at_once_or_at_the_end() {
        let (mut look, half) = (Look::default(), Bytes::from(vec![b'a'; LOOKED_AT / 2 + 1]));
        assert_eq!(look.take(Some(&half), false), None);
        assert_eq!(look.take(Some(&half), false).map(|begin| begin.len()), Some(LOOKED_AT));
        assert_eq!(Look::default().take(Some(&Bytes::from_static(b"403.4")), true).as_deref(), Some(&b"403.4"[..]));
        assert_eq!(Look::default().take(None, true).as_deref(), Some(&b""[..]));
    }
}
