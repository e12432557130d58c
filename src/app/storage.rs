//! What `metrics` shows of the state directory.

use std::collections::BTreeMap;
use std::sync::Weak;

use super::Inner;
use crate::config::Config;
use crate::metrics::StorageStatus;
use crate::source::{Settings, acme};
use crate::store;

/// How the state directory stands. Nothing once the process is gone.
pub(super) fn status(inner: &Weak<Inner>) -> StorageStatus {
    let Some(inner) = inner.upgrade() else { return StorageStatus::default() };
    let mut locks: BTreeMap<_, _> = names(&inner.config.load()).into_iter().map(|name| (name, false)).collect();
    // One of a certificate that is gone may still be held.
    locks.extend(inner.store.held_locks().into_iter().map(|name| (name, true)));
    let failures = store::failures().map(|(operation, count)| (operation.as_str(), count));
    StorageStatus { locks: locks.into_iter().collect(), failures: failures.to_vec() }
}

/// Every lock that a configuration may take for longer than a moment.
fn names(config: &Config) -> Vec<String> {
    let ordered = || config.certificates.iter().filter(|it| !matches!(it.source, Settings::Files(_)));
    let is_acme = ordered().any(|it| matches!(it.source, Settings::Acme(_)));
    let notifiers = config.notify.iter().map(|notifier| store::notifier_lock(&notifier.name));
    let accounts = is_acme.then(|| acme::ACCOUNT_LOCK.to_owned());
    ordered().map(|it| it.name.clone()).chain(notifiers).chain(accounts).collect()
}
