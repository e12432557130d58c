//! What a running process has seen its own listeners serve.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::block_on_alone;
use crate::control::{Reply, Request, ask};
use crate::time::Timestamp;

/// A process that runs with this configuration.
pub(super) struct Running {
    sights: Vec<Seen>,
    certificates: Vec<InService>,
}

/// What a process has in service, whether or not its disk has taken it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InService {
    name: String,
    role: String,
    pub(super) state: String,
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) sha256: String,
    pub(super) key_type: String,
    not_before: Option<String>,
    not_after: Option<String>,
}

/// What was seen of one name on one listener.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    pub(super) certificate: String,
    pub(super) listener: String,
    pub(super) name: String,
    /// When a handshake last told something.
    pub(super) at: Option<String>,
    /// It showed what was published, in date and for its name; `None` before there was one.
    pub(super) as_published: Option<bool>,
    /// In words.
    pub(super) found: String,
}

impl InService {
    pub(super) fn not_before(&self) -> Option<Timestamp> {
        self.not_before.as_deref()?.parse().ok()
    }

    /// `None` for a placeholder, with which nobody is to plan.
    pub(super) fn not_after(&self) -> Option<Timestamp> {
        self.not_after.as_deref()?.parse().ok()
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Status {
    served: Vec<Seen>,
    certificates: Vec<InService>,
}

impl Running {
    /// Asks a process; `None` when nobody answers in time.
    pub(super) fn ask(socket: &Path) -> Option<Self> {
        let answer = block_on_alone(async { Ok(tokio::time::timeout(PATIENCE, ask(socket, Request::Status)).await) });
        let Reply::Done(status) = answer.ok()?.ok()?.ok()? else { return None };
        let status: Status = serde_json::from_value(status).unwrap_or_default();
        Some(Self { sights: status.served, certificates: status.certificates })
    }

    /// What is in service for a certificate, when it is another one than that with the fingerprint which is kept.
    pub(super) fn another(&self, certificate: &str, kept: Option<&str>) -> Option<&InService> {
        let is_its = |shown: &&InService| shown.name == certificate && shown.role == "listener";
        let shown = self.certificates.iter().find(is_its)?;
        // A placeholder is none that could be kept.
        (shown.not_after().is_some() && Some(shown.sha256.as_str()) != kept).then_some(shown)
    }

    /// Whether clients get what was published, on every listener and for every name; `None` where nobody has looked yet.
    pub(super) fn is_served(&self, certificate: &str) -> Option<bool> {
        let all: Vec<_> = self.of(certificate).into_iter().map(|seen| seen.as_published).collect();
        match all.contains(&Some(false)) {
            true => Some(false),
            false => (!all.is_empty() && !all.contains(&None)).then_some(true),
        }
    }

    /// Of one certificate.
    pub(super) fn of(&self, certificate: &str) -> Vec<&Seen> {
        self.sights.iter().filter(|seen| seen.certificate == certificate).collect()
    }
}

/// All that was seen of a certificate in a few words.
pub(super) fn summary(running: Option<&Running>, certificate: &str, now: Timestamp) -> String {
    let Some(running) = running else { return "portvakt is not running".to_owned() };
    let seen = running.of(certificate);
    let bad = seen.iter().find(|seen| seen.as_published == Some(false));
    let pending = seen.iter().find(|seen| seen.as_published.is_none());
    match (bad, pending) {
        _ if seen.is_empty() => "no https listener".to_owned(),
        (Some(bad), _) => format!("NO: {} on {}: {}", bad.name, bad.listener, bad.found),
        (None, Some(pending)) => format!("not seen yet: {} on {}", pending.name, pending.listener),
        (None, None) => {
            let oldest = seen.iter().filter_map(|seen| seen.at.as_deref()?.parse::<Timestamp>().ok()).min();
            let ago = oldest.map(|at| format!(", {}", super::super::status::distance(at, now))).unwrap_or_default();
            format!("yes{ago}")
        }
    }
}

/// A process that is busy is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_was_seen_when_summed_up_then_the_worst_is_told() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let seen = |name: &str, as_published, at: Option<&str>| Seen {
            certificate: "a".to_owned(),
            listener: "https 0.0.0.0:443".to_owned(),
            name: name.to_owned(),
            at: at.map(str::to_owned),
            as_published,
            found: "another certificate is shown".to_owned(),
        };
        let good = || seen("a.test", Some(true), Some("2026-11-22T11:59:30Z"));
        let bad = || seen("b.test", Some(false), Some("2026-11-22T11:59:30Z"));
        let running = |sights| Running { sights, certificates: vec![] };
        let told = |sights: Vec<Seen>| summary(Some(&running(sights)), "a", now);
        assert_eq!(told(vec![good()]), "yes, 30 seconds ago");
        assert_eq!(told(vec![good(), bad()]), "NO: b.test on https 0.0.0.0:443: another certificate is shown");
        assert_eq!(told(vec![good(), seen("c.test", None, None)]), "not seen yet: c.test on https 0.0.0.0:443");
        assert_eq!(told(vec![]), "no https listener");
        let none = || seen("c.test", None, None);
        for (sights, expected) in [
            (vec![good()], Some(true)),
            (vec![good(), bad(), none()], Some(false)),
            (vec![good(), none()], None),
            (vec![none()], None),
            (vec![], None),
        ] {
            assert_eq!(running(sights.clone()).is_served("a"), expected, "{sights:?}");
        }
        assert_eq!(summary(None, "a", now), "portvakt is not running");
    }
}
