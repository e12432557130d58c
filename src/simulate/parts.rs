//! What a keeper works with in the simulated world.
//!
//! [`SimulatedParts::obtain`] takes the steps of the ACME source one by one: account, stored or new order, validation,
//! finalize, download. Each is a request that can fail or come too late, and a point at which the process can die.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::ca::{Ca, Client, Issued, Names, Refusal, Status};
use super::executor::{Millis, Timeline};
use super::faults::{LONGEST_ANSWER, PATIENCE};
use super::world::{Disk, Identity, Shared, Stored, World, locked};
use crate::lifecycle::{Event, Failure, InfoAnswer, Reason, Record, Retry, Validity};
use crate::manager::NotSeen;
use crate::manager::parts::{Leaf, Parts};
use crate::source::{AcmeSettings, Order, Settings};
use crate::store::{self, Meta, StoreError};
use crate::time::{Compared, Timestamp};

/// The world, as the keeper of one certificate in one process sees it.
pub(super) struct SimulatedParts {
    pub(super) world: Shared,
    pub(super) timeline: Timeline,
    pub(super) site: usize,
    pub(super) machine: usize,
    /// Which of several processes on one state directory.
    pub(super) process: usize,
    /// What the last answer of a CA has said of the machine's clock.
    pub(super) compared: Mutex<Option<Compared>>,
}

impl Leaf for Identity {
    fn validity(&self) -> Validity {
        let never = Validity { not_before: Timestamp::from_unix(0), not_after: Timestamp::from_unix(0) };
        self.issued.map_or(never, |issued| issued.validity)
    }

    fn serial(&self) -> String {
        self.issued.map_or_else(String::new, |issued| format!("{:x}", issued.serial))
    }

    fn covers(&self, _identifier: &str) -> bool {
        self.issued.is_some()
    }
}

/// Held by whoever may order.
pub(super) struct Guard {
    world: Shared,
    site: usize,
    lock: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        locked(&self.world).disks[self.site].unlock(self.lock);
    }
}

#[async_trait]
impl Parts for SimulatedParts {
    type Identity = Identity;
    type Guard = Guard;
    type Chance = SmallRng;

    fn now(&self) -> Timestamp {
        locked(&self.world).clock(self.machine, self.timeline.now())
    }

    async fn sleep_until(&self, until: Timestamp) {
        let span = until.since(self.now()).as_secs().min(LONGEST_SLEEP);
        self.timeline.sleep(Millis::try_from(span).unwrap_or(0) * 1_000).await;
    }

    fn ahead(&self) -> Option<i64> {
        let compared = *self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared?.ahead(self.now(), self.steady())
    }

    async fn ask_time(&self, _settings: &Settings, ca: usize) {
        let ca = locked(&self.world).sites[self.site].cas[ca];
        // Its time is noted with the answer.
        let _ = self.ask(ca, |at, client, _, now, rng| at.directory(client, now, rng)).await;
    }

    fn chance(&self) -> SmallRng {
        SmallRng::from_rng(&mut locked(&self.world).rng)
    }

    async fn lock(&self, _name: &str) -> Result<Option<Guard>, StoreError> {
        self.step().await;
        // A lock needs no room on the disk.
        let lock = locked(&self.world).disks[self.site].lock();
        Ok(lock.map(|lock| Guard { world: Arc::clone(&self.world), site: self.site, lock }))
    }

    async fn load_identity(&self, _name: &str) -> Result<Option<store::Stored<Identity>>, StoreError> {
        self.step().await;
        let world = locked(&self.world);
        Ok(world.disks[self.site].load().map(|(generation, identity, meta)| store::Stored {
            generation,
            identity,
            meta: meta.clone(),
            fallback: None,
            unpointed: None,
        }))
    }

    async fn save_identity(&self, _name: &str, identity: &Identity, meta: &Meta) -> Result<u64, StoreError> {
        let (identity, meta) = (*identity, meta.clone());
        self.write(|disk| disk.save(identity, meta)).await
    }

    async fn load_generation(&self, _name: &str, generation: u64) -> Result<(Identity, Meta), StoreError> {
        self.step().await;
        let world = locked(&self.world);
        let found = world.disks[self.site].generation(generation);
        found.ok_or_else(|| StoreError::NoneReadable { name: self.site.to_string(), reasons: "it is gone".to_owned() })
    }

