//! Our stand-in for BankID's service does what BankID documents, as clients see it that are not ours.

use std::path::Path;
use std::thread;

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bankid::{
    Act, COMPLETE, ERRORS, EXPIRED, MODERN, OTHER, PASSWORD, Plan, Published, Sdk, State, Verdict,
};
use crate::support::clock::PATIENCE;
use crate::support::openssl::s_client;
use crate::support::{BankId, Curl, eventually};

const AUTH: &str = r#"{"endUserIp":"192.0.2.7"}"#;
const ORDER: [&str; 4] = ["-H", "Content-Type: application/json", "-d", AUTH];

#[test]
fn given_the_published_certificate_when_curl_shows_it_then_an_order_is_made_in_both_versions() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    let p12 = format!("{}:{PASSWORD}", MODERN.path().display());

    for version in [&TLS12, &TLS13] {
        bankid.versions(&[version]);
        let answer =
            curl(&bankid, &dir).with(&["--cert-type", "P12", "--cert", &p12]).with(&ORDER).get(&url(&bankid, "auth"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told["orderRef"], bankid.order().order_ref, "{told}");
    }

    let call = bankid.last();
    assert_eq!((call.leaf, call.body), (MODERN.leaf(), AUTH.as_bytes().to_vec()));
    assert_eq!((call.server_name.as_deref(), call.connection), (Some("localhost"), 1));
}

#[test]
fn given_no_or_another_certificate_when_curl_shows_it_then_the_alert_says_why() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    bankid.judge(&EXPIRED.leaf(), Verdict::Expired);
    for (shown, alert) in
        [(None, "certificate required"), (Some(OTHER), "unknown ca"), (Some(EXPIRED), "certificate expired")]
    {
        bankid.versions(&[&TLS12]);
        let pem = shown.map(|identity| identity.write_pem(dir.path()));
        let arguments: Vec<_> = pem.iter().flat_map(|pem| ["-cert", text(pem)]).collect();
        let seen = s_client(bankid.port(), &arguments);
        assert!(seen.text.contains(&format!("alert {alert}")), "{shown:?}: {}", seen.text);
        // In TLS 1.3 the handshake is finished for the client: its first read fails.
        bankid.versions(&[&TLS13]);
        let failure = curl_as(&bankid, &dir, shown).with(&ORDER).try_get(&url(&bankid, "auth")).unwrap_err();
        assert!(failure.message.contains(&format!("alert {alert}")), "{shown:?}: {}", failure.message);
    }
    assert_eq!((bankid.refusals().len(), bankid.handshakes()), (6, 0), "{:?}", bankid.refusals());
}

#[test]
fn given_requests_of_wrong_form_when_sent_then_bankids_error_for_each() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    let unknown = r#"{"orderRef":"131daac9-16c6-4618-beb0-365768f37288"}"#;
    for (method, arguments, status, code) in [
        ("auth", &["-G"][..], 405, "methodNotAllowed"),
        ("auth", &["-H", "Content-Type: text/plain"], 415, "unsupportedMediaType"),
        ("auth", &["-H", "Content-Type: application/json; charset=utf-8"], 415, "unsupportedMediaType"),
        ("auth", &["-d", "x"], 400, "invalidParameters"),
        ("sign", &[], 400, "invalidParameters"),
        ("payment", &[], 400, "invalidParameters"),
        ("nothing", &[], 404, "notFound"),
        ("../v5.1/auth", &["--path-as-is"], 404, "notFound"),
        ("collect", &["-d", unknown], 400, "invalidParameters"),
        ("cancel", &["-d", unknown], 400, "invalidParameters"),
    ] {
        let client = curl_as(&bankid, &dir, Some(MODERN)).with(arguments);
        let is_typed = arguments.contains(&"-H");
        let client = if is_typed { client } else { client.header("Content-Type: application/json") };
        let client = if arguments.contains(&"-d") { client } else { client.with(&["-d", AUTH]) };
        let answer = client.get(&url(&bankid, method));
        assert_eq!((answer.status, error_code(&answer.body).as_str()), (status, code), "{method} {arguments:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn given_the_sdk_when_it_signs_then_pending_then_complete_and_never_again() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    let mut sdk = Sdk::with_identity(&bankid.url(), &bankid.write_root(dir.path()));

    let made = sdk.sign("I owe you one").unwrap();
    let order = bankid.order();
    let order_ref = order.order_ref.clone();
    let answers: Vec<_> = (0..3).map(|_| sdk.collect(&order_ref).unwrap()).collect();
    let again = sdk.collect(&order_ref).unwrap_err();

    assert_eq!(
        (&made["order_ref"], &made["auto_start_token"]),
        (&json!(order_ref), &json!(order.auto_start_token)),
        "{made}"
    );
    assert!(made["qr"].as_str().unwrap().starts_with(&format!("bankid.{}.", order.qr_start_token)), "{made}");
    assert_eq!(
        (&answers[0]["hint_code"], &answers[1]["hint_code"]),
        (&json!("outstandingTransaction"), &json!("userSign"))
    );
    let done = &answers[2]["completion_data"];
    assert_eq!(
        (&done["signature"], &done["ocsp_response"]),
        (&json!(order.signature()), &json!(order.ocsp_response()))
    );
    assert_eq!((again.class.as_str(), &again.told["status"]), ("InvalidParameters", &json!(400)));
    let order = bankid.order();
    assert_eq!((order.state, order.collects.len()), (State::Collected, 3));
    assert_eq!(order.smallest_gap(), bankid.smallest_gap());
}

#[test]
fn given_a_failed_and_a_cancelled_order_when_collected_then_the_hint_and_an_error() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    let mut sdk = Sdk::with_identity(&bankid.url(), &bankid.write_root(dir.path()));
    bankid.plan(Plan::failing("userCancel", &[]));
    let busy = json!({ "do": "auth", "end_user_ip": "192.0.2.7", "personal_number": "190000000017" });

    sdk.auth().unwrap();
    assert_eq!(sdk.collect(&bankid.order().order_ref).unwrap()["hint_code"], "userCancel");
    sdk.call(busy.clone()).unwrap();
    let cancelled = bankid.order().order_ref;
    assert_eq!(sdk.call(busy).unwrap_err().class, "AlreadyInProgress");
    sdk.cancel(&cancelled).unwrap();

    assert_eq!(sdk.collect(&cancelled).unwrap_err().class, "InvalidParameters");
    assert_eq!(sdk.cancel(&cancelled).unwrap_err().class, "InvalidParameters");
    assert_eq!(bankid.order().state, State::Cancelled);
}

