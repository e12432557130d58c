//! `[[egress]]`.

mod destination;
mod listen;
mod preset;
mod rules;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use super::client_identity::{self, Audience};
use super::route::{bad_label, is_label};
use super::section::{Section, Text};
use super::site::{Names, duplicate_name};
use super::{Check, Objection, bankid_roots, limits, shape, upstream};
use crate::config::code::Code;
use crate::config::problem::{Place, quoted};
use crate::config::raw::{Table, Value};
use crate::config::{Config, Egress};
use crate::egress::{Allowed, COLLECT, Listen, Preset, Service, Settings};
use crate::source::{ClientIdentitySettings, Trial};
use crate::upstream::{Address, PeerSettings, TlsSettings, Trust};

use self::destination::Destination;
pub(in crate::config::check) use self::listen::Taken;

/// Every way out, in their order, and whom they say we are.
pub(super) struct All<'a> {
    pub(super) egress: Vec<Egress>,
    pub(super) identities: Vec<ClientIdentitySettings>,
    names: Names,
    taken: Taken<'a>,
}

/// Whether there is any, and no site: then nobody comes from outside.
pub(super) fn is_alone(root: &Section<'_>) -> bool {
    let count = |key| match root.node(key).map(|node| &node.value) {
        Some(Value::List(items)) => items.len(),
        Some(_) => 1,
        None => 0,
    };
    count("egress") > 0 && count("site") == 0
}

/// Reads every `[[egress]]`; where it cannot listen and what it cannot be named are `taken` and `names`.
pub(super) fn read_all<'a>(check: &mut Check<'_>, root: &Section<'a>, taken: Taken<'a>, names: Names) -> All<'a> {
    let mut all = All { egress: Vec::new(), identities: Vec::new(), names, taken };
    for table in root.tables(check, "egress") {
        all.add(check, table);
    }
    all
}

/// Where applications call over TCP.
pub(super) fn addresses(egresses: &[Egress]) -> Vec<SocketAddr> {
    let tcp = |egress: &Egress| match &egress.settings.listen {
        Listen::Tcp(address) => Some(*address),
        Listen::Unix { .. } => None,
    };
    egresses.iter().filter_map(tcp).collect()
}

impl<'a> All<'a> {
    fn add(&mut self, check: &mut Check<'_>, table: &'a Table) {
        let section = Section::open(check, table, &shape::EGRESS);
        let preset = preset::read(check, &section);
        let destination = destination::read(check, &section, preset);
        let name = self.name(check, &section, destination.as_ref());
        let listen = listen::read(check, &section, &mut self.taken);
        listen::judge_exposure(check, &section, listen.as_ref());
        let service = destination.as_ref().and_then(|to| to.service);
        let allow = allow(check, &section, service);
        let token = listen::token(check, &section);
        let rules = rules::read(check, &section, service);
        let body = limits::body(check, &section);
        let identity = identity(check, &section, destination.as_ref(), rules.is_some());
        let timeouts = upstream::timeouts(check, &section);
        let tls = destination.as_ref().and_then(|to| tls(check, &section, preset, to));
        let (Some(name), Some(listen), Some(to), Some(tls), Some(identity)) =
            (name, listen, destination, tls, identity)
        else {
            return;
        };
        let tls = TlsSettings { identity: Some(name.clone()), ..tls };
        let peer = PeerSettings { address: Address::Tcp { host: to.host.clone(), port: to.port }, tls: Some(tls) };
        let host = Some(to.authority());
        let upstream = crate::upstream::Settings {
            name: name.clone(),
            peers: vec![peer],
            host,
            preset: None,
            timeouts,
            health: None,
            affinity: crate::upstream::AffinityRule::Auto,
            request_buffering: crate::upstream::RequestBuffering::Off,
        };
        let most = if rules.is_some() { Config::BANKID_BODY } else { Config::EGRESS_BODY };
        let body = body.unwrap_or(most);
        self.identities.push(ClientIdentitySettings { name: name.clone(), ..identity });
        self.egress.push(Egress { settings: Settings { name, listen, allow, token, body, rules }, upstream });
    }

    fn name(
        &mut self,
        check: &mut Check<'_>,
        section: &Section<'_>,
        destination: Option<&Destination<'_>>,
    ) -> Option<String> {
        let (name, place) = match (section.string(check, "name"), destination) {
            (Some(text), _) if !is_label(text.value) => {
                check.report(bad_label(text.value, text.place));
                return None;
            }
            (Some(text), _) => (text.value.to_owned(), text.place),
            (None, Some(destination)) => (destination.host.clone(), destination.text.place),
            (None, None) => return None,
        };
        self.claim(check, &name, place).then_some(name)
    }

