//! Who we are to an upstream that asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use crate::lifecycle::Validity;
use crate::lifecycle::rotation::{Refusal, Rotation, Slot, Step};
use crate::pki::{Fingerprint, Identity};
use crate::time::{Clock, SystemClock, Timestamp};

/// The client identity of one name; swapped while requests go on, which keep the one that they began with.
///
/// # Why
///
/// Which one is in use is decided here, and not by the task that watches the files: a request whose identity was refused
/// has to have changed it before the next request asks.
pub struct ClientIdentity {
    name: String,
    clock: Arc<dyn Clock>,
    in_use: ArcSwapOption<Identity>,
    state: Mutex<State>,
    /// Something happened that [`ClientIdentity::take_news`] gives.
    news: Notify,
    /// What is in use was accepted; spares requests the lock.
    is_accepted: AtomicBool,
    /// Unix seconds; zero for never.
    last_answer: AtomicI64,
    refusals: [AtomicU64; Refusal::ALL.len()],
}

#[derive(Default)]
struct State {
    rotation: Rotation,
    /// Those that `rotation` knows.
    identities: Vec<Arc<Identity>>,
    news: Vec<News>,
    /// The last refusal, whether it still stands or not.
    last_refusal: Option<LastRefusal>,
}

/// What happened to a client identity while nobody was looking.
#[derive(Clone, Debug)]
pub enum News {
    /// A server has refused it, for a reason that is new.
    Refused {
        /// What was shown; `None` where nothing was.
        shown: Option<Arc<Identity>>,
        /// In one word.
        why: Refusal,
        /// The server's words.
        detail: String,
    },
    /// It is in use from now on.
    InUse(Arc<Identity>),
}

/// A refusal, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRefusal {
    /// When.
    pub at: Timestamp,
    /// Of which chain; `None` where nothing was shown.
    pub fingerprint: Option<Fingerprint>,
    /// In one word.
    pub why: Refusal,
    /// The server's words.
    pub detail: String,
}

/// All that is known of a client identity at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Which is in use, and why.
    pub rotation: Rotation,
    /// Those that the rotation names.
    pub identities: Vec<Arc<Identity>>,
    /// The last refusal.
    pub last_refusal: Option<LastRefusal>,
    /// When a request was last answered.
    pub last_answer: Option<Timestamp>,
    /// How often it was refused since the start, for each of [`Refusal::ALL`].
    pub refusals: [u64; Refusal::ALL.len()],
}

impl View {
    /// The identity whose chain has this fingerprint.
    pub fn identity(&self, fingerprint: Fingerprint) -> Option<&Arc<Identity>> {
        find(&self.identities, fingerprint)
    }
}

impl ClientIdentity {
    fn new(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            in_use: ArcSwapOption::empty(),
            state: Mutex::default(),
            news: Notify::new(),
            is_accepted: AtomicBool::new(false),
            last_answer: AtomicI64::new(0),
            refusals: Default::default(),
        }
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the next connection shows; `None` before there is one.
    pub fn in_use(&self) -> Option<Arc<Identity>> {
        self.in_use.load_full()
    }

    /// Takes up what is configured: what the files hold, and whether there is to be a next one, with its date. Nobody is
    /// shown nothing meanwhile. `is_other_server`: what was learnt so far is of no use.
    pub fn begin(&self, is_other_server: bool, offers: Vec<(Slot, Identity)>, next: Option<Option<Timestamp>>) {
        self.change(|state, _| {
            if is_other_server {
                *state = State::default();
            }
            state.rotation.set_from(next.flatten());
            if next.is_none() {
                state.rotation.withdraw(Slot::Next);
            }
            offers.into_iter().for_each(|(slot, identity)| state.offer(slot, identity));
        });
        if is_other_server {
            self.last_answer.store(0, Ordering::Relaxed);
        }
    }

    /// The files of `slot` hold this one now. It is in use at once when nothing better is.
    pub fn offer(&self, slot: Slot, identity: Identity) {
        self.change(|state, _| state.offer(slot, identity));
    }

    /// Shows `identity` from the next connection on, whatever was there.
    pub fn publish(&self, identity: Identity) {
        self.begin(true, vec![(Slot::First, identity)], None);
    }

    /// A request that showed the chain of this fingerprint has got an answer.
    pub fn answered(&self, fingerprint: Fingerprint) {
        self.last_answer.store(self.clock.now().as_unix(), Ordering::Relaxed);
        let is_in_use = self.in_use.load().as_ref().is_some_and(|it| fingerprint_of(it) == fingerprint);
        if !(is_in_use && self.is_accepted.load(Ordering::Acquire)) {
            self.accepted(fingerprint);
        }
    }

