//! A real ACME server gives the certificate, by either kind of challenge, through refused nonces, delays and failures.

use std::fs;
use std::time::Duration;

use crate::support::gate::Door;
use crate::support::home::{Portvakt, run};
use crate::support::metrics::Metrics;
use crate::support::openssl::s_client;
use crate::support::pebble::Settings;
use crate::support::{Curl, Echo, Gate, Home, Pebble, eventually, raw};

/// An order with delays and refused nonces on a busy machine.
const AN_ORDER: Duration = Duration::from_secs(90);

#[test]
fn given_each_challenge_kind_when_ordered_then_the_issued_chain_is_served_and_believed() {
    for kind in ["http-01", "tls-alpn-01"] {
        let (scene, _portvakt) = Scene::running(kind, |_| {});

        scene.home.wait_certificate("m5.test", "issued", AN_ORDER);

        scene.assert_served();
        assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1), "{kind}");
        let validated = scene.pebble.lines().iter().any(|line| line.contains("Attempting to validate w/ HTTP"));
        assert_eq!(validated, kind == "http-01", "the other kind was used");
    }
}

/// RFC 8738: clients send no server name for an address, and the CA asks by its reverse-zone name.
#[test]
fn given_an_address_for_a_domain_when_ordered_then_clients_without_a_server_name_are_served_and_it_is_seen() {
    for kind in ["http-01", "tls-alpn-01"] {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings::on(home.http, home.https));
        let site = format!("[[site]]\ndomain = \"127.0.0.1\"\nupstream = \"{}\"\n", echo.url());
        let other =
            format!("[[site]]\ndomain = \"m5.test\"\ncertificate = \"internal\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}challenges = [\"{kind}\"]\n{site}{other}", pebble.acme_section()));
        let _portvakt = home.start();

        home.wait_certificate("127.0.0.1", "issued", AN_ORDER);

        let url = format!("https://127.0.0.1:{}/x", home.https);
        let answer = Curl::new().cacert(&pebble.issued_root()).get(&url);
        assert_eq!(answer.status, 200, "{kind}");
        assert!(answer.text().contains("127.0.0.1"), "the host is kept: {}", answer.text());
        home.wait_metrics("it is seen", AN_ORDER, |metrics| {
            let matches = metrics.sum("portvakt_served_certificate_matches", &[("cert", "127.0.0.1")]);
            (matches >= 1.0).then_some(())
        });
        let chain = run(home.path(), &["cert", "show", "127.0.0.1"]);
        assert!(chain.status.success(), "{}", String::from_utf8_lossy(&chain.stderr));
    }
}

#[test]
fn given_refused_nonces_and_random_delays_when_ordered_then_issued_all_the_same() {
    let (scene, _portvakt) = Scene::running("http-01", |settings| {
        settings.nonce_reject = 40;
        settings.delay = 3;
    });

    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);

    scene.assert_served();
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1));
}

#[test]
fn given_two_names_and_two_sites_when_ordered_then_two_orders_of_one_account() {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings::on(home.http, home.https));
    let url = echo.url();
    home.configure(
        "",
        &format!(
            "{}challenges = [\"tls-alpn-01\", \"http-01\"]\n\
             [[site]]\ndomains = [\"a.test\", \"www.a.test\"]\nupstream = \"{url}\"\n\
             [[site]]\ndomain = \"b.test\"\nupstream = \"{url}\"\n",
            pebble.acme_section()
        ),
    );
    let _portvakt = home.start();

    for site in ["a.test", "b.test"] {
        home.wait_certificate(site, "issued", AN_ORDER);
    }

    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));
    let root = pebble.issued_root();
    for name in ["a.test", "www.a.test", "b.test"] {
        let answer =
            Curl::new().resolve(name, home.https).cacert(&root).get(&format!("https://{name}:{}/", home.https));
        assert_eq!(answer.status, 200, "{name}");
    }
}

#[test]
fn given_an_order_when_it_runs_then_traffic_is_served_meanwhile() {
    let scene = Scene::prepare("http-01", Door::Held, |_| {});
    let _portvakt = scene.home.start();
    scene.gate.first_target();

    let url = format!("https://m5.test:{}/", scene.home.https);
    let answer = Curl::new().resolve("m5.test", scene.home.https).with(&["-k"]).get(&url);
    assert_eq!(answer.status, 200, "the placeholder serves");
    scene.gate.set(Door::Open);

    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
}

#[test]
fn given_a_pending_challenge_when_asked_for_then_answered_before_every_rule() {
    let scene = Scene::prepare("http-01", Door::Held, |_| {});
    let text = fs::read_to_string(scene.home.file()).unwrap();
    fs::write(scene.home.file(), format!("{text}https = {{ rest = \"reject\" }}\n")).unwrap();
    let _portvakt = scene.home.start();
    let target = scene.gate.first_target();
    let status = |method: &str, headers: &str| {
        raw::request(scene.home.http, &format!("{method} {target} HTTP/1.1\r\nHost: {headers}\r\n\r\n")).status
    };

    assert_eq!(status("GET", "m5.test"), 200);
    assert_eq!(status("HEAD", "m5.test"), 200);
    assert_eq!(status("GET", "unknown.test"), 200);
    assert_eq!(status("GET", "m5.test\r\nAuthorization: Basic YTpi\r\nCookie: a=b"), 200);
    assert_eq!(status("POST", "m5.test"), 403);
    assert_eq!(raw::get(scene.home.http, "m5.test", "/.well-known/acme-challenge/other").status, 403);
    scene.gate.set(Door::Open);
}

