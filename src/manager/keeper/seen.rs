//! Success means seen: whether clients get what was got, and the way back when they do not.

use std::time::Duration;

use super::super::asked;
use super::super::parts::{Leaf as _, NotSeen, Parts};
use super::super::wish::{Fate, fate};
use super::Keeper;
use super::disk::storage;
use crate::lifecycle::{Event, Failure, Kind, Origin, Reason, Retry};
use crate::store::Meta;
use crate::time::Timestamp;

/// What was served before a new identity.
#[derive(Clone)]
pub(super) struct Before<I> {
    pub(super) identity: I,
    generation: Option<u64>,
    meta: Option<Meta>,
    /// The success that it was.
    last_success: Option<Timestamp>,
}

/// What came lately.
pub(super) struct Young {
    since: Timestamp,
    /// So often it has been looked for, beside the first time.
    looks: usize,
}

impl Young {
    const fn new(since: Timestamp) -> Self {
        Self { since, looks: 0 }
    }

    /// When to look for it again.
    pub(super) fn next_look(&self) -> Timestamp {
        self.since + LOOKS[self.looks.min(LOOKS.len() - 1)]
    }

    /// It was looked for; `None` when that is enough.
    fn looked(self) -> Option<Self> {
        let looks = self.looks + 1;
        (looks < LOOKS.len()).then_some(Self { looks, ..self })
    }
}

impl<P: Parts> Keeper<P> {
    /// Looks whether clients get what was issued: as long as nobody has seen it, since the listeners are not open or do not
    /// answer, and some times more while it is young.
    pub(super) async fn look_for_it(&mut self) {
        let kind = self.life.unseen();
        let is_due = self.young.as_ref().is_some_and(|young| young.next_look() <= self.now());
        let Some(identity) = self.identity.clone().filter(|_| kind.is_some() || is_due) else { return };
        let before = self.before.clone().filter(|before| self.now() <= before.identity.validity().not_after);
        let seen = self.parts.seen(&self.settings.name, &identity).await;
        // What was wrong with the one before too is not compared each time: clients would get them by turns.
        let is_old = matches!(&seen, Err(not_seen) if self.unseen.as_ref() == Some(not_seen));
        let fate = match before.as_ref().filter(|_| !is_old) {
            Some(before) => self.compare(seen, &identity, &before.identity).await,
            None => fate(seen, None),
        };
        if is_due {
            self.young = self.young.take().and_then(Young::looked);
        }
        match (fate, kind) {
            (Fate::GoBack(not_seen), _) => {
                if let Some(before) = before {
                    self.retract(kind.unwrap_or(Kind::Renew), before, &not_seen).await;
                }
            }
            (Fate::Seen, Some(kind)) => {
                self.life.seen(self.now());
                self.tell_success(kind, &identity).await;
            }
            (Fate::Unseen(not_seen), Some(_)) => {
                self.looks_in_vain = self.looks_in_vain.saturating_add(1);
                self.tell_unseen(not_seen);
            }
            // What the listeners show is told by those who look at them each minute.
            (Fate::Seen | Fate::Unseen(_), None) => {}
        }
        if self.young.is_none() && self.life.unseen().is_none() {
            self.before = None;
        }
    }

    /// Finds what was served before a certificate that nobody had seen when the process ended.
    pub(super) async fn recall_before(&mut self) {
        let number = self.generation.filter(|_| self.life.unseen().is_some()).and_then(|number| number.checked_sub(1));
        let Some(number) = number else { return };
        // Where it cannot be read there is nothing to come back to.
        let Ok((identity, meta)) = self.parts.load_generation(&self.settings.name, number).await else { return };
        let is_wanted = meta.product == asked::asked(&self.settings).product;
        if is_wanted && self.now() <= identity.validity().not_after {
            let last_success = Some(meta.issued_at);
            self.before = Some(Before { identity, generation: Some(number), meta: Some(meta), last_success });
        }
    }

