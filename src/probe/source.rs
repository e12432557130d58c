//! Addresses that we ourselves connect from.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Where our own looks come from, so that they are taken for nobody's client. Clones are one.
///
/// While a [`Source`] lives its socket has that address and port, so that nobody else can connect from there.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Mutex<HashSet<SocketAddr>>>);

/// One of them, until it drops.
#[must_use = "it is forgotten when this drops"]
#[derive(Debug)]
pub struct Source {
    all: Sources,
    address: SocketAddr,
}

impl Sources {
    /// Takes an address that a socket of ours has.
    pub fn add(&self, address: SocketAddr) -> Source {
        let address = canonical(address);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
        Source { all: self.clone(), address }
    }

    /// Whether a connection from there is our own.
    pub fn contains(&self, peer: SocketAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&canonical(peer))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.address);
    }
}

/// Without what is no part of an address as the other side sees it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_source_when_it_drops_then_its_port_is_anybodys_again() {
        let sources = Sources::default();
        let own = sources.add("[::ffff:127.0.0.1]:50000".parse().unwrap());

        assert!(sources.contains("127.0.0.1:50000".parse().unwrap()));
        assert!(!sources.contains("127.0.0.1:50001".parse().unwrap()));

        drop(own);
        assert!(!sources.contains("127.0.0.1:50000".parse().unwrap()));
    }
}
