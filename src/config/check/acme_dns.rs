//! `[acme.dns]`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::section::{Section, Sited, Text};
use super::{Check, Objection, address, shape};
use crate::config::code::Code;
use crate::config::problem::{Problem, listed, quoted};
use crate::config::raw::Table;
use crate::dns::{Algorithm, Server};
use crate::platform::is_open_to_all;
use crate::source::acme::{
    AcmeDnsSettings, DnsSettings, ExecSettings, KeyFileError, ProviderSettings, Rfc2136Settings, TsigSettings,
};

/// Reads the table. Where texts `persists` that the operator publishes himself, nobody else need put any there.
pub(super) fn read(check: &mut Check<'_>, table: &Table, persists: bool) -> DnsSettings {
    let section = Section::open(check, table, &shape::ACME_DNS);
    let resolvers = resolvers(check, &section);
    let nameservers = section.strings(check, "nameservers").unwrap_or_default();
    let nameservers = nameservers.into_iter().filter_map(|text| server(check, text)).collect();
    let propagation_timeout =
        section.duration(check, "propagation_timeout").unwrap_or(DnsSettings::PROPAGATION_TIMEOUT);
    // In place of one that is refused stands one that does nothing, so that nothing follows from it.
    let nobody = || ProviderSettings::Exec(ExecSettings { command: Vec::new(), timeout: ExecSettings::TIMEOUT });
    let provider = match persists && section.lacks("provider") {
        true => {
            refuse_without_provider(check, &section);
            None
        }
        false => Some(provider(check, &section).unwrap_or_else(nobody)),
    };
    DnsSettings { provider, resolvers, nameservers, propagation_timeout }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rfc2136,
    AcmeDns,
    Exec,
}

fn provider(check: &mut Check<'_>, section: &Section<'_>) -> Option<ProviderSettings> {
    if section.lacks("provider") {
        let problem = section.missing("provider").why("it says who puts texts into your zone, for dns-01");
        check.report(problem.fix("write `provider = \"rfc2136\"`, `\"acme-dns\"` or `\"exec\"`"));
        return None;
    }
    let kind = section.choice(check, "provider", &PROVIDERS)?;
    refuse_keys_of_others(check, section, kind);
    match kind {
        Kind::Rfc2136 => rfc2136(check, section).map(ProviderSettings::Rfc2136),
        Kind::AcmeDns => acme_dns(check, section).map(ProviderSettings::AcmeDns),
        Kind::Exec => exec(check, section).map(ProviderSettings::Exec),
    }
}

fn refuse_keys_of_others(check: &mut Check<'_>, section: &Section<'_>, kind: Kind) {
    for (key, owner) in KEYS.iter().filter(|(_, owner)| *owner != kind) {
        let Some(place) = section.key_place(key) else { continue };
        let title = format!("`{key}` has no meaning with `provider = \"{}\"`", word(kind));
        let problem = Problem::error(Code::Conflict, title).at(place);
        check.report(problem.fix(format!("remove it, or write `provider = \"{}\"`", word(*owner))));
    }
}

fn refuse_without_provider(check: &mut Check<'_>, section: &Section<'_>) {
    for (key, owner) in KEYS.iter() {
        let Some(place) = section.key_place(key) else { continue };
        let problem = Problem::error(Code::Conflict, format!("`{key}` has no meaning without `provider`")).at(place);
        check.report(problem.fix(format!("remove it, or write `provider = \"{}\"`", word(*owner))));
    }
}

fn word(kind: Kind) -> &'static str {
    PROVIDERS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| *word)
}

fn rfc2136(check: &mut Check<'_>, section: &Section<'_>) -> Option<Rfc2136Settings> {
    let tsig = section.table(check, "tsig").map(|table| tsig(check, table));
    let zone = section.string(check, "zone").and_then(|text| zone(check, text));
    let ttl = section.number(check, "ttl", 1, 86_400).unwrap_or(Rfc2136Settings::TTL);
    if section.lacks("server") {
        let problem = section.missing("server").why("changes go to the primary name server of your zone (RFC 2136)");
        check.report(problem.fix("write `server = \"ns1.example.com\"`; port 53 is taken when none is written"));
        return None;
    }
    let server = section.string(check, "server").and_then(|text| server(check, text))?;
    match tsig {
        // Its problems were reported.
        Some(None) => None,
        Some(tsig @ Some(_)) => Some(Rfc2136Settings { server, zone, tsig, ttl }),
        None => Some(Rfc2136Settings { server, zone, tsig: None, ttl }),
    }
}

