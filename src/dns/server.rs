//! Servers as settings name them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{LookupError, Resolver};

/// A name server: a host name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Without brackets.
    pub host: String,
    /// Mostly 53.
    pub port: u16,
}

impl Server {
    /// Where every name server listens (RFC 1035 §4.2).
    pub const PORT: u16 = 53;

    /// Its addresses, IPv4 first; for a host name the resolver is asked.
    ///
    /// # Errors
    ///
    /// The [`LookupError`] of the IPv4 addresses, when there are no IPv6 addresses either.
    pub async fn addresses(&self, resolver: &Resolver) -> Result<Vec<SocketAddr>, LookupError> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let v4 = resolver.ipv4(&self.host).await;
        let v6 = resolver.ipv6(&self.host).await.unwrap_or_default();
        let v4 = if v6.is_empty() { v4? } else { v4.unwrap_or_default() };
        let all = v4.into_iter().map(IpAddr::V4).chain(v6.into_iter().map(IpAddr::V6));
        Ok(all.map(|address| (address, self.port).into()).collect())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (true, port) => write!(f, "[{}]:{port}", self.host),
            (false, Self::PORT) => f.write_str(&self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_an_address_when_resolved_then_itself_without_a_question() {
        for (host, shown) in [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]:53")] {
            let server = Server { host: host.to_owned(), port: Server::PORT };
            let nobody = Resolver::with_servers(&["127.0.0.1:1".parse().unwrap()]);
            let expected: SocketAddr = (host.parse::<IpAddr>().unwrap(), 53).into();
            assert_eq!(server.addresses(&nobody).await.unwrap(), [expected]);
            assert_eq!(server.to_string(), shown);
        }
    }
}
