//! `upstream`, as a URL or as a table.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use super::address::{self, Target};
use super::client_identity::{self, Audience};
use super::route::{bad_label, is_label};
use super::section::{Section, Text};
use super::site::{Names, duplicate_name};
use super::{Check, Objection, anchors, bankid_roots, health, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::{Entry, Node, Table, Value};
use crate::egress::Environment;
use crate::pki::SpkiPin;
use crate::route::Preset;
use crate::source::{ClientIdentitySettings, Trial};
use crate::upstream::{Address, AffinityRule, PeerSettings, RequestBuffering, Settings, Timeouts, TlsSettings, Trust};

/// Every upstream once.
#[derive(Default)]
pub(super) struct Upstreams(Vec<Named>);

/// An upstream, and what names it.
struct Named {
    settings: Settings,
    /// Who we are there; its name is the upstream's.
    identity: Option<ClientIdentitySettings>,
    place: Place,
    is_explicit: bool,
}

impl Upstreams {
    /// Reads one; the same settings again are the same upstream. Gives its index.
    pub(super) fn read(&mut self, check: &mut Check<'_>, node: &Node, key: &Place) -> Option<usize> {
        let table = as_table(check, node, key)?;
        let section = Section::open(check, &table, &shape::UPSTREAM);
        let name = name(check, &section);
        let settings = settings(check, &section, name.map(|name| name.value));
        let identity = identity(check, &section, settings.as_ref());
        let place = name.map_or(&node.place, |name| name.place);
        Some(
            self.add(check, Named { settings: settings?, identity, place: place.clone(), is_explicit: name.is_some() }),
        )
    }

    /// All of them, by index, and who we are to them.
    pub(super) fn into_settings(self) -> (Vec<Settings>, Vec<ClientIdentitySettings>) {
        let (mut all, mut identities) = (Vec::new(), Vec::new());
        for Named { mut settings, identity, .. } in self.0 {
            let name = settings.name.clone();
            if let Some(identity) = identity {
                let tls = settings.peers.iter_mut().filter_map(|peer| peer.tls.as_mut());
                tls.for_each(|tls| tls.identity = Some(name.clone()));
                identities.push(ClientIdentitySettings { name, ..identity });
            }
            all.push(settings);
        }
        (all, identities)
    }

    /// Who has which name.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for named in &self.0 {
            // No two are alike, so that it is free.
            let _ = names.claim(&named.settings.name, &named.place);
        }
        names
    }

    fn add(&mut self, check: &mut Check<'_>, mut named: Named) -> usize {
        if let Some(index) = self.0.iter().position(|other| other.is_same(&named)) {
            return index;
        }
        let name = &named.settings.name;
        match self.holder(name) {
            Some(first) if named.is_explicit => {
                check.report(duplicate_name("upstream", name, &named.place, &first.place));
            }
            Some(_) => named.settings.name = self.numbered(name),
            None => {}
        }
        self.0.push(named);
        self.0.len() - 1
    }

    fn holder(&self, name: &str) -> Option<&Named> {
        self.0.iter().find(|named| named.settings.name == name)
    }

    /// Two upstreams on one `host:port` that differ otherwise: the second is `host:port#2`.
    fn numbered(&self, name: &str) -> String {
        let mut number = 2;
        while self.holder(&format!("{name}#{number}")).is_some() {
            number += 1;
        }
        format!("{name}#{number}")
    }
}

impl Named {
    /// Whether both are one upstream. A default name may have got a number, so it is not looked at.
    fn is_same(&self, other: &Self) -> bool {
        let mut settings = other.settings.clone();
        if !self.is_explicit && !other.is_explicit {
            settings.name.clone_from(&self.settings.name);
        }
        settings == self.settings && self.identity == other.identity
    }
}

