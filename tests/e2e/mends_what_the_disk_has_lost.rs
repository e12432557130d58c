//! A certificate that is served and gone from the disk, or damaged there, is written anew: the next start serves it, and orders
//! no other.

use std::fs::{self, File};
use std::path::Path;

use serde_json::Value;

use crate::support::clock::PATIENCE;
use crate::support::home::{Home, Portvakt, run};
use crate::support::tls::served;
use crate::support::{Echo, eventually};

#[test]
fn given_each_damage_to_the_stored_certificate_when_noticed_then_written_anew_and_served_by_the_next_start() {
    type Damage = fn(&Path);
    let table: [(&str, Damage); 5] = [
        ("the generation is gone", |folder| fs::remove_dir_all(folder.join("1")).unwrap()),
        ("the key is cut", |folder| cut(&folder.join("1/key.pem"))),
        ("the chain is empty", |folder| fs::write(folder.join("1/chain.pem"), "").unwrap()),
        ("the key is gone", |folder| fs::remove_file(folder.join("1/key.pem")).unwrap()),
        // What was seen is written there at the same time.
        ("everything is gone", |folder| eventually("it is gone", PATIENCE, || fs::remove_dir_all(folder).ok())),
    ];
    for (what, damage) in table {
        let (home, mut portvakt, _echo) = running();
        let before = served(home.https, "m5.test").unwrap();

        damage(&home.state().join("certs/m5.test"));
        assert!(portvakt.reload(&home), "{what}");

        let line = portvakt.child.wait_line(what, |line| line.contains("THE STORED CERTIFICATE IS DAMAGED"));
        assert!(line.contains("m5.test") && line.contains("generation=1"), "{what}: {line}");
        portvakt.child.wait_line(what, |line| line.contains("the certificate is in the store now"));
        assert_eq!(served(home.https, "m5.test").unwrap(), before, "{what}");
        assert!(portvakt.terminate().success());
        let _portvakt = home.start();
        assert_eq!(served(home.https, "m5.test").unwrap(), before, "{what}: after a restart");
    }
}

#[test]
fn given_a_certificate_that_cannot_be_written_yet_when_shown_then_as_it_is_served_and_not_as_it_is_kept() {
    let (home, portvakt, _echo) = running();
    let before = served(home.https, "m5.test").unwrap();
    let listed = || -> Value {
        let output = run(home.path(), &["cert", "list", "--json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].clone()
    };
    let whole = listed();
    assert_eq!(whole["kept"], true);
    // Whoever orders has the say over what is written.
    let lock = File::options().read(true).write(true).open(home.state().join("locks/m5.test.lock")).unwrap();
    lock.lock().unwrap();
    fs::remove_dir_all(home.state().join("certs/m5.test/1")).unwrap();
    assert!(portvakt.reload(&home));
    portvakt.child.wait_line("noticed", |line| line.contains("THE STORED CERTIFICATE IS DAMAGED"));
    home.wait_metrics("told", PATIENCE, |metrics| {
        (metrics.one("portvakt_certificate_stored", &[("cert", "m5.test")]) == 0.0).then_some(())
    });

    let shown = listed();
    assert_eq!(shown["kept"], false);
    for key in ["state", "sha256", "serial", "not_before", "not_after"] {
        assert_eq!(shown[key], whole[key], "{key}");
    }
    let text = String::from_utf8(run(home.path(), &["cert", "show", "m5.test"]).stdout).unwrap();
    assert!(text.contains("  IN SERVICE   another than on the disk: by "), "{text}");

    lock.unlock().unwrap();
    eventually("it is written when it may be", PATIENCE, || (listed()["kept"] == true).then_some(()));
    assert_eq!(served(home.https, "m5.test").unwrap(), before);
}

fn running() -> (Home, Portvakt, Echo) {
    let (home, echo) = (Home::new(), Echo::start());
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\ncertificate = \"internal\"\n", echo.url());
    home.configure("", &site);
    let portvakt = home.start();
    (home, portvakt, echo)
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
