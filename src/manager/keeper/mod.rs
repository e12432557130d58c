//! The task of one certificate that is issued to us.
//!
//! Here it lives and sleeps. What it does: [`order`], [`information`], [`seen`], [`disk`], and [`granted`] what is wished for.

mod disk;
mod granted;
mod information;
mod order;
mod rehearse;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use super::parts::{Leaf as _, NotSeen, Parts};
use super::wish::Wish;
use super::{Gate, Life, Reins, Slot, Snapshot, asked, uncovered};
use crate::lifecycle::{Event, Failure, LastFailure, Lifecycle, Origin, Reason, Record, Retry, Served, Step, Why};
use crate::source::{CertificateSettings, Settings};
use crate::store::Meta;
use crate::time::Timestamp;
pub(super) use rehearse::outcome as rehearsal_outcome;
use seen::{Before, Young};

/// Keeps one certificate issued, renewed and served.
pub(crate) struct Keeper<P: Parts> {
    parts: Arc<P>,
    settings: CertificateSettings,
    slot: Slot<P::Identity>,
    life: Lifecycle,
    /// What is served.
    identity: Option<P::Identity>,
    /// Generation in the store of what is served.
    generation: Option<u64>,
    /// What is known of what is served; `None` for a placeholder.
    meta: Option<Meta>,
    /// The record as it lies in the store.
    kept: Option<Record>,
    /// The store was read once.
    has_looked: bool,
    /// Why what is served is not in the store.
    unsaved: Option<LastFailure>,
    /// Why what is served is not what the store should give.
    damage: Option<LastFailure>,
    /// Why the pointer in the store names no generation.
    unpointed: Option<String>,
    /// Another process has been seen to order.
    waits_for_other: bool,
    /// The plan that was told last.
    told: Option<(Option<Timestamp>, Why)>,
    /// What was told last of why nobody has seen the certificate.
    unseen: Option<NotSeen>,
    /// Looks in a row that did not show it.
    looks_in_vain: u32,
    /// What was served before, to come back to.
    before: Option<Before<P::Identity>>,
    /// What is served came lately, and is looked for again.
    young: Option<Young>,
    /// What operators ask for; `None` when nobody can.
    wishes: Option<mpsc::Receiver<Wish>>,
    reins: Reins,
}

impl<P: Parts> Keeper<P> {
    /// Publishes what there is: the stored certificate, a fresh one from the internal CA, else `meanwhile` as long as it is
    /// good, else a placeholder.
    pub(crate) async fn begin(
        parts: Arc<P>,
        settings: CertificateSettings,
        slot: Slot<P::Identity>,
        meanwhile: Option<P::Identity>,
    ) -> Self {
        let asked = asked::asked(&settings);
        let life = Lifecycle::open(None, asked, Served::Placeholder, false, parts.now(), &mut parts.chance());
        let mut keeper = Self {
            parts,
            settings,
            slot,
            life,
            identity: None,
            generation: None,
            meta: None,
            kept: None,
            has_looked: false,
            unsaved: None,
            damage: None,
            unpointed: None,
            waits_for_other: false,
            told: None,
            unseen: None,
            looks_in_vain: 0,
            before: None,
            young: None,
            wishes: None,
            reins: Reins::default(),
        };
        keeper.look_unlocked().await;
        keeper.mend_pointer().await;
        keeper.recall_before().await;
        if let Step::Obtain { kind, ca, .. } = keeper.life.poll(keeper.now())
            && keeper.settings.source == Settings::Internal
        {
            keeper.obtain(kind, ca).await;
        }
        if keeper.identity.is_none() {
            keeper.serve_meanwhile(meanwhile);
        }
        keeper.show();
        keeper
    }

    /// Does what is wished for on this channel, between what has to be done, and lets itself be ended by these.
    pub(super) fn heeding(self, wishes: mpsc::Receiver<Wish>, reins: Reins) -> Self {
        Self { wishes: Some(wishes), reins, ..self }
    }

    /// Lives until it is aborted.
    pub(crate) async fn run(mut self, gate: Gate) {
        loop {
            self.save_late().await;
            self.adopt().await;
            self.look_for_it().await;
            self.rehearse_when_due(&gate).await;
            let wish = match self.life.poll(self.now()) {
                Step::Wait { until, why } => self.wait(until, why).await,
                Step::AskRenewalInfo => {
                    let _turn = gate.turn().await;
                    self.ask_renewal_info().await;
                    None
                }
                Step::Obtain { kind, ca, .. } => match self.obtain_when_open(kind, ca, &gate).await {
                    true => None,
                    false => self.wait_for_other().await,
                },
            };
            if let Some(wish) = wish {
                self.grant(wish, &gate).await;
            }
        }
    }

