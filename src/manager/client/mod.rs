//! The carrier of client identities: one task for each, which watches its files, tries what is new and lets it take over.
//!
//! Promises: after [`ClientManager::apply`] whatever identity is in the files is in use, though no server was asked; a new
//! one takes over from one that works only when a server has accepted it; a server is asked once for each swap, and never
//! regularly.

mod keeper;
mod question;
mod status;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use self::keeper::Keeper;
use self::status::Shown;
use crate::source::ClientIdentitySettings;
use crate::time::Clock;
use crate::upstream::{self, ClientIdentities, ClientIdentity};

pub use self::question::question;
pub use self::status::{ClientStatus, LastTrial, NextAction, SlotStatus};
pub use self::words::name_shown;

/// A client identity, and the servers that it is shown to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Whose files.
    pub identity: ClientIdentitySettings,
    /// Where it is tried.
    pub upstream: upstream::Settings,
}

/// Keeps every client identity current.
///
/// To be used in a tokio runtime, where its tasks run. They end when it is dropped.
pub struct ClientManager {
    clock: Arc<dyn Clock>,
    identities: ClientIdentities,
    tasks: tokio::sync::Mutex<HashMap<String, Task>>,
    shown: RwLock<Vec<Shown>>,
}

impl ClientManager {
    /// A manager of none yet, which publishes to `identities`.
    pub fn new(clock: Arc<dyn Clock>, identities: ClientIdentities) -> Self {
        Self { clock, identities, tasks: tokio::sync::Mutex::default(), shown: RwLock::default() }
    }

    /// Takes over the settings of all client identities. Returns when what lies in their files is in use; no server is
    /// asked. Files whose settings stay are read again when they have changed.
    pub async fn apply(&self, wanted: Vec<ClientSettings>) {
        let mut tasks = self.tasks.lock().await;
        let mut shown = Vec::with_capacity(wanted.len());
        let mut kept = HashMap::new();
        for settings in wanted {
            let name = settings.identity.name.clone();
            let task = match tasks.remove(&name) {
                Some(task) if task.settings == settings => {
                    task.look().await;
                    task
                }
                before => {
                    let is_other_server =
                        before.is_none_or(|task| task.settings.upstream.peers != settings.upstream.peers);
                    let identity = self.identities.get(&name);
                    Task::begin(self.clock.clone(), settings, identity, is_other_server).await
                }
            };
            shown.push(task.shown.clone());
            kept.insert(name, task);
        }
        self.identities.retain(&kept.keys().map(String::as_str).collect::<Vec<_>>());
        *tasks = kept;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// How every client identity is, in the order of the settings.
    pub fn statuses(&self) -> Vec<ClientStatus> {
        let now = self.clock.now();
        self.shown.read().unwrap_or_else(PoisonError::into_inner).iter().map(|shown| shown.status(now)).collect()
    }
}

struct Task {
    settings: ClientSettings,
    shown: Shown,
    ask: mpsc::Sender<oneshot::Sender<()>>,
    _running: AbortOnDropHandle<()>,
}

impl Task {
    async fn begin(
        clock: Arc<dyn Clock>,
        settings: ClientSettings,
        identity: Arc<ClientIdentity>,
        is_other_server: bool,
    ) -> Self {
        let shown = Shown { settings: settings.identity.clone(), identity, slot: Arc::default() };
        let keeper = Keeper::begin(clock, settings.clone(), shown.clone(), is_other_server).await;
        let (ask, asked) = mpsc::channel(1);
        Self { settings, shown, ask, _running: AbortOnDropHandle::new(tokio::spawn(keeper.run(asked))) }
    }

    /// Has the files looked at now, and waits for it.
    async fn look(&self) {
        let (done, over) = oneshot::channel();
        if self.ask.send(done).await.is_ok() {
            // A task that died has nothing to tell.
            let _ = over.await;
        }
    }
}
