//! What all attempts at one CA share: connections, the directory, and what is known of its clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use instant_acme::BodyWrapper;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use tracing::{error, info, warn};

use super::directory::Directory;
use super::error::Step;
use super::http::CaClient;
use super::reckoning::Reckoning;
use super::traffic::{Operation, Traffic, Uncounted};
use crate::outward::Outward;
use crate::pki::TrustAnchors;
use crate::source::AcmeSettings;
use crate::time::{Clock, Timestamp};

/// Connections to every CA that was asked. Clones share.
#[derive(Clone)]
pub struct Clients {
    cas: Arc<Mutex<Vec<Arc<Ca>>>>,
    traffic: Arc<dyn Traffic>,
    reckoning: Arc<Reckoning>,
}

impl Clients {
    /// None yet. Requests are told to `traffic`, what time it is by public CAs to `reckoning`.
    pub fn new(traffic: Arc<dyn Traffic>, reckoning: Arc<Reckoning>) -> Self {
        Self { cas: Arc::default(), traffic, reckoning }
    }

    /// As [`Reckoning::ahead`].
    pub fn ahead(&self, now: Timestamp) -> Option<i64> {
        self.reckoning.ahead(now)
    }

    /// A client for one attempt at the CA of these settings.
    pub(super) fn client(&self, settings: &AcmeSettings, clock: Arc<dyn Clock>) -> Result<CaClient, rustls::Error> {
        let mut cas = self.cas.lock().unwrap_or_else(PoisonError::into_inner);
        let ca = match cas.iter().find(|ca| ca.is_of(settings)) {
            Some(ca) => ca.clone(),
            None => {
                let ca = Arc::new(Ca::new(settings, self.traffic.clone(), self.reckoning.clone())?);
                // Settings of before a reload are not asked again.
                cas.retain(|other| other.settings.directory != settings.directory);
                cas.push(ca.clone());
                ca
            }
        };
        Ok(CaClient::new(ca, clock))
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self::new(Arc::new(Uncounted), Arc::default())
    }
}

/// One CA, as these settings reach it.
pub(super) struct Ca {
    settings: AcmeSettings,
    /// Host of the directory: label `ca`.
    label: String,
    pub(super) http: Client<HttpsConnector<Outward>, BodyWrapper<Bytes>>,
    pub(super) traffic: Arc<dyn Traffic>,
    kept: Mutex<Option<Kept>>,
    /// How wrong a clock was told to be.
    told: Mutex<Skewed>,
    reckoning: Arc<Reckoning>,
}

/// The directory as it was answered.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) body: Bytes,
    pub(super) directory: Arc<Directory>,
    at: Timestamp,
}

impl Ca {
    /// Trusts the settings' anchors only; HTTPS only, as RFC 8555 §6.1 wants.
    fn new(
        settings: &AcmeSettings,
        traffic: Arc<dyn Traffic>,
        reckoning: Arc<Reckoning>,
    ) -> Result<Self, rustls::Error> {
        let anchors = settings.trust_anchors.clone().unwrap_or_else(TrustAnchors::mozilla);
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(anchors.root_store())
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(Outward::new(settings.proxy.as_ref()));
        Ok(Self {
            settings: settings.clone(),
            label: settings.host(),
            http: Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector),
            traffic,
            kept: Mutex::default(),
            told: Mutex::default(),
            reckoning,
        })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn directory_url(&self) -> &str {
        &self.settings.directory
    }

    /// The proxy that leads to it, for people.
    pub(super) fn proxy(&self) -> Option<String> {
        self.settings.proxy.as_ref().map(ToString::to_string)
    }

    fn is_of(&self, settings: &AcmeSettings) -> bool {
        let own = &self.settings;
        own.directory == settings.directory
            && own.trust_anchors == settings.trust_anchors
            && own.proxy == settings.proxy
    }

    /// The directory, when it was asked for lately.
    pub(super) fn kept(&self, now: Timestamp) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| kept.at <= now && now.since(kept.at) < DIRECTORY_LIFE).cloned()
    }

    pub(super) fn keep(&self, body: Bytes, directory: Directory, at: Timestamp) {
        let kept = Kept { body, directory: Arc::new(directory), at };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    /// Has the directory asked for again: what it named may lie elsewhere now.
    pub(super) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What a request is for: by its URL, else by what is being done.
    pub(super) fn operation(&self, url: &Uri, doing: Option<Step>) -> Operation {
        let url = url.to_string();
        if url == self.settings.directory {
            return Operation::Directory;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let named = kept.as_ref().and_then(|kept| named(&kept.directory, &url));
        named.unwrap_or_else(|| doing.map_or(Operation::Order, Step::operation))
    }

    /// Tells how far the CA's clock is ahead of ours, which shows `now`, and logs it when that becomes worth telling, or is over.
    pub(super) fn skewed(&self, seconds: i64, now: Timestamp) {
        self.traffic.skew(&self.label, seconds);
        self.reckoning.note(&self.settings, seconds.saturating_neg(), now);
        let skewed = Skewed::of(seconds);
        let before = std::mem::replace(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner), skewed);
        if before == skewed {
            return;
        }
        let directory = &self.settings.directory;
        match skewed {
            Skewed::Badly => {
                error!(seconds, directory, "the CA's clock is this far ahead of ours: set this machine's clock");
            }
            Skewed::Somewhat => warn!(seconds, directory, "the CA's clock is this far ahead of ours"),
            Skewed::Not => info!(seconds, directory, "the CA's clock and ours agree again"),
        }
    }
}

