//! Whether somebody is there, and speaks TLS.

use super::super::finding::Finding;
use super::super::sight::{End, Sight, Trouble};
use super::super::topic::Topic;

pub(super) fn findings(sight: &Sight) -> Vec<Finding> {
    let host = || ("host", sight.target.host.clone());
    if let Some(detail) = &sight.unresolved {
        return vec![Finding::broken(Topic::NameUnknown, vec![host(), ("detail", detail.clone())])];
    }
    let mut findings = Vec::new();
    match sight.first_shown() {
        None => findings.push(nothing_shown(sight)),
        Some((first, shown)) => {
            findings.extend(silent(sight));
            let leaf = shown.chain.first().map(|leaf| leaf.facts().fingerprint);
            let others = sight.addresses.iter().filter(|looked| {
                let other = looked.outcome.as_ref().ok().and_then(|shown| shown.chain.first());
                other.is_some_and(|other| Some(other.facts().fingerprint) != leaf)
            });
            let others: Vec<_> = others.map(|looked| looked.address.ip().to_string()).collect();
            if !others.is_empty() {
                let facts = vec![("address", first.ip().to_string()), ("others", others.join(", "))];
                findings.push(Finding::mend(Topic::OtherCertificate, facts));
            }
            if shown.is_old {
                let facts = vec![("version", shown.version.clone()), ("cipher", shown.cipher.clone())];
                findings.push(old(&shown.version, facts));
            }
            if shown.asks_client {
                findings.push(match shown.broke.is_some() || is_turned_away(sight) {
                    true => Finding::broken(Topic::ClientAsked, vec![host()]),
                    false => Finding::note(Topic::ClientAsked, vec![host()]),
                });
            } else if let Some(detail) = shown.broke.as_ref().filter(|_| !shown.is_old) {
                let facts = vec![("address", first.to_string()), ("detail", detail.clone())];
                findings.push(Finding::broken(Topic::HandshakeBroken, facts));
            }
            if shown.is_unproven {
                let detail = "the signature in the handshake is not made with the certificate's key".to_owned();
                let facts = vec![("address", first.to_string()), ("detail", detail)];
                findings.push(Finding::broken(Topic::HandshakeBroken, facts));
            }
        }
    }
    findings
}

/// nginx answers 400 to whoever shows no certificate, IIS 403.7; others cut the connection.
fn is_turned_away(sight: &Sight) -> bool {
    let Some(walk) = &sight.secure else { return false };
    let is_refused = walk.hops.first().is_some_and(|hop| matches!(hop.status, 400 | 403 | 496));
    is_refused || matches!(walk.end, End::Failed(_))
}

/// Phones and browsers still take TLS 1.2 with ciphers that rustls leaves out; nobody takes what is older.
fn old(version: &str, facts: Vec<(&'static str, String)>) -> Finding {
    match version {
        "TLS 1.2" => Finding::mend(Topic::OldTls, facts),
        _ => Finding::broken(Topic::OldTls, facts),
    }
}

/// The finding of the address that got furthest.
fn nothing_shown(sight: &Sight) -> Finding {
    let troubles =
        || sight.addresses.iter().filter_map(|looked| Some((looked.address, looked.outcome.as_ref().err()?)));
    let worth = |trouble: &Trouble| match trouble {
        Trouble::NameRefused => 4,
        Trouble::NotTls { .. } => 3,
        Trouble::Broken(_) => 2,
        Trouble::Refused | Trouble::Silent => 1,
        Trouble::NoRoute => 0,
    };
    let furthest = troubles().max_by_key(|(_, trouble)| worth(trouble));
    let port = sight.target.port.to_string();
    let Some((address, trouble)) = furthest else {
        return Finding::broken(
            Topic::NameUnknown,
            vec![("host", sight.target.host.clone()), ("detail", "no address".to_owned())],
        );
    };
    let facts = |detail: String| vec![("address", address.to_string()), ("port", port.clone()), ("detail", detail)];
    match trouble {
        Trouble::NameRefused => Finding::broken(
            Topic::NameRefused,
            vec![("host", sight.target.host.clone()), ("address", address.to_string())],
        ),
        Trouble::NotTls { .. } => Finding::broken(Topic::NoTls, facts(trouble.detail())),
        Trouble::Broken(detail) => Finding::broken(Topic::HandshakeBroken, facts(detail.clone())),
        Trouble::Refused | Trouble::Silent | Trouble::NoRoute => {
            let each: Vec<_> =
                troubles().map(|(address, trouble)| format!("{}: {}", address.ip(), trouble.detail())).collect();
            Finding::broken(Topic::NotReached, vec![("port", port), ("detail", each.join("; "))])
        }
    }
}

/// Addresses that do not do what the first one does. One that cannot be tried from here says nothing.
fn silent(sight: &Sight) -> Vec<Finding> {
    let each = sight.addresses.iter().filter_map(|looked| Some((looked.address, looked.outcome.as_ref().err()?)));
    each.map(|(address, trouble)| {
        let facts = vec![("address", address.to_string()), ("detail", trouble.detail())];
        match trouble {
            Trouble::NoRoute => Finding::note(Topic::AddressSilent, facts),
            _ => Finding::mend(Topic::AddressSilent, facts),
        }
    })
    .collect()
}