/// `identity` and `next`, for servers that ask for a certificate.
fn identity(
    check: &mut Check<'_>,
    section: &Section<'_>,
    settings: Option<&Settings>,
) -> Option<ClientIdentitySettings> {
    if let (None, Some(next)) = (section.node("identity"), section.key_place("next")) {
        let problem = Problem::error(Code::Conflict, "`next` has nothing to follow").at(next);
        check.report(problem.why("it takes over from `identity`").fix("add `identity`, or call this one `identity`"));
    }
    section.node("identity")?;
    let place =
        section.node("url").or_else(|| section.node("urls")).map_or_else(|| section.place(), |node| &node.place);
    let peer = settings?.peers.first()?;
    let environment = match &peer.address {
        Address::Tcp { host, .. } => Environment::of_host(host),
        Address::Unix(_) => None,
    };
    let audience = Audience { environment, place };
    if let Some(tls) = &peer.tls {
        bankid_roots::judge(check, section, &tls.trust, audience);
    }
    client_identity::read(check, section, audience, Trial::Handshake)
}

/// A URL alone is a table with nothing but `url`.
fn as_table<'a>(check: &mut Check<'_>, node: &'a Node, key: &Place) -> Option<Cow<'a, Table>> {
    match &node.value {
        Value::Table(table) => Some(Cow::Borrowed(table)),
        Value::String(_) => {
            let entry = Entry { key: "url".to_owned(), key_place: key.clone(), node: node.clone() };
            Some(Cow::Owned(Table { place: node.place.clone(), entries: vec![entry] }))
        }
        found => {
            let problem = Problem::error(Code::WrongType, "an upstream is a URL or a table").at(&node.place);
            let problem = problem.label(format!("found {found}"));
            check
                .report(problem.fix("write `upstream = \"http://127.0.0.1:8080\"`, or `upstream = { url = \"...\" }`"));
            None
        }
    }
}

fn name<'a>(check: &mut Check<'_>, section: &Section<'a>) -> Option<Text<'a>> {
    let text = section.string(check, "name")?;
    if !is_label(text.value) {
        check.report(bad_label(text.value, text.place));
        return None;
    }
    Some(text)
}

fn settings(check: &mut Check<'_>, section: &Section<'_>, name: Option<&str>) -> Option<Settings> {
    let urls = urls(check, section);
    let host = host(check, section);
    let preset = section.choice(check, "preset", &[Preset::Iis, Preset::Arr].map(|preset| (preset.as_str(), preset)));
    let timeouts = timeouts(check, section);
    let health = health::read(check, section);
    let affinity = affinity(check, section);
    let request_buffering = request_buffering(check, section);
    let allow_plaintext = section.boolean(check, "allow_plaintext").is_some_and(|allow| allow.value);
    let urls = urls?;
    let (targets, is_whole) = targets(check, &urls);
    let what = what_tls_means_nothing_to(&targets);
    if let Some(what) = what {
        refuse_tls_keys(check, section, what);
    }
    let mut trust = Trusts::default();
    let mut peers = Vec::new();
    for (url, target) in targets {
        let peer = peer(check, section, url, target, allow_plaintext, &mut trust)?;
        peers.push(peer);
    }
    let default_name = match (&peers.first()?.address, urls.first()?) {
        (Address::Unix(_), url) => url.value.to_owned(),
        (address @ Address::Tcp { .. }, _) => address.to_string(),
    };
    is_whole.then(|| Settings {
        name: name.map_or(default_name, str::to_owned),
        peers,
        host,
        preset,
        timeouts,
        health,
        affinity,
        request_buffering,
    })
}

/// `url` or `urls`.
fn urls<'a>(check: &mut Check<'_>, section: &Section<'a>) -> Option<Vec<Text<'a>>> {
    if let (Some(_), Some(place)) = (section.node("url"), section.key_place("urls")) {
        let problem = Problem::error(Code::Conflict, "`url` and `urls` exclude each other").at(place);
        check.report(problem.fix("put every URL into `urls`"));
    }
    if section.node("urls").is_none() {
        if section.lacks("url") && !section.is_misspelt("urls") {
            let problem = section.missing("url").fix("write `url = \"http://127.0.0.1:8080\"`");
            check.report(problem.fix("or, for several servers that do the same work, `urls = [..]`"));
        }
        return section.string(check, "url").map(|url| vec![url]);
    }
    let urls = section.strings(check, "urls")?;
    let (place, count) = (section.key_place("urls").unwrap_or_else(|| section.place()), urls.len());
    if !(1..=Settings::MOST_PEERS).contains(&count) {
        let problem = Problem::error(Code::InvalidNumber, format!("`upstream.urls` holds {count} URLs")).at(place);
        check.report(problem.fix(format!("name from 1 to {} servers", Settings::MOST_PEERS)));
        return None;
    }
    Some(urls)
}

