//! The host that a request names, and the site it belongs to.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::Ipv6Addr;

use super::Settings;

/// A host as sites are looked up by it: lower case, without port, trailing dot and brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
    is_ipv6: bool,
}

impl<'a> HostName<'a> {
    /// Reads `host[:port]` from a `Host` header, an `:authority` or an absolute-form target (RFC 9110 §7.2).
    ///
    /// # Errors
    ///
    /// [`HostError`] on anything that is no DNS name, IPv4 address or bracketed IPv6 address: userinfo, spaces, percent
    /// escapes, an empty host or label, more than 253 characters, a port that is none. Underscores pass; Windows has them.
    pub fn parse(raw: &'a str) -> Result<Self, HostError> {
        if let Some(rest) = raw.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(HostError)?;
            let address: Ipv6Addr = address.parse().map_err(|_| HostError)?;
            return Ok(Self { name: Cow::Owned(address.to_string()), port: parse_port(port)?, is_ipv6: true });
        }
        let (name, port) = raw.split_at(raw.find(':').unwrap_or(raw.len()));
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > LONGEST_NAME || !name.split('.').all(is_label) {
            return Err(HostError);
        }
        let upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        Ok(Self { name, port: parse_port(port)?, is_ipv6: false })
    }

    /// The name: `m5.test`, `127.0.0.1` or `::1`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The port, where one was named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The name as it stands in a URL; IPv6 in brackets (RFC 3986 §3.2.2).
    pub fn in_url(&self) -> Cow<'_, str> {
        if self.is_ipv6 { Cow::Owned(format!("[{}]", self.name)) } else { Cow::Borrowed(&self.name) }
    }
}

/// The text is no `host[:port]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a DNS name, an IPv4 address or `[IPv6]`, and at most a port behind it")]
pub struct HostError;

fn parse_port(text: &str) -> Result<Option<u16>, HostError> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(None),
        None => Err(HostError),
        Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(digits.parse().map_err(|_| HostError)?))
        }
        Some(_) => Err(HostError),
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Host to site: exact names first, then wildcards of one label (RFC 6125 §6.4.3).
#[derive(Clone, Debug, Default)]
pub(super) struct HostTable {
    exact: HashMap<String, Owner>,
    /// By the name behind `*.`.
    wildcard: HashMap<String, Owner>,
}

/// Whose name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) site: usize,
    /// Its requests go to the site's first domain.
    pub(super) is_alias: bool,
}

impl HostTable {
    /// Where two sites claim a name, the first has it; `config` refuses that.
    pub(super) fn new(settings: &Settings) -> Self {
        let mut table = Self::default();
        for (site, settings) in settings.sites.iter().enumerate() {
            table.add(&settings.domains, Owner { site, is_alias: false });
            table.add(&settings.aliases, Owner { site, is_alias: true });
        }
        table
    }

    fn add(&mut self, domains: &[String], owner: Owner) {
        for domain in domains {
            match domain.strip_prefix("*.") {
                Some(parent) => self.wildcard.entry(parent.to_ascii_lowercase()).or_insert(owner),
                None => self.exact.entry(normal_domain(domain)).or_insert(owner),
            };
        }
    }

    pub(super) fn site(&self, host: &HostName<'_>) -> Option<usize> {
        self.owner(host).map(|owner| owner.site)
    }

    pub(super) fn owner(&self, host: &HostName<'_>) -> Option<Owner> {
        let name = host.as_str();
        if let Some(&owner) = self.exact.get(name) {
            return Some(owner);
        }
        let (_, parent) = name.split_once('.')?;
        self.wildcard.get(parent).copied()
    }
}

/// A domain of the configuration as [`HostName`] spells it; an IPv6 address may come with or without brackets.
fn normal_domain(domain: &str) -> String {
    let inner = domain.trim_start_matches('[').trim_end_matches(']');
    match inner.parse::<Ipv6Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase(),
    }
}

/// RFC 1035 §2.3.4, as text without the last dot.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_sound_host_when_parsed_then_name_and_port() {
        #[rustfmt::skip]
        let table = [
            ("m5.test",            "m5.test",   None,       "m5.test"),
            ("M5.Test",            "m5.test",   None,       "m5.test"),
            ("m5.test.",           "m5.test",   None,       "m5.test"),
            ("m5.test:8443",       "m5.test",   Some(8443), "m5.test"),
            ("m5.test.:8443",      "m5.test",   Some(8443), "m5.test"),
            ("m5.test:",           "m5.test",   None,       "m5.test"),
            ("my_host",            "my_host",   None,       "my_host"),
            ("127.0.0.1:80",       "127.0.0.1", Some(80),   "127.0.0.1"),
            ("[::1]",              "::1",       None,       "[::1]"),
            ("[0:0:0:0:0:0:0:1]:1", "::1",      Some(1),    "[::1]"),
        ];
        for (raw, name, port, in_url) in table {
            let host = HostName::parse(raw).expect(raw);
            assert_eq!((host.as_str(), host.port(), &*host.in_url()), (name, port, in_url), "{raw}");
        }
    }

    #[test]
    fn given_one_flaw_when_parsed_then_refused() {
        let long = "a.".repeat(126) + "aa";
        #[rustfmt::skip]
        let table = [
            "", ".", "..", "m5..test", ".m5.test", "m5.test..", "m5 .test", " m5.test", "user@m5.test", "m5.test@evil", "m5.test/",
            "m5.test\\", "m5.test:x", "m5.test:+1", "m5.test:65536", "m5.test:1:2", ":80", "::1", "[::1", "[::1]x", "[m5]", "[]", "m%35.test",
            "m5.test\r\n", "m\u{e5}.test", "*.m5.test", "m5.test,m5.test", &long,
        ];
        for raw in table {
            assert_eq!(HostName::parse(raw), Err(HostError), "{raw:?}");
        }
        assert!(HostName::parse(&long[1..]).is_err());
        assert!(HostName::parse(&long[2..]).is_ok());
    }

    #[test]
    fn given_a_table_when_looked_up_then_exact_before_wildcard_of_one_label() {
        let sites = [vec!["*.m5.test"], vec!["a.m5.test", "[::1]"]];
        let site = |domains: &Vec<&str>| crate::route::Site {
            domains: domains.iter().map(ToString::to_string).collect(),
            ..super::super::decide::tests::site()
        };
        let table = HostTable::new(&Settings {
            sites: sites.iter().map(site).collect(),
            public_https_port: 443,
            ..Settings::default()
        });
        #[rustfmt::skip]
        let expected = [
            ("a.m5.test", Some(1)), ("b.m5.test", Some(0)), ("c.b.m5.test", None), ("m5.test", None), ("[::1]:80", Some(1)),
            ("A.M5.TEST.:1", Some(1)), ("xm5.test", None),
        ];
        for (host, site) in expected {
            assert_eq!(table.site(&HostName::parse(host).expect(host)), site, "{host}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_parsed_then_no_panic_and_only_safe_characters(raw: String) {
            let Ok(host) = HostName::parse(&raw) else { return Ok(()) };
            prop_assert!(host.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)));
        }
    }
}
