//! The schema and the checks agree about every key.

use std::path::Path;

use super::kind::{KINDS, Kind, NEEDED, kind};
use super::{schema, shape, words};
use crate::config::check::shape::Shape;
use crate::config::environment::tests::With;
use crate::config::{Code, Problem, Purpose, from_text_on};

/// A table of ours, where it stands.
struct Station {
    shape: &'static Shape,
    /// The keys that lead to it, and whether each holds `[[tables]]`.
    steps: Vec<(&'static str, bool, &'static Shape)>,
}

impl Station {
    fn path(&self) -> String {
        self.steps.iter().map(|(key, ..)| *key).collect::<Vec<_>>().join(".")
    }

    /// A configuration with `value` at `key` of this table, what else is needed around it, and where the value begins.
    fn document(&self, key: &str, value: &str, variant: usize) -> (String, usize) {
        let mut text = format!("{{ {key} = {value}{} }}", rest(self.shape, key, variant));
        let mut at = format!("{{ {key} = ").len();
        for (step, is_list, parent) in self.steps.iter().rev() {
            let open = format!("{{ {step} = {}", if *is_list { "[" } else { "" });
            let close = format!("{}{} }}", if *is_list { "]" } else { "" }, rest(parent, step, variant));
            at += open.len();
            text = format!("{open}{text}{close}");
        }
        // The top level has no braces; a table there begins a line of its own.
        (text[2..text.len() - 2].replacen(";\n", "\n", 9), at - 2)
    }

    /// What is said of the value, whatever stands around it.
    fn problems(&self, key: &str, value: &str) -> Vec<Problem> {
        let mut all = Vec::new();
        for variant in 0..VARIANTS {
            let (text, at) = self.document(key, value, variant);
            let inside = at..at + value.len();
            let found = read(&text);
            assert!(!found.iter().any(|problem| problem.code == Code::Syntax), "{text}: {found:?}");
            let is_inside =
                |problem: &Problem| problem.place.as_ref().is_some_and(|place| inside.contains(&place.span().start));
            all.extend(found.into_iter().filter(is_inside));
        }
        all
    }
}

fn read(text: &str) -> Vec<Problem> {
    let machine = With(&[("HOME", "/home/a")], false);
    match from_text_on("test.toml", text, Path::new("/etc/portvakt"), Purpose::CheckOffline, &machine) {
        Ok(loaded) => loaded.warnings.iter().cloned().collect(),
        Err(problems) => problems.iter().cloned().collect(),
    }
}

/// Keys that have to stand beside another for it to be read; several variants of them.
fn rest(shape: &Shape, without: &str, variant: usize) -> String {
    let provider = ["'rfc2136'", "'acme-dns'", "'exec'"][variant];
    let pairs: &[(&str, &str)] = match shape.prefix {
        "" => return String::new(),
        "acme.dns." => &[("provider", provider), ("server", "'ns1.example.com'"), ("url", "'https://a.example'")],
        "acme.next." => &[("directory", "'https://ca.example/dir'")],
        "site." => &[("domain", "'a.example'"), ("upstream", "'http://127.0.0.1:8080'")],
        "site.route." => &[("path", "'/a/'"), ("upstream", "'http://127.0.0.1:8081'")],
        "site.client_certificates." => &[("mode", "'accept'"), ("trust_anchors", "'a.pem'")],
        "notify.webhook." => &[("url", "'https://a.example'")],
        "notify.smtp." => &[("server", "'mail.example'"), ("from", "'a@mail.example'"), ("to", "'b@mail.example'")],
        "notify.exec." => &[("command", "['/bin/true']")],
        "requests." => &[("rate", "'1/s'")],
        "upstream." if variant == 0 => &[("url", "'https://a.example'")],
        "upstream." => &[
            ("url", "'https://a.example'"),
            ("trust_anchors", "'public'"),
            ("identity", "{ pkcs12 = 'a.p12', password_file = 'a.pw' }"),
        ],
        "upstream.health." => &[("path", "'/health'")],
        "egress." if variant == 0 => &[("listen", "'127.0.0.1:7'"), ("destination", "'https://a.example'")],
        "egress." => &[
            ("listen", "'127.0.0.1:7'"),
            ("destination", "'https://a.example'"),
            ("trust_anchors", "'public'"),
            ("rules", "'bankid'"),
            ("identity", "{ pkcs12 = 'a.p12', password_file = 'a.pw' }"),
        ],
        _ => &[],
    };
    // What stands in the way of a sibling is left out.
    let is_in_the_way = |key: &str| {
        key == without
            || matches!((shape.prefix, key, without), ("site.", "domain", "domains") | ("upstream.", "url", "urls"))
    };
    pairs.iter().filter(|(key, _)| !is_in_the_way(key)).map(|(key, value)| format!(", {key} = {value}")).collect()
}

