//! Between the rooms and `notify`: how everything stands, and what happens.

use std::sync::{Arc, Weak};

use super::status::View;
use super::{App, AppError, Inner, certificate_status, rights};
use crate::admin::{self, Diagnosis, Notifier, NotifierFailure, State as _};
use crate::config::Config;
use crate::language::Lang;
use crate::lifecycle;
use crate::metrics::{CertificateRole, CertificateStatus, Metrics, NotifyResult};
use crate::notify::{
    CertificateFact, Count, Event, Facts, Failure, FailureFact, Kind, Message, Need, Role, SendError, Sent, ServerFact,
    Settings, Standing,
};
use crate::platform;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::upstream::{Peer, TlsFailure};

/// How a notifier has taken a message that an operator has asked for.
#[derive(Debug)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// How it is told, for people.
    pub way: String,
    /// Whether it took the message.
    pub outcome: Result<(), SendError>,
}

/// Sends a message by each notifier, or by the one of this name. As root, call [`become_notifier`] before.
pub async fn test_notifiers(config: &Config, name: Option<&str>) -> Vec<Tried> {
    let wanted = config.notify.iter().filter(|settings| name.is_none_or(|name| settings.name == name));
    let mut all = Vec::new();
    for settings in wanted {
        let message = Message::test(settings, &platform::host_name(), SystemClock.now());
        let outcome = crate::notify::send(settings, &message).await;
        all.push(Tried { name: settings.name.clone(), way: settings.channel.to_string(), outcome });
    }
    all
}

/// Becomes `user`, as whom messages are sent, so that a test meets the same files. To be called outside of a runtime.
///
/// # Errors
///
/// [`AppError::Rights`] when it cannot be become.
pub fn become_notifier(config: &Config) -> Result<(), AppError> {
    rights::become_user_of_state(config)
}

/// Counts what becomes of messages.
pub(super) fn counter(metrics: Arc<Metrics>) -> Arc<Count> {
    Arc::new(move |name, sent| {
        let result = match sent {
            Sent::Ok => NotifyResult::Ok,
            Sent::Failed => NotifyResult::Error,
            Sent::Lost => NotifyResult::Lost,
        };
        metrics.notified(name, result);
    })
}

/// How a notifier stands, for operators.
pub(super) fn shown((settings, standing): (Settings, Standing)) -> Notifier {
    let failure =
        |failure: Failure| NotifierFailure { at: failure.at, error: failure.error, fix: failure.remedy.words() };
    Notifier {
        to: settings.channel.to_string(),
        kind: settings.channel.kind(),
        name: settings.name,
        last_delivery: standing.delivered,
        last_error: standing.failure.map(failure),
        waiting: standing.waiting,
        next_try: standing.next_try,
    }
}

/// What a happening of a certificate is for people; `None` for what they need not hear of, or what the facts tell.
pub(super) fn event(certificate: &str, event: &lifecycle::Event, now: Timestamp) -> Option<Event> {
    match event {
        lifecycle::Event::Issued { validity, ca, .. } => Some(Event {
            role: Some(Role::Listener),
            not_after: Some(validity.not_after),
            issuer: Some(ca.clone()),
            ..Event::new(Kind::Renewed, certificate, now)
        }),
        lifecycle::Event::RolledBack { failure } => Some(Event {
            role: Some(Role::Listener),
            detail: Some(failure.detail.clone()),
            fix: failure.fix.clone(),
            ..Event::new(Kind::RolledBack, certificate, now)
        }),
        _ => None,
    }
}

/// How everything stands; what needs somebody only where a language is given for it, since all is gathered for that. Nothing once
/// the process is gone.
pub(super) fn facts(inner: &Weak<Inner>, needs_in: Option<Lang>) -> Facts {
    let certificates = certificate_status::certificates(inner);
    let Some(inner) = inner.upgrade() else { return Facts::default() };
    let own = inner.manager.statuses();
    let failure = |status: &CertificateStatus| {
        let own = own.iter().find(|own| status.role == CertificateRole::Listener && own.name == status.name);
        let failure = own?.life.last_failure.as_ref()?;
        let diagnoses = &inner.record.diagnoses;
        // What the doctor finds within a minute or two is told with it.
        (!diagnoses.is_awaited(&status.name)).then(|| FailureFact {
            at: failure.at,
            detail: failure.detail.clone(),
            fix: with_findings(failure.fix.clone(), diagnoses.of(&status.name)),
        })
    };
    let certificates = certificates.into_iter().map(|status| certificate(failure(&status), status)).collect();
    let upstreams = inner.server.upstreams();
    let peers = upstreams.iter().flat_map(|upstream| upstream.peers().iter().map(|peer| server(peer)));
    let egresses = inner.server.egresses();
    let servers = peers.chain(egresses.iter().filter_map(|egress| {
        let client = egress.client();
        let leaf = client.certificate()?.chain.leaf().clone();
        let settings = client.settings();
        Some(ServerFact {
            upstream: settings.name.clone(),
            address: settings.peers.first().map(ToString::to_string).unwrap_or_default(),
            sha256: Some(leaf.fingerprint.to_string()),
            not_after: Some(leaf.not_after),
            refused: None,
        })
    }));
    let servers = servers.collect();
    let all = needs_in.map(|lang| admin::needs(&View(App(inner)).status(), lang));
    let needs = all.into_iter().flatten().map(need).collect();
    Facts { certificates, servers, needs }
}

