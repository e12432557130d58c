//! Proving control over every identifier of an order (RFC 8555 §7.5).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use instant_acme::{
    AuthorizationHandle, AuthorizationStatus, ChallengeHandle, ChallengeStatus, ChallengeType, OrderStatus, Problem,
};

use tracing::warn;

use super::bounded::bounded;
use super::error::{AcmeError, Answer, Step, words};
use super::order::Pauses;
use super::{AcmeSource, again};
use crate::causes::with_causes;
use crate::challenge::{Pending, alpn_config};
use crate::pki::acme_tls_alpn_identity;
use crate::source::{ChallengeKind, Order, blocking};
use crate::store::{FailedProof, Proof};

impl AcmeSource {
    /// Answers every pending authorization, until the order is no longer pending.
    pub(super) async fn authorize(&self, at_ca: &mut instant_acme::Order, order: &Order) -> Result<(), AcmeError> {
        // Dropped when all authorizations are final.
        let answered = self.answer_all(at_ca, order).await?;
        let validated = tokio::time::timeout(self.patience.validation, async {
            self.tell_ready(at_ca, &answered).await?;
            let mut pauses = Pauses::default();
            while at_ca.state().status == OrderStatus::Pending {
                self.pause(&mut pauses).await;
                self.refresh(at_ca, Step::Authorize).await?;
            }
            if at_ca.state().status != OrderStatus::Invalid {
                let all = answered.kinds.iter().map(|(name, kind)| (name.clone(), *kind, None));
                self.note(order, all.collect()).await;
            }
            Ok(())
        });
        match validated.await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.note_all_failed(order, &answered, "the CA did not come to an end").await;
                Err(AcmeError::Timeout { step: Step::Authorize, after: self.patience.validation })
            }
        }
    }

    /// What the CA says against an authorization of an invalid order.
    pub(super) async fn failed_authorization(
        &self,
        at_ca: &mut instant_acme::Order,
        order: &Order,
    ) -> Option<AcmeError> {
        let past = self.proofs(order).await;
        let (mut found, mut seen) = (None, Vec::new());
        for ended in self.ended(at_ca).await {
            match ended.status {
                ChallengeStatus::Valid => seen.push((ended.name.clone(), ended.kind, None)),
                ChallengeStatus::Invalid => seen.push((ended.name.clone(), ended.kind, Some(ended.why()))),
                ChallengeStatus::Pending | ChallengeStatus::Processing => {}
            }
            found = found.or_else(|| self.unproven(ended, &past));
        }
        self.note(order, seen).await;
        found
    }

    /// Our challenges that the CA has looked at, as it has them now.
    pub(super) async fn ended(&self, at_ca: &mut instant_acme::Order) -> Vec<Ended> {
        let mut ended = Vec::new();
        if self.fetch_all(at_ca).await.is_err() {
            return ended;
        }
        let mut authorizations = at_ca.authorizations();
        while let Some(Ok(authorization)) = authorizations.next().await {
            let name = authorization.identifier().to_string();
            for challenge in &authorization.challenges {
                let Some(kind) = self.kind_of(challenge) else { continue };
                let is_final = matches!(challenge.status, ChallengeStatus::Valid | ChallengeStatus::Invalid);
                if is_final || challenge.error.is_some() {
                    let (status, problem) = (challenge.status, challenge.error.clone());
                    ended.push(Ended { name: name.clone(), kind, status, problem });
                }
            }
        }
        ended
    }

    /// What the CA says against a challenge.
    pub(super) fn unproven(&self, ended: Ended, past: &BTreeMap<String, Proof>) -> Option<AcmeError> {
        let Ended { name, kind, problem, .. } = ended;
        let earlier = past.get(&name).and_then(|proof| proof.failed.clone());
        Some(AcmeError::Unproven {
            kind: kind.as_str().to_owned(),
            earlier: earlier.filter(|earlier| earlier.kind != kind.as_str()),
            refusal: Box::new(self.refusal(problem?, &name)),
        })
    }

    /// Which of our kinds a challenge is.
    fn kind_of(&self, challenge: &instant_acme::Challenge) -> Option<ChallengeKind> {
        self.settings.challenges.iter().copied().find(|kind| ChallengeType::from(*kind) == challenge.r#type)
    }

    /// What is known of proving the names of an order. A disk that fails must not keep one from being proven.
    async fn proofs(&self, order: &Order) -> BTreeMap<String, Proof> {
        let name = order.certificate.clone();
        blocking(&self.store, move |store| store.load_proofs(&name)).await.unwrap_or_default()
    }

    /// Keeps and counts how names were proven, or why not.
    async fn note(&self, order: &Order, seen: Vec<(String, ChallengeKind, Option<String>)>) {
        if seen.is_empty() {
            return;
        }
        let (mut proofs, at) = (self.proofs(order).await, self.clock.now());
        for (name, kind, why) in seen {
            self.client.challenged(kind, why.is_none());
            let (proof, kind) = (proofs.entry(name).or_default(), kind.as_str().to_owned());
            match why {
                None => *proof = Proof { worked: Some(kind), failed: None },
                Some(why) => proof.failed = Some(FailedProof { kind, at, why }),
            }
        }
        let name = order.certificate.clone();
        if let Err(error) = blocking(&self.store, move |store| store.save_proofs(&name, &proofs)).await {
            warn!(error = with_causes(&error), "cannot keep which challenges work");
        }
    }

    /// Notes that an attempt came to nothing for every name that was answered.
    async fn note_all_failed(&self, order: &Order, answered: &Answered, why: &str) {
        let all = answered.kinds.iter().map(|(name, kind)| (name.clone(), *kind, Some(why.to_owned())));
        self.note(order, all.collect()).await;
    }

    /// Answers every pending authorization; the CA is not told yet. A text in DNS is waited for, since it is seen late.
    async fn answer_all(&self, at_ca: &mut instant_acme::Order, order: &Order) -> Result<Answered, AcmeError> {
        self.client.seen().doing(Step::Authorize);
        self.fetch_all(at_ca).await?;
        if let Some((identifier, status)) = over(at_ca).await {
            return Err(self.given_up(at_ca, order, identifier, status).await);
        }
        let (mut answered, past) = (Answered::default(), self.proofs(order).await);
        let mut authorizations = at_ca.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.error(Step::Authorize, error))?;
            if authorization.status == AuthorizationStatus::Pending {
                self.answer(&mut authorization, order, &past, &mut answered).await?;
            }
        }
        if answered.by_dns()
            && let Err(error) = self.dns()?.propagated(&order.certificate).await
        {
            answered.kinds.retain(|_, kind| *kind == ChallengeKind::Dns01);
            self.note_all_failed(order, &answered, &with_causes(&error)).await;
            return Err(error.into());
        }
        Ok(answered)
    }

    /// Forgets an order that waits for an authorization which can never become valid, and tells why.
    async fn given_up(
        &self,
        at_ca: &mut instant_acme::Order,
        order: &Order,
        identifier: String,
        status: AuthorizationStatus,
    ) -> AcmeError {
        let why = self.failed_authorization(at_ca, order).await;
        self.count_failure(order, why.as_ref()).await;
        match self.clear(order).await {
            Ok(()) => why.unwrap_or(AcmeError::AuthorizationOver { identifier, status: status_name(status) }),
            Err(error) => error.into(),
        }
    }

    /// Has the CA look at every answer.
    async fn tell_ready(&self, at_ca: &mut instant_acme::Order, answered: &Answered) -> Result<(), AcmeError> {
        let mut authorizations = at_ca.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.error(Step::Authorize, error))?;
            let name = authorization.identifier().to_string();
            let Some(kind) = answered.kinds.get(&name) else { continue };
            let Some(mut challenge) = authorization.challenge((*kind).into()) else { continue };
            if challenge.status == ChallengeStatus::Pending {
                again!(challenge.set_ready().await).map_err(|error| self.error(Step::Authorize, error).of(&name))?;
            }
        }
        Ok(())
    }

    /// Reads the authorizations that are not known yet. A refused nonce ends instant-acme's walk over them, so it
    /// begins again and skips what it has.
    async fn fetch_all(&self, at_ca: &mut instant_acme::Order) -> Result<(), AcmeError> {
        let fetched = again!({
            let mut authorizations = at_ca.authorizations();
            loop {
                match authorizations.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
            }
        });
        fetched.map_err(|error| self.error(Step::Authorize, error))
    }

    async fn answer<'a>(
        &self,
        authorization: &'a mut AuthorizationHandle<'a>,
        order: &Order,
        past: &BTreeMap<String, Proof>,
        answered: &mut Answered,
    ) -> Result<(), AcmeError> {
        let name = authorization.identifier().to_string();
        let offered: Vec<ChallengeType> = authorization.challenges.iter().map(|c| c.r#type.clone()).collect();
        let kind = choose(&self.settings.challenges, &offered, past.get(&name))
            .ok_or_else(|| self.no_challenge(&name, &offered))?;
        let Some(challenge) = authorization.challenge(kind.into()) else {
            return Err(self.no_challenge(&name, &offered));
        };
        match kind {
            ChallengeKind::Dns01 => {
                let value = challenge.key_authorization().dns_value();
                if let Err(error) = self.dns()?.present(&order.certificate, &name, &value).await {
                    self.note(order, vec![(name, kind, Some(with_causes(&error)))]).await;
                    return Err(error.into());
                }
            }
            ChallengeKind::DnsPersist01 => {
                if let Err(error) = self.require_published(&name, &order.identifiers).await {
                    self.note(order, vec![(name, kind, Some(with_causes(&error)))]).await;
                    return Err(error);
                }
            }
            ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => {
                answered.until_final.extend(self.publish(kind, &name, &challenge)?);
            }
        }
        answered.kinds.insert(name, kind);
        Ok(())
    }

    /// Answers on our own listeners, for as long as the guard lives.
    fn publish(
        &self,
        kind: ChallengeKind,
        name: &str,
        challenge: &ChallengeHandle<'_>,
    ) -> Result<Option<Pending>, AcmeError> {
        let authorization = challenge.key_authorization();
        match kind {
            ChallengeKind::Http01 => Ok(Some(self.challenges.publish_http(&challenge.token, authorization.as_str()))),
            ChallengeKind::TlsAlpn01 => {
                let digest = authorization.digest();
                let digest = digest.as_ref().try_into().map_err(|_| AcmeError::OrderInvalid)?;
                let certified = acme_tls_alpn_identity(name, digest).map_err(AcmeError::Challenge)?;
                Ok(Some(self.challenges.publish_alpn(&server_name(name), alpn_config(certified)?)))
            }
            ChallengeKind::Dns01 | ChallengeKind::DnsPersist01 => Ok(None),
        }
    }

    fn no_challenge(&self, name: &str, offered: &[ChallengeType]) -> AcmeError {
        let list = |names: Vec<&str>| names.join(", ");
        AcmeError::NoChallenge {
            identifier: name.to_owned(),
            offered: list(offered.iter().map(type_name).collect()),
            allowed: list(self.settings.challenges.iter().map(|kind| kind.as_str()).collect()),
        }
    }

    fn refusal(&self, problem: Problem, name: &str) -> AcmeError {
        let answer = Answer { retry_after: None, ..Answer::latest(self.client.seen()) };
        AcmeError::Refused {
            step: Step::Authorize,
            identifier: Some(name.to_owned()),
            problem: bounded(problem).into(),
            answer,
        }
    }
}

