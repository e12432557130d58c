//! What a sound `[[egress]]` means. What is wrong with others is shown by `tests/data/bad`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::environment::tests::With;
use crate::config::{Config, Purpose, diff, from_text_on};
use crate::egress::Listen;
use crate::source::{FileForm, FileSettings, NextIdentity, PasswordSource, Trial};
use crate::upstream::{Address, Trust};

const SHORTEST: &str = "[[egress]]
    listen = '127.0.0.1:9443'
    destination = 'https://Partner.example'
    trust_anchors = 'root.pem'
    identity = { pkcs12 = 'rp.p12', password_file = 'rp.pass' }
    allow = ['POST /rp/v6.0/*', 'GET /status']";

fn sound(text: &str) -> Config {
    let machine = With(&[("HOME", "/home/a")], false);
    from_text_on("test.toml", text, Path::new("/etc/portvakt"), Purpose::CheckOffline, &machine)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

/// The shortest one, with further lines.
fn with(lines: &str) -> Config {
    sound(&format!("{SHORTEST}\n{lines}"))
}

fn pkcs12(name: &str) -> FileSettings {
    let at = |name: &str| PathBuf::from(format!("/etc/portvakt/{name}"));
    FileSettings {
        form: FileForm::Pkcs12(at(&format!("{name}.p12"))),
        password: Some(PasswordSource::File(at(&format!("{name}.pass")))),
    }
}

#[test]
fn given_the_shortest_when_read_then_every_default() {
    let config = with("");
    let egress = &config.egress[0];
    assert_eq!(egress.settings.name, "partner.example");
    assert_eq!(egress.settings.listen, Listen::Tcp("127.0.0.1:9443".parse().unwrap()));
    assert_eq!((&egress.settings.token, egress.settings.body), (&None, 10 << 20));
    let allowed: Vec<_> = egress.settings.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["POST /rp/v6.0/*", "GET /status"]);

    let upstream = &egress.upstream;
    assert_eq!((&*upstream.name, upstream.host.as_deref()), ("partner.example", Some("partner.example")));
    let peer = &upstream.peers[0];
    assert_eq!(peer.address, Address::Tcp { host: "partner.example".into(), port: 443 });
    let tls = peer.tls.as_ref().unwrap();
    assert_eq!((&*tls.server_name, tls.identity.as_deref()), ("partner.example", Some("partner.example")));
    assert!(matches!(tls.trust, Trust::Anchors(_)) && upstream.health.is_none());

    let identity = &config.client_identities[0];
    assert_eq!((&*identity.name, &identity.files), ("partner.example", &pkcs12("rp")));
    assert_eq!((&identity.next, &identity.trial), (&None, &Trial::Handshake));
}

#[test]
fn given_an_egress_alone_when_read_then_nobody_is_listened_to_from_outside_unless_written() {
    let config = with("");
    assert!(config.listen.http.is_empty() && config.listen.https.is_empty() && config.route.sites.is_empty());
    assert_eq!(config.listen.admin, ["127.0.0.1:9464".parse().unwrap()]);
    let config = sound(&format!("listen = {{ https = '127.0.0.1:5001' }}\n{SHORTEST}"));
    assert_eq!((config.listen.http.len(), config.listen.https.len()), (0, 1));
    let site = "[[site]]\ndomain = 'a.example.com'\nupstream = 'http://127.0.0.1:1'\n";
    let config = sound(&format!("acme = {{ agree_tos = true }}\n{SHORTEST}\n{site}"));
    assert_eq!((config.listen.http.len(), config.listen.https.len()), (2, 2));
}

