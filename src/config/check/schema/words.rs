//! What is said of a key: the comments of `config/portvakt.toml`, and some words for keys that it shows in one line.

use std::sync::LazyLock;

use super::super::shape::Shape;

/// What is said of `key` in the table at `path`.
pub(super) fn about(shape: &Shape, path: &str, key: &str) -> Option<String> {
    let inner = || {
        let name = format!("{}{key}", shape.prefix);
        INNER.iter().find(|(known, _)| *known == name).map(|(_, words)| (*words).to_owned())
    };
    let there = |path: &str| SAMPLE.iter().find(|said| said.path == path && said.key == key);
    let alike = || there(alike(path)?);
    there(path).map(|said| said.words.clone()).or_else(inner).or_else(|| alike().map(|said| said.words.clone()))
}

/// The table whose keys mean the same as those at `path`.
fn alike(path: &str) -> Option<&'static str> {
    Some(match path {
        "acme.next" => "acme",
        "site.limits" | "site.route.limits" => "limits",
        "site.route" => "site",
        "site.route.answers" => "site.answers",
        "site.route.upstream" | "egress" => "site.upstream",
        _ => return None,
    })
}

struct Said {
    /// Of the table.
    path: String,
    key: String,
    words: String,
}

static SAMPLE: LazyLock<Vec<Said>> = LazyLock::new(|| read(include_str!("../../../../config/portvakt.toml")));

/// A line of the sample; what stands in a comment as an example counts as written.
enum Line<'a> {
    /// `[path]` or `[[path]]`.
    Heading(&'a str),
    /// `key = value`, with the remark behind it.
    Key(&'a str, Option<&'a str>),
    /// A remark, and whether it stands at the left, not below that of the line above.
    Remark(&'a str, bool),
    Blank,
}

fn read(sample: &str) -> Vec<Said> {
    let (mut said, mut above, mut path) = (Vec::<Said>::new(), Vec::new(), String::new());
    let mut has_remark = false;
    for line in sample.lines() {
        match of(line) {
            Line::Blank => above.clear(),
            Line::Remark(words, true) => above.push(words),
            // It goes on behind a key.
            Line::Remark(words, false) => {
                if let Some(last) = said.last_mut().filter(|_| has_remark) {
                    last.words = format!("{} {words}", last.words);
                }
            }
            Line::Heading(heading) => {
                let (parent, key) = heading.rsplit_once('.').unwrap_or(("", heading));
                if !above.is_empty() {
                    said.push(Said { path: parent.to_owned(), key: key.to_owned(), words: above.join(" ") });
                }
                path = heading.to_owned();
                above.clear();
                has_remark = false;
            }
            Line::Key(key, remark) => {
                let words = remark.map_or_else(|| above.join(" "), str::to_owned);
                has_remark = remark.is_some();
                if !words.is_empty() {
                    said.push(Said { path: path.clone(), key: key.to_owned(), words });
                }
                above.clear();
            }
        }
    }
    said
}

fn of(line: &str) -> Line<'_> {
    if line.trim().is_empty() {
        return Line::Blank;
    }
    let bare = line.strip_prefix("# ").unwrap_or(line);
    if let Some(heading) = heading(bare) {
        return Line::Heading(heading);
    }
    if let Some((key, rest)) = bare.split_once('=')
        && is_key(key.trim_end())
    {
        return Line::Key(key.trim_end(), remark(rest));
    }
    let is_left = line.starts_with('#') && !line.starts_with("#  ");
    Line::Remark(line.trim_start_matches([' ', '#']), is_left)
}

