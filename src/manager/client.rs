//! The carrier of client identities: one task for each, which watches its files, tries what is new and lets it take over.
//!
//! Promises: after [`ClientManager::apply`] whatever identity is in the files is in use, though no server was asked; a new
//! one takes over from one that works only when a server has accepted it; a server is asked once for each swap, and never
//! regularly.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};

use crate::causes::with_causes;
use crate::lifecycle::outlook::{Level, Outlook};
use crate::lifecycle::rotation::{Slot, Why};
use crate::pki::{Assembled, Fingerprint, Identity, LeafFacts};
use crate::source::files::FilesSource;
use crate::source::{ClientIdentitySettings, Trial, off_thread};
use crate::time::{Clock, Timestamp};
use crate::upstream::{self, ClientIdentities, ClientIdentity, News, Question, Seen, Todo, TrialError, View};

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

/// How one client identity is.
#[derive(Clone, Debug)]
pub struct ClientStatus {
    /// The name of its egress or upstream.
    pub name: String,
    /// `None` for what is not configured.
    pub slots: Vec<SlotStatus>,
    /// Where what is in use lies; `None` for one whose files hold another by now.
    pub in_use: Option<Slot>,
    /// What is in use; `None` when there is nothing to show.
    pub identity: Option<Arc<Identity>>,
    /// Why it is that one.
    pub why: Option<Why>,
    /// All that is known.
    pub view: View,
    /// The last trial.
    pub last_trial: Option<LastTrial>,
    /// How long what there is lasts; of several, the one that ends last.
    pub outlook: Option<Outlook>,
    /// What happens next, or what somebody has to do.
    pub next: NextAction,
}

/// What happens next to a client identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextAction {
    /// In words.
    pub action: String,
    /// When; `None` for now.
    pub at: Option<Timestamp>,
}

