//! Nothing that BankID or an application says stands in a log or a metric: no body, personal number, token or orderRef.

use std::fs;

use serde_json::json;

use crate::egress_stage::{RULES, WayOut, collect_body, request};
use crate::support::bankid::{Act, COMPLETE, MODERN, PASSWORD, Plan, Verdict};
use crate::support::raw;

const TOKEN: &str = "nobody-guesses-this-token-0123456789";
const NUMBER: &str = "198001019876";

#[test]
fn given_everything_at_level_trace_when_logs_and_metrics_are_read_then_no_word_of_it_is_there() {
    let way = WayOut::new();
    fs::write(way.home.path().join("app.token"), TOKEN).unwrap();
    let log = "[log]\nlevel = \"trace,pingora_core=trace,hyper=trace,rustls=trace\"\naccess = { path = \"access.log\", query = \"keep\" }\n";
    way.configure("", &format!("{RULES}token_file = \"app.token\"\nuser_message = \"field\"\n{log}"));
    let mut portvakt = way.home.start();

    let mut secrets = everything(&way);
    let metrics = way.home.admin("/metrics").text() + &way.home.admin("/status.json").text();
    portvakt.terminate();
    let access = fs::read_to_string(way.home.path().join("access.log")).unwrap_or_default();
    let log = portvakt.child.stderr() + &portvakt.child.stdout();

    assert!(
        log.contains("TRACE")
            && log.contains("request of an application")
            && metrics.contains("portvakt_egress_requests_total"),
        "{log}"
    );
    let orders = way.bankid.orders();
    assert!(orders.len() >= 3);
    for order in orders {
        let data = [order.signature(), order.ocsp_response()].map(|text| text[..40].to_owned());
        secrets.extend(data);
        secrets.extend([order.order_ref, order.auto_start_token, order.qr_start_token, order.qr_start_secret]);
    }
    for secret in &secrets {
        for (name, text) in [("log", &log), ("access log", &access), ("metrics or status", &metrics)] {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{secret} is in the {name}: {line:?}");
        }
    }
}

/// One of each thing that could be told of; gives words that were sent or heard.
fn everything(way: &WayOut) -> Vec<String> {
    let call = |method: &str, body: &str| {
        let text = request(method, body).replacen("Host:", &format!("Authorization: Bearer {TOKEN}\r\nHost:"), 1);
        raw::exchange(way.port, text.as_bytes())
    };
    let personal = json!({ "endUserIp": "192.0.2.219", "requirement": { "personalNumber": NUMBER } }).to_string();
    way.bankid.plan(COMPLETE.after(&["userSign"]));
    call("auth", &personal);
    call("auth", &personal);
    let first = way.bankid.order().order_ref;
    (0..3).for_each(|_| drop(call("collect", &collect_body(&first))));
    way.bankid.plan(Plan::failing("userCancel", &[]));
    call("sign", r#"{"endUserIp":"192.0.2.219","userVisibleData":"dmVyeSBzZWNyZXQgdGV4dA=="}"#);
    let failed = way.bankid.order().order_ref;
    way.bankid.script("collect", [Act::Error("internalError"), Act::Answer]);
    (0..2).for_each(|_| drop(call("collect", &collect_body(&failed))));
    call("auth", r#"{"endUserIp":"192.0.2.219"}"#);
    call("cancel", &collect_body(&way.bankid.order().order_ref));
    // What is refused here, what breaks, and what nobody can read.
    call("auth", r#"{"requirement":{"personalNumber":"8001019876"}}"#);
    call("auth", "{\"endUserIp\":\"192.0.2.219\", unreadable-body");
    call("nothing?query=secret-query", "{}");
    let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"orderRef\":\"half-an-answer".to_vec();
    way.bankid.script("sign", [Act::Close, Act::Say(b"no-status-line-at-all\r\n\r\n".to_vec()), Act::Say(broken)]);
    let sign = r#"{"endUserIp":"192.0.2.219","userVisibleData":"YW5vdGhlciB0ZXh0"}"#;
    call("sign", sign);
    call("sign", sign);
    way.bankid.hang_up();
    way.bankid.judge(&MODERN.leaf(), Verdict::Revoked);
    call("auth", &personal);
    [
        TOKEN,
        NUMBER,
        PASSWORD,
        "8001019876",
        "192.0.2.219",
        "192.0.2.44",
        "dmVyeSBzZWNyZXQgdGV4dA==",
        "YW5vdGhlciB0ZXh0",
        "unreadable-body",
        "secret-query",
        "no-status-line",
        "half-an-answer",
        "Ängla",
        "Öberg",
        "OZvYM9VvyiAmG7NA5jU5zqGcVpo",
    ]
    .map(str::to_owned)
    .into()
}
