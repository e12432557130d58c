//! `[acme]`.

use std::sync::Arc;

use super::section::{Section, Text, choose};
use super::site::Sites;
use super::{Check, Objection, acme_dns, anchors, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::suggest;
use crate::listener;
use crate::pki::KeyType;
use crate::source::{AcmeSettings, ChallengeKind};

/// `[acme]` as it is meant, and where it says so.
pub(super) struct Acme<'a> {
    pub(super) settings: AcmeSettings,
    /// `agree_tos`, or else the heading.
    agreement: Option<&'a Place>,
    /// The kinds as written; the settings hold those that a listener can answer.
    wanted: Vec<ChallengeKind>,
    challenges: Option<&'a Place>,
}

/// Reads the table; without one, the defaults.
pub(super) fn read<'a>(check: &mut Check<'_>, root: &Section<'a>, listen: &listener::Settings) -> Acme<'a> {
    let mut acme = read_table(check, root);
    acme.wanted.clone_from(&acme.settings.challenges);
    let has_dns = acme.settings.dns.is_some();
    acme.settings.challenges.retain(|kind| can_answer(listen, has_dns, *kind));
    acme
}

/// A kind that no listener answers would fail at the CA, which counts failures.
fn can_answer(listen: &listener::Settings, has_dns: bool, kind: ChallengeKind) -> bool {
    match kind {
        ChallengeKind::Http01 => !listen.http.is_empty(),
        ChallengeKind::TlsAlpn01 => !listen.https.is_empty(),
        ChallengeKind::Dns01 => has_dns,
    }
}

fn read_table<'a>(check: &mut Check<'_>, root: &Section<'a>) -> Acme<'a> {
    let (mut settings, wanted) = (AcmeSettings::default(), Vec::new());
    let Some(table) = root.table(check, "acme") else {
        return Acme { settings, agreement: None, wanted, challenges: None };
    };
    let section = Section::open(check, table, &shape::ACME);
    if let Some(url) = section.string(check, "directory").and_then(|text| directory(check, text)) {
        settings.directory = url;
    }
    settings.trust_anchors = anchors::read(check, &section);
    settings.agree_tos = match section.boolean(check, "agree_tos") {
        Some(agreed) => agreed.value,
        // What is no boolean has been reported, and is not reported as a refusal too.
        None => section.node("agree_tos").is_some(),
    };
    settings.contact = contacts(check, &section);
    settings.dns = section.table(check, "dns").map(|table| Arc::new(acme_dns::read(check, table)));
    match challenges(check, &section) {
        Some(kinds) => settings.challenges = kinds,
        None if settings.dns.is_some() => settings.challenges.push(ChallengeKind::Dns01),
        None => {}
    }
    settings.key_type = section.choice(check, "key_type", &KEY_TYPES).unwrap_or_default();
    settings.profile = section.string(check, "profile").map(|text| text.value.to_owned());
    let agreement = section.node("agree_tos").map_or_else(|| section.place(), |node| &node.place);
    let challenges = section.node("challenges").map(|node| &node.place);
    Acme { settings, agreement: Some(agreement), wanted, challenges }
}

fn directory(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    if let Some((_, url)) = DIRECTORIES.iter().find(|(name, _)| *name == text.value) {
        return Some((*url).to_owned());
    }
    if text.value.contains('@') {
        let why = "a user name or password does not belong into a URL; a CA knows an account by its key";
        let objection = Objection::new(why, "write the URL without what stands before the `@`, and without the `@`");
        let title = format!("{} is not an ACME directory", quoted(text.value));
        check.refuse(Code::InvalidDirectory, title, text, objection);
        return None;
    }
    match text.value.parse::<http::Uri>() {
        Ok(url) if url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty()) => {
            Some(text.value.to_owned())
        }
        Ok(url) if url.scheme_str() == Some("http") => {
            let title = format!("the ACME directory {} is not asked over TLS", quoted(text.value));
            let objection = Objection::new(
                "RFC 8555 §6.1 asks for https: who can change an answer gets certificates for your names",
                "write `https://`; for a CA of your own name its root with `trust_anchors`",
            );
            check.refuse(Code::PlaintextDirectory, title, text, objection);
            None
        }
        _ => {
            let fix = match suggest::closest(text.value, DIRECTORIES.map(|(name, _)| name)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "give the URL of your CA's directory: `https://ca.example.com/acme/directory`".to_owned(),
            };
            let why = "a directory is `letsencrypt`, `letsencrypt-staging` or an https URL";
            let title = format!("{} is not an ACME directory", quoted(text.value));
            check.refuse(Code::InvalidDirectory, title, text, Objection::new(why, fix));
            None
        }
    }
}

