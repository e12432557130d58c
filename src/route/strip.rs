//! `strip_prefix`: a target without the prefix of its route, and the way back.

use super::headers::{attribute_name, attribute_value};
use super::redirect::push_escaped;
use super::{CanonicalPath, PathError, PathPrefix, Target};

/// A target without the prefix of its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped {
    /// Path and query for the upstream, in origin-form.
    pub target: Vec<u8>,
    /// What was taken away, such as `/api`, in visible ASCII: in the client's upper and lower case, since clients compare
    /// the paths of their cookies by it.
    pub prefix: String,
}

impl Stripped {
    /// Takes `prefix`, which is not `/`, off a target whose canonical path `path` lies below it.
    ///
    /// # Errors
    ///
    /// [`PathError::Ambiguous`] where the upstream would read the rest as another place than the one that was asked for:
    /// `/api/../api/x`, `/x/../api/y`, `//api/x`. Other spellings of the prefix's segments are taken off.
    ///
    /// # Why
    ///
    /// Rules are decided by the whole path and bytes are forwarded as they came. Both stay true only when what is cut
    /// off is the prefix alone, and what is left means what is left of the canonical path.
    pub(super) fn new(target: &Target<'_>, path: &CanonicalPath<'_>, prefix: &PathPrefix) -> Result<Self, PathError> {
        let raw = target.path();
        let (front, rest) = raw.split_at(border(raw, prefix.as_str().matches('/').count()));
        // `//evil.test` would be another host for a client that is sent back there.
        let rest = rest.iter().position(|byte| !matches!(byte, b'/' | b'\\')).map_or(&[][..], |at| &rest[at..]);
        let rest = [b"/", rest].concat();
        let expected = path.as_str().get(prefix.as_str().len()..).unwrap_or_default();
        let is_same_place = CanonicalPath::parse(&rest)?.as_str().strip_prefix('/') == Some(expected);
        if !is_same_place || !CanonicalPath::parse(front)?.is_below(prefix) {
            return Err(PathError::Ambiguous);
        }
        let query = target.query().map(|query| [b"?", query].concat()).unwrap_or_default();
        Ok(Self { target: [rest, query].concat(), prefix: spelling(front, prefix) })
    }

    /// A `Location` of the upstream with the prefix put back; `None` where it stays as it is.
    ///
    /// Absolute paths are changed, and URLs that `is_ours` knows the authority of, unless they have the prefix already: an
    /// upstream may heed `X-Forwarded-Prefix`.
    pub fn restore_location(&self, location: &str, is_ours: impl Fn(&str) -> bool) -> Option<String> {
        let origin = origin_length(location, is_ours)?;
        let (origin, rest) = location.split_at(origin);
        let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
        if !rest.is_empty() && !rest.starts_with(['/', '?', '#']) || self.is_in(&rest[..path_end]) {
            return None;
        }
        Some(format!("{origin}{}{}{rest}", self.prefix, if rest.starts_with('/') { "" } else { "/" }))
    }

    /// What is left of another path or URL path below the prefix; `None` where it does not lie there.
    pub fn cut<'p>(&self, path: &'p str) -> Option<&'p str> {
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let rest = path.get(self.prefix.len()..).filter(|_| self.is_in(&path[..end]))?;
        if rest.is_empty() { Some("/") } else { rest.starts_with('/').then_some(rest) }
    }

    /// A `Set-Cookie` value of the upstream with the prefix put before its `Path`; `None` where it stays as it is.
    ///
    /// Only the last `Path` counts (RFC 6265 §5.2.4). Without one, or with one that is no path, clients take the folder of
    /// the request, which has the prefix.
    pub fn restore_cookie(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut parts: Vec<_> = value.split(|&byte| byte == b';').map(<[u8]>::to_vec).collect();
        let is_path = |part: &Vec<u8>| attribute_name(part).eq_ignore_ascii_case(b"path");
        let last = parts.iter().skip(1).rposition(is_path)? + 1;
        let path = attribute_value(&parts[last]).to_vec();
        if !path.starts_with(b"/") || self.is_in(&String::from_utf8_lossy(&path)) {
            return None;
        }
        let path = if path == b"/" { &[][..] } else { &path };
        parts[last] = [b" Path=", self.prefix.as_bytes(), path].concat();
        Some(parts.join(&b';'))
    }

    /// Whether a path has the prefix, on a segment border.
    fn is_in(&self, path: &str) -> bool {
        let front = path.get(..self.prefix.len());
        front.is_some_and(|front| front.eq_ignore_ascii_case(&self.prefix))
            && matches!(path.as_bytes().get(self.prefix.len()), None | Some(b'/'))
    }
}

