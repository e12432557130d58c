//! What is shown of a configuration is a configuration that means the same, and each value says where it comes from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portvakt::config::{Code, Config, Loaded, Purpose, from_text_on, load_on};

use crate::files::make_files;
use crate::machine::FixedMachine;

const MACHINE: FixedMachine =
    FixedMachine { is_root: false, is_homeless: false, is_landless: false, is_confined: false, is_volatile: false };

#[test]
fn given_any_good_configuration_when_shown_and_read_again_then_the_same_settings() {
    let files = tempfile::tempdir().unwrap();
    make_files(files.path());
    let read = |name: &str, text: &str, base: &Path| {
        from_text_on(name, text, base, Purpose::Run, &MACHINE)
            .unwrap_or_else(|problems| panic!("{name}\n{problems}\n{text}"))
    };
    let mut shown_well = 0;
    for (name, text) in good() {
        let loaded = match from_text_on(&name, &text, files.path(), Purpose::Run, &MACHINE) {
            Ok(loaded) => loaded,
            // It names files of a customer.
            Err(problems) if problems.iter().all(|problem| problem.code == Code::Unreadable) => continue,
            Err(problems) => panic!("{name}\n{problems}"),
        };
        let shown = loaded.effective().to_toml();
        // Shown paths are whole, so it may lie anywhere.
        let again = read(&format!("{name}, shown"), &shown, Path::new("/elsewhere"));
        assert_eq!(settings(&loaded), settings(&again), "{name}\n{shown}");
        assert_eq!(keys(&loaded), keys(&again), "{name}: shown twice");
        let written = loaded.written().to_toml();
        let again = read(&format!("{name}, written"), &written, files.path());
        assert_eq!(settings(&loaded), settings(&again), "{name}\n{written}");
        shown_well += 1;
    }
    assert!(shown_well > Code::ALL.len(), "only {shown_well} were shown");
}

#[test]
fn given_the_shortest_sample_when_shown_then_every_key_of_the_full_one_is_there() {
    let load = |name: &str| load_on(&Path::new("config").join(name), Purpose::CheckOffline, &MACHINE).unwrap();
    let full: BTreeSet<_> = load("portvakt.toml").written().settings("").into_iter().map(|(key, _)| key).collect();
    let short = keys(&load("minimal.toml"));
    let forgotten: Vec<_> = full.difference(&short).collect();
    assert!(forgotten.is_empty(), "src/config/show.rs does not show {forgotten:?}");
}

#[test]
fn given_files_defaults_and_the_environment_when_shown_then_each_value_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portvakt.toml");
    fs::write(
        &file,
        "acme = { agree_tos = true }\n[[site]]\ndomain = \"app.example.com\"\nupstream = \"http://${APP_HOST}:8080\"\n",
    )
    .unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    let fragment = "drain = \"9s\"\n\n[[site]]\ndomain = \"b.example.com\"\nupstream = { url = \"unix:app.sock\" }\n";
    fs::write(folder.path().join("conf.d/10-b.toml"), fragment).unwrap();

    let loaded = load_on(&file, Purpose::Run, &MACHINE).unwrap();
    let shown = loaded.effective();

    let (folder, name) = (folder.path().display().to_string(), file.display().to_string());
    for (key, toml, origin) in [
        ("acme.agree_tos", "true", format!("{name}:1")),
        ("acme.key_type", "\"p256\"", "default".to_owned()),
        ("drain", "\"9s\"", format!("{folder}/conf.d/10-b.toml:1")),
        ("state_dir", "\"/home/operator/.local/state/portvakt\"", "environment variable HOME".to_owned()),
        ("control", "\"/home/operator/.local/state/portvakt/control.sock\"", "default: in `state_dir`".to_owned()),
        ("listen.public_https_port", "443", "default: the port of `https`".to_owned()),
        ("site[0].name", "\"app.example.com\"", "default: the first domain".to_owned()),
        ("site[0].upstream.url", "\"http://${APP_HOST}:8080\"", format!("{name}:4, with an environment variable")),
        ("site[0].upstream.name", "\"127.0.0.1:8080\"", "default: host:port".to_owned()),
        ("site[1].upstream.url", &format!("\"unix:{folder}/app.sock\""), format!("{folder}/conf.d/10-b.toml:5")),
        ("site[1].https.mode", "\"temporary\"", "default".to_owned()),
    ] {
        let all = shown.settings(key);
        let [(_, setting)] = &all[..] else { panic!("{key} is shown {} times\n{}", all.len(), shown.to_toml()) };
        assert_eq!((setting.toml, setting.origin.to_string()), (toml, origin), "{key}");
    }
    assert_eq!(shown.origin("site[1]").unwrap().to_string(), format!("{folder}/conf.d/10-b.toml:3"));
    let json = shown.to_json();
    let settings = json["settings"].as_array().unwrap();
    let drain = settings.iter().find(|setting| setting["key"] == "drain").unwrap();
    assert_eq!(
        (drain["value"].as_str(), drain["kind"].as_str(), drain["line"].as_u64()),
        (Some("9s"), Some("file"), Some(1))
    );
    let url = settings.iter().find(|setting| setting["key"] == "site[0].upstream.url").unwrap();
    assert_eq!(url["value"], "http://${APP_HOST}:8080", "what a variable holds is not shown");
}

