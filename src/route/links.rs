//! URLs of an upstream and of its site: what an answer says corrected for the client, and a client's `Destination` for the
//! upstream.

use std::fmt;

use super::redirect::https_origin;
use super::{HostName, Routes, Stripped};

/// Where a server believes itself to be: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https`.
    pub is_secure: bool,
    /// Lower case, no brackets.
    pub host: String,
    /// Written or of the scheme.
    pub port: u16,
}

impl Origin {
    /// Reads `http://host[:port]`; a `/` at the end means nothing. `None` for everything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, rest) = Url::split(text.strip_suffix('/').unwrap_or(text))?.origin()?;
        rest.is_empty().then_some(origin)
    }
}

/// As in a URL, with the port where it is not the scheme's.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (if self.is_secure { "https" } else { "http" }, &self.host);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]")?,
            false => write!(f, "{scheme}://{host}")?,
        }
        if self.port == default_port(self.is_secure) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// The URLs of one request: which way it came, where it went.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a> {
    /// Whose hosts they may name.
    pub routes: &'a Routes,
    /// The site of the request.
    pub site: usize,
    /// The client speaks TLS to us.
    pub is_secure: bool,
    /// `host[:port]` as the client wrote it, or as a proxy that we believe says.
    pub host: Option<&'a str>,
    /// The client reached a proxy that we believe by TLS.
    pub is_secure_before: bool,
    /// Where the upstream believes itself to be, beside the site's own hosts.
    pub origins: &'a [Origin],
    /// What was taken off the path.
    pub stripped: Option<&'a Stripped>,
}

