//! Which keys stand where.

use crate::config::suggest;

/// A table of the configuration.
#[derive(Debug)]
pub(super) struct Shape {
    /// As a message names it, such as "`[site.https]`".
    pub(super) heading: &'static str,
    /// What its keys are prefixed with in messages, such as `site.https.`.
    pub(super) prefix: &'static str,
    /// All of its keys.
    pub(super) keys: &'static [&'static str],
}

impl Shape {
    /// "in `[site.https]`", for a message.
    pub(super) fn place(&self) -> String {
        if self.prefix.is_empty() { format!("at {}", self.heading) } else { format!("in {}", self.heading) }
    }

    /// Our key for a word of another program.
    pub(super) fn translated(&self, written: &str) -> Option<&'static str> {
        let written = written.to_ascii_lowercase().replace('-', "_");
        SYNONYMS.iter().find(|(word, key)| *word == written && self.keys.contains(key)).map(|(_, key)| *key)
    }

    /// The key that was meant, when `written` is a slip or another word for it.
    pub(super) fn meant(&self, written: &str) -> Option<&'static str> {
        self.translated(written).or_else(|| suggest::closest(written, self.keys.iter().copied()))
    }
}

/// The key that another program's word stands for, and the one table that has it.
pub(super) fn home_of_meant(written: &str) -> Option<(&'static str, &'static Shape)> {
    let synonyms = SYNONYMS.iter().filter(|(word, _)| *word == written);
    let mut homes = synonyms.filter_map(|(_, key)| Some((*key, home_of(key)?)));
    homes.next().filter(|_| homes.next().is_none())
}

/// The table that has this key, when exactly one has.
pub(super) fn home_of(key: &str) -> Option<&'static Shape> {
    let mut homes = ALL.iter().filter(|shape| shape.keys.contains(&key));
    homes.next().filter(|_| homes.next().is_none()).copied()
}

pub(super) static ROOT: Shape = Shape {
    heading: "the top level",
    prefix: "",
    keys: &[
        "state_dir",
        "control",
        "listen",
        "limits",
        "acme",
        "site",
        "egress",
        "trusted_proxies",
        "drain",
        "watch",
        "user",
        "group",
        "landlock",
        "log",
        "metrics",
        "notify",
    ],
};

pub(super) static LISTEN: Shape = Shape {
    heading: "`[listen]`",
    prefix: "listen.",
    keys: &["http", "https", "admin", "public_https_port", "proxy_protocol"],
};

pub(super) static LIMITS: Shape = Shape {
    heading: "`[limits]`",
    prefix: "limits.",
    keys: &[
        "connections",
        "connections_per_client",
        "handshake_timeout",
        "header_timeout",
        "keep_alive",
        "collected",
        "body",
        "requests",
    ],
};

pub(super) static ACME: Shape = Shape {
    heading: "`[acme]`",
    prefix: "acme.",
    keys: &[
        "directory",
        "trust_anchors",
        "agree_tos",
        "contact",
        "challenges",
        "key_type",
        "profile",
        "eab",
        "preferred_chain",
        "proxy",
        "staging",
        "next",
        "dns",
    ],
};

pub(super) static ACME_DNS: Shape = Shape {
    heading: "`[acme.dns]`",
    prefix: "acme.dns.",
    keys: &[
        "provider",
        "server",
        "zone",
        "tsig",
        "ttl",
        "url",
        "account_file",
        "command",
        "timeout",
        "resolvers",
        "nameservers",
        "propagation_timeout",
    ],
};

pub(super) static TSIG: Shape =
    Shape { heading: "`tsig`", prefix: "acme.dns.tsig.", keys: &["name", "algorithm", "secret_file"] };

