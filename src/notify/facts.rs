//! How everything stands, as far as messages depend on it.

use serde::{Deserialize, Serialize};

use super::look::Need;
use crate::lifecycle::State;
use crate::time::Timestamp;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every certificate that is used or seen.
    pub certificates: Vec<CertificateFact>,
    /// Every server behind, at each of its addresses.
    pub servers: Vec<ServerFact>,
    /// What needs somebody, the worst first.
    pub needs: Vec<Need>,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFact {
    /// The configured name.
    pub name: String,
    /// What it is used for.
    pub role: Role,
    /// What is served; `Static` for what we do not serve.
    pub state: State,
    /// First second of its validity; `None` for a placeholder.
    pub not_before: Option<Timestamp>,
    /// Last second of its validity; `None` for a placeholder.
    pub not_after: Option<Timestamp>,
    /// Its fingerprint, hexadecimal.
    pub sha256: String,
    /// No protocol renews it.
    pub is_manual: bool,
    /// The latest moment of its renewal.
    pub emergency: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub failure: Option<FailureFact>,
    /// When it is tried next.
    pub next_attempt: Option<Timestamp>,
}

/// Why a certificate could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureFact {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub detail: String,
    /// How to mend it.
    pub fix: Option<String>,
}

/// One server at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFact {
    /// The configured name of its upstream or egress.
    pub upstream: String,
    /// Its address.
    pub address: String,
    /// Fingerprint of the certificate that it has shown and that was believed, hexadecimal.
    pub sha256: Option<String>,
    /// Last second of that certificate.
    pub not_after: Option<Timestamp>,
    /// Why its certificate is not believed, where it is another one than the one that is known.
    pub refused: Option<String>,
}

/// What a certificate is used for; in the words of the metrics' label `role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Shown to clients.
    Listener,
    /// Shown to servers of others.
    EgressClient,
    /// Shown to us by an upstream.
    UpstreamPeer,
    /// Signs certificates of clients.
    ClientCa,
    /// The root in our own state directory.
    InternalCa,
    /// Believed by us.
    TrustAnchor,
}

impl Role {
    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::EgressClient => "egress_client",
            Self::UpstreamPeer => "upstream_peer",
            Self::ClientCa => "client_ca",
            Self::InternalCa => "internal_ca",
            Self::TrustAnchor => "trust_anchor",
        }
    }
}
