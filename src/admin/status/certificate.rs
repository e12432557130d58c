//! Certificates: facts, what clients get, and what happens next.

use serde::{Serialize, Serializer};

use super::{maybe_time, role, state, time};
use crate::language::InEach;
use crate::lifecycle::{LastFailure, Reason, State};
use crate::metrics::{CertificateRole, CertificateStatus};
use crate::time::Timestamp;

/// What a handshake with one of our listeners shows for one name.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    /// Name of the certificate that should be shown.
    pub certificate: String,
    /// The listener, as in the metrics.
    pub listener: String,
    /// The domain as configured.
    pub name: String,
    /// When a handshake last told something.
    #[serde(serialize_with = "maybe_time")]
    pub at: Option<Timestamp>,
    /// It showed what was published, in date and for its name; `None` before there was one.
    pub as_published: Option<bool>,
    /// What was found last, in words.
    pub found: String,
}

/// A certificate: its facts, what happens next to it, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// The configured name.
    pub name: String,
    /// What it is used for.
    #[serde(serialize_with = "role")]
    pub role: CertificateRole,
    /// How it is served.
    #[serde(serialize_with = "state")]
    pub state: State,
    /// DNS names and IP addresses that it is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// The fingerprint, hexadecimal.
    pub sha256: String,
    /// Such as `ecdsa-p256`.
    pub key_type: String,
    /// Begin of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_before: Option<Timestamp>,
    /// End of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_after: Option<Timestamp>,
    /// End of the validity in the whole chain that comes first.
    #[serde(serialize_with = "maybe_time")]
    pub chain_not_after: Option<Timestamp>,
    /// When it is to be renewed.
    #[serde(serialize_with = "maybe_time")]
    pub renewal_due: Option<Timestamp>,
    /// From here on it is renewed whatever the plan says.
    #[serde(serialize_with = "maybe_time")]
    pub emergency: Option<Timestamp>,
    /// No protocol renews it: somebody has to.
    pub renewal_manual: bool,
    /// When it was last tried to be obtained.
    #[serde(serialize_with = "maybe_time")]
    pub last_attempt: Option<Timestamp>,
    /// When it was last obtained.
    #[serde(serialize_with = "maybe_time")]
    pub last_success: Option<Timestamp>,
    /// Failed attempts since.
    pub consecutive_failures: u32,
    /// Why the last attempt failed, what can be done about it, and where more stands, in one text.
    pub last_error: Option<String>,
    /// The same in parts.
    pub last_failure: Option<CertificateFailure>,
    /// Whether the disk holds what is served; `None` where it is not to.
    pub stored: Option<bool>,
    /// What came of the rehearsal that failures were answered with.
    pub rehearsal: Option<String>,
    /// What the doctor found after three failures that only the operator can mend.
    pub diagnosis: Option<Diagnosis>,
    /// What happens next; `None` where nothing is planned.
    pub next: Option<Next>,
    /// What the CA says about when to renew it (RFC 9773); `None` where none was asked.
    pub renewal_information: Option<RenewalInformation>,
}

/// What a CA says about when to renew a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct RenewalInformation {
    /// First moment; `None` where it suggests none.
    #[serde(serialize_with = "maybe_time")]
    pub start: Option<Timestamp>,
    /// Last moment.
    #[serde(serialize_with = "maybe_time")]
    pub end: Option<Timestamp>,
    /// When it was asked.
    #[serde(serialize_with = "time")]
    pub asked_at: Timestamp,
    /// Address of a page that explains it to humans.
    pub explanation: Option<String>,
}

impl Certificate {
    /// Puts the facts that metrics have and the words that people need together.
    pub fn new(facts: CertificateStatus, next: Option<Next>, last_failure: Option<LastFailure>) -> Self {
        Self {
            name: facts.name,
            role: facts.role,
            state: facts.state,
            names: facts.sans,
            issuer: facts.issuer,
            serial: facts.serial,
            sha256: facts.sha256,
            key_type: facts.key_type,
            not_before: facts.not_before,
            not_after: facts.not_after,
            chain_not_after: facts.chain_not_after,
            renewal_due: facts.renewal_due,
            emergency: facts.emergency,
            renewal_manual: facts.renewal_manual,
            last_attempt: facts.last_attempt,
            last_success: facts.last_success,
            consecutive_failures: facts.consecutive_failures,
            last_error: last_failure.as_ref().map(LastFailure::told),
            last_failure: last_failure.map(CertificateFailure::from),
            stored: facts.stored,
            rehearsal: None,
            diagnosis: None,
            next,
            renewal_information: facts.information.map(|it| RenewalInformation {
                start: it.window.map(|(start, _)| start),
                end: it.window.map(|(_, end)| end),
                asked_at: it.asked_at,
                explanation: it.explanation,
            }),
        }
    }
}

/// What the doctor found when a certificate could not be had.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// When it looked.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// The worst first; none when nothing is wrong from here.
    pub findings: Vec<DoctorFinding>,
}

/// One thing that the doctor found.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorFinding {
    /// For `portvakt help`, such as `PV0647`.
    pub code: String,
    /// What was found.
    pub what: InEach,
    /// How to mend it.
    pub fix: InEach,
}

/// What happens next to a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Next {
    /// A verb: `renew`, `try again`, `replace by hand`.
    pub action: String,
    /// When; `None` for now.
    #[serde(serialize_with = "maybe_time")]
    pub at: Option<Timestamp>,
    /// Why then, in a word.
    pub reason: &'static str,
    /// Why then.
    pub why: String,
}

/// Why an attempt gave no certificate.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateFailure {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// As in the metrics, such as `connection`.
    #[serde(serialize_with = "reason")]
    pub reason: Reason,
    /// For `portvakt help`, such as `PV0281`.
    pub code: String,
    /// What happened, with the CA's own words.
    pub detail: String,
    /// What can be done about it, where anything can.
    pub fix: Option<String>,
}

impl From<LastFailure> for CertificateFailure {
    fn from(failure: LastFailure) -> Self {
        let LastFailure { at, reason, detail, fix } = failure;
        Self { at, reason, code: reason.code(), detail, fix }
    }
}

fn reason<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}