    async fn point_to(&self, _name: &str, generation: u64) -> Result<(), StoreError> {
        self.write(|disk| disk.point_to(generation)).await
    }

    async fn mend_pointer(&self, _name: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn load_record(&self, _name: &str) -> Result<Option<Record>, StoreError> {
        self.step().await;
        Ok(locked(&self.world).disks[self.site].record.clone())
    }

    async fn save_record(&self, _name: &str, record: &Record) -> Result<(), StoreError> {
        let record = record.clone();
        self.write(|disk| disk.record = Some(record)).await
    }

    async fn open_order(&self, _name: &str, _ca: Option<&str>) -> Result<Option<Timestamp>, StoreError> {
        self.step().await;
        Ok(locked(&self.world).disks[self.site].order.map(|order| order.created))
    }

    async fn clear_orders(&self, _name: &str) -> Result<(), StoreError> {
        self.write(|disk| disk.order = None).await
    }

    async fn obtain(
        &self,
        _settings: &Settings,
        ca: usize,
        _order: &Order,
        replaces: Option<&Identity>,
    ) -> Result<Identity, Failure> {
        let ca = locked(&self.world).sites[self.site].cas[ca];
        let replaces = replaces.and_then(|identity| identity.issued).map(|issued| issued.serial);
        let now = self.timeline.now();
        locked(&self.world).judge.attempt_begins(self.site, self.process, ca, now);
        let outcome = self.order_and_fetch(ca, replaces).await;
        let (now, clock) = (self.timeline.now(), self.now());
        let outcome = outcome.map_err(|trouble| trouble.failure(now, clock));
        locked(&self.world).judge.attempt_ended(self.site, self.process, outcome.as_ref().err(), now, clock);
        outcome.map(|issued| Identity { ca, issued: Some(issued) })
    }

    async fn renewal_info(&self, _ca: &AcmeSettings, identity: &Identity) -> InfoAnswer {
        let Identity { ca, issued: Some(issued) } = *identity else { return InfoAnswer::NotOffered };
        let asked = |at: &mut Ca, client, names, now, rng: &mut SmallRng| {
            at.renewal_info(client, names, issued.serial, now, rng)
        };
        locked(&self.world).judge.info_asked(self.site);
        match self.ask(ca, asked).await {
            Ok((window, ask_again)) => InfoAnswer::Window { window, ask_again: Some(self.now() + ask_again) },
            Err(trouble) => {
                InfoAnswer::Failed { temporary: trouble.is_temporary(), ask_again: None, detail: trouble.detail() }
            }
        }
    }

    fn placeholder(&self, _identifiers: &[String]) -> Option<Identity> {
        Some(Identity { ca: 0, issued: None })
    }

    fn publish(&self, _certificate: &str, identity: &Identity, _placeholder: bool) {
        let now = self.timeline.now();
        locked(&self.world).judge.served(self.site, self.process, *identity, now);
    }

    async fn seen(&self, _certificate: &str, _identity: &Identity) -> Result<(), NotSeen> {
        self.step().await;
        Ok(())
    }

    fn event(&self, _certificate: &str, event: &Event) {
        let now = self.timeline.now();
        let mut world = locked(&self.world);
        world.judge.told(self.site, self.process, event, now);
        if let Some(diary) = &mut world.diary {
            diary.push((now, self.site, event.clone()));
        }
    }
}

impl SimulatedParts {
    async fn order_and_fetch(&self, ca: usize, replaces: Option<u64>) -> Result<Issued, Trouble> {
        let deadline = self.timeline.now() + ORDER_DEADLINE;
        self.ask(ca, |at, client, _, now, rng| at.register(client, now, rng)).await?;
        let stored = locked(&self.world).disks[self.site].order.filter(|order| order.ca == ca);
        let mut status = match stored {
            Some(stored) => self.resume(ca, stored).await?,
            None => None,
        };
        let is_resumed = status.is_some();
        if status.is_none() {
            status = Some(self.place(ca, replaces).await?);
        }
        loop {
            if self.timeline.now() > deadline {
                return Err(Trouble::TooLate);
            }
            match status.unwrap_or(Status::Invalid) {
                Status::Pending => status = Some(self.validate(ca).await?),
                Status::Ready => {
                    let lifetime =
                        locked(&self.world).sites[self.site].lifetime.at(super::ca::seconds(self.timeline.now()));
                    self.ask(ca, move |at, client, names, now, rng| at.finalize(client, names, lifetime, now, rng))
                        .await?;
                    status = Some(Status::Valid);
                }
                Status::Valid => match self.download(ca).await {
                    // Issued so long ago that it has run out while it could not be fetched.
                    Err(Trouble::RanOut) if is_resumed => status = Some(self.place(ca, replaces).await?),
                    outcome => return outcome,
                },
                Status::Invalid => {
                    self.clear().await?;
                    return Err(Trouble::Invalid(None));
                }
            }
        }
    }

