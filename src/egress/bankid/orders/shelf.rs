//! Answers that wait to be given again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, OrderKey};

/// Kept answers, oldest first, bounded in number and in bytes.
///
/// # Why
///
/// When it is full the oldest goes: its application has had the longest time to ask again, and of the one that came just
/// now it is known that its delivery broke a moment ago.
pub(super) struct Shelf {
    places: BTreeMap<u64, (OrderKey, Arc<Answer>)>,
    next: u64,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Shelf {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { places: BTreeMap::new(), next: 0, bytes: 0, most, most_bytes }
    }

    /// Keeps an answer; gives its place, or the answer back where it alone is more than the shelf holds.
    pub(super) fn put(&mut self, key: OrderKey, answer: Answer) -> Option<u64> {
        if answer.is_too_long() || answer.length() > self.most_bytes || self.most == 0 {
            return None;
        }
        let place = self.next;
        self.next += 1;
        self.bytes += answer.length();
        self.places.insert(place, (key, Arc::new(answer)));
        Some(place)
    }

    /// Whether there is room for what was delivered most likely: half of the shelf, so that the other half is for what was not.
    pub(super) fn has_room_to_spare(&self, answer: &Answer) -> bool {
        let has_room = self.places.len() < self.most / 2 && self.bytes + answer.length() <= self.most_bytes / 2;
        has_room && !answer.is_too_long()
    }

    /// Takes the oldest away while there are too many: whose it was, and its place.
    pub(super) fn push_out(&mut self) -> Option<(OrderKey, u64)> {
        if self.places.len() <= self.most && self.bytes <= self.most_bytes {
            return None;
        }
        let (&place, &(key, _)) = self.places.first_key_value()?;
        self.take(place);
        Some((key, place))
    }

    pub(super) fn look(&self, place: u64) -> Option<Arc<Answer>> {
        self.places.get(&place).map(|(_, answer)| answer.clone())
    }

    pub(super) fn take(&mut self, place: u64) {
        if let Some((_, answer)) = self.places.remove(&place) {
            self.bytes -= answer.length();
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.places.len(), self.places.values().map(|(_, answer)| answer.length()).sum())
    }
}
