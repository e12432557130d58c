//! A real Prometheus scrapes a running portvakt: every rule can be judged, every query of the dashboard has an answer, and
//! exactly the alerts fire that have a reason.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::egress_stage::{RULES, WayOut};
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::pebble::{Pebble, Settings};
use crate::support::podman::deploy;
use crate::support::{Ca, Curl, Echo, Prometheus, eventually};

#[test]
fn given_a_site_that_nobody_renews_when_scraped_then_that_alert_fires_and_no_other() {
    let scene = Scene::start();
    let prometheus = Prometheus::scraping(scene.way.home.admin);

    eventually("every rule is judged", PATIENCE, || {
        let rules = prometheus.rules();
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
        (rules.len() == count_of_rules() && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    });
    let firing = r#"ALERTS{alertstate="firing"}"#;
    let fires = prometheus.wait(firing);
    let told: Vec<_> = fires.iter().map(|alert| (text(alert, "alertname"), text(alert, "cert"))).collect();
    assert_eq!(told, [("PortvaktManualCertificateExpiring".to_owned(), "m5.test".to_owned())]);
    // Before its first scrape Prometheus misses the job for a moment.
    eventually("nothing else is about to fire", PATIENCE, || {
        prometheus.query(r#"ALERTS{alertstate="pending"}"#).is_empty().then_some(())
    });
}

#[test]
fn given_traffic_when_scraped_then_every_query_of_the_dashboard_returns_what_it_should() {
    let scene = Scene::start();
    let prometheus = Prometheus::scraping(scene.way.home.admin);
    scene.traffic();
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(deploy("grafana/portvakt.json")).unwrap()).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() > 50);

    for (title, query, legend) in &queries {
        if EMPTY_HERE.contains(&title.as_str()) {
            assert_eq!(prometheus.query(query), [] as [Value; 0], "{title}");
            continue;
        }
        for series in prometheus.wait(query) {
            for label in labels_of(legend) {
                assert!(series["metric"][label].is_string(), "{title}: {label} in {series}");
            }
        }
    }
    let number = |title: &str| prometheus.number(&query_of(&queries, title));
    assert_eq!(number("Without a certificate"), 0.0);
    assert_eq!(number("Not served as published"), 0.0);
    assert_eq!(number("Renewals that are due"), 0.0);
    assert_eq!(number("Last reload"), 1.0);
    let left = number("Clients get a good certificate for");
    assert!((19.0 * DAY..20.0 * DAY).contains(&left), "{left}");
    eventually("the alert is counted", PATIENCE, || (number("Alerts") == 1.0).then_some(()));
    let certificates = prometheus.wait(&query_of(&queries, "Every certificate"));
    let names: BTreeSet<_> = certificates.iter().map(|series| text(series, "cert")).collect();
    assert!(names.contains("app.test") && names.contains("m5.test") && names.contains("bankid"), "{names:?}");
    let used = prometheus.wait(&query_of(&queries, "Life used up"));
    let manual = used.iter().find(|series| text(series, "cert") == "m5.test").unwrap();
    assert!((0.89..0.91).contains(&value(manual)), "{manual}");
    let states = prometheus.wait(&query_of(&queries, "State"));
    let states: BTreeSet<_> = states.iter().map(|series| (text(series, "cert"), text(series, "state"))).collect();
    assert!(states.contains(&("app.test".into(), "issued".into())), "{states:?}");
    assert!(states.contains(&("m5.test".into(), "static".into())), "{states:?}");
}

/// A site by ACME, a site from files of half a year that end in twenty days, and a way out to BankID; all well but for the twenty days.
struct Scene {
    way: WayOut,
    ca: Ca,
    pebble: Pebble,
    _echoes: [Echo; 2],
    _portvakt: Portvakt,
}

impl Scene {
    fn start() -> Self {
        let (way, ca, echoes) = (WayOut::new(), Ca::new("root of the test"), [Echo::start(), Echo::start()]);
        let home = &way.home;
        ca.issue_in_days(&["m5.test"], 180, 20).write(home.path(), "m5");
        let pebble = Pebble::start(Settings::on(home.http, home.https));
        let [first, second] = [echoes[0].url(), echoes[1].url()];
        let sites = format!(
            "{}[limits]\nrequests = \"1000/s\"\n[log]\naccess = {{ path = \"access.log\" }}\n\
             [[site]]\ndomain = \"app.test\"\nupstream = {first:?}\n\
             [[site]]\ndomain = \"m5.test\"\nupstream = {{ urls = [{first:?}, {second:?}] }}\n\
             certificate = {{ chain = \"m5.pem\", key = \"m5.key\" }}\n",
            pebble.acme_section()
        );
        home.configure("", &format!("{sites}{}", way.egress(RULES)));
        let portvakt = home.start();
        home.wait_certificate("app.test", "issued", Duration::from_secs(90));
        Self { way, ca, pebble, _echoes: echoes, _portvakt: portvakt }
    }

    /// A request of each kind.
    fn traffic(&self) {
        let home = &self.way.home;
        let root = self.ca.write(home.path().join("root.pem"));
        for (name, root) in [("m5.test", root), ("app.test", self.pebble.issued_root())] {
            let answer =
                Curl::new().resolve(name, home.https).cacert(&root).get(&format!("https://{name}:{}/", home.https));
            assert_eq!(answer.status, 200, "{name}");
            let plain = Curl::new().resolve(name, home.http).get(&format!("http://{name}:{}/", home.http));
            assert_eq!(plain.status, 302, "{name}");
        }
        let order = self.way.auth();
        assert_eq!(self.way.collect(&order).status, 200);
    }
}

/// Title, query and legend of every target and annotation, with the dashboard's variables filled in.
fn queries(dashboard: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let filled = |query: &Value| text(query).replace("$instance", ".*").replace("$__rate_interval", "1m");
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((text(&panel["title"]), filled(&target["expr"]), text(&target["legendFormat"])));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        found.push((text(&annotation["name"]), filled(&annotation["expr"]), text(&annotation["titleFormat"])));
    }
    assert!(found.iter().all(|(_, query, _)| !query.is_empty() && !query.contains('$')), "{found:?}");
    found
}

fn query_of(queries: &[(String, String, String)], title: &str) -> String {
    queries.iter().find(|(of, ..)| of == title).unwrap_or_else(|| panic!("no panel {title}")).1.clone()
}

/// `{{cert}}: {{state}}` names `cert` and `state`.
fn labels_of(legend: &str) -> Vec<&str> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).collect()
}

fn text(series: &Value, label: &str) -> String {
    series["metric"][label].as_str().unwrap_or_default().to_owned()
}

fn value(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

fn count_of_rules() -> usize {
    let files =
        fs::read_dir(deploy("prometheus")).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    files.map(|text| text.matches("- alert: ").count()).sum()
}

/// Nothing is known of pebble's limits, it has none; and nothing has changed or started since the first scrape.
const EMPTY_HERE: [&str; 3] = ["What the CA still allows", "Certificates changed", "Starts"];

const DAY: f64 = 86400.0;
