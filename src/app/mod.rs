//! Builds the rooms from a configuration and keeps them running: tasks, signals, reload, drain, the demonstration.
//!
//! In: a [`Config`] and the process's signals. Out: a serving process. Imports everything below; nothing imports it but
//! `cli`.
//!
//! Promises: the start never waits for a CA; a reload is prepared whole before anything is swapped, and the old
//! configuration serves on when it fails; a stop drains within `drain`; an upgrade that fails leaves this process serving.

mod acme;
mod cas;
mod certificate_status;
mod certificates;
mod client_status;
mod client_trust;
mod confinement;
mod control;
mod demo;
mod diagnoses;
mod dns_record;
mod egress;
mod events;
mod http1;
mod inherited;
mod listeners;
pub mod log;
mod notify;
mod reload;
mod rights;
mod status;
mod storage;
mod supervise;
mod textfile;
mod upgrade;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tracing::{info, warn};

pub use self::acme::{
    AccountFacts, AcmeWorkError, Revocable, acme_accounts, rehearse_alone, revocable, revoke, roll_over_account,
};
use self::cas::Cas;
use self::certificates::{Certificates, Record};
pub use self::confinement::{confine, in_words as confinement_in_words};
pub use self::demo::demo;
pub use self::dns_record::{DnsRecordFacts, dns_records};
use self::egress::{LocalSockets, SocketError};
use self::events::Events;
use self::http1::NtlmSites;
pub use self::inherited::Inherited;
use self::listeners::{Kind, Listeners};
pub use self::notify::{Tried, become_notifier, test_notifiers};
pub use self::reload::Reloaded;
pub use self::rights::{RightsError, become_user, settle_rights};
use self::status::Phase;
use self::upgrade::Predecessor;
use crate::access::AccessLog;
use crate::admin::Turn;
use crate::challenge::Challenges;
use crate::config::{Config, Problems, Style};
use crate::listener::{Admission, BindError, Refused};
use crate::manager::client::ClientManager;
use crate::manager::{Manager, ManagerParts};
use crate::metrics::{BuildInfo, ConnectionRejection, Metrics};
use crate::notify::{Notifiers, NotifiersParts};
use crate::platform::{Confinement, Notice, Program, Signal, Signals, Supervisor};
use crate::probe::{Place, Prober, ProberError, Sources, Truth};
use crate::proxy::{Clients, Listener, Server, ServerError, Snapshot};
use crate::route::Routes;
use crate::source::acme::{CaBudget, Reckoning, budgets};
use crate::source::internal::{InternalCa, InternalCaError};
use crate::store::{Store, StoreError};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::tls::Resolver;
use crate::upstream::{Acquaintances, ClientIdentities, Observer, Peer, Upstream, UpstreamError};

/// A serving process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    config: ArcSwap<Config>,
    /// What a reload reads again; `None` without a file.
    file: Option<PathBuf>,
    store: Store,
    challenges: Challenges,
    resolver: Arc<Resolver>,
    certificates: Arc<Certificates>,
    truth: Arc<Truth>,
    events: Arc<Events>,
    cas: Arc<Cas>,
    reckoning: Arc<Reckoning>,
    record: Arc<Record>,
    notifiers: Arc<Notifiers>,
    textfile: textfile::Textfile,
    manager: Manager,
    client_identities: ClientIdentities,
    acquaintances: Acquaintances,
    clients: ClientManager,
    ntlm_sites: Arc<NtlmSites>,
    server: Arc<Server>,
    metrics: Arc<Metrics>,
    listeners: Mutex<Listeners>,
    sockets: Mutex<LocalSockets>,
    supervisor: Supervisor,
    program: Option<Program>,
    descriptors: Option<u64>,
    /// What can be opened at all; `None` is whatever the system lets us.
    confined: Option<Confinement>,
    /// Another process serves in place of this one, which drains.
    is_handed_over: AtomicBool,
    started: Timestamp,
    phase: channel::Sender<Phase>,
    last_reload: Mutex<Option<reload::Outcome>>,
    access_log: ArcSwapOption<AccessLog>,
    reloading: tokio::sync::Mutex<()>,
    control: Mutex<Option<JoinHandle<()>>>,
    /// For the status on the control socket.
    asked: Turn,
}

