//! With `trust = "first-use"` the first certificate of a server is kept and enforced, until an operator accepts another.

use std::fs;

use crate::stage::Stage;
use crate::support::ca::self_signed;
use crate::support::clock::PATIENCE;
use crate::support::home::{Portvakt, run};
use crate::support::{Leaf, Nginx, eventually};

#[test]
fn given_a_server_when_met_then_no_other_certificate_over_reloads_and_restarts_until_one_is_accepted() {
    let (first, second) = (self_signed(&["legacy.local"]), self_signed(&["legacy.local"]));
    let mut nginx = Nginx::start_tls(&first);
    let stage = Stage::new();
    configure(&stage, &nginx, "");
    let mut portvakt = stage.home.start();
    assert_eq!(stage.get("/x").status, 200);
    let (known, other) = (fingerprint(&first), fingerprint(&second));
    portvakt.child.wait_line("the first use is told", |line| line.contains("first use") && line.contains(&known));
    assert!(show(&stage, &[]).contains(&known));

    nginx.show(&second);
    refused_with_both(&stage, &portvakt, &known, &other);
    assert_eq!(stage.home.metrics().sum("portvakt_upstream_healthy", &[("upstream", "legacy")]), 0.0);
    assert!(stage.home.metrics().sum("portvakt_upstream_tls_failures_total", &[("reason", "pin")]) >= 1.0);

    // Neither another setting nor another process forgets.
    configure(&stage, &nginx, ", idle_timeout = \"7s\"");
    assert!(portvakt.reload(&stage.home));
    assert_eq!(stage.get("/x").status, 502);
    portvakt.terminate();
    let stopped = show(&stage, &["legacy"]);
    assert!(stopped.contains(&known) && stopped.contains(&other) && stopped.contains("not running"), "{stopped}");
    let portvakt = stage.home.start();
    refused_with_both(&stage, &portvakt, &known, &other);

    // A name that is not what the server shows is refused, and so is no name at all.
    for (arguments, code) in [(&["--fingerprint", &known] as &[&str], 1), (&[], 1), (&["--fingerprint", "12"], 2)] {
        let (told, status) = accept(&stage, arguments);
        assert_eq!(status, code, "{told}");
        assert_eq!(stage.get("/x").status, 502);
    }
    let (told, status) = accept(&stage, &["--fingerprint", &other]);
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("from now on"), "{told}");
    assert_eq!(stage.get("/x").status, 200, "the running process has taken it over");

    nginx.show(&first);
    refused_with_both(&stage, &portvakt, &other, &known);
}

#[test]
fn given_a_stopped_process_when_another_certificate_is_accepted_then_believed_from_the_next_start_on() {
    let (first, second) = (self_signed(&["legacy.local"]), self_signed(&["legacy.local"]));
    let mut nginx = Nginx::start_tls(&first);
    let stage = Stage::new();
    configure(&stage, &nginx, "");
    let mut portvakt = stage.home.start();
    assert_eq!(stage.get("/x").status, 200);
    portvakt.terminate();
    nginx.show(&second);

    let (told, status) = accept(&stage, &["--fingerprint", &fingerprint(&second)]);

    assert_eq!(status, 0, "{told}");
    let json: serde_json::Value = serde_json::from_str(&show(&stage, &["--json"])).unwrap();
    let known = &json[0]["peers"][0]["known"];
    assert_eq!(known["by"], "operator", "{json:#}");
    assert_eq!(known["before"], fingerprint(&first).as_str());
    assert_eq!(known["certificate"]["sha256"], fingerprint(&second).as_str());
    let _portvakt = stage.home.start();
    assert_eq!(stage.get("/x").status, 200);
}

#[test]
fn given_a_kept_connection_when_another_certificate_is_accepted_then_it_carries_nothing_more() {
    let (first, second) = (self_signed(&["legacy.local"]), self_signed(&["legacy.local"]));
    let nginx = Nginx::start_tls(&first);
    let stage = Stage::new();
    configure(&stage, &nginx, "");
    let _portvakt = stage.home.start();
    assert_eq!(stage.get("/x").status, 200);
    // The server goes on with its old connections, and shows another certificate on new ones.
    let other = Nginx::start_tls_on(nginx.https, &second);
    drop(nginx);

    eventually("the new one is accepted", PATIENCE, || {
        (accept(&stage, &["--fingerprint", &fingerprint(&second)]).1 == 0).then_some(())
    });

    for _ in 0..5 {
        assert_eq!(stage.get("/x").status, 200);
    }
    drop(other);
}

#[test]
fn given_nothing_that_could_be_kept_when_met_then_not_believed_and_told() {
    let nginx = Nginx::start_tls(&self_signed(&["legacy.local"]));
    let stage = Stage::new();
    configure(&stage, &nginx, "");
    fs::create_dir(stage.home.state()).unwrap();
    fs::write(stage.home.state().join("upstreams"), "in the way").unwrap();
    let portvakt = stage.home.start();

    assert_eq!(stage.get("/x").status, 502);

    let line = portvakt.child.wait_line("a line with the way out", |line| line.contains("more: portvakt help PV04"));
    assert!(line.contains("PV0438") && line.contains("upstreams"), "{line}");
}

#[test]
fn given_a_server_met_at_first_use_then_its_certificates_end_is_a_number_and_in_the_status() {
    let first = self_signed(&["legacy.local"]);
    let nginx = Nginx::start_tls(&first);
    let stage = Stage::new();
    configure(&stage, &nginx, "");
    let _portvakt = stage.home.start();

    stage.home.wait_metrics("the end is a number", PATIENCE, |metrics| {
        let labels = [("cert", "legacy"), ("role", "upstream_peer")];
        (metrics.sum("portvakt_certificate_not_after_timestamp_seconds", &labels) > 1.7e9).then_some(())
    });
    let status: serde_json::Value = serde_json::from_slice(&stage.home.admin("/status.json").body).unwrap();
    assert_eq!(status["upstreams"][0]["peers"][0]["certificate"]["sha256"], fingerprint(&first).as_str(), "{status:#}");
}

fn refused_with_both(stage: &Stage, portvakt: &Portvakt, known: &str, shown: &str) {
    let mark = portvakt.child.mark();
    eventually("it is refused", PATIENCE, || (stage.get("/x").status == 502).then_some(()));
    let line = portvakt.child.wait_line_after(mark, "both fingerprints", |line| {
        line.contains(known) && line.contains(shown) && line.contains("portvakt help PV0430")
    });
    assert!(line.contains("valid from") && line.contains("upstream accept"), "{line}");
}

fn configure(stage: &Stage, nginx: &Nginx, more: &str) {
    let upstream = format!(
        "{{ url = \"https://127.0.0.1:{}\", name = \"legacy\", server_name = \"legacy.local\", trust = \"first-use\"{more} }}",
        nginx.https
    );
    stage.home.configure("", &Stage::site_with(&upstream));
}

fn show(stage: &Stage, more: &[&str]) -> String {
    let output = run(stage.home.path(), &[&["upstream", "show"], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What was told, and the exit code.
fn accept(stage: &Stage, more: &[&str]) -> (String, i32) {
    let output = run(stage.home.path(), &[&["upstream", "accept", "legacy"], more].concat());
    let told = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&told).into_owned(), output.status.code().unwrap_or(-1))
}

fn fingerprint(leaf: &Leaf) -> String {
    portvakt::pki::Fingerprint::of(&leaf.der).to_string()
}
