//! Looking: names, connections, handshakes, requests. Everything has a deadline and a bound; nothing judges.

mod issuer;
mod old;
mod tls;
mod walk;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;

use super::sight::{Looked, Sight};
use super::trust::Roots;
use super::{Options, Target};
use crate::time::Timestamp;

/// Looks at one URL. Never fails: what goes wrong is what was seen.
pub(super) async fn look(target: &Target, roots: &Roots, options: &Options, now: Timestamp) -> Sight {
    let (addresses, unresolved) = match resolve(target, &options.addresses).await {
        Ok(addresses) => (addresses, None),
        Err(detail) => (Vec::new(), Some(detail)),
    };
    let mut sight = Sight {
        target: target.clone(),
        at: now,
        from: crate::platform::host_name(),
        unresolved,
        addresses: each(target, addresses).await,
        fetched: Vec::new(),
        secure: None,
        plain: None,
    };
    let Some(address) = sight.first_shown().map(|(address, _)| address.ip()) else { return sight };
    let way = walk::Way { host: &target.host, address };
    let secure = way.walk(target.to_string());
    let plain = async {
        let url = format!("http://{}{}", Target::authority(&target.host, options.http_port?, 80), target.path);
        Some(way.walk(url).await)
    };
    let chain = sight.first_shown().map(|(_, shown)| shown.chain.clone()).unwrap_or_default();
    let fetched = issuer::fetch_missing(&chain, roots);
    let (secure, plain, fetched) = tokio::join!(secure, plain, fetched);
    (sight.secure, sight.plain, sight.fetched) = (Some(secure), plain, fetched);
    sight
}

/// Each address once, in the resolver's order.
async fn resolve(target: &Target, given: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
    if !given.is_empty() {
        return Ok(given.iter().take(MOST_ADDRESSES).copied().collect());
    }
    if let Some(ip) = target.ip() {
        return Ok(vec![ip]);
    }
    let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((target.host.as_str(), target.port))).await;
    let found = found.map_err(|_elapsed| "the resolver does not answer".to_owned())?.map_err(|e| e.to_string())?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
}

/// A handshake at each, all at once.
async fn each(target: &Target, addresses: Vec<IpAddr>) -> Vec<Looked> {
    let mut tasks = JoinSet::new();
    for (index, address) in addresses.into_iter().enumerate() {
        let (address, target) = (SocketAddr::new(address, target.port), target.clone());
        tasks.spawn(async move { (index, Looked { address, outcome: tls::shown(&target, address).await }) });
    }
    let mut looked = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        looked.extend(ended.ok());
    }
    looked.sort_by_key(|(index, _)| *index);
    looked.into_iter().map(|(_, looked)| looked).collect()
}

const RESOLVE: Duration = Duration::from_secs(10);
const MOST_ADDRESSES: usize = 16;
