//! dns-persist-01: control over a name proven by a text that the operator publishes once, and that stays
//! (draft-ietf-acme-dns-persist). We change nothing in DNS, and the CA is asked only when the text is there.

use serde::Serialize;
use tracing::warn;

use super::propagation::{Lack, Place, places};
use super::{AcmeSource, DnsError};
use crate::causes::with_causes;
use crate::dns::{IssueValue, LookupError, Resolver};
use crate::source::AcmeSettings;
use crate::source::acme::{AcmeError, Step};
use crate::time::Timestamp;

/// The text that lets an account order for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersistRecord {
    /// Where it stands, such as `_validation-persist.example.com`.
    pub name: String,
    /// What its TXT record says: the CA's issuer domain name, the account, and whether wildcards are meant too.
    pub value: String,
}

/// Whether DNS has a [`PersistRecord`] now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "detail")]
pub enum Published {
    /// Every name server that answers has it.
    Yes,
    /// One has not; what is there in its place.
    No(String),
    /// Nobody answers, and why.
    Unknown(String),
}

impl PersistRecord {
    /// What to publish for the names of a certificate: one record for each name, its wildcard included. Addresses have none.
    pub fn for_names(identifiers: &[String], issuer: &str, account: &str) -> Vec<Self> {
        let mut bases: Vec<&str> = Vec::new();
        for identifier in identifiers.iter().filter(|identifier| identifier.parse::<std::net::IpAddr>().is_err()) {
            let base = base(identifier);
            if !bases.contains(&base) {
                bases.push(base);
            }
        }
        bases.into_iter().map(|base| Self::new(base, identifiers, issuer, account)).collect()
    }

    fn new(base: &str, identifiers: &[String], issuer: &str, account: &str) -> Self {
        let has_wildcard = identifiers.iter().any(|other| other.strip_prefix("*.") == Some(base));
        let policy = if has_wildcard { "; policy=wildcard" } else { "" };
        Self { name: format!("{PREFIX}{base}"), value: format!("{issuer}; accounturi={account}{policy}") }
    }
}

impl AcmeSource {
    /// What the operator has to publish for these names, and whether it is there. Registers the account if there is none.
    ///
    /// # Errors
    ///
    /// Every [`AcmeError`] on the way to an account, and [`DnsError::NoIssuer`] where the CA does not say its name.
    pub async fn persist_records(&self, identifiers: &[String]) -> Result<Vec<(PersistRecord, Published)>, AcmeError> {
        let opened = self.accounts().open().await?;
        let account = opened.account.id();
        let issuers = self.issuers().await?;
        let Some(issuer) = issuers.first() else {
            return Err(DnsError::NoIssuer { directory: self.settings.directory.clone() }.into());
        };
        let mut told = Vec::new();
        for record in PersistRecord::for_names(identifiers, issuer, account) {
            let needs_wildcard = record.value.ends_with("policy=wildcard");
            let wanted = Wanted { issuers: &issuers, account, now: self.clock.now(), needs_wildcard };
            let published = self.look(&record.name, &wanted).await;
            told.push((record, published));
        }
        Ok(told)
    }

    /// Refuses to ask the CA for an identifier whose text is not there: a failed validation counts.
    ///
    /// What cannot be looked up from here is left to the CA.
    pub(in crate::source::acme) async fn require_published(
        &self,
        identifier: &str,
        identifiers: &[String],
    ) -> Result<(), AcmeError> {
        let issuers = self.issuers().await?;
        let account = self.accounts().load().await?.and_then(|kept| kept.url);
        let (Some(issuer), Some(account)) = (issuers.first(), account) else { return Ok(()) };
        let needs_wildcard = identifier.starts_with("*.");
        let wanted = Wanted { issuers: &issuers, account: &account, now: self.clock.now(), needs_wildcard };
        let PersistRecord { name, value } = PersistRecord::new(base(identifier), identifiers, issuer, &account);
        match self.look(&name, &wanted).await {
            Published::Yes => Ok(()),
            Published::No(found) => Err(DnsError::NotPublished { name, value, found }.into()),
            Published::Unknown(why) => {
                warn!(name, why, "cannot look whether the text is there: leaving it to the CA");
                Ok(())
            }
        }
    }

