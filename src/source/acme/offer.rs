//! What a CA offers and wants, asked without an account: for those who look before anything is ordered.

use std::sync::Arc;
use std::time::Duration;

use super::clients::Clients;
use super::directory::Directory;
use super::http::TransportError;
use crate::causes::with_causes;
use crate::source::AcmeSettings;
use crate::time::SystemClock;

/// What came of asking a CA for its directory (RFC 8555 §7.1.1), by the way that orders take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it says about itself.
    pub offer: Result<Offer, NoOffer>,
    /// Seconds that its clock is ahead of ours; behind when negative, zero when it does not say.
    pub skew: i64,
}

/// What a CA says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Names by which it goes in CAA records.
    pub issuers: Vec<String>,
    /// Where its terms of service are.
    pub terms: Option<String>,
    /// It gives accounts only to those whom it knows (RFC 8555 §7.3.4).
    pub needs_eab: bool,
    /// Names of its certificate profiles.
    pub profiles: Vec<String>,
}

/// Why there is no directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOffer {
    /// Nobody answers, or one who cannot now.
    #[error("{0}")]
    Unreachable(String),
    /// Something else answers.
    #[error("{0}")]
    NotAcme(String),
}

/// What a CA wants or lacks, so that every order would fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// `eab` is missing.
    #[error("it gives accounts only to those whom it knows (external account binding): `eab` is missing")]
    NoExternalAccount,
    /// There is no such profile.
    #[error("it has no profile `{profile}`; it has {}", listed(offered))]
    NoProfile {
        /// As it is set.
        profile: String,
        /// Those that there are.
        offered: Vec<String>,
    },
}

impl Offer {
    /// What keeps a CA with these settings from issuing. An account that is there already needs nobody to know us.
    pub fn misfits(&self, settings: &AcmeSettings, has_account: bool) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        if self.needs_eab && settings.eab.is_none() && !has_account {
            misfits.push(Misfit::NoExternalAccount);
        }
        if let Some(profile) = settings.profile.as_ref().filter(|profile| !self.profiles.contains(profile)) {
            misfits.push(Misfit::NoProfile { profile: profile.clone(), offered: self.profiles.clone() });
        }
        misfits
    }
}

/// Asks the CA of these settings. Ends within `patience`.
pub async fn ask(settings: &AcmeSettings, patience: Duration) -> Asked {
    let client = match Clients::default().client(settings, Arc::new(SystemClock)) {
        Ok(client) => client,
        Err(error) => return Asked { offer: Err(NoOffer::Unreachable(with_causes(&error))), skew: 0 },
    };
    let offer = match tokio::time::timeout(patience, client.directory()).await {
        Ok(Ok(directory)) => Ok(Offer::from(&*directory)),
        Ok(Err(error)) => Err(NoOffer::from(&error)),
        Err(_elapsed) => Err(NoOffer::Unreachable(format!("no answer within {} s", patience.as_secs()))),
    };
    Asked { offer, skew: client.seen().skew() }
}

impl From<&Directory> for Offer {
    fn from(directory: &Directory) -> Self {
        Self {
            issuers: directory.meta.caa_identities.clone(),
            terms: directory.meta.terms_of_service.clone(),
            needs_eab: directory.meta.external_account_required,
            profiles: directory.profiles().into_iter().map(str::to_owned).collect(),
        }
    }
}

impl From<&TransportError> for NoOffer {
    fn from(error: &TransportError) -> Self {
        let words = with_causes(error);
        match error.status() {
            Some(status) if !status.is_server_error() && status != http::StatusCode::TOO_MANY_REQUESTS => {
                Self::NotAcme(words)
            }
            Some(_) | None => Self::Unreachable(words),
        }
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Password;
    use crate::source::PasswordSource;
    use crate::source::acme::ExternalAccount;

    #[test]
    fn given_what_a_ca_offers_when_compared_with_what_is_set_then_each_misfit_is_said() {
        let offer = |profiles: &[&str], needs_eab| Offer {
            profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
            needs_eab,
            ..Offer::default()
        };
        let ca = |profile: Option<&str>, is_known: bool| AcmeSettings {
            profile: profile.map(str::to_owned),
            eab: is_known.then(|| ExternalAccount {
                kid: "kid-1".to_owned(),
                key: PasswordSource::Given(Password::new("0123456789abcdef0123")),
            }),
            ..AcmeSettings::default()
        };
        let table: [(&str, Offer, AcmeSettings, bool, &[&str]); 7] = [
            ("nothing wanted", offer(&[], false), ca(None, false), false, &[]),
            ("a profile it has", offer(&["short"], false), ca(Some("short"), false), false, &[]),
            ("another", offer(&["classic"], false), ca(Some("short"), false), false, &["it has `classic`"]),
            ("it has none", offer(&[], false), ca(Some("short"), false), false, &["it has none"]),
            ("unknown to it", offer(&[], true), ca(None, false), false, &["`eab` is missing"]),
            ("with an account", offer(&[], true), ca(None, false), true, &[]),
            ("known to it", offer(&[], true), ca(None, true), false, &[]),
        ];
        for (name, offer, settings, has_account, expected) in table {
            let found: Vec<_> = offer.misfits(&settings, has_account).iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
            assert!(found.iter().zip(expected).all(|(found, words)| found.contains(words)), "{name}: {found:?}");
        }
    }

    #[test]
    fn given_answers_that_are_no_directory_when_judged_then_what_may_pass_is_not_called_another_server() {
        for (status, is_other) in [(200, true), (404, true), (401, true), (429, false), (503, false)] {
            let status = http::StatusCode::from_u16(status).unwrap();
            let judged = NoOffer::from(&TransportError::NoDirectory { status });
            assert_eq!(matches!(judged, NoOffer::NotAcme(_)), is_other, "{status}");
        }
    }
}
