//! What operators are shown. Its JSON is an interface: points of time are RFC 3339 strings in UTC.

mod acme;
mod certificate;
mod client_crl;
mod egress;
mod event;
mod identity;
mod notifier;
mod site;
mod upstream;

use serde::{Serialize, Serializer};

use crate::lifecycle::State;
use crate::metrics::CertificateRole;
use crate::time::Timestamp;

pub use acme::{Acme, AcmeCertificate, Allowance};
pub use certificate::{Certificate, CertificateFailure, Diagnosis, DoctorFinding, Next, RenewalInformation, Served};
pub use client_crl::ClientCrl;
pub use egress::{Call, Egress};
pub use event::{Detail, Event, EventKind};
pub use identity::{ClientIdentity, IdentityAction, IdentityRefusal, IdentityTrial, ShownIdentity};
pub use notifier::{Notifier, NotifierFailure};
pub use site::{Enforced, Http1Only, Observed, Observing};
pub use upstream::{Peer, PeerCertificate, Trouble, Upstream};

/// Everything there is to know at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Our version.
    pub version: String,
    /// Name of the machine.
    pub host: String,
    /// Where the process stands.
    pub phase: Phase,
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
    /// The process can open nothing but what its configuration needs (`landlock`).
    pub confined: bool,
    /// Addresses that are listened on.
    pub listeners: Vec<Listener>,
    /// Sites that HTTP/2 is not offered for.
    pub http1_only: Vec<Http1Only>,
    /// What was done with requests over plain HTTP, of every site.
    pub enforcement: Vec<Enforced>,
    /// Every site in `observe`, and what the end of it would mean.
    pub observe: Vec<Observing>,
    /// Every certificate.
    pub certificates: Vec<Certificate>,
    /// What handshakes with our own listeners show.
    pub served: Vec<Served>,
    /// Every client identity.
    pub client_identities: Vec<ClientIdentity>,
    /// Every list of revoked clients.
    pub client_crls: Vec<ClientCrl>,
    /// Every service outside that applications call through us.
    pub egress: Vec<Egress>,
    /// Every upstream.
    pub upstreams: Vec<Upstream>,
    /// What answers have told about the set-up behind us, since the last reload.
    pub troubles: Vec<Trouble>,
    /// Every CA that is ordered from.
    pub acme: Vec<Acme>,
    /// Every notifier.
    pub notifiers: Vec<Notifier>,
    /// What happened last, the newest first; since the start of the process.
    pub events: Vec<Event>,
}

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The listeners are not open yet.
    Starting,
    /// It serves.
    Ready,
    /// Open requests are finished, and no new connections accepted.
    Draining,
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
