//! From an order to a certificate (RFC 8555 §7.4).

use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, Identifier, NewOrder, OrderStatus};
use rustls::pki_types::Der;
use tracing::{debug, info, warn};

use super::account::Opened;
use super::directory::Directory;
use super::error::{AcmeError, Step, Unusable};
use super::{AcmeSource, again};
use crate::causes::with_causes;
use crate::pki::{CertificateChain, Identity, PrivateKey, RenewalId, signing_request};
use crate::source::{AcmeSettings, Order, blocking};
use crate::store::{OrderRecord, StoreError};
use crate::time::Timestamp;

/// An order at the CA, and the private key that its certificate will belong to.
pub(super) struct Work {
    pub(super) at_ca: instant_acme::Order,
    key: PrivateKey,
}

/// An order that the CA has taken.
enum Placed {
    /// As it was asked for.
    Whole(Box<instant_acme::Order>),
    /// It does not repeat what the order replaces, as it must when it takes it as a renewal (RFC 9773 §5).
    NotAsRenewal {
        /// Of the order.
        url: String,
    },
}

/// What is ordered, with what the directory has to say about it.
pub(super) struct Wanted<'a> {
    pub(super) order: &'a Order,
    /// The profile to ask for.
    pub(super) profile: Option<String>,
    /// What it is a renewal of, where the CA wants to know (RFC 9773 §5).
    pub(super) replaces: Option<RenewalId>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(
        settings: &AcmeSettings,
        directory: &Directory,
        order: &'a Order,
        replaces: Option<&Identity>,
    ) -> Result<Self, AcmeError> {
        let replaced = replaces.filter(|_| directory.renewal_info.is_some());
        Ok(Self {
            order,
            profile: profile(settings, directory, &order.identifiers)?,
            replaces: replaced.and_then(|identity| identity.chain().renewal_id()),
        })
    }
}

