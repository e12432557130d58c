//! TLS 1.2 and 1.3 with AEAD suites only, the post-quantum group first, and the certificate of the name that was asked for.

use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};

use crate::stage::Stage;
use crate::support::home::Portvakt;
use crate::support::openssl::s_client;
use crate::support::tls::{self, Client};
use crate::support::{Ca, Home};

#[test]
fn given_both_versions_when_openssl_offers_one_then_it_is_agreed_with_an_aead_suite() {
    let (stage, _portvakt) = Stage::running();

    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let seen = shake(&stage, &[option]);
        assert_eq!(seen.version(), version, "{}", seen.text);
        assert!(seen.cipher().contains("GCM") || seen.cipher().contains("CHACHA20"), "{}", seen.cipher());
        assert!(seen.verified(), "{}", seen.text);
    }
}

#[test]
fn given_what_is_too_old_when_offered_then_the_handshake_is_refused() {
    let (stage, _portvakt) = Stage::running();

    let too_old: [(&str, &[&str]); 4] = [
        ("TLS 1.1", &["-tls1_1", "-cipher", "ALL@SECLEVEL=0"]),
        ("TLS 1.0", &["-tls1", "-cipher", "ALL@SECLEVEL=0"]),
        ("CBC", &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA"]),
        ("finite-field groups", &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]),
    ];
    for (what, options) in too_old {
        let seen = shake(&stage, options);
        assert!(!seen.finished && seen.text.contains("alert"), "{what}: {}", seen.text);
    }
    assert!(shake(&stage, &["-tls1_2"]).finished);
}

#[test]
fn given_a_site_with_minimum_1_3_when_1_2_is_offered_then_refused() {
    let (stage, _portvakt) = Stage::running_with("", "tls = { min = \"1.3\" }\n");

    assert!(!shake(&stage, &["-tls1_2"]).finished);
    assert_eq!(shake(&stage, &[]).version(), "TLSv1.3");
}

#[test]
fn given_a_client_with_the_post_quantum_group_when_it_connects_then_that_is_agreed() {
    let (stage, _portvakt) = Stage::running();

    let agreed = |groups: &[&'static dyn rustls::crypto::SupportedKxGroup]| {
        let client = Client::with_groups(stage.ca.roots(), groups);
        tls::group(&client.connect(stage.home.https, "m5.test").unwrap())
    };

    // This client sends key shares for both: the choice is ours.
    assert_eq!(agreed(&[X25519MLKEM768, X25519]), "X25519MLKEM768");
    assert_eq!(agreed(&[X25519]), "X25519");
    assert_eq!(agreed(&[SECP256R1]), "secp256r1");
}

#[test]
fn given_alpn_when_offered_then_h2_is_preferred_and_http_1_1_is_served() {
    let (stage, _portvakt) = Stage::running();

    assert_eq!(shake(&stage, &["-alpn", "http/1.1,h2"]).alpn(), "h2");
    assert_eq!(shake(&stage, &["-alpn", "http/1.1"]).alpn(), "http/1.1");
    assert!(shake(&stage, &[]).finished);
    assert!(shake(&stage, &["-alpn", "smtp"]).text.contains("no application protocol"));
    assert_eq!(stage.curl().with(&["--http2"]).get(&stage.url("/")).version, "2");
    assert_eq!(stage.curl().with(&["--http1.1"]).get(&stage.url("/")).version, "1.1");
    assert_eq!(stage.curl().with(&["--no-alpn"]).get(&stage.url("/")).version, "1.1");
}

#[test]
fn given_alpn_acme_tls_when_nothing_is_pending_then_the_handshake_is_refused() {
    let (stage, _portvakt) = Stage::running();

    assert!(!shake(&stage, &["-alpn", "acme-tls/1"]).finished);
}

#[test]
fn given_sites_when_names_are_asked_for_then_exact_goes_before_wildcard_and_one_label_is_one() {
    let (home, _portvakt) = three_sites("");

    let names = [
        ("a.test", Some("a.test")),
        ("A.TEST", Some("a.test")),
        ("x.wild.test", Some("*.wild.test")),
        ("own.wild.test", Some("own.wild.test")),
        ("y.x.wild.test", None),
        ("wild.test", None),
        ("unknown.test", None),
    ];
    for (name, expected) in names {
        let seen = s_client(home.https, &["-servername", name]);
        match expected {
            Some(subject) => assert!(names_of(&seen.text, subject), "{name}: {}", seen.text),
            None => assert!(seen.text.contains("unrecognized name"), "{name}: {}", seen.text),
        }
    }
    home.wait_sum("portvakt_tls_handshake_failures_total", &[("reason", "unknown_sni")], 3.0);
}

#[test]
fn given_no_server_name_when_one_site_is_the_default_then_it_is_served() {
    let (home, _portvakt) = three_sites("default = true\n");

    let seen = s_client(home.https, &["-noservername"]);

    assert!(names_of(&seen.text, "own.wild.test"), "{}", seen.text);
}

#[test]
fn given_no_server_name_when_no_site_is_the_default_then_refused() {
    let (home, _portvakt) = three_sites("");

    let seen = s_client(home.https, &["-noservername"]);

    assert!(!seen.finished, "{}", seen.text);
    home.wait_sum("portvakt_tls_handshake_failures_total", &[("reason", "no_sni")], 1.0);
}

#[test]
fn given_no_server_name_when_there_is_only_one_site_then_it_is_served() {
    let (stage, _portvakt) = Stage::running();

    assert!(s_client(stage.home.https, &["-noservername", "-CAfile", stage.root()]).verified());
}

#[test]
fn given_a_ticket_when_the_client_comes_back_then_it_resumes() {
    let (stage, _portvakt) = Stage::running();
    let client = Client::new(stage.ca.roots()).resuming().share();
    let request = "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n";

    let mut first = tls::connect(&client, stage.home.https, "m5.test").unwrap();
    assert_eq!(tls::exchange(&mut first, request).unwrap().status, 200);
    let mut second = tls::connect(&client, stage.home.https, "m5.test").unwrap();

    assert_eq!(tls::exchange(&mut second, request).unwrap().status, 200);
    assert_eq!(second.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
}

fn shake(stage: &Stage, options: &[&str]) -> crate::support::openssl::Handshake {
    let common = ["-servername", "m5.test", "-CAfile", stage.root(), "-verify_hostname", "m5.test"];
    s_client(stage.home.https, &[&common, options].concat())
}

/// `a.test`, `*.wild.test` and `own.wild.test`, each with a self-named certificate; `last` belongs to the last one.
fn three_sites(last: &str) -> (Home, Portvakt) {
    let home = Home::new();
    let mut tables = String::new();
    for (file, name) in [("a", "a.test"), ("wild", "*.wild.test"), ("own", "own.wild.test")] {
        Ca::new(name).issue(&[name]).write(home.path(), file);
        let last = if file == "own" { last } else { "" };
        tables += &format!(
            "[[site]]\ndomain = \"{name}\"\nupstream = \"http://127.0.0.1:9\"\n{last}\
             certificate = {{ chain = \"{file}.pem\", key = \"{file}.key\" }}\n"
        );
    }
    home.configure("", &tables);
    let portvakt = home.start();
    (home, portvakt)
}

/// Whether the handshake showed the certificate whose CA is called `name`.
fn names_of(text: &str, name: &str) -> bool {
    text.contains(&format!("i:CN = {name}\n")) || text.contains(&format!("i:CN={name}\n"))
}
