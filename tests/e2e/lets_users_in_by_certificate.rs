//! Client certificates of users: asked for by site and path, believed by anchor, list and CRL, and handed on as proven.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, SanType};

use crate::stage::Stage;
use crate::support::ca::replace;
use crate::support::clock::PATIENCE;
use crate::support::openssl::s_client;
use crate::support::pebble::Settings;
use crate::support::{Ca, Curl, Echo, Home, Leaf, Pebble, Portvakt};

const DAY: Duration = Duration::from_secs(86_400);
/// An order with delays and refused nonces on a busy machine.
const AN_ORDER: Duration = Duration::from_secs(90);

/// The usual scene, and somebody who issues certificates to its users.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) staff: Ca,
    pub(crate) anna: Leaf,
    eve: Leaf,
}

impl Scene {
    /// Everything but the configuration.
    pub(crate) fn new() -> Self {
        Self::by(Ca::new("Staff CA"))
    }

    /// As [`Self::new`], with this issuer.
    pub(crate) fn by(staff: Ca) -> Self {
        let stage = Stage::new();
        staff.write(stage.home.path().join("staff.pem"));
        let anna = staff.issue_as(&["anna.staff.test"], DAY * 90, &|params| of(params, "anna@staff.test"));
        let eve = Ca::new("Another CA").issue_as(&["anna.staff.test"], DAY, &|params| of(params, "anna@staff.test"));
        anna.write(stage.home.path(), "anna");
        eve.write(stage.home.path(), "eve");
        Self { stage, staff, anna, eve }
    }

    pub(crate) fn configure(&self, keys: &str) {
        let tables = format!("[site.client_certificates]\ntrust_anchors = \"staff.pem\"\n{keys}\n");
        self.stage.configure("", &tables);
    }

    pub(crate) fn running(keys: &str) -> (Self, Portvakt) {
        let scene = Self::new();
        scene.configure(keys);
        let portvakt = scene.stage.home.start();
        (scene, portvakt)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.stage.home.path().join(name)
    }

