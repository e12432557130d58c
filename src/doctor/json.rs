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
        Audience::EVERY.into_iter().map(|it| (name(it).to_owned(), verdict(diagnosis, it))).collect();
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

fn verdict(diagnosis: &Diagnosis, audience: Audience) -> Value {
    match diagnosis.verdict(audience) {
        Verdict::Accepts => json!({ "verdict": "accepts" }),
        Verdict::AcceptsSince(version) => {
            let (source, read) = diagnosis.since.map_or((None, None), |it| (Some(it.source), it.read));
            json!({ "verdict": "accepts", "since": version, "source": source, "read": read })
        }
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
    let hops = walk.hops.iter().map(|hop| {
        json!({
            "url": hop.url,
            "status": hop.status,
            "location": hop.location,
            "hsts": hop.hsts,
            "open_cookies": hop.open_cookies,
            "asks": hop.asks,
        })
    });
    json!(hops.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::finding::Finding;
    use super::super::judge::Criteria;
    use super::super::roots;
    use super::super::sight::{End, Hop, Shown, Trouble};
    use super::super::target::Target;
    use super::super::topic::Topic;
    use super::*;
    use crate::pki::Certificate;
    use crate::time::Timestamp;

    /// One of each thing that there is.
    fn seen() -> (Sight, Diagnosis) {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let hop = Hop {
            url: "https://a.test/".to_owned(),
            status: 401,
            location: String::new(),
            hsts: String::new(),
            open_cookies: vec!["session".to_owned()],
            asks: vec!["NTLM".to_owned()],
        };
        let shown = Shown {
            version: "TLS 1.3".to_owned(),
            cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
            alpn: String::new(),
            is_stapled: false,
            asks_client: false,
            chain: vec![Certificate::read(leaf.der().clone()).unwrap()],
            unreadable: 0,
            broke: None,
            is_unproven: false,
            is_old: false,
        };
        let address = "192.0.2.1:443".parse().unwrap();
        let sight = Sight {
            target: Target::parse("https://a.test/").unwrap(),
            at: Timestamp::from_unix(1_795_311_180),
            from: "here".to_owned(),
            unresolved: None,
            addresses: vec![Looked { address, outcome: Ok(shown) }, Looked { address, outcome: Err(Trouble::Silent) }],
            fetched: Vec::new(),
            secure: Some(Walk { hops: vec![hop.clone()], end: End::Answered }),
            plain: Some(Walk { hops: vec![hop], end: End::Answered }),
        };
        let diagnosis = Diagnosis {
            findings: vec![Finding::broken(Topic::Expired, vec![("date", "then".to_owned())])],
            criteria: Criteria::default(),
            ends: Some(Timestamp::from_unix(1_795_311_180)),
            since: roots::support("ISRG Root X1"),
            root: Some(("ISRG Root X1".to_owned(), true)),
        };
        (sight, diagnosis)
    }

    /// Each key with its way, as the page writes it.
    fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let is_told_as_one = ["findings[].facts", "http[]"].contains(&path);
        match value {
            Value::Object(fields) if !is_told_as_one && !fields.is_empty() => {
                for (key, value) in fields {
                    let key = if path == "audiences" { "android|iphone|browsers" } else { key };
                    let way = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    keys(value, &way, found);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                items.iter().for_each(|item| keys(item, &format!("{path}[]"), found));
            }
            _ => {
                found.insert(path.to_owned());
            }
        }
    }

    #[test]
    fn given_all_that_can_be_seen_when_printed_then_the_page_has_exactly_its_keys() {
        let (sight, mut diagnosis) = seen();
        let mut found = BTreeSet::new();
        keys(&json(&sight, &diagnosis, Lang::En), "", &mut found);
        diagnosis.findings.clear();
        keys(&json(&sight, &diagnosis, Lang::En), "", &mut found);
        // An empty list of what was just there.
        found.remove("findings");

        let (of_url, of_house) = crate::doctor::JSON_SHAPE.split_once("Of a configuration").unwrap();
        let told = |page: &str| -> BTreeSet<String> {
            let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
            lines.map(|line| line.split("  ").next().unwrap().to_owned()).collect()
        };
        assert_eq!(found, told(of_url));

        let house = HouseCall {
            config: "portvakt.toml".into(),
            at: sight.at,
            from: String::new(),
            is_offline: false,
            is_running: false,
            findings: Vec::new(),
            sites: Vec::new(),
        };
        let Value::Object(fields) = super::house(&house, Lang::En) else { panic!("an object") };
        let told: BTreeSet<String> = told(of_house)
            .iter()
            .flat_map(|line| line.split(", "))
            .map(|key| key.trim_end_matches("[]").to_owned())
            .collect();
        assert_eq!(fields.keys().cloned().collect::<BTreeSet<_>>(), told);
    }
}
