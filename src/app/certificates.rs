//! Between `manager` and those who want to hear of certificates: handshakes, metrics, log, the status page.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use super::cas::Cas;
use super::diagnoses::Diagnoses;
use super::events::Events;
use crate::config::Config;
use crate::lifecycle::{Event, Kind, Reason};
use crate::manager::{self, NotSeen, Observe, Publish};
use crate::metrics::Metrics;
use crate::notify::Notifiers;
use crate::pki::Identity;
use crate::probe::{Truth, Verdict};
use crate::source::acme::{Operation, Traffic};
use crate::source::{AcmeSettings, ChallengeKind, Settings};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::tls::Resolver;

/// Hands identities to the handshakes.
pub(super) struct Certificates {
    resolver: Arc<Resolver>,
    truth: Arc<Truth>,
    /// By certificate.
    issuers: ArcSwap<HashMap<String, Issuer>>,
}

/// Who issues a certificate.
#[derive(Clone, Copy, Default)]
struct Issuer {
    /// Another CA than our own; decides over HSTS.
    is_foreign: bool,
    /// A public one perhaps: its clock counts.
    is_public: bool,
}

impl Certificates {
    pub(super) fn new(resolver: Arc<Resolver>, truth: Arc<Truth>, config: &Config) -> Self {
        let certificates = Self { resolver, truth, issuers: ArcSwap::default() };
        certificates.apply(config);
        certificates
    }

    pub(super) fn apply(&self, config: &Config) {
        let issuer = |settings: &Settings| match settings {
            // A CA of one's own too: browsers that do not believe it pass over the header (RFC 6797 §8.1).
            Settings::Acme(cas) => Issuer { is_foreign: true, is_public: cas.has_public() },
            Settings::Files(_) => Issuer { is_foreign: true, is_public: false },
            Settings::Internal => Issuer::default(),
        };
        let issuers = config.certificates.iter().map(|c| (c.name.clone(), issuer(&c.source))).collect();
        self.issuers.store(Arc::new(issuers));
    }
}

#[async_trait]
impl Publish for Certificates {
    fn publish(&self, certificate: &str, identity: &Identity, placeholder: bool) {
        let Issuer { is_foreign, is_public } = self.issuers.load().get(certificate).copied().unwrap_or_default();
        let is_from_ca = is_foreign && !placeholder && !identity.chain().leaf().is_self_issued;
        self.resolver.publish(certificate, identity, is_from_ca);
        self.truth.published(certificate, identity.chain(), is_public && !placeholder);
    }

    async fn seen(&self, certificate: &str, _identity: &Identity) -> Result<(), NotSeen> {
        match self.truth.confirm(certificate).await {
            Verdict::Seen => Ok(()),
            Verdict::Unsure(detail) => Err(NotSeen { detail, is_certain: false }),
            Verdict::Wrong(detail) => Err(NotSeen { detail, is_certain: true }),
        }
    }
}

/// Turns events into log lines, numbers, messages and what the status page remembers.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    notifiers: Arc<Notifiers>,
    events: Arc<Events>,
    cas: Arc<Cas>,
    pub(super) diagnoses: Diagnoses,
}

impl Record {
    pub(super) fn new(metrics: Arc<Metrics>, notifiers: Arc<Notifiers>, events: Arc<Events>, cas: Arc<Cas>) -> Self {
        Self { metrics, notifiers, events, cas, diagnoses: Diagnoses::default() }
    }

    /// Lets the counters of all CAs stand at zero, and forgets what is in the settings no more.
    pub(super) fn apply(&self, config: &Config) {
        self.diagnoses.apply(config);
        for certificate in &config.certificates {
            let Settings::Acme(cas) = &certificate.source else { continue };
            cas.iter().for_each(|ca| drop(self.metrics.acme(&certificate.name, &manager::host(&ca.directory))));
        }
    }

    fn count(&self, certificate: &str, ca: &str, kind: Kind, failure: Option<Reason>) {
        if ca == INTERNAL {
            return;
        }
        let numbers = self.metrics.acme(certificate, ca);
        match failure {
            None => numbers.succeeded(kind),
            Some(reason) => numbers.failed(kind, reason),
        }
    }
}

/// As [`manager::issuer`] calls the CA of our own, which is not asked by ACME.
const INTERNAL: &str = "internal";

impl Observe for Record {
    fn event(&self, certificate: &str, event: &Event) {
        manager::log(certificate, event);
        self.events.certificate(certificate, event);
        self.diagnoses.note(certificate, event);
        self.cas.forget();
        if let Some(event) = super::notify::event(certificate, event, SystemClock.now()) {
            self.notifiers.tell(&event);
        }
        match event {
            Event::Issued { kind, ca, .. } => self.count(certificate, ca, *kind, None),
            Event::Failed { kind, failure, ca, .. } => {
                self.count(certificate, ca, *kind, Some(failure.reason));
                self.notifiers.look();
            }
            Event::Planned { .. }
            | Event::Attempt { .. }
            | Event::Informed { .. }
            | Event::Uninformed { .. }
            | Event::RolledBack { .. }
            | Event::Unseen { .. }
            | Event::Rehearsed { .. }
            | Event::Activated { .. }
            | Event::Trouble { .. } => {}
        }
    }
}

impl Traffic for Record {
    fn requested(&self, ca: &str, operation: Operation, status: Option<u16>, took: Duration) {
        self.metrics.ca_requested(ca, operation.as_str(), status, took);
    }

    fn skew(&self, ca: &str, seconds: i64) {
        self.metrics.ca_clock_skew(ca, seconds);
    }

    fn retry_after(&self, ca: &str, at: Timestamp) {
        self.metrics.ca_retry_after(ca, at);
    }

    fn challenged(&self, kind: ChallengeKind, is_valid: bool) {
        self.metrics.challenged(kind.as_str(), is_valid);
    }
}

/// Hosts of the ACME CAs that a configuration may ask: label `ca`.
pub(super) fn cas(config: &Config) -> Vec<String> {
    let all = config.certificates.iter().filter_map(|certificate| match &certificate.source {
        Settings::Acme(cas) => Some(cas.iter().map(AcmeSettings::host)),
        Settings::Internal | Settings::Files(_) => None,
    });
    all.flatten().collect()
}
