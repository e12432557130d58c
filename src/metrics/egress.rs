//! What is counted of one way out.

use std::time::Duration;

use http::StatusCode;
use prometheus::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::families::{counters, gauges, histograms};
use super::handles::{Retired, code_label, labels};
use crate::time::Timestamp;

/// Families with a label `destination`.
pub(super) struct EgressFamilies {
    requests: IntCounterVec,
    duration: HistogramVec,
    local_answers: IntCounterVec,
    collects: IntCounterVec,
    error_codes: IntCounterVec,
    gaps: IntCounterVec,
    orders: IntCounterVec,
    undelivered: IntCounterVec,
    lost: IntCounterVec,
    last_answer: IntGaugeVec,
}

impl EgressFamilies {
    #[rustfmt::skip]
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let r = registry;
        Ok(Self {
            requests: counters(r, "portvakt_egress_requests_total", REQUESTS, &["destination", "method", "version", "code"])?,
            duration: histograms(r, "portvakt_egress_request_duration_seconds", "From an application's request to the end of its answer, without the time that it was held back.", &["destination"], BUCKETS)?,
            local_answers: counters(r, "portvakt_egress_local_answers_total", "Requests of applications that were answered here, by reason.", &["destination", "reason"])?,
            collects: counters(r, "portvakt_egress_collects_total", "Answers of BankID to collect, by status and hintCode.", &["destination", "status", "hint"])?,
            error_codes: counters(r, "portvakt_egress_error_codes_total", "Errors that BankID answered, by errorCode.", &["destination", "error_code"])?,
            gaps: counters(r, "portvakt_egress_collect_gaps_total", "Time between two collects of an order, as the application asked.", &["destination", "gap"])?,
            orders: counters(r, "portvakt_egress_orders_total", "BankID orders that ended, by how.", &["destination", "end"])?,
            undelivered: counters(r, "portvakt_egress_answers_undelivered_total", "Final answers of BankID that an application did not take; they are kept for a while.", &["destination"])?,
            lost: counters(r, "portvakt_egress_answers_lost_total", "Final answers of BankID that an application did not ask for again in time: what they proved is lost.", &["destination"])?,
            last_answer: gauges(r, "portvakt_egress_last_answer_timestamp_seconds", "When the destination last answered, as a Unix timestamp.", &["destination"])?,
        })
    }

    pub(super) fn retain(&self, keep: &dyn Fn(&str) -> bool) {
        let counters = [
            &self.requests,
            &self.local_answers,
            &self.collects,
            &self.error_codes,
            &self.gaps,
            &self.orders,
            &self.undelivered,
            &self.lost,
        ];
        counters.into_iter().for_each(|family| super::families::retain(family, LABEL, keep));
        super::families::retain(&self.duration, LABEL, keep);
        super::families::retain(&self.last_answer, LABEL, keep);
    }
}

/// What is counted of one destination.
pub struct EgressMetrics {
    name: String,
    requests: IntCounterVec,
    duration: Histogram,
    local_answers: IntCounterVec,
    collects: IntCounterVec,
    error_codes: IntCounterVec,
    gaps: [IntCounter; CollectGap::ALL.len()],
    orders: [IntCounter; OrderEnd::ALL.len()],
    undelivered: IntCounter,
    lost: IntCounter,
    last_answer: IntGauge,
    pub(super) retired: Retired,
}

impl EgressMetrics {
    pub(super) fn new(families: &EgressFamilies, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            requests: families.requests.clone(),
            duration: families.duration.with_label_values(&[name]),
            local_answers: families.local_answers.clone(),
            collects: families.collects.clone(),
            error_codes: families.error_codes.clone(),
            gaps: CollectGap::ALL.map(|gap| families.gaps.with_label_values(&[name, gap.as_str()])),
            orders: OrderEnd::ALL.map(|end| families.orders.with_label_values(&[name, end.as_str()])),
            undelivered: families.undelivered.with_label_values(&[name]),
            lost: families.lost.with_label_values(&[name]),
            last_answer: families.last_answer.with_label_values(&[name]),
            retired: Retired::default(),
        }
    }

    /// Lets the series of closed lists begin at zero, so that the first of them is seen.
    pub fn begin(&self, reasons: impl Iterator<Item = &'static str>, error_codes: impl Iterator<Item = &'static str>) {
        reasons.for_each(|reason| drop(self.local_answers.with_label_values(&[self.name.as_str(), reason])));
        error_codes.for_each(|code| drop(self.error_codes.with_label_values(&[self.name.as_str(), code])));
    }

    /// Counts an answered request. `method` and `version` come from closed lists.
    pub fn answered(&self, method: &'static str, version: &'static str, status: StatusCode, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        self.count(&self.requests, &[method, version, code_label(&status)]);
    }

    /// Notes that the destination has answered.
    pub fn heard(&self, now: Timestamp) {
        self.last_answer.set(now.as_unix());
    }

    /// Counts a request that was answered here; `reason` comes from a closed list.
    pub fn answered_here(&self, reason: &'static str) {
        self.count(&self.local_answers, &[reason]);
    }

    /// Counts an answer to collect; both come from closed lists, `hint` may be empty.
    pub fn collected(&self, status: &'static str, hint: &'static str) {
        self.count(&self.collects, &[status, hint]);
    }

    /// Counts an error of BankID; `code` comes from a closed list.
    pub fn failed(&self, code: &'static str) {
        self.count(&self.error_codes, &[code]);
    }

    /// Counts the time between two collects of an order.
    pub fn gap(&self, gap: CollectGap) {
        self.gaps[gap as usize].inc();
    }

    /// Counts orders that ended.
    pub fn ended(&self, end: OrderEnd, orders: u64) {
        self.orders[end as usize].inc_by(orders);
    }

    /// Counts final answers that the application did not take; they are kept for a while.
    pub fn undelivered(&self, answers: u64) {
        self.undelivered.inc_by(answers);
    }

    /// Counts final answers that it will not get any more.
    pub fn lost(&self, answers: u64) {
        self.lost.inc_by(answers);
    }

    fn count(&self, family: &IntCounterVec, values: &[&str]) {
        if self.retired.is_set() {
            return;
        }
        let mut all = vec![self.name.as_str()];
        all.extend(values);
        family.with_label_values(&all).inc();
    }
}

labels! {
    /// Time between two collects of one order.
    CollectGap {
        /// More often than BankID allows.
        UnderOneSecond = "under_1s",
        /// As it should be: every two seconds.
        OneToFiveSeconds = "1s_to_5s",
        /// So slow that the user waits.
        OverFiveSeconds = "over_5s",
    }
}

labels! {
    /// How an order ended.
    OrderEnd {
        /// The user has identified or signed.
        Complete = "complete",
        /// BankID said why not.
        Failed = "failed",
        /// The application cancelled it.
        Cancelled = "cancelled",
        /// The application did not ask for its end.
        NeverCollected = "never_collected",
    }
}

const LABEL: &str = "destination";
const REQUESTS: &str =
    "Requests of applications to a destination, by method and version where they are BankID's, and status.";

/// Across the country and back, up to a long poll.
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
