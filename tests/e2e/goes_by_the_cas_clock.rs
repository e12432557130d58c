//! A machine's clock that is wrong costs no order, and no certificate its renewal: a public CA tells the time.
//!
//! The CA is pebble under Let's Encrypt's name, reached through a proxy: whose clock is wrong is plain only with a CA by whose
//! clock the world goes.

use std::time::Duration;

use portvakt::time::{Clock, SystemClock};
use serde_json::json;

use crate::support::clock::PATIENCE;
use crate::support::connect_proxy::ConnectProxy;
use crate::support::home::Portvakt;
use crate::support::pebble::{self, Settings};
use crate::support::{Echo, Home, Pebble};

#[test]
fn given_a_clock_that_is_ahead_when_it_shows_the_certificate_about_to_expire_then_no_order_however_often_it_starts() {
    let scene = Scene::new();
    drop(scene.issued());

    // 24 h are the certificate's life: by this clock it is about to end, and has ended.
    for ahead in [84_000, 84_000, 90_000, 90_000] {
        let mut portvakt = scene.home.start_at(ahead);
        portvakt.child.wait_line("the clock is told of", |line| line.contains("set this machine's clock"));
        portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
        let next = scene.certificate()["next"].clone();
        assert_eq!((&next["action"], &next["reason"]), (&json!("renew"), &json!("renewal_planned")), "{ahead}: {next}");
        assert!(portvakt.terminate().success());
    }
    assert_eq!(scene.pebble.orders(), 1);
}

#[test]
fn given_a_clock_that_is_late_when_the_window_has_come_by_the_cas_then_renewed() {
    let scene = Scene::new();
    drop(scene.issued());
    scene.move_window();

    let _portvakt = scene.home.start_at(-72_000);

    let renewed = [("cert", "m5.test"), ("kind", "renew"), ("result", "ok")];
    scene.home.wait_metrics("the renewal is counted", A_RENEWAL, |metrics| {
        (metrics.sum("portvakt_acme_attempts_total", &renewed) == 1.0).then_some(())
    });
    assert_eq!(scene.pebble.orders(), 2);
}

struct Scene {
    home: Home,
    pebble: Pebble,
    _proxy: ConnectProxy,
    _echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { always_valid: true, validity: 86_400, ..Settings::on(1, 1) });
        let proxy = ConnectProxy::start();
        proxy.lead_to(pebble.port());
        let acme = format!(
            "[acme]\ndirectory = \"https://{}/dir\"\nproxy = \"{}\"\ntrust_anchors = \"{}\"\nagree_tos = true\n",
            pebble::LETS_ENCRYPT,
            proxy.url(),
            pebble.trust_anchors().display()
        );
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{acme}{site}"));
        Self { home, pebble, _proxy: proxy, _echo: echo }
    }

    /// With a certificate, and its renewal planned.
    fn issued(&self) -> Portvakt {
        let portvakt = self.home.start();
        self.home.wait_certificate("m5.test", "issued", PATIENCE);
        portvakt.child.wait_line("the plan", |line| line.contains("next attempt planned"));
        portvakt
    }

    /// The CA wants what is stored to be renewed as from an hour ago.
    fn move_window(&self) {
        let hours_ago = |hours: u64| (SystemClock.now() - Duration::from_secs(hours * 3_600)).to_string();
        let suggested = json!({ "start": hours_ago(2), "end": hours_ago(1) });
        self.pebble.set_renewal_info_of(&self.home, "m5.test", &json!({ "suggestedWindow": suggested }));
    }

    fn certificate(&self) -> serde_json::Value {
        let status: serde_json::Value = serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON");
        status["certificates"][0].clone()
    }
}

const A_RENEWAL: Duration = Duration::from_secs(60);
