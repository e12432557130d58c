//! `kill -9` at any moment of issuance, renewal and reload: the state directory always reads, the last good certificate
//! serves at once, one account stays one, and no order is placed but for what a lost answer costs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

use portvakt::store::Store;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::clock::Deadline;
use crate::support::pebble::Settings;
use crate::support::tls::served;
use crate::support::{Echo, Home, Pebble};

#[test]
fn given_a_dozen_kills_at_random_moments_when_started_again_then_nothing_is_lost_and_nothing_ordered_twice() {
    let killed = round(seed(), 12, Deadline::after(Duration::from_secs(60)));
    assert!(killed >= 3, "{killed} kills");
}

#[test]
#[ignore = "long: hundreds of kills, four minutes"]
fn given_hundreds_of_kills_at_random_moments_when_started_again_then_nothing_is_lost_and_nothing_ordered_twice() {
    let (seed, deadline) = (seed(), Deadline::after(Duration::from_secs(220)));
    let mut killed = 0;
    for number in 0.. {
        if killed >= 400 || deadline.passed() {
            break;
        }
        killed += round(seed.wrapping_add(number), 30, deadline);
    }
    eprintln!("{killed} kills");
    assert!(killed >= 100, "{killed} kills");
}

/// `PORTVAKT_SEED`, or another one each time; printed, so that a failure can be seen again.
fn seed() -> u64 {
    let given = env::var("PORTVAKT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("PORTVAKT_SEED={seed}");
    seed
}

/// One CA and one state directory, killed up to `kills` times; gives how often.
fn round(seed: u64, kills: usize, deadline: Deadline) -> usize {
    let (mut rng, scene) = (StdRng::seed_from_u64(seed), Scene::new());
    let mut may_be_lost = 0;
    for number in 0..kills {
        if deadline.passed() {
            return number;
        }
        let good = scene.stored();
        let mut portvakt = scene.home.start();
        scene.assert_served(&good);
        thread::sleep(Duration::from_millis(rng.random_range(0..1500)));
        if rng.random_ratio(1, 3) {
            scene.configure(rng.random_range(10..60));
            portvakt.signal("HUP");
            thread::sleep(Duration::from_millis(rng.random_range(0..200)));
        }
        portvakt.child.kill();
        may_be_lost += scene.possibly_lost();
        scene.assert_sound(may_be_lost);
    }
    kills
}

/// Several sites, each with a certificate that is renewed after seconds.
struct Scene {
    home: Home,
    pebble: Pebble,
    echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { validity: 16, ..Settings::on(home.http, home.https) });
        let scene = Self { home, pebble, echo };
        scene.configure(30);
        scene
    }

    /// With a setting that a reload takes over.
    fn configure(&self, drain: u32) {
        let url = self.echo.url();
        let sites = SITES.map(|name| format!("[[site]]\ndomain = \"{name}\"\nupstream = \"{url}\"\n"));
        let acme = self.pebble.acme_section();
        self.home.configure(&format!("drain = \"{drain}s\"\n"), &format!("{acme}{}", sites.concat()));
    }

    /// Leaves of every stored generation, by site.
    fn stored(&self) -> Vec<HashSet<Vec<u8>>> {
        SITES.iter().map(|name| self.generations(name).into_iter().filter_map(leaf).collect()).collect()
    }

    fn generations(&self, name: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.folder(name)) else { return Vec::new() };
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.state().join("certs").join(name)
    }

    /// Whoever had a certificate in the store serves one of the store's from the first handshake on.
    fn assert_served(&self, good: &[HashSet<Vec<u8>>]) {
        for (name, before) in SITES.iter().zip(good).filter(|(_, before)| !before.is_empty()) {
            let der = served(self.home.https, name).expect("a certificate is served").to_vec();
            let now: HashSet<_> = self.generations(name).into_iter().filter_map(leaf).collect();
            assert!(before.contains(&der) || now.contains(&der), "{name}: what is served is in no generation");
        }
    }

    /// Certificates whose attempt has begun without a trace of its order or of what came of it: the CA's answer may have
    /// been on its way.
    fn possibly_lost(&self) -> usize {
        let is_open = |name: &&&str| {
            let json = |file: &str| -> Option<serde_json::Value> {
                serde_json::from_slice(&fs::read(self.folder(name).join(file)).ok()?).ok()
            };
            let Some(attempt) = json("lifecycle.json").map(|record| record["attempt"].clone()) else { return false };
            !attempt.is_null() && json("order.json").is_none()
        };
        SITES.iter().filter(is_open).count()
    }

    fn assert_sound(&self, may_be_lost: usize) {
        let store = Store::open(&self.home.state()).expect("the store opens");
        let (mut kept, mut open) = (0, 0);
        for name in SITES {
            let numbers = self.generations(name).into_iter();
            let newest = numbers.filter_map(|path| path.file_name()?.to_str()?.parse::<usize>().ok()).max();
            let stored = store.load_identity(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(stored.is_some() || newest.is_none_or(|newest| newest == 1), "{name}: nothing reads");
            kept += newest.unwrap_or(0);
            open += usize::from(store.load_order(name).expect("the order reads").is_some());
        }
        let lines = self.pebble.lines();
        let invalid = lines.iter().filter(|line| line.contains("set INVALID by invalid authz")).count();
        let orders = self.pebble.orders();
        assert!(self.pebble.accounts() <= 1, "{} accounts", self.pebble.accounts());
        let most = kept + open + invalid + may_be_lost;
        assert!(
            orders <= most,
            "{orders} orders, but {kept} certificates, {open} open, {invalid} invalid, {may_be_lost} answers lost at most"
        );
    }
}

/// The first certificate of a generation; `None` while it is being written.
fn leaf(generation: PathBuf) -> Option<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    Some(CertificateDer::from_pem_file(generation.join("chain.pem")).ok()?.to_vec())
}

const SITES: [&str; 6] = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"];
