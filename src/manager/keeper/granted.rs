//! A keeper does what an operator wishes.

use std::time::Duration;

use tracing::{debug, info};

use super::super::Gate;
use super::super::parts::{Leaf as _, Parts};
use super::super::wish::{Fate, Refused, Told, Wanted, Wish};
use super::Keeper;
use crate::causes::with_causes;
use crate::lifecycle::{Origin, Step, Why};
use crate::store::Stored;

impl<P: Parts> Keeper<P> {
    /// Carries a wish out, and tells who asked; nothing is done for somebody who has gone.
    pub(super) async fn grant(&mut self, wish: Wish, gate: &Gate) {
        let certificate = &self.settings.name;
        if wish.begun.send(()).is_err() || wish.asker.is_closed() {
            return debug!(certificate, wish = ?wish.what, "an operator has asked, and waits no more");
        }
        info!(certificate, wish = ?wish.what, "an operator asks");
        let told = match wish.what {
            Wanted::Renewal { force } => self.renew(force, gate).await,
            Wanted::Generation { number, force } => self.go_back(number, force).await,
        };
        self.show();
        // He may have gone; the log and the status have it too.
        let _ = wish.asker.send(told);
    }

    /// Has a new certificate ordered now, unless a CA has named a time, or too much has failed within the hour.
    async fn renew(&mut self, force: bool, gate: &Gate) -> Told {
        const NONE: &str = "no new certificate was ordered";
        let locked = self.lock().await.map_err(|error| Refused::new(NONE, with_causes(&error), "see the log"))?;
        let Some(guard) = locked else { return Err(self.held_by_another(NONE).await) };
        // What another process has noted counts: a time that the CA has named, a certificate that it has got.
        self.look().await;
        self.life.request(force, self.now());
        // It is kept with the attempt too.
        let _ = self.save_record().await;
        drop(guard);
        let (kind, ca) = match self.life.poll(self.now()) {
            Step::Obtain { kind, ca, .. } => (kind, ca),
            Step::Wait { until, why } => {
                let until = until.map_or_else(|| "other settings".to_owned(), |until| until.to_string());
                let fix = match why {
                    Why::Budget => "it is ordered by itself then; `portvakt acme budget` shows what is left",
                    _ => "it is ordered by itself then; `--force` does not wait for a time that the CA has named",
                };
                return Err(Refused::new(NONE, format!("{why} (until {until})"), fix));
            }
            Step::AskRenewalInfo => return Err(Refused::new(NONE, "the CA is being asked when to renew", "ask again")),
        };
        let Ok(_turn) = tokio::time::timeout(A_TURN, gate.turn()).await else {
            let why = "other certificates are being ordered, or another process takes over from this one";
            return Err(Refused::new(NONE, why, "it is ordered as soon as it is its turn: see `portvakt cert show`"));
        };
        if !self.obtain(kind, ca).await {
            return Err(self.held_by_another(NONE).await);
        }
        self.outcome()
    }

    async fn held_by_another(&self, what: &str) -> Refused {
        let holder = self.parts.lock_holder(&self.settings.name).await;
        Refused::held_by(what, holder.as_deref())
    }

    /// What the attempt that was just made came to.
    fn outcome(&self) -> Told {
        let status = self.life.status(self.now());
        if let Some(failure) = status.last_failure {
            let next = status.next.at.map(|at| format!("; tried again at {at}")).unwrap_or_default();
            let fix = failure.fix.unwrap_or_else(|| "see `portvakt cert show`".to_owned());
            return Err(Refused::new("there is no new certificate", format!("{}{next}", failure.detail), fix));
        }
        let Some(identity) = &self.identity else {
            return Err(Refused::new("there is no new certificate", "nothing is served", "see the log"));
        };
        let seen = match self.life.unseen() {
            None => "clients get it",
            Some(_) => "it is served, but nobody has seen it in a handshake yet",
        };
        Ok(format!("a new certificate (serial {}) until {}: {seen}", identity.serial(), identity.validity().not_after))
    }

    /// Serves a generation that is kept, and moves the store's pointer to it.
    async fn go_back(&mut self, number: u64, force: bool) -> Told {
        const NONE: &str = "the certificate in service stays";
        let name = self.settings.name.clone();
        let locked = self.lock().await.map_err(|error| Refused::new(NONE, with_causes(&error), "see the log"))?;
        let Some(_guard) = locked else { return Err(self.held_by_another(NONE).await) };
        self.look().await;
        let moved = self.parts.point_to(&name, number).await;
        moved.map_err(|error| Refused::new(NONE, with_causes(&error), "free the disk, then ask again"))?;
        match self.take_back(number, force).await {
            Ok(text) => Ok(text),
            Err(refused) => {
                if let Some(before) = self.generation {
                    // It is the disk that it was just moved on; if it refuses now, the next start says so.
                    let _ = self.parts.point_to(&name, before).await;
                }
                Err(refused)
            }
        }
    }

    /// Publishes what the pointer names by now, unless it cannot be served.
    async fn take_back(&mut self, number: u64, force: bool) -> Told {
        const NONE: &str = "the certificate in service stays";
        let damaged = |why: String| Refused::new(NONE, why, "`portvakt cert show` lists what can be gone back to");
        let stored = self.load_identity().await.map_err(|error| damaged(with_causes(&error)))?;
        let Some(stored) = stored.filter(|stored| stored.generation == number) else {
            return Err(damaged(format!("generation {number} is not there, or damaged")));
        };
        let validity = stored.identity.validity();
        if validity.not_after < self.now() && !force {
            let why = format!("generation {number} has expired at {}", validity.not_after);
            return Err(Refused::new(NONE, why, "`--force`, if an expired certificate is better than this one"));
        }
        let before = self.served();
        let activated = self.publish(stored.identity.clone(), Origin::Store);
        let fate = self.fate(&stored.identity, before.as_ref().map(|before| &before.identity)).await;
        if let (Fate::GoBack(not_seen), Some(before)) = (&fate, before) {
            self.publish(before.identity, Origin::Store);
            return Err(Refused::new(NONE, format!("clients do not get the other: {not_seen}"), "see the log"));
        }
        self.settle_on(stored).await;
        self.tell(&activated);
        let seen = match fate {
            Fate::Seen => "clients get it".to_owned(),
            Fate::Unseen(not_seen) | Fate::GoBack(not_seen) => format!("served, but not seen yet: {not_seen}"),
        };
        Ok(format!("generation {number} is in service again, until {}: {seen}", validity.not_after))
    }

    async fn settle_on(&mut self, stored: Stored<P::Identity>) {
        let Stored { generation, identity, meta, .. } = stored;
        (self.unsaved, self.damage, self.before, self.young) = (None, None, None, None);
        self.life.went_back(&meta.product, identity.validity(), self.now(), &mut self.parts.chance());
        (self.generation, self.meta) = (Some(generation), Some(meta));
        // Without it a restart would plan a renewal at once, which does no harm.
        let _ = self.save_record().await;
    }
}

/// How long it is waited for one's turn to order: some orders that hang are over by then.
const A_TURN: Duration = Duration::from_secs(60);
