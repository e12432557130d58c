//! What is sent in a trial.

use rand::RngExt;

use crate::source::Trial;
use crate::upstream::{self, Question};

/// What is sent in a trial.
///
/// nginx and others refuse a client certificate only in their answer; where the health of an upstream is checked, that
/// request is the trial.
pub fn question(trial: &Trial, upstream: &upstream::Settings) -> Option<Question> {
    match trial {
        Trial::Handshake => {
            let health = upstream.health.as_ref()?;
            Some(Question { method: "GET".to_owned(), target: health.path.clone(), json: None })
        }
        Trial::Request { method, target } => {
            Some(Question { method: method.clone(), target: target.clone(), json: None })
        }
        Trial::BankId { target } => {
            let json = Some(format!("{{\"orderRef\":\"{}\"}}", nobodys_order()));
            Some(Question { method: "POST".to_owned(), target: target.clone(), json })
        }
    }
}

/// A random UUID (RFC 9562 §5.4), which no order has.
fn nobodys_order() -> String {
    let bits = rand::rng().random::<u128>() & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_trial_at_bankid_when_asked_then_an_order_that_nobody_has() {
        let trial = Trial::BankId { target: "/rp/v6.0/collect".into() };

        let [one, two] = [(); 2].map(|()| question(&trial, &upstream(None)).unwrap());

        assert_eq!((&*one.method, &*one.target), ("POST", "/rp/v6.0/collect"));
        assert_ne!(one.json, two.json);
        let body: serde_json::Value = serde_json::from_str(&one.json.unwrap()).unwrap();
        let order = body["orderRef"].as_str().unwrap();
        assert_eq!((order.len(), &order[14..15]), (36, "4"), "{order}");
        assert!("89ab".contains(&order[19..20]), "{order}");
    }

    #[test]
    fn given_no_trial_when_the_upstream_is_checked_then_the_check_is_the_trial() {
        let asked = |health| question(&Trial::Handshake, &upstream(health)).map(|question| question.target);

        assert_eq!(asked(None), None);
        assert_eq!(asked(Some(upstream::HealthCheck::of("/up"))).as_deref(), Some("/up"));
    }

    fn upstream(health: Option<upstream::HealthCheck>) -> upstream::Settings {
        upstream::Settings {
            name: "partner".into(),
            peers: Vec::new(),
            host: None,
            preset: None,
            timeouts: upstream::Timeouts::default(),
            health,
            affinity: upstream::AffinityRule::Auto,
            request_buffering: upstream::RequestBuffering::Off,
        }
    }
}
