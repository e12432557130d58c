//! `egress csr` and `egress calendar` help people to order the next certificate, with the service stopped.

use std::fs;
use std::process::Command;

use crate::support::Home;
use crate::support::home::run;
use crate::support::peers::program;

/// A folder with an egress to BankID's test environment, and its published certificate.
fn home(next: &str) -> Home {
    let home = Home::new();
    for file in ["FPTestcert5_20240610.p12", "FPTestcert5_20240610.pem"] {
        fs::copy(format!("tests/data/bankid/{file}"), home.path().join(file)).unwrap();
    }
    fs::write(home.path().join("qwerty"), "qwerty123\n").unwrap();
    let identity = "{ pkcs12 = \"FPTestcert5_20240610.p12\", password_file = \"qwerty\" }";
    let text = format!(
        "[[egress]]\nname = \"bankid\"\nlisten = \"127.0.0.1:9443\"\npreset = \"bankid-test\"\nidentity = {identity}\n{next}"
    );
    fs::write(home.file(), text).unwrap();
    home
}

fn openssl(home: &Home, arguments: &[&str]) -> String {
    let output = Command::new(program("openssl")).args(arguments).current_dir(home.path()).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn given_an_egress_when_a_request_is_made_then_openssl_finds_the_same_subject_and_a_good_signature() {
    let home = home("");
    let made = run(home.path(), &["egress", "csr", "bankid", "--like", "current"]);
    let words = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let names = ["-noout", "-subject", "-nameopt", "RFC2253,show_type"];
    let of = |kind: &str, file: &str| openssl(&home, &[&[kind, "-in", file][..], &names].concat());
    assert_eq!(of("req", "bankid-next.p10"), of("x509", "FPTestcert5_20240610.pem"));
    let text = openssl(&home, &["req", "-in", "bankid-next.p10", "-verify", "-noout", "-text"]);
    assert!(text.contains("verify OK") && text.contains("(2048 bit)"), "{text}");
    assert!(text.contains("sha256WithRSAEncryption"), "{text}");
    let public = |arguments: &[&str]| openssl(&home, arguments);
    assert_eq!(
        public(&["req", "-in", "bankid-next.p10", "-noout", "-pubkey"]),
        public(&["pkey", "-in", "bankid-next.key", "-pubout"])
    );
    for word in ["bankid-next.p10 to your bank", "users see: Test av BankID", "bankid-next.pem\", key = \"/"] {
        assert!(words.contains(word), "{word}: {words}");
    }
    assert!(!words.contains("PRIVATE KEY"), "{words}");
}

#[test]
#[cfg(unix)]
fn given_a_request_when_made_then_the_key_is_for_its_owner_alone_and_nothing_is_overwritten() {
    use std::os::unix::fs::PermissionsExt;

    let home = home("");
    fs::create_dir(home.path().join("order")).unwrap();
    let arguments = ["egress", "csr", "bankid", "--out", "order"];
    assert!(run(home.path(), &arguments).status.success());
    let key = home.path().join("order/bankid-next.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&key).unwrap();

    let again = run(home.path(), &arguments);

    let words = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1));
    assert!(words.contains("is there already") && words.contains("--out"), "{words}");
    assert_eq!(fs::read(&key).unwrap(), before);
}

#[test]
fn given_what_cannot_be_found_when_asked_then_what_is_known() {
    let home = home("");
    for (arguments, word) in [
        (&["egress", "csr", "other"][..], "known are `bankid`"),
        (&["egress", "calendar", "other"], "known are `bankid`"),
        (&["egress", "csr", "bankid", "--like", "next"], "has no `next`"),
        (&["egress", "csr", "bankid", "--out", "nowhere"], "name a folder that is there"),
    ] {
        let output = run(home.path(), arguments);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && words.contains(word), "{arguments:?}: {words}");
    }
    fs::write(home.path().join("qwerty"), "other\n").unwrap();
    let output = run(home.path(), &["egress", "csr", "bankid"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("portvakt check"), "{output:?}");
    assert!(!home.path().join("bankid-next.key").exists());
}

#[test]
fn given_an_egress_when_a_calendar_is_asked_for_then_the_day_to_order_and_the_last_day() {
    let home = home("");
    let printed = run(home.path(), &["egress", "calendar", "bankid"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.status.success() && text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"));
    for line in ["DTSTART;VALUE=DATE:20290528", "BEGIN:VALARM", "UID:last-ef15b3e1837bd4ade7e4bfa1d0a07e9b@portvakt"] {
        assert!(text.split("\r\n").any(|own| own == line), "{line}: {text}");
    }

    let written = run(home.path(), &["egress", "calendar", "bankid", "--out", "bankid.ics"]);

    assert!(written.status.success() && written.stdout.is_empty());
    let uids = |text: &str| text.lines().filter(|line| line.starts_with("UID:")).map(str::to_owned).collect::<Vec<_>>();
    let file = fs::read_to_string(home.path().join("bankid.ics")).unwrap();
    assert_eq!((uids(&file), uids(&file).len()), (uids(&text), 2));
}