    /// The holder's certificate is looked for when it has had some time.
    async fn wait_for_other(&mut self) -> Option<Wish> {
        if !std::mem::replace(&mut self.waits_for_other, true) {
            let (certificate, holder) = (&self.settings.name, self.parts.lock_holder(&self.settings.name).await);
            let holder = holder.unwrap_or_else(|| "unknown".to_owned());
            info!(certificate, holder, "another process orders it: waiting for its certificate");
        }
        self.sleep_or_wish(self.now() + LOCK_PAUSE).await
    }

    /// Waits until something is to be done, or wished for.
    async fn wait(&mut self, until: Option<Timestamp>, why: Why) -> Option<Wish> {
        self.show();
        if self.told != Some((until, why)) {
            self.told = Some((until, why));
            self.tell(&Event::Planned { at: until, why });
        }
        let now = self.now();
        let longest = now
            + match (&self.unsaved, self.life.unseen()) {
                (None, None) => LONGEST_WAIT,
                (Some(_), None) => SAVE_PAUSE,
                (_, Some(_)) => LOOK_PAUSE * (1 << self.looks_in_vain.min(5)),
            };
        let next_look = self.young.as_ref().map(Young::next_look);
        let wake = until.into_iter().chain(self.life.info_due(now)).chain(next_look).min();
        self.sleep_or_wish(wake.map_or(longest, |wake| wake.min(longest))).await
    }

    async fn sleep_or_wish(&mut self, wake: Timestamp) -> Option<Wish> {
        let wake = wake.shifted(self.ahead());
        let Some(wishes) = &mut self.wishes else {
            self.parts.sleep_until(wake).await;
            return None;
        };
        tokio::select! {
            () = self.reins.nudged() => None,
            wish = wishes.recv() => {
                if wish.is_none() {
                    self.wishes = None;
                }
                wish
            }
            () = self.parts.sleep_until(wake) => None,
        }
    }

    /// What was served from files, before the settings asked for another source; else a placeholder.
    fn serve_meanwhile(&mut self, identity: Option<P::Identity>) {
        let now = self.now();
        let is_good = |identity: &P::Identity| now <= identity.validity().not_after && self.is_usable(identity);
        match identity.filter(is_good) {
            Some(identity) => self.serve(identity, Origin::Files),
            None => self.serve_placeholder(),
        }
    }

    fn serve_placeholder(&mut self) {
        match self.parts.placeholder(&self.settings.identifiers) {
            Some(identity) => self.serve(identity, Origin::Placeholder),
            None => self
                .tell(&Event::Trouble { failure: failure(Reason::Storage, "no placeholder can be made".to_owned()) }),
        }
    }

    fn serve(&mut self, identity: P::Identity, origin: Origin) {
        let activated = self.publish(identity, origin);
        self.tell(&activated);
    }

    /// Gives handshakes the identity, and its caller what there is to tell.
    fn publish(&mut self, identity: P::Identity, origin: Origin) -> Event {
        self.parts.publish(&self.settings.name, &identity, origin == Origin::Placeholder);
        let uncovered = match origin {
            Origin::Placeholder => self.settings.identifiers.clone(),
            Origin::Issued | Origin::Store | Origin::Files => uncovered(&identity, &self.settings.identifiers),
        };
        let not_after = identity.validity().not_after;
        self.identity = Some(identity);
        Event::Activated { origin, not_after, uncovered }
    }

    /// A certificate for one of our names at least: better than a placeholder for all of them.
    fn is_usable(&self, identity: &P::Identity) -> bool {
        uncovered(identity, &self.settings.identifiers).len() < self.settings.identifiers.len()
    }

    fn show(&self) {
        let unsaved = self.unsaved.as_ref().or(self.damage.as_ref()).cloned();
        let life = Life::Issued { life: Box::new(self.life.clone()), unsaved };
        let issued_by = self.issued_by().map(str::to_owned);
        self.slot.store(Arc::new(Snapshot { life, identity: self.identity.clone(), issued_by }));
    }

    fn tell(&self, event: &Event) {
        self.parts.event(&self.settings.name, event);
    }

    /// The time, as well as it is known: a clock of ours that is wrong would have certificates renewed outside of the window in
    /// which Let's Encrypt lifts its limits, or too late.
    fn now(&self) -> Timestamp {
        self.by_cas(self.parts.now())
    }

    /// A time that our clock has counted.
    fn by_cas(&self, ours: Timestamp) -> Timestamp {
        ours.shifted(-self.ahead())
    }

    /// Seconds that our clock is ahead.
    fn ahead(&self) -> i64 {
        if self.life.goes_by_cas() { self.parts.ahead().unwrap_or(0) } else { 0 }
    }
}

pub(super) fn failure(reason: Reason, detail: String) -> Failure {
    Failure { reason, retry: Retry::Backoff, detail, fix: None }
}

const LOCK_PAUSE: Duration = Duration::from_secs(5);
/// After the first look for what nobody has seen yet; twice as long after each, up to a minute.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
const SAVE_PAUSE: Duration = Duration::from_secs(15);

/// Wall time jumps, and another process may have got a certificate.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
