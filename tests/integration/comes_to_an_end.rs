//! Whatever becomes of an order, an account or a directory at the CA, the client comes to an end with it: nothing is waited for
//! without end, no order is lost that is still good, and no account is lost at all.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use portvakt::challenge::Challenges;
use portvakt::lifecycle::{Failure, Reason};
use portvakt::pki::{Identity, Password, TrustAnchors};
use portvakt::source::acme::{AcmeError, AcmeSource, Clients, ExternalAccount, Patience, account_thumbprint};
use portvakt::source::{AcmeSettings, ChallengeKind, Order, PasswordSource, Unbroken};
use portvakt::store::{OrderRecord, Store};
use serde_json::Value;

use crate::acme_engine::SkippingClock;
use crate::support::pebble::{EAB_KEY, EAB_KID};
use crate::support::raw::Reply;
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Pebble, Witness, pebble};

#[tokio::test(flavor = "multi_thread")]
async fn given_an_order_that_never_comes_to_an_end_when_it_was_waited_for_twice_then_the_next_one_is_new() {
    let endless = [
        (Operation::Order, with(|order| order["status"] = "pending".into()), Reason::Unauthorized),
        (Operation::Order, with(|order| order["status"] = "processing".into()), Reason::Timeout),
    ];
    for (number, (operation, fault, reason)) in endless.into_iter().enumerate() {
        let scene = Scene::new(|_| ());
        scene.witness.rule(Rule::on(operation, fault));
        for round in 0..2 {
            let error = scene.obtain_in_seconds().await.unwrap_err();
            assert!(matches!(error, AcmeError::Timeout { .. }), "{number}: {error:?}");
            assert_eq!(error.reason(), reason, "{number}: {error}");
            assert_eq!(scene.orders().len(), 1 - round, "{number}");
        }
        assert_eq!(scene.witness.count(Operation::NewOrder), 1, "{number}");

        scene.witness.heal();
        scene.obtain().await.unwrap();
        assert_eq!(scene.witness.count(Operation::NewOrder), 2, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_time_that_no_clock_can_count_to_when_asked_to_wait_then_issued_all_the_same() {
    let scene = Scene::new(|_| ());
    scene.witness.rule(Rule::on(Operation::Order, Fault::change(huge_retry_after)));

    scene.obtain().await.unwrap();
    assert!(scene.witness.count(Operation::Order) > 0);
    assert_eq!(scene.witness.count(Operation::NewOrder), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_dead_authorization_of_a_pending_order_when_met_then_the_cas_words_are_told_and_the_next_order_is_new()
{
    let caa = |authorization: &mut Value| {
        authorization["status"] = "invalid".into();
        for challenge in authorization["challenges"].as_array_mut().unwrap() {
            challenge["status"] = "invalid".into();
            challenge["error"] = serde_json::json!({ "type": "urn:ietf:params:acme:error:caa", "detail": "forbidden" });
        }
    };
    let table = [
        (with(caa), Reason::Caa, "forbidden"),
        (with(|it| it["status"] = "expired".into()), Reason::OrderNotReady, "authorization of `m5.test` expired"),
        (with(|it| it["status"] = "deactivated".into()), Reason::OrderNotReady, "`m5.test` deactivated"),
        (with(|it| it["status"] = "revoked".into()), Reason::OrderNotReady, "`m5.test` revoked"),
    ];
    let scene = Scene::new(|_| ());
    for (fault, reason, words) in table {
        scene.witness.rule(Rule::on(Operation::Authorization, fault));
        let failure = Failure::from(scene.obtain().await.unwrap_err());
        assert_eq!(failure.reason, reason, "{failure:?}");
        assert!(failure.detail.contains(words), "{failure:?}");
        assert!(scene.orders().is_empty(), "{words}");
        scene.witness.heal();
    }
    scene.obtain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_stored_order_when_the_ca_speaks_of_the_account_then_it_is_kept_and_gone_only_when_the_ca_says_so() {
    let scene = Scene::new(|_| ());
    let stuck = || scene.witness.rule(Rule::on(Operation::Order, with(|order| order["status"] = "pending".into())));
    stuck();
    scene.obtain_in_seconds().await.unwrap_err();
    let kept = scene.orders().remove(0).order;
    scene.witness.heal();
    for (status, kind) in
        [(401, "unauthorized"), (403, "userActionRequired"), (429, "rateLimited"), (500, "serverInternal")]
    {
        scene.witness.rule(Rule::on(Operation::Order, Fault::problem(status, kind, &[])));
        scene.obtain().await.unwrap_err();
        scene.obtain().await.unwrap_err();
        assert_eq!(scene.orders().first().map(|order| order.order.as_str()), Some(kept.as_str()), "{kind}");
        scene.witness.heal();
    }

    scene.witness.rule(Rule::on(Operation::Order, Fault::problem(404, "malformed", &[])).times(1));
    scene.obtain().await.unwrap();
    assert_eq!(scene.witness.count(Operation::NewOrder), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_certificate_that_ran_out_before_it_could_be_fetched_when_gone_on_with_then_another_is_had_at_once() {
    let scene = Scene::new(|_| ());
    scene.witness.rule(Rule::on(Operation::Certificate, Fault::problem(503, "serverInternal", &[])));
    scene.obtain().await.unwrap_err();
    scene.witness.heal();

    let in_ten_years = |reply: &mut Reply| {
        reply.headers.retain(|(name, _)| name != "date");
        reply.headers.push(("date".to_owned(), "Thu, 20 Nov 2036 12:00:00 GMT".to_owned()));
    };
    scene.witness.rule(Rule::on(Operation::Certificate, Fault::change(in_ten_years)).times(1));
    scene.obtain().await.unwrap();

    assert_eq!(scene.witness.count(Operation::NewOrder), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_ca_that_does_not_say_what_an_order_replaces_when_renewed_then_the_order_is_used_all_the_same() {
    let scene = Scene::new(|_| ());
    let first = scene.obtain().await.unwrap();
    scene.store().clear_orders("m5").unwrap();
    scene
        .witness
        .rule(Rule::on(Operation::NewOrder, with(|order| drop(order.as_object_mut().unwrap().remove("replaces")))));

    let second = scene.renew(Some(&first)).await.unwrap();

    assert_ne!(first.chain().leaf().serial, second.chain().leaf().serial);
    assert_eq!((scene.witness.count(Operation::NewOrder), scene.pebble.orders()), (2, 2));
    assert!(!scene.orders()[0].replaces, "it counts as any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_directory_with_urls_that_cannot_be_asked_when_ordered_then_said_and_nothing_else_is_sent() {
    for (key, url) in [("newNonce", ""), ("newOrder", "/order"), ("newAccount", "http://ca.test/account")] {
        let scene = Scene::new(|_| ());
        scene.witness.rule(Rule::on(Operation::Directory, with(move |directory| directory[key] = url.into())));

        let failure = Failure::from(scene.obtain().await.unwrap_err());

        assert!(failure.detail.contains(&format!("names `{url}` as `{key}`")), "{failure:?}");
        assert_eq!((failure.reason, scene.witness.requests().len()), (Reason::Server, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_ca_that_answers_no_question_without_an_external_account_when_registered_then_once() {
    for kind in ["externalAccountRequired", "unauthorized", "malformed"] {
        let scene = Scene::new(|pebble| pebble.eab = true);
        scene.witness.rule(Rule::on(Operation::NewAccount, Fault::problem(403, kind, &[])).times(1));
        scene.obtain().await.unwrap();
        assert_eq!((scene.pebble.accounts(), scene.witness.count(Operation::NewAccount)), (1, 2), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_key_change_whose_answer_is_lost_or_wrong_when_asked_then_the_key_that_the_ca_knows_is_used() {
    let faults = [
        ("lost", Fault::CutAfter),
        ("denied by somebody in between", Fault::change(|reply| *reply = refusal(403, "unauthorized"))),
    ];
    for (name, fault) in faults {
        let scene = Scene::new(|_| ());
        scene.obtain().await.unwrap();
        scene.witness.rule(Rule::on(Operation::KeyChange, fault).times(1));
        let rolled = scene.source().roll_over().await.unwrap();
        assert_eq!(scene.thumbprint(), rolled.now, "{name}");
        scene.order_again().await;
        assert_eq!(scene.pebble.accounts(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_key_change_that_did_not_reach_the_ca_when_asked_again_then_for_the_same_key() {
    let scene = Scene::new(|_| ());
    scene.obtain().await.unwrap();
    let before = scene.thumbprint();
    scene.witness.rule(Rule::on(Operation::KeyChange, Fault::CutBefore));
    scene.source().roll_over().await.unwrap_err();
    scene.witness.heal();
    let next = scene.next_thumbprint().expect("the new key is kept: the CA may be slow");

    scene.order_again().await;
    assert_eq!((scene.thumbprint(), scene.next_thumbprint()), (before.clone(), Some(next.clone())));

    let rolled = scene.source().roll_over().await.unwrap();
    assert_eq!((rolled.before, &rolled.now), (before, &next));
    assert_eq!((scene.thumbprint(), scene.next_thumbprint()), (next, None));
    scene.order_again().await;
    assert_eq!(scene.pebble.accounts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_key_change_that_was_taken_and_denied_when_ordered_then_the_key_that_was_set_aside_is_found() {
    let scene = Scene::new(|_| ());
    scene.obtain().await.unwrap();
    scene.witness.rule(Rule::on(Operation::KeyChange, Fault::change(|reply| *reply = refusal(403, "unauthorized"))));
    // A machine of the CA's that has not heard of it yet.
    scene.witness.rule(Rule::on(Operation::NewAccount, Fault::problem(400, "accountDoesNotExist", &[])));
    scene.source().roll_over().await.unwrap_err();
    scene.witness.heal();
    assert!(scene.next_thumbprint().is_none());

    scene.order_again().await;

    assert_eq!(scene.pebble.accounts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_new_key_that_nobody_knows_for_an_hour_when_ordered_then_set_aside_and_not_deleted() {
    let scene = Scene::new(|_| ());
    scene.obtain().await.unwrap();
    scene.witness.rule(Rule::on(Operation::KeyChange, Fault::CutBefore));
    scene.source().roll_over().await.unwrap_err();
    scene.witness.heal();
    let next = scene.next_thumbprint();

    scene.clock.skip(Duration::from_secs(3660));
    // A CA that does not answer such questions: nothing is done.
    scene.witness.rule(Rule::on(Operation::NewAccount, Fault::problem(400, "malformed", &[])));
    scene.order_again().await;
    assert_eq!(scene.next_thumbprint(), next);
    scene.witness.heal();

    scene.order_again().await;
    assert!(scene.next_thumbprint().is_none());
    let file = scene.store().account_file(&scene.witness.directory()).with_file_name("account.unused.json");
    assert!(file.is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_an_account_in_somebody_elses_hands_when_ordered_then_contacts_wait_and_no_key_is_written_over() {
    let scene = Scene::new(|_| ());
    scene.obtain().await.unwrap();
    let (key, contact) = (scene.thumbprint(), vec!["mailto:b@m5.test".to_owned()]);
    let settings = AcmeSettings { contact: contact.clone(), ..scene.settings() };
    let guard = scene.store().lock("ACME account").unwrap().expect("nobody has it");
    scene.store().clear_orders("m5").unwrap();
    scene.source_of(settings.clone()).obtain(&order(), None).await.unwrap();
    assert_eq!(scene.account().contact, Vec::<String>::new());
    drop(guard);

    scene.store().clear_orders("m5").unwrap();
    scene.source_of(settings).obtain(&order(), None).await.unwrap();
    assert_eq!((scene.account().contact, scene.thumbprint()), (contact, key));
}

/// A CA, and one in between that does what it is told.
struct Scene {
    dir: tempfile::TempDir,
    pebble: Pebble,
    witness: Witness,
    clock: SkippingClock,
    eab: bool,
}

impl Scene {
    fn new(change: impl FnOnce(&mut pebble::Settings)) -> Self {
        let mut settings = pebble::Settings { always_valid: true, ..pebble::Settings::on(1, 1) };
        change(&mut settings);
        let pebble = Pebble::start(settings);
        let witness = Witness::before(&pebble);
        Self { dir: tempfile::tempdir().unwrap(), pebble, witness, clock: SkippingClock::default(), eab: settings.eab }
    }

    fn settings(&self) -> AcmeSettings {
        let anchors = fs::read(self.witness.trust_anchors()).unwrap();
        let key = PasswordSource::Given(Password::new(EAB_KEY));
        AcmeSettings {
            directory: self.witness.directory(),
            trust_anchors: Some(TrustAnchors::from_pem(&anchors).unwrap()),
            agree_tos: true,
            challenges: vec![ChallengeKind::Http01],
            eab: self.eab.then(|| ExternalAccount { kid: EAB_KID.to_owned(), key }),
            ..AcmeSettings::default()
        }
    }

    fn source(&self) -> AcmeSource {
        self.source_of(self.settings())
    }

    fn source_of(&self, settings: AcmeSettings) -> AcmeSource {
        let (store, clock) = (self.store(), Arc::new(self.clock.clone()));
        AcmeSource::new(settings, store, Challenges::default(), clock, &Clients::default()).unwrap()
    }

    /// Where the CA comes to no end.
    async fn obtain_in_seconds(&self) -> Result<Identity, AcmeError> {
        let patience = Patience { validation: Duration::from_secs(6), order: Duration::from_secs(8) };
        self.source().with(patience).obtain(&order(), None).await
    }

    async fn obtain(&self) -> Result<Identity, AcmeError> {
        self.renew(None).await
    }

    async fn renew(&self, replaces: Option<&Identity>) -> Result<Identity, AcmeError> {
        self.source().obtain(&order(), replaces).await
    }

    /// A new order by whatever account there is.
    async fn order_again(&self) {
        self.store().clear_orders("m5").unwrap();
        self.obtain().await.unwrap();
    }

    fn store(&self) -> Store {
        Store::open(self.dir.path()).unwrap()
    }

    fn orders(&self) -> Vec<OrderRecord> {
        self.store().load_orders("m5").unwrap()
    }

    fn account(&self) -> portvakt::store::Account {
        self.store().load_account(&self.witness.directory()).unwrap().unwrap()
    }

    fn thumbprint(&self) -> String {
        account_thumbprint(&self.account()).unwrap()
    }

    fn next_thumbprint(&self) -> Option<String> {
        let next = self.store().load_next_account(&self.witness.directory()).unwrap();
        next.map(|next| account_thumbprint(&next).unwrap())
    }
}

fn order() -> Order {
    Order {
        certificate: "m5".to_owned(),
        identifiers: vec!["m5.test".to_owned()],
        failures: 0,
        is_in_window: true,
        unbroken: Unbroken::default(),
    }
}

/// Changes the JSON of an answer that is no refusal.
fn with(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Fault {
    Fault::change(move |reply| {
        if reply.status < 300 {
            let mut json = serde_json::from_slice(&reply.body).expect("the CA answers with JSON");
            change(&mut json);
            reply.body = json.to_string().into_bytes();
        }
    })
}

/// Of which no clock knows the end.
fn huge_retry_after(reply: &mut Reply) {
    reply.headers.retain(|(name, _)| name != "retry-after");
    reply.headers.push(("retry-after".to_owned(), u64::MAX.to_string()));
}

/// A problem document, with a good nonce taken away.
fn refusal(status: u16, kind: &str) -> Reply {
    let body = serde_json::json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "no" });
    let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
    Reply { status, headers, body: body.to_string().into_bytes() }
}
