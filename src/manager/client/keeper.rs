//! The task of one client identity.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};

use super::ClientSettings;
use super::question::question;
use super::status::{LastTrial, Seeing, Shown};
use super::words::{Words, accepted, fix, name_shown, subject};
use crate::causes::with_causes;
use crate::lifecycle::outlook::{Level, Outlook};
use crate::lifecycle::rotation::Slot;
use crate::pki::{Assembled, Fingerprint, Identity};
use crate::source::files::FilesSource;
use crate::source::off_thread;
use crate::time::{Clock, Timestamp};
use crate::upstream::{self, ClientIdentity, News, Seen, Todo, TrialError};

pub(super) struct Keeper {
    clock: Arc<dyn Clock>,
    settings: ClientSettings,
    shown: Shown,
    first: FilesSource,
    next: Option<FilesSource>,
    trial: Option<Trying>,
    /// Last told about the end of what there is.
    warned: Option<(Level, Timestamp)>,
    /// What people see of the identity in use.
    name_shown: Option<String>,
}

/// A trial under way.
struct Trying {
    identity: Arc<Identity>,
    running: AbortOnDropHandle<Result<Seen, TrialError>>,
}

impl Keeper {
    /// Publishes what the files hold.
    pub(super) async fn begin(
        clock: Arc<dyn Clock>,
        settings: ClientSettings,
        shown: Shown,
        is_other_server: bool,
    ) -> Self {
        let next = settings.identity.next.as_ref();
        let mut keeper = Self {
            first: FilesSource::new(settings.identity.files.clone()),
            next: next.map(|next| FilesSource::new(next.files.clone())),
            clock,
            settings,
            shown,
            trial: None,
            warned: None,
            name_shown: None,
        };
        let mut offers = Vec::new();
        for slot in Slot::ALL {
            offers.extend(keeper.read(slot).await.map(|assembled| (slot, assembled.identity)));
        }
        let next = keeper.settings.identity.next.as_ref().map(|next| next.from);
        keeper.identity().begin(is_other_server, offers, next);
        keeper.tell();
        keeper
    }