/// Where the `count`th `/` stands, counted from one; the end where there are fewer.
fn border(raw: &[u8], count: usize) -> usize {
    let mut borders = raw.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    borders.nth(count.saturating_sub(1)).map_or(raw.len(), |(at, _)| at)
}

/// The prefix as the client wrote it, where that differs by case alone.
fn spelling(front: &[u8], prefix: &PathPrefix) -> String {
    let canonical = prefix.as_str().trim_end_matches('/');
    match std::str::from_utf8(front) {
        Ok(front) if front.eq_ignore_ascii_case(canonical) && canonical.is_ascii() => front.to_owned(),
        _ => {
            let mut escaped = String::new();
            push_escaped(&mut escaped, canonical.as_bytes());
            // A border of cookie attributes, which a prefix may hold in no other place.
            escaped.replace(';', "%3B").replace(',', "%2C")
        }
    }
}

/// How much of a `Location` names a host of ours; 0 for a path alone.
fn origin_length(location: &str, is_ours: impl Fn(&str) -> bool) -> Option<usize> {
    if location.starts_with('/') {
        return (!location.starts_with("//") && !location.starts_with("/\\")).then_some(0);
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| location.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let rest = &location[scheme.len()..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    is_ours(&rest[..end]).then_some(scheme.len() + end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strip(target: &str, prefix: &str) -> Result<(String, String), PathError> {
        let (target, prefix) = (Target::parse(target.as_bytes()).unwrap(), PathPrefix::parse(prefix).unwrap());
        let path = CanonicalPath::parse(target.path())?;
        assert!(path.is_below(&prefix), "{path:?} does not go there");
        let stripped = Stripped::new(&target, &path, &prefix)?;
        Ok((String::from_utf8(stripped.target).unwrap(), stripped.prefix))
    }

    #[test]
    fn given_a_target_when_stripped_then_the_rest_as_it_was_written() {
        #[rustfmt::skip]
        let table = [
            ("/api/",                    "/api/",      "/",            "/api"),
            ("/api",                     "/api/",      "/",            "/api"),
            ("/api?x=/api/",             "/api/",      "/?x=/api/",    "/api"),
            ("/api/X/%C3%A5?y=%2F",      "/api/",      "/X/%C3%A5?y=%2F", "/api"),
            ("/API/x",                   "/api/",      "/x",           "/API"),
            ("/%61pi/x",                 "/api/",      "/x",           "/api"),
            ("/api/a/../b",              "/api/",      "/a/../b",      "/api"),
            ("/api//x",                  "/api/",      "/x",           "/api"),
            ("/api//evil.test/x",        "/api/",      "/evil.test/x", "/api"),
            ("/api/\\evil.test/x",       "/api/",      "/evil.test/x", "/api"),
            ("/api;Domain=evil/x",       "/api/",      "/x",           "/api"),
            ("/Api/v2/x",                "/api/v2/",   "/x",           "/Api/v2"),
            ("/%C3%A5/x",                "/\u{e5}/",   "/x",           "/%C3%A5"),
            ("http://m5.test/api/x?y",   "/api/",      "/x?y",         "/api"),
        ];
        for (target, prefix, rest, taken) in table {
            assert_eq!(strip(target, prefix), Ok((rest.to_owned(), taken.to_owned())), "{target}");
        }
    }

    #[test]
    fn given_a_target_that_could_lead_elsewhere_when_stripped_then_refused() {
        for target in ["/api/../api/x", "/x/../api/y", "//api/x", "/./api/x", "/api%2Fx", "/api\\x", "/(S(a))/api/x"] {
            assert_eq!(strip(target, "/api/"), Err(PathError::Ambiguous), "{target}");
        }
    }

    fn api() -> Stripped {
        Stripped { target: b"/".to_vec(), prefix: "/Api".to_owned() }
    }

    #[test]
    fn given_a_location_when_restored_then_it_has_the_prefix_once() {
        #[rustfmt::skip]
        let table = [
            ("/login?a=/b",            Some("/Api/login?a=/b")),
            ("/",                      Some("/Api/")),
            ("/apix",                  Some("/Api/apix")),
            ("/api/login",             None),
            ("/API?x",                 None),
            ("login",                  None),
            ("../login",               None),
            ("?page=2",                None),
            ("",                       None),
            ("//m5.test/login",        None),
            ("/\\m5.test/login",       None),
            ("http://m5.test/login",   Some("http://m5.test/Api/login")),
            ("https://m5.test",        Some("https://m5.test/Api/")),
            ("https://m5.test?x",      Some("https://m5.test/Api/?x")),
            ("https://m5.test/api/x",  None),
            ("https://evil.test/x",    None),
            ("ftp://m5.test/x",        None),
        ];
        for (location, expected) in table {
            let restored = api().restore_location(location, |authority| authority == "m5.test");
            assert_eq!(restored.as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn given_a_cookie_when_restored_then_its_path_has_the_prefix_once() {
        #[rustfmt::skip]
        let table = [
            ("a=b; Path=/",                  Some("a=b; Path=/Api")),
            ("a=b; path=/app; HttpOnly",     Some("a=b; Path=/Api/app; HttpOnly")),
            ("a=b; Path=/; Path=/app",       Some("a=b; Path=/; Path=/Api/app")),
            ("a=b; Path=/api/app",           None),
            ("a=b; Path=/apix",              Some("a=b; Path=/Api/apix")),
            ("a=b",                          None),
            ("path=/",                       None),
            ("a=b; Path=app",                None),
            ("a=b; Path",                    None),
        ];
        for (cookie, expected) in table {
            let restored = api().restore_cookie(cookie.as_bytes());
            assert_eq!(restored.map(|value| String::from_utf8(value).unwrap()).as_deref(), expected, "{cookie}");
        }
    }

    proptest! {
        #[test]
        fn given_any_target_below_the_prefix_when_stripped_then_the_same_place_or_refused(
            target in "/(api|API|%61pi|a|\\.|\\.\\.|;|\\\\|%2f|%5c)(/|/[a-c.%2f;\\\\]{0,4}){0,6}",
        ) {
            let prefix = PathPrefix::parse("/api/").unwrap();
            let target = Target::parse(target.as_bytes()).unwrap();
            let Ok(path) = CanonicalPath::parse(target.path()) else { return Ok(()) };
            if !path.is_below(&prefix) {
                return Ok(());
            }
            let Ok(stripped) = Stripped::new(&target, &path, &prefix) else { return Ok(()) };
            let whole = [b"/api", &stripped.target[..]].concat();
            let again = CanonicalPath::parse(&whole).unwrap();
            prop_assert_eq!(again.as_str().trim_end_matches('/'), path.as_str().trim_end_matches('/'));
            prop_assert!(!stripped.target.starts_with(b"//"));
        }

        #[test]
        fn given_any_bytes_when_restored_then_a_second_time_changes_nothing(value: Vec<u8>, location: String) {
            if let Some(restored) = api().restore_cookie(&value) {
                prop_assert_eq!(api().restore_cookie(&restored), None);
            }
            if let Some(restored) = api().restore_location(&location, |_| true) {
                prop_assert_eq!(api().restore_location(&restored, |_| true), None);
            }
        }
    }
}
