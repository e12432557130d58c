//! When a message is sent, and what becomes of it. Pure; what it holds is kept on the disk.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, Kind};
use super::facts::Facts;
use super::look::{DAY, Memory, is_within};
use super::remedy::Remedy;
use crate::time::Timestamp;

/// What one notifier has been told of, what it is still to be told, and what is on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    #[serde(default)]
    memory: Memory,
    /// When something was last told, by kind and subject.
    #[serde(default)]
    told: BTreeMap<String, Timestamp>,
    /// Still to be sent, the oldest first.
    #[serde(default)]
    pending: Vec<Event>,
    /// What was not sent as a message of its own, since it was the same again.
    #[serde(default)]
    repeated: Vec<Repeated>,
    /// Events that are lost: there were too many, or they could not be delivered for days.
    #[serde(default)]
    lost: u32,
    /// Messages whose sending was cut off.
    #[serde(default)]
    unsure: u32,
    /// When messages were sent, in the last hour.
    #[serde(default)]
    sent: Vec<Timestamp>,
    #[serde(default)]
    outgoing: Option<Outgoing>,
    /// When a message was last taken.
    #[serde(default)]
    delivered: Option<Timestamp>,
    /// Why the last try failed; `None` when it did not.
    #[serde(default)]
    failure: Option<Failure>,
}

/// How a notifier stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When a message was last taken; `None` is never, or before an older portvakt.
    pub delivered: Option<Timestamp>,
    /// Why the last try failed; `None` when it did not.
    pub failure: Option<Failure>,
    /// Events that are still to be told.
    pub waiting: usize,
    /// When a message that was not taken is tried again.
    pub next_try: Option<Timestamp>,
}

/// A try that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Why; nothing secret.
    pub error: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

/// Something that has happened again on the same day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Repeated {
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) times: u32,
}

/// What a message tells, in no language yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    /// Its name, for those who compare.
    pub(super) id: String,
    /// One at least, unless something is to be told of messages.
    pub(super) events: Vec<Event>,
    #[serde(default)]
    pub(super) repeated: Vec<Repeated>,
    #[serde(default)]
    pub(super) lost: u32,
    #[serde(default)]
    pub(super) unsure: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Outgoing {
    digest: Digest,
    since: Timestamp,
    tries: u32,
    retry_at: Timestamp,
    /// It is being sent; whoever finds this on the disk does not know whether it arrived.
    is_under_way: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing before then, unless something happens; `None` is not before something happens.
    Wait(Option<Timestamp>),
    /// A message is to be sent: [`Ledger::begin`].
    Send,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Delivered,
    /// Not before the time that the receiver has named, if it has.
    Failed {
        failure: Failure,
        retry_at: Option<Timestamp>,
    },
}

impl Ledger {
    /// Goes on after a restart. A message that was being sent is not sent again.
    pub(super) fn resume(&mut self) {
        if let Some(cut_off) = self.outgoing.take_if(|outgoing| outgoing.is_under_way) {
            self.unsure = self.unsure.saturating_add(1 + cut_off.digest.unsure);
        }
    }

    /// Whether the next look wants to know what needs somebody.
    pub(super) fn is_beat_due(&self, now: Timestamp) -> bool {
        self.memory.is_beat_due(now)
    }

    /// Looks at how everything stands.
    pub(super) fn look(&mut self, facts: &Facts, kinds: &[Kind], now: Timestamp) {
        let news = self.memory.look(facts, &|kind| kinds.contains(&kind), now);
        news.into_iter().for_each(|event| self.push(event));
    }

    /// Takes something that has happened; once a day for the same kind and subject, the others are counted.
    pub(super) fn note(&mut self, event: Event, now: Timestamp) {
        self.told.retain(|_, told| is_within(*told, DAY, now));
        let key = format!("{} {}", event.kind.as_str(), event.subject);
        if self.told.contains_key(&key) {
            self.repeat(event);
            return;
        }
        self.told.insert(key, now);
        self.push(event);
    }

    /// Counts events that never came here.
    pub(super) fn lose(&mut self, events: u32) {
        self.lost = self.lost.saturating_add(events);
    }

    /// What is to be done.
    pub(super) fn poll(&self, now: Timestamp) -> Step {
        let at = match (&self.outgoing, self.pending.first()) {
            // A clock that was set back must not make it wait until the old time comes again.
            (Some(outgoing), _) if outgoing.retry_at > now + LONGEST_PAUSE => now,
            (Some(outgoing), _) => outgoing.retry_at,
            (None, Some(first)) if first.at > now => self.next_free(now),
            (None, Some(first)) => (first.at + SETTLE).max(self.next_free(now)),
            (None, None) => return Step::Wait(None),
        };
        if at <= now { Step::Send } else { Step::Wait(Some(at)) }
    }

