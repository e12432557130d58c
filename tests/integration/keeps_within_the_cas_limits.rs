//! What a CA allows is known before it refuses: an order beyond it is not sent but explained, with the time when it will
//! work, and `portvakt acme budget` shows every bucket.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portvakt::challenge::Challenges;
use portvakt::lifecycle::budget::{Ask, Limit, Limits};
use portvakt::lifecycle::{Reason, Retry};
use portvakt::pki::TrustAnchors;
use portvakt::source::acme::Proxy;
use portvakt::source::{AcmeSettings, CertificateSettings, ChallengeKind, Settings};
use portvakt::time::Clock;
use serde_json::Value;

use crate::acme_engine::{Engine, SkippingClock};
use crate::support::witness::Operation;
use crate::support::{Pebble, Witness, home, pebble};

#[tokio::test(flavor = "multi_thread")]
async fn given_a_state_that_loses_its_certificates_when_lets_encrypts_five_are_used_up_then_the_sixth_waits_and_says_so()
 {
    let scene = Scene::new();
    for number in 1..=5 {
        let engine = scene.engine().await;
        engine.issued("m5").await;
        engine.planned("m5").await;
        drop(engine);
        // As a container does at each deployment that keeps only the account.
        fs::remove_dir_all(scene.state().join("certs")).unwrap();
        assert_eq!(scene.left("duplicate_set"), 5 - number);
    }
    let others = ["domain", "failed_authz", "failed_in_a_row"].map(|limit| scene.left(limit));
    assert_eq!(others, [49, 5, 1152], "the same set again is no new name");

    let engine = scene.engine().await;
    let failure = engine.failed("m5").await;
    let at = match failure.retry {
        Retry::At(at) => at,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure.reason, Reason::Budget, "{failure:?}");
    assert!(failure.detail.contains("5 certificates for exactly `m5.example.se` within 7 d"), "{failure:?}");
    assert!(failure.detail.contains(&format!("one more is possible at {at}")), "{failure:?}");
    let told = scene.budget(&[]);
    assert!(told.contains("0 of 5 certificates for this set left, next token in 34 h"), "{told}");
    assert!(told.contains("of 300 new orders of this account left"), "{told}");
    assert_eq!(scene.witness.count(Operation::NewOrder), 5, "the sixth was not sent");

    engine.planned("m5").await;
    scene.skip(at.since(scene.clock.now()) + Duration::from_secs(1));
    engine.issued("m5").await;
    assert_eq!((scene.witness.count(Operation::NewOrder), scene.pebble.accounts()), (6, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_damaged_ledger_when_shown_and_ordered_then_begun_anew() {
    let scene = Scene::new();
    assert_eq!(scene.left("duplicate_set"), 5, "nothing was ordered");
    let engine = scene.engine().await;
    engine.issued("m5").await;
    engine.planned("m5").await;
    drop(engine);
    assert_eq!(scene.left("duplicate_set"), 4);
    let folder = fs::read_dir(scene.state().join("acme")).unwrap().next().unwrap().unwrap().path();
    fs::write(folder.join("ledger.json"), "{\"full_at\": 7").unwrap();
    assert_eq!(scene.left("duplicate_set"), 5);

    fs::remove_dir_all(scene.state().join("certs")).unwrap();
    scene.engine().await.issued("m5").await;
    assert_eq!(scene.left("duplicate_set"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_accounts_that_were_registered_when_the_ca_allows_no_more_then_none_is_asked_for_and_the_time_is_told() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    engine.issued("m5").await;
    engine.planned("m5").await;
    let (store, directory) = (engine.store().clone(), scene.witness.directory());
    drop(engine);
    let limits = Limits::of(&directory).unwrap();
    let left = || {
        let ask = Ask { account: None, identifiers: &[], replaces: false };
        let standings = store.load_ledger(&directory).unwrap().standings(limits, &ask, scene.clock.now());
        standings.iter().find(|standing| standing.limit == Limit::Registrations).unwrap().left
    };
    assert_eq!(left(), 9);
    let now = scene.clock.now();
    store.change_ledger(&directory, |ledger| (0..9).for_each(|_| ledger.registers(limits, now))).unwrap();
    fs::remove_file(store.account_file(&directory)).unwrap();
    fs::remove_dir_all(scene.state().join("certs")).unwrap();

    let engine = scene.engine().await;
    let failure = engine.failed("m5").await;
    assert_eq!(failure.reason, Reason::Budget, "{failure:?}");
    assert!(failure.detail.contains("would refuse a new account: 10 new accounts within 3 h"), "{failure:?}");
    assert_eq!(scene.pebble.accounts(), 1);

    engine.planned("m5").await;
    scene.skip(Duration::from_secs(18 * 60));
    engine.issued("m5").await;
    assert_eq!(scene.pebble.accounts(), 2);
}

struct Scene {
    dir: tempfile::TempDir,
    pebble: Pebble,
    witness: Witness,
    clock: SkippingClock,
}

impl Scene {
    /// A CA that goes by the name of one whose limits are known, and is found through an HTTP proxy.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = pebble::Settings { always_valid: true, ..pebble::Settings::on(1, 1) };
        let pebble = Pebble::start(settings);
        let witness = Witness::in_the_name_of("acme-v02.api.letsencrypt.org", &pebble);
        let site = "[[site]]\nname = \"m5\"\ndomain = \"m5.example.se\"\nupstream = \"http://127.0.0.1:9\"\n";
        let text = format!("state_dir = \"state\"\n{}{site}", witness.acme_section());
        fs::write(dir.path().join("portvakt.toml"), text).unwrap();
        Self { dir, pebble, witness, clock: SkippingClock::default() }
    }

    /// Here, and at the CA.
    fn skip(&self, by: Duration) {
        self.witness.skip(by);
        self.clock.skip(by);
    }

    fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    async fn engine(&self) -> Engine {
        let state: &Path = &self.state();
        let engine = Engine::new(state, Challenges::default(), Arc::new(self.clock.clone()));
        let anchors = fs::read(self.witness.trust_anchors()).unwrap();
        let acme = AcmeSettings {
            directory: self.witness.directory(),
            trust_anchors: Some(TrustAnchors::from_pem(&anchors).unwrap()),
            agree_tos: true,
            challenges: vec![ChallengeKind::Http01],
            proxy: Some(Proxy::parse(&self.witness.proxy()).unwrap()),
            ..AcmeSettings::default()
        };
        let source = Settings::Acme(acme.into());
        let identifiers = vec!["m5.example.se".to_owned()];
        engine.manager.apply(vec![CertificateSettings { name: "m5".to_owned(), identifiers, source }]).await;
        engine
    }

    fn budget(&self, arguments: &[&str]) -> String {
        let output = home::run(self.dir.path(), &[&["acme", "budget"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn left(&self, limit: &str) -> u64 {
        let told: Value = serde_json::from_str(&self.budget(&["--json"])).unwrap();
        let limits = told[0]["certificates"][0]["limits"].as_array().unwrap().clone();
        let found = limits.iter().find(|it| it["limit"] == limit).and_then(|it| it["left"].as_u64());
        found.unwrap_or_else(|| panic!("no {limit} in {told}"))
    }
}
