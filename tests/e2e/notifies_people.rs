//! Whoever has no Prometheus is told by webhook, mail or a program: what was renewed, what fails, what ends; once, and in
//! time; and each week that all is well.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::believes_keys_and_not_leaves::{pin, renewed};
use crate::stage::Stage;
use crate::support::ca::self_signed;
use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::inbox::PASSWORD;
use crate::support::pebble::Settings;
use crate::support::peers::python_with;
use crate::support::programs::write_program;
use crate::support::{Echo, Home, Inbox, Leaf, Nginx, Pebble, Portvakt, eventually};

#[test]
fn given_a_certificate_that_ends_soon_when_killed_and_started_again_then_it_is_told_once() {
    let (stage, inbox) = (Stage::new(), Inbox::webhook());
    stage.ca.issue_in_days(&["m5.test"], 360, 5).write(stage.home.path(), "m5");
    stage.configure("", &hook(&stage.home, &inbox, ""));
    let mut portvakt = stage.home.start();

    let told = inbox.wait_event("expiring");
    portvakt.child.kill();
    let mut portvakt = stage.home.start();
    portvakt.child.kill();
    let portvakt = stage.home.start();
    refuse_a_reload(&stage, &portvakt);
    inbox.wait_event("reload_refused");

    assert_eq!(inbox.events("expiring").len(), 1, "{:?}", inbox.all());
    assert_eq!((&told["subject"], &told["role"]), (&"m5.test".into(), &"listener".into()));
    assert!([4, 5].contains(&told["days_left"].as_u64().unwrap()), "{told}");
    let message = &inbox.all()[0];
    assert_eq!((&message["authorization"], &message["path"]), (&"Bearer 0123456789abcdef".into(), &"/geheim".into()));
    assert_eq!(message["type"], "application/json");
    assert!(message["body"]["text"].as_str().unwrap().contains("m5.test: certificate ends in"), "{message}");
    assert_schema(&inbox);
    // Neither the URL's path nor the token is in the log.
    assert!(!portvakt.child.lines().iter().any(|line| line.contains("geheim") || line.contains("0123456789abcdef")));
    let sent = stage.home.metrics().sum("portvakt_notify_total", &[("channel", "hook"), ("result", "ok")]);
    assert!(sent >= 1.0, "{sent}");
}

#[test]
fn given_a_ca_when_it_issues_then_it_is_told_once_and_when_it_is_down_that_too() {
    let (home, echo, inbox) = (Home::new(), Echo::start(), Inbox::webhook());
    let mut pebble = Pebble::stopped(Settings::on(home.http, home.https));
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", echo.url());
    let tables = format!("{}{site}{}", pebble.acme_section(), hook(&home, &inbox, "language = \"sv\""));
    home.configure("", &tables);
    let mut portvakt = home.start();

    let failing = inbox.wait_event("failing");
    assert_eq!(failing["severity"], "critical", "nothing valid is served: {failing}");
    assert!(failing["title"].as_str().unwrap().contains("inget nytt certifikat"), "{failing}");
    assert!(failing["text"].as_str().unwrap().contains("KLIENTER AVVISAS NU."), "{failing}");

    pebble.go();
    assert!(run(home.path(), &["cert", "renew", "m5.test", "--config", "portvakt.toml"]).status.code().is_some());
    home.wait_certificate("m5.test", "issued", Duration::from_secs(90));
    let renewed = inbox.wait_event("renewed");
    assert_eq!(renewed["subject"], "m5.test");
    assert!(renewed["not_after"].as_str().unwrap().ends_with('Z'), "{renewed}");
    portvakt.terminate();
    let _portvakt = home.start();
    home.wait_certificate("m5.test", "issued", PATIENCE);
    assert_eq!(inbox.events("renewed").len(), 1, "{:?}", inbox.all());
    assert_schema(&inbox);
}

