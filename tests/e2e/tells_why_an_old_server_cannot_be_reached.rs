//! Every kind of old TLS server: reached by the certificate that it has, or one clear line that says why not and what then.

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::{Kind, OldServer, eventually};

#[test]
fn given_a_certificate_that_no_verifier_takes_when_pinned_or_met_at_first_use_then_it_is_reached() {
    let sound = Kind::SOUND;
    for (what, certificate) in [
        ("sound", sound),
        ("SHA-1", Kind { digest: "sha1", ..sound }),
        ("no SAN", Kind { extensions: "basicConstraints=CA:FALSE", ..sound }),
        ("CA:TRUE", Kind { extensions: "basicConstraints=critical,CA:TRUE", ..sound }),
        ("expired", Kind { age: 60, ..sound }),
    ] {
        let server = OldServer::start(certificate, "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384");
        for trust in [format!("fingerprint = \"{}\"", server.fingerprint()), "trust = \"first-use\"".to_owned()] {
            let (stage, portvakt) = behind(&server, &trust);
            let answer = stage.get("/");
            assert_eq!(answer.status, 200, "{what}, {trust}: {:?}", portvakt.child.lines());
            assert!(answer.text().contains("ECDHE-RSA-AES256-GCM-SHA384"), "{what}: {}", answer.text());
        }
    }
}

#[test]
fn given_a_server_that_offers_too_little_when_called_then_502_and_one_line_with_cause_and_ways_out() {
    let (sound, short) = (Kind::SOUND, Kind { key: "rsa:1024", ..Kind::SOUND });
    let gcm = "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0";
    for (what, certificate, offer, code, reason) in [
        ("TLS 1.0", sound, "-tls1 -cipher ALL:@SECLEVEL=0", "PV0431", "old_protocol"),
        ("TLS 1.1", sound, "-tls1_1 -cipher ALL:@SECLEVEL=0", "PV0431", "old_protocol"),
        ("CBC", sound, "-tls1_2 -cipher ECDHE-RSA-AES256-SHA384", "PV0432", "no_common_cipher"),
        ("RSA key exchange", sound, "-tls1_2 -cipher AES256-SHA", "PV0432", "no_common_cipher"),
        ("RSA key exchange, GCM", sound, "-tls1_2 -cipher AES256-GCM-SHA384", "PV0432", "no_common_cipher"),
        ("RSA-1024", short, gcm, "PV0433", "weak_key"),
    ] {
        let server = OldServer::start(certificate, offer);
        for trust in ["fingerprint", "first-use", "trust_anchors"] {
            let keys = match trust {
                "fingerprint" => format!("fingerprint = \"{}\"", server.fingerprint()),
                "first-use" => "trust = \"first-use\"".to_owned(),
                _ => "trust_anchors = \"legacy.pem\"".to_owned(),
            };
            let (stage, portvakt) = behind(&server, &keys);

            let answer = stage.get("/");

            assert_eq!(answer.status, 502, "{what}, {trust}");
            assert!(!answer.text().contains("TLS") && !answer.text().contains("127.0.0.1"), "{}", answer.text());
            let id = answer.header("portvakt-request-id").expect("a request id").to_owned();
            let line = portvakt.child.wait_line("the request's line", |line| line.contains(&id));
            assert!(line.contains(code), "{what}, {trust}: {line}");
            for way in ["A: ", "B: plain HTTP on loopback", "C: ", &format!("portvakt help {code}")] {
                assert!(line.contains(way), "{what}, {trust}: no {way}: {line}");
            }
            stage.home.wait_metrics("it is counted", PATIENCE, |metrics| {
                let count = metrics.sum("portvakt_upstream_tls_failures_total", &[("reason", reason)]);
                (count >= 1.0).then_some(())
            });
        }
        let help = run(std::path::Path::new("."), &["help", code]);
        let page = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success() && page.contains("\nA. ") && page.contains("\nC. "), "{page}");
    }
}

#[test]
fn given_trust_anchors_when_the_certificate_fails_then_the_line_says_in_what_and_how_to_pin_it() {
    let (sound, named) = (Kind::SOUND, "subjectAltName=DNS:legacy.local;basicConstraints=critical,CA:TRUE");
    for (what, certificate, code) in [
        ("SHA-1", Kind { digest: "sha1", ..sound }, "PV0436"),
        ("no SAN", Kind { extensions: "basicConstraints=CA:FALSE", ..sound }, "PV0434"),
        ("expired", Kind { age: 60, ..sound }, "PV0435"),
        ("CA:TRUE", Kind { extensions: named, ..sound }, "PV0436"),
    ] {
        let server = OldServer::start(certificate, "-tls1_2");
        let (stage, portvakt) = behind(&server, "trust_anchors = \"legacy.pem\"");

        assert_eq!(stage.get("/").status, 502, "{what}");

        let line =
            portvakt.child.wait_line("a line with the way out", |line| line.contains("more: portvakt help PV04"));
        assert!(line.contains(code) && line.contains("`fingerprint`"), "{what}: {line}");
    }
}

#[test]
fn given_a_server_that_wants_a_client_certificate_over_tls_1_2_when_called_then_that_is_what_is_told() {
    let server = OldServer::start(Kind::SOUND, "-tls1_2 -Verify 1 -verify_return_error");
    for trust in [format!("fingerprint = \"{}\"", server.fingerprint()), "trust_anchors = \"legacy.pem\"".to_owned()] {
        let (stage, portvakt) = behind(&server, &trust);

        assert_eq!(stage.get("/").status, 502, "{trust}");

        let line =
            portvakt.child.wait_line("a line with the way out", |line| line.contains("more: portvakt help PV04"));
        assert!(line.contains("PV0437"), "a `handshake_failure` that is not about suites: {line}");
    }
}

#[test]
fn given_an_old_server_when_the_configuration_is_looked_at_then_the_doctor_says_the_same() {
    let server = OldServer::start(Kind::SOUND, "-tls1 -cipher ALL:@SECLEVEL=0");
    let (stage, _portvakt) = behind(&server, "trust = \"first-use\"");

    let told = eventually("the doctor tells of it", PATIENCE, || {
        let output = run(stage.home.path(), &["doctor", "--config", "portvakt.toml", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("PV0431").then_some(text)
    });

    assert!(told.contains("TLS 1.1 or older"), "{told}");
}

fn behind(server: &OldServer, trust: &str) -> (Stage, crate::support::Portvakt) {
    let stage = Stage::new();
    std::fs::write(stage.home.path().join("legacy.pem"), server.certificate()).unwrap();
    stage.home.configure(
        "",
        &Stage::site_with(&format!(
            "{{ url = \"https://127.0.0.1:{}\", server_name = \"legacy.local\", {trust} }}",
            server.port
        )),
    );
    let portvakt = stage.home.start();
    (stage, portvakt)
}
