//! Whether phones and browsers believe what the server shows.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};

use super::super::finding::{Audiences, Facts, Finding};
use super::super::roots::{AS_OF, OLDEST_ANDROID, Support, support};
use super::super::sight::{Shown, Sight};
use super::super::topic::Topic;
use super::super::trust::{Roots, Way, ways};
use super::{Criteria, Diagnosis};
use crate::pki::{Certificate, Digest, Purposes};
use crate::time::Timestamp;

/// Adds what is to be said about the chain of `shown`.
pub(super) fn judge(sight: &Sight, shown: &Shown, roots: &Roots, diagnosis: &mut Diagnosis) {
    let Some(leaf) = shown.chain.first() else { return };
    let case = Case { sight, shown, leaf, now: sight.at };
    let sent = ways(leaf, &shown.chain, roots, sight.at);
    let pool: Vec<_> = shown.chain.iter().chain(&sight.fetched).cloned().collect();
    let fetched = if sent.is_empty() { ways(leaf, &pool, roots, sight.at) } else { Vec::new() };
    let best = best(&sent).or_else(|| best(&fetched));

    let findings = &mut diagnosis.findings;
    findings.extend(case.trust(!sent.is_empty(), best));
    findings.extend(case.dates());
    findings.extend(case.name());
    findings.extend(case.strength());
    findings.extend(case.purpose());
    findings.extend(case.length(best));
    if let Some(way) = best {
        findings.extend(case.root(way));
        diagnosis.root = Some((way.root.certificate.facts().common_name.clone(), !way.root.is_private));
        diagnosis.since = support(&way.root.certificate.facts().common_name).filter(|_| !way.root.is_private);
    }
    let ends = best.map_or_else(|| leaf.facts().not_after, Way::not_after);
    findings.extend(case.ends_soon(ends));
    if !sent.is_empty() && findings.iter().all(|finding| finding.breaks == Audiences::NONE) {
        findings.extend(case.rejected(&sent));
    }
    diagnosis.ends = Some(ends);
    diagnosis.criteria = Criteria {
        name: Some(leaf.facts().covers(&sight.target.host)),
        date: Some(case.is_in_date()),
        authority: Some(best.is_some() && !leaf.is_self_signed() || sent.iter().any(|way| way.root.is_private)),
    };
}

/// The way that most phones can go: a root of Mozilla's, and of these the one known longest.
fn best<'a, 'b>(ways: &'b [Way<'a>]) -> Option<&'b Way<'a>> {
    ways.iter().min_by_key(|way| {
        let name = &way.root.certificate.facts().common_name;
        let android = support(name).and_then(|support| support.android).map_or(u32::MAX, major);
        (way.root.is_private, android, way.root.certificate.facts().not_before, way.certificates.len())
    })
}

struct Case<'a> {
    sight: &'a Sight,
    shown: &'a Shown,
    leaf: &'a Certificate,
    now: Timestamp,
}

