//! The numbers tell what became of calls and orders, in words from closed lists.

use std::collections::BTreeSet;

use crate::egress_stage::{AUTH, WayOut, collect_body};
use crate::support::bankid::{Act, COMPLETE, ERRORS, Plan};

#[test]
fn given_orders_of_every_end_when_counted_then_each_stands_where_it_belongs() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE.after(&["userSign"]));
    let complete = way.auth();
    way.collect(&complete);
    way.collect(&complete);
    way.bankid.plan(Plan::failing("startFailed", &[]));
    let failed = way.auth();
    way.collect(&failed);
    let cancelled = way.auth();
    way.post("cancel", &collect_body(&cancelled));
    way.bankid.plan(Plan::failing("aHintOfTomorrow", &["anotherOfTomorrow"]));
    let unknown = way.auth();
    way.collect(&unknown);
    way.collect(&unknown);

    for (end, count) in [("complete", 1.0), ("failed", 2.0), ("cancelled", 1.0), ("never_collected", 0.0)] {
        way.expect_metric("orders_total", &[("end", end)], count);
    }
    for (status, hint, count) in [
        ("pending", "userSign", 1.0),
        ("complete", "none", 1.0),
        ("failed", "startFailed", 1.0),
        ("pending", "other", 1.0),
        ("failed", "other", 1.0),
    ] {
        way.expect_metric("collects_total", &[("status", status), ("hint", hint)], count);
    }
    for (method, count) in [("auth", 4.0), ("collect", 5.0), ("cancel", 1.0)] {
        way.expect_metric("requests_total", &[("method", method), ("version", "v6.0"), ("code", "200")], count);
    }
    way.expect_metric("collect_gaps_total", &[], 2.0);
    assert!(way.metric("last_answer_timestamp_seconds", &[]) > 1.7e9);
    way.expect_metric("request_duration_seconds_count", &[], 10.0);
}

#[test]
fn given_every_error_code_and_a_new_one_when_counted_then_by_its_word_or_as_other() {
    let (way, _portvakt) = WayOut::running();
    for (code, _) in ERRORS {
        way.bankid.script("auth", [Act::Error(code)]);
        way.post("auth", AUTH);
    }
    let body = r#"{"errorCode":"ofTomorrow","details":"x"}"#;
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n";
    let new = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    way.bankid.script("auth", [Act::Say(new.into_bytes())]);
    way.post("auth", AUTH);

    for (code, _) in ERRORS {
        way.expect_metric("error_codes_total", &[("error_code", code)], 1.0);
    }
    way.expect_metric("error_codes_total", &[("error_code", "other")], 1.0);
    let text = way.home.admin("/metrics").text();
    let told: BTreeSet<_> = text.lines().filter(|line| line.contains("ofTomorrow")).collect();
    assert!(told.is_empty(), "a word of the service's became a label: {told:?}");
}