    /// curl with the certificate in `NAME.pem`.
    pub(crate) fn curl_as(&self, name: &str) -> Curl {
        let (chain, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        self.stage.curl().with(&["--cert", chain.to_str().unwrap(), "--key", key.to_str().unwrap()])
    }

    /// Handshakes with `openssl s_client`; `more` goes to it.
    fn s_client(&self, more: &[&str]) -> crate::support::openssl::Handshake {
        s_client(self.stage.home.https, &[&["-servername", "m5.test"], more].concat())
    }

    fn wait_handshake_failures(&self, reason: &str, count: f64) {
        self.stage.home.wait_sum("portvakt_tls_handshake_failures_total", &[("reason", reason)], count);
    }

    pub(crate) fn refusals(&self, reason: &str) -> f64 {
        self.stage.home.metrics().sum("portvakt_client_certificate_refusals_total", &[("reason", reason)])
    }
}

pub(crate) fn of(params: &mut CertificateParams, mail: &str) {
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names.push(SanType::Rfc822Name(mail.try_into().unwrap()));
}

#[test]
fn given_a_site_that_requires_one_when_called_then_served_by_certificate_and_refused_by_the_right_alert() {
    let (scene, _portvakt) = Scene::running("mode = \"require\"\npass_on = \"X-ARR-ClientCert\"");
    let url = scene.stage.url("/x");

    for version in ["--http1.1", "--http2"] {
        let answer = scene.curl_as("anna").with(&[version]).get(&url);
        assert_eq!(answer.status, 200, "{version}");
        let handed_on = scene.stage.echo.last().all("x-arr-clientcert");
        assert_eq!(handed_on, [STANDARD.encode(&scene.anna.der)], "{version}");
    }

    // certificate_required (116, RFC 8446 §6.2), in TLS 1.2 as well, where `handshake_failure` would say less; unknown_ca (48).
    let eve = ["-cert".to_owned(), path(&scene, "eve.pem"), "-key".to_owned(), path(&scene, "eve.key")];
    let eve: Vec<_> = eve.iter().map(String::as_str).collect();
    for version in ["-tls1_3", "-tls1_2"] {
        let refused = scene.s_client(&[version, "-ign_eof"]);
        assert!(refused.text.contains("SSL alert number 116"), "{version}: {}", refused.text);
        let refused = scene.s_client(&[&[version, "-ign_eof"], &eve[..]].concat());
        assert!(refused.text.contains("SSL alert number 48"), "{version}: {}", refused.text);
    }
    scene.wait_handshake_failures("no_client_cert", 2.0);
    scene.wait_handshake_failures("bad_client_cert", 2.0);
    assert!(scene.eve.der != scene.anna.der);
}

#[test]
fn given_a_path_that_requires_one_when_the_site_accepts_then_403_without_and_spoofed_headers_never_arrive() {
    let (scene, _portvakt) = Scene::running(
        "mode = \"accept\"\npaths = { \"/admin/\" = \"require\", \"/open/\" = \"ignore\" }\n\
         pass_on = [\"Client-Cert\", \"X-Client\"]\nchain = true",
    );
    let spoofed = |curl: Curl| {
        ["X-ARR-ClientCert", "Client-Cert", "Client-Cert-Chain", "X-Client", "X_Client"]
            .iter()
            .fold(curl, |curl, name| curl.header(&format!("{name}: spoofed")))
    };

    for version in ["--http1.1", "--http2"] {
        let bare = |path: &str| spoofed(scene.stage.curl()).with(&[version]).get(&scene.stage.url(path));
        assert_eq!(bare("/").status, 200);
        assert!(!told(&scene).contains("spoofed"), "{}", told(&scene));
        for path in ["/admin/x", "/ADMIN", "/%61dmin/", "/open/../admin/x"] {
            let refused = bare(path);
            assert_eq!(refused.status, 403, "{path}");
            assert!(refused.text().contains("client certificate is required"), "{}", refused.text());
        }
        let known = |path: &str| spoofed(scene.curl_as("anna")).with(&[version]).get(&scene.stage.url(path));
        for path in ["/admin/x", "/"] {
            assert_eq!(known(path).status, 200);
            let (received, der) = (scene.stage.echo.last(), STANDARD.encode(&scene.anna.der));
            assert_eq!(received.all("client-cert"), [format!(":{der}:")]);
            assert_eq!(received.all("x-client"), [der]);
            assert!(!told(&scene).contains("spoofed"), "{}", told(&scene));
        }
        assert_eq!(known("/open/x").status, 200);
        assert!(scene.stage.echo.last().all("client-cert").is_empty(), "nobody asked there");
    }
    assert!(scene.refusals("missing") >= 8.0);
    // Nothing of it reaches the server over plain HTTP either.
    assert_eq!(
        scene.stage.plain("POST /admin/x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\n\r\n").status(),
        Some(403)
    );
}

/// Headers that say who a client is are ours alone, whether anybody is asked for a certificate or not.
#[test]
fn given_no_site_with_certificates_when_headers_are_forged_then_they_never_arrive() {
    let (stage, _portvakt) = Stage::running();
    let names =
        ["Client-Cert", "Client-Cert-Chain", "X-ARR-ClientCert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert"];

    for version in ["--http1.1", "--http2"] {
        let curl = names.iter().fold(stage.curl(), |curl, name| curl.header(&format!("{name}: :Zm9yZ2Vk:")));
        let answer = curl.header("X-Other: kept").with(&[version]).get(&stage.url("/x"));

        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("kept") && !answer.text().contains("Zm9yZ2Vk"), "{}", answer.text());
    }
}