impl Links<'_> {
    /// A URL of an answer as the client has to use it; `None` where it stays as it is.
    ///
    /// Absolute paths get the prefix back that was taken off. Absolute URLs change origin as well, where they name the
    /// upstream, or the site in clear over TLS; path and query stay byte for byte. Whatever names another host stays.
    pub fn url(&self, url: &str) -> Option<String> {
        let prefixed = self.stripped.and_then(|stripped| stripped.restore_location(url, |host| self.is_ours(host)));
        let moved = self.moved(prefixed.as_deref().unwrap_or(url));
        moved.or(prefixed)
    }

    /// The value of `Refresh` with its URL corrected: `5; url=http://..`, in quotes or not.
    pub fn refresh(&self, value: &str) -> Option<String> {
        let (at, rest) = value.split_at(value.find([';', ','])? + 1);
        let begin = rest.len() - rest.trim_start().len();
        let named = rest[begin..].get(..3).is_some_and(|name| name.eq_ignore_ascii_case("url"));
        let equals = begin + 3 + rest[begin..].get(3..).filter(|_| named)?.find('=')?;
        if !rest[begin + 3..equals].trim().is_empty() {
            return None;
        }
        let after = &rest[equals + 1..];
        let open = after.len() - after.trim_start().len();
        let (front, quoted) = after.split_at(open);
        let quote = quoted.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (url, back) = match quote {
            Some(quote) => quoted[1..].split_at(quoted[1..].find(quote)?),
            None => quoted.split_at(quoted.trim_end().len()),
        };
        let quote = quote.map(String::from).unwrap_or_default();
        Some(format!("{at}{}{front}{quote}{}{back}", &rest[..=equals], self.url(url)?))
    }

    /// A `Destination` of WebDAV as the upstream has to read it (RFC 4918 §10.3); `None` where it stays as it is.
    ///
    /// `is_secure` and `host` are what the upstream is asked with. A URL of another host stays, and so does a path that lies
    /// outside of what the upstream sees: it refuses both.
    pub fn destination(&self, value: &str, is_secure: bool, host: &str) -> Option<String> {
        let value = value.trim();
        let (origin, path) = match value.starts_with('/') {
            true => (String::new(), value),
            false => {
                let url = Url::split(value)?;
                if !self.is_of_site(url.authority) {
                    return None;
                }
                (format!("{}://{host}", if is_secure { "https" } else { "http" }), url.rest)
            }
        };
        let path = match self.stripped {
            Some(stripped) => stripped.cut(path)?,
            None => path,
        };
        let better = format!("{origin}{path}");
        (better != value).then_some(better)
    }

    /// A WebDAV `If` with its tagged lists as the upstream has to read them (RFC 4918 §10.4.2), which name a resource each;
    /// `None` where it stays as it is. Tokens and entity tags, in their parentheses, are none of ours.
    pub fn conditions(&self, value: &str, is_secure: bool, host: &str) -> Option<String> {
        let (mut better, mut rest, mut is_changed) = (String::with_capacity(value.len()), value, false);
        while let Some(at) = rest.find(['<', '(']) {
            let (front, found) = rest.split_at(at);
            better.push_str(front);
            let length = if found.starts_with('<') { found.find('>')? + 1 } else { list(found)? };
            let (found, behind) = found.split_at(length);
            let tagged = found.strip_prefix('<').and_then(|tag| tag.strip_suffix('>'));
            match tagged.and_then(|tag| self.destination(tag, is_secure, host)) {
                Some(tag) => {
                    better.extend(["<", &tag, ">"]);
                    is_changed = true;
                }
                None => better.push_str(found),
            }
            rest = behind;
        }
        better.push_str(rest);
        is_changed.then_some(better)
    }

    /// Path and query of a `Location` that leads to where the client is already, corrected or as it came; `None` for every
    /// other host, and for what is relative to a path.
    pub fn place(&self, location: &str) -> Option<String> {
        let location = location.split('#').next().unwrap_or_default();
        let Some(url) = Url::split(location) else {
            return location.starts_with('/').then(|| location.to_owned());
        };
        let (origin, rest) = url.origin()?;
        if origin != self.own_origin()? {
            return None;
        }
        Some(if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
    }

    /// Whether a cookie with this `Domain` would be refused by the client, since it names the upstream's inside.
    pub fn is_inner_domain(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        let host = self.host.and_then(|host| HostName::parse(host).ok());
        let matches = host.is_some_and(|host| {
            host.as_str() == domain || host.as_str().strip_suffix(&domain).is_some_and(|front| front.ends_with('.'))
        });
        !matches && self.origins.iter().any(|origin| origin.host == domain)
    }

    /// Another origin for a URL that names the upstream, or the site in a way that is none of a client's.
    fn moved(&self, url: &str) -> Option<String> {
        let url = Url::split(url)?;
        let (origin, rest) = url.origin()?;
        if !self.is_of_site(url.authority) {
            return if self.origins.contains(&origin) { Some(self.public()? + rest) } else { None };
        }
        let host = HostName::parse(url.authority).ok()?;
        let port = self.routes.settings().public_https_port;
        // A server that keeps `Host` writes its own port behind the public name.
        let is_inner_port =
            self.origins.iter().any(|inner| (inner.is_secure, inner.port) == (origin.is_secure, origin.port));
        match (self.is_secure, origin.is_secure) {
            (true, false) => Some(https_origin(&host.in_url(), port) + rest),
            (true, true) => (is_inner_port && origin.port != port).then(|| https_origin(&host.in_url(), port) + rest),
            (false, false) if self.is_secure_before => Some(self.before(&host)? + rest),
            // The site as clients know it: the application leads them to TLS.
            (false, true) if origin.port == port => None,
            (false, _) if is_inner_port && self.own_origin().as_ref() != Some(&origin) => Some(self.public()? + rest),
            (false, _) => None,
        }
    }

    /// A host of the site as the client of a TLS-ending proxy before us reaches it.
    fn before(&self, host: &HostName<'_>) -> Option<String> {
        let own = self.own_origin()?;
        Some(if own.host.eq_ignore_ascii_case(host.as_str()) {
            own.to_string()
        } else {
            https_origin(&host.in_url(), own.port)
        })
    }

    /// What the client writes before a path.
    fn public(&self) -> Option<String> {
        let host = self.host.filter(|host| HostName::parse(host).is_ok())?;
        if self.is_secure {
            let port = self.routes.settings().public_https_port;
            return Some(https_origin(&HostName::parse(host).ok()?.in_url(), port));
        }
        Some(format!("{}://{host}", if self.is_secure_before { "https" } else { "http" }))
    }

    fn own_origin(&self) -> Option<Origin> {
        Origin::parse(&self.public()?)
    }

    fn is_ours(&self, authority: &str) -> bool {
        let is_inner = |host: &HostName<'_>| {
            let port = |origin: &Origin| host.port().unwrap_or_else(|| default_port(origin.is_secure));
            self.origins.iter().any(|origin| origin.host == host.as_str() && origin.port == port(origin))
        };
        self.is_of_site(authority) || HostName::parse(authority).is_ok_and(|host| is_inner(&host))
    }

    fn is_of_site(&self, authority: &str) -> bool {
        HostName::parse(authority).is_ok_and(|host| self.routes.site(&host) == Some(self.site))
    }
}

