use super::super::http::TransportError;
use super::problem::ruling;
use super::*;
use crate::lifecycle::{Reason, Retry};

const LATER: Timestamp = Timestamp::from_unix(1_900_000_000);

fn refused(kind: &str, detail: &str) -> AcmeError {
    let body = serde_json::json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail});
    AcmeError::Refused {
        step: Step::Authorize,
        identifier: None,
        problem: serde_json::from_value(body).unwrap(),
        answer: Answer { status: 403, ..Answer::default() },
    }
}

fn with_retry_after(error: AcmeError, at: Timestamp) -> AcmeError {
    match error {
        AcmeError::Refused { step, identifier, problem, answer } => {
            AcmeError::Refused { step, identifier, problem, answer: Answer { retry_after: Some(at), ..answer } }
        }
        other => other,
    }
}

#[test]
fn given_each_problem_type_when_ruled_then_reason_and_retry() {
    let table = [
        ("dns", Reason::Dns, Retry::Backoff),
        ("connection", Reason::Connection, Retry::Backoff),
        ("tls", Reason::Connection, Retry::Backoff),
        ("unauthorized", Reason::Unauthorized, Retry::Backoff),
        ("incorrectResponse", Reason::Unauthorized, Retry::Backoff),
        ("caa", Reason::Caa, Retry::Backoff),
        ("rateLimited", Reason::RateLimited, Retry::Backoff),
        ("rejectedIdentifier", Reason::RejectedIdentifier, Retry::Never),
        ("unsupportedIdentifier", Reason::RejectedIdentifier, Retry::Never),
        ("invalidProfile", Reason::RejectedIdentifier, Retry::Never),
        ("badCSR", Reason::BadCsr, Retry::Never),
        ("badPublicKey", Reason::BadCsr, Retry::Never),
        ("malformed", Reason::Unauthorized, Retry::Backoff),
        ("orderNotReady", Reason::OrderNotReady, Retry::Backoff),
        ("externalAccountRequired", Reason::Account, Retry::Never),
        ("invalidContact", Reason::Account, Retry::Never),
        ("userActionRequired", Reason::Account, Retry::Backoff),
        ("accountDoesNotExist", Reason::Account, Retry::Backoff),
        ("serverInternal", Reason::Server, Retry::Backoff),
        ("badNonce", Reason::Server, Retry::Backoff),
        ("somethingNew", Reason::Server, Retry::Backoff),
    ];
    for (kind, reason, retry) in table {
        let error = refused(kind, "no");
        assert_eq!((error.reason(), error.retry()), (reason, retry), "{kind}");
    }
}

#[test]
fn given_a_retry_after_when_ruled_then_kept_unless_refused_for_good() {
    assert_eq!(with_retry_after(refused("rateLimited", "no"), LATER).retry(), Retry::At(LATER));
    assert_eq!(with_retry_after(refused("serverInternal", "no"), LATER).retry(), Retry::At(LATER));
    assert_eq!(with_retry_after(refused("badCSR", "no"), LATER).retry(), Retry::Never);
}

#[test]
fn given_a_time_in_words_when_ruled_then_read() {
    let table = [
        ("too many certificates, retry after 2026-11-22 01:33:00 UTC: see x", Some(1_795_311_180)),
        ("retry after 2026-11-22T01:33:00Z", Some(1_795_311_180)),
        ("retry after some time", None),
        ("retry after 2026-13-22 01:33:00", None),
        ("retry after é", None),
        ("no", None),
    ];
    for (words, expected) in table {
        let expected = expected.map_or(Retry::Backoff, |at| Retry::At(Timestamp::from_unix(at)));
        assert_eq!(refused("rateLimited", words).retry(), expected, "{words}");
    }
}

#[test]
fn given_a_refused_account_when_ordering_then_it_is_not_a_failed_validation() {
    let AcmeError::Refused { problem, answer, .. } = refused("unauthorized", "account deactivated") else {
        unreachable!()
    };
    assert_eq!(ruling(&problem, &answer, Step::Order).0, Reason::Account);
}

#[test]
fn given_a_refusal_when_told_then_the_ca_is_quoted_and_a_fix_is_given() {
    let failure = Failure::from(refused("connection", "192.0.2.1: Fetching http://m5.test/: refused").of("m5.test"));

    assert_eq!(
        failure.detail,
        "the CA refused to validate for `m5.test`: 192.0.2.1: Fetching http://m5.test/: refused \
         (urn:ietf:params:acme:error:connection)"
    );
    assert!(failure.fix.is_some_and(|fix| fix.contains("port 80")));
}

#[test]
fn given_paused_names_when_told_then_the_page_to_open_and_no_further_try() {
    let words = "Your account is temporarily prevented from requesting certificates for m5.test. Please visit: https://portal.example/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4.";
    let error = refused("rateLimited", words);
    assert_eq!((error.reason(), error.retry()), (Reason::RateLimited, Retry::Never));
    let failure = Failure::from(error);
    let page = "https://portal.example/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4";
    assert!(
        failure.fix.as_ref().is_some_and(|fix| fix.contains(&format!("open {page},")) && fix.contains("--force")),
        "{failure:?}"
    );
    assert!(failure.detail.contains(page), "{failure:?}");
}

#[test]
fn given_an_action_that_a_human_must_take_when_told_then_where() {
    let AcmeError::Refused { step, identifier, problem, answer } = refused("userActionRequired", "terms have changed")
    else {
        unreachable!()
    };
    let answer = Answer { visit: Some("https://ca.test/agree".to_owned()), ..answer };
    let error = AcmeError::Refused { step, identifier, problem, answer };
    assert!(error.fix().is_some_and(|fix| fix.contains("open https://ca.test/agree and")), "{:?}", error.fix());
}

