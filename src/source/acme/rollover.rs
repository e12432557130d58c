//! Another key for the account (RFC 8555 §7.3.5).
//!
//! # Why
//!
//! Between the CA's change and ours a process may die, and whoever has neither key has lost the account. So the new key
//! is on the disk before the CA hears of it, beside the old one, and stays there until the CA has been asked which of the
//! two it knows. A CA may answer late, or by a machine that has not heard of the change: one that does not know the new
//! key is asked again for an hour, and no key is ever deleted.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::AcmeSource;
use super::account::{Accounts, Known, Opened, Stored, StoredKey};
use super::error::{AcmeError, Step};
use super::jose::{Name, Session, signed};
use crate::source::blocking;
use crate::store;
use crate::time::Timestamp;

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
        let _guard = accounts.lock().await?;
        accounts.settle_alone().await?;
        let Some(Stored { key, url: Some(url), contact }) = accounts.load().await? else {
            return Err(AcmeError::NoAccount { directory: self.settings.directory.clone() });
        };
        let opened = accounts.restore(&key, url.clone()).await?;
        let change = accounts.key_change().await?;
        // One that may be on its way is asked for again, rather than another.
        let pending = accounts.load_next().await?.filter(|next| next.account.url.as_deref() == Some(&*url));
        let (next, is_new) = match pending {
            Some(next) => (next.account.key, false),
            None => (StoredKey::generate()?, true),
        };
        let rolled =
            RolledOver { account: url.clone(), before: opened.signer.thumbprint(), now: next.signer()?.thumbprint() };
        if is_new {
            accounts.save_next(Stored { key: next.clone(), url: Some(url), contact }).await?;
        }
        match accounts.change_key(&change, &opened, &next).await {
            Ok(()) => accounts.promote_next().await?,
            Err(error) => {
                let is_refused = error.is_final_refusal();
                if !is_refused {
                    let directory = &self.settings.directory;
                    warn!(directory, "the CA's answer to the key change is lost: asking which key it knows");
                }
                if !accounts.settle_alone().await.unwrap_or(false) {
                    if is_refused && is_new {
                        accounts.set_next_aside().await?;
                    }
                    return Err(error);
                }
            }
        }
        info!(directory = self.settings.directory, account = rolled.account, "the account has another key");
        Ok(rolled)
    }
}

/// What an account may be about to become.
struct Next {
    account: Stored,
    begun: Option<Timestamp>,
}

impl Next {
    /// The CA may still be at it.
    fn is_young(&self, now: Timestamp) -> bool {
        self.begun.is_some_and(|begun| begun <= now + LONGEST_CHANGE && now.since(begun) < LONGEST_CHANGE)
    }
}

