//! The admin listener tells people and machines what is served, until when, and how it goes; nobody else sees it.

use std::process::{Command, Stdio};

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::metrics::Metrics;
use crate::support::openssl::s_client;
use crate::support::peers::program;
use crate::support::raw;

#[test]
fn given_traffic_when_scraped_then_promtool_finds_nothing_wrong() {
    let (stage, _portvakt) = Stage::running();
    some_of_everything(&stage);

    let text = stage.home.admin("/metrics");
    assert!(text.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{:?}", text.headers);

    let output = promtool(&text.body);
    assert!(output.0, "{}", output.1);
}

#[test]
fn given_traffic_when_scraped_then_every_promised_family_is_there() {
    let (stage, _portvakt) = Stage::running();
    some_of_everything(&stage);
    let metrics = stage.home.metrics();

    let promised = [
        "portvakt_build_info",
        "portvakt_start_time_seconds",
        "portvakt_config_last_reload_successful",
        "portvakt_config_last_reload_success_timestamp_seconds",
        "portvakt_certificate_not_after_timestamp_seconds",
        "portvakt_certificate_not_before_timestamp_seconds",
        "portvakt_certificate_ready",
        "portvakt_certificate_info",
        "portvakt_tls_handshakes_total",
        "portvakt_tls_handshake_failures_total",
        "portvakt_http_requests_total",
        "portvakt_http_request_duration_seconds_bucket",
        "portvakt_https_enforcement_total",
        "portvakt_upstream_requests_total",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_resident_memory_bytes",
    ];
    for name in promised {
        assert!(!metrics.series(name, &[]).is_empty(), "{name} is missing among {:?}", metrics.names());
    }
}

#[test]
fn given_requests_when_scraped_then_they_are_counted_by_route_method_and_code() {
    let (stage, _portvakt) = Stage::running();
    let count = |metrics: &Metrics, labels: &[(&str, &str)]| metrics.sum("portvakt_http_requests_total", labels);
    let before = stage.home.metrics();

    for _ in 0..3 {
        stage.get("/x?secret=1");
    }
    stage.request("POST /early HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\n\r\n");

    stage.home.wait_sum("portvakt_http_request_duration_seconds_count", &[], 4.0);
    stage.home.wait_sum("portvakt_upstream_requests_total", &[], 4.0);
    let after = stage.home.metrics();
    assert_eq!(count(&after, &[("method", "GET"), ("code", "200")]) - count(&before, &[("code", "200")]), 3.0);
    assert_eq!(count(&after, &[("method", "POST"), ("code", "413")]), 1.0);
    assert_eq!(after.sum("portvakt_tls_handshakes_total", &[("result", "ok")]), 4.0);
}

#[test]
fn given_an_unknown_method_when_counted_then_it_makes_no_new_label() {
    let (stage, _portvakt) = Stage::running();

    for method in ["BREW", "WHEN", "PROPFIND"] {
        stage.request(&format!("{method} / HTTP/1.1\r\nHost: m5.test\r\n\r\n"));
    }

    let text = stage.home.admin("/metrics").text();
    assert!(!text.contains("BREW") && !text.contains("WHEN"), "labels come from a closed set");
}

#[test]
fn given_a_rotation_when_scraped_then_only_the_new_certificate_is_there() {
    let (stage, portvakt) = Stage::running();
    let infos = |metrics: &Metrics| -> Vec<String> {
        let series = metrics.series("portvakt_certificate_info", &[("cert", "m5.test")]);
        series.iter().map(|sample| sample.labels.get("sha256").cloned().unwrap_or_default()).collect()
    };
    let before = infos(&stage.home.metrics());

    stage.ca.issue(&["m5.test"]).write(stage.home.path(), "m5");
    assert!(portvakt.reload(&stage.home));

    let metrics = stage.home.wait_metrics("the new certificate is shown", PATIENCE, |metrics| {
        let after = infos(metrics);
        assert_eq!((before.len(), after.len()), (1, 1), "{before:?} {after:?}");
        (before != after).then(|| metrics.clone())
    });
    let labels = [("cert", "m5.test")];
    metrics.one("portvakt_certificate_not_after_timestamp_seconds", &labels);
    let ready: f64 = metrics.sum("portvakt_certificate_ready", &labels);
    assert_eq!(ready, 1.0, "one state, and one only");
}

#[test]
fn given_a_site_that_is_removed_when_reloaded_then_its_series_are_gone() {
    let stage = Stage::new();
    stage.ca.issue(&["gone.test"]).write(stage.home.path(), "gone");
    let gone = stage.site().replace("m5.", "gone.").replace("\"m5", "\"gone");
    stage.configure("", &gone);
    let portvakt = stage.home.start();
    let of_gone = || {
        stage.home.metrics().series("portvakt_certificate_not_after_timestamp_seconds", &[("cert", "gone.test")]).len()
    };
    assert_eq!(of_gone(), 1);

    stage.configure("", "");
    assert!(portvakt.reload(&stage.home));

    assert_eq!(of_gone(), 0);
}

#[test]
fn given_expiry_when_scraped_then_it_is_that_of_the_served_certificate() {
    let stage = Stage::new();
    let leaf = stage.ca.issue_for(&["m5.test"], std::time::Duration::from_secs(40 * 86_400));
    leaf.write(stage.home.path(), "m5");
    stage.configure("", "");
    let _portvakt = stage.home.start();

    let metrics = stage.home.metrics();

    let not_after =
        metrics.one("portvakt_certificate_not_after_timestamp_seconds", &[("cert", "m5.test"), ("role", "listener")]);
    let days = (not_after - metrics.one("portvakt_start_time_seconds", &[])) / 86_400.0;
    assert!((39.9..40.1).contains(&days), "{days}");
}

#[test]
fn given_the_admin_listener_when_asked_then_health_status_and_page_are_there() {
    let (stage, _portvakt) = Stage::running();

    for target in ["/livez", "/readyz", "/readyz?cert=strict"] {
        assert_eq!(stage.home.admin(target).status, 200, "{target}");
    }
    let status = stage.home.admin("/status.json");
    let json: serde_json::Value = serde_json::from_slice(&status.body).expect("JSON");
    assert!(status.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    assert!(json.is_object() && json.to_string().contains("m5.test"), "{json}");
    let page = stage.home.admin("/");
    assert!(page.status == 200 && page.text().contains("m5.test"), "{}", page.text());
    assert_eq!(stage.home.admin("/unknown").status, 404);
    let posted = raw::request(
        stage.home.admin,
        "POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(posted.status, 405);
}

#[test]
fn given_a_page_of_somebody_else_when_it_reaches_the_admin_listener_by_a_name_then_refused() {
    let (stage, _portvakt) = Stage::running();

    assert_eq!(raw::get(stage.home.admin, "rebound.test", "/status.json").status, 403);
    assert_eq!(raw::get(stage.home.admin, "localhost", "/status.json").status, 200);
}

#[test]
fn given_the_public_listeners_when_asked_for_metrics_then_it_is_an_ordinary_path() {
    let (stage, _portvakt) = Stage::running();

    assert!(stage.get("/metrics").text().starts_with("GET /metrics"), "the server behind answers");
}

/// One of each kind of event that is counted.
fn some_of_everything(stage: &Stage) {
    assert_eq!(stage.get("/").status, 200);
    assert_eq!(stage.get("/close").status, 502);
    assert_eq!(raw::get(stage.home.http, "m5.test", "/").status, 302);
    assert!(!s_client(stage.home.https, &["-servername", "unknown.test"]).finished);
}

fn promtool(scrape: &[u8]) -> (bool, String) {
    let mut child = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), scrape).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}