#[test]
fn given_answers_to_an_order_when_it_named_what_it_replaces_then_those_that_are_about_that() {
    let table = [
        ("alreadyReplaced", 409, true),
        ("malformed", 400, true),
        ("unauthorized", 403, true),
        ("conflict", 409, true),
        ("rateLimited", 429, false),
        ("serverInternal", 500, false),
    ];
    for (kind, status, expected) in table {
        let AcmeError::Refused { identifier, problem, .. } = refused(kind, "no") else { unreachable!() };
        let answer = Answer { status, ..Answer::default() };
        let error = AcmeError::Refused { step: Step::Order, identifier, problem, answer };
        assert_eq!(error.is_about_replaced(), expected, "{kind}");
    }
}

#[test]
fn given_answers_about_an_order_when_judged_then_only_those_of_the_order_speak_against_it() {
    let refused = |kind, status| {
        let AcmeError::Refused { identifier, problem, .. } = refused(kind, "no") else { unreachable!() };
        AcmeError::Refused { step: Step::Order, identifier, problem, answer: Answer { status, ..Answer::default() } }
    };
    let unreachable = |answer: Option<u16>, source: Box<dyn StdError + Send + Sync>| AcmeError::Unreachable {
        directory: String::new(),
        step: Step::Order,
        answer: answer.map(|status| Answer { status, ..Answer::default() }),
        source,
    };
    let timeout = |step| AcmeError::Timeout { step, after: Duration::from_secs(300) };
    // Error, whether the order is gone, whether it is given up when that comes twice.
    let table = [
        (refused("malformed", 404), true, true),
        (refused("malformed", 410), true, true),
        (refused("malformed", 400), false, true),
        (refused("orderNotReady", 403), false, true),
        (refused("accountDoesNotExist", 404), false, false),
        (refused("accountDoesNotExist", 400), false, false),
        (refused("unauthorized", 401), false, false),
        (refused("userActionRequired", 403), false, false),
        (refused("rateLimited", 429), false, false),
        (refused("serverInternal", 500), false, false),
        (unreachable(Some(404), "x".into()), true, false),
        (unreachable(Some(503), "x".into()), false, false),
        (unreachable(None, "no JSON".into()), false, true),
        (unreachable(None, Box::new(TransportError::TooLong)), false, false),
        (timeout(Step::Authorize), false, true),
        (timeout(Step::Finalize), false, true),
        (AcmeError::OrderInvalid, false, false),
    ];
    for (error, is_gone, is_setback) in table {
        assert_eq!((error.is_about_object(), error.is_setback()), (is_gone, is_setback), "{error:?}");
    }
}

#[test]
fn given_a_wait_without_end_when_ruled_then_a_validation_is_no_trouble_of_the_ca() {
    let timeout = |step| AcmeError::Timeout { step, after: Duration::from_secs(300) };
    assert_eq!(timeout(Step::Authorize).reason(), Reason::Unauthorized);
    assert!(timeout(Step::Authorize).fix().is_some_and(|fix| fix.contains("portvakt doctor")));
    assert_eq!(timeout(Step::Finalize).reason(), Reason::Timeout);
}

#[test]
fn given_a_megabyte_of_words_when_told_then_a_page_is_kept() {
    let problem = serde_json::json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "é".repeat(1 << 19) });
    let error = instant_acme::Error::Api(serde_json::from_value(problem).unwrap());
    let failure = Failure::from(AcmeError::at(Step::Order, "https://ca.test/dir", &Seen::default(), error));
    assert_eq!(failure.reason, Reason::Dns);
    assert!(failure.detail.len() < 2200 && failure.detail.ends_with("(urn:ietf:params:acme:error:dns)"));

    let offered = (0..100_000).map(|number| number.to_string()).collect();
    let error = AcmeError::NoProfile { directory: String::new(), profile: "x".to_owned(), offered };
    assert!(Failure::from(error).detail.len() < LONGEST_FAILURE + 10);
}

#[test]
fn given_a_compound_problem_when_ruled_then_its_first_part_decides() {
    let body = serde_json::json!({
        "type": "urn:ietf:params:acme:error:compound",
        "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids"}],
    });
    let problem: Problem = serde_json::from_value(body).unwrap();
    assert_eq!(ruling(&problem, &Answer { status: 403, ..Answer::default() }, Step::Authorize).0, Reason::Caa);
    assert!(Words(&problem).to_string().contains("CAA forbids"));
}

#[test]
fn given_no_answer_when_sorted_then_network_timeout_or_server() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let table = [
        (TransportError::Connect { source: refused.into(), proxy: None }, Reason::Network),
        (TransportError::Timeout { after: Duration::from_secs(30) }, Reason::Timeout),
        (TransportError::TooLong, Reason::Server),
    ];
    for (source, reason) in table {
        let words = source.to_string();
        let error = instant_acme::Error::Other(Box::new(source));
        let error = AcmeError::at(Step::Connect, "https://ca.test/dir", &Seen::default(), error);
        assert_eq!((error.reason(), error.retry()), (reason, Retry::Backoff), "{words}");
        assert!(Failure::from(error).detail.contains(&words));
    }
}

#[test]
fn given_an_http_error_without_problem_when_sorted_then_by_status() {
    for (status, reason) in [(429, Reason::RateLimited), (503, Reason::Server), (500, Reason::Server)] {
        let error = AcmeError::Unreachable {
            directory: String::new(),
            step: Step::Order,
            answer: Some(Answer { status, retry_after: Some(LATER), ..Answer::default() }),
            source: "x".into(),
        };
        assert_eq!((error.reason(), error.retry()), (reason, Retry::At(LATER)));
    }
}
