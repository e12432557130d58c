//! What happened last, for the status page: bounded, and in memory alone. The log has all of it, and keeps it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::App;
use crate::admin::{Detail, Event, EventKind};
use crate::lifecycle::{self, Kind, Origin, Reason};
use crate::manager::client::ClientStatus;
use crate::time::{Clock, SystemClock};
use crate::upstream::Change;

/// The last [`MOST`] events.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The newest first.
    events: VecDeque<Event>,
    /// Serving has begun; what is read before that is no event.
    is_begun: bool,
    /// Upstreams and their peers that are not used.
    lost: BTreeSet<(String, String)>,
    /// What is shown, by destination.
    identities: BTreeMap<String, Option<String>>,
}

impl Events {
    /// The newest first.
    pub(super) fn newest(&self) -> Vec<Event> {
        self.ring().events.iter().cloned().collect()
    }

    /// Serving begins.
    pub(super) fn begin(&self) {
        let mut ring = self.ring();
        ring.is_begun = true;
        ring.push(EventKind::Started, "", "");
    }

    pub(super) fn push(&self, kind: EventKind, about: &str, detail: &str) {
        self.ring().push(kind, about, detail);
    }

    /// Something happened to a certificate.
    pub(super) fn certificate(&self, name: &str, event: &lifecycle::Event) {
        use lifecycle::Event as E;
        let mut ring = self.ring();
        match event {
            E::Issued { kind, validity, ca, .. } => {
                let kind = match kind {
                    Kind::Issue => EventKind::Issued,
                    Kind::Renew => EventKind::Renewed,
                };
                ring.add(kind, name, Detail::Issued { by: ca.to_string(), until: validity.not_after });
            }
            E::Failed { failure, ca, .. } => {
                ring.fail(EventKind::Failed, name, failure.reason, &format!("{ca}: {}", failure.detail));
            }
            E::RolledBack { failure } => ring.fail(EventKind::RolledBack, name, failure.reason, &failure.detail),
            E::Trouble { failure } => ring.fail(EventKind::Trouble, name, failure.reason, &failure.detail),
            E::Activated { origin: Origin::Placeholder, .. } if ring.is_begun => {
                ring.push(EventKind::Placeholder, name, "");
            }
            E::Activated { origin: Origin::Files | Origin::Store, not_after, .. } if ring.is_begun => {
                ring.add(EventKind::Loaded, name, Detail::Until(*not_after));
            }
            E::Activated { .. }
            | E::Planned { .. }
            | E::Attempt { .. }
            | E::Informed { .. }
            | E::Uninformed { .. }
            | E::Unseen { .. }
            | E::Rehearsed { .. } => {}
        }
    }

    /// A server's health changed; each that begins is told of too, and is no event.
    pub(super) fn upstream(&self, change: &Change<'_>) {
        let mut ring = self.ring();
        let key = (change.upstream.to_owned(), change.peer.to_owned());
        match change.is_healthy {
            true if ring.lost.remove(&key) => ring.push(EventKind::UpstreamBack, change.upstream, change.peer),
            false if ring.lost.insert(key) => ring.push(EventKind::UpstreamLost, change.upstream, change.peer),
            true | false => {}
        }
    }

    /// Looks which client identities are in use; those that are found first are no event.
    fn identities(&self, statuses: &[ClientStatus]) {
        let mut ring = self.ring();
        for status in statuses {
            let shown = status.identity.as_ref().map(|identity| identity.chain().leaf().fingerprint.to_string());
            let before = ring.identities.insert(status.name.clone(), shown.clone());
            if before.is_none_or(|before| before == shown) {
                continue;
            }
            match &status.identity {
                None => ring.push(EventKind::IdentityLost, &status.name, ""),
                Some(identity) => {
                    let leaf = identity.chain().leaf();
                    let detail = Detail::Shown { name: leaf.common_name.clone(), until: leaf.not_after };
                    ring.add(EventKind::IdentityInUse, &status.name, detail);
                }
            }
        }
        ring.identities.retain(|name, _| statuses.iter().any(|status| status.name == *name));
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, kind: EventKind, about: &str, words: &str) {
        self.add(kind, about, in_short(words));
    }

    fn fail(&mut self, kind: EventKind, about: &str, reason: Reason, words: &str) {
        self.note(kind, about, Some(reason), in_short(words));
    }

    fn add(&mut self, kind: EventKind, about: &str, detail: Detail) {
        self.note(kind, about, None, detail);
    }

    fn note(&mut self, kind: EventKind, about: &str, reason: Option<Reason>, detail: Detail) {
        self.events.push_front(Event { at: SystemClock.now(), kind, about: about.to_owned(), reason, detail });
        self.events.truncate(MOST);
    }
}

fn in_short(words: &str) -> Detail {
    Detail::Words(words.chars().take(LONGEST).collect())
}

impl App {
    /// Notes each change of a client identity. Never returns.
    pub(super) async fn watch_identities(self) {
        loop {
            self.0.events.identities(&self.0.clients.statuses());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A night's work; more is the log's.
const MOST: usize = 50;
/// Characters; a server may say more.
const LONGEST: usize = 400;
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_more_events_than_are_kept_when_asked_then_the_newest_first() {
        let events = Events::default();
        events.begin();
        for number in 0..2 * MOST {
            events.push(EventKind::Reloaded, "", &number.to_string());
        }
        let newest = events.newest();
        assert_eq!((newest.len(), &newest[0].detail), (MOST, &Detail::Words("99".to_owned())));
    }

    #[test]
    fn given_health_as_it_is_told_when_noted_then_only_what_changes() {
        let events = Events::default();
        let told = |is_healthy| {
            let change = Change { upstream: "m5", peer: "127.0.0.1:80", is_healthy, is_any_healthy: is_healthy };
            events.upstream(&change);
        };
        for is_healthy in [true, true, false, false, true, true] {
            told(is_healthy);
        }
        let kinds: Vec<_> = events.newest().iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::UpstreamBack, EventKind::UpstreamLost]);
    }

    #[test]
    fn given_placeholders_of_the_start_when_noted_then_they_are_no_events() {
        let events = Events::default();
        let activated = lifecycle::Event::Activated {
            origin: Origin::Placeholder,
            not_after: crate::time::Timestamp::from_unix(0),
            uncovered: vec!["m5.test".to_owned()],
        };
        events.certificate("m5", &activated);
        assert_eq!(events.newest(), []);
        events.begin();
        events.certificate("m5", &activated);
        assert_eq!(events.newest()[0].kind, EventKind::Placeholder);
    }
}
