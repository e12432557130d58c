//! Another key for the account (RFC 8555 §7.3.5).
//!
//! # Why
//!
//! Between the CA's change and ours a process may die, and whoever has neither key has lost the account. So the new key
//! is on the disk before the CA hears of it, beside the old one, and stays there until the CA has been asked which of the
//! two it knows. Nothing is thrown away before that.

use serde_json::{Value, json};
use tracing::{info, warn};

use super::AcmeSource;
use super::account::{Accounts, Opened, Stored, StoredKey};
use super::error::{AcmeError, Step};
use super::jose::{Name, signed};
use crate::source::blocking;

/// An account whose key has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledOver {
    /// URL of the account.
    pub account: String,
    /// SHA-256 of the public key before (RFC 7638), in base64url.
    pub before: String,
    /// The same of the key now.
    pub now: String,
}

impl AcmeSource {
    /// Gives the account another key. What is being ordered goes on with the new one.
    ///
    /// # Errors
    ///
    /// [`AcmeError::NoAccount`] when none is kept, [`AcmeError::NoRollover`] where the CA does not offer it, and every way
    /// in which the CA cannot be asked. The account can be used afterwards in each case.
    pub async fn roll_over(&self) -> Result<RolledOver, AcmeError> {
        let accounts = self.accounts();
        accounts.settle().await?;
        let _guard = accounts.lock().await?;
        let Some(Stored { key, url: Some(url), contact }) = accounts.load().await? else {
            return Err(AcmeError::NoAccount { directory: self.settings.directory.clone() });
        };
        let opened = accounts.restore(&key, url.clone()).await?;
        let next = StoredKey::generate()?;
        let rolled =
            RolledOver { account: url.clone(), before: opened.signer.thumbprint(), now: next.signer()?.thumbprint() };
        accounts.save_next(Stored { key: next.clone(), url: Some(url), contact }).await?;
        match accounts.change_key(&opened, &next).await {
            Ok(()) => accounts.promote_next().await?,
            // The CA has said no, so that the new key is worth nothing.
            Err(error) if error.is_final_refusal() => {
                accounts.discard_next().await?;
                return Err(error);
            }
            // Nobody knows whether the CA has done it.
            Err(error) => {
                warn!(
                    directory = self.settings.directory,
                    "the CA's answer to the key change is lost: asking which key it knows"
                );
                if !accounts.settle_locked().await? {
                    return Err(error);
                }
            }
        }
        info!(directory = self.settings.directory, account = rolled.account, "the account has another key");
        Ok(rolled)
    }
}

impl Accounts<'_> {
    /// Ends a change of the key that was broken off.
    pub(super) async fn settle(&self) -> Result<(), AcmeError> {
        if self.load_next().await?.is_none() {
            return Ok(());
        }
        let _guard = self.lock().await?;
        self.settle_locked().await.map(drop)
    }

    /// Keeps the one of two keys that the CA knows. True when that is the new one.
    async fn settle_locked(&self) -> Result<bool, AcmeError> {
        let Some(next) = self.load_next().await? else { return Ok(false) };
        let is_known = self.find(&next.key).await?.is_some();
        match is_known {
            true => self.promote_next().await?,
            false => self.discard_next().await?,
        }
        info!(
            directory = self.settings.directory,
            is_known, "a change of the account's key had been broken off: settled"
        );
        Ok(is_known)
    }

    /// A JWS of the new key inside of one of the old key.
    async fn change_key(&self, opened: &Opened, next: &StoredKey) -> Result<(), AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        let Some(url) = &directory.key_change else {
            return Err(AcmeError::NoRollover { directory: self.settings.directory.clone() });
        };
        let change: Value = json!({ "account": opened.account.id(), "oldKey": opened.signer.jwk() });
        let inner = signed(&next.signer()?, &Name::Key, None, url, Some(&change));
        let inner = inner.map_err(|error| self.error(Step::ChangeKey, error))?;
        self.client.seen().doing(Step::ChangeKey);
        let posted = opened.session(self.client).post(url, Some(&inner)).await;
        posted.map(drop).map_err(|error| self.error(Step::ChangeKey, error))
    }

    async fn save_next(&self, next: Stored) -> Result<(), AcmeError> {
        let account = next.written(&self.settings.directory);
        Ok(blocking(self.store, move |store| store.save_next_account(&account.directory, &account)).await?)
    }

    async fn promote_next(&self) -> Result<(), AcmeError> {
        let directory = self.settings.directory.clone();
        Ok(blocking(self.store, move |store| store.promote_next_account(&directory)).await?)
    }

    async fn discard_next(&self) -> Result<(), AcmeError> {
        let directory = self.settings.directory.clone();
        Ok(blocking(self.store, move |store| store.discard_next_account(&directory)).await?)
    }
}
