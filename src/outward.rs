//! The way out to servers of others, such as a CA or a webhook: straight, or through a forward proxy.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

/// For errors: ` through the proxy URL`, when there is one.
pub(crate) struct Through<'a>(pub(crate) &'a Option<String>);

impl fmt::Display for Through<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(proxy) => write!(f, " through the proxy `{proxy}`"),
            None => Ok(()),
        }
    }
}

/// A forward proxy that is asked for a tunnel to the server (CONNECT, RFC 9110 §9.3.6). TLS goes through it to the server.
///
/// Its `Debug` and `Display` do not show the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    address: Uri,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Reads `http://host:port`, or `http://user:password@host:port` with percent-encoding.
    ///
    /// # Errors
    ///
    /// [`ProxyError`], which does not show the password.
    pub fn parse(url: &str) -> Result<Self, ProxyError> {
        let intercept = Matcher::builder().https(url).build().intercept(&Uri::from_static("https://ca.invalid/"));
        Self::of(intercept.as_ref().ok_or(ProxyError::Malformed)?)
    }

    /// The proxy that the environment wants for a URL: the value of `HTTPS_PROXY`, unless the host is in that of `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] when the host is to be reached through something that is no proxy of ours.
    pub fn of_environment(url: &str, proxy: Option<&str>, no_proxy: Option<&str>) -> Result<Option<Self>, ProxyError> {
        let Some(proxy) = proxy.filter(|proxy| !proxy.trim().is_empty()) else { return Ok(None) };
        let Ok(url) = url.parse::<Uri>() else { return Ok(None) };
        let spared = Matcher::builder().https("http://proxy.invalid").no(no_proxy.unwrap_or_default()).build();
        match spared.intercept(&url) {
            Some(_) => Self::parse(proxy).map(Some),
            None => Ok(None),
        }
    }

    fn of(intercept: &Intercept) -> Result<Self, ProxyError> {
        let address = intercept.uri().clone();
        match address.scheme_str() {
            Some("http") => {}
            Some(scheme) => return Err(ProxyError::Scheme { scheme: scheme.to_owned() }),
            None => return Err(ProxyError::Malformed),
        }
        if address.host().is_none_or(str::is_empty) {
            return Err(ProxyError::Malformed);
        }
        Ok(Self { address, authorization: intercept.basic_auth().cloned() })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.address.host().unwrap_or_default(), self.address.port_u16().unwrap_or(80));
        write!(f, "http://{host}:{port}")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Why a text names no proxy that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not a URL of a host.
    #[error("it is no URL of a proxy, expected `http://host:port`")]
    Malformed,
    /// Such as SOCKS, or a proxy that itself wants TLS.
    #[error("a proxy is spoken to over `http://` (CONNECT), not over `{scheme}://`")]
    Scheme {
        /// What was written.
        scheme: String,
    },
}

/// Opens TCP connections to a server.
#[derive(Clone)]
pub(crate) enum Outward {
    /// To its own address.
    Direct(HttpConnector),
    /// To a proxy that tunnels.
    Through(Tunnel<HttpConnector>),
}

impl Outward {
    pub(crate) fn new(proxy: Option<&Proxy>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let Some(proxy) = proxy else { return Self::Direct(tcp) };
        let tunnel = Tunnel::new(proxy.address.clone(), tcp);
        Self::Through(match &proxy.authorization {
            Some(authorization) => tunnel.with_auth(authorization.clone()),
            None => tunnel,
        })
    }
}

impl Service<Uri> for Outward {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Through(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(to);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Self::Through(tunnel) => {
                let connecting = tunnel.call(to);
                Box::pin(async move { Ok(connecting.await?) })
            }
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = "https://ca.example.com/dir";

    #[test]
    fn given_urls_of_proxies_when_read_then_those_that_tunnel() {
        let scheme = |scheme: &str| Err(ProxyError::Scheme { scheme: scheme.to_owned() });
        let table = [
            ("http://proxy.example.com:3128", Ok("http://proxy.example.com:3128")),
            ("http://user:geheim@proxy.example.com:3128/", Ok("http://proxy.example.com:3128")),
            ("http://[2001:db8::7]:3128", Ok("http://[2001:db8::7]:3128")),
            ("proxy.example.com", Ok("http://proxy.example.com:80")),
            ("socks5://proxy.example.com", scheme("socks5")),
            ("https://proxy.example.com", scheme("https")),
            ("http://", Err(ProxyError::Malformed)),
            ("", Err(ProxyError::Malformed)),
        ];
        for (url, expected) in table {
            let read = Proxy::parse(url).map(|proxy| proxy.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{url}");
        }
    }

    #[test]
    fn given_a_user_when_shown_then_neither_name_nor_password() {
        let proxy = Proxy::parse("http://anna:geheim@proxy.example.com:3128").unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap().as_bytes(), b"Basic YW5uYTpnZWhlaW0=");
        let shown = format!("{proxy} {proxy:?}");
        assert!(!shown.contains("anna") && !shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn given_an_environment_when_asked_then_its_exceptions_hold() {
        let proxy = Some("http://proxy.example.com:3128");
        let table = [
            ("none", None, None, false),
            ("empty", Some(" "), None, false),
            ("all", proxy, None, true),
            ("another host", proxy, Some("other.example.com, 127.0.0.1"), true),
            ("the host", proxy, Some("localhost,ca.example.com"), false),
            ("its domain", proxy, Some(".example.com"), false),
            ("everything", proxy, Some("*"), false),
        ];
        for (name, proxy, no_proxy, expected) in table {
            let found = Proxy::of_environment(CA, proxy, no_proxy).unwrap();
            assert_eq!(found.is_some(), expected, "{name}");
        }
        assert!(Proxy::of_environment("https://127.0.0.1:14000/dir", proxy, Some("127.0.0.0/8")).unwrap().is_none());
    }
}