    /// The state of the stored order; `None` when it can be used no more.
    async fn resume(&self, ca: usize, stored: Stored) -> Result<Option<Status>, Trouble> {
        match self.ask(ca, move |at, client, names, now, rng| at.look(client, names, stored.id, now, rng)).await {
            Ok(Status::Invalid) | Err(Trouble::Refused(Refusal::Gone)) => {
                self.clear().await?;
                Ok(None)
            }
            Ok(status) => Ok(Some(status)),
            Err(trouble) => Err(trouble),
        }
    }

    async fn place(&self, ca: usize, replaces: Option<u64>) -> Result<Status, Trouble> {
        let place = |replaces| {
            move |at: &mut Ca, client, names, now, rng: &mut SmallRng| at.order(client, names, replaces, now, rng)
        };
        let placed = match self.ask(ca, place(replaces)).await {
            Err(Trouble::Refused(Refusal::AlreadyReplaced | Refusal::Gone)) => self.ask(ca, place(None)).await,
            other => other,
        };
        let id = placed?;
        let order = Stored { ca, id, created: self.now() };
        locked(&self.world).judge.ordered(self.site, self.timeline.now());
        self.write(|disk| disk.order = Some(order)).await.map_err(Trouble::Store)?;
        self.ask(ca, move |at, client, names, now, rng| at.look(client, names, id, now, rng)).await
    }

    /// Answers the challenge, and waits for what the CA has seen.
    async fn validate(&self, ca: usize) -> Result<Status, Trouble> {
        let wait = locked(&self.world).rng.random_range(2_000..15_000);
        self.timeline.sleep(wait).await;
        let failure = locked(&self.world).machines[self.machine].condition.validation;
        let seen =
            self.ask(ca, move |at, client, names, now, rng| at.validated(client, names, failure, now, rng)).await?;
        if seen == Status::Invalid {
            self.clear().await?;
            return Err(Trouble::Invalid(failure));
        }
        Ok(seen)
    }

    async fn download(&self, ca: usize) -> Result<Issued, Trouble> {
        let issued = self.ask(ca, |at, client, names, now, rng| at.download(client, names, now, rng)).await?;
        let has_run_out = issued.validity.not_after <= super::ca::seconds(self.timeline.now());
        if issued.is_sound && !has_run_out {
            return Ok(issued);
        }
        self.clear().await?;
        Err(if has_run_out { Trouble::RanOut } else { Trouble::Unusable })
    }

    async fn clear(&self) -> Result<(), Trouble> {
        self.write(|disk| disk.order = None).await.map_err(Trouble::Store)
    }

    /// One request. It takes its time, and what comes too late may have been done all the same.
    async fn ask<T>(
        &self,
        ca: usize,
        request: impl FnOnce(&mut Ca, Client, Names, Millis, &mut SmallRng) -> Result<T, Refusal>,
    ) -> Result<T, Trouble> {
        self.step().await;
        let (is_offline, latency) = {
            let mut world = locked(&self.world);
            let latency = world.rng.random_range(100..LONGEST_ANSWER) + world.cas[ca].weather.slow;
            (world.machines[self.machine].condition.offline, latency)
        };
        if is_offline {
            self.timeline.sleep(CONNECT).await;
            return Err(Trouble::Refused(Refusal::Away));
        }
        self.timeline.sleep(latency.min(PATIENCE)).await;
        let (now, mut world) = (self.timeline.now(), locked(&self.world));
        let (client, names) = (world.client(self.site), world.sites[self.site].names);
        let World { cas, rng, judge, .. } = &mut *world;
        let answer = request(&mut cas[ca], client, names, now, rng);
        judge.requested(self.site);
        if let Err(Refusal::Limited(limit, until)) = answer {
            judge.limit_reached(self.site, ca, limit, until, now);
        }
        drop(world);
        if latency >= PATIENCE {
            return Err(Trouble::TooLate);
        }
        if !matches!(answer, Err(Refusal::Away)) {
            self.compare(now);
        }
        answer.map_err(Trouble::Refused)
    }

