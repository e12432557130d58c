//! The request target, taken apart (RFC 9112 §3.2).

use std::borrow::Cow;

use super::PathError;

/// A request target in origin-form, absolute-form or asterisk-form.
///
/// The authority-form belongs to CONNECT, which is refused before a target is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    authority: Option<&'a [u8]>,
    rest: &'a [u8],
    query_at: Option<usize>,
}

impl<'a> Target<'a> {
    /// Takes a raw request target apart. Nothing is decoded.
    ///
    /// # Errors
    ///
    /// [`PathError::NotAbsolute`] when it begins neither with `/` nor with `http://` or `https://` and is not `*`;
    /// [`PathError::Fragment`] when a `#` stands in the path, which servers read differently.
    pub fn parse(raw: &'a [u8]) -> Result<Self, PathError> {
        let (authority, rest) = match raw {
            b"*" | [b'/', ..] => (None, raw),
            _ => split_absolute(raw)?,
        };
        let query_at = rest.iter().position(|&b| b == b'?');
        let target = Self { authority, rest, query_at };
        if target.path().contains(&b'#') {
            return Err(PathError::Fragment);
        }
        Ok(target)
    }

    /// `host[:port]` of an absolute-form target.
    pub fn authority(&self) -> Option<&'a [u8]> {
        self.authority
    }

    /// Raw bytes of the path; `/` where an absolute-form target has none.
    pub fn path(&self) -> &'a [u8] {
        match &self.rest[..self.query_at.unwrap_or(self.rest.len())] {
            b"" => b"/",
            path => path,
        }
    }

    /// Raw bytes after the first `?`.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.query_at.map(|at| &self.rest[at + 1..])
    }

    /// Whether the target is `*`: a question about the server as a whole (RFC 9112 §3.2.4).
    pub fn is_asterisk(&self) -> bool {
        self.rest == b"*"
    }

    /// Path and query as they are sent to an upstream: the raw bytes, without scheme and authority.
    pub fn origin_form(&self) -> Cow<'a, [u8]> {
        if matches!(self.rest, b"*" | [b'/', ..]) {
            return Cow::Borrowed(self.rest);
        }
        Cow::Owned([b"/", self.rest].concat())
    }
}

/// Splits `http://authority/path` behind the authority.
fn split_absolute(raw: &[u8]) -> Result<(Option<&[u8]>, &[u8]), PathError> {
    let rest = strip_scheme(raw).ok_or(PathError::NotAbsolute)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    Ok((Some(authority), path))
}

fn strip_scheme(raw: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"]
        .into_iter()
        .find(|scheme| raw.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(|scheme| &raw[scheme.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_each_form_when_parsed_then_its_parts() {
        #[rustfmt::skip]
        let table = [
            ("/",                     None,               "/",  None,       "/"),
            ("/a?",                   None,               "/a", Some(""),   "/a?"),
            ("/a?b?c",                None,               "/a", Some("b?c"), "/a?b?c"),
            ("*",                     None,               "*",  None,       "*"),
            ("http://m5.test",        Some("m5.test"),    "/",  None,       "/"),
            ("http://m5.test/a?b",    Some("m5.test"),    "/a", Some("b"),  "/a?b"),
            ("HTTPS://m5.test:1?b",   Some("m5.test:1"),  "/",  Some("b"),  "/?b"),
            ("http:///a",             Some(""),           "/a", None,       "/a"),
            ("/a?b#c",                None,               "/a", Some("b#c"), "/a?b#c"),
        ];
        for (raw, authority, path, query, origin) in table {
            let target = Target::parse(raw.as_bytes()).expect(raw);
            assert_eq!(target.authority(), authority.map(str::as_bytes), "{raw}");
            assert_eq!(target.path(), path.as_bytes(), "{raw}");
            assert_eq!(target.query(), query.map(str::as_bytes), "{raw}");
            assert_eq!(&*target.origin_form(), origin.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn given_no_known_form_when_parsed_then_error() {
        for raw in ["", "a", "**", "m5.test:443", "ftp://m5.test/", "http:/a", "?b", "\\a"] {
            assert_eq!(Target::parse(raw.as_bytes()), Err(PathError::NotAbsolute), "{raw}");
        }
        assert_eq!(Target::parse(b"/a#b"), Err(PathError::Fragment));
        assert_eq!(Target::parse(b"http://m5.test#b"), Err(PathError::Fragment));
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_parsed_then_the_origin_form_begins_with_a_slash(raw: Vec<u8>) {
            let Ok(target) = Target::parse(&raw) else { return Ok(()) };
            prop_assert!(target.is_asterisk() || target.origin_form().starts_with(b"/"));
        }
    }
}
