//! How BankID's servers may be recognised.

use super::Check;
use super::client_identity::Audience;
use super::section::Section;
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, Severity, quoted};
use crate::config::raw::Value;
use crate::egress::{Environment, Preset, Root};
use crate::pki::{CertificateChain, LeafFacts, TrustAnchors};
use crate::upstream::Trust;

/// Judges the trust of a destination that is not a preset's, and perhaps not BankID's.
pub(super) fn judge(check: &mut Check<'_>, section: &Section<'_>, trust: &Trust, audience: Audience<'_>) {
    let place = |key| section.node(key).map(|node| &node.place);
    let is_public = section
        .node("trust_anchors")
        .is_some_and(|node| matches!(&node.value, Value::String(text) if text == "public"));
    match (trust, place("trust_anchors")) {
        (Trust::Anchors(_), Some(place)) if is_public => warn_of_public_roots(check, place, audience),
        (Trust::Anchors(anchors), Some(place)) if check.opens_files() => anchors_of(check, anchors, place, audience),
        (Trust::Pinned { .. }, _) => {
            let place = place("fingerprint").or_else(|| place("pin")).unwrap_or_else(|| section.place());
            warn_of_pin(check, place, audience);
        }
        (Trust::Anchors(_) | Trust::FirstUse, _) => {}
    }
}

fn anchors_of(check: &mut Check<'_>, anchors: &TrustAnchors, place: &Place, audience: Audience<'_>) {
    // A file that could not be used was reported, and these stand in for it.
    if *anchors == TrustAnchors::mozilla() {
        return;
    }
    for anchor in anchors.certificates() {
        let Ok(chain) = CertificateChain::from_der(vec![anchor.clone()]) else { continue };
        let root = chain.leaf();
        match (Root::of(&root.fingerprint), audience.environment) {
            (Some(Root::Gone), _) => check.report(gone(root, place)),
            (Some(Root::Of(of)), Some(called)) if of != called => {
                check.report(foreign(root, of, called, place, audience));
            }
            _ => warn_of_age(check, root, place),
        }
    }
}

fn gone(root: &LeafFacts, place: &Place) -> Problem {
    let title =
        format!("the root {} expired at {}, and its service is gone", quoted(&root.common_name), root.not_after);
    let problem = Problem::error(Code::OldTrustAnchor, title).at(place);
    let problem =
        problem.why("it is the root of BankID's SOAP service at `appapi.bankid.com`; today's servers have others");
    problem
        .fix("use `preset = \"bankid-production\"` or `\"bankid-test\"` in place of `destination` and `trust_anchors`")
}

fn foreign(
    root: &LeafFacts,
    of: Environment,
    environment: Environment,
    place: &Place,
    audience: Audience<'_>,
) -> Problem {
    let (of, called) = (of.as_str(), environment.as_str());
    let title = format!("{} is the root of BankID's {of}, and its {called} is called", quoted(&root.common_name));
    let problem = Problem::error(Code::ForeignTrustAnchor, title).at(place).related(audience.place, "called here");
    let problem = problem.why("no server there can be recognised by it, so that every call would fail");
    problem.fix(use_preset(environment))
}

fn warn_of_public_roots(check: &mut Check<'_>, place: &Place, audience: Audience<'_>) {
    let Some(called) = audience.environment else { return };
    let title = "browsers' roots do not recognise BankID's servers";
    let problem = Problem::warning(Code::ForeignTrustAnchor, title).at(place);
    let problem =
        problem.why("BankID issues the certificates of its servers by a root of its own, which browsers do not have");
    check.report(problem.fix(use_preset(called)));
}

fn warn_of_pin(check: &mut Check<'_>, place: &Place, audience: Audience<'_>) {
    let Some(called) = audience.environment else { return };
    let problem = Problem::warning(Code::PinnedBankId, "the certificate of BankID's server is pinned").at(place);
    let problem =
        problem.why("BankID changes it regularly, without a word to us, and says that only its root is to be trusted");
    check.report(problem.fix(use_preset(called)));
}

/// A verifier does not look at the dates of a trust anchor (RFC 5280 §6.1.1), so that nothing else tells.
fn warn_of_age(check: &mut Check<'_>, root: &LeafFacts, place: &Place) {
    if root.not_after >= check.environment.now() {
        return;
    }
    let title = format!("the trust anchor {} expired at {}", quoted(&root.common_name), root.not_after);
    let mut problem = Problem::error(Code::OldTrustAnchor, title).at(place);
    problem.severity = Severity::Warning;
    let problem = problem.why("it is believed all the same, but its operator has mostly moved to another one");
    check.report(problem.fix("ask the service's operator for its present root"));
}

fn use_preset(called: Environment) -> String {
    let preset = Preset::ALL.iter().find(|preset| preset.environment == called);
    let name = preset.map_or(Preset::ALL[0].name, |preset| preset.name);
    format!("use an `[[egress]]` with `preset = \"{name}\"`: host and root that belong together")
}
