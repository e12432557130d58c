//! The allow-list.

use std::fmt;
use std::str::FromStr;

use http::Method;

/// One entry of an allow-list: `POST /rp/v6.0/*`, `* /status`.
///
/// # Why
///
/// The path is compared byte for byte, case included: whoever calls is an application that spells its paths in one way.
/// A target that a server might read as another path (`..`, `//`, `\`, an escaped border) matches no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// `None` is every method.
    method: Option<Method>,
    path: String,
    /// Everything that begins with `path`.
    is_prefix: bool,
}

impl Allowed {
    /// Whether a request may pass; `target` is its path and query as sent.
    pub fn matches(&self, method: &Method, target: &str) -> bool {
        let path = target.split(['?', '#']).next().unwrap_or(target);
        let is_meant = if self.is_prefix { path.starts_with(&self.path) } else { path == self.path };
        is_meant && !is_devious(path) && self.method.as_ref().is_none_or(|own| own == method)
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_ref().map_or("*", Method::as_str);
        write!(f, "{method} {}{}", self.path, if self.is_prefix { "*" } else { "" })
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    /// Reads a method or `*`, and a path that may end in `*`.
    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let (method, path) = text.trim().split_once(' ').ok_or(AllowedError::OneWord)?;
        let path = path.trim_start();
        let method = match method {
            "*" => None,
            word if word.bytes().all(|byte| byte.is_ascii_uppercase()) => Method::from_bytes(word.as_bytes()).ok(),
            _ => return Err(AllowedError::Method),
        };
        if !path.starts_with('/') {
            return Err(AllowedError::Relative);
        }
        let (path, is_prefix) = path.strip_suffix('*').map_or((path, false), |prefix| (prefix, true));
        if path.contains('*') {
            return Err(AllowedError::Star);
        }
        if path.contains(['?', '#', ' ']) || is_devious(path) {
            return Err(AllowedError::Path);
        }
        Ok(Self { method, path: path.to_owned(), is_prefix })
    }
}

/// Why a text is no entry of an allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedError {
    /// No space in it.
    #[error("it is one word; expected a method and a path")]
    OneWord,
    /// Not a method.
    #[error("it does not begin with a method in upper case, or `*`")]
    Method,
    /// The path does not begin at the root.
    #[error("the path does not begin with `/`")]
    Relative,
    /// A star in the middle.
    #[error("a `*` stands before the end of the path")]
    Star,
    /// A query, a space, or a path that has several spellings.
    #[error("the path holds a query, a space, `//`, `..`, `\\` or an escaped `/`, `\\` or `.`")]
    Path,
}

/// Whether a server might take the path for another.
fn is_devious(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    lower.contains("//")
        || lower.contains(['\\', ' '])
        || ["%2f", "%5c", "%2e", "%25", "%00"].iter().any(|escape| lower.contains(escape))
        || lower.split('/').any(is_dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> Allowed {
        text.parse().unwrap()
    }

    #[test]
    fn given_an_entry_when_asked_then_only_what_it_names_passes() {
        #[rustfmt::skip]
        let table = [
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/auth", true),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/phone/auth", true),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/auth?x=1", true),
            ("POST /rp/v6.0/*", "GET", "/rp/v6.0/auth", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v5.1/auth", false),
            ("POST /rp/v6.0/*", "POST", "/RP/v6.0/auth", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/../v5/auth", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/%2e%2e/v5/auth", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/..%2Fadmin", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/..;/admin", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0//admin", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0/..\\admin", false),
            ("POST /rp/v6.0/*", "POST", "/rp/v6.0", false),
            ("* /status", "GET", "/status", true),
            ("* /status", "DELETE", "/status?full", true),
            ("* /status", "GET", "/status/", false),
            ("GET /*", "GET", "/", true),
        ];
        for (entry, method, target, passes) in table {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(allowed(entry).matches(&method, target), passes, "{entry}: {method} {target}");
            assert_eq!(allowed(entry).to_string(), entry);
        }
    }

    #[test]
    fn given_what_is_no_entry_when_read_then_said_why() {
        #[rustfmt::skip]
        let table = [
            ("/rp/v6.0/*", AllowedError::OneWord), ("", AllowedError::OneWord),
            ("post /rp/v6.0/*", AllowedError::Method), ("PO5T /x", AllowedError::Method),
            ("POST rp/v6.0/*", AllowedError::Relative), ("POST *", AllowedError::Relative),
            ("POST /rp/*/auth", AllowedError::Star), ("POST /rp/**", AllowedError::Star),
            ("POST /rp?x", AllowedError::Path), ("POST /rp/../x", AllowedError::Path), ("POST /a b", AllowedError::Path),
        ];
        for (text, why) in table {
            assert_eq!(text.parse::<Allowed>(), Err(why), "{text}");
        }
    }
}
