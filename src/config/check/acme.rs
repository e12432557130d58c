//! `[acme]`.

use std::sync::Arc;

use super::section::{Section, Text, choose};
use super::site::Sites;
use super::{Check, Objection, acme_ca, acme_dns, anchors, proxy, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::suggest;
use crate::listener;
use crate::pki::KeyType;
use crate::source::{AcmeCas, AcmeSettings, ChallengeKind};

/// `[acme]` and each `[[acme.next]]` as they are meant, and where they say so.
pub(super) struct Acme<'a> {
    pub(super) cas: AcmeCas,
    /// `agree_tos` of each CA, or else its heading; none for a CA that is not written.
    agreements: Vec<Option<&'a Place>>,
    /// The kinds as written; the settings hold those that a listener can answer.
    wanted: Vec<ChallengeKind>,
    challenges: Option<&'a Place>,
}

/// Reads the tables; without one, the defaults.
pub(super) fn read<'a>(check: &mut Check<'_>, root: &Section<'a>, listen: &listener::Settings) -> Acme<'a> {
    let mut acme = read_tables(check, root);
    acme.wanted.clone_from(&acme.cas.first.challenges);
    for ca in std::iter::once(&mut acme.cas.first).chain(&mut acme.cas.next) {
        let has_dns = changes_dns(ca);
        ca.challenges.retain(|kind| can_answer(listen, has_dns, *kind));
        if ca.proxy.is_none() {
            ca.proxy = proxy::of_environment(check, &ca.directory, "acme.proxy");
        }
    }
    acme
}

/// Whether somebody is named who puts texts into DNS.
fn changes_dns(ca: &AcmeSettings) -> bool {
    ca.dns.as_ref().is_some_and(|dns| dns.provider.is_some())
}

/// A kind that no listener answers would fail at the CA, which counts failures.
fn can_answer(listen: &listener::Settings, has_dns: bool, kind: ChallengeKind) -> bool {
    match kind {
        ChallengeKind::Http01 => !listen.http.is_empty(),
        ChallengeKind::TlsAlpn01 => !listen.https.is_empty(),
        ChallengeKind::Dns01 => has_dns,
        ChallengeKind::DnsPersist01 => true,
    }
}

fn read_tables<'a>(check: &mut Check<'_>, root: &Section<'a>) -> Acme<'a> {
    let Some(table) = root.table(check, "acme") else {
        let cas = AcmeSettings::default().into();
        return Acme { cas, agreements: vec![None], wanted: Vec::new(), challenges: None };
    };
    let section = Section::open(check, table, &shape::ACME);
    let first = read_ca(check, &section, &AcmeSettings::default());
    let mut agreements = vec![Some(agreement(&section))];
    let mut next: Vec<AcmeSettings> = Vec::new();
    for table in section.tables(check, "next") {
        let section = Section::open(check, table, &shape::ACME_NEXT);
        if section.lacks("directory") {
            let fix = "name the CA that is asked when the one before it fails: `directory = \"https://..\"`";
            check.report(section.missing("directory").fix(fix));
            continue;
        }
        let ca = read_ca(check, &section, &inherited(&first));
        if std::iter::once(&first).chain(&next).any(|other| other.directory == ca.directory) {
            let title = format!("the CA {} is named twice", quoted(&ca.directory));
            let place = section.node("directory").map_or_else(|| section.place(), |node| &node.place);
            let problem = Problem::error(Code::DuplicateCa, title).at(place);
            check.report(
                problem.why("the next CA is asked when the one before it fails").fix("name another one, or remove it"),
            );
            continue;
        }
        next.push(ca);
        agreements.push(Some(agreement(&section)));
    }
    let challenges = section.node("challenges").map(|node| &node.place);
    Acme { cas: AcmeCas { first, next }, agreements, wanted: Vec::new(), challenges }
}

/// What holds for every CA unless it says otherwise: who we are, how names are proven, and the key.
fn inherited(first: &AcmeSettings) -> AcmeSettings {
    AcmeSettings {
        contact: first.contact.clone(),
        challenges: first.challenges.clone(),
        key_type: first.key_type,
        proxy: first.proxy.clone(),
        dns: first.dns.clone(),
        ..AcmeSettings::default()
    }
}

