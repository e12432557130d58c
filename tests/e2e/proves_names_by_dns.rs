//! Names are proven by a text in DNS, wildcards among them: by RFC 2136, by acme-dns, by a program of the operator's. The
//! CA is told when every name server has the text, and no text stays.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::support::acme_dns::AcmeDns;
use crate::support::bind::{Key, Zone};
use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::pebble::Settings;
use crate::support::programs::write_program;
use crate::support::{Bind, Curl, Echo, Home, Pebble, eventually};

const AN_ORDER: Duration = Duration::from_secs(90);
const ASKED: &str = "_acme-challenge.example.test";
const PERSISTENT: &str = "_validation-persist.example.test";

#[test]
fn given_a_wildcard_and_its_base_when_proven_by_rfc_2136_then_one_certificate_and_no_text_left() {
    for algorithm in ["hmac-sha256", "hmac-sha512"] {
        let scene = Scene::with_key(algorithm);
        let sites = scene.sites(&["example.test", "*.example.test"]);
        scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136(), &sites);
        let _portvakt = scene.home.start();

        scene.home.wait_certificate("example.test", "issued", AN_ORDER);

        scene.assert_served("example.test");
        scene.assert_served("any.example.test");
        scene.assert_clean(&scene.bind, ASKED);
        assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1), "{algorithm}");
    }
}

#[test]
fn given_no_choice_of_challenges_when_ordered_then_only_the_wildcard_needs_dns() {
    let scene = Scene::new();
    scene.configure("", &scene.rfc2136(), &scene.sites(&["example.test", "*.example.test"]));
    let portvakt = scene.home.start();

    scene.home.wait_certificate("example.test", "issued", AN_ORDER);

    scene.assert_served("any.example.test");
    let added = portvakt.child.lines().iter().filter(|line| line.contains("text removed")).count();
    assert_eq!(added, 1, "one of two names was proven by a text");
}

#[test]
fn given_an_alias_into_another_zone_when_proven_then_the_text_comes_and_goes_there() {
    let key = Key::new("delegated", "hmac-sha384");
    let zones = [
        Zone::new(
            "example.test",
            "@ IN A 127.0.0.1\n_acme-challenge IN CNAME step\nstep IN CNAME example.validation.test.\n",
        ),
        Zone::new("validation.test", "").changed_by(&key),
        Zone::root(),
    ];
    let bind = Bind::start(std::slice::from_ref(&key), &zones);
    let scene = Scene::around(bind, key, |_| {});
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136(), &scene.sites(&["example.test"]));
    let _portvakt = scene.home.start();

    scene.home.wait_certificate("example.test", "issued", AN_ORDER);

    scene.assert_clean(&scene.bind, "example.validation.test");
    assert!(scene.bind.lines().iter().any(|line| line.contains("updating zone 'validation.test/IN'")));
}

#[test]
fn given_a_wrong_secret_when_proven_then_the_log_says_so_and_how_to_mend_it() {
    let scene = Scene::new();
    fs::write(scene.home.path().join("tsig.key"), Key::new("update", "hmac-sha256").file()).unwrap();
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136(), &scene.sites(&["example.test"]));
    let portvakt = scene.home.start();

    let line = portvakt.child.wait_line("why the order failed", |line| line.contains("no proof over DNS"));

    assert!(line.contains("the secret of the TSIG key `update` is not the one that the name server"), "{line}");
    assert!(line.contains("acme.dns.tsig.secret_file"), "{line}");
    assert!(!portvakt.child.lines().iter().any(|line| line.contains("stays in DNS")), "nothing was added");
    assert_eq!(scene.bind.texts(ASKED), [] as [String; 0]);
}

