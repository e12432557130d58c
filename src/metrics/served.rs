//! What our own listeners are seen to serve: one collector that reads it at scrape, as for certificates.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntGaugeVec, Opts};

use crate::time::Timestamp;

/// Tells what was seen, whenever it is asked.
pub type ServedSource = Arc<dyn Fn() -> Vec<ServedStatus> + Send + Sync>;

/// What was seen of one name on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedStatus {
    /// Name of the certificate; label `cert`.
    pub certificate: String,
    /// Kind and address; label `listener`.
    pub listener: String,
    /// The domain as configured; label `sni`.
    pub domain: String,
    /// End of the leaf that was shown last.
    pub not_after: Option<Timestamp>,
    /// Whether it was the one published, for this name and in date; `None` before the first handshake.
    pub matches: Option<bool>,
    /// When a handshake was last seen to its end, or refused by TLS; before that, since when there was none.
    pub at: Timestamp,
}

pub(super) struct Served {
    source: ServedSource,
    /// Locked for a whole scrape: two at once would empty each other's.
    families: Mutex<Families>,
    descriptions: Vec<Desc>,
}

struct Families {
    not_after: IntGaugeVec,
    matches: IntGaugeVec,
    at: IntGaugeVec,
}

impl Served {
    pub(super) fn new(source: ServedSource) -> Result<Self, Error> {
        let family = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let by_name = ["cert", "listener", "sni"];
        let families = Families {
            not_after: family("portvakt_served_certificate_not_after_timestamp_seconds", NOT_AFTER, &by_name)?,
            matches: family("portvakt_served_certificate_matches", MATCHES, &by_name)?,
            at: family("portvakt_served_certificate_probe_timestamp_seconds", AT, &["listener", "sni"])?,
        };
        let descriptions = families.all().into_iter().flat_map(Collector::desc).cloned().collect();
        Ok(Self { source, families: Mutex::new(families), descriptions })
    }
}

impl Families {
    fn all(&self) -> [&IntGaugeVec; 3] {
        [&self.not_after, &self.matches, &self.at]
    }

    fn set(&self, status: &ServedStatus) {
        let ServedStatus { certificate, listener, domain, not_after, matches, at } = status;
        let labels = [certificate.as_str(), listener, domain];
        if let Some(not_after) = not_after {
            self.not_after.with_label_values(&labels).set(not_after.as_unix());
        }
        if let Some(matches) = matches {
            self.matches.with_label_values(&labels).set((*matches).into());
        }
        self.at.with_label_values(&labels[1..]).set(at.as_unix());
    }
}

impl Collector for Served {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let served = (self.source)();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.all().into_iter().for_each(IntGaugeVec::reset);
        served.iter().for_each(|status| families.set(status));
        families.all().into_iter().flat_map(Collector::collect).collect()
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

const NOT_AFTER: &str = "End of the certificate that a handshake with our own listener showed.";
const MATCHES: &str = "1 where a handshake with our own listener showed the certificate that was published, for the name and in date, else 0.";
const AT: &str =
    "When a handshake with our own listener last told something; before the first, since when it has been tried.";
