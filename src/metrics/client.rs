//! Client identities: one collector that reads how each stands at scrape, as for certificates.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounterVec, IntGaugeVec, Opts};

use crate::lifecycle::rotation::{Refusal, Slot};

/// Tells how every client identity stands, whenever it is asked.
pub type ClientIdentitySource = Arc<dyn Fn() -> Vec<ClientIdentityStatus> + Send + Sync>;

/// How one client identity stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentityStatus {
    /// Name of the egress or upstream; label `destination`.
    pub destination: String,
    /// Which one is in use; `None` for none.
    pub in_use: Option<Slot>,
    /// Refusals since the start, for each of [`Refusal::ALL`].
    pub refusals: [u64; Refusal::ALL.len()],
}

pub(super) struct ClientIdentities {
    source: ClientIdentitySource,
    /// Locked for a whole scrape: two at once would empty each other's.
    families: Mutex<Families>,
    descriptions: Vec<Desc>,
}

struct Families {
    in_use: IntGaugeVec,
    refused: IntCounterVec,
}

impl ClientIdentities {
    #[rustfmt::skip]
    pub(super) fn new(source: ClientIdentitySource) -> Result<Self, Error> {
        let in_use = Opts::new("portvakt_egress_identity_in_use", "1 for the client identity that is shown to the destination, 0 for the other.");
        let refused = Opts::new("portvakt_egress_identity_refused_total", "Times that the destination refused the client identity, by what it said.");
        let families = Families {
            in_use: IntGaugeVec::new(in_use, &["destination", "identity"])?,
            refused: IntCounterVec::new(refused, &["destination", "reason"])?,
        };
        let descriptions = families.in_use.desc().into_iter().chain(families.refused.desc()).cloned().collect();
        Ok(Self { source, families: Mutex::new(families), descriptions })
    }
}

impl Families {
    fn set(&self, status: &ClientIdentityStatus) {
        for slot in Slot::ALL {
            let is_in_use = status.in_use == Some(slot);
            self.in_use.with_label_values(&[&*status.destination, slot.as_str()]).set(is_in_use.into());
        }
        for (why, count) in Refusal::ALL.into_iter().zip(status.refusals) {
            self.refused.with_label_values(&[&*status.destination, why.as_str()]).inc_by(count);
        }
    }
}

impl Collector for ClientIdentities {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let identities = (self.source)();
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.in_use.reset();
        families.refused.reset();
        identities.iter().for_each(|identity| families.set(identity));
        families.in_use.collect().into_iter().chain(families.refused.collect()).collect()
    }
}

impl fmt::Debug for ClientIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentities").finish_non_exhaustive()
    }
}
