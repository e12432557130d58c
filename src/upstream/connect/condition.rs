//! How a peer is: what connections and checks have met.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{HANDSHAKE_EXTRA, Peer, Place, UpstreamError};
use crate::causes::with_causes;
use crate::pki::Identity;
use crate::upstream::HealthCheck;
use crate::upstream::check::{CheckError, ask};
use crate::upstream::choice::Availability;
use crate::upstream::health::Health;
use crate::upstream::probe::{ProbeError, connect};
use crate::upstream::shown::Shown;

/// A connection for a check.
enum Line {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Peer {
    /// Tells that a connection to `address` could not be opened: the next one tries another.
    pub fn connect_failed(&self, address: Option<SocketAddr>, why: String) {
        if let (Place::Tcp(addresses), Some(address)) = (&self.place, address) {
            addresses.failed(address);
        }
        self.fail(why);
    }

    /// Tells that a connection was opened.
    pub fn connected(&self) {
        // Nearly always so, and asked with each request.
        if self.is_healthy() {
            return;
        }
        let mut health = self.health();
        health.worked();
        self.settle(&health, "");
    }

    /// Whether nothing is known against it: the last connection could be opened, or none was tried, and it passes its
    /// checks.
    pub fn is_healthy(&self) -> bool {
        self.standing.is_good(self.index)
    }

    /// Whether it is given requests.
    pub fn availability(&self, now: Instant) -> Availability {
        if self.is_healthy() { Availability::Up } else { self.health().availability(now) }
    }

    /// Requests that it is answering, WebSockets included.
    pub fn in_flight(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Asks it the way that requests go, on a connection of its own.
    pub(in crate::upstream) async fn ask(&self, rules: &HealthCheck, host: Option<&str>) -> Result<(), CheckError> {
        let identity = self.identity.as_ref().and_then(Shown::in_use);
        let outcome = self.ask_as(identity.as_deref(), rules, host).await;
        if let Err(error) = &outcome {
            let shown = identity.as_ref().map(|identity| identity.chain().fingerprint());
            self.identity_failed(shown, &with_causes(error));
        }
        outcome
    }

    pub(super) async fn ask_as(
        &self,
        identity: Option<&Identity>,
        rules: &HealthCheck,
        host: Option<&str>,
    ) -> Result<(), CheckError> {
        let own_host = self.settings.address.to_string();
        let addresses = match &self.place {
            Place::Tcp(addresses) => addresses,
            #[cfg(unix)]
            Place::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(CheckError::Socket)?;
                return ask(stream, rules, host.unwrap_or("localhost")).await;
            }
        };
        let resolved = addresses.next().await;
        let address = resolved.map_err(|source| {
            CheckError::Resolve(UpstreamError::Resolve { upstream: self.upstream.clone(), source })
        })?;
        let host = host.unwrap_or(&own_host);
        let limit = self.timeouts.connect + HANDSHAKE_EXTRA;
        let connected = async {
            match &self.settings.tls {
                Some(tls) => Ok(Line::Tls(Box::new(connect(address, tls, identity, self.met(), limit).await?.0))),
                None => match TcpStream::connect(address).await {
                    Ok(stream) => Ok(Line::Plain(stream)),
                    Err(source) => Err(ProbeError::Connect { address, source }),
                },
            }
        };
        match tokio::time::timeout(limit, connected).await {
            Ok(Ok(Line::Tls(stream))) => ask(*stream, rules, host).await,
            Ok(Ok(Line::Plain(stream))) => ask(stream, rules, host).await,
            Ok(Err(error)) => {
                if error.is_unreachable() {
                    addresses.failed(address);
                }
                Err(error.into())
            }
            Err(_elapsed) => {
                addresses.failed(address);
                Err(ProbeError::Timeout { address, limit: self.timeouts.connect + HANDSHAKE_EXTRA }.into())
            }
        }
    }

    /// Tells how a check ended.
    pub(in crate::upstream) fn checked(&self, outcome: Result<(), CheckError>, rules: &HealthCheck) {
        let why = outcome.as_ref().err().map(|error| format!("health check of {}: {}", rules.path, with_causes(error)));
        let mut health = self.health();
        health.checked(outcome.is_ok(), rules);
        if let Some(why) = &why {
            self.last_error.store(Some(Arc::new(why.clone())));
        }
        self.settle(&health, why.as_deref().unwrap_or_default());
    }

    /// Tells how it stands; the lock is held, so that the last word is the last one told.
    pub(super) fn settle(&self, health: &Health, why: &str) {
        if health.is_good() && why.is_empty() {
            self.last_error.store(None);
        }
        self.standing.set(self.index, health.is_good(), why);
    }

    pub(super) fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last connection could not be opened.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.last_error.load_full()
    }

    pub(super) fn fail(&self, why: String) {
        let mut health = self.health();
        health.failed(Instant::now());
        self.settle(&health, &why);
        self.last_error.store(Some(Arc::new(why)));
    }
}
