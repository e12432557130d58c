//! Header rules: what is taken away, what is set, what is mended in answers.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{HostName, Mode, Routes, Site};

/// Whether a request header of the peer is taken away before the request is forwarded.
///
/// Servers behind a proxy believe these headers, so only a proxy may set them. From a trusted peer `X-Forwarded-*`
/// stays, and [`forwarding`] builds on it; everything else goes even then, since nobody between us and it needs it.
/// `_` counts as `-`: CGI and FastCGI make the same variable of both, and such a spelling is never kept. Nor is one of the
/// fields that say where a request ends. All other names with `_` pass: old applications have some of their own.
pub fn is_stripped(name: &str, trusted: bool) -> bool {
    let is = |other: &&str| name.len() == other.len() && begins(name, other);
    if begins(name, "x-forwarded-") && !STRIPPED.iter().any(is) {
        return !trusted || name.contains('_');
    }
    STRIPPED.iter().any(is)
        || name.contains('_') && FRAMING.iter().any(is)
        || STRIPPED_BEGINNINGS.iter().any(|beginning| begins(name, beginning))
}

/// What [`is_stripped`] takes away from a peer that is not trusted, in lower case; `*` stands for any ending.
pub fn stripped() -> Vec<String> {
    let beginnings = ["x-forwarded-"].into_iter().chain(STRIPPED_BEGINNINGS).map(|beginning| format!("{beginning}*"));
    let disguised = FRAMING.map(|field| field.replace('-', "_"));
    beginnings.chain(STRIPPED.map(str::to_owned)).chain(disguised).collect()
}

/// What a forwarded request is told about its peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The other end of the connection.
    pub address: IpAddr,
    /// It is one of `trusted_proxies`.
    pub trusted: bool,
    /// The connection is TLS.
    pub secure: bool,
    /// `Host` or `:authority` as sent.
    pub host: Option<&'a str>,
    /// The port that clients use for HTTPS.
    pub public_https_port: u16,
    /// What the peer itself sent; looked at only where it is trusted. Several `X-Forwarded-For` lines are joined by `, `.
    pub received: Received<'a>,
}

/// `X-Forwarded-*` of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received<'a> {
    /// `X-Forwarded-For`.
    pub for_: Option<&'a str>,
    /// `X-Forwarded-Proto`.
    pub proto: Option<&'a str>,
    /// `X-Forwarded-Host`.
    pub host: Option<&'a str>,
    /// `X-Forwarded-Port`.
    pub port: Option<&'a str>,
}

/// The forwarding headers to set; each replaces what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding<'a> {
    /// `X-Forwarded-For`: the client first, our peer last.
    pub for_: String,
    /// `X-Forwarded-Proto`.
    pub proto: Cow<'a, str>,
    /// `X-Forwarded-Host`; `None` where the request named no host.
    pub host: Option<Cow<'a, str>>,
    /// `X-Forwarded-Port`.
    pub port: Cow<'a, str>,
}

/// Makes the forwarding headers of a request.
pub fn forwarding<'a>(peer: &Peer<'a>) -> Forwarding<'a> {
    let received = if peer.trusted { peer.received } else { Received::default() };
    let address = peer.address.to_canonical();
    let kept = |value: Option<&'a str>| value.filter(|text| !text.is_empty()).map(Cow::Borrowed);
    Forwarding {
        for_: match received.for_.filter(|text| !text.trim().is_empty()) {
            Some(before) => format!("{before}, {address}"),
            None => address.to_string(),
        },
        proto: kept(received.proto).unwrap_or(Cow::Borrowed(if peer.secure { "https" } else { "http" })),
        host: kept(received.host).or_else(|| peer.host.map(Cow::Borrowed)),
        port: kept(received.port).unwrap_or_else(|| public_port(peer)),
    }
}

/// `Strict-Transport-Security` for an answer (RFC 6797 §6.1), where it may be sent.
///
/// Only over TLS (§7.2), only when redirects are `permanent`, and only while a certificate of a CA is served: a browser
/// that has seen the header offers no way around a placeholder.
pub fn hsts(site: &Site, secure: bool, ca_certificate_served: bool) -> Option<String> {
    let hsts = site.hsts.filter(|_| secure && ca_certificate_served && site.https.mode == Mode::Permanent)?;
    let subdomains = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    Some(format!("max-age={}{subdomains}", hsts.max_age))
}