/// The keys of [`ACME`], for a further CA. Not among [`ALL`]: what is misplaced belongs to `[acme]`.
pub(super) static ACME_NEXT: Shape = Shape {
    heading: "`[[acme.next]]`",
    prefix: "acme.next.",
    keys: &[
        "directory",
        "trust_anchors",
        "agree_tos",
        "contact",
        "challenges",
        "key_type",
        "profile",
        "eab",
        "preferred_chain",
        "proxy",
        "staging",
    ],
};

/// Not among [`ALL`]: its keys are words of everyday.
pub(super) static EAB: Shape =
    Shape { heading: "`[acme.eab]`", prefix: "acme.eab.", keys: &["kid", "key_file", "key"] };

pub(super) static SITE: Shape = Shape {
    heading: "`[[site]]`",
    prefix: "site.",
    keys: &[
        "name",
        "domain",
        "domains",
        "aliases",
        "default",
        "upstream",
        "redirect_to",
        "route",
        "certificate",
        "https",
        "hsts",
        "tls",
        "client_certificates",
        "maintenance",
        "allow_from",
        "headers",
        "answers",
        "limits",
    ],
};

pub(super) static ANSWERS: Shape = Shape {
    heading: "`answers`",
    prefix: "answers.",
    keys: &["locations", "cookies", "origins", "same_site", "http_only", "xml"],
};

pub(super) static HTTPS: Shape =
    Shape { heading: "`[site.https]`", prefix: "site.https.", keys: &["mode", "rest", "paths", "redirect_methods"] };

pub(super) static HSTS: Shape =
    Shape { heading: "`[site.hsts]`", prefix: "site.hsts.", keys: &["max_age", "include_subdomains"] };

pub(super) static TLS: Shape = Shape { heading: "`[site.tls]`", prefix: "site.tls.", keys: &["min"] };

/// Not among [`ALL`], with its `allow`: a misplaced `mode` belongs to `[site.https]`, an `issuer` to nothing in particular.
pub(super) static CLIENT_CERTIFICATES: Shape = Shape {
    heading: "`[site.client_certificates]`",
    prefix: "site.client_certificates.",
    keys: &["mode", "paths", "trust_anchors", "crl", "expired_crl", "allow", "pass_on", "chain"],
};

pub(super) static CLIENT_ALLOW: Shape =
    Shape { heading: "`allow`", prefix: "site.client_certificates.allow.", keys: &["san", "issuer", "pin"] };

pub(super) static CERTIFICATE: Shape = Shape {
    heading: "`[site.certificate]`",
    prefix: "site.certificate.",
    keys: &["chain", "key", "pkcs12", "password_file", "password"],
};

pub(super) static ROUTE: Shape = Shape { heading: "`[[site.route]]`", prefix: "site.route.", keys: &ROUTE_KEYS };

const ROUTE_KEYS: [&str; 8] =
    ["path", "upstream", "name", "strip_prefix", "allow_from", "headers", "answers", "limits"];

pub(super) static SITE_LIMITS: Shape = Shape {
    heading: "`[site.limits]`",
    prefix: "site.limits.",
    keys: &["connections", "body", "requests", "header_timeout"],
};

pub(super) static ROUTE_LIMITS: Shape = Shape {
    heading: "`[site.route.limits]`",
    prefix: "site.route.limits.",
    keys: &["connections", "body", "requests"],
};

pub(super) static REQUESTS: Shape = Shape { heading: "`requests`", prefix: "requests.", keys: &["rate", "burst"] };

pub(super) static HEADERS: Shape = Shape { heading: "`headers`", prefix: "headers.", keys: &["request", "response"] };

pub(super) static REQUEST_HEADERS: Shape =
    Shape { heading: "`headers.request`", prefix: "headers.request.", keys: &["set", "remove"] };

pub(super) static RESPONSE_HEADERS: Shape =
    Shape { heading: "`headers.response`", prefix: "headers.response.", keys: &["set", "remove"] };

