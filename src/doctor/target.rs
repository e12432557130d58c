//! What is looked at.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use serde::Serialize;

/// An `https` URL: a host as clients write it, a port, and a path with its query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Lower case, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

impl Target {
    /// Reads a URL; without a scheme it is `https://`.
    ///
    /// # Errors
    ///
    /// [`TargetError`] when it is no `https` URL of a host.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        if !whole.is_ascii() {
            return Err(TargetError::NotAscii);
        }
        let uri: Uri = whole.parse().map_err(|_| TargetError::NoUrl)?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") => return Err(TargetError::Plain),
            _ => return Err(TargetError::NoUrl),
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // A number that is no port is passed over by `http`.
        let has_port = authority.rsplit_once(']').map_or(authority, |(_, after)| after).contains(':');
        if host.is_empty() || authority.contains('@') || has_port != uri.port_u16().is_some() {
            return Err(TargetError::NoUrl);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host, port: uri.port_u16().unwrap_or(443), path })
    }

    /// The host, when it is an address.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// As it stands in `Host`: with the port where it is not that of the scheme (RFC 9110 §7.2).
    pub(super) fn authority(host: &str, port: u16, default: u16) -> String {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        if port == default { host } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", Self::authority(&self.host, self.port, 443), self.path)
    }
}

/// Why a text is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No URL of a page.
    #[error("this is not the URL of a page; write it like `https://app.example.com/path`")]
    NoUrl,
    /// There is no certificate to look at.
    #[error("plain HTTP has no certificate; write `https://`, and what plain HTTP does on that host is told too")]
    Plain,
    /// A name in letters of another alphabet.
    #[error("write the name in ASCII, as DNS has it: `xn--...`")]
    NotAscii,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_urls_when_read_then_host_port_and_path() {
        #[rustfmt::skip]
        let table = [
            ("https://App.Example.com/M5UserAPI?x=1", "https://app.example.com/M5UserAPI?x=1"),
            ("app.example.com", "https://app.example.com/"),
            ("https://app.example.com.:8443", "https://app.example.com:8443/"),
            ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x"),
            ("192.0.2.7:444?a", "https://192.0.2.7:444/?a"),
        ];
        for (text, expected) in table {
            assert_eq!(Target::parse(text).unwrap().to_string(), expected);
        }
        assert!(Target::parse("[2001:db8::1]").unwrap().ip().is_some());
    }

    #[test]
    fn given_what_cannot_be_looked_at_when_read_then_why() {
        for text in ["", "https://", "https://a b/", "ftp://a/", "https://user@a/", "https://:443/", "https://a:99999/"]
        {
            assert_eq!(Target::parse(text), Err(TargetError::NoUrl), "{text}");
        }
        assert_eq!(Target::parse("http://a.example/"), Err(TargetError::Plain));
        assert_eq!(Target::parse("https://räksmörgås.example/"), Err(TargetError::NotAscii));
    }
}
