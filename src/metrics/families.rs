//! Every family with labels, and how series leave it.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{Error, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Families whose series belong to something that a reload can remove.
pub(super) struct Families {
    pub(super) handshakes: IntCounterVec,
    pub(super) handshake_failures: IntCounterVec,
    pub(super) handshake_duration: HistogramVec,
    pub(super) connections_open: IntGaugeVec,
    pub(super) connections_rejected: IntCounterVec,
    pub(super) requests: IntCounterVec,
    pub(super) request_duration: HistogramVec,
    pub(super) in_flight: IntGaugeVec,
    pub(super) enforcement: IntCounterVec,
    pub(super) limited: IntCounterVec,
    pub(super) client_certificate_refusals: IntCounterVec,
    pub(super) rewrites: IntCounterVec,
    pub(super) redirect_loops: IntCounterVec,
    pub(super) upstream_requests: IntCounterVec,
    pub(super) upstream_connect: HistogramVec,
    pub(super) upstream_healthy: IntGaugeVec,
    pub(super) upstream_peer_healthy: IntGaugeVec,
    pub(super) upstream_pinned: IntGaugeVec,
    pub(super) upstream_tls_failures: IntCounterVec,
    pub(super) upstream_troubles: IntCounterVec,
    pub(super) acme_attempts: IntCounterVec,
    pub(super) acme_failures: IntCounterVec,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let r = registry;
        Ok(Self {
            handshakes: counters(r, "portvakt_tls_handshakes_total", HANDSHAKES, &["listener", "result", "version"])?,
            handshake_failures: counters(
                r,
                "portvakt_tls_handshake_failures_total",
                "TLS handshakes that failed, by reason.",
                &["listener", "reason"],
            )?,
            handshake_duration: histograms(
                r,
                "portvakt_tls_handshake_duration_seconds",
                "From the accepted connection to the finished TLS handshake.",
                &["listener"],
                HANDSHAKE_BUCKETS,
            )?,
            connections_open: gauges(r, "portvakt_connections_open", "Open connections of clients.", &["listener"])?,
            connections_rejected: counters(
                r,
                "portvakt_connections_rejected_total",
                "Connections closed before their time because a limit was reached.",
                &["listener", "reason"],
            )?,
            requests: counters(r, "portvakt_http_requests_total", REQUESTS, &["listener", "route", "method", "code"])?,
            request_duration: histograms(
                r,
                "portvakt_http_request_duration_seconds",
                "From a request's header to the end of its answer.",
                &["route"],
                REQUEST_BUCKETS,
            )?,
            in_flight: gauges(r, "portvakt_http_requests_in_flight", "Requests being answered.", &["route"])?,
            enforcement: counters(
                r,
                "portvakt_https_enforcement_total",
                "What was done with requests over plain HTTP.",
                &["route", "action"],
            )?,
            client_certificate_refusals: counters(
                registry,
                "portvakt_client_certificate_refusals_total",
                "Requests refused by their client certificate, or because there was none.",
                &["route", "reason"],
            )?,
            limited: counters(
                r,
                "portvakt_requests_limited_total",
                "Requests refused because of a limit or because of who sent them, by the key that says so.",
                &["route", "reason"],
            )?,
            rewrites: counters(
                r,
                "portvakt_rewrites_total",
                "Answers in which something was mended for the client, by what it was.",
                &["route", "kind"],
            )?,
            redirect_loops: counters(
                r,
                "portvakt_redirect_loops_total",
                "Clients that were sent to where they are or were, again and again.",
                &["route"],
            )?,
            upstream_requests: counters(r, "portvakt_upstream_requests_total", UPSTREAM, &["upstream", "code"])?,
            upstream_connect: histograms(
                r,
                "portvakt_upstream_connect_duration_seconds",
                "Time to connect to an upstream, its TLS handshake included.",
                &["upstream"],
                HANDSHAKE_BUCKETS,
            )?,
            upstream_healthy: gauges(
                r,
                "portvakt_upstream_healthy",
                "Whether nothing is known against at least one of the upstream's peers.",
                &["upstream"],
            )?,
            upstream_peer_healthy: gauges(
                r,
                "portvakt_upstream_peer_healthy",
                "Whether the last attempt to reach the peer worked, and it passes its health checks.",
                &["upstream", "peer"],
            )?,
            upstream_pinned: gauges(
                r,
                "portvakt_upstream_pinned_connections",
                "Connections to the upstream that one client has to itself: NTLM and Negotiate authenticate a connection.",
                &["upstream"],
            )?,
            upstream_tls_failures: counters(
                r,
                "portvakt_upstream_tls_failures_total",
                "TLS handshakes with upstreams that failed, by reason.",
                &["upstream", "reason"],
            )?,
            upstream_troubles: counters(
                r,
                "portvakt_upstream_troubles_total",
                "Answers of upstreams that tell of a mistake in their set-up, by what it is.",
                &["upstream", "reason"],
            )?,
            acme_attempts: counters(
                r,
                "portvakt_acme_attempts_total",
                "Orders of certificates that ended, by result.",
                &["cert", "ca", "kind", "result"],
            )?,
            acme_failures: counters(
                r,
                "portvakt_acme_failures_total",
                "Orders of certificates that failed, by reason.",
                &["cert", "ca", "reason"],
            )?,
        })
    }

    /// Removes the series of peers that are not kept; their upstream may stay.
    pub(super) fn retain_peers(&self, keep: &dyn Fn(&str, &str) -> bool) {
        let family = &self.upstream_peer_healthy;
        for series in Collector::collect(family).iter().flat_map(|collected| collected.get_metric()) {
            let value =
                |name| series.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value());
            let (upstream, peer) = (value("upstream"), value("peer"));
            if !keep(upstream, peer) {
                // Another reload may have removed it since; then there is nothing to do.
                let _ = family.remove_label_values(&[upstream, peer]);
            }
        }
    }

    /// Removes the series whose value of `label` is not kept, from every family that has the label.
    pub(super) fn retain(&self, label: &str, keep: &dyn Fn(&str) -> bool) {
        let counters = [
            &self.handshakes,
            &self.handshake_failures,
            &self.connections_rejected,
            &self.requests,
            &self.enforcement,
            &self.limited,
            &self.client_certificate_refusals,
            &self.rewrites,
            &self.redirect_loops,
            &self.upstream_requests,
            &self.upstream_tls_failures,
            &self.upstream_troubles,
            &self.acme_attempts,
            &self.acme_failures,
        ];
        counters.into_iter().for_each(|family| retain(family, label, keep));
        let gauges = [
            &self.connections_open,
            &self.in_flight,
            &self.upstream_healthy,
            &self.upstream_peer_healthy,
            &self.upstream_pinned,
        ];
        gauges.into_iter().for_each(|family| retain(family, label, keep));
        let histograms = [&self.handshake_duration, &self.request_duration, &self.upstream_connect];
        histograms.into_iter().for_each(|family| retain(family, label, keep));
    }
}

pub(super) fn retain<T: MetricVecBuilder>(family: &MetricVec<T>, label: &str, keep: &dyn Fn(&str) -> bool) {
    for series in Collector::collect(family).iter().flat_map(|collected| collected.get_metric()) {
        let labels: HashMap<&str, &str> = series.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
        if labels.get(label).is_some_and(|value| !keep(value)) {
            // Another reload may have removed it since; then there is nothing to do.
            let _ = family.remove(&labels);
        }
    }
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
    let family = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Result<HistogramVec, Error> {
    let family = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

const HANDSHAKES: &str = "TLS handshakes that ended, by result and version.";
const REQUESTS: &str = "Requests answered. Methods that are not common count as OTHER.";
const UPSTREAM: &str = "Requests sent to upstreams, by the status they answered; `error` where no answer came.";

/// Handshakes take a few milliseconds nearby and stop at 10 s.
const HANDSHAKE_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Old servers' long polls last two minutes; the first byte is waited for up to five.
const REQUEST_BUCKETS: &[f64] =
    &[0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