    /// A server has accepted it.
    pub fn accepted(&self, fingerprint: Fingerprint) {
        self.change(|state, now| state.rotation.accepted(fingerprint, now));
    }

    /// A server has refused it; `None` where nothing was shown. The next request shows another one, if there is one.
    pub fn refused(&self, fingerprint: Option<Fingerprint>, why: Refusal, detail: &str) {
        self.count(why);
        self.change(|state, now| {
            let is_news = match fingerprint {
                Some(fingerprint) => state.rotation.refused(fingerprint, why, detail, now),
                None => state.last_refusal.is_none(),
            };
            let shown = fingerprint.and_then(|fingerprint| find(&state.identities, fingerprint)).cloned();
            state.last_refusal = Some(LastRefusal { at: now, fingerprint, why, detail: detail.to_owned() });
            if is_news {
                state.tell(News::Refused { shown, why, detail: detail.to_owned() });
            }
        });
    }

    /// A server has let us in and answered that we may not: counted and shown, but no reason to show another identity.
    ///
    /// # Why
    ///
    /// An agreement may not cover every method. An application that calls one of those must not be able to change the
    /// identity that all others use.
    pub fn forbidden(&self, fingerprint: Fingerprint, detail: &str) {
        self.count(Refusal::Other);
        let mut state = self.state();
        let (at, detail) = (self.clock.now(), detail.to_owned());
        state.last_refusal = Some(LastRefusal { at, fingerprint: Some(fingerprint), why: Refusal::Other, detail });
    }

    /// A try reached nobody.
    pub fn unreachable(&self, fingerprint: Fingerprint) {
        self.change(|state, now| state.rotation.unreachable(fingerprint, now));
    }

    /// Takes into use what time has made the best, and gives what is to be done.
    pub fn poll(&self) -> Todo {
        self.change(|_, _| {});
        let (now, state) = (self.clock.now(), self.state());
        match state.rotation.step(now) {
            Step::Wait(until) => Todo::Wait(until),
            Step::Try(fingerprint) => {
                find(&state.identities, fingerprint).map_or(Todo::Wait(None), |identity| Todo::Try(identity.clone()))
            }
        }
    }

    /// All that is known.
    pub fn view(&self) -> View {
        let state = self.state();
        let last_answer = self.last_answer.load(Ordering::Relaxed);
        View {
            rotation: state.rotation.clone(),
            identities: state.identities.clone(),
            last_refusal: state.last_refusal.clone(),
            last_answer: (last_answer != 0).then(|| Timestamp::from_unix(last_answer)),
            refusals: std::array::from_fn(|at| self.refusals[at].load(Ordering::Relaxed)),
        }
    }

    /// What happened since it was last asked.
    pub fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.state().news)
    }

    /// Returns when there is news.
    pub async fn heard(&self) {
        self.news.notified().await;
    }

    /// Changes what is known, and takes into use what is the best then.
    fn change(&self, change: impl FnOnce(&mut State, Timestamp)) {
        let now = self.clock.now();
        let mut state = self.state();
        change(&mut state, now);
        let newly = state.rotation.settle(now).and_then(|it| find(&state.identities, it).cloned());
        if let Some(identity) = newly {
            self.in_use.store(Some(identity.clone()));
            state.tell(News::InUse(identity));
        } else if state.rotation.in_use().is_none() {
            self.in_use.store(None);
        }
        let known: Vec<_> = state.rotation.fingerprints().collect();
        state.identities.retain(|identity| known.contains(&fingerprint_of(identity)));
        let is_accepted = state.rotation.in_use().is_some_and(|in_use| in_use.accepted.is_some());
        self.is_accepted.store(is_accepted, Ordering::Release);
        if !state.news.is_empty() {
            self.news.notify_one();
        }
    }

    fn count(&self, why: Refusal) {
        let at = Refusal::ALL.into_iter().position(|it| it == why);
        if let Some(counter) = at.and_then(|at| self.refusals.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn offer(&mut self, slot: Slot, identity: Identity) {
        let leaf = identity.chain().leaf();
        let validity = Validity { not_before: leaf.not_before, not_after: leaf.not_after };
        let fingerprint = identity.chain().fingerprint();
        if find(&self.identities, fingerprint).is_none() {
            self.identities.push(Arc::new(identity));
        }
        self.rotation.offer(slot, fingerprint, validity);
    }

    /// Nobody may be there to take it.
    fn tell(&mut self, news: News) {
        if self.news.len() < MOST_NEWS {
            self.news.push(news);
        }
    }
}

/// What is to be done about a client identity.
#[derive(Clone, Debug)]
pub enum Todo {
    /// Show it to the server once, and tell what came of it.
    Try(Arc<Identity>),
    /// Nothing before this time; `None` is until something happens.
    Wait(Option<Timestamp>),
}

fn fingerprint_of(identity: &Identity) -> Fingerprint {
    identity.chain().fingerprint()
}

fn find(identities: &[Arc<Identity>], fingerprint: Fingerprint) -> Option<&Arc<Identity>> {
    identities.iter().find(|identity| fingerprint_of(identity) == fingerprint)
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every client identity, by name. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct ClientIdentities(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    all: Mutex<HashMap<String, Arc<ClientIdentity>>>,
}

impl ClientIdentities {
    /// None yet, with `clock` to tell whether they are valid.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clock, all: Mutex::default() }))
    }

    /// The one of a name, from now on always the same.
    pub fn get(&self, name: &str) -> Arc<ClientIdentity> {
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(ClientIdentity::new(name, self.0.clock.clone()));
        all.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Forgets all others. Who holds one keeps it.
    pub fn retain(&self, names: &[&str]) {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(&&**name));
    }
}

impl Default for ClientIdentities {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl fmt::Debug for ClientIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentities").finish_non_exhaustive()
    }
}

