//! What is mended in the answers of a route, and its cookies.

use super::headers::{attribute_name, attribute_value};
use super::{Links, Origin};

/// `answers` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// `Location`, `Content-Location` and `Refresh`.
    pub locations: bool,
    /// `Secure`, `Domain` and `Path` of cookies.
    pub cookies: bool,
    /// Where the upstream believes itself to be, beside its own addresses.
    pub origins: Vec<Origin>,
    /// Added to cookies that have none.
    pub same_site: Option<SameSite>,
    /// Added to every cookie.
    pub http_only: bool,
    /// Addresses in descriptions of services are corrected up to this many bytes.
    pub xml: Option<u64>,
}

impl Default for Answers {
    /// What no client can miss: a URL that it cannot reach, a cookie that it would refuse or send in clear.
    fn default() -> Self {
        Self { locations: true, cookies: true, origins: Vec::new(), same_site: None, http_only: false, xml: None }
    }
}

/// `SameSite` of a cookie (draft-ietf-httpbis-rfc6265bis §5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Sent from the site's own pages only.
    Strict,
    /// And when a link leads there.
    Lax,
    /// Always; browsers refuse it without `Secure`.
    None,
}

impl SameSite {
    /// As in `Set-Cookie`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl Answers {
    /// Whether a cookie can be changed at all.
    pub fn touches_cookies(&self) -> bool {
        self.cookies || self.same_site.is_some() || self.http_only
    }

    /// A `Set-Cookie` value mended; `None` where it stays as it is, byte for byte.
    ///
    /// The path gets the prefix back; a `Domain` that names the upstream's inside goes, so that the cookie is the site's;
    /// `Secure` comes where nothing in clear can reach the cookie ([`super::Routes::secure_cookie`]), and where the client came by
    /// TLS to a proxy before us. A cookie that has a
    /// `SameSite` keeps it; `None` is added to those with `Secure` only.
    pub fn cookie(&self, links: &Links<'_>, value: &[u8]) -> Option<Vec<u8>> {
        let mut mended = Mended { original: value, better: None };
        if self.cookies {
            mended.by(|value| links.stripped?.restore_cookie(value));
            mended.by(|value| without_inner_domain(links, value));
            mended.by(|value| secured(links, value));
        }
        if self.http_only {
            mended.by(|value| (!has(value, b"httponly")).then(|| with(value, b"HttpOnly")));
        }
        if let Some(same_site) = self.same_site {
            mended.by(|value| {
                let is_allowed = same_site != SameSite::None || has(value, b"secure");
                let attribute = [b"SameSite=", same_site.as_str().as_bytes()].concat();
                (is_allowed && !has(value, b"samesite")).then(|| with(value, &attribute))
            });
        }
        mended.better
    }
}

struct Mended<'a> {
    original: &'a [u8],
    better: Option<Vec<u8>>,
}

impl Mended<'_> {
    fn by(&mut self, mend: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        if let Some(better) = mend(self.better.as_deref().unwrap_or(self.original)) {
            self.better = Some(better);
        }
    }
}

/// # Why
///
/// A proxy that ends TLS before us comes by plain HTTP, so that the site has to allow that. It says nothing of what clients
/// may do, of whom this one came by TLS. A cookie with `Domain` goes to other sites, of which that is not known.
fn secured(links: &Links<'_>, value: &[u8]) -> Option<Vec<u8>> {
    if links.is_secure {
        return links.routes.secure_cookie(links.site, value);
    }
    (links.is_secure_before && !has(value, b"secure") && !has(value, b"domain")).then(|| with(value, b"Secure"))
}

/// Only the last `Domain` counts (RFC 6265 §5.2.3), but no other may come to count instead.
fn without_inner_domain(links: &Links<'_>, value: &[u8]) -> Option<Vec<u8>> {
    let is_domain = |part: &&[u8]| attribute_name(part).eq_ignore_ascii_case(b"domain");
    let mut parts = value.split(|&byte| byte == b';');
    let first = parts.next()?;
    let attributes: Vec<_> = parts.collect();
    let last = attributes.iter().copied().rfind(is_domain)?;
    if !links.is_inner_domain(std::str::from_utf8(attribute_value(last)).ok()?) {
        return None;
    }
    let kept = attributes.into_iter().filter(|part| !is_domain(part));
    Some(std::iter::once(first).chain(kept).collect::<Vec<_>>().join(&b';'))
}

