//! The task of one certificate that lies in files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::parts::Parts;
use super::wish::{Fate, fate};
use super::{Life, ManagerParts, Slot, Snapshot, placeholder, uncovered, validity};
use crate::causes::with_causes;
use crate::lifecycle::{Event, Failure, LastFailure, Origin, Reason, Retry, Served};
use crate::pki::{Assembled, Identity};
use crate::source::files::{FilesError, FilesSource, Look};
use crate::source::{CertificateSettings, off_thread};
use crate::time::Timestamp;

/// Reads a certificate again when its files change.
pub(super) struct FilesKeeper {
    parts: Arc<ManagerParts>,
    name: String,
    identifiers: Vec<String>,
    source: FilesSource,
    slot: Slot,
    identity: Option<Identity>,
    served: Served,
    last_failure: Option<LastFailure>,
    /// When files that were refused, though nothing is wrong with them, are read again unchanged.
    retry_at: Option<Timestamp>,
}

impl FilesKeeper {
    /// Publishes the files, else a placeholder.
    pub(super) async fn begin(
        parts: Arc<ManagerParts>,
        settings: &CertificateSettings,
        source: FilesSource,
        slot: Slot,
    ) -> Self {
        let mut keeper = Self {
            parts,
            name: settings.name.clone(),
            identifiers: settings.identifiers.clone(),
            source,
            slot,
            identity: None,
            served: Served::Nothing,
            last_failure: None,
            retry_at: None,
        };
        keeper.read().await;
        if keeper.identity.is_none()
            && let Some(identity) = placeholder(&keeper.identifiers, keeper.now())
        {
            keeper.serve(identity, Origin::Placeholder);
        }
        keeper
    }

