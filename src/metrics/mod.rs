//! Numbers for Prometheus: names, registry, typed handles.
//!
//! In: what the other rooms count, through handles; the state of every certificate, asked for at each scrape. Out: the
//! text format 0.0.4. May import: `lifecycle`, `route`, `time`. The only room that knows the `prometheus` library.
//!
//! Names are `portvakt_<thing>_<unit>[_total]` in base units; points of time are Unix timestamps. They are an interface:
//! a test compares them with `names.txt`.
//!
//! Promises: labels come from closed sets (configured names, enums, status codes), never from a peer; every counter of a
//! closed set exists from the start, so that `increase()` sees the first failure; what a reload removed leaves no series
//! ([`Metrics::retain`]), and certificates never do, since they are read at scrape.

mod budget;
mod ca;
mod certificate;
mod client;
mod client_crl;
mod egress;
mod families;
mod handles;
mod served;
mod storage;
mod textfile;
mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::time::Timestamp;

pub use budget::{BudgetLeft, BudgetSource};
pub use certificate::{CertificateRole, CertificateSource, CertificateStatus, RenewalInformation};
pub use client::{ClientIdentitySource, ClientIdentityStatus};
pub use client_crl::{ClientCrlSource, ClientCrlStatus};
pub use egress::{CollectGap, EgressMetrics, OrderEnd};
pub use handles::{
    AcmeMetrics, ClientCertificateRefusal, ConnectionRejection, HandshakeFailure, InFlight, ListenerMetrics,
    OpenConnection, PinnedConnection, RequestLimit, Rewrite, RouteMetrics, TlsMetrics, TlsVersion, UpstreamMetrics,
    UpstreamTlsFailure, method_label,
};
pub use served::{ServedSource, ServedStatus};
pub use storage::{StorageSource, StorageStatus};
pub use textfile::write_textfile;
pub use told::NotifyResult;

use certificate::Certificates;
use egress::EgressFamilies;
use families::Families;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    families: Families,
    egress_families: EgressFamilies,
    ca_families: ca::CaFamilies,
    told_families: told::ToldFamilies,
    lock_waits: storage::LockWaits,
    reload: Reload,
    access_log_dropped: IntCounter,
    routes: Handles<String, RouteMetrics>,
    listeners: Handles<String, ListenerMetrics>,
    tls: Handles<String, TlsMetrics>,
    upstreams: Handles<String, UpstreamMetrics>,
    acme: Handles<(String, String), AcmeMetrics>,
    egress: Handles<String, EgressMetrics>,
}

impl Metrics {
    /// Registers everything. `certificates` is called at each scrape.
    ///
    /// # Errors
    ///
    /// When two metrics clash; that is a mistake in this room, and its tests would show it.
    pub fn new(
        build: BuildInfo,
        started: Timestamp,
        certificates: CertificateSource,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        register_build(&registry, build)?;
        let start_time =
            IntGauge::new("portvakt_start_time_seconds", "When the process started, as a Unix timestamp.")?;
        start_time.set(started.as_unix());
        registry.register(Box::new(start_time))?;
        registry.register(Box::new(Certificates::new(certificates)?))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let access_log_dropped = IntCounter::new("portvakt_access_log_dropped_total", ACCESS_LOG_DROPPED)?;
        registry.register(Box::new(access_log_dropped.clone()))?;
        Ok(Self {
            families: Families::register(&registry)?,
            egress_families: EgressFamilies::register(&registry)?,
            ca_families: ca::CaFamilies::register(&registry)?,
            told_families: told::ToldFamilies::register(&registry)?,
            lock_waits: storage::LockWaits::register(&registry)?,
            reload: Reload::register(&registry)?,
            access_log_dropped,
            registry,
            routes: Handles::default(),
            listeners: Handles::default(),
            tls: Handles::default(),
            upstreams: Handles::default(),
            acme: Handles::default(),
            egress: Handles::default(),
        })
    }

