//! What operators are shown. Its JSON is an interface: points of time are RFC 3339 strings in UTC.

use serde::{Serialize, Serializer};

use crate::lifecycle::State;
use crate::metrics::{CertificateRole, CertificateStatus};
use crate::time::Timestamp;

/// Everything there is to know at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Our version.
    pub version: String,
    /// The moment.
    #[serde(serialize_with = "time")]
    pub now: Timestamp,
    /// When the process started.
    #[serde(serialize_with = "time")]
    pub started: Timestamp,
    /// Seconds since.
    pub uptime: u64,
    /// Absolute path; `None` when everything came from the command line.
    pub config_file: Option<String>,
    /// The last attempt to load the configuration.
    pub last_reload: Reload,
    /// How many files and sockets may be open; `None` where no limit is known.
    pub descriptor_limit: Option<u64>,
    /// Addresses that are listened on.
    pub listeners: Vec<Listener>,
    /// Sites that HTTP/2 is not offered for.
    pub http1_only: Vec<Http1Only>,
    /// Every site in `observe`, and what the end of it would mean.
    pub observe: Vec<Observing>,
    /// Every certificate.
    pub certificates: Vec<Certificate>,
    /// What handshakes with our own listeners show.
    pub served: Vec<Served>,
    /// Every client identity.
    pub client_identities: Vec<ClientIdentity>,
    /// Every upstream.
    pub upstreams: Vec<Upstream>,
    /// What answers have told about the set-up behind us, since the last reload.
    pub troubles: Vec<Trouble>,
    /// Every CA that is ordered from.
    pub acme: Vec<Acme>,
}

/// A site that HTTP/2 is not offered for.
#[derive(Clone, Debug, Serialize)]
pub struct Http1Only {
    /// Its name.
    pub site: String,
    /// When its server was first seen to ask for NTLM or Negotiate; `None` where the configuration says it.
    #[serde(serialize_with = "maybe_time")]
    pub since: Option<Timestamp>,
}

/// What a handshake with one of our listeners shows for one name.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    /// Name of the certificate that should be shown.
    pub certificate: String,
    /// The listener, as in the metrics.
    pub listener: String,
    /// The domain as configured.
    pub name: String,
    /// When a handshake last told something.
    #[serde(serialize_with = "maybe_time")]
    pub at: Option<Timestamp>,
    /// It showed what was published, in date and for its name; `None` before there was one.
    pub as_published: Option<bool>,
    /// What was found last, in words.
    pub found: String,
}

/// An attempt to load the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Reload {
    /// It serves; where not, the one before does.
    pub ok: bool,
    /// When it was tried.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// Why it failed, as printed in the log.
    pub error: Option<String>,
}

/// An address that is listened on.
#[derive(Clone, Debug, Serialize)]
pub struct Listener {
    /// What is spoken there.
    pub kind: ListenerKind,
    /// As bound, with the port that was really given.
    pub address: String,
}

/// What is spoken on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerKind {
    /// Plain HTTP.
    Http,
    /// TLS.
    Https,
    /// This.
    Admin,
    /// Requests of local applications to what lies outside.
    Egress,
}

impl ListenerKind {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Admin => "admin",
            Self::Egress => "egress",
        }
    }
}

/// A certificate: its facts, what happens next to it, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// The configured name.
    pub name: String,
    /// What it is used for.
    #[serde(serialize_with = "role")]
    pub role: CertificateRole,
    /// How it is served.
    #[serde(serialize_with = "state")]
    pub state: State,
    /// DNS names and IP addresses that it is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// The fingerprint, hexadecimal.
    pub sha256: String,
    /// Such as `ecdsa-p256`.
    pub key_type: String,
    /// Begin of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_before: Option<Timestamp>,
    /// End of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_after: Option<Timestamp>,
    /// When it is to be renewed.
    #[serde(serialize_with = "maybe_time")]
    pub renewal_due: Option<Timestamp>,
    /// No protocol renews it: somebody has to.
    pub renewal_manual: bool,
    /// When it was last tried to be obtained.
    #[serde(serialize_with = "maybe_time")]
    pub last_attempt: Option<Timestamp>,
    /// When it was last obtained.
    #[serde(serialize_with = "maybe_time")]
    pub last_success: Option<Timestamp>,
    /// Failed attempts since.
    pub consecutive_failures: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What came of the rehearsal that failures were answered with.
    pub rehearsal: Option<String>,
    /// What happens next; `None` where nothing is planned.
    pub next: Option<Next>,
    /// What the CA says about when to renew it (RFC 9773); `None` where none was asked.
    pub renewal_information: Option<RenewalInformation>,
}

