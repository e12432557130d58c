use std::time::Duration;

use http::{Method, StatusCode};

use super::*;
use crate::lifecycle::budget::Limit;
use crate::lifecycle::rotation::Slot;
use crate::lifecycle::{Kind, Reason, State};
use crate::route::Action;

fn certificate(name: &str) -> CertificateStatus {
    let day = |number: i64| Some(Timestamp::from_unix(number * 86_400));
    CertificateStatus {
        name: name.to_owned(),
        role: CertificateRole::Listener,
        state: State::Issued,
        not_before: day(100),
        not_after: day(190),
        chain_not_after: day(189),
        renewal_due: day(160),
        emergency: day(185),
        renewal_manual: false,
        issuer: "R11".to_owned(),
        serial: "01".to_owned(),
        sha256: "ab".to_owned(),
        key_type: "ecdsa-p256".to_owned(),
        profile: String::new(),
        sans: vec![name.to_owned()],
        consecutive_failures: 2,
        last_attempt: day(159),
        last_success: day(100),
        next_attempt: day(161),
        next_action: "renew",
        next_reason: "renewal_planned",
        information: Some(RenewalInformation {
            window: day(160).zip(day(162)),
            asked_at: Timestamp::from_unix(8_640_000),
            explanation: Some("https://ca.test/why".to_owned()),
        }),
        stored: Some(true),
    }
}

fn metrics_of(certificates: Vec<CertificateStatus>) -> Metrics {
    let source: CertificateSource = Arc::new(move || certificates.clone());
    Metrics::new(BuildInfo::current(), Timestamp::from_unix(42), source).expect("metrics")
}

fn budget() -> BudgetLeft {
    BudgetLeft { ca: "letsencrypt".to_owned(), limit: Limit::SameSet, certificate: "m5".to_owned(), left: 3 }
}

fn client_identity() -> ClientIdentityStatus {
    ClientIdentityStatus { destination: "bankid".to_owned(), in_use: Some(Slot::Next), refusals: [0, 2, 0, 0, 0, 1] }
}

fn storage() -> StorageStatus {
    StorageStatus {
        locks: vec![("m5".to_owned(), true), ("notify ops".to_owned(), false)],
        failures: vec![("read", 2)],
    }
}

fn served(certificate: &str, matches: Option<bool>) -> ServedStatus {
    ServedStatus {
        certificate: certificate.to_owned(),
        listener: "https 0.0.0.0:443".to_owned(),
        domain: format!("{certificate}.test"),
        not_after: matches.map(|_| Timestamp::from_unix(90)),
        matches,
        at: Timestamp::from_unix(60),
    }
}

/// Lines of samples that hold every part.
fn samples(metrics: &Metrics, parts: &[&str]) -> Vec<String> {
    let text = String::from_utf8(metrics.render()).expect("text");
    text.lines()
        .filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))
        .map(str::to_owned)
        .collect()
}

fn touch_everything(metrics: &Metrics) {
    metrics.route("m5:/").answered(&metrics.listener("https"), &Method::GET, StatusCode::OK, Duration::from_millis(3));
    metrics.listener("https");
    metrics.tls("https");
    metrics.upstream("legacy").answered(StatusCode::OK);
    metrics.upstream_health("legacy", "127.0.0.1:8080", true, true);
    metrics.acme("m5", "letsencrypt");
    metrics.ca_requested("letsencrypt", "order", Some(201), Duration::from_millis(3));
    metrics.ca_clock_skew("letsencrypt", -3);
    metrics.ca_retry_after("letsencrypt", Timestamp::from_unix(43));
    metrics.challenged("http-01", true);
    metrics.notifier("ops");
    let egress = metrics.egress("bankid");
    egress.answered("collect", "v6.0", StatusCode::OK, Duration::from_millis(3));
    egress.answered_here("not_allowed");
    egress.collected("pending", "userSign");
    egress.failed("invalidParameters");
}

