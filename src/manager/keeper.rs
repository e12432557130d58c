//! The task of one certificate that is issued to us.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::{Gate, Life, ManagerParts, Slot, Snapshot, asked, placeholder, uncovered, validity};
use crate::causes::with_causes;
use crate::lifecycle::{
    Event, Failure, Kind, LastFailure, Lifecycle, Origin, Reason, Record, Retry, Served, Step, Why,
};
use crate::pki::Identity;
use crate::source::acme::AcmeSource;
use crate::source::internal::InternalSource;
use crate::source::{self, CertificateSettings, Settings, Source, blocking};
use crate::store::{LockGuard, Meta, Store, StoreError, Stored};
use crate::time::Timestamp;

/// Keeps one certificate issued, renewed and served.
pub(super) struct Keeper {
    parts: Arc<ManagerParts>,
    settings: CertificateSettings,
    slot: Slot,
    life: Lifecycle,
    /// What is served.
    identity: Option<Identity>,
    /// Generation in the store of what is served.
    generation: Option<u64>,
    /// The record as it lies in the store.
    kept: Option<Record>,
    /// The store was read once.
    has_looked: bool,
    /// An issued identity that the disk has refused.
    unsaved: Option<Unsaved>,
    /// Why what is served is not what the store should give.
    damage: Option<LastFailure>,
    /// Why the pointer in the store names no generation.
    unpointed: Option<String>,
    /// Another process has been seen to order.
    waits_for_other: bool,
    /// The plan that was told last.
    told: Option<(Option<Timestamp>, Why)>,
}

impl Keeper {
    /// Publishes what there is: the stored certificate, a fresh one from the internal CA, else a placeholder.
    pub(super) async fn begin(parts: Arc<ManagerParts>, settings: CertificateSettings, slot: Slot) -> Self {
        let life = Lifecycle::open(
            None,
            asked::asked(&settings),
            Served::Placeholder,
            false,
            parts.clock.now(),
            &mut rand::rng(),
        );
        let mut keeper = Self {
            parts,
            settings,
            slot,
            life,
            identity: None,
            generation: None,
            kept: None,
            has_looked: false,
            unsaved: None,
            damage: None,
            unpointed: None,
            waits_for_other: false,
            told: None,
        };
        keeper.look().await;
        keeper.mend_pointer().await;
        if let Step::Obtain { kind, .. } = keeper.life.poll(keeper.now())
            && keeper.settings.source == Settings::Internal
        {
            keeper.obtain(kind).await;
        }
        if keeper.identity.is_none() {
            keeper.serve_placeholder();
        }
        keeper.show();
        keeper
    }

    /// Lives until it is aborted.
    pub(super) async fn run(mut self, gate: Gate) {
        loop {
            self.save_late().await;
            self.adopt().await;
            match self.life.poll(self.now()) {
                Step::Wait { until, why } => self.wait(until, why).await,
                Step::Obtain { kind, .. } if self.obtain_when_open(kind, &gate).await => {}
                // The holder's certificate is looked for when it has had some time.
                Step::Obtain { .. } => {
                    if !std::mem::replace(&mut self.waits_for_other, true) {
                        info!(
                            certificate = self.settings.name,
                            "another process orders it: waiting for its certificate"
                        );
                    }
                    self.parts.clock.sleep_until(self.now() + LOCK_PAUSE).await;
                }
            }
        }
    }

    async fn wait(&mut self, until: Option<Timestamp>, why: Why) {
        self.show();
        if self.told != Some((until, why)) {
            self.told = Some((until, why));
            self.tell(&Event::Planned { at: until, why });
        }
        let longest = self.now() + if self.unsaved.is_some() { SAVE_PAUSE } else { LONGEST_WAIT };
        self.parts.clock.sleep_until(until.map_or(longest, |until| until.min(longest))).await;
    }

    async fn obtain_when_open(&mut self, kind: Kind, gate: &Gate) -> bool {
        let _open = gate.read().await;
        self.obtain(kind).await
    }

    /// One attempt under the store's lock, unless it turns out that another process has got what was wanted.
    ///
    /// False when somebody else holds the lock.
    async fn obtain(&mut self, kind: Kind) -> bool {
        let guard = match self.lock().await {
            Ok(Some(guard)) => guard,
            Ok(None) => return false,
            Err(error) => {
                self.fail(kind, storage(&error)).await;
                return true;
            }
        };
        self.waits_for_other = false;
        self.look().await;
        if let Step::Obtain { kind, why } = self.life.poll(self.now()) {
            self.attempt(kind, why).await;
        }
        drop(guard);
        true
    }

