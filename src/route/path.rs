//! Canonical paths: one spelling for every way to write the same place.
//!
//! # Why
//!
//! IIS and HTTP.sys compare paths without case, decode percent escapes, fold `.` and `..`, read `\` as `/`, drop
//! trailing dots and spaces, and cut cookie-less session segments out. A rule on `/M5UserAPI/` has to see through all
//! of it, or `/%4D5UserAPI./x` walks around it. Where two servers would read a path differently enough to land in
//! another place, it is refused: no rule could be right for both.

use std::borrow::Cow;

/// The path of a request in canonical form: decoded, resolved, lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    text: Cow<'a, str>,
    verbatim: bool,
}

impl<'a> CanonicalPath<'a> {
    /// Canonicalises the raw path of a request target, without its query.
    ///
    /// Percent escapes are decoded once, `%uXXXX` among them (HTTP.sys reads it). Bytes that are not UTF-8 are read as
    /// Latin-1, as HTTP.sys does for old clients. Then, segment by segment: `\` is a border as `/` is, `;parameters`
    /// and NTFS stream names (`:$DATA`) are cut off, trailing dots and spaces too, `.` and `..` are resolved, empty and
    /// cookie-less segments (`(S(…))`) are left out. A trailing `/` stays.
    ///
    /// # Errors
    ///
    /// One [`PathError`] for each kind of path that is answered with 400.
    pub fn parse(raw: &'a [u8]) -> Result<Self, PathError> {
        if let Some(text) = as_plain(raw) {
            return Ok(Self { text, verbatim: true });
        }
        if !raw.starts_with(b"/") {
            return Err(PathError::NotAbsolute);
        }
        let Decoded { bytes, disguised_border } = decode(raw)?;
        let text = to_text(&bytes)?;
        let folded: String = text.chars().map(fold).collect();
        let resolved = resolve(&folded, disguised_border)?;
        let verbatim = text.as_bytes() == raw && resolved == folded;
        Ok(Self { text: Cow::Owned(resolved), verbatim })
    }

    /// The canonical form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the request spelled it so, apart from case.
    pub fn is_verbatim(&self) -> bool {
        self.verbatim
    }

    /// Whether it lies at or below `prefix`.
    pub fn is_below(&self, prefix: &PathPrefix) -> bool {
        let prefix = prefix.as_str();
        self.text.starts_with(prefix) || Some(&*self.text) == prefix.strip_suffix('/')
    }

    /// Whether a Windows file system could find it at or below `prefix`: also by 8.3 names, such as `/m5user~1/`.
    pub fn may_be_below(&self, prefix: &PathPrefix) -> bool {
        self.is_below(prefix) || self.may_be_short_for(prefix)
    }

    /// Whether it could be written for something below `prefix` with 8.3 names.
    pub(super) fn may_be_short_for(&self, prefix: &PathPrefix) -> bool {
        if !self.text.contains('~') {
            return false;
        }
        let mut here = self.text[1..].split('/');
        segments(prefix.as_str()).all(|long| here.next().is_some_and(|it| it == long || may_be_short_name(it, long)))
    }
}

