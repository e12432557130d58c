//! `[site.client_certificates]`.

use std::path::Path;

use http::HeaderName;

use super::section::{Section, Sited, choose};
use super::upstream::pins;
use super::{Check, Objection, anchors, headers, https, shape};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, Severity, quoted};
use crate::config::raw::{Table, Value};
use crate::pki::{CertificateChain, Crl, TrustAnchors};
use crate::route::{ClientCertificates, Demand, Holders, PathPrefix};
use crate::tls::{ClientCrl, ClientTrust};

/// Reads what a site wants of its clients: for requests, and for handshakes.
pub(super) fn read(check: &mut Check<'_>, site: &Section<'_>) -> (ClientCertificates, Option<ClientTrust>) {
    let nothing = (ClientCertificates::default(), None);
    let Some(table) = site.table(check, "client_certificates") else { return nothing };
    let section = Section::open(check, table, &shape::CLIENT_CERTIFICATES);
    if section.node("mode").is_none() && !section.is_misspelt("mode") {
        let problem =
            section.missing("mode").why("whether clients without a certificate are served is not to be guessed");
        check.report(problem.fix("write `mode = \"accept\"` to serve them too, or `mode = \"require\"`"));
    }
    let mode = section.choice(check, "mode", &DEMANDS).unwrap_or_default();
    let paths = section.table(check, "paths").map(|table| paths(check, table)).unwrap_or_default();
    let allow = allow(check, &section);
    let pass_on = pass_on(check, &section);
    let with_chain = with_chain(check, &section, &pass_on);
    let rules = ClientCertificates { mode, paths, allow, pass_on, with_chain };
    let trust = trust(check, &section, &rules);
    (rules, trust)
}

fn trust(check: &mut Check<'_>, section: &Section<'_>, rules: &ClientCertificates) -> Option<ClientTrust> {
    let anchors = anchors::read(check, section);
    anchors.iter().for_each(|anchors| judge_anchors(check, section, anchors));
    let crls = crls(check, section);
    let policies = [("refuse", false), ("accept", true)];
    let takes_old_crls = section.choice(check, "expired_crl", &policies).unwrap_or_default();
    crls.iter().for_each(|(crl, place)| judge_age(check, &crl.list, place, takes_old_crls));
    let demand = rules.handshake();
    if demand == Demand::Ignore {
        return None;
    }
    if anchors.is_none() && section.lacks("trust_anchors") {
        let problem = section.missing("trust_anchors").why("anybody can make a certificate with any name in it");
        check.report(problem.fix("name the PEM file with the root that issues your clients' certificates"));
    }
    let mut crls: Vec<_> = crls.into_iter().map(|(crl, _)| crl).collect();
    // Of several lists of one issuer the first one counts.
    crls.sort_by_key(|crl| std::cmp::Reverse(crl.list.this_update));
    Some(ClientTrust { is_required: demand == Demand::Require, anchors: anchors?, crls, takes_old_crls })
}

/// The rules of `paths`, the longest first.
fn paths(check: &mut Check<'_>, table: &Table) -> Vec<(PathPrefix, Demand)> {
    let mut rules: Vec<(PathPrefix, Demand, &Place)> = Vec::new();
    for entry in &table.entries {
        let path = https::path(check, Sited { value: entry.key.as_str(), place: &entry.key_place });
        let Value::String(word) = &entry.node.value else {
            let problem = Problem::error(Code::WrongType, format!("the path {} takes a string", quoted(&entry.key)));
            let problem = problem.at(&entry.node.place).label(format!("found {}", entry.node.value));
            check.report(problem.fix("write `\"ignore\"`, `\"accept\"` or `\"require\"`"));
            continue;
        };
        let word = Sited { value: word.as_str(), place: &entry.node.place };
        let demand = choose(check, "site.client_certificates.paths", word, &DEMANDS);
        let (Some(path), Some(demand)) = (path, demand) else { continue };
        if let Some((_, _, first)) = rules.iter().find(|(other, _, _)| *other == path) {
            let title = format!("the path {} has a rule already", quoted(&entry.key));
            let problem = Problem::error(Code::DuplicatePath, title).at(&entry.key_place);
            let problem = problem.related(first, "the same path");
            check.report(problem.why("case and a slash at the end make no difference").fix("keep one of them"));
            continue;
        }
        rules.push((path, demand, &entry.key_place));
    }
    rules.sort_by_key(|(path, _, _)| std::cmp::Reverse(path.as_str().len()));
    rules.into_iter().map(|(path, demand, _)| (path, demand)).collect()
}

fn allow(check: &mut Check<'_>, section: &Section<'_>) -> Holders {
    let Some(table) = section.table(check, "allow") else { return Holders::default() };
    let section = Section::open(check, table, &shape::CLIENT_ALLOW);
    let names = listed(check, &section, "san").into_iter().map(|name| name.to_ascii_lowercase()).collect();
    Holders { names, issuers: listed(check, &section, "issuer"), pins: pins(check, &section, "pin") }
}

