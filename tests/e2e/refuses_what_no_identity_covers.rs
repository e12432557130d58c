//! When an identity or a root does not do, the application gets a clear 502, the operator a plain reason, and each is
//! counted by its cause.

use std::fs;

use rustls::version::{TLS12, TLS13};

use crate::egress_stage::{AUTH, RULES, WayOut, error_code};
use crate::support::Ca;
use crate::support::bankid::{EXPIRED, MODERN, OTHER, Verdict, path_of};
use crate::support::home::run;

#[test]
fn given_an_identity_that_the_service_refuses_when_called_then_502_and_counted_by_cause_in_both_versions() {
    let (way, portvakt) = WayOut::running();
    let mut refused = 0.0;
    for (verdict, reason) in [
        (Verdict::UnknownCa, "unknown_ca"),
        (Verdict::Expired, "expired"),
        (Verdict::Revoked, "revoked"),
        (Verdict::Bad, "bad"),
    ] {
        for (version, counted) in [(&TLS12, 1.0), (&TLS13, 2.0)] {
            way.bankid.versions(&[version]);
            way.bankid.judge(&MODERN.leaf(), verdict);
            let reply = way.post("auth", AUTH);

            refused += 1.0;
            assert_eq!(reply.status, 502, "{verdict:?} {version:?}: {}", reply.text());
            way.expect_metric("identity_refused_total", &[("reason", reason)], counted);
            assert_eq!(way.metric("identity_refused_total", &[]), refused, "and by no other cause");
        }
    }
    assert_eq!((way.bankid.calls().len(), way.bankid.handshakes()), (0, 0), "nothing was heard of the calls");
    portvakt.child.wait_line("whose certificate it is", |line| line.contains("FP Testcert 5"));

    way.bankid.judge(&MODERN.leaf(), Verdict::Believed);
    assert_eq!(way.post("auth", AUTH).status, 200, "it is asked anew each time");
}

#[test]
fn given_another_valid_identity_when_called_then_502_and_unknown_ca() {
    let way = WayOut::new();
    way.show(OTHER, "rp.p12");
    way.configure("", RULES);
    let _portvakt = way.home.start();

    assert_eq!(way.post("auth", AUTH).status, 502);
    way.expect_metric("identity_refused_total", &[("reason", "unknown_ca")], 1.0);
}

/// Dates are an error for `check`; a restart with an identity that has just expired must still serve everything else.
#[test]
fn given_an_expired_identity_when_started_and_called_then_no_answer_and_the_reason_is_told() {
    let way = WayOut::new();
    way.bankid.judge(&EXPIRED.leaf(), Verdict::Expired);
    way.show(EXPIRED, "rp.p12");
    way.configure("", RULES);
    let portvakt = way.home.start();

    let reply = way.post("auth", AUTH);

    assert!([502, 503].contains(&reply.status), "{}: {}", reply.status, reply.text());
    assert!(reply.header("portvakt-error").is_some(), "{reply:?}");
    assert!(way.bankid.calls().is_empty());
    portvakt.child.wait_line("which and since when", |line| line.contains("FP Testcert 4") && line.contains("expired"));
}

#[test]
fn given_an_identity_that_gets_in_but_may_not_call_when_called_then_401_passes() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.judge(&MODERN.leaf(), Verdict::Unauthorized);

    let reply = way.post("auth", AUTH);

    assert_eq!(
        (reply.status, error_code(&reply).as_str(), reply.header("portvakt-error")),
        (401, "unauthorized", None)
    );
    way.expect_metric("error_codes_total", &[("error_code", "unauthorized")], 1.0);
}

#[test]
fn given_a_root_that_did_not_issue_the_service_when_called_then_502_and_no_request_leaves() {
    let way = WayOut::new();
    Ca::new("another root").write(way.home.path().join("other-root.pem"));
    way.configure("", &format!("{RULES}trust_anchors = \"other-root.pem\"\n"));
    let portvakt = way.home.start();

    assert_eq!(way.post("auth", AUTH).status, 502);

    portvakt.child.wait_line("why", |line| line.to_lowercase().contains("issuer"));
    assert!(way.bankid.calls().is_empty());
    assert_eq!(way.metric("identity_refused_total", &[]), 0.0, "our own refusal is not the service's");
}

#[test]
fn given_files_that_cannot_prove_or_believe_when_checked_then_each_is_told_with_its_mend() {
    let way = WayOut::new();
    let file = |name: &str| fs::copy(path_of(name), way.home.path().join(name.rsplit('/').next().unwrap())).unwrap();
    file("guideline-garbled-root.pem");
    file("FPTestcert4_20220818.p12");
    fs::write(way.home.path().join("wrong.pass"), "Qwerty123\n").unwrap();
    for (keys, words) in [
        ("trust_anchors = \"guideline-garbled-root.pem\"\n", &["guideline-garbled-root.pem", "certificate"][..]),
        ("identity = { pkcs12 = \"missing.p12\", password_file = \"rp.pass\" }\n", &["missing.p12"]),
        ("identity = { pkcs12 = \"rp.p12\", password_file = \"wrong.pass\" }\n", &["password"]),
        ("identity = { pkcs12 = \"FPTestcert4_20220818.p12\", password_file = \"rp.pass\" }\n", &["expired"]),
    ] {
        way.configure("", &format!("{RULES}{keys}"));
        let output = run(way.home.path(), &["check", "--config", "portvakt.toml"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{keys}{told}");
        assert!(told.contains("error[PV") && told.contains("= fix:"), "{keys}{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{keys}{told}");
    }
}