impl AcmeSource {
    /// Goes on with the stored order, when it is for the same thing and the CA still knows it.
    pub(super) async fn resume(&self, account: &Account, wanted: &Wanted<'_>) -> Result<Option<Work>, AcmeError> {
        let order = wanted.order;
        let Some(record) = self.stored_order(order).await? else { return Ok(None) };
        if !self.is_for(&record, account, wanted) {
            self.clear(order).await?;
            return Ok(None);
        }
        self.client.seen().doing(Step::Order);
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
    pub(super) async fn place(&self, account: &Account, wanted: &Wanted<'_>) -> Result<Work, AcmeError> {
        let order = wanted.order;
        let key = PrivateKey::generate(self.settings.key_type)?;
        // A reload that ends the task now would cost an order.
        let _whole = order.unbroken.hold().await;
        let mut replaces = wanted.replaces.is_some();
        let placed = match self.ask_for_order(account, wanted, wanted.replaces.as_ref()).await {
            // Limits may be stricter then, but a certificate is better than none.
            Err(error) if replaces && error.is_about_replaced() => {
                let why = with_causes(&error);
                info!(
                    certificate = order.certificate,
                    why, "the CA does not take the order as a renewal: ordering anew"
                );
                replaces = false;
                self.ask_for_order(account, wanted, None).await?
            }
            other => other?,
        };
        let (url, at_ca) = match placed {
            Placed::Whole(at_ca) => (at_ca.url().to_owned(), Some(*at_ca)),
            Placed::NotAsRenewal { url } => {
                let certificate = &order.certificate;
                info!(certificate, order = url, "the CA has taken the order, and not as a renewal: going on with it");
                replaces = false;
                (url, None)
            }
        };
        let record = OrderRecord {
            directory: self.settings.directory.clone(),
            account: account.id().to_owned(),
            order: url.clone(),
            identifiers: order.identifiers.clone(),
            profile: wanted.profile.clone(),
            key_type: self.settings.key_type.as_str().to_owned(),
            key: key.clone(),
            created: self.clock.now(),
            phase: "ordered".to_owned(),
            replaces: replaces && order.is_in_window,
            setbacks: 0,
        };
        // Nothing comes between the answer and this: whoever dies here leaves an order that only the CA knows.
        self.keep(order, record).await?;
        debug!(certificate = order.certificate, order = url, "order placed");
        let at_ca = match at_ca {
            Some(at_ca) => at_ca,
            None => {
                self.note_ordered(account.id(), order).await;
                again!(account.order(url.clone()).await).map_err(|error| self.error(Step::Order, error))?
            }
        };
        Ok(Work { at_ca, key })
    }

    async fn ask_for_order(
        &self,
        account: &Account,
        wanted: &Wanted<'_>,
        replaces: Option<&RenewalId>,
    ) -> Result<Placed, AcmeError> {
        let identifiers: Vec<Identifier> = wanted.order.identifiers.iter().map(|name| identifier(name)).collect();
        let mut new = NewOrder::new(&identifiers);
        if let Some(profile) = &wanted.profile {
            new = new.profile(profile);
        }
        if let Some(id) = replaces {
            new =
                new.replaces(CertificateIdentifier::new(Der::from_slice(id.authority()), Der::from_slice(id.serial())));
        }
        let is_exempt = replaces.is_some() && wanted.order.is_in_window;
        self.afford(account.id(), wanted.order, is_exempt).await?;
        self.client.seen().doing(Step::Order);
        let placed = again!(account.new_order(&new).await).map_err(|error| self.error(Step::Order, error));
        match placed {
            Ok(at_ca) => Ok(Placed::Whole(Box::new(at_ca))),
            Err(error) if error.is_not_as_renewal() => match self.client.seen().location() {
                Some(url) => Ok(Placed::NotAsRenewal { url }),
                None => Err(error),
            },
            Err(error) => {
                if error.is_answered() {
                    self.not_taken(account.id(), wanted.order, is_exempt).await;
                }
                Err(error)
            }
        }
    }

    /// Carries the order from whatever state it is in to its certificate.
    pub(super) async fn finish(&self, work: &mut Work, opened: &Opened, order: &Order) -> Result<Identity, AcmeError> {
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
                OrderStatus::Valid => {
                    self.count_certificate(order).await?;
                    return self.download(work, opened, order).await;
                }
                OrderStatus::Invalid => return Err(self.why_invalid(work, order).await),
            }
        }
    }

    pub(super) async fn refresh(&self, at_ca: &mut instant_acme::Order, step: Step) -> Result<(), AcmeError> {
        self.client.seen().doing(step);
        again!(at_ca.refresh().await.map(drop)).map_err(|error| self.error(step, error))
    }

    /// Waits before the CA is asked again: as long as it wants, else ever longer.
    pub(super) async fn pause(&self, pauses: &mut Pauses) {
        let now = self.clock.now();
        let wanted = self.client.seen().retry_after().map(|at| at.since(now).min(LONGEST_PAUSE));
        tokio::time::sleep(wanted.unwrap_or_default().max(pauses.next())).await;
    }

    pub(super) async fn finalize(&self, work: &mut Work, order: &Order) -> Result<(), AcmeError> {
        let csr = signing_request(&work.key, &order.identifiers)?;
        if let Some(record) = self.stored_order(order).await? {
            self.keep(order, OrderRecord { phase: "finalizing".to_owned(), ..record }).await?;
        }
        self.client.seen().doing(Step::Finalize);
        again!(work.at_ca.finalize_csr(&csr).await).map_err(|error| self.error(Step::Finalize, error))
    }

    pub(super) async fn download(
        &self,
        work: &mut Work,
        opened: &Opened,
        order: &Order,
    ) -> Result<Identity, AcmeError> {
        self.client.seen().doing(Step::Download);
        let pem = again!(work.at_ca.certificate().await).map_err(|error| self.error(Step::Download, error))?;
        let alternates = self.client.seen().alternates();
        let checked = self.check(pem.unwrap_or_default().as_bytes(), &work.key, &order.identifiers);
        if checked.is_err() {
            self.fetch_once_more(order).await?;
        }
        let identity = checked?;
        match &self.settings.preferred_chain {
            Some(issuer) => Ok(self.preferred(issuer, identity, alternates, opened, work, order).await),
            None => Ok(identity),
        }
    }

    /// The same certificate with the chain to this issuer (RFC 8555 §7.4.2); the default chain where there is none.
    async fn preferred(
        &self,
        issuer: &str,
        default: Identity,
        alternates: Vec<String>,
        opened: &Opened,
        work: &Work,
        order: &Order,
    ) -> Identity {
        let mut chains = vec![default];
        for url in alternates {
            match opened.session(&self.client).post(&url, None).await {
                Ok((_, pem)) => match self.check(&pem, &work.key, &order.identifiers) {
                    Ok(identity) => chains.push(identity),
                    Err(error) => warn!(url, error = with_causes(&error), "another chain of the CA cannot be used"),
                },
                Err(error) => warn!(url, error = with_causes(&error), "another chain of the CA cannot be had"),
            }
        }
        let issuers: Vec<Vec<String>> = chains.iter().map(|identity| identity.chain().issuers()).collect();
        let chosen = preferred(issuer, &issuers).unwrap_or_else(|| {
            let offered: Vec<&str> = issuers.iter().filter_map(|of| of.last()).map(String::as_str).collect();
            let offered = offered.join(", ");
            warn!(
                certificate = order.certificate,
                preferred = issuer,
                offered,
                "no chain of the CA is issued by `preferred_chain`: taking its default"
            );
            0
        });
        chains.swap_remove(chosen)
    }

    /// Checks what the CA has handed out, by the CA's own clock, and puts its chain in order.
    fn check(&self, pem: &[u8], key: &PrivateKey, identifiers: &[String]) -> Result<Identity, Unusable> {
        let chain = CertificateChain::from_pem(pem)?;
        let assembled = Identity::assemble(chain.certificates().to_vec(), key.clone())?;
        let identity = assembled.identity;
        let leaf = identity.chain().leaf();
        if let Some(identifier) = identifiers.iter().find(|name| !leaf.covers(name)) {
            return Err(Unusable::NotCovered { identifier: identifier.clone() });
        }
        let now = Timestamp::from_unix(self.clock.now().as_unix().saturating_add(self.client.seen().skew()));
        let (not_before, not_after) = (leaf.not_before, leaf.not_after);
        if now + TOLERANCE < not_before || not_after <= now {
            return Err(Unusable::NotNow { not_before, not_after, now });
        }
        let is_alone = identity.chain().certificates().len() == 1;
        if is_alone && assembled.missing.is_some() && !self.is_issued_by_anchor(&identity) {
            return Err(Unusable::HalfChain { issuer: leaf.issuer.clone() });
        }
        Ok(identity)
    }

    /// A CA of one's own may issue by its root.
    fn is_issued_by_anchor(&self, identity: &Identity) -> bool {
        let anchors = self.settings.trust_anchors.as_ref().map_or(&[][..], |anchors| anchors.certificates());
        let with_anchors = [identity.chain().certificates(), anchors].concat();
        Identity::assemble(with_anchors, identity.key().clone()).is_ok_and(|all| all.missing.is_none())
    }

    /// Notes once that the CA has made the certificate of the stored order.
    async fn count_certificate(&self, order: &Order) -> Result<(), StoreError> {
        let Some(record) = self.stored_order(order).await? else { return Ok(()) };
        if matches!(record.phase.as_str(), ISSUED | UNUSABLE) {
            return Ok(());
        }
        self.note_issued(&record.account, order, record.replaces).await;
        self.keep(order, OrderRecord { phase: ISSUED.to_owned(), ..record }).await
    }

    /// Notes for which identifier the stored order has failed.
    pub(super) async fn count_failure(&self, order: &Order, why: Option<&AcmeError>) {
        let Some(identifier) = why.and_then(AcmeError::identifier) else { return };
        if let Ok(Some(record)) = self.stored_order(order).await {
            self.note_failed(&record.account, order, identifier).await;
        }
    }

    /// Leaves an order with which an attempt has come to nothing for the next one, since the CA may only have been slow. The
    /// second time it is given up: it would stand in the way of another until it is a week old.
    pub(super) async fn note_setback(&self, order: &Order, error: &AcmeError) -> Result<(), StoreError> {
        if !error.is_setback() {
            return Ok(());
        }
        match self.stored_order(order).await? {
            None => Ok(()),
            Some(record) if record.setbacks == 0 => self.keep(order, OrderRecord { setbacks: 1, ..record }).await,
            Some(record) => {
                let certificate = &order.certificate;
                info!(certificate, order = record.order, "the order has come to nothing twice: the next one is new");
                self.clear(order).await
            }
        }
    }

    /// Leaves the order for the next attempt, which fetches the certificate again: something on the way may have given its
    /// own answer, and another order would use up what the CA allows. The second time the order is given up.
    async fn fetch_once_more(&self, order: &Order) -> Result<(), StoreError> {
        match self.stored_order(order).await? {
            Some(record) if record.phase != UNUSABLE => {
                self.keep(order, OrderRecord { phase: UNUSABLE.to_owned(), ..record }).await
            }
            _ => self.clear(order).await,
        }
    }

    /// Finds what made the order invalid, and forgets it: it can never be finished.
    pub(super) async fn why_invalid(&self, work: &mut Work, order: &Order) -> AcmeError {
        let why = self.failed_authorization(&mut work.at_ca, order).await;
        self.count_failure(order, why.as_ref()).await;
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
        let (name, directory) = (order.certificate.clone(), self.settings.directory.clone());
        blocking(&self.store, move |store| store.load_order(&name, &directory)).await
    }

    async fn keep(&self, order: &Order, record: OrderRecord) -> Result<(), StoreError> {
        let name = order.certificate.clone();
        blocking(&self.store, move |store| store.save_order(&name, &record)).await
    }

    pub(super) async fn clear(&self, order: &Order) -> Result<(), StoreError> {
        let (name, directory) = (order.certificate.clone(), self.settings.directory.clone());
        blocking(&self.store, move |store| store.clear_order(&name, &directory)).await
    }

    fn is_for(&self, record: &OrderRecord, account: &Account, wanted: &Wanted<'_>) -> bool {
        record.directory == self.settings.directory
            && record.account == account.id()
            && record.profile == wanted.profile
            && record.key_type == self.settings.key_type.as_str()
            && is_same_set(&record.identifiers, &wanted.order.identifiers)
            && self.clock.now().since(record.created) < ORDER_LIFE
    }

    /// A stored order that the CA does not have is gone; other trouble leaves it for the next attempt.
    async fn forget(&self, order: &Order, error: AcmeError) -> Result<Option<Work>, AcmeError> {
        if !error.is_about_object() {
            self.note_setback(order, &error).await?;
            return Err(error);
        }
        self.clear(order).await?;
        info!(certificate = order.certificate, "the CA has forgotten the stored order");
        Ok(None)
    }
}

