//! Certificates that need no CA are served at once, and what is served never gets worse.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portvakt::challenge::Challenges;
use portvakt::lifecycle::{Event, Kind, Origin, Reason, State};
use portvakt::source::{CertificateSettings, FileForm, FileSettings, Settings};
use portvakt::store::Store;

use crate::acme_engine::{Engine, SkippingClock, until};
use crate::support::Ca;
use crate::support::ca::{Life, replace};

fn internal(identifiers: &[&str]) -> CertificateSettings {
    let identifiers = identifiers.iter().map(|&name| name.to_owned()).collect();
    CertificateSettings { name: "m5".to_owned(), identifiers, source: Settings::Internal }
}

fn files(dir: &Path) -> CertificateSettings {
    let form = FileForm::Pair { chain: vec![dir.join("m5.pem")], key: dir.join("m5.key") };
    let source = Settings::Files(FileSettings { form, password: None });
    CertificateSettings { source, ..internal(&["m5.test"]) }
}

fn engine(state: &Path, clock: &SkippingClock) -> Engine {
    Engine::new(state, Challenges::default(), Arc::new(clock.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn given_the_internal_ca_when_applied_then_its_certificate_is_served_at_once_and_kept() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let first = engine(state.path(), &clock);
    first.manager.apply(vec![internal(&["m5.test"])]).await;

    assert_eq!(first.seen.origins("m5"), [Origin::Issued]);
    let serial = first.status("m5").leaf.unwrap().serial;
    drop(first);

    let second = engine(state.path(), &clock);
    second.manager.apply(vec![internal(&["m5.test"])]).await;
    assert_eq!(second.seen.origins("m5"), [Origin::Store]);
    assert_eq!(second.status("m5").leaf.unwrap().serial, serial);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_other_identifiers_when_applied_then_issued_anew_and_never_a_placeholder() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = engine(state.path(), &clock);
    engine.manager.apply(vec![internal(&["m5.test"])]).await;

    engine.manager.apply(vec![internal(&["m5.test", "api.m5.test"])]).await;

    assert_eq!(engine.seen.origins("m5"), [Origin::Issued, Origin::Store, Origin::Issued]);
    assert!(engine.status("m5").uncovered.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_twenty_days_when_they_have_passed_then_the_internal_ca_renews() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = engine(state.path(), &clock);
    engine.manager.apply(vec![internal(&["m5.test"])]).await;
    engine.planned("m5").await;

    clock.skip(Duration::from_secs(21 * 86_400));
    until("renewed", || engine.seen.origins("m5") == [Origin::Issued, Origin::Issued]).await;
    engine.planned("m5").await;
    assert_eq!(engine.status("m5").life.state, State::Issued);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_damaged_store_when_applied_then_served_all_the_same_and_told() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let first = engine(state.path(), &clock);
    first.manager.apply(vec![internal(&["m5.test"])]).await;
    drop(first);
    std::fs::write(state.path().join("certs/m5/1/chain.pem"), "junk").unwrap();

    let second = engine(state.path(), &clock);
    second.manager.apply(vec![internal(&["m5.test"])]).await;

    assert_eq!(second.seen.origins("m5"), [Origin::Issued]);
    let told = second.seen.events("m5");
    assert!(
        told.iter().any(|event| matches!(event, Event::Trouble { failure } if failure.reason == Reason::Storage)),
        "{told:?}"
    );
    assert_eq!(Store::open(state.path()).unwrap().load_identity("m5").unwrap().unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_store_that_was_emptied_when_renewing_then_what_was_served_counts() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = engine(state.path(), &clock);
    engine.manager.apply(vec![internal(&["m5.test"])]).await;
    engine.planned("m5").await;
    std::fs::remove_dir_all(state.path().join("certs")).unwrap();

    clock.skip(Duration::from_secs(21 * 86_400));
    until("renewed", || engine.seen.origins("m5").len() == 2).await;

    let renewed = |event: &Event| matches!(event, Event::Issued { kind: Kind::Renew, .. });
    assert!(engine.seen.events("m5").iter().any(renewed));
    until("saved", || engine.store().load_identity("m5").is_ok_and(|stored| stored.is_some())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_files_when_replaced_then_served_and_when_broken_then_the_old_ones_stay() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new("root");
    ca.issue(&["m5.test"]).write(dir.path(), "m5");
    let engine = engine(state.path(), &clock);
    engine.manager.apply(vec![files(dir.path())]).await;
    let first = engine.status("m5");
    assert_eq!((first.life.state, engine.seen.origins("m5")), (State::Static, vec![Origin::Files]));

    ca.issue(&["m5.test"]).write(dir.path(), "m5");
    until("served", || engine.seen.origins("m5").len() == 2).await;
    let second = engine.status("m5");
    assert_ne!(first.leaf.unwrap().serial, second.leaf.as_ref().unwrap().serial);

    replace(&dir.path().join("m5.key"), &ca.issue(&["m5.test"]).key);
    until("told", || engine.status("m5").life.last_failure.is_some()).await;
    assert_eq!(engine.status("m5").leaf, second.leaf);
    assert_eq!(engine.seen.served("m5").0.chain().leaf(), &second.leaf.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_no_files_when_applied_then_a_placeholder_until_they_come() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(state.path(), &clock);
    engine.manager.apply(vec![files(dir.path())]).await;
    let status = engine.status("m5");
    assert_eq!(status.life.state, State::Placeholder);
    assert!(status.life.last_failure.is_some_and(|failure| failure.detail.contains("m5.pem")));

    Ca::new("root").issue(&["m5.test"]).write(dir.path(), "m5");
    until("served", || engine.seen.origins("m5") == [Origin::Placeholder, Origin::Files]).await;
    assert_eq!(engine.status("m5").life.last_failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_certificate_that_has_ended_or_not_begun_when_put_there_then_the_one_served_stays() {
    for life in [Life::Ended, Life::ToCome] {
        let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::new("root");
        ca.issue(&["m5.test"]).write(dir.path(), "m5");
        let engine = engine(state.path(), &clock);
        engine.manager.apply(vec![files(dir.path())]).await;
        let served = engine.status("m5").leaf;

        ca.issue_in(&["m5.test"], life).write(dir.path(), "m5");
        until("told", || engine.status("m5").life.last_failure.is_some()).await;

        let failure = engine.status("m5").life.last_failure.unwrap();
        assert_eq!((engine.status("m5").leaf, failure.reason), (served, Reason::Clock), "{life:?}");
        ca.issue(&["m5.test"]).write(dir.path(), "m5");
        until("served", || engine.seen.origins("m5").len() == 2).await;
        assert_eq!(engine.status("m5").life.last_failure, None);
    }
}

/// The certificate is kept before the record of its attempt is closed, and a process can die between the two.
#[tokio::test(flavor = "multi_thread")]
async fn given_a_death_between_certificate_and_record_when_started_again_then_nothing_is_ordered_and_no_failure_told() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let first = engine(state.path(), &clock);
    first.manager.apply(vec![internal(&["m5.test"])]).await;
    first.planned("m5").await;
    drop(first);
    let path = state.path().join("certs/m5/lifecycle.json");
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["attempt"] = serde_json::json!({ "started_at": record["last_attempt"], "kind": "issue", "resumed": 0 });
    record["issued_for"] = serde_json::Value::Null;
    record["last_success"] = serde_json::Value::Null;
    record["plan"] = serde_json::Value::Null;
    std::fs::write(&path, record.to_string()).unwrap();

    let second = engine(state.path(), &clock);
    second.manager.apply(vec![internal(&["m5.test"])]).await;
    second.planned("m5").await;
    clock.skip(Duration::from_secs(3 * 86_400));
    second.planned("m5").await;

    let status = second.status("m5");
    assert_eq!(second.seen.origins("m5"), [Origin::Store]);
    assert_eq!((status.life.last_failure, status.life.consecutive_failures), (None, 0));
    assert_eq!((status.life.state, status.stored), (State::Issued, Some(true)));
}