impl App {
    /// Opens the store and the listeners, publishes what certificates there are, and begins to serve.
    ///
    /// `file` is read again on reload; `inherited` is used where it fits. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`AppError`] when the state directory, an address or an upstream cannot be used. Never because of a CA.
    pub async fn start(config: Config, file: Option<PathBuf>, inherited: Inherited) -> Result<Self, AppError> {
        // Fails only when a provider is installed already, as when several apps run in one test.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(SystemClock);
        let store = Store::open(&config.state_dir)?;
        let challenges = Challenges::default();
        let resolver = Arc::new(Resolver::new(challenges.clone()));
        resolver.apply(&config.tls).map_err(AppError::Tls)?;
        let reckoning: Arc<Reckoning> = Arc::default();
        let truth = Arc::new(Truth::new(Prober::new(Sources::default())?, clock.clone(), reckoning.clone()));
        let certificates = Arc::new(Certificates::new(resolver.clone(), truth.clone(), &config));
        let started = clock.now();
        let whole: Arc<OnceLock<Weak<Inner>>> = Arc::default();
        let seen = whole.clone();
        let certificates_now = move || seen.get().map(certificate_status::certificates).unwrap_or_default();
        let metrics = Arc::new(Metrics::new(BuildInfo::current(), started, Arc::new(certificates_now))?);
        let seen = whole.clone();
        metrics
            .show_client_identities(Arc::new(move || seen.get().map(status::client_identities).unwrap_or_default()))?;
        let seen = truth.clone();
        metrics.show_served(Arc::new(move || status::served(&seen)))?;
        let seen = whole.clone();
        metrics.show_client_crls(Arc::new(move || seen.get().map(client_trust::crls).unwrap_or_default()))?;
        let seen = whole.clone();
        metrics.show_budgets(Arc::new(move || seen.get().map(status::budgets).unwrap_or_default()))?;
        let seen = whole.clone();
        metrics.show_storage(Arc::new(move || seen.get().map(storage::status).unwrap_or_default()))?;
        let waits = metrics.clone();
        store.tell_lock_waits(move |time| waits.storage_lock_waited(time));
        let seen = whole.clone();
        let notifiers = Arc::new(Notifiers::new(NotifiersParts {
            store: store.clone(),
            clock: clock.clone(),
            facts: Arc::new(move |needs_in| seen.get().map(|inner| notify::facts(inner, needs_in)).unwrap_or_default()),
            count: notify::counter(metrics.clone()),
        }));
        metrics.reload_succeeded(started);
        let access_log = ArcSwapOption::new(access_log(&config, None, &metrics)?);
        let client_identities = ClientIdentities::new(clock.clone());
        let acquaintances = Acquaintances::new(store.clone());
        let events = Arc::new(Events::default());
        let tellers = (&metrics, &notifiers, &events);
        let known = (&client_identities, &acquaintances);
        let snapshot = snapshot(&config, &[], access_log.load_full(), tellers, known)?;
        let ntlm_sites = Arc::new(NtlmSites::new(store.clone(), resolver.clone()));
        ntlm_sites.apply();
        let server = Server::new(snapshot, resolver.clone(), challenges.clone(), ntlm_sites.observer())?;
        let cas = Arc::new(Cas::default());
        let record = Arc::new(Record::new(metrics.clone(), notifiers.clone(), events.clone(), cas.clone()));
        let manager = Manager::new(ManagerParts {
            store: store.clone(),
            challenges: challenges.clone(),
            clients: crate::source::acme::Clients::new(record.clone(), reckoning.clone()),
            clock: clock.clone(),
            publisher: certificates.clone(),
            observer: record.clone(),
        });
        let listeners = Mutex::new(Listeners::new(inherited.sockets));
        let (phase, _) = channel::channel(Phase::Starting);
        let app = Self(Arc::new(Inner {
            config: ArcSwap::from_pointee(config),
            file,
            store,
            challenges,
            resolver,
            certificates,
            truth,
            events,
            cas,
            reckoning,
            record,
            notifiers,
            textfile: textfile::Textfile::default(),
            manager,
            clients: ClientManager::new(clock, client_identities.clone()),
            client_identities,
            acquaintances,
            ntlm_sites,
            server: Arc::new(server),
            metrics,
            listeners,
            sockets: Mutex::default(),
            supervisor: inherited.supervisor,
            program: inherited.program,
            descriptors: inherited.descriptors,
            confined: inherited.confined,
            is_handed_over: AtomicBool::new(false),
            started,
            phase,
            last_reload: Mutex::default(),
            access_log,
            reloading: tokio::sync::Mutex::const_new(()),
            control: Mutex::default(),
            asked: Turn::default(),
        }));
        // Nobody else has the cell.
        let _ = whole.set(Arc::downgrade(&app.0));
        app.open(inherited.predecessor).await?;
        Ok(app)
    }

