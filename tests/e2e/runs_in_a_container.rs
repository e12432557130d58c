//! The image has the program and what it loads, nothing else; it serves without root, without rights, and with a root file
//! system that nobody can write to; and its bill of materials leaves nothing out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::pebble::{Pebble, Settings};
use crate::support::podman::{IMAGE, deploy};
use crate::support::{Curl, Echo, Home, Podman, eventually};

/// The configuration is the one beside the Dockerfile; only what ties it to the world is changed.
#[test]
fn given_the_image_when_run_read_only_and_without_rights_then_it_obtains_a_certificate_and_serves() {
    let (podman, home, echo) = (Podman::new(), Home::new(), Echo::start());
    let pebble = Pebble::start(Settings::on(home.http, home.https));
    let etc = configure(&podman, &home, &pebble, echo.port());
    podman.build_portvakt();

    start(&podman, &etc);

    wait_issued(&podman);
    let answer = || {
        let curl = Curl::new().resolve("app.example.com", home.https).cacert(&pebble.issued_root());
        curl.get(&format!("https://app.example.com:{}/", home.https))
    };
    assert_eq!(answer().status, 200);
    podman.run(&["healthcheck", "run", NAME]);
    assert!(podman.run(&["exec", NAME, "portvakt", "cert", "list"]).contains("app.example.com  issued"));
    assert_nothing_is_allowed(&podman);
    assert_stuck_is_unhealthy(&podman);

    podman.run(&["stop", NAME]);
    assert_eq!(podman.run(&["inspect", NAME, "--format", "{{.State.ExitCode}}"]), "0");
    podman.run(&["rm", NAME]);
    start(&podman, &etc);
    wait_issued(&podman);
    assert_eq!(answer().status, 200);
    assert_eq!(pebble.issued(), 1, "the volume has kept the certificate");
}

#[test]
fn given_the_bill_of_materials_then_every_crate_and_every_library_of_the_image_is_in_it() {
    let (podman, dir) = (Podman::new(), TempDir::new().unwrap());
    let root = dir.path().join("image");
    podman.lay_out(&root);

    let bill = bill_of(&root);

    let ours = std::iter::once(&bill["metadata"]["component"]);
    let components: Vec<_> = ours.chain(bill["components"].as_array().unwrap()).collect();
    let listed: BTreeSet<_> = components.iter().map(|component| text(component, "purl").to_owned()).collect();
    let locked = locked_crates();
    assert!(locked.len() > 300 && locked.is_subset(&listed), "{:?}", locked.difference(&listed));
    for (name, scope) in [("rustls", "required"), ("tungstenite", "excluded"), ("libc6", "required")] {
        let component = components.iter().find(|component| component["name"] == name);
        assert_eq!(component.unwrap_or_else(|| panic!("{name} is missing"))["scope"], scope, "{name}");
    }
    for component in components.iter().filter(|component| component["scope"] == "required") {
        let is_licence_known = component["licenses"][0]["expression"].is_string();
        assert!(is_licence_known || text(component, "purl").starts_with("pkg:deb/"), "{component}");
    }
    let libraries = fs::read_dir(root.join("lib/x86_64-linux-gnu")).unwrap().count() + 1;
    let files = components.iter().filter_map(|component| component["components"].as_array()).flatten().count();
    assert_eq!(files, libraries, "the loader among them");
    assert_eq!(bill_of(&root), bill, "the same sources give the same bytes");
}

/// The stage that compiles cannot be played without a registry of images; what it is given can.
#[test]
fn given_the_files_that_the_build_is_given_then_none_is_missing_and_no_registry_is_named() {
    let ignored = fs::read_to_string(deploy("container/Dockerfile.dockerignore")).unwrap();
    let given: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let dir = TempDir::new().unwrap();
    for name in &given {
        let status = Command::new("cp").arg("-r").arg(root().join(name)).arg(dir.path()).status().unwrap();
        assert!(status.success(), "{name} of Dockerfile.dockerignore is not there");
    }

    // Fails for a target of the manifest whose file is not there, and for a lock file that is out of date.
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version=1", "--offline", "--locked", "--no-deps"]).current_dir(dir.path());
    let output = metadata.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (file, named) in files_named_by_sources() {
        assert!(dir.path().join(&named).is_file(), "{file} includes {named}, which the build is not given");
    }
    let dockerfile = fs::read_to_string(deploy("container/Dockerfile")).unwrap();
    for image in
        dockerfile.lines().filter_map(|line| line.strip_prefix("ARG RUST=").or_else(|| line.strip_prefix("FROM ")))
    {
        assert!(!image.contains('/'), "{image}");
    }
    for script in dockerfile.split_whitespace().filter(|word| word.starts_with("deploy/")) {
        assert!(root().join(script).is_file(), "{script}");
    }
}

