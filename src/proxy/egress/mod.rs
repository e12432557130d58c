//! The way out: requests of local applications, carried to a service that knows us by a client certificate.
//!
//! In: connections to an egress's own listener. Out: answers, numbers. The connection's life is that of every other one
//! (`connection`); what becomes of a request is decided by `egress` and done here.
//!
//! # Why
//!
//! pingora's proxy gives up an answer when its client leaves. BankID gives a final answer once: so the exchange is ours, runs
//! to its end whoever waits, and whether the answer has arrived is known before it is forgotten.

mod book;
mod collect;
mod conversation;
mod exchange;
mod local;
mod reading;
mod rules;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use pingora::protocols::l4::stream::Stream as L4Stream;
use tokio::sync::watch;

use self::book::Book;
use self::conversation::Conversation;
use self::rules::BankId;
use super::connection::{self, Connection};
use super::quota::Quota;
use crate::egress::bankid::{ErrorCode, Refusal};
use crate::egress::{Listen, Settings};
use crate::listener::{Incoming, Limits, Place};
use crate::metrics::{EgressMetrics, ListenerMetrics, RouteMetrics};
use crate::platform::LocalStream;
use crate::upstream::Client;

/// One way out at work; replaced whole on reload.
pub struct Egress {
    settings: Settings,
    client: Arc<Client>,
    metrics: Arc<EgressMetrics>,
    bankid: Option<BankId>,
    /// How often failures are told.
    quota: Quota,
}

impl Egress {
    /// Joins what was prepared. `client` may be one that is in use already, with its connections, and `before` what has this
    /// name now, whose orders are gone on with. Must be called within a tokio runtime.
    pub fn new(settings: Settings, client: Arc<Client>, metrics: Arc<EgressMetrics>, before: Option<&Self>) -> Self {
        let book = before.and_then(|before| before.bankid.as_ref()).map(|bankid| bankid.book.clone());
        let bankid = settings
            .rules
            .clone()
            .map(|rules| BankId { rules, book: book.unwrap_or_else(|| Book::new(&settings.name, metrics.clone())) });
        let error_codes = ErrorCode::ALL.iter().filter(|_| bankid.is_some());
        metrics.begin(Refusal::every().iter().map(Refusal::reason), error_codes.map(|code| code.label()));
        Self { settings, client, metrics, bankid, quota: Quota::default() }
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells what is lost of its orders, since the process ends.
    pub fn close(&self) {
        if let Some(bankid) = &self.bankid {
            bankid.book.close();
        }
    }

    /// What reaches the destination.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

/// Every way out, by where it is called.
#[derive(Default)]
pub(super) struct Egresses(Mutex<HashMap<Listen, Arc<Door>>>);

/// Where one way out is called. Its connections ask here which settings hold.
pub(super) struct Door(ArcSwap<Egress>);

impl Door {
    pub(super) fn egress(&self) -> Arc<Egress> {
        self.0.load_full()
    }
}

impl Egresses {
    /// Judges requests by these from now on.
    pub(super) fn apply(&self, egresses: Vec<Egress>) {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new: HashMap<_, _> =
            egresses.into_iter().map(|egress| (egress.settings.listen.clone(), Arc::new(egress))).collect();
        doors.retain(|listen, _| new.contains_key(listen));
        for (listen, egress) in new {
            match doors.get(&listen) {
                Some(door) => door.0.store(egress),
                None => drop(doors.insert(listen, Arc::new(Door(ArcSwap::new(egress))))),
            }
        }
    }

    pub(super) fn door(&self, listen: &Listen) -> Option<Arc<Door>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(listen).cloned()
    }

    /// In the order of their names.
    pub(super) fn all(&self) -> Vec<Arc<Egress>> {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = doors.values().map(|door| door.egress()).collect();
        all.sort_by(|a, b| a.settings.name.cmp(&b.settings.name));
        all
    }
}

/// A connection of an application.
pub struct Caller {
    stream: L4Stream,
    peer: SocketAddr,
    place: Place,
}

impl Caller {
    /// One that came over TCP.
    pub fn remote(incoming: Incoming) -> Self {
        Self { stream: incoming.stream.into(), peer: incoming.peer, place: incoming.place }
    }

    /// One that came over a socket of this machine.
    pub fn local(incoming: Incoming<LocalStream>) -> Self {
        #[cfg(unix)]
        let stream = incoming.stream.into_inner().into();
        #[cfg(windows)]
        let stream = match incoming.stream {};
        Self { stream, peer: incoming.peer, place: incoming.place }
    }
}

/// Serves one connection until it ends.
pub(super) async fn serve(
    door: Arc<Door>,
    caller: Caller,
    listener: Arc<ListenerMetrics>,
    limits: Limits,
    unrouted: Arc<RouteMetrics>,
    stop: watch::Receiver<bool>,
) {
    let _counted = listener.opened();
    let Caller { stream, peer, place } = caller;
    let connection = Arc::new(Connection::new(listener, peer, None, limits, unrouted, place, stop));
    let conversation = Arc::new(Conversation::new(door, connection.clone()));
    connection::serve(&conversation, Box::new(stream), connection).await;
}
