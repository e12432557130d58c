//! Accepting within limits.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::Limits;
use super::bind::BACKLOG;
use crate::platform::{LocalListener, LocalStream};

/// An accepted connection. While it lives it counts against the listener's limits.
#[derive(Debug)]
pub struct Incoming<S = TcpStream> {
    /// The stream; `TCP_NODELAY` is set.
    pub stream: S,
    /// The client's side; of a local socket the loopback address.
    pub peer: SocketAddr,
    /// Our side.
    pub local: SocketAddr,
    /// Keeps the place among the open connections.
    pub place: Place,
    /// We ourselves look whether we are served: nobody's client.
    pub is_own: bool,
}

/// How a connection is let in.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// What holds for it.
    pub limits: Limits,
    /// Its client may have any number of them.
    pub is_exempt: bool,
    /// It comes from ourselves, and is let in however full the listener is.
    pub is_own: bool,
}

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The listener is full.
    Listener,
    /// The client has too many.
    Client,
}

/// Accepts until `stop` turns true or its sender is gone, and gives each connection to `handle` in a task of its own. Those that
/// the system has taken by then are let in too: with the listener they would be reset, and their requests lost.
///
/// `admission` is asked for each connection's far side, so that a reload changes it.
/// Connections over a limit are closed at once. When the process has no descriptor left, accepting pauses instead of
/// spinning.
pub async fn accept<A, H, F>(
    listener: A,
    admission: impl Fn(SocketAddr) -> Admission + Send,
    refused: impl Fn(Refused) + Send,
    mut stop: watch::Receiver<bool>,
    handle: H,
) where
    A: Acceptor,
    H: Fn(Incoming<A::Stream>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Places::default();
    let let_in = |(stream, peer, local): Accepted<A::Stream>| {
        let admission = admission(peer);
        match places.admit(peer.ip(), &admission) {
            Ok(place) => {
                tokio::spawn(handle(Incoming { stream, peer, local, place, is_own: admission.is_own }));
            }
            Err(why) => {
                debug!(%peer, ?why, "closed: too many connections");
                refused(why);
            }
        }
    };
    let mut is_stuck = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // A dropped sender ends the listener too.
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) if has_left(&error) => continue,
            Err(error) => {
                if !std::mem::replace(&mut is_stuck, true) {
                    warn!(%error, "cannot accept connections; trying again until it works");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if std::mem::take(&mut is_stuck) {
            info!("accepting connections again");
        }
        let_in(accepted);
    }
    // Who holds the listener beside us accepts as well, and clients may come as fast as we do.
    listener.waiting().take(MOST_WAITING).for_each(let_in);
}

/// A client that left before it was let in.
fn has_left(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// A connection, its far side, and ours.
type Accepted<S> = (S, SocketAddr, SocketAddr);

/// What connections come from.
pub trait Acceptor {
    /// What a connection is.
    type Stream: Send + 'static;

    /// Waits for the next one; gives it with the client's side and ours.
    ///
    /// # Errors
    ///
    /// The system's own.
    fn accept(&self) -> impl Future<Output = io::Result<Accepted<Self::Stream>>> + Send;

    /// Those that are there already; no others can come as far as it is up to us.
    fn waiting(self) -> impl Iterator<Item = Accepted<Self::Stream>> + Send;
}

impl Acceptor for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Accepted<TcpStream>> {
        let (stream, peer) = Self::accept(self).await?;
        met(stream, peer)
    }

    fn waiting(self) -> impl Iterator<Item = Accepted<TcpStream>> + Send {
        // Asks the system itself: tokio knows of a connection only when its driver has looked.
        let listener = self.into_std().ok();
        let next = move || -> io::Result<_> {
            let (stream, peer) = listener.as_ref().ok_or(ErrorKind::WouldBlock)?.accept()?;
            stream.set_nonblocking(true)?;
            met(TcpStream::from_std(stream)?, peer)
        };
        present(next)
    }
}