impl Routes {
    /// A `Set-Cookie` value with `Secure` added; `None` where it stays as it is.
    ///
    /// Added only where no plain path can reach the cookie, or a browser would keep it from that path: nothing of the
    /// site is allowed in clear, or nothing below the cookie's `Path`. A cookie with `Domain` goes to other sites too, so
    /// for it nothing of any site may be.
    pub fn secure_cookie(&self, site: usize, value: &[u8]) -> Option<Vec<u8>> {
        let (mut is_secure, mut has_domain, mut path) = (false, false, None);
        for attribute in value.split(|&byte| byte == b';').skip(1) {
            match attribute_name(attribute).to_ascii_lowercase().as_slice() {
                b"secure" => is_secure = true,
                b"domain" => has_domain = true,
                // The last one counts (RFC 6265 §5.2.4).
                b"path" => path = Some(attribute_value(attribute)),
                _ => {}
            }
        }
        let sites = &self.settings().sites;
        let reached_in_clear = match (has_domain, path) {
            (true, _) => sites.iter().any(|site| site.https.is_plain_reachable()),
            (false, Some(path)) => {
                sites.get(site)?.https.is_plain_reachable() && self.is_plain_reachable_below(site, path)
            }
            (false, None) => sites.get(site)?.https.is_plain_reachable(),
        };
        if is_secure || reached_in_clear {
            return None;
        }
        let end = value.trim_ascii_end();
        Some([end.strip_suffix(b";").unwrap_or(end), b"; Secure"].concat())
    }
}

/// The port that the client used, as far as it can be known.
fn public_port<'a>(peer: &Peer<'a>) -> Cow<'a, str> {
    if peer.secure {
        return match peer.public_https_port {
            443 => Cow::Borrowed("443"),
            port => Cow::Owned(port.to_string()),
        };
    }
    match peer.host.and_then(|host| HostName::parse(host).ok()).and_then(|host| host.port()) {
        Some(port) => Cow::Owned(port.to_string()),
        None => Cow::Borrowed("80"),
    }
}

/// The name of `name=value` or of a bare attribute (RFC 6265 §5.2).
pub(super) fn attribute_name(attribute: &[u8]) -> &[u8] {
    attribute.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii()
}

pub(super) fn attribute_value(attribute: &[u8]) -> &[u8] {
    attribute.splitn(2, |&byte| byte == b'=').nth(1).unwrap_or_default().trim_ascii()
}

/// Whether `name` begins with `beginning` (lower case), with `_` as `-`.
fn begins(name: &str, beginning: &str) -> bool {
    let same = |(ours, theirs): (u8, u8)| ours == if theirs == b'_' { b'-' } else { theirs.to_ascii_lowercase() };
    name.len() >= beginning.len() && beginning.bytes().zip(name.bytes()).all(same)
}

/// `Proxy` is httpoxy; the URL and method headers are believed by IIS URL Rewrite and by frameworks, before authorization.
const STRIPPED: [&str; 7] = [
    "forwarded",
    "x-real-ip",
    "front-end-https",
    "x-rewrite-url",
    "x-http-method-override",
    "x-forwarded-client-cert",
    "proxy",
];

/// Taken away where they are written with `_`; in their own spelling they are judged before, and belong to each hop.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "proxy-connection"];

