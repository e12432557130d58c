//! The world that keepers live in: machines, disks, CAs, and a judge who sees all of it.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::ca::{Ca, Client, Issued, Names, OrderId, seconds};
use super::executor::Millis;
use super::faults::{Condition, Fault, What};
use super::judge::Judge;
use crate::lifecycle::{Event, Record};
use crate::source::CertificateSettings;
use crate::store::{Meta, StoreError};
use crate::time::Timestamp;

/// One certificate that is kept.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// What the keeper is told.
    pub(super) settings: CertificateSettings,
    /// What the CA gives for its profile.
    pub(super) lifetime: Lifetime,
    /// Where it is kept.
    pub(super) machine: usize,
    /// What it is issued to.
    pub(super) names: Names,
    /// The CAs that may be asked, in their order.
    pub(super) cas: Vec<usize>,
    /// What is there at the beginning.
    pub(super) found: Option<Found>,
}

/// How long certificates are valid.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lifetime {
    /// As long.
    Fixed(Duration),
    /// As Let's Encrypt has announced it for the profile `classic`.
    Classic,
}

impl Lifetime {
    /// Of a certificate that is issued now.
    pub(super) fn at(self, now: Timestamp) -> Duration {
        let days = match self {
            Self::Fixed(span) => return span,
            Self::Classic if now < FEBRUARY_2027 => 90,
            Self::Classic if now < FEBRUARY_2028 => 64,
            Self::Classic => 45,
        };
        Duration::from_secs(days * 86_400)
    }
}

/// What is there at the beginning.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) ca: usize,
    pub(super) issued: Issued,
    pub(super) meta: Meta,
    pub(super) record: Option<Record>,
}

/// Where processes run: one clock, one disk, one address, one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    pub(super) condition: Condition,
    /// Steps of its tasks until it dies, in a crash loop.
    pub(super) steps_left: Option<u32>,
}

/// What is kept of one certificate. Survives every death.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) record: Option<Record>,
    pub(super) order: Option<Stored>,
    generations: VecDeque<Generation>,
    pointer: u64,
    last: u64,
    /// The process that may order, and how often it has changed.
    lock: Option<u64>,
    locks: u64,
}

#[derive(Clone, Debug)]
struct Generation {
    number: u64,
    identity: Identity,
    meta: Meta,
}

/// An order that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) ca: usize,
    pub(super) id: OrderId,
    /// By the machine's clock.
    pub(super) created: Timestamp,
}

/// A certificate as a keeper has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) ca: usize,
    /// `None` is a placeholder.
    pub(super) issued: Option<Issued>,
}

impl Disk {
    /// Saves a new generation, and makes it the current one.
    pub(super) fn save(&mut self, identity: Identity, meta: Meta) -> u64 {
        self.last += 1;
        self.pointer = self.last;
        self.generations.push_back(Generation { number: self.last, identity, meta });
        if self.generations.len() > 3 {
            self.generations.pop_front();
        }
        self.last
    }

    /// The current generation.
    pub(super) fn load(&self) -> Option<(u64, Identity, &Meta)> {
        let current = self.generations.iter().find(|generation| generation.number == self.pointer)?;
        Some((current.number, current.identity, &current.meta))
    }

    /// A generation that is kept.
    pub(super) fn generation(&self, number: u64) -> Option<(Identity, Meta)> {
        let found = self.generations.iter().find(|generation| generation.number == number)?;
        Some((found.identity, found.meta.clone()))
    }

    /// Makes an earlier generation the current one.
    pub(super) fn point_to(&mut self, generation: u64) {
        self.pointer = generation;
    }

    /// Takes the right to order; `None` while somebody has it.
    pub(super) fn lock(&mut self) -> Option<u64> {
        if self.lock.is_some() {
            return None;
        }
        self.locks += 1;
        self.lock = Some(self.locks);
        self.lock
    }

    /// Gives the right up.
    pub(super) fn unlock(&mut self, lock: u64) {
        if self.lock == Some(lock) {
            self.lock = None;
        }
    }
}

/// Everything but the keepers.
pub(super) struct World {
    pub(super) sites: Vec<Site>,
    pub(super) machines: Vec<Machine>,
    pub(super) cas: Vec<Ca>,
    pub(super) disks: Vec<Disk>,
    pub(super) judge: Judge,
    pub(super) rng: SmallRng,
    /// Machines whose process is to die now.
    pub(super) deaths: Vec<usize>,
    /// What keepers have told, where somebody wants to read it.
    pub(super) diary: Option<Vec<(Millis, usize, Event)>>,
}

/// The world as tasks share it.
pub(super) type Shared = Arc<Mutex<World>>;

/// Nobody panics while holding it, and if so, the run is over.
pub(super) fn locked(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// All is well, and nothing is issued but what was found.
    pub(super) fn new(seed: u64, sites: Vec<Site>, machines: usize, cas: usize, judge: Judge) -> Self {
        let mut world = Self {
            machines: vec![Machine::default(); machines],
            cas: (0..cas).map(|_| Ca::new(sites.len())).collect(),
            disks: sites.iter().map(|_| Disk::default()).collect(),
            sites,
            judge,
            rng: SmallRng::seed_from_u64(seed),
            deaths: Vec::new(),
            diary: None,
        };
        for site in 0..world.sites.len() {
            world.find(site);
        }
        world
    }

    fn find(&mut self, site: usize) {
        let client = self.client(site);
        let Site { names, found: Some(found), .. } = &self.sites[site] else { return };
        let identity = Identity { ca: found.ca, issued: Some(found.issued) };
        self.disks[site].save(identity, found.meta.clone());
        self.disks[site].record.clone_from(&found.record);
        if let Some(ca) = self.cas.get_mut(found.ca) {
            ca.found(client, *names, found.issued);
        }
    }

    /// What the machine's clock shows.
    pub(super) fn clock(&self, machine: usize, now: Millis) -> Timestamp {
        seconds(now + self.machines[machine].condition.clock)
    }

    /// As whom a site's machine asks.
    pub(super) fn client(&self, site: usize) -> Client {
        let machine = self.sites[site].machine as u64;
        Client { account: machine, address: machine }
    }

    /// A write, which fails while the disk is full.
    pub(super) fn write<T>(&mut self, site: usize, write: impl FnOnce(&mut Disk) -> T) -> Result<T, StoreError> {
        if self.machines[self.sites[site].machine].condition.disk_full {
            let path = PathBuf::from(&self.sites[site].settings.name);
            let mend = "; free some space".to_owned();
            return Err(StoreError::Io { operation: "write", path, mend, source: io::ErrorKind::StorageFull.into() });
        }
        Ok(write(&mut self.disks[site]))
    }

    /// All that is stored on a machine is gone.
    pub(super) fn forget(&mut self, machine: usize) {
        for (site, disk) in self.sites.iter().zip(&mut self.disks) {
            if site.machine == machine {
                *disk = Disk::default();
            }
        }
    }

    /// Takes in that a fault has begun or ended; `all` are those that last.
    pub(super) fn change(&mut self, what: &What, all: &[Fault]) {
        match *what {
            What::Ca(ca, _) => self.cas[ca].weather = super::faults::Weather::of(all.iter(), ca),
            What::Machine(machine, _) => self.machines[machine].condition = Condition::of(all.iter(), machine),
        }
    }
}

/// 2027-02-10 and 2028-02-16, 00:00 UTC.
const FEBRUARY_2027: Timestamp = Timestamp::from_unix(1_802_217_600);
const FEBRUARY_2028: Timestamp = Timestamp::from_unix(1_834_272_000);
