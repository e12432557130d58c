//! Gathering what is shown, beside the threads that serve.
//!
//! # Why
//!
//! Some of it is on the disk. A disk that does not answer, as a network's, holds up who asks for that, and nobody else: neither
//! traffic nor `/livez`. However often is asked, one thread waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// One at a time gathers; whoever comes meanwhile waits for a while.
#[derive(Debug)]
pub struct Turn(Arc<Semaphore>);

impl Turn {
    /// Works on a thread that may wait; `None` when it is not done within `patience`, with the work of others before it. What
    /// hangs keeps the turn until it ends, so that nothing piles up behind it.
    pub async fn take<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let done = async {
            let turn = self.0.clone().acquire_owned().await.ok()?;
            let work = move || {
                let _turn = turn;
                work()
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        tokio::time::timeout(patience, done).await.ok().flatten()
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_work_that_hangs_when_others_come_then_they_do_not_wait_for_ever_and_nothing_is_begun_behind_it() {
        let (turn, (release, held)) = (Turn::default(), mpsc::channel::<()>());
        let (begun, begins) = mpsc::channel();
        let hanging = turn.take(SECOND, move || held.recv().is_err());
        let next = turn.take(SECOND, move || begun.send(()));

        let (hung, waited, ()) = tokio::join!(hanging, next, tokio::time::advance(SECOND * 2));

        assert_eq!((hung, waited.is_none()), (None, true));
        assert!(begins.try_recv().is_err());
        drop(release);
        tokio::time::resume();
        assert_eq!(turn.take(SECOND * 60, || 7).await, Some(7));
    }

    const SECOND: Duration = Duration::from_secs(1);
}
