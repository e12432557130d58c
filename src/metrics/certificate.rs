//! The certificate family: one collector that reads the state of every certificate at scrape.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntGaugeVec, Opts};

use super::handles::labels;
use crate::lifecycle::State;
use crate::time::Timestamp;

/// Tells the state of every certificate, whenever it is asked.
pub type CertificateSource = Arc<dyn Fn() -> Vec<CertificateStatus> + Send + Sync>;

/// What is known of one certificate now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// The configured name; label `cert`.
    pub name: String,
    /// What it is used for.
    pub role: CertificateRole,
    /// How it is served.
    pub state: State,
    /// Begin of the leaf's validity.
    pub not_before: Option<Timestamp>,
    /// End of the leaf's validity.
    pub not_after: Option<Timestamp>,
    /// End of the earliest validity in the chain.
    pub chain_not_after: Option<Timestamp>,
    /// When it is to be renewed.
    pub renewal_due: Option<Timestamp>,
    /// When a twentieth of its life is left.
    pub emergency: Option<Timestamp>,
    /// No protocol renews it: somebody has to.
    pub renewal_manual: bool,
    /// Common name of the issuer, or its whole name.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// The fingerprint, hexadecimal.
    pub sha256: String,
    /// Such as `ecdsa-p256`.
    pub key_type: String,
    /// The profile that the CA was asked for; empty for none.
    pub profile: String,
    /// DNS names and IP addresses that it is for.
    pub sans: Vec<String>,
    /// Failed attempts since the last that worked.
    pub consecutive_failures: u32,
    /// When it was last tried to be obtained.
    pub last_attempt: Option<Timestamp>,
    /// When it was last obtained.
    pub last_success: Option<Timestamp>,
    /// When it is tried next.
    pub next_attempt: Option<Timestamp>,
    /// What is done then: label `action`.
    pub next_action: &'static str,
    /// Why not sooner: label `reason`.
    pub next_reason: &'static str,
    /// What the CA says about when to renew it.
    pub information: Option<RenewalInformation>,
    /// Whether what is served lies whole in the state directory; `None` for what is not kept there.
    pub stored: Option<bool>,
}

/// Renewal information (RFC 9773).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInformation {
    /// Begin and end of the window that the CA suggests; `None` where it suggests none.
    pub window: Option<(Timestamp, Timestamp)>,
    /// When the CA was last asked.
    pub asked_at: Timestamp,
    /// Address of a page that explains it to humans.
    pub explanation: Option<String>,
}

labels! {
    /// What a certificate is used for.
    CertificateRole {
        /// Shown to clients.
        Listener = "listener",
        /// Shown to servers of others.
        EgressClient = "egress_client",
        /// Shown to us by an upstream.
        UpstreamPeer = "upstream_peer",
        /// Signs certificates of clients.
        ClientCa = "client_ca",
        /// The root in our own state directory.
        InternalCa = "internal_ca",
        /// Believed by us.
        TrustAnchor = "trust_anchor",
    }
}

/// Keeps no number of its own from one scrape to the next, so nothing goes stale.
pub(super) struct Certificates {
    source: CertificateSource,
    /// Locked for a whole scrape: two at once would empty each other's.
    families: Mutex<Families>,
    descriptions: Vec<Desc>,
}

impl Certificates {
    pub(super) fn new(source: CertificateSource) -> Result<Self, Error> {
        let families = Families::new()?;
        let descriptions = families.all().into_iter().flat_map(Collector::desc).cloned().collect();
        Ok(Self { source, families: Mutex::new(families), descriptions })
    }
}

impl Collector for Certificates {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let certificates = (self.source)();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.all().into_iter().for_each(IntGaugeVec::reset);
        certificates.iter().for_each(|certificate| families.set(certificate));
        families.all().into_iter().flat_map(Collector::collect).collect()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

struct Families {
    not_before: IntGaugeVec,
    not_after: IntGaugeVec,
    chain_not_after: IntGaugeVec,
    renewal_due: IntGaugeVec,
    emergency: IntGaugeVec,
    renewal_manual: IntGaugeVec,
    ready: IntGaugeVec,
    info: IntGaugeVec,
    consecutive_failures: IntGaugeVec,
    last_attempt: IntGaugeVec,
    last_success: IntGaugeVec,
    next_attempt: IntGaugeVec,
    stored: IntGaugeVec,
    next_action: IntGaugeVec,
    next_reason: IntGaugeVec,
    window_start: IntGaugeVec,
    window_end: IntGaugeVec,
    asked_at: IntGaugeVec,
    explanation: IntGaugeVec,
}

impl Families {
    #[rustfmt::skip]
    fn new() -> Result<Self, Error> {
        let family = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let (cert, by_role) = (["cert"], ["cert", "role"]);
        let info = ["cert", "role", "issuer_cn", "serial", "sha256", "key_type", "profile", "sans"];
        Ok(Self {
            not_before: family("portvakt_certificate_not_before_timestamp_seconds", "Begin of the leaf's validity.", &by_role)?,
            not_after: family("portvakt_certificate_not_after_timestamp_seconds", "End of the leaf's validity.", &by_role)?,
            chain_not_after: family("portvakt_certificate_chain_not_after_timestamp_seconds", "Earliest end of validity in the chain.", &by_role)?,
            renewal_due: family("portvakt_certificate_renewal_due_timestamp_seconds", "When the certificate is to be renewed.", &cert)?,
            emergency: family("portvakt_certificate_emergency_timestamp_seconds", "When a twentieth of the certificate's life is left.", &cert)?,
            renewal_manual: family("portvakt_certificate_renewal_manual", "1 where no protocol renews the certificate.", &by_role)?,
            ready: family("portvakt_certificate_ready", "1 for the state that the certificate is in, 0 for every other.", &["cert", "state"])?,
            info: family("portvakt_certificate_info", "The certificate in use; always 1.", &info)?,
            consecutive_failures: family("portvakt_acme_consecutive_failures", "Failed attempts since the last that worked.", &cert)?,
            last_attempt: family("portvakt_acme_last_attempt_timestamp_seconds", "When the certificate was last tried to be obtained.", &cert)?,
            last_success: family("portvakt_acme_last_success_timestamp_seconds", "When the certificate was last obtained.", &cert)?,
            next_attempt: family("portvakt_acme_next_attempt_timestamp_seconds", "When the certificate is tried to be obtained next.", &cert)?,
            stored: family("portvakt_certificate_stored", "1 where the certificate in use lies whole in the state directory, 0 where the disk refused or damaged it.", &cert)?,
            next_action: family("portvakt_next_action_timestamp_seconds", "When something is done about the certificate by itself next; in the past while it runs, or is late.", &["cert", "action"])?,
            next_reason: family("portvakt_next_action_reason", "What decides when something is done about the certificate next; always 1.", &["cert", "reason"])?,
            window_start: family("portvakt_acme_ari_window_start_timestamp_seconds", "First moment at which the CA wants the certificate to be renewed (RFC 9773).", &cert)?,
            window_end: family("portvakt_acme_ari_window_end_timestamp_seconds", "Last moment at which the CA wants the certificate to be renewed (RFC 9773).", &cert)?,
            asked_at: family("portvakt_acme_ari_last_poll_timestamp_seconds", "When the CA was last asked when to renew the certificate.", &cert)?,
            explanation: family("portvakt_acme_ari_explanation_info", "Where the CA explains when it wants the certificate to be renewed; always 1.", &["cert", "url"])?,
        })
    }