#[test]
fn given_a_key_that_may_not_change_the_zone_when_proven_then_the_log_says_so() {
    let (key, other) = (Key::new("update", "hmac-sha256"), Key::new("other", "hmac-sha256"));
    let zones = [Zone::new("example.test", "@ IN A 127.0.0.1\n").changed_by(&other)];
    let scene = Scene::around(Bind::start(&[key.clone(), other], &zones), key, |_| {});
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136(), &scene.sites(&["example.test"]));
    let portvakt = scene.home.start();

    let line = portvakt.child.wait_line("why the order failed", |line| line.contains("no proof over DNS"));

    assert!(line.contains("does not let the TSIG key `update` change `example.test`"), "{line}");
    assert!(line.contains("update-policy"), "{line}");
}

#[test]
fn given_a_secondary_that_lags_when_proven_then_the_ca_is_told_when_it_has_the_text() {
    let primary = Scene::new();
    let mut secondary = Bind::start(&[], &[Zone::copied("example.test", primary.bind.address(), false)]);
    secondary.wait_copied("example.test");
    // The CA asks nobody but the secondary.
    let scene = primary.asking(secondary.address());
    let both = [scene.bind.address(), secondary.address()];
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136_seen_at(&both), &scene.sites(&["example.test"]));
    let portvakt = scene.home.start();
    portvakt.child.wait_line("who is waited for", |line| {
        line.contains("waiting until the text is at all name servers")
            && line.contains(&secondary.address().to_string())
    });

    // It copies the zone when it starts.
    secondary.stop();
    secondary.go();

    scene.home.wait_certificate("example.test", "issued", AN_ORDER);
    assert_eq!(scene.pebble.orders(), 1);
}

#[test]
fn given_a_secondary_that_never_has_the_text_when_proven_then_the_log_names_it_and_the_text_is_removed() {
    let scene = Scene::new();
    let secondary = Bind::start(&[], &[Zone::copied("example.test", scene.bind.address(), false)]);
    secondary.wait_copied("example.test");
    let both = [scene.bind.address(), secondary.address()];
    let provider = format!("{}propagation_timeout = \"2s\"\n", scene.rfc2136_seen_at(&both));
    scene.configure("challenges = [\"dns-01\"]\n", &provider, &scene.sites(&["example.test"]));
    let portvakt = scene.home.start();

    let line =
        portvakt.child.wait_line("which server lacks it", |line| line.contains("is not at all of its name servers"));

    assert!(line.contains(&format!("({}) does not have it", secondary.address())), "{line}");
    assert!(!line.contains(&format!("({}) does not have it", scene.bind.address())), "{line}");
    scene.assert_clean(&scene.bind, ASKED);
    assert!(!scene.pebble.lines().iter().any(|line| line.contains("Pulled a task")), "the CA was not asked to look");
}

#[test]
fn given_a_program_when_proven_then_it_adds_and_removes_the_text() {
    let scene = Scene::new();
    let hook = scene.home.path().join("hook");
    let script = format!(
        "#!/bin/sh\nset -e\necho \"$1 $2\" >>calls\ncase $1 in present) verb=add ;; cleanup) verb=delete ;; esac\n\
         printf 'server 127.0.0.1 %s\\nupdate %s %s 1 TXT \"%s\"\\nsend\\n' {port} $verb \"$2\" \"$3\" |\n\
         nsupdate -k '{key}' >&2\n",
        port = scene.bind.address().port(),
        key = scene.home.path().join("tsig.key").display()
    );
    write_program(&hook, &script);
    let provider = format!("provider = \"exec\"\ncommand = [\"./hook\"]\n{}", servers(&[scene.bind.address()]));
    scene.configure("challenges = [\"dns-01\"]\n", &provider, &scene.sites(&["example.test", "*.example.test"]));
    let _portvakt = scene.home.start();

    scene.home.wait_certificate("example.test", "issued", AN_ORDER);

    scene.assert_clean(&scene.bind, ASKED);
    let calls = fs::read_to_string(scene.home.path().join("calls")).unwrap();
    let expected = [format!("present {ASKED}"), format!("cleanup {ASKED}")].map(|call| format!("{call}\n").repeat(2));
    assert_eq!(calls, expected.concat());
}