#[test]
fn given_a_way_to_change_dns_when_shown_then_with_the_defaults_of_its_provider() {
    let table = [
        ("provider = \"rfc2136\"\nserver = \"192.0.2.53\"\n", &["propagation_timeout", "ttl"][..]),
        ("provider = \"exec\"\ncommand = [\"/bin/true\"]\n", &["propagation_timeout", "timeout"]),
        ("provider = \"rfc2136\"\nserver = \"192.0.2.53\"\nttl = 5\n", &["propagation_timeout"]),
    ];
    for (dns, expected) in table {
        let text = format!(
            "[acme]\nagree_tos = true\n[acme.dns]\n{dns}[[site]]\ndomain = \"*.example.com\"\nupstream = \"http://127.0.0.1:1\"\n"
        );
        let loaded = from_text_on("portvakt.toml", &text, Path::new("/"), Purpose::CheckOffline, &MACHINE).unwrap();
        let shown = loaded.effective();
        let all = shown.settings("acme.dns");
        let defaults = all.iter().filter(|(_, setting)| setting.origin.to_string() == "default");
        let keys: Vec<_> = defaults.map(|(key, _)| key.trim_start_matches("acme.dns.")).collect();
        assert_eq!(keys, expected, "{dns}{}", shown.to_toml());
    }
}

/// Everything but which files were read.
fn settings(loaded: &Loaded) -> Config {
    Config { files: Vec::new(), ..loaded.config.clone() }
}

fn keys(loaded: &Loaded) -> BTreeSet<String> {
    loaded.effective().settings("").into_iter().map(|(key, _)| key).collect()
}

/// The samples, the right examples of the pages, and rare forms.
fn good() -> Vec<(String, String)> {
    let samples = fs::read_dir("config").unwrap().map(|entry| entry.unwrap().path());
    let shape = PathBuf::from("tests/data/shape.toml");
    let files = samples.chain([shape]).map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()));
    let pages = Code::ALL.iter().map(|code| (code.to_string(), code.page().right().to_owned()));
    files.chain(pages).chain([("rare forms".to_owned(), RARE.to_owned())]).collect()
}

const RARE: &str = r#"
state_dir = 'relative'
trusted_proxies = "10.0.0.0/8"
[acme]
agree_tos = true
directory = "https://ca.example.com/a$${b"
trust_anchors = ["root.pem", "chain.pem"]
[[site]]
domains = ["*.example.com", "App.Example.com"]
certificate = "internal"
upstream = "unix:app.sock"
https = { rest = "redirect", paths = { "/a b/" = "reject", "/c\"d/" = "redirect" } }
[[site]]
domain = "b.example.com"
hsts = true
upstream = { url = "https://127.0.0.1:8443", trust_anchors = "root.pem" }
https.mode = "permanent"
[[site.route]]
path = "/API"
upstream = "http://127.0.0.1:1"
[[site.route]]
path = "/same/"
upstream = { url = "http://127.0.0.1:1", idle_timeout = "1s" }
[[site]]
domain = "c.example.com"
upstream = """http://\
127.0.0.1:1"""
[[site]]
domain = "d.example.com"
route = [{ path = "/", upstream = "http://127.0.0.1:1", name = "d" }]
"#;
