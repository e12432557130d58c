//! Where to connect and as whom.
//!
//! In: [`Settings`]. Out: [`Upstream`], which chooses among its peers; a [`Peer`] gives pingora what the next connection
//! needs and says whether who answered may be believed. Names are resolved here, not by pingora, which would block. Imports
//! `pki`, `store` for what was seen at first use, `route`'s words for presets and origins, and `lifecycle` for the rotation of
//! client identities; pingora's peer types stay in here and in `proxy`.
//!
//! Promises: the last peer is never given up, except to its own failing checks; nothing is sent to a TLS upstream that has neither a trusted chain nor a pinned leaf; connections are pooled
//! per upstream, generation and client identity, so that a changed trust or identity never finds an old connection; those of an
//! authenticated client are its own, and end with it.
//! Standards: RFC 5280 §6, RFC 9525, RFC 7469 §2.4.
//!
//! # Why
//!
//! pingora tells only the leaf's digest, and its pool does not know of trust anchors (two peers that differ only in their
//! root would share connections). So a pinned leaf is read in a handshake of our own, `probe`, whose fingerprint is then
//! admitted, and every peer carries a group key of its own.

mod acquaintance;
mod affinity;
mod check;
mod choice;
mod client;
mod connect;
mod failure;
mod group;
mod handshake;
mod health;
mod heard;
mod identity;
mod probe;
mod refusal;
mod resolve;
mod shown;
mod trial;
mod upgrade;

pub use acquaintance::{Acquaintances, Known, accept, in_words};
pub use affinity::{Affinity, Bond, Counted, Held};
pub use check::CheckError;
pub use choice::Availability;
pub use client::{Answer, Client, ExchangeError, RequestBody};
pub use connect::{AcceptError, Peer, UpstreamError, throwaway_root};
pub use failure::TlsFailure;
pub use group::{Change, Chosen, Observer, Tried, Upstream};
pub use heard::{Heard, Lack};
pub use identity::{ClientIdentities, ClientIdentity, LastRefusal, News, Todo, View};
pub use probe::{LookError, ProbeError, Probed, look};
pub use trial::{Question, Seen, TrialAnswer, TrialError, attempt};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

use crate::pki::{Fingerprint, SpkiPin, TrustAnchors};
use crate::route::{Origin, Preset};

/// One upstream as the configuration means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Metric label; default the first peer's `host:port`.
    pub name: String,
    /// The servers that do the same work; at least one, at most [`Settings::MOST_PEERS`], no two alike.
    pub peers: Vec<PeerSettings>,
    /// The `Host` to send; `None` keeps the client's.
    pub host: Option<String>,
    /// What it is told about the client beside `X-Forwarded-*`.
    pub preset: Option<Preset>,
    /// Limits in time.
    pub timeouts: Timeouts,
    /// How the peers are checked; `None` leaves it to what requests meet.
    pub health: Option<HealthCheck>,
    /// Whose its connections are.
    pub affinity: AffinityRule,
    /// How bodies of unknown length are sent.
    pub request_buffering: RequestBuffering,
}

/// How bodies of unknown length are sent: those that come in chunks, or over HTTP/2 without a length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestBuffering {
    /// As they come.
    #[default]
    Off,
    /// Collected first, then with `Content-Length`.
    Length,
}

/// When a client's connection gets upstream connections of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AffinityRule {
    /// As soon as the server or the client speaks NTLM or Negotiate.
    #[default]
    Auto,
    /// From the first request on; HTTP/2 is not offered to clients then.
    Connection,
}

impl Settings {
    /// More servers behind one name want a load balancer.
    pub const MOST_PEERS: usize = 32;

    /// What its servers would write before the path of a URL of their own: the addresses that they are reached at, and the
    /// `Host` that they are sent, with their port and without.
    pub fn origins(&self) -> Vec<Origin> {
        let mut origins = Vec::new();
        let mut add = |origin: Origin| {
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        };
        for peer in &self.peers {
            let is_secure = peer.tls.is_some();
            let scheme = if is_secure { "https" } else { "http" };
            let sent = self.host.as_ref().and_then(|host| Origin::parse(&format!("{scheme}://{host}")));
            if let Address::Tcp { host, port } = &peer.address {
                add(Origin { is_secure, host: host.clone(), port: *port });
                sent.iter().for_each(|sent| add(Origin { port: *port, ..sent.clone() }));
            }
            sent.into_iter().for_each(&mut add);
        }
        origins
    }
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Where it listens.
    pub address: Address,
    /// How TLS is spoken to it; `None` is plain HTTP.
    pub tls: Option<TlsSettings>,
}

/// As a URL: `https://legacy.local:8443`, `unix:/run/app.sock`.
impl fmt::Display for PeerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, &self.tls) {
            (Address::Unix(_), _) => {}
            (Address::Tcp { .. }, Some(_)) => f.write_str("https://")?,
            (Address::Tcp { .. }, None) => f.write_str("http://")?,
        }
        write!(f, "{}", self.address)
    }
}

/// How the peers of an upstream are checked: a GET to each, with the same trust as requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query.
    pub path: String,
    /// From the end of one check to the next, give or take a tenth.
    pub interval: Duration,
    /// For the whole check.
    pub timeout: Duration,
    /// What counts as well.
    pub status: Vec<StatusCode>,
    /// Failed checks in a row until a peer is down.
    pub fail_after: u32,
    /// Good checks in a row until it is up again.
    pub pass_after: u32,
}

impl HealthCheck {
    /// The defaults, on a path.
    pub fn of(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            status: vec![StatusCode::OK],
            fail_after: 3,
            pass_after: 2,
        }
    }
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Sent as SNI and, with [`Trust::Anchors`], checked against the certificate (RFC 9525).
    pub server_name: String,
    /// Why we believe the peer.
    pub trust: Trust,
    /// Who we are, when it asks: the name of a client identity (`source::ClientIdentitySettings`).
    pub identity: Option<String>,
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
    /// Its leaf is the first one that was ever seen there, or one that an operator has accepted since.
    FirstUse,
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
