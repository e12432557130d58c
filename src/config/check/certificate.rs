//! `site.certificate`: where a site's certificate comes from, and whether files fit the site.

use zeroize::Zeroizing;

use super::section::{Section, Text};
use super::site::Domain;
use super::{Check, causes, domain, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, Severity, listed, quoted};
use crate::config::raw::{Table, Value};
use crate::config::{Purpose, suggest};
use crate::pki::{CertificateChain, Identity, IdentityError, PrivateKey};
use crate::source::{AcmeSettings, Settings};

/// Reads `certificate`; the default is ACME.
pub(super) fn read(check: &mut Check<'_>, site: &Section<'_>, domains: &[Domain<'_>], acme: &AcmeSettings) -> Settings {
    let source = match site.node("certificate").map(|node| &node.value) {
        None => Settings::Acme(acme.clone()),
        Some(Value::Table(table)) => files(check, table, domains),
        Some(_) => named(check, site, acme),
    };
    match &source {
        Settings::Acme(acme) => domains.iter().for_each(|domain| judge_order(check, domain, acme)),
        Settings::Internal => warn_of_internal(check, site, domains),
        Settings::Files { .. } => {}
    }
    source
}

fn named(check: &mut Check<'_>, site: &Section<'_>, acme: &AcmeSettings) -> Settings {
    match site.string(check, "certificate") {
        Some(Text { value: "internal", .. }) => return Settings::Internal,
        None | Some(Text { value: "acme", .. }) => {}
        Some(text) => {
            let problem = Problem::error(
                Code::UnknownCertificateSource,
                format!("unknown certificate source {}", quoted(text.value)),
            );
            let fix = match suggest::closest(text.value, ["acme", "internal"]) {
                Some(word) => format!("did you mean `{word}`?"),
                None => "for files write `certificate = { chain = \"chain.pem\", key = \"key.pem\" }`".to_owned(),
            };
            let why = "known sources are `acme`, `internal` and the table `chain`/`key`";
            check.report(problem.at(text.place).why(why).fix(fix));
        }
    }
    Settings::Acme(acme.clone())
}

fn judge_order(check: &mut Check<'_>, domain: &Domain<'_>, acme: &AcmeSettings) {
    let name = quoted(&domain.name);
    if domain.name.starts_with("*.") {
        let problem = Problem::error(Code::WildcardOrder, format!("the wildcard {name} cannot be ordered by ACME"));
        let problem =
            problem.at(domain.place).why("http-01 and tls-alpn-01 prove one name each (RFC 8555 §8.3, RFC 8737 §3)");
        check.report(
            problem
                .fix("list the names in `domains`, or give files: `certificate = { chain = \"...\", key = \"...\" }`"),
        );
    } else if acme.is_lets_encrypt() && domain::is_never_public(&domain.name) {
        let problem = Problem::warning(Code::NotPublic, format!("Let's Encrypt cannot issue for {name}"));
        let problem = problem.at(domain.place).why("the name is reserved, or has no dot, so that nobody can own it");
        check.report(problem.fix("set `certificate = \"internal\"`, or `acme.directory` to a CA of your own"));
    }
}

fn warn_of_internal(check: &mut Check<'_>, site: &Section<'_>, domains: &[Domain<'_>]) {
    let Some(public) = domains.iter().find(|domain| !domain::is_private(&domain.name)) else { return };
    let title = format!("phones and browsers will refuse the internal certificate of {}", quoted(&public.name));
    let problem = Problem::warning(Code::InternalInPublic, title)
        .at(site.node("certificate").map_or(public.place, |node| &node.place))
        .why("they do not know our internal CA, and phones do not let a user trust it for apps")
        .fix("use `certificate = \"acme\"`, or give the root (`portvakt ca root`) to every device that connects");
    check.report(problem);
}

fn files(check: &mut Check<'_>, table: &Table, domains: &[Domain<'_>]) -> Settings {
    let section = Section::open(check, table, &shape::CERTIFICATE);
    let chain = required(check, &section, "chain");
    let key = required(check, &section, "key");
    if let (true, Some(chain), Some(key)) = (check.opens_files(), chain, key) {
        judge_files(check, chain, key, domains);
    }
    let mut path = |text: Option<Text<'_>>| text.map(|text| check.path(text)).unwrap_or_default();
    Settings::Files { chain: path(chain), key: path(key) }
}

fn required<'a>(check: &mut Check<'_>, section: &Section<'a>, key: &str) -> Option<Text<'a>> {
    if section.lacks(key) {
        let problem = section.missing(key).why("a certificate from files needs the chain and its private key");
        check.report(problem.fix("write `certificate = { chain = \"chain.pem\", key = \"key.pem\" }`"));
    }
    section.string(check, key)
}

fn judge_files(check: &mut Check<'_>, chain_file: Text<'_>, key_file: Text<'_>, domains: &[Domain<'_>]) {
    let chain = read_chain(check, chain_file);
    let key = read_key(check, key_file);
    let Some(chain) = chain else { return };
    if let Some(key) = key {
        judge_pair(check, &chain, key, chain_file, key_file);
    }
    judge_validity(check, &chain, chain_file);
    judge_coverage(check, &chain, chain_file, domains);
}

