//! Lists of revoked clients: one collector that reads them at scrape, as for certificates.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntGaugeVec, Opts};

use crate::time::Timestamp;

/// Tells of every list of revoked clients, whenever it is asked.
pub type ClientCrlSource = Arc<dyn Fn() -> Vec<ClientCrlStatus> + Send + Sync>;

/// A file of lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCrlStatus {
    /// Name of the site; label `site`.
    pub site: String,
    /// Its name, without the folder; label `file`.
    pub file: String,
    /// When the list was made; of several in the file, the one that ends first.
    pub this_update: Timestamp,
    /// When its successor is due.
    pub next_update: Timestamp,
}

pub(super) struct ClientCrls {
    source: ClientCrlSource,
    /// Locked for a whole scrape: two at once would empty each other's.
    families: Mutex<[IntGaugeVec; 2]>,
    descriptions: Vec<Desc>,
}

impl ClientCrls {
    #[rustfmt::skip]
    pub(super) fn new(source: ClientCrlSource) -> Result<Self, Error> {
        let family = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["site", "file"]);
        let families = [
            family("portvakt_client_crl_this_update_timestamp_seconds", "When the list of revoked client certificates was made.")?,
            family("portvakt_client_crl_next_update_timestamp_seconds", "When the successor of the list of revoked client certificates is due; from then on it is old.")?,
        ];
        let descriptions = families.iter().flat_map(Collector::desc).cloned().collect();
        Ok(Self { source, families: Mutex::new(families), descriptions })
    }
}

impl Collector for ClientCrls {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let all = (self.source)();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.iter().for_each(IntGaugeVec::reset);
        for ClientCrlStatus { site, file, this_update, next_update } in &all {
            for (family, at) in families.iter().zip([this_update, next_update]) {
                family.with_label_values(&[site, file]).set(at.as_unix());
            }
        }
        families.iter().flat_map(Collector::collect).collect()
    }
}

impl fmt::Debug for ClientCrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCrls").finish_non_exhaustive()
    }
}