    /// An answer has come, with its date.
    fn compare(&self, now: Millis) {
        let ours = self.now();
        let ahead = ours.as_unix() - super::ca::seconds(now).as_unix();
        let compared = Compared::new(ahead, ours, self.steady());
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some(compared);
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.timeline.now()).unwrap_or(0))
    }

    async fn write<T>(&self, write: impl FnOnce(&mut Disk) -> T + Send) -> Result<T, StoreError> {
        self.step().await;
        locked(&self.world).write(self.site, write)
    }

    /// A point at which the process can die.
    async fn step(&self) {
        let dies = {
            let mut world = locked(&self.world);
            let machine = &mut world.machines[self.machine];
            let dies = machine.steps_left == Some(0);
            machine.steps_left = machine.steps_left.map(|left| left.saturating_sub(1));
            if dies {
                world.deaths.push(self.machine);
            }
            dies
        };
        if dies {
            std::future::pending::<()>().await;
        }
    }
}

/// Why a request or an order came to nothing, as the ACME source would see it.
enum Trouble {
    Refused(Refusal),
    TooLate,
    /// The order, by a failed validation perhaps.
    Invalid(Option<Reason>),
    Unusable,
    /// What was issued has ended before it could be fetched.
    RanOut,
    Store(StoreError),
}

impl Trouble {
    /// `clock` is what our own clock shows at `now`.
    fn failure(self, now: Millis, clock: Timestamp) -> Failure {
        // Delay in seconds, as most CAs send it, which no clock need be right for.
        let back_at =
            |at: &Millis| Retry::At(clock + Duration::from_millis(u64::try_from(at - now + 999).unwrap_or(0)));
        let (reason, retry) = match &self {
            Self::Refused(Refusal::Away) => (Reason::Network, Retry::Backoff),
            Self::Refused(Refusal::Busy(429, at)) => (Reason::RateLimited, at.as_ref().map_or(Retry::Backoff, back_at)),
            Self::Refused(Refusal::Busy(_, at)) => (Reason::Server, at.as_ref().map_or(Retry::Backoff, back_at)),
            Self::Refused(Refusal::Limited(_, at)) => (Reason::RateLimited, back_at(at)),
            Self::Refused(Refusal::AlreadyReplaced | Refusal::Gone) => (Reason::Server, Retry::Backoff),
            Self::TooLate => (Reason::Timeout, Retry::Backoff),
            Self::Invalid(reason) => (reason.unwrap_or(Reason::OrderNotReady), Retry::Backoff),
            Self::Unusable | Self::RanOut => (Reason::Unusable, Retry::Backoff),
            Self::Store(_) => (Reason::Storage, Retry::Backoff),
        };
        Failure { reason, retry, detail: self.detail(), fix: None }
    }

    fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(Refusal::Busy(status, _)) => *status >= 500,
            Self::TooLate => true,
            Self::Refused(_) | Self::Invalid(_) | Self::Unusable | Self::RanOut | Self::Store(_) => false,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Refused(Refusal::Away) => "the CA cannot be reached".to_owned(),
            Self::Refused(Refusal::Busy(status, _)) => format!("the CA answers {status}"),
            Self::Refused(Refusal::Limited(limit, _)) => format!("a limit is reached: {}", limit.in_words()),
            Self::Refused(Refusal::AlreadyReplaced) => "already replaced".to_owned(),
            Self::Refused(Refusal::Gone) => "the CA does not know it".to_owned(),
            Self::TooLate => "the CA did not answer in time".to_owned(),
            Self::Invalid(Some(reason)) => format!("validation failed: {}", reason.as_str()),
            Self::Invalid(None) => "the order is invalid".to_owned(),
            Self::Unusable => "the issued certificate cannot be used".to_owned(),
            Self::RanOut => "the issued certificate has run out".to_owned(),
            Self::Store(error) => error.to_string(),
        }
    }
}

/// As the system clock's.
const LONGEST_SLEEP: u64 = 3_600;
const CONNECT: Millis = 10_000;
const ORDER_DEADLINE: Millis = 600_000;