fn tsig(check: &mut Check<'_>, table: &Table) -> Option<TsigSettings> {
    let section = Section::open(check, table, &shape::TSIG);
    let algorithm = section.choice(check, "algorithm", &ALGORITHMS).unwrap_or_default();
    for key in ["name", "secret_file"].into_iter().filter(|key| section.lacks(key)) {
        let problem = section.missing(key).why("name server and portvakt know a key by its name, and share its secret");
        check.report(problem.fix("write `tsig = { name = \"portvakt\", secret_file = \"tsig.key\" }`"));
    }
    let name = section.string(check, "name").and_then(|text| zone(check, text));
    let file = section.string(check, "secret_file").map(|text| Sited { value: check.path(text), place: text.place });
    let (name, file) = (name?, file?);
    let settings = TsigSettings { name, algorithm, secret_file: file.value };
    if let (true, Some(text)) = (check.opens_files(), section.string(check, "secret_file")) {
        judge_secret(check, &settings, text);
    }
    Some(settings)
}

fn judge_secret(check: &mut Check<'_>, settings: &TsigSettings, text: Text<'_>) {
    match settings.load() {
        Ok(_) if is_open_to_all(&settings.secret_file) => {
            let title = format!("everybody on this machine can read the TSIG secret {}", quoted(text.value));
            let problem = Problem::warning(Code::ExposedTsigSecret, title).at(text.place);
            let problem = problem.why("who has it changes your zone, and gets certificates for your names");
            check.report(problem.fix("let only the user that portvakt runs as read it: `chmod 600`"));
        }
        Ok(_) => {}
        Err(KeyFileError::Unreadable { source, .. }) => check.cannot_read(text, "TSIG secret", &source),
        Err(KeyFileError::NoSecret { source, .. }) => {
            let title = format!("{} holds no TSIG secret", quoted(text.value));
            let problem = Problem::error(Code::NoTsigSecret, title).at(text.place).label(source.to_string());
            let problem = problem.fix("put the base64 of the secret into it, or the key as `tsig-keygen` prints it");
            check.report(problem);
        }
    }
}

fn acme_dns(check: &mut Check<'_>, section: &Section<'_>) -> Option<AcmeDnsSettings> {
    for (key, fix) in [
        ("url", "write `url = \"https://auth.example.com\"`: where its API is"),
        ("account_file", "write `account_file = \"acme-dns.json\"`: it is made when it is not there"),
    ] {
        if section.lacks(key) {
            check.report(
                section.missing(key).why("acme-dns is asked at a URL, and gives an account to be kept").fix(fix),
            );
        }
    }
    let url = section.string(check, "url").and_then(|text| api(check, text));
    let account_file = section.string(check, "account_file").map(|text| check.located(text));
    Some(AcmeDnsSettings { url: url?, account_file: account_file? })
}

