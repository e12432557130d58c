//! The real server behind is reached by http, https or a Unix socket, and believed only for the reason that was configured.

use std::process::Command;

use crate::stage::Stage;
use crate::support::ca::self_signed;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::peers::program;
use crate::support::{Ca, Leaf, Nginx, eventually};

#[test]
fn given_nginx_by_http_when_called_then_path_query_and_host_arrive_unchanged() {
    let nginx = Nginx::start();
    let (stage, _portvakt) = behind(&format!("\"http://127.0.0.1:{}\"", nginx.http));

    for version in ["--http1.1", "--http2"] {
        let answer = stage.curl().with(&[version]).get(&stage.url("/a%20b?c=d"));
        let expected =
            format!("scheme=http sni= method=GET uri=/a%20b?c=d host=m5.test:{} proto=https", stage.home.https);
        assert!(answer.text().contains(&expected), "{version}: {}", answer.text());
    }
}

#[test]
fn given_nginx_by_https_when_its_root_and_name_are_configured_then_it_is_believed() {
    let ca = Ca::new("legacy root");
    let nginx = Nginx::start_tls(&ca.issue(&["legacy.local"]));
    let (stage, _portvakt) = behind_tls(&nginx, &ca, "legacy.local");

    let answer = stage.get("/x");

    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("scheme=https sni=legacy.local"), "{}", answer.text());
}

#[test]
fn given_nginx_by_https_when_it_is_not_who_we_expect_then_502_and_one_clear_line() {
    let (ca, other) = (Ca::new("legacy root"), Ca::new("another root"));
    let leaf = ca.issue(&["legacy.local"]);
    let nginx = Nginx::start_tls(&leaf);

    let rows = [(&ca, "legacy.local", 200), (&other, "legacy.local", 502), (&ca, "other.local", 502)];
    for (anchors, name, status) in rows {
        let (stage, portvakt) = behind_tls(&nginx, anchors, name);
        let answer = stage.get("/x");
        assert_eq!(answer.status, status, "{name}");
        if status == 502 {
            let id = answer.header("portvakt-request-id").expect("a request id");
            portvakt.child.wait_line("the request id", |line| line.contains(id));
            assert!(!answer.text().contains("legacy"), "the client learns little: {}", answer.text());
        }
    }
}

#[test]
fn given_a_self_signed_server_when_its_fingerprint_is_configured_then_only_that_one_is_believed() {
    let (own, foreign) = (self_signed(&["legacy.local"]), self_signed(&["legacy.local"]));
    let nginx = Nginx::start_tls(&own);
    let other = Nginx::start_tls(&foreign);
    let right = openssl(&own.chain, "openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g'");

    let rows = [(&nginx, right.clone(), 200), (&nginx, right.to_lowercase(), 200), (&other, right, 502)];
    for (server, fingerprint, status) in rows {
        let (stage, _portvakt) = behind(&format!(
            "{{ url = \"https://127.0.0.1:{}\", server_name = \"legacy.local\", fingerprint = \"{fingerprint}\" }}",
            server.https
        ));
        assert_eq!(stage.get("/x").status, status, "{fingerprint}");
    }
}

#[test]
fn given_a_server_when_its_key_is_pinned_then_only_that_key_is_believed() {
    let (own, foreign) = (self_signed(&["legacy.local"]), self_signed(&["legacy.local"]));
    let (nginx, other) = (Nginx::start_tls(&own), Nginx::start_tls(&foreign));
    let digest = "openssl x509 -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64";
    let pin = openssl(&own.chain, digest);

    for (server, status) in [(&nginx, 200), (&other, 502)] {
        let (stage, _portvakt) = behind(&format!(
            "{{ url = \"https://127.0.0.1:{}\", server_name = \"legacy.local\", pin = \"sha256/{pin}\" }}",
            server.https
        ));
        assert_eq!(stage.get("/x").status, status);
    }
}

#[test]
fn given_nginx_on_a_unix_socket_when_called_then_it_answers() {
    let nginx = Nginx::start();
    let (stage, _portvakt) = behind(&format!("\"unix:{}\"", nginx.socket().display()));

    let answer = stage.get("/x");

    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("uri=/x host=m5.test"), "{}", answer.text());
}

