//! What DNS says about the names: where they lead, and who may issue for them.

use std::net::{IpAddr, UdpSocket};

use super::super::finding::Finding;
use super::super::topic::Topic;
use super::Order;
use super::ca::Seen;
use crate::config::Config;
use crate::dns::{CaaRequest, LookupError, Resolver};
use crate::store::Store;

/// Whether each name leads here.
pub(super) async fn findings(config: &Config, resolver: &Resolver, orders: &[Order<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let others = config.route.sites.iter().flat_map(|site| &site.domains).map(String::as_str);
    let mut names: Vec<&str> = orders.iter().map(|order| order.name).chain(others.take(super::MOST_NAMES)).collect();
    names.retain(|name| !name.starts_with("*.") && !name.eq_ignore_ascii_case("localhost"));
    names.sort_unstable();
    names.dedup();
    for name in names {
        findings.extend(one(resolver, name).await);
    }
    findings
}

async fn one(resolver: &Resolver, name: &str) -> Vec<Finding> {
    let (v4, v6) = tokio::join!(resolver.ipv4(name), resolver.ipv6(name));
    let broken = [v4.as_ref().err(), v6.as_ref().err()].into_iter().flatten().find(|error| error.is_dnssec());
    if let Some(error) = broken {
        return vec![dnssec(name, error)];
    }
    let v4: Result<Vec<IpAddr>, _> = v4.map(|found| found.into_iter().map(IpAddr::from).collect());
    let v6: Vec<IpAddr> = v6.map(|found| found.into_iter().map(IpAddr::from).collect()).unwrap_or_default();
    let v4 = match v4 {
        Err(error) if v6.is_empty() => return vec![unknown(name, error.to_string())],
        v4 => v4.unwrap_or_default(),
    };
    if v4.is_empty() && v6.is_empty() {
        return vec![unknown(name, "it has neither A nor AAAA".to_owned())];
    }
    let facts = |addresses: &[IpAddr]| {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        vec![("name", name.to_owned()), ("addresses", addresses.join(", "))]
    };
    let elsewhere = |addresses: &[IpAddr]| !addresses.is_empty() && !addresses.iter().copied().any(is_here);
    let mut findings = Vec::new();
    // NAT hides IPv4 addresses, hardly ever those of IPv6; and CAs prefer IPv6.
    if elsewhere(&v6) && !v4.is_empty() {
        findings.push(Finding::mend(Topic::AddressElsewhere, facts(&v6)));
    } else if elsewhere(&v6) || elsewhere(&v4) {
        findings.push(Finding::note(Topic::AddressElsewhere, facts(&[v4, v6].concat())));
    }
    findings
}

fn unknown(name: &str, detail: String) -> Finding {
    Finding::fault(Topic::NameUnknown, vec![("host", name.to_owned()), ("detail", detail)])
}

fn dnssec(name: &str, error: &LookupError) -> Finding {
    Finding::fault(Topic::DnssecBroken, vec![("name", name.to_owned()), ("detail", error.why.to_string())])
}

/// Every address of a name, those of IPv6 first, as CAs take them.
pub(super) async fn of(resolver: &Resolver, name: &str) -> Vec<IpAddr> {
    let (v4, v6) = tokio::join!(resolver.ipv4(name), resolver.ipv6(name));
    let v6 = v6.unwrap_or_default().into_iter().map(IpAddr::from);
    v6.chain(v4.unwrap_or_default().into_iter().map(IpAddr::from)).collect()
}

/// Whether an address is one of this machine's: a socket can be bound to it.
pub(super) fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whether CAA lets each CA issue (RFC 8659, RFC 8657).
pub(super) async fn caa(config: &Config, resolver: &Resolver, orders: &[Order<'_>], cas: &[Seen]) -> Vec<Finding> {
    // Looking makes no folder.
    let store = config.state_dir.is_dir().then(|| Store::open(&config.state_dir).ok()).flatten();
    let mut findings = Vec::new();
    for order in orders {
        let Some(seen) = cas.iter().find(|seen| seen.directory == order.ca.directory && !seen.caa.is_empty()) else {
            continue;
        };
        let caa = match resolver.caa(order.name).await {
            Ok(caa) => caa,
            Err(error) if error.is_dnssec() => {
                findings.push(dnssec(order.name, &error));
                continue;
            }
            Err(_) => continue,
        };
        let account = store.as_ref().and_then(|store| account_url(store, &order.ca.directory));
        let request = |method| CaaRequest {
            issuers: &seen.caa,
            is_wildcard: order.name.starts_with("*."),
            account: account.as_deref(),
            method: Some(method),
        };
        let outcomes: Vec<_> = order.ca.challenges.iter().map(|kind| caa.permits(request(kind.as_str()))).collect();
        if let Some(refusal) = outcomes.iter().all(Result::is_err).then(|| outcomes.first()?.as_ref().err()).flatten() {
            let at = caa.at.clone().unwrap_or_default();
            let facts = vec![
                ("name", order.name.to_owned()),
                ("at", at),
                ("detail", refusal.to_string()),
                ("issuers", seen.caa.join(", ")),
            ];
            findings.push(Finding::fault(Topic::CaaForbids, facts));
        }
    }
    findings.dedup();
    findings
}

fn account_url(store: &Store, directory: &str) -> Option<String> {
    let account = store.load_account(directory).ok().flatten()?;
    account.credentials.expose().get("id")?.as_str().map(str::to_owned)
}