#[test]
fn given_everything_touched_when_rendered_then_names_and_labels_are_those_written_down() {
    let metrics = metrics_of(vec![certificate("m5")]);
    touch_everything(&metrics);
    metrics.show_client_identities(Arc::new(|| vec![client_identity()])).expect("metrics");
    metrics.show_budgets(Arc::new(|| vec![budget()])).expect("metrics");
    metrics.show_served(Arc::new(|| vec![served("m5", Some(true))])).expect("metrics");
    metrics.show_client_crls(Arc::new(|| vec![client_crl()])).expect("metrics");
    metrics.show_storage(Arc::new(storage)).expect("metrics");
    let mut names: Vec<String> = metrics
        .registry
        .gather()
        .iter()
        .map(|family| {
            let labels: Vec<_> = family.get_metric()[0].get_label().iter().map(|pair| pair.name()).collect();
            format!("{}{{{}}}", family.name(), labels.join(","))
        })
        .filter(|name| !name.starts_with("process_"))
        .collect();
    names.sort();
    assert_eq!(names, include_str!("names.txt").lines().collect::<Vec<_>>());
    #[cfg(target_os = "linux")]
    assert_eq!(samples(&metrics, &["process_open_fds"]).len(), 1);
}

#[test]
fn given_locks_and_pinned_connections_when_rendered_then_as_they_are_at_that_moment() {
    let metrics = metrics_of(Vec::new());
    let status = Arc::new(Mutex::new(storage()));
    let source = status.clone();
    metrics.show_storage(Arc::new(move || source.lock().expect("lock").clone())).expect("metrics");
    metrics.storage_lock_waited(Duration::from_secs(7));
    let upstream = metrics.upstream("legacy");
    let connections = [upstream.pinned(), upstream.pinned()];

    let held = || samples(&metrics, &["portvakt_storage_lock_held"]);
    assert_eq!(
        held(),
        ["portvakt_storage_lock_held{name=\"m5\"} 1", "portvakt_storage_lock_held{name=\"notify ops\"} 0"]
    );
    for _ in 0..2 {
        assert_eq!(samples(&metrics, &["storage_errors"]), ["portvakt_storage_errors_total{op=\"read\"} 2"]);
    }
    assert_eq!(samples(&metrics, &["lock_wait_seconds_sum"]), ["portvakt_storage_lock_wait_seconds_sum 7"]);
    let pinned = || samples(&metrics, &["pinned"]);
    assert_eq!(pinned(), ["portvakt_upstream_pinned_connections{upstream=\"legacy\"} 2"]);

    *status.lock().expect("lock") = StorageStatus::default();
    drop(connections);
    assert!(held().is_empty());
    assert_eq!(pinned(), ["portvakt_upstream_pinned_connections{upstream=\"legacy\"} 0"]);
    metrics.retain(&Live::default());
    assert!(pinned().is_empty());
}

#[test]
fn given_the_lock_file_when_compared_then_the_libraries_versions_are_those_told() {
    let lock = include_str!("../../Cargo.lock");
    let locked = |name, version| lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"));
    let build = BuildInfo::current();
    assert!(locked("rustls", build.rustls), "{}", build.rustls);
    assert!(locked("pingora", build.pingora), "{}", build.pingora);
}

#[test]
fn given_a_rotation_when_scraped_again_then_no_stale_series() {
    let now_served = Arc::new(Mutex::new(vec![certificate("m5"), certificate("old")]));
    let source = now_served.clone();
    let source: CertificateSource = Arc::new(move || source.lock().expect("lock").clone());
    let metrics = Metrics::new(BuildInfo::current(), Timestamp::default(), source).expect("metrics");
    assert_eq!(samples(&metrics, &["portvakt_certificate_info", "serial=\"01\""]).len(), 2);

    *now_served.lock().expect("lock") = vec![CertificateStatus { serial: "02".to_owned(), ..certificate("m5") }];

    assert_eq!(samples(&metrics, &["portvakt_certificate_info"]).len(), 1);
    assert_eq!(samples(&metrics, &["portvakt_certificate_info", "serial=\"02\""]).len(), 1);
    assert_eq!(samples(&metrics, &["cert=\"old\""]), Vec::<String>::new());
}