#[test]
fn given_an_issuer_below_the_root_when_the_chain_is_handed_on_then_without_the_leaf_and_the_root() {
    let (scene, portvakt) = Scene::running("mode = \"require\"\npass_on = \"Client-Cert\"\nchain = true");
    let below = scene.staff.intermediate("Staff CA below");
    below
        .issue_as(&["carl.staff.test"], &|params| of(params, "carl@staff.test"))
        .write(scene.stage.home.path(), "carl");
    let url = scene.stage.url("/x");
    let told = |name: &str| {
        assert_eq!(scene.curl_as(name).get(&url).status, 200, "{name}");
        let received = scene.stage.echo.last();
        (received.all("client-cert").len(), received.all("client-cert-chain"))
    };

    let der = portvakt::pki::CertificateChain::from_pem(below.pem().as_bytes()).unwrap().certificates()[0].clone();
    assert_eq!(told("carl"), (1, vec![format!(":{}:", STANDARD.encode(der))]));
    assert_eq!(told("anna"), (1, vec![]), "there is nothing between");

    // The root says that it has taken the issuer's rights away; the issuer's own list revokes nobody.
    let lists = scene.staff.crl(&[&below.as_leaf()], 30) + &below.crl(30);
    replace(&scene.file("staff.crl"), &lists);
    scene.configure("mode = \"require\"\ncrl = \"staff.crl\"");
    assert!(portvakt.reload(&scene.stage.home));
    assert!(scene.curl_as("carl").try_get(&url).is_err());
    assert_eq!(scene.curl_as("anna").get(&url).status, 200);
}

/// A CA has no certificate to show.
#[test]
fn given_a_site_that_requires_one_when_the_ca_looks_then_each_challenge_passes_and_what_is_served_is_seen() {
    for kind in ["http-01", "tls-alpn-01"] {
        let (home, echo, staff) = (Home::new(), Echo::start(), Ca::new("Staff CA"));
        staff.write(home.path().join("staff.pem"));
        let anna = staff.issue_as(&["anna.staff.test"], DAY, &|params| of(params, "anna@staff.test"));
        anna.write(home.path(), "anna");
        let pebble = Pebble::start(Settings::on(home.http, home.https));
        let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
        let rules = "[site.client_certificates]\nmode = \"require\"\ntrust_anchors = \"staff.pem\"\n";
        home.configure("", &format!("{}challenges = [\"{kind}\"]\n{site}{rules}", pebble.acme_section()));
        let _portvakt = home.start();

        home.wait_certificate("m5.test", "issued", AN_ORDER);

        home.wait_metrics("it is seen", AN_ORDER, |metrics| {
            let matches = metrics.sum("portvakt_served_certificate_matches", &[("cert", "m5.test")]);
            (matches >= 1.0).then_some(())
        });
        let url = format!("https://m5.test:{}/x", home.https);
        let curl = || Curl::new().resolve("m5.test", home.https).cacert(&pebble.issued_root());
        assert!(curl().try_get(&url).is_err(), "{kind}: nobody else gets in without one");
        let [chain, key] = ["anna.pem", "anna.key"].map(|name| home.path().join(name).display().to_string());
        assert_eq!(curl().with(&["--cert", &chain, "--key", &key]).get(&url).status, 200, "{kind}");
        let plain = crate::support::raw::get(home.http, "m5.test", "/x");
        assert_ne!(plain.status, 200, "{kind}: nor over plain HTTP");
    }
}

/// The server behind both believes the header, and cannot tell by which site a request came.
#[test]
fn given_a_site_without_certificates_beside_it_when_the_header_is_forged_there_then_it_never_arrives() {
    let scene = Scene::new();
    let site = format!(
        "[[site]]\ndomain = \"localhost\"\nupstream = \"{}\"\ncertificate = \"internal\"\n",
        scene.stage.echo.url()
    );
    let keys = "[site.client_certificates]\nmode = \"accept\"\ntrust_anchors = \"staff.pem\"\npass_on = \"X-Client\"\n";
    scene.stage.configure("", &format!("{keys}{site}"));
    let _portvakt = scene.stage.home.start();

    let port = scene.stage.home.https;
    let curl = Curl::new().cacert(&scene.stage.home.internal_root());
    let answer = curl
        .header("X-Client: forged")
        .header("x_client: forged")
        .header("X-Other: kept")
        .get(&format!("https://localhost:{port}/x"));

    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("kept") && !answer.text().contains("forged"), "{}", answer.text());
}

