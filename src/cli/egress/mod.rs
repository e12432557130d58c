//! `portvakt egress ...`: who we are to a service that demands a client certificate.

mod calendar;
mod check;
mod csr;
mod finding;

use clap::Subcommand;

use super::failure::Failure;
use super::settings::ConfigFile;
use crate::config::{self, Config, Purpose};
use crate::egress::Environment;
use crate::pki::Identity;
use crate::source::files::FilesSource;
use crate::source::{ClientIdentitySettings, FileSettings};
use crate::upstream::Address;

#[derive(Debug, Subcommand)]
pub(super) enum Egress {
    /// Show the client identity to its service once, and say what came of it.
    Check(check::Check),
    /// Make a new key and a signing request with the names of the certificate in use.
    Csr(csr::Csr),
    /// Print a calendar with the day by which to order the next certificate.
    Calendar(calendar::Calendar),
}

impl Egress {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.carry_out(),
            Self::Csr(csr) => csr.carry_out(),
            Self::Calendar(calendar) => calendar.carry_out(),
        }
    }
}

/// The settings of an identity, without a look at its files: one that has expired is just the one that is to be replaced.
fn find(file: &ConfigFile, name: &str) -> Result<(Config, ClientIdentitySettings), Failure> {
    let config = config::load(file.path(), Purpose::CheckOffline)?.config;
    let found = config.client_identities.iter().find(|identity| identity.name == name).cloned();
    if let Some(identity) = found {
        return Ok((config, identity));
    }
    let known: Vec<_> = config.client_identities.iter().map(|identity| format!("`{}`", identity.name)).collect();
    Err(Failure::Plain {
        what: format!("no egress is called `{name}`, and no upstream with an identity"),
        why: match known.is_empty() {
            true => "the configuration has no `[[egress]]`".to_owned(),
            false => format!("known are {}", known.join(", ")),
        },
        fix: "give one of these names, or another configuration with `--config`".to_owned(),
    })
}

fn load(files: &FileSettings) -> Result<Identity, Failure> {
    let loaded = FilesSource::new(files.clone()).load();
    loaded.map(|assembled| assembled.identity).map_err(|errors| {
        let why = errors.first().map(|error| crate::causes::with_causes(error)).unwrap_or_default();
        Failure::Plain {
            what: format!("the identity in `{}` cannot be read", files.main().display()),
            why,
            fix: "see `portvakt check`, which names the place".to_owned(),
        }
    })
}

/// Whether a bank issues the certificate.
fn is_bankid(config: &Config, name: &str) -> bool {
    let egress = config.egress.iter().find(|egress| egress.settings.name == name);
    let upstream = egress.map(|egress| &egress.upstream);
    let upstream = upstream.or_else(|| config.upstreams.iter().find(|upstream| upstream.name == name));
    let is_theirs = |address: &Address| match address {
        Address::Tcp { host, .. } => Environment::of_host(host).is_some(),
        Address::Unix(_) => false,
    };
    egress.is_some_and(|egress| egress.settings.rules.is_some())
        || upstream.is_some_and(|upstream| upstream.peers.iter().any(|peer| is_theirs(&peer.address)))
}