#[test]
fn given_a_challenge_when_it_is_over_then_its_answer_is_gone() {
    let scene = Scene::prepare("http-01", Door::Held, |_| {});
    let _portvakt = scene.home.start();
    let target = scene.gate.first_target();

    let answer = raw::get(scene.home.http, "m5.test", &target);
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with(target.rsplit('/').next().unwrap()), "a key authorization begins with the token");
    scene.gate.set(Door::Open);
    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);

    assert_eq!(raw::get(scene.home.http, "m5.test", &target).status, 302, "an ordinary request again");
}

#[test]
fn given_a_validation_that_fails_when_asked_then_counted_said_and_not_tried_again_at_once() {
    let scene = Scene::prepare("http-01", Door::Shut, |_| {});
    let mut portvakt = scene.home.start();

    let of = |metrics: &Metrics, name: &str| metrics.sum(&format!("portvakt_acme_{name}"), &[("cert", "m5.test")]);
    let planned = |metrics: &Metrics| of(metrics, "next_attempt_timestamp_seconds");
    let next = scene.home.wait_metrics("the failure is counted and the next attempt planned", AN_ORDER, |metrics| {
        let waits = planned(metrics) - of(metrics, "last_attempt_timestamp_seconds");
        (of(metrics, "failures_total") == 1.0 && waits >= 30.0).then(|| planned(metrics))
    });
    let ready = [("cert", "m5.test"), ("state", "placeholder")];
    assert_eq!(scene.home.metrics().one("portvakt_certificate_ready", &ready), 1.0);
    assert_eq!(scene.home.admin("/readyz").status, 200);
    assert_ne!(scene.home.admin("/readyz?cert=strict").status, 200);
    portvakt.child.wait_line("why the order failed", |line| line.contains("m5.test") && line.contains("acme"));

    // The wait survives a restart: the CA is not asked again before its time.
    portvakt.terminate();
    let _portvakt = scene.home.start();
    scene.home.wait_metrics("the same point is planned", AN_ORDER, |metrics| (planned(metrics) == next).then_some(()));
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1));
}

#[test]
#[ignore = "long: waits out the first backoff of a minute and more"]
fn given_a_validation_that_fails_when_the_cause_is_gone_then_it_recovers_by_itself() {
    let scene = Scene::prepare("http-01", Door::Shut, |_| {});
    let _portvakt = scene.home.start();
    scene.pebble.wait_line("set INVALID by invalid authz");
    scene.gate.set(Door::Open);

    scene.home.wait_certificate("m5.test", "issued", Duration::from_secs(240));

    scene.assert_served();
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 2));
}

#[test]
#[ignore = "long: lives through several lives of a certificate"]
fn given_short_lives_when_time_passes_then_renewed_before_each_end_without_a_new_account() {
    let (scene, _portvakt) = Scene::running("tls-alpn-01", |settings| settings.validity = 60);
    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
    let not_after =
        || scene.home.metrics().one("portvakt_certificate_not_after_timestamp_seconds", &[("cert", "m5.test")]);

    for _ in 0..3 {
        let before = not_after();
        eventually("it is renewed", Duration::from_secs(240), || (not_after() > before).then_some(()));
        scene.assert_served();
    }

    assert_eq!(scene.pebble.accounts(), 1);
    assert!(scene.pebble.orders() <= 6, "{} orders for four certificates", scene.pebble.orders());
}

#[test]
fn given_a_reload_when_an_order_is_in_flight_then_it_goes_on() {
    let scene = Scene::prepare("http-01", Door::Held, |_| {});
    let portvakt = scene.home.start();
    scene.gate.first_target();

    assert!(portvakt.reload(&scene.home));
    scene.gate.set(Door::Open);

    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1));
}

#[test]
fn given_an_issued_certificate_when_stored_then_keys_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (scene, _portvakt) = Scene::running("http-01", |_| {});
    scene.home.wait_certificate("m5.test", "issued", AN_ORDER);

    let mut keys = 0;
    let mut folders = vec![scene.home.state()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("PRIVATE KEY")) {
                keys += 1;
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
            }
        }
    }
    assert!(keys >= 1, "no private key was found in the store");
}

struct Scene {
    home: Home,
    pebble: Pebble,
    /// The CA's way to the plain listener.
    gate: Gate,
    _echo: Echo,
}

impl Scene {
    /// portvakt in front of a server, and a CA that checks its listeners; both started.
    fn running(kind: &str, adjust: fn(&mut Settings)) -> (Self, Portvakt) {
        let scene = Self::prepare(kind, Door::Open, adjust);
        let portvakt = scene.home.start();
        (scene, portvakt)
    }

    /// The same, with only the CA started, and http-01 through a door.
    fn prepare(kind: &str, door: Door, adjust: fn(&mut Settings)) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let gate = Gate::before(home.http, door);
        let mut settings = Settings::on(gate.port(), home.https);
        adjust(&mut settings);
        let pebble = Pebble::start(settings);
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}challenges = [\"{kind}\"]\n{site}", pebble.acme_section()));
        Self { home, pebble, gate, _echo: echo }
    }

    fn assert_served(&self) {
        let root = self.pebble.issued_root();
        let url = format!("https://m5.test:{}/", self.home.https);
        assert_eq!(Curl::new().resolve("m5.test", self.home.https).cacert(&root).get(&url).status, 200);
        let options = ["-servername", "m5.test", "-CAfile", root.to_str().unwrap(), "-verify_hostname", "m5.test"];
        let seen = s_client(self.home.https, &options);
        assert!(seen.verified() && seen.certificates() == 2, "leaf and intermediate: {}", seen.text);
    }
}