#[test]
fn given_lists_when_a_stranger_of_the_same_issuer_comes_then_403_where_one_is_required() {
    let (scene, portvakt) =
        Scene::running("mode = \"require\"\nallow = { san = [\"*@staff.test\"], issuer = \"Staff CA\" }");
    let bert = scene.staff.issue_as(&["bert.other.test"], DAY, &|params| of(params, "bert@other.test"));
    bert.write(scene.stage.home.path(), "bert");
    let url = scene.stage.url("/x");

    assert_eq!(scene.curl_as("anna").get(&url).status, 200);
    let refused = scene.curl_as("bert").get(&url);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("not let in"), "{}", refused.text());
    assert_eq!(scene.refusals("not_listed"), 1.0);

    let pin = portvakt::pki::CertificateChain::from_pem(bert.chain.as_bytes()).unwrap().leaf().pin;
    scene.configure(&format!("mode = \"require\"\nallow = {{ pin = \"{pin}\" }}"));
    assert!(portvakt.reload(&scene.stage.home));
    assert_eq!(scene.curl_as("bert").get(&url).status, 200);
    assert_eq!(scene.curl_as("anna").get(&url).status, 403);
}

#[test]
fn given_a_ticket_from_before_when_certificates_are_required_then_it_is_not_resumed_and_an_open_connection_ends() {
    let scene = Scene::new();
    scene.stage.configure("", "");
    let portvakt = scene.stage.home.start();
    let mut kept = scene.stage.connect();
    let ask = "GET /x HTTP/1.1\r\nHost: m5.test\r\n\r\n";
    assert_eq!(crate::support::tls::exchange(&mut kept, ask).unwrap().status, 200);
    let tickets = |version: &str, file: &str| {
        let file = path(&scene, file);
        let first = scene.s_client(&[version, "-sess_out", &file]);
        assert!(first.finished && fs::metadata(&file).is_ok_and(|facts| facts.len() > 0), "{}", first.text);
        let again = scene.s_client(&[version, "-sess_in", &file]);
        assert!(again.text.contains("Reused, "), "{version}: tickets work: {}", again.text);
    };
    // TLS 1.3 sends its tickets behind the handshake, and s_client may have left by then; the next test looks at both.
    tickets("-tls1_2", "12.ticket");

    scene.configure("mode = \"require\"");
    assert!(portvakt.reload(&scene.stage.home));

    let stale = crate::support::tls::exchange(&mut kept, ask).unwrap();
    assert_eq!((stale.status, stale.closes()), (421, true), "a client tries again on a new connection");
    let ticket = path(&scene, "12.ticket");
    let resumed = scene.s_client(&["-tls1_2", "-sess_in", &ticket]);
    assert!(!resumed.finished && resumed.text.contains("SSL alert number 116"), "{}", resumed.text);
    let (chain, key) = (path(&scene, "anna.pem"), path(&scene, "anna.key"));
    let anna = scene.s_client(&["-tls1_2", "-sess_in", &ticket, "-cert", &chain, "-key", &key]);
    assert!(anna.finished && anna.text.contains("New, "), "a full handshake: {}", anna.text);
}

#[test]
fn given_a_client_that_keeps_tickets_when_certificates_are_required_then_its_next_handshake_is_a_full_one() {
    use crate::support::tls::{Client, connect, exchange};
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let scene = Scene::new();
        scene.stage.configure("", "");
        let portvakt = scene.stage.home.start();
        let client = Client::with_versions(scene.stage.ca.roots(), versions).resuming().share();
        let ask = "GET /x HTTP/1.1\r\nHost: m5.test\r\n\r\n";
        let go = || -> std::io::Result<(u16, Option<rustls::HandshakeKind>)> {
            let mut stream = connect(&client, scene.stage.home.https, "m5.test")?;
            let reply = exchange(&mut stream, ask)?;
            Ok((reply.status, stream.conn.handshake_kind()))
        };
        assert_eq!(go().unwrap().0, 200);
        assert_eq!(go().unwrap(), (200, Some(rustls::HandshakeKind::Resumed)), "tickets work");

        scene.configure("mode = \"require\"");
        assert!(portvakt.reload(&scene.stage.home));
        let error = go().expect_err("no certificate, no answer").to_string();
        assert!(error.contains("CertificateRequired") || error.contains("HandshakeFailure"), "{error}");

        scene.configure("mode = \"accept\"\npaths = { \"/x\" = \"require\" }");
        assert!(portvakt.reload(&scene.stage.home));
        assert_eq!(go().unwrap().0, 403);
    }
}

