//! Accepting within limits.

use std::collections::HashMap;
use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::{debug, info, warn};

/// An accepted connection. While it lives it counts against the listener's limits.
#[derive(Debug)]
pub struct Incoming {
    /// The stream; `TCP_NODELAY` is set.
    pub stream: TcpStream,
    /// The client's side.
    pub peer: SocketAddr,
    /// Our side.
    pub local: SocketAddr,
    /// Keeps the place among the open connections.
    pub place: Place,
}

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The listener is full.
    Listener,
    /// The client has too many.
    Client,
}

/// How many connections there may be.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    connections: usize,
    per_client: usize,
    exempt: Vec<IpNet>,
}

/// Accepts until `stop` turns true or its sender is gone, and gives each connection to `handle` in a task of its own.
///
/// `limits` is asked at each connection, so that a reload changes it. Connections over a limit are closed at once. When the
/// process has no descriptor left, accepting pauses instead of spinning.
pub async fn accept<H, F>(
    listener: TcpListener,
    limits: impl Fn() -> (super::Limits, Vec<IpNet>) + Send,
    refused: impl Fn(Refused) + Send,
    mut stop: watch::Receiver<bool>,
    handle: H,
) where
    H: Fn(Incoming) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Places::default();
    let mut is_stuck = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // A dropped sender ends the listener too.
            () = async { drop(stop.wait_for(|stop| *stop).await) } => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // A client that left before it was let in.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => continue,
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
        let (limits, exempt) = limits();
        let bounds = Bounds { connections: limits.connections, per_client: limits.connections_per_client, exempt };
        let place = match places.take(peer.ip(), &bounds) {
            Ok(place) => place,
            Err(why) => {
                debug!(%peer, ?why, "closed: too many connections");
                refused(why);
                continue;
            }
        };
        let Ok(local) = stream.local_addr() else { continue };
        // Fails only on a socket that is gone; reading will tell.
        let _ = stream.set_nodelay(true);
        tokio::spawn(handle(Incoming { stream, peer, local, place }));
    }
}

/// The open connections of one listener.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Places {
    fn take(&self, client: IpAddr, bounds: &Bounds) -> Result<Place, Refused> {
        let client = client.to_canonical();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= bounds.connections {
            return Err(Refused::Listener);
        }
        let held = open.by_client.get(&client).copied().unwrap_or(0);
        if held >= bounds.per_client && !bounds.exempt.iter().any(|net| net.contains(&client)) {
            return Err(Refused::Client);
        }
        open.by_client.insert(client, held + 1);
        open.all += 1;
        Ok(Place { places: self.clone(), client })
    }
}

/// A place among the open connections, given back on drop.
pub struct Place {
    places: Places,
    client: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        let held = open.by_client.get(&self.client).copied().unwrap_or(0);
        if held > 1 {
            open.by_client.insert(self.client, held - 1);
        } else {
            open.by_client.remove(&self.client);
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({})", self.client)
    }
}

/// Long enough for descriptors to be given back, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_full_listener_when_taken_then_refused_until_a_place_is_given_back() {
        let places = Places::default();
        let bounds = Bounds { connections: 2, per_client: 2, exempt: vec![] };
        let first = places.take(ip(1), &bounds).unwrap();
        let _second = places.take(ip(2), &bounds).unwrap();

        assert_eq!(places.take(ip(3), &bounds).unwrap_err(), Refused::Listener);
        drop(first);
        assert!(places.take(ip(3), &bounds).is_ok());
    }

    #[test]
    fn given_a_greedy_client_when_taken_then_only_it_is_refused() {
        let places = Places::default();
        let bounds = Bounds { connections: 9, per_client: 1, exempt: vec!["10.0.0.9/32".parse().unwrap()] };
        let _first = places.take(ip(1), &bounds).unwrap();

        assert_eq!(places.take(ip(1), &bounds).unwrap_err(), Refused::Client);
        assert!(places.take(ip(2), &bounds).is_ok());

        let _exempt = places.take(ip(9), &bounds).unwrap();
        assert!(places.take(ip(9), &bounds).is_ok());
    }

    #[test]
    fn given_places_given_back_then_no_client_is_remembered() {
        let places = Places::default();
        let bounds = Bounds { connections: 9, per_client: 9, exempt: vec![] };

        drop((places.take(ip(1), &bounds), places.take(ip(1), &bounds)));

        let open = places.0.lock().unwrap();
        assert_eq!((open.all, open.by_client.len()), (0, 0));
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }
}
