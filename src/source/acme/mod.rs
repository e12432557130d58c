//! Certificates from an ACME CA (RFC 8555), through instant-acme.
//!
//! In: [`AcmeSettings`] and an [`Order`]. Out: an identity, or an [`AcmeError`] that says whether trying again
//! can help. May import `pki`, `challenge`, `store`, `lifecycle` (its failures) and `time`.
//!
//! Standards: RFC 8555 with http-01 (§8.3) and tls-alpn-01 (RFC 8737), IP identifiers (RFC 8738), profiles
//! (draft-ietf-acme-profiles). Not here: dns-01, external account binding, renewal information.
//!
//! Promises: one account for a directory, its key kept before it is used. The order's URL and the certificate's private
//! key are kept before the order goes on, so a process that dies costs no second order, save one that dies while the
//! CA's answer is on its way: an order that only the CA knows cannot be found again, since few CAs list an account's
//! orders (RFC 8555 §7.1.2.1); most give the pending one again. Valid authorizations are not
//! answered again. A challenge is answered until its authorization is final. Every wait has an end, and `Retry-After`
//! is honoured. What the CA hands out is checked before it is given away.

mod account;
mod authorize;
mod error;
mod http;
mod masked;
mod order;

pub use account::account_url;
pub use error::{AcmeError, Answer, Step, Unusable};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use instant_acme::Account;
use tracing::{error, info, warn};

use super::{AcmeSettings, Order, Source};
use crate::challenge::Challenges;
use crate::lifecycle::Failure;
use crate::pki::{Identity, TrustAnchors};
use crate::store::Store;
use crate::time::Clock;
use account::Accounts;
use http::CaClient;

/// Certificates from one ACME CA.
pub struct AcmeSource {
    settings: AcmeSettings,
    store: Store,
    challenges: Challenges,
    clock: Arc<dyn Clock>,
    client: CaClient,
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
    ) -> Result<Self, AcmeError> {
        let anchors = settings.trust_anchors.clone().unwrap_or_else(TrustAnchors::mozilla);
        let client = CaClient::new(&anchors, clock.clone())?;
        Ok(Self { settings, store, challenges, clock, client })
    }

    /// Gets a certificate: goes on with the stored order, else places one. Takes minutes.
    ///
    /// The order stays in the store; whoever has kept the identity clears it there.
    ///
    /// # Errors
    ///
    /// Every [`AcmeError`]; [`AcmeError::retry`] says what to do then.
    pub async fn obtain(&self, order: &Order) -> Result<Identity, AcmeError> {
        let accounts =
            Accounts { settings: &self.settings, store: &self.store, client: &self.client, clock: &self.clock };
        let account = accounts.open().await?;
        let outcome = match self.attempt(&account, order).await {
            Err(error) if error.is_account_gone() => {
                info!(account = account.id(), "the CA has forgotten the account: registering it again");
                self.attempt(&accounts.register(Some(account.id())).await?, order).await
            }
            other => other,
        };
        self.look_at_clock();
        outcome
    }

    async fn attempt(&self, account: &Account, order: &Order) -> Result<Identity, AcmeError> {
        let mut work = match self.resume(account, order).await? {
            Some(work) => work,
            None => self.place(account, order).await?,
        };
        let finished = tokio::time::timeout(ORDER_DEADLINE, self.finish(&mut work, order)).await;
        finished.unwrap_or(Err(AcmeError::Timeout { step: Step::Finalize, after: ORDER_DEADLINE }))
    }

    fn look_at_clock(&self) {
        let skew = self.client.seen().skew();
        let directory = &self.settings.directory;
        match skew.unsigned_abs() {
            SKEW_TO_MEND.. => {
                error!(seconds = skew, directory, "the CA's clock is this far ahead of ours: set this machine's clock");
            }
            SKEW_TO_TELL.. => warn!(seconds = skew, directory, "the CA's clock is this far ahead of ours"),
            _ => {}
        }
    }

    fn error(&self, step: Step, error: instant_acme::Error) -> AcmeError {
        AcmeError::at(step, &self.settings.directory, self.client.seen(), error)
    }
}

#[async_trait]
impl Source for AcmeSource {
    async fn obtain(&self, order: &Order, _replaces: Option<&Identity>) -> Result<Identity, Failure> {
        Ok(Self::obtain(self, order).await?)
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

/// An order, from the directory to the certificate.
const ORDER_DEADLINE: Duration = Duration::from_secs(600);

/// Seconds.
const SKEW_TO_TELL: u64 = 31;
/// Seconds; certificates begin and end at the wrong time for us, and renewals come too early or too late.
const SKEW_TO_MEND: u64 = 3600;
