//! What each CA still allows, from our own ledger: judged before an order is sent, noted, and shown.

use tracing::warn;

use super::account::Accounts;
use super::error::AcmeError;
use super::{AcmeSource, account_url};
use crate::causes::with_causes;
use crate::lifecycle::Record;
use crate::lifecycle::budget::{Ask, Ledger, Limit, Limits, Standing};
use crate::source::{CertificateSettings, Order, Settings, blocking};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// What one CA still allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBudget {
    /// URL of its directory.
    pub directory: String,
    /// Its name, when its limits are known.
    pub name: Option<&'static str>,
    /// URL of the account, when there is one.
    pub account: Option<String>,
    /// What counts by address and account.
    pub standings: Vec<Standing>,
    /// Every certificate that is, or may be, ordered there.
    pub certificates: Vec<CertificateBudget>,
}

/// What a CA still allows for one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBudget {
    /// Its configured name.
    pub name: String,
    /// What it is issued to.
    pub identifiers: Vec<String>,
    /// What counts by identifiers.
    pub standings: Vec<Standing>,
    /// Until when the CA has asked to wait; filled by [`CaBudget::with_waits`].
    pub retry_after: Option<Timestamp>,
}

/// What every CA that the certificates come from still allows, in the order of the settings. Reads the store.
///
/// # Errors
///
/// [`StoreError::Io`] when it cannot be read.
pub fn budgets(
    store: &Store,
    certificates: &[CertificateSettings],
    now: Timestamp,
) -> Result<Vec<CaBudget>, StoreError> {
    let mut directories: Vec<&str> = Vec::new();
    for directory in certificates.iter().flat_map(directories_of) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories.into_iter().map(|directory| budget(store, directory, certificates, now)).collect()
}

impl CaBudget {
    /// Reads until when the CA has asked to wait, too. What cannot be read is left out.
    #[must_use]
    pub fn with_waits(mut self, store: &Store, now: Timestamp) -> Self {
        for certificate in &mut self.certificates {
            let record = store.load_record::<Record>(&certificate.name).ok().flatten();
            certificate.retry_after = record.and_then(|record| record.waits_for(&self.directory, now));
        }
        self
    }
}

fn directories_of(certificate: &CertificateSettings) -> Vec<&str> {
    match &certificate.source {
        Settings::Acme(cas) => cas.iter().map(|ca| ca.directory.as_str()).collect(),
        Settings::Internal | Settings::Files(_) => Vec::new(),
    }
}

fn budget(
    store: &Store,
    directory: &str,
    certificates: &[CertificateSettings],
    now: Timestamp,
) -> Result<CaBudget, StoreError> {
    let (limits, ledger) = (Limits::of(directory), store.load_ledger(directory)?);
    // A damaged account is told by whoever needs it.
    let account = store.load_account(directory).ok().flatten().and_then(|account| account_url(&account));
    let standings = |identifiers: &[String], limit: fn(Limit) -> bool| {
        let ask = Ask { account: account.as_deref(), identifiers, replaces: false };
        let all = limits.map_or_else(Vec::new, |limits| ledger.standings(limits, &ask, now));
        all.into_iter().filter(|standing| limit(standing.limit)).collect()
    };
    let of_certificate = |certificate: &CertificateSettings| CertificateBudget {
        name: certificate.name.clone(),
        identifiers: certificate.identifiers.clone(),
        standings: standings(&certificate.identifiers, |limit| !is_of_account(limit)),
        retry_after: None,
    };
    let ordered_there = certificates.iter().filter(|certificate| directories_of(certificate).contains(&directory));
    Ok(CaBudget {
        directory: directory.to_owned(),
        name: limits.map(|limits| limits.name),
        standings: standings(&[], is_of_account),
        certificates: ordered_there.map(of_certificate).collect(),
        account,
    })
}

const fn is_of_account(limit: Limit) -> bool {
    matches!(limit, Limit::Registrations | Limit::Orders)
}

