//! Names that no public CA issues a certificate for. Needs no network.

use super::super::finding::Finding;
use super::super::topic::Topic;
use crate::config::Config;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let orders = super::orders(config);
    let public = orders.iter().filter(|order| order.cas.first.trust_anchors.is_none());
    let refused = public.filter_map(|order| Some((order, refusal(order.name)?)));
    refused
        .map(|(order, why)| {
            Finding::fault(Topic::NameNotPublic, vec![("name", order.name.to_owned()), ("detail", why)])
        })
        .collect()
}

/// Why no public CA issues for this name (CA/Browser Forum's Baseline Requirements §7.1.4.2.1; RFC 6761, RFC 6762).
fn refusal(name: &str) -> Option<String> {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let Some((_, last)) = name.rsplit_once('.') else { return Some("a single label".to_owned()) };
    if name.ends_with("home.arpa") {
        return Some(".home.arpa".to_owned());
    }
    INTERNAL.contains(&last).then(|| format!(".{last}"))
}

/// Reserved for use inside (RFC 2606, RFC 6761, RFC 6762, ICANN on `internal`), or in use there and never delegated.
const INTERNAL: [&str; 12] = [
    "local",
    "localhost",
    "internal",
    "lan",
    "home",
    "corp",
    "mail",
    "intranet",
    "private",
    "test",
    "invalid",
    "example",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_when_judged_then_those_of_inner_networks_are_refused() {
        for name in ["m5.local", "server.lan", "intranet", "*.corp", "x.home.arpa", "door.test"] {
            assert!(refusal(name).is_some(), "{name}");
        }
        for name in ["door.example.se", "*.example.com", "local.example.com"] {
            assert!(refusal(name).is_none(), "{name}");
        }
    }
}