#[test]
fn given_a_program_that_fails_when_proven_then_the_log_has_its_last_words() {
    let scene = Scene::new();
    let provider = format!(
        "provider = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"echo no credentials >&2; exit 4\"]\n{}",
        servers(&[scene.bind.address()])
    );
    scene.configure("challenges = [\"dns-01\"]\n", &provider, &scene.sites(&["example.test"]));
    let portvakt = scene.home.start();

    let line = portvakt.child.wait_line("its last words", |line| line.contains("no credentials"));

    assert!(line.contains("ended with exit code 4"), "{line}");
}

#[test]
fn given_acme_dns_when_first_asked_then_registers_and_says_which_alias_is_missing() {
    let scene = Scene::new();
    let server = AcmeDns::start(&scene.bind, &scene.key, "example.test");
    let provider = scene.acme_dns(&server);
    scene.configure("challenges = [\"dns-01\"]\n", &provider, &scene.sites(&["example.test"]));
    let portvakt = scene.home.start();

    let line = portvakt.child.wait_line("the missing alias", |line| line.contains("IN CNAME"));

    let file = scene.home.path().join("acme-dns.json");
    let accounts: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let target = accounts["example.test"]["fulldomain"].as_str().unwrap();
    assert!(line.contains(&format!("`{ASKED}. IN CNAME {target}.`")), "{line}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!line.contains(accounts["example.test"]["password"].as_str().unwrap()));
}

#[test]
fn given_acme_dns_and_the_alias_when_proven_then_issued_with_the_kept_account() {
    let scene = Scene::new();
    let server = AcmeDns::start(&scene.bind, &scene.key, "example.test");
    let account = server.register();
    scene.bind.nsupdate(&scene.key, &format!("update add {ASKED} 1 CNAME {}", account["fulldomain"].as_str().unwrap()));
    let accounts = serde_json::json!({ "example.test": account });
    fs::write(scene.home.path().join("acme-dns.json"), accounts.to_string()).unwrap();
    let provider = scene.acme_dns(&server);
    scene.configure("challenges = [\"dns-01\"]\n", &provider, &scene.sites(&["example.test", "*.example.test"]));
    let _portvakt = scene.home.start();

    scene.home.wait_certificate("example.test", "issued", AN_ORDER);

    scene.assert_served("any.example.test");
}

#[test]
fn given_a_text_that_stays_when_it_is_missing_then_told_and_when_published_then_issued() {
    let scene = Scene::new();
    scene.persist(&["example.test", "*.example.test"]);
    let portvakt = scene.home.start();

    let line = portvakt.child.wait_line("what to publish", |line| line.contains("no proof over DNS"));
    assert!(line.contains("has no such text") && line.contains(&scene.bind.address().to_string()), "{line}");
    assert!(line.contains("_validation-persist.example.test. IN TXT "), "{line}");
    assert!(!scene.pebble.lines().iter().any(|line| line.contains("Pulled a task")), "the CA was not asked to look");

    let told = scene.records(&["example.test"]);
    assert_eq!(told.len(), 1, "one for the name and its wildcard: {told:?}");
    assert_eq!((told[0]["site"].as_str(), told[0]["is_used"].as_bool()), (Some("example.test"), Some(true)));
    assert_eq!(told[0]["published"]["state"], "no");
    let value = told[0]["value"].as_str().unwrap();
    assert!(value.starts_with("pebble.letsencrypt.org; accounturi=https://127.0.0.1:"), "{value}");
    assert!(line.contains(value), "the log tells the same: {line}");
    scene.publish(value);
    assert_eq!(scene.records(&[])[0]["published"]["state"], "yes");
    scene.renew("example.test");

    scene.home.wait_certificate("example.test", "issued", AN_ORDER);
    scene.assert_served("example.test");
    scene.assert_served("any.example.test");
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1));
    assert_eq!(scene.bind.texts(PERSISTENT), [value], "it stays");
}