    /// Serves until SIGTERM or Ctrl-C, reloads on SIGHUP and when a file changes, hands over on SIGUSR2, then drains. Who
    /// asks a second time does not want to wait for the drain.
    ///
    /// `signals` were taken over before [`App::start`], so that none that comes early ends the process unasked.
    pub async fn run_until_stopped(self, mut signals: Signals) {
        let watching = tokio::spawn(self.clone().reload_on_change());
        loop {
            match signals.next().await {
                Signal::Reload => drop(self.reload("SIGHUP").await),
                Signal::Stop => break,
                Signal::Upgrade => tokio::select! {
                    is_handed_over = self.upgrade() => if is_handed_over { break },
                    () = stopped_again(&mut signals) => break,
                },
            }
        }
        watching.abort();
        self.close_control().await;
        tokio::select! {
            () = self.drain() => {}
            () = stopped_again(&mut signals) => warn!("stopped at once, as asked again: open requests were cut off"),
        }
        self.flush_access_log().await;
    }

    /// The last requests are not to be missing.
    async fn flush_access_log(&self) {
        if let Some(log) = self.0.access_log.load_full() {
            // Lost only when the runtime is; then the log is too.
            let _ = tokio::task::spawn_blocking(move || log.flush(FLUSH)).await;
        }
    }

    /// The internal CA's root in PEM; makes the CA when there is none.
    ///
    /// # Errors
    ///
    /// [`AppError`] when the store cannot be read or written.
    pub fn internal_root(&self) -> Result<String, AppError> {
        Ok(InternalCa::open(&self.0.store, SystemClock.now())?.root_pem())
    }

    /// Binds everything, publishes certificates, then serves: nobody is accepted before there is an answer.
    async fn open(&self, predecessor: Option<Predecessor>) -> Result<(), AppError> {
        let inner = &self.0;
        let config = inner.config.load_full();
        let bound = inner.listeners().bind(&config.listen).map_err(AppError::Bind)?;
        inner.record.apply(&config);
        inner.server.apply_egresses(inner.prepare_egresses(&config)?);
        let pause = match &predecessor {
            Some(_) => Some(inner.manager.pause().await),
            None => None,
        };
        inner.manager.apply(config.certificates.clone()).await;
        inner.clients.apply(egress::client_settings(&config)).await;
        if let Some(predecessor) = &predecessor {
            predecessor.ask().await.map_err(AppError::Predecessor)?;
        }
        // Their names change hands at once, so not before the process before this one has agreed.
        let open = inner.local_sockets().bind(&config)?;
        inner.listeners().settle(&config.listen);
        inner.server.begin();
        inner.listeners().swap(bound, &config.listen, &*self.serve());
        self.swap_sockets(open, &config);
        inner.look_at_listeners(&config);
        self.open_control();
        inner.forget_what_is_gone(&config);
        inner.apply_notifiers(&config);
        // Whoever asks from here on is answered by this process, and by this one alone as soon as the other is relieved.
        inner.phase.send_replace(Phase::Ready);
        if let Some((predecessor, pause)) = predecessor.zip(pause) {
            predecessor.relieve(pause);
            info!("took over from the process before this one");
        }
        rights::tell(inner.descriptors, &config);
        inner.tell(&[Notice::Ready, Notice::Status(&inner.status_line())]);
        tokio::spawn(self.clone().keep_supervisor_informed());
        inner.events.begin();
        tokio::spawn(self.clone().watch_identities());
        tokio::spawn(self.clone().probe_upstreams());
        tokio::spawn(self.clone().diagnose());
        tokio::spawn(self.clone().keep_textfile_current());
        tokio::spawn(self.clone().tell_what_clients_are_judged_by());
        tokio::spawn(inner.truth.clone().run());
        info!(sites = config.route.sites.len(), state_dir = %config.state_dir.display(), "ready");
        Ok(())
    }

