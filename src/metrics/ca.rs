//! Requests to ACME CAs.

use std::time::Duration;

use http::StatusCode;
use prometheus::{Error, HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::families::{counters, gauges, histograms, retain};
use super::handles::code_label;
use crate::time::Timestamp;

/// Families whose series belong to a CA.
pub(super) struct CaFamilies {
    requests: IntCounterVec,
    duration: HistogramVec,
    clock_skew: IntGaugeVec,
    retry_after: IntGaugeVec,
    challenges: IntCounterVec,
}

impl CaFamilies {
    #[rustfmt::skip]
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let r = registry;
        Ok(Self {
            requests: counters(r, "portvakt_acme_requests_total", "Requests to an ACME CA, by operation and by the status it answered; `error` where no answer came.", &["ca", "operation", "status"])?,
            duration: histograms(r, "portvakt_acme_request_duration_seconds", "From a request to an ACME CA to the end of its answer.", &["ca", "operation"], BUCKETS)?,
            clock_skew: gauges(r, "portvakt_acme_clock_skew_seconds", "How far an ACME CA's clock is ahead of ours; negative when it is behind.", &["ca"])?,
            retry_after: gauges(r, "portvakt_acme_retry_after_timestamp_seconds", "The time before which an ACME CA wants no further request, as it last said.", &["ca"])?,
            challenges: counters(r, "portvakt_acme_challenges_answered_total", "Challenges of ACME CAs that were answered, by type and by what the CA made of the answer.", &["type", "result"])?,
        })
    }

    pub(super) fn retain(&self, keep: &dyn Fn(&str) -> bool) {
        retain(&self.requests, LABEL, keep);
        retain(&self.duration, LABEL, keep);
        retain(&self.clock_skew, LABEL, keep);
        retain(&self.retry_after, LABEL, keep);
    }

    /// Counts a request. `operation` comes from a closed list; no status where no answer came.
    pub(super) fn requested(&self, ca: &str, operation: &'static str, status: Option<u16>, took: Duration) {
        let status = status.map(StatusCode::from_u16);
        let label = match &status {
            None => "error",
            Some(Ok(status)) => code_label(status),
            Some(Err(_)) => "other",
        };
        self.requests.with_label_values(&[ca, operation, label]).inc();
        self.duration.with_label_values(&[ca, operation]).observe(took.as_secs_f64());
    }

    pub(super) fn set_clock_skew(&self, ca: &str, seconds: i64) {
        self.clock_skew.with_label_values(&[ca]).set(seconds);
    }

    pub(super) fn set_retry_after(&self, ca: &str, at: Timestamp) {
        self.retry_after.with_label_values(&[ca]).set(at.as_unix());
    }

    pub(super) fn challenged(&self, kind: &'static str, is_valid: bool) {
        self.challenges.with_label_values(&[kind, if is_valid { "ok" } else { "error" }]).inc();
    }
}

const LABEL: &str = "ca";

/// A CA signs within a second or two, and is given up after thirty.
const BUCKETS: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
