//! Upstreams, and what their answers give away.

use serde::Serialize;

use super::time;
use crate::time::Timestamp;

/// An upstream.
#[derive(Clone, Debug, Serialize)]
pub struct Upstream {
    /// The configured name.
    pub name: String,
    /// `http://127.0.0.1:8080`, `unix:/run/app.sock`; several are joined by `, `.
    pub address: String,
    /// Nothing is known against at least one of its peers.
    pub healthy: bool,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// Its servers, one or several.
    pub peers: Vec<Peer>,
}

/// One server of an upstream.
#[derive(Clone, Debug, Serialize)]
pub struct Peer {
    /// `http://127.0.0.1:8080`, `unix:/run/app.sock`.
    pub address: String,
    /// The last attempt to reach it worked, or none was made, and it passes its checks.
    pub healthy: bool,
    /// `up`; `ejected` for a while after a failure; `down` while its health checks fail.
    pub state: &'static str,
    /// Requests that it is answering, WebSockets included.
    pub requests: usize,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// What is the matter with who answers there, such as `PV0436`; `None` where nobody does, and where all is well.
    pub code: Option<String>,
    /// Why its certificate is believed: `trust_anchors`, `pinned` or `first_use`; `None` where there is no TLS.
    pub trust: Option<&'static str>,
    /// What it showed in the last handshake that it was believed in.
    pub certificate: Option<PeerCertificate>,
}

/// The certificate of an upstream's server.
#[derive(Clone, Debug, Serialize)]
pub struct PeerCertificate {
    /// Common name, which may be empty.
    pub subject: String,
    /// SHA-256 of the certificate, hex.
    pub sha256: String,
    /// Begin of its validity.
    #[serde(serialize_with = "time")]
    pub not_before: Timestamp,
    /// Last second of validity.
    #[serde(serialize_with = "time")]
    pub not_after: Timestamp,
}

/// A mistake in the set-up behind us that answers give away.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// Such as `PV0317`; `portvakt help` tells more.
    pub code: String,
    /// As in the metrics, such as `ssl_required`.
    pub reason: &'static str,
    /// The name of the upstream or the route.
    pub about: String,
    /// What happens, and why.
    pub what: &'static str,
    /// How to mend it.
    pub fix: &'static str,
    /// How often it was seen.
    pub count: u64,
    /// The first time.
    #[serde(serialize_with = "time")]
    pub first_seen: Timestamp,
    /// The last time.
    #[serde(serialize_with = "time")]
    pub last_seen: Timestamp,
}
