//! The orders of one destination: what is remembered of them, and who waits for what.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use tracing::warn;

use crate::egress::bankid::orders::{Asking, Ended, Gap, News, Step, Turn};
use crate::egress::bankid::{OrderKey, Orders, Pace};
use crate::metrics::{CollectGap, EgressMetrics, OrderEnd};

/// Outlives a reload.
pub(super) struct Book {
    name: String,
    orders: Mutex<Orders>,
    began: Instant,
    /// A collect has ended, or an order is new.
    changed: Notify,
    metrics: Arc<EgressMetrics>,
}

impl Book {
    /// Begins with no orders. Must be called within a tokio runtime.
    pub(super) fn new(name: &str, metrics: Arc<EgressMetrics>) -> Arc<Self> {
        let orders = Mutex::new(Orders::new());
        let book =
            Arc::new(Self { name: name.to_owned(), orders, began: Instant::now(), changed: Notify::new(), metrics });
        tokio::spawn(forget_in_time(Arc::downgrade(&book)));
        book
    }

    pub(super) fn created(&self, key: OrderKey) {
        self.with(|orders, now| orders.created(key, now));
    }

    pub(super) fn cancelled(&self, key: OrderKey) {
        self.with(|orders, now| orders.cancelled(key, now));
    }

    /// A collect of the application has arrived.
    pub(super) fn asks(&self, key: OrderKey) -> Asking {
        let (asking, gap) = self.with(|orders, now| orders.asks(key, now));
        if let Some(gap) = gap {
            self.metrics.gap(match gap {
                Gap::UnderOneSecond => CollectGap::UnderOneSecond,
                Gap::OneToFiveSeconds => CollectGap::OneToFiveSeconds,
                Gap::OverFiveSeconds => CollectGap::OverFiveSeconds,
            });
        }
        asking
    }

    pub(super) fn collect(&self, asking: &Asking, pace: Pace) -> Step {
        self.with(|orders, now| orders.collect(asking, pace, now))
    }

    /// Makes sure that a turn ends, whatever happens.
    pub(super) fn hold(self: &Arc<Self>, turn: Turn) -> HeldTurn {
        HeldTurn { book: self.clone(), turn: Some(turn) }
    }

    /// Returns at that time.
    pub(super) async fn sleep_until(&self, until: Duration) {
        tokio::time::sleep_until(self.began + until).await;
    }

    /// Ends when a collect has ended, from this call on.
    pub(super) fn change(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Returns at the change, or at that time.
    pub(super) async fn at_latest(&self, until: Duration, change: Notified<'_>) {
        tokio::select! {
            () = change => {}
            () = self.sleep_until(until) => {}
        }
    }

    /// What was presumed of an answer's delivery is known now.
    pub(super) fn settled(&self, key: OrderKey, has_arrived: bool) {
        self.with(|orders, now| orders.settled(key, has_arrived, now));
    }

    /// Tells what is lost with this book.
    pub(super) fn close(&self) {
        let (kept, under_way) = {
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *orders).unfinished()
        };
        self.metrics.lost(kept as u64);
        if kept + under_way > 0 {
            warn!(
                egress = self.name,
                answers = kept,
                collects = under_way,
                "final answers that were not delivered, and collects that had no answer yet, end with the process or the \
                 rules of this egress: they are lost"
            );
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Orders, Duration) -> T) -> T {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.began.elapsed();
        let result = act(&mut orders, now);
        let news = orders.news(now);
        drop(orders);
        self.tell(news);
        result
    }

    fn tell(&self, news: News) {
        let metrics = &self.metrics;
        metrics.ended(OrderEnd::Complete, news.completed);
        metrics.ended(OrderEnd::Failed, news.failed);
        metrics.ended(OrderEnd::Cancelled, news.cancelled);
        metrics.ended(OrderEnd::NeverCollected, news.never_collected);
        metrics.undelivered(news.undelivered);
        metrics.lost(news.lost);
        if news.lost > 0 {
            warn!(
                egress = self.name,
                answers = news.lost,
                "final answers were not asked for again in time, and are lost"
            );
        }
        if news.pushed_out > 0 {
            warn!(egress = self.name, orders = news.pushed_out, "too many orders at a time: some were forgotten");
        }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.close();
    }
}

/// Zeroizes kept answers when their time is over, whether anybody calls or not.
async fn forget_in_time(book: Weak<Book>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(book) = book.upgrade() else { return };
        book.with(|_, _| ());
    }
}

/// The right to send an order's collect, until it has ended. Dropped, nothing came of it.
pub(super) struct HeldTurn {
    book: Arc<Book>,
    turn: Option<Turn>,
}

impl HeldTurn {
    /// The answer has begun.
    pub(super) fn answered(&self) {
        if let Some(turn) = &self.turn {
            self.book.with(|orders, now| orders.answered(turn, now));
        }
    }

    /// Says how it ended.
    pub(super) fn ended(mut self, ended: Ended) {
        self.end(ended);
    }

    fn end(&mut self, ended: Ended) {
        if let Some(turn) = self.turn.take() {
            self.book.with(|orders, now| orders.ended(turn, ended, now));
            self.book.changed.notify_waiters();
        }
    }
}

impl Drop for HeldTurn {
    fn drop(&mut self) {
        self.end(Ended::Unanswered);
    }
}

/// What is kept lives for minutes.
const LOOK: Duration = Duration::from_secs(1);