#[test]
fn given_a_session_with_a_certificate_when_resumed_then_the_client_is_still_known_until_the_crl_names_it() {
    let (scene, portvakt) = Scene::running("mode = \"require\"\npass_on = \"X-Client\"");
    let (chain, key) = (path(&scene, "anna.pem"), path(&scene, "anna.key"));
    let ticket = path(&scene, "anna.ticket");
    let as_anna = ["-tls1_2", "-cert", &chain, "-key", &key];
    assert!(scene.s_client(&[&as_anna[..], &["-sess_out", &ticket]].concat()).finished);
    assert!(scene.s_client(&["-tls1_2", "-sess_in", &ticket]).text.contains("Reused, "));

    write_crl(&scene, &[&scene.anna], 30);
    scene.configure("mode = \"require\"\ncrl = \"staff.crl\"");
    assert!(portvakt.reload(&scene.stage.home));

    assert!(!scene.s_client(&["-tls1_2", "-sess_in", &ticket]).finished);
    let revoked = scene.s_client(&[&as_anna[..], &["-sess_in", &ticket]].concat());
    assert!(revoked.text.contains("SSL alert number 44"), "certificate_revoked: {}", revoked.text);
    assert!(scene.curl_as("anna").try_get(&scene.stage.url("/x")).is_err());
}

#[test]
fn given_a_crl_when_it_changes_or_is_old_then_what_follows_is_as_configured() {
    let scene = Scene::new();
    write_crl(&scene, &[], 30);
    let keys = "mode = \"require\"\ncrl = \"staff.crl\"";
    scene
        .stage
        .configure("watch = true", &format!("[site.client_certificates]\ntrust_anchors = \"staff.pem\"\n{keys}\n"));
    let portvakt = scene.stage.home.start();
    let url = scene.stage.url("/x");
    assert_eq!(scene.curl_as("anna").get(&url).status, 200);

    write_crl(&scene, &[&scene.anna], 30);
    crate::support::eventually("the new list is taken over", PATIENCE, || {
        scene.curl_as("anna").try_get(&url).is_err().then_some(())
    });

    // One that revokes nobody any more is taken over as well.
    write_crl(&scene, &[], 20);
    crate::support::eventually("the renewed list is taken over", PATIENCE, || scene.curl_as("anna").try_get(&url).ok());

    write_crl(&scene, &[], -1);
    scene.configure(keys);
    portvakt.reload(&scene.stage.home);
    // The reload that was counted may be the one before, of the file that changed.
    crate::support::eventually("an old list lets nobody in", PATIENCE, || {
        scene.curl_as("anna").try_get(&url).is_err().then_some(())
    });
    portvakt.child.wait_line("that is told", |line| line.contains("PV0441"));
    scene.configure(&format!("{keys}\nexpired_crl = \"accept\""));
    portvakt.reload(&scene.stage.home);
    crate::support::eventually("it does where that is wanted", PATIENCE, || scene.curl_as("anna").try_get(&url).ok());
}

pub(crate) fn write_crl(scene: &Scene, revoked: &[&Leaf], days: i64) {
    replace(&scene.file("staff.crl"), &scene.staff.crl(revoked, days));
}

fn path(scene: &Scene, name: &str) -> String {
    scene.file(name).display().to_string()
}

/// The head of the last request that the server behind has got.
fn told(scene: &Scene) -> String {
    String::from_utf8_lossy(&scene.stage.echo.last().head).into_owned()
}
