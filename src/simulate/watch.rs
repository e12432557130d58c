//! Looks at every certificate as an operator's monitoring would, and writes down what happens.

use std::sync::Arc;

use super::alerts::{Alarms, Change};
use super::ca::seconds;
use super::executor::Millis;
use super::world::Identity;
use crate::lifecycle::{Event, Validity};
use crate::manager::{Slot, Snapshot};

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Millis,
    pub(super) site: usize,
    pub(super) told: Told,
}

/// What.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// By the keeper.
    Event(Event),
    /// By the alerts' rules.
    Alert(Change),
    /// In the store at the beginning.
    Found(Validity),
}

/// Follows the state that each keeper shows.
#[derive(Default)]
pub(super) struct Watch {
    sites: Vec<Watched>,
}

struct Watched {
    slot: Slot<Identity>,
    seen: Option<Arc<Snapshot<Identity>>>,
    alarms: Alarms,
}

impl Watch {
    /// Follows one more; they are counted from zero.
    pub(super) fn add(&mut self, slot: Slot<Identity>) {
        self.sites.push(Watched { slot, seen: None, alarms: Alarms::default() });
    }

    /// Looks at one whose task has just run.
    pub(super) fn look(&mut self, site: usize, now: Millis, into: &mut Vec<Entry>) {
        let Some(watched) = self.sites.get_mut(site) else { return };
        let snapshot = watched.slot.load_full();
        if watched.seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &snapshot)) {
            watched.take(site, snapshot, now, into);
        }
    }

    /// Looks at all once more, at the end.
    pub(super) fn close(&mut self, now: Millis, into: &mut Vec<Entry>) {
        for (site, watched) in self.sites.iter_mut().enumerate() {
            let snapshot = watched.slot.load_full();
            watched.take(site, snapshot, now, into);
        }
    }
}

impl Watched {
    fn take(&mut self, site: usize, snapshot: Arc<Snapshot<Identity>>, now: Millis, into: &mut Vec<Entry>) {
        let status = snapshot.life.status(seconds(now));
        for change in self.alarms.take(status, seconds(now)) {
            into.push(Entry { at: change.at.as_unix() * 1_000, site, told: Told::Alert(change) });
        }
        self.seen = Some(snapshot);
    }
}
