//! `portvakt doctor` tells before a CA, a client or an auditor does what a configuration lacks on this machine.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::support::bind::Zone;
use crate::support::ca::{Ca, self_signed};
use crate::support::home::{Home, run};
use crate::support::pebble::{Pebble, Settings};
use crate::support::peers::program;
use crate::support::ports::free_port;
use crate::support::{Bind, Echo, Nginx, dns};

const NAME: &str = "door.example.se";

/// pebble as the CA, a name server that leads every name here, an upstream on loopback: nothing to do, running or not.
#[test]
fn given_all_that_is_needed_when_looked_at_then_nothing_to_do() {
    let home = Home::new();
    let (pebble, echo) = (Pebble::start(Settings::on(home.http, home.https)), Echo::start());
    home.configure(&pebble.acme_section(), &site(NAME, &echo.url()));
    let (resolver, port) = (dns::start().to_string(), home.http.to_string());
    let online = ["--resolver", &resolver, "--http-port", &port];

    let before = doctor(&home, &online);
    let mut portvakt = home.start();
    home.wait_certificate(NAME, "issued", Duration::from_secs(90));
    let root = pebble.issued_root().display().to_string();
    let while_running = doctor(&home, &[&online[..], &["--trust-anchors", &root]].concat());

    for (told, is_running) in [(&before, false), (&while_running, true)] {
        assert_eq!(told["running"], is_running);
        assert!(own_codes(told).is_empty(), "{told:#}");
    }
    assert_eq!((&before["ok"], &while_running["ok"]), (&true.into(), &true.into()), "{while_running:#}");
    assert_eq!(while_running["sites"].as_array().unwrap().len(), 1, "each site is looked at as a client does");
    portvakt.terminate();
}

#[test]
fn given_what_may_be_missing_when_looked_at_offline_then_it_is_told() {
    let home = Home::new();
    let taken = TcpListener::bind(("127.0.0.1", home.http)).unwrap();
    let acme = "[acme]\nagree_tos = true\ncontact = \"a@example.com\"\n";
    home.configure(acme, &site("m5.local", "http://127.0.0.1:9"));
    fs::create_dir_all(home.state().join("certs/m5.local/1")).unwrap();
    let key = home.state().join("certs/m5.local/1/key.pem");
    fs::write(&key, "").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();

    let told = doctor(&home, &["--offline"]);

    assert_eq!(own_codes(&told), ["PV0669", "PV0676", "PV0677"], "{told:#}");
    let port = &told["findings"][0]["facts"];
    assert!(port["owner"].as_str().unwrap().contains(&format!("process {}", std::process::id())), "{port:#}");
    drop(taken);
    assert!(!own_codes(&doctor(&home, &["--offline"])).contains(&"PV0669".to_owned()));
}

#[test]
fn given_a_ca_that_is_none_when_looked_at_then_it_is_told() {
    let home = Home::new();
    let ca = Ca::new("Of the web server");
    let nginx = Nginx::start_tls(&ca.issue(&["localhost"]));
    ca.write(home.path().join("root.pem"));
    let nobody = free_port();
    for (port, expected) in [(nginx.https, "is no ACME directory"), (nobody, "onnection refused")] {
        let acme = format!(
            "[acme]\nagree_tos = true\ndirectory = \"https://localhost:{port}/dir\"\ntrust_anchors = \"root.pem\"\n"
        );
        let echo = Echo::start();
        home.configure(&acme, &site(NAME, &echo.url()));

        let told = doctor(&home, &["--resolver", &dns::start().to_string(), "--http-port", &home.http.to_string()]);

        assert_eq!(own_codes(&told), ["PV0675"], "{told:#}");
        assert!(told["findings"][0]["what"].as_str().unwrap().contains(expected), "{told:#}");
    }
}

#[test]
fn given_upstreams_that_cannot_be_used_when_looked_at_then_why() {
    let home = Home::new();
    let nginx = Nginx::start_tls(&self_signed(&["localhost"]));
    let ca = Ca::new("Another");
    ca.write(home.path().join("root.pem"));
    let tables = format!(
        "[[site]]\ndomain = \"localhost\"\ncertificate = \"internal\"\nupstream = {{ url = \"https://localhost:{}\", \
         trust_anchors = \"root.pem\" }}\n[[site.route]]\npath = \"/gone\"\nupstream = \"http://127.0.0.1:{}\"\n",
        nginx.https,
        free_port()
    );
    home.configure("", &tables);

    let told = doctor(&home, &[]);

    assert_eq!(own_codes(&told), ["PV0678", "PV0678"], "{told:#}");
    let text = told.to_string();
    assert!(text.contains("efused") && text.contains("UnknownIssuer"), "{text}");
}

