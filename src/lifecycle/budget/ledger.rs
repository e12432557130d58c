//! What was asked of one CA, as far as it counts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bucket, Limit, Limits, key};
use crate::time::Timestamp;

/// Of each bucket that is not full, when it is full again. Kept in the store, one for each directory.
///
/// Unknown fields of a newer version are ignored, missing ones are empty. Buckets that are full again are forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    version: u32,
    /// By [`Limit::as_str`], then by what is counted.
    full_at: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// Sets of identifiers for which there was a certificate, and when the last one came.
    issued: BTreeMap<String, Timestamp>,
}

/// What is about to be ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// URL of the account; `None` while there is none.
    pub account: Option<&'a str>,
    /// In any order.
    pub identifiers: &'a [String],
    /// It says which certificate it replaces, as the CA has asked for (RFC 9773 §5): exempt from all limits, as far as we
    /// can know.
    pub replaces: bool,
}

/// An order that the CA would refuse for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which limit.
    pub limit: Limit,
    /// Whose: an account, or identifiers.
    pub of: String,
    /// The limit's whole bucket.
    pub bucket: Bucket,
    /// When it is possible.
    pub at: Timestamp,
}

/// How one bucket stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its label.
    pub limit: Limit,
    /// Whose: an account, a registered domain, or identifiers.
    pub of: String,
    /// Tokens left.
    pub left: u32,
    /// Tokens in a full one.
    pub capacity: u32,
    /// When there is one more; `None` when it is full.
    pub next: Option<Timestamp>,
}

impl Ledger {
    /// Whether the CA would take this order, by what is surely known: our own orders, certificates and failures.
    ///
    /// # Errors
    ///
    /// The refusal that ends last, as the CA would tell. Only limits that count what we did are judged: the domain's may be
    /// raised, and others order for it too.
    pub fn judge(&self, limits: &Limits, ask: &Ask<'_>, now: Timestamp) -> Result<(), Refusal> {
        if ask.replaces {
            return Ok(());
        }
        let certain = [Limit::Orders, Limit::SameSet, Limit::FailedAuthorizations];
        let keyed =
            certain.into_iter().flat_map(|limit| self.keys(limit, ask).into_iter().map(move |key| (limit, key)));
        let refused = keyed.filter_map(|(limit, (of, key))| self.refusal(limits, limit, of, &key, now));
        refused.max_by_key(|refusal| refusal.at).map_or(Ok(()), Err)
    }

    /// Whether the CA would register an account, by our own registrations.
    ///
    /// # Errors
    ///
    /// The refusal, with its end.
    pub fn judge_registration(&self, limits: &Limits, now: Timestamp) -> Result<(), Refusal> {
        let ask = Ask { account: None, identifiers: &[], replaces: false };
        let keys = self.keys(Limit::Registrations, &ask).into_iter();
        let mut refused = keys.filter_map(|(of, key)| self.refusal(limits, Limit::Registrations, of, &key, now));
        refused.next().map_or(Ok(()), Err)
    }

    fn refusal(&self, limits: &Limits, limit: Limit, of: String, key: &str, now: Timestamp) -> Option<Refusal> {
        let bucket = limits.bucket(limit)?;
        let full_at = self.full_at(limit, key);
        let at = bucket.next_token(full_at, now).filter(|_| bucket.left(full_at, now) == 0)?;
        Some(Refusal { limit, of, bucket, at })
    }

    /// An account is about to be registered.
    pub fn registers(&mut self, limits: &Limits, now: Timestamp) {
        self.spend(limits, Limit::Registrations, &[String::new()], now);
    }

    /// The account that was about to be registered was not, or was there before.
    pub fn not_registered(&mut self, limits: &Limits, now: Timestamp) {
        let Some(bucket) = limits.bucket(Limit::Registrations) else { return };
        let Some(moments) = self.full_at.get_mut(Limit::Registrations.as_str()) else { return };
        if let Some(full_at) = moments.get_mut("") {
            *full_at = bucket.put_back(*full_at, now);
        }
    }

    /// The order is about to be sent.
    pub fn orders(&mut self, limits: &Limits, ask: &Ask<'_>, now: Timestamp) {
        self.spend_all(limits, Limit::Orders, ask, now);
    }

    /// The order that was sent was not taken.
    pub fn not_taken(&mut self, limits: &Limits, ask: &Ask<'_>, now: Timestamp) {
        let (Some(bucket), false) = (limits.bucket(Limit::Orders), self.is_renewal(ask)) else { return };
        let Some(moments) = self.full_at.get_mut(Limit::Orders.as_str()) else { return };
        if let Some(full_at) = ask.account.and_then(|account| moments.get_mut(account)) {
            *full_at = bucket.put_back(*full_at, now);
        }
    }

    /// A certificate has come.
    pub fn issued(&mut self, limits: &Limits, ask: &Ask<'_>, now: Timestamp) {
        if !ask.replaces {
            self.spend_all(limits, Limit::Domain, ask, now);
            self.spend_all(limits, Limit::SameSet, ask, now);
        }
        if let Some(account) = ask.account {
            self.passed(account, ask.identifiers);
        }
        self.issued.insert(key::set(ask.identifiers), now);
        bound(&mut self.issued);
    }