/// Whether a cookie has an attribute, given in lower case.
fn has(value: &[u8], name: &[u8]) -> bool {
    value.split(|&byte| byte == b';').skip(1).any(|part| attribute_name(part).eq_ignore_ascii_case(name))
}

fn with(value: &[u8], attribute: &[u8]) -> Vec<u8> {
    let end = value.trim_ascii_end();
    [end.strip_suffix(b";").unwrap_or(end), b"; ", attribute].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decide::tests::settings;
    use super::super::{PlainPolicy, Routes, Settings, Stripped};
    use super::*;

    fn mended(answers: &Answers, settings: Settings, is_secure: bool, value: &[u8]) -> Option<Vec<u8>> {
        let (routes, origins) = (Routes::new(settings), [Origin::parse("http://intern:8080").unwrap()]);
        let stripped = Stripped { target: b"/".to_vec(), prefix: "/Api".to_owned() };
        let links = Links {
            routes: &routes,
            site: 0,
            is_secure,
            host: Some("m5.test"),
            is_secure_before: false,
            origins: &origins,
            stripped: Some(&stripped),
        };
        answers.cookie(&links, value)
    }

    fn text(answers: &Answers, is_secure: bool, value: &str) -> Option<String> {
        mended(answers, settings(), is_secure, value.as_bytes()).map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn given_a_cookie_when_mended_then_path_domain_and_secure_fit_the_site() {
        #[rustfmt::skip]
        let table = [
            ("a=b; Path=/; Domain=intern; HttpOnly", Some("a=b; Path=/Api; HttpOnly; Secure")),
            ("a=b; domain=.INTERN",                  Some("a=b; Secure")),
            ("a=b; Domain=intern; Domain=m5.test",   Some("a=b; Domain=intern; Domain=m5.test; Secure")),
            ("a=b; Domain=m5.test; Domain=intern",   Some("a=b; Secure")),
            ("a=b; SameSite=None",                   Some("a=b; SameSite=None; Secure")),
            ("a=b; Secure; Path=/api/x",             None),
            ("Domain=intern; Secure",                None),
        ];
        for (cookie, expected) in table {
            assert_eq!(text(&Answers::default(), true, cookie).as_deref(), expected, "{cookie}");
        }
    }

    #[test]
    fn given_flags_asked_for_when_mended_then_added_once_and_none_beside_secure_only() {
        let lax = Answers { cookies: false, same_site: Some(SameSite::Lax), http_only: true, ..Answers::default() };
        let none = Answers { same_site: Some(SameSite::None), http_only: false, ..lax.clone() };
        let secured = Answers { cookies: true, ..none.clone() };
        #[rustfmt::skip]
        let table = [
            (&lax,     "a=b",                                Some("a=b; HttpOnly; SameSite=Lax")),
            (&lax,     "a=b; samesite=Strict; ",             Some("a=b; samesite=Strict; HttpOnly")),
            (&lax,     "a=b; SameSite; HTTPONLY",            None),
            (&none,    "a=b",                                None),
            (&none,    "a=b; Secure",                        Some("a=b; Secure; SameSite=None")),
            (&secured, "a=b",                                Some("a=b; Secure; SameSite=None")),
        ];
        for (answers, cookie, expected) in table {
            assert_eq!(text(answers, true, cookie).as_deref(), expected, "{cookie} {answers:?}");
        }
        assert_eq!(text(&secured, false, "a=b"), None);
    }

    #[test]
    fn given_everything_switched_off_or_a_plain_path_when_mended_then_unchanged() {
        let off = Answers { cookies: false, ..Answers::default() };
        assert_eq!((off.touches_cookies(), text(&off, true, "a=b; Path=/; Domain=intern")), (false, None));
        let mut open = settings();
        open.sites[0].https.rest = PlainPolicy::Allow;
        let none = Answers { same_site: Some(SameSite::None), ..Answers::default() };
        assert_eq!(mended(&none, open, true, b"a=b"), None);
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_mended_then_a_second_time_changes_nothing(value: Vec<u8>, is_secure: bool) {
            let all = Answers { same_site: Some(SameSite::Lax), http_only: true, ..Answers::default() };
            if let Some(better) = mended(&all, settings(), is_secure, &value) {
                prop_assert_eq!(mended(&all, settings(), is_secure, &better), None);
            }
        }
    }
}