/// What a CA says about when to renew a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct RenewalInformation {
    /// First moment; `None` where it suggests none.
    #[serde(serialize_with = "maybe_time")]
    pub start: Option<Timestamp>,
    /// Last moment.
    #[serde(serialize_with = "maybe_time")]
    pub end: Option<Timestamp>,
    /// When it was asked.
    #[serde(serialize_with = "time")]
    pub asked_at: Timestamp,
    /// Address of a page that explains it to humans.
    pub explanation: Option<String>,
}

impl Certificate {
    /// Puts the facts that metrics have and the words that people need together.
    pub fn new(facts: CertificateStatus, next: Option<Next>, last_error: Option<String>) -> Self {
        Self {
            name: facts.name,
            role: facts.role,
            state: facts.state,
            names: facts.sans,
            issuer: facts.issuer,
            serial: facts.serial,
            sha256: facts.sha256,
            key_type: facts.key_type,
            not_before: facts.not_before,
            not_after: facts.not_after,
            renewal_due: facts.renewal_due,
            renewal_manual: facts.renewal_manual,
            last_attempt: facts.last_attempt,
            last_success: facts.last_success,
            consecutive_failures: facts.consecutive_failures,
            last_error,
            rehearsal: None,
            next,
            renewal_information: facts.information.map(|it| RenewalInformation {
                start: it.window.map(|(start, _)| start),
                end: it.window.map(|(_, end)| end),
                asked_at: it.asked_at,
                explanation: it.explanation,
            }),
        }
    }
}

/// What happens next to a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Next {
    /// A verb: `renew`, `try again`, `replace by hand`.
    pub action: String,
    /// When; `None` for now.
    #[serde(serialize_with = "maybe_time")]
    pub at: Option<Timestamp>,
    /// Why then, in a word.
    pub reason: &'static str,
    /// Why then.
    pub why: String,
}

/// Who we are to one destination that asks for a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct ClientIdentity {
    /// The egress or upstream.
    pub destination: String,
    /// `identity` or `next`: where what is in use came from; `None` when there is nothing to show.
    pub in_use: Option<&'static str>,
    /// Why it is that one.
    pub why: Option<String>,
    /// Each that is configured.
    pub identities: Vec<ShownIdentity>,
    /// The last time that the destination refused one.
    pub last_refusal: Option<IdentityRefusal>,
    /// The last time that one was tried.
    pub last_trial: Option<IdentityTrial>,
    /// When the destination last answered a request.
    #[serde(serialize_with = "maybe_time")]
    pub last_answer: Option<Timestamp>,
    /// What happens next, or what somebody has to do.
    pub next: IdentityAction,
}

/// A client identity as its certificate says.
#[derive(Clone, Debug, Serialize)]
pub struct ShownIdentity {
    /// `identity`, `next`, or `replaced` for one in use whose files hold another by now.
    pub slot: &'static str,
    /// It is the one that is shown.
    pub is_in_use: bool,
    /// Its file; `None` for one that is in none any more.
    pub file: Option<String>,
    /// Common name; empty when the files hold nothing of use.
    pub subject: String,
    /// What people see when it is shown.
    pub display_name: String,
    /// Who issued it.
    pub issuer: String,
    /// The leaf's fingerprint, hexadecimal.
    pub sha256: String,
    /// Begin of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_before: Option<Timestamp>,
    /// End of its validity.
    #[serde(serialize_with = "maybe_time")]
    pub not_after: Option<Timestamp>,
    /// Whole days that are left; negative for those since.
    pub days_left: Option<i64>,
    /// When the destination last accepted it, since it was last refused.
    #[serde(serialize_with = "maybe_time")]
    pub accepted: Option<Timestamp>,
    /// Why the destination refuses it.
    pub refused: Option<IdentityRefusal>,
    /// Why its files cannot be used.
    pub trouble: Option<String>,
}

