//! The samples in `config/` are complete, load without a problem, and tell the truth about defaults.

use std::fs;
use std::path::{Path, PathBuf};

use portvakt::config::{Code, Config, Purpose, diff, from_text_on, load_on};
use portvakt::egress::bankid::Pace;
use portvakt::route::{Mode, PlainPolicy};
use portvakt::source;
use portvakt::upstream::{Address, Trust};

use crate::machine::FixedMachine;

const MACHINE: FixedMachine =
    FixedMachine { is_root: true, is_homeless: false, is_landless: false, is_confined: false, is_volatile: false };

/// A file that `main.rs` does not name is not compiled, and looks like a test all the same.
#[test]
fn given_each_file_with_tests_then_it_is_compiled() {
    for folder in ["tests/e2e", "tests/integration"] {
        let main = fs::read_to_string(Path::new(folder).join("main.rs")).unwrap();
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let names = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
        let names: Vec<_> = names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        assert!(names.len() > 10, "{names:?}");
        let left_out: Vec<_> =
            names.iter().filter(|name| *name != "main" && !main.contains(&format!("mod {name};"))).collect();
        assert!(left_out.is_empty(), "{folder}/main.rs does not name {left_out:?}");
    }
}

#[test]
fn given_any_sample_when_loaded_then_no_problem_at_all() {
    let samples = samples();
    assert!(samples.len() >= 5, "{samples:?}");
    for sample in samples {
        let loaded = load_on(&sample, Purpose::CheckOffline, &MACHINE).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

#[test]
fn given_the_full_sample_when_compared_with_the_shortest_then_nothing_differs() {
    let changes = diff(&load("minimal.toml"), &load("portvakt.toml"));
    assert!(changes.is_empty(), "portvakt.toml is wrong about defaults: {changes:?}");
}

#[test]
fn given_the_full_sample_when_its_examples_are_put_in_then_every_key_is_known() {
    let text = fs::read_to_string("config/portvakt.toml").unwrap();
    let text: String = text.lines().map(|line| format!("{}\n", example(line).unwrap_or(line))).collect();
    let problems = match from_text_on("portvakt.toml", &text, Path::new("config"), Purpose::CheckOffline, &MACHINE) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    let shape = [Code::Syntax, Code::UnknownKey, Code::WrongType, Code::DuplicateKey];
    let wrong: Vec<_> = problems.iter().filter(|problem| shape.contains(&problem.code)).collect();
    assert!(wrong.is_empty(), "{problems}");
    assert!(!problems.is_empty(), "no example was put in");
}

#[test]
fn given_the_shortest_sample_when_counted_then_four_lines() {
    assert_eq!(fs::read_to_string("config/minimal.toml").unwrap().lines().count(), 4);
}

#[test]
fn given_the_rco_sample_when_loaded_then_only_the_api_needs_https() {
    let config = load("rco-m5.toml");
    let https = &config.route.sites[0].https;
    let paths: Vec<_> = https.paths.iter().map(|(path, policy)| (path.as_str(), *policy)).collect();
    assert_eq!((https.mode, https.rest), (Mode::Permanent, PlainPolicy::Allow));
    assert_eq!(paths, [("/m5userapi/", PlainPolicy::Reject)]);
    assert!(matches!(config.upstreams[0].peers[0].tls.as_ref().unwrap().trust, Trust::Pinned { .. }));
}

#[test]
fn given_the_legacy_sample_when_loaded_then_the_longest_route_comes_first() {
    let config = load("legacy-https.toml");
    let site = &config.route.sites[0];
    let paths: Vec<_> = site.routes.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/reports/", "/archive/", "/chat/", "/"]);
    assert!(matches!(&config.upstreams[site.routes[2].upstream].peers[0].address, Address::Unix(_)));
    let old = config.upstreams[site.routes[1].upstream].peers[0].tls.as_ref().unwrap();
    assert_eq!(old.trust, Trust::FirstUse);
    assert!(matches!(&config.certificates[0].source, source::Settings::Files(_)));
    let named = |name: &str| config.files.iter().any(|file| file.is_absolute() && file.ends_with(name));
    for name in ["config/legacy-https.toml", "config/conf.d", "config/wildcard-key.pem", "config/company-root.pem"] {
        assert!(named(name), "{name} is not watched: {:?}", config.files);
    }
}

#[test]
fn given_the_bankid_sample_when_loaded_then_bankids_host_root_and_rules_and_nothing_else_listens() {
    let config = load("bankid.toml");
    let [egress] = &config.egress[..] else { panic!("one egress") };
    assert_eq!(egress.upstream.name, "bankid");
    assert_eq!(egress.upstream.host.as_deref(), Some("appapi2.bankid.com"));
    assert!(matches!(egress.upstream.peers[0].tls.as_ref().unwrap().trust, Trust::Anchors(_)));
    assert_eq!(egress.settings.rules.as_ref().map(|rules| rules.pace), Some(Pace::Hold));
    assert!(config.listen.http.is_empty() && config.listen.https.is_empty());
}

fn load(name: &str) -> Config {
    let file = Path::new("config").join(name);
    load_on(&file, Purpose::CheckOffline, &MACHINE).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn samples() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir("config").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// `# key = value`, `# [heading]` and `# [[heading]]` without the comment sign.
fn example(line: &str) -> Option<&str> {
    let bare = line.strip_prefix("# ")?;
    let key = bare.split_once(" =").map(|(key, _)| key.trim_end());
    let is_key = key.is_some_and(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    let is_heading = bare.starts_with("[[") || (bare.starts_with('[') && bare.ends_with(']') && !bare.contains(' '));
    (is_key || is_heading).then_some(bare)
}
