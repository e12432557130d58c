//! Whether a configuration will do its work on this machine: what `check` cannot know from the files alone.
//!
//! Each file has one subject: it looks, and says what it found. [`examine`] asks them all; with `is_offline` only those
//! that need no network.

mod address;
mod ca;
mod challenge;
mod identity;
mod name;
mod port;
mod storage;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use super::finding::{Finding, Level};
use super::{Checkup, Options, Target, examine as examine_url};
use crate::config::{CaView, Config};
use crate::control::{self, Request};
use crate::dns::Resolver;
use crate::source::{AcmeCas, Settings};
use crate::time::{Clock, SystemClock, Timestamp};

/// What came of looking at a configuration.
#[derive(Clone, Debug)]
pub struct HouseCall {
    pub(super) config: PathBuf,
    pub(super) at: Timestamp,
    pub(super) from: String,
    pub(super) is_offline: bool,
    /// A process answers on its control socket.
    pub(super) is_running: bool,
    /// The worst first.
    pub(super) findings: Vec<Finding>,
    /// What clients see of each site, where a process runs.
    pub(super) sites: Vec<Checkup>,
}

/// Looks at everything that a configuration depends on.
///
/// `file` is named in the report. Blocks for moments on the disk.
pub async fn examine(config: &Config, file: PathBuf, options: &Options, is_offline: bool) -> HouseCall {
    let at = SystemClock.now();
    let is_running = control::ask(&config.control, Request::Status).await.is_ok();
    let mut findings = storage::findings(config);
    findings.extend(identity::findings(config, at));
    findings.extend(port::findings(config, is_running));
    findings.extend(name::findings(config));
    let mut sites = Vec::new();
    if !is_offline {
        let resolver = resolver(config, &options.resolvers);
        let orders = orders(config);
        let (cas, addresses, upstreams) =
            tokio::join!(ca::look(config), address::findings(config, &resolver, &orders), upstream::findings(config),);
        findings.extend(cas.iter().flat_map(ca::Seen::findings));
        findings.extend(addresses);
        findings.extend(upstreams);
        findings.extend(address::caa(&resolver, &orders, &cas).await.iter().map(address::Refused::finding));
        findings.extend(challenge::findings(config, &resolver, &orders, options, is_running).await);
        if is_running {
            sites = examine_sites(config, &resolver, options).await;
        }
    }
    findings.sort_by_key(|finding| finding.level);
    HouseCall { config: file, at, from: crate::platform::host_name(), is_offline, is_running, findings, sites }
}

/// Looks at what one certificate needs from the world to be issued: its CAs, its names in DNS and CAA, and what answers there
/// over plain HTTP. For the process that serves `config`; what clients see is not asked. Blocks for moments on the disk.
pub async fn examine_certificate(config: &Config, certificate: &str) -> Vec<Finding> {
    let Some(at) = config.certificates.iter().position(|of| of.name == certificate) else { return Vec::new() };
    let mut config = config.clone();
    config.certificates = config.certificates.drain(at..=at).collect();
    config.route.sites = config.route.sites.into_iter().skip(at).take(1).collect();
    let resolver = resolver(&config, &[]);
    let mut orders = orders(&config);
    orders.truncate(MOST_NAMES_OF_ONE);
    let (options, is_running) = (Options::default(), true);
    let (cas, addresses, challenges) = tokio::join!(
        ca::look(&config),
        address::findings(&config, &resolver, &orders),
        challenge::findings(&config, &resolver, &orders, &options, is_running)
    );
    let mut findings = name::findings(&config);
    findings.extend(cas.iter().flat_map(ca::Seen::findings).chain(addresses).chain(challenges));
    findings.extend(address::caa(&resolver, &orders, &cas).await.iter().map(address::Refused::finding));
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// What the CAs of a configuration say, and CAA about its names, for whoever judges the configuration itself.
pub async fn view_cas(config: &Config) -> Vec<CaView> {
    let (orders, cas) = (orders(config), ca::look(config).await);
    let refused = address::caa(&resolver(config, &[]), &orders, &cas).await;
    let of = |directory: &str| {
        let refused = refused.iter().filter(|refused| refused.directory == directory);
        refused.map(|refused| refused.view.clone()).collect()
    };
    cas.into_iter()
        .map(|ca| {
            let refused = of(&ca.directory);
            CaView { directory: ca.directory, outcome: ca.outcome, issuers: ca.issuers, refused }
        })
        .collect()
}

/// Asks these name servers, else those of `[acme.dns]`, else the system's.
fn resolver(config: &Config, given: &[SocketAddr]) -> Resolver {
    if !given.is_empty() {
        return Resolver::with_servers(given);
    }
    let set = config.certificates.iter().find_map(|certificate| match &certificate.source {
        Settings::Acme(cas) => Some(cas.first.dns.as_ref()?.resolvers.clone()),
        Settings::Internal | Settings::Files(_) => None,
    });
    Resolver::with_servers(&set.unwrap_or_default())
}

impl HouseCall {
    /// Nothing is to be mended.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.level == Level::Note) && self.sites.iter().all(Checkup::is_well)
    }
}

/// What clients see of the first domain of each site.
async fn examine_sites(config: &Config, resolver: &Resolver, options: &Options) -> Vec<Checkup> {
    let mut checkups = Vec::new();
    for site in config.route.sites.iter().take(MOST_SITES) {
        let Some(domain) = site.domains.iter().find(|domain| !domain.starts_with("*.")) else { continue };
        let url = format!("https://{domain}:{}/", config.route.public_https_port);
        if let Ok(target) = Target::parse(&url) {
            // What DNS does not know, the system may: it has names of its own.
            let addresses = address::of(resolver, domain).await;
            checkups.push(examine_url(&target, &Options { addresses, ..options.clone() }).await);
        }
    }
    checkups
}

/// A name that a CA is asked to issue for.
pub(super) struct Order<'a> {
    pub(super) name: &'a str,
    pub(super) cas: &'a AcmeCas,
}

/// Every name for which ACME is asked, with the CAs that are asked.
fn orders(config: &Config) -> Vec<Order<'_>> {
    let sites = config.route.sites.iter().zip(&config.certificates);
    let orders = sites.filter_map(|(site, certificate)| match &certificate.source {
        Settings::Acme(cas) => Some((site, cas)),
        Settings::Internal | Settings::Files(_) => None,
    });
    let each = orders.flat_map(|(site, cas)| {
        site.domains.iter().chain(&site.aliases).map(move |name| Order { name: name.as_str(), cas })
    });
    each.take(MOST_NAMES).collect()
}

/// Whoever has more sites finds what is wrong with all of them in the first ones.
const MOST_SITES: usize = 20;
const MOST_NAMES: usize = 100;
/// Each that does not answer costs seconds.
const MOST_NAMES_OF_ONE: usize = 8;
