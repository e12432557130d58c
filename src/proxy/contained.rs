//! Requests that end in a panic take nothing with them but themselves.
//!
//! # Why
//!
//! pingora reads the leaf of an upstream with an `expect` behind its handshake, before anybody may look at it, so that a server
//! in bad hands ends the request that leads to it. A probe reads the leaf first, but a later connection may show another. What a
//! request held is given back by what drops with it; the client's connection is lent, so that an answer can still be given.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use pingora::protocols::Stream;
use tracing::error;

/// Carries a request out; `None` when it panicked, which is told.
pub(super) async fn contain<T>(request: impl Future<Output = T>) -> Option<T> {
    let mut request = Some(Box::pin(request));
    std::future::poll_fn(|cx| {
        let Some(pinned) = &mut request else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| pinned.as_mut().poll(cx)));
        polled.map_or_else(
            |_told_by_the_hook| {
                request = None;
                error!("a request has ended in a panic; the lines before say where, and it alone is lost");
                Poll::Ready(None)
            },
            |outcome| outcome.map(Some),
        )
    })
    .await
}

/// Where a connection comes back to, from a request that panicked.
#[derive(Clone, Debug, Default)]
pub(super) struct Lender(Arc<Lent>);

#[derive(Debug, Default)]
struct Lent {
    returned: Mutex<Option<Stream>>,
    has_written: AtomicBool,
}

impl Lender {
    /// Begins with the next request.
    pub(super) fn begin(&self) {
        self.0.has_written.store(false, Ordering::Relaxed);
    }

    /// A part of the answer is out, or about to be.
    pub(super) fn written(&self) {
        self.0.has_written.store(true, Ordering::Relaxed);
    }

    /// Takes the connection when it is dropped by a panic; else it ends.
    pub(super) fn give_back(&self, stream: Stream) {
        if std::thread::panicking() {
            *self.0.returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        }
    }

    /// The connection of a request that panicked; `None` when a part of its answer is out already.
    pub(super) fn take_back(&self) -> Option<Stream> {
        let stream = self.0.returned.lock().unwrap_or_else(PoisonError::into_inner).take();
        stream.filter(|_| !self.0.has_written.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_a_request_that_panics_when_contained_then_what_it_held_is_dropped_and_the_task_goes_on() {
        let held = Arc::new(());
        let inside = held.clone();
        let outcome = contain(async move {
            let _held = inside;
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "as a library's `expect`");
        });
        assert_eq!(outcome.await, None);
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(contain(async { 7 }).await, Some(7));
    }
}
