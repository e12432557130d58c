//! Events, to whoever counts or logs them.

use tracing::{debug, error, info, warn};

use crate::lifecycle::{Event, Origin, Why};

/// Hears of every [`Event`]. Called from the certificates' tasks: be quick.
pub trait Observe: Send + Sync {
    /// Something happened to the certificate of this name.
    fn event(&self, certificate: &str, event: &Event);
}

/// Logs an event, each with the level that its reader needs.
pub fn log(certificate: &str, event: &Event) {
    match event {
        Event::Planned { at: Some(at), why: why @ Why::Loop } => {
            warn!(certificate, next = %at, reason = why.as_str(), %why, "RENEWAL LOOP: is the clock right?");
        }
        Event::Planned { at: Some(at), why } => {
            info!(certificate, next = %at, reason = why.as_str(), %why, "next attempt planned");
        }
        Event::Planned { at: None, why } => {
            error!(certificate, reason = why.as_str(), %why, "no further attempt is planned");
        }
        Event::Attempt { kind, why, failures, ca } => {
            info!(certificate, kind = kind.as_str(), ca, failures, %why, "asking for a certificate");
        }
        Event::Issued { kind, validity, serial, ca } => {
            info!(certificate, kind = kind.as_str(), ca, serial, until = %validity.not_after, "certificate issued");
        }
        Event::Failed { kind, failure, consecutive, ca, .. } => {
            let (reason, fix) = (failure.reason.as_str(), failure.fix.as_deref());
            let (kind, error, help) = (kind.as_str(), &failure.detail, failure.reason.code());
            match consecutive {
                0..3 => warn!(certificate, kind, ca, reason, help, consecutive, error, fix, "no certificate"),
                3.. => error!(certificate, kind, ca, reason, help, consecutive, error, fix, "no certificate, again"),
            }
        }
        Event::Informed { window, due } => {
            let (start, end, due) = (window.start, window.end, due.unwrap_or(window.start));
            match window.explanation.as_deref() {
                Some(explanation) => warn!(
                    certificate, %start, %end, %due, explanation,
                    "the CA has a reason for the time of the renewal: read its explanation"
                ),
                None => info!(certificate, %start, %end, %due, "the CA suggests when to renew"),
            }
        }
        Event::Uninformed { trouble } => {
            info!(certificate, trouble, "the CA does not say when to renew: the time known before counts");
        }
        Event::Unseen { detail } => {
            warn!(certificate, detail, "the new certificate is served, but nobody has seen it in a handshake yet");
        }
        Event::RolledBack { failure } => {
            let (error, fix, help) = (&failure.detail, failure.fix.as_deref(), failure.reason.code());
            error!(certificate, help, error, fix, "NEW CERTIFICATE ROLLED BACK: the one before is served again");
        }
        Event::Activated { origin: Origin::Placeholder, uncovered, .. } => {
            warn!(
                certificate,
                names = uncovered.join(","),
                "SELF-SIGNED PLACEHOLDER is served: clients will refuse it"
            );
        }
        Event::Activated { origin, not_after, uncovered } if uncovered.is_empty() => {
            info!(certificate, origin = origin.as_str(), until = %not_after, "certificate is served");
        }
        Event::Activated { origin, not_after, uncovered } => {
            let missing = uncovered.join(",");
            warn!(certificate, origin = origin.as_str(), until = %not_after, missing, "certificate is served, but names are missing from it");
        }
        Event::Rehearsed { directory, outcome: Ok(()), next } => {
            let next = next.map(tracing::field::display);
            info!(certificate, directory, next, "the rehearsal works now: the next try should too");
        }
        Event::Rehearsed { directory, outcome: Err(error), next } => {
            let next = next.map(tracing::field::display);
            warn!(certificate, directory, error, next, "the rehearsal fails too");
        }
        Event::Trouble { failure } => {
            error!(
                certificate,
                reason = failure.reason.as_str(),
                help = failure.reason.code(),
                error = failure.detail,
                fix = failure.fix.as_deref(),
                "trouble"
            );
        }
    }
    debug!(certificate, ?event, "event");
}
