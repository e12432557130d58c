//! The internal CA serves at once, and whoever trusts its root is served without a warning.

use crate::support::openssl::s_client;
use crate::support::tls::served;
use crate::support::{Curl, Echo, Home};

#[test]
fn given_an_internal_certificate_when_the_root_is_trusted_then_curl_and_openssl_are_content() {
    let (home, _echo) = scene();
    let _portvakt = home.start();
    home.wait_certificate("m5.test", "issued", crate::support::clock::PATIENCE);

    let root = home.internal_root();

    let url = format!("https://m5.test:{}/", home.https);
    let curl = || Curl::new().resolve("m5.test", home.https);
    assert_eq!(curl().cacert(&root).get(&url).status, 200);
    assert_eq!(curl().try_get(&url).unwrap_err().code, 60);
    let options =
        ["-servername", "m5.test", "-CAfile", root.to_str().unwrap(), "-verify_hostname", "m5.test", "-x509_strict"];
    let seen = s_client(home.https, &options);
    assert!(seen.verified(), "{}", seen.text);
}

#[test]
fn given_a_restart_when_the_root_is_asked_for_then_it_is_the_same_and_so_is_the_leaf() {
    let (home, _echo) = scene();
    let mut portvakt = home.start();
    home.wait_certificate("m5.test", "issued", crate::support::clock::PATIENCE);
    let (root, leaf) = (std::fs::read(home.internal_root()).unwrap(), served(home.https, "m5.test").unwrap());

    portvakt.child.kill();
    let _portvakt = home.start();

    assert_eq!(std::fs::read(home.internal_root()).unwrap(), root);
    assert_eq!(served(home.https, "m5.test").unwrap(), leaf);
}

#[test]
fn given_no_daemon_when_the_root_is_asked_for_then_it_is_made_and_used_later() {
    let (home, _echo) = scene();
    let root = home.internal_root();
    let _portvakt = home.start();
    home.wait_certificate("m5.test", "issued", crate::support::clock::PATIENCE);

    let url = format!("https://m5.test:{}/", home.https);

    assert_eq!(Curl::new().resolve("m5.test", home.https).cacert(&root).get(&url).status, 200);
}

#[test]
fn given_an_internal_certificate_when_scraped_then_its_root_is_there_as_one_that_nobody_renews() {
    let (home, _echo) = scene();
    let _portvakt = home.start();
    home.wait_certificate("m5.test", "issued", crate::support::clock::PATIENCE);

    let metrics = home.metrics();

    let root = [("cert", "internal-ca"), ("role", "internal_ca")];
    assert_eq!(metrics.one("portvakt_certificate_renewal_manual", &root), 1.0);
    assert!(metrics.one("portvakt_certificate_not_after_timestamp_seconds", &root) > 0.0);
    assert!(metrics.series("portvakt_acme_consecutive_failures", &[("cert", "internal-ca")]).is_empty());
    let leaf = [("cert", "m5.test"), ("role", "listener")];
    assert_eq!(metrics.one("portvakt_certificate_renewal_manual", &leaf), 0.0);
}

fn scene() -> (Home, Echo) {
    let (home, echo) = (Home::new(), Echo::start());
    home.configure(
        "",
        &format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\ncertificate = \"internal\"\n", echo.url()),
    );
    (home, echo)
}
