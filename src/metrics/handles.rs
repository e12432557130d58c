//! Typed handles: series looked up once, and counted on without labels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::families::Families;
use crate::lifecycle::{Kind, Reason};
use crate::route::{Action, Trouble};

/// What is counted of one route.
pub struct RouteMetrics {
    name: String,
    requests: IntCounterVec,
    duration: Histogram,
    in_flight: IntGauge,
    /// In the order of [`Action::ALL`].
    enforcement: [IntCounter; Action::ALL.len()],
    limited: [IntCounter; RequestLimit::ALL.len()],
    unlet: [IntCounter; ClientCertificateRefusal::ALL.len()],
    rewrites: [IntCounter; Rewrite::ALL.len()],
    redirect_loops: IntCounter,
    pub(super) retired: Retired,
}

impl RouteMetrics {
    pub(super) fn new(families: &Families, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            requests: families.requests.clone(),
            duration: families.request_duration.with_label_values(&[name]),
            in_flight: families.in_flight.with_label_values(&[name]),
            enforcement: Action::ALL.map(|action| families.enforcement.with_label_values(&[name, action.as_str()])),
            limited: RequestLimit::ALL.map(|limit| families.limited.with_label_values(&[name, limit.as_str()])),
            unlet: ClientCertificateRefusal::ALL
                .map(|why| families.client_certificate_refusals.with_label_values(&[name, why.as_str()])),
            rewrites: Rewrite::ALL.map(|kind| families.rewrites.with_label_values(&[name, kind.as_str()])),
            redirect_loops: families.redirect_loops.with_label_values(&[name]),
            retired: Retired::default(),
        }
    }

    /// Its label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts a request that was refused by its client certificate.
    pub fn client_certificate_refused(&self, why: ClientCertificateRefusal) {
        self.unlet[why as usize].inc();
    }

    /// Counts a request as in flight until the guard drops.
    #[must_use = "the request counts as ended when this drops"]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.inc();
        InFlight(self.clone())
    }

    /// Counts an answered request.
    pub fn answered(&self, listener: &ListenerMetrics, method: &Method, status: StatusCode, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        if self.retired.is_set() || listener.retired.is_set() {
            return;
        }
        self.requests.with_label_values(&[&listener.name, &self.name, method_label(method), code_label(&status)]).inc();
    }

    /// Counts what the enforcement of HTTPS did.
    pub fn enforced(&self, action: Action) {
        self.enforcement[action as usize].inc();
    }

    /// How often the enforcement of HTTPS did so.
    pub fn enforced_so_far(&self, action: Action) -> u64 {
        self.enforcement[action as usize].get()
    }

    /// Counts a request that was refused because of a limit, or because of who sent it.
    pub fn limited(&self, limit: RequestLimit) {
        self.limited[limit as usize].inc();
    }

    /// Counts an answer in which something was mended.
    pub fn rewrote(&self, kind: Rewrite) {
        self.rewrites[kind as usize].inc();
    }

    /// Counts a client that is sent to where it is or was, again and again.
    pub fn looped(&self) {
        self.redirect_loops.inc();
    }
}

