//! The task of one certificate that lies in files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Life, ManagerParts, Slot, Snapshot, placeholder, uncovered, validity};
use crate::causes::with_causes;
use crate::lifecycle::{Event, Failure, LastFailure, Origin, Reason, Retry, Served};
use crate::pki::Identity;
use crate::source::files::{FilesError, FilesSource};
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
        };
        keeper.read().await;
        if keeper.identity.is_none()
            && let Some(identity) = placeholder(&keeper.identifiers, keeper.now())
        {
            keeper.serve(identity, Origin::Placeholder);
        }
        keeper.show();
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
            if off_thread(move || source.changed()).await {
                if asker.is_none() {
                    // Whoever replaces two files needs a moment between them.
                    self.pause(SETTLE).await;
                }
                self.read().await;
                self.show();
            }
            if let Some(asker) = asker {
                // Nobody may be waiting any more.
                let _ = asker.send(());
            }
        }
    }

    /// Takes the files over when they are sound; what is served stays otherwise.
    async fn read(&mut self) {
        let mut source = self.source.clone();
        let (source, loaded) = off_thread(move || {
            let loaded = source.load();
            (source, loaded)
        })
        .await;
        self.source = source;
        match loaded.map_err(|error| unusable(&error)).and_then(|identity| self.check(identity)) {
            Ok(identity) => {
                self.last_failure = None;
                self.serve(identity, Origin::Files);
            }
            Err(failure) => self.refuse(failure),
        }
    }

    /// An expired certificate does not replace one that has not.
    fn check(&self, identity: Identity) -> Result<Identity, Failure> {
        let (now, ends) = (self.now(), identity.chain().leaf().not_after);
        let served_ends = self.served.validity().map(|validity| validity.not_after);
        if ends < now && served_ends.is_some_and(|served| served >= now) {
            return Err(failure(Reason::Clock, format!("the certificate in the files ended at {ends}")));
        }
        Ok(identity)
    }

    fn serve(&mut self, identity: Identity, origin: Origin) {
        let is_placeholder = origin == Origin::Placeholder;
        self.parts.publisher.publish(&self.name, &identity, is_placeholder);
        let (served, uncovered) = match is_placeholder {
            true => (Served::Placeholder, self.identifiers.clone()),
            false => (Served::Certificate(validity(&identity)), uncovered(&identity, &self.identifiers)),
        };
        self.served = served;
        self.tell(&Event::Activated { origin, not_after: identity.chain().leaf().not_after, uncovered });
        self.identity = Some(identity);
    }

    fn refuse(&mut self, failure: Failure) {
        self.last_failure = Some(failure.noted(self.now()));
        self.tell(&Event::Trouble { failure });
    }

    async fn pause(&self, pause: Duration) {
        self.parts.clock.sleep_until(self.now() + pause).await;
    }

    fn show(&self) {
        let life = Life::Files { served: self.served, last_failure: self.last_failure.clone() };
        self.slot.store(Arc::new(Snapshot { life, identity: self.identity.clone() }));
    }

    fn tell(&self, event: &Event) {
        self.parts.observer.event(&self.name, event);
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}

fn unusable(error: &FilesError) -> Failure {
    failure(Reason::Storage, with_causes(error))
}

fn failure(reason: Reason, detail: String) -> Failure {
    let fix = Some("repair the files: they are read again when they change".to_owned());
    Failure { reason, retry: Retry::Backoff, detail, fix }
}

const LOOK: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(2);