/// What the URLs mean, without those that mean nothing; and whether that is all of them.
fn targets<'a>(check: &mut Check<'_>, urls: &[Text<'a>]) -> (Vec<(Text<'a>, Target<'a>)>, bool) {
    let mut targets: Vec<(Text<'a>, Target<'a>)> = Vec::new();
    for url in urls {
        let target = match address::parse_url(url.value) {
            Ok(target) => target,
            Err(objection) => {
                let title = format!("{} is not the URL of an upstream", quoted(url.value));
                check.refuse(Code::InvalidUpstream, title, *url, objection);
                continue;
            }
        };
        if let Some((first, _)) = targets.iter().find(|(_, other)| *other == target) {
            let problem = Problem::error(Code::Conflict, format!("{} stands twice", quoted(url.value))).at(url.place);
            check.report(problem.related(first.place, "it stands here").fix("remove one of them"));
            continue;
        }
        if let Some((first, _)) = targets.first().filter(|(_, first)| first.is_tls() != target.is_tls()) {
            let problem = Problem::error(Code::Conflict, "one upstream is reached with TLS and without").at(url.place);
            let problem = problem.related(first.place, "the other way");
            let why = "which way a request goes would be chance";
            check.report(problem.why(why).fix("write `https://` for all of them, or for none"));
            continue;
        }
        targets.push((*url, target));
    }
    let is_whole = targets.len() == urls.len();
    (targets, is_whole)
}

/// Where no TLS is spoken, in words.
fn what_tls_means_nothing_to(targets: &[(Text<'_>, Target<'_>)]) -> Option<&'static str> {
    match targets.first()?.1 {
        Target::Unix(_) => Some("a Unix socket"),
        Target::Tcp { is_tls: false, .. } => Some("an http upstream"),
        Target::Tcp { is_tls: true, .. } => None,
    }
}

fn peer(
    check: &mut Check<'_>,
    section: &Section<'_>,
    url: Text<'_>,
    target: Target<'_>,
    allow_plaintext: bool,
    trust: &mut Trusts,
) -> Option<PeerSettings> {
    let (address, tls) = match target {
        Target::Unix(path) => {
            let path = check.base.join(path);
            check.resolved.note(url.place, format!("unix:{}", path.display()));
            (Address::Unix(path), None)
        }
        Target::Tcp { is_tls: false, host, port } => {
            refuse_plaintext(check, url, &host, allow_plaintext);
            (Address::Tcp { host, port }, None)
        }
        Target::Tcp { is_tls: true, host, port } => {
            let tls = trust.of(check, section, url, &host, port)?;
            (Address::Tcp { host, port }, Some(tls))
        }
    };
    Some(PeerSettings { address, tls })
}

/// The trust of an upstream, read once for all of its servers.
#[derive(Default)]
struct Trusts(Option<(Option<String>, Trust)>);

impl Trusts {
    fn of(
        &mut self,
        check: &mut Check<'_>,
        section: &Section<'_>,
        url: Text<'_>,
        host: &str,
        port: u16,
    ) -> Option<TlsSettings> {
        let (server_name, trust) = match self.0.clone() {
            Some(known) => known,
            None => {
                let server_name = server_name(check, section);
                let trust = trust(check, section, url, server_name.as_deref().unwrap_or(host), host, port)?;
                self.0.insert((server_name, trust)).clone()
            }
        };
        Some(TlsSettings { server_name: server_name.unwrap_or_else(|| host.to_owned()), trust, identity: None })
    }
}

