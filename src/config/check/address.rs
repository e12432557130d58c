//! Names and addresses of hosts, and the URLs of upstreams.

use std::net::{IpAddr, Ipv6Addr};

use super::Objection;
use crate::config::problem::quoted;

/// Where an upstream URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `http://` or `https://`.
    Tcp { is_tls: bool, host: String, port: u16 },
    /// `unix:`, as written.
    Unix(&'a str),
}

impl Target<'_> {
    /// Whether TLS is spoken.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { is_tls: true, .. })
    }
}

/// Reads `http://host:port`, `https://host:port` or `unix:/path`.
pub(super) fn parse_url(text: &str) -> Result<Target<'_>, Objection> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    refuse_userinfo(text)?;
    let Some((scheme, rest)) = text.split_once("://") else { return Err(no_scheme(text)) };
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        "ws" | "wss" => {
            let fix = format!("write {}", quoted(&text.replacen("ws", "http", 1)));
            return Err(Objection::new("a WebSocket begins as an HTTP request and needs no scheme of its own", fix));
        }
        other => {
            let why = format!("the scheme {} is not known; known are `http`, `https` and `unix`", quoted(other));
            return Err(Objection::new(why, format!("write {}", quoted(&format!("http://{rest}")))));
        }
    };
    let authority = bare_authority(scheme, rest)?;
    let (host, port) = parse_authority(authority)?;
    Ok(Target::Tcp { is_tls, host, port: port.unwrap_or(if is_tls { 443 } else { 80 }) })
}

fn unix(path: &str) -> Result<Target<'_>, Objection> {
    if path.is_empty() || path.starts_with("//") {
        return Err(Objection::new("`unix:` is followed by the path of a socket", "write `unix:/run/app.sock`"));
    }
    Ok(Target::Unix(path))
}

/// Said before anything else of a URL is repeated. Whatever stands before the last `@` may be a password.
fn refuse_userinfo(text: &str) -> Result<(), Objection> {
    let Some((before, host)) = text.rsplit_once('@') else { return Ok(()) };
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme = if before.starts_with("https") { "https" } else { "http" };
    let why = "a user name or password does not belong into an upstream's URL; it would be sent nowhere";
    Err(Objection::new(why, format!("write {}", quoted(&format!("{scheme}://{host}")))))
}

fn no_scheme(text: &str) -> Objection {
    let why = "an upstream is a URL, so that it says whether TLS is spoken";
    if text.starts_with('/') {
        return Objection::new(why, format!("write {} for a Unix socket", quoted(&format!("unix:{text}"))));
    }
    let (scheme, host) = halved_scheme(text).unwrap_or(("http", text));
    let host = if host.is_empty() || host.contains('\\') { "127.0.0.1:8080" } else { host };
    Objection::new(why, format!("write {}", quoted(&format!("{scheme}://{host}"))))
}

/// What `http:/host`, `https//host` and `http:\\host` were meant to be.
fn halved_scheme(text: &str) -> Option<(&'static str, &str)> {
    ["https", "http"].into_iter().find_map(|scheme| {
        let rest = text.strip_prefix(scheme)?;
        let host = rest.trim_start_matches([':', '/', '\\']);
        rest.contains(['/', '\\']).then_some((scheme, host)).filter(|_| host.len() < rest.len())
    })
}

/// The part between scheme and path; anything more has no meaning for an upstream.
fn bare_authority<'a>(scheme: &str, rest: &'a str) -> Result<&'a str, Objection> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if !matches!(tail, "" | "/") {
        let why = "a request is forwarded with its own path and query; an upstream has none";
        let fix = format!(
            "write {}; which paths go there is said by `[[site.route]]`",
            quoted(&format!("{scheme}://{authority}"))
        );
        return Err(Objection::new(why, fix));
    }
    Ok(authority)
}

/// Reads `host` or `host:port`; the host comes back in lower case and without brackets.
pub(super) fn parse_authority(text: &str) -> Result<(String, Option<u16>), Objection> {
    if text.is_empty() || text.contains('/') {
        return Err(bad_host(text));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, tail)) = rest.split_once(']') else { return Err(bad_host(text)) };
        let address: Ipv6Addr = address.parse().map_err(|_| bad_host(text))?;
        return Ok((address.to_string(), parse_port(text, tail)?));
    }
    if text.parse::<Ipv6Addr>().is_ok() || text.matches(':').count() > 1 {
        let why = "there are too many colons, so where the port begins is not clear";
        return Err(Objection::new(why, "put an IPv6 address in brackets: `[::1]:8080`"));
    }
    let (host, tail) = text.split_at(text.find(':').unwrap_or(text.len()));
    let port = parse_port(text, tail)?;
    if !is_host(host) {
        return Err(bad_host(host));
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn parse_port(text: &str, tail: &str) -> Result<Option<u16>, Objection> {
    if tail.is_empty() {
        return Ok(None);
    }
    let port = tail.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0);
    let why = || format!("the port of {} is not a number from 1 to 65535", quoted(text));
    port.map(Some).ok_or_else(|| Objection::new(why(), "write it like `127.0.0.1:8080`"))
}

fn bad_host(text: &str) -> Objection {
    let why = format!("{} is neither a host name nor an IP address", quoted(text));
    Objection::new(why, "write it like `app.internal`, `127.0.0.1` or `[::1]`")
}

/// A host name as machines inside of a network bear it, underscores included, or an IPv4 address.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits would be read as an IPv4 address by others (RFC 3986 §3.2.2).
    let is_numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(is_label) && !is_numeric
}

/// Whether packets to this host stay on this machine (RFC 6761 §6.3 for the names).
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether a text can be a TLS server name: a DNS name, or an IP address without brackets.
pub(super) fn is_server_name(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_host(text)
}

/// `host:port`, with brackets where they are needed.
pub(super) fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcp(is_tls: bool, host: &str, port: u16) -> Target<'static> {
        Target::Tcp { is_tls, host: host.to_owned(), port }
    }

    #[test]
    fn given_a_url_when_parsed_then_scheme_host_and_port() {
        for (text, target) in [
            ("http://127.0.0.1:8080", tcp(false, "127.0.0.1", 8080)),
            ("http://App.Internal", tcp(false, "app.internal", 80)),
            ("HTTPS://my_app:8443/", tcp(true, "my_app", 8443)),
            ("https://[::1]", tcp(true, "::1", 443)),
            ("unix:/run/a.sock", Target::Unix("/run/a.sock")),
        ] {
            assert_eq!(parse_url(text), Ok(target), "{text}");
        }
    }

    #[test]
    fn given_no_upstream_url_when_parsed_then_refused() {
        for text in [
            "",
            "127.0.0.1:8080",
            "/run/a.sock",
            "unix:",
            "unix:///run/a.sock",
            "ftp://a",
            "ws://a",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://u:p@a",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://a b",
            "http://::1",
            "http://[::1",
            "http://[::1]x",
            "http://256.0.0.1",
            "http://-a",
            "http://a..b",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn given_a_host_when_asked_then_loopback_is_this_machine_only() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "notlocalhost", "10.0.0.1", "::", "0.0.0.0", "::ffff:10.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_parsed_then_no_panic(text in ".*") {
            let _ = parse_url(&text);
            let _ = parse_url(&format!("http://{text}"));
        }

        #[test]
        fn given_a_host_and_port_when_joined_then_parses_back(
            host in "[a-z]{1,9}(\\.[a-z]{1,9})?|::1|10\\.0\\.0\\.1", port in 1u16..,
        ) {
            prop_assert_eq!(parse_authority(&join(&host, port)), Ok((host, Some(port))));
        }
    }
}
