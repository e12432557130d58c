//! Whatever is logged, at whatever level: no key, token, key authorization or credential is in it.

use std::fs;
use std::path::PathBuf;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::gate::Door;
use crate::support::pebble::Settings;
use crate::support::{Echo, Gate, Home, Pebble, raw, tls};

#[test]
fn given_an_order_at_level_debug_when_the_log_is_read_then_no_secret_is_in_it() {
    let (home, echo) = (Home::new(), Echo::start());
    let gate = Gate::before(home.http, Door::Held);
    let pebble = Pebble::start(Settings::on(gate.port(), home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    let log = "[log]\nlevel = \"debug\"\n";
    home.configure("", &format!("{}challenges = [\"http-01\"]\n{log}{site}", pebble.acme_section()));
    let mut portvakt = home.start();
    let target = gate.first_target();
    let authorization = raw::get(home.http, "m5.test", &target).text();
    gate.set(Door::Open);
    home.wait_certificate("m5.test", "issued", PATIENCE * 2);
    portvakt.terminate();

    let log = portvakt.child.stderr() + &portvakt.child.stdout();

    assert!(log.lines().count() > 3, "there is a log:\n{log}");
    let token = target.rsplit('/').next().unwrap().to_owned();
    let mut secrets = vec![token, authorization.trim().to_owned()];
    secrets.extend(stored_secrets(home.state()));
    assert!(secrets.len() > 4, "{} secrets", secrets.len());
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
    }
}

#[test]
fn given_a_validation_that_fails_when_log_and_status_are_read_then_the_token_is_in_neither() {
    let (home, echo) = (Home::new(), Echo::start());
    let gate = Gate::before(home.http, Door::Shut);
    let pebble = Pebble::start(Settings::on(gate.port(), home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    let log = "[log]\nlevel = \"debug\"\n";
    home.configure("", &format!("{}challenges = [\"http-01\"]\n{log}{site}", pebble.acme_section()));
    let mut portvakt = home.start();
    let token = gate.first_target().rsplit('/').next().unwrap().to_owned();
    home.wait_metrics("the failure is counted", PATIENCE, |metrics| {
        (metrics.sum("portvakt_acme_failures_total", &[("cert", "m5.test")]) == 1.0).then_some(())
    });
    let status = home.admin("/status.json").text();
    portvakt.terminate();

    let log = portvakt.child.stderr() + &portvakt.child.stdout();

    for text in [&status, &log] {
        assert!(text.contains("acme-challenge/"), "the CA is quoted: {text}");
        assert!(!text.contains(&token), "{token} is told: {text}");
    }
}

#[test]
fn given_requests_with_credentials_when_the_log_is_read_then_they_are_not_in_it() {
    let (stage, mut portvakt) = Stage::running_with("", "[log]\nlevel = \"debug\"\nformat = \"json\"\n");
    let credentials = "Authorization: Bearer s3cr3t-bearer\r\nCookie: session=s3cr3t-cookie\r\n";

    stage.request(&format!("GET /close?token=s3cr3t-query HTTP/1.1\r\nHost: m5.test\r\n{credentials}\r\n"));
    stage.request("POST /x HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 11\r\n\r\ns3cr3t-body");
    stage.plain(&format!("GET /x HTTP/1.1\r\nHost: m5.test\r\n{credentials}\r\n"));
    portvakt.terminate();

    let log = portvakt.child.stderr() + &portvakt.child.stdout();
    for secret in ["s3cr3t-bearer", "s3cr3t-cookie", "s3cr3t-body", "s3cr3t-query"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
    for line in stage.leaf.key_material() {
        assert!(!log.contains(line), "key material in the log");
    }
}

#[test]
fn given_an_answer_that_cannot_be_read_when_the_log_is_read_then_its_bytes_are_not_in_it() {
    let (stage, portvakt) = Stage::running();
    for broken in [
        &b"HTTP/1.1 200 OK\r\nSet-Cookie: session=hunter2\r\nno colon here\r\n\r\n"[..],
        b"hunter2 is no status line\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2\r\n",
    ] {
        stage.echo.script(broken);
        let mut stream = stage.connect();
        let _ = tls::exchange(&mut stream, "GET /scripted HTTP/1.1\r\nHost: m5.test\r\n\r\n");
    }

    portvakt.child.wait_line("the third failure", |line| line.contains("chunk"));
    assert!(!portvakt.child.stderr().contains("hunter2"), "{}", portvakt.child.stderr());
}

#[test]
fn given_json_when_the_log_is_read_then_every_line_is_one_object() {
    let (stage, mut portvakt) = Stage::running_with("", "[log]\nformat = \"json\"\n");
    stage.get("/close");
    portvakt.reload(&stage.home);
    portvakt.terminate();

    let log = portvakt.child.stderr();

    assert!(log.lines().count() >= 2, "{log}");
    for line in log.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value.is_object() && value["level"].is_string(), "{line}");
    }
}

/// The base64 of every private key in the store, and long values that a JSON file keeps for a key.
fn stored_secrets(state: PathBuf) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut folders = vec![state];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            secrets.extend(private_lines(&text));
            secrets.extend(serde_json::from_str(&text).map(|json| key_values(&json)).unwrap_or_default());
        }
    }
    secrets
}

fn private_lines(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        inside = (inside || line.contains("BEGIN") && line.contains("PRIVATE KEY")) && !line.contains("END");
        if inside && !line.contains("BEGIN") {
            lines.push(line.to_owned());
        }
    }
    lines
}

fn key_values(json: &serde_json::Value) -> Vec<String> {
    let Some(object) = json.as_object() else { return Vec::new() };
    let own = object.iter().filter(|(name, _)| name.contains("key")).filter_map(|(_, value)| value.as_str());
    let own = own.filter(|value| value.len() > 40).map(str::to_owned);
    own.chain(object.values().flat_map(key_values)).collect()
}