fn met(stream: TcpStream, peer: SocketAddr) -> io::Result<Accepted<TcpStream>> {
    // Fails only on a socket that is gone, and so does the next.
    let local = stream.local_addr().map_err(|_| io::Error::from(ErrorKind::ConnectionAborted))?;
    let _ = stream.set_nodelay(true);
    // A socket for both families shows IPv4 as `::ffff:192.0.2.1`.
    Ok((stream, canonical(peer), canonical(local)))
}

/// What `next` gives until it has nothing, or cannot.
fn present<T>(mut next: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    std::iter::from_fn(move || {
        loop {
            match next() {
                Ok(one) => return Some(one),
                Err(error) if has_left(&error) => {}
                Err(_) => return None,
            }
        }
    })
}

/// Whoever may connect is on this machine, so that both sides have its address.
impl Acceptor for LocalListener {
    type Stream = LocalStream;

    async fn accept(&self) -> io::Result<Accepted<LocalStream>> {
        Ok((Self::accept(self).await?, HERE, HERE))
    }

    fn waiting(self) -> impl Iterator<Item = Accepted<LocalStream>> + Send {
        let mut next = Self::waiting(self);
        present(move || Ok((next()?, HERE, HERE)))
    }
}

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The open connections of one listener.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, Held>,
}

/// What one client has.
#[derive(Clone, Copy, Default, PartialEq)]
struct Held {
    connections: usize,
    requests: usize,
}

impl Places {
    fn admit(&self, client: IpAddr, admission: &Admission) -> Result<Place, Refused> {
        match admission.is_own {
            false => self.take(client, &admission.limits, admission.is_exempt),
            // It takes no place from a client: for some milliseconds there is one connection more than the limit.
            true => Ok(Place { places: self.clone(), client, most_requests: usize::MAX, is_own: true }),
        }
    }

