//! Who was not told learns why and what mends it: by `notify test`, in the status, and on the page; and messages find their way
//! through the proxy that the environment names.

use std::process::Output;

use serde_json::Value;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::connect_proxy::ConnectProxy;
use crate::support::home::{command, run};
use crate::support::inbox::{FAR, PASSWORD, USER};
use crate::support::ports::free_port;
use crate::support::{Ca, Home, Inbox, eventually};

#[test]
fn given_each_mistake_when_tested_by_hand_then_the_cause_and_what_mends_it() {
    let home = Home::new();
    let [hook, smtp, plain] = ["webhook", "smtp", "plain"].map(|kind| {
        let mut inbox = Inbox::stopped(kind);
        inbox.go();
        inbox
    });
    let stranger = Ca::new("somebody else").write(home.path().join("stranger.pem")).display().to_string();
    for (file, secret) in [("right.pw", PASSWORD), ("wrong.pw", "not-it"), ("token", "0123456789abcdef")] {
        std::fs::write(home.path().join(file), secret).unwrap();
    }
    let (closed, root, mail_root) = (free_port(), hook.root(), smtp.root());
    let url = |port: u16, path: &str| {
        format!("webhook = {{ url = \"https://localhost:{port}{path}\", trust_anchors = {root:?} }}")
    };
    let mail = |port: u16, keys: &str| {
        format!(
            "smtp = {{ server = \"localhost:{port}\", from = \"a@box.test\", to = \"b@corp.test\", trust_anchors = {mail_root:?}, {keys} }}"
        )
    };
    let login = |file: &str| format!("user = \"{USER}\", password_file = \"{file}\"");
    let table = [
        (
            "typo",
            "webhook = \"https://hooks.portvakt.invalid/x\"".to_owned(),
            "hooks.portvakt.invalid",
            "correct the host's name",
        ),
        ("closed", url(closed, "/"), "efused", "nothing listens at that port"),
        (
            "unknown",
            format!("webhook = \"https://localhost:{}/\"", hook.port()),
            "UnknownIssuer",
            "set `trust_anchors`",
        ),
        ("stranger", url(hook.port(), "/").replace(&root, &stranger), "UnknownIssuer", "none of `trust_anchors`"),
        ("clear", url(plain.port(), "/"), "cannot connect", "does not begin with TLS"),
        ("e401", url(hook.port(), "/geheim/401"), "401 Unauthorized", "`token_file` with the token"),
        (
            "e403",
            url(hook.port(), "/geheim/403").replace(" }", ", token_file = \"token\" }"),
            "403",
            "compare the token",
        ),
        ("e404", url(hook.port(), "/geheim/404"), "404 Not Found", "to the end of its path"),
        ("e400", url(hook.port(), "/geheim/400"), "400 Bad Request", "message.schema.json"),
        ("e500", url(hook.port(), "/geheim/500"), "500 Internal", "look into its log"),
        ("e302", url(hook.port(), "/geheim/302"), "sends us to https://elsewhere.test", "redirects are not followed"),
        ("password", mail(smtp.port(), &login("wrong.pw")), "535", "compare `user` and the password"),
        ("nobody", mail(smtp.port(), "tls = \"starttls\""), "530", "set `user` and `password_file`"),
        ("down", mail(closed, &login("right.pw")), "efused", "nothing listens at that port"),
        (
            "foreign",
            mail(smtp.port(), &login("right.pw")).replace(&mail_root, &stranger),
            "UnknownIssuer",
            "none of `trust_anchors`",
        ),
        ("nostart", mail(plain.port(), "tls = \"starttls\""), "STARTTLS", "it offers no STARTTLS"),
        ("early", mail(smtp.port(), "tls = \"implicit\""), "mail server", "it does not begin with TLS at this port"),
    ];
    let notifiers = table.each_ref().map(|(name, way, ..)| format!("[[notify]]\nname = \"{name}\"\n{way}\n"));
    home.configure("", &format!("{SITE}{}", notifiers.concat()));

    let output = run(home.path(), &["notify", "test"]);

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = text.lines().collect();
    for (name, _, why, fix) in &table {
        let at = lines.iter().position(|line| line.starts_with(&format!("FAIL  {name} ("))).expect(&text);
        assert!(lines[at].contains(why), "{name}: {why}: {}", lines[at]);
        assert!(
            lines[at + 1].starts_with("      fix: ") && lines[at + 1].contains(fix),
            "{name}: {fix}: {}",
            lines[at + 1]
        );
    }
    for secret in ["geheim", "not-it", "0123456789abcdef", "verborgen"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("it said: Cannot POST /../.."), "{text}");
}

