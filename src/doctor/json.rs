//! A diagnosis for programs. Keys and codes stay; words are for people and may change.

use serde_json::{Map, Value, json};

use super::finding::{Audience, Finding};
use super::house::HouseCall;
use super::judge::{Diagnosis, Verdict};
use super::sight::{Looked, Sight, Walk};
use super::words::{Lang, tell};
use crate::pki::Certificate;

/// One object.
pub(super) fn json(sight: &Sight, diagnosis: &Diagnosis, lang: Lang) -> Value {
    let audiences: Map<_, _> =
        Audience::EVERY.into_iter().map(|it| (name(it).to_owned(), verdict(diagnosis.verdict(it)))).collect();
    json!({
        "url": sight.target.to_string(),
        "at": sight.at.to_string(),
        "from": sight.from,
        "ok": diagnosis.is_well(),
        "audiences": audiences,
        "criteria": {
            "issued_to_name": diagnosis.criteria.name,
            "in_date": diagnosis.criteria.date,
            "trusted_authority": diagnosis.criteria.authority,
        },
        "ends": diagnosis.ends.map(|ends| ends.to_string()),
        "days_left": diagnosis.ends.map(|ends| (ends.as_unix() - sight.at.as_unix()).div_euclid(86_400)),
        "root": diagnosis.root.as_ref().map(|(root, _)| root),
        "findings": findings(&diagnosis.findings, lang),
        "addresses": sight.addresses.iter().map(address).collect::<Vec<_>>(),
        "https": sight.secure.as_ref().map(walk),
        "http": sight.plain.as_ref().map(walk),
    })
}

/// A configuration, with its sites.
pub(super) fn house(call: &HouseCall, lang: Lang) -> Value {
    json!({
        "config": call.config.display().to_string(),
        "at": call.at.to_string(),
        "from": call.from,
        "ok": call.is_well(),
        "offline": call.is_offline,
        "running": call.is_running,
        "findings": findings(&call.findings, lang),
        "sites": call.sites.iter().map(|site| json(&site.sight, &site.diagnosis, lang)).collect::<Vec<_>>(),
    })
}

/// Findings with their facts and words.
fn findings(findings: &[Finding], lang: Lang) -> Vec<Value> {
    let each = findings.iter().map(|finding| {
        let told = tell(finding, lang);
        let facts: Map<_, _> = finding.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "code": finding.topic,
            "name": finding.topic.name(),
            "level": finding.level,
            "refused_by": finding.breaks,
            "title": told.title,
            "what": told.what,
            "why": told.why,
            "fix": told.fix,
            "facts": facts,
        })
    });
    each.collect()
}

const fn name(audience: Audience) -> &'static str {
    match audience {
        Audience::Android => "android",
        Audience::Iphone => "iphone",
        Audience::Browsers => "browsers",
    }
}

fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Accepts => json!({ "verdict": "accepts" }),
        Verdict::AcceptsSince(version) => json!({ "verdict": "accepts", "since": version }),
        Verdict::AcceptsWithRoot => json!({ "verdict": "accepts_with_root" }),
        Verdict::Refuses(topic) => json!({ "verdict": "refuses", "because": topic }),
        Verdict::GetsNowhere(topic) => json!({ "verdict": "gets_nowhere", "because": topic }),
    }
}

fn address(looked: &Looked) -> Value {
    match &looked.outcome {
        Err(trouble) => json!({ "address": looked.address.to_string(), "error": trouble.detail() }),
        Ok(shown) => json!({
            "address": looked.address.to_string(),
            "tls": shown.version,
            "cipher": shown.cipher,
            "alpn": shown.alpn,
            "ocsp_stapled": shown.is_stapled,
            "client_certificate_asked": shown.asks_client,
            "chain": shown.chain.iter().map(certificate).collect::<Vec<_>>(),
        }),
    }
}

fn certificate(certificate: &Certificate) -> Value {
    let facts = certificate.facts();
    json!({
        "subject": certificate.subject(),
        "issuer": certificate.issuer(),
        "names": facts.names,
        "serial": facts.serial,
        "not_before": facts.not_before.to_string(),
        "not_after": facts.not_after.to_string(),
        "key": facts.key_type,
        "signed_with": certificate.digest().as_str(),
        "sha256": facts.fingerprint.to_string(),
        "pin": facts.pin.to_string(),
    })
}

fn walk(walk: &Walk) -> Value {
    let hops = walk
        .hops
        .iter()
        .map(|hop| json!({ "url": hop.url, "status": hop.status, "location": hop.location, "hsts": hop.hsts }));
    json!(hops.collect::<Vec<_>>())
}