    /// Lives until it is aborted.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        loop {
            let until = match self.identity().poll() {
                Todo::Try(identity) => {
                    self.begin_trial(identity);
                    None
                }
                Todo::Wait(until) => until,
            };
            self.tell();
            let now = self.clock.now();
            let wake = until.map_or(now + LOOK, |until| until.min(now + LOOK));
            let (clock, shown) = (self.clock.clone(), self.shown.identity.clone());
            tokio::select! {
                Some(asker) = asked.recv() => {
                    self.look(false).await;
                    // Nobody may be waiting any more.
                    let _ = asker.send(());
                }
                outcome = over(&mut self.trial) => self.end_trial(outcome),
                () = shown.heard() => {}
                () = clock.sleep_until(wake) => self.look(true).await,
            }
        }
    }

    /// Reads the files that have changed; `settle` waits until they stand still.
    async fn look(&mut self, settle: bool) {
        for slot in Slot::ALL {
            let Some(source) = self.source(slot).cloned() else { continue };
            if !off_thread(move || source.changed()).await {
                continue;
            }
            if settle {
                self.settle(slot).await;
            }
            if let Some(assembled) = self.read(slot).await {
                let (name, leaf) = (&self.settings.identity.name, assembled.identity.chain().leaf());
                info!(destination = name, identity = slot.as_str(), until = %leaf.not_after, "the files hold another client identity: {}", subject(leaf));
                self.compare(&assembled);
                self.identity().offer(slot, assembled.identity);
            }
        }
        self.tell();
    }

    async fn settle(&self, slot: Slot) {
        let Some(source) = self.source(slot) else { return };
        let look = async || {
            let source = source.clone();
            off_thread(move || source.look()).await
        };
        let mut before = look().await;
        for _ in 0..LONGEST_SETTLE {
            self.clock.sleep_until(self.clock.now() + SETTLE).await;
            let now = look().await;
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// What the files of `slot` hold, when it is an identity to show to a server.
    async fn read(&mut self, slot: Slot) -> Option<Assembled> {
        let mut source = self.source(slot)?.clone();
        let (source, loaded) = off_thread(move || {
            let loaded = source.load();
            (source, loaded)
        })
        .await;
        match slot {
            Slot::First => self.first = source,
            Slot::Next => self.next = Some(source),
        }
        let sound = loaded.map_err(|errors| {
            let all: Vec<_> = errors.iter().map(|error| with_causes(error)).collect();
            all.join("; ")
        });
        let (trouble, assembled) = match sound.and_then(fit) {
            Ok(assembled) => (None, Some(assembled)),
            Err(detail) => {
                let destination = &self.settings.identity.name;
                error!(
                    destination,
                    identity = slot.as_str(),
                    fix = "repair the files: they are read again when they change",
                    "the client identity in the files cannot be used, and what was in use stays: {detail}"
                );
                (Some((self.clock.now(), detail)), None)
            }
        };
        self.see(|seeing| *seeing.trouble(slot) = trouble);
        assembled
    }

    /// Warns of what makes the new one another identity for those who see it.
    fn compare(&self, new: &Assembled) {
        let destination = &self.settings.identity.name;
        let Some(old) = self.identity().in_use() else { return };
        let (old, new) = (old.chain().leaf(), new.identity.chain().leaf());
        if old.issuer != new.issuer {
            warn!(destination, old = old.issuer, new = new.issuer, "the new client identity comes from another issuer");
        }
        if name_shown(old) != name_shown(new) {
            let (old, new) = (name_shown(old), name_shown(new));
            warn!(destination, old, new, "the new client identity bears another name: users will see that one");
        }
    }

    fn begin_trial(&mut self, identity: Arc<Identity>) {
        let fingerprint = fingerprint(&identity);
        if self.trial.as_ref().is_some_and(|trying| self::fingerprint(&trying.identity) == fingerprint) {
            return;
        }
        let (settings, question) =
            (self.settings.upstream.clone(), question(&self.settings.identity.trial, &self.settings.upstream));
        let tried = identity.clone();
        info!(
            destination = self.settings.identity.name,
            "trying the client identity {}",
            subject(identity.chain().leaf())
        );
        let running = tokio::spawn(async move { upstream::attempt(&settings, Some(&tried), question.as_ref()).await });
        self.trial = Some(Trying { identity, running: AbortOnDropHandle::new(running) });
    }

    fn end_trial(&mut self, outcome: Option<Result<Seen, TrialError>>) {
        let Some(Trying { identity, .. }) = self.trial.take() else { return };
        let fingerprint = fingerprint(&identity);
        let (is_accepted, detail) = match outcome {
            Some(Ok(seen)) => {
                self.identity().accepted(fingerprint);
                (Some(true), accepted(&seen))
            }
            Some(Err(error @ TrialError::Refused { why, .. })) => {
                let detail = with_causes(&error);
                self.identity().refused(Some(fingerprint), why, &detail);
                (Some(false), detail)
            }
            Some(Err(error)) => {
                self.identity().unreachable(fingerprint);
                (None, with_causes(&error))
            }
            None => {
                self.identity().unreachable(fingerprint);
                (None, "the trial died".to_owned())
            }
        };
        self.tell_trial(&identity, is_accepted, &detail);
        let common_name = identity.chain().leaf().common_name.clone();
        let trial = LastTrial { at: self.clock.now(), common_name, is_accepted, detail };
        self.see(|seeing| seeing.last_trial = Some(trial));
    }

    fn tell_trial(&self, identity: &Identity, is_accepted: Option<bool>, detail: &str) {
        let (destination, subject) = (&self.settings.identity.name, subject(identity.chain().leaf()));
        match is_accepted {
            Some(true) => info!(destination, "the server accepts the client identity {subject}: {detail}"),
            Some(false) => error!(destination, "the client identity {subject} is not taken into use: {detail}"),
            None => {
                let is_news = self.shown.slot.load().last_trial.as_ref().is_none_or(|last| last.is_accepted.is_some());
                match is_news {
                    true => warn!(
                        destination,
                        "the client identity {subject} could not be tried, and will be again: {detail}"
                    ),
                    false => debug!(destination, "the client identity {subject} could not be tried: {detail}"),
                }
            }
        }
    }

    /// Tells what has happened, and what is going to happen unless somebody acts.
    fn tell(&mut self) {
        for news in self.identity().take_news() {
            self.tell_news(&news);
        }
        self.warn_of_end();
    }

    fn tell_news(&mut self, news: &News) {
        let destination = &self.settings.identity.name;
        let words = Words::of(&self.settings.identity);
        match news {
            News::InUse(identity) => {
                let view = self.identity().view();
                let leaf = identity.chain().leaf();
                let why = view.rotation.why(self.clock.now()).map(|why| why.to_string());
                let slot = view.rotation.slot_in_use().map_or("old", Slot::as_str);
                info!(destination, identity = slot, until = %leaf.not_after, why, "client identity in use: {}", subject(leaf));
                let name = name_shown(leaf).to_owned();
                if let Some(old) = self.name_shown.replace(name.clone()).filter(|old| *old != name) {
                    warn!(destination, old, new = name, "users see another name from now on");
                }
            }
            News::Refused { shown: Some(identity), why, detail } => {
                let subject = subject(identity.chain().leaf());
                let fix = fix(*why, &words);
                error!(
                    destination,
                    reason = why.as_str(),
                    fix,
                    "the server refuses the {} {subject}: {detail}",
                    words.certificate
                );
            }
            News::Refused { shown: None, why, detail } => {
                error!(
                    destination,
                    reason = why.as_str(),
                    "the server wants a client certificate, and there is none to show: {detail}"
                );
            }
        }
    }

    /// Once a day at most, and whenever it gets worse.
    fn warn_of_end(&mut self) {
        let now = self.clock.now();
        let view = self.identity().view();
        let last = view
            .rotation
            .covered_until()
            .and_then(|until| view.identities.iter().find(|identity| identity.chain().leaf().not_after == until));
        let Some(leaf) = last.map(|identity| identity.chain().leaf()) else { return };
        let outlook = Outlook::of(leaf.not_after, now);
        let is_told = self.warned.is_some_and(|(level, at)| level >= outlook.level && now.since(at) < DAY);
        if outlook.level == Level::Fine || is_told {
            return;
        }
        self.warned = Some((outlook.level, now));
        let (destination, words) = (&self.settings.identity.name, Words::of(&self.settings.identity));
        let line = format!("{} {} {}; {}", words.certificate, subject(leaf), outlook.in_words(), words.order);
        match outlook.level {
            Level::Fine | Level::Order => warn!(destination, until = %leaf.not_after, "{line}"),
            Level::Urgent | Level::Expired => error!(destination, until = %leaf.not_after, "{line}"),
        }
    }

    fn see(&self, change: impl FnOnce(&mut Seeing)) {
        let mut seeing = Seeing::clone(&self.shown.slot.load());
        change(&mut seeing);
        self.shown.slot.store(Arc::new(seeing));
    }

    fn source(&self, slot: Slot) -> Option<&FilesSource> {
        match slot {
            Slot::First => Some(&self.first),
            Slot::Next => self.next.as_ref(),
        }
    }

    fn identity(&self) -> &ClientIdentity {
        &self.shown.identity
    }
}

/// How the trial under way ended; never returns when there is none.
async fn over(trial: &mut Option<Trying>) -> Option<Result<Seen, TrialError>> {
    match trial {
        Some(trying) => (&mut trying.running).await.ok(),
        None => std::future::pending().await,
    }
}

/// Whether it may be shown to a server at all. Its dates are judged when it is to be used.
fn fit(assembled: Assembled) -> Result<Assembled, String> {
    let leaf = assembled.identity.chain().leaf();
    if leaf.is_ca {
        return Err(format!("{} is the certificate of a CA, and no client identity", subject(leaf)));
    }
    if !leaf.purposes.allow_client() {
        return Err(format!(
            "{} is not for clients: its extended key usage lacks clientAuth, as in every certificate of a public CA since 2026",
            subject(leaf)
        ));
    }
    if !leaf.may_sign {
        return Err(format!("{} may not sign: its key usage lacks digitalSignature, which TLS needs", subject(leaf)));
    }
    Ok(assembled)
}

fn fingerprint(identity: &Identity) -> Fingerprint {
    identity.chain().fingerprint()
}

const LOOK: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(1);
/// Files that never stand still are read all the same.
const LONGEST_SETTLE: usize = 10;
const DAY: Duration = Duration::from_secs(86_400);