impl Case<'_> {
    fn is_in_date(&self) -> bool {
        let facts = self.leaf.facts();
        facts.not_before <= self.now && self.now <= facts.not_after
    }

    fn dates(&self) -> Option<Finding> {
        let facts = self.leaf.facts();
        if self.now > facts.not_after {
            let days = self.now.since(facts.not_after).as_secs() / DAY;
            let facts = vec![("date", date(facts.not_after)), ("days", days.to_string())];
            return Some(Finding::broken(Topic::Expired, facts));
        }
        (self.now < facts.not_before)
            .then(|| Finding::broken(Topic::NotYetValid, vec![("date", date(facts.not_before))]))
    }

    fn name(&self) -> Option<Finding> {
        let (facts, host) = (self.leaf.facts(), &self.sight.target.host);
        if facts.covers(host) {
            return None;
        }
        if facts.names.is_empty() && facts.common_name.eq_ignore_ascii_case(host) {
            return Some(Finding::broken(Topic::CommonNameOnly, vec![("host", host.clone())]));
        }
        let names = match facts.names.as_slice() {
            [] => format!("CN={}", printable(&facts.common_name)),
            names if names.len() <= MOST_NAMES => printable(&names.join(", ")),
            names => format!("{}, ... ({})", printable(&names[..MOST_NAMES].join(", ")), names.len()),
        };
        Some(Finding::broken(Topic::WrongName, vec![("host", host.clone()), ("names", names)]))
    }

    fn trust(&self, is_complete: bool, best: Option<&Way<'_>>) -> Option<Finding> {
        if is_complete {
            return None;
        }
        let issuer = || vec![("issuer", printable(self.leaf.issuer()))];
        match best {
            Some(way) => {
                let missing = way.certificates.iter().find(|certificate| !self.shown.chain.contains(certificate))?;
                let facts = vec![
                    ("missing", printable(&missing.facts().common_name)),
                    ("url", way.certificates.iter().find_map(|it| it.issuers_url()).unwrap_or_default().to_owned()),
                ];
                // iOS and desktop browsers fetch it or know it; Android does not.
                Some(Finding::broken_for(Audiences::ANDROID, Topic::MissingIntermediate, facts))
            }
            None if self.leaf.is_self_signed() => Some(Finding::broken(Topic::SelfSigned, issuer())),
            None => Some(Finding::broken(Topic::UnknownIssuer, issuer())),
        }
    }

    fn strength(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let key = &self.leaf.facts().key_type;
        let is_weak = self.leaf.rsa_bits().map_or_else(|| !SOUND_KEYS.contains(&key.as_str()), |bits| bits < 2048);
        if is_weak {
            findings.push(Finding::broken(Topic::WeakKey, vec![("key", key.clone())]));
        }
        let weak = self
            .shown
            .chain
            .iter()
            .find(|it| it.digest() != Digest::Strong && (*it == self.leaf || !it.is_self_signed()));
        if let Some(weak) = weak {
            let facts = vec![("digest", weak.digest().as_str().to_owned()), ("subject", printable(weak.subject()))];
            findings.push(Finding::broken(Topic::WeakSignature, facts));
        }
        findings
    }

    /// Apple wants the purpose to be said in whatever was issued since July 2019; the others only mind another one.
    fn purpose(&self) -> Option<Finding> {
        let facts = |found: String| vec![("found", found)];
        match &self.leaf.facts().purposes {
            Purposes::Any if self.leaf.facts().not_before >= APPLE_2019 => {
                Some(Finding::broken_for(Audiences::IPHONE, Topic::WrongPurpose, facts("–".to_owned())))
            }
            Purposes::Only(purposes)
                if !purposes.iter().any(|it| it == "serverAuth" || it == "anyExtendedKeyUsage") =>
            {
                Some(Finding::broken(Topic::WrongPurpose, facts(printable(&purposes.join(", ")))))
            }
            Purposes::Any | Purposes::Only(_) => None,
        }
    }

    /// How long a certificate may be valid, by the day on which it began (Apple HT210176, HT211025; ballot SC-081).
    fn length(&self, best: Option<&Way<'_>>) -> Option<Finding> {
        let facts = self.leaf.facts();
        let is_public = best.is_some_and(|way| !way.root.is_private);
        let (_, limit) =
            *LENGTHS.iter().rev().find(|(since, days)| *since <= facts.not_before && (is_public || *days == 825))?;
        // Both ends belong to it (RFC 5280 §4.1.2.5).
        let length = facts.not_after.since(facts.not_before).as_secs() + 1;
        if length <= limit * DAY {
            return None;
        }
        let breaks = if is_public { Audiences::ALL } else { Audiences::IPHONE };
        let facts: Facts = vec![("days", length.div_ceil(DAY).to_string()), ("limit", limit.to_string())];
        Some(Finding::broken_for(breaks, Topic::TooLong, facts))
    }

    fn root(&self, way: &Way<'_>) -> Option<Finding> {
        let root = &way.root.certificate;
        let name = printable(&root.facts().common_name);
        if way.root.is_private {
            return Some(Finding::note(Topic::PrivateRoot, vec![("root", name)]));
        }
        let made = year(root.facts().not_before);
        let facts = |version: &str| {
            vec![
                ("root", name.clone()),
                ("version", version.to_owned()),
                ("made", made.clone()),
                ("as_of", AS_OF.to_owned()),
            ]
        };
        match support(&root.facts().common_name) {
            Some(support @ Support { android: Some(version), .. }) if major(version) > OLDEST_ANDROID => {
                Some(Finding::mend(Topic::YoungRoot, facts(&format!("Android {}", support.told(version)))))
            }
            Some(_) => None,
            None if self.now.since(root.facts().not_before) < YOUNG => {
                Some(Finding::note(Topic::YoungRoot, facts(&made)))
            }
            None => None,
        }
    }

    /// Whoever renews by himself has done so before the last sixth, or three weeks.
    fn ends_soon(&self, ends: Timestamp) -> Option<Finding> {
        let facts = self.leaf.facts();
        let left = ends.since(self.now);
        let enough = (facts.not_after.since(facts.not_before) / 6).min(ENOUGH);
        if !self.is_in_date() || self.now > ends || left >= enough {
            return None;
        }
        let facts = vec![("date", date(ends)), ("days", (left.as_secs() / DAY).to_string())];
        Some(Finding::mend(Topic::EndsSoon, facts))
    }

    /// What a strict verifier says beyond all that was asked here, such as name constraints.
    fn rejected(&self, sent: &[Way<'_>]) -> Option<Finding> {
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(sent.iter().map(|way| way.root.certificate.der().clone()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), provider).build().ok()?;
        let name = ServerName::try_from(self.sight.target.host.clone()).ok()?;
        let rest: Vec<_> = self.shown.chain.iter().skip(1).map(|it| it.der().clone()).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(self.now.as_unix()).ok()?));
        let error = verifier.verify_server_cert(self.leaf.der(), &rest, &name, &[], now).err()?;
        let detail = match &error {
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string(),
            error => error.to_string(),
        };
        Some(Finding::broken(Topic::Rejected, vec![("detail", printable(&detail))]))
    }
}

/// The day, as in a calendar (UTC).
pub(super) fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn year(at: Timestamp) -> String {
    at.to_string().chars().take(4).collect()
}

fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(u32::MAX)
}

/// What a server has put into a certificate, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(LONGEST_TEXT).collect()
}

const DAY: u64 = 86_400;
const ENOUGH: Duration = Duration::from_secs(21 * DAY);
/// A phone that is in use today was updated within eight years.
const YOUNG: Duration = Duration::from_secs(8 * 365 * DAY);
/// Ed25519 and curves of other kinds are spoken by no browser.
const SOUND_KEYS: [&str; 3] = ["P-256", "P-384", "P-521"];
const MOST_NAMES: usize = 8;
const LONGEST_TEXT: usize = 256;
/// 2019-07-01.
const APPLE_2019: Timestamp = Timestamp::from_unix(1_561_939_200);
/// From when on how many days: Apple for all roots, for public roots, and the ballot's steps.
const LENGTHS: [(Timestamp, u64); 5] = [
    (APPLE_2019, 825),
    // 2020-09-01, 2026-03-15, 2027-03-15, 2029-03-15.
    (Timestamp::from_unix(1_598_918_400), 398),
    (Timestamp::from_unix(1_773_532_800), 200),
    (Timestamp::from_unix(1_805_068_800), 100),
    (Timestamp::from_unix(1_868_227_200), 47),
];
