//! The carrier of messages: one task for each notifier.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use super::event::Event;
use super::facts::Facts;
use super::ledger::{End, Failure, Ledger, Standing, Step};
use super::message::{Message, line, new_id};
use super::send::{self, SendError};
use super::settings::Settings;
use crate::causes::with_causes;
use crate::language::Lang;
use crate::platform;
use crate::store::{LockGuard, Store, StoreError};
use crate::time::{Clock, Timestamp};

/// What notifiers work with.
pub struct NotifiersParts {
    /// Keeps what was told.
    pub store: Store,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Says how everything stands, and what needs somebody in a language where that is wanted; may wait for the disk.
    pub facts: Arc<dyn Fn(Option<Lang>) -> Facts + Send + Sync>,
    /// Hears how each try ended, by the notifier's name.
    pub count: Arc<Count>,
}

/// Counts a try to send.
pub type Count = dyn Fn(&str, Sent) + Send + Sync;

/// How a try to send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The message was taken.
    Ok,
    /// It was not; it is tried again.
    Failed,
    /// An event came in such numbers that it could not even be kept, or another process had the notifier until the end.
    Lost,
}

/// All notifiers. To be used in a tokio runtime, where their tasks run until [`Notifiers::stop`], or until it is dropped.
pub struct Notifiers {
    parts: Arc<NotifiersParts>,
    running: Mutex<BTreeMap<String, Running>>,
}

impl Notifiers {
    /// None yet.
    pub fn new(parts: NotifiersParts) -> Self {
        Self { parts: Arc::new(parts), running: Mutex::default() }
    }

    /// Begins with those that are new or have other settings, and ends those that are gone.
    pub fn apply(&self, settings: &[Settings]) {
        let mut running = self.running();
        running.retain(|name, notifier| settings.iter().any(|it| it.name == *name && *it == notifier.settings));
        for settings in settings {
            running
                .entry(settings.name.clone())
                .or_insert_with(|| Running::start(settings.clone(), self.parts.clone()));
        }
    }