#[test]
fn given_a_proxy_when_told_then_through_it_unless_the_receiver_is_spared() {
    let (home, inbox, proxy) = (Home::new(), Inbox::webhook(), ConnectProxy::start());
    proxy.lead_to(inbox.port());
    let hook = inbox.hook(None, "").replace("https://localhost", &format!("https://{FAR}"));
    home.configure("", &format!("{SITE}{hook}"));
    let test = |proxy: &str, spared: &str| -> Output {
        let mut command = command(home.path());
        command.args(["notify", "test"]).env("HTTPS_PROXY", proxy).env("NO_PROXY", spared).output().unwrap()
    };

    let spared = test(&proxy.url(), ".invalid");
    assert_eq!(
        (spared.status.code(), proxy.asked().len()),
        (Some(1), 0),
        "{}",
        String::from_utf8_lossy(&spared.stdout)
    );
    let led = test(&proxy.url(), "localhost");
    assert!(led.status.success(), "{}", String::from_utf8_lossy(&led.stdout));
    assert_eq!(inbox.events("test").len(), 1);
    let asked = format!("CONNECT {FAR}:{} HTTP/1.1", inbox.port());
    assert!(proxy.asked()[0].starts_with(&asked), "{:?}", proxy.asked());

    proxy.ask_for_a_user();
    let refused = String::from_utf8_lossy(&test(&proxy.url(), "").stdout).into_owned();
    assert!(refused.contains(&format!("through the proxy `{}`", proxy.url())), "{refused}");
    assert!(refused.contains("the proxy wants a user"), "{refused}");
    let known = test(&proxy.url_of_user(), "");
    assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stdout));
    assert_eq!(inbox.events("test").len(), 2);

    // The key rules over the environment.
    let keyed = hook.replace("webhook = {", "webhook = { proxy = \"${WAY}\",");
    home.configure("", &format!("{SITE}{keyed}"));
    let mut command = command(home.path());
    command.args(["notify", "test"]).env("HTTPS_PROXY", "http://127.0.0.1:9").env("WAY", proxy.url_of_user());
    assert!(command.output().unwrap().status.success());
    assert_eq!(inbox.events("test").len(), 3);
}

#[test]
fn given_a_receiver_that_is_down_and_comes_back_when_shown_then_why_what_waits_and_when_it_was_taken() {
    let (stage, mut inbox) = (Stage::new(), Inbox::stopped("webhook"));
    stage.ca.issue_in_days(&["m5.test"], 360, 5).write(stage.home.path(), "m5");
    stage.configure("", &inbox.hook(None, ""));
    let status = || -> Value { serde_json::from_slice(&stage.home.admin("/status.json").body).unwrap() };
    let shown = || status()["notifiers"].as_array().unwrap()[0].clone();
    let is_problem = || {
        let status = status();
        let problems = status["problems"].as_array().unwrap();
        problems.iter().any(|it| it["matter"] == "notifier_failing" && it["about"] == "hook")
    };
    let terminal = || {
        let output = run(stage.home.path(), &["status"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut portvakt = stage.home.start();
    let failing =
        eventually("the failure is shown", PATIENCE, || Some(shown()).filter(|it| it["last_error"].is_object()));

    assert_eq!(
        (&failing["name"], &failing["kind"], &failing["waiting"]),
        (&"hook".into(), &"webhook".into(), &1.into())
    );
    assert_eq!(failing["to"], format!("webhook https://localhost:{}", inbox.port()));
    assert!(failing["last_delivery"].is_null() && failing["next_try"].is_string(), "{failing}");
    let (error, fix) = (&failing["last_error"]["error"], &failing["last_error"]["fix"]);
    assert!(error.as_str().unwrap().contains("cannot connect"), "{failing}");
    assert!(fix.as_str().unwrap().contains("nothing listens at that port"), "{failing}");
    let text = terminal();
    assert!(text.contains("notifier hook (webhook https://localhost") && text.contains("not taken"), "{text}");
    assert!(text.contains("last taken   none yet") && text.contains("fix          nothing listens"), "{text}");
    let page = stage.home.admin("/?lang=sv").text();
    assert!(page.contains("Vem som meddelas") && page.contains("Ingenting lyssnar på den porten"), "{page}");
    assert!(!page.contains("nothing listens at that port"), "{page}");
    assert!(is_problem() && text.contains("nobody learns by it what goes wrong"), "{text}");
    portvakt.child.kill();

    inbox.go();
    // The next try is a minute after the last one.
    let _portvakt = stage.home.start_at(120);
    inbox.wait_event("expiring");
    let good =
        eventually("the delivery is shown", PATIENCE, || Some(shown()).filter(|it| it["last_delivery"].is_string()));
    assert!(good["last_error"].is_null() && good["next_try"].is_null() && good["waiting"] == 0, "{good}");
    assert!(!is_problem() && terminal().contains("notifier hook (webhook"), "{}", terminal());
}

const SITE: &str = "[[site]]\ndomain = \"m5.test\"\nupstream = \"http://127.0.0.1:9\"\ncertificate = \"internal\"\n";
