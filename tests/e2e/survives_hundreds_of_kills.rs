//! `kill -9` at any moment of issuance, renewal and reload: the state directory always reads, the last good certificate
//! serves at once, one account stays one, and what became of each order that the CA has made is known: it gave a
//! certificate that is kept, it is gone on with, the CA called it invalid, or the CA's answer was on its way at a kill.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, thread};

use portvakt::store::Store;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::clock::{Deadline, PATIENCE};
use crate::support::pebble::Settings;
use crate::support::tls::served;
use crate::support::{Echo, Home, Pebble, Witness};

#[test]
fn given_a_dozen_kills_at_random_moments_when_started_again_then_nothing_is_lost_and_nothing_ordered_twice() {
    let killed = round(seed(), 12, Deadline::after(PATIENCE * 6));
    assert!(killed >= 3, "{killed} kills");
}

#[test]
#[ignore = "long: two hundred kills, minutes"]
fn given_hundreds_of_kills_at_random_moments_when_started_again_then_nothing_is_lost_and_nothing_ordered_twice() {
    let (seed, deadline, killed) = (seed(), Deadline::after(PATIENCE * 30), AtomicUsize::new(0));
    let count = &killed;
    thread::scope(|scope| {
        let lanes = [0, 1, 2].map(|lane| scope.spawn(move || rounds(seed.wrapping_add(lane << 32), deadline, count)));
        lanes.into_iter().for_each(|lane| lane.join().expect("nothing was lost"));
    });
    let killed = killed.into_inner();
    eprintln!("{killed} kills");
    assert!(killed >= ENOUGH, "{killed} kills");
}

/// One CA after the other, until all lanes together have killed enough.
fn rounds(seed: u64, deadline: Deadline, killed: &AtomicUsize) {
    for number in 0.. {
        if killed.load(Ordering::Relaxed) >= ENOUGH || deadline.passed() {
            break;
        }
        killed.fetch_add(round(seed.wrapping_add(number), 25, deadline), Ordering::Relaxed);
    }
}

const ENOUGH: usize = 200;

/// `PORTVAKT_SEED`, or another one each time; printed, so that a failure can be seen again.
fn seed() -> u64 {
    let given = env::var("PORTVAKT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("PORTVAKT_SEED={seed}");
    seed
}

/// One CA and one state directory, killed up to `kills` times; gives how often.
fn round(seed: u64, kills: usize, deadline: Deadline) -> usize {
    let (mut rng, mut scene) = (StdRng::seed_from_u64(seed), Scene::new());
    // A death in a first issuance costs a minute's pause, one in a renewal a second: mostly renewals are killed.
    if rng.random_ratio(3, 4) {
        scene.issue();
    }
    for number in 0..kills {
        if deadline.passed() {
            scene.tell(number);
            return number;
        }
        let good = scene.stored();
        let mut portvakt = scene.home.start();
        scene.assert_served(&good);
        let patience = Duration::from_millis(rng.random_range(0..1500));
        match rng.random() {
            true => thread::sleep(patience),
            false => scene.witness.await_order(patience),
        }
        if rng.random_ratio(1, 3) {
            scene.configure(rng.random_range(10..60));
            portvakt.signal("HUP");
            thread::sleep(Duration::from_millis(rng.random_range(0..200)));
        }
        // The time that an answer and its way to the disk take.
        thread::sleep(Duration::from_millis(rng.random_range(0..20)));
        portvakt.child.kill();
        scene.assert_sound();
        scene.assert_accounted();
    }
    scene.tell(kills);
    kills
}

/// Several sites, each with a certificate that is renewed after seconds.
struct Scene {
    home: Home,
    pebble: Pebble,
    witness: Witness,
    echo: Echo,
    /// Orders that were seen before the last kill.
    settled: usize,
    /// URLs of orders whose answer was on its way at a kill.
    lost: HashSet<String>,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { validity: 16, ..Settings::on(home.http, home.https) });
        let witness = Witness::before(&pebble);
        let scene = Self { home, pebble, witness, echo, settled: 0, lost: HashSet::new() };
        scene.configure(30);
        scene
    }

    /// Lets every site get its first certificate. The end is a kill, too: the first renewals are on their way.
    fn issue(&mut self) {
        let portvakt = self.home.start();
        for name in SITES {
            self.home.wait_certificate(name, "issued", PATIENCE);
        }
        drop(portvakt);
        self.assert_sound();
        self.assert_accounted();
    }

    /// With a setting that a reload takes over.
    fn configure(&self, drain: u32) {
        let url = self.echo.url();
        let sites = SITES.map(|name| format!("[[site]]\ndomain = \"{name}\"\nupstream = \"{url}\"\n"));
        let acme = self.witness.acme_section();
        self.home.configure(&format!("drain = \"{drain}s\"\n"), &format!("{acme}{}", sites.concat()));
    }

    /// Leaves of every stored generation, by site.
    fn stored(&self) -> Vec<HashSet<Vec<u8>>> {
        SITES.iter().map(|name| self.leaves(name)).collect()
    }

    /// Leaves of the generations that are whole; what is being written, or was not finished, is none.
    fn leaves(&self, name: &str) -> HashSet<Vec<u8>> {
        let generations = self.store().generations(name).expect("it reads");
        let chains = generations.into_iter().filter_map(|generation| Some(generation.content.ok()?.0));
        chains.map(|chain| chain.certificates().first().expect("a chain has a leaf").to_vec()).collect()
    }

    fn store(&self) -> Store {
        Store::open(&self.home.state()).expect("the store opens")
    }

    /// Whoever had a certificate in the store serves one of the store's from the first handshake on.
    fn assert_served(&self, good: &[HashSet<Vec<u8>>]) {
        for (name, before) in SITES.iter().zip(good).filter(|(_, before)| !before.is_empty()) {
            let der = served(self.home.https, name).expect("a certificate is served").to_vec();
            assert!(
                before.contains(&der) || self.leaves(name).contains(&der),
                "{name}: what is served is in no generation"
            );
        }
    }

    fn assert_sound(&self) {
        let store = self.store();
        for name in SITES {
            let was_saved = self.home.state().join("certs").join(name).join("current").exists();
            let stored = store.load_identity(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(stored.is_some() || !was_saved, "{name}: nothing reads");
        }
        assert!(self.pebble.accounts() <= 1, "{} accounts", self.pebble.accounts());
    }

    /// What became of each order is known, and only the last of a site may still be open or lost.
    fn assert_accounted(&mut self) {
        let store = self.store();
        let orders = self.witness.orders(&self.pebble);
        let stored: HashMap<&str, HashSet<Vec<u8>>> = SITES.into_iter().zip(self.stored()).collect();
        for (at, order) in orders.iter().enumerate() {
            let is_last = orders[at + 1..].iter().all(|later| later.name != order.name);
            let is_kept = order.leaf.as_ref().is_some_and(|leaf| stored[order.name.as_str()].contains(leaf));
            let is_open =
                || store.load_orders(&order.name).expect("it reads").iter().any(|open| open.order == order.url);
            if is_kept || order.is_over || self.lost.contains(&order.url) || (is_last && is_open()) {
                continue;
            }
            let was_on_its_way = at >= self.settled && is_last && !order.is_continued;
            assert!(was_on_its_way, "forgotten: {order:?}\nof {orders:?}");
            self.lost.insert(order.url.clone());
        }
        self.settled = orders.len();
    }

    fn tell(&self, kills: usize) {
        eprintln!("{kills} kills: {} orders, {} answers lost on their way", self.settled, self.lost.len());
    }
}

const SITES: [&str; 6] = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"];
