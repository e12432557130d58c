//! What each key takes.

use super::super::shape::{self, Shape};

/// The form of a value. A string may hold variables instead of what is asked for.
#[derive(Debug)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string or a list of them.
    Texts,
    /// A string, or a list of so many of them.
    Several(usize, usize),
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, or a list of them.
    WordLists(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number, both ends included.
    Number(u32, u32),
    /// Such a number, or a list of at least one.
    Numbers(u32, u32),
    /// Such as `1h30m`.
    Duration,
    /// Such as `100/s`.
    Rate,
    /// Bytes: a number, or a string such as `10MiB`.
    Size,
    /// A table whose keys the operator chooses.
    Map(&'static Self),
    /// A table of ours.
    Table(&'static Shape),
    /// `[[tables]]` of ours.
    Tables(&'static Shape),
    /// One of several.
    Any(&'static [Self]),
}

/// What `key` of a table takes; `None` when nobody has written it down.
pub(super) fn kind(shape: &Shape, key: &str) -> Option<&'static Kind> {
    let (_, keys) = KINDS.iter().find(|(table, _)| table.prefix == shape.prefix)?;
    keys.iter().find(|(name, _)| *name == key).map(|(_, kind)| kind)
}

/// Tables, and of which keys one has to stand there.
pub(super) static NEEDED: &[(&str, &[&str])] = &[
    ("acme.next.", &["directory"]),
    ("acme.eab.", &["kid"]),
    ("site.", &["domain", "domains"]),
    ("site.route.", &["path"]),
    ("site.route.", &["upstream"]),
    ("site.client_certificates.", &["mode"]),
    ("requests.", &["rate"]),
    ("notify.webhook.", &["url"]),
    ("notify.smtp.", &["server"]),
    ("notify.smtp.", &["from"]),
    ("notify.smtp.", &["to"]),
    ("notify.exec.", &["command"]),
    ("upstream.", &["url", "urls"]),
    ("upstream.health.", &["path"]),
];

/// Every table, and what each of its keys takes.
pub(super) static KINDS: &[(&Shape, &[(&str, Kind)])] = &[
    (
        &shape::ROOT,
        &[
            ("state_dir", Text),
            ("control", Text),
            ("listen", Table(&shape::LISTEN)),
            ("limits", Table(&shape::LIMITS)),
            ("acme", Table(&shape::ACME)),
            ("site", Tables(&shape::SITE)),
            ("egress", Tables(&shape::EGRESS)),
            ("trusted_proxies", Texts),
            ("drain", Duration),
            ("watch", Boolean),
            ("user", Text),
            ("group", Text),
            ("landlock", Boolean),
            ("log", Table(&shape::LOG)),
            ("metrics", Table(&shape::METRICS)),
            ("notify", Tables(&shape::NOTIFY)),
        ],
    ),
    (
        &shape::LISTEN,
        &[
            ("http", Texts),
            ("https", Texts),
            ("admin", Texts),
            ("public_https_port", Number(1, 65_535)),
            ("proxy_protocol", Texts),
        ],
    ),
    (
        &shape::LIMITS,
        &[
            ("connections", CONNECTIONS),
            ("connections_per_client", CONNECTIONS),
            ("handshake_timeout", Duration),
            ("header_timeout", Duration),
            ("keep_alive", Duration),
            ("body", Size),
            ("collected", Size),
            ("requests", REQUESTS),
        ],
    ),
    (
        &shape::ACME,
        &[
            ("directory", Text),
            ("trust_anchors", Texts),
            ("agree_tos", Boolean),
            ("contact", Texts),
            ("challenges", WordLists(CHALLENGES)),
            ("key_type", Words(KEY_TYPES)),
            ("profile", Text),
            ("eab", Table(&shape::EAB)),
            ("preferred_chain", Text),
            ("proxy", Text),
            ("staging", Text),
            ("next", Tables(&shape::ACME_NEXT)),
            ("dns", Table(&shape::ACME_DNS)),
        ],
    ),
    (
        &shape::ACME_NEXT,
        &[
            ("directory", Text),
            ("trust_anchors", Texts),
            ("agree_tos", Boolean),
            ("contact", Texts),
            ("challenges", WordLists(CHALLENGES)),
            ("key_type", Words(KEY_TYPES)),
            ("profile", Text),
            ("eab", Table(&shape::EAB)),
            ("preferred_chain", Text),
            ("proxy", Text),
            ("staging", Text),
        ],
    ),
    (&shape::EAB, &[("kid", Text), ("key_file", Text), ("key", Text)]),
    (
        &shape::ACME_DNS,
        &[
            ("provider", Words(&["rfc2136", "acme-dns", "exec"])),
            ("server", Text),
            ("zone", Text),
            ("tsig", Table(&shape::TSIG)),
            ("ttl", Number(1, 86_400)),
            ("url", Text),
            ("account_file", Text),
            ("command", Texts),
            ("timeout", Duration),
            ("resolvers", Texts),
            ("nameservers", Texts),
            ("propagation_timeout", Duration),
        ],
    ),
    (
        &shape::TSIG,
        &[("name", Text), ("algorithm", Words(&["hmac-sha256", "hmac-sha384", "hmac-sha512"])), ("secret_file", Text)],
    ),
    (
        &shape::SITE,
        &[
            ("name", Text),
            ("domain", Text),
            ("domains", Texts),
            ("aliases", Texts),
            ("default", Boolean),
            ("upstream", UPSTREAM),
            ("redirect_to", Text),
            ("route", Tables(&shape::ROUTE)),
            ("certificate", Any(&[Words(&["acme", "internal"]), Table(&shape::CERTIFICATE)])),
            ("https", Table(&shape::HTTPS)),
            ("hsts", Any(&[Boolean, Table(&shape::HSTS)])),
            ("tls", Table(&shape::TLS)),
            ("client_certificates", Table(&shape::CLIENT_CERTIFICATES)),
            ("maintenance", Text),
            ("allow_from", Texts),
            ("headers", Table(&shape::HEADERS)),
            ("answers", Table(&shape::ANSWERS)),
            ("limits", Table(&shape::SITE_LIMITS)),
        ],
    ),
    (
        &shape::ANSWERS,
        &[
            ("locations", Boolean),
            ("cookies", Boolean),
            ("origins", Texts),
            ("same_site", Words(&["strict", "lax", "none"])),
            ("http_only", Boolean),
            ("xml", Any(&[Boolean, Size])),
        ],
    ),
    (
        &shape::HTTPS,
        &[
            ("mode", Words(&["observe", "temporary", "permanent"])),
            ("rest", Words(POLICIES)),
            ("paths", Map(&Words(POLICIES))),
            ("redirect_methods", Words(&["safe", "all"])),
        ],
    ),
    (&shape::HSTS, &[("max_age", Duration), ("include_subdomains", Boolean)]),
    (&shape::TLS, &[("min", Words(&["1.2", "1.3"]))]),
    (
        &shape::CLIENT_CERTIFICATES,
        &[
            ("mode", Words(DEMANDS)),
            ("paths", Map(&Words(DEMANDS))),
            ("trust_anchors", Texts),
            ("crl", Texts),
            ("expired_crl", Words(&["refuse", "accept"])),
            ("allow", Table(&shape::CLIENT_ALLOW)),
            ("pass_on", Texts),
            ("chain", Boolean),
        ],
    ),
    (&shape::CLIENT_ALLOW, &[("san", Texts), ("issuer", Texts), ("pin", Texts)]),
    (
        &shape::CERTIFICATE,
        &[("chain", Texts), ("key", Text), ("pkcs12", Text), ("password_file", Text), ("password", Text)],
    ),
    (
        &shape::ROUTE,
        &[
            ("path", Text),
            ("upstream", UPSTREAM),
            ("name", Text),
            ("strip_prefix", Boolean),
            ("allow_from", Texts),
            ("headers", Table(&shape::HEADERS)),
            ("answers", Table(&shape::ANSWERS)),
            ("limits", Table(&shape::ROUTE_LIMITS)),
        ],
    ),
    (
        &shape::SITE_LIMITS,
        &[("connections", CONNECTIONS), ("body", Size), ("requests", REQUESTS), ("header_timeout", Duration)],
    ),
    (&shape::ROUTE_LIMITS, &[("connections", CONNECTIONS), ("body", Size), ("requests", REQUESTS)]),
    (&shape::REQUESTS, &[("rate", Rate), ("burst", Number(1, 1_000_000))]),
    (&shape::HEADERS, &[("request", Table(&shape::REQUEST_HEADERS)), ("response", Table(&shape::RESPONSE_HEADERS))]),
    (&shape::REQUEST_HEADERS, &[("set", Map(&Text)), ("remove", Texts)]),
    (&shape::RESPONSE_HEADERS, &[("set", Map(&Text)), ("remove", Texts)]),
    (
        &shape::UPSTREAM,
        &[
            ("url", Text),
            ("urls", Several(1, 32)),
            ("name", Text),
            ("server_name", Text),
            ("trust", Words(&["first-use"])),
            ("trust_anchors", Texts),
            ("fingerprint", Texts),
            ("pin", Texts),
            ("identity", Table(&shape::IDENTITY)),
            ("next", Table(&shape::NEXT)),
            ("host", Text),
            ("preset", Words(&["iis", "arr"])),
            ("allow_plaintext", Boolean),
            ("connect_timeout", Duration),
            ("response_timeout", Duration),
            ("idle_timeout", Duration),
            ("websocket_idle_timeout", Duration),
            ("affinity", Words(&["auto", "connection"])),
            ("request_buffering", Words(&["off", "length"])),
            ("health", Table(&shape::HEALTH)),
        ],
    ),
    (
        &shape::EGRESS,
        &[
            ("name", Text),
            ("listen", Text),
            ("socket_group", Text),
            ("destination", Text),
            ("preset", Words(&["bankid-production", "bankid-test"])),
            ("server_name", Text),
            ("trust_anchors", Texts),
            ("fingerprint", Texts),
            ("pin", Texts),
            ("identity", Table(&shape::IDENTITY)),
            ("next", Table(&shape::NEXT)),
            ("allow", Texts),
            ("token_file", Text),
            ("rules", Words(&["bankid", "none"])),
            ("pace", Words(&["hold", "reject"])),
            ("user_message", Words(&["off", "header", "field"])),
            ("closed_versions", Texts),
            ("trial", Text),
            ("body", Size),
            ("connect_timeout", Duration),
            ("response_timeout", Duration),
            ("idle_timeout", Duration),
        ],
    ),
    (
        &shape::IDENTITY,
        &[("pkcs12", Text), ("chain", Texts), ("key", Text), ("password_file", Text), ("password", Text)],
    ),
    (
        &shape::NEXT,
        &[
            ("pkcs12", Text),
            ("chain", Texts),
            ("key", Text),
            ("password_file", Text),
            ("password", Text),
            ("from", Text),
        ],
    ),
    (
        &shape::HEALTH,
        &[
            ("path", Text),
            ("interval", Duration),
            ("timeout", Duration),
            ("status", Numbers(200, 599)),
            ("fail_after", Number(1, 100)),
            ("pass_after", Number(1, 100)),
        ],
    ),
    (
        &shape::LOG,
        &[("format", Words(&["text", "json"])), ("level", Text), ("access", Any(&[Boolean, Table(&shape::ACCESS)]))],
    ),
    (&shape::ACCESS, &[("path", Text), ("query", Words(&["redact", "keep"])), ("sample", Number(1, 1_000_000))]),
    (&shape::METRICS, &[("textfile", Text)]),
    (
        &shape::NOTIFY,
        &[
            ("name", Text),
            ("events", WordLists(EVENTS)),
            ("language", Words(&["en", "sv", "nb", "de"])),
            ("webhook", Any(&[Text, Table(&shape::WEBHOOK)])),
            ("smtp", Table(&shape::SMTP)),
            ("exec", Table(&shape::EXEC)),
        ],
    ),
    (
        &shape::WEBHOOK,
        &[("url", Text), ("token_file", Text), ("token", Text), ("trust_anchors", Texts), ("proxy", Text)],
    ),
    (
        &shape::SMTP,
        &[
            ("server", Text),
            ("tls", Words(&["starttls", "implicit", "none"])),
            ("trust_anchors", Texts),
            ("user", Text),
            ("password_file", Text),
            ("password", Text),
            ("from", Text),
            ("to", Texts),
        ],
    ),
    (&shape::EXEC, &[("command", Texts), ("timeout", Duration)]),
];

use Kind::{
    Any, Boolean, Duration, Map, Number, Numbers, Rate, Several, Size, Table, Tables, Text, Texts, WordLists, Words,
};

const CONNECTIONS: Kind = Number(1, 1_000_000);
const REQUESTS: Kind = Any(&[Rate, Table(&shape::REQUESTS)]);
const UPSTREAM: Kind = Any(&[Text, Table(&shape::UPSTREAM)]);
const CHALLENGES: &[&str] = &["http-01", "tls-alpn-01", "dns-01", "dns-persist-01"];
const KEY_TYPES: &[&str] = &["p256", "p384", "rsa2048", "rsa3072", "rsa4096"];
const POLICIES: &[&str] = &["redirect", "reject", "allow"];
const DEMANDS: &[&str] = &["ignore", "accept", "require"];
const EVENTS: &[&str] = &[
    "renewed",
    "failing",
    "expiring",
    "pin_changed",
    "upstream_changed",
    "rolled_back",
    "reload_refused",
    "heartbeat",
];