/// The first authorization that is neither valid nor can become so (RFC 8555 §7.1.6). All are fetched.
async fn over(at_ca: &mut instant_acme::Order) -> Option<(String, AuthorizationStatus)> {
    let mut authorizations = at_ca.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        if !matches!(authorization.status, AuthorizationStatus::Pending | AuthorizationStatus::Valid) {
            return Some((authorization.identifier().to_string(), authorization.status));
        }
    }
    None
}

/// As RFC 8555 §7.1.4 writes it.
const fn status_name(status: AuthorizationStatus) -> &'static str {
    match status {
        AuthorizationStatus::Pending => "pending",
        AuthorizationStatus::Valid => "valid",
        AuthorizationStatus::Invalid => "invalid",
        AuthorizationStatus::Revoked => "revoked",
        AuthorizationStatus::Expired => "expired",
        AuthorizationStatus::Deactivated => "deactivated",
    }
}

/// A challenge that the CA has looked at.
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) kind: ChallengeKind,
    pub(super) status: ChallengeStatus,
    problem: Option<Problem>,
}

impl Ended {
    fn why(&self) -> String {
        self.problem.as_ref().map_or_else(|| "no reason is given".to_owned(), words)
    }
}

/// Challenges that are answered.
#[derive(Default)]
struct Answered {
    /// By identifier.
    kinds: HashMap<String, ChallengeKind>,
    /// Our listeners answer as long as these live.
    until_final: Vec<Pending>,
}

