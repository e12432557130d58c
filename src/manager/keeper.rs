//! The task of one certificate that is issued to us.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::parts::{Leaf as _, NotSeen, Parts};
use super::wish::{Fate, Wish, fate};
use super::{Gate, Life, Slot, Snapshot, asked, uncovered};
use crate::causes::with_causes;
use crate::lifecycle::{
    Event, Failure, InfoAnswer, InfoStatus, Kind, LastFailure, Lifecycle, Origin, Reason, Record, Retry, Served, Step,
    Why,
};
use crate::source::{self, AcmeSettings, CertificateSettings, Settings};
use crate::store::{Meta, StoreError, Stored};
use crate::time::Timestamp;

/// Keeps one certificate issued, renewed and served.
pub(crate) struct Keeper<P: Parts> {
    pub(super) parts: Arc<P>,
    pub(super) settings: CertificateSettings,
    slot: Slot<P::Identity>,
    pub(super) life: Lifecycle,
    /// What is served.
    pub(super) identity: Option<P::Identity>,
    /// Generation in the store of what is served.
    pub(super) generation: Option<u64>,
    /// Directory of the ACME CA that has issued what is served.
    pub(super) issued_by: Option<String>,
    /// The record as it lies in the store.
    kept: Option<Record>,
    /// The store was read once.
    has_looked: bool,
    /// An issued identity that the disk has refused.
    pub(super) unsaved: Option<Unsaved<P::Identity>>,
    /// Why what is served is not what the store should give.
    pub(super) damage: Option<LastFailure>,
    /// Why the pointer in the store names no generation.
    unpointed: Option<String>,
    /// Another process has been seen to order.
    waits_for_other: bool,
    /// The plan that was told last.
    told: Option<(Option<Timestamp>, Why)>,
    /// What was told last of why nobody has seen the certificate.
    unseen: Option<String>,
    /// Looks in a row that did not show it.
    looks_in_vain: u32,
    /// What operators ask for; `None` when nobody can.
    wishes: Option<mpsc::Receiver<Wish>>,
}

impl<P: Parts> Keeper<P> {
    /// Publishes what there is: the stored certificate, a fresh one from the internal CA, else a placeholder.
    pub(crate) async fn begin(parts: Arc<P>, settings: CertificateSettings, slot: Slot<P::Identity>) -> Self {
        let asked = asked::asked(&settings);
        let life = Lifecycle::open(None, asked, Served::Placeholder, false, parts.now(), &mut parts.chance());
        let mut keeper = Self {
            parts,
            settings,
            slot,
            life,
            identity: None,
            generation: None,
            issued_by: None,
            kept: None,
            has_looked: false,
            unsaved: None,
            damage: None,
            unpointed: None,
            waits_for_other: false,
            told: None,
            unseen: None,
            looks_in_vain: 0,
            wishes: None,
        };
        keeper.look().await;
        keeper.mend_pointer().await;
        if let Step::Obtain { kind, ca, .. } = keeper.life.poll(keeper.now())
            && keeper.settings.source == Settings::Internal
        {
            keeper.obtain(kind, ca).await;
        }
        if keeper.identity.is_none() {
            keeper.serve_placeholder();
        }
        keeper.show();
        keeper
    }

    /// Does what is wished for on this channel, between what has to be done.
    pub(super) fn heeding(self, wishes: mpsc::Receiver<Wish>) -> Self {
        Self { wishes: Some(wishes), ..self }
    }

