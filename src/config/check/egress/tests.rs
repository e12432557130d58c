//! What a sound `[[egress]]` means. What is wrong with others is shown by `tests/data/bad`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::environment::tests::With;
use crate::config::{Config, Egress, Purpose, diff, from_text_on};
use crate::egress::{Listen, Preset};
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

/// The shortest one with a preset, with further lines.
fn preset(name: &str, lines: &str) -> Config {
    sound(&format!(
        "[[egress]]\nlisten = '127.0.0.1:9443'\npreset = '{name}'\nidentity = {{ pkcs12 = 'rp.p12' }}\n{lines}"
    ))
}

#[test]
fn given_a_preset_when_read_then_host_root_and_allow_list_are_its_own() {
    for (name, host) in [("bankid-production", "appapi2.bankid.com"), ("bankid-test", "appapi2.test.bankid.com")] {
        let config = preset(name, "");
        let Egress { settings, upstream } = &config.egress[0];
        assert_eq!((&*settings.name, settings.body), (host, 1 << 20));
        assert_eq!(settings.allow.iter().map(ToString::to_string).collect::<Vec<_>>(), ["POST /rp/v6.0/*"]);
        assert_eq!(upstream.host.as_deref(), Some(host));
        assert_eq!(upstream.peers[0].address, Address::Tcp { host: host.to_owned(), port: 443 });
        let tls = upstream.peers[0].tls.as_ref().unwrap();
        assert_eq!((&*tls.server_name, tls.identity.as_deref()), (host, Some(host)));
        assert_eq!(tls.trust, Trust::Anchors(Preset::find(name).unwrap().trust_anchors()));
        let trial = Trial::BankId { target: "/rp/v6.0/collect".to_owned() };
        assert_eq!(config.client_identities[0].trial, trial);
    }
}

#[test]
fn given_the_id_card_service_of_a_preset_when_read_then_what_it_is_for() {
    let config = preset("bankid-test", "destination = 'https://IDcardAPI.test.bankid.com/'");
    let allowed: Vec<_> = config.egress[0].settings.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["POST /rp/v1/verify"]);
    assert_eq!(config.egress[0].upstream.host.as_deref(), Some("idcardapi.test.bankid.com"));
    assert_eq!(config.client_identities[0].trial, Trial::Handshake);
}

#[test]
fn given_a_preset_and_keys_that_it_has_by_default_when_read_then_what_is_written() {
    let config = preset("bankid-test", "allow = ['POST /rp/v6.0/auth']\nbody = 7\ntrial = 'GET /x'\nname = 'b'");
    let Egress { settings, .. } = &config.egress[0];
    assert_eq!((settings.allow.len(), settings.allow[0].to_string().as_str()), (1, "POST /rp/v6.0/auth"));
    assert_eq!((settings.body, &*settings.name), (7, "b"));
    assert!(matches!(config.client_identities[0].trial, Trial::Request { .. }));
}

#[test]
fn given_rules_when_read_then_how_they_are_kept() {
    use crate::egress::bankid::{ClosedVersion, Pace, Settings, UserMessage};

    let rules = |config: Config| config.egress[0].settings.rules.clone();
    assert_eq!(rules(with("")), None);
    assert_eq!(rules(preset("bankid-test", "")), Some(Settings::default()));
    assert_eq!(rules(preset("bankid-test", "rules = 'none'")), None);
    assert_eq!(rules(preset("bankid-test", "destination = 'https://idcardapi.test.bankid.com'")), None);
    let config = with("rules = 'bankid'");
    assert_eq!(config.egress[0].settings.body, 1 << 20);
    assert_eq!(config.client_identities[0].trial, Trial::BankId { target: "/rp/v6.0/collect".to_owned() });
    let keys = "pace = 'reject'\nuser_message = 'field'\nclosed_versions = ['v5.1', 'v7']";
    let Settings { pace, user_message, closed } = rules(preset("bankid-test", keys)).unwrap();
    assert_eq!((pace, user_message), (Pace::Reject, UserMessage::Field));
    assert_eq!(closed.iter().map(ClosedVersion::name).collect::<Vec<_>>(), ["v5.1", "v7"]);
    assert_eq!(rules(preset("bankid-test", "closed_versions = []")).unwrap().closed, []);
}

#[test]
fn given_upstreams_with_an_identity_when_read_then_each_has_its_upstreams_name() {
    let upstream = |path: &str, url: &str, keys: &str| {
        format!("[[site.route]]\npath = '{path}'\nupstream = {{ url = '{url}', trust_anchors = 'r.pem', {keys} }}\n")
    };
    let config = sound(
        &[
            "acme = { agree_tos = true }\n[[site]]\ndomain = 'a.example.com'\nupstream = 'http://127.0.0.1:1'\n"
                .to_owned(),
            upstream("/a/", "https://10.0.0.1", "identity = { pkcs12 = 'rp.p12', password_file = 'rp.pass' }"),
            upstream("/b/", "https://10.0.0.1", "identity = { pkcs12 = 'rp.p12', password_file = 'rp.pass' }"),
            upstream("/c/", "https://10.0.0.1", "identity = { pkcs12 = 'c.p12' }, next = { pkcs12 = 'd.p12' }"),
            upstream("/d/", "https://10.0.0.1", "connect_timeout = '9s'"),
        ]
        .concat(),
    );
    let of = |upstream: &crate::upstream::Settings| {
        let tls = upstream.peers[0].tls.as_ref();
        (upstream.name.clone(), tls.and_then(|tls| tls.identity.clone()))
    };
    let shown: Vec<_> = config.upstreams.iter().map(of).collect();
    let named = |name: &str| (name.to_owned(), Some(name.to_owned()));
    let nobody = |name: &str| (name.to_owned(), None);
    let expected = [nobody("127.0.0.1:1"), named("10.0.0.1:443"), named("10.0.0.1:443#2"), nobody("10.0.0.1:443#3")];
    assert_eq!(shown, expected);
    let identities: Vec<_> = config.client_identities.iter().map(|own| (&*own.name, own.next.is_some())).collect();
    assert_eq!(identities, [("10.0.0.1:443", false), ("10.0.0.1:443#2", true)]);
    assert_eq!(config.client_identities[0].files, pkcs12("rp"));
}