#[test]
fn given_what_was_seen_when_scraped_then_told_and_gone_with_its_listener() {
    let now_seen = Arc::new(Mutex::new(vec![served("m5", Some(false)), served("new", None)]));
    let source = now_seen.clone();
    let metrics = metrics_of(vec![]);
    metrics.show_served(Arc::new(move || source.lock().expect("lock").clone())).expect("metrics");
    let labels = "cert=\"m5\",listener=\"https 0.0.0.0:443\",sni=\"m5.test\"";
    assert_eq!(
        samples(&metrics, &["portvakt_served_certificate_matches"]),
        [format!("portvakt_served_certificate_matches{{{labels}}} 0")]
    );
    assert_eq!(samples(&metrics, &["portvakt_served_certificate_probe_timestamp_seconds"]).len(), 2);

    now_seen.lock().expect("lock").clear();

    assert_eq!(samples(&metrics, &["portvakt_served_"]), Vec::<String>::new());
}

#[test]
fn given_a_client_identity_when_scraped_twice_then_the_same_numbers() {
    let metrics = metrics_of(vec![]);
    metrics.show_client_identities(Arc::new(|| vec![client_identity()])).expect("metrics");
    for _ in 0..2 {
        for line in [
            "portvakt_egress_identity_in_use{destination=\"bankid\",identity=\"identity\"} 0",
            "portvakt_egress_identity_in_use{destination=\"bankid\",identity=\"next\"} 1",
            "portvakt_egress_identity_refused_total{destination=\"bankid\",reason=\"required\"} 0",
            "portvakt_egress_identity_refused_total{destination=\"bankid\",reason=\"expired\"} 2",
            "portvakt_egress_identity_refused_total{destination=\"bankid\",reason=\"other\"} 1",
        ] {
            assert_eq!(samples(&metrics, &[line]), [line]);
        }
    }
}

#[test]
fn given_a_certificate_when_scraped_then_its_numbers() {
    let metrics = metrics_of(vec![certificate("m5")]);
    #[rustfmt::skip]
    let expected = [
        "portvakt_certificate_not_before_timestamp_seconds{cert=\"m5\",role=\"listener\"} 8640000",
        "portvakt_certificate_not_after_timestamp_seconds{cert=\"m5\",role=\"listener\"} 16416000",
        "portvakt_certificate_chain_not_after_timestamp_seconds{cert=\"m5\",role=\"listener\"} 16329600",
        "portvakt_certificate_renewal_due_timestamp_seconds{cert=\"m5\"} 13824000",
        "portvakt_certificate_emergency_timestamp_seconds{cert=\"m5\"} 15984000",
        "portvakt_certificate_renewal_manual{cert=\"m5\",role=\"listener\"} 0",
        "portvakt_certificate_ready{cert=\"m5\",state=\"issued\"} 1",
        "portvakt_certificate_ready{cert=\"m5\",state=\"placeholder\"} 0",
        "portvakt_acme_consecutive_failures{cert=\"m5\"} 2",
        "portvakt_acme_next_attempt_timestamp_seconds{cert=\"m5\"} 13910400",
        "portvakt_start_time_seconds 42",
    ];
    for line in expected {
        assert_eq!(samples(&metrics, &[line]), [line]);
    }
}

#[test]
fn given_one_fact_changed_when_scraped_then_only_what_applies() {
    type Change = fn(&mut CertificateStatus);
    #[rustfmt::skip]
    let table: [(&str, Change, &str, usize); 6] = [
        ("as it is",     |_| {},                                                   "portvakt_certificate_ready", 5),
        ("another role", |c| c.role = CertificateRole::UpstreamPeer,               "portvakt_certificate_ready", 0),
        ("manual",       |c| c.renewal_manual = true,                              "renewal_due_timestamp",      0),
        ("manual",       |c| c.renewal_manual = true,                              "portvakt_acme_consecutive",  0),
        ("missing",      |c| c.not_after = None,                                   "portvakt_certificate_info",  0),
        ("many names",   |c| c.sans = (0..12).map(|n| format!("n{n}")).collect(), "n8,n9,+2\"",                 1),
    ];
    for (what, change, part, count) in table {
        let mut status = certificate("m5");
        change(&mut status);
        assert_eq!(samples(&metrics_of(vec![status]), &[part]).len(), count, "{what}");
    }
}

