//! A CA is asked for all that RFC 8555 and RFC 9773 let it offer beside a certificate: when to renew, an account that is
//! bound to another, a profile, another chain, another key for the account, and to take a certificate back.

use std::collections::HashSet;
use std::sync::Arc;

use portvakt::lifecycle::{InfoAnswer, Reason, Retry};
use portvakt::pki::{Identity, KeyType, Password};
use portvakt::source::acme::{
    AcmeError, AcmeSource, Clients, ExternalAccount, RevocationReason, RevokedBy, account_thumbprint,
};
use portvakt::source::{AcmeSettings, Order, PasswordSource, Unbroken};
use portvakt::store::Store;
use portvakt::time::Timestamp;
use serde_json::json;

use crate::acme_engine::Stage;
use crate::support::pebble::{EAB_KEY, EAB_KID};

#[tokio::test(flavor = "multi_thread")]
async fn given_a_certificate_when_its_ca_is_asked_when_to_renew_then_a_window_and_the_next_time() {
    let stage = Stage::new(|_| ()).await;
    let source = source(&stage, stage.settings());
    let identity = source.obtain(&order("m5.test"), None).await.unwrap();

    let InfoAnswer::Window { window, ask_again } = source.renewal_info(&identity).await else { panic!("no window") };
    let leaf = identity.chain().leaf();
    assert!(leaf.not_before < window.start && window.start < window.end && window.end < leaf.not_after, "{window:?}");
    assert!(ask_again.is_some());

    let suggested = json!({ "start": "2026-01-02T00:00:00Z", "end": "2026-01-03T00:00:00Z" });
    let answer = json!({ "suggestedWindow": suggested, "explanationURL": "https://ca.test/incident" });
    stage.pebble.set_renewal_info(&leaf_pem(&identity), &answer);
    let InfoAnswer::Window { window, .. } = source.renewal_info(&identity).await else { panic!("no window") };
    assert_eq!(window.end, "2026-01-03T00:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(window.explanation.as_deref(), Some("https://ca.test/incident"));

    let answer = json!({ "suggestedWindow": { "start": "2026-01-03T00:00:00Z", "end": "2026-01-03T00:00:00Z" } });
    stage.pebble.set_renewal_info(&leaf_pem(&identity), &answer);
    let InfoAnswer::Failed { temporary: false, detail, .. } = source.renewal_info(&identity).await else {
        panic!("an empty window was taken")
    };
    assert!(detail.contains("not after it begins"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_renewal_when_ordered_then_the_ca_is_told_what_it_replaces_and_once_only() {
    let stage = Stage::new(|_| ()).await;
    let source = source(&stage, stage.settings());
    let first = source.obtain(&order("m5.test"), None).await.unwrap();
    stage_store(&stage).clear_orders("m5").unwrap();

    let second = source.obtain(&order("m5.test"), Some(&first)).await.unwrap();
    stage_store(&stage).clear_orders("m5").unwrap();
    assert_eq!(stage.pebble.orders(), 2);

    // pebble answers `alreadyReplaced` now, and the order is placed without it.
    let third = source.obtain(&order("m5.test"), Some(&first)).await.unwrap();
    let serials: HashSet<_> = [first, second, third].map(|identity| identity.chain().leaf().serial.clone()).into();
    assert_eq!((serials.len(), stage.pebble.orders()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_ca_that_wants_a_known_account_when_asked_then_only_with_the_right_key() {
    let stage = Stage::new(|pebble| pebble.eab = true).await;
    let with = |eab: Option<ExternalAccount>| source(&stage, AcmeSettings { eab, ..stage.settings() });
    let given = |key: &str| PasswordSource::Given(Password::new(key));
    let external = |key| Some(ExternalAccount { kid: EAB_KID.to_owned(), key });

    let error = with(None).obtain(&order("m5.test"), None).await.unwrap_err();
    assert!(matches!(error, AcmeError::ExternalAccountRequired { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.fix().unwrap().contains("eab = {"));

    let error = with(external(given("bm90LXRoZS1rZXktb2YtdGhhdC1hY2NvdW50"))).obtain(&order("m5.test"), None).await;
    let error = error.unwrap_err();
    assert_eq!(error.reason(), Reason::Account, "{error}");
    assert!(error.fix().unwrap().contains("acme.eab"), "{error}");

    let file = stage.state().join("eab.key");
    std::fs::write(&file, format!("{EAB_KEY}\n")).unwrap();
    with(external(PasswordSource::File(file))).obtain(&order("m5.test"), None).await.unwrap();
    // The account is kept: the key may be gone from here on.
    with(external(given("x"))).obtain(&order("m5.test"), None).await.unwrap();
    assert_eq!(stage.pebble.accounts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_several_chains_when_one_is_preferred_then_it_is_taken_and_else_the_default() {
    let stage = Stage::new(|pebble| pebble.alternate_roots = 2).await;
    let default = source(&stage, stage.settings()).obtain(&order("m5.test"), None).await.unwrap();
    let root = |identity: &Identity| identity.chain().issuers().pop().unwrap();

    let mut roots = HashSet::from([root(&default)]);
    for index in 1..=2 {
        let wanted = stage.pebble.root_name(index);
        let preferred_chain = Some(wanted.clone());
        stage_store(&stage).clear_orders("m5").unwrap();
        let preferring = source(&stage, AcmeSettings { preferred_chain, ..stage.settings() });
        let identity = preferring.obtain(&order("m5.test"), None).await.unwrap();
        assert_eq!(root(&identity), wanted);
        roots.insert(wanted);
    }
    assert_eq!(roots.len(), 3);

    let preferred_chain = Some("no such root".to_owned());
    let identity =
        source(&stage, AcmeSettings { preferred_chain, ..stage.settings() }).obtain(&order("m5.test"), None).await;
    assert_eq!(root(&identity.unwrap()), root(&default));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_profiles_when_one_is_set_then_it_is_looked_for_and_an_address_gets_the_short_one() {
    let stage = Stage::new(|pebble| pebble.profiles = &["classic", "shortlived"]).await;
    let with = |profile: &str| AcmeSettings { profile: Some(profile.to_owned()), ..stage.settings() };

    let error = source(&stage, with("clasic")).obtain(&order("m5.test"), None).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.to_string().contains("`classic`, `shortlived`"), "{error}");
    assert_eq!(stage.pebble.orders(), 0);

    source(&stage, with("classic")).obtain(&order("m5.test"), None).await.unwrap();
    let identity = source(&stage, stage.settings()).obtain(&order("127.0.0.1"), None).await.unwrap();
    assert!(identity.chain().leaf().covers("127.0.0.1"));
    let kept = stage_store(&stage).load_order("m5", &stage.pebble.directory()).unwrap().unwrap();
    assert_eq!(kept.profile.as_deref(), Some("shortlived"));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_every_key_type_when_ordered_then_the_certificate_has_it() {
    let stage = Stage::new(|_| ()).await;
    for key_type in [KeyType::P384, KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096] {
        let source = source(&stage, AcmeSettings { key_type, ..stage.settings() });
        let identity = source.obtain(&order("m5.test"), None).await.unwrap();
        assert_eq!(identity.chain().leaf().key_type, key_type.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_an_account_when_its_key_is_changed_then_the_new_one_orders_and_the_old_one_lies_beside_it() {
    let stage = Stage::new(|_| ()).await;
    let source = source(&stage, stage.settings());
    assert!(matches!(source.roll_over().await, Err(AcmeError::NoAccount { .. })));
    source.obtain(&order("m5.test"), None).await.unwrap();

    let rolled = source.roll_over().await.unwrap();

    let store = stage_store(&stage);
    let kept = store.load_account(&stage.pebble.directory()).unwrap().unwrap();
    assert_eq!(account_thumbprint(&kept).as_deref(), Some(rolled.now.as_str()));
    assert_ne!(rolled.before, rolled.now);
    assert!(store.account_file(&stage.pebble.directory()).with_file_name("account.prev.json").is_file());
    store.clear_orders("m5").unwrap();
    source.obtain(&order("m5.test"), None).await.unwrap();
    assert_eq!(stage.pebble.accounts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_key_change_that_broke_off_when_next_used_then_the_key_that_the_ca_knows_is_found() {
    let stage = Stage::new(|_| ()).await;
    let source = source(&stage, stage.settings());
    source.obtain(&order("m5.test"), None).await.unwrap();
    let (store, directory) = (stage_store(&stage), stage.pebble.directory());
    let thumbprint = || account_thumbprint(&store.load_account(&directory).unwrap().unwrap()).unwrap();
    let before = store.load_account(&directory).unwrap().unwrap();

    // Died after the CA's change and before ours.
    let rolled = source.roll_over().await.unwrap();
    let now = store.load_account(&directory).unwrap().unwrap();
    store.save_next_account(&directory, &now).unwrap();
    store.save_account(&directory, &before).unwrap();
    store.clear_orders("m5").unwrap();
    source.obtain(&order("m5.test"), None).await.unwrap();
    assert_eq!(thumbprint(), rolled.now);
    assert!(store.load_next_account(&directory).unwrap().is_none());

    // Died before the CA heard of it.
    store.save_next_account(&directory, &before).unwrap();
    store.clear_orders("m5").unwrap();
    source.obtain(&order("m5.test"), None).await.unwrap();
    assert_eq!((thumbprint(), stage.pebble.accounts()), (rolled.now, 1));
    assert!(store.load_next_account(&directory).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_certificate_when_revoked_then_by_the_account_and_without_it_by_its_own_key() {
    let stage = Stage::new(|_| ()).await;
    let source = source(&stage, stage.settings());
    let first = source.obtain(&order("m5.test"), None).await.unwrap();
    let serial = |identity: &Identity| identity.chain().leaf().serial.clone();
    assert!(!stage.pebble.is_revoked(&serial(&first)));

    assert_eq!(source.revoke(&first, RevocationReason::Superseded).await.unwrap(), RevokedBy::Account);
    assert!(stage.pebble.is_revoked(&serial(&first)));
    assert_eq!(source.revoke(&first, RevocationReason::Superseded).await.unwrap(), RevokedBy::Nobody);

    stage_store(&stage).clear_orders("m5").unwrap();
    let second = source.obtain(&order("m5.test"), None).await.unwrap();
    std::fs::remove_file(stage_store(&stage).account_file(&stage.pebble.directory())).unwrap();
    assert_eq!(source.revoke(&second, RevocationReason::KeyCompromise).await.unwrap(), RevokedBy::CertificateKey);
    assert!(stage.pebble.is_revoked(&serial(&second)));
}

fn source(stage: &Stage, settings: AcmeSettings) -> AcmeSource {
    let (store, clock) = (stage_store(stage), Arc::new(stage.clock.clone()));
    AcmeSource::new(settings, store, stage.challenges.clone(), clock, &Clients::default()).unwrap()
}

fn stage_store(stage: &Stage) -> Store {
    Store::open(stage.state()).unwrap()
}

fn order(identifier: &str) -> Order {
    Order {
        certificate: "m5".to_owned(),
        identifiers: vec![identifier.to_owned()],
        failures: 0,
        is_in_window: true,
        unbroken: Unbroken::default(),
    }
}

fn leaf_pem(identity: &Identity) -> String {
    let pem = identity.chain().to_pem();
    let end = "-----END CERTIFICATE-----";
    let (leaf, _) = pem.split_once(end).unwrap();
    format!("{leaf}{end}\n")
}
