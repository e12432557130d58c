//! The set of open listeners, and how it changes on reload.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::listener::{self, BindError, Opened, Sockets};

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Plain HTTP.
    Http,
    /// TLS.
    Https,
    /// The operators' pages.
    Admin,
    /// Local applications that call out.
    Egress,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Admin => "admin",
            Self::Egress => "egress",
        }
    }
}

/// Listeners that are open already but serve nobody yet.
pub(super) struct Bound(Vec<(Kind, SocketAddr, TcpListener, net::TcpListener)>);

/// The listeners that serve. Dropping it stops them all.
pub(super) struct Listeners {
    sockets: Sockets,
    running: HashMap<(Kind, SocketAddr), Running>,
}

struct Running {
    stop: watch::Sender<bool>,
    local: SocketAddr,
    /// For whoever takes over. The socket is open until this is closed too.
    socket: Option<net::TcpListener>,
}

/// What a listener does until its receiver turns true.
pub(super) type Serve =
    dyn Fn(Kind, TcpListener, watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Sync;

impl Listeners {
    /// None yet, and the sockets that are at hand for them.
    pub(super) fn new(sockets: Sockets) -> Self {
        Self { sockets, running: HashMap::new() }
    }

    /// Opens what `settings` asks for and is not open yet; changes nothing else.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on. One of IPv6 on a host without it is only a notice.
    pub(super) fn bind(&mut self, settings: &listener::Settings) -> Result<Bound, BindError> {
        let mut bound = Vec::new();
        for (kind, address) in wanted(settings).filter(|key| !self.running.contains_key(key)) {
            match self.sockets.open(address, &settings.addresses()) {
                Ok(Opened::Socket(socket)) => {
                    let failed = |error| BindError::new(address, error);
                    let kept = socket.try_clone().map_err(failed)?;
                    bound.push((kind, address, TcpListener::from_std(socket).map_err(failed)?, kept));
                }
                Ok(Opened::CoveredBy(both)) => info!(%address, %both, "the socket for both families serves it"),
                Err(error) if error.is_missing_ipv6() => warn!(%address, "not listening: this host has no IPv6"),
                Err(error) => return Err(error),
            }
        }
        Ok(Bound(bound))
    }

    /// Serves on what was bound and stops what `settings` no longer asks for; connections of those drain.
    pub(super) fn swap(&mut self, bound: Bound, settings: &listener::Settings, serve: &Serve) {
        for (kind, address, listener, socket) in bound.0 {
            let local = listener.local_addr().unwrap_or(address);
            let (stop, stopped) = watch::channel(false);
            tokio::spawn(serve(kind, listener, stopped));
            info!(kind = kind.as_str(), address = %local, "listening");
            self.running.insert((kind, address), Running { stop, local, socket: Some(socket) });
        }
        let wanted: Vec<_> = wanted(settings).collect();
        self.running.retain(|key, running| {
            let stays = wanted.contains(key);
            if !stays {
                running.stop.send_replace(true);
                info!(kind = key.0.as_str(), address = %running.local, "no longer listening");
            }
            stays
        });
    }

    /// Lets go of what was at hand and is not wanted.
    pub(super) fn settle(&mut self, settings: &listener::Settings) {
        self.sockets.settle(&settings.addresses());
    }

    /// Stops accepting everywhere but on `admin`, so that the drain can be watched.
    pub(super) fn stop_traffic(&mut self) {
        let traffic = self.running.iter_mut().filter(|((kind, _), _)| *kind != Kind::Admin);
        traffic.for_each(|(_, running)| running.end());
    }

    /// Stops accepting everywhere.
    pub(super) fn stop_all(&mut self) {
        self.running.values_mut().for_each(Running::end);
    }

    /// Every open socket with its configured address, and whether somebody else holds it.
    ///
    /// # Errors
    ///
    /// The first of `each`.
    pub(super) fn each_socket(
        &self,
        each: impl Fn(SocketAddr, &net::TcpListener, bool) -> io::Result<()>,
    ) -> io::Result<()> {
        let own = self.running.iter().filter_map(|((_, address), running)| Some((*address, running.socket.as_ref()?)));
        own.filter(|(address, _)| !self.sockets.is_held(*address))
            .try_for_each(|(address, socket)| each(address, socket, false))?;
        self.sockets.held().try_for_each(|(address, socket)| each(address, socket, true))
    }

    /// Kind and real address of every open listener, in a steady order.
    pub(super) fn open(&self) -> Vec<(Kind, SocketAddr)> {
        let mut open: Vec<_> = self.running.iter().map(|((kind, _), running)| (*kind, running.local)).collect();
        open.sort_by_key(|(kind, address)| (kind.as_str(), *address));
        open
    }
}

impl Running {
    fn end(&mut self) {
        self.stop.send_replace(true);
        self.socket = None;
    }
}

fn wanted(settings: &listener::Settings) -> impl Iterator<Item = (Kind, SocketAddr)> {
    let of = |kind: Kind, addresses: &[SocketAddr]| addresses.iter().map(move |a| (kind, *a)).collect::<Vec<_>>();
    of(Kind::Http, &settings.http)
        .into_iter()
        .chain(of(Kind::Https, &settings.https))
        .chain(of(Kind::Admin, &settings.admin))
        .chain(of(Kind::Egress, &settings.egress))
}
