//! `site.certificate`: where a site's certificate comes from.

use super::section::{Section, Text};
use super::site::Domain;
use super::{Check, acme_dns, certificate_files, domain};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::Value;
use crate::config::suggest;
use crate::source::{AcmeCas, AcmeSettings, ChallengeKind, Settings};

/// Reads `certificate`; the default is ACME.
pub(super) fn read(check: &mut Check<'_>, site: &Section<'_>, domains: &[Domain<'_>], acme: &AcmeCas) -> Settings {
    let source = match site.node("certificate").map(|node| &node.value) {
        None => Settings::Acme(acme.clone()),
        Some(Value::Table(table)) => certificate_files::read(check, table, domains),
        Some(_) => named(check, site, acme),
    };
    match &source {
        Settings::Acme(cas) => domains.iter().for_each(|domain| judge_order(check, domain, &cas.first)),
        Settings::Internal => warn_of_internal(check, site, domains),
        Settings::Files(_) => {}
    }
    source
}

fn named(check: &mut Check<'_>, site: &Section<'_>, acme: &AcmeCas) -> Settings {
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
            let why = "known sources are `acme`, `internal` and the tables `chain`/`key` and `pkcs12`";
            check.report(problem.at(text.place).why(why).fix(fix));
        }
    }
    Settings::Acme(acme.clone())
}

fn judge_order(check: &mut Check<'_>, domain: &Domain<'_>, acme: &AcmeSettings) {
    let name = quoted(&domain.name);
    if domain.name.starts_with("*.") {
        refuse_wildcard(check, domain, acme);
    } else if acme.is_lets_encrypt() && domain::is_never_public(&domain.name) {
        let problem = Problem::warning(Code::NotPublic, format!("Let's Encrypt cannot issue for {name}"));
        let problem = problem.at(domain.place).why("the name is reserved, or has no dot, so that nobody can own it");
        check.report(problem.fix("set `certificate = \"internal\"`, or `acme.directory` to a CA of your own"));
    }
}

/// A CA wants to see that DNS is ours before it issues to all names below one.
fn refuse_wildcard(check: &mut Check<'_>, domain: &Domain<'_>, acme: &AcmeSettings) {
    let by_dns = [ChallengeKind::Dns01, ChallengeKind::DnsPersist01];
    if acme.challenges.iter().any(|kind| by_dns.contains(kind)) {
        return;
    }
    let title = format!("the wildcard {} cannot be ordered by ACME", quoted(&domain.name));
    let problem = Problem::error(Code::WildcardOrder, title).at(domain.place);
    let problem = problem.why("http-01 and tls-alpn-01 prove one name each (RFC 8555 §8.3, RFC 8737 §3)");
    let problem = match acme.dns {
        Some(_) => problem
            .why("`acme.challenges` leaves `dns-01` out")
            .fix("add `\"dns-01\"` to the list, or leave `challenges` out"),
        None => problem.fix(format!("prove it over DNS: {}", acme_dns::how_to_set())),
    };
    check.report(
        problem
            .fix("or list the names in `domains`, or give files: `certificate = { chain = \"...\", key = \"...\" }`"),
    );
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

/// Where the certificate of a site is named, for messages about its source.
pub(super) fn place<'a>(site: &Section<'a>, domains: &[Domain<'a>]) -> &'a Place {
    let named = site.node("certificate").map(|node| &node.place);
    named.or_else(|| domains.first().map(|domain| domain.place)).unwrap_or_else(|| site.place())
}