#[test]
fn given_fresh_handles_when_scraped_then_closed_sets_are_there_with_zero() {
    let metrics = metrics_of(Vec::new());
    touch_everything(&metrics);
    #[rustfmt::skip]
    let table = [
        ("portvakt_https_enforcement_total{",      Action::ALL.len()),
        ("portvakt_tls_handshakes_total{",         3),
        ("portvakt_tls_handshake_failures_total{", HandshakeFailure::ALL.len()),
        ("portvakt_connections_rejected_total{",  ConnectionRejection::ALL.len()),
        ("portvakt_upstream_tls_failures_total{",  UpstreamTlsFailure::ALL.len()),
        ("portvakt_acme_attempts_total{",          4),
        ("portvakt_acme_failures_total{",          Reason::ALL.len()),
        ("portvakt_config_reloads_total{",         2),
        ("portvakt_notify_total{",                 NotifyResult::ALL.len()),
        ("portvakt_textfile_writes_total{",        2),
    ];
    for (family, count) in table {
        let lines = samples(&metrics, &[family]);
        assert_eq!(lines.len(), count, "{family}");
        assert!(lines.iter().all(|line| line.ends_with(" 0")), "{lines:?}");
    }
}

#[test]
fn given_every_label_value_when_counted_then_its_own_series_moves() {
    let metrics = metrics_of(Vec::new());
    for action in Action::ALL {
        metrics.route("r").enforced(action);
        let line = format!("portvakt_https_enforcement_total{{action=\"{}\",route=\"r\"}} 1", action.as_str());
        assert_eq!(samples(&metrics, &[&line]).len(), 1, "{line}");
    }
    for reason in HandshakeFailure::ALL {
        metrics.tls("l").failed(reason);
        assert_eq!(samples(&metrics, &[&format!("reason=\"{}\"}} 1", reason.as_str())]).len(), 1, "{reason:?}");
    }
    for reason in Reason::ALL {
        metrics.acme("c", "ca").failed(Kind::Renew, reason);
        assert_eq!(
            samples(&metrics, &["cert=\"c\"", &format!("reason=\"{}\"}} 1", reason.as_str())]).len(),
            1,
            "{reason:?}"
        );
    }
    metrics.tls("l").succeeded(TlsVersion::Tls13, Duration::from_millis(1));
    assert_eq!(samples(&metrics, &["handshakes_total", "result=\"ok\",version=\"1.3\"} 1"]).len(), 1);
    let failed = HandshakeFailure::ALL.len();
    assert_eq!(
        samples(&metrics, &["handshakes_total", &format!("result=\"error\",version=\"none\"}} {failed}")]).len(),
        1
    );
}

#[test]
fn given_a_strange_method_when_counted_then_other() {
    let metrics = metrics_of(Vec::new());
    for method in ["BREW", "get", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).expect("token");
        metrics.route("r").answered(&metrics.listener("http"), &method, StatusCode::OK, Duration::ZERO);
    }
    let line = "portvakt_http_requests_total{code=\"200\",listener=\"http\",method=\"OTHER\",route=\"r\"} 3";
    assert_eq!(samples(&metrics, &["requests_total{"]), [line]);
}

#[test]
fn given_guards_when_dropped_then_gauges_return() {
    let metrics = metrics_of(Vec::new());
    let (request, connection) = (metrics.route("r").begin(), metrics.listener("l").opened());
    assert_eq!(samples(&metrics, &["portvakt_http_requests_in_flight{route=\"r\"} 1"]).len(), 1);
    assert_eq!(samples(&metrics, &["portvakt_connections_open{listener=\"l\"} 1"]).len(), 1);
    drop((request, connection));
    assert_eq!(samples(&metrics, &["portvakt_http_requests_in_flight{route=\"r\"} 0"]).len(), 1);
    assert_eq!(samples(&metrics, &["portvakt_connections_open{listener=\"l\"} 0"]).len(), 1);
}