#[test]
fn given_every_error_code_when_scripted_then_the_sdk_reads_each() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    let mut sdk = Sdk::with_identity(&bankid.url(), &bankid.write_root(dir.path()));
    for (code, status) in ERRORS {
        bankid.script("auth", [Act::Error(code)]);
        let raised = sdk.auth().unwrap_err();
        assert_eq!((&raised.told["error_code"], &raised.told["status"]), (&json!(code), &json!(status)));
        assert_eq!(raised.told["headers"].get("ratelimit-reset").is_some(), status == 429);
    }
    assert!(bankid.orders().is_empty());
}

#[test]
fn given_answers_that_are_cut_closed_or_held_when_awaited_then_the_client_sees_just_that() {
    let (bankid, dir) = (BankId::start(), TempDir::new().unwrap());
    let mut sdk = Sdk::with_identity(&bankid.url(), &bankid.write_root(dir.path()));
    bankid.plan(COMPLETE);
    bankid.script("auth", [Act::Close, Act::Answer]);
    bankid.script("collect", [Act::Cut(300), Act::Hold]);

    assert_eq!(sdk.auth().unwrap_err().class, "BankIDHTTPError");
    assert!(bankid.orders().is_empty(), "the order does not notice");
    sdk.auth().unwrap();
    let order_ref = bankid.order().order_ref;
    assert_eq!(sdk.collect(&order_ref).unwrap_err().class, "BankIDHTTPError");
    assert_eq!(bankid.order().state, State::Collected, "what was cut is lost");
    let held = thread::scope(|scope| {
        let waiting = scope.spawn(|| sdk.collect(&order_ref));
        bankid.await_held(1);
        assert!(!waiting.is_finished());
        bankid.release();
        waiting.join().unwrap()
    });
    assert_eq!(held.unwrap_err().class, "InvalidParameters");
    bankid.hang_up();
    eventually("no connection is left", PATIENCE, || (bankid.open() == 0).then_some(()));
}

/// A client that believes the service, as nobody yet.
fn curl(bankid: &BankId, dir: &TempDir) -> Curl {
    Curl::new().resolve("localhost", bankid.port()).cacert(&bankid.write_root(dir.path()))
}

fn curl_as(bankid: &BankId, dir: &TempDir, shown: Option<Published>) -> Curl {
    match shown {
        Some(identity) => curl(bankid, dir).with(&["--cert", text(&identity.write_pem(dir.path()))]),
        None => curl(bankid, dir),
    }
}

fn url(bankid: &BankId, method: &str) -> String {
    format!("{}/rp/v6.0/{method}", bankid.url())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name that is text")
}

fn error_code(body: &[u8]) -> String {
    let told: Value = serde_json::from_slice(body).unwrap();
    told["errorCode"].as_str().unwrap_or_default().to_owned()
}