    /// The names by which the CA goes in records; the first is the one to write.
    async fn issuers(&self) -> Result<Vec<String>, AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        let told = directory.meta.caa_identities.clone();
        Ok(match told.is_empty() && self.settings.is_lets_encrypt() {
            true => vec![AcmeSettings::LETS_ENCRYPT_ISSUER.to_owned()],
            false => told,
        })
    }

    /// Asks every name server of the zone.
    async fn look(&self, name: &str, wanted: &Wanted<'_>) -> Published {
        match self.lacks(name, wanted).await {
            Ok(lacks) => judged(lacks),
            Err(error) => Published::Unknown(with_causes(&error)),
        }
    }

    /// What each name server lacks, behind the aliases of the name.
    async fn lacks(&self, name: &str, wanted: &Wanted<'_>) -> Result<Vec<(Place, Option<Lack>)>, LookupError> {
        let (resolvers, named) = match self.settings.dns.as_deref() {
            Some(dns) => (dns.resolvers.as_slice(), dns.nameservers.as_slice()),
            None => (&[][..], &[][..]),
        };
        let resolver = Resolver::with_servers(resolvers);
        let end = resolver.aliases(name).await?.pop().unwrap_or_else(|| name.to_owned());
        let mut seen = Vec::new();
        for place in places(&resolver, named, &end).await? {
            let lack = place.lack(|texts| wanted.judge(texts)).await;
            seen.push((place, lack));
        }
        Ok(seen)
    }
}

/// One server without the text outweighs others: a CA may ask that one.
fn judged(seen: Vec<(Place, Option<Lack>)>) -> Published {
    let has_any = seen.iter().any(|(_, lack)| lack.is_none());
    let mut silent = None;
    for (place, lack) in seen {
        match lack {
            Some(Lack::Without(address, found)) => {
                return Published::No(format!("{} ({address}) {found}", place.server));
            }
            Some(Lack::Silent(why)) => silent = Some(why),
            None => {}
        }
    }
    match has_any {
        true => Published::Yes,
        false => Published::Unknown(silent.unwrap_or_else(|| "the zone has no name servers".to_owned())),
    }
}

/// What a text must say.
struct Wanted<'a> {
    issuers: &'a [String],
    account: &'a str,
    now: Timestamp,
    needs_wildcard: bool,
}

impl Wanted<'_> {
    /// One of the texts must do; else what is wrong with that which comes nearest.
    fn judge(&self, texts: &[String]) -> Result<(), String> {
        let ours = texts.iter().map(|text| (text, IssueValue::parse(text)));
        let ours =
            ours.filter(|(_, value)| self.issuers.iter().any(|issuer| issuer.eq_ignore_ascii_case(&value.issuer)));
        let mut nearest = Flaw::Absent;
        for (text, value) in ours {
            match self.flaw(&value) {
                None => return Ok(()),
                Some(flaw) => nearest = nearest.max(flaw(text.clone())),
            }
        }
        Err(nearest.to_string())
    }

    /// What is wrong with a text for our CA. As Boulder judges it: strictly in its form, and at the name itself alone.
    fn flaw(&self, value: &IssueValue) -> Option<fn(String) -> Flaw> {
        let has_wildcard = value.parameter("policy").is_some_and(|policy| policy.eq_ignore_ascii_case("wildcard"));
        let until = value.parameter("persistuntil").map(str::parse::<i64>);
        if !value.is_well_formed || matches!(until, Some(Err(_))) {
            return Some(Flaw::Malformed);
        }
        if value.parameter("accounturi") != Some(self.account) {
            return Some(Flaw::OtherAccount);
        }
        if matches!(until, Some(Ok(until)) if self.now > Timestamp::from_unix(until)) {
            return Some(Flaw::Over);
        }
        (self.needs_wildcard && !has_wildcard).then_some(Flaw::NoWildcard)
    }
}