    /// Shows how client identities stand. `identities` is called at each scrape.
    ///
    /// # Errors
    ///
    /// When it was called before.
    pub fn show_client_identities(&self, identities: ClientIdentitySource) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(client::ClientIdentities::new(identities)?))
    }

    /// Shows what our own listeners are seen to serve. `served` is called at each scrape.
    ///
    /// # Errors
    ///
    /// When it was called before.
    pub fn show_served(&self, served: ServedSource) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(served::Served::new(served)?))
    }

    /// Shows when lists of revoked clients run out. `crls` is called at each scrape.
    ///
    /// # Errors
    ///
    /// When it was called before.
    pub fn show_client_crls(&self, crls: ClientCrlSource) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(client_crl::ClientCrls::new(crls)?))
    }

    /// Shows what ACME CAs still allow. `budgets` is called at each scrape.
    ///
    /// # Errors
    ///
    /// When it was called before.
    pub fn show_budgets(&self, budgets: BudgetSource) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(budget::Budgets::new(budgets)?))
    }

    /// Shows how the state directory stands. `storage` is called at each scrape.
    ///
    /// # Errors
    ///
    /// When it was called before.
    pub fn show_storage(&self, storage: StorageSource) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(storage::Storage::new(storage)?))
    }

    /// Counts a lock of the state directory that was had, and how long it was waited for.
    pub fn storage_lock_waited(&self, time: Duration) {
        self.lock_waits.waited(time);
    }

    /// The handle of a route; [`NO_ROUTE`] for requests that found none.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        self.routes.get(name.to_owned(), || RouteMetrics::new(&self.families, name))
    }

    /// The handle of a listener's connections.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        self.listeners.get(name.to_owned(), || ListenerMetrics::new(&self.families, name))
    }

    /// The handle of a listener's handshakes.
    pub fn tls(&self, listener: &str) -> Arc<TlsMetrics> {
        self.tls.get(listener.to_owned(), || TlsMetrics::new(&self.families, listener))
    }

    /// The handle of an upstream.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        self.upstreams.get(name.to_owned(), || UpstreamMetrics::new(&self.families, name))
    }

    /// Says how a peer of an upstream stands, and whether any of its peers can be used.
    pub fn upstream_health(&self, upstream: &str, peer: &str, is_healthy: bool, is_any_healthy: bool) {
        self.families.upstream_peer_healthy.with_label_values(&[upstream, peer]).set(is_healthy.into());
        self.upstream(upstream).set_healthy(is_any_healthy);
    }

    /// The handle of a certificate's orders from one CA.
    pub fn acme(&self, certificate: &str, ca: &str) -> Arc<AcmeMetrics> {
        let key = (certificate.to_owned(), ca.to_owned());
        self.acme.get(key, || AcmeMetrics::new(&self.families, certificate, ca))
    }

    /// Counts a request to an ACME CA. `operation` comes from a closed list; no status where no answer came.
    pub fn ca_requested(&self, ca: &str, operation: &'static str, status: Option<u16>, took: Duration) {
        self.ca_families.requested(ca, operation, status, took);
    }

    /// Says how far an ACME CA's clock is ahead of ours.
    pub fn ca_clock_skew(&self, ca: &str, seconds: i64) {
        self.ca_families.set_clock_skew(ca, seconds);
    }

    /// Says before which time an ACME CA wants no further request.
    pub fn ca_retry_after(&self, ca: &str, at: Timestamp) {
        self.ca_families.set_retry_after(ca, at);
    }

    /// Counts an answered challenge. `kind` comes from a closed list.
    pub fn challenged(&self, kind: &'static str, is_valid: bool) {
        self.ca_families.challenged(kind, is_valid);
    }

    /// The handle of a way out.
    pub fn egress(&self, destination: &str) -> Arc<EgressMetrics> {
        self.egress.get(destination.to_owned(), || EgressMetrics::new(&self.egress_families, destination))
    }

    /// Lets the counters of a notifier stand at zero.
    pub fn notifier(&self, channel: &str) {
        self.told_families.begin(channel);
    }

    /// Counts what became of a notifier's message.
    pub fn notified(&self, channel: &str, result: NotifyResult) {
        self.told_families.notified(channel, result);
    }

    /// Counts a try to write the file for a textfile collector.
    pub fn textfile_written(&self, is_good: bool) {
        self.told_families.textfile(is_good);
    }

    /// Counts lines of the access log that were lost.
    pub fn access_log_dropped(&self, lines: u64) {
        self.access_log_dropped.inc_by(lines);
    }

    /// Counts a reload that worked, or the first load.
    pub fn reload_succeeded(&self, now: Timestamp) {
        self.reload.successful.set(1);
        self.reload.success_timestamp.set(now.as_unix());
        self.reload.ok.inc();
    }

    /// Counts a reload that changed nothing because it failed.
    pub fn reload_failed(&self) {
        self.reload.successful.set(0);
        self.reload.error.inc();
    }

    /// Forgets every series whose label value is not in `live`. Handles of what is forgotten count on unseen.
    pub fn retain(&self, live: &Live<'_>) {
        let is_route = |name: &str| name == NO_ROUTE || live.routes.contains(&name);
        let is_listener = |name: &str| live.listeners.contains(&name);
        let is_upstream = |name: &str| live.upstreams.contains(&name);
        let is_certificate = |name: &str| live.certificates.contains(&name);
        self.routes.retain(|name| is_route(name)).iter().for_each(|route| route.retired.set());
        self.listeners.retain(|name| is_listener(name)).iter().for_each(|listener| listener.retired.set());
        self.upstreams.retain(|name| is_upstream(name)).iter().for_each(|upstream| upstream.retired.set());
        self.tls.retain(|name| is_listener(name));
        self.acme.retain(|(certificate, _)| is_certificate(certificate));
        self.families.retain("route", &is_route);
        self.families.retain("listener", &is_listener);
        self.families.retain("upstream", &is_upstream);
        self.families
            .retain_peers(&|upstream, peer| live.peers.iter().any(|(of, name)| *of == upstream && name == peer));
        self.families.retain("cert", &is_certificate);
        let is_egress = |name: &str| live.egresses.contains(&name);
        self.egress.retain(|name| is_egress(name)).iter().for_each(|egress| egress.retired.set());
        self.egress_families.retain(&is_egress);
        self.ca_families.retain(&|ca| live.cas.contains(&ca));
        self.told_families.retain(&|channel| live.notifiers.contains(&channel));
    }

    /// Everything in Prometheus' text format 0.0.4; to be sent as [`CONTENT_TYPE`].
    pub fn render(&self) -> Vec<u8> {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        text.unwrap_or_else(|error| format!("# cannot be rendered: {error}\n")).into_bytes()
    }
}