/// Reads how the one server at `url` is recognised.
pub(super) fn tls(
    check: &mut Check<'_>,
    section: &Section<'_>,
    url: Text<'_>,
    host: &str,
    port: u16,
) -> Option<TlsSettings> {
    Trusts::default().of(check, section, url, host, port)
}

/// Reads the `Host` to be sent.
fn host(check: &mut Check<'_>, section: &Section<'_>) -> Option<String> {
    let text = section.string(check, "host")?;
    if let Err(objection) = address::parse_authority(text.value) {
        let title = format!("{} cannot be sent as `Host`", quoted(text.value));
        check.refuse(Code::InvalidHost, title, text, objection);
        return None;
    }
    Some(text.value.to_owned())
}

/// Reads whose the connections are.
fn affinity(check: &mut Check<'_>, section: &Section<'_>) -> AffinityRule {
    let rules = [("auto", AffinityRule::Auto), ("connection", AffinityRule::Connection)];
    section.choice(check, "affinity", &rules).unwrap_or_default()
}

/// Reads how bodies of unknown length are sent.
fn request_buffering(check: &mut Check<'_>, section: &Section<'_>) -> RequestBuffering {
    let rules = [("off", RequestBuffering::Off), ("length", RequestBuffering::Length)];
    section.choice(check, "request_buffering", &rules).unwrap_or_default()
}

/// Reads the limits in time.
pub(super) fn timeouts(check: &mut Check<'_>, section: &Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        connect: section.duration(check, "connect_timeout").unwrap_or(default.connect),
        first_byte: section.duration(check, "response_timeout").unwrap_or(default.first_byte),
        idle: section.duration(check, "idle_timeout").unwrap_or(default.idle),
        websocket_idle: section.duration(check, "websocket_idle_timeout").unwrap_or(default.websocket_idle),
    }
}

fn refuse_tls_keys(check: &mut Check<'_>, section: &Section<'_>, what: &str) {
    for key in TLS_KEYS {
        let Some(place) = section.key_place(key) else { continue };
        let problem = Problem::error(Code::Conflict, format!("`{key}` has no effect on {what}")).at(place);
        check.report(
            problem.why("TLS is spoken to `https://` upstreams only").fix("write `https://`, or remove the key"),
        );
    }
}

/// Plaintext to another machine only with the operator's word.
fn refuse_plaintext(check: &mut Check<'_>, url: Text<'_>, host: &str, is_allowed: bool) {
    if is_allowed || address::is_loopback(host) {
        return;
    }
    let title = format!("requests would go to {} without encryption", quoted(host));
    let problem = Problem::error(Code::PlaintextUpstream, title)
        .at(url.place)
        .why("whoever is on the way could read and change them, passwords included")
        .fix("use `https://`, or run portvakt on that machine")
        .fix(format!(
            "or, if that network is yours: `upstream = {{ url = \"{}\", allow_plaintext = true }}`",
            url.value
        ));
    check.report(problem);
}

fn trust(
    check: &mut Check<'_>,
    section: &Section<'_>,
    url: Text<'_>,
    server_name: &str,
    host: &str,
    port: u16,
) -> Option<Trust> {
    let anchors = anchors::read(check, section);
    let fingerprints = digests(check, section, "fingerprint", FINGERPRINT);
    let pins = digests(check, section, "pin", PIN);
    let has_digest = section.node("fingerprint").is_some() || section.node("pin").is_some();
    if section.node("trust").is_some() {
        let word = section.choice(check, "trust", &[("first-use", ())]).map(|()| Trust::FirstUse);
        let others = ["trust_anchors", "fingerprint", "pin"];
        if let Some(place) = others.iter().find_map(|key| section.key_place(key)) {
            let problem = Problem::error(Code::Conflict, "`trust` excludes `trust_anchors`, `fingerprint` and `pin`");
            let why = "the first certificate that is seen is believed, and no other until you accept it";
            check.report(problem.at(place).why(why).fix("keep one of the ways; what is known by now is the safer one"));
            return None;
        }
        return word;
    }
    match anchors {
        Some(_) if has_digest => {
            let place = section.key_place("trust_anchors").unwrap_or(url.place);
            let problem = Problem::error(Code::Conflict, "`trust_anchors` excludes `fingerprint` and `pin`").at(place);
            let why = "with a fingerprint or pin the certificate itself is believed, whoever issued it";
            check.report(problem.why(why).fix("keep one of the two ways"));
            None
        }
        Some(anchors) => Some(Trust::Anchors(anchors)),
        None if has_digest => Some(Trust::Pinned { fingerprints, pins }),
        None => {
            check.report(no_trust(section, url, server_name, host, port));
            None
        }
    }
}

