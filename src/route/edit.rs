//! `headers`: what an operator sets and removes, and what is not his to change.

use http::{HeaderName, HeaderValue};

/// Changes to the header of a forwarded request or of its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Each replaces every value that is there.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Taken away, before anything is set.
    pub remove: Vec<HeaderName>,
}

impl HeaderEdits {
    /// These edits and then `later` ones, which win: what one sets the other may remove or set anew.
    #[must_use]
    pub fn then(&self, later: &Self) -> Self {
        let is_later = |name: &HeaderName| later.remove.contains(name) || later.set.iter().any(|(set, _)| set == name);
        let mut both = Self {
            set: self.set.iter().filter(|(name, _)| !is_later(name)).cloned().collect(),
            remove: self.remove.iter().filter(|name| !is_later(name)).cloned().collect(),
        };
        both.set.extend(later.set.iter().cloned());
        both.remove.extend(later.remove.iter().cloned());
        both
    }

    /// Whether a client's header may be taken for one that is set or removed: CGI and FastCGI make the same variable of
    /// `X-Key` and `X_Key`.
    pub fn is_disguised(&self, name: &HeaderName) -> bool {
        let mut own = self.set.iter().map(|(name, _)| name).chain(&self.remove);
        own.any(|own| own != name && dashed(own).eq(dashed(name)))
    }
}

fn dashed(name: &HeaderName) -> impl Iterator<Item = u8> {
    name.as_str().bytes().map(|byte| if byte == b'_' { b'-' } else { byte })
}

/// Why a header is not an operator's to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettable {
    /// It belongs to one connection, not to the message (RFC 9110 §7.6.1), or says where the message ends.
    Framing,
    /// `Host`, which the upstream's `host` sets.
    Host,
    /// What the upstream is told about the client, which is ours to say.
    Forwarding,
    /// The handshake of a WebSocket.
    WebSocket,
    /// `Strict-Transport-Security`, which `hsts` sets where it is safe.
    Hsts,
    /// `Set-Cookie`: setting it would take the upstream's cookies away.
    Cookie,
    /// NTLM and Negotiate authenticate a connection, which clients must not share.
    ConnectionAuthentication,
}

impl Unsettable {
    /// Looks for a reason against changing a request header; `value` is what it would be set to.
    pub fn in_request(name: &HeaderName, value: Option<&HeaderValue>) -> Option<Self> {
        let text = name.as_str();
        match text {
            "host" => Some(Self::Host),
            "forwarded" | "x-real-ip" => Some(Self::Forwarding),
            _ if text.starts_with("x-forwarded-") => Some(Self::Forwarding),
            "authorization" if value.is_some_and(is_connection_authentication) => Some(Self::ConnectionAuthentication),
            _ => Self::anywhere(text),
        }
    }

    /// Looks for a reason against changing a header of an answer.
    pub fn in_response(name: &HeaderName, value: Option<&HeaderValue>) -> Option<Self> {
        match (name.as_str(), value) {
            ("strict-transport-security", Some(_)) => Some(Self::Hsts),
            ("set-cookie", Some(_)) => Some(Self::Cookie),
            (text, _) => Self::anywhere(text),
        }
    }

    fn anywhere(name: &str) -> Option<Self> {
        match name {
            _ if FRAMING.contains(&name) => Some(Self::Framing),
            _ if name.starts_with("sec-websocket-") => Some(Self::WebSocket),
            _ => None,
        }
    }
}

/// Whether credentials authenticate the connection, not the request (RFC 4559 §6).
pub fn is_connection_authentication(credentials: &HeaderValue) -> bool {
    begins_with_connection_scheme(credentials.as_bytes())
}

/// Whether one of the challenges in a field asks for such credentials (RFC 9110 §11.6.1).
pub fn asks_for_connection_authentication(challenges: &HeaderValue) -> bool {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let is_border = |&byte: &u8| {
        let is_literal = std::mem::take(&mut is_escaped);
        is_escaped = is_quoted && !is_literal && byte == b'\\';
        is_quoted ^= byte == b'"' && !is_literal;
        byte == b',' && !is_quoted
    };
    challenges.as_bytes().split(is_border).any(begins_with_connection_scheme)
}

