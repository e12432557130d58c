//! The status page says within seconds what is wrong and what to do, in four languages, on every screen and to everybody.
//!
//! `PORTVAKT_SCREENSHOTS=FOLDER` keeps pictures of what Chromium has seen.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::egress_stage::{RULES, WayOut};
use crate::stage::Stage;
use crate::support::browser::{Seen, View, look};
use crate::support::ca::Life;
use crate::support::clock::{PATIENCE, eventually};
use crate::support::home::{Home, Portvakt, run};
use crate::support::peers::python_with;
use crate::support::ports::free_port;
use crate::support::{Ca, Echo, raw};

const LANGUAGES: [(&str, &str); 4] =
    [("sv", "Allt är bra"), ("nb", "Alt er bra"), ("de", "Alles in Ordnung"), ("en", "All is well")];

#[test]
fn given_all_is_well_when_looked_at_then_one_sentence_says_so_to_everybody() {
    let stage = Stage::new();
    let leaf = stage.ca.issue_in_days(&["m5.test"], 20, 70);
    leaf.write(stage.home.path(), "m5");
    let inside = "[[site]]\ndomain = \"intern.test\"\nupstream = \"http://127.0.0.1:1\"\ncertificate = \"internal\"\n";
    stage.configure("", &inside.replace("http://127.0.0.1:1", &stage.echo.url()));
    // An earlier run has made the internal certificate, so that its life is not at its begin.
    let mut earlier = stage.home.start();
    earlier.terminate();
    let _portvakt = stage.home.start_at(12 * 86_400);
    wait_seen(&stage.home);

    let seen = look_everywhere(&stage.home, "well");

    for ((tag, sentence), of) in LANGUAGES.iter().zip(seen.chunks(5)) {
        for seen in of {
            assert_eq!(seen.lang, *tag);
            assert!(seen.title.starts_with(sentence) && seen.text.contains(sentence), "{}", seen.text);
            assert!(seen.images.iter().any(|name| name.contains("40 %") || name.contains("42 %")), "{:?}", seen.images);
        }
    }
    assert_valid(&stage.home, true);
}

