//! The carrier of certificates: one task for each.
//!
//! In: [`CertificateSettings`]. Out: identities, to whoever implements [`Publish`]; events, to whoever implements
//! [`Observe`]; statuses, to whoever asks. A task asks `lifecycle` what to do, calls a `source`, fills `store`
//! and publishes. May import all rooms below it.
//!
//! Promises: after [`Manager::apply`] every certificate has something to serve, though no CA was called: the stored
//! certificate, else a placeholder, loudly. What is not changed by `apply` is left alone, its order in flight too. No
//! order is placed unless its attempt is on the disk, and a CA is asked for nothing but the time before; no certificate is
//! ordered by two processes that share a state directory. A new identity is served even when the disk refuses it, and then
//! kept as soon as the disk takes it, without another order.

mod asked;
pub mod client;
mod files;
pub(crate) mod keeper;
mod observe;
pub(crate) mod parts;
mod rest;
mod wish;

pub use asked::{host, issuer};
pub use observe::{Observe, log};
pub use parts::NotSeen;
pub use rest::{at_rest, go_back_at_rest};
pub use wish::{Refused, Told, Wanted};

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::{Notify, RwLock, RwLockReadGuard, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::challenge::Challenges;
use crate::lifecycle::{LastFailure, Lifecycle, Served, Status, Validity};
use crate::pki::{CertificateChain, Identity, LeafFacts};
use crate::source::files::FilesSource;
use crate::source::{CertificateSettings, Settings, Unbroken, acme};
use crate::store::Store;
use crate::time::{Clock, Timestamp};
use files::FilesKeeper;
use keeper::Keeper;
use parts::Leaf;
use wish::Wish;

/// Takes identities to where handshakes find them.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Serves `identity` for the certificate of this name from now on.
    ///
    /// `placeholder`: nobody will trust it. Called again for a name it replaces the identity whole.
    fn publish(&self, certificate: &str, identity: &Identity, placeholder: bool);

    /// Whether handshakes on our own listeners get `identity` for the certificate of this name now.
    ///
    /// # Errors
    ///
    /// [`NotSeen`], which says whether that is certain: only then may the certificate before come back.
    async fn seen(&self, _certificate: &str, _identity: &Identity) -> Result<(), NotSeen> {
        Ok(())
    }
}

/// What a [`Manager`] works with.
pub struct ManagerParts {
    /// Keeps identities, orders and accounts.
    pub store: Store,
    /// Answers CAs.
    pub challenges: Challenges,
    /// Connections to CAs.
    pub clients: acme::Clients,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gets identities.
    pub publisher: Arc<dyn Publish>,
    /// Gets events.
    pub observer: Arc<dyn Observe>,
}

/// Keeps every certificate issued, renewed and served.
///
/// To be used in a tokio runtime, where its tasks run. They end when it is dropped.
pub struct Manager {
    parts: Arc<ManagerParts>,
    tasks: tokio::sync::Mutex<HashMap<String, Task>>,
    shown: std::sync::RwLock<Vec<Shown>>,
    gate: Gate,
}

/// Open while certificates may be ordered, by so many at a time.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    open: Arc<RwLock<()>>,
    turns: Arc<Semaphore>,
}

impl Gate {
    /// Waits until an order may begin; it may last while this is held.
    async fn turn(&self) -> Turn<'_> {
        // Nobody closes it.
        let turn = self.turns.acquire().await.ok();
        Turn { _turn: turn, _open: self.open.read().await }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: Arc::default(), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

struct Turn<'a> {
    _turn: Option<SemaphorePermit<'a>>,
    _open: RwLockReadGuard<'a, ()>,
}

/// Orders that run at once: a thousand sites that start without certificates are no flood for a CA, and some that hang
/// until their deadline do not hold up the others.
const AT_A_TIME: usize = 32;

/// How a task is woken from outside, and what it must not be ended in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reins {
    unbroken: Unbroken,
    nudge: Arc<Notify>,
}

impl Reins {
    /// Waits until somebody wants the task to look what has changed.
    async fn nudged(&self) {
        self.nudge.notified().await;
    }
}