fn begins_with_connection_scheme(credentials: &[u8]) -> bool {
    let mut words = credentials.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let scheme = words.next().unwrap_or_default();
    [&b"NTLM"[..], b"Negotiate"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_challenges_when_read_then_ntlm_and_negotiate_are_found_and_nothing_in_quotes() {
        for (field, expected) in [
            ("NTLM", true),
            ("negotiate", true),
            ("NTLM TlRMTVNTUAACAAAA", true),
            ("Basic realm=\"a\", Negotiate", true),
            ("Basic realm=\"a \\\" , NTLM\", Digest x", false),
            ("Basic realm=\"a\\\\\", NTLM", true),
            ("Digest realm=\"NTLM\", nonce=\"x\"", false),
            ("NTLMX", false),
            ("", false),
        ] {
            assert_eq!(asks_for_connection_authentication(&HeaderValue::from_static(field)), expected, "{field}");
        }
    }

    fn name(text: &'static str) -> HeaderName {
        HeaderName::from_static(text)
    }

    fn edits(set: &[(&'static str, &'static str)], remove: &[&'static str]) -> HeaderEdits {
        HeaderEdits {
            set: set.iter().map(|&(key, value)| (name(key), HeaderValue::from_static(value))).collect(),
            remove: remove.iter().map(|&text| name(text)).collect(),
        }
    }

    #[test]
    fn given_edits_of_site_and_route_when_put_together_then_both_and_the_route_wins() {
        let site = edits(&[("x-a", "site"), ("x-b", "site"), ("x-c", "site")], &["server", "x-d"]);
        let route = edits(&[("x-a", "route"), ("x-d", "route")], &["x-b"]);
        let both = edits(&[("x-c", "site"), ("x-a", "route"), ("x-d", "route")], &["server", "x-b"]);
        assert_eq!(site.then(&route), both);
        assert_eq!(site.then(&HeaderEdits::default()), site);
        assert_eq!(HeaderEdits::default().then(&site), site);
    }

    #[test]
    fn given_another_spelling_of_a_name_that_is_changed_when_judged_then_it_is_a_disguise() {
        let edits = edits(&[("x-api-key", "k"), ("my_own", "v")], &["x-debug"]);
        for disguised in ["x_api_key", "x-api_key", "x_debug", "my-own"] {
            assert!(edits.is_disguised(&name(disguised)), "{disguised}");
        }
        for other in ["x-api-key", "my_own", "x-debug", "x_other"] {
            assert!(!edits.is_disguised(&name(other)), "{other}");
        }
    }

    #[test]
    fn given_a_header_when_judged_then_whose_it_is() {
        use Unsettable::{ConnectionAuthentication, Cookie, Forwarding, Framing, Host, Hsts, WebSocket};
        #[rustfmt::skip]
        let table = [
            // name                      value              request                          response
            ("x-api-key",                Some("k"),         None,                            None),
            ("authorization",            Some("Basic YTpi"), None,                           None),
            ("authorization",            Some("NTLM x"),    Some(ConnectionAuthentication),  None),
            ("authorization",            Some(" negotiate x"), Some(ConnectionAuthentication), None),
            ("authorization",            None,              None,                            None),
            ("host",                     Some("a"),         Some(Host),                      None),
            ("connection",               None,              Some(Framing),                   Some(Framing)),
            ("transfer-encoding",        Some("chunked"),   Some(Framing),                   Some(Framing)),
            ("content-length",           None,              Some(Framing),                   Some(Framing)),
            ("upgrade",                  None,              Some(Framing),                   Some(Framing)),
            ("x-forwarded-for",          None,              Some(Forwarding),                None),
            ("x-forwarded-prefix",       Some("/"),         Some(Forwarding),                None),
            ("forwarded",                Some("for=a"),     Some(Forwarding),                None),
            ("x-real-ip",                Some("1.2.3.4"),   Some(Forwarding),                None),
            ("sec-websocket-key",        None,              Some(WebSocket),                 Some(WebSocket)),
            ("strict-transport-security", Some("max-age=1"), None,                           Some(Hsts)),
            ("strict-transport-security", None,             None,                            None),
            ("set-cookie",               Some("a=b"),       None,                            Some(Cookie)),
            ("set-cookie",               None,              None,                            None),
            ("server",                   None,              None,                            None),
        ];
        for (text, value, request, response) in table {
            let value = value.map(HeaderValue::from_static);
            assert_eq!(Unsettable::in_request(&name(text), value.as_ref()), request, "{text} {value:?}");
            assert_eq!(Unsettable::in_response(&name(text), value.as_ref()), response, "{text} {value:?}");
        }
    }
}