impl Answered {
    fn by_dns(&self) -> bool {
        self.kinds.values().any(|kind| *kind == ChallengeKind::Dns01)
    }
}

/// The kind that worked last, else the first that is allowed and offered; after a failure, the one after that which failed.
fn choose(allowed: &[ChallengeKind], offered: &[ChallengeType], past: Option<&Proof>) -> Option<ChallengeKind> {
    let possible: Vec<ChallengeKind> =
        allowed.iter().copied().filter(|kind| offered.contains(&(*kind).into())).collect();
    let place = |kind: &str| possible.iter().position(|own| own.as_str() == kind);
    let failed = past.and_then(|past| place(&past.failed.as_ref()?.kind));
    let worked = past.and_then(|past| place(past.worked.as_ref()?));
    let chosen = match (failed, worked) {
        (Some(failed), _) => (failed + 1) % possible.len(),
        (None, Some(worked)) => worked,
        (None, None) => 0,
    };
    possible.get(chosen).copied()
}

impl From<ChallengeKind> for ChallengeType {
    fn from(kind: ChallengeKind) -> Self {
        match kind {
            ChallengeKind::Http01 => Self::Http01,
            ChallengeKind::TlsAlpn01 => Self::TlsAlpn01,
            ChallengeKind::Dns01 => Self::Dns01,
            ChallengeKind::DnsPersist01 => Self::Unknown(kind.as_str().to_owned()),
        }
    }
}