#[test]
fn given_a_text_for_another_account_or_without_wildcards_when_proven_then_told_which_and_the_ca_is_not_asked() {
    let scene = Scene::new();
    scene.persist(&["*.example.test"]);
    let own = scene.records(&[])[0]["value"].as_str().unwrap().to_owned();
    assert_eq!(scene.pebble.accounts(), 1, "a record names an account, so there is one");
    scene.publish("pebble.letsencrypt.org; accounturi=https://127.0.0.1/another; policy=wildcard");
    let portvakt = scene.home.start();

    let line = portvakt.child.wait_line("whose it is", |line| line.contains("lets another account order"));
    assert!(line.contains("accounturi=https://127.0.0.1/another"), "{line}");
    scene.publish(own.strip_suffix("; policy=wildcard").unwrap());
    scene.renew("*.example.test");
    portvakt.child.wait_line("what lacks", |line| line.contains("`policy=wildcard` is missing"));
    assert!(!scene.pebble.lines().iter().any(|line| line.contains("Pulled a task")), "the CA was not asked to look");

    scene.publish(&own);
    scene.renew("*.example.test");
    scene.home.wait_certificate("*.example.test", "issued", AN_ORDER);
    scene.assert_served("any.example.test");
}

#[test]
fn given_a_kill_while_the_text_stands_when_started_again_then_issued_and_no_text_left() {
    let scene = Scene::new();
    let secondary = Bind::start(&[], &[Zone::copied("example.test", scene.bind.address(), false)]);
    secondary.wait_copied("example.test");
    let both = [scene.bind.address(), secondary.address()];
    let sites = scene.sites(&["example.test"]);
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136_seen_at(&both), &sites);
    let mut portvakt = scene.home.start();
    let before = eventually("the text stands", PATIENCE, || scene.bind.texts(ASKED).pop());

    portvakt.child.kill();
    assert_eq!(scene.bind.texts(ASKED), [before]);
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136(), &sites);
    let _portvakt = scene.home.start();
    scene.home.wait_certificate("example.test", "issued", AN_ORDER);

    scene.assert_clean(&scene.bind, ASKED);
    assert!(!scene.home.state().join("certs/example.test/dns.json").exists());
    assert_eq!((scene.pebble.accounts(), scene.pebble.orders()), (1, 1));
}

#[test]
#[ignore = "long: lives through several lives of a certificate"]
fn given_short_lives_when_time_passes_then_each_renewal_proves_the_name_anew() {
    let key = Key::new("update", "hmac-sha256");
    let scene = Scene::around(zone_changed_by(&key), key, |settings| settings.validity = 60);
    scene.configure("challenges = [\"dns-01\"]\n", &scene.rfc2136(), &scene.sites(&["*.example.test"]));
    let _portvakt = scene.home.start();
    let not_after =
        || scene.home.metrics().sum("portvakt_certificate_not_after_timestamp_seconds", &[("cert", "*.example.test")]);
    scene.home.wait_certificate("*.example.test", "issued", AN_ORDER);

    for _ in 0..2 {
        let before = not_after();
        eventually("it is renewed", Duration::from_secs(240), || (not_after() > before).then_some(()));
        scene.assert_served("any.example.test");
    }

    scene.assert_clean(&scene.bind, ASKED);
}

/// A zone, and a name server for it that takes changes; a CA that asks it; and portvakt, not started.
struct Scene {
    home: Home,
    bind: Bind,
    key: Key,
    pebble: Pebble,
    echo: Echo,
}

impl Scene {
    fn new() -> Self {
        Self::with_key("hmac-sha256")
    }

    fn with_key(algorithm: &'static str) -> Self {
        let key = Key::new("update", algorithm);
        Self::around(zone_changed_by(&key), key, |_| {})
    }

