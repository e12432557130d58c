//! A certificate that clients do not get goes back to where it was kept, and is not ordered again.
//!
//! What clients get is told by the test, in place of the listeners; the internal CA issues.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portvakt::challenge::Challenges;
use portvakt::lifecycle::{Event, Reason};
use portvakt::manager::{NotSeen, Wanted};
use portvakt::pki::Identity;
use portvakt::source::{CertificateSettings, Settings};

use crate::acme_engine::{Engine, SkippingClock, until};

#[tokio::test(flavor = "multi_thread")]
async fn given_a_renewal_that_clients_do_not_get_when_they_get_it_later_then_it_is_served_without_another_order() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = renewed_in_vain(state.path(), &clock).await;

    engine.seen.shows(|_| Ok(()));
    clock.skip(Duration::from_secs(80));

    until("the kept one is served", || generation(&engine) == 2).await;
    until("told", || {
        engine.seen.events("m5").iter().filter(|event| matches!(event, Event::Issued { .. })).count() == 2
    })
    .await;
    engine.planned("m5").await;
    let status = engine.status("m5").life;
    assert_eq!((status.consecutive_failures, status.last_failure), (0, None));
    assert!(engine.store().load_generation("m5", 3).is_err(), "nothing else was issued");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_renewal_that_clients_did_not_get_when_restarted_then_tried_again_and_still_not_ordered() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    drop(renewed_in_vain(state.path(), &clock).await);

    let engine = engine(state.path(), &clock);
    engine.seen.shows(only_the_first);
    engine.manager.apply(vec![internal()]).await;
    clock.skip(Duration::from_secs(80));

    until("failed again", || engine.status("m5").life.consecutive_failures == 2).await;
    engine.planned("m5").await;
    assert_eq!(generation(&engine), 1);
    assert!(engine.store().load_generation("m5", 3).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_renewal_that_clients_did_not_get_when_the_operator_asks_then_a_new_one_is_ordered() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = renewed_in_vain(state.path(), &clock).await;

    engine.seen.shows(|_| Ok(()));
    let told = engine.manager.ask("m5", Wanted::Renewal { force: false }).await.unwrap();

    assert!(told.contains("clients get it"), "{told}");
    assert_eq!(generation(&engine), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_look_that_proves_nothing_when_renewed_then_the_new_one_stays_and_is_told_when_it_is_seen() {
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = started(state.path(), &clock).await;
    engine.seen.shows(|_| Err(NotSeen { detail: "no answer".to_owned(), is_certain: false }));
    let before = engine.status("m5").life.last_success;

    clock.skip(Duration::from_secs(21 * 86_400));
    until("the new one is served", || generation(&engine) == 2).await;
    until("told", || engine.seen.events("m5").iter().any(|event| matches!(event, Event::Unseen { .. }))).await;
    assert_eq!(engine.status("m5").life.last_success, before);

    engine.seen.shows(|_| Ok(()));
    clock.skip(Duration::from_secs(80));
    until("the success is told", || engine.status("m5").life.last_success > before).await;
    assert_eq!(generation(&engine), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_an_earlier_generation_that_clients_do_not_get_when_gone_back_to_then_refused_and_the_present_one_stays()
{
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = started(state.path(), &clock).await;
    engine.manager.ask("m5", Wanted::Renewal { force: false }).await.unwrap();
    let second = engine.status("m5").leaf.unwrap().serial;
    let good = second.clone();
    engine.seen.shows(move |identity| shown(identity.chain().leaf().serial == good));

    let refused = engine.manager.ask("m5", Wanted::Generation { number: 1, force: false }).await.unwrap_err();

    assert!(refused.why.contains("clients do not get the other"), "{refused}");
    assert_eq!(generation(&engine), 2);
    assert_eq!(engine.seen.served("m5").0.chain().leaf().serial, second);
    let gone = engine.manager.ask("m5", Wanted::Generation { number: 9, force: false }).await.unwrap_err();
    assert!(gone.why.contains("not there"), "{gone}");
    assert_eq!(generation(&engine), 2);
}

/// The second certificate was issued, clients did not get it, and the first one serves.
async fn renewed_in_vain(state: &Path, clock: &SkippingClock) -> Engine {
    let engine = started(state, clock).await;
    engine.seen.shows(only_the_first);

    clock.skip(Duration::from_secs(21 * 86_400));

    until("rolled back", || engine.seen.events("m5").iter().any(|event| matches!(event, Event::RolledBack { .. })))
        .await;
    engine.planned("m5").await;
    let status = engine.status("m5");
    assert_eq!(status.life.last_failure.unwrap().reason, Reason::NotServed);
    assert_eq!((generation(&engine), status.life.consecutive_failures), (1, 1));
    assert!(engine.store().load_generation("m5", 2).is_ok(), "it is kept");
    assert_eq!(engine.seen.served("m5").0.chain().leaf(), &status.leaf.unwrap());
    engine
}

async fn started(state: &Path, clock: &SkippingClock) -> Engine {
    let engine = engine(state, clock);
    engine.manager.apply(vec![internal()]).await;
    engine.planned("m5").await;
    assert_eq!(generation(&engine), 1);
    engine
}

/// Whatever was issued before the clock was put forward.
fn only_the_first(identity: &Identity) -> Result<(), NotSeen> {
    use portvakt::time::{Clock, SystemClock};
    shown(identity.chain().leaf().not_before < SystemClock.now() + Duration::from_secs(86_400))
}

fn shown(is_good: bool) -> Result<(), NotSeen> {
    match is_good {
        true => Ok(()),
        false => Err(NotSeen { detail: "another certificate is shown".to_owned(), is_certain: true }),
    }
}

fn internal() -> CertificateSettings {
    CertificateSettings { name: "m5".to_owned(), identifiers: vec!["m5.test".to_owned()], source: Settings::Internal }
}

fn engine(state: &Path, clock: &SkippingClock) -> Engine {
    Engine::new(state, Challenges::default(), Arc::new(clock.clone()))
}

/// What the store's pointer says.
fn generation(engine: &Engine) -> u64 {
    engine.store().load_identity("m5").unwrap().unwrap().generation
}