const VARIANTS: usize = 3;

/// Every table that a configuration can hold.
fn stations() -> Vec<Station> {
    let mut all = vec![Station { shape: &shape::ROOT, steps: Vec::new() }];
    let mut next = 0;
    while let Some(station) = all.get(next) {
        let (steps, shape) = (station.steps.clone(), station.shape);
        for key in shape.keys {
            for (below, is_list) in kind(shape, key).map(tables).unwrap_or_default() {
                let step = (*key, is_list, shape);
                all.push(Station { shape: below, steps: [&steps[..], &[step]].concat() });
            }
        }
        next += 1;
    }
    all
}

fn tables(kind: &'static Kind) -> Vec<(&'static Shape, bool)> {
    match kind {
        Kind::Table(shape) => vec![(shape, false)],
        Kind::Tables(shape) => vec![(shape, true)],
        Kind::Any(kinds) => kinds.iter().flat_map(tables).collect(),
        _ => Vec::new(),
    }
}

/// Every key of every table.
fn keys() -> Vec<(Station, &'static str, &'static Kind)> {
    let keys = |station: Station| {
        let Station { shape, steps } = station;
        let key = move |key: &&'static str| Some((Station { shape, steps: steps.clone() }, *key, kind(shape, key)?));
        shape.keys.iter().filter_map(key).collect::<Vec<_>>()
    };
    stations().into_iter().flat_map(keys).collect()
}

type Takes = fn(&Kind) -> bool;

/// A value of each type of TOML, and whether a kind takes the type.
const PROBES: [(&str, Takes); 8] = [
    ("'text'", |kind| !matches!(kind, Kind::Boolean | Kind::Number(..) | Kind::Numbers(..)) && !is_table(kind)),
    ("7", |kind| matches!(kind, Kind::Number(..) | Kind::Numbers(..) | Kind::Size)),
    ("true", |kind| matches!(kind, Kind::Boolean)),
    ("1.5", |_| false),
    ("['text']", |kind| matches!(kind, Kind::Texts | Kind::Several(..) | Kind::WordLists(_))),
    ("[7]", |kind| matches!(kind, Kind::Numbers(..))),
    ("{}", |kind| matches!(kind, Kind::Map(_) | Kind::Table(_))),
    ("[{}]", |kind| matches!(kind, Kind::Tables(_))),
];

fn is_table(kind: &Kind) -> bool {
    matches!(kind, Kind::Map(_) | Kind::Table(_) | Kind::Tables(_))
}

fn takes(kind: &Kind, fits: fn(&Kind) -> bool) -> bool {
    match kind {
        Kind::Any(kinds) => kinds.iter().any(fits),
        other => fits(other),
    }
}

#[test]
fn given_every_key_then_its_kind_and_words_are_written_down() {
    let mut untold = Vec::new();
    for station in stations() {
        for key in station.shape.keys {
            let (path, place) = (station.path(), station.shape.place());
            assert!(kind(station.shape, key).is_some(), "schema/kind.rs does not say what `{key}` {place} takes");
            if words::about(station.shape, &path, key).is_none() {
                untold.push(format!("`{key}` {place} ({path})"));
            }
        }
    }
    assert!(untold.is_empty(), "neither config/portvakt.toml nor schema/words.rs tells of {untold:#?}");
    for (shape, keys) in KINDS {
        let gone: Vec<_> = keys.iter().filter(|(key, _)| !shape.keys.contains(key)).map(|(key, _)| key).collect();
        assert!(gone.is_empty(), "{}: {gone:?} are no keys", shape.heading);
    }
    for shape in shape::ALL {
        assert!(
            stations().iter().any(|station| std::ptr::eq(station.shape, shape)),
            "{} is not reached",
            shape.heading
        );
    }
}

