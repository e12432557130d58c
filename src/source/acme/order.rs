//! From an order to a certificate (RFC 8555 §7.4).

use std::time::Duration;

use instant_acme::{Account, Identifier, NewOrder, OrderStatus};
use tracing::{debug, info};

use super::error::{AcmeError, Step, Unusable};
use super::{AcmeSource, again};
use crate::pki::{CertificateChain, Identity, PrivateKey, signing_request};
use crate::source::{Order, blocking};
use crate::store::{OrderRecord, StoreError};
use crate::time::Timestamp;

/// An order at the CA, and the private key that its certificate will belong to.
pub(super) struct Work {
    pub(super) at_ca: instant_acme::Order,
    key: PrivateKey,
}

impl AcmeSource {
    /// Goes on with the stored order, when it is for the same thing and the CA still knows it.
    pub(super) async fn resume(&self, account: &Account, order: &Order) -> Result<Option<Work>, AcmeError> {
        let Some(record) = self.stored_order(order).await? else { return Ok(None) };
        if !self.is_for(&record, account, order) {
            self.clear(order).await?;
            return Ok(None);
        }
        let mut at_ca = match again!(account.order(record.order.clone()).await) {
            Ok(at_ca) => at_ca,
            Err(error) => return self.forget(order, self.error(Step::Order, error)).await,
        };
        if at_ca.state().status == OrderStatus::Invalid {
            self.clear(order).await?;
            return Ok(None);
        }
        info!(certificate = order.certificate, order = record.order, status = ?at_ca.state().status, "going on with the stored order");
        Ok(Some(Work { at_ca, key: record.key }))
    }

    /// Places an order, and keeps its URL and the new private key before anything else is done.
    pub(super) async fn place(&self, account: &Account, order: &Order) -> Result<Work, AcmeError> {
        let key = PrivateKey::generate(self.settings.key_type)?;
        let identifiers: Vec<Identifier> = order.identifiers.iter().map(|name| identifier(name)).collect();
        let mut new = NewOrder::new(&identifiers);
        if let Some(profile) = &self.settings.profile {
            new = new.profile(profile);
        }
        let at_ca = again!(account.new_order(&new).await).map_err(|error| self.error(Step::Order, error))?;
        let record = OrderRecord {
            directory: self.settings.directory.clone(),
            account: account.id().to_owned(),
            order: at_ca.url().to_owned(),
            identifiers: order.identifiers.clone(),
            profile: self.settings.profile.clone(),
            key_type: self.settings.key_type.as_str().to_owned(),
            key: key.clone(),
            created: self.clock.now(),
            phase: "ordered".to_owned(),
        };
        // Nothing comes between the answer and this: whoever dies here leaves an order that only the CA knows.
        self.keep(order, record).await?;
        debug!(certificate = order.certificate, order = at_ca.url(), "order placed");
        Ok(Work { at_ca, key })
    }

    /// Carries the order from whatever state it is in to its certificate.
    pub(super) async fn finish(&self, work: &mut Work, order: &Order) -> Result<Identity, AcmeError> {
        let (mut pauses, mut finalized) = (Pauses::default(), false);
        loop {
            match work.at_ca.state().status {
                OrderStatus::Pending => self.authorize(&mut work.at_ca, order).await?,
                OrderStatus::Ready if !finalized => {
                    self.finalize(work, order).await?;
                    finalized = true;
                }
                OrderStatus::Ready | OrderStatus::Processing => {
                    self.pause(&mut pauses).await;
                    self.refresh(&mut work.at_ca, Step::Finalize).await?;
                }
                OrderStatus::Valid => return self.download(work, order).await,
                OrderStatus::Invalid => return Err(self.why_invalid(work, order).await),
            }
        }
    }

    pub(super) async fn refresh(&self, at_ca: &mut instant_acme::Order, step: Step) -> Result<(), AcmeError> {
        again!(at_ca.refresh().await.map(drop)).map_err(|error| self.error(step, error))
    }

    /// Waits before the CA is asked again: as long as it wants, else ever longer.
    pub(super) async fn pause(&self, pauses: &mut Pauses) {
        let now = self.clock.now();
        let wanted = self.client.seen().retry_after().map(|at| at.since(now).min(LONGEST_PAUSE));
        tokio::time::sleep(wanted.unwrap_or_default().max(pauses.next())).await;
    }

    async fn finalize(&self, work: &mut Work, order: &Order) -> Result<(), AcmeError> {
        let csr = signing_request(&work.key, &order.identifiers)?;
        if let Some(record) = self.stored_order(order).await? {
            self.keep(order, OrderRecord { phase: "finalizing".to_owned(), ..record }).await?;
        }
        again!(work.at_ca.finalize_csr(&csr).await).map_err(|error| self.error(Step::Finalize, error))
    }

