//! `portvakt check` asks each CA, and DNS about the names, before anything is ordered.

use std::fs;
use std::process::Output;

use crate::support::bind::Zone;
use crate::support::home::run;
use crate::support::pebble::Settings;
use crate::support::ports::free_port;
use crate::support::{Bind, Ca, Home, Nginx, Pebble};

#[test]
fn given_a_ca_that_knows_its_customers_and_another_profile_when_checked_then_both_are_told_at_their_lines() {
    let home = Home::new();
    let pebble = Pebble::start(Settings {
        eab: true,
        profiles: &["classic", "shortlived"],
        ..Settings::on(home.http, home.https)
    });
    configure(&home, &format!("{}profile = \"clasic\"\n", pebble.acme_section()), &["m5.test"]);

    let output = check(&home, &[]);

    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let told = text(&output);
    assert!(told.contains("PV0268") && told.contains("eab = { kid"), "{told}");
    assert!(told.contains("PV0269") && told.contains("it has `classic`, `shortlived`"), "{told}");
    assert!(told.contains("directory = \"https://127.0.0.1"), "the line stands there: {told}");
    assert_eq!(pebble.accounts(), 0, "asking makes no account");
    assert!(check(&home, &["--offline"]).status.success(), "nobody is asked");
}

#[test]
fn given_cas_that_are_none_or_away_when_checked_then_told_apart() {
    let home = Home::new();
    let ca = Ca::new("Of the web server");
    let nginx = Nginx::start_tls(&ca.issue(&["localhost"]));
    ca.write(home.path().join("root.pem"));
    let ca = |heading: &str, port: u16| {
        format!(
            "{heading}\nagree_tos = true\ndirectory = \"https://localhost:{port}/dir\"\ntrust_anchors = \"root.pem\"\n"
        )
    };
    configure(&home, &ca("[acme]", free_port()), &["m5.test"]);
    let away = check(&home, &[]);
    assert!(away.status.success(), "portvakt serves on all the same: {}", text(&away));
    assert!(text(&away).contains("warning[PV0266]") && text(&away).contains("onnection refused"), "{}", text(&away));

    let pebble = Pebble::start(Settings::on(home.http, home.https));
    configure(&home, &format!("{}{}", pebble.acme_section(), ca("[[acme.next]]", nginx.https)), &["m5.test"]);
    let output = check(&home, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("error[PV0267]"), "the CA that helps out is asked too: {}", text(&output));
}

#[test]
fn given_caa_records_when_checked_then_told_for_each_ca_that_they_keep_out() {
    let home = Home::new();
    let (first, second) = (Pebble::start(Settings::on(1, 1)), Pebble::start(Settings::on(1, 1)));
    let zones = [
        Zone::new("open.test", "@ IN A 127.0.0.1\n@ IN CAA 0 issue \"pebble.letsencrypt.org\"\n"),
        Zone::new("shut.test", "www IN A 127.0.0.1\n@ IN CAA 0 issue \"ca.other.test\"\n"),
    ];
    let bind = Bind::start(&[], &zones);
    let tables = format!(
        "{}challenges = [\"dns-persist-01\"]\n[acme.dns]\nresolvers = [\"{}\"]\n{}",
        first.acme_section(),
        bind.address(),
        second.acme_section().replace("[acme]", "[[acme.next]]")
    );

    configure(&home, &tables, &["open.test"]);
    let open = check(&home, &[]);
    assert!(open.status.success() && !text(&open).contains("PV0270"), "{}", text(&open));

    configure(&home, &tables, &["open.test", "www.shut.test"]);
    let shut = check(&home, &[]);
    let told = text(&shut);
    assert!(shut.status.success(), "it is mended in DNS: {told}");
    assert_eq!(told.matches("warning[PV0270]").count(), 2, "one for each CA: {told}");
    for words in ["CAA records of `shut.test`", "only `ca.other.test` may issue", "`pebble.letsencrypt.org`"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains(&first.directory()) && told.contains(&second.directory()), "{told}");
}

fn configure(home: &Home, acme: &str, domains: &[&str]) {
    let site = format!("[[site]]\ndomains = {domains:?}\nupstream = \"http://127.0.0.1:9\"\n");
    home.configure("", &format!("{acme}{site}"));
    fs::create_dir_all(home.state()).expect("a state directory");
}

fn check(home: &Home, more: &[&str]) -> Output {
    run(home.path(), &[&["check", "--config", "portvakt.toml"], more].concat())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