/// A canonical path prefix: begins and ends with `/`, lower case, matches on segment borders.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// Reads a prefix as an operator writes it. `/X` and `/X/` mean the same; case does not matter.
    ///
    /// # Errors
    ///
    /// [`PathError::NotAbsolute`] when it does not begin with `/`, [`PathError::Fragment`] or [`PathError::Query`] when
    /// it holds `#` or `?`, and whatever makes a request's path be refused.
    pub fn parse(written: &str) -> Result<Self, PathError> {
        if written.contains('?') {
            return Err(PathError::Query);
        }
        if written.contains('#') {
            return Err(PathError::Fragment);
        }
        Self::from_bytes(written.as_bytes())
    }

    pub(super) fn from_bytes(path: &[u8]) -> Result<Self, PathError> {
        let mut text = CanonicalPath::parse(path)?.text.into_owned();
        if !text.ends_with('/') {
            text.push('/');
        }
        Ok(Self(text))
    }

    /// The prefix of every path.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The canonical form, such as `/m5userapi/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self::root()
    }
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Neither origin-form nor absolute-form.
    #[error("path does not begin with `/`")]
    NotAbsolute,
    /// `#` belongs to the client alone (RFC 3986 §3.5).
    #[error("path holds `#`; fragments are never sent to a server")]
    Fragment,
    /// Only in a configured prefix.
    #[error("path holds `?`; a prefix is compared with the path alone, write it without the query")]
    Query,
    /// `%` without two hexadecimal digits.
    #[error("path holds `%` that is not followed by two hexadecimal digits; write `%25` for a percent sign")]
    BadEscape,
    /// A percent escape within a percent escape, such as `%2541`.
    #[error("path is percent-encoded twice; servers do not agree on what it means")]
    DoubleEscape,
    /// NUL, CR, LF and their like, as they are or encoded.
    #[error("path holds a control character")]
    Control,
    /// An overlong UTF-8 form of a character (RFC 3629 §3).
    #[error("path holds an overlong UTF-8 sequence, which can hide another character")]
    Overlong,
    /// Dots, borders and session segments mixed so that servers read different places.
    #[error("path can be read as more than one place")]
    Ambiguous,
}

struct Decoded {
    bytes: Vec<u8>,
    /// A segment border is written as `%2F`, `%5C` or `\`.
    disguised_border: bool,
}

/// The canonical form, when it is the raw path apart from case: the common case, without a second copy.
fn as_plain(raw: &[u8]) -> Option<Cow<'_, str>> {
    if raw.first() != Some(&b'/') {
        return None;
    }
    let mut upper = false;
    let mut before = b'\0';
    for &byte in raw {
        match byte {
            b'A'..=b'Z' => upper = true,
            b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b','
            | b'='
            | b'@' => {}
            b'.' if before != b'/' => {}
            b'/' if !matches!(before, b'/' | b'.') => {}
            _ => return None,
        }
        before = byte;
    }
    let text = std::str::from_utf8(raw).ok().filter(|_| before != b'.')?;
    Some(if upper { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) })
}

/// Decodes percent escapes, once.
fn decode(raw: &[u8]) -> Result<Decoded, PathError> {
    let mut decoded = Decoded { bytes: Vec::with_capacity(raw.len()), disguised_border: raw.contains(&b'\\') };
    let mut rest = raw;
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            decoded.bytes.push(first);
            rest = tail;
            continue;
        }
        let (character, behind) = escape(tail).ok_or(PathError::BadEscape)?;
        character.push_to(&mut decoded);
        rest = behind;
    }
    let twice =
        decoded.bytes.iter().enumerate().any(|(at, &b)| b == b'%' && escape(&decoded.bytes[at + 1..]).is_some());
    if twice {
        return Err(PathError::DoubleEscape);
    }
    Ok(decoded)
}

/// What a percent escape stands for.
enum Escaped {
    Byte(u8),
    Char(char),
}

