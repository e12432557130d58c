//! What a URL asks of the certificate of the one who calls it.

use serde::Serialize;

use crate::route::{ClientCertificates, Demand};

/// What is asked of a client's certificate over TLS; left out where none is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientCertificate {
    /// In the handshake: `accept` or `require`.
    pub handshake: &'static str,
    /// On this path: `ignore`, `accept` or `require`.
    pub path: &'static str,
    /// Only those count whom `allow` names.
    pub is_listed: bool,
    /// Headers that hand it on.
    pub handed_on: Vec<String>,
    /// In words.
    pub explanation: String,
}

impl ClientCertificate {
    pub(super) fn of(rules: &ClientCertificates, target: &[u8]) -> Option<Self> {
        let (handshake, path) = (rules.handshake(), rules.demand_of(target));
        let words = match (handshake, path) {
            (Demand::Ignore, _) => return None,
            (Demand::Require, _) => "required: without one the handshake ends (alert certificate_required)",
            (Demand::Accept, Demand::Require) => "required here: without one the answer is 403",
            (Demand::Accept, Demand::Accept) => "may be shown here",
            (Demand::Accept, Demand::Ignore) => "asked for, for the sake of other paths; not looked at here",
        };
        let is_handed_on = path != Demand::Ignore;
        let mut handed_on: Vec<_> = rules.pass_on.iter().filter(|_| is_handed_on).map(ToString::to_string).collect();
        if is_handed_on && rules.with_chain {
            handed_on.push("client-cert-chain".to_owned());
        }
        let is_listed = rules.allow != Default::default();
        let mut explanation = words.to_owned();
        match path {
            _ if !is_listed => {}
            Demand::Require => explanation.push_str("; whom `allow` does not name gets 403"),
            Demand::Accept => explanation.push_str("; whom `allow` does not name counts as having shown none"),
            Demand::Ignore => {}
        }
        if !handed_on.is_empty() {
            explanation.push_str(&format!("; handed on as {}", handed_on.join(", ")));
        }
        Some(Self { handshake: handshake.as_str(), path: path.as_str(), is_listed, handed_on, explanation })
    }
}