#[test]
fn given_a_mail_server_that_is_down_when_it_comes_up_then_the_mail_is_delivered_once_and_over_tls() {
    let (stage, mut inbox) = (Stage::new(), Inbox::stopped("smtp"));
    stage.ca.issue_in_days(&["m5.test"], 360, 5).write(stage.home.path(), "m5");
    write_private(&stage.home, "mail.pw", PASSWORD);
    stage.configure("", &inbox.mail("starttls", ""));
    let mut portvakt = stage.home.start();
    portvakt.child.wait_line("that it cannot notify", |line| line.contains("cannot notify") && line.contains("mail"));
    portvakt.child.kill();

    inbox.go();
    // The next try is a minute after the last one.
    let portvakt = stage.home.start_at(120);
    let mail = inbox.wait("a mail", |_| true);

    assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &"portvakt@corp.test".into()), "{mail}");
    assert_eq!(mail["recipients"], serde_json::json!(["ops@corp.test", "night@corp.test"]));
    let header = |name: &str| {
        let headers = mail["headers"].as_array().unwrap().clone();
        headers.iter().find(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned())
    };
    let subject = header("Subject").unwrap();
    assert!(subject.starts_with("[portvakt ") && subject.contains("m5.test: certificate ends in"), "{subject}");
    assert_eq!(header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert!(mail["text"].as_str().unwrap().contains("Nothing renews it"), "{mail}");
    stage.home.wait_metrics("it is counted", PATIENCE, |metrics| {
        let count = metrics.sum("portvakt_notify_total", &[("channel", "mail"), ("result", "ok")]);
        (count == 1.0).then_some(())
    });
    assert_eq!(inbox.all().len(), 1);
    assert!(!portvakt.child.lines().iter().any(|line| line.contains("geheim")));
}

#[test]
fn given_each_way_when_tested_by_hand_then_each_is_told_and_the_exit_code_says_whether_all_took_it() {
    let home = Home::new();
    let [hook, smtp, smtps, plain] = ["webhook", "smtp", "smtps", "plain"].map(|kind| {
        let mut inbox = Inbox::stopped(kind);
        inbox.go();
        inbox
    });
    write_private(&home, "mail.pw", &format!("{PASSWORD}\n"));
    write_private(&home, "token", "0123456789abcdef\n");
    let script = write_script(&home, "tell", "cat > told.json; env | grep ^PORTVAKT_ | sort > told.env");
    let program = format!("[[notify]]\nname = \"program\"\nexec = {{ command = [{script:?}] }}\n");
    let named = |table: String, name: &str| table.replace("name = \"mail\"", &format!("name = \"{name}\""));
    let good = [
        hook.hook(Some(&home.path().join("token")), ""),
        smtp.mail("starttls", "language = \"de\""),
        named(smtps.mail("implicit", ""), "smtps"),
        named(plain.mail("none", ""), "plain"),
        program,
    ];
    home.configure("", &format!("{SITE}{}", good.concat()));

    let output = run(home.path(), &["notify", "test"]);

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), 5, "{text}");
    assert!(!text.contains("geheim"), "{text}");
    assert_eq!(hook.events("test").len(), 1);
    assert!(smtp.all()[0]["text"].as_str().unwrap().contains("So meldet sich portvakt"), "{:?}", smtp.all());
    assert_eq!((smtps.all().len(), plain.all().len()), (1, 1));
    let told: Value = serde_json::from_slice(&fs::read(home.path().join("told.json")).unwrap()).unwrap();
    assert_eq!((&told["notifier"], &told["events"][0]["event"]), (&"program".into(), &"test".into()));
    let environment = fs::read_to_string(home.path().join("told.env")).unwrap();
    assert!(environment.contains("PORTVAKT_EVENT=test\n") && environment.contains("PORTVAKT_SEVERITY=info\n"));

    let failing = write_script(&home, "fail", "echo no modem >&2; exit 3");
    let bad = format!(
        "[[notify]]\nname = \"none\"\nwebhook = {{ url = \"https://localhost:{}/no\", trust_anchors = {:?} }}\n\
         [[notify]]\nname = \"stranger\"\nwebhook = {{ url = \"https://localhost:{}/\" }}\n\
         [[notify]]\nname = \"fail\"\nexec = {{ command = [{failing:?}] }}\n",
        hook.port(),
        hook.root(),
        hook.port()
    );
    write_private(&home, "mail.pw", "wrong");
    home.configure("", &format!("{SITE}{}{bad}", good.concat()));

    let output = run(home.path(), &["notify", "test"]);

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for (name, why) in
        [("mail", "535"), ("none", "401"), ("stranger", "UnknownIssuer"), ("fail", "exit status: 3; it said: no modem")]
    {
        let line = text.lines().find(|line| line.starts_with(&format!("FAIL  {name} (")));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {why}\n{text}");
    }
    assert!(!text.contains("geheim") && !text.contains("wrong"), "{text}");
    let one = run(home.path(), &["notify", "test", "plain"]);
    assert!(one.status.success());
    let unknown = run(home.path(), &["notify", "test", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("`plain`"));
}

