//! What ACME CAs still allow: one collector that reads the ledgers at scrape, since buckets fill by themselves.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntGaugeVec, Opts};

use crate::lifecycle::budget::Limit;

/// Tells how every known limit stands, whenever it is asked.
pub type BudgetSource = Arc<dyn Fn() -> Vec<BudgetLeft> + Send + Sync>;

/// What is left under one limit of a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetLeft {
    /// Host of the CA; label `ca`.
    pub ca: String,
    /// Which limit.
    pub limit: Limit,
    /// The certificate's configured name; empty for what counts by address or account.
    pub certificate: String,
    /// The least that is left for any of its names.
    pub left: u32,
}

pub(super) struct Budgets {
    source: BudgetSource,
    /// Locked for a whole scrape: two at once would empty each other's.
    remaining: Mutex<IntGaugeVec>,
    descriptions: Vec<Desc>,
}

impl Budgets {
    #[rustfmt::skip]
    pub(super) fn new(source: BudgetSource) -> Result<Self, Error> {
        let remaining = Opts::new("portvakt_acme_budget_remaining", "What an ACME CA still allows by its published limits, as far as our own doings tell.");
        let remaining = IntGaugeVec::new(remaining, &["ca", "limit", "cert"])?;
        let descriptions = remaining.desc().into_iter().cloned().collect();
        Ok(Self { source, remaining: Mutex::new(remaining), descriptions })
    }
}

impl Collector for Budgets {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let all = (self.source)();
        let remaining = self.remaining.lock().unwrap_or_else(PoisonError::into_inner);
        remaining.reset();
        for BudgetLeft { ca, limit, certificate, left } in &all {
            remaining.with_label_values(&[ca, limit.as_str(), certificate]).set(i64::from(*left));
        }
        remaining.collect()
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budgets").finish_non_exhaustive()
    }
}
