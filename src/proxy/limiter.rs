//! What counts requests against limits: rates for each client, requests in flight. Kept over a reload.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::route::{Limits, Rate, Settings, TooMany};

/// The limits of a configuration, with what they have counted.
#[derive(Default)]
pub(super) struct Limiters {
    everywhere: Level,
    sites: Vec<Level>,
    /// By site and route.
    routes: Vec<Vec<Level>>,
}

/// Why a request has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// The client has sent too many.
    Requests(TooMany),
    /// Too many are in flight.
    Connections,
}

impl Limiters {
    /// Makes what `settings` ask for; what `old` has counted for a site or route of the same name goes on.
    pub(super) fn new(settings: &Settings, old: &Self) -> Self {
        let everywhere = Limits { requests: settings.requests, ..Limits::default() };
        let sites = settings.sites.iter().map(|site| {
            let before = old.sites.iter().find(|level| level.name == site.name);
            Level::new(&site.name, &site.limits, before)
        });
        let of_route = |route: &crate::route::Route| {
            let before = old.routes.iter().flatten().find(|level| level.name == route.name);
            Level::new(&route.name, &route.limits, before)
        };
        Self {
            everywhere: Level::new("", &everywhere, Some(&old.everywhere)),
            sites: sites.collect(),
            routes: settings.sites.iter().map(|site| site.routes.iter().map(of_route).collect()).collect(),
        }
    }

    /// Counts a request of `client` against every rate that holds for it.
    pub(super) fn take(&self, site: usize, route: Option<usize>, client: IpAddr) -> Result<(), Busy> {
        let rates = self.levels(site, route).filter_map(|level| level.rate.as_ref());
        rates
            .map(|rate| rate.take(client, rate.began.elapsed()))
            .find(Result::is_err)
            .unwrap_or(Ok(()))
            .map_err(Busy::Requests)
    }

    /// Counts a request as in flight until what is given drops.
    pub(super) fn enter(&self, site: usize, route: usize) -> Result<[Option<Entered>; 2], Busy> {
        let enter = |level: Option<&Level>| match level.and_then(|level| level.gate.as_ref()) {
            Some(gate) => gate.enter().map(Some).ok_or(Busy::Connections),
            None => Ok(None),
        };
        let of_route = self.routes.get(site).and_then(|routes| routes.get(route));
        Ok([enter(self.sites.get(site))?, enter(of_route)?])
    }

    fn levels(&self, site: usize, route: Option<usize>) -> impl Iterator<Item = &Level> {
        let of_route = route.and_then(|route| self.routes.get(site)?.get(route));
        [Some(&self.everywhere), self.sites.get(site), of_route].into_iter().flatten()
    }
}

/// What one table of limits counts.
#[derive(Default)]
struct Level {
    name: String,
    gate: Option<Gate>,
    rate: Option<Arc<Clients>>,
}

impl Level {
    fn new(name: &str, limits: &Limits, before: Option<&Self>) -> Self {
        let known_gate = before.and_then(|level| level.gate.as_ref());
        let known_rate = before.and_then(|level| level.rate.as_ref());
        Self {
            name: name.to_owned(),
            gate: limits.connections.map(|limit| Gate { limit, ..known_gate.cloned().unwrap_or_default() }),
            rate: limits.requests.map(|rate| match known_rate {
                Some(known) if known.rate == rate => known.clone(),
                _ => Arc::new(Clients::new(rate)),
            }),
        }
    }
}

/// Requests in flight.
#[derive(Clone, Default)]
struct Gate {
    limit: u32,
    open: Arc<AtomicU32>,
}