/// Texts of a list that has to name somebody.
fn listed(check: &mut Check<'_>, section: &Section<'_>, key: &str) -> Vec<String> {
    let Some(texts) = section.strings(check, key) else { return Vec::new() };
    if texts.is_empty() || texts.iter().any(|text| text.value.trim().is_empty()) {
        let place = section.key_place(key).unwrap_or_else(|| section.place());
        let problem = Problem::error(Code::EmptyClientList, format!("`{key}` names nobody")).at(place);
        let problem = problem.why("a list that is left out lets everybody in whom the trust anchors know");
        check.report(problem.fix("name who is let in, or leave the key out"));
    }
    texts.into_iter().map(|text| text.value.trim().to_owned()).collect()
}

fn pass_on(check: &mut Check<'_>, section: &Section<'_>) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = Vec::new();
    for text in section.strings(check, "pass_on").unwrap_or_default() {
        let Some(name) = headers::settable_name(check, text) else { continue };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn with_chain(check: &mut Check<'_>, section: &Section<'_>, pass_on: &[HeaderName]) -> bool {
    let Some(given) = section.boolean(check, "chain").filter(|given| given.value) else { return false };
    if !pass_on.iter().any(|name| name == "client-cert") {
        let problem = Problem::error(Code::Conflict, "`chain` has no effect without `Client-Cert`").at(given.place);
        let problem = problem.why("`Client-Cert-Chain` belongs to `Client-Cert` (RFC 9440)");
        check.report(problem.fix("add `Client-Cert` to `pass_on`, or leave `chain` out"));
    }
    true
}

fn crls<'a>(check: &mut Check<'_>, section: &Section<'a>) -> Vec<(ClientCrl, &'a Place)> {
    let mut lists = Vec::new();
    for text in section.strings(check, "crl").unwrap_or_default() {
        if !check.opens_files() {
            check.path(text);
            continue;
        }
        let Some(bytes) = check.read(text, "list of revoked certificates") else { continue };
        match Crl::of_file(&bytes) {
            Ok(found) => {
                // Its name alone: however the path is written, the label of the metric is the same.
                let name = Path::new(text.value).file_name();
                let file = name.map_or_else(|| text.value.to_owned(), |name| name.to_string_lossy().into_owned());
                lists.extend(found.into_iter().map(|list| (ClientCrl { file: file.clone(), list }, text.place)));
            }
            Err(error) => {
                let title = format!("{} holds no list of revoked certificates", quoted(text.value));
                let objection = Objection::new(error.to_string(), "give the full CRL of the CA, in PEM or DER");
                check.refuse(Code::InvalidCrl, title, text, objection);
            }
        }
    }
    lists
}

/// An anchor that counts no more is told; others may stand beside it.
fn judge_anchors(check: &mut Check<'_>, section: &Section<'_>, anchors: &TrustAnchors) {
    let now = check.environment.now();
    if *anchors == TrustAnchors::mozilla() {
        return;
    }
    let place = section.key_place("trust_anchors").unwrap_or_else(|| section.place());
    for der in anchors.certificates() {
        let Ok(chain) = CertificateChain::from_der(vec![der.clone()]) else { continue };
        let root = chain.leaf();
        if now <= root.not_after {
            continue;
        }
        let title = format!("the trust anchor {} expired at {}", quoted(&root.common_name), root.not_after);
        let problem = Problem::warning(Code::OldTrustAnchor, title).at(place);
        let problem = problem.why("nobody is let in by it: for certificates of clients the dates of roots count");
        check.report(problem.fix("name the root that has followed it; both may stand there side by side"));
    }
}

/// A list that is old already is told; what follows from it is the operator's choice.
fn judge_age(check: &mut Check<'_>, crl: &Crl, place: &Place, is_taken: bool) {
    let now = check.environment.now();
    let until = crl.next_update;
    if now < until {
        return;
    }
    let title = format!("the list of revoked certificates of `{}` is old since {until}", crl.issuer);
    let mut problem = Problem::error(Code::OldCrl, title).at(place);
    problem.severity = Severity::Warning;
    let problem = match is_taken {
        true => problem.why("`expired_crl = \"accept\"`: it counts on, and what was revoked since is not known"),
        false => problem.why("`expired_crl = \"refuse\"`: nobody whose certificate that CA has issued is let in"),
    };
    check.report(problem.fix("put the CA's new list there; a running portvakt takes it over by itself"));
}

const DEMANDS: [(&str, Demand); 3] =
    [("ignore", Demand::Ignore), ("accept", Demand::Accept), ("require", Demand::Require)];