#[test]
fn given_each_type_of_value_at_each_key_then_the_checks_refuse_what_the_schema_refuses() {
    let mut wrong = Vec::new();
    for (station, key, kind) in keys() {
        for (value, fits) in PROBES {
            let (problems, takes) = (station.problems(key, value), takes(kind, fits));
            let agrees = match takes {
                true => !problems.iter().any(|problem| problem.code == Code::WrongType),
                false => problems.iter().any(|problem| problem.code != Code::UnknownKey),
            };
            if !agrees {
                let found: Vec<_> = problems.iter().map(|problem| &problem.title).collect();
                wrong.push(format!(
                    "{}.{key} = {value}: the schema takes it: {takes}; the checks say {found:?}",
                    station.path()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn given_words_and_numbers_then_the_checks_know_the_same() {
    for (station, key, kind) in keys() {
        let at = format!("{}.{key}", station.path());
        match kind {
            Kind::Words(words) | Kind::WordLists(words) => {
                let problems = station.problems(key, "'no-such-word'");
                assert!(!problems.is_empty(), "{at} takes any word");
                let known = problems.iter().filter(|problem| problem.code == Code::UnknownValue);
                for problem in known {
                    let listed: Vec<_> = problem.why[0].split('`').skip(1).step_by(2).collect();
                    assert_eq!(listed, *words, "{at}");
                }
                for word in *words {
                    let problems = station.problems(key, &format!("'{word}'"));
                    assert!(!problems.iter().any(|problem| problem.code == Code::UnknownValue), "{at}: {word}");
                }
            }
            Kind::Number(least, most) => {
                let is_refused = |number: i64| {
                    let problems = station.problems(key, &number.to_string());
                    problems.iter().any(|problem| problem.code == Code::InvalidNumber)
                };
                let ends = [i64::from(*least) - 1, (*least).into(), (*most).into(), i64::from(*most) + 1];
                assert_eq!(ends.map(is_refused), [true, false, false, true], "{at}");
            }
            _ => {}
        }
    }
}

#[test]
fn given_keys_that_have_to_stand_there_when_they_do_not_then_the_checks_miss_them() {
    for (prefix, alternatives) in NEEDED {
        let stations = stations();
        let station = stations.iter().find(|station| station.shape.prefix == *prefix).unwrap();
        let steps: Vec<_> = station.steps.clone();
        let ((last, is_list, parent), before) = steps.split_last().unwrap();
        let parent = Station { shape: parent, steps: before.to_vec() };
        let others: Vec<_> = match *prefix {
            "site.route." => ["path = '/a/'", "upstream = 'http://127.0.0.1:1'"].into_iter().collect(),
            _ => Vec::new(),
        };
        let others: Vec<_> = others.into_iter().filter(|pair| !pair.starts_with(alternatives[0])).collect();
        let table = format!("{{ {} }}", others.join(", "));
        let table = if *is_list { format!("[{table}]") } else { table };
        let (text, _) = parent.document(last, &table, 0);
        let found = read(&text);
        let is_missed = |problem: &Problem| {
            problem.code == Code::MissingKey && problem.title.contains(&format!("`{}`", alternatives[0]))
        };
        assert!(found.iter().any(is_missed), "{text}: {found:?}");
    }
}

#[test]
fn given_the_schema_then_it_is_closed_and_tells_of_defaults() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let site = &schema["properties"]["site"]["items"];
    assert_eq!(site["properties"]["https"]["properties"]["mode"]["default"], "temporary");
    assert_eq!(schema["properties"]["drain"]["default"], "30s");
    assert_eq!(schema["properties"]["listen"]["properties"]["https"]["default"][1], "[::]:443");
    assert!(schema["properties"]["state_dir"].get("default").is_none(), "it follows from who we are");
    let timeout = &site["properties"]["upstream"]["anyOf"][1]["properties"]["connect_timeout"];
    assert_eq!((&timeout["default"], &timeout["description"]), (&"5s".into(), &"TCP and TLS handshake".into()));
    let affinity = &site["properties"]["upstream"]["anyOf"][1]["properties"]["affinity"]["description"];
    assert!(
        affinity.as_str().unwrap().contains("once NTLM or Negotiate is seen; \"connection\": always, and"),
        "{affinity}"
    );
}
