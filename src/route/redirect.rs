//! Where redirects lead.

use http::{Method, StatusCode};

use super::{HostName, Mode};

/// Where a site that only redirects sends its clients: an `https` origin, and a path to put before the request's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    host: String,
    base: String,
}

impl Destination {
    /// Reads `https://host[:port][/path]`; a `/` at the end means nothing.
    ///
    /// # Errors
    ///
    /// [`DestinationError`] says what is wrong.
    pub fn parse(written: &str) -> Result<Self, DestinationError> {
        let (scheme, rest) = written.split_once("://").ok_or(DestinationError::NotHttps)?;
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(DestinationError::NotHttps);
        }
        if rest.contains(['?', '#']) {
            return Err(DestinationError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = HostName::parse(authority).map_err(|_| DestinationError::Host)?;
        let port = host.port().unwrap_or(443);
        let mut base = https_origin(&host.in_url(), port);
        push_escaped(&mut base, path.trim_end_matches('/').as_bytes());
        Ok(Self { host: host.as_str().to_owned(), base })
    }

    /// The host that clients are sent to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL that stands before a request's path, without a `/` at its end.
    pub fn as_str(&self) -> &str {
        &self.base
    }
}

/// Why a text is no [`Destination`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Clients are never sent to plain HTTP.
    #[error("clients are sent to an https URL only")]
    NotHttps,
    /// No host, or none that can be asked for.
    #[error("it names no host")]
    Host,
    /// The request's own query is kept.
    #[error("path and query of the request are put behind it, so it has neither `?` nor `#`")]
    Query,
}

/// The status of a redirect: remembered by clients in `permanent`, and one that keeps the method where it matters (RFC
/// 9110 §15.4).
pub(super) fn status(mode: Mode, method: &Method) -> StatusCode {
    match (mode, matches!(*method, Method::GET | Method::HEAD)) {
        (Mode::Permanent, true) => StatusCode::MOVED_PERMANENTLY,
        (Mode::Permanent, false) => StatusCode::PERMANENT_REDIRECT,
        (Mode::Temporary | Mode::Observe, true) => StatusCode::FOUND,
        (Mode::Temporary | Mode::Observe, false) => StatusCode::TEMPORARY_REDIRECT,
    }
}

/// `https://host[:port]`; 443 is left out.
pub fn https_origin(host: &str, port: u16) -> String {
    match port {
        443 => format!("https://{host}"),
        _ => format!("https://{host}:{port}"),
    }
}

/// Appends raw bytes of a target so that they mean the same in a URL and can end neither header line nor host.
pub(super) fn push_escaped(url: &mut String, raw: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    url.reserve(raw.len());
    for &byte in raw {
        if byte.is_ascii_alphanumeric() || URL_PUNCTUATION.contains(&byte) {
            url.push(char::from(byte));
            continue;
        }
        url.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
    }
}

/// What may stand in path and query (RFC 3986 §3.3 and §3.4), the `%` of escapes among it.
const URL_PUNCTUATION: &[u8] = b"-._~!$&'()*+,;=:@/?%[]";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_an_https_url_when_parsed_then_what_stands_before_the_path() {
        #[rustfmt::skip]
        let table = [
            ("https://www.example.com",           "https://www.example.com"),
            ("https://www.example.com/",          "https://www.example.com"),
            ("HTTPS://WWW.Example.com:443",       "https://www.example.com"),
            ("https://www.example.com:8443/a/b/", "https://www.example.com:8443/a/b"),
            ("https://[::1]:5001/a b",            "https://[::1]:5001/a%20b"),
        ];
        for (written, expected) in table {
            assert_eq!(Destination::parse(written).expect(written).as_str(), expected);
        }
    }

    #[test]
    fn given_one_flaw_when_parsed_then_it_is_named() {
        use DestinationError::{Host, NotHttps, Query};
        #[rustfmt::skip]
        let table = [
            ("www.example.com", NotHttps), ("http://www.example.com", NotHttps), ("//www.example.com", NotHttps), ("", NotHttps),
            ("https://", Host), ("https:///a", Host), ("https://a@example.com", Host), ("https://a\r\nb", Host),
            ("https://example.com?a", Query), ("https://example.com/a#b", Query),
        ];
        for (written, error) in table {
            assert_eq!(Destination::parse(written), Err(error), "{written}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_parsed_then_printed_again_it_is_the_same(text in "(https://)?\\PC*") {
            if let Ok(destination) = Destination::parse(&text) {
                prop_assert!(destination.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(Destination::parse(destination.as_str()), Ok(destination));
            }
        }
    }
}