/// Writes the folder that is mounted as `/etc/portvakt`, and gives it.
fn configure(podman: &Podman, home: &Home, pebble: &Pebble, upstream: u16) -> String {
    let etc = podman.folder("etc");
    let anchors = fs::read_to_string(pebble.trust_anchors()).unwrap();
    fs::write(etc.join("roots.pem"), anchors).unwrap();
    fs::create_dir(etc.join("conf.d")).unwrap();
    let world = format!("[acme]\ndirectory = \"{}\"\ntrust_anchors = \"roots.pem\"\n", pebble.directory());
    fs::write(etc.join("conf.d/world.toml"), world).unwrap();
    let mut file = fs::read_to_string(deploy("container/portvakt.toml")).unwrap();
    let changes = [
        ("0.0.0.0:8080", format!("127.0.0.1:{}", home.http)),
        ("0.0.0.0:8443", format!("127.0.0.1:{}", home.https)),
        ("127.0.0.1:9464", format!("127.0.0.1:{}", home.admin)),
        ("http://app:8080", format!("http://127.0.0.1:{upstream}")),
    ];
    for (written, meant) in changes {
        assert!(file.contains(written), "{written}");
        file = file.replace(written, &meant);
    }
    fs::write(etc.join("portvakt.toml"), file).unwrap();
    etc.display().to_string()
}

fn start(podman: &Podman, etc: &str) {
    let etc = format!("{etc}:/etc/portvakt:ro");
    let rights = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"];
    let place = ["--network=host", "--volume", &etc, "--volume", "state:/var/lib/portvakt"];
    podman.run(&[&["run", "--detach", "--name", NAME], &rights[..], &place[..], &[IMAGE]].concat());
}

/// As an operator looks: inside, with the program itself.
fn wait_issued(podman: &Podman) {
    eventually("the certificate is issued", Duration::from_secs(90), || {
        let status = podman.output(&["exec", NAME, "portvakt", "status"]);
        let told = String::from_utf8_lossy(&status.stdout).into_owned();
        let is_running = podman.run(&["inspect", NAME, "--format", "{{.State.Running}}"]) == "true";
        assert!(is_running, "{}", String::from_utf8_lossy(&podman.output(&["logs", NAME]).stderr));
        told.contains("certificate app.example.com (listener): issued").then_some(())
    });
}

/// What the kernel says of the process.
fn assert_nothing_is_allowed(podman: &Podman) {
    let id = podman.run(&["inspect", NAME, "--format", "{{.State.Pid}}"]);
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let told = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    assert_ne!(told("Uid:").split_whitespace().next(), Some("0"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(told(set), "0000000000000000", "{set}");
    }
    assert_eq!(told("NoNewPrivs:"), "1");
    assert_eq!(told("Seccomp:"), "2");
    let shell = podman.output(&["exec", NAME, "sh"]);
    assert_ne!(shell.status.code(), Some(0), "there is no shell");
}

fn assert_stuck_is_unhealthy(podman: &Podman) {
    podman.run(&["kill", "--signal", "STOP", NAME]);
    let health = podman.output(&["healthcheck", "run", NAME]);
    assert_eq!(health.status.code(), Some(1), "{}", String::from_utf8_lossy(&health.stderr));
    podman.run(&["kill", "--signal", "CONT", NAME]);
    podman.run(&["healthcheck", "run", NAME]);
}

fn bill_of(image: &Path) -> Value {
    let mut sbom = Command::new(deploy("container/sbom"));
    let output = sbom.arg("--root").arg(image).env("CARGO_NET_OFFLINE", "true").output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Each crate of Cargo.lock as package URL.
fn locked_crates() -> BTreeSet<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let value = |package: &str, key: &str| {
        let line =
            package.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key}: {package}"));
        line.trim_matches('"').to_owned()
    };
    let packages = lock.split("[[package]]\n").skip(1);
    packages
        .map(|package| format!("pkg:cargo/{}@{}", value(package, "name = "), value(package, "version = ")))
        .collect()
}

/// What `src` includes from outside itself, beside what includes it; tests are not compiled into the image.
fn files_named_by_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = fs::read(&entry).unwrap();
            let text = String::from_utf8_lossy(&text);
            for part in text.split("include_str!(\"").chain(text.split("include_bytes!(\"")).skip(1) {
                let named = part.split('"').next().unwrap_or_default();
                let outside = named.trim_start_matches("../");
                let ups = (named.len() - outside.len()) / 3;
                let depth = entry.strip_prefix(root()).unwrap().components().count() - 1;
                if ups == depth && ups > 0 {
                    found.push((entry.display().to_string(), outside.to_owned()));
                }
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const NAME: &str = "portvakt";