fn heading(line: &str) -> Option<&str> {
    let path = line.strip_prefix('[')?.strip_suffix(']')?;
    let path = path.strip_prefix('[').and_then(|path| path.strip_suffix(']')).unwrap_or(path);
    path.split('.').all(is_key).then_some(path)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// What stands behind a value.
fn remark(value: &str) -> Option<&str> {
    let mut is_quoted = false;
    let at = value.char_indices().find(|(_, c)| {
        is_quoted ^= *c == '"';
        *c == '#' && !is_quoted
    });
    at.map(|(at, _)| value[at + 1..].trim()).filter(|remark| !remark.is_empty())
}

/// Keys that the sample shows together, or in the table of another.
const INNER: &[(&str, &str)] = &[
    ("group", "The group to become with `user`; default: the user's own."),
    ("log", "How the log is written, and whether requests are."),
    ("listen.https", "Where TLS is listened on; `[::]` is IPv6 only."),
    ("metrics.textfile", "The file; its name ends in `.prom`, and its folder must be there."),
    ("notify.smtp", "Messages by mail."),
    ("notify.webhook", "Messages as JSON by POST: a URL or a table."),
    ("notify.exec", "A program that gets each message as JSON on its standard input; no shell."),
    ("notify.webhook.url", "Where messages are posted to, `https://`; its `text` is what chats show."),
    ("notify.webhook.token_file", "A file with the token that is sent, as its only line."),
    ("notify.webhook.token", "The token, from the environment: `${NAME}`."),
    ("notify.webhook.trust_anchors", "The root of the receiver's certificate; default: those that browsers trust."),
    ("notify.webhook.proxy", "A proxy to the receiver, `http://host:port`; default: HTTPS_PROXY, NO_PROXY."),
    ("notify.smtp.server", "The mail server, with or without port."),
    ("notify.smtp.tls", "`implicit` is port 465; `none` is for a server on this machine."),
    ("notify.smtp.trust_anchors", "The root of the mail server's certificate; default: those that browsers trust."),
    ("notify.smtp.user", "Who logs in."),
    ("notify.smtp.password_file", "A file with the password as its only line."),
    ("notify.smtp.password", "The password, from the environment: `${NAME}`."),
    ("notify.smtp.from", "Whose mail it is."),
    ("notify.smtp.to", "Who gets it, a string or a list."),
    ("notify.exec.command", "The program's path and its arguments."),
    ("notify.exec.timeout", "It is killed then."),
    ("acme.eab.kid", "The key's name, as the CA shows it."),
    ("acme.eab.key_file", "A file with the key in base64url, as its only line."),
    ("acme.eab.key", "The key itself, from the environment: `${NAME}`."),
    ("acme.dns.account_file", "acme-dns: the account; it is made when it is not there."),
    ("acme.dns.tsig.name", "The key's name, as the name server has it."),
    ("acme.dns.tsig.algorithm", "The key's algorithm."),
    ("acme.dns.tsig.secret_file", "A file with the secret, in base64 or as tsig-keygen prints it."),
    ("site.tls", "Which versions of TLS clients may speak."),
    ("site.tls.min", "The oldest version of TLS that is accepted."),
    ("site.hsts.max_age", "How long browsers remember it; `0s` lets them forget."),
    ("site.hsts.include_subdomains", "Whether it holds for every name below this one too."),
    ("site.limits", "Limits of this site, besides those of `[limits]`."),
    ("site.headers", "Headers that are set or removed, of requests and of answers."),
    ("site.client_certificates.allow", "Who is let in, of those whom the trust anchors know."),
    (
        "site.client_certificates.allow.san",
        "Names in the certificate; `*@example.com` and `*.example.com` stand for any.",
    ),
    ("site.client_certificates.allow.issuer", "Common names of CAs."),
    ("site.client_certificates.allow.pin", "SHA-256 of the public key: `sha256/BASE64`."),
    ("site.certificate.chain", "The file with the certificate and its intermediates, or a list of them."),
    ("site.certificate.key", "The file with the private key."),
    ("site.certificate.pkcs12", "A .p12 or .pfx, in place of `chain` and `key`."),
    ("site.certificate.password_file", "A file with the password as its only line."),
    ("site.certificate.password", "The password, from the environment: `${NAME}`."),
    ("site.route", "Another upstream below a path."),
    ("site.route.path", "The longest prefix wins; `/api/` is `/api` and everything below it, in any case."),
    ("site.route.upstream", "Where requests below the path go; a URL or a table."),
    ("site.route.limits", "Limits of this route; `body` in place of the site's, the others besides."),
    ("site.route.headers", "Headers that are set or removed, after the site's."),
    ("site.route.answers", "What is mended in answers, key by key in place of the site's."),
    ("requests.rate", "How many in the long run: a number each `s`, `m` or `h`."),
    ("requests.burst", "How many at once."),
    ("headers.request", "What is changed in requests before they go on."),
    ("headers.response", "What is changed in answers before they go back."),
    ("headers.request.set", "Name and value; what is there is replaced."),
    ("headers.request.remove", "Names of headers."),
    ("headers.response.set", "Name and value; what is there is replaced."),
    ("headers.response.remove", "Names of headers."),
    ("upstream.url", "`http://host:port`, `https://host:port` or `unix:/path/to/socket`."),
    ("upstream.next", "The identity that takes over from `identity`."),
    ("upstream.health", "Checks of our own, with the same trust as requests."),
    ("upstream.health.path", "What is asked for with GET."),
    ("upstream.health.interval", "From one check to the next."),
    ("upstream.health.timeout", "How long an answer may take."),
    ("upstream.health.status", "Statuses of a server that works."),
    ("upstream.health.fail_after", "After so many failures in a row it is left out."),
    ("upstream.health.pass_after", "After so many good answers in a row it is used again."),
    ("identity.pkcs12", "A .p12 or .pfx, in place of `chain` and `key`."),
    ("identity.chain", "The file with the certificate and its intermediates, or a list of them."),
    ("identity.key", "The file with the private key."),
    ("identity.password_file", "A file with the password as its only line."),
    ("identity.password", "The password, from the environment: `${NAME}`."),
    ("next.pkcs12", "A .p12 or .pfx, in place of `chain` and `key`."),
    ("next.chain", "The file with the certificate and its intermediates, or a list of them."),
    ("next.key", "The file with the private key."),
    ("next.password_file", "A file with the password as its only line."),
    ("next.password", "The password, from the environment: `${NAME}`."),
    ("next.from", "When it takes over, in UTC; default: as soon as it is valid."),
    ("egress.fingerprint", "SHA-256 of its certificate, a string or a list."),
    ("log.format", "`json`: one object a line."),
    ("log.access.path", "The file; default: standard output."),
    ("log.access.query", "Whether queries are replaced by `[redacted]`."),
    ("log.access.sample", "One of so many requests is written, and every one that failed with 5xx."),
];
