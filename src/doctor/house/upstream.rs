//! Whether upstreams can be reached, and whether clients can reach them past us.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;

use super::super::finding::Finding;
use super::super::topic::Topic;
use crate::causes::with_causes;
use crate::config::Config;
use crate::store::Store;
use crate::upstream::{Address, Known, PeerSettings, ProbeError, Settings, TrialError, Trust, attempt};

pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for upstream in &config.upstreams {
        for peer in &upstream.peers {
            let alone = Settings { peers: vec![peer.clone()], ..upstream.clone() };
            findings.extend(reached(config, peer, &alone).await);
            findings.extend(past_us(config, peer).await);
        }
    }
    findings.dedup();
    findings
}

async fn reached(config: &Config, peer: &PeerSettings, alone: &Settings) -> Option<Finding> {
    let trouble = |detail: String| {
        Some(Finding::fault(Topic::UpstreamTrouble, vec![("upstream", peer.to_string()), ("detail", detail)]))
    };
    if peer.tls.is_some() {
        return match attempt(&as_known(config, alone), None, None).await {
            Ok(_) => None,
            // Not met yet: the first one that it shows will be believed.
            Err(TrialError::Connect(ProbeError::Unknown { .. })) => None,
            // It wants to know who we are; that is tried by `egress check`.
            Err(TrialError::Refused { .. }) => None,
            Err(error) => {
                let failure = match &error {
                    TrialError::Connect(error) => error.failure(),
                    _ => None,
                };
                let fix = failure.map(|it| format!("; {}; more: portvakt help {}", it.fix(), it.code()));
                trouble(format!("{}{}", with_causes(&error), fix.unwrap_or_default()))
            }
        };
    }
    match &peer.address {
        Address::Tcp { host, port } => {
            let connecting = TcpStream::connect((host.as_str(), *port));
            match tokio::time::timeout(alone.timeouts.connect, connecting).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => trouble(error.to_string()),
                Err(_elapsed) => trouble("no answer in time".to_owned()),
            }
        }
        Address::Unix(path) => (!path.exists()).then(|| trouble("the socket is not there".to_owned())).flatten(),
    }
}

/// What was seen at first use is as good as a fingerprint.
fn as_known(config: &Config, alone: &Settings) -> Settings {
    let mut settings = alone.clone();
    // Opening would make one.
    let store = config.state_dir.join("version").exists().then(|| Store::open(&config.state_dir).ok()).flatten();
    for peer in &mut settings.peers {
        let (Some(store), Some(tls)) = (&store, peer.tls.as_mut().filter(|tls| tls.trust == Trust::FirstUse)) else {
            continue;
        };
        let known = store.known_peer(&peer.address.to_string(), &tls.server_name).ok().flatten();
        if let Some(known) = known.and_then(Known::read) {
            tls.trust = Trust::Pinned { fingerprints: vec![known.leaf.fingerprint], pins: Vec::new() };
        }
    }
    settings
}

/// An upstream that is meant for us alone, and answers on an address that others reach too.
async fn past_us(config: &Config, peer: &PeerSettings) -> Option<Finding> {
    let Address::Tcp { host, port } = &peer.address else { return None };
    let facts = |address: SocketAddr| vec![("upstream", peer.to_string()), ("address", address.to_string())];
    let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await.ok()?.collect();
    if let Some(outer) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        // Whether a firewall lets others through cannot be seen from here.
        return Some(Finding::note(Topic::UpstreamExposed, facts(*outer)));
    }
    for ip in outer_addresses() {
        let address = SocketAddr::new(ip, *port);
        if is_ours(config, address) {
            continue;
        }
        let connected = tokio::time::timeout(MOMENT, TcpStream::connect(address)).await;
        if matches!(connected, Ok(Ok(_))) {
            return Some(Finding::mend(Topic::UpstreamExposed, facts(address)));
        }
    }
    None
}

/// Where we listen ourselves.
fn is_ours(config: &Config, address: SocketAddr) -> bool {
    let is_same =
        |ours: &SocketAddr| ours.port() == address.port() && (ours.ip().is_unspecified() || ours.ip() == address.ip());
    config.listen.addresses().iter().any(is_same)
}

/// The addresses from which this machine would speak to the world. Nothing is sent.
fn outer_addresses() -> Vec<IpAddr> {
    let local = |bind: &str, towards: &str| {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(towards).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    // Addresses for documentation (RFC 5737, RFC 3849): they belong to nobody.
    let found = [local("0.0.0.0:0", "192.0.2.1:9"), local("[::]:0", "[2001:db8::1]:9")];
    found.into_iter().flatten().filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

const MOMENT: Duration = Duration::from_secs(2);