/// ARR's and other proxies' words about client certificates and the original request; RFC 9440's `Client-Cert`.
const STRIPPED_BEGINNINGS: [&str; 4] = ["x-arr-", "x-original-", "x-ssl-", "client-cert"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::decide::tests::{settings, site};
    use crate::route::{Hsts, PathPrefix, PlainPolicy, Settings};

    #[test]
    fn given_a_header_name_when_asked_then_stripped_by_trust() {
        #[rustfmt::skip]
        let table = [
            // name                     untrusted  trusted
            ("X-Forwarded-For",          true,  false),
            ("x-forwarded-proto",        true,  false),
            ("X-Forwarded-Anything",     true,  false),
            ("X_Forwarded_For",          true,  true),
            ("X-Forwarded_For",          true,  true),
            ("Forwarded",                true,  true),
            ("X-Real-IP",                true,  true),
            ("X_Real_IP",                true,  true),
            ("Front-End-Https",          true,  true),
            ("X-ARR-ClientCert",         true,  true),
            ("X-ARR-LOG-ID",             true,  true),
            ("X-Original-URL",           true,  true),
            ("X-Original-Host",          true,  true),
            ("X-Rewrite-URL",            true,  true),
            ("X-HTTP-Method-Override",   true,  true),
            ("X-Forwarded-Client-Cert",  true,  true),
            ("Client-Cert",              true,  true),
            ("Client-Cert-Chain",        true,  true),
            ("X-SSL-Client-Cert",        true,  true),
            ("Proxy",                    true,  true),
            ("Content_Length",           true,  true),
            ("transfer_encoding",        true,  true),
            ("Transfer-Encoding",        false, false),
            ("My_Header",                false, false),
            ("Host",                     false, false),
            ("Proxy-Authorization",      false, false),
            ("X-Forwarded",              false, false),
            ("Forwarded-Mail",           false, false),
            ("SOAPAction",               false, false),
            ("X-HTTP-Method",            false, false),
            ("",                         false, false),
        ];
        for (name, untrusted, trusted) in table {
            assert_eq!(is_stripped(name, false), untrusted, "{name}");
            assert_eq!(is_stripped(name, true), trusted, "{name} from a trusted peer");
        }
    }

    fn peer() -> Peer<'static> {
        Peer {
            address: IpAddr::from([192, 0, 2, 7]),
            trusted: false,
            secure: true,
            host: Some("m5.test"),
            public_https_port: 443,
            received: Received {
                for_: Some("198.51.100.1, 198.51.100.2"),
                proto: Some("ftp"),
                host: Some("evil.test"),
                port: Some("1"),
            },
        }
    }

    fn parts<'a>(forwarding: &'a Forwarding<'_>) -> (&'a str, &'a str, Option<&'a str>, &'a str) {
        (&forwarding.for_, &forwarding.proto, forwarding.host.as_deref(), &forwarding.port)
    }

    #[test]
    fn given_one_fact_changed_when_forwarding_then_its_headers() {
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        #[rustfmt::skip]
        let table = [
            (peer(),                                              ("192.0.2.7", "https", Some("m5.test"), "443")),
            (Peer { address: mapped, ..peer() },                  ("192.0.2.7", "https", Some("m5.test"), "443")),
            (Peer { secure: false, ..peer() },                    ("192.0.2.7", "http", Some("m5.test"), "80")),
            (Peer { public_https_port: 5001, ..peer() },          ("192.0.2.7", "https", Some("m5.test"), "5001")),
            (Peer { host: None, ..peer() },                       ("192.0.2.7", "https", None, "443")),
            (Peer { secure: false, host: Some("m5.test:81"), ..peer() }, ("192.0.2.7", "http", Some("m5.test:81"), "81")),
            (Peer { trusted: true, ..peer() }, ("198.51.100.1, 198.51.100.2, 192.0.2.7", "ftp", Some("evil.test"), "1")),
            (Peer { trusted: true, received: Received::default(), ..peer() }, ("192.0.2.7", "https", Some("m5.test"), "443")),
        ];
        for (peer, expected) in table {
            assert_eq!(parts(&forwarding(&peer)), expected, "{peer:?}");
        }
    }

    #[test]
    fn given_one_condition_missing_when_asked_for_hsts_then_none() {
        let hsts_of = |max_age, include_subdomains| Some(Hsts { max_age, include_subdomains });
        let mut sound = Site { hsts: hsts_of(300, false), ..site() };
        sound.https.mode = Mode::Permanent;
        assert_eq!(hsts(&sound, true, true).as_deref(), Some("max-age=300"));
        let with_subdomains = Site { hsts: hsts_of(1, true), ..sound.clone() };
        assert_eq!(hsts(&with_subdomains, true, true).as_deref(), Some("max-age=1; includeSubDomains"));
        assert_eq!(hsts(&sound, false, true), None);
        assert_eq!(hsts(&sound, true, false), None);
        assert_eq!(hsts(&Site { hsts: None, ..sound.clone() }, true, true), None);
        for mode in [Mode::Observe, Mode::Temporary] {
            sound.https.mode = mode;
            assert_eq!(hsts(&sound, true, true), None, "{mode:?}");
        }
    }

    fn secured(settings: Settings, value: &str) -> Option<String> {
        let value = Routes::new(settings).secure_cookie(0, value.as_bytes())?;
        Some(String::from_utf8(value).expect("text"))
    }

    #[test]
    fn given_a_cookie_when_nothing_is_allowed_in_clear_then_secure_once() {
        #[rustfmt::skip]
        let table = [
            ("a=b; path=/",               Some("a=b; path=/; Secure")),
            ("a=b",                       Some("a=b; Secure")),
            ("a=b; ",                     Some("a=b; Secure")),
            ("secure=1; path=/secure",    Some("secure=1; path=/secure; Secure")),
            ("a=b; Domain=m5.test",       Some("a=b; Domain=m5.test; Secure")),
            ("a=b; Secure",               None),
            ("a=b;SECURE;path=/",         None),
            ("a=b; secure=",              None),
        ];
        for (value, expected) in table {
            assert_eq!(secured(settings(), value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn given_the_rest_allowed_in_clear_when_a_cookie_is_set_then_secure_below_a_closed_path_only() {
        // With /Door/ closed, and with /Door/open/ allowed again.
        #[rustfmt::skip]
        let table: [(&[u8], bool, bool); 10] = [
            (b"a=b; Path=/Door/",                 true,  false),
            (b"a=b; path=/door",                  true,  false),
            (b"a=b; Path=/Door/inner; Lax",       true,  true),
            (b"a=b; Path=/Door/open/",            true,  false),
            (b"a=b; Path=/",                      false, false),
            (b"a=b; Path=/Doors",                 false, false),
            (b"a=b; Path=/Door/; Path=/",         false, false),
            (b"a=b; Path=Door",                   false, false),
            (b"a=b; Path=/Door/; Domain=m5.test", false, false),
            (b"a=b",                              false, false),
        ];
        let mut settings = settings();
        let https = &mut settings.sites[0].https;
        https.rest = PlainPolicy::Allow;
        https.paths = vec![(PathPrefix::parse("/Door/").unwrap(), PlainPolicy::Reject)];
        let closed = Routes::new(settings.clone());
        settings.sites[0].https.paths.push((PathPrefix::parse("/Door/open/").unwrap(), PlainPolicy::Allow));
        let opened = Routes::new(settings);

        for (cookie, when_closed, when_opened) in table {
            let secured = [&closed, &opened].map(|routes| routes.secure_cookie(0, cookie).is_some());
            assert_eq!(secured, [when_closed, when_opened], "{}", String::from_utf8_lossy(cookie));
        }
    }

    #[test]
    fn given_something_allowed_in_clear_when_a_cookie_is_set_then_unchanged() {
        type Change = fn(&mut Site);
        #[rustfmt::skip]
        let table: [(&str, Change, bool); 5] = [
            ("observe",        |site| site.https.mode = Mode::Observe, false),
            ("rest = allow",   |site| site.https.rest = PlainPolicy::Allow, false),
            ("a path allowed", |site| site.https.paths.push((PathPrefix::root(), PlainPolicy::Allow)), false),
            ("a path reject",  |site| site.https.paths.push((PathPrefix::root(), PlainPolicy::Reject)), true),
            ("rest = reject",  |site| site.https.rest = PlainPolicy::Reject, true),
        ];
        for (what, change, added) in table {
            let mut settings = settings();
            change(&mut settings.sites[0]);
            assert_eq!(secured(settings, "a=b").is_some(), added, "{what}");
        }
    }

    #[test]
    fn given_another_site_in_clear_when_a_cookie_has_a_domain_then_unchanged() {
        let mut settings = settings();
        settings.sites[1].https.rest = PlainPolicy::Allow;
        assert_eq!(secured(settings.clone(), "a=b; domain=test"), None);
        assert!(secured(settings, "a=b").is_some());
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_a_cookie_is_secured_then_a_second_time_changes_nothing(value: Vec<u8>) {
            let routes = Routes::new(settings());
            if let Some(secured) = routes.secure_cookie(0, &value) {
                prop_assert_eq!(routes.secure_cookie(0, &secured), None);
            }
        }
    }
}
