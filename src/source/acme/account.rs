//! The account at a CA: registered once, kept, and used by every certificate.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::LOCATION;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::again;
use super::error::{AcmeError, Step};
use super::http::CaClient;
use super::jose::{Name, Session, Signer, bound};
use crate::causes::with_causes;
use crate::pki::{KeyType, PrivateKey};
use crate::source::{AcmeSettings, blocking, off_thread};
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

/// An account that is ready for use.
pub(super) struct Opened {
    pub(super) account: instant_acme::Account,
    pub(super) signer: Signer,
}

impl Opened {
    /// Sends requests of the account that instant-acme does not know.
    pub(super) fn session<'a>(&'a self, client: &'a CaClient) -> Session<'a> {
        Session { client, signer: &self.signer, name: Name::Account(self.account.id()) }
    }
}

impl Accounts<'_> {
    /// The kept account, else a new one.
    pub(super) async fn open(&self) -> Result<Opened, AcmeError> {
        self.settle().await?;
        if let Some(Stored { key, url: Some(url), contact }) = self.load().await? {
            let opened = self.restore(&key, url).await?;
            self.tell_contact(&opened, &contact).await;
            return Ok(opened);
        }
        self.register(None).await
    }

    /// The account again, when another key or URL is kept for it than it was opened with, or when the CA turns out to know
    /// another of our keys; somebody else has changed it, or a change that was broken off has come to its end.
    pub(super) async fn reopen(&self, used: &Opened) -> Result<Option<Opened>, AcmeError> {
        if let Err(error) = self.recover().await {
            let (directory, error) = (&self.settings.directory, with_causes(&error));
            warn!(directory, error, "cannot ask the CA which of our keys it knows");
        }
        match self.load().await? {
            Some(kept) if !kept.is_of(used)? => match kept.url {
                Some(url) => self.restore(&kept.key, url).await.map(Some),
                None => Ok(None),
            },
            Some(_) | None => Ok(None),
        }
    }

    /// Registers the kept key, or a new one, unless somebody else has done so meanwhile.
    ///
    /// `gone` is the account that the CA has forgotten.
    pub(super) async fn register(&self, gone: Option<&str>) -> Result<Opened, AcmeError> {
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
        let url = self.ask_for_account(&key).await?;
        self.save(Stored { key: key.clone(), url: Some(url.clone()), contact: Vec::new() }).await?;
        info!(directory = self.settings.directory, account = url, "account registered");
        let opened = self.restore(&key, url).await?;
        self.tell_contact_alone(&opened).await;
        Ok(opened)
    }

    /// Finds the account of this key, else makes it (RFC 8555 §7.3). The key of an external account may be good for one
    /// account only, so that an answer that was lost must not spend it twice.
    async fn ask_for_account(&self, key: &StoredKey) -> Result<String, AcmeError> {
        if self.settings.eab.is_some()
            && let Known::As(url) = self.find(key).await?
        {
            return Ok(url);
        }
        let signer = key.signer()?;
        let payload = self.new_account(&signer).await?;
        self.afford_account().await?;
        let posted = self.post_account(&signer, &payload).await;
        let is_counted = match &posted {
            Ok((status, _)) => *status == StatusCode::CREATED,
            Err(error) => !error.is_answered(),
        };
        if !is_counted {
            self.not_registered().await;
        }
        posted.map(|(_, url)| url)
    }

    /// What the CA knows of this key.
    pub(super) async fn find(&self, key: &StoredKey) -> Result<Known, AcmeError> {
        match self.post_account(&key.signer()?, &json!({ "onlyReturnExisting": true })).await {
            Ok((_, url)) => Ok(Known::As(url)),
            Err(error) if error.is_account_gone() => Ok(Known::No),
            Err(error) if error.is_about_question() => Ok(Known::Unsaid),
            Err(error) => Err(error),
        }
    }

    async fn new_account(&self, signer: &Signer) -> Result<Value, AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        let mut payload = json!({ "termsOfServiceAgreed": true });
        match &self.settings.eab {
            Some(eab) => {
                let external = eab.clone();
                let key = off_thread(move || external.key()).await?;
                payload["externalAccountBinding"] = bound(signer, &eab.kid, &key, &directory.new_account);
            }
            None if directory.meta.external_account_required => {
                return Err(AcmeError::ExternalAccountRequired { directory: self.settings.directory.clone() });
            }
            None => {}
        }
        Ok(payload)
    }

    async fn post_account(&self, signer: &Signer, payload: &Value) -> Result<(StatusCode, String), AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        self.client.seen().doing(Step::Register);
        let session = Session { client: self.client, signer, name: Name::Key };
        let posted = session.post(&directory.new_account, Some(payload)).await;
        let (parts, _) = posted.map_err(|error| self.error(Step::Register, error))?;
        let url = parts.headers.get(LOCATION).and_then(|url| url.to_str().ok()).map(str::to_owned);
        let nameless = || self.error(Step::Register, instant_acme::Error::Str("no URL of the account (RFC 8555 §7.3)"));
        url.map(|url| (parts.status, url)).ok_or_else(nameless)
    }

    pub(super) async fn restore(&self, key: &StoredKey, url: String) -> Result<Opened, AcmeError> {
        // instant-acme reads it without asking again; a URL that cannot be asked has been refused then.
        self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        self.client.seen().doing(Step::Connect);
        let der = PrivatePkcs8KeyDer::from(key.private_key()?.der().to_vec());
        let builder = instant_acme::Account::builder_with_http(Box::new(self.client.clone()));
        let restored = builder.from_parts(url, der, self.settings.directory.clone()).await;
        let account = restored.map_err(|error| self.error(Step::Connect, error))?;
        Ok(Opened { account, signer: key.signer()? })
    }

    /// Brings the CA's list of contacts up to date, unless somebody else has the account in his hands: he tells the same, or
    /// it is told with the next order.
    async fn tell_contact(&self, opened: &Opened, told: &[String]) {
        if told == self.settings.contact {
            return;
        }
        if let Ok(Some(_guard)) = blocking(self.store, |store| store.lock(LOCK)).await {
            self.tell_contact_alone(opened).await;
        }
    }

    /// To be called under the lock: what is kept by now is what is kept afterwards, but for the contacts. Nothing depends on
    /// them, so a refusal is only told.
    async fn tell_contact_alone(&self, opened: &Opened) {
        let Ok(Some(kept)) = self.load().await else { return };
        if kept.contact == self.settings.contact || !kept.is_of(opened).unwrap_or(false) {
            return;
        }
        let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
        self.client.seen().doing(Step::Register);
        if let Err(error) = again!(opened.account.update_contacts(&contact).await) {
            let error = self.error(Step::Register, error);
            warn!(error = with_causes(&error), "the CA does not take `acme.contact`");
            return;
        }
        if let Err(error) = self.save(Stored { contact: self.settings.contact.clone(), ..kept }).await {
            warn!(error = with_causes(&error), "cannot keep the account's contacts");
        }
    }

    pub(super) async fn lock(&self) -> Result<LockGuard, AcmeError> {
        for _ in 0..LOCK_TRIES {
            if let Some(guard) = blocking(self.store, |store| store.lock(LOCK)).await? {
                return Ok(guard);
            }
            self.clock.sleep_until(self.clock.now() + LOCK_PAUSE).await;
        }
        Err(AcmeError::AccountLocked { directory: self.settings.directory.clone() })
    }

    async fn new_key(&self) -> Result<StoredKey, AcmeError> {
        let key = StoredKey::generate()?;
        self.save(Stored { key: key.clone(), url: None, contact: Vec::new() }).await?;
        Ok(key)
    }

    pub(super) async fn load(&self) -> Result<Option<Stored>, AcmeError> {
        let directory = self.settings.directory.clone();
        let kept = blocking(self.store, move |store| store.load_account(&directory)).await?;
        kept.map(|kept| self.read(&kept)).transpose()
    }

    pub(super) fn read(&self, kept: &store::Account) -> Result<Stored, AcmeError> {
        Stored::read(kept)
            .map_err(|source| AcmeError::AccountUnreadable { directory: self.settings.directory.clone(), source })
    }

    async fn save(&self, stored: Stored) -> Result<(), AcmeError> {
        let account = stored.written(&self.settings.directory);
        Ok(blocking(self.store, move |store| store.save_account(&account.directory, &account)).await?)
    }

    pub(super) fn error(&self, step: Step, error: instant_acme::Error) -> AcmeError {
        AcmeError::at(step, &self.settings.directory, self.client.seen(), error)
    }
}