fn contacts(check: &mut Check<'_>, section: &Section<'_>) -> Vec<String> {
    let texts = section.strings(check, "contact").unwrap_or_default();
    texts.into_iter().filter_map(|text| contact(check, text)).collect()
}

/// Reads a mail address as a `mailto:` URL of one address without parameters (RFC 8555 §7.3).
fn contact(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    let address = text.value.strip_prefix("mailto:").unwrap_or(text.value);
    let is_address = address.split_once('@').is_some_and(|(user, domain)| {
        !user.is_empty()
            && domain.contains('.')
            && !domain.contains('@')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
    });
    if is_address && address.bytes().all(|b| b.is_ascii_graphic() && !b",?<>\"".contains(&b)) {
        return Some(format!("mailto:{address}"));
    }
    let why = "the CA writes to it; one address stands in one string";
    let objection = Objection::new(why, "write it like `ops@example.com`, several as a list");
    check.refuse(Code::InvalidContact, format!("{} is not a mail address", quoted(text.value)), text, objection);
    None
}

/// The kinds in their order; `None` when no word of a list is known, so that nothing follows from that.
fn challenges(check: &mut Check<'_>, section: &Section<'_>) -> Option<Vec<ChallengeKind>> {
    let texts = section.strings(check, "challenges")?;
    let is_empty = texts.is_empty();
    let mut kinds = Vec::new();
    for text in texts {
        let Some(kind) = choose(check, "acme.challenges", text, &CHALLENGES) else { continue };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    (is_empty || !kinds.is_empty()).then_some(kinds)
}

/// The terms of service must be agreed to where a CA is asked.
pub(super) fn require_agreement(check: &mut Check<'_>, acme: &Acme<'_>, sites: &Sites) {
    let Some(first_site) = sites.first_with_acme() else { return };
    if acme.settings.agree_tos {
        return;
    }
    let problem = Problem::error(Code::TermsNotAgreed, "the CA's terms of service are not agreed to")
        .at(acme.agreement.unwrap_or(first_site))
        .why("a certificate is ordered unless `certificate` says otherwise, and the CA asks for your agreement first")
        .fix("read them, such as https://letsencrypt.org/repository/");
    check.report(match acme.agreement {
        Some(_) => problem
            .related(first_site, "ordered for this site")
            .fix("then write `agree_tos = true` in `[acme]`; on the command line: `--agree-tos`"),
        None => problem
            .label("ordered for this site")
            .fix("then write `acme = { agree_tos = true }` as the first line; on the command line: `--agree-tos`"),
    });
}

/// A listener must be there for one of the challenges at least.
pub(super) fn require_challenge(check: &mut Check<'_>, acme: &Acme<'_>, sites: &Sites, listen: &listener::Settings) {
    let Some(first_site) = sites.first_with_acme() else { return };
    if acme.wanted.contains(&ChallengeKind::Dns01) && acme.settings.dns.is_none() {
        let problem = Problem::error(Code::NoDnsProvider, "`dns-01` is wanted, and nobody is named who changes DNS");
        let problem = problem.at(acme.challenges.unwrap_or(first_site)).why("dns-01 proves a name by a text in DNS");
        check.report(problem.fix(acme_dns::how_to_set()).fix("or take `dns-01` out of `challenges`"));
        return;
    }
    let is_off = listen.http.is_empty() && listen.https.is_empty();
    if is_off || !acme.settings.challenges.is_empty() {
        return;
    }
    let problem = Problem::error(Code::NoChallengePossible, "no ACME challenge can be answered")
        .at(acme.challenges.unwrap_or(first_site));
    let problem = match acme.wanted[..] {
        [] => problem.why("the list is empty").fix("leave `challenges` out to try them all"),
        _ => problem
            .why("`http-01` is answered by the listener `http`, `tls-alpn-01` by `https`, and that one is switched off")
            .fix("leave `challenges` out, or switch the listener on"),
    };
    check.report(problem);
}

const DIRECTORIES: [(&str, &str); 2] =
    [("letsencrypt", AcmeSettings::LETS_ENCRYPT), ("letsencrypt-staging", AcmeSettings::LETS_ENCRYPT_STAGING)];

const CHALLENGES: [(&str, ChallengeKind); 3] =
    [("http-01", ChallengeKind::Http01), ("tls-alpn-01", ChallengeKind::TlsAlpn01), ("dns-01", ChallengeKind::Dns01)];

const KEY_TYPES: [(&str, KeyType); 5] = [
    ("p256", KeyType::P256),
    ("p384", KeyType::P384),
    ("rsa2048", KeyType::Rsa2048),
    ("rsa3072", KeyType::Rsa3072),
    ("rsa4096", KeyType::Rsa4096),
];