/// What exists after a reload, by label value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Live<'a> {
    /// Names of listeners.
    pub listeners: &'a [&'a str],
    /// Names of routes.
    pub routes: &'a [&'a str],
    /// Names of upstreams.
    pub upstreams: &'a [&'a str],
    /// Names of upstreams and addresses of their peers.
    pub peers: &'a [(&'a str, String)],
    /// Names of certificates.
    pub certificates: &'a [&'a str],
    /// Names of ways out.
    pub egresses: &'a [&'a str],
    /// Hosts of ACME CAs.
    pub cas: &'a [&'a str],
    /// Names of notifiers.
    pub notifiers: &'a [&'a str],
}

/// Labels of `portvakt_build_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// Ours.
    pub version: &'static str,
    /// The commit, where the build was told `PORTVAKT_REVISION`; else `unknown`.
    pub revision: &'static str,
    /// The TLS library's.
    pub rustls: &'static str,
    /// The proxy library's.
    pub pingora: &'static str,
}

impl BuildInfo {
    /// This build.
    pub const fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: match option_env!("PORTVAKT_REVISION") {
                Some(revision) => revision,
                None => "unknown",
            },
            rustls: "0.23.46",
            pingora: "0.9.1",
        }
    }
}

fn register_build(registry: &Registry, build: BuildInfo) -> Result<(), prometheus::Error> {
    let opts = Opts::new("portvakt_build_info", "What this process was built from; always 1.");
    let info = IntGaugeVec::new(opts, &["version", "revision", "rustls", "pingora"])?;
    info.with_label_values(&[build.version, build.revision, build.rustls, build.pingora]).set(1);
    registry.register(Box::new(info))
}

struct Reload {
    successful: IntGauge,
    success_timestamp: IntGauge,
    ok: IntCounter,
    error: IntCounter,
}

impl Reload {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let opts =
            Opts::new("portvakt_config_reloads_total", "Attempts to load the configuration, the first included.");
        let reloads = prometheus::IntCounterVec::new(opts, &["result"])?;
        registry.register(Box::new(reloads.clone()))?;
        Ok(Self {
            successful: gauge(
                "portvakt_config_last_reload_successful",
                "Whether the last attempt to load the configuration worked; where it is 0 the one before serves on.",
            )?,
            success_timestamp: gauge(
                "portvakt_config_last_reload_success_timestamp_seconds",
                "When the configuration that serves was loaded, as a Unix timestamp.",
            )?,
            ok: reloads.with_label_values(&["ok"]),
            error: reloads.with_label_values(&["error"]),
        })
    }
}

/// One handle for each name, made when first asked for.
struct Handles<K, T>(Mutex<HashMap<K, Arc<T>>>);

impl<K: Eq + std::hash::Hash, T> Handles<K, T> {
    fn get(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.entry(key).or_insert_with(|| Arc::new(make())).clone()
    }

    /// Gives what was not kept.
    fn retain(&self, keep: impl Fn(&K) -> bool) -> Vec<Arc<T>> {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.extract_if(|key, _| !keep(key)).map(|(_, handle)| handle).collect()
    }
}

impl<K, T> Default for Handles<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

const ACCESS_LOG_DROPPED: &str =
    "Lines of the access log that were lost, since its queue was full or it could not be written.";

/// Label `route` of requests that were answered before a route was known.
pub const NO_ROUTE: &str = "none";

/// `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests;