#[test]
fn given_a_week_when_all_is_well_or_not_then_a_heartbeat_says_so() {
    let (stage, inbox) = (Stage::new(), Inbox::webhook());
    stage.ca.issue_in_days(&["m5.test"], 10, 60).write(stage.home.path(), "m5");
    stage.configure("", &hook(&stage.home, &inbox, "events = [\"heartbeat\"]"));
    let file = stage.home.state().join("notify/hook.json");
    let started = |ahead: u32| stage.home.start_at(i64::from(ahead) * 86_400);
    let mut portvakt = started(0);
    eventually("the first week begins", PATIENCE, || {
        fs::read_to_string(&file).ok()?.contains("heartbeat\": 1").then_some(())
    });
    portvakt.child.kill();

    let mut portvakt = started(8);
    let beat = inbox.wait_event("heartbeat");
    assert!(beat["title"].as_str().unwrap().contains("all is well"), "{beat}");
    assert_eq!(beat["report"]["valid"], 1, "{beat}");
    portvakt.child.kill();

    let _portvakt = started(50);
    let beat = inbox.wait("another heartbeat", |message| message["body"]["severity"] == "warning");
    let needs = &beat["body"]["events"][0]["report"]["needs"];
    assert_eq!((&needs[0]["matter"], &needs[0]["about"]), (&"certificate_ends".into(), &"m5.test".into()), "{beat}");
    assert!(beat["body"]["text"].as_str().unwrap().contains("- m5.test: "), "{beat}");
    assert_eq!(inbox.all().len(), 2, "{:?}", inbox.all());
    assert_schema(&inbox);
}

#[test]
fn given_an_upstream_when_it_shows_another_certificate_then_that_is_told() {
    let (stage, inbox) = (Stage::new(), Inbox::webhook());
    let mut nginx = Nginx::start_tls(&self_signed(&["legacy.local"]));
    let upstream =
        format!("{{ url = \"https://127.0.0.1:{}\", trust = \"first-use\", name = \"legacy\" }}", nginx.https);
    stage.home.configure("", &format!("{}{}", Stage::site_with(&upstream), hook(&stage.home, &inbox, "")));
    let _portvakt = stage.home.start();
    assert_eq!(stage.get("/x").status, 200);

    nginx.show(&self_signed(&["legacy.local"]));
    eventually("requests fail", PATIENCE, || (stage.get("/x").status == 502).then_some(()));

    let told = inbox.wait_event("pin_changed");
    assert_eq!((&told["subject"], &told["severity"]), (&"legacy".into(), &"critical".into()));
    assert!(told["text"].as_str().unwrap().contains("portvakt upstream accept"), "{told}");
}

#[test]
fn given_a_pinned_upstream_when_it_renews_and_when_it_shows_another_key_then_each_is_told() {
    let (stage, inbox, first) = (Stage::new(), Inbox::webhook(), self_signed(&["legacy.local"]));
    let mut nginx = Nginx::start_tls(&first);
    let upstream = format!(
        "{{ url = \"https://127.0.0.1:{}\", server_name = \"legacy.local\", pin = \"{}\", name = \"legacy\" }}",
        nginx.https,
        pin(&first)
    );
    stage.home.configure("", &format!("{}{}", Stage::site_with(&upstream), hook(&stage.home, &inbox, "")));
    let portvakt = stage.home.start();
    assert_eq!(stage.get("/x").status, 200);
    // Whoever has something to tell looks at everything.
    refuse_a_reload(&stage, &portvakt);
    let file = stage.home.state().join("notify/hook.json");
    eventually("the first leaf is known", PATIENCE, || {
        fs::read_to_string(&file).ok()?.contains(&fingerprint(&first)).then_some(())
    });

    let second = renewed(&first);
    nginx.show(&second);
    eventually("the second leaf is met", PATIENCE, || {
        assert_eq!(stage.get("/x").status, 200);
        stage.home.admin("/status.json").text().contains(&fingerprint(&second)).then_some(())
    });
    refuse_a_reload(&stage, &portvakt);

    let told = inbox.wait_event("upstream_changed");
    assert_eq!((&told["subject"], &told["severity"]), (&"legacy".into(), &"info".into()), "{told}");
    assert!(told["detail"].as_str().unwrap().contains(&fingerprint(&second)), "{told}");
    assert_eq!(inbox.events("pin_changed").len(), 0);

    nginx.show(&self_signed(&["legacy.local"]));
    eventually("requests fail", PATIENCE, || (stage.get("/x").status == 502).then_some(()));
    let told = inbox.wait_event("pin_changed");
    assert_eq!((&told["subject"], &told["severity"]), (&"legacy".into(), &"critical".into()), "{told}");
    assert!(told["detail"].as_str().unwrap().contains(&pin(&first)), "{told}");
    assert_schema(&inbox);
}