/// An absolute `http` or `https` URL.
struct Url<'a> {
    is_secure: bool,
    authority: &'a str,
    rest: &'a str,
}

impl<'a> Url<'a> {
    fn split(url: &'a str) -> Option<Self> {
        let after = |scheme: &str| {
            let (front, rest) = url.split_at_checked(scheme.len())?;
            front.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        let (is_secure, rest) = match after("http://") {
            Some(rest) => (false, rest),
            None => (true, after("https://")?),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        Some(Self { is_secure, authority, rest })
    }

    /// With what follows it; `None` where the authority is no `host[:port]`.
    fn origin(&self) -> Option<(Origin, &'a str)> {
        let host = HostName::parse(self.authority).ok()?;
        let port = host.port().unwrap_or_else(|| default_port(self.is_secure));
        let host = host.as_str().to_ascii_lowercase();
        Some((Origin { is_secure: self.is_secure, host, port }, self.rest))
    }
}

/// How long the list of conditions in parentheses is that `text` begins with; tokens and entity tags may have any marks.
fn list(text: &str) -> Option<usize> {
    let mut until = None;
    for (at, mark) in text.char_indices() {
        match (until, mark) {
            (Some(end), _) if mark == end => until = None,
            (Some(_), _) => {}
            (None, '<') => until = Some('>'),
            (None, '"') => until = Some('"'),
            (None, ')') => return Some(at + 1),
            (None, _) => {}
        }
    }
    None
}

const fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Settings;
    use super::super::decide::tests::settings;
    use super::*;

    struct Scene {
        routes: Routes,
        origins: Vec<Origin>,
        stripped: Stripped,
    }

    impl Scene {
        fn new() -> Self {
            let origins = ["http://127.0.0.1:8080", "http://intern", "https://127.0.0.1:8443"];
            Self {
                routes: Routes::new(Settings { public_https_port: 5001, ..settings() }),
                origins: origins.map(|origin| Origin::parse(origin).unwrap()).to_vec(),
                stripped: Stripped { target: b"/".to_vec(), prefix: "/Api".to_owned() },
            }
        }

        fn secure(&self) -> Links<'_> {
            Links {
                routes: &self.routes,
                site: 0,
                is_secure: true,
                host: Some("m5.test:5001"),
                is_secure_before: false,
                origins: &self.origins,
                stripped: None,
            }
        }

        /// By a proxy before us that ends TLS.
        fn before(&self) -> Links<'_> {
            Links { is_secure: false, is_secure_before: true, host: Some("m5.test"), ..self.secure() }
        }