    /// Lives until it is aborted.
    ///
    /// Looks by itself every two seconds, and at once when `asked`; who asks is told when that look is over.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        loop {
            let asker = tokio::select! {
                asker = asked.recv() => asker,
                () = self.pause(LOOK) => None,
            };
            let source = self.source.clone();
            let is_time = self.retry_at.is_some_and(|at| at <= self.now());
            if off_thread(move || source.changed()).await || is_time {
                if asker.is_none() {
                    self.settle().await;
                }
                let taken = self.read().await;
                // Who asks has the configuration's check, which has just told the same; so has who starts.
                if let Some(assembled) = taken.filter(|_| asker.is_none()) {
                    self.warn_of(&assembled);
                }
            }
            if let Some(asker) = asker {
                // Nobody may be waiting any more.
                let _ = asker.send(());
            }
        }
    }

    /// Waits until the files stand still: whoever replaces or copies them needs a moment.
    async fn settle(&self) {
        let mut before = self.look().await;
        for _ in 0..LONGEST_SETTLE {
            self.pause(SETTLE).await;
            let now = self.look().await;
            if now == before {
                return;
            }
            before = now;
        }
    }

    async fn look(&self) -> Look {
        let source = self.source.clone();
        off_thread(move || source.look()).await
    }

    /// Takes the files over when they are sound, and gives them; what is served stays otherwise.
    async fn read(&mut self) -> Option<Assembled> {
        let mut source = self.source.clone();
        let (source, loaded) = off_thread(move || {
            let loaded = source.load();
            (source, loaded)
        })
        .await;
        self.source = source;
        self.retry_at = None;
        match loaded.map_err(|errors| unusable(&errors)).and_then(|assembled| self.check(assembled)) {
            Ok(assembled) => {
                let before = self.identity.clone().filter(|_| self.served.validity().is_some());
                self.last_failure = None;
                self.serve(assembled.identity.clone(), Origin::Files);
                match self.confirm(&assembled.identity, before).await {
                    Ok(()) => Some(assembled),
                    Err(failure) => {
                        self.refuse(failure);
                        None
                    }
                }
            }
            Err(failure) => {
                self.refuse(failure);
                None
            }
        }
    }

    /// Looks whether clients get what was just published. Where something is wrong with it that is not wrong with the one
    /// before, that comes back.
    async fn confirm(&mut self, new: &Identity, before: Option<Identity>) -> Result<(), Failure> {
        let (parts, name) = (self.parts.clone(), self.name.clone());
        let seen = Parts::seen(&*parts, &name, new).await;
        let is_wrong = matches!(&seen, Err(not_seen) if not_seen.is_certain);
        let Some(before) = before.filter(|_| is_wrong) else { return Ok(()) };
        parts.publisher.publish(&name, &before, false);
        match fate(seen, Some(Parts::seen(&*parts, &name, &before).await)) {
            Fate::GoBack(not_seen) => {
                self.serve(before, Origin::Files);
                let detail = format!("clients do not get the certificate in the files: {not_seen}");
                Err(failure(Reason::NotServed, detail))
            }
            Fate::Seen | Fate::Unseen(_) => {
                parts.publisher.publish(&name, new, false);
                Ok(())
            }
        }
    }

    /// A certificate that is not valid now does not replace one that is.
    fn check(&self, assembled: Assembled) -> Result<Assembled, Failure> {
        let (now, new) = (self.now(), validity(&assembled.identity));
        let is_served =
            self.served.validity().is_some_and(|served| served.not_before <= now && now <= served.not_after);
        if is_served && new.not_after < now {
            return Err(failure(Reason::Clock, format!("the certificate in the files ended at {}", new.not_after)));
        }
        if is_served && now < new.not_before {
            let begins = format!("the certificate in the files is not valid before {}", new.not_before);
            return Err(failure(Reason::Clock, begins));
        }
        Ok(assembled)
    }

    /// Tells of what clients may stumble over.
    fn warn_of(&self, assembled: &Assembled) {
        let certificate = &self.name;
        if !assembled.foreign.is_empty() {
            let foreign = assembled.foreign.join("; ");
            warn!(certificate, foreign, "certificates in the files do not belong to the chain, and are not sent");
        }
        if let Some(missing) = &assembled.missing {
            let (issuer, url) = (&missing.subject, missing.url.as_deref());
            warn!(
                certificate,
                issuer, url, "the issuer's certificate is not in the files: clients that do not have it refuse us"
            );
        }
    }

    fn serve(&mut self, identity: Identity, origin: Origin) {
        let is_placeholder = origin == Origin::Placeholder;
        self.parts.publisher.publish(&self.name, &identity, is_placeholder);
        let (served, uncovered) = match is_placeholder {
            true => (Served::Placeholder, self.identifiers.clone()),
            false => (Served::Certificate(validity(&identity)), uncovered(&identity, &self.identifiers)),
        };
        self.served = served;
        let not_after = identity.chain().leaf().not_after;
        self.identity = Some(identity);
        self.show();
        self.tell(&Event::Activated { origin, not_after, uncovered });
    }

    fn refuse(&mut self, failure: Failure) {
        // Not valid yet, or not seen by clients: that can pass while the files stay as they are.
        self.retry_at = match failure.reason {
            Reason::Clock | Reason::NotServed => Some(self.now() + AGAIN),
            _ => None,
        };
        self.last_failure = Some(failure.noted(self.now()));
        self.show();
        self.tell(&Event::Trouble { failure });
    }

    async fn pause(&self, pause: Duration) {
        self.parts.clock.sleep_until(self.now() + pause).await;
    }

    fn show(&self) {
        let life = Life::Files { served: self.served, last_failure: self.last_failure.clone() };
        self.slot.store(Arc::new(Snapshot { life, identity: self.identity.clone(), issued_by: None }));
    }

    fn tell(&self, event: &Event) {
        self.parts.observer.event(&self.name, event);
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}

fn unusable(errors: &[FilesError]) -> Failure {
    let all: Vec<_> = errors.iter().map(|error| with_causes(error)).collect();
    failure(Reason::Storage, all.join("; "))
}

fn failure(reason: Reason, detail: String) -> Failure {
    let fix = Some("repair the files: they are read again when they change".to_owned());
    Failure { reason, retry: Retry::Backoff, detail, fix }
}

/// Between two tries of files that were refused for what can pass.
const AGAIN: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(1);
/// Files that never stand still are read all the same.
const LONGEST_SETTLE: usize = 10;