    fn all(&self) -> [&IntGaugeVec; 19] {
        [
            &self.not_before,
            &self.not_after,
            &self.chain_not_after,
            &self.renewal_due,
            &self.emergency,
            &self.renewal_manual,
            &self.ready,
            &self.info,
            &self.consecutive_failures,
            &self.last_attempt,
            &self.last_success,
            &self.next_attempt,
            &self.stored,
            &self.next_action,
            &self.next_reason,
            &self.window_start,
            &self.window_end,
            &self.asked_at,
            &self.explanation,
        ]
    }

    fn set(&self, certificate: &CertificateStatus) {
        let by_role = [certificate.name.as_str(), certificate.role.as_str()];
        set_time(&self.not_before, &by_role, certificate.not_before);
        set_time(&self.not_after, &by_role, certificate.not_after);
        set_time(&self.chain_not_after, &by_role, certificate.chain_not_after);
        self.renewal_manual.with_label_values(&by_role).set(certificate.renewal_manual.into());
        self.set_state(certificate);
        self.set_renewal(certificate);
        if certificate.not_after.is_some() {
            self.set_info(certificate);
        }
    }

    fn set_state(&self, certificate: &CertificateStatus) {
        if certificate.role != CertificateRole::Listener {
            return;
        }
        for state in State::ALL {
            let is_it = state == certificate.state;
            self.ready.with_label_values(&[certificate.name.as_str(), state.as_str()]).set(is_it.into());
        }
    }

    fn set_renewal(&self, certificate: &CertificateStatus) {
        if certificate.renewal_manual {
            return;
        }
        let cert = [certificate.name.as_str()];
        set_time(&self.renewal_due, &cert, certificate.renewal_due);
        set_time(&self.emergency, &cert, certificate.emergency);
        set_time(&self.last_attempt, &cert, certificate.last_attempt);
        set_time(&self.last_success, &cert, certificate.last_success);
        set_time(&self.next_attempt, &cert, certificate.next_attempt);
        set_time(&self.next_action, &[cert[0], certificate.next_action], certificate.next_attempt);
        self.next_reason.with_label_values(&[cert[0], certificate.next_reason]).set(1);
        if let Some(information) = &certificate.information {
            self.set_information(cert[0], information);
        }
        if let Some(stored) = certificate.stored {
            self.stored.with_label_values(&cert).set(stored.into());
        }
        self.consecutive_failures.with_label_values(&cert).set(certificate.consecutive_failures.into());
    }

    fn set_information(&self, cert: &str, information: &RenewalInformation) {
        let (start, end) = information.window.unzip();
        set_time(&self.window_start, &[cert], start);
        set_time(&self.window_end, &[cert], end);
        set_time(&self.asked_at, &[cert], Some(information.asked_at));
        if let Some(url) = &information.explanation {
            let url: String = url.chars().take(LONGEST_URL).collect();
            self.explanation.with_label_values(&[cert, &url]).set(1);
        }
    }

    fn set_info(&self, certificate: &CertificateStatus) {
        let labels = [
            &certificate.name,
            certificate.role.as_str(),
            &certificate.issuer,
            &certificate.serial,
            &certificate.sha256,
            &certificate.key_type,
            &certificate.profile,
            &joined(&certificate.sans),
        ];
        self.info.with_label_values(&labels).set(1);
    }
}

fn set_time(family: &IntGaugeVec, labels: &[&str], time: Option<Timestamp>) {
    if let Some(time) = time {
        family.with_label_values(labels).set(time.as_unix());
    }
}

/// The first names; a label must not grow with a certificate of a hundred.
fn joined(names: &[String]) -> String {
    match names.get(..MOST_NAMES) {
        Some(first) if names.len() > MOST_NAMES => format!("{},+{}", first.join(","), names.len() - MOST_NAMES),
        _ => names.join(","),
    }
}

const MOST_NAMES: usize = 10;
/// A CA's word is not ours to bound otherwise.
const LONGEST_URL: usize = 256;
