//! Certificates from an ACME CA (RFC 8555), through instant-acme.
//!
//! In: [`AcmeSettings`] and an [`Order`]. Out: an identity, or an [`AcmeError`] that says whether trying again
//! can help. May import `pki`, `challenge`, `store`, `dns`, `platform`, `lifecycle` (its failures) and `time`.
//!
//! Standards: RFC 8555 with http-01 (§8.3), dns-01 (§8.4) and tls-alpn-01 (RFC 8737), dns-persist-01
//! (draft-ietf-acme-dns-persist), IP identifiers (RFC 8738), profiles
//! (draft-ietf-acme-profiles), external account binding (§7.3.4), another key for the account (§7.3.5), alternate chains
//! (§7.4.2), renewal information and `replaces` (RFC 9773).
//!
//! Promises: one account for a directory, its key kept before it is used. The order's URL and the certificate's private
//! key are kept before the order goes on, so a process that dies costs no second order, save one that dies while the
//! CA's answer is on its way: an order that only the CA knows cannot be found again, since few CAs list an account's
//! orders (RFC 8555 §7.1.2.1); most give the pending one again. Valid authorizations are not
//! answered again. A challenge is answered until its authorization is final. Every wait has an end, and `Retry-After`
//! is honoured. What the CA hands out is checked before it is given away.

mod account;
mod authorize;
mod bounded;
mod budget;
mod clients;
mod directory;
mod dns;
mod eab;
mod error;
mod http;
mod info;
mod jose;
mod masked;
mod offer;
mod order;
mod reckoning;
mod rehearsal;
mod revoke;
mod rollover;
mod seen;
mod traffic;

pub use crate::outward::{Proxy, ProxyError};
pub use account::{LOCK as ACCOUNT_LOCK, account_thumbprint, account_url};
pub use budget::{CaBudget, CertificateBudget, budgets};
pub use clients::Clients;
pub use dns::{
    AcmeDnsSettings, DnsError, DnsSettings, ExecSettings, KeyFileError, PersistRecord, ProviderSettings, Published,
    Rfc2136Settings, TsigSettings,
};
pub use eab::{EabError, ExternalAccount, mac_key};
pub use error::{AcmeError, Answer, Step, Unusable};
pub use offer::{Asked, Misfit, NoOffer, Offer, ask};
pub use reckoning::Reckoning;
pub use rehearsal::{Rehearsal, RehearsalStep};
pub use revoke::{RevocationReason, RevokedBy};
pub use rollover::RolledOver;
pub use traffic::{Operation, Traffic, Uncounted};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::info;

use super::{AcmeSettings, Order, Source, blocking};
use crate::challenge::Challenges;
use crate::lifecycle::{Failure, InfoAnswer};
use crate::pki::Identity;
use crate::store::Store;
use crate::time::Clock;
use account::{Accounts, Opened};
use http::CaClient;
use order::{Wanted, Work};

/// Certificates from one ACME CA.
pub struct AcmeSource {
    settings: AcmeSettings,
    store: Store,
    challenges: Challenges,
    clock: Arc<dyn Clock>,
    client: CaClient,
    patience: Patience,
}

/// How long a CA is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until all authorizations of an order are final. Let's Encrypt gives up on a challenge within seconds.
    pub validation: Duration,
    /// From the order to the certificate; what a text in DNS needs to be seen comes on top.
    pub order: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { validation: Duration::from_secs(300), order: Duration::from_secs(600) }
    }
}

impl AcmeSource {
    /// Prepares; nothing is sent.
    ///
    /// # Errors
    ///
    /// [`AcmeError::Tls`] when TLS cannot be set up, which no setting causes.
    pub fn new(
        settings: AcmeSettings,
        store: Store,
        challenges: Challenges,
        clock: Arc<dyn Clock>,
        clients: &Clients,
    ) -> Result<Self, AcmeError> {
        let client = clients.client(&settings, clock.clone())?;
        Ok(Self { settings, store, challenges, clock, client, patience: Patience::default() })
    }