pub(super) static UPSTREAM: Shape = Shape {
    heading: "an upstream",
    prefix: "upstream.",
    keys: &[
        "url",
        "urls",
        "name",
        "server_name",
        "trust",
        "trust_anchors",
        "fingerprint",
        "pin",
        "identity",
        "next",
        "host",
        "preset",
        "allow_plaintext",
        "connect_timeout",
        "response_timeout",
        "idle_timeout",
        "websocket_idle_timeout",
        "affinity",
        "request_buffering",
        "health",
    ],
};

pub(super) static EGRESS: Shape = Shape {
    heading: "`[[egress]]`",
    prefix: "egress.",
    keys: &[
        "name",
        "listen",
        "socket_group",
        "destination",
        "preset",
        "server_name",
        "trust_anchors",
        "fingerprint",
        "pin",
        "identity",
        "next",
        "allow",
        "token_file",
        "rules",
        "pace",
        "user_message",
        "closed_versions",
        "trial",
        "body",
        "connect_timeout",
        "response_timeout",
        "idle_timeout",
    ],
};

pub(super) static IDENTITY: Shape = Shape {
    heading: "`identity`",
    prefix: "identity.",
    keys: &["pkcs12", "chain", "key", "password_file", "password"],
};

pub(super) static NEXT: Shape = Shape {
    heading: "`next`",
    prefix: "next.",
    keys: &["pkcs12", "chain", "key", "password_file", "password", "from"],
};

pub(super) static HEALTH: Shape = Shape {
    heading: "`upstream.health`",
    prefix: "upstream.health.",
    keys: &["path", "interval", "timeout", "status", "fail_after", "pass_after"],
};

pub(super) static LOG: Shape = Shape { heading: "`[log]`", prefix: "log.", keys: &["format", "level", "access"] };

pub(super) static ACCESS: Shape =
    Shape { heading: "`log.access`", prefix: "log.access.", keys: &["path", "query", "sample"] };

pub(super) static METRICS: Shape = Shape { heading: "`[metrics]`", prefix: "metrics.", keys: &["textfile"] };

pub(super) static NOTIFY: Shape = Shape {
    heading: "`[[notify]]`",
    prefix: "notify.",
    keys: &["name", "events", "language", "webhook", "smtp", "exec"],
};

/// Not among [`ALL`], as the next two: their keys are words of everyday.
pub(super) static WEBHOOK: Shape = Shape {
    heading: "`webhook`",
    prefix: "notify.webhook.",
    keys: &["url", "token_file", "token", "trust_anchors", "proxy"],
};

pub(super) static SMTP: Shape = Shape {
    heading: "`smtp`",
    prefix: "notify.smtp.",
    keys: &["server", "tls", "trust_anchors", "user", "password_file", "password", "from", "to"],
};

pub(super) static EXEC: Shape = Shape { heading: "`exec`", prefix: "notify.exec.", keys: &["command", "timeout"] };

pub(super) static ALL: [&Shape; 26] = [
    &ROOT,
    &LISTEN,
    &LIMITS,
    &ACME,
    &ACME_DNS,
    &TSIG,
    &SITE,
    &ANSWERS,
    &HTTPS,
    &HSTS,
    &TLS,
    &CERTIFICATE,
    &ROUTE,
    &SITE_LIMITS,
    &REQUESTS,
    &HEADERS,
    &REQUEST_HEADERS,
    &UPSTREAM,
    &EGRESS,
    &IDENTITY,
    &NEXT,
    &HEALTH,
    &LOG,
    &ACCESS,
    &METRICS,
    &NOTIFY,
];

/// Tables whose keys are looked for nowhere else: what is misplaced belongs to another one, or is a word of everyday.
#[cfg(test)]
static APART: [&Shape; 5] = [&CLIENT_CERTIFICATES, &CLIENT_ALLOW, &WEBHOOK, &SMTP, &EXEC];