fn no_trust(section: &Section<'_>, url: Text<'_>, server_name: &str, host: &str, port: u16) -> Problem {
    let connect = address::join(host, port);
    let server_name = if server_name == host { String::new() } else { format!(" -servername {server_name}") };
    let command = format!(
        "openssl s_client -connect {connect}{server_name} </dev/null | openssl x509 -noout -fingerprint -sha256"
    );
    let is_string = section.place().span() == url.place.span();
    let written = if is_string {
        format!("upstream = {{ url = \"{}\", fingerprint = \"..\" }}", url.value)
    } else {
        "fingerprint = \"..\"".to_owned()
    };
    Problem::error(Code::NoUpstreamTrust, format!("nothing says how {} is recognised", quoted(&connect)))
        .at(url.place)
        .why("encryption to an unknown peer protects nothing, so there is no switch to leave the check out")
        .fix(format!("for a self-signed certificate: `{written}`, as printed by\n{command}"))
        .fix("or `trust = \"first-use\"`: the first certificate that is seen is kept, and no other believed until you accept it")
        .fix(
            "or the root of its issuer: `trust_anchors = \"root.pem\"`, `\"public\"` for the roots that browsers trust",
        )
}

fn server_name(check: &mut Check<'_>, section: &Section<'_>) -> Option<String> {
    let text = section.string(check, "server_name")?;
    if !address::is_server_name(text.value) {
        let objection = Objection::new(
            "it is sent to the upstream (SNI) and looked for in its certificate",
            "write a DNS name or an IP address without port, or leave the key out to use the host of `url`",
        );
        check.refuse(Code::InvalidServerName, format!("{} is not a server name", quoted(text.value)), text, objection);
        return None;
    }
    Some(text.value.to_ascii_lowercase())
}

/// Reads pins of public keys.
pub(super) fn pins(check: &mut Check<'_>, section: &Section<'_>, key: &str) -> Vec<SpkiPin> {
    digests(check, section, key, PIN)
}

fn digests<T>(check: &mut Check<'_>, section: &Section<'_>, key: &str, form: &str) -> Vec<T>
where
    T: FromStr,
    T::Err: Display,
{
    let Some(texts) = section.strings(check, key) else { return Vec::new() };
    if texts.is_empty() {
        let problem = Problem::error(Code::InvalidPin, format!("`{key}` is empty, so that nobody would be believed"));
        check.report(problem.at(section.key_place(key).unwrap_or_else(|| section.place())).fix(form));
    }
    let mut digests = Vec::new();
    for text in texts {
        match text.value.parse::<T>() {
            Ok(digest) => digests.push(digest),
            Err(error) => {
                let title = format!("{} is not a {key}", quoted(text.value));
                check.refuse(Code::InvalidPin, title, text, Objection::new(error.to_string(), form));
            }
        }
    }
    digests
}

/// Keys that mean something only where TLS is spoken.
const TLS_KEYS: [&str; 7] = ["server_name", "trust", "trust_anchors", "fingerprint", "pin", "identity", "next"];

const FINGERPRINT: &str = "give the 64 hex digits of `openssl x509 -noout -fingerprint -sha256 -in certificate.pem`";

const PIN: &str = "write it like `sha256/` and 44 characters of base64: the SHA-256 of the public key";
