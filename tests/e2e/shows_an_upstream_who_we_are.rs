//! The upstream of a site that demands a client certificate gets ours: in requests, in health checks, after a change of
//! files and after a refusal, and connections of two identities are never mixed.

use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use crate::stage::Stage;
use crate::support::bankid::Verdict;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::nginx::Nginx;
use crate::support::{BankId, Ca, Leaf, eventually};

#[test]
fn given_an_nginx_that_demands_a_certificate_when_called_then_it_sees_ours_and_its_health_is_known() {
    let scene = Scene::new(", health = { path = \"/\", interval = \"1s\", pass_after = 1 }");

    assert_eq!(scene.client_seen(), "CN=FP first");

    let healthy = [("upstream", "partner")];
    scene.stage.home.wait_metrics("the upstream is healthy", PATIENCE, |metrics| {
        (metrics.one("portvakt_upstream_healthy", &healthy) == 1.0).then_some(())
    });
    let metrics = scene.stage.home.metrics();
    for (cert, role) in [("partner", "egress_client"), ("partner", "trust_anchor"), ("partner", "upstream_peer")] {
        let labels = [("cert", cert), ("role", role)];
        assert!(metrics.one("portvakt_certificate_not_after_timestamp_seconds", &labels) > 0.0, "{role}");
        assert_eq!(metrics.one("portvakt_certificate_renewal_manual", &labels), 1.0, "{role}");
    }
}

#[test]
fn given_new_files_when_nginx_accepts_them_then_every_later_request_shows_them() {
    let scene = Scene::new(", health = { path = \"/\", interval = \"1s\" }");
    assert_eq!(scene.client_seen(), "CN=FP first");

    scene.client("FP new").write(scene.stage.home.path(), "rp");
    eventually("the new identity is shown", PATIENCE, || (scene.client_seen() == "CN=FP new").then_some(()));

    for _ in 0..10 {
        assert_eq!(scene.client_seen(), "CN=FP new", "a connection of the old identity was used");
    }
}

#[test]
fn given_new_files_when_nginx_refuses_them_in_its_answer_then_the_old_identity_works_on() {
    let scene = Scene::new(", health = { path = \"/\", interval = \"1s\" }");

    let stranger = Ca::new("another bank").issue_client("FP stranger", YEAR);
    stranger.write(scene.stage.home.path(), "rp");

    scene.portvakt.child.wait_line("the refusal", |line| line.contains("CN=FP stranger is not taken into use"));
    assert_eq!(scene.client_seen(), "CN=FP first");
}

#[test]
fn given_a_first_that_is_refused_when_called_then_one_502_and_the_next_request_shows_the_other() {
    for version in [&TLS12, &TLS13] {
        let (stage, bank) = (Stage::new(), Ca::new("a bank"));
        let [first, next] = ["FP first", "FP next"].map(|name| bank.issue_client(name, YEAR));
        let service = BankId::believing(&[first.der.clone(), next.der.clone()]);
        service.versions(&[version]);
        first.write(stage.home.path(), "rp");
        next.write(stage.home.path(), "next");
        service.write_root(stage.home.path());
        let upstream = format!(
            "{{ name = \"partner\", url = \"{}\", trust_anchors = \"bankid-root.pem\", \
             identity = {{ chain = \"rp.pem\", key = \"rp.key\" }}, \
             next = {{ chain = \"next.pem\", key = \"next.key\", from = \"2199-01-01\" }} }}",
            service.url()
        );
        stage.home.configure("", &Stage::site_with(&upstream));
        let portvakt = stage.home.start();
        let call = || {
            let order = ["-H", "Content-Type: application/json", "-d", r#"{"endUserIp":"192.0.2.7"}"#];
            stage.curl().with(&order).get(&stage.url("/rp/v6.0/auth")).status
        };
        assert_eq!(call(), 200);

        service.judge(&first.der, Verdict::Expired);
        service.hang_up();
        eventually("the kept connection is gone", PATIENCE, || (service.open() == 0).then_some(()));

        let statuses: Vec<_> = (0..4).map(|_| call()).collect();
        assert_eq!(statuses, [502, 200, 200, 200], "{version:?}");
        assert_eq!(service.last().leaf, next.der);
        portvakt.child.wait_line("the refusal", |line| line.contains("refuses the") && line.contains("CN=FP first"));
    }
}

/// A site in front of an nginx that demands a client certificate.
struct Scene {
    stage: Stage,
    bank: Ca,
    _nginx: Nginx,
    portvakt: Portvakt,
}

impl Scene {
    fn new(more: &str) -> Self {
        let (stage, bank) = (Stage::new(), Ca::new("a bank"));
        bank.issue_client("FP first", YEAR).write(stage.home.path(), "rp");
        let nginx = Nginx::start_for_clients_of(&stage.ca.issue(&["localhost"]), &bank);
        let upstream = format!(
            "{{ name = \"partner\", url = \"https://localhost:{}\", trust_anchors = \"root.pem\", \
             identity = {{ chain = \"rp.pem\", key = \"rp.key\" }}{more} }}",
            nginx.https
        );
        stage.home.configure("watch = true\n", &Stage::site_with(&upstream));
        let portvakt = stage.home.start();
        Self { stage, bank, _nginx: nginx, portvakt }
    }

    fn client(&self, name: &str) -> Leaf {
        self.bank.issue_client(name, YEAR)
    }

    /// The subject that nginx sees.
    fn client_seen(&self) -> String {
        let answer = self.stage.curl().get(&self.stage.url("/"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let (_, seen) = text.split_once("client=").expect("nginx tells");
        seen.trim_end().trim_end_matches('.').to_owned()
    }
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);