    async fn download(&self, work: &mut Work, order: &Order) -> Result<Identity, AcmeError> {
        let pem = again!(work.at_ca.certificate().await).map_err(|error| self.error(Step::Download, error))?;
        let checked = self.check(pem.unwrap_or_default().as_bytes(), &work.key, &order.identifiers);
        if checked.is_err() {
            // Whatever is wrong with it, fetching it again will not mend it.
            self.clear(order).await?;
        }
        Ok(checked?)
    }

    /// Checks what the CA has handed out, by the CA's own clock.
    fn check(&self, pem: &[u8], key: &PrivateKey, identifiers: &[String]) -> Result<Identity, Unusable> {
        let identity = Identity::new(CertificateChain::from_pem(pem)?, key.clone())?;
        let leaf = identity.chain().leaf();
        if let Some(identifier) = identifiers.iter().find(|name| !leaf.covers(name)) {
            return Err(Unusable::NotCovered { identifier: identifier.clone() });
        }
        let now = Timestamp::from_unix(self.clock.now().as_unix().saturating_add(self.client.seen().skew()));
        let (not_before, not_after) = (leaf.not_before, leaf.not_after);
        if now + TOLERANCE < not_before || not_after <= now {
            return Err(Unusable::NotNow { not_before, not_after, now });
        }
        Ok(identity)
    }

    /// Finds what made the order invalid, and forgets it: it can never be finished.
    async fn why_invalid(&self, work: &mut Work, order: &Order) -> AcmeError {
        let why = self.failed_authorization(&mut work.at_ca).await;
        if let Err(error) = self.clear(order).await {
            return error.into();
        }
        match (why, &work.at_ca.state().error) {
            (Some(error), _) => error,
            (None, Some(problem)) => self.error(Step::Finalize, instant_acme::Error::Api(problem.clone())),
            (None, None) => AcmeError::OrderInvalid,
        }
    }

    async fn stored_order(&self, order: &Order) -> Result<Option<OrderRecord>, StoreError> {
        let name = order.certificate.clone();
        blocking(&self.store, move |store| store.load_order(&name)).await
    }

    async fn keep(&self, order: &Order, record: OrderRecord) -> Result<(), StoreError> {
        let name = order.certificate.clone();
        blocking(&self.store, move |store| store.save_order(&name, &record)).await
    }

    async fn clear(&self, order: &Order) -> Result<(), StoreError> {
        let name = order.certificate.clone();
        blocking(&self.store, move |store| store.clear_order(&name)).await
    }

    fn is_for(&self, record: &OrderRecord, account: &Account, order: &Order) -> bool {
        record.directory == self.settings.directory
            && record.account == account.id()
            && record.profile == self.settings.profile
            && record.key_type == self.settings.key_type.as_str()
            && is_same_set(&record.identifiers, &order.identifiers)
            && self.clock.now().since(record.created) < ORDER_LIFE
    }

    /// A stored order that the CA refuses to show is gone; other trouble leaves it for the next attempt.
    async fn forget(&self, order: &Order, error: AcmeError) -> Result<Option<Work>, AcmeError> {
        if error.is_account_gone() || !error.is_about_object() {
            return Err(error);
        }
        self.clear(order).await?;
        info!(certificate = order.certificate, "the CA has forgotten the stored order");
        Ok(None)
    }
}

/// Identifiers in another order name the same certificate.
fn is_same_set(some: &[String], others: &[String]) -> bool {
    some.len() == others.len() && some.iter().all(|name| others.contains(name))
}

fn identifier(name: &str) -> Identifier {
    match name.parse() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

/// Growing pauses between questions to the CA.
#[derive(Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.0.min(4));
        self.0 += 1;
        pause
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// How far a new certificate may begin in the future.
const TOLERANCE: Duration = Duration::from_secs(3600);

/// No CA keeps an order longer (Let's Encrypt's classic profile: 7 days).
const ORDER_LIFE: Duration = Duration::from_secs(7 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_and_addresses_when_ordered_then_each_has_its_identifier_type() {
        assert_eq!(identifier("m5.test"), Identifier::Dns("m5.test".into()));
        assert_eq!(identifier("192.0.2.7"), Identifier::Ip([192, 0, 2, 7].into()));
        assert!(matches!(identifier("2001:db8::7"), Identifier::Ip(address) if address.is_ipv6()));
    }

    #[test]
    fn given_a_long_wait_when_asking_again_then_pauses_grow_to_eight_seconds() {
        let mut pauses = Pauses::default();
        let millis: Vec<_> = (0..7).map(|_| pauses.next().as_millis()).collect();
        assert_eq!(millis, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    }
}
