//! The account at a CA: registered once, kept, and used by every certificate.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, Key};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::again;
use super::error::{AcmeError, Step};
use super::http::CaClient;
use crate::causes::with_causes;
use crate::pki::{KeyType, PrivateKey};
use crate::source::{AcmeSettings, blocking};
use crate::store::{self, LockGuard, Store};
use crate::time::Clock;

/// Opens the account of one directory.
///
/// # Why
///
/// A CA lets an address register only a few accounts, so two certificates that start at once must not register two.
/// Whoever registers holds a lock of the store, and looks again when he has it. The key is kept before it is used: when
/// the answer is lost or the process dies, the same key finds the same account (RFC 8555 §7.3.1).
pub(super) struct Accounts<'a> {
    pub(super) settings: &'a AcmeSettings,
    pub(super) store: &'a Store,
    pub(super) client: &'a CaClient,
    pub(super) clock: &'a Arc<dyn Clock>,
}

impl Accounts<'_> {
    /// The kept account, else a new one.
    pub(super) async fn open(&self) -> Result<Account, AcmeError> {
        if let Some(Stored { key, url: Some(url), contact }) = self.load().await? {
            let account = self.restore(&key, url.clone()).await?;
            self.tell_contact(&account, &key, url, &contact).await;
            return Ok(account);
        }
        self.register(None).await
    }

    /// Registers the kept key, or a new one, unless somebody else has done so meanwhile.
    ///
    /// `gone` is the account that the CA has forgotten.
    pub(super) async fn register(&self, gone: Option<&str>) -> Result<Account, AcmeError> {
        if !self.settings.agree_tos {
            return Err(AcmeError::TermsNotAgreed { directory: self.settings.directory.clone() });
        }
        let _guard = self.lock().await?;
        let stored = self.load().await?;
        if let Some(Stored { key, url: Some(url), .. }) = &stored
            && gone != Some(url)
        {
            return self.restore(key, url.clone()).await;
        }
        let key = match stored {
            Some(stored) => stored.key,
            None => self.new_key().await?,
        };
        let account = again!(self.builder().create_from_key(self.pair(&key)?, self.settings.directory.clone()).await)
            .map_err(|error| self.error(Step::Register, error))?
            .0;
        let url = account.id().to_owned();
        self.save(Stored { key: key.clone(), url: Some(url.clone()), contact: Vec::new() }).await?;
        info!(directory = self.settings.directory, account = url, "account registered");
        self.tell_contact(&account, &key, url, &[]).await;
        Ok(account)
    }

    async fn restore(&self, key: &StoredKey, url: String) -> Result<Account, AcmeError> {
        let key = PrivatePkcs8KeyDer::from(key.private_key()?.der().to_vec());
        let restored = self.builder().from_parts(url, key, self.settings.directory.clone()).await;
        restored.map_err(|error| self.error(Step::Connect, error))
    }

    /// Brings the CA's list of contacts up to date. Nothing depends on it, so a refusal is only told.
    async fn tell_contact(&self, account: &Account, key: &StoredKey, url: String, told: &[String]) {
        let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
        if told == contact {
            return;
        }
        if let Err(error) = again!(account.update_contacts(&contact).await) {
            let error = self.error(Step::Register, error);
            warn!(error = with_causes(&error), "the CA does not take `acme.contact`");
            return;
        }
        let stored = Stored { key: key.clone(), url: Some(url), contact: self.settings.contact.clone() };
        if let Err(error) = self.save(stored).await {
            warn!(error = with_causes(&error), "cannot keep the account's contacts");
        }
    }

    async fn lock(&self) -> Result<LockGuard, AcmeError> {
        for _ in 0..LOCK_TRIES {
            if let Some(guard) = blocking(self.store, |store| store.lock(LOCK)).await? {
                return Ok(guard);
            }
            self.clock.sleep_until(self.clock.now() + LOCK_PAUSE).await;
        }
        Err(AcmeError::AccountLocked { directory: self.settings.directory.clone() })
    }

    async fn new_key(&self) -> Result<StoredKey, AcmeError> {
        let key = StoredKey(PrivateKey::generate(KeyType::P256)?.to_pem());
        self.save(Stored { key: key.clone(), url: None, contact: Vec::new() }).await?;
        Ok(key)
    }

    async fn load(&self) -> Result<Option<Stored>, AcmeError> {
        let directory = self.settings.directory.clone();
        let Some(kept) = blocking(self.store, move |store| store.load_account(&directory)).await? else {
            return Ok(None);
        };
        let credentials = Credentials::deserialize(kept.credentials.expose())
            .map_err(|source| AcmeError::AccountUnreadable { directory: self.settings.directory.clone(), source })?;
        Ok(Some(Stored { key: credentials.key, url: credentials.url, contact: kept.contact }))
    }

    async fn save(&self, stored: Stored) -> Result<(), AcmeError> {
        let Stored { key, url, contact } = stored;
        // Two strings always have a JSON form.
        let credentials = serde_json::to_value(Credentials { key, url }).unwrap_or_default();
        let account = store::Account {
            directory: self.settings.directory.clone(),
            contact,
            credentials: store::Credentials::new(credentials),
        };
        Ok(blocking(self.store, move |store| store.save_account(&account.directory, &account)).await?)
    }

    fn pair(&self, key: &StoredKey) -> Result<(Key, PrivateKeyDer<'static>), AcmeError> {
        let der = PrivatePkcs8KeyDer::from(key.private_key()?.der().to_vec());
        let signer = Key::from_pkcs8_der(der.clone_key()).map_err(|error| self.error(Step::Register, error))?;
        Ok((signer, PrivateKeyDer::Pkcs8(der)))
    }

    fn builder(&self) -> instant_acme::AccountBuilder {
        Account::builder_with_http(Box::new(self.client.clone()))
    }

    fn error(&self, step: Step, error: instant_acme::Error) -> AcmeError {
        AcmeError::at(step, &self.settings.directory, self.client.seen(), error)
    }
}

/// URL of a kept account; `None` while its key waits to be registered, or when it cannot be read.
pub fn account_url(account: &store::Account) -> Option<String> {
    Credentials::deserialize(account.credentials.expose()).ok()?.url
}

/// What is kept of an account.
struct Stored {
    key: StoredKey,
    url: Option<String>,
    contact: Vec<String>,
}

/// What proves the account. A key without a URL was about to be registered.
#[derive(Serialize, Deserialize)]
struct Credentials {
    key: StoredKey,
    #[serde(default)]
    url: Option<String>,
}

/// PKCS #8 in PEM.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
struct StoredKey(Zeroizing<String>);

impl From<String> for StoredKey {
    fn from(pem: String) -> Self {
        Self(pem.into())
    }
}

impl From<StoredKey> for String {
    fn from(key: StoredKey) -> Self {
        Self::clone(&key.0)
    }
}

impl StoredKey {
    fn private_key(&self) -> Result<PrivateKey, AcmeError> {
        Ok(PrivateKey::from_pem(self.0.as_bytes())?)
    }
}

/// One lock for all directories: registering is rare.
const LOCK: &str = "ACME account";
const LOCK_PAUSE: Duration = Duration::from_secs(1);
const LOCK_TRIES: u32 = 120;