/// While it lives nothing is ordered or renewed.
#[must_use = "it ends when this drops"]
#[derive(Debug)]
pub struct Pause {
    _closed: tokio::sync::OwnedRwLockWriteGuard<()>,
}

impl Manager {
    /// A manager of nothing yet.
    pub fn new(parts: ManagerParts) -> Self {
        Self {
            parts: Arc::new(parts),
            tasks: tokio::sync::Mutex::default(),
            shown: std::sync::RwLock::default(),
            gate: Gate::default(),
        }
    }

    /// Takes over the settings of all certificates: begins the new, ends the removed, begins the changed anew.
    ///
    /// Returns when each new or changed one is published: stored certificate, file, fresh from the internal CA, what was read
    /// from files before the settings changed, or placeholder. A CA is waited for only where it has just been sent an order that is to be given up: as long as its answer
    /// takes, so that the order is known. Files whose settings stay are read again when they have changed, and the state
    /// directory too.
    pub async fn apply(&self, wanted: Vec<CertificateSettings>) {
        let mut tasks = self.tasks.lock().await;
        let ended: Vec<String> =
            tasks.iter().filter(|(_, task)| !wanted.contains(&task.settings)).map(|(name, _)| name.clone()).collect();
        let ended: Vec<Task> = ended.into_iter().filter_map(|name| tasks.remove(&name)).collect();
        let mut from_files: HashMap<String, Identity> = ended.iter().filter_map(Task::read_from_files).collect();
        end_all(ended).await;
        let mut shown = Vec::with_capacity(wanted.len());
        for settings in wanted {
            let task = match tasks.remove(&settings.name) {
                Some(task) => {
                    task.look().await;
                    task
                }
                None => {
                    let meanwhile = from_files.remove(&settings.name);
                    Task::begin(self.parts.clone(), settings, self.gate.clone(), meanwhile).await
                }
            };
            shown.push(Shown { settings: task.settings.clone(), slot: task.slot.clone() });
            tasks.insert(task.settings.name.clone(), task);
        }
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// Lets what is being ordered come to its end, and nothing more begin; the internal CA's first certificates excepted.
    pub async fn pause(&self) -> Pause {
        Pause { _closed: self.gate.open.clone().write_owned().await }
    }

    /// Ends every task. What it published is served on; an order in flight is gone on with by whoever opens the store next.
    pub async fn end(&self) {
        let tasks: Vec<_> = self.tasks.lock().await.drain().map(|(_, task)| task).collect();
        end_all(tasks).await;
    }

    /// Carries out what an operator asks of a certificate, and tells what came of it; a CA may take minutes.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it cannot be done, or not now; what is served is as before then.
    pub async fn ask(&self, certificate: &str, wanted: Wanted) -> Told {
        let (asker, told) = oneshot::channel();
        let wishes = self.tasks.lock().await.get(certificate).map(|task| task.wishes.clone());
        let Some(wishes) = wishes else {
            let fix = "ask with the configuration that the process runs with";
            return Err(Refused::new(
                format!("the process knows no certificate `{certificate}`"),
                "its site is not there",
                fix,
            ));
        };
        let Some(wishes) = wishes else {
            let fix = "put another certificate into its files: they are followed";
            return Err(Refused::new(
                "nothing was asked for",
                "the certificate lies in files, which portvakt only reads",
                fix,
            ));
        };
        let gone =
            || Refused::new("it is not known what came of it", "the configuration has changed meanwhile", "ask again");
        let (begun, begins) = oneshot::channel();
        match wishes.try_send(Wish { what: wanted, begun, asker }) {
            Ok(()) => match tokio::time::timeout(PATIENCE, begins).await {
                Ok(Ok(())) => told.await.unwrap_or_else(|_| Err(gone())),
                Ok(Err(_)) => Err(gone()),
                Err(_elapsed) => Err(self.too_busy(certificate)),
            },
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refused::new(
                "nothing was begun",
                "somebody else has asked for something just now",
                "ask again later",
            )),
        }
    }

    fn too_busy(&self, certificate: &str) -> Refused {
        let status = self.statuses().into_iter().find(|status| status.name == certificate);
        let why = status.map_or_else(|| "the certificate is gone".to_owned(), |status| status.life.next.why);
        Refused::new("nothing was begun", why, "see what comes of it with `portvakt cert show`, or ask again later")
    }

