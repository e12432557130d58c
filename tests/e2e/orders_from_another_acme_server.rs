//! Caddy's ACME server, which shares no code with pebble, gives certificates by either kind of challenge and renews them.

use std::time::Duration;

use crate::support::ca::replace;
use crate::support::tls::{Client, leaf};
use crate::support::witness::Operation;
use crate::support::{Caddy, Echo, Home, Witness};

#[test]
fn given_caddys_acme_server_when_ordered_by_either_challenge_then_issued_renewed_and_believed() {
    let scene = Scene::new();
    for (at, kind) in ["http-01", "tls-alpn-01"].into_iter().enumerate() {
        scene.configure(kind);
        let portvakt = scene.home.start();
        scene.home.wait_certificate("localhost", "issued", AN_ORDER);
        let first = scene.served();
        drop(portvakt);

        // Forty minutes later more than half of its hour is over.
        let portvakt = scene.home.start_at(2400);
        scene.home.wait_metrics("the renewal is counted", AN_ORDER, |metrics| {
            let renewed = [("cert", "localhost"), ("kind", "renew"), ("result", "ok")];
            (metrics.sum("portvakt_acme_attempts_total", &renewed) == 1.0).then_some(())
        });
        assert_ne!(scene.served(), first, "{kind}");
        drop(portvakt);
        let state = scene.home.state();
        std::fs::remove_dir_all(state.join("certs")).expect("certificates are there");
        assert_eq!(scene.witness.count(Operation::NewAccount), 1);
        // Caddy's clock is not forty minutes ahead, so that the new one is due as it comes, and may be followed by one more.
        let (orders, lives) = (scene.witness.count(Operation::NewOrder), at + 1);
        assert!((2 * lives..=3 * lives).contains(&orders), "{orders} orders in {lives}");
    }
}

struct Scene {
    home: Home,
    caddy: Caddy,
    witness: Witness,
    echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let caddy = Caddy::start();
        let witness = Witness::before_ca(caddy.port(), caddy.listener_roots(), Caddy::DIRECTORY);
        Self { home: Home::new(), caddy, witness, echo: Echo::start() }
    }

    fn configure(&self, kind: &str) {
        let home = &self.home;
        let (acme, url) = (self.witness.acme_section(), self.echo.url());
        let listen = format!(
            "[listen]\nhttp = \"127.0.0.1:80\"\nhttps = [\"127.0.0.1:{}\", \"127.0.0.1:443\"]\nadmin = \"127.0.0.1:{}\"\n",
            home.https, home.admin
        );
        let site = format!("[[site]]\ndomain = \"localhost\"\nupstream = \"{url}\"\n");
        let text = format!("state_dir = \"state\"\nwatch = false\n{listen}{acme}challenges = [\"{kind}\"]\n{site}");
        replace(&home.file(), &text);
    }

    /// The leaf that is served, after the whole chain was verified.
    fn served(&self) -> Vec<u8> {
        let stream = Client::new(self.caddy.issued_roots()).connect(self.home.https, "localhost");
        leaf(&stream.expect("a handshake that is believed")).to_vec()
    }
}

const AN_ORDER: Duration = Duration::from_secs(90);
