use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::*;

fn found(answer: &[u8]) -> Findings {
    let mut watch = Watch::new();
    watch.push(answer);
    watch.found()
}

/// What a parser that has the whole answer finds.
fn parsed(answer: &str) -> Findings {
    let Ok(Value::Object(object)) = serde_json::from_str(answer) else { return Findings::default() };
    let word = |name: &str| object.get(name).and_then(Value::as_str);
    Findings {
        order: word("orderRef").map(OrderKey::of),
        status: word("status").map(|word| Status::read(word.as_bytes())),
        hint: word("hintCode").map(|word| Hint::read(word.as_bytes())),
        error: word("errorCode").map(|word| ErrorCode::read(word.as_bytes())),
        whole: true,
    }
}

#[test]
fn given_an_answer_when_watched_then_what_it_tells() {
    let order = Some(OrderKey::of("131daac9"));
    let none = Findings { whole: true, ..Findings::default() };
    #[rustfmt::skip]
    let table: &[(&str, Findings)] = &[
        ("{}", none),
        (r#"{"orderRef":"131daac9","autoStartToken":"7c40b5c9","qrStartToken":"67df3917","qrStartSecret":"d28db9a7"}"#,
         Findings { order, ..none }),
        (r#"{"orderRef":"131daac9","status":"pending","hintCode":"userSign"}"#,
         Findings { order, status: Some(Status::Pending), hint: Some(Hint::UserSign), ..none }),
        (r#"{"orderRef":"131daac9","status":"complete","completionData":{"status":"failed","user":{"personalNumber":"190000000000"}}}"#,
         Findings { order, status: Some(Status::Complete), ..none }),
        (r#"{"errorCode":"invalidParameters","details":"No such order"}"#,
         Findings { error: Some(ErrorCode::InvalidParameters), ..none }),
        (r#"{"status":"brandNew","hintCode":"a hint that is longer than every word there is"}"#,
         Findings { status: Some(Status::Other), hint: Some(Hint::Other), ..none }),
        ("\u{feff}\r\n{ \"st\\u0061tus\" :\t\"\\u0070ending\" }\n", Findings { status: Some(Status::Pending), ..none }),
        (r#"{"status":"pending","status":"failed"}"#, Findings { status: Some(Status::Failed), ..none }),
        (r#"{"status":"pending","status":null}"#, none),
        (r#"{"status":["pending"],"hintCode":{"hintCode":"started"},"errorCode":7}"#, none),
        (r#"{"a":[{"b":"}]\"\\"},[[]],-1.5e+7,true],"status":"failed"}"#, Findings { status: Some(Status::Failed), ..none }),
        (r#"{"Status":"pending","statuss":"pending","":"pending"}"#, none),
    ];
    for (answer, expected) in table {
        assert_eq!(found(answer.as_bytes()), *expected, "{answer}");
    }
}

#[test]
fn given_findings_when_counted_then_a_label_each() {
    let pending = found(br#"{"status":"pending","hintCode":"brandNew"}"#);
    assert_eq!((pending.status_label(), pending.hint_label()), ("pending", "other"));
    assert_eq!((found(b"{}").status_label(), found(b"{}").hint_label()), ("none", "none"));
}

#[test]
fn given_what_is_no_whole_object_when_watched_then_it_is_not_whole() {
    #[rustfmt::skip]
    let table: &[&[u8]] = &[
        b"", b" ", b"\xef\xbb", b"\xef\xbb {}", b"null", b"[{\"status\":\"complete\"}]", b"<html>", b"\x1f\x8b\x08\x00",
        b"{", b"{\"status\":\"complete\"", b"{\"status\" \"complete\"}", b"{status:1}", b"{\"a\":}", b"{\"a\":\"\\x\"}", b"{\"a\":1;}",
        b"{\"a\":{}", b"\xff\xfe{\0}\0",
    ];
    for answer in table {
        assert!(!found(answer).whole, "{}", answer.escape_ascii());
    }
}

#[test]
fn given_a_broken_answer_when_watched_then_nothing_behind_the_flaw_counts() {
    assert_eq!(found(br#"{"a":"\x","status":"complete"}"#), Findings::default());
    assert_eq!(found(br#"{"a":1} {"status":"complete"}"#), Findings { whole: true, ..Findings::default() });
}

#[test]
fn given_deep_nesting_when_watched_then_passed_over() {
    let deep = format!(r#"{{"a":{}{},"status":"failed"}}"#, "[{\"b\":".repeat(300_000), "1}]".repeat(300_000));
    assert_eq!(found(deep.as_bytes()).status, Some(Status::Failed));
}

#[test]
fn given_the_last_brace_when_it_comes_then_its_place_in_the_piece() {
    let mut watch = Watch::new();
    assert_eq!(watch.push(b"{\"a\":{}"), None);
    assert_eq!(watch.push(b" } \n"), Some(1));
    assert_eq!(watch.push(b"}"), None);
    assert!(watch.has_members());
    let mut empty = Watch::new();
    assert_eq!((empty.push(b"{}"), empty.has_members()), (Some(1), false));
}

/// A JSON string that means `text`, some of its characters escaped.
fn written(text: String) -> impl Strategy<Value = String> {
    let characters: Vec<char> = text.chars().collect();
    proptest::collection::vec(any::<bool>(), characters.len()).prop_map(move |escaped| {
        let write = |(character, escape): (&char, bool)| match escape {
            true => character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            false => {
                let quoted = serde_json::to_string(character).unwrap();
                quoted[1..quoted.len() - 1].to_owned()
            }
        };
        format!("\"{}\"", characters.iter().zip(escaped).map(write).collect::<String>())
    })
}

fn text() -> impl Strategy<Value = String> {
    let word = select(WORDS).prop_map(ToOwned::to_owned);
    prop_oneof![3 => word, 1 => any::<String>()].prop_flat_map(written)
}

const WORDS: &[&str] = &[
    "orderRef",
    "status",
    "hintCode",
    "errorCode",
    "pending",
    "complete",
    "failed",
    "userSign",
    "notFound",
    "131daac9",
];

fn space() -> impl Strategy<Value = &'static str> {
    select(&["", "", "", " ", "\r\n", "\t"][..])
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (space(), text(), space(), space(), value, space());
    let member = member.prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}"));
    proptest::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn value() -> impl Strategy<Value = String> {
    let scalar = select(&["null", "true", "false", "0", "-1.5E+7", "1e-3", "[]", "{}"][..]).prop_map(ToOwned::to_owned);
    let leaf = prop_oneof![3 => text(), 1 => scalar];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let array = (proptest::collection::vec(inner.clone(), 0..4), space());
        prop_oneof![object(inner), array.prop_map(|(items, space)| format!("[{space}{}]", items.join(",")))]
    })
}

fn answer() -> impl Strategy<Value = String> {
    (space(), object(value()), space()).prop_map(|(before, object, after)| format!("{before}{object}{after}"))
}

proptest! {
    #[test]
    fn given_any_answer_when_watched_then_as_a_parser_finds(answer in answer()) {
        prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
        prop_assert_eq!(found(answer.as_bytes()), parsed(&answer), "{}", answer);
    }

    #[test]
    fn given_an_answer_that_is_cut_off_when_watched_then_it_is_not_whole(answer in answer(), at: prop::sample::Index) {
        let end = answer.trim_end().len();
        prop_assert!(!found(&answer.as_bytes()[..at.index(end)]).whole);
    }

    #[test]
    fn given_any_split_when_watched_then_the_same(
        bytes in prop_oneof![answer().prop_map(String::into_bytes), any::<Vec<u8>>()],
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut bytes = bytes;
        for (at, byte) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut watch = Watch::new();
        let (mut from, mut end) = (0, None);
        for to in cuts {
            let place = watch.push(&bytes[from..to]);
            end = end.or_else(|| place.map(|at| from + at));
            from = to;
        }
        prop_assert_eq!(watch.found(), found(&bytes));
        prop_assert_eq!(end, Watch::new().push(&bytes));
        prop_assert_eq!(end.is_some(), watch.found().whole);
    }
}