/// The profile to ask for: the one that is set, if the CA has it, and for addresses the one that Let's Encrypt wants.
fn profile(
    settings: &AcmeSettings,
    directory: &Directory,
    identifiers: &[String],
) -> Result<Option<String>, AcmeError> {
    let offered = directory.profiles();
    match &settings.profile {
        Some(profile) if offered.contains(&profile.as_str()) => Ok(Some(profile.clone())),
        Some(profile) => Err(AcmeError::NoProfile {
            directory: settings.directory.clone(),
            profile: profile.clone(),
            offered: offered.into_iter().map(str::to_owned).collect(),
        }),
        None => {
            let has_address = identifiers.iter().any(|name| matches!(identifier(name), Identifier::Ip(_)));
            Ok((has_address && offered.contains(&FOR_ADDRESSES)).then(|| FOR_ADDRESSES.to_owned()))
        }
    }
}

/// Which chain is wanted: by the issuer of its last certificate, else by any. `None` when no chain has the issuer.
fn preferred(issuer: &str, chains: &[Vec<String>]) -> Option<usize> {
    let by_last = chains.iter().position(|issuers| issuers.last().is_some_and(|last| last == issuer));
    by_last.or_else(|| chains.iter().position(|issuers| issuers.iter().any(|own| own == issuer)))
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

/// Let's Encrypt issues for addresses with this profile only.
const FOR_ADDRESSES: &str = "shortlived";

/// Phase of an order whose certificate is counted.
const ISSUED: &str = "issued";
/// Phase of an order whose certificate could not be used once.
const UNUSABLE: &str = "unusable";

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

    fn directory(profiles: &[&str]) -> Directory {
        let profiles: serde_json::Map<_, _> = profiles.iter().map(|name| ((*name).to_owned(), "".into())).collect();
        let value = serde_json::json!({
            "newNonce": "n", "newAccount": "a", "newOrder": "o", "meta": { "profiles": profiles },
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn given_profiles_when_one_is_chosen_then_only_what_the_ca_has() {
        let (name, address) = (vec!["m5.test".to_owned()], vec!["m5.test".to_owned(), "192.0.2.7".to_owned()]);
        let all = ["classic", "shortlived"];
        let none: &[&str] = &[];
        let table = [
            ("none set", None, &all[..], &name, Ok(None)),
            ("set", Some("classic"), &all, &name, Ok(Some("classic"))),
            ("set and unknown", Some("clasic"), &all, &name, Err(())),
            ("set, and the CA has none", Some("classic"), none, &name, Err(())),
            ("an address", None, &all, &address, Ok(Some("shortlived"))),
            ("an address, and the CA has no such", None, &all[..1], &address, Ok(None)),
            ("an address, and one is set", Some("classic"), &all, &address, Ok(Some("classic"))),
        ];
        for (case, set, offered, identifiers, expected) in table {
            let settings = AcmeSettings { profile: set.map(str::to_owned), ..AcmeSettings::default() };
            let found = profile(&settings, &directory(offered), identifiers);
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(drop), expected, "{case}");
        }
        let settings = AcmeSettings { profile: Some("clasic".to_owned()), ..AcmeSettings::default() };
        let error = profile(&settings, &directory(&all), &name).unwrap_err().to_string();
        assert!(error.ends_with("has no certificate profile `clasic`: it has `classic`, `shortlived`"), "{error}");
    }

    #[test]
    fn given_chains_when_one_is_preferred_then_by_its_last_issuer_else_by_any() {
        let chain = |issuers: &[&str]| issuers.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let chains = [chain(&["E5", "X2", "X1"]), chain(&["E5", "X1"]), chain(&["E5", "X2"])];
        let table = [("X1", Some(0)), ("X2", Some(2)), ("E5", Some(0)), ("X3", None), ("", None)];
        for (issuer, expected) in table {
            assert_eq!(preferred(issuer, &chains), expected, "{issuer}");
        }
        assert_eq!(preferred("X2", &chains[..2]), Some(0));
    }

    #[test]
    fn given_a_long_wait_when_asking_again_then_pauses_grow_to_eight_seconds() {
        let mut pauses = Pauses::default();
        let millis: Vec<_> = (0..7).map(|_| pauses.next().as_millis()).collect();
        assert_eq!(millis, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    }
}
