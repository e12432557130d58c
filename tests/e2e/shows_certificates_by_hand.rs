//! `portvakt cert` lists, shows and exports what there is, with the process running and stopped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::clock::PATIENCE;
use crate::support::home::{Home, Portvakt, run};
use crate::support::peers::program;
use crate::support::tls::served;
use crate::support::{Ca, Echo, eventually};

#[test]
fn given_a_running_process_when_listed_and_shown_then_what_clients_get_is_told_too() {
    let (home, _portvakt, _echo) = running();

    let list = eventually("both are seen", PATIENCE, || {
        let list = told(&home, &["list"]);
        (list.matches("yes").count() == 2).then_some(list)
    });
    assert!(list.starts_with("NAME") && list.contains("m5.test") && list.contains("bought"), "{list}");

    let json: serde_json::Value = serde_json::from_str(&told(&home, &["list", "--json"])).unwrap();
    assert_eq!(json[0]["name"], "m5.test");
    assert_eq!((&json[0]["served"], &json[0]["state"]), (&true.into(), &"issued".into()));
    assert_eq!(json[1]["source"], "files");

    // By the second domain of the site.
    let shown = told(&home, &["show", "www.m5.test"]);
    for part in [
        "certificate m5.test: issued\n",
        "  next action  renew 20",
        "because",
        "emergency ",
        "alert fires ",
        "  generation 1 (in service): got ",
        "  clients get  m5.test on https 127.0.0.1:",
        "served as published, seen ",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}

#[test]
fn given_a_stopped_process_when_asked_then_what_is_kept_is_told_and_nothing_is_changed() {
    let (home, mut portvakt, _echo) = running();
    let shown = served(home.https, "m5.test").unwrap();
    assert!(portvakt.terminate().success());
    let before = snapshot(&home.state());

    assert!(told(&home, &["list"]).contains("portvakt is not running"));
    let text = told(&home, &["show", "m5.test"]);
    assert!(text.contains("  clients get  unknown") && text.contains("  chain        "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&told(&home, &["list", "--json"])).unwrap();
    assert!(json[0]["served"].is_null() && json[0]["state"] == "issued", "{json}");
    told(&home, &["export", "m5.test", "--out", "out.der", "--format", "der"]);
    assert_eq!(fs::read(home.path().join("out.der")).unwrap(), *shown);

    assert_eq!(snapshot(&home.state()), before);
    let renew = cert(&home, &["renew", "m5.test"]);
    assert!(renew.status.code() == Some(1) && error_of(&renew).contains("no portvakt answers"), "{renew:?}");
}

#[test]
fn given_a_state_directory_that_is_not_there_when_asked_then_told_and_none_is_made() {
    let home = Home::new();
    home.configure(
        "",
        "[[site]]\ndomain = \"m5.test\"\nupstream = \"http://127.0.0.1:9\"\ncertificate = \"internal\"\n",
    );

    assert!(told(&home, &["list"]).contains("placeholder"));
    assert!(told(&home, &["show", "m5.test"]).contains("nobody yet"));

    assert!(!home.state().exists());
    let export = cert(&home, &["export", "m5.test", "--out", "x.pem"]);
    assert!(error_of(&export).contains("there is no certificate `m5.test` to export"), "{export:?}");
}

#[test]
fn given_a_name_that_is_none_when_asked_then_the_one_that_was_meant() {
    let (home, _portvakt, _echo) = running();
    for verb in [&["show"][..], &["renew"], &["rollback"], &["export", "--out", "x"]] {
        let output = cert(&home, &[verb, &["m5.tset"]].concat());
        assert_eq!(output.status.code(), Some(1), "{verb:?}");
        assert!(error_of(&output).contains("did you mean `m5.test`?"), "{verb:?}: {}", error_of(&output));
    }
    let output = cert(&home, &["renew", "bought"]);
    assert!(error_of(&output).contains("the certificate lies in files"), "{}", error_of(&output));
    let output = cert(&home, &["rollback", "bought"]);
    assert!(error_of(&output).contains("put the earlier certificate into `"), "{}", error_of(&output));
}

#[test]
fn given_each_form_when_exported_then_openssl_reads_it_and_keys_are_private() {
    let (home, _portvakt, _echo) = running();
    fs::write(home.path().join("p12.pass"), "pass word\n").unwrap();
    fs::create_dir(home.path().join("out")).unwrap();

    told(&home, &["export", "m5.test", "--out", "chain.pem"]);
    told(&home, &["export", "m5.test", "--out", "both.pem", "--with-key"]);
    told(&home, &["export", "m5.test", "--out", "out", "--with-key"]);
    let p12 = ["export", "bought", "--out", "out/", "--format", "p12", "--password-file", "p12.pass", "--with-key"];
    told(&home, &p12);

    assert!(!read(&home, "chain.pem").contains("PRIVATE"), "without `--with-key` there is none");
    assert!(read(&home, "both.pem").contains("PRIVATE") && read(&home, "out/m5.test.key").contains("PRIVATE"));
    assert_eq!(read(&home, "chain.pem"), read(&home, "out/m5.test.pem"));
    for (file, mode) in [("both.pem", 0o600), ("out/m5.test.key", 0o600), ("out/bought.p12", 0o600)] {
        let found = fs::metadata(home.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
    let info = openssl(&home, &["pkcs12", "-in", "out/bought.p12", "-passin", "file:p12.pass", "-nodes"]);
    assert!(info.contains("friendlyName: bought") && info.contains("PRIVATE KEY"), "{info}");
    assert!(info.contains(&inner(&fs::read_to_string(home.path().join("bought.pem")).unwrap())), "{info}");

    let again = cert(&home, &["export", "m5.test", "--out", "both.pem"]);
    assert!(error_of(&again).contains("`both.pem` is there already"), "{again:?}");
    assert!(read(&home, "both.pem").contains("PRIVATE"), "and it is as it was");
    let der = cert(&home, &["export", "m5.test", "--out", "x.der", "--format", "der", "--with-key"]);
    assert!(error_of(&der).contains("do not go into one DER file") && !home.path().join("x.der").exists(), "{der:?}");
    let p12 = cert(&home, &["export", "m5.test", "--out", "x.p12", "--format", "p12"]);
    assert_eq!(p12.status.code(), Some(2), "a password is asked for");
}

/// `m5.test` and `www.m5.test` from the internal CA, `bought` from files.
fn running() -> (Home, Portvakt, Echo) {
    let (home, echo) = (Home::new(), Echo::start());
    Ca::new("a CA").issue(&["bought.test"]).write(home.path(), "bought");
    let url = echo.url();
    home.configure(
        "",
        &format!(
            "[[site]]\ndomains = [\"m5.test\", \"www.m5.test\"]\nupstream = \"{url}\"\ncertificate = \"internal\"\n\
             [[site]]\nname = \"bought\"\ndomain = \"bought.test\"\nupstream = \"{url}\"\n\
             certificate = {{ chain = \"bought.pem\", key = \"bought.key\" }}\n"
        ),
    );
    let portvakt = home.start();
    (home, portvakt, echo)
}

fn cert(home: &Home, arguments: &[&str]) -> Output {
    run(home.path(), &[&["cert"], arguments].concat())
}

fn told(home: &Home, arguments: &[&str]) -> String {
    let output = cert(home, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", error_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read(home: &Home, file: &str) -> String {
    fs::read_to_string(home.path().join(file)).unwrap()
}

fn openssl(home: &Home, arguments: &[&str]) -> String {
    let output = Command::new(program("openssl")).args(arguments).current_dir(home.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The second line of a PEM block: enough to know it by.
fn inner(pem: &str) -> String {
    pem.lines().nth(2).unwrap().trim().to_owned()
}

/// Names and contents of all files.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.display().to_string(), fs::read(&path).unwrap_or_default())),
            }
        }
    }
    found.sort();
    found
}