    fn around(bind: Bind, key: Key, adjust: fn(&mut Settings)) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        fs::write(home.path().join("tsig.key"), key.file()).expect("the key is written");
        let mut settings = Settings::on(home.http, home.https);
        settings.name_server = Some(bind.address());
        adjust(&mut settings);
        Self { pebble: Pebble::start(settings), home, bind, key, echo }
    }

    /// The same, with a CA that asks another name server.
    fn asking(self, name_server: SocketAddr) -> Self {
        let mut settings = Settings::on(self.home.http, self.home.https);
        settings.name_server = Some(name_server);
        Self { pebble: Pebble::start(settings), ..self }
    }

    fn configure(&self, acme: &str, provider: &str, sites: &str) {
        let tables = format!("{}{acme}[acme.dns]\n{provider}{sites}", self.pebble.acme_section());
        self.home.configure("", &tables);
    }

    fn sites(&self, domains: &[&str]) -> String {
        format!("[[site]]\ndomains = {domains:?}\nupstream = \"{}\"\n", self.echo.url())
    }

    fn rfc2136(&self) -> String {
        self.rfc2136_seen_at(&[self.bind.address()])
    }

    fn rfc2136_seen_at(&self, nameservers: &[SocketAddr]) -> String {
        let server = self.bind.address();
        let Key { name, algorithm, .. } = self.key;
        let tsig = format!("{{ name = \"{name}\", algorithm = \"{algorithm}\", secret_file = \"tsig.key\" }}");
        format!(
            "provider = \"rfc2136\"\nserver = \"{server}\"\ntsig = {tsig}\nresolvers = [\"{server}\"]\nnameservers = {:?}\n",
            nameservers.iter().map(ToString::to_string).collect::<Vec<_>>()
        )
    }

    fn acme_dns(&self, server: &AcmeDns) -> String {
        let servers = servers(&[self.bind.address()]);
        format!("provider = \"acme-dns\"\nurl = \"{}\"\naccount_file = \"acme-dns.json\"\n{servers}", server.url())
    }

    /// dns-persist-01 alone, and nobody who changes DNS.
    fn persist(&self, domains: &[&str]) {
        let asked = servers(&[self.bind.address()]);
        self.configure("challenges = [\"dns-persist-01\"]\n", &asked, &self.sites(domains));
    }

    /// What `portvakt acme dns-record` tells.
    fn records(&self, which: &[&str]) -> Vec<serde_json::Value> {
        let arguments = [&["acme", "dns-record", "--json", "--config", "portvakt.toml"], which].concat();
        let output = run(self.home.path(), &arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Puts this text in the place of those before.
    fn publish(&self, value: &str) {
        let lines = format!("update delete {PERSISTENT} TXT\nupdate add {PERSISTENT} 1 TXT \"{value}\"");
        self.bind.nsupdate(&self.key, &lines);
    }

    /// What comes of it is seen in the log.
    fn renew(&self, name: &str) {
        run(self.home.path(), &["cert", "renew", name, "--config", "portvakt.toml"]);
    }

    fn assert_served(&self, name: &str) {
        let url = format!("https://{name}:{}/", self.home.https);
        let curl = Curl::new().resolve(name, self.home.https).cacert(&self.pebble.issued_root());
        assert_eq!(curl.get(&url).status, 200, "{name}");
    }

    fn assert_clean(&self, bind: &Bind, name: &str) {
        eventually("no text stays", PATIENCE, || bind.texts(name).is_empty().then_some(()));
        let noted: Vec<_> = files_below(&self.home.state().join("certs"), "dns.json");
        assert_eq!(noted, [] as [String; 0], "no note stays");
    }
}

fn zone_changed_by(key: &Key) -> Bind {
    Bind::start(std::slice::from_ref(key), &[Zone::new("example.test", "@ IN A 127.0.0.1\n").changed_by(key)])
}

/// Where aliases and zones are looked up, and where texts must be seen.
fn servers(servers: &[SocketAddr]) -> String {
    let list: Vec<_> = servers.iter().map(ToString::to_string).collect();
    format!("resolvers = {list:?}\nnameservers = {list:?}\n")
}

fn files_below(folder: &Path, name: &str) -> Vec<String> {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    folders
        .map(|entry| entry.path().join(name))
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect()
}