    fn serve(&self) -> Box<listeners::Serve> {
        let app = self.clone();
        Box::new(move |kind, listener, stop| {
            let app = app.clone();
            match kind {
                Kind::Admin => Box::pin(crate::admin::serve(listener, Arc::new(status::View(app)), stop)),
                Kind::Egress => Box::pin(app.accept_applications(listener, stop)),
                Kind::Http | Kind::Https => Box::pin(app.accept(kind, listener, stop)),
            }
        })
    }

    async fn accept(self, kind: Kind, listener: TcpListener, stop: channel::Receiver<bool>) {
        let Ok(address) = listener.local_addr() else { return };
        let (metrics, label) = (&self.0.metrics, listener_label(kind, address));
        let tls = (kind == Kind::Https).then(|| metrics.tls(&label));
        let listener_numbers = Listener { metrics: metrics.listener(&label), tls };
        let (server, limits) = (self.0.server.clone(), self.0.server.clone());
        let own = self.0.truth.prober().sources().clone();
        // A drain waits for the last connection that is let in.
        let _open = server.keep_open();
        let (counted, stopped) = (listener_numbers.metrics.clone(), stop.clone());
        let refused = move |why| counted.rejected(rejection(why));
        crate::listener::accept(
            listener,
            move |peer| {
                let (limits, is_exempt) = limits.limits(peer.ip());
                // Nobody else can connect from an address of ours.
                let is_own = kind == Kind::Https && own.contains(peer);
                Admission { limits, is_exempt, is_own }
            },
            refused,
            stop,
            move |incoming| server.clone().serve(incoming, listener_numbers.clone(), stopped.clone()),
        )
        .await;
    }

    async fn drain(&self) {
        let inner = &self.0;
        let limit = inner.config.load().drain;
        info!(?limit, "draining");
        inner.phase.send_replace(Phase::Draining);
        inner.tell(&[Notice::Stopping]);
        inner.truth.stop();
        inner.listeners().stop_traffic();
        inner.local_sockets().stop();
        let notifiers = inner.notifiers.clone();
        let telling = tokio::spawn(async move { notifiers.stop().await });
        tokio::select! {
            () = inner.server.drained() => info!("stopped: every request was finished"),
            () = tokio::time::sleep(limit) => warn!(?limit, "stopped: open requests were cut off"),
            () = self.tell_of_drain(limit) => {}
        }
        inner.server.egresses().iter().for_each(|egress| egress.close());
        // Lost only when the runtime is.
        let _ = telling.await;
        inner.write_textfile().await;
    }

    /// Learns every TLS upstream's certificate, so that its expiry is a number: hourly, and each minute until it is known.
    async fn probe_upstreams(self) {
        let mut phase = self.0.phase.subscribe();
        for minute in (0..PROBE_EVERY).cycle() {
            for upstream in self.0.server.upstreams() {
                for peer in upstream.peers().iter().filter(|peer| minute == 0 || peer.certificate().is_none()) {
                    probe(peer).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(MINUTE) => {}
                _ = phase.wait_for(|phase| *phase == Phase::Draining) => return,
            }
        }
    }
}

/// Shakes hands with one peer, for its certificate.
async fn probe(peer: &Peer) {
    let was_healthy = peer.is_healthy();
    match peer.probe().await {
        Ok(None) => {}
        Ok(Some(_)) => peer.connected(),
        // Told once, not each minute.
        Err(error) if was_healthy => warn!(upstream = peer.upstream(), "{}", error.with_causes()),
        Err(_) => {}
    }
}

impl Inner {
    fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Ready
    }

    /// Tells by these notifiers from now on.
    fn apply_notifiers(&self, config: &Config) {
        config.notify.iter().for_each(|settings| self.metrics.notifier(&settings.name));
        self.notifiers.apply(&config.notify);
        self.textfile.changed.notify_one();
    }

