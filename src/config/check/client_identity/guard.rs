//! Whether a certificate can do what a client's has to.

use super::super::Check;
use super::super::identity_files::Files;
use super::super::section::Text;
use super::Audience;
use super::next::Next;
use crate::config::Purpose;
use crate::config::code::Code;
use crate::config::problem::{Problem, Severity, listed, quoted};
use crate::egress::{Environment, is_published};
use crate::pki::{LeafFacts, Purposes};
use crate::time::Timestamp;

/// Why a public CA's certificate is of no use.
pub(super) const NO_PUBLIC_CA: &str =
    "public CAs have stopped issuing certificates for clients in 2026 (Let's Encrypt on 8 July 2026)";

/// Judges what no date changes.
pub(super) fn judge(check: &mut Check<'_>, files: &Files<'_>, audience: Audience<'_>) {
    let (Some(leaf), Some(file)) = (leaf(files), files.main) else { return };
    judge_use(check, leaf, file, audience);
    judge_authority(check, leaf, file, audience);
    judge_environment(check, leaf, file, audience);
}

/// Judges the dates of the identity that is in use. An expired one must not keep a running process from restarting; a
/// check says it plainly.
pub(super) fn judge_validity(
    check: &mut Check<'_>,
    files: &Files<'_>,
    audience: Audience<'_>,
    next: Option<&Next<'_>>,
) {
    let (Some(leaf), Some(file)) = (leaf(files), files.main) else { return };
    let now = check.environment.now();
    if leaf.not_after < now {
        match next.filter(|next| next.outlasts(leaf) && next.has_begun(now)) {
            Some(_) => warn_of_replaced(check, leaf, file, audience),
            None => report_expired(check, leaf, file, audience, now),
        }
    } else if now < leaf.not_before {
        let title = format!("{} is not valid before {}", titled(leaf, audience), leaf.not_before);
        let problem = Problem::error(Code::IdentityExpired, title).at(file.place);
        let problem = problem.why("the service refuses it until then; or the clock of this machine is wrong");
        report_by_purpose(check, problem.fix("put the one that is valid now here, and this one into `next`"));
    } else if next.is_none_or(|next| !next.outlasts(leaf)) {
        warn_of_end(check, leaf, file, audience, now);
    }
}

/// The next one is in use already, and it is the only one.
fn warn_of_replaced(check: &mut Check<'_>, leaf: &LeafFacts, file: Text<'_>, audience: Audience<'_>) {
    let title = format!("{} expired at {}, and `next` is used", titled(leaf, audience), leaf.not_after);
    let problem = Problem::warning(Code::IdentityExpired, title).at(file.place);
    let problem = problem.why("no other one is left for when that is refused or ends");
    check
        .report(problem.fix("write what is `next` now as `identity`, and leave `next` out until there is another one"));
}

/// Reports an identity that no service accepts any more.
pub(super) fn report_expired(
    check: &mut Check<'_>,
    leaf: &LeafFacts,
    file: Text<'_>,
    audience: Audience<'_>,
    now: Timestamp,
) {
    let ago = match days(now.since(leaf.not_after)) {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    };
    let title = format!("{} expired {ago}, at {}", titled(leaf, audience), leaf.not_after);
    let problem = Problem::error(Code::IdentityExpired, title).at(file.place).why("the service refuses it");
    report_by_purpose(check, problem.fix(format!("{}; `portvakt egress csr` makes the request", order(audience))));
}

/// The leaf in words: `RP certificate CN=FP Testcert 5`.
fn titled(leaf: &LeafFacts, audience: Audience<'_>) -> String {
    let what = if audience.environment.is_some() { "RP certificate" } else { "client certificate" };
    let name = if leaf.common_name.is_empty() { &leaf.display_name } else { &leaf.common_name };
    format!("{what} {}", quoted(&format!("CN={name}")))
}

