//! Every minute, and at once when something changes, portvakt shakes hands with its own listeners and tells what they really
//! serve; nobody counts it as a client.

use std::fs;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::home::Home;
use crate::support::ports::free_port;
use crate::support::{Ca, Echo, Holder, Nginx, raw};

const MATCHES: &str = "portvakt_served_certificate_matches";
const NOT_AFTER: &str = "portvakt_served_certificate_not_after_timestamp_seconds";
const PROBED: &str = "portvakt_served_certificate_probe_timestamp_seconds";

#[test]
fn given_names_and_wildcards_on_two_listeners_when_running_then_each_is_seen_and_nobody_counted() {
    let (home, echo) = (Home::new(), Echo::start());
    let site = |domains: &str| {
        format!("[[site]]\ndomains = {domains}\nupstream = \"{}\"\ncertificate = \"internal\"\n", echo.url())
    };
    home.configure("", &["[\"a.test\", \"*.w.test\"]", "[\"b.test\"]"].map(site).concat());
    let text = fs::read_to_string(home.file()).unwrap();
    let (one, other) = (format!("https = \"127.0.0.1:{}\"", home.https), free_port());
    let both = format!("https = [\"0.0.0.0:{}\", \"127.0.0.1:{other}\"]", home.https);
    fs::write(home.file(), text.replace(&one, &both)).unwrap();
    let _portvakt = home.start();

    for domain in ["a.test", "*.w.test", "b.test"] {
        home.wait_metrics(&format!("{domain} is seen on both"), PATIENCE, |metrics| {
            (metrics.sum(MATCHES, &[("sni", domain)]) == 2.0).then_some(())
        });
    }

    let metrics = home.metrics();
    assert_eq!(metrics.series(PROBED, &[]).len(), 6);
    let listener = format!("https 0.0.0.0:{}", home.https);
    let state = metrics.one("portvakt_certificate_not_after_timestamp_seconds", &[("cert", "a.test")]);
    assert_eq!(metrics.one(NOT_AFTER, &[("cert", "a.test"), ("sni", "*.w.test"), ("listener", &listener)]), state);
    for counted in
        ["portvakt_tls_handshakes_total", "portvakt_tls_handshake_failures_total", "portvakt_connections_open"]
    {
        assert_eq!(metrics.sum(counted, &[("listener", &listener)]), 0.0, "{counted}");
    }
}

#[test]
fn given_a_listener_behind_a_load_balancer_when_full_then_seen_all_the_same() {
    let tables = "[limits]\nconnections = 1\nconnections_per_client = 1\n";
    let stage = Stage::new();
    stage.configure("", tables);
    let text = fs::read_to_string(stage.home.file()).unwrap();
    fs::write(stage.home.file(), text.replace("[listen]", "[listen]\nproxy_protocol = [\"127.0.0.1\"]")).unwrap();
    let early = stage.home.launch();
    // Before the first look most likely, and never closed by us.
    let _client = crate::support::eventually("it listens", PATIENCE, || raw::try_connect(stage.home.https).ok());

    crate::support::eventually("the operators' listener too", PATIENCE, || raw::try_connect(stage.home.admin).ok());
    wait_match(&stage.home, "m5.test", 1.0);

    let rejected = stage.home.metrics().sum("portvakt_connections_rejected_total", &[("reason", "proxy_protocol")]);
    assert_eq!(rejected, 0.0);
    drop(early);
}

#[test]
fn given_a_reload_that_takes_a_name_away_when_scraped_then_nothing_of_it_is_left() {
    let stage = Stage::new();
    let more =
        format!("[[site]]\ndomain = \"old.test\"\nupstream = \"{}\"\ncertificate = \"internal\"\n", stage.echo.url());
    stage.configure("", &more);
    let portvakt = stage.home.start();
    wait_match(&stage.home, "old.test", 1.0);
    wait_match(&stage.home, "m5.test", 1.0);

    stage.configure("", "");
    assert!(portvakt.reload(&stage.home));

    let metrics = stage.home.metrics();
    assert_eq!(metrics.one(MATCHES, &[("sni", "m5.test")]), 1.0, "and what stays is known still");
    for name in [MATCHES, NOT_AFTER, PROBED] {
        assert_eq!(metrics.series(name, &[("sni", "old.test")]).len(), 0, "{name}");
    }
}

/// An nginx that somebody has forgotten has the more specific address of one port.
#[test]
fn given_another_server_on_the_port_when_running_then_it_is_told_loudly_that_clients_get_something_else() {
    let stage = Stage::new();
    let nginx = Nginx::start_tls(&Ca::new("another").issue(&["m5.test"]));
    let text = format!("https = \"127.0.0.1:{}\"", stage.home.https);
    stage.configure("", "");
    let configured = fs::read_to_string(stage.home.file()).unwrap();
    fs::write(stage.home.file(), configured.replace(&text, &format!("https = \"0.0.0.0:{}\"", nginx.https))).unwrap();
    let holder = Holder::share(nginx.https);
    let mut portvakt = stage.home.launch_as(&mut holder.hand_to(&stage.home.command()));
    portvakt.wait_ready(&stage.home);

    wait_match(&stage.home, "m5.test", 0.0);

    let line = portvakt.child.wait_line("told", |line| line.contains("CLIENTS DO NOT GET THE CERTIFICATE"));
    assert!(line.contains("another certificate is shown") && line.contains("m5.test"), "{line}");
}

fn wait_match(home: &Home, domain: &str, value: f64) {
    home.wait_metrics(&format!("{domain} is seen"), PATIENCE, |metrics| {
        let series = metrics.series(MATCHES, &[("sni", domain)]);
        (series.first()?.value == value).then_some(())
    });
}