#[test]
fn given_one_key_more_when_read_then_its_meaning() {
    let egress = |lines: &str| with(lines).egress.swap_remove(0);
    assert_eq!(egress("name = 'partner'").settings.name, "partner");
    assert_eq!(egress("name = 'partner'").upstream.name, "partner");
    assert_eq!(egress("body = '1MiB'").settings.body, 1 << 20);
    assert_eq!(egress("connect_timeout = '1s'").upstream.timeouts.connect, Duration::from_secs(1));
    assert_eq!(egress("response_timeout = '2s'").upstream.timeouts.first_byte, Duration::from_secs(2));
    assert_eq!(egress("idle_timeout = '3s'").upstream.timeouts.idle, Duration::from_secs(3));
    let tls = |lines: &str| egress(lines).upstream.peers.swap_remove(0).tls.unwrap();
    assert_eq!(tls("server_name = 'other.example'").server_name, "other.example");
    assert_eq!(tls("name = 'partner'").identity.as_deref(), Some("partner"));
    let trial = |lines: &str| with(lines).client_identities.swap_remove(0).trial;
    let asked = Trial::Request { method: "GET".to_owned(), target: "/status?x=1".to_owned() };
    assert_eq!(trial("trial = 'GET /status?x=1'"), asked);
}

#[test]
fn given_another_destination_when_read_then_the_host_header_names_its_port_where_it_must() {
    for (destination, host) in [
        ("https://localhost:8443", "localhost:8443"),
        ("https://localhost:443/", "localhost"),
        ("https://[::1]", "[::1]"),
        ("https://[::1]:8443", "[::1]:8443"),
    ] {
        let config = sound(&SHORTEST.replace("https://Partner.example", destination));
        assert_eq!(config.egress[0].upstream.host.as_deref(), Some(host), "{destination}");
    }
}

#[test]
fn given_a_unix_socket_when_read_then_its_file_and_who_may_call() {
    let listen =
        |listen: &str| sound(&SHORTEST.replace("'127.0.0.1:9443'", listen)).egress.swap_remove(0).settings.listen;
    let unix = |path: &str, group: Option<&str>| Listen::Unix { path: path.into(), group: group.map(str::to_owned) };
    assert_eq!(listen("'unix:/run/a.sock'"), unix("/run/a.sock", None));
    assert_eq!(listen("'unix:a.sock'"), unix("/etc/portvakt/a.sock", None));
    assert_eq!(listen("'unix:/run/a.sock'\nsocket_group = 'app'"), unix("/run/a.sock", Some("app")));
}

#[test]
fn given_an_identity_that_comes_next_when_read_then_its_files_and_its_time() {
    let next = |from: &str| with(&format!("next = {{ pkcs12 = 'new.p12', password_file = 'new.pass'{from} }}"));
    for (from, expected) in [
        ("", None),
        (", from = '2026-12-01'", Some("2026-12-01T00:00:00Z")),
        (", from = '2026-12-01T06:00:00+01:00'", Some("2026-12-01T05:00:00Z")),
    ] {
        let expected = NextIdentity { files: pkcs12("new"), from: expected.map(|text| text.parse().unwrap()) };
        assert_eq!(next(from).client_identities[0].next, Some(expected), "{from}");
    }
}

#[test]
fn given_files_of_identities_when_read_then_all_of_them_are_watched() {
    let files = with("next = { chain = ['new.pem', 'ca.pem'], key = 'new.key' }\ntoken_file = 'app.token'").files;
    for name in ["rp.p12", "rp.pass", "root.pem", "new.pem", "ca.pem", "new.key", "app.token"] {
        assert!(files.contains(&PathBuf::from(format!("/etc/portvakt/{name}"))), "{name}: {files:?}");
    }
}

#[test]
fn given_one_changed_line_when_compared_then_the_egress_changed() {
    let base = with("name = 'partner'\nbody = '1MiB'");
    for line in ["name = 'partner'\nbody = '2MiB'", "name = 'partner'\nbody = '1MiB'\nidle_timeout = '1s'"] {
        let changes: Vec<_> = diff(&base, &with(line)).iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["egress `partner` changed"], "{line}");
    }
    let next = with("name = 'partner'\nbody = '1MiB'\nnext = { pkcs12 = 'new.p12' }");
    assert_eq!(diff(&base, &next)[0].to_string(), "egress `partner` changed");
    let other = with("name = 'other'\nbody = '1MiB'");
    let changes: Vec<_> = diff(&base, &other).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["egress `partner` removed", "egress `other` added"]);
    assert_eq!(diff(&base, &base), []);
}
