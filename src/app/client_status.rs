//! Client identities as operators and metrics see them.

use crate::admin::{ClientIdentity, IdentityAction, IdentityRefusal, IdentityTrial, ShownIdentity};
use crate::lifecycle::State;
use crate::lifecycle::rotation::{Refused, Slot};
use crate::manager::client::{ClientStatus, SlotStatus, name_shown};
use crate::metrics::{CertificateRole, CertificateStatus, ClientIdentityStatus};
use crate::pki::Identity;
use crate::time::Timestamp;

use super::certificate_status::of_chain;

/// For the metrics.
pub(super) fn numbers(status: &ClientStatus) -> ClientIdentityStatus {
    let in_use = status.identity.is_some().then(|| status.view.rotation.origin().unwrap_or(Slot::First));
    ClientIdentityStatus { destination: status.name.clone(), in_use, refusals: status.view.refusals }
}

/// The certificates of one name: `NAME` is the first, `NAME/next` the other. What is in use goes before what the files hold.
pub(super) fn certificates(status: &ClientStatus, now: Timestamp) -> Vec<CertificateStatus> {
    let in_use = status.identity.as_ref().zip(status.view.rotation.origin());
    let of = |slot: &SlotStatus| {
        let used = in_use.filter(|(_, origin)| *origin == slot.slot).map(|(identity, _)| identity);
        let name = match slot.slot {
            Slot::First => status.name.clone(),
            Slot::Next => format!("{}/next", status.name),
        };
        used.or(slot.identity.as_ref()).map(|identity| certificate(&name, identity, now))
    };
    status.slots.iter().filter_map(of).collect()
}

fn certificate(name: &str, identity: &Identity, now: Timestamp) -> CertificateStatus {
    let not_after = identity.chain().leaf().not_after;
    let state = if now > not_after { State::Expired } else { State::Static };
    of_chain(name, CertificateRole::EgressClient, state, identity.chain())
}

/// For the status page.
pub(super) fn shown(status: ClientStatus, now: Timestamp) -> ClientIdentity {
    let in_use = status.identity.clone();
    let is_in_use = |identity: &Identity| {
        in_use.as_ref().is_some_and(|in_use| in_use.chain().fingerprint() == identity.chain().fingerprint())
    };
    let mut identities: Vec<_> = status.slots.iter().map(|slot| of_slot(&status, slot, &is_in_use, now)).collect();
    if let Some(replaced) = in_use.as_ref().filter(|_| !identities.iter().any(|it| it.is_in_use)) {
        let mut shown = facts("replaced", Some(replaced), now);
        shown.is_in_use = true;
        identities.push(shown);
    }
    let origin = status.view.rotation.origin();
    ClientIdentity {
        destination: status.name,
        is_bankid: status.is_bankid,
        in_use: in_use.is_some().then(|| origin.map_or("replaced", Slot::as_str)),
        why: status.why,
        identities,
        last_refusal: status.view.last_refusal.map(|last| IdentityRefusal {
            at: last.at,
            reason: last.why.as_str(),
            detail: format!("{}: {}", last.why, last.detail),
        }),
        last_trial: status.last_trial.map(|last| IdentityTrial {
            at: last.at,
            subject: last.common_name,
            outcome: match last.is_accepted {
                Some(true) => "accepted",
                Some(false) => "refused",
                None => "unreachable",
            },
            detail: last.detail,
        }),
        last_answer: status.view.last_answer,
        next: IdentityAction { todo: status.next.todo, action: status.next.action, at: status.next.at },
    }
}

fn of_slot(
    status: &ClientStatus,
    slot: &SlotStatus,
    is_in_use: &dyn Fn(&Identity) -> bool,
    now: Timestamp,
) -> ShownIdentity {
    let mut shown = facts(slot.slot.as_str(), slot.identity.as_deref(), now);
    let known = status.view.rotation.of(slot.slot);
    shown.file = Some(slot.file.clone());
    shown.is_in_use = slot.identity.as_deref().is_some_and(is_in_use);
    shown.accepted = known.and_then(|known| known.accepted);
    shown.refused = known.and_then(|known| known.refused.as_ref()).map(refusal);
    shown.trouble = slot.trouble.as_ref().map(|(_, detail)| detail.clone());
    shown
}

fn facts(slot: &'static str, identity: Option<&Identity>, now: Timestamp) -> ShownIdentity {
    let leaf = identity.map(|identity| identity.chain().leaf());
    let days = |end: Timestamp| (end.as_unix().saturating_sub(now.as_unix())).div_euclid(86_400);
    ShownIdentity {
        slot,
        is_in_use: false,
        file: None,
        subject: leaf.map(|leaf| leaf.common_name.clone()).unwrap_or_default(),
        display_name: leaf.map(|leaf| name_shown(leaf).to_owned()).unwrap_or_default(),
        issuer: leaf.map(|leaf| leaf.issuer.clone()).unwrap_or_default(),
        sha256: leaf.map(|leaf| leaf.fingerprint.to_string()).unwrap_or_default(),
        not_before: leaf.map(|leaf| leaf.not_before),
        not_after: leaf.map(|leaf| leaf.not_after),
        days_left: leaf.map(|leaf| days(leaf.not_after)),
        accepted: None,
        refused: None,
        trouble: None,
    }
}

fn refusal(refused: &Refused) -> IdentityRefusal {
    let detail = format!("{}: {}", refused.why, refused.detail);
    IdentityRefusal { at: refused.at, reason: refused.why.as_str(), detail }
}
