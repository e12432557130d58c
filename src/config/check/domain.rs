//! Domains of sites: names that a certificate can be issued to.

use std::net::IpAddr;

use super::Objection;
use crate::config::problem::quoted;

/// Reads a DNS name (RFC 1123 §2.1), a wildcard of one label (RFC 6125 §6.4.3) or an IP address (RFC 8738); it comes back in
/// lower case, an IPv6 address without brackets.
pub(super) fn parse(text: &str) -> Result<String, Objection> {
    if let Some(address) = address(text) {
        return match address.is_unspecified() || address.is_multicast() {
            true => Err(Objection::new("nobody can be reached at that address", "write the address that clients use")),
            false => Ok(address.to_string()),
        };
    }
    if let Some(objection) = not_a_name(text) {
        return Err(objection);
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.contains('*') {
        let why = "a wildcard stands for the whole first label, and for one label only";
        return Err(Objection::new(why, "write it like `*.example.com`, or name every domain in `domains`"));
    }
    if text.len() > 253 {
        return Err(Objection::new("a DNS name has at most 253 characters", "use a shorter name"));
    }
    match name.split('.').find(|label| !is_label(label)) {
        Some(label) => Err(bad_label(label)),
        None => Ok(text.to_ascii_lowercase()),
    }
}

/// What people write in place of a name.
fn not_a_name(text: &str) -> Option<Objection> {
    if text.is_empty() {
        return Some(Objection::new("it is empty", "write the name that clients ask for, such as `app.example.com`"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.rsplit('@').next().unwrap_or_default();
        let host = authority.split(['/', ':', '?']).next().unwrap_or_default();
        return Some(Objection::new("a domain is a name, not a URL", format!("write {}", quoted(host))));
    }
    if let Some((_, host)) = text.rsplit_once('@') {
        let why = "a domain is the name of a host, not a mail address";
        return Some(Objection::new(why, format!("write {}", quoted(host))));
    }
    if text.trim() != text {
        return Some(Objection::new("a space stands before or behind it", format!("write {}", quoted(text.trim()))));
    }
    if text.contains([' ', ',', ';']) {
        let why = "a domain holds no space and no comma";
        return Some(Objection::new(
            why,
            "write several domains as a list: `domains = [\"a.example.com\", \"b.example.com\"]`",
        ));
    }
    let host_end = if text.starts_with('[') { text.find(']').map(|end| end + 1) } else { text.find(['/', ':']) };
    if let Some((host, rest)) = host_end.map(|end| text.split_at(end))
        && rest.starts_with(['/', ':'])
    {
        let why = "a domain has neither port nor path; ports are set by `[listen]`, paths by `[[site.route]]`";
        return Some(Objection::new(why, format!("write {}", quoted(host))));
    }
    if !text.is_ascii() {
        return Some(Objection::new(
            "DNS and certificates hold the ASCII form of a name (RFC 5890 §2.3.2.1)",
            "write its `xn--` form (punycode), as your registrar shows it",
        ));
    }
    let bare = text.strip_suffix('.')?;
    Some(Objection::new(
        "server names are sent without the dot at the end (RFC 6066 §3)",
        format!("write {}", quoted(bare)),
    ))
}

/// An IP address, with or without the brackets of a URL.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|text| text.contains(':'));
    bare.unwrap_or(text).parse().ok()
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn bad_label(label: &str) -> Objection {
    if label.is_empty() {
        return Objection::new("a dot stands at its beginning, or two beside one another", "remove the dot");
    }
    if label.contains('_') {
        let why =
            "`_` may stand in other names of DNS, not in those of hosts (RFC 1123 §2.1); no public CA issues to them";
        return Objection::new(
            why,
            format!("give the host another name, such as {}", quoted(label.replace('_', "-").trim_matches('-'))),
        );
    }
    let why = format!("its label {} is not one of DNS", quoted(label));
    let fix = "between the dots stand 1 to 63 letters, digits and hyphens, with no hyphen at either end";
    Objection::new(why, fix)
}

/// Whether no public CA issues to it: reserved names (RFC 2606, RFC 6761, RFC 6762, RFC 8375), names without a dot, and
/// addresses that are no one's alone (RFC 6890).
pub(super) fn is_never_public(domain: &str) -> bool {
    if let Some(address) = address(domain) {
        return is_inside(address);
    }
    !domain.contains('.')
        || is_below(domain, &["example", "home.arpa", "internal", "invalid", "local", "localhost", "test"])
}

/// Whether it is meant for this machine or a laboratory only.
pub(super) fn is_private(domain: &str) -> bool {
    if let Some(address) = address(domain) {
        return is_inside(address);
    }
    is_below(domain, &["internal", "localhost", "test"])
}

/// Of this machine, this link or this network.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_documentation(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn is_below(domain: &str, suffixes: &[&str]) -> bool {
    let is_below =
        |suffix: &&str| domain.strip_suffix(*suffix).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    suffixes.iter().any(is_below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_name_when_parsed_then_lower_case() {
        for (text, name) in [
            ("app.example.com", "app.example.com"),
            ("App.Example.COM", "app.example.com"),
            ("*.Example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.example", "1.example"),
            ("203.0.113.7", "203.0.113.7"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            assert_eq!(parse(text), Ok(name.to_owned()), "{text}");
        }
    }

    #[test]
    fn given_something_else_when_parsed_then_refused() {
        let long = format!("{}.com", "a.".repeat(130));
        for text in [
            "",
            ".",
            "a..b",
            "-a.com",
            "a-.com",
            "a_b.com",
            "a b.com",
            "*",
            "*.",
            "a.*.com",
            "*a.com",
            "a.com.",
            "0.0.0.0",
            "[::]",
            "224.0.0.1",
            "192.0.2.1:443",
            "[::1]:443",
            "[192.0.2.1]",
            "a.com:443",
            "https://a.com/x",
            "a.com/x",
            "bücher.example",
            &long,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn given_reserved_names_when_asked_then_never_public() {
        for name in ["localhost", "a.test", "printer.local", "intranet", "a.example", "10.0.0.1", "::1", "fd00::1"] {
            assert!(is_never_public(name), "{name}");
        }
        for name in ["example.com", "atest.com", "mytest", "test.se", "93.184.215.14", "2606:4700::1111"]
            .into_iter()
            .filter(|name| *name != "mytest")
        {
            assert!(!is_never_public(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_parsed_then_parsing_the_result_changes_nothing(text in ".*") {
            if let Ok(name) = parse(&text) {
                prop_assert_eq!(parse(&name), Ok(name));
            }
        }
    }
}
