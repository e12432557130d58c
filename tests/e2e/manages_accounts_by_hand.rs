//! An operator sees the account, gives it another key, and rehearses the whole way to a certificate, while portvakt serves
//! and while it does not; a CA behind a proxy is reached through it.

use std::process::Output;

use serde_json::Value;

use crate::support::clock::PATIENCE;
use crate::support::connect_proxy::ConnectProxy;
use crate::support::home::{Portvakt, run};
use crate::support::pebble::{EAB_KEY, EAB_KID, Settings};
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Echo, Home, Pebble, Witness, eventually};

#[test]
fn given_an_account_when_shown_and_rolled_over_then_the_same_account_has_another_key() {
    let scene = Scene::new("");
    let shown = scene.run(&["acme", "account", "show"]);
    assert!(text(&shown).contains("none yet"), "{}", text(&shown));
    let portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    let before = scene.account();
    assert!(before["account"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert!(before["caa"].as_str().unwrap().contains("accounturi=https://127.0.0.1:"));

    let rolled = scene.run(&["acme", "account", "rollover"]);

    assert!(rolled.status.success(), "{}", text(&rolled));
    let now = scene.account();
    assert_eq!(before["account"], now["account"]);
    assert_ne!(before["thumbprint"], now["thumbprint"]);
    let told = text(&rolled);
    assert!(
        told.contains(before["thumbprint"].as_str().unwrap()) && told.contains(now["thumbprint"].as_str().unwrap())
    );
    // The running process orders with the new key.
    scene.configure("domains = [\"m5.test\", \"api.m5.test\"]");
    assert!(portvakt.reload(&scene.home));
    eventually("the second order", PATIENCE, || (scene.pebble.issued() >= 2).then_some(()));
    assert_eq!(scene.pebble.accounts(), 1);
}

#[test]
fn given_a_death_in_the_middle_of_a_rollover_when_started_then_one_account_and_orders_go_on() {
    for is_answered in [false, true] {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
        let witness = Witness::before(&pebble);
        let configure = |domains: &str| {
            let site = format!("[[site]]\n{domains}\nname = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
            home.configure("", &format!("{}{site}", witness.acme_section()));
        };
        configure("domain = \"m5.test\"");
        let portvakt = home.start();
        home.wait_certificate("m5.test", "issued", PATIENCE);
        drop(portvakt);
        let keys = || {
            let folder = std::fs::read_dir(home.state().join("acme")).unwrap().next().unwrap().unwrap().path();
            ["account.json", "account.next.json"].map(|file| std::fs::read_to_string(folder.join(file)).ok())
        };

        witness.rule(Rule::on(Operation::KeyChange, if is_answered { Fault::HoldAfter } else { Fault::HoldBefore }));
        let mut rollover = Portvakt::launch(home.path(), &["acme", "account", "rollover", "--config", "portvakt.toml"]);
        witness.await_held();
        let [before, next] = keys();
        assert!(next.is_some(), "the new key is on the disk before the CA hears of it");
        rollover.child.kill();
        witness.let_go();

        configure("domains = [\"m5.test\", \"api.m5.test\"]");
        let _portvakt = home.start();
        eventually("the second order", PATIENCE, || (pebble.issued() >= 2).then_some(()));

        let [now, left] = keys();
        match is_answered {
            true => assert_eq!((now, left), (next, None), "the CA has the new key"),
            false => assert_eq!((now, left), (before, next), "the CA has the old one, and may be slow"),
        }
        assert_eq!((pebble.accounts(), pebble.orders()), (1, 2), "answered: {is_answered}");
        if !is_answered {
            let rolled = run(home.path(), &["acme", "account", "rollover", "--config", "portvakt.toml"]);
            assert!(rolled.status.success(), "{}", text(&rolled));
            assert_eq!(keys()[1], None);
        }
    }
}

#[test]
fn given_a_wrong_key_of_an_external_account_when_ordered_then_the_cas_words_and_the_setting_are_named() {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings { eab: true, always_valid: true, ..Settings::on(1, 1) });
    let configure = |eab: &str| {
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}{eab}{site}", pebble.acme_section()));
    };
    std::fs::write(home.path().join("eab.key"), "bm90LXRoZS1rZXktb2YtdGhhdC1hY2NvdW50").unwrap();
    configure(&format!("eab = {{ kid = \"{EAB_KID}\", key_file = \"eab.key\" }}\n"));
    let portvakt = home.start();

    let is_told = |line: &str| {
        line.contains("no certificate") && line.contains("register the account") && line.contains("`acme.eab`")
    };
    let line = portvakt.child.wait_line("the cause", is_told);
    assert!(line.contains("reason=\"account\"") && line.contains("urn:ietf:params:acme:error:"), "{line}");
    let status: Value = serde_json::from_slice(&home.admin("/status.json").body).expect("JSON");
    let error = status["certificates"][0]["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("`acme.eab`") && error.contains("`portvakt help PV0245`"), "{error}");
    assert_eq!(pebble.accounts(), 0);

    // The right key is taken up by the next start, and by a reload when the settings change with it.
    std::fs::write(home.path().join("eab.key"), EAB_KEY).unwrap();
    configure(&format!("contact = [\"mailto:a@m5.test\"]\neab = {{ kid = \"{EAB_KID}\", key_file = \"eab.key\" }}\n"));
    assert!(portvakt.reload(&home));
    home.wait_certificate("m5.test", "issued", PATIENCE);
}

#[test]
fn given_proxies_in_the_environment_when_ordered_then_used_unless_the_ca_is_spared() {
    let (home, echo) = (Home::new(), Echo::start());
    let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
    let witness = Witness::in_the_name_of("ca.portvakt.invalid", &pebble);
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    home.configure("", &format!("{}{site}", witness.acme_section()));
    let start = |spared: &str| {
        let mut command = home.command();
        home.start_as(command.env("HTTPS_PROXY", witness.proxy()).env("NO_PROXY", spared))
    };

    let portvakt = start("localhost, .portvakt.invalid");
    let line = portvakt.child.wait_line("the failure", |line| line.contains("no certificate"));
    assert!(line.contains("ca.portvakt.invalid") && !line.contains("through the proxy"), "{line}");
    assert_eq!(witness.requests().len(), 0);
    drop(portvakt);
    std::fs::remove_dir_all(home.state()).unwrap();

    let _portvakt = start("localhost, other.invalid");
    home.wait_certificate("m5.test", "issued", PATIENCE);
    assert_eq!((witness.count(Operation::NewOrder), pebble.accounts()), (1, 1));
}

#[test]
fn given_a_ca_when_rehearsed_then_green_with_and_without_a_running_process_and_nothing_is_served_of_it() {
    let scene = Scene::new("");
    let rehearsed = scene.rehearse(&[]);
    assert!(rehearsed.status.success(), "{}", text(&rehearsed));
    assert!(text(&rehearsed).contains("GREEN"), "{}", text(&rehearsed));
    assert!(!scene.home.state().join("certs/m5.test").exists());

    let _portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    let served = scene.serial();
    let rehearsed = scene.rehearse(&["m5.test", "--json"]);
    let told: Value = serde_json::from_slice(&rehearsed.stdout).unwrap_or_else(|_| panic!("{}", text(&rehearsed)));
    let steps: Vec<_> = told["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["directory", "account", "order", "challenge", "finalize", "chain"], "{told:#}");
    assert_eq!((scene.serial(), scene.pebble.issued()), (served, 3));
}

#[test]
fn given_a_ca_that_cannot_come_to_us_when_rehearsed_then_red_with_the_step_and_its_mend() {
    let scene = Scene::at("", |_| Settings::on(1, 1));
    let rehearsed = scene.rehearse(&[]);

    let told = text(&rehearsed);
    assert_eq!(rehearsed.status.code(), Some(1), "{told}");
    assert!(told.contains("FAIL  challenge ") && told.contains("RED"), "{told}");
    assert!(told.contains("fix: the CA must reach port 80"), "{told}");

    let unknown = scene.run(&["rehearse", "nobody.test"]);
    assert!(!unknown.status.success() && text(&unknown).contains("no site `nobody.test`"), "{}", text(&unknown));
    let twinless = scene.run(&["rehearse"]);
    assert!(!twinless.status.success() && text(&twinless).contains("set `staging`"), "{}", text(&twinless));
}

#[test]
fn given_a_key_that_others_may_have_when_revoked_then_another_one_is_served_first() {
    let scene = Scene::new("");
    let _portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    let before = scene.serial();
    let serial = |value: &Value| value.as_str().unwrap().to_owned();

    let refused = scene.run(&["cert", "revoke", "m5.test", "--reason", "keyCompromise"]);
    assert!(!refused.status.success() && text(&refused).contains("add `--yes`"), "{}", text(&refused));
    assert!(!scene.pebble.is_revoked(&serial(&before)));

    let revoked = scene.run(&["cert", "revoke", "m5.test", "--reason", "keyCompromise", "--yes"]);

    assert!(revoked.status.success(), "{}", text(&revoked));
    assert!(
        text(&revoked).contains(&format!("revoked by the account: serial {}", serial(&before))),
        "{}",
        text(&revoked)
    );
    let now = scene.serial();
    assert_ne!(before, now);
    assert!(scene.pebble.is_revoked(&serial(&before)) && !scene.pebble.is_revoked(&serial(&now)));
}

#[test]
fn given_a_proxy_on_the_way_to_the_ca_when_ordered_then_through_its_tunnel() {
    let proxy = ConnectProxy::start();
    let scene = Scene::new(&format!("proxy = \"{}\"\n", proxy.url()));
    let _portvakt = scene.home.start();
    scene.home.wait_certificate("m5.test", "issued", PATIENCE);
    assert!(!proxy.asked().is_empty());
    let orders = [("operation", "order"), ("status", "201")];
    assert_eq!(scene.home.metrics().sum("portvakt_acme_requests_total", &orders), 1.0);
    let answered = [("type", "http-01"), ("result", "ok")];
    assert_eq!(scene.home.metrics().sum("portvakt_acme_challenges_answered_total", &answered), 1.0);
    let skew = scene.home.metrics().sum("portvakt_acme_clock_skew_seconds", &[]);
    assert!(skew.abs() <= 1.0, "{skew}");
}

struct Scene {
    home: Home,
    pebble: Pebble,
    echo: Echo,
    acme: String,
}

impl Scene {
    /// `acme` is added to `[acme]`.
    fn new(acme: &str) -> Self {
        Self::at(acme, |home| Settings::on(home.http, home.https))
    }

    fn at(acme: &str, settings: impl FnOnce(&Home) -> Settings) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(settings(&home));
        let scene = Self { home, pebble, echo, acme: acme.to_owned() };
        scene.configure("domain = \"m5.test\"");
        scene
    }

    fn configure(&self, domains: &str) {
        let site = format!("[[site]]\n{domains}\nname = \"m5.test\"\nupstream = \"{}\"\n", self.echo.url());
        self.home.configure("", &format!("{}{}{site}", self.pebble.acme_section(), self.acme));
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let file = self.home.file();
        let config = ["--config", file.to_str().unwrap()];
        run(self.home.path(), &[arguments, &config].concat())
    }

    fn rehearse(&self, arguments: &[&str]) -> Output {
        let directory = self.pebble.directory();
        self.run(&[&["rehearse", "--ca", &directory], arguments].concat())
    }

    fn account(&self) -> Value {
        let shown = self.run(&["acme", "account", "show", "--json"]);
        let told: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", text(&shown)));
        told[0].clone()
    }

    /// Of the certificate that is served.
    fn serial(&self) -> Value {
        let status: Value = serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON");
        status["certificates"][0]["serial"].clone()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
