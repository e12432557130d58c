//! Where to connect and as whom.
//!
//! In: [`Settings`]. Out: [`Upstream`], which gives pingora a peer for the next connection and says whether the peer that
//! answered may be believed. Names are resolved here, not by pingora, which would block. Imports `pki`; pingora's peer
//! types stay in here and in `proxy`.
//!
//! Promises: nothing is sent to a TLS upstream that has neither a trusted chain nor a pinned leaf; connections are pooled
//! per upstream and generation, so that a changed trust never finds an old connection.
//! Standards: RFC 5280 §6, RFC 9525, RFC 7469 §2.4.
//!
//! # Why
//!
//! pingora tells only the leaf's digest, and its pool does not know of trust anchors (two peers that differ only in their
//! root would share connections). So a pinned leaf is read in a handshake of our own, `probe`, whose fingerprint is then
//! admitted, and every peer carries a group key of its own.

mod connect;
mod probe;
mod resolve;

pub use connect::{Affinity, TlsFailure, Upstream, UpstreamError, throwaway_root};
pub use probe::{ProbeError, Probed};

use std::path::PathBuf;
use std::time::Duration;

use crate::pki::{Fingerprint, SpkiPin, TrustAnchors};

/// One upstream as the configuration means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Metric label; default `host:port`.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// How TLS is spoken to it; `None` is plain HTTP.
    pub tls: Option<TlsSettings>,
    /// The `Host` to send; `None` keeps the client's.
    pub host: Option<String>,
    /// Limits in time.
    pub timeouts: Timeouts,
}

/// Where an upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address, and a port. Names are resolved by us, again every 30 s and after a failed connect.
    Tcp {
        /// Lower case, no brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// TLS towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Sent as SNI and, with [`Trust::Anchors`], checked against the certificate (RFC 9525).
    pub server_name: String,
    /// Why we believe the peer.
    pub trust: Trust,
}

/// Why an upstream's certificate is believed. There is no "insecure".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It chains to one of these and is valid for the server name (RFC 5280 §6.1).
    Anchors(TrustAnchors),
    /// Its leaf is one of these; names, dates and issuer are not looked at.
    Pinned {
        /// Whole certificates.
        fingerprints: Vec<Fingerprint>,
        /// Public keys.
        pins: Vec<SpkiPin>,
    },
}

/// Limits in time towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS handshake.
    pub connect: Duration,
    /// From the request sent to the first byte of the answer; long polls are legal.
    pub first_byte: Duration,
    /// An unused pooled connection is closed after this.
    pub idle: Duration,
    /// A WebSocket with no traffic either way is closed after this.
    pub websocket_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            websocket_idle: Duration::from_secs(3600),
        }
    }
}