    async fn attempt(&mut self, kind: Kind, why: Why) {
        let failures = self.life.record().consecutive_failures;
        self.life.begin(kind, self.now());
        // A CA is called only when the next start will know of it.
        if let Err(error) = self.save_record().await {
            return self.fail(kind, storage(&error)).await;
        }
        self.show();
        self.tell(&Event::Attempt { kind, why, failures });
        match self.ask(failures).await {
            Ok(identity) => self.succeed(kind, identity).await,
            Err(failure) => self.fail(kind, failure).await,
        }
    }

    async fn ask(&self, failures: u32) -> Result<Identity, Failure> {
        let order = source::Order {
            certificate: self.settings.name.clone(),
            identifiers: self.settings.identifiers.clone(),
            failures,
        };
        let source = self.source()?;
        unpanicked(source.obtain(&order)).await
    }

    async fn succeed(&mut self, kind: Kind, identity: Identity) {
        let (now, validity) = (self.now(), validity(&identity));
        let meta = Meta {
            source: asked::issued_by(&self.settings.source),
            issued_at: now,
            identifiers: self.settings.identifiers.clone(),
            product: asked::asked(&self.settings).product,
        };
        if let Err(error) = self.save_identity(&identity, &meta).await {
            let failure = storage(&error);
            self.tell(&Event::Trouble { failure: failure.clone() });
            self.unsaved = Some(Unsaved { identity: identity.clone(), meta, failure: failure.noted(now) });
        }
        self.life.succeeded(validity, now, &mut rand::rng());
        let serial = identity.chain().leaf().serial.clone();
        let activated = self.publish(identity, Origin::Issued);
        self.show();
        self.tell(&Event::Issued { kind, validity, serial });
        self.tell(&activated);
        if let Err(error) = self.save_record().await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    async fn fail(&mut self, kind: Kind, failure: Failure) {
        self.life.failed(&failure, self.now(), &mut rand::rng());
        let consecutive = self.life.record().consecutive_failures;
        self.show();
        self.tell(&Event::Failed { kind, failure, consecutive });
        if let Err(error) = self.save_record().await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    /// Saves what the disk has refused before.
    async fn save_late(&mut self) {
        let Some(Unsaved { identity, meta, .. }) = self.unsaved.clone() else { return };
        let Ok(Some(_guard)) = self.lock().await else { return };
        if self.save_identity(&identity, &meta).await.is_ok() && self.save_record().await.is_ok() {
            self.unsaved = None;
            info!(certificate = self.settings.name, "the certificate is in the store now");
        }
    }

    /// Takes over what another process on the same state directory has got.
    async fn adopt(&mut self) {
        if self.unsaved.is_some() {
            return;
        }
        let Ok(Some(stored)) = self.load_identity().await else { return };
        let is_new = Some(stored.generation) != self.generation && stored.fallback.is_none();
        if is_new && self.is_usable(&stored.identity) {
            let mut record = self.load_record().await;
            // It has ended, or it is the other's own.
            record.iter_mut().for_each(|record| record.attempt = None);
            self.take_up(Some(stored), record, false);
        }
    }

    /// Reads the store, and begins again from what is there. Our own view is kept when the disk shows nothing else.
    async fn look(&mut self) {
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

    fn take_up(&mut self, stored: Option<Stored>, record: Option<Record>, has_order: bool) {
        let served =
            stored.as_ref().map_or(Served::Placeholder, |stored| Served::Certificate(validity(&stored.identity)));
        let asked = asked::asked(&self.settings);
        self.kept.clone_from(&record);
        let record = match &stored {
            Some(Stored { meta, .. }) => record.map(|record| record.completed(&meta.product, meta.issued_at)),
            None => record,
        };
        self.life = Lifecycle::open(record, asked, served, has_order, self.now(), &mut rand::rng());
        if let Some(stored) = stored
            && self.generation != Some(stored.generation)
        {
            self.generation = Some(stored.generation);
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
        if let Err(error) = self.on_store(Store::mend_pointer).await {
            self.note_damage(storage(&error));
        }
    }

    fn note_damage(&mut self, failure: Failure) {
        self.tell(&Event::Trouble { failure: failure.clone() });
        self.damage = Some(failure.noted(self.now()));
    }

    /// Whether an order waits to be gone on with. One that has given the stored certificate is over.
    async fn has_order(&self, stored: Option<&Stored>) -> bool {
        let name = self.settings.name.clone();
        let Ok(Some(order)) = blocking(&self.parts.store, move |store| store.load_order(&name)).await else {
            return false;
        };
        if stored.is_none_or(|stored| stored.meta.issued_at < order.created) {
            return true;
        }
        self.on_store(Store::clear_order).await.is_err()
    }

    fn serve_placeholder(&mut self) {
        match placeholder(&self.settings.identifiers, self.now()) {
            Some(identity) => self.serve(identity, Origin::Placeholder),
            None => self
                .tell(&Event::Trouble { failure: failure(Reason::Storage, "no placeholder can be made".to_owned()) }),
        }
    }

    fn serve(&mut self, identity: Identity, origin: Origin) {
        let activated = self.publish(identity, origin);
        self.tell(&activated);
    }

    /// Gives handshakes the identity, and its caller what there is to tell.
    fn publish(&mut self, identity: Identity, origin: Origin) -> Event {
        self.parts.publisher.publish(&self.settings.name, &identity, origin == Origin::Placeholder);
        let uncovered = match origin {
            Origin::Placeholder => self.settings.identifiers.clone(),
            Origin::Issued | Origin::Store | Origin::Files => uncovered(&identity, &self.settings.identifiers),
        };
        let not_after = identity.chain().leaf().not_after;
        self.identity = Some(identity);
        Event::Activated { origin, not_after, uncovered }
    }

    /// A certificate for one of our names at least: better than a placeholder for all of them.
    fn is_usable(&self, identity: &Identity) -> bool {
        uncovered(identity, &self.settings.identifiers).len() < self.settings.identifiers.len()
    }

    fn source(&self) -> Result<Box<dyn Source>, Failure> {
        let (store, clock) = (self.parts.store.clone(), self.parts.clock.clone());
        match &self.settings.source {
            Settings::Acme(acme) => {
                Ok(Box::new(AcmeSource::new(acme.clone(), store, self.parts.challenges.clone(), clock)?))
            }
            Settings::Internal => Ok(Box::new(InternalSource::new(store, clock))),
            Settings::Files(files) => {
                Err(failure(Reason::Storage, format!("`{}` is read, not issued", files.main().display())))
            }
        }
    }

    async fn lock(&self) -> Result<Option<LockGuard>, StoreError> {
        self.on_store(Store::lock).await
    }

    async fn load_identity(&self) -> Result<Option<Stored>, StoreError> {
        self.on_store(Store::load_identity).await
    }

    async fn load_record(&mut self) -> Option<Record> {
        match self.on_store(Store::load_record).await {
            Ok(record) => record,
            Err(error) => {
                self.tell(&Event::Trouble { failure: storage(&error) });
                self.kept.clone()
            }
        }
    }

    async fn save_identity(&mut self, identity: &Identity, meta: &Meta) -> Result<(), StoreError> {
        let (identity, meta) = (identity.clone(), meta.clone());
        let saved = self.on_store(move |store, name| store.save_identity(name, &identity, &meta)).await?;
        self.generation = Some(saved);
        self.damage = None;
        // An order that stays is older than the certificate, and is cleared when it is met.
        if let Err(error) = self.on_store(Store::clear_order).await {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        Ok(())
    }

    async fn save_record(&mut self) -> Result<(), StoreError> {
        let record = self.life.record().clone();
        let copy = record.clone();
        self.on_store(move |store, name| store.save_record(name, &copy)).await?;
        self.kept = Some(record);
        Ok(())
    }

    async fn on_store<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Store, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let name = self.settings.name.clone();
        blocking(&self.parts.store, move |store| call(store, &name)).await
    }

    fn show(&self) {
        let unsaved = self.unsaved.as_ref().map(|unsaved| &unsaved.failure).or(self.damage.as_ref()).cloned();
        let life = Life::Issued { life: Box::new(self.life.clone()), unsaved };
        self.slot.store(Arc::new(Snapshot { life, identity: self.identity.clone() }));
    }

    fn tell(&self, event: &Event) {
        self.parts.observer.event(&self.settings.name, event);
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}

/// What waits for the disk.
#[derive(Clone)]
struct Unsaved {
    identity: Identity,
    meta: Meta,
    /// Why it is not there yet.
    failure: LastFailure,
}

/// Turns a panic of a source into a failure: it must not end the certificate's task.
async fn unpanicked(work: impl Future<Output = Result<Identity, Failure>>) -> Result<Identity, Failure> {
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

fn failure(reason: Reason, detail: String) -> Failure {
    Failure { reason, retry: Retry::Backoff, detail, fix: None }
}

const LOCK_PAUSE: Duration = Duration::from_secs(5);
const SAVE_PAUSE: Duration = Duration::from_secs(15);

/// Wall time jumps, and another process may have got a certificate.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
