//! What was read of the CAs that are ordered from: what they still allow, and the root of our own.
//!
//! # Why
//!
//! Whoever asks for the status or the metrics gets an answer at once, however often: the disk is read at most once in
//! [`LIFE`], and anew as soon as an attempt has written there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::CertificateStatus;
use crate::source::acme::CaBudget;

/// What was read of CAs.
#[derive(Debug, Default)]
pub(super) struct Cas {
    budgets: Kept<Arc<[CaBudget]>>,
    root: Kept<Option<CertificateStatus>>,
}

impl Cas {
    /// What CAs still allow; `read` asks the store.
    pub(super) fn budgets(&self, read: impl FnOnce() -> Vec<CaBudget>) -> Arc<[CaBudget]> {
        self.budgets.get(|| read().into())
    }

    /// The root of our own CA, where there is one; `read` asks the store.
    pub(super) fn root(&self, read: impl FnOnce() -> Option<CertificateStatus>) -> Option<CertificateStatus> {
        self.root.get(read)
    }

    /// Something was written, or is asked by another configuration.
    pub(super) fn forget(&self) {
        self.budgets.forget();
        self.root.forget();
    }
}

/// What was read, for a while.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Kept<T> {
    /// Who comes while it is being read waits for it, so that nobody reads it twice.
    fn get(&self, read: impl FnOnce() -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = kept.as_ref().filter(|(at, _)| at.elapsed() < LIFE) {
            return value.clone();
        }
        let value = read();
        *kept = Some((Instant::now(), value.clone()));
        value
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Shorter than a person looks again, and than any scrape interval.
const LIFE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_many_questions_when_answered_then_read_once_in_a_while_and_after_each_change() {
        let cas = Cas::default();
        let reads = std::cell::Cell::new(0);
        let ask = || {
            cas.budgets(|| {
                reads.set(reads.get() + 1);
                Vec::new()
            })
        };
        (0..1000).for_each(|_| drop(ask()));
        assert_eq!(reads.get(), 1);
        tokio::time::advance(LIFE).await;
        (0..1000).for_each(|_| drop(ask()));
        assert_eq!(reads.get(), 2);
        cas.forget();
        (0..1000).for_each(|_| drop(ask()));
        assert_eq!(reads.get(), 3);
    }
}