/// Words that nginx, Caddy, HAProxy, IIS and others use for our keys.
const SYNONYMS: [(&str, &str); 71] = [
    ("access_log", "log"),
    ("acme_ca", "directory"),
    ("add", "set"),
    ("alias", "aliases"),
    ("allow", "allow_from"),
    ("backend", "upstream"),
    ("backends", "urls"),
    ("bind", "https"),
    ("bindings", "listen"),
    ("ca", "directory"),
    ("ca_file", "trust_anchors"),
    ("cacert", "trust_anchors"),
    ("cert", "certificate"),
    ("cert", "chain"),
    ("cert_file", "chain"),
    ("certfile", "chain"),
    ("certificate_file", "chain"),
    ("client_max_body_size", "body"),
    ("crt", "chain"),
    ("data_dir", "state_dir"),
    ("default_server", "default"),
    ("dial", "url"),
    ("email", "contact"),
    ("error_log", "log"),
    ("fullchain", "chain"),
    ("host", "domain"),
    ("hostname", "domain"),
    ("hostnames", "domains"),
    ("issuer", "directory"),
    ("key_file", "key"),
    ("listen", "https"),
    ("location", "path"),
    ("location", "route"),
    ("locations", "route"),
    ("log_level", "level"),
    ("max_connections", "connections"),
    ("names", "domains"),
    ("p12", "pkcs12"),
    ("passphrase", "password"),
    ("pfx", "pkcs12"),
    ("prefix", "path"),
    ("private_key", "key"),
    ("proxy", "upstream"),
    ("proxy_connect_timeout", "connect_timeout"),
    ("proxy_cookie_domain", "answers"),
    ("proxy_cookie_path", "answers"),
    ("proxy_pass", "upstream"),
    ("proxy_read_timeout", "response_timeout"),
    ("proxy_redirect", "answers"),
    ("proxy_ssl_name", "server_name"),
    ("proxy_ssl_trusted_certificate", "trust_anchors"),
    ("redirect", "redirect_to"),
    ("return", "redirect_to"),
    ("reverse_proxy", "upstream"),
    ("server", "site"),
    ("server_alias", "aliases"),
    ("server_name", "domain"),
    ("server_names", "domains"),
    ("servers", "urls"),
    ("set_real_ip_from", "trusted_proxies"),
    ("sni", "server_name"),
    ("ssl", "tls"),
    ("ssl_certificate", "certificate"),
    ("ssl_certificate_key", "certificate"),
    ("ssl_protocols", "tls"),
    ("storage", "state_dir"),
    ("strip", "strip_prefix"),
    ("target", "upstream"),
    ("thumbprint", "fingerprint"),
    ("tls_certificate", "certificate"),
    ("verify", "trust_anchors"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_every_key_then_the_full_sample_sets_it_or_names_it_in_an_example() {
        let sample = include_str!("../../../config/portvakt.toml");
        for key in ALL.into_iter().chain(APART).flat_map(|shape| shape.keys) {
            assert!(stands_in(sample, key), "config/portvakt.toml does not tell of `{key}`");
        }
        assert!(!stands_in(sample, "limit") && !stands_in(sample, "ocation"));
    }

    #[test]
    fn given_words_of_others_then_each_stands_for_a_key_of_ours_and_is_none_in_that_table() {
        for (word, key) in SYNONYMS {
            let homes: Vec<_> = ALL.iter().filter(|shape| shape.keys.contains(&key)).collect();
            assert!(!homes.is_empty(), "`{word}` stands for `{key}`, which is no key");
            assert!(homes.iter().any(|shape| !shape.keys.contains(&word)), "`{word}` is a key beside `{key}`");
        }
    }

    /// As `key =` or in a heading.
    fn stands_in(sample: &str, key: &str) -> bool {
        sample.match_indices(key).any(|(at, _)| {
            let (before, after) = (&sample[..at], &sample[at + key.len()..]);
            let is_whole = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let is_heading = before.ends_with(['[', '.']) && after.starts_with([']', '.']);
            is_whole && (after.trim_start_matches(' ').starts_with('=') || is_heading)
        })
    }
}
