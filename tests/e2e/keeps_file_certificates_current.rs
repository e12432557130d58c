//! A certificate in files is read again when it changes; one that does not fit its key changes nothing.

use std::fs;
use std::time::Duration;

use crate::stage::Stage;
use crate::support::ca::replace;
use crate::support::clock::PATIENCE;
use crate::support::pebble::{Pebble, Settings};
use crate::support::tls::served;
use crate::support::{Leaf, eventually};

#[test]
fn given_watched_files_when_both_are_replaced_then_the_new_certificate_is_served() {
    let (stage, _portvakt) = Stage::running_with("watch = true\n", "");
    let new = stage.ca.issue(&["m5.test"]);

    new.write(stage.home.path(), "m5");

    wait_served(&stage, &new);
}

#[test]
fn given_watched_files_when_they_are_swapped_by_a_link_then_the_new_certificate_is_served() {
    let stage = Stage::new();
    // The layout of a mounted Kubernetes secret: files are links through `..data`, which is swapped as a whole.
    let dir = stage.home.path().join("secret");
    fs::create_dir_all(dir.join("one")).unwrap();
    stage.leaf.write(&dir.join("one"), "m5");
    std::os::unix::fs::symlink("one", dir.join("..data")).unwrap();
    for file in ["m5.pem", "m5.key"] {
        fs::remove_file(stage.home.path().join(file)).unwrap();
        std::os::unix::fs::symlink(dir.join("..data").join(file), stage.home.path().join(file)).unwrap();
    }
    stage.configure("watch = true\n", "");
    let _portvakt = stage.home.start();

    let new = stage.ca.issue(&["m5.test"]);
    fs::create_dir(dir.join("two")).unwrap();
    new.write(&dir.join("two"), "m5");
    std::os::unix::fs::symlink("two", dir.join("..data_new")).unwrap();
    fs::rename(dir.join("..data_new"), dir.join("..data")).unwrap();

    wait_served(&stage, &new);
}

#[test]
fn given_files_when_a_ca_is_asked_for_instead_then_they_serve_until_it_has_issued() {
    let stage = Stage::new();
    let site = stage.site();
    let site: String =
        site.lines().filter(|line| !line.starts_with("certificate")).map(|line| format!("{line}\n")).collect();
    stage.configure("", "");
    let portvakt = stage.home.start();
    assert_eq!(stage.get("/").status, 200);

    stage.home.configure("acme = { agree_tos = true, directory = \"https://127.0.0.1:9/dir\" }\n", &site);
    assert!(portvakt.reload(&stage.home));
    stage.home.wait_metrics("an attempt has failed", PATIENCE, |metrics| {
        (metrics.sum("portvakt_acme_failures_total", &[("reason", "network")]) >= 1.0).then_some(())
    });
    assert_eq!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der, "no CA has issued yet");

    let pebble = Pebble::start(Settings::on(stage.home.http, stage.home.https));
    stage.home.configure("", &format!("{}{site}", pebble.acme_section()));
    assert!(portvakt.reload(&stage.home));
    stage.home.wait_certificate("m5.test", "issued", Duration::from_secs(90));
    assert_ne!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
}

#[test]
fn given_a_key_that_does_not_fit_when_reloaded_then_the_old_certificate_serves_on() {
    let (stage, portvakt) = Stage::running();
    let foreign = stage.ca.issue(&["m5.test"]);
    replace(&stage.home.path().join("m5.key"), &foreign.key);
    let mark = portvakt.child.mark();

    let reloaded = portvakt.reload(&stage.home);

    assert!(!reloaded);
    assert_eq!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
    assert_eq!(stage.get("/").status, 200);
    portvakt.child.wait_line_after(mark, "that the key does not fit", |line| line.contains("key"));
}

#[test]
fn given_files_that_are_cut_off_when_reloaded_then_the_old_certificate_serves_on() {
    let (stage, portvakt) = Stage::running();

    for (file, text) in [("m5.pem", &stage.leaf.chain[..100]), ("m5.pem", ""), ("m5.key", "nonsense")] {
        stage.leaf.write(stage.home.path(), "m5");
        replace(&stage.home.path().join(file), text);
        assert!(!portvakt.reload(&stage.home), "{file} {text:?}");
        assert_eq!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
    }
    stage.leaf.write(stage.home.path(), "m5");
    assert!(portvakt.reload(&stage.home));
}

#[test]
fn given_one_file_at_a_time_when_both_have_changed_then_the_pair_is_served_and_nothing_between() {
    let (stage, portvakt) = Stage::running_with("watch = true\n", "");
    let new = stage.ca.issue(&["m5.test"]);
    let mark = portvakt.child.mark();
    let seen = |leaf: &Leaf| served(stage.home.https, "m5.test").is_ok_and(|der| der == leaf.der);

    replace(&stage.home.path().join("m5.pem"), &new.chain);
    portvakt.child.wait_line_after(mark, "that key and certificate differ", |line| {
        line.contains("m5.test") && line.contains("key")
    });
    assert!(seen(&stage.leaf));
    replace(&stage.home.path().join("m5.key"), &new.key);

    wait_served(&stage, &new);
}

fn wait_served(stage: &Stage, leaf: &Leaf) {
    eventually("the new certificate is served", PATIENCE, || {
        (served(stage.home.https, "m5.test").ok()? == leaf.der).then_some(())
    });
    assert_eq!(stage.get("/").status, 200);
}
