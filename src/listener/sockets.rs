//! Listening sockets at hand: given by whoever started us, or opened ahead.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use socket2::SockRef;
use tracing::{info, warn};

use super::{BindError, bind};
use crate::platform;

/// Sockets that listen already, to be used in place of new ones.
#[derive(Debug, Default)]
pub struct Sockets {
    at_hand: Vec<AtHand>,
    /// What was given and is no listening TCP socket.
    strange: Vec<io::Error>,
}

#[derive(Debug)]
struct AtHand {
    /// As configured; of a held one, as bound.
    address: SocketAddr,
    socket: TcpListener,
    /// Somebody else has it too, and keeps it open when we close it.
    is_held: bool,
}

/// What an address is listened on with.
#[derive(Debug)]
pub enum Opened {
    /// A socket of its own.
    Socket(TcpListener),
    /// The socket of this IPv6 address, which takes IPv4 too.
    CoveredBy(SocketAddr),
}

impl Sockets {
    /// Takes the sockets that the service manager holds (`LISTEN_FDS`).
    ///
    /// To be called before anything else is opened: see [`platform::listen_fds`].
    pub fn from_environment() -> Self {
        let mut sockets = Self::default();
        for given in platform::listen_fds() {
            match given.and_then(|socket| Ok((socket.local_addr()?, socket))) {
                Ok((address, socket)) => sockets.add(address, socket, true),
                Err(error) => sockets.strange.push(error),
            }
        }
        sockets
    }

    /// Adds one that listens for `address` as configured. `is_held`: somebody else has it too.
    pub fn add(&mut self, address: SocketAddr, socket: TcpListener, is_held: bool) {
        self.at_hand.push(AtHand { address, socket, is_held });
    }

    /// Opens what is not at hand, so that it is when the right to open it is given up.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on, unless the reason is a host without IPv6.
    pub fn open_ahead(&mut self, addresses: &[SocketAddr]) -> Result<(), BindError> {
        for address in addresses {
            match self.open(*address, addresses) {
                Ok(Opened::Socket(socket)) if !self.is_held(*address) => self.add(*address, socket, false),
                Ok(_) => {}
                Err(error) if error.is_missing_ipv6() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the socket of an address, or opens one. `wanted` are all the addresses that are to be listened on.
    ///
    /// # Errors
    ///
    /// [`BindError`] when it has to be opened and cannot.
    pub fn open(&mut self, address: SocketAddr, wanted: &[SocketAddr]) -> Result<Opened, BindError> {
        if let Some(index) = self.at_hand.iter().position(|one| one.address == address) {
            if !self.at_hand[index].is_held {
                return Ok(Opened::Socket(self.at_hand.swap_remove(index).socket));
            }
            let clone = self.at_hand[index].socket.try_clone();
            return clone.map(Opened::Socket).map_err(|source| BindError::new(address, source));
        }
        match self.at_hand.iter().find(|one| wanted.contains(&one.address) && one.covers(address)) {
            Some(both) => Ok(Opened::CoveredBy(both.address)),
            None => bind(address).map(Opened::Socket),
        }
    }

    /// Whether somebody else has the socket of this address too.
    pub fn is_held(&self, address: SocketAddr) -> bool {
        self.at_hand.iter().any(|one| one.address == address && one.is_held)
    }

    /// Those that somebody else has too.
    pub fn held(&self) -> impl Iterator<Item = (SocketAddr, &TcpListener)> {
        self.at_hand.iter().filter(|one| one.is_held).map(|one| (one.address, &one.socket))
    }

    /// Closes what nobody wants and only we have, and tells what others hold for us in vain.
    ///
    /// # Why
    ///
    /// A held socket is kept: clients can connect as long as its holder has it open, whatever we do, and a reload that
    /// names its address could not open another one beside it.
    pub fn settle(&mut self, wanted: &[SocketAddr]) {
        for error in self.strange.drain(..) {
            warn!(%error, "a descriptor of LISTEN_FDS is no listening TCP socket: it is left alone");
        }
        self.at_hand.retain(|one| one.is_held);
        for one in &self.at_hand {
            let address = one.address;
            if wanted.contains(&address) {
                info!(%address, "using the socket that is held for us (LISTEN_FDS)");
            } else {
                warn!(
                    %address,
                    "NOBODY IS SERVED on a socket that was handed to us (LISTEN_FDS): clients connect and wait for ever. \
                     Add the address to [listen], or remove it from the socket unit"
                );
            }
        }
    }
}

impl AtHand {
    /// Whether `[::]` takes what is meant for `0.0.0.0`.
    fn covers(&self, address: SocketAddr) -> bool {
        let is_any = self.address.ip() == Ipv6Addr::UNSPECIFIED && self.address.port() == address.port();
        let is_dual = || SockRef::from(&self.socket).only_v6().is_ok_and(|only| !only);
        is_any && address.is_ipv4() && is_dual()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_held_socket_when_opened_again_and_again_then_it_is_the_same() {
        let (mut sockets, address) = with(true);
        for _ in 0..2 {
            let Opened::Socket(socket) = sockets.open(address, &[address]).unwrap() else { panic!("covered") };
            assert_eq!(socket.local_addr().unwrap(), address);
        }
        sockets.settle(&[]);
        assert!(sockets.is_held(address), "kept for a reload that wants it");
    }

    #[test]
    fn given_a_socket_of_ours_when_opened_then_it_is_given_away_and_when_unwanted_then_closed() {
        let (mut sockets, address) = with(false);
        let Opened::Socket(socket) = sockets.open(address, &[address]).unwrap() else { panic!("covered") };
        assert!(sockets.open(address, &[address]).is_err(), "given away, and still open");
        drop(socket);
        sockets.open_ahead(&[address]).unwrap();
        assert!(bind(address).is_err());

        sockets.settle(&[]);

        // A child of another test may hold it until it runs its own program.
        let is_free = || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            bind(address).is_ok()
        };
        assert!((0..1000).any(|_| is_free()));
    }

    #[test]
    fn given_a_socket_of_both_families_when_the_ipv4_address_is_wanted_then_covered() {
        let Ok(both) = TcpListener::bind("[::]:0") else { return eprintln!("NOT TESTED: this host has no IPv6") };
        let any = both.local_addr().unwrap();
        let v4 = SocketAddr::from(([0, 0, 0, 0], any.port()));
        let mut sockets = Sockets::default();
        sockets.add(any, both, true);

        assert!(matches!(sockets.open(v4, &[v4, any]), Ok(Opened::CoveredBy(by)) if by == any));
        let other = SocketAddr::from(([0, 0, 0, 0], 0));
        assert!(matches!(sockets.open(other, &[any]), Ok(Opened::Socket(_))));
    }

    fn with(is_held: bool) -> (Sockets, SocketAddr) {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mut sockets = Sockets::default();
        sockets.add(address, socket, is_held);
        (sockets, address)
    }
}
