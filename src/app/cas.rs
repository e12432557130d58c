//! What was read of the CAs that are ordered from: what they still allow, and the root of our own.
//!
//! # Why
//!
//! Whoever asks for the status or the metrics gets an answer at once, however often: the disk is read at most once in
//! [`LIFE`], and anew as soon as an attempt has written there. While a disk does not answer, one waits for it, and the others
//! get what was read before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
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
struct Kept<T> {
    last: Mutex<Last<T>>,
    /// Held while it is read, and never together with the other but for a moment.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct Last<T> {
    value: Option<T>,
    /// When it was read; `None` is before the last change.
    at: Option<Instant>,
    changes: u64,
}

impl<T: Clone> Kept<T> {
    /// Nobody reads it twice at once. Who comes meanwhile gets what was read before, or waits where nothing was.
    fn get(&self, read: impl FnOnce() -> T) -> T {
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        let reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => match self.last().value.clone() {
                Some(old) => return old,
                None => self.reading.lock().unwrap_or_else(PoisonError::into_inner),
            },
        };
        // Another may have read it just now.
        let value = self.fresh().unwrap_or_else(|| self.read(read));
        drop(reading);
        value
    }

    fn read(&self, read: impl FnOnce() -> T) -> T {
        let changes = self.last().changes;
        let value = read();
        let mut last = self.last();
        // What has changed meanwhile may not be in it.
        let at = (last.changes == changes).then(Instant::now);
        (last.value, last.at) = (Some(value.clone()), at);
        value
    }

    fn fresh(&self) -> Option<T> {
        let last = self.last();
        last.at.filter(|at| at.elapsed() < LIFE).and_then(|_| last.value.clone())
    }
}

impl<T> Kept<T> {
    /// Never waits for the disk.
    fn forget(&self) {
        let mut last = self.last();
        last.at = None;
        last.changes += 1;
    }

    fn last(&self) -> MutexGuard<'_, Last<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { last: Mutex::new(Last { value: None, at: None, changes: 0 }), reading: Mutex::default() }
    }
}

/// Shorter than a person looks again, and than any scrape interval.
const LIFE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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

    #[test]
    fn given_a_disk_that_hangs_when_asked_and_changed_then_what_was_read_before_and_then_anew() {
        let kept = Kept::default();
        assert_eq!(kept.get(|| 1), 1);
        kept.forget();
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                kept.get(move || {
                    begun.send(()).unwrap();
                    let _ = held.recv();
                    2
                })
            });
            begins.recv().unwrap();

            assert_eq!(kept.get(|| 0), 1);
            kept.forget();
            assert_eq!(kept.get(|| 0), 1);

            drop(release);
            assert_eq!(reader.join().unwrap(), 2);
        });
        assert_eq!(kept.get(|| 3), 3, "changed while it was read");
    }
}
