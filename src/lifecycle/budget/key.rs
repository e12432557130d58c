//! What a limit counts by, as texts in the ledger.

use std::net::IpAddr;

use crate::pki::Fingerprint;

/// Exactly these identifiers, in whatever order and however often each.
pub(super) fn set(identifiers: &[String]) -> String {
    let mut sorted: Vec<String> = identifiers.iter().map(|name| name.to_ascii_lowercase()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    bounded(sorted.join(","))
}

/// One identifier of one account.
pub(super) fn of_account(account: &str, identifier: &str) -> String {
    bounded(format!("{} {account}", identifier.to_ascii_lowercase()))
}

/// The registered domains of identifiers, each once: one label below a public suffix (publicsuffix.org); an IPv4 address
/// itself, of an IPv6 address its /64.
pub fn registered_domains(identifiers: &[String]) -> Vec<String> {
    let mut domains: Vec<String> = identifiers.iter().map(|identifier| registered_domain(identifier)).collect();
    domains.sort_unstable();
    domains.dedup();
    domains
}

fn registered_domain(identifier: &str) -> String {
    match identifier.parse() {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => {
            let name = identifier.trim_start_matches("*.").trim_end_matches('.').to_ascii_lowercase();
            // A name that is a public suffix itself counts by itself.
            psl::domain_str(&name).map_or_else(|| name.clone(), str::to_owned)
        }
    }
}

/// A hundred long names are told apart by their hash.
fn bounded(text: String) -> String {
    match text.len() {
        ..=LONGEST => text,
        _ => format!("sha256/{}", Fingerprint::of(text.as_bytes())),
    }
}

const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_identifier_when_its_domain_is_looked_for_then_that_below_the_public_suffix() {
        let table = [
            ("m5.example.com", "example.com"),
            ("*.m5.example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("me.github.io", "me.github.io"),
            ("a.me.github.io", "me.github.io"),
            ("co.uk", "co.uk"),
            ("a.b.internal-name", "b.internal-name"),
            ("localhost", "localhost"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
            ("", ""),
        ];
        for (identifier, expected) in table {
            assert_eq!(registered_domain(identifier), expected, "{identifier}");
        }
        let many = ["b.test.se", "a.test.se", "other.se"].map(str::to_owned);
        assert_eq!(registered_domains(&many), ["other.se", "test.se"]);
    }

    #[test]
    fn given_the_same_names_in_another_order_when_keyed_then_one_set() {
        let names = |names: &[&str]| set(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["b.test", "a.test"]), "a.test,b.test");
        assert_eq!(names(&["A.test", "b.test", "a.test"]), names(&["b.test", "a.test"]));
        assert_ne!(names(&["a.test"]), names(&["a.test", "b.test"]));

        let many: Vec<String> = (0..100).map(|number| format!("{number}.a-long-name.example.com")).collect();
        assert!(set(&many).len() < 100 && set(&many) != set(&many[1..]));
    }
}