    /// It is issued, kept, served and seen.
    async fn tell_success(&mut self, kind: Kind, identity: &P::Identity) {
        self.unseen = None;
        self.show();
        let ca = self.issued_by().map_or_else(|| asked::issuer(&self.settings.source), asked::host);
        self.tell(&Event::Issued { kind, validity: identity.validity(), serial: identity.serial(), ca });
        if let Err(error) = self.save_record().await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    fn tell_unseen(&mut self, not_seen: NotSeen) {
        let is_news = self.unseen.as_ref().is_none_or(|told| told.detail != not_seen.detail);
        let told = self.unseen.insert(not_seen);
        if is_news {
            let detail = told.detail.clone();
            self.tell(&Event::Unseen { detail });
        }
    }

    /// Serves what was got, and looks whether handshakes get it. When they do not, the one before comes back.
    pub(super) async fn serve_new(
        &mut self,
        kind: Kind,
        ca: usize,
        identity: P::Identity,
        before: Option<Before<P::Identity>>,
    ) {
        let validity = identity.validity();
        (self.looks_in_vain, self.unseen) = (0, None);
        let activated = self.publish(identity.clone(), Origin::Issued);
        let fate = self.fate(&identity, before.as_ref().map(|before| &before.identity)).await;
        if let (Fate::GoBack(not_seen), Some(before)) = (&fate, &before) {
            return self.roll_back(kind, ca, before.clone(), not_seen).await;
        }
        let now = self.now();
        self.young = before.is_some().then(|| Young::new(now));
        self.before = before;
        self.life.succeeded(kind, validity, now, &mut self.parts.chance());
        self.tell(&activated);
        match fate {
            Fate::Seen => {
                self.life.seen(self.now());
                return self.tell_success(kind, &identity).await;
            }
            Fate::Unseen(not_seen) | Fate::GoBack(not_seen) => self.tell_unseen(not_seen),
        }
        if let Err(error) = self.save_record().await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    /// Looks whether clients get what was just published.
    pub(super) async fn fate(&self, new: &P::Identity, before: Option<&P::Identity>) -> Fate {
        let seen = self.parts.seen(&self.settings.name, new).await;
        match before {
            Some(before) => self.compare(seen, new, before).await,
            None => fate(seen, None),
        }
    }

    /// Where something is certainly wrong, serves the one before for a moment, and looks for it in the same way: only what the
    /// new one alone has wrong speaks against it.
    async fn compare(&self, seen: Result<(), NotSeen>, new: &P::Identity, before: &P::Identity) -> Fate {
        if !matches!(&seen, Err(not_seen) if not_seen.is_certain) {
            return fate(seen, None);
        }
        let name = &self.settings.name;
        self.parts.publish(name, before, false);
        let fate = fate(seen, Some(self.parts.seen(name, before).await));
        if !matches!(fate, Fate::GoBack(_)) {
            self.parts.publish(name, new, false);
        }
        fate
    }

    /// What is served and valid, to come back to; `None` for a placeholder, which is no better than anything.
    pub(super) fn served(&self) -> Option<Before<P::Identity>> {
        let validity = self.life.served().validity().filter(|validity| self.now() <= validity.not_after)?;
        let identity = self.identity.clone().filter(|identity| identity.validity() == validity)?;
        let (generation, meta) = (self.generation, self.meta.clone());
        let last_success = self.life.status(self.now()).last_success;
        Some(Before { identity, generation, meta, last_success })
    }

    /// What had counted as got, and perhaps as seen, makes way for the one before.
    async fn retract(&mut self, kind: Kind, before: Before<P::Identity>, not_seen: &NotSeen) {
        let product = before.meta.as_ref().map_or("", |meta| meta.product.as_str());
        let validity = before.identity.validity();
        self.life.took_back(product, validity, before.last_success, &mut self.parts.chance());
        self.roll_back(kind, self.issuing_ca(), before, not_seen).await;
    }

    async fn roll_back(&mut self, kind: Kind, ca: usize, before: Before<P::Identity>, not_seen: &NotSeen) {
        let failure = not_served(not_seen);
        let is_kept = self.unsaved.take().is_none();
        self.life.refuse(self.generation.filter(|_| is_kept));
        let generation = before.generation;
        (self.generation, self.meta) = (generation, before.meta);
        (self.before, self.young, self.unseen) = (None, None, None);
        // Whoever dies from here on finds what was got, and orders no other.
        let _ = self.save_record().await;
        if let Some(generation) = generation
            && let Err(error) = self.parts.point_to(&self.settings.name, generation).await
        {
            self.note_damage(storage(&error));
        }
        let activated = self.publish(before.identity, Origin::Store);
        self.tell(&Event::RolledBack { failure: failure.clone() });
        self.tell(&activated);
        self.fail(kind, ca, failure).await;
    }
}

fn not_served(not_seen: &NotSeen) -> Failure {
    Failure {
        reason: Reason::NotServed,
        retry: Retry::Backoff,
        detail: format!("handshakes do not get the new certificate: {not_seen}"),
        fix: Some("find out who else answers on that address, then ask with `portvakt cert renew`".to_owned()),
    }
}

/// When a certificate that has come is looked for again. Whatever is to be wrong with it alone shows by then.
const LOOKS: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(1_200), Duration::from_secs(3_600)];