#[test]
fn given_a_name_when_it_is_localhost_then_it_is_resolved() {
    let nginx = Nginx::start();
    let (stage, _portvakt) = behind(&format!("\"http://localhost:{}\"", nginx.http));

    assert_eq!(stage.get("/x").status, 200);
}

#[test]
fn given_a_pinned_server_when_its_certificate_changes_then_refused_with_both_fingerprints_until_it_is_back() {
    let own = Ca::new("legacy root").issue(&["legacy.local"]);
    let other = Ca::new("another root").issue(&["legacy.local"]);
    let fingerprint =
        |leaf: &Leaf| openssl(&leaf.chain, "openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g'");
    let (expected, shown) = (fingerprint(&own).to_lowercase(), fingerprint(&other).to_lowercase());
    let mut nginx = Nginx::start_tls(&own);
    let (stage, portvakt) = behind(&format!(
        "{{ url = \"https://127.0.0.1:{}\", server_name = \"legacy.local\", fingerprint = \"{expected}\" }}",
        nginx.https
    ));
    assert_eq!(stage.get("/x").status, 200);

    nginx.show(&other);
    eventually("a refusal that names both fingerprints", PATIENCE, || {
        assert_eq!(stage.get("/x").status, 502);
        let lines = portvakt.child.lines().into_iter().map(|line| line.to_lowercase());
        lines.into_iter().find(|line| line.contains(&expected) && line.contains(&shown))
    });
    nginx.show(&own);

    eventually("it is believed again", PATIENCE, || (stage.get("/x").status == 200).then_some(()));
}

#[test]
fn given_routes_when_called_then_the_longest_path_decides() {
    let (nginx, stage) = (Nginx::start(), Stage::new());
    let upstream = format!("\"http://127.0.0.1:{}\"", nginx.http);
    stage.configure("", &format!("[[site.route]]\npath = \"/api/\"\nupstream = {upstream}\n"));
    let _portvakt = stage.home.start();

    for (path, by_nginx) in [("/api/x", true), ("/API/x", true), ("/api", true), ("/api2/x", false), ("/", false)] {
        let text = stage.get(path).text();
        assert_eq!(text.starts_with("nginx"), by_nginx, "{path}: {text}");
    }
}

#[test]
fn given_a_host_override_when_called_then_the_server_sees_it() {
    let nginx = Nginx::start();
    let (stage, _portvakt) =
        behind(&format!("{{ url = \"http://127.0.0.1:{}\", host = \"inner.local\" }}", nginx.http));

    assert!(stage.get("/x").text().contains("host=inner.local"));
}

#[test]
fn given_pooled_connections_when_a_reload_changes_the_root_then_none_of_them_is_used() {
    let (ca, other) = (Ca::new("legacy root"), Ca::new("another root"));
    let nginx = Nginx::start_tls(&ca.issue(&["legacy.local"]));
    let (stage, portvakt) = behind_tls(&nginx, &ca, "legacy.local");
    assert_eq!(stage.get("/x").status, 200);

    configure_tls(&stage, &nginx, &other, "legacy.local");
    assert!(portvakt.reload(&stage.home));

    assert_eq!(stage.get("/x").status, 502);
}

fn behind(upstream: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    stage.home.configure("", &Stage::site_with(upstream));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn behind_tls(nginx: &Nginx, anchors: &Ca, name: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    configure_tls(&stage, nginx, anchors, name);
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn configure_tls(stage: &Stage, nginx: &Nginx, anchors: &Ca, name: &str) {
    anchors.write(stage.home.path().join("legacy-root.pem"));
    let upstream = format!(
        "{{ url = \"https://127.0.0.1:{}\", server_name = \"{name}\", trust_anchors = \"legacy-root.pem\" }}",
        nginx.https
    );
    stage.home.configure("", &Stage::site_with(&upstream));
}

/// What a shell pipeline of openssl makes of `input`.
fn openssl(input: &str, pipeline: &str) -> String {
    let pipeline = pipeline.replace("openssl ", &format!("{} ", program("openssl").display()));
    let output = Command::new("sh").args(["-c", &format!("printf %s \"$0\" | {pipeline}"), input]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
