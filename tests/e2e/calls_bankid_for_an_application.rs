//! An application that speaks plain HTTP to loopback reaches BankID: portvakt adds the identity and the name, and changes
//! nothing else.

use serde_json::json;

use crate::egress_stage::{AUTH, WayOut, error_code, json_of, request};
use crate::support::bankid::{Act, ERRORS, MODERN, Plan, State};
use crate::support::clock::PATIENCE;
use crate::support::{eventually, raw};

#[test]
fn given_the_sdk_when_it_signs_then_pending_then_complete_as_the_service_has_said_it() {
    let (way, _portvakt) = WayOut::running();
    let mut sdk = way.sdk();
    way.bankid.plan(Plan { pending: vec!["outstandingTransaction"], failed: None });

    let made = sdk.sign("I owe you one").unwrap();
    let order = way.bankid.order();
    let pending = sdk.collect(&order.order_ref).unwrap();
    let done = sdk.collect(&order.order_ref).unwrap();

    assert_eq!(
        [&made["order_ref"], &made["auto_start_token"], &made["qr_start_secret"]],
        [&order.order_ref, &order.auto_start_token, &order.qr_start_secret]
    );
    assert_eq!(pending["hint_code"], "outstandingTransaction");
    let data = &done["completion_data"];
    assert_eq!([&data["signature"], &data["ocsp_response"]], [&order.signature(), &order.ocsp_response()]);
    assert_eq!((&data["user"]["name"], way.bankid.order().state), (&json!("Ängla Öberg"), State::Collected));
}

#[test]
fn given_the_sdk_when_it_cancels_or_fails_then_it_hears_so() {
    let (way, _portvakt) = WayOut::running();
    let mut sdk = way.sdk();

    way.bankid.plan(Plan::failing("userCancel", &[]));
    sdk.auth().unwrap();
    assert_eq!(sdk.collect(&way.bankid.order().order_ref).unwrap()["hint_code"], "userCancel");
    sdk.auth().unwrap();
    let order_ref = way.bankid.order().order_ref;
    sdk.cancel(&order_ref).unwrap();

    assert_eq!(way.bankid.order().state, State::Cancelled);
    assert_eq!(sdk.cancel(&order_ref).unwrap_err().class, "InvalidParameters");
}

#[test]
fn given_every_error_code_when_the_service_answers_it_then_the_sdk_reads_each() {
    let (way, _portvakt) = WayOut::running();
    let mut sdk = way.sdk();

    for (code, status) in ERRORS {
        way.bankid.script("auth", [Act::Error(code)]);
        let raised = sdk.auth().unwrap_err();
        assert_eq!((&raised.told["error_code"], &raised.told["status"]), (&json!(code), &json!(status)));
        assert_eq!(raised.told["json"]["details"], json!(format!("the stand-in says {code}")));
        let limits = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
        let told = limits.map(|name| raised.told["headers"][name].as_str().unwrap_or_default().to_owned());
        assert_eq!(told, if status == 429 { ["50", "0", "7"] } else { [""; 3] }, "{code}");
    }
    assert_eq!(way.bankid.count("auth"), ERRORS.len());
}

/// Bytes that a proxy might want to tidy.
#[test]
fn given_a_request_of_odd_form_when_passed_on_then_only_host_and_connection_are_ours() {
    let (way, _portvakt) = WayOut::running_with("", "rules = \"none\"\n");
    let body = "\u{feff}{ \"endUserIp\" :\t\"192.0.2.7\",\r\n\"x\":\"\\u00e5\u{e5}\" }\n\n";
    let head = "Host: 127.0.0.1:1\r\nContent-Type: application/json\r\nAccept-Encoding: gzip, compress, deflate, br\r\n\
                User-Agent: app/1.0 (old)\r\nX-Odd:   two  spaces\r\nAccept: */*\r\nAuthorization: Basic Zm9vOmJhcg==\r\n";
    let length = body.len();
    let text = format!("POST /rp/v6.0/auth?a=%2F&b HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}");

    raw::request(way.port, &text);

    let call = way.bankid.last();
    assert_eq!((call.body.as_slice(), call.target().as_str()), (body.as_bytes(), "/rp/v6.0/auth?a=%2F&b"));
    let authority = format!("localhost:{}", way.bankid.port());
    assert_eq!(call.header("host"), Some(authority));
    assert_eq!((call.server_name.as_deref(), call.alpn.as_deref()), (Some("localhost"), Some("http/1.1")));
    assert_eq!(call.leaf, MODERN.leaf());
    let sent = raw::parse_headers(format!("x\r\n{head}").as_bytes());
    let arrived = raw::parse_headers(&call.head);
    for (name, value) in sent.iter().filter(|(name, _)| name != "host") {
        assert_eq!(raw::header(&arrived, name), Some(value.as_str()), "{name}");
    }
    let own = ["host", "content-length", "connection"];
    let added: Vec<_> = arrived.iter().filter(|(name, _)| raw::header(&sent, name).is_none()).collect();
    assert!(added.iter().all(|(name, _)| own.contains(&name.as_str())), "{added:?}");
}