fn read_chain(check: &mut Check<'_>, text: Text<'_>) -> Option<CertificateChain> {
    let pem = check.read(text, "certificate chain")?;
    match CertificateChain::from_pem(&pem) {
        Ok(chain) => Some(chain),
        Err(error) => {
            let title = format!("{} holds no certificate chain", quoted(text.value));
            let problem = Problem::error(Code::NoChain, title).at(text.place).label(causes(&error));
            check.report(problem.fix("give a PEM file, the leaf first and its intermediates after it"));
            None
        }
    }
}

fn read_key(check: &mut Check<'_>, text: Text<'_>) -> Option<PrivateKey> {
    let pem = Zeroizing::new(check.read(text, "private key")?);
    match PrivateKey::from_pem(&pem) {
        Ok(key) => Some(key),
        Err(error) => {
            let title = format!("{} holds no usable private key", quoted(text.value));
            let problem = Problem::error(Code::NoKey, title).at(text.place).label(causes(&error));
            check.report(problem.fix("give a PEM file with an unencrypted PKCS #8, PKCS #1 or SEC 1 key"));
            None
        }
    }
}

fn judge_pair(
    check: &mut Check<'_>,
    chain: &CertificateChain,
    key: PrivateKey,
    chain_file: Text<'_>,
    key_file: Text<'_>,
) {
    let Err(error) = Identity::new(chain.clone(), key) else { return };
    let (key, chain) = (quoted(key_file.value), quoted(chain_file.value));
    let IdentityError::Mismatch = error else {
        let problem = Problem::error(Code::NoKey, format!("{key} cannot be used with {chain}")).at(key_file.place);
        return check.report(problem.label(causes(&error)));
    };
    let problem = Problem::error(Code::KeyMismatch, format!("the private key {key} does not belong to {chain}"))
        .at(key_file.place)
        .related(chain_file.place, "the certificate")
        .why("the leaf holds another public key; was one file replaced without the other?")
        .fix("give the key that the certificate was ordered with, and the leaf as first certificate of the chain");
    check.report(problem);
}

/// An expired certificate must not keep a running server from restarting; a check says it plainly.
fn judge_validity(check: &mut Check<'_>, chain: &CertificateChain, file: Text<'_>) {
    let now = check.environment.now();
    let leaf = chain.leaf();
    let name = quoted(file.value);
    let title = if leaf.not_after < now {
        format!("the certificate {name} expired at {}", leaf.not_after)
    } else if now < leaf.not_before {
        format!("the certificate {name} is not valid before {}", leaf.not_before)
    } else if chain.not_after() < now {
        format!("an intermediate certificate in {name} expired at {}", chain.not_after())
    } else {
        return;
    };
    let mut problem = Problem::error(Code::Expired, title)
        .at(file.place)
        .why("clients refuse it")
        .fix("put a renewed one there, or let portvakt order it: `certificate = \"acme\"`");
    if check.purpose == Purpose::Run {
        problem.severity = Severity::Warning;
    }
    check.report(problem);
}

fn judge_coverage(check: &mut Check<'_>, chain: &CertificateChain, file: Text<'_>, domains: &[Domain<'_>]) {
    for domain in domains.iter().filter(|domain| !covers(chain, &domain.name)) {
        let title = format!("the certificate {} is not issued to {}", quoted(file.value), quoted(&domain.name));
        let problem = Problem::error(Code::NotCovered, title)
            .at(domain.place)
            .related(file.place, "the certificate")
            .why(format!("it is issued to {}", listed(&chain.leaf().names)));
        check.report(problem.fix("remove the domain, or get a certificate that names it"));
    }
}

/// A wildcard of a site is covered by the same wildcard only.
fn covers(chain: &CertificateChain, name: &str) -> bool {
    if name.starts_with("*.") { chain.leaf().names.iter().any(|own| own == name) } else { chain.leaf().covers(name) }
}

/// Where the certificate of a site is named, for messages about its source.
pub(super) fn place<'a>(site: &Section<'a>, domains: &[Domain<'a>]) -> &'a Place {
    let named = site.node("certificate").map(|node| &node.place);
    named.or_else(|| domains.first().map(|domain| domain.place)).unwrap_or_else(|| site.place())
}