fn type_name(kind: &ChallengeType) -> &str {
    match kind {
        ChallengeType::Http01 => "http-01",
        ChallengeType::Dns01 => "dns-01",
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        ChallengeType::Unknown(name) => name,
        _ => "another kind",
    }
}

/// What the CA sends as SNI: the name, or the reverse-zone name of an address (RFC 8738 §6).
fn server_name(identifier: &str) -> String {
    match identifier.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
        Err(_) => identifier.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_worked_and_what_failed_when_choosing_then_that_first_and_the_next_after() {
        use ChallengeKind::{Dns01, Http01, TlsAlpn01};
        let past = |worked: Option<&str>, failed: Option<&str>| {
            let failed = failed.map(|kind| FailedProof {
                kind: kind.to_owned(),
                at: crate::time::Timestamp::default(),
                why: String::new(),
            });
            Some(Proof { worked: worked.map(str::to_owned), failed })
        };
        let all = [ChallengeType::Dns01, ChallengeType::Http01, ChallengeType::TlsAlpn01];
        let (both, swapped, none) = (vec![Http01, TlsAlpn01], vec![TlsAlpn01, Http01], vec![]);
        let three = vec![Http01, TlsAlpn01, Dns01];
        let table = [
            ("first", &both, None, &all[..], Some(Http01)),
            ("after a failure", &both, past(None, Some("http-01")), &all, Some(TlsAlpn01)),
            ("after two", &both, past(None, Some("tls-alpn-01")), &all, Some(Http01)),
            ("what worked", &both, past(Some("tls-alpn-01"), None), &all, Some(TlsAlpn01)),
            ("what worked, and failed", &both, past(Some("tls-alpn-01"), Some("tls-alpn-01")), &all, Some(Http01)),
            (
                "what worked, and the other failed",
                &both,
                past(Some("tls-alpn-01"), Some("http-01")),
                &all,
                Some(TlsAlpn01),
            ),
            ("what worked is not allowed any more", &both, past(Some("dns-01"), None), &all, Some(Http01)),
            ("other order", &swapped, None, &all, Some(TlsAlpn01)),
            ("only one offered", &both, past(None, Some("http-01")), &all[..2], Some(Http01)),
            ("none offered: a wildcard", &both, None, &all[..1], None),
            ("a wildcard with dns", &three, None, &all[..1], Some(Dns01)),
            ("no wildcard with dns", &three, None, &all, Some(Http01)),
            ("no wildcard after two", &three, past(None, Some("tls-alpn-01")), &all, Some(Dns01)),
            ("none allowed", &none, None, &all, None),
        ];
        for (name, allowed, past, offered, expected) in table {
            assert_eq!(choose(allowed, offered, past.as_ref()), expected, "{name}");
        }
    }

    #[test]
    fn given_identifiers_when_validated_by_tls_then_the_server_name_is_that_of_rfc_8738() {
        let table = [
            ("m5.test", "m5.test"),
            ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
            ("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ];
        for (identifier, expected) in table {
            assert_eq!(server_name(identifier), expected);
        }
    }
}