impl Accounts<'_> {
    /// Ends a change of the key that was broken off.
    pub(super) async fn settle(&self) -> Result<(), AcmeError> {
        if self.load_next().await?.is_none() {
            return Ok(());
        }
        let _guard = self.lock().await?;
        self.settle_alone().await.map(drop)
    }

    /// Looks for the key that the CA knows, when it does not take that which is in use.
    pub(super) async fn recover(&self) -> Result<(), AcmeError> {
        if self.load_next().await?.is_none() && !self.has_unused().await? {
            return Ok(());
        }
        let _guard = self.lock().await?;
        if self.load_next().await?.is_none() {
            let Some(Stored { key, url: Some(_), .. }) = self.load().await? else { return Ok(()) };
            if !self.has_unused().await? || matches!(self.find(&key).await?, Known::As(_)) {
                return Ok(());
            }
            self.recall_unused().await?;
        }
        self.settle_alone().await.map(drop)
    }

    /// Uses the new key when the CA knows it, and then alone. One that it does not know is kept beside the old one as long
    /// as the CA may still be at it, or knows neither, and is set aside after that. True when the new key is in use.
    ///
    /// To be called under the lock.
    async fn settle_alone(&self) -> Result<bool, AcmeError> {
        let Some(next) = self.load_next().await? else { return Ok(false) };
        let directory = &self.settings.directory;
        match self.is_taken(&next.account).await? {
            Some(true) => {
                self.promote_next().await?;
                info!(directory, "a change of the account's key had been broken off: the CA knows the new one");
                return Ok(true);
            }
            Some(false) if !next.is_young(self.clock.now()) && self.is_current_known().await? => {
                self.set_next_aside().await?;
                info!(directory, "a change of the account's key had been broken off: the CA knows the old one");
            }
            Some(false) | None => debug!(directory, "the CA does not know the account's new key, as far as it says"),
        }
        Ok(false)
    }

    /// Whether the CA has taken a new key for the account; `None` when it does not say.
    async fn is_taken(&self, next: &Stored) -> Result<Option<bool>, AcmeError> {
        match self.find(&next.key).await? {
            Known::As(url) if Some(&url) == next.url.as_ref() => Ok(Some(true)),
            Known::No => Ok(Some(false)),
            Known::As(_) | Known::Unsaid => self.opens(next).await,
        }
    }

    /// Whether the key opens the account (RFC 8555 §7.3.2); `None` when the CA refuses, for whatever reason.
    async fn opens(&self, next: &Stored) -> Result<Option<bool>, AcmeError> {
        let (signer, Some(url)) = (next.key.signer()?, &next.url) else { return Ok(None) };
        let session = Session { client: self.client, signer: &signer, name: Name::Account(url) };
        match session.post(url, None).await.map_err(|error| self.error(Step::Register, error)) {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.is_answered() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn is_current_known(&self) -> Result<bool, AcmeError> {
        let Some(Stored { key, url: Some(url), .. }) = self.load().await? else { return Ok(false) };
        Ok(matches!(self.find(&key).await?, Known::As(known) if known == url))
    }

    /// Where the CA changes keys.
    async fn key_change(&self) -> Result<String, AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        let offered = directory.key_change.clone();
        offered.ok_or_else(|| AcmeError::NoRollover { directory: self.settings.directory.clone() })
    }

    /// A JWS of the new key inside of one of the old key.
    async fn change_key(&self, url: &str, opened: &Opened, next: &StoredKey) -> Result<(), AcmeError> {
        let change: Value = json!({ "account": opened.account.id(), "oldKey": opened.signer.jwk() });
        let inner = signed(&next.signer()?, &Name::Key, None, url, Some(&change));
        let inner = inner.map_err(|error| self.error(Step::ChangeKey, error))?;
        self.client.seen().doing(Step::ChangeKey);
        let posted = opened.session(self.client).post(url, Some(&inner)).await;
        posted.map(drop).map_err(|error| self.error(Step::ChangeKey, error))
    }

    async fn load_next(&self) -> Result<Option<Next>, AcmeError> {
        let directory = self.settings.directory.clone();
        let kept = blocking(self.store, move |store| store.load_next_account(&directory)).await?;
        kept.map(|kept| Ok(Next { account: self.read(&kept)?, begun: kept.begun })).transpose()
    }

    async fn save_next(&self, next: Stored) -> Result<(), AcmeError> {
        let begun = Some(self.clock.now());
        let account = store::Account { begun, ..next.written(&self.settings.directory) };
        Ok(blocking(self.store, move |store| store.save_next_account(&account.directory, &account)).await?)
    }

    async fn promote_next(&self) -> Result<(), AcmeError> {
        let directory = self.settings.directory.clone();
        Ok(blocking(self.store, move |store| store.promote_next_account(&directory)).await?)
    }

    async fn set_next_aside(&self) -> Result<(), AcmeError> {
        let directory = self.settings.directory.clone();
        Ok(blocking(self.store, move |store| store.set_next_account_aside(&directory)).await?)
    }

    async fn has_unused(&self) -> Result<bool, AcmeError> {
        let directory = self.settings.directory.clone();
        Ok(blocking(self.store, move |store| store.has_unused_account(&directory)).await?)
    }

    async fn recall_unused(&self) -> Result<(), AcmeError> {
        let directory = self.settings.directory.clone();
        Ok(blocking(self.store, move |store| store.recall_unused_account(&directory)).await?)
    }
}

/// How long a CA may need until each of its machines knows a new key.
const LONGEST_CHANGE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_key_that_the_ca_does_not_know_when_judged_then_young_for_an_hour_by_any_clock() {
        let now = Timestamp::from_unix(1_800_000_000);
        let hour = Duration::from_secs(3600);
        let table = [
            ("just now", Some(now), true),
            ("almost an hour ago", Some(now - Duration::from_secs(3599)), true),
            ("an hour ago", Some(now - hour), false),
            ("by a clock that was ahead", Some(now + hour), true),
            ("by a clock that was years ahead", Some(now + hour * 20_000), false),
            ("by an older portvakt", None, false),
        ];
        for (name, begun, expected) in table {
            let account = Stored { key: StoredKey::generate().unwrap(), url: None, contact: Vec::new() };
            assert_eq!(Next { account, begun }.is_young(now), expected, "{name}");
        }
    }
}
