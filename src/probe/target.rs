//! Where to look, and for which name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::IpNet;

use crate::tls::SiteSettings;

/// An open https listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Metric label.
    pub listener: String,
    /// As bound.
    pub address: SocketAddr,
}

/// One handshake to be made again and again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Whose certificate is expected: the site's.
    pub certificate: String,
    /// Metric label of the listener.
    pub listener: String,
    /// The site's domain as configured: metric label `sni`.
    pub domain: String,
    /// What is asked for.
    pub server_name: ServerName,
    /// Where to connect, and from: a port of our choice on the same address.
    pub address: SocketAddr,
    /// The listener expects a PROXY header from there.
    pub sends_header: bool,
}

/// Whom a handshake asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// By SNI.
    Dns(String),
    /// Without: SNI knows no addresses (RFC 6066 §3).
    Address(IpAddr),
}

impl ServerName {
    /// What a certificate has to be issued to.
    pub fn to_text(&self) -> String {
        match self {
            Self::Dns(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// Every handshake that clients may make: each name of each site on each listener.
///
/// A listener on every address is reached over loopback. A site of an address is looked for where its clients arrive: on
/// that address when this machine has it (`is_here`), else on every listener of its family, since an address of a router
/// is another one by the time that a connection arrives here.
pub fn targets(
    places: &[Place],
    sites: &[SiteSettings],
    load_balancers: &[IpNet],
    is_here: impl Fn(IpAddr) -> bool,
) -> Vec<Target> {
    let addresses: Vec<IpAddr> =
        sites.iter().flat_map(|site| &site.domains).filter_map(|domain| domain.parse().ok()).collect();
    let mut all = Vec::new();
    for place in places {
        for (site, domain) in sites.iter().flat_map(|site| site.domains.iter().map(move |domain| (site, domain))) {
            let ip = domain.parse::<IpAddr>().ok();
            let address = match ip {
                None => Some(reached(place.address)),
                Some(ip) => arrival(ip, place.address, &addresses, &is_here),
            };
            let Some(address) = address else { continue };
            all.push(Target {
                certificate: site.name.clone(),
                listener: place.listener.clone(),
                domain: domain.clone(),
                server_name: ip.map_or_else(|| ServerName::Dns(concrete(domain)), ServerName::Address),
                address,
                sends_header: load_balancers.iter().any(|net| net.contains(&address.ip().to_canonical())),
            });
        }
    }
    all
}

/// Whether this machine has the address.
pub fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Where clients of the address `ip` arrive on a listener; `None` when they do not.
fn arrival(
    ip: IpAddr,
    listener: SocketAddr,
    of_sites: &[IpAddr],
    is_here: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let own = listener.ip();
    if ip.is_ipv4() != own.is_ipv4() {
        return None;
    }
    match (is_here(ip), own.is_unspecified()) {
        (true, true) => Some(SocketAddr::new(ip, listener.port())),
        (true, false) => (own == ip).then_some(listener),
        (false, true) => Some(reached(listener)),
        // What arrives on an address that is a site itself is for that one.
        (false, false) => (!of_sites.contains(&own)).then_some(listener),
    }
}

/// How a listener is reached from here.
fn reached(listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listener.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listener.port()),
        _ => listener,
    }
}

/// A name that a wildcard covers.
fn concrete(domain: &str) -> String {
    match domain.strip_prefix("*.") {
        Some(parent) => format!("{LABEL}.{parent}"),
        None => domain.to_owned(),
    }
}

/// Nobody's own name, most likely; where it is somebody's, that one is looked at twice.
const LABEL: &str = "portvakt-probe";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::MinVersion;

    fn site(name: &str, domains: &[&str]) -> SiteSettings {
        SiteSettings {
            name: name.into(),
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            is_default: false,
            is_http1_only: false,
            min_version: MinVersion::Tls12,
            clients: None,
        }
    }

    /// `domain at address` of each, on a machine that has 10.0.0.5, 127.0.0.1 and ::1.
    fn planned(listeners: &[&str], domains: &[&str]) -> Vec<String> {
        let places: Vec<_> = listeners
            .iter()
            .map(|text| Place { listener: format!("https {text}"), address: text.parse().unwrap() })
            .collect();
        let here = ["10.0.0.5", "127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().unwrap());
        let all = targets(&places, &[site("a", domains)], &["127.0.0.0/8".parse().unwrap()], |ip| here.contains(&ip));
        all.into_iter()
            .map(|target| {
                let header = if target.sends_header { " with a header" } else { "" };
                format!("{} at {}{header}", target.server_name.to_text(), target.address)
            })
            .collect()
    }

    #[test]
    fn given_listeners_and_names_when_planned_then_each_is_looked_for_where_its_clients_arrive() {
        #[rustfmt::skip]
        let table: [(&[&str], &[&str], &[&str]); 8] = [
            (&["0.0.0.0:443", "[::]:443"], &["a.test"],       &["a.test at 127.0.0.1:443 with a header", "a.test at [::1]:443"]),
            (&["10.0.0.5:8443"],           &["a.test", "*.a.test"], &["a.test at 10.0.0.5:8443", "portvakt-probe.a.test at 10.0.0.5:8443"]),
            // An address of this machine: on itself.
            (&["0.0.0.0:443"],             &["10.0.0.5"],     &["10.0.0.5 at 10.0.0.5:443"]),
            (&["10.0.0.5:443"],            &["10.0.0.5"],     &["10.0.0.5 at 10.0.0.5:443"]),
            (&["127.0.0.1:443"],           &["10.0.0.5"],     &[]),
            (&["[::]:443"],                &["10.0.0.5"],     &[]),
            // An address of a router.
            (&["0.0.0.0:443", "10.0.0.5:444"], &["192.0.2.7"], &["192.0.2.7 at 127.0.0.1:443 with a header", "192.0.2.7 at 10.0.0.5:444"]),
            (&["10.0.0.5:443"], &["192.0.2.7", "10.0.0.5"],   &["10.0.0.5 at 10.0.0.5:443"]),
        ];
        for (listeners, domains, expected) in table {
            assert_eq!(planned(listeners, domains), expected, "{listeners:?} {domains:?}");
        }
    }

    #[test]
    fn given_loopback_when_asked_then_it_is_here_and_a_documentation_address_is_not() {
        assert!(is_here(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_here("192.0.2.7".parse().unwrap()));
    }
}