#[test]
fn given_trouble_when_looked_at_then_what_to_do_comes_first() {
    let troubled = Troubled::new();

    let seen = look_everywhere(&troubled.way.home, "trouble");

    for (first, of) in ["Börja med", "Begynn med", "Zuerst", "First"].into_iter().zip(seen.chunks(5)) {
        for seen in of {
            let place =
                |what: &str| seen.text.find(what).unwrap_or_else(|| panic!("`{what}` is missing: {}", seen.text));
            assert!(place(first) < place("over.test") && place("over.test") < place("soon.test"), "{}", seen.text);
        }
    }
    let english = &seen[15].text;
    for told in [
        "The certificate has expired: phones and browsers refuse it",
        "Put a new certificate and its key into the files",
        "Clients get a self-signed placeholder and refuse it",
        "The CA cannot be reached from here",
        "The new configuration is refused",
        "The certificate ends in 4 days, and nothing renews it",
        "The server behind cannot be reached",
        "Recent events",
        "What would break on",
        "The RP certificate for BankID ends in 11 days, and no other takes over",
        "order a new one at your bank now",
        "portvakt help PV0290",
    ] {
        assert!(english.contains(told), "`{told}` is missing: {english}");
    }
    assert_valid(&troubled.way.home, false);
    let told = run(troubled.way.home.path(), &["status", "--config", "portvakt.toml"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let lines: Vec<_> = told.lines().take(3).collect();
    assert!(lines[0].ends_with("things need you") && lines[2].starts_with("broken now: "), "{told}");
}

#[test]
fn given_thirty_sites_when_looked_at_then_the_bad_one_stands_first_and_nothing_sticks_out() {
    let (home, ca, echo) = (Home::new(), Ca::new("root of the test"), Echo::start());
    let mut sites = String::new();
    for number in 0..30 {
        let name = format!("dorr{number:02}.skolan-med-ett-langt-namn.kommun.example");
        let left = if number == 29 { 12 } else { 88 - number };
        ca.issue_in_days(&[&*name], 3 * number, left).write(home.path(), &format!("c{number}"));
        sites += &format!(
            "[[site]]\ndomain = \"{name}\"\nupstream = {:?}\ncertificate = {{ chain = \"c{number}.pem\", key = \"c{number}.key\" }}\n",
            echo.url()
        );
    }
    home.configure("", &sites);
    let _portvakt = home.start();
    wait_seen(&home);

    let seen = look_in(&LANGUAGES[2..3], &home, "thirty");

    for seen in &seen {
        assert!(seen.text.contains("1 Sache ist zu tun"), "{}", seen.text);
        let list = &seen.text[seen.text.rfind("Notfall").expect("the legend of the bars")..];
        let place = |number: &str| list.find(&format!("dorr{number}.skolan")).expect("each is there");
        assert!(place("29") < place("28") && place("28") < place("00"), "the first to end stands first: {list}");
        assert_eq!(seen.images.iter().filter(|name| name.contains('%')).count(), 30);
        assert!(seen.text.contains("Nicht gezeigt, da nichts im Klartext ankam: 30"), "{}", seen.text);
    }
    assert_valid(&home, false);
}

#[test]
fn given_a_keyboard_alone_when_used_then_everything_is_reached_seen_and_opened() {
    let (stage, _portvakt) = Stage::running();
    wait_seen(&stage.home);
    let keys: Vec<_> = std::iter::repeat_n("Tab", 10).chain(["Enter"]).collect();

    let seen = look(stage.home.path(), &[View::desk(&url(&stage.home)).in_language("en").pressing(&keys)]);

    let focused = &seen[0].focused;
    assert!(focused.iter().all(|it| it.outlined), "{focused:?}");
    let order: Vec<_> = focused.iter().map(|it| it.text.trim()).collect();
    assert_eq!(order[..5], ["Svenska", "Norsk", "Deutsch", "English", "Look again"], "{order:?}");
    let details = focused.iter().find(|it| it.tag == "SUMMARY").unwrap_or_else(|| panic!("{focused:?}"));
    assert!(details.text.contains("Details") && details.open == Some(false), "{details:?}");
    let last = focused.last().unwrap();
    assert_eq!((&*last.tag, last.open), ("SUMMARY", Some(true)), "{focused:?}");
}

/// In all languages.
fn look_everywhere(home: &Home, name: &str) -> Vec<Seen> {
    look_in(&LANGUAGES, home, name)
}

/// On the screen of a desk and of a phone, in light and dark, and on paper.
fn look_in(languages: &[(&str, &str)], home: &Home, name: &str) -> Vec<Seen> {
    let url = url(home);
    let views: Vec<_> = languages.iter().flat_map(|(tag, _)| views(&url, tag, name)).collect();
    let all = look(home.path(), &views);
    assert_eq!(all.len(), views.len());
    for (view, seen) in views.iter().zip(&all) {
        assert_eq!(seen.violations, [] as [&str; 0], "{view:?}");
        assert_eq!(seen.overflow, 0, "it sticks out: {view:?}");
        assert_eq!(seen.told, [] as [&str; 0], "{view:?}");
        assert!(seen.asked.iter().all(|asked| asked == &url || asked.ends_with("/favicon.ico")), "{:?}", seen.asked);
    }
    all
}

fn views(url: &str, tag: &str, name: &str) -> [View; 5] {
    let named = |kind: &str| format!("{name}-{kind}-{tag}");
    [
        View::desk(url).pictured(&named("desk")),
        View::desk(url).dark().pictured(&named("desk-dark")),
        View::phone(url).pictured(&named("phone")),
        View::phone(url).dark().pictured(&named("phone-dark")),
        View::desk(url).printed().pictured(&named("print")),
    ]
    .map(|view| view.in_language(tag))
}

fn url(home: &Home) -> String {
    format!("http://127.0.0.1:{}/", home.admin)
}

/// Waits until what clients get was looked at.
fn wait_seen(home: &Home) {
    eventually("what clients get was looked at", PATIENCE, || {
        let status = status(home);
        let served = status["served"].as_array()?;
        (!served.is_empty() && served.iter().all(|seen| seen["as_published"] == true)).then_some(())
    });
}

fn status(home: &Home) -> Value {
    serde_json::from_slice(&home.admin("/status.json").body).expect("JSON")
}

/// Holds `/status.json` against its schema, in which every key has to be described and none is left out.
fn assert_valid(home: &Home, is_well: bool) {
    let schema: Value = serde_json::from_slice(&home.admin("/status.schema.json").body).expect("JSON");
    let printed = run(home.path(), &["help", "status-json"]);
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).expect("JSON"), schema);
    let status = status(home);
    assert_eq!(status["ok"], is_well, "{:#}", status["problems"]);
    let asked = serde_json::json!({ "schema": schema, "status": status });
    let mut python = python_with("kubernetes", "jsonschema");
    python.args(["-c", VALIDATE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("python starts");
    child.stdin.take().expect("piped").write_all(asked.to_string().as_bytes()).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{status:#}");
}

const DAY: Duration = Duration::from_secs(86_400);
const VALIDATE: &str = r#"
import json, sys
from jsonschema import Draft202012Validator

def closed(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            schema["additionalProperties"] = False
            assert set(schema["required"]) == set(schema["properties"]), schema
        for below in schema.values():
            closed(below)
    elif isinstance(schema, list):
        for below in schema:
            closed(below)
    return schema

asked = json.load(sys.stdin)
Draft202012Validator.check_schema(asked["schema"])
validator = Draft202012Validator(closed(asked["schema"]), format_checker=Draft202012Validator.FORMAT_CHECKER)
for error in validator.iter_errors(asked["status"]):
    print("/".join(map(str, error.absolute_path)), error.message)
"#;

/// Something of everything that can be wrong: a certificate that has expired, one that ends soon, one that no CA gives, a server that
/// is gone, an identity for BankID that ends soon, a configuration that is refused, a site in `observe` with clients that would break.
struct Troubled {
    way: WayOut,
    _echo: Echo,
    _portvakt: Portvakt,
}

impl Troubled {
    fn new() -> Self {
        let (way, ca, echo) = (WayOut::new(), Ca::new("root of the test"), Echo::start());
        let home = &way.home;
        ca.issue_in(&["over.test"], Life::Ended).write(home.path(), "over");
        ca.issue_in_days(&["soon.test", "www.soon.test", "a.soon.test", "b.soon.test", "c.soon.test"], 85, 5)
            .write(home.path(), "soon");
        ca.issue_in_days(&["m5.test"], 20, 70).write(home.path(), "m5");
        ca.issue_client("FP Testbolaget AB", 12 * DAY).write(home.path(), "bank");
        ca.issue(&["gone.test"]).write(home.path(), "gone");
        let of = |name: &str| format!("certificate = {{ chain = \"{name}.pem\", key = \"{name}.key\" }}\n");
        let site =
            |name: &str, rest: &str| format!("[[site]]\ndomain = \"{name}.test\"\nupstream = {:?}\n{rest}", echo.url());
        let observed = format!(
            "{}https = {{ mode = \"observe\", rest = \"redirect\", paths = {{ \"/M5UserAPI/\" = \"reject\" }} }}\n",
            of("m5")
        );
        let sites = [
            format!("[acme]\ndirectory = \"https://127.0.0.1:{}/dir\"\nagree_tos = true\n", free_port()),
            site("m5", &observed),
            site("over", &of("over")),
            site("soon", &of("soon")),
            site("new", ""),
            format!(
                "[[site]]\ndomain = \"gone.test\"\nupstream = {{ url = \"http://127.0.0.1:{}\", health = {{ path = \"/\", interval = \"100ms\", fail_after = 1 }} }}\n{}",
                free_port(),
                of("gone")
            ),
            way.egress(&format!("identity = {{ chain = \"bank.pem\", key = \"bank.key\" }}\n{RULES}")),
        ];
        home.configure("", &sites.concat());
        let portvakt = home.start();
        drop(raw::get(home.http, "m5.test", "/"));
        drop(raw::request(
            home.http,
            "POST /M5UserAPI/ HTTP/1.1\r\nHost: m5.test\r\nUser-Agent: okhttp/4\r\nContent-Length: 0\r\n\r\n",
        ));
        home.configure("", &format!("{}\n[[sitte]]\n", sites.concat()));
        assert!(!portvakt.reload(home), "a configuration with an error is refused");
        let troubled = Self { way, _echo: echo, _portvakt: portvakt };
        troubled.wait();
        troubled
    }

    /// Until what takes its time is seen.
    fn wait(&self) {
        eventually("the CA has failed, and the server was missed", 6 * PATIENCE, || {
            let status = status(&self.way.home);
            let found: Vec<_> =
                status["problems"].as_array()?.iter().map(|it| it["matter"].as_str().unwrap_or_default()).collect();
            let wanted =
                ["reload_failed", "certificate_expired", "placeholder_served", "certificate_ends", "upstream_down"];
            let is_failing =
                status["certificates"].as_array()?.iter().any(|it| it["last_failure"]["reason"] == "network");
            (is_failing && wanted.iter().all(|it| found.contains(it))).then_some(())
        });
    }
}