    fn take(&self, client: IpAddr, limits: &Limits, is_exempt: bool) -> Result<Place, Refused> {
        let mut open = self.lock();
        if open.all >= limits.connections {
            return Err(Refused::Listener);
        }
        open.connect(client, limits, is_exempt)?;
        open.all += 1;
        let most_requests = most_requests(limits, is_exempt);
        Ok(Place { places: self.clone(), client, most_requests, is_own: false })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many requests a client may have open side by side on its connections.
///
/// # Why
///
/// A request whose answer nobody reads holds up to half a MiB that was read ahead. A hundred on each of 256 connections would
/// be 12 GiB for one address; four for each connection are half a GiB, and as many as a single connection carries are always
/// allowed. Browsers with many requests have few connections.
fn most_requests(limits: &Limits, is_exempt: bool) -> usize {
    if is_exempt {
        return usize::MAX;
    }
    limits.connections_per_client.saturating_mul(REQUESTS_PER_CONNECTION).max(LEAST_REQUESTS)
}

/// A place among the open connections, given back on drop.
pub struct Place {
    places: Places,
    client: IpAddr,
    most_requests: usize,
    /// Counted nowhere.
    is_own: bool,
}

impl Place {
    /// Counts for another client from now on: the one that a load balancer speaks for.
    ///
    /// # Errors
    ///
    /// [`Refused::Client`] when that client has too many; the place stays the old one's.
    pub fn count_for(&mut self, client: IpAddr, limits: &Limits, is_exempt: bool) -> Result<(), Refused> {
        if self.is_own {
            return Ok(());
        }
        let mut open = self.places.lock();
        open.connect(client, limits, is_exempt)?;
        open.give_back(self.client, |held| &mut held.connections);
        self.client = client;
        self.most_requests = most_requests(limits, is_exempt);
        Ok(())
    }

    /// Takes a place among the requests that the client has open side by side, over all its connections to this listener;
    /// `None` when it has too many.
    pub fn request(&self) -> Option<RequestPlace> {
        let mut open = self.places.lock();
        let held = open.by_client.entry(self.client).or_default();
        if held.requests >= self.most_requests {
            return None;
        }
        held.requests += 1;
        Some(RequestPlace { places: self.places.clone(), client: self.client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_own {
            return;
        }
        let mut open = self.places.lock();
        open.all = open.all.saturating_sub(1);
        open.give_back(self.client, |held| &mut held.connections);
    }
}

/// A place among a client's open requests, given back on drop.
pub struct RequestPlace {
    places: Places,
    client: IpAddr,
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.places.lock().give_back(self.client, |held| &mut held.requests);
    }
}

impl Open {
    fn connect(&mut self, client: IpAddr, limits: &Limits, is_exempt: bool) -> Result<(), Refused> {
        let held = self.by_client.get(&client).copied().unwrap_or_default();
        if held.connections >= limits.connections_per_client && !is_exempt {
            return Err(Refused::Client);
        }
        self.by_client.insert(client, Held { connections: held.connections + 1, ..held });
        Ok(())
    }

    fn give_back(&mut self, client: IpAddr, of: impl FnOnce(&mut Held) -> &mut usize) {
        let Some(held) = self.by_client.get_mut(&client) else { return };
        let count = of(held);
        *count = count.saturating_sub(1);
        if *held == Held::default() {
            self.by_client.remove(&client);
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({})", self.client)
    }
}

/// For each connection that a client may have.
const REQUESTS_PER_CONNECTION: usize = 4;
/// What one HTTP/2 connection carries at a time.
const LEAST_REQUESTS: usize = 100;
/// Long enough for descriptors to be given back, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// As many as the system keeps for us.
const MOST_WAITING: usize = BACKLOG as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_connections_that_wait_when_stopped_then_each_is_let_in_and_nobody_else() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [0; 3].map(|_| std::net::TcpStream::connect(address).unwrap());
        assert_all_let_in(listener, clients).await;
        // A child of another test may hold it until it runs its own program.
        let is_closed = || {
            std::thread::sleep(Duration::from_millis(10));
            std::net::TcpStream::connect(address).is_err()
        };
        assert!((0..1000).any(|_| is_closed()));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn given_callers_of_a_socket_that_wait_when_another_has_its_name_then_each_is_let_in() {
        use std::os::unix::net::UnixStream;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.sock");
        let listener = LocalListener::bind(&path).unwrap();
        let clients = [0; 3].map(|_| UnixStream::connect(&path).unwrap());
        let next = LocalListener::bind(&path).unwrap();
        assert_all_let_in(listener, clients).await;
        UnixStream::connect(&path).expect("the name is the other's");
        drop(next);
    }

    /// Nothing was accepted before the stop.
    async fn assert_all_let_in<A: Acceptor, C: io::Read + Send + 'static>(listener: A, clients: [C; 3])
    where
        A::Stream: tokio::io::AsyncWrite + Unpin,
    {
        use tokio::io::AsyncWriteExt as _;
        let admission = |_| Admission { limits: limits(9, 9), is_exempt: false, is_own: false };
        let (stop, stopped) = watch::channel(true);
        accept(
            listener,
            admission,
            |_| {},
            stopped,
            |mut incoming: Incoming<A::Stream>| async move {
                incoming.stream.write_all(b"served").await.unwrap();
            },
        )
        .await;
        drop(stop);
        let told = tokio::task::spawn_blocking(move || clients.map(|client| io::read_to_string(client).unwrap()));
        assert_eq!(told.await.unwrap(), ["served"; 3]);
    }

    #[test]
    fn given_a_full_listener_when_taken_then_refused_until_a_place_is_given_back() {
        let places = Places::default();
        let limits = limits(2, 2);
        let first = places.take(ip(1), &limits, false).unwrap();
        let _second = places.take(ip(2), &limits, false).unwrap();

        assert_eq!(places.take(ip(3), &limits, false).unwrap_err(), Refused::Listener);
        drop(first);
        assert!(places.take(ip(3), &limits, false).is_ok());
    }

    #[test]
    fn given_a_full_listener_when_we_look_ourselves_then_let_in_and_nobody_is_the_worse_afterwards() {
        let places = Places::default();
        let limits = limits(1, 1);
        let admission = |is_own| Admission { limits, is_exempt: false, is_own };
        let first = places.admit(ip(1), &admission(false)).unwrap();

        drop(places.admit(ip(1), &admission(true)).unwrap());

        assert_eq!(places.admit(ip(1), &admission(false)).unwrap_err(), Refused::Listener);
        drop(first);
        assert!(places.admit(ip(1), &admission(false)).is_ok());
    }

    #[test]
    fn given_a_look_of_ours_when_a_client_of_the_same_address_connects_then_it_has_its_place() {
        let places = Places::default();
        let limits = limits(1, 1);
        let admission = |is_own| Admission { limits, is_exempt: false, is_own };

        let look = places.admit(ip(1), &admission(true)).unwrap();
        let client = places.admit(ip(1), &admission(false)).unwrap();

        drop(look);
        assert_eq!(places.admit(ip(1), &admission(false)).unwrap_err(), Refused::Listener);
        drop(client);
        assert_eq!(places.0.lock().unwrap().all, 0);
    }

    #[test]
    fn given_a_greedy_client_when_taken_then_only_it_is_refused() {
        let places = Places::default();
        let limits = limits(9, 1);
        let _first = places.take(ip(1), &limits, false).unwrap();

        assert_eq!(places.take(ip(1), &limits, false).unwrap_err(), Refused::Client);
        assert!(places.take(ip(2), &limits, false).is_ok());

        let _exempt = places.take(ip(9), &limits, true).unwrap();
        assert!(places.take(ip(9), &limits, true).is_ok());
    }

    #[test]
    fn given_a_load_balancers_connections_when_they_count_for_its_clients_then_each_client_is_limited() {
        let (places, limits) = (Places::default(), limits(9, 1));
        let mut all: Vec<_> = (0..3).map(|_| places.take(ip(9), &limits, true).unwrap()).collect();

        assert_eq!(all[0].count_for(ip(1), &limits, false), Ok(()));
        assert_eq!(all[1].count_for(ip(1), &limits, false), Err(Refused::Client));
        assert_eq!(all[1].count_for(ip(2), &limits, false), Ok(()));
        assert_eq!(places.take(ip(1), &limits, false).unwrap_err(), Refused::Client);

        all.clear();
        let open = places.0.lock().unwrap();
        assert_eq!((open.all, open.by_client.len()), (0, 0));
    }

    #[test]
    fn given_places_given_back_then_no_client_is_remembered() {
        let places = Places::default();
        let limits = limits(9, 9);

        drop((places.take(ip(1), &limits, false), places.take(ip(1), &limits, false)));

        let open = places.0.lock().unwrap();
        assert_eq!((open.all, open.by_client.len()), (0, 0));
    }

    #[test]
    fn given_a_client_with_many_requests_when_one_more_then_none_until_one_ends() {
        let (places, limits) = (Places::default(), limits(99, 30));
        let take = |client, is_exempt| places.take(ip(client), &limits, is_exempt).unwrap();
        let (first, second, other) = (take(1, false), take(1, false), take(2, false));
        let mut requests: Vec<_> = (0..120).map(|_| first.request().unwrap()).collect();

        assert!(second.request().is_none());
        assert!(other.request().is_some());
        requests.pop();
        assert!(second.request().is_some());

        let exempt = take(9, true);
        requests.extend((0..1000).map(|_| exempt.request().unwrap()));
        drop((first, second, other, exempt));
        assert_eq!(places.0.lock().unwrap().by_client.len(), 2);
        drop(requests);
        assert_eq!(places.0.lock().unwrap().by_client.len(), 0);
    }

    #[test]
    fn given_a_client_that_may_have_few_connections_then_each_carries_what_it_can() {
        let (places, limits) = (Places::default(), limits(9, 2));
        let only = places.take(ip(1), &limits, false).unwrap();

        let requests: Vec<_> = (0..101).map_while(|_| only.request()).collect();

        assert_eq!(requests.len(), 100);
    }

    fn limits(connections: usize, connections_per_client: usize) -> Limits {
        Limits { connections, connections_per_client, ..Limits::default() }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }
}
