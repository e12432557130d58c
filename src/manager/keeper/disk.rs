//! What lies in the store, and what should.

use tracing::{info, warn};

use super::super::asked;
use super::super::parts::{Leaf as _, Parts};
use super::{Keeper, failure};
use crate::causes::with_causes;
use crate::lifecycle::{Event, Failure, Lifecycle, Origin, Reason, Record, Served};
use crate::store::{Meta, StoreError, Stored};

impl<P: Parts> Keeper<P> {
    /// Saves what is served and lies nowhere: the disk has refused it before, or lost it.
    pub(super) async fn save_late(&mut self) {
        let (Some(_), Some(identity), Some(meta)) = (&self.unsaved, self.identity.clone(), self.meta.clone()) else {
            return;
        };
        let Ok(Some(_guard)) = self.lock().await else { return };
        let is_saved = match self.load_identity().await {
            // Another process that has served it was first.
            Ok(Some(Stored { generation, identity: found, fallback: None, .. })) if is_same(&found, &identity) => {
                self.generation = Some(generation);
                true
            }
            Ok(_) | Err(_) => self.save_identity(&identity, &meta).await.is_ok(),
        };
        if is_saved {
            // The record may still be refused; another generation of the same certificate would not mend that.
            self.unsaved = None;
            info!(certificate = self.settings.name, "the certificate is in the store now");
            if let Err(error) = self.save_record().await {
                self.note_damage(storage(&error));
            }
        }
    }

    /// Takes over what another process on the same state directory has got, and notices what the disk has lost.
    pub(super) async fn adopt(&mut self) {
        if self.unsaved.is_some() {
            return;
        }
        let loaded = self.load_identity().await;
        let Ok(Some(stored)) = loaded else { return self.mend_generation().await };
        if Some(stored.generation) == self.generation {
            return;
        }
        let is_refused = self.life.refused() == Some(stored.generation);
        if stored.fallback.is_none() && !is_refused && self.is_usable(&stored.identity) {
            let mut record = self.load_record().await;
            // It has ended, or it is the other's own.
            record.iter_mut().for_each(|record| record.attempt = None);
            self.take_up(Some(stored), record, false);
        } else {
            self.mend_generation().await;
        }
    }

    /// Has what is served written anew when its generation on the disk is gone or damaged: the next start would serve an older
    /// certificate, or order another.
    async fn mend_generation(&mut self) {
        let (Some(generation), Some(identity)) = (self.generation, &self.identity) else { return };
        let why = match self.parts.load_generation(&self.settings.name, generation).await {
            Ok((found, _)) if is_same(&found, identity) => return,
            Ok(_) => "it holds another certificate".to_owned(),
            Err(error) => with_causes(&error),
        };
        let certificate = &self.settings.name;
        warn!(certificate, generation, why, "THE STORED CERTIFICATE IS DAMAGED: writing anew the one that is served");
        let detail = format!("generation {generation} on the disk is damaged: {why}");
        self.unsaved = Some(failure(Reason::Storage, detail).noted(self.now()));
        self.show();
        self.save_late().await;
        self.show();
    }

    /// [`look`](Self::look) without the lock: an attempt that its holder has begun is his own, and has not broken off.
    pub(super) async fn look_unlocked(&mut self) {
        let is_held = matches!(self.lock().await, Ok(None));
        self.look_while(is_held).await;
    }

    /// Reads the store, and begins again from what is there. Our own view is kept when the disk shows nothing else.
    ///
    /// We hold the lock: an attempt that has not ended was broken off.
    pub(super) async fn look(&mut self) {
        self.look_while(false).await;
    }

    async fn look_while(&mut self, other_is_at_it: bool) {
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
        let is_older = stored.as_ref().is_some_and(|stored| stored.fallback.is_some());
        if self.generation.is_some() && (stored.is_none() || is_older) {
            // What we serve is gone from the disk, and as good as before.
            return;
        }
        let mut record = self.load_record().await;
        record.iter_mut().filter(|_| other_is_at_it).for_each(|record| record.attempt = None);
        let is_same = stored.as_ref().map(|stored| stored.generation) == self.generation && record == self.kept;
        if is_same && self.has_looked {
            return;
        }
        let has_order = self.has_order(stored.as_ref(), record.as_ref()).await;
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
            (self.generation, self.meta) = (Some(stored.generation), Some(stored.meta));
            (self.damage, self.before, self.young) = (None, None, None);
            if let Some(reason) = stored.fallback {
                let served = format!("generation {} of the certificate is served", stored.generation);
                self.note_damage(failure(Reason::Storage, format!("{served}, not the current one: {reason}")));
            }
            self.unpointed = stored.unpointed;
            self.serve(stored.identity, Origin::Store);
        }
    }

    /// Says that the pointer to the current generation names none, and writes it anew; who holds the lock will write it.
    pub(super) async fn mend_pointer(&mut self) {
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

    pub(super) fn note_damage(&mut self, failure: Failure) {
        self.tell(&Event::Trouble { failure: failure.clone() });
        self.damage = Some(failure.noted(self.now()));
    }

    /// Whether an order waits to be gone on with, at the CA where an attempt was begun that has not ended. One that has given the stored certificate is over.
    async fn has_order(&self, stored: Option<&Stored<P::Identity>>, record: Option<&Record>) -> bool {
        let attempt = record.and_then(|record| record.attempt.as_ref());
        let ca = attempt.map(|attempt| attempt.ca.as_str()).filter(|ca| !ca.is_empty());
        let Ok(Some(created)) = self.parts.open_order(&self.settings.name, ca).await else { return false };
        // When it was placed is in our own time. Until a CA has told the time, nothing is thrown away for it.
        let is_unsure = asked::asked(&self.settings).has_public_ca && self.parts.ahead().is_none();
        // Within one second it is not known, and the certificate of an order that is over can be fetched again.
        if is_unsure || stored.is_none_or(|stored| stored.meta.issued_at <= self.by_cas(created)) {
            return true;
        }
        self.parts.clear_orders(&self.settings.name).await.is_err()
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

    pub(super) async fn save_identity(&mut self, identity: &P::Identity, meta: &Meta) -> Result<(), StoreError> {
        let saved = self.parts.save_identity(&self.settings.name, identity, meta).await?;
        self.generation = Some(saved);
        self.damage = None;
        // An order that stays is older than the certificate, and is cleared when it is met.
        if let Err(error) = self.parts.clear_orders(&self.settings.name).await {
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
}

/// Serial and dates name a certificate of one CA.
fn is_same<I: super::super::parts::Leaf>(one: &I, other: &I) -> bool {
    one.validity() == other.validity() && one.serial() == other.serial()
}

pub(super) fn storage(error: &StoreError) -> Failure {
    failure(Reason::Storage, with_causes(error))
}
