//! What we hand out is exercised, and what we promise is shown: each file of `deploy/` by a test that opens it, each party of
//! `SECURITY.md` by tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where files of `deploy/` lie, the test of each, and the words by which it opens them.
const DEPLOYED: [(&str, &str, &str); 22] = [
    ("container/Dockerfile", "runs_in_a_container", "deploy(\"container/Dockerfile\")"),
    ("container/portvakt.toml", "runs_in_a_container", "deploy(\"container/portvakt.toml\")"),
    ("container/rootfs", "runs_in_a_container", "Podman"),
    ("container/sbom", "runs_in_a_container", "deploy(\"container/sbom\")"),
    ("debian/build", "installs_as_a_debian_package", "deploy(\"debian/build\")"),
    ("debian/postinst", "installs_as_a_debian_package", "\"-i\""),
    ("debian/prerm", "installs_as_a_debian_package", "\"--remove\""),
    ("debian/postrm", "installs_as_a_debian_package", "\"--purge\""),
    ("grafana/", "prometheus_is_told_what_it_asks", "deploy(\"grafana/portvakt.json\")"),
    ("guides/from-", "migrates_from_others", "guides/{guide}"),
    ("guides/flowfact.", "guides_lead_to_trust", "flowfact"),
    ("guides/rco-m5.", "guides_lead_to_trust", "rco-m5"),
    ("helm/portvakt/", "deploys_on_kubernetes", "deploy(\"helm/portvakt\")"),
    ("kubernetes/README.md", "deploys_on_kubernetes", "deploy(\"kubernetes/README.md\")"),
    ("kubernetes/base/", "deploys_on_kubernetes", "deploy(\"kubernetes/base\")"),
    ("kubernetes/overlays/", "deploys_on_kubernetes", "deploy(\"kubernetes/overlays\")"),
    ("notify/", "notifies_people", "deploy/notify/message.schema.json"),
    ("portvakt.service.d/", "runs_sandboxed_under_systemd", "deploy(\"portvakt.service.d/credentials.conf\")"),
    ("portvakt.service", "runs_sandboxed_under_systemd", "deploy(\"portvakt.service\")"),
    ("portvakt.socket", "tells_its_supervisor", "portvakt.socket"),
    ("prometheus/", "alerts_fire_in_time", "deploy/prometheus"),
    ("runbooks/", "runbooks_match_alerts", "texts_in(\"runbooks\")"),
];

#[test]
fn given_each_file_that_is_handed_out_then_a_test_opens_it() {
    let files = below("deploy");
    assert!(files.len() > 80, "{files:?}");
    for (place, test, words) in DEPLOYED {
        assert!(files.iter().any(|file| file.starts_with(place)), "{place} is gone");
        let text = fs::read_to_string(format!("tests/e2e/{test}.rs")).unwrap_or_else(|_| panic!("{test} is gone"));
        assert!(text.contains(words), "{test} opens no {place}: `{words}`");
    }
    let untested: Vec<_> =
        files.iter().filter(|file| !DEPLOYED.iter().any(|(place, ..)| file.starts_with(place))).collect();
    assert!(untested.is_empty(), "no test opens {untested:?}");
}

#[test]
fn given_each_party_of_the_threat_model_then_the_tests_that_are_named_for_it_exist() {
    let text = fs::read_to_string("SECURITY.md").unwrap();
    let (model, rest) = text.split_once("\n### What shows it\n").expect("the table of tests");
    let (table, _) = rest.split_once("\n### ").expect("another part behind it");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(party, _)| !["who", "---"].contains(party))
        .collect();
    let (_, parties) = model.split_once("### Where trust ends").expect("the threat model");
    let parties = parties.split("\n**").skip(1).filter_map(|part| part.split("**").next());
    let parties: BTreeSet<_> =
        parties.map(|party| party.replace('\n', " ").trim_end_matches([',', '.']).to_owned()).collect();
    assert!(parties.len() > 8, "{parties:?}");

    assert_eq!(rows.iter().map(|(party, _)| (*party).to_owned()).collect::<BTreeSet<_>>(), parties);
    for (party, tests) in rows {
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || tests.is_empty() && party.starts_with("Who may write"), "{party}: no test");
        for test in tests {
            assert!(Path::new(&format!("tests/e2e/{test}.rs")).is_file(), "{party}: there is no test {test}");
        }
    }
}

/// Every file below a folder, by its path from there.
fn below(folder: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![Path::new(folder).to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false => found.push(entry.strip_prefix(folder).unwrap().to_string_lossy().into_owned()),
            }
        }
    }
    found
}