impl Gate {
    fn enter(&self) -> Option<Entered> {
        let one_more = |open: u32| open.checked_add(1).filter(|open| *open <= self.limit);
        let entered = self.open.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more);
        entered.ok().map(|_| Entered(self.open.clone()))
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Entered(Arc<AtomicU32>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The buckets of clients, in a table of fixed size.
///
/// # Why
///
/// Memory must not grow with the number of clients. Each client has one set of [`WAYS`] places that it may stand in, by a
/// hash that nobody outside can foresee; where all are taken, the one whose bucket is the fullest goes, which has the least
/// to forget. A lock is held for one set only.
struct Clients {
    rate: Rate,
    began: Instant,
    hasher: RandomState,
    sets: Box<[Mutex<[Place; WAYS]>]>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    client: u64,
    /// Since the table began; zero is a place that nobody has.
    full_at: Duration,
}

impl Clients {
    fn new(rate: Rate) -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { rate, began: Instant::now(), hasher: RandomState::new(), sets }
    }

    fn take(&self, client: IpAddr, now: Duration) -> Result<(), TooMany> {
        let client = key(client);
        // The remainder is below the number of sets.
        let set = self.hasher.hash_one(client) as usize % self.sets.len();
        let mut places = self.sets[set].lock().unwrap_or_else(PoisonError::into_inner);
        let is_client = |place: &Place| place.client == client && !place.full_at.is_zero();
        let known = places.iter().position(is_client);
        let fullest = || (0..WAYS).min_by_key(|&at| places[at].full_at).unwrap_or_default();
        let at = known.unwrap_or_else(fullest);
        let full_at = known.map_or(Duration::ZERO, |at| places[at].full_at);
        places[at] = Place { client, full_at: self.rate.take(full_at, now)? };
        Ok(())
    }
}

/// Whom a bucket is for: an IPv4 address, or the 64 bits of an IPv6 address that a client cannot choose (RFC 6177 §2).
fn key(client: IpAddr) -> u64 {
    match client.to_canonical() {
        // Beside every unicast address of IPv6, none of which begins with ff (RFC 4291 §2.4).
        IpAddr::V4(address) => 0xffff_ffff_0000_0000 | u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

/// 32,768 clients for each limit, in less than a megabyte.
const SETS: usize = 4096;
const WAYS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Route, Site};

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn given_a_client_that_has_spent_its_burst_when_others_come_then_they_have_their_own() {
        let clients = Clients::new(Rate::new(1, SECOND, 2));
        let now = SECOND;
        for (client, taken) in [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::1", true),
        ] {
            assert_eq!(clients.take(ip(client), now).is_ok(), taken, "{client}");
        }
        assert!(clients.take(ip("192.0.2.1"), now + SECOND).is_ok());
    }

    #[test]
    fn given_more_clients_than_places_when_they_come_then_the_table_stays_and_a_busy_client_stays_limited() {
        let clients = Clients::new(Rate::new(1, Duration::from_secs(3600), 100));
        let busy = ip("192.0.2.1");
        let before = clients.sets.len();
        while clients.take(busy, SECOND).is_ok() {}
        for client in 0..200_000_u32 {
            let _ = clients.take(IpAddr::from((0x0a00_0000 + client).to_be_bytes()), SECOND);
        }
        assert_eq!(clients.sets.len(), before);
        assert!(clients.take(busy, SECOND).is_err(), "who owes the most is forgotten last");
    }

    fn settings(connections: Option<u32>, rate: Option<Rate>) -> Settings {
        let limits = Limits { connections, body: None, requests: rate };
        let routes = vec![Route { name: "a:/".to_owned(), limits: limits.clone(), ..Route::default() }];
        let site = Site { name: "a".to_owned(), limits, routes, ..Site::default() };
        Settings { sites: vec![site], ..Settings::default() }
    }

    #[test]
    fn given_as_many_in_flight_as_may_be_when_one_more_comes_then_refused_until_one_ends() {
        let limiters = Limiters::new(&settings(Some(2), None), &Limiters::default());
        let first = limiters.enter(0, 0).expect("the first");
        let _second = limiters.enter(0, 0).expect("the second");
        assert_eq!(limiters.enter(0, 0).err(), Some(Busy::Connections));
        drop(first);
        assert!(limiters.enter(0, 0).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_reload_when_limits_stay_or_change_then_what_is_counted_goes_on() {
        let rate = Rate::new(1, Duration::from_secs(3600), 2);
        let old = Limiters::new(&settings(Some(1), Some(rate)), &Limiters::default());
        let _entered = old.enter(0, 0).expect("room");
        let client = ip("192.0.2.1");
        assert!(old.take(0, Some(0), client).is_ok() && old.take(0, Some(0), client).is_ok());

        let same = Limiters::new(&settings(Some(1), Some(rate)), &old);
        assert!(same.take(0, Some(0), client).is_err());
        assert!(same.enter(0, 0).is_err());
        let wider = Limiters::new(&settings(Some(2), None), &old);
        assert!(wider.take(0, Some(0), client).is_ok());
        let _second = wider.enter(0, 0).expect("one more");
        assert!(wider.enter(0, 0).is_err());
    }
}
