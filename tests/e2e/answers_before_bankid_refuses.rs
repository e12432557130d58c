//! What BankID would refuse is answered on the spot, in BankID's form and with the reason, and never leaves the machine; what
//! it accepts is not stopped by a guess of ours.

use crate::egress_stage::{RULES, WayOut, error_code, json_of};
use crate::support::raw::{self, Reply};

#[test]
fn given_a_call_that_bankid_would_refuse_when_made_then_answered_here_with_the_reason() {
    let (way, _portvakt) = WayOut::running_with("", &format!("{RULES}allow = [\"POST /rp/*\"]\n"));
    let ip = r#""endUserIp":"192.0.2.7""#;
    for (path, body, status, code, reason) in [
        ("/rp/v5/auth", format!("{{{ip}}}"), 410, "notFound", "closed_version"),
        ("/rp/v5.1/auth", format!("{{{ip}}}"), 410, "notFound", "closed_version"),
        ("/rp/v6.0/auth", "{}".into(), 400, "invalidParameters", "end_user_ip_missing"),
        ("/rp/v6.0/sign", r#"{"userVisibleData":"eA=="}"#.into(), 400, "invalidParameters", "end_user_ip_missing"),
        ("/rp/v6.0/auth", r#"{"endUserIp":"nowhere"}"#.into(), 400, "invalidParameters", "end_user_ip_wrong"),
        ("/rp/v6.0/auth", with_number(ip, "0000000000"), 400, "invalidParameters", "personal_number"),
        ("/rp/v6.0/auth", with_number(ip, "19000000-0000"), 400, "invalidParameters", "personal_number"),
        ("/rp/v6.0/auth", "endUserIp=192.0.2.7".into(), 400, "invalidParameters", "not_json"),
        ("/rp/v6.0/collect", "{}".into(), 400, "invalidParameters", "order_ref_missing"),
        ("/rp/v6.0/collect", r#"{"orderRef":7}"#.into(), 400, "invalidParameters", "wrong_type"),
    ] {
        let before = way.metric("local_answers_total", &[("reason", reason)]);
        let reply = post(&way, path, &body);
        assert_eq!((reply.status, error_code(&reply).as_str()), (status, code), "{path} {body}: {}", reply.text());
        let header = reply.header("portvakt-error").unwrap_or_default();
        assert!(header.starts_with("PV06") && header.ends_with(reason), "{path} {body}: {header}");
        let details = json_of(&reply)["details"].as_str().unwrap_or_default().to_owned();
        assert!(details.starts_with("portvakt PV06") && !details.contains("192.0.2"), "{details}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        way.expect_metric("local_answers_total", &[("reason", reason)], before + 1.0);
    }
    assert_eq!(way.bankid.connections(), 0, "nothing left the machine");
}

#[test]
fn given_what_bankid_accepts_when_called_then_it_passes() {
    let (way, _portvakt) = WayOut::running_with("", &format!("{RULES}allow = [\"POST /rp/*\"]\n"));
    let ip = r#""endUserIp":"2001:db8::7""#;
    // A number for tests, a coordination number, and one with a checksum that is wrong.
    for number in ["190000000000", "198001619875", "197001011111"] {
        assert_eq!(post(&way, "/rp/v6.0/auth", &with_number(ip, number)).status, 200, "{number}");
    }
    let phone = r#"{"personalNumber":"190000000001","callInitiator":"user"}"#;
    assert_eq!(post(&way, "/rp/v6.0/phone/auth", phone).status, 200, "no address where there is none");
    let long = "QQ==".repeat(50_000);
    let sign = format!(r#"{{{ip},"userVisibleData":"eA==","userNonVisibleData":"{long}","new":[{{"er":[null]}}]}}"#);
    assert_eq!(post(&way, "/rp/v6.0/sign", &sign).status, 200, "large, and with members of tomorrow");
    assert_eq!(way.bankid.last().body, sign.as_bytes());
    // What is new there: the service itself is asked.
    for path in ["/rp/v6.1/auth", "/rp/v6.0/phone/payment"] {
        let reply = post(&way, path, &format!("{{{ip}}}"));
        assert_eq!((reply.status, reply.header("portvakt-error")), (404, None), "{path}");
    }
    assert_eq!(way.metric("local_answers_total", &[]), 0.0);
}

#[test]
fn given_a_body_over_the_limit_when_called_then_413_however_it_is_sent() {
    let (way, _portvakt) = WayOut::running_with("", &format!("{RULES}body = \"1KiB\"\n"));
    let body = format!(r#"{{"endUserIp":"192.0.2.7","userNonVisibleData":"{}"}}"#, "QQ==".repeat(500));
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let announced = format!("Content-Length: {}\r\n\r\n{body}", body.len());

    for rest in [announced, chunked] {
        let head = "POST /rp/v6.0/auth HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
        let reply = raw::request(way.port, &format!("{head}{rest}"));
        assert_eq!((reply.status, error_code(&reply).as_str()), (413, "invalidParameters"), "{}", reply.text());
    }
    assert_eq!(way.bankid.connections(), 0);
}

fn post(way: &WayOut, path: &str, body: &str) -> Reply {
    let head = "Host: a\r\nContent-Type: application/json\r\nConnection: close\r\n";
    raw::request(way.port, &format!("POST {path} HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn with_number(ip: &str, number: &str) -> String {
    format!(r#"{{{ip},"requirement":{{"personalNumber":"{number}"}}}}"#)
}
