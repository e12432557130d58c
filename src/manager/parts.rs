//! What a keeper works with: the world as it is, or one that a simulator makes.

use std::sync::Arc;

use async_trait::async_trait;
use rand::Rng;

use super::{ManagerParts, Publish, placeholder};
use crate::causes::with_causes;
use crate::lifecycle::{Event, Failure, InfoAnswer, Reason, Validity};
use crate::pki::Identity;
use crate::source::acme::AcmeSource;
use crate::source::internal::InternalSource;
use crate::source::{AcmeSettings, Order, Settings, Source, blocking};
use crate::store::{LockGuard, Meta, Store, StoreError, Stored};
use crate::time::Timestamp;

/// What a keeper has to know of an identity.
pub(crate) trait Leaf: Clone + Send + Sync + 'static {
    /// First and last second.
    fn validity(&self) -> Validity;
    /// Lower-case hex.
    fn serial(&self) -> String;
    /// Whether it is issued to this DNS name or IP address.
    fn covers(&self, identifier: &str) -> bool;
}

impl Leaf for Identity {
    fn validity(&self) -> Validity {
        let leaf = self.chain().leaf();
        Validity { not_before: leaf.not_before, not_after: leaf.not_after }
    }

    fn serial(&self) -> String {
        self.chain().leaf().serial.clone()
    }

    fn covers(&self, identifier: &str) -> bool {
        self.chain().leaf().covers(identifier)
    }
}

/// Clock, chance, store, CA and handshakes: all that a keeper does not decide by itself.
///
/// The store's calls are those of [`Store`], by the certificate's name.
#[async_trait]
pub(crate) trait Parts: Send + Sync + 'static {
    /// What is issued, kept and served.
    type Identity: Leaf;
    /// Held by whoever may order.
    type Guard: Send;
    /// Where chance comes from.
    type Chance: Rng;

    /// Wall time.
    fn now(&self) -> Timestamp;
    /// As [`Clock::sleep_until`](crate::time::Clock::sleep_until).
    async fn sleep_until(&self, until: Timestamp);
    /// Seconds that [`now`](Self::now) is ahead of public CAs (behind when negative, zero below two minutes); `None` when no CA has
    /// told the time since our clock was set last.
    fn ahead(&self) -> Option<i64>;
    /// Has a CA tell the time; one request. `ca` is the index among the CAs.
    async fn ask_time(&self, settings: &Settings, ca: usize);
    /// A source of chance, for one decision.
    fn chance(&self) -> Self::Chance;

    /// As [`Store::lock`].
    async fn lock(&self, name: &str) -> Result<Option<Self::Guard>, StoreError>;
    /// As [`Store::lock_holder`].
    async fn lock_holder(&self, _name: &str) -> Option<String> {
        None
    }
    /// As [`Store::load_identity`].
    async fn load_identity(&self, name: &str) -> Result<Option<Stored<Self::Identity>>, StoreError>;
    /// As [`Store::save_identity`].
    async fn save_identity(&self, name: &str, identity: &Self::Identity, meta: &Meta) -> Result<u64, StoreError>;
    /// As [`Store::load_generation`].
    async fn load_generation(&self, name: &str, generation: u64) -> Result<(Self::Identity, Meta), StoreError>;
    /// As [`Store::point_to`].
    async fn point_to(&self, name: &str, generation: u64) -> Result<(), StoreError>;
    /// As [`Store::mend_pointer`].
    async fn mend_pointer(&self, name: &str) -> Result<(), StoreError>;
    /// As [`Store::load_record`].
    async fn load_record(&self, name: &str) -> Result<Option<crate::lifecycle::Record>, StoreError>;
    /// As [`Store::save_record`].
    async fn save_record(&self, name: &str, record: &crate::lifecycle::Record) -> Result<(), StoreError>;
    /// When the open order at the CA with the directory `ca` was placed, or the latest at any; `None` when there is none.
    async fn open_order(&self, name: &str, ca: Option<&str>) -> Result<Option<Timestamp>, StoreError>;
    /// As [`Store::clear_orders`].
    async fn clear_orders(&self, name: &str) -> Result<(), StoreError>;

    /// As [`Source::obtain`]; `ca` is the index among the CAs.
    async fn obtain(
        &self,
        settings: &Settings,
        ca: usize,
        order: &Order,
        replaces: Option<&Self::Identity>,
    ) -> Result<Self::Identity, Failure>;
    /// As [`Source::renewal_info`], of the CA that has issued it.
    async fn renewal_info(&self, ca: &AcmeSettings, identity: &Self::Identity) -> InfoAnswer;

    /// Whether rehearsals can be made here at all.
    fn rehearses(&self) -> bool {
        false
    }
    /// The whole way to a certificate at the CA of these settings, the certificate thrown away; else which step failed.
    async fn rehearse(&self, _twin: &AcmeSettings, _order: &Order) -> Result<(), String> {
        Ok(())
    }

    /// What is served while there is nothing better; `None` when none can be made.
    fn placeholder(&self, identifiers: &[String]) -> Option<Self::Identity>;
    /// As [`Publish::publish`](super::Publish::publish).
    fn publish(&self, certificate: &str, identity: &Self::Identity, placeholder: bool);
    /// As [`Publish::seen`](super::Publish::seen).
    async fn seen(&self, certificate: &str, identity: &Self::Identity) -> Result<(), NotSeen>;
    /// As [`Observe::event`](super::Observe::event).
    fn event(&self, certificate: &str, event: &Event);
}