impl Escaped {
    fn push_to(self, decoded: &mut Decoded) {
        decoded.disguised_border |= matches!(self, Self::Byte(b'/' | b'\\') | Self::Char('/' | '\\'));
        match self {
            Self::Byte(byte) => decoded.bytes.push(byte),
            Self::Char(character) => decoded.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads what follows a `%`, and gives what is behind it.
fn escape(tail: &[u8]) -> Option<(Escaped, &[u8])> {
    if let [b'u' | b'U', tail @ ..] = tail {
        let value = hex(tail.get(..4)?)?;
        return Some((Escaped::Char(char::from_u32(value)?), &tail[4..]));
    }
    let value = hex(tail.get(..2)?)?;
    Some((Escaped::Byte(u8::try_from(value).ok()?), &tail[2..]))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

/// UTF-8, or else Latin-1. Control characters and overlong forms are refused.
fn to_text(bytes: &[u8]) -> Result<Cow<'_, str>, PathError> {
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(PathError::Control);
    }
    if (0..bytes.len()).any(|at| begins_overlong(&bytes[at..])) {
        return Err(PathError::Overlong);
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    })
}

/// Whether a longer sequence than needed begins here, up to the six bytes of the first UTF-8 (RFC 2279).
///
/// `Ã¶` and `Ö` in Latin-1 are not taken for one: a lead byte counts only with all its continuation bytes.
fn begins_overlong(bytes: &[u8]) -> bool {
    let (length, least) = match bytes {
        [0xC0 | 0xC1, ..] => (2, 0x80),
        [0xE0, ..] => (3, 0xA0),
        [0xF0, ..] => (4, 0x90),
        [0xF8, ..] => (5, 0x88),
        [0xFC, ..] => (6, 0x84),
        _ => return false,
    };
    let Some(continuation) = bytes.get(1..length) else { return false };
    let complete = continuation.iter().all(|byte| matches!(byte, 0x80..=0xBF));
    complete && (length == 2 || continuation[0] < least)
}

/// Case folding, one character for one: upper, then lower, so that `ſ` and `K` meet the letters they stand for.
fn fold(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let upper = only(character.to_uppercase()).unwrap_or(character);
    only(upper.to_lowercase()).unwrap_or(upper)
}

fn only(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

/// Resolves a decoded, folded path segment by segment.
fn resolve(path: &str, disguised_border: bool) -> Result<String, PathError> {
    let mut stack: Vec<&str> = Vec::new();
    let mut segments = path[1..].split(['/', '\\']).peekable();
    let mut ends_with_border = false;
    while let Some(segment) = segments.next() {
        ends_with_border = true;
        match segment {
            "." => {}
            ".." => leave(&mut stack, disguised_border)?,
            "" if segments.peek().is_none() => {}
            _ => {
                let name = significant(segment)?;
                ends_with_border = name.is_empty();
                stack.push(name);
            }
        }
    }
    let mut resolved = String::with_capacity(path.len());
    for name in stack.into_iter().filter(|name| !name.is_empty() && !is_cookieless(name)) {
        resolved.push('/');
        resolved.push_str(name);
    }
    if ends_with_border || resolved.is_empty() {
        resolved.push('/');
    }
    Ok(resolved)
}

/// Takes `..`. What would be left must be the same for every reader.
fn leave(stack: &mut Vec<&str>, disguised_border: bool) -> Result<(), PathError> {
    let left = stack.pop();
    if disguised_border || left.is_some_and(|name| name.is_empty() || is_cookieless(name)) {
        return Err(PathError::Ambiguous);
    }
    Ok(())
}

/// What Windows and IIS compare of a segment; empty for an empty one and for one of parameters alone.
fn significant(segment: &str) -> Result<&str, PathError> {
    let name = segment.split(';').next().unwrap_or_default();
    let name = if name.contains(":$") { name.split(':').next().unwrap_or_default() } else { name };
    let name = name.trim_end_matches([' ', '.']);
    let vanished = name.is_empty() && !segment.is_empty() && !segment.starts_with(';');
    let joins_its_neighbour = behind_cookieless(name).is_some_and(|rest| !rest.is_empty());
    if vanished || joins_its_neighbour {
        return Err(PathError::Ambiguous);
    }
    Ok(name)
}

/// Whether ASP.NET takes the segment for a cookie-less session, ticket or anonymous id.
fn is_cookieless(segment: &str) -> bool {
    behind_cookieless(segment) == Some("") || is_old_cookieless(segment)
}

/// What follows a leading `(S(…))`, `(F(…))` or `(A(…)S(…))`.
///
/// ASP.NET also takes one out of the middle of a name, and joins what is left and right of it.
fn behind_cookieless(segment: &str) -> Option<&str> {
    let mut rest = segment.strip_prefix('(')?;
    loop {
        rest = rest.strip_prefix(|kind: char| kind.is_ascii_alphabetic())?.strip_prefix('(')?;
        rest = rest.trim_start_matches(|inner| !matches!(inner, '(' | ')')).strip_prefix(')')?;
        if let Some(behind) = rest.strip_prefix(')') {
            return Some(behind);
        }
    }
}

/// ASP.NET 1.x: 24 letters and digits in parentheses.
fn is_old_cookieless(segment: &str) -> bool {
    let inner = segment.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether `segment` looks like a generated 8.3 name of `long`: the first letters, `~`, a digit.
///
/// From the fifth name on only two letters are kept; more would miss those.
fn may_be_short_name(segment: &str, long: &str) -> bool {
    let Some((start, number)) = segment.split_once('~') else { return false };
    let looks_generated = !start.is_empty() && start.len() <= 6 && number.starts_with(|c: char| c.is_ascii_digit());
    looks_generated && start.chars().zip(long.chars()).take(2).all(|(a, b)| a == b)
}

fn segments(prefix: &str) -> impl Iterator<Item = &str> {
    prefix.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(raw: &[u8]) -> String {
        CanonicalPath::parse(raw).unwrap_or_else(|error| panic!("{}: {error}", raw.escape_ascii())).text.into_owned()
    }

    #[test]
    fn given_one_change_of_spelling_when_parsed_then_the_same_path() {
        #[rustfmt::skip]
        let table: &[&str] = &[
            "/a/b", "/A/B", "/%61/b", "/%u0061/b", "/a%2Fb", "/a%5cb", "/a\\b", "//a/b", "/a//b", "/./a/b", "/a/./b",
            "/x/../a/b", "/x/%2e%2E/a/b", "/../a/b", "/a/x/y/../../b", "/a./b", "/a%20/b", "/a. ./b", "/a;x=1/b",
            "/a;x./b", "/a%3Bx/b", "/(S(abc))/a/b", "/a/(s(abc))/b", "/(A(x)F(y))/a/b", "/;x/a/b", "/a:$data/b",
            "/a::$index_allocation/b", "/a:$i30:$index_allocation/b", "/(lit3py55t21z5v55vlm25s55)/a/b", "/a/b;.", "/a/b...",
        ];
        for raw in table {
            assert_eq!(canonical(raw.as_bytes()), "/a/b", "{raw}");
        }
    }

    #[test]
    fn given_a_trailing_border_when_parsed_then_it_stays() {
        for raw in ["/a/", "/a//", "/a/.", "/a/b/..", "/a\\", "/a/;x"] {
            assert_eq!(canonical(raw.as_bytes()), "/a/", "{raw}");
        }
        for raw in ["/", "//", "/.", "/..", "/a/..", "/(S(abc))", "/(S(abc))/"] {
            assert_eq!(canonical(raw.as_bytes()), "/", "{raw}");
        }
    }

    #[test]
    fn given_something_to_refuse_when_parsed_then_its_error() {
        use PathError::*;
        #[rustfmt::skip]
        let table: &[(&[u8], PathError)] = &[
            (b"",                    NotAbsolute),
            (b"a",                   NotAbsolute),
            (b"\\a",                 NotAbsolute),
            (b"%2Fa",                NotAbsolute),
            (b"/%",                  BadEscape),
            (b"/%4",                 BadEscape),
            (b"/%zz",                BadEscape),
            (b"/%+1",                BadEscape),
            (b"/%u004",              BadEscape),
            (b"/%uD800",             BadEscape),
            (b"/%2541",              DoubleEscape),
            (b"/%25u0041",           DoubleEscape),
            (b"/%25%34%31",          DoubleEscape),
            (b"/%00",                Control),
            (b"/a\0",                Control),
            (b"/%0d%0a",             Control),
            (b"/%7f",                Control),
            (b"/%c0%af",             Overlong),
            (b"/\xc0\xaf",           Overlong),
            (b"/%c1%9c",             Overlong),
            (b"/%e0%80%af",          Overlong),
            (b"/%f0%80%80%af",       Overlong),
            (b"/%f8%80%80%80%af",    Overlong),
            (b"/%fc%80%80%80%80%af", Overlong),
            (b"/...",                Ambiguous),
            (b"/a/..;/b",            Ambiguous),
            (b"/a/..%20/b",          Ambiguous),
            (b"/a/%20/b",            Ambiguous),
            (b"/a//../b",            Ambiguous),
            (b"/a/;x/../b",          Ambiguous),
            (b"/a%2Fb/../c",         Ambiguous),
            (b"/a\\b/../c",          Ambiguous),
            (b"/a/(S(x))/../b",      Ambiguous),
            (b"/m5user/(S(x))api/y", Ambiguous),
        ];
        for (raw, error) in table {
            assert_eq!(CanonicalPath::parse(raw), Err(*error), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn given_legacy_bytes_when_parsed_then_they_pass() {
        assert_eq!(canonical(b"/f\xe5gel"), "/f\u{e5}gel");
        assert_eq!(canonical(b"/F%C5GEL"), "/f\u{e5}gel");
        assert_eq!(canonical("/F\u{c5}GEL".as_bytes()), "/f\u{e5}gel");
        assert_eq!(canonical(b"/%u00C5"), "/\u{e5}");
        assert_eq!(canonical(b"/\xf6l/\xfcber/\xc0 la"), "/\u{f6}l/\u{fc}ber/\u{e0} la");
        assert_eq!(canonical(b"/100%25"), "/100%");
        assert_eq!(canonical(b"/products(5)/func(a,(b))"), "/products(5)/func(a,(b))");
    }

    #[test]
    fn given_a_spelling_when_parsed_then_verbatim_tells_whether_it_was_canonical() {
        for raw in ["/", "/a", "/A/b.TXT", "/.well-known/x", "/\u{c5}", "/a:b", "/a(1)", "/~x/1"] {
            assert!(CanonicalPath::parse(raw.as_bytes()).expect(raw).is_verbatim(), "{raw}");
        }
        for raw in ["//", "/a/./b", "/%61", "/a\\b", "/a.", "/a;x", "/(S(a))/b", "/%20x"] {
            assert!(!CanonicalPath::parse(raw.as_bytes()).expect(raw).is_verbatim(), "{raw}");
        }
        assert!(!CanonicalPath::parse(b"/\xc5").expect("Latin-1").is_verbatim());
    }

    #[test]
    fn given_a_prefix_when_compared_then_borders_count() {
        let prefix = PathPrefix::parse("/X").expect("prefix");
        assert_eq!(prefix, PathPrefix::parse("/x/").expect("prefix"));
        for (path, below) in
            [("/x", true), ("/x/", true), ("/x/y", true), ("/x2", false), ("/y/x", false), ("/", false)]
        {
            assert_eq!(CanonicalPath::parse(path.as_bytes()).expect(path).is_below(&prefix), below, "{path}");
            assert!(CanonicalPath::parse(path.as_bytes()).expect(path).is_below(&PathPrefix::root()), "{path}");
        }
    }

    #[test]
    fn given_a_short_name_when_compared_then_it_may_be_below() {
        let prefix = PathPrefix::parse("/M5UserAPI/v1/").expect("prefix");
        #[rustfmt::skip]
        let table = [
            ("/m5user~1/v1/x", true), ("/M5A1B2~1/v1", true), ("/m5userapi/v1", true), ("/m5user~/v1", false),
            ("/a5user~1/v1", false), ("/~1/v1", false), ("/m5user~1", false), ("/m5user~1/v2", false),
        ];
        for (path, expected) in table {
            assert_eq!(CanonicalPath::parse(path.as_bytes()).expect(path).may_be_below(&prefix), expected, "{path}");
        }
    }

    #[test]
    fn given_a_prefix_no_path_can_have_when_parsed_then_its_error() {
        use PathError::*;
        for (written, error) in
            [("x", NotAbsolute), ("", NotAbsolute), ("/a?b", Query), ("/a#b", Fragment), ("/%00", Control)]
        {
            assert_eq!(PathPrefix::parse(written), Err(error), "{written}");
        }
        assert_eq!(PathPrefix::parse("/A%20b/./c").expect("prefix").as_str(), "/a b/c/");
    }

    #[test]
    fn given_every_character_when_folded_then_folding_again_changes_nothing() {
        for character in '\0'..=char::MAX {
            assert_eq!(fold(fold(character)), fold(character), "{character:?}");
        }
        assert_eq!([fold('\u{17f}'), fold('\u{212a}'), fold('\u{c5}')], ['s', 'k', '\u{e5}']);
    }

    /// How HTTP.sys and ASP.NET are understood to read a path, written the slow way: `..` takes whatever stands before it.
    fn as_iis_reads_it(raw: &[u8]) -> Option<Vec<String>> {
        let decoded = decode(raw).ok()?.bytes;
        let text = String::from_utf8(decoded).ok()?.replace('\\', "/").to_lowercase();
        let mut names: Vec<String> = Vec::new();
        for segment in text.strip_prefix('/')?.split('/') {
            match segment {
                "." => {}
                ".." => drop(names.pop()),
                name => names.push(name.trim_end_matches(['.', ' ']).to_owned()),
            }
        }
        names.retain(|name| !(name.is_empty() || name.starts_with("(s(") && name.ends_with("))")));
        Some(names)
    }

    /// Paths made of the pieces that matter.
    fn crooked() -> impl Strategy<Value = String> {
        #[rustfmt::skip]
        let pieces = prop::sample::select(vec![
            "/", "/", "\\", "%2f", "%5C", ".", "..", "%2e", ";", ";x", " ", "%20", "(S(a))", "(s(b))", "m5", "M5", "%4d5", "api",
            "%61pi", "a", ":$data", "%25", "%", "~1", "\u{17f}", "%c3%85", "\u{c5}", "%E5",
        ]);
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn given_any_bytes_when_parsed_then_no_panic_and_a_leading_slash(raw: Vec<u8>) {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                prop_assert!(path.as_str().starts_with('/'));
                prop_assert!(!path.as_str().contains("//"));
            }
        }

        #[test]
        fn given_a_canonical_path_when_parsed_again_then_unchanged(raw in crooked()) {
            let Ok(path) = CanonicalPath::parse(raw.as_bytes()) else { return Ok(()) };
            if let Ok(again) = CanonicalPath::parse(path.as_str().as_bytes()) {
                prop_assert_eq!(again.as_str(), path.as_str());
                prop_assert!(again.is_verbatim());
            }
        }

        #[test]
        fn given_a_plain_path_when_parsed_the_slow_way_then_the_same(raw in "/[a-zA-Z./~@]{0,8}") {
            let Some(plain) = as_plain(raw.as_bytes()) else { return Ok(()) };
            let folded: String = raw.chars().map(fold).collect();
            prop_assert_eq!(resolve(&folded, false).expect("plain"), plain.into_owned());
        }

        #[test]
        fn given_a_path_that_iis_reads_below_a_prefix_when_parsed_then_below_it_or_refused(raw in crooked()) {
            for prefix in ["/m5/", "/m5/api/"] {
                let Some(names) = as_iis_reads_it(raw.as_bytes()) else { continue };
                let wanted: Vec<_> = segments(prefix).collect();
                let Ok(path) = CanonicalPath::parse(raw.as_bytes()) else { continue };
                if names.len() >= wanted.len() && names.iter().zip(&wanted).all(|(a, b)| a == b) {
                    prop_assert!(path.is_below(&PathPrefix::parse(prefix).expect("prefix")), "{raw} -> {path:?}");
                }
            }
        }
    }
}