#[test]
fn given_soapaction_set_empty_or_absent_when_passed_on_then_unchanged() {
    let (way, _portvakt) = WayOut::running_with("", "rules = \"none\"\nallow = [\"POST /*\"]\n");
    for (line, expected) in [
        ("SOAPAction: \"urn:x\"\r\n", Some("\"urn:x\"")),
        ("SOAPAction: \"\"\r\n", Some("\"\"")),
        ("SOAPAction:\r\n", Some("")),
        ("", None),
    ] {
        let head = format!("Host: a\r\nContent-Type: text/xml; charset=utf-8\r\n{line}Content-Length: 4\r\n");
        raw::request(way.port, &format!("POST /RpServiceEJB/RpService HTTP/1.1\r\n{head}\r\n<x/>"));
        let call = way.bankid.last();
        assert_eq!(call.header("soapaction").as_deref(), expected, "{line}");
        assert_eq!(call.header("content-type").as_deref(), Some("text/xml; charset=utf-8"));
        assert_eq!((call.target().as_str(), call.body.as_slice()), ("/RpServiceEJB/RpService", &b"<x/>"[..]));
    }
}

#[test]
fn given_other_methods_and_paths_when_called_then_404_as_bankid_says_it_and_nothing_leaves() {
    let (way, _portvakt) = WayOut::running();
    for line in [
        "GET /rp/v6.0/auth",
        "PUT /rp/v6.0/auth",
        "DELETE /rp/v6.0/auth",
        "POST /",
        "POST /rp/v6.0",
        "POST /rp/v6.0x/auth",
        "POST /rp/v6.0/../v6.0/auth",
        "POST /rp/v6.0/%2e%2e/auth",
        "POST //rp/v6.0/auth",
        "POST /RP/V6.0/auth",
        "POST /rp/v6.0\\auth",
    ] {
        let text = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{AUTH}",
            AUTH.len()
        );
        let reply = raw::request(way.port, &text);
        assert_eq!((reply.status, error_code(&reply).as_str()), (404, "notFound"), "{line}: {}", reply.text());
        assert!(reply.header("portvakt-error").is_some_and(|code| code.starts_with("PV")), "{line}: {reply:?}");
        let details = json_of(&reply)["details"].to_string();
        assert!(details.contains("portvakt PV"), "{line}: {details}");
    }
    assert_eq!((way.bankid.calls().len(), way.bankid.connections()), (0, 0));
}

#[test]
fn given_a_service_that_closes_without_an_answer_when_called_then_502_and_one_request_alone() {
    let (way, _portvakt) = WayOut::running();
    way.auth();
    for _ in 0..3 {
        let before = way.bankid.count("auth");
        way.bankid.script("auth", [Act::Close]);
        let reply = way.post("auth", AUTH);
        assert_eq!(reply.status, 502, "{}", reply.text());
        assert_eq!(way.bankid.count("auth"), before + 1, "it was sent once");
    }
    way.bankid.script("auth", [Act::Cut(40)]);
    assert_ne!(raw::exchange(way.port, request("auth", AUTH).as_bytes()).status(), Some(200), "half an answer is none");
    assert_eq!(way.bankid.count("auth"), 5);
}

#[test]
fn given_a_connection_that_the_service_has_closed_when_called_again_then_nothing_is_lost() {
    let (way, _portvakt) = WayOut::running();
    for round in 1..=5 {
        way.auth();
        assert_eq!((way.bankid.count("auth"), way.bankid.connections()), (round, round));
        way.bankid.hang_up();
        eventually("the connection has ended", PATIENCE, || (way.bankid.open() == 0).then_some(()));
    }
}

#[test]
fn given_calls_one_after_another_when_the_service_stays_then_warm_connections_carry_them() {
    let (way, _portvakt) = WayOut::running();
    for _ in 0..10 {
        way.auth();
    }
    // An application may have its answer a moment before the connection is free again: then a second one is made.
    assert_eq!(way.bankid.count("auth"), 10);
    assert!(way.bankid.connections() <= 2, "{}", way.bankid.connections());
}
