//! However fast an application asks, BankID is asked about an order once a second at most, and every order gets its own
//! answers.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use crate::egress_stage::{RULES, WayOut, error_code, json_of};
use crate::support::bankid::{COMPLETE, Order};

#[test]
fn given_five_hundred_orders_at_once_when_collected_without_a_pause_then_paced_and_never_mixed() {
    // Five hundred handshakes begin at once, on processors that others use as well.
    let (way, _portvakt) = WayOut::running_with("", &format!("{RULES}connect_timeout = \"60s\"\n"));
    way.bankid.plan(COMPLETE.after(&["outstandingTransaction", "userSign"]));

    let results = way.sdk().many(500);

    let orders: HashMap<String, Order> =
        way.bankid.orders().into_iter().map(|order| (order.order_ref.clone(), order)).collect();
    assert_eq!((results.len(), orders.len()), (500, 500));
    for result in &results {
        let order = &orders[result["order_ref"].as_str().unwrap()];
        let data = &result["got"]["completion_data"];
        assert_eq!(data["signature"], order.signature(), "its own answer");
        assert_eq!(data["user"]["personal_number"], order.personal_number);
        assert_eq!(order.personal_number, (190_000_000_000_u64 + result["number"].as_u64().unwrap()).to_string());
        assert_eq!((result["collects"].as_u64(), order.collects.len()), (Some(3), 3), "none was lost or added");
    }
    let gap = way.bankid.smallest_gap().unwrap();
    assert!(gap >= Duration::from_secs(1), "BankID was asked again after {gap:?}");
}

/// Several workers of an application ask about the same order at once.
#[test]
fn given_one_order_that_many_ask_about_when_collected_then_paced_all_the_same() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE.after(&["userSign"; 3]));
    let order_ref = way.auth();

    let answers: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| way.collect(&order_ref))).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });

    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| json_of(answer)["status"] == "complete").count(), 1);
    assert_eq!(way.bankid.count("collect"), 4);
    assert!(way.bankid.smallest_gap().unwrap() >= Duration::from_secs(1), "{:?}", way.bankid.smallest_gap());
}

#[test]
fn given_pace_reject_when_collected_too_early_then_429_and_the_service_hears_nothing() {
    let (way, _portvakt) = WayOut::running_with("", &format!("{RULES}pace = \"reject\"\n"));
    way.bankid.plan(COMPLETE.after(&["userSign"]));
    let (order_ref, other) = (way.auth(), way.auth());

    let first = way.collect(&order_ref);
    let early = way.collect(&order_ref);
    let others = way.collect(&other);

    assert_eq!((first.status, others.status), (200, 200), "the pace is each order's own");
    assert_eq!((early.status, error_code(&early).as_str()), (429, "tooManyRequests"), "{}", early.text());
    assert!(early.header("portvakt-error").is_some(), "{early:?}");
    assert_eq!(way.bankid.count("collect"), 2);
}
