//! What is said of client identities.

use crate::lifecycle::rotation::Refusal;
use crate::pki::LeafFacts;
use crate::source::{ClientIdentitySettings, Trial};
use crate::upstream::Seen;

/// How people call things there.
pub(super) struct Words {
    pub(super) certificate: &'static str,
    pub(super) order: &'static str,
}

impl Words {
    pub(super) fn of(settings: &ClientIdentitySettings) -> Self {
        match settings.trial {
            Trial::BankId { .. } => Self { certificate: "RP certificate", order: "order a new one at your bank" },
            Trial::Handshake | Trial::Request { .. } => {
                Self { certificate: "client certificate", order: "order a new one" }
            }
        }
    }
}

pub(super) fn accepted(seen: &Seen) -> String {
    match &seen.answer {
        Some(answer) => format!("{} answers {} over {}", seen.address, answer.status, seen.tls),
        None => format!("{} shook hands over {} and sent no alert", seen.address, seen.tls),
    }
}

pub(super) fn fix(why: Refusal, words: &Words) -> String {
    match why {
        Refusal::Expired | Refusal::Revoked => words.order.to_owned(),
        Refusal::UnknownCa | Refusal::Bad | Refusal::Required => {
            "is it an identity for this server? A test identity is refused by a production server, and the reverse"
                .to_owned()
        }
        Refusal::Other => "ask whoever runs the server whether this identity is still let in".to_owned(),
    }
}

/// `CN=FP Testcert 5`.
pub(super) fn subject(leaf: &LeafFacts) -> String {
    format!("CN={}", leaf.common_name)
}

/// What people see of it: the subject's `name`, as at BankID, else its common name.
pub fn name_shown(leaf: &LeafFacts) -> &str {
    if leaf.display_name.is_empty() { &leaf.common_name } else { &leaf.display_name }
}
