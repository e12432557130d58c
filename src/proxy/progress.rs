//! How far a request has come, as its callbacks tell whoever watches over it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::metrics::RouteMetrics;

/// One request on its way. Travels in the extensions of its header.
pub(super) struct Progress {
    began: Instant,
    /// Milliseconds after `began`.
    last_body: AtomicU64,
    is_body_done: AtomicBool,
    is_answered: AtomicBool,
    route: OnceLock<Arc<RouteMetrics>>,
}

impl Progress {
    pub(super) fn new(is_body_done: bool) -> Self {
        Self {
            began: Instant::now(),
            last_body: AtomicU64::new(0),
            is_body_done: AtomicBool::new(is_body_done),
            is_answered: AtomicBool::new(false),
            route: OnceLock::new(),
        }
    }

    /// A piece of the request's body has come.
    pub(super) fn body(&self, is_end: bool) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_body.store(now, Ordering::Relaxed);
        self.is_body_done.fetch_or(is_end, Ordering::Relaxed);
    }

    /// Where the request is counted.
    pub(super) fn routed(&self, route: &Arc<RouteMetrics>) {
        // A request is routed once.
        let _ = self.route.set(route.clone());
    }

    /// The client has its whole answer.
    pub(super) fn answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed)
    }

    pub(super) fn route(&self) -> Option<&Arc<RouteMetrics>> {
        self.route.get()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns when the body has stood still for `limit` and is not at its end; never once it is.
    pub(super) async fn body_stalls(&self, limit: Duration) {
        loop {
            let seen = self.last_body.load(Ordering::Relaxed);
            sleep_until(self.began + Duration::from_millis(seen) + limit).await;
            if self.is_body_done.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            if self.last_body.load(Ordering::Relaxed) == seen {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn given_a_body_that_goes_on_when_watched_then_it_stalls_only_after_its_last_piece() {
        let progress = Arc::new(Progress::new(false));
        let began = Instant::now();
        let client = progress.clone();
        let sending = async move {
            for _ in 0..5 {
                advance(LIMIT / 2).await;
                client.body(false);
            }
            std::future::pending::<()>().await;
        };

        tokio::select! {
            () = progress.body_stalls(LIMIT) => {}
            () = sending => {}
        }

        assert!(began.elapsed() >= LIMIT / 2 * 5 + LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_body_at_its_end_when_watched_then_it_never_stalls() {
        let (without, ended) = (Progress::new(true), Progress::new(false));
        ended.body(true);
        for progress in [without, ended] {
            assert!(timeout(LIMIT * 1000, progress.body_stalls(LIMIT)).await.is_err());
        }
    }
}
