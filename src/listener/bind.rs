//! Opening a listening socket.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Listens on `address`. An IPv6 address is V6ONLY, so that `0.0.0.0` and `[::]` can be listened on side by side.
///
/// # Errors
///
/// [`BindError`] says why and how to mend it.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|source| BindError::new(address, source))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Unix this lets a restart listen while old connections linger; on Windows it would let others steal the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", self.why())]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// What the system said of `address`.
    pub fn new(address: SocketAddr, source: io::Error) -> Self {
        Self { address, source }
    }

    /// Whether this host has no IPv6 at all, which is worth a notice only.
    pub fn is_missing_ipv6(&self) -> bool {
        self.address.is_ipv6()
            && (self.source.kind() == io::ErrorKind::AddrNotAvailable
                || self.source.kind() == io::ErrorKind::Unsupported
                || self.source.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED))
    }

    /// How to mend it.
    pub fn fix(&self) -> String {
        let port = self.address.port();
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "stop the program that holds port {port} (`ss -ltnp 'sport = :{port}'` names it), or choose another port"
                )
            }
            io::ErrorKind::PermissionDenied => format!(
                "ports below 1024 need a right: run as root, grant `setcap cap_net_bind_service=+ep`, or choose a port above 1023 instead of {port}"
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!("{} is no address of this machine; `ip addr` lists them", self.address.ip())
            }
            _ => "check the address and this machine's limits".to_owned(),
        }
    }

    fn why(&self) -> String {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "the port is taken".to_owned(),
            io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
            io::ErrorKind::AddrNotAvailable => "not an address of this machine".to_owned(),
            _ => self.source.to_string(),
        }
    }
}

/// `EAFNOSUPPORT`, for which std has no kind.
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = if cfg!(windows) { 10047 } else { 97 };
/// As nginx and pingora: the kernel cuts it to its own limit.
pub(super) const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_taken_port_when_bound_then_the_error_says_so_and_how_to_mend_it() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();

        let error = bind(address).unwrap_err();

        assert_eq!(error.to_string(), format!("cannot listen on {address}: the port is taken"));
        assert!(error.fix().contains(&address.port().to_string()));
        assert!(!error.is_missing_ipv6());
    }

    #[test]
    fn given_an_address_of_elsewhere_when_bound_then_the_error_names_it() {
        let error = bind("192.0.2.1:1".parse().unwrap()).unwrap_err();
        assert!(error.fix().contains("192.0.2.1"), "{}", error.fix());
    }
}