    /// Lives until it is aborted.
    pub(crate) async fn run(mut self, gate: Gate) {
        loop {
            self.save_late().await;
            self.adopt().await;
            self.look_for_it().await;
            match self.life.poll(self.now()) {
                Step::Wait { until, why } => {
                    if let Some(wish) = self.wait(until, why).await {
                        self.grant(wish, &gate).await;
                    }
                }
                Step::AskRenewalInfo => {
                    let _turn = gate.turn().await;
                    self.ask_renewal_info().await;
                }
                Step::Obtain { kind, ca, .. } if self.obtain_when_open(kind, ca, &gate).await => {}
                // The holder's certificate is looked for when it has had some time.
                Step::Obtain { .. } => {
                    if !std::mem::replace(&mut self.waits_for_other, true) {
                        info!(
                            certificate = self.settings.name,
                            "another process orders it: waiting for its certificate"
                        );
                    }
                    self.parts.sleep_until(self.now() + LOCK_PAUSE).await;
                }
            }
        }
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
        let wake = until.into_iter().chain(self.life.info_due(now)).min();
        let wake = wake.map_or(longest, |wake| wake.min(longest));
        let Some(wishes) = &mut self.wishes else {
            self.parts.sleep_until(wake).await;
            return None;
        };
        tokio::select! {
            wish = wishes.recv() => {
                if wish.is_none() {
                    self.wishes = None;
                }
                wish
            }
            () = self.parts.sleep_until(wake) => None,
        }
    }

    /// Looks whether clients get what was issued, as long as nobody has seen it: before the listeners are open, or while
    /// they do not answer.
    async fn look_for_it(&mut self) {
        let (Some(kind), Some(identity)) = (self.life.unseen(), self.identity.clone()) else { return };
        match self.parts.seen(&self.settings.name, &identity).await {
            Ok(()) => {
                self.life.seen(self.now());
                self.tell_success(kind, &identity).await;
            }
            Err(not_seen) => {
                self.looks_in_vain = self.looks_in_vain.saturating_add(1);
                self.tell_unseen(not_seen);
            }
        }
    }

