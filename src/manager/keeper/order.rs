//! Attempts, and what comes of them.

use tracing::info;

use super::super::parts::{Leaf as _, Parts};
use super::super::{Gate, asked};
use super::disk::storage;
use super::{Keeper, failure};
use crate::lifecycle::{Event, Failure, Kind, Reason, Step, Why};
use crate::source::{self, Settings};
use crate::store::{Meta, StoreError, Stored};

impl<P: Parts> Keeper<P> {
    pub(super) async fn obtain_when_open(&mut self, kind: Kind, ca: usize, gate: &Gate) -> bool {
        let _turn = gate.turn().await;
        self.obtain(kind, ca).await
    }

    /// One attempt under the store's lock, unless it turns out that another process has got what was wanted.
    ///
    /// False when somebody else holds the lock.
    pub(super) async fn obtain(&mut self, kind: Kind, ca: usize) -> bool {
        let guard = match self.lock().await {
            Ok(Some(guard)) => guard,
            Ok(None) => return false,
            Err(error) => {
                self.fail(kind, ca, storage(&error)).await;
                return true;
            }
        };
        self.waits_for_other = false;
        self.look().await;
        self.compare_clocks().await;
        if let Step::Obtain { kind, why, ca } = self.life.poll(self.now()) {
            self.attempt(kind, why, ca).await;
        }
        drop(guard);
        true
    }

    /// Before anything is ordered it is known what time it is. What is kept of waits and failures is in the CA's time, and so is
    /// the window in which an order counts against no limit: by a clock of ours that is wrong each start of a crash loop would
    /// order too early. The attempt would ask for the directory anyway.
    async fn compare_clocks(&self) {
        if let Step::Obtain { ca, .. } = self.life.poll(self.now())
            && self.life.goes_by_cas()
            && self.parts.ahead().is_none()
        {
            self.parts.ask_time(&self.settings.source, ca).await;
        }
    }

    async fn attempt(&mut self, kind: Kind, why: Why, ca: usize) {
        let failures = self.life.record().consecutive_failures;
        self.life.begin(kind, ca, self.now());
        // A CA is called only when the next start will know of it.
        if let Err(error) = self.save_record().await {
            return self.fail(kind, ca, storage(&error)).await;
        }
        self.show();
        match self.kept_back(why).await {
            Ok(Some(stored)) => return self.try_again(kind, ca, stored).await,
            Ok(None) => {}
            // It may be good: no other is ordered before the disk says so.
            Err(error) => return self.fail(kind, ca, storage(&error)).await,
        }
        self.tell(&Event::Attempt { kind, why, failures, ca: self.issuer_label(ca) });
        match self.ask(failures, ca).await {
            Ok(identity) => self.succeed(kind, identity, ca).await,
            Err(failure) => self.fail(kind, ca, failure).await,
        }
    }

    /// What was got before and did not reach clients. It was no fault of the CA's, and another order would count there.
    async fn kept_back(&mut self, why: Why) -> Result<Option<Stored<P::Identity>>, StoreError> {
        let Some(number) = self.life.refused().filter(|_| why != Why::Requested) else { return Ok(None) };
        let name = self.settings.name.clone();
        self.parts.point_to(&name, number).await?;
        let product = asked::asked(&self.settings).product;
        let is_good = |stored: &Stored<P::Identity>| {
            let is_it = stored.generation == number && stored.meta.product == product;
            is_it && self.now() < stored.identity.validity().emergency()
        };
        let stored = match self.load_identity().await {
            Ok(stored) => stored.filter(is_good),
            Err(StoreError::NoneReadable { .. }) => None,
            Err(error) => return Err(error),
        };
        if stored.is_none() {
            self.life.refuse(None);
            if let Some(generation) = self.generation {
                // A disk that refuses says so again when the next certificate is to be kept.
                let _ = self.parts.point_to(&name, generation).await;
            }
        }
        Ok(stored)
    }