#[test]
fn given_a_receiver_that_never_answers_when_served_and_stopped_then_nobody_waits_for_it_and_it_is_said() {
    let (stage, mut inbox) = (Stage::new(), Inbox::stopped("webhook"));
    stage.ca.issue_in_days(&["m5.test"], 360, 5).write(stage.home.path(), "m5");
    stage.configure("", &hook(&stage.home, &inbox, ""));
    let silent = TcpListener::bind(("127.0.0.1", inbox.port())).unwrap();
    let mut portvakt = stage.home.start();
    let _held = silent.accept().unwrap();

    assert_eq!(stage.get("/").status, 200);
    assert!(portvakt.terminate().success());
    drop(silent);
    inbox.go();
    let portvakt = stage.home.start();
    refuse_a_reload(&stage, &portvakt);

    inbox.wait_event("reload_refused");
    assert_eq!(inbox.all()[0]["body"]["unsure"], 1, "{:?}", inbox.all());
    assert_eq!(inbox.events("expiring").len(), 0, "whether it arrived is not known");
}

#[test]
fn given_a_reload_when_notifiers_come_and_go_then_they_are_told_from_then_on_and_counted_as_long_as_they_are_there() {
    let (stage, inbox) = (Stage::new(), Inbox::webhook());
    stage.ca.issue_in_days(&["m5.test"], 360, 5).write(stage.home.path(), "m5");
    stage.configure("", "");
    let portvakt = stage.home.start();
    let series = || stage.home.admin("/metrics").text().matches("portvakt_notify_total{channel=\"hook\"").count();
    assert_eq!(series(), 0);

    stage.configure("", &hook(&stage.home, &inbox, "events = [\"expiring\"]"));
    assert!(portvakt.reload(&stage.home));
    inbox.wait_event("expiring");
    stage.home.wait_sum("portvakt_notify_total", &[("channel", "hook"), ("result", "ok")], 1.0);
    assert_eq!(series(), 3);

    stage.configure("", "");
    assert!(portvakt.reload(&stage.home));
    assert_eq!(series(), 0);
    assert_eq!(inbox.all().len(), 1);
}

/// `[[notify]]` that posts to `inbox` and shows a token.
fn hook(home: &Home, inbox: &Inbox, keys: &str) -> String {
    write_private(home, "token", "0123456789abcdef\n");
    inbox.hook(Some(&home.path().join("token")), keys)
}

fn fingerprint(leaf: &Leaf) -> String {
    portvakt::pki::CertificateChain::from_pem(leaf.chain.as_bytes()).unwrap().leaf().fingerprint.to_string()
}

/// A reload that fails, and so is told; and that comes after all that was to be told before.
fn refuse_a_reload(stage: &Stage, portvakt: &Portvakt) {
    let good = fs::read_to_string(stage.home.file()).unwrap();
    fs::write(stage.home.file(), "nonsense").unwrap();
    assert!(!portvakt.reload(&stage.home));
    fs::write(stage.home.file(), good).unwrap();
}

fn write_private(home: &Home, name: &str, text: &str) {
    let file = home.path().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn write_script(home: &Home, name: &str, script: &str) -> String {
    let file = home.path().join(name);
    write_program(&file, &format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n{script}\n"));
    file.display().to_string()
}

/// Every message is as `deploy/notify/message.schema.json` says.
fn assert_schema(inbox: &Inbox) {
    let bodies: Vec<_> = inbox.all().iter().map(|message| message["body"].clone()).collect();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/notify/message.schema.json");
    let script = "import json, sys, jsonschema\n\
                  schema = json.load(open(sys.argv[1]))\n\
                  jsonschema.Draft202012Validator.check_schema(schema)\n\
                  for body in json.loads(sys.argv[2]): jsonschema.validate(body, schema)\n";
    let mut python: Command = python_with("kubernetes", "jsonschema");
    let output = python.args(["-c", script, schema, &serde_json::to_string(&bodies).unwrap()]).output().unwrap();
    assert!(output.status.success() && !bodies.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

const SITE: &str = "[[site]]\ndomain = \"m5.test\"\nupstream = \"http://127.0.0.1:9\"\ncertificate = \"internal\"\n";
