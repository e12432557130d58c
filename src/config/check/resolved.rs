//! What written values stand for, where that is not what is written.

use crate::config::problem::Place;

/// Values by their places, and where the state directory is known from.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Resolved {
    values: Vec<(Place, String)>,
    /// The environment variable that named the state directory.
    pub(in crate::config) state_dir: Option<&'static str>,
}

impl Resolved {
    /// Remembers that what stands at `place` means `value`.
    pub(super) fn note(&mut self, place: &Place, value: String) {
        self.values.push((place.clone(), value));
    }

    /// What the value at `place` means, when that is something else.
    pub(in crate::config) fn get(&self, place: &Place) -> Option<&str> {
        let is_same = |other: &Place| other.contains(place) && place.contains(other);
        self.values.iter().find(|(own, _)| is_same(own)).map(|(_, value)| value.as_str())
    }

    /// Where values stand that mean this.
    pub(super) fn places<'a>(&'a self, value: &'a str) -> impl Iterator<Item = &'a Place> {
        self.values.iter().filter(move |(_, own)| own == value).map(|(place, _)| place)
    }
}