        fn plain(&self) -> Links<'_> {
            Links { is_secure: false, host: Some("m5.test:5002"), ..self.secure() }
        }
    }

    #[test]
    fn given_a_url_of_an_answer_when_corrected_then_known_origins_become_the_clients() {
        #[rustfmt::skip]
        let table = [
            // url                             over TLS                            in clear
            ("http://127.0.0.1:8080/a?b#c",    Some("https://m5.test:5001/a?b#c"), Some("http://m5.test:5002/a?b#c")),
            ("HTTP://INTERN/",                 Some("https://m5.test:5001/"),      Some("http://m5.test:5002/")),
            ("http://intern",                  Some("https://m5.test:5001"),       Some("http://m5.test:5002")),
            ("http://intern:81/",              None,                               None),
            ("https://intern/",                None,                               None),
            ("http://127.0.0.1/",              None,                               None),
            ("http://m5.test:5002/a",          Some("https://m5.test:5001/a"),     None),
            ("http://m5.test:8080/a",          Some("https://m5.test:5001/a"),     Some("http://m5.test:5002/a")),
            ("https://m5.test:8443/a",         Some("https://m5.test:5001/a"),     Some("http://m5.test:5002/a")),
            ("https://m5.test:5001/a",         None,                               None),
            ("https://other.test/a",           None,                               None),
            ("http://intern@evil.test/",       None,                               None),
            ("http://intern\\evil.test/",      None,                               None),
            ("//intern/a",                     None,                               None),
            ("/a",                             None,                               None),
            ("a",                              None,                               None),
            ("mailto:a@intern",                None,                               None),
            ("",                               None,                               None),
        ];
        let scene = Scene::new();
        for (url, secure, plain) in table {
            assert_eq!(scene.secure().url(url).as_deref(), secure, "{url} over TLS");
            assert_eq!(scene.plain().url(url).as_deref(), plain, "{url} in clear");
        }
    }

    #[test]
    fn given_a_proxy_before_us_that_ends_tls_when_corrected_then_nothing_leads_to_clear_text() {
        let scene = Scene::new();
        for (url, expected) in [
            ("http://m5.test/a?b", Some("https://m5.test/a?b")),
            ("http://M5.test", Some("https://m5.test")),
            ("http://m5.test:8080/a", Some("https://m5.test/a")),
            ("http://127.0.0.1:8080/a", Some("https://m5.test/a")),
            ("https://m5.test:8443/a", Some("https://m5.test/a")),
            ("https://m5.test/a", None),
            ("http://other.test/a", None),
            ("/a", None),
        ] {
            assert_eq!(scene.before().url(url).as_deref(), expected, "{url}");
        }
        let on_a_port = Links { host: Some("m5.test:444"), ..scene.before() };
        assert_eq!(on_a_port.url("http://m5.test/a").as_deref(), Some("https://m5.test:444/a"));
        assert_eq!(scene.before().place("https://m5.test/a").as_deref(), Some("/a"));
        assert_eq!(scene.before().place("http://m5.test/a"), None);
    }

    /// The upstream has the port of the world, as where it is reached by `https://192.168.10.5`.
    #[test]
    fn given_an_upstream_on_the_public_port_when_it_leads_plain_clients_to_tls_then_they_are_led_there() {
        let routes = Routes::new(settings());
        let origins = vec![Origin::parse("https://intern").unwrap(), Origin::parse("https://m5.test").unwrap()];
        let links = Links {
            routes: &routes,
            site: 0,
            is_secure: false,
            host: Some("m5.test"),
            is_secure_before: false,
            origins: &origins,
            stripped: None,
        };
        assert_eq!(links.url("https://m5.test/login"), None);
        assert_eq!(links.url("https://intern/login").as_deref(), Some("http://m5.test/login"));
    }

    #[test]
    fn given_no_inner_origin_when_corrected_then_only_plain_urls_of_the_site_change() {
        #[rustfmt::skip]
        let table = [
            ("http://m5.test/a?b#c",       Some("https://m5.test:5001/a?b#c")),
            ("HTTP://M5.TEST:8080/a",      Some("https://m5.test:5001/a")),
            ("http://m5.test",             Some("https://m5.test:5001")),
            ("http://m5.test?a",           Some("https://m5.test:5001?a")),
            ("http://m5.test//evil.test/", Some("https://m5.test:5001//evil.test/")),
            ("https://m5.test/a",          None),
            ("http://other.test/a",        None),
            ("http://evil.test/http://m5.test/", None),
            ("http://m5.test@evil.test/",  None),
            ("http://m5.test\\evil.test/", None),
            ("//m5.test/a",                None),
            ("/a",                         None),
            ("http:/\u{e5}",               None),
            ("",                           None),
        ];
        let scene = Scene::new();
        let links = Links { origins: &[], ..scene.secure() };
        for (location, expected) in table {
            assert_eq!(links.url(location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn given_a_prefix_when_corrected_then_it_is_back_before_the_path() {
        #[rustfmt::skip]
        let table = [
            ("/a",                       Some("/Api/a")),
            ("/api/a",                   None),
            ("http://intern/a",          Some("https://m5.test:5001/Api/a")),
            ("http://intern/api/a",      Some("https://m5.test:5001/api/a")),
            ("https://m5.test:5001/a",   Some("https://m5.test:5001/Api/a")),
            ("https://other.test/a",     None),
        ];
        let scene = Scene::new();
        let links = Links { stripped: Some(&scene.stripped), ..scene.secure() };
        for (url, expected) in table {
            assert_eq!(links.url(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn given_a_refresh_when_corrected_then_its_url_alone_changes() {
        #[rustfmt::skip]
        let table = [
            ("5; url=http://intern/a",      Some("5; url=https://m5.test:5001/a")),
            ("0;URL = 'http://intern/a' ",  Some("0;URL = 'https://m5.test:5001/a' ")),
            ("0,url=\"http://intern/\"",    Some("0,url=\"https://m5.test:5001/\"")),
            ("5; url=https://other.test/",  None),
            ("5; url='http://intern/",      None),
            ("5; urls=http://intern/",      None),
            ("5; http://intern/",           None),
            ("5; \u{e5}rl=http://intern/",  None),
            ("5",                           None),
            ("5;",                          None),
        ];
        let scene = Scene::new();
        for (value, expected) in table {
            assert_eq!(scene.secure().refresh(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn given_a_destination_when_corrected_then_the_upstream_finds_it() {
        #[rustfmt::skip]
        let table = [
            // value                        whole site                           below a prefix that is taken off
            ("https://m5.test:5001/Api/b",  Some("http://m5.test:5001/Api/b"),   Some("http://m5.test:5001/b")),
            ("https://m5.test/Api/b%20c",   Some("http://m5.test:5001/Api/b%20c"), Some("http://m5.test:5001/b%20c")),
            ("http://m5.test:5001/Api/b",   None,                                Some("http://m5.test:5001/b")),
            ("https://m5.test:5001/Apis/b", Some("http://m5.test:5001/Apis/b"),  None),
            ("https://other.test/Api/b",    None,                                None),
            ("https://evil@m5.test/b",      None,                                None),
            ("/api/b",                      None,                                Some("/b")),
            ("/Api",                        None,                                Some("/")),
            ("",                            None,                                None),
        ];
        let scene = Scene::new();
        let below = Links { stripped: Some(&scene.stripped), ..scene.secure() };
        for (value, whole, prefixed) in table {
            assert_eq!(scene.secure().destination(value, false, "m5.test:5001").as_deref(), whole, "{value}");
            assert_eq!(below.destination(value, false, "m5.test:5001").as_deref(), prefixed, "{value} below");
        }
        let over_tls = scene.secure().destination("https://m5.test:5001/b", true, "legacy.local");
        assert_eq!(over_tls.as_deref(), Some("https://legacy.local/b"));
    }

    #[test]
    fn given_conditions_of_webdav_when_led_then_tagged_resources_alone_change() {
        let scene = Scene::new();
        let links = Links { stripped: Some(&scene.stripped), ..scene.secure() };
        let token = "(<opaquelocktoken:https://m5.test:5001/Api/x> [\"a)b\"] Not <DAV:no-lock>)";
        for (tag, expected) in [
            ("https://m5.test:5001/Api/a%20b", Some("http://intern/a%20b")),
            ("/Api/a", Some("/a")),
            ("https://other.test/Api/a", None),
            ("urn:x", None),
        ] {
            let value = |tag: &str| format!("<{tag}> {token} {token}  <urn:y> {token}");
            let better = links.conditions(&value(tag), false, "intern");
            assert_eq!(better, expected.map(value), "{tag}");
        }
        for untouched in [token, "", "<", "(", "<https://m5.test:5001/Api/a", "<https://m5.test:5001/Api/a> (<x"] {
            assert_eq!(links.conditions(untouched, false, "intern"), None, "{untouched}");
        }
    }

    #[test]
    fn given_a_location_when_compared_with_the_request_then_only_the_same_place_leads_back() {
        #[rustfmt::skip]
        let table = [
            ("https://m5.test:5001/a?b",    true),
            ("https://M5.test:5001/a?b#c",  true),
            ("/a?b",                        true),
            ("/a",                          false),
            ("/A?b",                        false),
            ("http://m5.test:5001/a?b",     false),
            ("https://m5.test/a?b",         false),
            ("https://other.test:5001/a?b", false),
            ("a?b",                         false),
            ("",                            false),
        ];
        let scene = Scene::new();
        for (location, expected) in table {
            let place = scene.secure().place(location);
            assert_eq!(place.as_deref() == Some("/a?b"), expected, "{location}");
        }
        assert_eq!(scene.secure().place("https://m5.test:5001").as_deref(), Some("/"));
        assert_eq!(scene.plain().place("http://m5.test:5002/a").as_deref(), Some("/a"));
    }

    #[test]
    fn given_the_domain_of_a_cookie_when_asked_then_only_an_inner_one_that_the_client_would_refuse() {
        let scene = Scene::new();
        for (domain, expected) in [
            ("intern", true),
            (".INTERN", true),
            ("127.0.0.1", true),
            ("m5.test", false),
            ("test", false),
            ("x", false),
        ] {
            assert_eq!(scene.secure().is_inner_domain(domain), expected, "{domain}");
        }
        let inside = Links { host: Some("app.intern"), ..scene.secure() };
        assert!(!inside.is_inner_domain("intern"));
    }

    #[test]
    fn given_an_origin_when_read_then_scheme_host_and_port_or_nothing() {
        let origin = |is_secure, host: &str, port| Some(Origin { is_secure, host: host.to_owned(), port });
        assert_eq!(Origin::parse("http://Intern/"), origin(false, "intern", 80));
        assert_eq!(Origin::parse("https://[::1]:8443"), origin(true, "::1", 8443));
        for text in ["http://intern", "https://[::1]:8443", "https://intern:80"] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), text);
        }
        for text in ["intern", "http://", "http://intern/a", "ftp://intern", "http://a b", "http://intern:x"] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_corrected_then_no_panic_and_a_second_time_changes_nothing(
            text in "(https?://(intern|m5\\.test|[a-z.]{0,5})(:[0-9]{0,5})?)?[/?#a;='\" \u{e5}]{0,8}",
        ) {
            let scene = Scene::new();
            for links in [scene.secure(), scene.plain(), scene.before()] {
                if let Some(better) = links.url(&text) {
                    prop_assert_eq!(links.url(&better), None);
                }
                links.refresh(&text);
                links.refresh(&format!("0;url={text}"));
                links.destination(&text, false, "intern");
                links.place(&text);
                links.conditions(&text, false, "intern");
                links.conditions(&format!("<{text}> (<a>)"), false, "intern");
            }
        }
    }
}