#[test]
fn given_caa_records_when_looked_at_then_who_keeps_which_ca_out() {
    let home = Home::new();
    let (pebble, echo) = (Pebble::start(Settings::on(home.http, home.https)), Echo::start());
    home.configure(&pebble.acme_section(), &site(NAME, &echo.url()));
    let table = [
        ("door IN CAA 0 issue \"pebble.letsencrypt.org\"\n@ IN CAA 0 issue \";\"\n", None),
        ("@ IN CAA 0 issue \"ca.other.test\"\n", Some("only `ca.other.test` may issue")),
        ("@ IN CAA 0 issue \";\"\n", Some("no CA may issue")),
        ("door IN CAA 128 new \"x\"\n", Some("the critical property `new` is unknown")),
    ];
    for (records, expected) in table {
        let bind = Bind::start(&[], &[Zone::new("example.se", &format!("door IN A 127.0.0.1\n{records}"))]);
        let resolver = bind.address().to_string();

        let told = doctor(&home, &["--resolver", &resolver, "--http-port", &home.http.to_string()]);

        let codes = own_codes(&told);
        assert_eq!(codes, expected.map_or(vec![], |_| vec!["PV0671"]), "{records}: {told:#}");
        let what = told["findings"][0]["what"].as_str().unwrap_or_default();
        assert!(what.contains(expected.unwrap_or_default()), "{records}: {told:#}");
    }
}

/// The account's URL is known once portvakt has run: a record for another account keeps the CA out too (RFC 8657).
#[test]
fn given_a_caa_record_for_another_account_when_looked_at_then_it_is_told() {
    let home = Home::new();
    let (pebble, echo) = (Pebble::start(Settings::on(home.http, home.https)), Echo::start());
    home.configure(&pebble.acme_section(), &site(NAME, &echo.url()));
    let mut portvakt = home.start();
    home.wait_certificate(NAME, "issued", Duration::from_secs(90));
    portvakt.terminate();
    let record = "door IN CAA 0 issue \"pebble.letsencrypt.org; accounturi=https://127.0.0.1/another\"\n";
    let bind = Bind::start(&[], &[Zone::new("example.se", &format!("door IN A 127.0.0.1\n{record}"))]);

    let online = ["--resolver", &bind.address().to_string(), "--http-port", &home.http.to_string()];
    let told = doctor(&home, &online);

    assert_eq!(own_codes(&told), ["PV0671"], "{told:#}");
    assert!(told.to_string().contains("only the account `https://127.0.0.1/another` may order"), "{told:#}");
}

/// A resolver that believes the zone only with signatures, and a zone that has none.
#[test]
fn given_signatures_that_do_not_hold_when_looked_at_then_dnssec_is_named() {
    let home = Home::new();
    let (pebble, echo) = (Pebble::start(Settings::on(home.http, home.https)), Echo::start());
    home.configure(&pebble.acme_section(), &site(NAME, &echo.url()));
    let zone = Bind::start(&[], &[Zone::new("example.se", "door IN A 127.0.0.1\n")]);
    let resolver = Bind::start(&[], &[Zone::believed_when_signed("example.se", zone.address())]);

    let online = ["--resolver", &resolver.address().to_string(), "--http-port", &home.http.to_string()];
    let told = doctor(&home, &online);

    let codes = own_codes(&told);
    assert!(!codes.is_empty() && codes.iter().all(|code| code == "PV0672"), "{told:#}");
}

#[test]
fn given_an_upstream_on_every_address_when_looked_at_then_the_way_past_us_is_told() {
    let home = Home::new();
    let everywhere = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = everywhere.local_addr().unwrap().port();
    let tables = format!(
        "[[site]]\ndomain = \"localhost\"\ncertificate = \"internal\"\nupstream = \"http://127.0.0.1:{port}\"\n"
    );
    home.configure("", &tables);

    let told = doctor(&home, &[]);

    assert_eq!(own_codes(&told), ["PV0679"], "{told:#}");
    let address = told["findings"][0]["facts"]["address"].as_str().unwrap();
    assert!(address.ends_with(&format!(":{port}")) && !address.starts_with("127."), "{address}");
}