    /// What clients are served is seen from now on on the listeners that are open.
    fn look_at_listeners(&self, config: &Config) {
        let open = self.listeners().open();
        let https = open.into_iter().filter(|(kind, _)| *kind == Kind::Https);
        let places: Vec<_> =
            https.map(|(kind, address)| Place { listener: listener_label(kind, address), address }).collect();
        self.truth.watch(&places, &config.tls, &config.listen.proxy_protocol);
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn local_sockets(&self) -> std::sync::MutexGuard<'_, LocalSockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns at the next wish to stop; a reload makes no sense any more.
async fn stopped_again(signals: &mut Signals) {
    while signals.next().await != Signal::Stop {}
}

/// The state directory as it is, to be read by whoever may; `None` when there is none yet.
///
/// # Errors
///
/// [`AppError::Store`] when it cannot be read.
pub fn store(config: &Config) -> Result<Option<Store>, AppError> {
    // Without it, opening would write.
    if !config.state_dir.join("version").exists() {
        return Ok(None);
    }
    Ok(Some(Store::open(&config.state_dir)?))
}

/// The state directory, to be changed. As root it becomes `user` first, so that what it writes can be used.
///
/// # Errors
///
/// [`AppError`] when the user cannot be become, or the directory not be opened.
pub fn store_to_change(config: &Config) -> Result<Store, AppError> {
    rights::become_user_of_state(config)?;
    Ok(Store::open(&config.state_dir)?)
}

/// The internal CA's root, for `portvakt ca root`. As root it becomes `user` first, so that what it makes can be used.
///
/// # Errors
///
/// [`AppError`] when the store cannot be read or written.
pub fn internal_root(config: &Config) -> Result<String, AppError> {
    rights::become_user_of_state(config)?;
    let store = Store::open(&config.state_dir)?;
    Ok(InternalCa::open(&store, SystemClock.now())?.root_pem())
}

/// What each ACME CA still allows, for `portvakt acme budget`. As root it becomes `user` first.
///
/// # Errors
///
/// [`AppError`] when the store cannot be read.
pub fn acme_budgets(config: &Config, now: Timestamp) -> Result<Vec<CaBudget>, AppError> {
    rights::become_user_of_state(config)?;
    let store = Store::open(&config.state_dir)?;
    let budgets = budgets(&store, &config.certificates, now)?;
    Ok(budgets.into_iter().map(|budget| budget.with_waits(&store, now)).collect())
}

const fn rejection(why: Refused) -> ConnectionRejection {
    match why {
        Refused::Listener => ConnectionRejection::Connections,
        Refused::Client => ConnectionRejection::ConnectionsPerClient,
    }
}

/// Metric label of a listener: its kind and its real address.
fn listener_label(kind: Kind, address: SocketAddr) -> String {
    format!("{} {address}", kind.as_str())
}

/// What requests are judged by. An upstream of `running` whose settings stay is kept, with its connections.
fn snapshot(
    config: &Config,
    running: &[Arc<Upstream>],
    access_log: Option<Arc<AccessLog>>,
    (metrics, notifiers, events): (&Arc<Metrics>, &Arc<Notifiers>, &Arc<Events>),
    (identities, acquaintances): (&ClientIdentities, &Acquaintances),
) -> Result<Snapshot, UpstreamError> {
    let (numbers, notifiers, events) = (metrics.clone(), notifiers.clone(), events.clone());
    let observer: Observer = Arc::new(move |change| {
        events.upstream(change);
        numbers.upstream_health(change.upstream, change.peer, change.is_healthy, change.is_any_healthy);
        notifiers.look();
    });
    let keep_or_make =
        |settings: &crate::upstream::Settings| match running.iter().find(|upstream| upstream.settings() == settings) {
            Some(upstream) => Ok(upstream.clone()),
            None => Upstream::new(settings.clone(), observer.clone(), identities, acquaintances).map(Arc::new),
        };
    let upstreams = config.upstreams.iter().map(keep_or_make).collect::<Result<_, _>>()?;
    let routes = Routes::new(config.route.clone());
    let clients = Clients {
        trusted_proxies: config.trusted_proxies.clone(),
        load_balancers: config.listen.proxy_protocol.clone(),
        limits: config.listen.limits,
    };
    Ok(Snapshot::new(routes, upstreams, clients, access_log, metrics))
}

/// The access log that is asked for; the one that runs when it is the same.
fn access_log(
    config: &Config,
    running: Option<Arc<AccessLog>>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<AccessLog>>, AppError> {
    let Some(settings) = &config.log.access else { return Ok(None) };
    if let Some(running) = running.filter(|log| log.settings() == settings) {
        return Ok(Some(running));
    }
    let counted = metrics.clone();
    let dropped = Arc::new(move |lines| counted.access_log_dropped(lines));
    let log = AccessLog::open(settings.clone(), dropped).map_err(AppError::AccessLog)?;
    Ok(Some(Arc::new(log)))
}

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration has errors.
    #[error("the configuration has errors")]
    Config(Problems),
    /// The log cannot be started.
    #[error(transparent)]
    Log(#[from] log::LevelError),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(BindError),
    /// A socket for applications cannot be listened on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A TLS configuration cannot be made.
    #[error("cannot make a TLS configuration")]
    Tls(#[source] rustls::Error),
    /// The proxy cannot be set up.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// An upstream cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The internal CA cannot be opened.
    #[error(transparent)]
    Internal(#[from] InternalCaError),
    /// No handshake with ourselves can be made.
    #[error(transparent)]
    Prober(#[from] ProberError),
    /// The metrics cannot be set up.
    #[error("cannot set up the metrics")]
    Metrics(#[from] prometheus::Error),
    /// Reading the configuration died.
    #[error("reading the configuration died")]
    Task(#[source] tokio::task::JoinError),
    /// The access log has no thread to write it.
    #[error("cannot start the thread of the access log")]
    AccessLog(#[source] std::io::Error),
    /// A change that only a restart can bring.
    #[error("{0} cannot change while the process runs")]
    NeedsRestart(String),
    /// The process's signals cannot be taken over.
    #[error("cannot take over the process's signals")]
    Signals(#[source] std::io::Error),
    /// The service manager's socket has no address that can be used.
    #[error("cannot use the service manager's socket that `NOTIFY_SOCKET` names")]
    Supervisor(#[source] std::io::Error),
    /// Rights that cannot be had or given up.
    #[error(transparent)]
    Rights(#[from] RightsError),
    /// The process that is to be taken over from.
    #[error("cannot take over from the process before this one")]
    Predecessor(#[source] std::io::Error),
    /// The runtime cannot be started.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    /// The demonstration's folder.
    #[error("cannot write to the folder for temporary files")]
    DemoFolder(#[source] std::io::Error),
    /// The demonstration's server.
    #[error("cannot listen on loopback")]
    DemoHost(#[source] std::io::Error),
}

impl From<Problems> for AppError {
    fn from(problems: Problems) -> Self {
        Self::Config(problems)
    }
}

impl AppError {
    /// How to mend it, where that is known.
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Bind(error) => Some(error.fix()),
            Self::Store(_) => Some(format!("let `state_dir` be a folder that {} may write", crate::platform::user())),
            Self::Server(ServerError::Roots(_)) => Some("let `TMPDIR` name a folder that may be written".to_owned()),
            Self::Supervisor(_) => Some("unset `NOTIFY_SOCKET`, or let it be the path that systemd gives".to_owned()),
            Self::Rights(error) => Some(error.fix()),
            Self::NeedsRestart(_) => Some("restart portvakt, or take the change back".to_owned()),
            _ => None,
        }
    }
}

/// The form in which an error is printed: what, why, and how to mend it.
pub fn describe(error: &AppError) -> String {
    describe_in(error, Style::Plain)
}

/// As [`describe`], for a terminal or not.
pub fn describe_in(error: &AppError, style: Style) -> String {
    if let AppError::Config(problems) = error {
        return problems.render(style);
    }
    let mut text = format!("error: {error}\n");
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!("  = why: {cause}\n"));
        next = cause.source();
    }
    if let Some(fix) = error.fix() {
        text.push_str(&format!("  = fix: {fix}\n"));
    }
    text
}

/// How long the end waits for the access log.
const FLUSH: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
/// Minutes between two looks at a certificate that is known.
const PROBE_EVERY: u32 = 60;