/// What is wrong with a text, the nearest to right last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
enum Flaw {
    #[error("has no such text")]
    Absent,
    #[error(
        "has `{0}`, which CAs cannot read: wanted is `ISSUER; accounturi=URL`, each parameter once, nothing behind the last"
    )]
    Malformed(String),
    #[error("has `{0}`, which lets another account order")]
    OtherAccount(String),
    #[error("has `{0}`, whose `persistUntil` is over")]
    Over(String),
    #[error("has `{0}`, which does not hold for wildcards: `policy=wildcard` is missing")]
    NoWildcard(String),
}

/// A wildcard is proven at the name below it.
fn base(identifier: &str) -> &str {
    identifier.strip_prefix("*.").unwrap_or(identifier)
}

const PREFIX: &str = "_validation-persist.";

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.test/acct/1";

    #[test]
    fn given_names_when_records_are_made_then_one_for_each_and_wildcards_included() {
        let names = ["m5.test", "*.m5.test", "www.m5.test", "*.other.test", "192.0.2.7", "2001:db8::7"];
        let records = PersistRecord::for_names(&names.map(str::to_owned), "ca.test", ACCOUNT);
        let expected = [
            ("_validation-persist.m5.test", "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard"),
            ("_validation-persist.www.m5.test", "ca.test; accounturi=https://ca.test/acct/1"),
            ("_validation-persist.other.test", "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard"),
        ];
        let found: Vec<_> = records.iter().map(|record| (record.name.as_str(), record.value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn given_texts_when_judged_then_form_issuer_account_policy_and_time_must_fit() {
        let issuers = ["ca.test".to_owned()];
        let absent = Some("has no such text");
        let other = Some("another account");
        let malformed = Some("CAs cannot read");
        let table = [
            ("ours", "ca.test; accounturi=https://ca.test/acct/1", false, None),
            ("in other letters", "CA.test.;accounturi = https://ca.test/acct/1; persistUntil=1000", false, None),
            ("an unknown parameter", "ca.test; accounturi=https://ca.test/acct/1; new=1", false, None),
            ("another issuer", "other.test; accounturi=https://ca.test/acct/1", false, absent),
            ("another account", "ca.test; accounturi=https://ca.test/acct/2", false, other),
            ("no account", "ca.test", false, other),
            ("over", "ca.test; accounturi=https://ca.test/acct/1; persistUntil=999", false, Some("is over")),
            ("until when?", "ca.test; accounturi=https://ca.test/acct/1; persistUntil=soon", false, malformed),
            ("a semicolon more", "ca.test; accounturi=https://ca.test/acct/1;", false, malformed),
            ("twice", "ca.test; accounturi=https://ca.test/acct/1; ACCOUNTURI=x", false, malformed),
            ("no wildcard", "ca.test; accounturi=https://ca.test/acct/1", true, Some("`policy=wildcard` is missing")),
            ("wildcard", "ca.test; accounturi=https://ca.test/acct/1; policy=Wildcard", true, None),
            ("wildcard for the name", "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard", false, None),
            ("nothing", "", false, absent),
        ];
        for (name, text, needs_wildcard, expected) in table {
            let now = Timestamp::from_unix(1000);
            let wanted = Wanted { issuers: &issuers, account: ACCOUNT, now, needs_wildcard };
            let found = wanted.judge(&[text.to_owned()]).err();
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) => assert!(found.contains(expected), "{name}: {found}"),
                _ => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn given_several_texts_when_judged_then_one_that_fits_is_enough_and_the_nearest_is_told() {
        let issuers = ["ca.test".to_owned()];
        let now = Timestamp::from_unix(1000);
        let wanted = Wanted { issuers: &issuers, account: ACCOUNT, now, needs_wildcard: true };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let other = "ca.test; accounturi=https://ca.test/acct/2";
        let plain = "ca.test; accounturi=https://ca.test/acct/1";
        let found = wanted.judge(&texts(&["other.test", other, plain, "ca.test;"])).unwrap_err();
        assert!(found.contains("policy=wildcard"), "{found}");
        let wild = format!("{plain}; policy=wildcard");
        assert_eq!(wanted.judge(&texts(&[other, plain, &wild])), Ok(()));
    }
}