/// The CA is reached by the way that orders take: a proxy that is set.
#[test]
fn given_a_proxy_when_looked_at_then_the_ca_is_asked_through_it() {
    let home = Home::new();
    let (pebble, echo) = (Pebble::start(Settings::on(home.http, home.https)), Echo::start());
    let nobody = free_port();
    let acme = format!("{}proxy = \"http://127.0.0.1:{nobody}\"\n", pebble.acme_section());
    home.configure(&acme, &site(NAME, &echo.url()));

    let told = doctor(&home, &["--resolver", &dns::start().to_string(), "--http-port", &home.http.to_string()]);

    assert_eq!(own_codes(&told), ["PV0675"], "{told:#}");
    let what = told["findings"][0]["what"].as_str().unwrap();
    assert!(what.contains(&format!("through the proxy `http://127.0.0.1:{nobody}`")), "{what}");
}

#[test]
fn given_another_server_on_the_public_port_when_the_question_of_a_ca_is_asked_then_it_is_told() {
    let home = Home::new();
    let (pebble, echo, other) = (Pebble::start(Settings::on(home.http, home.https)), Echo::start(), Nginx::start());
    home.configure(&pebble.acme_section(), &site(NAME, &echo.url()));

    let resolver = dns::start().to_string();
    let told = doctor(&home, &["--resolver", &resolver, "--http-port", &other.http.to_string()]);

    assert_eq!(own_codes(&told), ["PV0673"], "{told:#}");
    assert_eq!(told["findings"][0]["facts"]["detail"], "HTTP/1.1 200 OK");
}

#[test]
fn given_reports_when_opened_in_a_browser_then_in_each_language_and_without_errors() {
    let home = Home::new();
    home.configure("[acme]\nagree_tos = true\n", &site("m5.local", "http://127.0.0.1:9"));
    let nginx = Nginx::start_tls(&self_signed(&["<b>other</b>.example.se"]));
    let url = format!("https://{NAME}:{}/", nginx.https);
    #[rustfmt::skip]
    let table = [
        ("en", "The certificate is self-signed", "No public CA issues"),
        ("sv", "Certifikatet är självsignerat", "Ingen publik utfärdare"),
        ("nb", "Sertifikatet er selvsignert", "Ingen offentlig utsteder"),
        ("de", "Das Zertifikat ist selbst signiert", "Keine öffentliche Zertifizierungsstelle"),
    ];
    for (lang, of_url, of_configuration) in table {
        let of = |arguments: &[&str]| {
            let output =
                run(home.path(), &[&["doctor", "--lang", lang, "--report", "report.html"], arguments].concat());
            assert_eq!(output.status.code(), Some(1), "{}", text(&output));
            browse(&home)
        };
        let page = of(&[&url, "--address", "127.0.0.1"]);
        assert!(
            page.contains(of_url) && page.contains("FLOWFACT") && page.contains(&format!("lang=\"{lang}\"")),
            "{page}"
        );
        assert!(!page.contains("<b>other"), "what a server says is text: {page}");
        let page = of(&["--offline"]);
        assert!(page.contains(of_configuration) && page.contains("<code>m5.local</code>"), "{page}");
    }
}

/// The page as Chromium has understood it.
fn browse(home: &Home) -> String {
    let page = format!("file://{}", home.path().join("report.html").display());
    let profile = format!("--user-data-dir={}", home.path().join("chromium").display());
    let output = Command::new(program("chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", &profile, "--dump-dom", &page])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("CONSOLE"), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn site(name: &str, upstream: &str) -> String {
    format!("[[site]]\ndomain = \"{name}\"\nupstream = \"{upstream}\"\n")
}

fn doctor(home: &Home, arguments: &[&str]) -> Value {
    let output = run(home.path(), &[&["doctor", "--json"], arguments].concat());
    let told: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)));
    assert_eq!(output.status.success(), told["ok"] == true, "{told:#}");
    told
}

/// Of what is to be mended; where this test runs, notes may come and go.
fn own_codes(told: &Value) -> Vec<String> {
    let findings = told["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] != "note");
    let mut codes: Vec<_> = findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    codes
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