    /// How every certificate is, in the order of the settings.
    pub fn statuses(&self) -> Vec<CertificateStatus> {
        let now = self.parts.clock.now();
        let by_cas = now.shifted(-self.parts.clients.ahead(now).unwrap_or(0));
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.iter().map(|shown| shown.status(if shown.goes_by_cas() { by_cas } else { now })).collect()
    }
}

/// How one certificate is.
#[derive(Clone, Debug)]
pub struct CertificateStatus {
    /// The site's name.
    pub name: String,
    /// What it is to be issued to.
    pub identifiers: Vec<String>,
    /// `acme`, `internal` or `files`.
    pub source: &'static str,
    /// Who has issued it, or is to: the ACME directory's host, `internal`, or the chain's path.
    pub issuer: String,
    /// The profile that is set for the ACME CA that has issued it.
    pub profile: Option<String>,
    /// Its life.
    pub life: Status,
    /// What is served, a placeholder too; `None` when nothing is.
    pub leaf: Option<LeafFacts>,
    /// All of it.
    pub chain: Option<CertificateChain>,
    /// The earliest end in the chain served.
    pub chain_not_after: Option<Timestamp>,
    /// Identifiers that the certificate served is not issued to.
    pub uncovered: Vec<String>,
    /// Whether what is served lies whole in the store, where it should; `None` for what is not kept there.
    pub stored: Option<bool>,
}

struct Task {
    settings: CertificateSettings,
    slot: Slot,
    handle: JoinHandle<()>,
    /// Asks for a look at the files; `None` for what does not lie in files.
    ask: Option<mpsc::Sender<oneshot::Sender<()>>>,
    /// Takes wishes; `None` for what lies in files.
    wishes: Option<mpsc::Sender<Wish>>,
    reins: Reins,
}

impl Task {
    /// `meanwhile` is served until there is one of the settings' source.
    async fn begin(
        parts: Arc<ManagerParts>,
        settings: CertificateSettings,
        gate: Gate,
        meanwhile: Option<Identity>,
    ) -> Self {
        let slot = Slot::new(ArcSwap::from_pointee(Snapshot::default()));
        let reins = Reins::default();
        let (handle, ask, wishes) = match &settings.source {
            Settings::Acme(_) | Settings::Internal => {
                let (wishes, wished) = mpsc::channel(1);
                let keeper = Keeper::begin(parts, settings.clone(), slot.clone(), meanwhile).await;
                let keeper = keeper.heeding(wished, reins.clone());
                (tokio::spawn(keeper.run(gate)), None, Some(wishes))
            }
            Settings::Files(files) => {
                let source = FilesSource::new(files.clone());
                let keeper = FilesKeeper::begin(parts, &settings, source, slot.clone()).await;
                let (ask, asked) = mpsc::channel(1);
                (tokio::spawn(keeper.run(asked)), Some(ask), None)
            }
        };
        Self { settings, slot, handle, ask, wishes, reins }
    }

    /// What it serves from files, by its name.
    fn read_from_files(&self) -> Option<(String, Identity)> {
        let snapshot = self.slot.load();
        let is_from_files = matches!(snapshot.life, Life::Files { served: Served::Certificate(_), .. });
        snapshot.identity.clone().filter(|_| is_from_files).map(|identity| (self.settings.name.clone(), identity))
    }

    /// Has the files looked at now, and waits for it; the state directory soon.
    async fn look(&self) {
        let Some(ask) = &self.ask else { return self.reins.nudge.notify_one() };
        let (done, over) = oneshot::channel();
        if ask.send(done).await.is_ok() {
            // A task that died is told of when it is ended.
            let _ = over.await;
        }
    }

    /// Ends it, and waits until it has let go of its lock. What must not be broken off is waited for as long as that can take.
    async fn end(mut self) {
        if self.reins.unbroken.is_held() {
            tracing::info!(
                certificate = self.settings.name,
                "an order is on its way: waiting for the CA's answer to it"
            );
        }
        let _whole = tokio::time::timeout(LONGEST_UNBROKEN, self.reins.unbroken.hold()).await;
        self.handle.abort();
        if let Err(error) = (&mut self.handle).await
            && error.is_panic()
        {
            tracing::error!(certificate = self.settings.name, %error, "the task of a certificate had died");
        }
    }
}