/// The operation whose URL stands in the directory.
fn named(directory: &Directory, url: &str) -> Option<Operation> {
    let is = |other: &Option<String>| other.as_deref() == Some(url);
    match url {
        _ if url == directory.new_nonce => Some(Operation::Nonce),
        _ if url == directory.new_account => Some(Operation::Account),
        _ if url == directory.new_order => Some(Operation::Order),
        _ if is(&directory.revoke_cert) => Some(Operation::Revoke),
        _ if is(&directory.key_change) => Some(Operation::KeyChange),
        _ if directory.renewal_info.as_deref().is_some_and(|base| url.starts_with(base)) => {
            Some(Operation::RenewalInfo)
        }
        _ => None,
    }
}

/// How wrong a clock is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Skewed {
    #[default]
    Not,
    Somewhat,
    Badly,
}

impl Skewed {
    const fn of(seconds: i64) -> Self {
        match seconds.unsigned_abs() {
            SKEW_TO_MEND.. => Self::Badly,
            SKEW_TO_TELL.. => Self::Somewhat,
            _ => Self::Not,
        }
    }
}

/// Shorter than any CA's, so that no request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(10);

/// CAs change their directory a few times in a decade; every start and every failure asks anew.
const DIRECTORY_LIFE: Duration = Duration::from_secs(3600);

/// Seconds; `Date` has whole ones.
const SKEW_TO_TELL: u64 = 31;
/// Seconds; renewals come too early or too late, and new certificates are not valid yet.
const SKEW_TO_MEND: u64 = 121;

#[cfg(test)]
mod tests {
    use super::*;

    fn ca(settings: &AcmeSettings) -> Ca {
        Ca::new(settings, Arc::new(Uncounted), Arc::default()).unwrap()
    }

    fn directory() -> Directory {
        let text = r#"{"newNonce": "https://ca/n", "newAccount": "https://ca/a", "newOrder": "https://ca/o",
            "revokeCert": "https://ca/r", "keyChange": "https://ca/k", "renewalInfo": "https://ca/ari"}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn given_requests_when_counted_then_by_the_directory_else_by_what_is_done() {
        let settings = AcmeSettings { directory: "https://ca/dir".to_owned(), ..AcmeSettings::default() };
        let ca = ca(&settings);
        ca.keep(Bytes::new(), directory(), Timestamp::default());
        let table = [
            ("https://ca/dir", Operation::Directory),
            ("https://ca/n", Operation::Nonce),
            ("https://ca/a", Operation::Account),
            ("https://ca/o", Operation::Order),
            ("https://ca/r", Operation::Revoke),
            ("https://ca/k", Operation::KeyChange),
            ("https://ca/ari/a.b", Operation::RenewalInfo),
            ("https://ca/authz/7", Operation::Authorization),
        ];
        for (url, expected) in table {
            assert_eq!(ca.operation(&url.parse().unwrap(), Some(Step::Authorize)), expected, "{url}");
        }
    }

    #[test]
    fn given_a_directory_when_kept_then_for_an_hour_and_not_from_the_future() {
        let ca = ca(&AcmeSettings::default());
        let at = Timestamp::from_unix(1_000_000);
        ca.keep(Bytes::new(), directory(), at);
        assert!(ca.kept(at + Duration::from_secs(3599)).is_some());
        assert!(ca.kept(at + Duration::from_secs(3600)).is_none());
        assert!(ca.kept(at - Duration::from_secs(1)).is_none());
        ca.forget();
        assert!(ca.kept(at).is_none());
    }

    #[test]
    fn given_the_same_settings_when_asked_for_then_one_ca_and_another_after_a_change() {
        let clients = Clients::default();
        let clock: Arc<dyn Clock> = Arc::new(crate::time::SystemClock);
        let settings = AcmeSettings::default();
        let count = || clients.cas.lock().unwrap().len();
        clients.client(&settings, clock.clone()).unwrap();
        clients
            .client(&AcmeSettings { contact: vec!["mailto:a@b.c".into()], ..settings.clone() }, clock.clone())
            .unwrap();
        assert_eq!(count(), 1);
        let before = clients.cas.lock().unwrap()[0].clone();
        let proxy = crate::source::acme::Proxy::parse("http://proxy.example.com").ok();
        clients.client(&AcmeSettings { proxy, ..settings }, clock).unwrap();
        assert_eq!(count(), 1);
        assert!(!Arc::ptr_eq(&before, &clients.cas.lock().unwrap()[0]));
    }

    #[test]
    fn given_seconds_when_judged_then_told_beyond_thirty_and_mended_beyond_two_minutes() {
        let table = [
            (0, Skewed::Not),
            (-30, Skewed::Not),
            (31, Skewed::Somewhat),
            (-120, Skewed::Somewhat),
            (121, Skewed::Badly),
            (i64::MIN, Skewed::Badly),
        ];
        for (seconds, expected) in table {
            assert_eq!(Skewed::of(seconds), expected, "{seconds}");
        }
    }
}
