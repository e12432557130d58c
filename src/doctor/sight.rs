//! What was seen, as values; nothing here judges.

use std::net::SocketAddr;

use super::Target;
use crate::pki::Certificate;
use crate::time::Timestamp;

/// All that was seen of one URL.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(super) target: Target,
    pub(super) at: Timestamp,
    /// This machine's name; empty when it has none.
    pub(super) from: String,
    /// Why the name has no address; the resolver's word.
    pub(super) unresolved: Option<String>,
    /// Each address of the name, in the resolver's order.
    pub(super) addresses: Vec<Looked>,
    /// Certificates that the server does not send, from where its own say that they can be had.
    pub(super) fetched: Vec<Certificate>,
    /// What a GET of the URL gets.
    pub(super) secure: Option<Walk>,
    /// What a GET of the same path gets over plain HTTP; `None` where it was not asked.
    pub(super) plain: Option<Walk>,
}

/// One address, and what came of a handshake there.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    pub(super) address: SocketAddr,
    pub(super) outcome: Result<Shown, Trouble>,
}

/// What a server shows in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Such as `TLS 1.3`.
    pub(super) version: String,
    /// As IANA calls it.
    pub(super) cipher: String,
    /// Agreed by ALPN; empty without.
    pub(super) alpn: String,
    /// An OCSP response came along (RFC 6066 §8).
    pub(super) is_stapled: bool,
    /// It asks for a client's certificate.
    pub(super) asks_client: bool,
    /// As sent, leaf first; those that can be read.
    pub(super) chain: Vec<Certificate>,
    /// How many were sent that are no certificates.
    pub(super) unreadable: usize,
    /// Why the handshake broke behind the certificate.
    pub(super) broke: Option<String>,
    /// The server has not shown that it has the leaf's key.
    pub(super) is_unproven: bool,
    /// Only a handshake of old was possible.
    pub(super) is_old: bool,
}

/// Why an address shows no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody listens.
    Refused,
    /// No answer in time.
    Silent,
    /// This machine has no way there, as without IPv6.
    NoRoute,
    /// Somebody answers, but not with TLS.
    NotTls {
        /// It answers a request of plain HTTP.
        speaks_http: bool,
    },
    /// The server does not know the name (alert `unrecognized_name`).
    NameRefused,
    /// All else.
    Broken(String),
}

impl Trouble {
    /// For people who read logs.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Refused => "connection refused".to_owned(),
            Self::Silent => "no answer in time".to_owned(),
            Self::NoRoute => "no route from this machine".to_owned(),
            Self::NotTls { speaks_http: true } => "answers plain HTTP on this port".to_owned(),
            Self::NotTls { speaks_http: false } => "answers, but not with TLS".to_owned(),
            Self::NameRefused => "alert unrecognized_name".to_owned(),
            Self::Broken(detail) => detail.clone(),
        }
    }
}

/// A GET and the redirects that follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) hops: Vec<Hop>,
    pub(super) end: End,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) url: String,
    pub(super) status: u16,
    /// Made whole; empty when the answer redirects nowhere.
    pub(super) location: String,
    /// `Strict-Transport-Security`; empty when it is not sent.
    pub(super) hsts: String,
    /// Names of the cookies that it sets without `Secure` (RFC 6265 §4.1.2.5).
    pub(super) open_cookies: Vec<String>,
    /// Schemes of `WWW-Authenticate`, such as `NTLM` (RFC 9110 §11.6.1).
    pub(super) asks: Vec<String>,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With an answer that redirects nowhere.
    Answered,
    /// At a URL where it was before.
    Loop,
    /// With a redirect to another host.
    Elsewhere,
    /// Nobody listens on that port.
    Refused,
    /// With no answer that makes sense.
    Failed(String),
}

impl Sight {
    /// The first address that showed a certificate.
    pub(super) fn first_shown(&self) -> Option<(SocketAddr, &Shown)> {
        let shown = |looked: &&Looked| looked.outcome.as_ref().is_ok_and(|shown| !shown.chain.is_empty());
        let first = self.addresses.iter().find(shown)?;
        first.outcome.as_ref().ok().map(|shown| (first.address, shown))
    }
}