    /// Tells every notifier that wants to know; never waits.
    pub fn tell(&self, event: &Event) {
        for (name, notifier) in self.running().iter().filter(|(_, it)| it.settings.events.contains(&event.kind)) {
            match notifier.events.try_send(event.clone()) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(_)) => {
                    notifier.lost.fetch_add(1, Ordering::Relaxed);
                    (self.parts.count)(name, Sent::Lost);
                }
            }
        }
    }

    /// Has every notifier look soon: something has changed.
    pub fn look(&self) {
        self.running().values().for_each(|notifier| notifier.nudge.notify_one());
    }

    /// How each stands, with its settings, in the order of their names.
    pub fn standings(&self) -> Vec<(Settings, Standing)> {
        self.running().values().map(|it| (it.settings.clone(), it.standing.borrow().clone())).collect()
    }

    /// Ends them all. What is being sent gets a moment to be taken.
    pub async fn stop(&self) {
        let running = std::mem::take(&mut *self.running());
        let ends = running.into_values().map(|notifier| tokio::time::timeout(GRACE, notifier.end()));
        for end in ends.map(tokio::spawn).collect::<Vec<_>>() {
            // What does not end is cut off, and the next message tells of it.
            let _ = end.await;
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A notifier's task, which ends with this.
struct Running {
    settings: Settings,
    events: mpsc::Sender<Event>,
    nudge: Arc<Notify>,
    lost: Arc<AtomicU32>,
    standing: watch::Receiver<Standing>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    fn start(settings: Settings, parts: Arc<NotifiersParts>) -> Self {
        let (events, received) = mpsc::channel(MOST_WAITING);
        let (stop, stopped) = watch::channel(false);
        let (shown, standing) = watch::channel(Standing::default());
        let (nudge, lost) = (Arc::<Notify>::default(), Arc::<AtomicU32>::default());
        let task = Task {
            settings: settings.clone(),
            parts,
            events: received,
            nudge: nudge.clone(),
            lost: lost.clone(),
            stopped,
            shown,
            ledger: Ledger::default(),
            is_disk_failing: false,
        };
        let task = Some(tokio::spawn(task.run()));
        Self { settings, events, nudge, lost, standing, stop, task }
    }

    async fn end(mut self) {
        self.stop.send_replace(true);
        if let Some(mut task) = self.task.take() {
            let ended = tokio::time::timeout(GRACE, &mut task).await;
            if ended.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A task that is sending ends after that: its successor waits for it by the lock.
        self.stop.send_replace(true);
    }
}

struct Task {
    settings: Settings,
    parts: Arc<NotifiersParts>,
    events: mpsc::Receiver<Event>,
    nudge: Arc<Notify>,
    lost: Arc<AtomicU32>,
    stopped: watch::Receiver<bool>,
    shown: watch::Sender<Standing>,
    ledger: Ledger,
    is_disk_failing: bool,
}

impl Task {
    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        let begun = tokio::select! {
            guard = self.take_turn() => Some(guard),
            _ = stopped.wait_for(|stop| *stop) => None,
        };
        let Some(_guard) = begun else { return self.give_up_untold() };
        self.load().await;
        loop {
            self.look().await;
            // A message that is being sent is waited for.
            while self.ledger.poll(self.now()) == Step::Send && !*self.stopped.borrow() {
                self.send().await;
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => break,
                () = self.wait() => {}
            }
        }
        self.take_events();
        self.save().await;
    }

    /// The process that tells does not know what happened in this one, and only it may write the ledger.
    fn give_up_untold(mut self) {
        self.events.close();
        let mut untold = self.lost.swap(0, Ordering::Relaxed);
        while self.events.try_recv().is_ok() {
            untold = untold.saturating_add(1);
            (self.parts.count)(&self.settings.name, Sent::Lost);
        }
        if untold > 0 {
            warn!(
                notifier = self.settings.name,
                untold,
                fix = "the log of this process has them",
                "another process on the same state directory notifies, and ours has ended before it: nobody was told what has happened here"
            );
        }
    }

    /// Of several processes on one state directory, one tells. A failing lock is no reason to tell nobody.
    async fn take_turn(&self) -> Option<LockGuard> {
        loop {
            let (store, name) = (self.parts.store.clone(), self.settings.name.clone());
            match blocking(move || store.lock_notifier(&name)).await {
                Ok(Some(guard)) => return Some(guard),
                Ok(None) => tokio::time::sleep(TURN).await,
                Err(error) => {
                    warn!(notifier = self.settings.name, error = with_causes(&error), "notifies without a lock");
                    return None;
                }
            }
        }
    }

    async fn load(&mut self) {
        let (store, name) = (self.parts.store.clone(), self.settings.name.clone());
        match blocking(move || store.load_notifier::<Ledger>(&name)).await {
            Ok(kept) => self.ledger = kept.unwrap_or_default(),
            Err(error) => {
                warn!(notifier = self.settings.name, error = with_causes(&error), "what was told before is not known");
            }
        }
        self.ledger.resume();
        self.shown.send_replace(self.ledger.standing());
    }

    async fn look(&mut self) {
        let before = self.ledger.clone();
        self.take_events();
        let (facts, now) = (self.parts.facts.clone(), self.now());
        let needs_in = self.ledger.is_beat_due(now).then_some(self.settings.language);
        // Nothing is seen only when the runtime ends.
        let Ok(facts) = tokio::task::spawn_blocking(move || facts(needs_in)).await else { return };
        self.ledger.look(&facts, &self.settings.events, now);
        if self.ledger != before {
            self.save().await;
        }
    }

    fn take_events(&mut self) {
        let now = self.now();
        while let Ok(event) = self.events.try_recv() {
            self.ledger.note(event, now);
        }
        self.ledger.lose(self.lost.swap(0, Ordering::Relaxed));
    }

    /// Until it is time to look again.
    async fn wait(&mut self) {
        let now = self.now();
        let pause = match self.ledger.poll(now) {
            Step::Send => Duration::ZERO,
            Step::Wait(until) => until.map_or(LOOK_EVERY, |until| until.since(now)).min(LOOK_EVERY),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.nudge.notified() => {}
            event = self.events.recv() => {
                let Some(event) = event else { return };
                self.ledger.note(event, now);
                self.save().await;
            }
        }
    }

    /// One try. Before it, the disk knows that it is made: who dies in it does not make it again.
    async fn send(&mut self) {
        let name = self.settings.name.clone();
        let digest = self.ledger.begin(new_id, self.now());
        self.save().await;
        let message = Message::new(&digest, &self.settings, &platform::host_name(), self.now());
        let outcome = send::send(&self.settings, &message).await;
        let end = match &outcome {
            Ok(()) => End::Delivered,
            Err(error) => End::Failed { failure: self.failure(error), retry_at: error.retry_at() },
        };
        let next = self.ledger.end(end, self.now());
        // Before anybody hears of it: who dies now knows afterwards that it failed, and tries again.
        self.save().await;
        (self.parts.count)(&name, if outcome.is_ok() { Sent::Ok } else { Sent::Failed });
        match (outcome, next) {
            (Ok(()), _) => info!(notifier = name, id = message.id, title = message.title, "notified"),
            (Err(error), Some(next)) => {
                let (error, fix) = (with_causes(&error), error.fix());
                warn!(notifier = name, id = message.id, error, fix, %next, "cannot notify; tried again");
            }
            (Err(error), None) => {
                let (error, fix) = (with_causes(&error), error.fix());
                error!(
                    notifier = name,
                    id = message.id,
                    error,
                    fix,
                    "COULD NOT NOTIFY FOR DAYS; the message is given up"
                );
            }
        }
    }

    fn failure(&self, error: &SendError) -> Failure {
        Failure { at: self.now(), error: line(&with_causes(error), LONGEST_ERROR), remedy: error.remedy() }
    }

    async fn save(&mut self) {
        self.shown.send_replace(self.ledger.standing());
        let (store, name, ledger) = (self.parts.store.clone(), self.settings.name.clone(), self.ledger.clone());
        let saved = blocking(move || store.save_notifier(&name, &ledger)).await;
        match saved {
            Ok(()) => self.is_disk_failing = false,
            Err(error) if !self.is_disk_failing => {
                self.is_disk_failing = true;
                let error = with_causes(&error);
                warn!(notifier = self.settings.name, error, "what is told cannot be kept: told again after a restart");
            }
            Err(error) => debug!(notifier = self.settings.name, error = with_causes(&error), "still cannot be kept"),
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and nobody waits for us any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// How often it is looked whether there is news.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often a process that waits for another one's end asks.
const TURN: Duration = Duration::from_secs(5);
/// For what is being sent when the process ends.
const GRACE: Duration = Duration::from_secs(3);
/// Characters of an error that are kept.
const LONGEST_ERROR: usize = 600;
/// Events that may wait while a message is sent.
const MOST_WAITING: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::event::Kind;
    use crate::notify::settings::{Channel, ProgramSettings};
    use crate::time::SystemClock;

    #[tokio::test]
    async fn given_another_process_that_notifies_when_ours_ends_first_then_its_events_count_as_lost() {
        let dir = tempfile::tempdir().unwrap();
        let _other = Store::open(dir.path()).unwrap().lock_notifier("ops").unwrap().unwrap();
        let counted = Arc::new(Mutex::new(Vec::new()));
        let heard = counted.clone();
        let notifiers = Notifiers::new(NotifiersParts {
            store: Store::open(dir.path()).unwrap(),
            clock: Arc::new(SystemClock),
            facts: Arc::new(|_| Facts::default()),
            count: Arc::new(move |name, sent| heard.lock().unwrap().push((name.to_owned(), sent))),
        });
        let channel = Channel::Program(ProgramSettings { command: Vec::new(), timeout: ProgramSettings::TIMEOUT });
        let (name, events, language) = ("ops".to_owned(), Kind::ALL.to_vec(), Lang::En);
        notifiers.apply(&[Settings { name, channel, events, language }]);
        for subject in ["m5", "m6"] {
            notifiers.tell(&Event::new(Kind::Renewed, subject, SystemClock.now()));
        }

        notifiers.stop().await;

        let lost = ("ops".to_owned(), Sent::Lost);
        assert_eq!(*counted.lock().unwrap(), [lost.clone(), lost]);
    }
}
