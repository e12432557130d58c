//! Watching an answer while it streams.

use std::mem;

use aws_lc_rs::digest::Context;

use super::key::hasher;
use super::text::{Progress, Short, Sink, Text};
use super::{ErrorCode, Hint, OrderKey, Status};

/// What an answer tells: the members of its outermost object that are known. Where one stands twice, the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// `orderRef`.
    pub order: Option<OrderKey>,
    /// `status`.
    pub status: Option<Status>,
    /// `hintCode`.
    pub hint: Option<Hint>,
    /// `errorCode`.
    pub error: Option<ErrorCode>,
    /// The outermost object has ended: nothing was cut off, and this was an object.
    pub whole: bool,
}

/// Reads a JSON answer as it passes, in pieces of any size, and keeps a few words of it.
///
/// Memory does not grow with the answer. Anything is taken: what is no JSON object is passed over from the byte on at which
/// that shows, what is cut off is not [`Findings::whole`], and an answer that is compressed tells nothing.
pub struct Watch {
    place: Place,
    found: Findings,
    has_members: bool,
}

/// Where in the answer the next byte stands.
enum Place {
    /// Before the outermost object; so many bytes of a byte order mark have come.
    Start(usize),
    /// Before a member, or the object's end.
    Members,
    /// In a member's name.
    Name(Text),
    /// Between name and value.
    Colon(Option<Field>),
    /// Before a value.
    Value(Option<Field>),
    /// In a value that is a string.
    String(Option<Field>, Text),
    /// In an object or array, so deep.
    Nested(u64),
    /// In a string in an object or array, so deep.
    NestedString(u64, Text),
    /// In or behind a value.
    Behind,
    /// Behind the outermost object.
    Done,
    /// This is no JSON object.
    Lost,
}

/// A member that is looked for.
#[derive(Clone, Copy)]
enum Field {
    Order,
    Status,
    Hint,
    Error,
}

impl Watch {
    /// Before an answer's first byte.
    pub fn new() -> Self {
        Self { place: Place::Start(0), found: Findings::default(), has_members: false }
    }

    /// Takes the next piece. Gives the place, in this piece, of the brace that ends the outermost object.
    pub fn push(&mut self, piece: &[u8]) -> Option<usize> {
        let mut end = None;
        for (at, byte) in piece.iter().enumerate() {
            match self.place {
                Place::Done | Place::Lost => break,
                _ => self.take(*byte),
            }
            if matches!(self.place, Place::Done) {
                end = Some(at);
            }
        }
        end
    }

    /// What was found until now.
    pub fn found(&self) -> Findings {
        self.found
    }

    /// Whether the outermost object has a member.
    pub fn has_members(&self) -> bool {
        self.has_members
    }

    fn take(&mut self, byte: u8) {
        let place = mem::replace(&mut self.place, Place::Lost);
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.place = match (place, byte) {
            (Place::Start(bom), _) => start(bom, byte, is_space),
            (Place::Name(text), _) => self.name(text, byte),
            (Place::String(field, text), _) => self.string(field, text, byte),
            (Place::NestedString(depth, text), _) => nested_string(depth, text, byte),
            (Place::Nested(depth), _) => nested(depth, byte),
            (place, _) if is_space => place,
            (Place::Members, b'"') => Place::Name(Text::new(Sink::Short(Short::new()))),
            (Place::Colon(field), b':') => Place::Value(field),
            (Place::Value(field), _) => self.value(field, byte),
            (Place::Behind, b',') => Place::Members,
            (Place::Members | Place::Behind, b'}') => self.done(),
            (Place::Behind, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') => Place::Behind,
            (Place::Members | Place::Colon(_) | Place::Behind | Place::Done | Place::Lost, _) => Place::Lost,
        };
    }

    fn done(&mut self) -> Place {
        self.found.whole = true;
        Place::Done
    }

    fn name(&mut self, mut text: Text, byte: u8) -> Place {
        match text.push(byte) {
            Progress::More => Place::Name(text),
            Progress::Broken => Place::Lost,
            Progress::Ended => {
                self.has_members = true;
                let Sink::Short(name) = text.into_sink() else { return Place::Colon(None) };
                Place::Colon(name.as_bytes().and_then(Field::named))
            }
        }
    }

    /// The first byte of a value. What an earlier member of this name said does not count any more.
    fn value(&mut self, field: Option<Field>, byte: u8) -> Place {
        if let Some(field) = field {
            self.forget(field);
        }
        match byte {
            b'"' => Place::String(field, Text::new(Field::sink(field))),
            b'{' | b'[' => Place::Nested(1),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Place::Behind,
            _ => Place::Lost,
        }
    }

    fn string(&mut self, field: Option<Field>, mut text: Text, byte: u8) -> Place {
        match text.push(byte) {
            Progress::More => return Place::String(field, text),
            Progress::Broken => return Place::Lost,
            Progress::Ended => {}
        }
        match (field, text.into_sink()) {
            (Some(field), Sink::Short(word)) => self.find(field, word.as_bytes().unwrap_or_default()),
            (_, Sink::Hash(hashed)) => self.order(hashed),
            (None, Sink::Short(_)) | (_, Sink::Skip) => {}
        }
        Place::Behind
    }

    fn forget(&mut self, field: Field) {
        match field {
            Field::Order => self.found.order = None,
            Field::Status => self.found.status = None,
            Field::Hint => self.found.hint = None,
            Field::Error => self.found.error = None,
        }
    }

    fn find(&mut self, field: Field, word: &[u8]) {
        match field {
            Field::Order => {}
            Field::Status => self.found.status = Some(Status::read(word)),
            Field::Hint => self.found.hint = Some(Hint::read(word)),
            Field::Error => self.found.error = Some(ErrorCode::read(word)),
        }
    }

    fn order(&mut self, hashed: Context) {
        self.found.order = Some(OrderKey::of_hashed(hashed));
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Field {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"orderRef" => Some(Self::Order),
            b"status" => Some(Self::Status),
            b"hintCode" => Some(Self::Hint),
            b"errorCode" => Some(Self::Error),
            _ => None,
        }
    }

    fn sink(field: Option<Self>) -> Sink {
        match field {
            Some(Self::Order) => Sink::Hash(hasher()),
            Some(Self::Status | Self::Hint | Self::Error) => Sink::Short(Short::new()),
            None => Sink::Skip,
        }
    }
}

fn start(bom: usize, byte: u8, is_space: bool) -> Place {
    match byte {
        _ if BOM.get(bom) == Some(&byte) => Place::Start(bom + 1),
        // Half a byte order mark is none.
        _ if bom != 0 && bom != BOM.len() => Place::Lost,
        b'{' => Place::Members,
        _ if is_space => Place::Start(BOM.len()),
        _ => Place::Lost,
    }
}

fn nested(depth: u64, byte: u8) -> Place {
    match byte {
        b'"' => Place::NestedString(depth, Text::new(Sink::Skip)),
        b'{' | b'[' => Place::Nested(depth.saturating_add(1)),
        b'}' | b']' if depth == 1 => Place::Behind,
        b'}' | b']' => Place::Nested(depth - 1),
        _ => Place::Nested(depth),
    }
}

fn nested_string(depth: u64, mut text: Text, byte: u8) -> Place {
    match text.push(byte) {
        Progress::More => Place::NestedString(depth, text),
        Progress::Ended => Place::Nested(depth),
        Progress::Broken => Place::Lost,
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
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
        let scalar =
            select(&["null", "true", "false", "0", "-1.5E+7", "1e-3", "[]", "{}"][..]).prop_map(ToOwned::to_owned);
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
}
