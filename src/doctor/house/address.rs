//! What DNS says about the names: where they lead, and who may issue for them.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, UdpSocket};

use tokio::task::JoinSet;

use super::super::finding::Finding;
use super::super::topic::Topic;
use super::Order;
use super::ca::Seen;
use crate::config::{CaaView, Config};
use crate::dns::{Caa, CaaRequest, LookupError, Resolver};
use crate::source::AcmeSettings;

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

/// A name that a CA would refuse.
pub(super) struct Refused {
    pub(super) directory: String,
    pub(super) view: CaaView,
    issuers: Vec<String>,
    /// The CA is asked first, and not only when another fails.
    is_first: bool,
}

impl Refused {
    pub(super) fn finding(&self) -> Finding {
        let CaaView { name, at, why } = &self.view;
        let Some(at) = at else {
            return Finding::fault(Topic::DnssecBroken, vec![("name", name.clone()), ("detail", why.clone())]);
        };
        let facts = vec![
            ("name", name.clone()),
            ("at", at.clone()),
            ("detail", why.clone()),
            ("issuers", self.issuers.join(", ")),
            ("directory", self.directory.clone()),
        ];
        match self.is_first {
            true => Finding::fault(Topic::CaaForbids, facts),
            false => Finding::mend(Topic::CaaForbids, facts),
        }
    }
}

/// Whether CAA lets each CA issue (RFC 8659, RFC 8657). What cannot be looked up is not told here.
pub(super) async fn caa(resolver: &Resolver, orders: &[Order<'_>], cas: &[Seen]) -> Vec<Refused> {
    let found = caa_of(resolver, orders).await;
    let mut refused: Vec<Refused> = Vec::new();
    for order in orders {
        let Some(found) = found.get(order.name) else { continue };
        for (index, ca) in order.cas.iter().enumerate() {
            let Some(seen) = cas.iter().find(|seen| seen.directory == ca.directory && !seen.issuers.is_empty()) else {
                continue;
            };
            let Some((at, why)) = refusal(found, order.name, ca, seen) else { continue };
            let view = CaaView { name: order.name.to_owned(), at, why };
            if !refused.iter().any(|other| other.view == view && other.directory == ca.directory) {
                let (directory, issuers) = (ca.directory.clone(), seen.issuers.clone());
                refused.push(Refused { directory, view, issuers, is_first: index == 0 });
            }
        }
    }
    refused
}

/// The records that rule each name, asked for all at once.
async fn caa_of(resolver: &Resolver, orders: &[Order<'_>]) -> HashMap<String, Result<Caa, LookupError>> {
    let mut looks = JoinSet::new();
    for name in orders.iter().map(|order| order.name).collect::<BTreeSet<_>>() {
        let (resolver, name) = (resolver.clone(), name.to_owned());
        looks.spawn(async move { (name.clone(), resolver.caa(&name).await) });
    }
    looks.join_all().await.into_iter().collect()
}

/// Whose records refuse, and why; without a name where signatures do not hold. One challenge that is let through is enough.
fn refusal(
    found: &Result<Caa, LookupError>,
    name: &str,
    ca: &AcmeSettings,
    seen: &Seen,
) -> Option<(Option<String>, String)> {
    let caa = match found {
        Ok(caa) => caa,
        Err(error) => return error.is_dnssec().then(|| (None, error.why.to_string())),
    };
    let request = |method| CaaRequest {
        issuers: &seen.issuers,
        is_wildcard: name.starts_with("*."),
        account: seen.account.as_deref(),
        method: Some(method),
    };
    let mut outcomes = ca.challenges.iter().map(|kind| caa.permits(request(kind.as_str())));
    let first = outcomes.next()?.err()?;
    outcomes.all(|outcome| outcome.is_err()).then(|| (Some(caa.at.clone().unwrap_or_default()), first.to_string()))
}