    /// It is issued, kept, served and seen.
    async fn tell_success(&mut self, kind: Kind, identity: &P::Identity) {
        self.unseen = None;
        self.show();
        let ca = self.issued_by.as_deref().map_or_else(|| asked::issuer(&self.settings.source), asked::host);
        self.tell(&Event::Issued { kind, validity: identity.validity(), serial: identity.serial(), ca });
        if let Err(error) = self.save_record().await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    fn tell_unseen(&mut self, not_seen: NotSeen) {
        if self.unseen.as_ref() != Some(&not_seen.detail) {
            self.unseen = Some(not_seen.detail.clone());
            self.tell(&Event::Unseen { detail: not_seen.detail });
        }
    }

    /// Asks the CA that has issued what is served when it wants that to be renewed.
    async fn ask_renewal_info(&mut self) {
        let answer = match (self.issuer(), &self.identity) {
            (Some(ca), Some(identity)) => self.parts.renewal_info(ca, identity).await,
            // Of a CA that is in the settings no more, or from before it was kept which one it was.
            _ => InfoAnswer::NotOffered,
        };
        let asked_about = self.life.served();
        // What another process has noted meanwhile must not be lost; while it orders, it alone writes.
        let guard = self.lock().await.ok().flatten();
        if guard.is_some() {
            self.look().await;
        }
        if self.life.served() == asked_about {
            let before = self.life.status(self.now()).info;
            self.life.informed(answer, self.now(), &mut self.parts.chance());
            self.tell_of_info(before);
        }
        // Without it the CA is asked once more after a restart.
        if guard.is_some()
            && let Err(error) = self.save_record().await
        {
            debug!(
                certificate = self.settings.name,
                error = with_causes(&error),
                "cannot keep the renewal information"
            );
        }
        self.show();
    }

    fn tell_of_info(&self, before: Option<InfoStatus>) {
        let status = self.life.status(self.now());
        let Some(info) = status.info else { return };
        let (window, trouble) = before.map_or((None, None), |before| (before.window, before.trouble));
        match (info.window, info.trouble) {
            (_, Some(new)) if trouble.as_ref() != Some(&new) => self.tell(&Event::Uninformed { trouble: new }),
            (Some(new), _) if window.as_ref() != Some(&new) => {
                self.tell(&Event::Informed { window: new, due: status.renewal_due });
            }
            _ => {}
        }
    }

    /// The CA that has issued what is served, when it is still in the settings.
    fn issuer(&self) -> Option<&AcmeSettings> {
        let Settings::Acme(cas) = &self.settings.source else { return None };
        cas.of(self.issued_by.as_deref()?)
    }

    pub(super) async fn obtain_when_open(&mut self, kind: Kind, ca: usize, gate: &Gate) -> bool {
        let _turn = gate.turn().await;
        self.obtain(kind, ca).await
    }

    /// One attempt under the store's lock, unless it turns out that another process has got what was wanted.
    ///
    /// False when somebody else holds the lock.
    async fn obtain(&mut self, kind: Kind, ca: usize) -> bool {
        let guard = match self.lock().await {
            Ok(Some(guard)) => guard,
            Ok(None) => return false,
            Err(error) => {
                self.fail(kind, ca, storage(&error)).await;
                return true;
            }
        };
        self.waits_for_other = false;
        self.look().await;
        if let Step::Obtain { kind, why, ca } = self.life.poll(self.now()) {
            self.attempt(kind, why, ca).await;
        }
        drop(guard);
        true
    }

    async fn attempt(&mut self, kind: Kind, why: Why, ca: usize) {
        let failures = self.life.record().consecutive_failures;
        self.life.begin(kind, ca, self.now());
        // A CA is called only when the next start will know of it.
        if let Err(error) = self.save_record().await {
            return self.fail(kind, ca, storage(&error)).await;
        }
        self.show();
        match self.kept_back(why).await {
            Ok(Some(stored)) => return self.try_again(kind, ca, stored).await,
            Ok(None) => {}
            // It may be good: no other is ordered before the disk says so.
            Err(error) => return self.fail(kind, ca, storage(&error)).await,
        }
        self.tell(&Event::Attempt { kind, why, failures, ca: self.issuer_label(ca) });
        match self.ask(failures, ca).await {
            Ok(identity) => self.succeed(kind, identity, ca).await,
            Err(failure) => self.fail(kind, ca, failure).await,
        }
    }

    /// What was got before and did not reach clients. It was no fault of the CA's, and another order would count there.
    async fn kept_back(&mut self, why: Why) -> Result<Option<Stored<P::Identity>>, StoreError> {
        let Some(number) = self.life.refused().filter(|_| why != Why::Requested) else { return Ok(None) };
        let name = self.settings.name.clone();
        self.parts.point_to(&name, number).await?;
        let product = asked::asked(&self.settings).product;
        let is_good = |stored: &Stored<P::Identity>| {
            let is_it = stored.generation == number && stored.meta.product == product;
            is_it && self.now() < stored.identity.validity().emergency()
        };
        let stored = match self.load_identity().await {
            Ok(stored) => stored.filter(is_good),
            Err(StoreError::NoneReadable { .. }) => None,
            Err(error) => return Err(error),
        };
        if stored.is_none() {
            self.life.refuse(None);
            if let Some(generation) = self.generation {
                // A disk that refuses says so again when the next certificate is to be kept.
                let _ = self.parts.point_to(&name, generation).await;
            }
        }
        Ok(stored)
    }

    async fn try_again(&mut self, kind: Kind, ca: usize, stored: Stored<P::Identity>) {
        let (certificate, generation) = (&self.settings.name, stored.generation);
        info!(certificate, generation, "trying again whether clients get the certificate that is there");
        let before = self.served();
        self.generation = Some(generation);
        self.issued_by = stored.meta.directory.or_else(|| former_directory(&stored.meta.source));
        self.serve_new(kind, ca, stored.identity, before).await;
    }

    async fn ask(&self, failures: u32, ca: usize) -> Result<P::Identity, Failure> {
        let order = source::Order {
            certificate: self.settings.name.clone(),
            identifiers: self.settings.identifiers.clone(),
            failures,
        };
        let is_same_ca = self.issued_by.is_some() && self.issued_by.as_deref() == self.directory(ca);
        let replaces = self.identity.as_ref().filter(|_| is_same_ca);
        unpanicked(self.parts.obtain(&self.settings.source, ca, &order, replaces)).await
    }

    /// Keeps and serves a new identity.
    async fn succeed(&mut self, kind: Kind, identity: P::Identity, ca: usize) {
        let now = self.now();
        let directory = self.directory(ca).map(str::to_owned);
        let meta = Meta {
            source: asked::issued_by(&self.settings.source, directory.as_deref()),
            issued_at: now,
            identifiers: self.settings.identifiers.clone(),
            product: asked::asked(&self.settings).product,
            directory: directory.clone(),
        };
        let before = self.served();
        self.issued_by = directory;
        if let Err(error) = self.save_identity(&identity, &meta).await {
            let failure = storage(&error);
            self.tell(&Event::Trouble { failure: failure.clone() });
            self.unsaved = Some(Unsaved { identity: identity.clone(), meta, failure: failure.noted(now) });
        }
        self.serve_new(kind, ca, identity, before).await;
    }

    /// Serves what was got, and looks whether handshakes get it. When they do not, the one before comes back.
    async fn serve_new(&mut self, kind: Kind, ca: usize, identity: P::Identity, before: Option<Before<P::Identity>>) {
        let validity = identity.validity();
        self.looks_in_vain = 0;
        let activated = self.publish(identity.clone(), Origin::Issued);
        let fate = self.fate(&identity, before.as_ref().map(|before| &before.identity)).await;
        if let (Fate::GoBack(not_seen), Some(before)) = (&fate, before) {
            return self.roll_back(kind, ca, before, not_seen).await;
        }
        self.life.succeeded(kind, validity, self.now(), &mut self.parts.chance());
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

    /// Looks whether clients get what was just published. Where something is wrong, the one before is served for a moment and
    /// looked for in the same way: only what the new one alone has wrong speaks against it.
    pub(super) async fn fate(&self, new: &P::Identity, before: Option<&P::Identity>) -> Fate {
        let name = &self.settings.name;
        let seen = self.parts.seen(name, new).await;
        let is_wrong = matches!(&seen, Err(not_seen) if not_seen.is_certain);
        let Some(before) = before.filter(|_| is_wrong) else { return fate(seen, None) };
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
        Some(Before { identity, generation: self.generation, issued_by: self.issued_by.clone() })
    }

    async fn roll_back(&mut self, kind: Kind, ca: usize, before: Before<P::Identity>, not_seen: &NotSeen) {
        let failure = not_served(not_seen);
        let is_kept = self.unsaved.take().is_none();
        self.life.refuse(self.generation.filter(|_| is_kept));
        self.generation = before.generation;
        self.issued_by = before.issued_by;
        // Whoever dies from here on finds what was got, and orders no other.
        let _ = self.save_record().await;
        if let Some(generation) = before.generation
            && let Err(error) = self.parts.point_to(&self.settings.name, generation).await
        {
            self.note_damage(storage(&error));
        }
        let activated = self.publish(before.identity, Origin::Store);
        self.tell(&Event::RolledBack { failure: failure.clone() });
        self.tell(&activated);
        self.fail(kind, ca, failure).await;
    }

    /// Label of metrics.
    fn issuer_label(&self, ca: usize) -> String {
        match self.directory(ca) {
            Some(directory) => asked::host(directory),
            None => asked::issuer(&self.settings.source),
        }
    }

    /// Directory of the CA of this index; `None` for other sources.
    fn directory(&self, ca: usize) -> Option<&str> {
        match &self.settings.source {
            Settings::Acme(cas) => cas.get(ca).map(|ca| ca.directory.as_str()),
            Settings::Internal | Settings::Files(_) => None,
        }
    }

    async fn fail(&mut self, kind: Kind, ca: usize, failure: Failure) {
        self.life.failed(&failure, self.now(), &mut self.parts.chance());
        let consecutive = self.life.record().consecutive_failures;
        // First of all: whoever is killed from here on still waits as long as the CA has asked him to.
        let saved = self.save_record().await;
        self.show();
        self.tell(&Event::Failed { kind, failure, consecutive, ca: self.issuer_label(ca) });
        if let Err(error) = saved {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    /// Saves what the disk has refused before.
    async fn save_late(&mut self) {
        let Some(Unsaved { identity, meta, .. }) = self.unsaved.clone() else { return };
        let Ok(Some(_guard)) = self.lock().await else { return };
        if self.save_identity(&identity, &meta).await.is_ok() {
            // The record may still be refused; another generation of the same certificate would not mend that.
            self.unsaved = None;
            info!(certificate = self.settings.name, "the certificate is in the store now");
            if let Err(error) = self.save_record().await {
                self.note_damage(storage(&error));
            }
        }
    }

    /// Takes over what another process on the same state directory has got.
    async fn adopt(&mut self) {
        if self.unsaved.is_some() {
            return;
        }
        let Ok(Some(stored)) = self.load_identity().await else { return };
        let is_refused = self.life.refused() == Some(stored.generation);
        let is_new = Some(stored.generation) != self.generation && stored.fallback.is_none() && !is_refused;
        if is_new && self.is_usable(&stored.identity) {
            let mut record = self.load_record().await;
            // It has ended, or it is the other's own.
            record.iter_mut().for_each(|record| record.attempt = None);
            self.take_up(Some(stored), record, false);
        }
    }

    /// Reads the store, and begins again from what is there. Our own view is kept when the disk shows nothing else.
    pub(super) async fn look(&mut self) {
        if self.unsaved.is_some() {
            return;
        }
        let stored = match self.load_identity().await {
            Ok(stored) => stored.filter(|stored| self.is_usable(&stored.identity)),
            Err(error) => {
                self.note_damage(storage(&error));
                None
            }
        };
        if stored.is_none() && self.generation.is_some() {
            // What we serve is gone from the disk, and as good as before.
            return;
        }
        let record = self.load_record().await;
        let is_same = stored.as_ref().map(|stored| stored.generation) == self.generation && record == self.kept;
        if is_same && self.has_looked {
            return;
        }
        let has_order = self.has_order(stored.as_ref()).await;
        self.has_looked = true;
        self.take_up(stored, record, has_order);
    }

    fn take_up(&mut self, stored: Option<Stored<P::Identity>>, record: Option<Record>, has_order: bool) {
        let served =
            stored.as_ref().map_or(Served::Placeholder, |stored| Served::Certificate(stored.identity.validity()));
        let asked = asked::asked(&self.settings);
        self.kept.clone_from(&record);
        let record = match &stored {
            Some(Stored { meta, .. }) => record.map(|record| record.completed(&meta.product, meta.issued_at)),
            None => record,
        };
        self.life = Lifecycle::open(record, asked, served, has_order, self.now(), &mut self.parts.chance());
        if let Some(stored) = stored
            && self.generation != Some(stored.generation)
        {
            self.generation = Some(stored.generation);
            self.issued_by = stored.meta.directory.or_else(|| former_directory(&stored.meta.source));
            self.damage = None;
            if let Some(reason) = stored.fallback {
                let served = format!("generation {} of the certificate is served", stored.generation);
                self.note_damage(failure(Reason::Storage, format!("{served}, not the current one: {reason}")));
            }
            self.unpointed = stored.unpointed;
            self.serve(stored.identity, Origin::Store);
        }
    }

    /// Says that the pointer to the current generation names none, and writes it anew; who holds the lock will write it.
    async fn mend_pointer(&mut self) {
        let Some(reason) = self.unpointed.take() else { return };
        let certificate = &self.settings.name;
        warn!(
            certificate,
            reason, "the newest certificate is served; the pointer to it was unusable, and is written anew"
        );
        let Ok(Some(_guard)) = self.lock().await else { return };
        if let Err(error) = self.parts.mend_pointer(&self.settings.name).await {
            self.note_damage(storage(&error));
        }
    }

    fn note_damage(&mut self, failure: Failure) {
        self.tell(&Event::Trouble { failure: failure.clone() });
        self.damage = Some(failure.noted(self.now()));
    }

    /// Whether an order waits to be gone on with. One that has given the stored certificate is over.
    async fn has_order(&self, stored: Option<&Stored<P::Identity>>) -> bool {
        let Ok(Some(created)) = self.parts.open_order(&self.settings.name).await else { return false };
        if stored.is_none_or(|stored| stored.meta.issued_at < created) {
            return true;
        }
        self.parts.clear_order(&self.settings.name).await.is_err()
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
    pub(super) fn publish(&mut self, identity: P::Identity, origin: Origin) -> Event {
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

    pub(super) async fn lock(&self) -> Result<Option<P::Guard>, StoreError> {
        self.parts.lock(&self.settings.name).await
    }

    pub(super) async fn load_identity(&self) -> Result<Option<Stored<P::Identity>>, StoreError> {
        self.parts.load_identity(&self.settings.name).await
    }

    async fn load_record(&mut self) -> Option<Record> {
        match self.parts.load_record(&self.settings.name).await {
            Ok(record) => record,
            Err(error) => {
                self.tell(&Event::Trouble { failure: storage(&error) });
                self.kept.clone()
            }
        }
    }

    async fn save_identity(&mut self, identity: &P::Identity, meta: &Meta) -> Result<(), StoreError> {
        let saved = self.parts.save_identity(&self.settings.name, identity, meta).await?;
        self.generation = Some(saved);
        self.damage = None;
        // An order that stays is older than the certificate, and is cleared when it is met.
        if let Err(error) = self.parts.clear_order(&self.settings.name).await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        Ok(())
    }

    pub(super) async fn save_record(&mut self) -> Result<(), StoreError> {
        let record = self.life.record().clone();
        self.parts.save_record(&self.settings.name, &record).await?;
        self.kept = Some(record);
        Ok(())
    }

    pub(super) fn show(&self) {
        let unsaved = self.unsaved.as_ref().map(|unsaved| &unsaved.failure).or(self.damage.as_ref()).cloned();
        let life = Life::Issued { life: Box::new(self.life.clone()), unsaved };
        self.slot.store(Arc::new(Snapshot { life, identity: self.identity.clone() }));
    }

    pub(super) fn tell(&self, event: &Event) {
        self.parts.event(&self.settings.name, event);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.parts.now()
    }
}

/// What was served before a new identity.
pub(super) struct Before<I> {
    pub(super) identity: I,
    pub(super) generation: Option<u64>,
    issued_by: Option<String>,
}

/// What waits for the disk.
#[derive(Clone)]
pub(super) struct Unsaved<I> {
    identity: I,
    meta: Meta,
    /// Why it is not there yet.
    failure: LastFailure,
}

/// Turns a panic of a source into a failure: it must not end the certificate's task.
async fn unpanicked<I>(work: impl Future<Output = Result<I, Failure>>) -> Result<I, Failure> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |context| {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            std::task::Poll::Ready(Err(failure(
                Reason::Server,
                "portvakt met a bug of its own: please report it".to_owned(),
            )))
        })
    })
    .await
}

fn storage(error: &StoreError) -> Failure {
    failure(Reason::Storage, with_causes(error))
}

fn not_served(not_seen: &NotSeen) -> Failure {
    Failure {
        reason: Reason::NotServed,
        retry: Retry::Backoff,
        detail: format!("handshakes do not get the new certificate: {not_seen}"),
        fix: Some("find out who else answers on that address, then ask with `portvakt cert renew`".to_owned()),
    }
}

/// An older portvakt kept the directory in the words for people alone.
pub(super) fn former_directory(source: &str) -> Option<String> {
    source.strip_prefix("acme ").map(str::to_owned)
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