    async fn try_again(&mut self, kind: Kind, ca: usize, stored: Stored<P::Identity>) {
        let (certificate, generation) = (&self.settings.name, stored.generation);
        info!(certificate, generation, "trying again whether clients get the certificate that is there");
        let before = self.served();
        (self.generation, self.meta) = (Some(generation), Some(stored.meta));
        self.serve_new(kind, ca, stored.identity, before).await;
    }

    async fn ask(&self, failures: u32, ca: usize) -> Result<P::Identity, Failure> {
        let order = source::Order {
            certificate: self.settings.name.clone(),
            identifiers: self.settings.identifiers.clone(),
            failures,
            is_in_window: self.life.is_in_window(self.now()),
            unbroken: self.reins.unbroken.clone(),
        };
        let issued_by = self.issued_by();
        let is_same_ca = issued_by.is_some() && issued_by == self.directory(ca);
        let replaces = self.identity.as_ref().filter(|_| is_same_ca);
        let outcome = unpanicked(self.parts.obtain(&self.settings.source, ca, &order, replaces)).await;
        outcome.map_err(|failure| failure.shifted(-self.ahead()))
    }

    /// Keeps and serves a new identity.
    async fn succeed(&mut self, kind: Kind, identity: P::Identity, ca: usize) {
        let now = self.now();
        let directory = self.directory(ca).map(str::to_owned);
        // Another order would be the price of a break between here and the disk.
        let unbroken = self.reins.unbroken.hold().await;
        let meta = Meta {
            source: asked::issued_by(&self.settings.source, directory.as_deref()),
            issued_at: now,
            identifiers: self.settings.identifiers.clone(),
            product: asked::asked(&self.settings).product,
            directory,
        };
        let before = self.served();
        if let Err(error) = self.save_identity(&identity, &meta).await {
            let failure = storage(&error);
            self.tell(&Event::Trouble { failure: failure.clone() });
            self.unsaved = Some(failure.noted(now));
        }
        self.meta = Some(meta);
        drop(unbroken);
        self.serve_new(kind, ca, identity, before).await;
    }

    pub(super) async fn fail(&mut self, kind: Kind, ca: usize, failure: Failure) {
        self.life.failed(&failure, self.now(), &mut self.parts.chance());
        let (consecutive, unmended) = (self.life.record().consecutive_failures, self.life.operator_failures());
        // First of all: whoever is killed from here on still waits as long as the CA has asked him to.
        let saved = self.save_record().await;
        self.show();
        self.tell(&Event::Failed { kind, failure, consecutive, unmended, ca: self.issuer_label(ca) });
        if let Err(error) = saved {
            self.tell(&Event::Trouble { failure: storage(&error) });
        }
        self.show();
    }

    /// Directory of the ACME CA that has issued what is served.
    pub(super) fn issued_by(&self) -> Option<&str> {
        self.meta.as_ref().and_then(Meta::issued_by)
    }

    /// Index of that CA; the first where it is in the settings no more.
    pub(super) fn issuing_ca(&self) -> usize {
        let Settings::Acme(cas) = &self.settings.source else { return 0 };
        cas.iter().position(|ca| Some(ca.directory.as_str()) == self.issued_by()).unwrap_or(0)
    }

    /// Label of metrics.
    pub(super) fn issuer_label(&self, ca: usize) -> String {
        match self.directory(ca) {
            Some(directory) => asked::host(directory),
            None => asked::issuer(&self.settings.source),
        }
    }

    /// Directory of the CA of this index; `None` for other sources.
    fn directory(&self, ca: usize) -> Option<&str> {
        match &self.settings.source {
            Settings::Acme(cas) => cas.get(ca).map(|ca| ca.directory.as_str()),
            Settings::Internal | Settings::Files(_) => None,
        }
    }
}

/// Turns a panic of a source into a failure: it must not end the certificate's task.
async fn unpanicked<I>(work: impl Future<Output = Result<I, Failure>>) -> Result<I, Failure> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |context| {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            std::task::Poll::Ready(Err(failure(
                Reason::Server,
                "portvakt met a bug of its own: please report it".to_owned(),
            )))
        })
    })
    .await
}
