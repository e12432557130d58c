//! What CAs are known to allow.

use super::Bucket;

/// A limit of a CA. Its order is that of the documentation of Let's Encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// New accounts of one address.
    Registrations,
    /// New orders of one account.
    Orders,
    /// Certificates for one registered domain, IPv4 address or IPv6 /64, of all accounts together.
    Domain,
    /// Certificates for exactly the same identifiers, of all accounts together.
    SameSet,
    /// Failed authorizations of one identifier by one account.
    FailedAuthorizations,
    /// The same, without one success in between; then the identifier is paused.
    FailedInARow,
}

impl Limit {
    /// Every limit, in the order of declaration.
    pub const ALL: [Self; 6] = [
        Self::Registrations,
        Self::Orders,
        Self::Domain,
        Self::SameSet,
        Self::FailedAuthorizations,
        Self::FailedInARow,
    ];

    /// Label of metrics and key in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registrations => "registrations",
            Self::Orders => "orders",
            Self::Domain => "domain",
            Self::SameSet => "duplicate_set",
            Self::FailedAuthorizations => "failed_authz",
            Self::FailedInARow => "failed_in_a_row",
        }
    }
}

/// The limits of one CA.
#[derive(Debug, PartialEq, Eq)]
pub struct Limits {
    /// For people.
    pub name: &'static str,
    buckets: &'static [(Limit, Bucket)],
}

impl Limits {
    /// What is known of the CA with this directory; `None` for all but Let's Encrypt.
    ///
    /// # Why
    ///
    /// A limit that is guessed holds up orders that the CA would have taken. Others tell their limits by `Retry-After`.
    pub fn of(directory: &str) -> Option<&'static Self> {
        let host = directory.split_once("://").map_or(directory, |(_, rest)| rest).split('/').next()?;
        match host.to_ascii_lowercase().as_str() {
            "acme-v02.api.letsencrypt.org" => Some(&LETS_ENCRYPT),
            "acme-staging-v02.api.letsencrypt.org" => Some(&LETS_ENCRYPT_STAGING),
            _ => None,
        }
    }

    /// The bucket of a limit, when there is one.
    pub fn bucket(&self, limit: Limit) -> Option<Bucket> {
        self.buckets.iter().find(|(known, _)| *known == limit).map(|(_, bucket)| *bucket)
    }
}

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;

/// <https://letsencrypt.org/docs/rate-limits/>, 5 August 2026.
static LETS_ENCRYPT: Limits = Limits {
    name: "Let's Encrypt",
    buckets: &[
        (Limit::Registrations, Bucket::filled_within(10, 3 * HOUR)),
        (Limit::Orders, Bucket::filled_within(300, 3 * HOUR)),
        (Limit::Domain, Bucket::filled_within(50, 7 * DAY)),
        (Limit::SameSet, Bucket::filled_within(5, 7 * DAY)),
        (Limit::FailedAuthorizations, Bucket::filled_within(5, HOUR)),
        (Limit::FailedInARow, Bucket { capacity: 1152, every: DAY }),
    ],
};

/// <https://letsencrypt.org/docs/staging-environment/>, 5 August 2026. 30,000 a second are no limit for one program.
static LETS_ENCRYPT_STAGING: Limits = Limits {
    name: "Let's Encrypt (staging)",
    buckets: &[
        (Limit::Registrations, Bucket::filled_within(50, 3 * HOUR)),
        (Limit::Orders, Bucket::filled_within(1500, 3 * HOUR)),
        (Limit::SameSet, Bucket::filled_within(30_000, 7 * DAY)),
        (Limit::FailedAuthorizations, Bucket::filled_within(200, HOUR)),
        (Limit::FailedInARow, Bucket::filled_within(3600, 6 * HOUR)),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_lets_encrypts_table_then_one_token_comes_as_often_as_it_says() {
        let limits = Limits::of("https://acme-v02.api.letsencrypt.org/directory").unwrap();
        let table = [
            (Limit::Registrations, 10, 18 * 60),
            (Limit::Orders, 300, 36),
            (Limit::Domain, 50, 201 * 60 + 36),
            (Limit::SameSet, 5, 33 * 3600 + 36 * 60),
            (Limit::FailedAuthorizations, 5, 12 * 60),
            (Limit::FailedInARow, 1152, 86_400),
        ];
        for (limit, capacity, every) in table {
            assert_eq!(limits.bucket(limit), Some(Bucket { capacity, every }), "{limit:?}");
        }
        assert_eq!(table.map(|row| row.0), Limit::ALL);
    }

    #[test]
    fn given_a_directory_when_asked_for_then_only_lets_encrypts_hosts_are_known() {
        let known = |url| Limits::of(url).map(|limits| limits.name);
        assert_eq!(known("https://ACME-v02.api.letsencrypt.org/directory"), Some("Let's Encrypt"));
        assert_eq!(known("https://acme-staging-v02.api.letsencrypt.org/directory"), Some("Let's Encrypt (staging)"));
        for url in ["https://acme.test/letsencrypt.org", "https://acme-v02.api.letsencrypt.org.evil.test/", "", "x"] {
            assert_eq!(known(url), None, "{url}");
        }
        let staging = Limits::of("https://acme-staging-v02.api.letsencrypt.org/directory").unwrap();
        assert_eq!(staging.bucket(Limit::Domain), None);
    }
}
