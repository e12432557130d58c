//! `site.certificate` as files: whether they fit the site.

use super::section::{Section, Text};
use super::site::Domain;
use super::{Check, identity_files, shape};
use crate::config::Purpose;
use crate::config::code::Code;
use crate::config::problem::{Problem, Severity, listed, quoted};
use crate::config::raw::Table;
use crate::pki::{Assembled, CertificateChain};
use crate::source::Settings;

/// Reads the table, and the files that it names where files may be opened.
pub(super) fn read(check: &mut Check<'_>, table: &Table, domains: &[Domain<'_>]) -> Settings {
    let section = Section::open(check, table, &shape::CERTIFICATE);
    let files = identity_files::read(check, &section, "certificate");
    if let (Some(assembled), Some(text)) = (&files.held, files.main) {
        let chain = assembled.identity.chain();
        judge_validity(check, chain, text);
        judge_coverage(check, chain, text, domains);
        judge_path(check, assembled, text);
    }
    Settings::Files(files.settings)
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

fn judge_path(check: &mut Check<'_>, assembled: &Assembled, file: Text<'_>) {
    let name = quoted(file.value);
    if let Some(missing) = &assembled.missing {
        let title = format!("the certificate of the issuer is missing from {name}: {}", quoted(&missing.subject));
        let problem = Problem::warning(Code::MissingIntermediate, title).at(file.place);
        let problem =
            problem.why("clients that do not have it refuse the connection; it is sent along, save for a root");
        let problem = match &missing.url {
            Some(url) => problem.fix(format!("add it: the certificate says that it is at {url}")),
            None => problem.fix("add it: whoever has issued the certificate gives it out"),
        };
        check.report(problem.fix("a root of your own may be added too: it is not sent, and this warning goes"));
    }
    if !assembled.foreign.is_empty() {
        let title = format!("certificates in {name} do not belong to its chain");
        let problem = Problem::warning(Code::ForeignCertificate, title).at(file.place);
        let problem = problem.why(format!("no path leads to {}; not sent", listed(&assembled.foreign)));
        check.report(problem.fix("remove them from the file"));
    }
}