/// URL of a kept account; `None` while its key waits to be registered, or when it cannot be read.
pub fn account_url(account: &store::Account) -> Option<String> {
    Stored::read(account).ok()?.url
}

/// SHA-256 of a kept account's public key (RFC 7638), in base64url; `None` when it cannot be read.
pub fn account_thumbprint(account: &store::Account) -> Option<String> {
    Some(Stored::read(account).ok()?.key.signer().ok()?.thumbprint())
}

/// What a CA says of a key.
#[derive(Debug)]
pub(super) enum Known {
    /// It is that of the account with this URL.
    As(String),
    /// It is that of no account.
    No,
    /// The CA does not answer such questions; some want an external account for each.
    Unsaid,
}

/// What is kept of an account.
pub(super) struct Stored {
    pub(super) key: StoredKey,
    pub(super) url: Option<String>,
    pub(super) contact: Vec<String>,
}

impl Stored {
    fn read(kept: &store::Account) -> Result<Self, serde_json::Error> {
        let Credentials { key, url } = Credentials::deserialize(kept.credentials.expose())?;
        Ok(Self { key, url, contact: kept.contact.clone() })
    }

    /// Whether it is what was opened.
    fn is_of(&self, opened: &Opened) -> Result<bool, AcmeError> {
        let is_its_url = self.url.as_deref() == Some(opened.account.id());
        Ok(is_its_url && self.key.signer()?.thumbprint() == opened.signer.thumbprint())
    }

    pub(super) fn written(self, directory: &str) -> store::Account {
        let Self { key, url, contact } = self;
        // Two strings always have a JSON form.
        let credentials = serde_json::to_value(Credentials { key, url }).unwrap_or_default();
        let credentials = store::Credentials::new(credentials);
        store::Account { directory: directory.to_owned(), contact, credentials, begun: None }
    }
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
pub(super) struct StoredKey(Zeroizing<String>);

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
    pub(super) fn generate() -> Result<Self, AcmeError> {
        Ok(Self(PrivateKey::generate(KeyType::P256)?.to_pem()))
    }

    pub(super) fn private_key(&self) -> Result<PrivateKey, AcmeError> {
        Ok(PrivateKey::from_pem(self.0.as_bytes())?)
    }

    pub(super) fn signer(&self) -> Result<Signer, AcmeError> {
        Signer::new(&self.private_key()?).map_err(|_| AcmeError::AccountKey)
    }
}

/// Name of the lock that guards accounts; one for all directories, since registering is rare.
pub const LOCK: &str = "ACME account";
const LOCK_PAUSE: Duration = Duration::from_secs(1);
const LOCK_TRIES: u32 = 120;
