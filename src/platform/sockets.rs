//! Who listens on a port of this machine, and sockets whose writes wait.

use std::net::SocketAddr;

use socket2::Socket;

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// Its name, as the system shows it; empty when we may not look.
    pub name: String,
    /// Its number; `None` when we may not look.
    pub id: Option<u32>,
    /// The address that it listens on.
    pub address: SocketAddr,
}

/// Whoever listens on a TCP port, on any address. Empty where the system does not tell: only Linux does, in `/proc`.
pub fn port_owners(port: u16) -> Vec<PortOwner> {
    system::owners(port)
}

/// Keeps small writes to a socket back, or lets them go. Only Linux can, for up to 200 ms (tcp(7), `TCP_CORK`); elsewhere
/// nothing waits.
pub fn hold_writes(socket: &Socket, is_held: bool) {
    #[cfg(target_os = "linux")]
    // A connection that has ended sends nothing anyway.
    let _ = rustix::net::sockopt::set_tcp_cork(socket, is_held);
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, is_held);
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    use super::PortOwner;

    pub(super) fn owners(port: u16) -> Vec<PortOwner> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        let rows = tables.iter().flat_map(|table| table.lines().filter_map(listening));
        let owner = |(address, inode): (SocketAddr, u64)| {
            let id = process_with(inode);
            let name = id.and_then(|id| fs::read_to_string(format!("/proc/{id}/comm")).ok());
            PortOwner { name: name.unwrap_or_default().trim().to_owned(), id, address }
        };
        rows.filter(|(address, _)| address.port() == port).map(owner).collect()
    }

    /// Address and inode of a line about a listening socket (proc_net_tcp(5)): state `0A`.
    pub(super) fn listening(line: &str) -> Option<(SocketAddr, u64)> {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let (ip, port) = local.split_once(':')?;
        let address = SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?);
        (state == "0A").then_some((address, inode))
    }

    /// Words of 32 bits in the machine's own order.
    fn address(hex: &str) -> Option<IpAddr> {
        let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
        match hex.len() {
            8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
            32 => {
                let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
                Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?)))
            }
            _ => None,
        }
    }

    fn process_with(inode: u64) -> Option<u32> {
        let wanted = format!("socket:[{inode}]");
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.find(|id| {
            let descriptors = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            descriptors
                .into_iter()
                .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()))
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn owners(_port: u16) -> Vec<super::PortOwner> {
        Vec::new()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn given_a_line_of_proc_when_read_then_address_and_inode() {
        #[rustfmt::skip]
        let table = [
            ("   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0000 100 0 0 10 0", Some(("127.0.0.1:8080", 4711))),
            ("   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9 1", Some(("[::1]:80", 9))),
            ("   3: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0  0 4712 1", None),
            ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", None),
            ("", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|(address, inode)| (address.parse().unwrap(), inode));
            assert_eq!(system::listening(line), expected, "{line}");
        }
    }

    #[test]
    fn given_a_port_of_our_own_when_asked_then_it_is_us() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();

        let owners = port_owners(address.port());

        assert_eq!(
            owners.iter().map(|owner| (owner.id, owner.address)).collect::<Vec<_>>(),
            [(Some(std::process::id()), address)]
        );
        drop(listener);
        // A child of another test may hold it until it runs its own program.
        let is_free = || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            port_owners(address.port()).is_empty()
        };
        assert!((0..1000).any(|_| is_free()));
    }
}
