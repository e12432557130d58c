//! Between `manager` and those who want to hear of certificates: handshakes, metrics, log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::lifecycle::{Event, Kind, Reason};
use crate::manager::{self, Observe, Publish};
use crate::metrics::Metrics;
use crate::pki::Identity;
use crate::source::Settings;
use crate::tls::Resolver;

/// Hands identities to the handshakes.
pub(super) struct Certificates {
    resolver: Arc<Resolver>,
    /// Whether a CA other than our own issues it, by certificate; decides over HSTS.
    issuer_is_foreign: ArcSwap<HashMap<String, bool>>,
}

impl Certificates {
    pub(super) fn new(resolver: Arc<Resolver>, config: &Config) -> Self {
        let certificates = Self { resolver, issuer_is_foreign: ArcSwap::default() };
        certificates.apply(config);
        certificates
    }

    pub(super) fn apply(&self, config: &Config) {
        let is_foreign = |settings: &Settings| match settings {
            // A CA of one's own too: browsers that do not believe it pass over the header (RFC 6797 §8.1).
            Settings::Acme(_) | Settings::Files(_) => true,
            Settings::Internal => false,
        };
        let sources = config.certificates.iter().map(|c| (c.name.clone(), is_foreign(&c.source))).collect();
        self.issuer_is_foreign.store(Arc::new(sources));
    }
}

impl Publish for Certificates {
    fn publish(&self, certificate: &str, identity: &Identity, placeholder: bool) {
        let is_foreign = self.issuer_is_foreign.load().get(certificate).copied().unwrap_or(false);
        let is_from_ca = is_foreign && !placeholder && !identity.chain().leaf().is_self_issued;
        self.resolver.publish(certificate, identity, is_from_ca);
    }
}

/// Turns events into log lines and numbers.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    /// The CA of each certificate that has one: label `ca`.
    issuers: Mutex<HashMap<String, String>>,
}

impl Record {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, issuers: Mutex::default() }
    }

    /// Learns the CAs, and lets their counters stand at zero.
    pub(super) fn apply(&self, config: &Config) {
        let acme = config.certificates.iter().filter(|c| matches!(c.source, Settings::Acme(_)));
        let issuers: HashMap<_, _> = acme.map(|c| (c.name.clone(), manager::issuer(&c.source))).collect();
        for (certificate, ca) in &issuers {
            self.metrics.acme(certificate, ca);
        }
        *self.issuers.lock().unwrap_or_else(PoisonError::into_inner) = issuers;
    }

    fn count(&self, certificate: &str, kind: Kind, failure: Option<Reason>) {
        let issuer = self.issuers.lock().unwrap_or_else(PoisonError::into_inner).get(certificate).cloned();
        let Some(ca) = issuer else { return };
        let numbers = self.metrics.acme(certificate, &ca);
        match failure {
            None => numbers.succeeded(kind),
            Some(reason) => numbers.failed(kind, reason),
        }
    }
}

impl Observe for Record {
    fn event(&self, certificate: &str, event: &Event) {
        manager::log(certificate, event);
        match event {
            Event::Issued { kind, .. } => self.count(certificate, *kind, None),
            Event::Failed { kind, failure, .. } => self.count(certificate, *kind, Some(failure.reason)),
            Event::Planned { .. }
            | Event::Attempt { .. }
            | Event::Informed { .. }
            | Event::Uninformed { .. }
            | Event::RolledBack { .. }
            | Event::Activated { .. }
            | Event::Trouble { .. } => {}
        }
    }
}