/// Ends them all at a time.
async fn end_all(tasks: Vec<Task>) {
    let mut ends: JoinSet<()> = tasks.into_iter().map(Task::end).collect();
    while ends.join_next().await.is_some() {}
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

struct Shown {
    settings: CertificateSettings,
    slot: Slot,
}

impl Shown {
    /// As [`Keeper`] has the time.
    fn goes_by_cas(&self) -> bool {
        matches!(&self.slot.load().life, Life::Issued { life, .. } if life.goes_by_cas())
    }

    fn status(&self, now: Timestamp) -> CertificateStatus {
        let snapshot = self.slot.load();
        let chain = snapshot.identity.as_ref().map(Identity::chain);
        CertificateStatus {
            name: self.settings.name.clone(),
            identifiers: self.settings.identifiers.clone(),
            source: asked::source_name(&self.settings.source),
            issuer: snapshot.issued_by.as_deref().map_or_else(|| asked::issuer(&self.settings.source), asked::host),
            profile: asked::profile(&self.settings.source, snapshot.issued_by.as_deref()),
            life: snapshot.life.status(now),
            leaf: chain.map(|chain| chain.leaf().clone()),
            chain: chain.cloned(),
            chain_not_after: chain.map(|chain| chain.not_after()),
            stored: snapshot.life.stored(),
            uncovered: snapshot.identity.as_ref().map_or_else(Vec::new, |i| uncovered(i, &self.settings.identifiers)),
        }
    }
}

/// Where a task shows what it has.
pub(crate) type Slot<I = Identity> = Arc<ArcSwap<Snapshot<I>>>;

/// What a task has.
pub(crate) struct Snapshot<I = Identity> {
    pub(crate) life: Life,
    pub(crate) identity: Option<I>,
    /// Directory of the ACME CA that has issued it.
    pub(crate) issued_by: Option<String>,
}

impl<I> Default for Snapshot<I> {
    fn default() -> Self {
        Self { life: Life::default(), identity: None, issued_by: None }
    }
}

/// How a certificate came to be what it is.
pub(crate) enum Life {
    /// By its source.
    Issued {
        life: Box<Lifecycle>,
        /// Why the certificate served is not in the store, or not the one that should be.
        unsaved: Option<LastFailure>,
    },
    /// By somebody who writes files.
    Files { served: Served, last_failure: Option<LastFailure> },
}

impl Life {
    pub(crate) fn status(&self, now: Timestamp) -> Status {
        match self {
            Self::Issued { life, unsaved } => {
                let status = life.status(now);
                Status { last_failure: status.last_failure.or_else(|| unsaved.clone()), ..status }
            }
            Self::Files { served, last_failure } => Status::of_files(*served, last_failure.clone(), now),
        }
    }
}

impl Life {
    fn stored(&self) -> Option<bool> {
        match self {
            Self::Issued { life, unsaved } => life.served().validity().map(|_| unsaved.is_none()),
            Self::Files { .. } => None,
        }
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::Files { served: Served::Nothing, last_failure: None }
    }
}

/// A self-signed identity, so that a handshake gets an answer that says what is wrong.
fn placeholder(identifiers: &[String], now: Timestamp) -> Option<Identity> {
    match Identity::self_signed(identifiers, now - PLACEHOLDER_LIFE, now + PLACEHOLDER_LIFE) {
        Ok(identity) => Some(identity),
        Err(error) => {
            tracing::error!(%error, "no placeholder can be made");
            None
        }
    }
}

fn validity(identity: &impl Leaf) -> Validity {
    identity.validity()
}

fn uncovered(identity: &impl Leaf, identifiers: &[String]) -> Vec<String> {
    identifiers.iter().filter(|name| !identity.covers(name)).cloned().collect()
}

/// How long an operator waits until his wish is taken up.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// An order that is sent, refused, and sent anew, each up to a request's limit, and the disk.
const LONGEST_UNBROKEN: std::time::Duration = std::time::Duration::from_secs(90);
const PLACEHOLDER_LIFE: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);