fn read_ca(check: &mut Check<'_>, section: &Section<'_>, default: &AcmeSettings) -> AcmeSettings {
    let text = |check: &mut Check<'_>, key| section.string(check, key).map(|text| text.value.to_owned());
    let url = |check: &mut Check<'_>, key| section.string(check, key).and_then(|text| directory(check, text));
    let chosen = challenges(check, section);
    let persists = chosen.as_ref().unwrap_or(&default.challenges).contains(&ChallengeKind::DnsPersist01);
    let dns = section.table(check, "dns").map(|table| Arc::new(acme_dns::read(check, table, persists)));
    let mut kinds = default.challenges.clone();
    if dns.as_ref().is_some_and(|dns| dns.provider.is_some()) && !kinds.contains(&ChallengeKind::Dns01) {
        kinds.push(ChallengeKind::Dns01);
    }
    AcmeSettings {
        directory: url(check, "directory").unwrap_or_else(|| default.directory.clone()),
        trust_anchors: anchors::read(check, section),
        agree_tos: match section.boolean(check, "agree_tos") {
            Some(agreed) => agreed.value,
            // What is no boolean has been reported, and is not reported as a refusal too.
            None => section.node("agree_tos").is_some(),
        },
        contact: match section.node("contact") {
            Some(_) => contacts(check, section),
            None => default.contact.clone(),
        },
        challenges: chosen.unwrap_or(kinds),
        dns: dns.or_else(|| default.dns.clone()),
        key_type: section.choice(check, "key_type", &KEY_TYPES).unwrap_or(default.key_type),
        profile: text(check, "profile"),
        eab: acme_ca::eab(check, section),
        preferred_chain: text(check, "preferred_chain"),
        proxy: proxy::read(check, section).or_else(|| default.proxy.clone()),
        staging: url(check, "staging"),
    }
}

fn agreement<'a>(section: &Section<'a>) -> &'a Place {
    section.node("agree_tos").map_or_else(|| section.place(), |node| &node.place)
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
    for (ca, agreement) in acme.cas.iter().zip(&acme.agreements).filter(|(ca, _)| !ca.agree_tos) {
        check.report(not_agreed(ca, *agreement, first_site, ca.directory == acme.cas.first.directory));
    }
}

fn not_agreed(ca: &AcmeSettings, agreement: Option<&Place>, site: &Place, is_first: bool) -> Problem {
    let (title, heading) = match is_first {
        true => ("the CA's terms of service are not agreed to".to_owned(), "[acme]"),
        false => (format!("the terms of service of {} are not agreed to", quoted(&ca.directory)), "[[acme.next]]"),
    };
    let problem = Problem::error(Code::TermsNotAgreed, title)
        .at(agreement.unwrap_or(site))
        .why("a certificate is ordered unless `certificate` says otherwise, and the CA asks for your agreement first")
        .fix("read them, such as https://letsencrypt.org/repository/");
    match (agreement, is_first) {
        (Some(_), true) => problem
            .related(site, "ordered for this site")
            .fix("then write `agree_tos = true` in `[acme]`; on the command line: `--agree-tos`"),
        (Some(_), false) => problem
            .related(site, "ordered for this site")
            .fix(format!("then write `agree_tos = true` in this `{heading}`")),
        (None, _) => problem
            .label("ordered for this site")
            .fix("then write `acme = { agree_tos = true }` as the first line; on the command line: `--agree-tos`"),
    }
}

/// A listener must be there for one of the challenges at least.
pub(super) fn require_challenge(check: &mut Check<'_>, acme: &Acme<'_>, sites: &Sites, listen: &listener::Settings) {
    let Some(first_site) = sites.first_with_acme() else { return };
    if acme.wanted.contains(&ChallengeKind::Dns01) && !changes_dns(&acme.cas.first) {
        let problem = Problem::error(Code::NoDnsProvider, "`dns-01` is wanted, and nobody is named who changes DNS");
        let problem = problem.at(acme.challenges.unwrap_or(first_site)).why("dns-01 proves a name by a text in DNS");
        check.report(problem.fix(acme_dns::how_to_set()).fix("or take `dns-01` out of `challenges`"));
        return;
    }
    let is_off = listen.http.is_empty() && listen.https.is_empty();
    if is_off || !acme.cas.first.challenges.is_empty() {
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

const CHALLENGES: [(&str, ChallengeKind); 4] = [
    ("http-01", ChallengeKind::Http01),
    ("tls-alpn-01", ChallengeKind::TlsAlpn01),
    ("dns-01", ChallengeKind::Dns01),
    ("dns-persist-01", ChallengeKind::DnsPersist01),
];

const KEY_TYPES: [(&str, KeyType); 5] = [
    ("p256", KeyType::P256),
    ("p384", KeyType::P384),
    ("rsa2048", KeyType::Rsa2048),
    ("rsa3072", KeyType::Rsa3072),
    ("rsa4096", KeyType::Rsa4096),
];