/// Kept for whoever tells of it.
const MOST_NEWS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> Identity {
        let now = SystemClock.now();
        let day = std::time::Duration::from_secs(86_400);
        Identity::self_signed(&[name.to_owned()], now - day, now + day).unwrap()
    }

    /// A first in use, and a next whose date is far away.
    fn both() -> (Arc<ClientIdentity>, Identity, Identity) {
        let (first, next) = (identity("first.test"), identity("next.test"));
        let client = ClientIdentities::default().get("bankid");
        let offers = vec![(Slot::First, first.clone()), (Slot::Next, next.clone())];
        client.begin(false, offers, Some(Some(Timestamp::from_unix(i64::MAX))));
        (client, first, next)
    }

    fn in_use(client: &ClientIdentity) -> Fingerprint {
        fingerprint_of(&client.in_use().unwrap())
    }

    #[test]
    fn given_a_refusal_when_the_next_request_asks_then_it_gets_the_other_identity() {
        let (client, first, next) = both();
        assert_eq!(in_use(&client), fingerprint_of(&first));
        client.take_news();

        client.refused(Some(fingerprint_of(&first)), Refusal::Revoked, "alert");

        assert_eq!(in_use(&client), fingerprint_of(&next));
        let news = client.take_news();
        assert!(matches!(&news[..], [News::Refused { why: Refusal::Revoked, .. }, News::InUse(_)]), "{news:?}");
        assert_eq!(client.view().refusals, [0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn given_a_late_refusal_of_the_one_before_when_heard_then_the_one_in_use_stays() {
        let (client, first, next) = both();
        for _ in 0..100 {
            client.refused(Some(fingerprint_of(&first)), Refusal::Revoked, "alert");
        }
        assert_eq!(in_use(&client), fingerprint_of(&next));
        assert_eq!(client.view().refusals, [0, 0, 100, 0, 0, 0]);
        assert!(client.take_news().len() <= 3, "told once");
    }

    #[test]
    fn given_an_answer_that_forbids_when_heard_then_counted_and_nothing_changes() {
        let (client, first, _) = both();

        client.answered(fingerprint_of(&first));
        client.forbidden(fingerprint_of(&first), "the server answers 403 Forbidden");

        let view = client.view();
        assert_eq!(in_use(&client), fingerprint_of(&first));
        assert_eq!(view.refusals, [0, 0, 0, 0, 0, 1]);
        assert_eq!(view.last_refusal.unwrap().detail, "the server answers 403 Forbidden");
        assert!(view.last_answer.is_some());
    }

    #[test]
    fn given_the_same_leaf_with_another_chain_when_offered_then_it_is_another_identity() {
        let (client, first, _) = both();
        let mut longer = first.chain().certificates().to_vec();
        longer.extend(identity("ca.test").chain().certificates().to_vec());
        let longer = crate::pki::CertificateChain::from_der(longer).unwrap();
        let longer = Identity::new(longer, first.key().clone()).unwrap();

        client.offer(Slot::First, longer.clone());
        client.accepted(fingerprint_of(&longer));

        assert_eq!(client.in_use().unwrap().chain().certificates().len(), 2);
    }

    #[test]
    fn given_another_server_when_begun_then_nothing_of_the_old_one_is_left() {
        let (client, first, next) = both();
        client.refused(Some(fingerprint_of(&first)), Refusal::UnknownCa, "alert");

        client.begin(true, vec![(Slot::First, first.clone())], None);

        assert_eq!(in_use(&client), fingerprint_of(&first));
        assert!(client.view().identity(fingerprint_of(&next)).is_none());
        client.begin(true, Vec::new(), None);
        assert!(client.in_use().is_none());
    }
}