/// A request being answered.
pub struct InFlight(Arc<RouteMetrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// What is counted of one listener's connections.
pub struct ListenerMetrics {
    name: String,
    pub(super) retired: Retired,
    open: IntGauge,
    rejected: [IntCounter; ConnectionRejection::ALL.len()],
}

impl ListenerMetrics {
    pub(super) fn new(families: &Families, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            retired: Retired::default(),
            open: families.connections_open.with_label_values(&[name]),
            rejected: ConnectionRejection::ALL
                .map(|reason| families.connections_rejected.with_label_values(&[name, reason.as_str()])),
        }
    }

    /// Its label: kind and address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts a connection as open until the guard drops.
    #[must_use = "the connection counts as closed when this drops"]
    pub fn opened(&self) -> OpenConnection {
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// Counts a connection that was closed before its time.
    pub fn rejected(&self, reason: ConnectionRejection) {
        self.rejected[reason as usize].inc();
    }
}

/// An open connection.
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is counted of one listener's TLS handshakes.
pub struct TlsMetrics {
    ok: [IntCounter; TlsVersion::ALL.len()],
    error: IntCounter,
    failures: [IntCounter; HandshakeFailure::ALL.len()],
    duration: Histogram,
}

impl TlsMetrics {
    pub(super) fn new(families: &Families, listener: &str) -> Self {
        let handshakes = |result, version| families.handshakes.with_label_values(&[listener, result, version]);
        Self {
            ok: TlsVersion::ALL.map(|version| handshakes("ok", version.as_str())),
            error: handshakes("error", "none"),
            failures: HandshakeFailure::ALL
                .map(|reason| families.handshake_failures.with_label_values(&[listener, reason.as_str()])),
            duration: families.handshake_duration.with_label_values(&[listener]),
        }
    }

    /// Counts a finished handshake.
    pub fn succeeded(&self, version: TlsVersion, took: Duration) {
        self.ok[version as usize].inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a failed handshake.
    pub fn failed(&self, reason: HandshakeFailure) {
        self.error.inc();
        self.failures[reason as usize].inc();
    }
}

/// What is counted of one upstream.
pub struct UpstreamMetrics {
    name: String,
    requests: IntCounterVec,
    unanswered: IntCounter,
    connect: Histogram,
    healthy: IntGauge,
    pinned: IntGauge,
    tls_failures: [IntCounter; UpstreamTlsFailure::ALL.len()],
    /// In the order of [`Trouble::OF_UPSTREAMS`].
    troubles: [IntCounter; Trouble::OF_UPSTREAMS.len()],
    pub(super) retired: Retired,
}

impl UpstreamMetrics {
    /// Counts as healthy until something fails.
    pub(super) fn new(families: &Families, name: &str) -> Self {
        let healthy = families.upstream_healthy.with_label_values(&[name]);
        healthy.set(1);
        Self {
            name: name.to_owned(),
            requests: families.upstream_requests.clone(),
            unanswered: families.upstream_requests.with_label_values(&[name, "error"]),
            connect: families.upstream_connect.with_label_values(&[name]),
            healthy,
            pinned: families.upstream_pinned.with_label_values(&[name]),
            tls_failures: UpstreamTlsFailure::ALL
                .map(|reason| families.upstream_tls_failures.with_label_values(&[name, reason.as_str()])),
            troubles: Trouble::OF_UPSTREAMS
                .map(|trouble| families.upstream_troubles.with_label_values(&[name, trouble.as_str()])),
            retired: Retired::default(),
        }
    }

    /// Counts a request that the upstream answered.
    pub fn answered(&self, status: StatusCode) {
        if !self.retired.is_set() {
            self.requests.with_label_values(&[&self.name, code_label(&status)]).inc();
        }
    }

    /// Counts a request that got no answer.
    pub fn unanswered(&self) {
        self.unanswered.inc();
    }

    /// Counts a new connection.
    pub fn connected(&self, took: Duration) {
        self.connect.observe(took.as_secs_f64());
    }

    /// Counts a connection that is one client's own until the guard drops.
    #[must_use = "the connection counts as ended when this drops"]
    pub fn pinned(&self) -> PinnedConnection {
        self.pinned.inc();
        PinnedConnection(self.pinned.clone())
    }

    /// Says whether the upstream can be reached.
    pub fn set_healthy(&self, healthy: bool) {
        self.healthy.set(healthy.into());
    }

    /// Whether the upstream was reached when it was last tried.
    pub fn is_healthy(&self) -> bool {
        self.healthy.get() == 1
    }

    /// Counts an answer that tells of a mistake in the upstream's set-up.
    pub fn explained(&self, trouble: Trouble) {
        if let Some(at) = Trouble::OF_UPSTREAMS.iter().position(|known| *known == trouble) {
            self.troubles[at].inc();
        }
    }

    /// Counts a TLS handshake with the upstream that failed.
    pub fn tls_failed(&self, reason: UpstreamTlsFailure) {
        self.tls_failures[reason as usize].inc();
    }
}

/// A connection to an upstream that one client has to itself.
#[derive(Debug)]
pub struct PinnedConnection(IntGauge);

impl Drop for PinnedConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is counted of one certificate's orders from one CA.
pub struct AcmeMetrics {
    ok: [IntCounter; Kind::ALL.len()],
    error: [IntCounter; Kind::ALL.len()],
    failures: [IntCounter; Reason::ALL.len()],
}

impl AcmeMetrics {
    pub(super) fn new(families: &Families, certificate: &str, ca: &str) -> Self {
        let attempts = |result: &str| {
            Kind::ALL.map(|kind| families.acme_attempts.with_label_values(&[certificate, ca, kind.as_str(), result]))
        };
        Self {
            ok: attempts("ok"),
            error: attempts("error"),
            failures: Reason::ALL
                .map(|reason| families.acme_failures.with_label_values(&[certificate, ca, reason.as_str()])),
        }
    }

    /// Counts an order that gave a certificate.
    pub fn succeeded(&self, kind: Kind) {
        self.ok[kind as usize].inc();
    }

    /// Counts an order that did not.
    pub fn failed(&self, kind: Kind, reason: Reason) {
        self.error[kind as usize].inc();
        self.failures[reason as usize].inc();
    }
}

/// Set when a reload removed what a handle counts for: a request that outlives it must not bring its series back.
#[derive(Default)]
pub(super) struct Retired(AtomicBool);

impl Retired {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a closed set of label values.
macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The label.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }
    };
}
pub(super) use labels;

