//! The records that an operator publishes once for dns-persist-01.

use serde::Serialize;

use super::acme::{AcmeWorkError, open, source};
use crate::challenge::Challenges;
use crate::config::Config;
use crate::source::acme::{PersistRecord, Published};
use crate::source::{AcmeSettings, ChallengeKind, Settings};

/// One record, and whether DNS has it.
#[derive(Clone, Debug, Serialize)]
pub struct DnsRecordFacts {
    /// Name of the certificate.
    pub site: String,
    /// Of the CA that looks for it.
    pub directory: String,
    /// `challenges` names dns-persist-01.
    pub is_used: bool,
    /// What to publish.
    #[serde(flatten)]
    pub record: PersistRecord,
    /// Whether it is there.
    pub published: Published,
}

/// The records for the names of a site, or of all. Each CA is asked by which name it goes; an account that is not there yet is
/// registered, since the records name it.
///
/// # Errors
///
/// [`AcmeWorkError`] when there is no such site, or a CA gives no account.
pub async fn dns_records(config: &Config, site: Option<&str>) -> Result<Vec<DnsRecordFacts>, AcmeWorkError> {
    let store = open(config)?;
    let (mut told, mut found) = (Vec::new(), false);
    for certificate in &config.certificates {
        let Settings::Acme(cas) = &certificate.source else { continue };
        let is_named = |site: &str| certificate.name == site || certificate.identifiers.iter().any(|name| name == site);
        if !site.is_none_or(is_named) {
            continue;
        }
        found = true;
        for ca in asked(cas.iter()) {
            let is_used = uses(ca);
            let source = source(ca.clone(), store.clone(), Challenges::default())?;
            for (record, published) in source.persist_records(&certificate.identifiers).await? {
                let (site, directory) = (certificate.name.clone(), ca.directory.clone());
                told.push(DnsRecordFacts { site, directory, is_used, record, published });
            }
        }
    }
    match (found, site) {
        (true, _) => Ok(told),
        (false, None) => Err(AcmeWorkError::Unknown("no site gets its certificate by ACME".to_owned())),
        (false, Some(site)) => Err(AcmeWorkError::Unknown(format!("no site `{site}` gets its certificate by ACME"))),
    }
}

/// The CAs that use such records; where none does, the first, for somebody who is about to change that.
fn asked<'a>(cas: impl Iterator<Item = &'a AcmeSettings>) -> Vec<&'a AcmeSettings> {
    let all: Vec<_> = cas.collect();
    let using: Vec<_> = all.iter().copied().filter(|ca| uses(ca)).collect();
    match using[..] {
        [] => all.into_iter().take(1).collect(),
        _ => using,
    }
}

fn uses(ca: &AcmeSettings) -> bool {
    ca.challenges.contains(&ChallengeKind::DnsPersist01)
}