    /// Begins to send; to be on the disk before it is sent.
    pub(super) fn begin(&mut self, id: impl FnOnce() -> String, now: Timestamp) -> Digest {
        let outgoing = self.outgoing.take().unwrap_or_else(|| Outgoing {
            digest: self.gather(id()),
            since: now,
            tries: 0,
            retry_at: now,
            is_under_way: true,
        });
        // Nor must it make it try for ever.
        let since = outgoing.since.min(now);
        self.outgoing.insert(Outgoing { since, is_under_way: true, ..outgoing }).digest.clone()
    }

    /// Takes how the try ended; gives when it is tried again.
    pub(super) fn end(&mut self, end: End, now: Timestamp) -> Option<Timestamp> {
        let mut outgoing = self.outgoing.take()?;
        self.failure = match &end {
            End::Delivered => None,
            End::Failed { failure, .. } => Some(failure.clone()),
        };
        match end {
            End::Delivered => {
                self.delivered = Some(now);
                self.sent.retain(|at| is_within(*at, HOUR, now));
                self.sent.push(now);
                None
            }
            End::Failed { .. } if now.since(outgoing.since) >= GIVE_UP => {
                let events = u32::try_from(outgoing.digest.events.len()).unwrap_or(u32::MAX);
                self.lost = self.lost.saturating_add(events).saturating_add(outgoing.digest.lost);
                self.unsure = self.unsure.saturating_add(outgoing.digest.unsure);
                None
            }
            End::Failed { retry_at, .. } => {
                let at = retry_at.unwrap_or(now).clamp(now + pause(outgoing.tries), now + LONGEST_PAUSE);
                outgoing.tries = outgoing.tries.saturating_add(1);
                (outgoing.retry_at, outgoing.is_under_way) = (at, false);
                self.outgoing = Some(outgoing);
                Some(at)
            }
        }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        let outgoing = self.outgoing.as_ref();
        Standing {
            delivered: self.delivered,
            failure: self.failure.clone(),
            waiting: self.pending.len() + outgoing.map_or(0, |outgoing| outgoing.digest.events.len()),
            next_try: outgoing.filter(|outgoing| !outgoing.is_under_way).map(|outgoing| outgoing.retry_at),
        }
    }

    fn push(&mut self, event: Event) {
        if self.pending.len() < MOST_PENDING {
            self.pending.push(event);
        } else {
            self.lose(1);
        }
    }

    fn repeat(&mut self, event: Event) {
        let has_room = self.repeated.len() < MOST_PENDING;
        let is_same = |known: &&mut Repeated| known.kind == event.kind && known.subject == event.subject;
        match self.repeated.iter_mut().find(is_same) {
            Some(known) => known.times = known.times.saturating_add(1),
            None if has_room => {
                self.repeated.push(Repeated { kind: event.kind, subject: event.subject, times: 1 });
            }
            None => self.lose(1),
        }
    }

    fn gather(&mut self, id: String) -> Digest {
        let rest = self.pending.split_off(self.pending.len().min(MOST_IN_ONE));
        Digest {
            id,
            events: std::mem::replace(&mut self.pending, rest),
            repeated: std::mem::take(&mut self.repeated),
            lost: std::mem::take(&mut self.lost),
            unsure: std::mem::take(&mut self.unsure),
        }
    }

    /// When the hour has room for a message.
    fn next_free(&self, now: Timestamp) -> Timestamp {
        let mut sent: Vec<_> = self.sent.iter().filter(|at| is_within(**at, HOUR, now)).collect();
        sent.sort();
        let blocking = sent.len().checked_sub(MOST_AN_HOUR).and_then(|index| sent.get(index));
        blocking.map_or(now, |at| **at + HOUR)
    }
}

/// After so many failures: a minute, doubled each time.
fn pause(tries: u32) -> Duration {
    (FIRST_PAUSE * 2u32.saturating_pow(tries.min(16))).min(LONGEST_PAUSE)
}

/// What happens together is told together.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = HOUR;
const GIVE_UP: Duration = Duration::from_secs(3 * 86_400);
const HOUR: Duration = Duration::from_secs(3600);
const MOST_AN_HOUR: usize = 6;
/// Events in one message.
const MOST_IN_ONE: usize = 50;
/// Events that wait.
const MOST_PENDING: usize = 500;