fn order(audience: Audience<'_>) -> &'static str {
    if audience.environment.is_some() { "order a new one at your bank" } else { "get a new one from its issuer" }
}

pub(super) fn leaf<'f>(files: &'f Files<'_>) -> Option<&'f LeafFacts> {
    files.held.as_ref().map(|held| held.identity.chain().leaf())
}

/// Nothing renews it but people, and an order takes them days.
pub(super) fn warn_of_end(
    check: &mut Check<'_>,
    leaf: &LeafFacts,
    file: Text<'_>,
    audience: Audience<'_>,
    now: Timestamp,
) {
    let left = days(leaf.not_after.since(now));
    if left >= SOON {
        return;
    }
    let ends = if left < VERY_SOON { "ENDS" } else { "ends" };
    let left = match left {
        0 => "today".to_owned(),
        1 => "in 1 day".to_owned(),
        left => format!("in {left} days"),
    };
    let title = format!("{} {ends} {left}, at {}", titled(leaf, audience), leaf.not_after);
    let problem = Problem::warning(Code::IdentityEndsSoon, title).at(file.place);
    let problem = problem.why("nothing renews it by itself: it is ordered by people, and that takes days");
    let problem = problem.fix(format!("{}, now; `portvakt egress csr` makes the request", order(audience)));
    check.report(problem.fix("when it comes, add it: `next = { chain = \"new.pem\", key = \"new.key\" }`"));
}

fn judge_use(check: &mut Check<'_>, leaf: &LeafFacts, file: Text<'_>, audience: Audience<'_>) {
    let reason = match &leaf.purposes {
        Purposes::Only(purposes) if !leaf.purposes.allow_client() => {
            format!("it is only for {} (extended key usage), and not for `clientAuth`", listed(purposes))
        }
        _ if !leaf.may_sign => "its key may not make signatures (key usage), as a client's has to".to_owned(),
        _ => return,
    };
    let title = format!("the certificate {} cannot authenticate to a server", quoted(file.value));
    let problem = Problem::error(Code::NotForClients, title).at(file.place).why(reason).why(NO_PUBLIC_CA);
    check.report(problem.fix(match audience.environment {
        Some(_) => "give the RP certificate from your bank",
        None => "give the certificate that the service's operator has given out for you",
    }));
}

fn judge_authority(check: &mut Check<'_>, leaf: &LeafFacts, file: Text<'_>, audience: Audience<'_>) {
    if !leaf.is_ca {
        return;
    }
    let title = format!("the certificate {} is that of a CA, not of a client", quoted(file.value));
    let mut problem = Problem::error(Code::AuthorityAsIdentity, title)
        .at(file.place)
        .why("its basic constraints say `CA:TRUE`, and many servers refuse such a certificate from a client")
        .fix("give the certificate that was issued to you; for a self-signed one: `-addext basicConstraints=CA:FALSE`");
    if audience.environment.is_none() {
        problem.severity = Severity::Warning;
    }
    check.report(problem);
}

fn judge_environment(check: &mut Check<'_>, leaf: &LeafFacts, file: Text<'_>, audience: Audience<'_>) {
    let problem = match (audience.environment, Environment::of_identity(leaf)) {
        (Some(Environment::Production), Some(Environment::Test)) => {
            let title = format!("{} is a test certificate, and would go to BankID's production", quoted(file.value));
            let problem = Problem::error(Code::TestIdentityInProduction, title);
            let problem = if is_published(&leaf.fingerprint) {
                problem.why("BankID publishes it with its private key, so that everybody has it")
            } else {
                problem.why(format!("its issuer is {}", quoted(&leaf.issuer)))
            };
            let problem = problem.why("BankID's production accepts only certificates that banks issue for it");
            problem.fix("give the RP certificate from your bank, or use `preset = \"bankid-test\"`")
        }
        (Some(Environment::Test), Some(Environment::Production)) => {
            let title = format!("{} is a production certificate, and would go to BankID's test", quoted(file.value));
            let problem = Problem::error(Code::ProductionIdentityInTest, title);
            let problem = problem.why(format!("its issuer is {}", quoted(&leaf.issuer)));
            let problem = problem.why("BankID's test environment accepts test certificates only");
            problem.fix("give the test certificate that BankID publishes, or use `preset = \"bankid-production\"`")
        }
        _ => return,
    };
    check.report(problem.at(file.place).related(audience.place, "it is shown there"));
}

/// An error where somebody looks, a warning where a process would not start.
fn report_by_purpose(check: &mut Check<'_>, mut problem: Problem) {
    if check.purpose == Purpose::Run {
        problem.severity = Severity::Warning;
    }
    check.report(problem);
}

fn days(time: std::time::Duration) -> u64 {
    time.as_secs() / 86_400
}

/// Days; banks write to their customers then.
const SOON: u64 = 60;
/// Days; an order takes several.
const VERY_SOON: u64 = 14;
