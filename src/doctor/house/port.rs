//! Whether the ports are ours. Needs no network.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::super::finding::{Facts, Finding};
use super::super::topic::Topic;
use crate::config::Config;
use crate::platform::{self, PortOwner};

pub(super) fn findings(config: &Config, is_running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in config.listen.addresses() {
        let Err(error) = TcpListener::bind(address) else { continue };
        let owners = platform::port_owners(address.port());
        match error.kind() {
            ErrorKind::AddrInUse => findings.extend(taken(address, &owners, is_running)),
            // No IPv6 on this machine: `run` leaves that address out.
            ErrorKind::AddrNotAvailable | ErrorKind::Unsupported if address.ip().is_unspecified() => {}
            ErrorKind::PermissionDenied if address.port() < 1024 && is_running => {}
            _ => findings.push(Finding::fault(Topic::PortTaken, facts(address, &error.to_string()))),
        }
    }
    findings.dedup();
    findings
}

fn taken(address: SocketAddr, owners: &[PortOwner], is_running: bool) -> Option<Finding> {
    let owner = owners.iter().find(|owner| is_same(owner.address, address)).or_else(|| owners.first());
    match owner {
        Some(owner) if owner.name == OURSELVES => None,
        Some(PortOwner { name, id: Some(id), .. }) => {
            Some(Finding::fault(Topic::PortTaken, facts(address, &format!("`{name}`, process {id}"))))
        }
        // Without rights to look, a process of ours that runs is the likely one.
        _ if is_running => None,
        _ => Some(Finding::fault(Topic::PortTaken, facts(address, "?"))),
    }
}

fn facts(address: SocketAddr, owner: &str) -> Facts {
    vec![("address", address.to_string()), ("port", address.port().to_string()), ("owner", owner.to_owned())]
}

fn is_same(theirs: SocketAddr, ours: SocketAddr) -> bool {
    theirs.ip().is_unspecified() || ours.ip().is_unspecified() || theirs.ip() == ours.ip()
}

const OURSELVES: &str = "portvakt";