    /// Control over an identifier could not be proven.
    pub fn failed(&mut self, limits: &Limits, account: &str, identifier: &str, now: Timestamp) {
        let key = [key::of_account(account, identifier)];
        self.spend(limits, Limit::FailedAuthorizations, &key, now);
        self.spend(limits, Limit::FailedInARow, &key, now);
    }

    /// How every bucket stands that this order would draw on.
    pub fn standings(&self, limits: &Limits, ask: &Ask<'_>, now: Timestamp) -> Vec<Standing> {
        let of_limit = |limit: Limit| {
            let bucket = limits.bucket(limit);
            let standing = move |(of, key): (String, String)| {
                let full_at = self.full_at(limit, &key);
                let bucket = bucket?;
                let (left, next) = (bucket.left(full_at, now), bucket.next_token(full_at, now));
                Some(Standing { limit, of, left, capacity: bucket.capacity, next })
            };
            self.keys(limit, ask).into_iter().filter_map(standing).collect::<Vec<_>>()
        };
        Limit::ALL.into_iter().flat_map(of_limit).collect()
    }

    /// One success ends a row of failures.
    fn passed(&mut self, account: &str, identifiers: &[String]) {
        if let Some(rows) = self.full_at.get_mut(Limit::FailedInARow.as_str()) {
            for identifier in identifiers {
                rows.remove(&key::of_account(account, identifier));
            }
        }
    }

    /// What an order draws on under a limit: for people, and as the key here.
    fn keys(&self, limit: Limit, ask: &Ask<'_>) -> Vec<(String, String)> {
        let same = |key: String| (key.clone(), key);
        match limit {
            Limit::Registrations => vec![("this address".to_owned(), String::new())],
            Limit::Orders => ask.account.map(|account| same(account.to_owned())).into_iter().collect(),
            Limit::Domain => key::registered_domains(ask.identifiers).into_iter().map(same).collect(),
            Limit::SameSet => vec![(ask.identifiers.join(", "), key::set(ask.identifiers))],
            Limit::FailedAuthorizations | Limit::FailedInARow => {
                let of_account = |account: &str| {
                    let keyed = |name: &String| (name.clone(), key::of_account(account, name));
                    ask.identifiers.iter().map(keyed).collect()
                };
                ask.account.map_or_else(Vec::new, of_account)
            }
        }
    }

    /// A renewal of the same set is exempt from what counts new names.
    fn spend_all(&mut self, limits: &Limits, limit: Limit, ask: &Ask<'_>, now: Timestamp) {
        if self.is_renewal(ask) && matches!(limit, Limit::Orders | Limit::Domain) {
            return;
        }
        let keys: Vec<String> = self.keys(limit, ask).into_iter().map(|(_, key)| key).collect();
        self.spend(limits, limit, &keys, now);
    }

    fn is_renewal(&self, ask: &Ask<'_>) -> bool {
        ask.replaces || self.issued.contains_key(&key::set(ask.identifiers))
    }

    fn spend(&mut self, limits: &Limits, limit: Limit, keys: &[String], now: Timestamp) {
        let Some(bucket) = limits.bucket(limit) else { return };
        let moments = self.full_at.entry(limit.as_str().to_owned()).or_default();
        for key in keys {
            let full_at = moments.entry(key.clone()).or_default();
            *full_at = bucket.spend(*full_at, now);
        }
        moments.retain(|_, full_at| *full_at > now);
        bound(moments);
    }

    fn full_at(&self, limit: Limit, key: &str) -> Timestamp {
        self.full_at.get(limit.as_str()).and_then(|moments| moments.get(key)).copied().unwrap_or_default()
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self { version: VERSION, full_at: BTreeMap::new(), issued: BTreeMap::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, of, bucket, at } = self;
        let within = words(Duration::from_secs(u64::from(bucket.every) * u64::from(bucket.capacity)));
        let all = match limit {
            Limit::Registrations => "new accounts".to_owned(),
            Limit::Orders => format!("new orders of the account `{of}`"),
            Limit::Domain => format!("certificates for names under `{of}`"),
            Limit::SameSet => format!("certificates for exactly `{of}`"),
            Limit::FailedAuthorizations | Limit::FailedInARow => format!("failed validations of `{of}`"),
        };
        write!(f, "{} {all} within {within} are all that it takes; one more is possible at {at}", bucket.capacity)
    }
}

/// Such as `7 d` or `3 h`.
fn words(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

/// Forgets what is nearest to being full, or longest ago, beyond [`MOST`].
fn bound(moments: &mut BTreeMap<String, Timestamp>) {
    if moments.len() <= MOST {
        return;
    }
    let mut all: Vec<Timestamp> = moments.values().copied().collect();
    all.sort_unstable();
    let first = all[all.len() - MOST];
    moments.retain(|_, moment| *moment >= first);
    while moments.len() > MOST {
        moments.pop_first();
    }
}

const VERSION: u32 = 1;

/// Of each kind; a thousand sites stay well below, and the file below what the store reads.
const MOST: usize = 2000;
