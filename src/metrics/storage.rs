//! The state directory: who holds its locks, how long they were waited for, how often the disk refused.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Tells how the state directory stands, whenever it is asked.
pub type StorageSource = Arc<dyn Fn() -> StorageStatus + Send + Sync>;

/// How the state directory stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageStatus {
    /// Every lock that this process may take, and whether it holds it; label `name`.
    pub locks: Vec<(String, bool)>,
    /// How often each operation has failed since the start; label `op`, from a closed set.
    pub failures: Vec<(&'static str, u64)>,
}

/// Read at scrape, so that nothing of a certificate that is gone stays.
pub(super) struct Storage {
    source: StorageSource,
    /// Locked for a whole scrape: two at once would empty each other's.
    families: Mutex<(IntGaugeVec, IntCounterVec)>,
    descriptions: Vec<Desc>,
}

impl Storage {
    #[rustfmt::skip]
    pub(super) fn new(source: StorageSource) -> Result<Self, Error> {
        let held = IntGaugeVec::new(Opts::new("portvakt_storage_lock_held", "1 while this process holds a lock of the state directory: it orders this certificate, or sends for this notifier; 0 where another process may."), &["name"])?;
        let errors = IntCounterVec::new(Opts::new("portvakt_storage_errors_total", "What the disk refused, or what in the state directory could not be understood, by operation."), &["op"])?;
        let descriptions = held.desc().into_iter().chain(errors.desc()).cloned().collect();
        Ok(Self { source, families: Mutex::new((held, errors)), descriptions })
    }
}

impl Collector for Storage {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let StorageStatus { locks, failures } = (self.source)();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, errors) = &*families;
        held.reset();
        errors.reset();
        locks.iter().for_each(|(name, is_held)| held.with_label_values(&[name]).set((*is_held).into()));
        failures.iter().for_each(|(operation, count)| errors.with_label_values(&[operation]).inc_by(*count));
        held.collect().into_iter().chain(errors.collect()).collect()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

/// How long locks were waited for.
#[derive(Debug)]
pub(super) struct LockWaits(Histogram);

impl LockWaits {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let opts = HistogramOpts::new("portvakt_storage_lock_wait_seconds", WAIT).buckets(BUCKETS.to_vec());
        let waits = Histogram::with_opts(opts)?;
        registry.register(Box::new(waits.clone()))?;
        Ok(Self(waits))
    }

    pub(super) fn waited(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

const WAIT: &str =
    "Of each lock of the state directory that was had: from the first refusal on, another process holding it.";
/// Files are changed under a lock within milliseconds; an order takes a minute, a notifier that stands by waits for days.
const BUCKETS: &[f64] = &[0.001, 0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0];