labels! {
    /// Why a connection was closed by us before its time.
    ConnectionRejection {
        /// The listener has as many connections as it may.
        Connections = "connections",
        /// The client's address has.
        ConnectionsPerClient = "connections_per_client",
        /// It came from a load balancer and did not begin with a PROXY header.
        ProxyProtocol = "proxy_protocol",
        /// The client flooded it with HTTP/2 frames, or with requests that it reset.
        Flood = "flood",
    }
}

labels! {
    /// What a request was refused by; the label is the key of the configuration.
    RequestLimit {
        /// The client's address is not in the list.
        AllowFrom = "allow_from",
        /// Its body is too large.
        Body = "body",
        /// There is no room for its body, which is to be collected first.
        Collected = "collected",
        /// Too many requests are in flight.
        Connections = "connections",
        /// The client has sent too many.
        Requests = "requests",
    }
}

labels! {
    /// Why a request was refused by its client certificate.
    ClientCertificateRefusal {
        /// There was none.
        Missing = "missing",
        /// It is not among those that are let in.
        NotListed = "not_listed",
        /// It has run out since the handshake.
        Expired = "expired",
        /// Its connection was opened under other rules.
        BeforeAChange = "before_a_change",
    }
}

labels! {
    /// What was mended in an answer.
    Rewrite {
        /// `Location`, `Content-Location` or `Refresh`.
        Location = "location",
        /// `Set-Cookie`.
        Cookie = "cookie",
        /// Addresses in the description of a service.
        Xml = "xml",
    }
}

labels! {
    /// The version that a handshake agreed on.
    TlsVersion {
        /// RFC 5246.
        Tls12 = "1.2",
        /// RFC 8446.
        Tls13 = "1.3",
    }
}

labels! {
    /// Why a handshake with a client failed.
    HandshakeFailure {
        /// It named no server, and no site takes such handshakes.
        NoServerName = "no_sni",
        /// It named a server that is none of ours.
        UnknownServerName = "unknown_sni",
        /// It offered only versions that are not spoken here.
        OldProtocol = "old_protocol",
        /// It showed no client certificate, where one is required.
        NoClientCertificate = "no_client_cert",
        /// It showed a client certificate that is not believed.
        BadClientCertificate = "bad_client_cert",
        /// It did not end in time.
        Timeout = "timeout",
        /// Anything else: no common cipher suite, no TLS at all, a client that went away.
        Other = "other",
    }
}

labels! {
    /// Why a handshake with an upstream failed.
    UpstreamTlsFailure {
        /// Its leaf is none of those pinned.
        Pin = "pin",
        /// Its certificate is for another name.
        Name = "name",
        /// Its certificate has expired, or is not valid yet.
        Expired = "expired",
        /// Its certificate leads to no trust anchor.
        UnknownCa = "unknown_ca",
        /// It did not take our client certificate, or asked for one that we do not have.
        ClientCertificateRejected = "client_cert_rejected",
        /// It speaks no version that we do.
        OldProtocol = "old_protocol",
        /// It knows no cipher suite that we do.
        NoCommonCipher = "no_common_cipher",
        /// Its key is too short for its signatures to be verified.
        WeakKey = "weak_key",
        /// What was seen at first use cannot be read or kept.
        FirstUse = "first_use",
        /// Its certificate cannot be read.
        Unreadable = "unreadable",
        /// Anything else.
        Other = "other",
    }
}

/// A status that is registered, as it is; of others the class, such as `5xx`: a server may answer with any number.
pub(super) fn code_label(status: &StatusCode) -> &str {
    match (status.canonical_reason(), status.as_u16()) {
        (Some(_), _) => status.as_str(),
        (None, 100..200) => "1xx",
        (None, 200..300) => "2xx",
        (None, 300..400) => "3xx",
        (None, 400..500) => "4xx",
        (None, 500..600) => "5xx",
        (None, _) => "other",
    }
}

/// Peers may send any token as method; only these become label values.
/// A method as a label; what is not common is `OTHER`.
pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "OTHER",
    }
}