/// Handshakes on our own listeners do not get what was published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NotSeen {
    /// Which listener and name, and what they got; for the operator.
    pub detail: String,
    /// They were completed with something else, or refused; not only too slow, or not made yet.
    pub is_certain: bool,
}

#[async_trait]
impl Parts for ManagerParts {
    type Identity = Identity;
    type Guard = LockGuard;
    type Chance = rand::rngs::ThreadRng;

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.clock.sleep_until(until).await;
    }

    fn ahead(&self) -> Option<i64> {
        self.clients.ahead(self.clock.now())
    }

    async fn ask_time(&self, settings: &Settings, ca: usize) {
        let Settings::Acme(cas) = settings else { return };
        // An attempt that follows tells what is wrong with the source.
        if let Ok(source) = self.acme(cas.get(ca).unwrap_or(&cas.first)) {
            source.ask_time().await;
        }
    }

    fn chance(&self) -> Self::Chance {
        rand::rng()
    }

    async fn lock(&self, name: &str) -> Result<Option<LockGuard>, StoreError> {
        self.on_store(name, Store::lock).await
    }

    async fn lock_holder(&self, name: &str) -> Option<String> {
        self.on_store(name, |store, name| Ok(store.lock_holder(name))).await.ok().flatten()
    }

    async fn load_identity(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        self.on_store(name, Store::load_identity).await
    }

    async fn save_identity(&self, name: &str, identity: &Identity, meta: &Meta) -> Result<u64, StoreError> {
        let (identity, meta) = (identity.clone(), meta.clone());
        self.on_store(name, move |store, name| store.save_identity(name, &identity, &meta)).await
    }

    async fn load_generation(&self, name: &str, generation: u64) -> Result<(Identity, Meta), StoreError> {
        self.on_store(name, move |store, name| store.load_generation(name, generation)).await
    }

    async fn point_to(&self, name: &str, generation: u64) -> Result<(), StoreError> {
        self.on_store(name, move |store, name| store.point_to(name, generation)).await
    }

    async fn mend_pointer(&self, name: &str) -> Result<(), StoreError> {
        self.on_store(name, Store::mend_pointer).await
    }

    async fn load_record(&self, name: &str) -> Result<Option<crate::lifecycle::Record>, StoreError> {
        self.on_store(name, Store::load_record).await
    }

    async fn save_record(&self, name: &str, record: &crate::lifecycle::Record) -> Result<(), StoreError> {
        let record = record.clone();
        self.on_store(name, move |store, name| store.save_record(name, &record)).await
    }

    async fn open_order(&self, name: &str, ca: Option<&str>) -> Result<Option<Timestamp>, StoreError> {
        let orders = self.on_store(name, Store::load_orders).await?;
        let there = orders.iter().filter(|order| ca.is_none_or(|ca| order.directory == ca));
        Ok(there.map(|order| order.created).max())
    }

    async fn clear_orders(&self, name: &str) -> Result<(), StoreError> {
        self.on_store(name, Store::clear_orders).await
    }

    async fn obtain(
        &self,
        settings: &Settings,
        ca: usize,
        order: &Order,
        replaces: Option<&Identity>,
    ) -> Result<Identity, Failure> {
        match settings {
            Settings::Acme(cas) => {
                let source = self.acme(cas.get(ca).unwrap_or(&cas.first))?;
                Source::obtain(&source, order, replaces).await
            }
            Settings::Internal => {
                InternalSource::new(self.store.clone(), self.clock.clone()).obtain(order, replaces).await
            }
            Settings::Files(files) => {
                let detail = format!("`{}` is read, not issued", files.main().display());
                Err(super::keeper::failure(Reason::Storage, detail))
            }
        }
    }

    async fn renewal_info(&self, ca: &AcmeSettings, identity: &Identity) -> InfoAnswer {
        match self.acme(ca) {
            Ok(source) => source.renewal_info(identity).await,
            Err(failure) => InfoAnswer::Failed { temporary: false, ask_again: None, detail: failure.detail },
        }
    }

    fn rehearses(&self) -> bool {
        true
    }

    async fn rehearse(&self, twin: &AcmeSettings, order: &Order) -> Result<(), String> {
        let store = blocking(&self.store, Store::for_rehearsals).await.map_err(|error| with_causes(&error))?;
        let (challenges, clock) = (self.challenges.clone(), Arc::clone(&self.clock));
        let source = AcmeSource::new(twin.clone(), store, challenges, clock, &self.clients);
        let rehearsal = source.map_err(|error| with_causes(&error))?.rehearse(order).await;
        super::keeper::rehearsal_outcome(rehearsal)
    }

    fn placeholder(&self, identifiers: &[String]) -> Option<Identity> {
        placeholder(identifiers, self.clock.now())
    }

    fn publish(&self, certificate: &str, identity: &Identity, placeholder: bool) {
        self.publisher.publish(certificate, identity, placeholder);
    }

    async fn seen(&self, certificate: &str, identity: &Identity) -> Result<(), NotSeen> {
        Publish::seen(&*self.publisher, certificate, identity).await
    }

    fn event(&self, certificate: &str, event: &Event) {
        self.observer.event(certificate, event);
    }
}

impl ManagerParts {
    fn acme(&self, ca: &AcmeSettings) -> Result<AcmeSource, Failure> {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        Ok(AcmeSource::new(ca.clone(), store, self.challenges.clone(), clock, &self.clients)?)
    }

    async fn on_store<T: Send + 'static>(
        &self,
        name: &str,
        call: impl FnOnce(&Store, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let name = name.to_owned();
        blocking(&self.store, move |store| call(store, &name)).await
    }
}
