//! The certificate engine (manager, lifecycle, store and the ACME source) gets certificates from a real ACME server,
//! and neither failed validations, restarts nor a second process make it order more than it must.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use portvakt::challenge::{Challenges, HTTP_PREFIX};
use portvakt::lifecycle::{Event, Failure, Origin, Reason, State};
use portvakt::manager::{CertificateStatus, Manager, ManagerParts, NotSeen, Observe, Publish};
use portvakt::pki::{Identity, KeyType, TrustAnchors};
use portvakt::source::acme::Clients;
use portvakt::source::{AcmeCas, AcmeSettings, CertificateSettings, ChallengeKind, Settings};
use portvakt::store::Store;
use portvakt::time::{Clock, SystemClock, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::LazyConfigAcceptor;

use crate::support::Pebble;
use crate::support::pebble;

#[tokio::test(flavor = "multi_thread")]
async fn given_nothing_stored_when_applied_then_a_placeholder_at_once_and_certificates_of_one_account_soon() {
    let stage = Stage::new(|settings| settings.nonce_reject = 50).await;
    let engine = stage.engine();

    engine
        .manager
        .apply(vec![stage.acme("first", &["first.test", "also.first.test"]), stage.acme("second", &["second.test"])])
        .await;
    assert_eq!(engine.seen.origins("first"), [Origin::Placeholder]);
    assert!(engine.status("first").leaf.is_some_and(|leaf| leaf.covers("first.test")));
    engine.issued("first").await;
    engine.issued("second").await;

    let status = engine.status("first");
    assert_eq!((status.life.state, status.life.consecutive_failures, status.uncovered), (State::Issued, 0, vec![]));
    assert_eq!(engine.seen.origins("first"), [Origin::Placeholder, Origin::Issued]);
    let (served, placeholder) = engine.seen.served("first");
    assert!(!placeholder && served.chain().leaf().covers("also.first.test"));
    assert_eq!(served.chain().certificates().len(), 2, "leaf and intermediate");
    assert!(engine.store().load_orders("first").unwrap().is_empty());
    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_stored_certificate_when_started_again_then_it_is_served_and_nothing_is_ordered() {
    let stage = Stage::new(|_| ()).await;
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    engine.issued("m5").await;
    // The plan is kept with the record, which is saved after the certificate.
    engine.planned("m5").await;
    let due = engine.status("m5").life.renewal_due;
    drop(engine);

    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;

    assert_eq!(engine.seen.origins("m5"), [Origin::Store]);
    assert_eq!(engine.status("m5").life.renewal_due, due);
    engine.planned("m5").await;
    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_certificate_when_its_renewal_is_due_then_another_takes_its_place() {
    let stage = Stage::new(|_| ()).await;
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    engine.issued("m5").await;
    let first = engine.status("m5").leaf.unwrap().serial;
    engine.planned("m5").await;

    stage.clock.skip(Duration::from_secs(61 * 86_400));

    // The CA's clock has not moved, and its word counts for the new certificate.
    until("renewed", || engine.seen.origins("m5") == [Origin::Placeholder, Origin::Issued, Origin::Issued]).await;
    assert_ne!(engine.seen.served("m5").0.chain().leaf().serial, first);
    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_failed_validation_when_the_minute_is_over_then_tried_again_and_issued() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Shut);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;

    let failure = engine.failed("m5").await;
    assert_eq!(failure.reason, Reason::Unauthorized, "{failure:?}");
    assert!(
        failure.detail.contains("m5.test") && failure.detail.contains("urn:ietf:params:acme:error:"),
        "{failure:?}"
    );
    assert!(failure.fix.is_some());
    engine.planned("m5").await;
    let status = engine.status("m5").life;
    assert_eq!((status.state, status.consecutive_failures), (State::Placeholder, 1));

    stage.door.send_replace(Door::Open);
    stage.clock.skip(Duration::from_secs(80));
    engine.issued("m5").await;
    assert_eq!(stage.pebble.orders(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_death_during_validation_when_started_again_then_the_same_order_is_finished() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;
    let order = engine.store().load_orders("m5").unwrap().remove(0);
    drop(engine);
    let token = stage.visited().unwrap();
    until("the answer is gone", || stage.challenges.http(&token).is_none()).await;

    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the answer is back", || stage.challenges.http(&token).is_some()).await;
    stage.door.send_replace(Door::Open);
    engine.issued("m5").await;

    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 1));
    let (served, _) = engine.seen.served("m5");
    assert_eq!(served.key().der(), order.key.der());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_ca_that_has_forgotten_the_account_when_ordering_then_registered_once_more() {
    let mut stage = Stage::new(|_| ()).await;
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    engine.issued("m5").await;
    stage.pebble.stop();
    stage.pebble.go();

    engine.manager.apply(vec![stage.acme("m5", &["m5.test"]), stage.acme("other", &["other.test"])]).await;
    engine.issued("other").await;

    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_only_tls_alpn_when_applied_then_issued_by_it() {
    let stage = Stage::new(|_| ()).await;
    let engine = stage.engine();
    let mut settings = stage.acme("m5", &["m5.test"]);
    if let Settings::Acme(AcmeCas { first: acme, .. }) = &mut settings.source {
        acme.challenges = vec![ChallengeKind::TlsAlpn01];
    }

    engine.manager.apply(vec![settings]).await;
    engine.issued("m5").await;
    assert_eq!(stage.visited(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_processes_on_one_folder_when_both_start_then_one_order_and_both_serve_its_certificate() {
    let stage = Stage::new(|_| ()).await;
    let engines = [stage.engine(), stage.engine()];

    for engine in &engines {
        engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    }
    for engine in &engines {
        until("a certificate", || engine.status("m5").life.state == State::Issued).await;
    }

    let [first, second] = engines.map(|engine| engine.status("m5").leaf.unwrap().fingerprint);
    assert_eq!(first, second);
    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_another_process_in_the_middle_of_an_order_when_started_then_it_waits_for_it_and_has_failed_at_nothing() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let [first, second] = [stage.engine(), stage.engine()];
    first.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;
    // As if it were a moment earlier: the attempt is noted, and there is no order yet.
    first.store().clear_orders("m5").unwrap();

    second.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    assert!(second.status("m5").life.last_failure.is_none(), "{:?}", second.status("m5").life);
    stage.door.send_replace(Door::Open);
    until("a certificate", || second.status("m5").life.state == State::Issued).await;

    assert!(second.status("m5").life.last_failure.is_none());
    assert_eq!(stage.pebble.orders(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_store_that_refuses_the_certificate_when_issued_then_served_and_kept_later_without_another_order() {
    let stage = Stage::new(|_| ()).await;
    // A file where the first generation's folder is to be.
    let obstacle = stage.state().join("certs/m5/1");
    fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
    fs::write(&obstacle, "").unwrap();
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;

    engine.issued("m5").await;
    assert!(
        engine
            .seen
            .events("m5")
            .iter()
            .any(|event| { matches!(event, Event::Trouble { failure } if failure.reason == Reason::Storage) })
    );
    assert!(engine.store().load_identity("m5").unwrap().is_none());
    engine.planned("m5").await;
    let told = engine.status("m5").life.last_failure.unwrap();
    assert!(told.reason == Reason::Storage && told.detail.contains("certs/m5/1"), "{told:?}");

    fs::remove_file(&obstacle).unwrap();
    stage.clock.skip(Duration::from_secs(61));
    until("saved", || engine.store().load_identity("m5").is_ok_and(|stored| stored.is_some())).await;
    until("cleared", || engine.store().load_orders("m5").unwrap().is_empty()).await;
    until("told", || engine.status("m5").life.last_failure.is_none()).await;
    assert_eq!(stage.pebble.orders(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_reload_during_an_order_when_nothing_changes_for_it_then_the_order_goes_on() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;
    let token = stage.visited().unwrap();

    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    assert!(stage.challenges.http(&token).is_some());
    engine.manager.apply(vec![]).await;

    assert!(stage.challenges.http(&token).is_none(), "a removed certificate's order is given up");
    assert!(engine.manager.statuses().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_names_in_another_order_when_an_order_is_in_flight_then_it_is_finished_and_no_other_is_placed() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test", "api.m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;
    let token = stage.visited().unwrap();

    engine.manager.apply(vec![stage.acme("m5", &["api.m5.test", "m5.test"])]).await;
    until("the answer is back", || stage.challenges.http(&token).is_some()).await;
    stage.door.send_replace(Door::Open);
    engine.issued("m5").await;

    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_another_key_type_when_an_order_is_in_flight_then_the_certificate_has_the_new_one() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;
    let token = stage.visited().unwrap();
    let mut settings = stage.acme("m5", &["m5.test"]);
    if let Settings::Acme(AcmeCas { first: acme, .. }) = &mut settings.source {
        acme.key_type = KeyType::P384;
    }

    engine.manager.apply(vec![settings]).await;
    // Of the order of before, or of a new one.
    until("an order is gone on with", || stage.challenges.http(&token).is_some() || stage.pebble.orders() == 2).await;
    stage.door.send_replace(Door::Open);
    engine.issued("m5").await;

    let leaf = engine.status("m5").leaf.unwrap();
    assert!(leaf.key_type.contains("384"), "{}", leaf.key_type);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_kinds_of_challenge_when_one_fails_then_the_other_is_tried_next() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Shut);
    let engine = stage.engine();
    let mut settings = stage.acme("m5", &["m5.test"]);
    if let Settings::Acme(AcmeCas { first: acme, .. }) = &mut settings.source {
        acme.challenges = vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
    }
    engine.manager.apply(vec![settings]).await;
    engine.failed("m5").await;
    assert!(stage.visited().is_some(), "the first kind of the list comes first");
    engine.planned("m5").await;

    stage.clock.skip(Duration::from_secs(80));

    engine.issued("m5").await;
    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_ca_that_goes_away_in_an_order_and_forgets_when_it_is_back_then_issued() {
    let mut stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;

    stage.pebble.stop();
    assert_eq!(engine.failed("m5").await.reason, Reason::Network);
    engine.planned("m5").await;
    assert!(!engine.store().load_orders("m5").unwrap().is_empty(), "the order may still be good");
    stage.pebble.go();
    stage.door.send_replace(Door::Open);
    stage.clock.skip(Duration::from_secs(80));

    engine.issued("m5").await;
    assert_eq!((stage.pebble.accounts(), stage.pebble.orders()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_another_name_when_an_order_is_in_flight_then_the_certificate_has_it() {
    let stage = Stage::new(|_| ()).await;
    stage.door.send_replace(Door::Held);
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    until("the CA validates", || stage.visited().is_some()).await;

    engine.manager.apply(vec![stage.acme("m5", &["m5.test", "api.m5.test"])]).await;
    until("another order", || stage.pebble.orders() == 2).await;
    stage.door.send_replace(Door::Open);
    engine.issued("m5").await;

    assert!(engine.status("m5").uncovered.is_empty());
    assert!(engine.store().load_orders("m5").unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_clock_a_year_ahead_when_ordered_then_the_certificate_serves_and_one_more_is_ordered_at_most() {
    let stage = Stage::new(|_| ()).await;
    stage.clock.skip(Duration::from_secs(365 * 86_400));
    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    engine.issued("m5").await;
    engine.planned("m5").await;
    stage.clock.skip(Duration::from_secs(12 * 3600));
    drop(engine);

    let engine = stage.engine();
    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    engine.planned("m5").await;

    assert!(!engine.seen.served("m5").1);
    assert_eq!(engine.status("m5").life.state, State::Expired);
    assert_eq!(stage.pebble.orders(), 2, "the second has shown that it is a loop");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_no_ca_when_applied_then_serves_a_placeholder_and_says_why() {
    let mut stage = Stage::new(|_| ()).await;
    stage.pebble.stop();
    let engine = stage.engine();

    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    assert!(engine.seen.served("m5").1);

    let failure = engine.failed("m5").await;
    assert_eq!(failure.reason, Reason::Network, "{failure:?}");
    assert!(failure.detail.contains(&stage.pebble.directory()), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_terms_not_agreed_when_applied_then_refused_until_the_settings_change() {
    let stage = Stage::new(|_| ()).await;
    let engine = stage.engine();
    let mut settings = stage.acme("m5", &["m5.test"]);
    if let Settings::Acme(AcmeCas { first: acme, .. }) = &mut settings.source {
        acme.agree_tos = false;
    }
    engine.manager.apply(vec![settings]).await;
    let failure = engine.failed("m5").await;
    assert_eq!(failure.reason, Reason::Account);
    engine.planned("m5").await;
    assert_eq!(engine.status("m5").life.next.at, None);

    engine.manager.apply(vec![stage.acme("m5", &["m5.test"])]).await;
    engine.issued("m5").await;
}

/// A CA, the port that it validates on, and a state directory.
pub(crate) struct Stage {
    pub(crate) pebble: Pebble,
    pub(crate) challenges: Challenges,
    door: Arc<watch::Sender<Door>>,
    visited: Arc<Mutex<Option<String>>>,
    pub(crate) clock: SkippingClock,
    dir: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn new(change: impl FnOnce(&mut pebble::Settings)) -> Self {
        let challenges = Challenges::default();
        let door = Arc::new(watch::Sender::new(Door::Open));
        let visited = Arc::default();
        let http = listen().await;
        let tls = listen().await;
        let mut settings = pebble::Settings::on(port(&http), port(&tls));
        change(&mut settings);
        tokio::spawn(answer_http(http, challenges.clone(), door.subscribe(), Arc::clone(&visited)));
        tokio::spawn(answer_tls(tls, challenges.clone()));
        let pebble = tokio::task::spawn_blocking(move || Pebble::start(settings)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { pebble, challenges, door, visited, clock: SkippingClock::default(), dir }
    }

    pub(crate) fn state(&self) -> &Path {
        self.dir.path()
    }

    /// What a process would build.
    pub(crate) fn engine(&self) -> Engine {
        Engine::new(self.state(), self.challenges.clone(), Arc::new(self.clock.clone()))
    }

    pub(crate) fn acme(&self, name: &str, identifiers: &[&str]) -> CertificateSettings {
        CertificateSettings {
            name: name.to_owned(),
            identifiers: identifiers.iter().map(|&name| name.to_owned()).collect(),
            source: Settings::Acme(self.settings().into()),
        }
    }

    /// `[acme]`.
    pub(crate) fn settings(&self) -> AcmeSettings {
        let anchors = fs::read(self.pebble.trust_anchors()).unwrap();
        AcmeSettings {
            directory: self.pebble.directory(),
            trust_anchors: Some(TrustAnchors::from_pem(&anchors).unwrap()),
            agree_tos: true,
            contact: vec!["mailto:operator@m5.test".to_owned()],
            challenges: vec![ChallengeKind::Http01],
            key_type: KeyType::P256,
            ..AcmeSettings::default()
        }
    }

    /// Token of the first http-01 validation.
    fn visited(&self) -> Option<String> {
        self.visited.lock().unwrap().clone()
    }
}

/// A manager and what it has told.
pub(crate) struct Engine {
    pub(crate) manager: Manager,
    pub(crate) seen: Arc<Seen>,
    store: Store,
}

impl Engine {
    pub(crate) fn new(state: &Path, challenges: Challenges, clock: Arc<dyn Clock>) -> Self {
        let seen = Arc::new(Seen::default());
        let store = Store::open(state).unwrap();
        let manager = Manager::new(ManagerParts {
            clients: Clients::default(),
            store: store.clone(),
            challenges,
            clock,
            publisher: seen.clone(),
            observer: seen.clone(),
        });
        Self { manager, seen, store }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn status(&self, name: &str) -> CertificateStatus {
        self.manager.statuses().into_iter().find(|status| status.name == name).unwrap()
    }

    pub(crate) async fn issued(&self, name: &str) {
        until("issued", || self.seen.origins(name).contains(&Origin::Issued)).await;
    }

    /// The task has come to rest.
    pub(crate) async fn planned(&self, name: &str) {
        until("planned", || matches!(self.seen.events(name).last(), Some(Event::Planned { .. }))).await;
    }

    pub(crate) async fn failed(&self, name: &str) -> Failure {
        let failure = || {
            self.seen.events(name).into_iter().find_map(|event| match event {
                Event::Failed { failure, .. } => Some(failure),
                _ => None,
            })
        };
        until("failed", || failure().is_some()).await;
        failure().unwrap()
    }
}

/// What was published and told.
#[derive(Default)]
pub(crate) struct Seen {
    served: Mutex<HashMap<String, (Identity, bool)>>,
    events: Mutex<Vec<(String, Event)>>,
    /// What a look at our own listeners would show; without it everything is seen.
    look: Mutex<Option<Look>>,
}

type Look = Box<dyn Fn(&Identity) -> Result<(), NotSeen> + Send>;

impl Seen {
    /// Lets a look show this from now on.
    pub(crate) fn shows(&self, look: impl Fn(&Identity) -> Result<(), NotSeen> + Send + 'static) {
        *self.look.lock().unwrap() = Some(Box::new(look));
    }

    pub(crate) fn served(&self, name: &str) -> (Identity, bool) {
        self.served.lock().unwrap()[name].clone()
    }

    pub(crate) fn events(&self, name: &str) -> Vec<Event> {
        self.events.lock().unwrap().iter().filter(|(of, _)| of == name).map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn origins(&self, name: &str) -> Vec<Origin> {
        let origin = |event| match event {
            Event::Activated { origin, .. } => Some(origin),
            _ => None,
        };
        self.events(name).into_iter().filter_map(origin).collect()
    }
}

#[async_trait]
impl Publish for Seen {
    async fn seen(&self, _certificate: &str, identity: &Identity) -> Result<(), NotSeen> {
        self.look.lock().unwrap().as_ref().map_or(Ok(()), |look| look(identity))
    }

    fn publish(&self, certificate: &str, identity: &Identity, placeholder: bool) {
        self.served.lock().unwrap().insert(certificate.to_owned(), (identity.clone(), placeholder));
    }
}

impl Observe for Seen {
    fn event(&self, certificate: &str, event: &Event) {
        portvakt::manager::log(certificate, event);
        self.events.lock().unwrap().push((certificate.to_owned(), event.clone()));
    }
}

/// The machine's clock, which can be put forward.
#[derive(Clone, Default)]
pub(crate) struct SkippingClock(Arc<AtomicI64>);

impl SkippingClock {
    pub(crate) fn skip(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_secs()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(SystemClock.now().as_unix() + self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, at: Timestamp) {
        while self.now() < at {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What the CA finds where it validates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Shut,
    Held,
}

async fn answer_http(
    listener: TcpListener,
    challenges: Challenges,
    door: watch::Receiver<Door>,
    visited: Arc<Mutex<Option<String>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (challenges, mut door, visited) = (challenges.clone(), door.clone(), Arc::clone(&visited));
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.is_ok_and(|length| length > 0) {}
            let path = head.split(' ').nth(1).unwrap_or_default();
            let token = path.strip_prefix(HTTP_PREFIX).unwrap_or_default().to_owned();
            visited.lock().unwrap().get_or_insert_with(|| token.clone());
            let door = *door.wait_for(|door| *door != Door::Held).await.unwrap();
            let answer = match challenges.http(&token).filter(|_| door == Door::Open) {
                Some(body) => {
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
                }
                None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}

async fn answer_tls(listener: TcpListener, challenges: Challenges) {
    while let Ok((stream, _)) = listener.accept().await {
        let challenges = challenges.clone();
        tokio::spawn(async move {
            let Ok(hello) = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await else { return };
            let name = hello.client_hello().server_name().unwrap_or_default().to_owned();
            let Some(config) = challenges.alpn(&name) else { return };
            let _ = hello.into_stream(config).await;
        });
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// Waits until it is so; a minute is more than anything here needs.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}