    fn claim(&mut self, check: &mut Check<'_>, name: &str, place: &Place) -> bool {
        let claimed = self.names.claim(name, place);
        if let Err(first) = &claimed {
            check.report(duplicate_name("egress", name, place, first));
        }
        claimed.is_ok()
    }
}

/// How the service is recognised.
fn tls(
    check: &mut Check<'_>,
    section: &Section<'_>,
    preset: Option<&Preset>,
    to: &Destination<'_>,
) -> Option<TlsSettings> {
    if let Some(preset) = preset {
        return Some(TlsSettings {
            server_name: to.host.clone(),
            trust: Trust::Anchors(preset.trust_anchors()),
            identity: None,
        });
    }
    let tls = upstream::tls(check, section, to.text, &to.host, to.port)?;
    bankid_roots::judge(check, section, &tls.trust, to.audience());
    Some(tls)
}

/// `identity` and `next`, and how they are tried.
fn identity(
    check: &mut Check<'_>,
    section: &Section<'_>,
    to: Option<&Destination<'_>>,
    has_rules: bool,
) -> Option<ClientIdentitySettings> {
    require_identity(check, section);
    let default = if has_rules { Trial::BankId { target: COLLECT.to_owned() } } else { Trial::Handshake };
    let trial = trial(check, section).unwrap_or(default);
    let nobody = Audience { environment: None, place: section.place() };
    client_identity::read(check, section, to.map_or(nobody, Destination::audience), trial)
}

fn require_identity(check: &mut Check<'_>, section: &Section<'_>) {
    if section.lacks("identity") {
        let problem = section.missing("identity").why("the service knows us by a client certificate");
        let problem = problem.fix("write `identity = { pkcs12 = \"rp.p12\", password_file = \"rp.pass\" }`");
        check.report(problem.fix("or, in PEM: `identity = { chain = \"rp.pem\", key = \"rp.key\" }`"));
    }
}

/// `allow`: what may be asked for; with a preset what its service is for.
fn allow(check: &mut Check<'_>, section: &Section<'_>, service: Option<&Service>) -> Vec<Allowed> {
    if let (true, Some(service)) = (section.lacks("allow"), service) {
        return service.allow.parse().into_iter().collect();
    }
    let texts = section.strings(check, "allow");
    let is_empty =
        section.node("allow").is_some_and(|node| matches!(&node.value, Value::List(items) if items.is_empty()));
    // A preset that is not known, or not that of the destination, would have named something.
    if (section.lacks("allow") && section.lacks("preset")) || is_empty {
        let problem = section.missing("allow").why("whatever it does not name is answered with 404 and never leaves");
        check.report(problem.fix(format!("write {ALLOW}")));
    }
    texts.into_iter().flatten().filter_map(|text| allowed(check, text)).collect()
}

fn allowed(check: &mut Check<'_>, text: Text<'_>) -> Option<Allowed> {
    match text.value.parse() {
        Ok(allowed) => Some(allowed),
        Err(error) => {
            let error: crate::egress::AllowedError = error;
            let title = format!("{} names no request that could be allowed", quoted(text.value));
            let objection = Objection::new(error.to_string(), format!("write it like {ALLOW}; `*` only at the end"));
            check.refuse(Code::InvalidAllow, title, text, objection);
            None
        }
    }
}

/// `trial`: the request by which it is found out whether an identity is accepted.
fn trial(check: &mut Check<'_>, section: &Section<'_>) -> Option<Trial> {
    let text = section.string(check, "trial")?;
    let parts = text.value.split_once(' ').filter(|(method, target)| {
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        is_method && target.starts_with('/') && target.parse::<http::uri::PathAndQuery>().is_ok()
    });
    let Some((method, target)) = parts else {
        let title = format!("{} is no request by which an identity could be tried", quoted(text.value));
        let objection = Objection::new(
            "before another identity is used, the service is asked once with it",
            "write a method and a path that change nothing, such as `GET /status`, or leave the key out",
        );
        check.refuse(Code::InvalidTrial, title, text, objection);
        return None;
    };
    Some(Trial::Request { method: method.to_owned(), target: target.to_owned() })
}

const ALLOW: &str = "`allow = [\"POST /rp/v6.0/*\"]`";