#[test]
fn given_a_reload_when_it_fails_then_the_time_of_the_last_good_one_stays() {
    let metrics = metrics_of(Vec::new());
    metrics.reload_succeeded(Timestamp::from_unix(7));
    metrics.reload_failed();
    #[rustfmt::skip]
    let expected = [
        "portvakt_config_last_reload_successful 0",
        "portvakt_config_last_reload_success_timestamp_seconds 7",
        "portvakt_config_reloads_total{result=\"ok\"} 1",
        "portvakt_config_reloads_total{result=\"error\"} 1",
    ];
    for line in expected {
        assert_eq!(samples(&metrics, &[line]), [line]);
    }
}

#[test]
fn given_one_name_gone_when_retained_then_none_of_its_series() {
    let peers = [("legacy", "127.0.0.1:8080".to_owned())];
    let live = Live {
        listeners: &["https"],
        routes: &["m5:/"],
        upstreams: &["legacy"],
        peers: &peers,
        certificates: &["m5"],
        egresses: &["bankid"],
        cas: &["letsencrypt"],
        notifiers: &["ops"],
    };
    #[rustfmt::skip]
    let table = [
        ("a listener",    Live { listeners: &[], ..live },    "listener=\""),
        ("a route",       Live { routes: &[], ..live },       "route=\"m5:/\""),
        ("an upstream",   Live { upstreams: &[], ..live },    "upstream=\""),
        ("a peer",        Live { peers: &[], ..live },        "peer=\""),
        ("a certificate", Live { certificates: &[], ..live }, "cert=\""),
        ("an egress",     Live { egresses: &[], ..live },     "destination=\""),
        ("a CA",          Live { cas: &[], ..live },          "operation=\""),
        ("a notifier",    Live { notifiers: &[], ..live },    "channel=\""),
    ];
    for (what, fewer, label) in table {
        let metrics = metrics_of(Vec::new());
        touch_everything(&metrics);
        let before = samples(&metrics, &[label]);
        metrics.retain(&live);
        assert_eq!(samples(&metrics, &[label]).len(), before.len(), "{what}");
        metrics.retain(&fewer);
        assert_eq!(samples(&metrics, &[label]), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn given_what_outlives_its_name_when_counted_then_the_series_stay_away() {
    let metrics = metrics_of(Vec::new());
    let (route, listener, upstream) = (metrics.route("old"), metrics.listener("old"), metrics.upstream("old"));
    let stays = metrics.route("new");
    metrics.retain(&Live { routes: &["new"], ..Live::default() });
    stays.answered(&listener, &Method::GET, StatusCode::OK, Duration::ZERO);
    route.answered(&metrics.listener("https"), &Method::GET, StatusCode::OK, Duration::ZERO);
    upstream.answered(StatusCode::OK);
    assert_eq!(samples(&metrics, &["\"old\""]), Vec::<String>::new());

    metrics.route("old").answered(&metrics.listener("old"), &Method::GET, StatusCode::OK, Duration::ZERO);
    assert_eq!(samples(&metrics, &["requests_total{", "route=\"old\"} 1"]).len(), 1);
}

#[test]
fn given_no_route_when_retained_then_its_series_stay() {
    let metrics = metrics_of(Vec::new());
    metrics.route(NO_ROUTE).answered(&metrics.listener("https"), &Method::GET, StatusCode::NOT_FOUND, Duration::ZERO);
    metrics.retain(&Live { listeners: &["https"], ..Live::default() });
    assert_eq!(samples(&metrics, &["requests_total{", "route=\"none\"} 1"]).len(), 1);
}

#[test]
fn given_a_list_of_revoked_clients_when_scraped_then_both_of_its_dates() {
    let metrics = metrics_of(vec![]);
    metrics.show_client_crls(Arc::new(|| vec![client_crl()])).expect("metrics");
    let labels = "file=\"staff.crl\",site=\"m5\"";
    assert_eq!(
        samples(&metrics, &["portvakt_client_crl_"]),
        [
            format!("portvakt_client_crl_next_update_timestamp_seconds{{{labels}}} 2000"),
            format!("portvakt_client_crl_this_update_timestamp_seconds{{{labels}}} 1000"),
        ]
    );
}

fn client_crl() -> ClientCrlStatus {
    let [this_update, next_update] = [1000, 2000].map(Timestamp::from_unix);
    ClientCrlStatus { site: "m5".into(), file: "staff.crl".into(), this_update, next_update }
}
