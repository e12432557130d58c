//! Answers that last, ended when nobody would give them any more: WebSockets and streams of events.
//!
//! # Why
//!
//! A request is judged when it comes. What it has opened may last for days, while its client's certificate is revoked, a list
//! or a trust anchor runs out, or the site begins to ask for certificates.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::connection::Connection;
use super::{Snapshot, certificate};
use crate::metrics::RouteMetrics;
use crate::route::CertificateRefusal;
use crate::time::{Clock, SystemClock};
use crate::tls::Resolver;

/// Whether a connection is to end before its time.
#[derive(Debug, Default)]
pub(super) struct Expulsion {
    /// It may be.
    is_watched: AtomicBool,
    has_come: AtomicBool,
    comes: Notify,
}

impl Expulsion {
    /// Returns when the connection is to end.
    pub(super) async fn comes(&self) {
        let mut coming = std::pin::pin!(self.comes.notified());
        coming.as_mut().enable();
        if !self.has_come.load(Ordering::Acquire) {
            coming.await;
        }
    }

    fn expel(&self) {
        self.has_come.store(true, Ordering::Release);
        self.comes.notify_waiters();
    }
}

/// A connection's [`Expulsion`], to be asked by whoever reads and writes.
pub(super) struct Expelled {
    connection: Arc<Connection>,
    /// Made when there is something to wait for; most connections never have.
    coming: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Expelled {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, coming: None }
    }

    /// Ready when the connection is to end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.coming.is_none() && self.connection.expulsion.is_watched.load(Ordering::Acquire) {
            let connection = self.connection.clone();
            self.coming = Some(Box::pin(async move { connection.expulsion.comes().await }));
        }
        if self.has_come() {
            return Poll::Ready(());
        }
        self.coming.as_mut().map_or(Poll::Pending, |coming| coming.as_mut().poll(cx))
    }

    pub(super) fn has_come(&self) -> bool {
        self.connection.expulsion.has_come.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Expelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expelled").finish_non_exhaustive()
    }
}

/// An answer that lasts.
pub(super) struct Lasting {
    pub(super) connection: Arc<Connection>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) resolver: Arc<Resolver>,
    pub(super) route: Option<Arc<RouteMetrics>>,
    /// The name of the site that the request named.
    pub(super) site: String,
    /// The request's target.
    pub(super) target: Vec<u8>,
}

impl Lasting {
    /// Looks again and again, until the handle is dropped, whether the request would be let in by the rules of then.
    pub(super) fn watch(self) -> AbortOnDropHandle<()> {
        self.connection.expulsion.is_watched.store(true, Ordering::Release);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let why = loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Some(why) = self.objection() {
                    break why;
                }
            };
            debug!(peer = %self.connection.peer, site = self.site, "a WebSocket or stream of events is ended: {}", why.explanation());
            self.route.iter().for_each(|route| route.client_certificate_refused(certificate::label(why)));
            self.connection.expulsion.expel();
        }))
    }

    fn objection(&self) -> Option<CertificateRefusal> {
        let now = SystemClock.now();
        let shown = certificate::shown(&self.connection, &self.resolver, now);
        self.snapshot.load().routes().objection(&self.site, &self.target, shown, now)
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(2);