/// That a destination refused a client identity.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityRefusal {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// As in the metrics, such as `expired`.
    pub reason: &'static str,
    /// In words.
    pub detail: String,
}

/// That a client identity was tried.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityTrial {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// Common name of what was tried.
    pub subject: String,
    /// `accepted`, `refused` or `unreachable`.
    pub outcome: &'static str,
    /// In words.
    pub detail: String,
}

/// What happens next to a client identity.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityAction {
    /// Such as `order a new one at your bank`.
    pub action: String,
    /// When, at the latest; `None` for now.
    #[serde(serialize_with = "maybe_time")]
    pub at: Option<Timestamp>,
}

/// A site in `observe`: what would be done with its requests over plain HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct Observing {
    /// Its name.
    pub site: String,
    /// Since when it was counted.
    #[serde(serialize_with = "time")]
    pub since: Timestamp,
    /// Requests that would have been refused.
    pub would_refuse: u64,
    /// Requests that would have been sent to https.
    pub would_redirect: u64,
    /// By path, client and reason; what would be refused first, then the most frequent.
    pub requests: Vec<Observed>,
}

/// Observed requests of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Observed {
    /// Below what they lie; `None` for all paths that are not listed.
    pub path: Option<String>,
    /// Family of the client, such as `android_app`.
    pub client: &'static str,
    /// The same for people.
    pub who: &'static str,
    /// `breaks`: refused; `may_break`: sent to https, which not every program follows; `goes_on`: a browser.
    pub risk: &'static str,
    /// Why, for people.
    pub why: &'static str,
    /// Such as `POST`; of the last one.
    pub method: &'static str,
    /// How many.
    pub count: u64,
    /// The first one.
    #[serde(serialize_with = "time")]
    pub first_seen: Timestamp,
    /// The last one.
    #[serde(serialize_with = "time")]
    pub last_seen: Timestamp,
}

/// An upstream.
#[derive(Clone, Debug, Serialize)]
pub struct Upstream {
    /// The configured name.
    pub name: String,
    /// `http://127.0.0.1:8080`, `unix:/run/app.sock`; several are joined by `, `.
    pub address: String,
    /// Nothing is known against at least one of its peers.
    pub healthy: bool,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// Its servers, one or several.
    pub peers: Vec<Peer>,
}

/// One server of an upstream.
#[derive(Clone, Debug, Serialize)]
pub struct Peer {
    /// `http://127.0.0.1:8080`, `unix:/run/app.sock`.
    pub address: String,
    /// The last attempt to reach it worked, or none was made, and it passes its checks.
    pub healthy: bool,
    /// `up`; `ejected` for a while after a failure; `down` while its health checks fail.
    pub state: &'static str,
    /// Requests that it is answering, WebSockets included.
    pub requests: usize,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// What it showed in the last handshake that it was believed in.
    pub certificate: Option<PeerCertificate>,
}

/// The certificate of an upstream's server.
#[derive(Clone, Debug, Serialize)]
pub struct PeerCertificate {
    /// Common name, which may be empty.
    pub subject: String,
    /// SHA-256 of the certificate, hex.
    pub sha256: String,
    /// Last second of validity.
    #[serde(serialize_with = "time")]
    pub not_after: Timestamp,
}

/// A mistake in the set-up behind us that answers give away.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// Such as `PV0317`; `portvakt help` tells more.
    pub code: String,
    /// As in the metrics, such as `ssl_required`.
    pub reason: &'static str,
    /// The name of the upstream or the route.
    pub about: String,
    /// What happens, and why.
    pub what: &'static str,
    /// How to mend it.
    pub fix: &'static str,
    /// How often it was seen.
    pub count: u64,
    /// The first time.
    #[serde(serialize_with = "time")]
    pub first_seen: Timestamp,
    /// The last time.
    #[serde(serialize_with = "time")]
    pub last_seen: Timestamp,
}

/// A CA that is ordered from.
#[derive(Clone, Debug, Serialize)]
pub struct Acme {
    /// URL of its directory.
    pub directory: String,
    /// URL of our account there; `None` until there is one.
    pub account: Option<String>,
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn maybe_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

fn role<S: Serializer>(role: &CertificateRole, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.as_str())
}

fn state<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
