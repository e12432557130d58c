//! Bind, accept, limit; hands on an accepted stream.
//!
//! In: [`Settings`] and a handler. Out: every accepted TCP stream with who and where, within the limits on connections. Of
//! a connection's bytes only a PROXY header is looked at here, and nobody's whose network was not named for it. A listener
//! stops when told; what it accepted lives on.

mod accept;
mod bind;
pub mod proxy_protocol;
mod sockets;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

pub use accept::{Acceptor, Admission, Incoming, Place, Refused, RequestPlace, accept};
pub use bind::{BindError, bind};
pub use sockets::{Opened, Sockets};

/// What is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Plain HTTP: challenges, redirects, allowed paths.
    pub http: Vec<SocketAddr>,
    /// TLS.
    pub https: Vec<SocketAddr>,
    /// Operators; plain HTTP on loopback.
    pub admin: Vec<SocketAddr>,
    /// Local applications that call out; plain HTTP.
    pub egress: Vec<SocketAddr>,
    /// Limits on every listener.
    pub limits: Limits,
    /// Load balancers: connections from here, except to `admin`, begin with a PROXY header, and no others do.
    pub proxy_protocol: Vec<IpNet>,
}

impl Settings {
    /// Every address that is listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.http.iter().chain(&self.https).chain(&self.admin).chain(&self.egress).copied().collect()
    }
}

impl Default for Settings {
    /// Ports 80 and 443 on every address; operators on loopback.
    fn default() -> Self {
        let everywhere = |port| {
            [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)].map(|ip| SocketAddr::new(ip, port))
        };
        Self {
            http: everywhere(80).to_vec(),
            https: everywhere(443).to_vec(),
            admin: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))],
            egress: Vec::new(),
            limits: Limits::default(),
            proxy_protocol: Vec::new(),
        }
    }
}

/// Limits of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of the listener.
    pub connections: usize,
    /// Open connections of one client address; trusted proxies are exempt.
    pub connections_per_client: usize,
    /// From accept to a finished TLS handshake.
    pub handshake: Duration,
    /// A whole request header.
    pub header: Duration,
    /// An unused keep-alive connection.
    pub keep_alive: Duration,
    /// Bytes in files of bodies that are collected before they go on, over all requests.
    pub collected: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_client: 256,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(15),
            keep_alive: Duration::from_secs(75),
            collected: 2 << 30,
        }
    }
}
