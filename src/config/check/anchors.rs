//! `trust_anchors`, wherever it stands.

use super::section::{Section, Text};
use super::{Check, causes};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::egress::is_garbled_guideline_root;
use crate::pki::{ChainError, TrustAnchors};

/// Reads a file of trust anchors, a list of files, or `"public"` for Mozilla's roots. `None` when the key is not set;
/// when files are not opened or not usable, Mozilla's roots stand in.
pub(super) fn read(check: &mut Check<'_>, section: &Section<'_>) -> Option<TrustAnchors> {
    let texts = section.strings(check, "trust_anchors")?;
    if let [Text { value: PUBLIC, .. }] = texts[..] {
        return Some(TrustAnchors::mozilla());
    }
    if texts.is_empty() {
        let problem =
            Problem::error(Code::NoTrustAnchors, "`trust_anchors` is empty, so that nobody would be believed");
        let place = section.key_place("trust_anchors").unwrap_or_else(|| section.place());
        check.report(problem.at(place).fix("name a PEM file, or `\"public\"` for the roots that browsers trust"));
    }
    let mut pem = Vec::new();
    for text in texts {
        pem.extend(file(check, text).unwrap_or_default());
        pem.push(b'\n');
    }
    Some(TrustAnchors::from_pem(&pem).unwrap_or_else(|_| TrustAnchors::mozilla()))
}

/// The bytes of one file, once they are seen to hold trust anchors.
fn file(check: &mut Check<'_>, text: Text<'_>) -> Option<Vec<u8>> {
    if !check.opens_files() {
        check.path(text);
        return None;
    }
    let pem = check.read(text, "trust anchors")?;
    if let Err(error) = TrustAnchors::from_pem(&pem) {
        if let ChainError::Unreadable { .. } = error {
            check.report(garbled(&error, &pem, text));
            return None;
        }
        let title = format!("{} holds no trust anchors", quoted(text.value));
        let problem = Problem::error(Code::NoTrustAnchors, title).at(text.place).label(causes(&error));
        check.report(problem.fix("give a PEM file with the root certificate: `-----BEGIN CERTIFICATE-----`"));
        return None;
    }
    Some(pem)
}

/// Looks like a certificate on the outside.
fn garbled(error: &ChainError, pem: &[u8], text: Text<'_>) -> Problem {
    let title = format!("{} is PEM, its base64 decodes, but what it holds is no certificate", quoted(text.value));
    let problem = Problem::error(Code::GarbledRoot, title).at(text.place).label(error.to_string());
    if is_garbled_guideline_root(pem) {
        return problem
            .why("it is the root that BankID's old guidelines print: six of its lines have lost their capital letters there")
            .why("intact it would be of no use either: it expired in 2019, and the service that it anchors is gone")
            .fix("use `preset = \"bankid-production\"` or `\"bankid-test\"`: today's host and root are built in");
    }
    problem.why("letters were changed on its way, as when a document is copied or its capitals are lost").fix(
        "get the file again from whoever issues it, and compare: `openssl x509 -noout -fingerprint -sha256 -in FILE`",
    )
}

const PUBLIC: &str = "public";