impl AcmeSource {
    /// Notes an order that is about to be sent, unless the CA would surely refuse it.
    ///
    /// # Errors
    ///
    /// [`AcmeError::Budget`] for one that would be refused, [`AcmeError::Store`] when the ledger cannot be kept.
    pub(super) async fn afford(&self, account: &str, order: &Order, replaces: bool) -> Result<(), AcmeError> {
        let judged = self.on_ledger(account, order, replaces, |ledger, limits, ask, now| {
            ledger.judge(limits, ask, now)?;
            ledger.orders(limits, ask, now);
            Ok(())
        });
        match judged.await? {
            Some(Err(refusal)) => Err(AcmeError::Budget { directory: self.settings.directory.clone(), refusal }),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Notes that the order which was sent was not taken.
    pub(super) async fn not_taken(&self, account: &str, order: &Order, replaces: bool) {
        let noted = self.on_ledger(account, order, replaces, Ledger::not_taken).await;
        self.tell(noted);
    }

    /// Notes that the CA did not take an order as the renewal that it was sent as.
    pub(super) async fn note_ordered(&self, account: &str, order: &Order) {
        let noted = self.on_ledger(account, order, false, Ledger::orders).await;
        self.tell(noted);
    }

    /// Notes a certificate.
    pub(super) async fn note_issued(&self, account: &str, order: &Order, replaces: bool) {
        let noted = self.on_ledger(account, order, replaces, Ledger::issued).await;
        self.tell(noted);
    }

    /// Notes that control over `identifier` could not be proven.
    pub(super) async fn note_failed(&self, account: &str, order: &Order, identifier: &str) {
        let (of, identifier) = (account.to_owned(), identifier.to_owned());
        let note = move |ledger: &mut Ledger, limits: &Limits, _: &Ask<'_>, now| {
            ledger.failed(limits, &of, &identifier, now);
        };
        let noted = self.on_ledger(account, order, false, note).await;
        self.tell(noted);
    }

    /// `None` where no limits are known.
    async fn on_ledger<T: Send + 'static>(
        &self,
        account: &str,
        order: &Order,
        replaces: bool,
        change: impl FnOnce(&mut Ledger, &Limits, &Ask<'_>, Timestamp) -> T + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let Some(limits) = Limits::of(&self.settings.directory) else { return Ok(None) };
        let (directory, now) = (self.settings.directory.clone(), self.clock.now());
        let (account, identifiers) = (account.to_owned(), order.identifiers.clone());
        blocking(&self.store, move |store| {
            let ask = Ask { account: Some(&account), identifiers: &identifiers, replaces };
            store.change_ledger(&directory, |ledger| change(ledger, limits, &ask, now)).map(Some)
        })
        .await
    }

    fn tell<T>(&self, noted: Result<Option<T>, StoreError>) {
        tell(&self.settings.directory, noted);
    }
}

impl Accounts<'_> {
    /// Notes an account that is about to be registered, unless the CA would surely refuse it.
    ///
    /// # Errors
    ///
    /// [`AcmeError::Budget`] for one that would be refused, [`AcmeError::Store`] when the ledger cannot be kept.
    pub(super) async fn afford_account(&self) -> Result<(), AcmeError> {
        let judged = self.on_ledger(|ledger, limits, now| {
            ledger.judge_registration(limits, now)?;
            ledger.registers(limits, now);
            Ok(())
        });
        match judged.await? {
            Some(Err(refusal)) => Err(AcmeError::Budget { directory: self.settings.directory.clone(), refusal }),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Notes that the CA has made no account.
    pub(super) async fn not_registered(&self) {
        tell(&self.settings.directory, self.on_ledger(Ledger::not_registered).await);
    }

    /// `None` where no limits are known.
    async fn on_ledger<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Ledger, &Limits, Timestamp) -> T + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let Some(limits) = Limits::of(&self.settings.directory) else { return Ok(None) };
        let (directory, now) = (self.settings.directory.clone(), self.clock.now());
        let changed = move |store: &Store| store.change_ledger(&directory, |ledger| change(ledger, limits, now));
        blocking(self.store, changed).await.map(Some)
    }
}

/// What happened has happened: it only shows later that less was left.
fn tell<T>(directory: &str, noted: Result<Option<T>, StoreError>) {
    if let Err(error) = noted {
        warn!(directory, error = with_causes(&error), "cannot note what the CA counts");
    }
}
