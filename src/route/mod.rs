//! What happens to a request: decided from its facts alone.
//!
//! In: [`Settings`] and [`Facts`]. Out: a [`Decision`], and rules on headers. Pure: no socket, file or clock.
//! May import: `http`'s types, IP networks, `pki`'s facts and `time`.
//!
//! Standards: request targets and `Host` (RFC 9112 §3.2, RFC 9110 §7.2), misdirected requests (RFC 9110 §15.5.20),
//! dot segments (RFC 3986 §5.2.4), `http-01` (RFC 8555 §8.3), HSTS (RFC 6797), Trace Context
//! (W3C Recommendation).
//!
//! Promises: no bytes panic; a path that an IIS would read as below a rejected prefix is never forwarded over plain
//! HTTP; a redirect names only a host of the site, or the one it was configured with, whatever the request says.

pub mod headers;

mod agent;
mod answers;
mod certificate;
mod client;
mod decide;
mod decision;
mod description;
mod edit;
mod host;
mod limit;
mod links;
mod path;
mod preset;
mod redirect;
mod report;
mod strip;
mod target;
mod trace;
mod trouble;

pub use agent::Agent;
pub use answers::{Answers, SameSite};
pub use certificate::{
    Admission, CertificateRefusal, ClientCertificates, Demand, Holders, Shown, byte_sequence, byte_sequences,
};
pub use client::{AllowList, believed_client};
pub use decide::{Routes, challenge_token};
pub use decision::{Action, Decision, Facts, Outcome, Reason};
pub use description::{Kind as DocumentKind, is_description, is_xml, rewrite};
pub use edit::{HeaderEdits, Unsettable, asks_for_connection_authentication, is_connection_authentication};
pub use host::{HostError, HostName};
pub use limit::{Limits, Rate, TooMany};
pub use links::{Links, Origin};
pub use path::{CanonicalPath, PathError, PathPrefix};
pub use preset::{Original, Preset};
pub use redirect::{Destination, DestinationError, https_origin};
pub use report::{Line, News, Observed, Report, Risk, Would};
pub use strip::Stripped;
pub use target::Target;
pub use trace::trace_id;
pub use trouble::{LOOKED_AT, Trouble, forbidden};

use std::time::Duration;

/// Every site and how plain HTTP is to be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the order of the configuration.
    pub sites: Vec<Site>,
    /// The port that redirects name; 443 is left out of URLs.
    pub public_https_port: u16,
    /// Requests of one client address, over all sites.
    pub requests: Option<Rate>,
}

/// One `[[site]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Metric label and certificate name.
    pub name: String,
    /// Lower case; `*.example.com` stands for one label (RFC 6125 §6.4.3).
    pub domains: Vec<String>,
    /// Further names, written as `domains`, whose requests are sent to the first domain.
    pub aliases: Vec<String>,
    /// Where every request is sent; such a site has no routes.
    pub redirect_to: Option<Destination>,
    /// Who may come where no route says it: to a site that only redirects.
    pub allow_from: AllowList,
    /// For the whole site; a body's limit stands in its routes.
    pub limits: Limits,
    /// For a whole request header on TLS connections that ask for this site.
    pub header_timeout: Option<Duration>,
    /// `default = true`: takes requests that name no host, and handshakes without server name.
    pub is_default: bool,
    /// How plain HTTP is answered.
    pub https: Enforcement,
    /// `Strict-Transport-Security`, opt-in.
    pub hsts: Option<Hsts>,
    /// What is wanted of clients' certificates.
    pub client_certificates: ClientCertificates,
    /// Longest path first; the last one is `/`.
    pub routes: Vec<Route>,
    /// Shown while no upstream can be reached.
    pub maintenance: Option<Page>,
}

/// A page of HTML, as read from a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Page(pub bytes::Bytes);

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page({} bytes)", self.0.len())
    }
}

/// `[site.https]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    /// How hard.
    pub mode: Mode,
    /// What plain HTTP gets where no path matches.
    pub rest: PlainPolicy,
    /// What plain HTTP gets below a path.
    pub paths: Vec<(PathPrefix, PlainPolicy)>,
    /// Which methods may be redirected.
    pub redirect_methods: RedirectMethods,
}

/// `site.https.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Serves everything and counts what would have been redirected or refused.
    Observe,
    /// Redirects with 302 (307 where bodies may follow).
    #[default]
    Temporary,
    /// Redirects with 301 (308 where bodies may follow).
    Permanent,
}

impl Mode {
    /// As in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Temporary => "temporary",
            Self::Permanent => "permanent",
        }
    }
}

/// What a plain HTTP request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainPolicy {
    /// GET and HEAD go to HTTPS, everything else is refused.
    #[default]
    Redirect,
    /// 403.
    Reject,
    /// Forwarded as it is.
    Allow,
}

/// `site.https.redirect_methods`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectMethods {
    /// GET and HEAD only: any other body has already crossed in clear.
    #[default]
    Safe,
    /// Every method, with 308 or 307.
    All,
}

/// `site.hsts` (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// Seconds.
    pub max_age: u64,
    /// `includeSubDomains`.
    pub include_subdomains: bool,
}

impl Default for Hsts {
    /// Half a year: long enough to protect, short enough to be survived when it was a mistake.
    fn default() -> Self {
        Self { max_age: 180 * 24 * 3600, include_subdomains: false }
    }
}

/// A path rule that leads to an upstream. What it does not say itself it has from its site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Metric label; default `site:path`.
    pub name: String,
    /// Where it begins.
    pub path: PathPrefix,
    /// Index into the configuration's list of upstreams.
    pub upstream: usize,
    /// The upstream gets the target without `path`.
    pub strip_prefix: bool,
    /// Who may come.
    pub allow_from: AllowList,
    /// For the route alone.
    pub limits: Limits,
    /// What is set and removed in forwarded requests.
    pub request_headers: HeaderEdits,
    /// What is set and removed in the upstream's answers.
    pub response_headers: HeaderEdits,
    /// What is mended in them.
    pub answers: Answers,
}

impl Site {
    /// What its requests are counted on: the names of its routes; one of its own where it only redirects.
    pub fn labels(&self) -> Vec<String> {
        match self.redirect_to {
            Some(_) => vec![format!("{}:/", self.name)],
            None => self.routes.iter().map(|route| route.name.clone()).collect(),
        }
    }

    /// The name that its own redirects lead to: the first domain that is no wildcard.
    pub fn first_domain(&self) -> Option<&str> {
        self.domains.iter().map(String::as_str).find(|domain| !domain.starts_with("*."))
    }
}

impl Enforcement {
    /// Whether some request can reach the site over plain HTTP.
    pub fn is_plain_reachable(&self) -> bool {
        let allows = |policy: &PlainPolicy| *policy == PlainPolicy::Allow;
        self.mode == Mode::Observe || allows(&self.rest) || self.paths.iter().any(|(_, policy)| allows(policy))
    }
}
