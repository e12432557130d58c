//! Proving control over every identifier of an order (RFC 8555 §7.5).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use instant_acme::{
    AuthorizationHandle, AuthorizationStatus, ChallengeHandle, ChallengeStatus, ChallengeType, OrderStatus, Problem,
};

use super::error::{AcmeError, Answer, Step};
use super::order::Pauses;
use super::{AcmeSource, again};
use crate::challenge::{Pending, alpn_config};
use crate::pki::acme_tls_alpn_identity;
use crate::source::{ChallengeKind, Order};

impl AcmeSource {
    /// Answers every pending authorization, until the order is no longer pending.
    pub(super) async fn authorize(&self, at_ca: &mut instant_acme::Order, order: &Order) -> Result<(), AcmeError> {
        // Dropped when all authorizations are final.
        let answered = self.answer_all(at_ca, order).await?;
        let validated = tokio::time::timeout(VALIDATION_DEADLINE, async {
            self.tell_ready(at_ca, &answered).await?;
            let mut pauses = Pauses::default();
            while at_ca.state().status == OrderStatus::Pending {
                self.pause(&mut pauses).await;
                self.refresh(at_ca, Step::Authorize).await?;
            }
            Ok(())
        });
        validated.await.unwrap_or(Err(AcmeError::Timeout { step: Step::Authorize, after: VALIDATION_DEADLINE }))
    }

    /// What the CA says against an authorization of an invalid order.
    pub(super) async fn failed_authorization(&self, at_ca: &mut instant_acme::Order) -> Option<AcmeError> {
        self.fetch_all(at_ca).await.ok()?;
        let mut authorizations = at_ca.authorizations();
        while let Some(Ok(authorization)) = authorizations.next().await {
            let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.clone());
            if let Some(problem) = problem {
                return Some(self.refusal(problem, &authorization.identifier().to_string()));
            }
        }
        None
    }

    /// Answers every pending authorization; the CA is not told yet. A text in DNS is waited for, since it is seen late.
    async fn answer_all(&self, at_ca: &mut instant_acme::Order, order: &Order) -> Result<Answered, AcmeError> {
        self.client.seen().doing(Step::Authorize);
        self.fetch_all(at_ca).await?;
        let mut answered = Answered::default();
        let mut authorizations = at_ca.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.error(Step::Authorize, error))?;
            if authorization.status == AuthorizationStatus::Pending {
                self.answer(&mut authorization, order, &mut answered).await?;
            }
        }
        if answered.by_dns() {
            self.dns()?.propagated(&order.certificate).await?;
        }
        Ok(answered)
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
        answered: &mut Answered,
    ) -> Result<(), AcmeError> {
        let name = authorization.identifier().to_string();
        let offered: Vec<ChallengeType> = authorization.challenges.iter().map(|c| c.r#type.clone()).collect();
        let kind = choose(&self.settings.challenges, order.failures, &offered)
            .ok_or_else(|| self.no_challenge(&name, &offered))?;
        let Some(challenge) = authorization.challenge(kind.into()) else {
            return Err(self.no_challenge(&name, &offered));
        };
        match kind {
            ChallengeKind::Dns01 => {
                let value = challenge.key_authorization().dns_value();
                self.dns()?.present(&order.certificate, &name, &value).await?;
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
            ChallengeKind::Dns01 => Ok(None),
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
        AcmeError::Refused { step: Step::Authorize, identifier: Some(name.to_owned()), problem: problem.into(), answer }
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

/// The first allowed kind that is offered; after a failure the next one is the first.
fn choose(allowed: &[ChallengeKind], failures: u32, offered: &[ChallengeType]) -> Option<ChallengeKind> {
    let first = usize::try_from(failures).unwrap_or(0).checked_rem(allowed.len())?;
    allowed.iter().cycle().skip(first).take(allowed.len()).copied().find(|kind| offered.contains(&(*kind).into()))
}

impl From<ChallengeKind> for ChallengeType {
    fn from(kind: ChallengeKind) -> Self {
        match kind {
            ChallengeKind::Http01 => Self::Http01,
            ChallengeKind::TlsAlpn01 => Self::TlsAlpn01,
            ChallengeKind::Dns01 => Self::Dns01,
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

/// All authorizations of one order. Let's Encrypt gives up on a challenge within seconds.
const VALIDATION_DEADLINE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_failures_when_choosing_then_the_allowed_kinds_take_turns() {
        use ChallengeKind::{Dns01, Http01, TlsAlpn01};
        let all = [ChallengeType::Dns01, ChallengeType::Http01, ChallengeType::TlsAlpn01];
        let (both, swapped, none) = (vec![Http01, TlsAlpn01], vec![TlsAlpn01, Http01], vec![]);
        let three = vec![Http01, TlsAlpn01, Dns01];
        let table = [
            ("first", &both, 0, &all[..], Some(Http01)),
            ("after a failure", &both, 1, &all, Some(TlsAlpn01)),
            ("after two", &both, 2, &all, Some(Http01)),
            ("other order", &swapped, 0, &all, Some(TlsAlpn01)),
            ("only one offered", &both, 1, &all[..2], Some(Http01)),
            ("none offered: a wildcard", &both, 0, &all[..1], None),
            ("a wildcard with dns", &three, 0, &all[..1], Some(Dns01)),
            ("no wildcard with dns", &three, 0, &all, Some(Http01)),
            ("no wildcard after two", &three, 2, &all, Some(Dns01)),
            ("none allowed", &none, 0, &all, None),
        ];
        for (name, allowed, failures, offered, expected) in table {
            assert_eq!(choose(allowed, failures, offered), expected, "{name}");
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