    /// The same with another patience.
    #[must_use]
    pub fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Gets a certificate: goes on with the stored order, else places one. Takes minutes.
    ///
    /// `replaces` is what it is a renewal of, when the same CA has issued that. The order stays in the store; whoever has
    /// kept the identity clears it there.
    ///
    /// # Errors
    ///
    /// Every [`AcmeError`]; [`AcmeError::retry`] says what to do then.
    pub async fn obtain(&self, order: &Order, replaces: Option<&Identity>) -> Result<Identity, AcmeError> {
        self.keep_production(order).await?;
        let accounts = self.accounts();
        let opened = accounts.open().await?;
        let error = match self.attempt(&opened, order, replaces).await {
            Err(error) if error.is_about_account() => error,
            other => return other,
        };
        if let Some(changed) = accounts.reopen(&opened).await? {
            return self.attempt(&changed, order, replaces).await;
        }
        if !error.is_account_gone() {
            return Err(error);
        }
        let gone = opened.account.id();
        info!(account = gone, "the CA has forgotten the account: registering it again");
        self.attempt(&accounts.register(Some(gone)).await?, order, replaces).await
    }

    async fn attempt(
        &self,
        opened: &Opened,
        order: &Order,
        replaces: Option<&Identity>,
    ) -> Result<Identity, AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        let wanted = Wanted::new(&self.settings, &directory, order, replaces)?;
        if let Some(work) = self.resume(&opened.account, &wanted).await? {
            match self.carry(work, opened, order).await {
                // Issued long ago: it has run out while it could not be fetched.
                Err(error) if error.has_run_out() => self.clear(order).await?,
                outcome => return outcome,
            }
        }
        let work = self.place(&opened.account, &wanted).await?;
        self.carry(work, opened, order).await
    }

    /// Finishes an order within its time, and cleans up behind it.
    async fn carry(&self, mut work: Work, opened: &Opened, order: &Order) -> Result<Identity, AcmeError> {
        // What was left by a process that has died in the middle.
        self.clean_dns(order).await;
        let deadline = self.deadline();
        let finished = tokio::time::timeout(deadline, self.finish(&mut work, opened, order)).await;
        self.clean_dns(order).await;
        let finished = finished.unwrap_or(Err(AcmeError::Timeout { step: Step::Finalize, after: deadline }));
        if let Err(error) = &finished {
            self.note_setback(order, error).await?;
        }
        finished
    }

    /// An order, from the directory to the certificate; a text in DNS is seen late.
    fn deadline(&self) -> Duration {
        self.patience.order + self.settings.dns.as_ref().map_or(Duration::ZERO, |dns| dns.propagation_timeout)
    }

    /// Refuses to put a certificate that nobody trusts in the place of a good one.
    async fn keep_production(&self, order: &Order) -> Result<(), AcmeError> {
        if !self.settings.is_for_tries() {
            return Ok(());
        }
        let name = order.certificate.clone();
        // What cannot be read is not served either.
        let Ok(Some(stored)) = blocking(&self.store, move |store| store.load_identity(&name)).await else {
            return Ok(());
        };
        let until = stored.identity.chain().leaf().not_after;
        match stored.meta.issued_by() {
            Some(serving) if serving == AcmeSettings::LETS_ENCRYPT && until > self.clock.now() => {
                let (directory, serving) = (self.settings.directory.clone(), serving.to_owned());
                Err(AcmeError::OverProduction { directory, serving, until })
            }
            _ => Ok(()),
        }
    }

    fn accounts(&self) -> Accounts<'_> {
        Accounts { settings: &self.settings, store: &self.store, client: &self.client, clock: &self.clock }
    }

    fn error(&self, step: Step, error: instant_acme::Error) -> AcmeError {
        AcmeError::at(step, &self.settings.directory, self.client.seen(), error)
    }
}

#[async_trait]
impl Source for AcmeSource {
    async fn obtain(&self, order: &Order, replaces: Option<&Identity>) -> Result<Identity, Failure> {
        Ok(Self::obtain(self, order, replaces).await?)
    }

    async fn renewal_info(&self, identity: &Identity) -> InfoAnswer {
        Self::renewal_info(self, identity).await
    }
}

/// Repeats a request whose nonce the CA did not like: it has not been looked at (RFC 8555 §6.5). instant-acme tries
/// thrice.
macro_rules! again {
    ($request:expr) => {{
        let mut left = $crate::source::acme::NONCE_ROUNDS;
        loop {
            match $request {
                Err(error) if left > 0 && $crate::source::acme::is_bad_nonce(&error) => left -= 1,
                outcome => break outcome,
            }
        }
    }};
}
use again;

fn is_bad_nonce(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:badNonce")
}

const NONCE_ROUNDS: u32 = 4;