/// The URL of an API that is given a password.
fn api(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    let url = text.value.parse::<http::Uri>().ok();
    let host = url.as_ref().and_then(http::Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    let scheme = url.as_ref().and_then(http::Uri::scheme_str);
    let objection = match scheme {
        _ if text.value.contains('@') => Objection::new(
            "a user name or password does not belong into the URL; acme-dns gives an account by itself",
            "write the URL without what stands before the `@`, and without the `@`",
        ),
        Some("https") if !host.is_empty() => return Some(text.value.trim_end_matches('/').to_owned()),
        Some("http") if address::is_loopback(host) => return Some(text.value.trim_end_matches('/').to_owned()),
        Some("http") => Objection::new(
            "over plain HTTP the account's password could be read on the way, and certificates ordered with it",
            "write `https://`; plain HTTP is for a server on this machine only",
        ),
        _ => Objection::new("it is no https URL", "write it like `https://auth.example.com`"),
    };
    check.refuse(Code::InvalidAcmeDns, format!("{} is not the API of acme-dns", quoted(text.value)), text, objection);
    None
}

fn exec(check: &mut Check<'_>, section: &Section<'_>) -> Option<ExecSettings> {
    let timeout = section.duration(check, "timeout").unwrap_or(ExecSettings::TIMEOUT);
    let missing = || {
        let problem =
            section.missing("command").why("it is run with `present NAME VALUE`, later with `cleanup NAME VALUE`");
        problem.fix("write `command = [\"/usr/local/bin/dns-hook\"]`, the program and its first arguments")
    };
    let texts = match section.strings(check, "command") {
        Some(texts) => texts,
        None if section.lacks("command") => {
            check.report(missing());
            return None;
        }
        None => return None,
    };
    let Some((first, arguments)) = texts.split_first() else {
        check.report(missing());
        return None;
    };
    let program = program(check, *first)?;
    let arguments = arguments.iter().map(|text| text.value.to_owned());
    Some(ExecSettings { command: std::iter::once(program).chain(arguments).collect(), timeout })
}

/// The program's path; it is not looked for in `PATH`, which differs between a terminal and a service.
fn program(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    let objection = if text.value.contains(' ') && !Path::new(text.value).exists() {
        Some(Objection::new(
            "no shell splits it into words",
            "write a list: `command = [\"/path/to/program\", \"argument\"]`",
        ))
    } else if !text.value.contains(['/', '\\']) {
        let fix = format!("write its path, such as `/usr/local/bin/{0}`, or `./{0}` beside this file", text.value);
        Some(Objection::new("it is no path, and `PATH` is not searched", fix))
    } else {
        None
    };
    let title = || format!("{} cannot be run", quoted(text.value));
    if let Some(objection) = objection {
        check.refuse(Code::InvalidCommand, title(), text, objection);
        return None;
    }
    let path = check.located(text);
    if check.opens_files() && !path.is_file() {
        let why = if path.is_dir() { "it is a folder" } else { "there is no such file" };
        let fix = "put the program there, or correct the path; relative paths begin at the folder of this file";
        check.refuse(Code::InvalidCommand, title(), text, Objection::new(why, fix));
    }
    path.to_str().map(str::to_owned)
}

fn resolvers(check: &mut Check<'_>, section: &Section<'_>) -> Vec<SocketAddr> {
    let texts = section.strings(check, "resolvers").unwrap_or_default();
    texts.into_iter().filter_map(|text| resolver(check, text)).collect()
}

/// An IP address, with or without port: a resolver that has to be looked up cannot be asked.
fn resolver(check: &mut Check<'_>, text: Text<'_>) -> Option<SocketAddr> {
    let bare = text.value.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, Server::PORT));
    let address = text.value.parse().ok().or(bare);
    if address.is_none() {
        let objection =
            Objection::new("a resolver is an IP address, with or without port", "write it like `127.0.0.1:53`");
        check.refuse(Code::InvalidNameServer, format!("{} is not a resolver", quoted(text.value)), text, objection);
    }
    address
}

/// A host name or an IP address, with or without port.
fn server(check: &mut Check<'_>, text: Text<'_>) -> Option<Server> {
    if let Ok(address) = text.value.parse::<IpAddr>() {
        return Some(Server { host: address.to_string(), port: Server::PORT });
    }
    match address::parse_authority(text.value) {
        Ok((host, port)) => Some(Server { host, port: port.unwrap_or(Server::PORT) }),
        Err(Objection { why, .. }) => {
            let objection =
                Objection::new(why, "write it like `ns1.example.com`, `192.0.2.1:5353` or `[2001:db8::1]:53`");
            check.refuse(
                Code::InvalidNameServer,
                format!("{} is not a name server", quoted(text.value)),
                text,
                objection,
            );
            None
        }
    }
}

/// A name in DNS, underscores included; of a zone, or of a key.
fn zone(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    let name = text.value.strip_suffix('.').unwrap_or(text.value);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_plain);
    if name.len() <= 253 && name.split('.').all(is_label) {
        return Some(name.to_ascii_lowercase());
    }
    let objection = Objection::new(
        "between the dots of a name in DNS stand 1 to 63 letters, digits, hyphens and underscores",
        "write it as the name server has it, such as `example.com`",
    );
    check.refuse(Code::InvalidZone, format!("{} is not a name in DNS", quoted(text.value)), text, objection);
    None
}

/// What a wildcard needs, for messages.
pub(super) fn how_to_set() -> String {
    format!("set `[acme.dns]` with `provider` as one of {}", listed(&PROVIDERS.map(|(word, _)| word)))
}

const PROVIDERS: [(&str, Kind); 3] = [("rfc2136", Kind::Rfc2136), ("acme-dns", Kind::AcmeDns), ("exec", Kind::Exec)];

const ALGORITHMS: [(&str, Algorithm); 3] = [
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha384", Algorithm::HmacSha384),
    ("hmac-sha512", Algorithm::HmacSha512),
];

/// Keys that one provider has.
const KEYS: [(&str, Kind); 8] = [
    ("server", Kind::Rfc2136),
    ("zone", Kind::Rfc2136),
    ("tsig", Kind::Rfc2136),
    ("ttl", Kind::Rfc2136),
    ("url", Kind::AcmeDns),
    ("account_file", Kind::AcmeDns),
    ("command", Kind::Exec),
    ("timeout", Kind::Exec),
];