/// What the operator can do, and what the doctor would have him do.
fn with_findings(fix: Option<String>, diagnosis: Option<Diagnosis>) -> Option<String> {
    let findings = diagnosis.into_iter().flat_map(|diagnosis| diagnosis.findings).take(MOST_FINDINGS);
    let told = findings.map(|finding| {
        format!("doctor, {}: {}: {}", finding.code, finding.what.to(Lang::En), finding.fix.to(Lang::En))
    });
    let all: Vec<_> = fix.into_iter().chain(told).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn need(need: admin::Need) -> Need {
    let admin::Need { matter, is_broken, about, what, fix } = need;
    Need { matter: matter.to_owned(), is_broken, about, what, fix }
}

fn certificate(failure: Option<FailureFact>, status: CertificateStatus) -> CertificateFact {
    CertificateFact {
        role: match status.role {
            CertificateRole::Listener => Role::Listener,
            CertificateRole::EgressClient => Role::EgressClient,
            CertificateRole::UpstreamPeer => Role::UpstreamPeer,
            CertificateRole::ClientCa => Role::ClientCa,
            CertificateRole::InternalCa => Role::InternalCa,
            CertificateRole::TrustAnchor => Role::TrustAnchor,
        },
        name: status.name,
        state: status.state,
        not_before: status.not_before,
        not_after: status.not_after,
        sha256: status.sha256,
        is_manual: status.renewal_manual,
        emergency: status.emergency,
        failures: status.consecutive_failures,
        failure,
        next_attempt: status.next_attempt,
    }
}

fn server(peer: &Peer) -> ServerFact {
    let shown = peer.certificate();
    let leaf = shown.as_ref().map(|probed| probed.chain.leaf());
    let refused = peer.last_error().filter(|_| peer.tls_failure() == Some(TlsFailure::Pin));
    ServerFact {
        upstream: peer.upstream().to_owned(),
        address: peer.settings().to_string(),
        sha256: leaf.map(|leaf| leaf.fingerprint.to_string()),
        not_after: leaf.map(|leaf| leaf.not_after),
        refused: refused.map(|error| error.to_string()),
    }
}

/// In one message.
const MOST_FINDINGS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::DoctorFinding;
    use crate::language::InEach;
    use crate::lifecycle::{Reason, Retry, Validity};

    #[test]
    fn given_what_the_doctor_found_when_told_then_it_follows_what_the_ca_says_and_three_at_most() {
        let finding = |at: usize| DoctorFinding {
            code: format!("PV064{at}"),
            what: InEach::of(|lang| format!("what {}", lang.tag())),
            fix: InEach::of(|lang| format!("fix {}", lang.tag())),
        };
        let findings =
            |count| Some(Diagnosis { at: Timestamp::from_unix(1), findings: (0..count).map(finding).collect() });
        let one = "doctor, PV0640: what en: fix en";
        for (fix, diagnosis, expected) in [
            (None, None, None),
            (None, findings(0), None),
            (Some("open port 80"), None, Some("open port 80".to_owned())),
            (Some("open port 80"), findings(1), Some(format!("open port 80; {one}"))),
            (None, findings(1), Some(one.to_owned())),
        ] {
            assert_eq!(with_findings(fix.map(str::to_owned), diagnosis), expected);
        }
        assert_eq!(with_findings(None, findings(5)).unwrap().matches("doctor").count(), MOST_FINDINGS);
    }

    #[test]
    fn given_what_happens_to_a_certificate_when_told_then_only_what_people_need() {
        let at = Timestamp::from_unix;
        let failure = lifecycle::Failure {
            reason: Reason::Network,
            retry: Retry::Backoff,
            detail: "something else is shown".to_owned(),
            fix: Some("look for it".to_owned()),
        };
        let issued = lifecycle::Event::Issued {
            kind: lifecycle::Kind::Renew,
            validity: Validity { not_before: at(1), not_after: at(9) },
            serial: "01".to_owned(),
            ca: "ca.test".to_owned(),
        };
        let told = event("m5", &issued, at(2)).unwrap();
        assert_eq!((told.kind, told.not_after, told.issuer.as_deref()), (Kind::Renewed, Some(at(9)), Some("ca.test")));

        let told = event("m5", &lifecycle::Event::RolledBack { failure }, at(2)).unwrap();
        assert_eq!((told.kind, told.detail.as_deref()), (Kind::RolledBack, Some("something else is shown")));
        assert_eq!(event("m5", &lifecycle::Event::Unseen { detail: String::new() }, at(2)), None);
    }
}
