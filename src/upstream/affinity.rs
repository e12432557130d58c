//! Upstream connections that one client has to itself.
//!
//! # Why
//!
//! NTLM, and Negotiate as Windows speaks it, authenticate the connection and not the request (RFC 4559 §6). Over a shared pool
//! the next client would be served as the one before; over a new connection for each request nobody would ever get in. So such
//! a client owns its upstream connections, and both sides end together, as they would without a proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

use crate::platform::hold_writes;

/// Whose upstream connections a request may use.
#[derive(Clone, Debug)]
pub enum Affinity {
    /// The common pool.
    Shared,
    /// Only those of this bond: the server has authenticated the connection itself, or may do so.
    Own(Arc<Bond>),
}

/// What ties upstream connections to one client's connection. They end when it is dropped.
#[derive(Debug)]
pub struct Bond {
    /// Unique in the process.
    id: u64,
    /// By the peer that they lead to: a client sends one request after the other, so that one connection each is in use.
    lines: Mutex<Vec<(u64, Arc<Socket>)>>,
    /// What counts a connection to each peer as the client's own.
    counted: Mutex<BTreeMap<u64, Box<dyn Counted>>>,
}

/// Counts something until it drops.
pub trait Counted: fmt::Debug + Send + Sync {}

impl<T: fmt::Debug + Send + Sync> Counted for T {}

impl Bond {
    /// A bond that holds no connection yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { id: NEXT.fetch_add(1, Ordering::Relaxed), lines: Mutex::default(), counted: Mutex::default() })
    }

    /// Part of the pool's key.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Lets connections that are opened by `options` belong to the bond; `peer` tells servers apart. Unix sockets cannot, and
    /// end by the pool's own limit.
    pub(super) fn tie(self: &Arc<Self>, peer: u64, connection: &mut HttpPeer) {
        // The client's own idle time counts, not the pool's.
        connection.options.idle_timeout = None;
        let bond = Arc::downgrade(self);
        connection.options.upstream_tcp_sock_tweak_hook = Some(Arc::new(move |socket| {
            let Some(bond) = bond.upgrade() else {
                return Error::e_explain(ErrorType::ConnectError, "the client is gone");
            };
            let line = SockRef::from(socket).try_clone();
            let line = line.map_err(|error| Error::because(ErrorType::SocketError, "no second handle", error))?;
            bond.add(peer, line);
            Ok(())
        }));
    }

    /// Counts the connection to a peer, `peer` by [`Peer::id`](super::Peer::id), as the client's own until the bond ends;
    /// another one to the same peer takes its place.
    pub fn count<C: Counted + 'static>(&self, peer: u64, count: impl FnOnce() -> C) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.entry(peer).or_insert_with(|| Box::new(count()));
    }

    fn add(&self, peer: u64, line: Socket) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever opens another one could not use the one before any more.
        lines.retain(|(other, line)| *other != peer || end(line));
        lines.push((peer, Arc::new(line)));
    }

    /// Lets a request for an upgrade wait in its socket until the guard is let go.
    ///
    /// # Why
    ///
    /// Where the answer 101 is there before pingora has passed the end of the empty body on inside, that end is taken for the
    /// tunnel's (see `upgrade`). Connections for one upgrade are made so that this cannot be; an authenticated one is there
    /// already, so its server is to see the request a moment later.
    pub fn hold(&self) -> Held {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let held = Held(lines.iter().map(|(_, line)| line.clone()).collect());
        held.0.iter().for_each(|line| hold_writes(line, true));
        held
    }

    /// Returns when a server has closed one of the connections; for a time when no request is on its way.
    pub async fn broken(&self) {
        let held: Vec<_> = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.iter().map(|(_, line)| line.clone()).collect()
        };
        let mut ends: Vec<_> = held.iter().map(|line| Box::pin(ended(line))).collect();
        std::future::poll_fn(|cx| match ends.iter_mut().any(|end| end.as_mut().poll(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// Connections whose writes wait.
#[derive(Debug)]
pub struct Held(Vec<Arc<Socket>>);

impl Held {
    /// Lets them go when what is on its way inside has surely passed.
    pub fn let_go_soon(self) {
        tokio::spawn(async move {
            tokio::time::sleep(PASSED).await;
            drop(self);
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.iter().for_each(|line| hold_writes(line, false));
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        let lines = self.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
        lines.iter().for_each(|(_, line)| _ = end(line));
    }
}

/// Closes both ways for every holder of the socket, the pool's among them; `false`, for there is no use for it any more.
fn end(line: &Socket) -> bool {
    // It may have ended already.
    let _ = line.shutdown(Shutdown::Both);
    false
}

/// Returns when the far end has closed.
async fn ended(line: &Socket) {
    let watch = || -> io::Result<TcpStream> { TcpStream::from_std(line.try_clone()?.into()) };
    let Ok(line) = watch() else { return };
    while matches!(line.peek(&mut [0]).await, Ok(unread) if unread > 0) {
        // The pool reads what is no answer, such as tickets of TLS; where nobody does, nothing that comes can be believed.
        tokio::time::sleep(UNREAD).await;
        if matches!(SockRef::from(&line).peek(&mut [std::mem::MaybeUninit::uninit()]), Ok(unread) if unread > 0) {
            return;
        }
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);
/// Far longer than a message takes from one task to the next, and nothing beside the opening of a WebSocket.
const PASSED: Duration = Duration::from_millis(10);
/// For the pool to take what a server sends unasked.
const UNREAD: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn given_a_bond_when_dropped_then_its_connections_end() {
        let (near, mut far) = pair();
        let bond = Bond::new();
        bond.add(1, Socket::from(near.try_clone().unwrap()));

        drop(bond);

        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
        drop(near);
    }

    #[test]
    fn given_connections_when_counted_then_one_for_each_peer_until_the_bond_ends() {
        let (bond, count) = (Bond::new(), Arc::new(()));
        for peer in [1, 1, 2] {
            bond.count(peer, || count.clone());
        }
        assert_eq!(Arc::strong_count(&count), 3);
        drop(bond);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[tokio::test]
    async fn given_a_second_connection_to_a_peer_when_added_then_the_first_ends_and_others_do_not() {
        let (bond, [(first, mut far), (other, mut kept), (second, _held)]) = (Bond::new(), [pair(), pair(), pair()]);
        bond.add(1, Socket::from(first));
        bond.add(2, Socket::from(other.try_clone().unwrap()));

        bond.add(1, Socket::from(second));

        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
        (&other).write_all(b"x").unwrap();
        assert_eq!(kept.read(&mut [0; 8]).unwrap(), 1);
    }

    #[tokio::test]
    async fn given_connections_when_one_far_end_closes_then_broken_and_not_before() {
        let (bond, [(first, far), (second, _held)]) = (Bond::new(), [pair(), pair()]);
        for (peer, line) in [(1, first), (2, second)] {
            line.set_nonblocking(true).unwrap();
            bond.add(peer, Socket::from(line));
        }
        let mut broken = Box::pin(bond.broken());
        tokio::select! {
            biased;
            () = &mut broken => panic!("both are open"),
            () = tokio::task::yield_now() => {}
        }

        drop(far);

        broken.await;
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }
}