/// One of the identities of a name.
#[derive(Clone, Debug)]
pub struct SlotStatus {
    /// Which.
    pub slot: Slot,
    /// Its file, for people.
    pub file: String,
    /// What the files hold; `None` for nothing that can be used.
    pub identity: Option<Arc<Identity>>,
    /// Why the files cannot be used.
    pub trouble: Option<(Timestamp, String)>,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTrial {
    /// When it ended.
    pub at: Timestamp,
    /// Subject of what was tried.
    pub common_name: String,
    /// Whether it was accepted; `None` when nobody was reached.
    pub is_accepted: Option<bool>,
    /// In words.
    pub detail: String,
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

#[derive(Clone)]
struct Shown {
    settings: ClientIdentitySettings,
    identity: Arc<ClientIdentity>,
    slot: Arc<ArcSwap<Seeing>>,
}

/// What a task knows beside what the identity knows itself.
#[derive(Clone, Debug, Default)]
struct Seeing {
    first: Option<(Timestamp, String)>,
    next: Option<(Timestamp, String)>,
    last_trial: Option<LastTrial>,
}

impl Seeing {
    fn trouble(&mut self, slot: Slot) -> &mut Option<(Timestamp, String)> {
        match slot {
            Slot::First => &mut self.first,
            Slot::Next => &mut self.next,
        }
    }
}

impl Shown {
    fn status(&self, now: Timestamp) -> ClientStatus {
        let (view, mut seen) = (self.identity.view(), Seeing::clone(&self.slot.load()));
        let mut slot = |slot: Slot, file: String| SlotStatus {
            slot,
            file,
            identity: view.rotation.of(slot).and_then(|it| view.identity(it.fingerprint)).cloned(),
            trouble: seen.trouble(slot).take(),
        };
        let mut slots = vec![slot(Slot::First, self.settings.files.main().display().to_string())];
        let next = self.settings.next.as_ref();
        slots.extend(next.map(|next| slot(Slot::Next, next.files.main().display().to_string())));
        let outlook = view.rotation.covered_until().map(|until| Outlook::of(until, now));
        ClientStatus {
            name: self.settings.name.clone(),
            slots,
            in_use: view.rotation.slot_in_use(),
            identity: self.identity.in_use(),
            why: view.rotation.why(now),
            last_trial: seen.last_trial,
            next: next_action(&view, outlook, &Words::of(&self.settings), now),
            outlook,
            view,
        }
    }
}

fn next_action(view: &View, outlook: Option<Outlook>, words: &Words, now: Timestamp) -> NextAction {
    let Some(outlook) = outlook else {
        let action = match view.rotation.in_use() {
            Some(_) => format!("the server refuses it: {}", words.order),
            None => "put an identity into the files".to_owned(),
        };
        return NextAction { action, at: None };
    };
    let takes_over = view.rotation.takes_over_at().filter(|at| *at > now);
    match (takes_over, outlook.level) {
        (Some(at), Level::Fine | Level::Order) => NextAction { action: "`next` takes over".to_owned(), at: Some(at) },
        (_, Level::Fine) => NextAction { action: words.order.to_owned(), at: Some(outlook.order_by()) },
        (_, Level::Order | Level::Urgent | Level::Expired) => {
            let action = format!("{}: the last one {}", words.order, outlook.in_words());
            NextAction { action, at: None }
        }
    }
}

/// How people call things there.
struct Words {
    certificate: &'static str,
    order: &'static str,
}

impl Words {
    fn of(settings: &ClientIdentitySettings) -> Self {
        match settings.trial {
            Trial::BankId { .. } => Self { certificate: "RP certificate", order: "order a new one at your bank" },
            Trial::Handshake | Trial::Request { .. } => {
                Self { certificate: "client certificate", order: "order a new one" }
            }
        }
    }
}

struct Keeper {
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
    async fn begin(clock: Arc<dyn Clock>, settings: ClientSettings, shown: Shown, is_other_server: bool) -> Self {
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
    async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
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

/// What is sent in a trial.
///
/// nginx and others refuse a client certificate only in their answer; where the health of an upstream is checked, that
/// request is the trial.
pub fn question(trial: &Trial, upstream: &upstream::Settings) -> Option<Question> {
    match trial {
        Trial::Handshake => {
            let health = upstream.health.as_ref()?;
            Some(Question { method: "GET".to_owned(), target: health.path.clone(), json: None })
        }
        Trial::Request { method, target } => {
            Some(Question { method: method.clone(), target: target.clone(), json: None })
        }
        Trial::BankId { target } => {
            let json = Some(format!("{{\"orderRef\":\"{}\"}}", nobodys_order()));
            Some(Question { method: "POST".to_owned(), target: target.clone(), json })
        }
    }
}

/// A random UUID (RFC 9562 §5.4), which no order has.
fn nobodys_order() -> String {
    let bits = rand::rng().random::<u128>() & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn accepted(seen: &Seen) -> String {
    match &seen.answer {
        Some(answer) => format!("{} answers {} over {}", seen.address, answer.status, seen.tls),
        None => format!("{} shook hands over {} and sent no alert", seen.address, seen.tls),
    }
}

fn fix(why: crate::lifecycle::rotation::Refusal, words: &Words) -> String {
    use crate::lifecycle::rotation::Refusal;
    match why {
        Refusal::Expired | Refusal::Revoked => words.order.to_owned(),
        Refusal::UnknownCa | Refusal::Bad | Refusal::Required => {
            "is it an identity for this server? A test identity is refused by a production server, and the reverse"
                .to_owned()
        }
        Refusal::Other => "ask whoever runs the server whether this identity is still let in".to_owned(),
    }
}

/// `CN=FP Testcert 5`.
fn subject(leaf: &LeafFacts) -> String {
    format!("CN={}", leaf.common_name)
}

/// What people see of it: the subject's `name`, as at BankID, else its common name.
pub fn name_shown(leaf: &LeafFacts) -> &str {
    if leaf.display_name.is_empty() { &leaf.common_name } else { &leaf.display_name }
}

fn fingerprint(identity: &Identity) -> Fingerprint {
    identity.chain().fingerprint()
}

const LOOK: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(1);
/// Files that never stand still are read all the same.
const LONGEST_SETTLE: usize = 10;
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_trial_at_bankid_when_asked_then_an_order_that_nobody_has() {
        let trial = Trial::BankId { target: "/rp/v6.0/collect".into() };

        let [one, two] = [(); 2].map(|()| question(&trial, &upstream(None)).unwrap());

        assert_eq!((&*one.method, &*one.target), ("POST", "/rp/v6.0/collect"));
        assert_ne!(one.json, two.json);
        let body: serde_json::Value = serde_json::from_str(&one.json.unwrap()).unwrap();
        let order = body["orderRef"].as_str().unwrap();
        assert_eq!((order.len(), &order[14..15]), (36, "4"), "{order}");
        assert!("89ab".contains(&order[19..20]), "{order}");
    }

    #[test]
    fn given_no_trial_when_the_upstream_is_checked_then_the_check_is_the_trial() {
        let asked = |health| question(&Trial::Handshake, &upstream(health)).map(|question| question.target);

        assert_eq!(asked(None), None);
        assert_eq!(asked(Some(upstream::HealthCheck::of("/up"))).as_deref(), Some("/up"));
    }

    fn upstream(health: Option<upstream::HealthCheck>) -> upstream::Settings {
        upstream::Settings {
            name: "partner".into(),
            peers: Vec::new(),
            host: None,
            timeouts: upstream::Timeouts::default(),
            health,
        }
    }
}
