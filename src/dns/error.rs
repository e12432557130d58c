//! Why a question to DNS has no answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A lookup that gave no answer. That a name has no record of a kind is an answer, an empty one.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {record} of `{name}`: {why}")]
pub struct LookupError {
    /// What was asked for, such as `A` or `TXT`.
    pub record: &'static str,
    /// The name that was asked about; behind an alias it is the alias's target.
    pub name: String,
    /// What went wrong.
    pub why: Why,
}

impl LookupError {
    /// Whether the name does not exist (NXDOMAIN), which is certain, rather than unknown.
    pub const fn is_no_such_name(&self) -> bool {
        matches!(self.why, Why::NoSuchName)
    }

    /// Whether a signature in DNS does not hold, so that every validating resolver, a CA's too, refuses the name.
    pub const fn is_dnssec(&self) -> bool {
        matches!(self.why, Why::Dnssec { .. })
    }
}

/// What went wrong with a lookup.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// NXDOMAIN (RFC 1035 §4.1.1).
    #[error("the name does not exist")]
    NoSuchName,
    /// SERVFAIL, and the same question is answered once the server need not check signatures.
    #[error("its DNSSEC signatures do not hold, says {server}{}", Told(detail))]
    Dnssec {
        /// Who says so.
        server: SocketAddr,
        /// The server's own words (RFC 8914).
        detail: Option<String>,
    },
    /// SERVFAIL: the server could not find out.
    #[error("the name server {server} failed{}", Told(detail))]
    ServerFailure {
        /// Who failed.
        server: SocketAddr,
        /// The server's own words (RFC 8914).
        detail: Option<String>,
    },
    /// REFUSED: the server does not answer us, or not for this zone.
    #[error("the name server {server} refuses to answer")]
    Refused {
        /// Who refuses.
        server: SocketAddr,
    },
    /// Any other response code.
    #[error("the name server {server} answers `{code}`")]
    Code {
        /// Who answered.
        server: SocketAddr,
        /// Such as `Not Implemented`.
        code: String,
    },
    /// Silence.
    #[error("no answer from {server} within {} s", after.as_secs())]
    Timeout {
        /// Who is silent.
        server: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
    /// Several servers, and none of them in time.
    #[error("no name server answered within {} s", after.as_secs())]
    Deadline {
        /// Of the whole lookup.
        after: Duration,
    },
    /// The network says that nobody is there.
    #[error("the name server {server} cannot be reached: {source}")]
    Unreachable {
        /// Who.
        server: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
    /// No DNS message, or one that breaks off.
    #[error("what the name server {server} answers cannot be read")]
    Malformed {
        /// Who answered.
        server: SocketAddr,
    },
    /// Aliases that lead to one another, or too many.
    #[error("its aliases (CNAME) do not come to an end")]
    Loop,
    /// An empty label, or too long.
    #[error("it is not a DNS name")]
    NotAName,
    /// The system's servers are unknown.
    #[error("the system's name servers cannot be read: {source}")]
    NoServers {
        /// The system's words.
        source: io::Error,
    },
}

impl Why {
    /// Whether it is silence only, so that another server's words say more.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Unreachable { .. } | Self::Malformed { .. })
    }
}

/// A server's words, when it gave any.
struct Told<'a>(&'a Option<String>);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}
