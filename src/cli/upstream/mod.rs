//! `portvakt upstream ...`: the servers behind, and why they are believed.
//!
//! What is known comes from the configuration and the state directory, so that it can be asked with the process stopped; a
//! running process adds how they stand.

mod accept;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use crate::app::AppError;
use crate::config::{Config, closest};
use crate::store::{Store, StoreError};
use crate::upstream::{Known, PeerSettings, Settings, Trust};

#[derive(Debug, Subcommand)]
pub(super) enum Upstream {
    /// Show the servers behind: why each is believed, the certificate that is known, and one that was refused.
    Show(show::Show),
    /// Believe the certificate that a server shows now, in place of the one of its first use.
    Accept(accept::Accept),
}

impl Upstream {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.carry_out(),
            Self::Accept(accept) => accept.carry_out(),
        }
    }
}

/// The upstream of this name; a server's address names it too.
fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Settings, Failure> {
    let has = |upstream: &&Settings| {
        upstream.name == name || upstream.peers.iter().any(|peer| peer.address.to_string() == name)
    };
    let by_name = config.upstreams.iter().find(|upstream| upstream.name == name);
    by_name.or_else(|| config.upstreams.iter().find(has)).ok_or_else(|| unknown(config, name))
}

fn unknown(config: &Config, name: &str) -> Failure {
    let names: Vec<_> = config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    Failure::Plain {
        what: format!("no upstream is called `{name}`"),
        why: match names.is_empty() {
            true => "the configuration has no upstream".to_owned(),
            false => format!("known are `{}`", names.join("`, `")),
        },
        fix: match closest(name, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "see `portvakt upstream show`, or name another configuration with `--config`".to_owned(),
        },
    }
}

/// What a server is known by, where it is believed by its first use.
fn known(store: Option<&Store>, peer: &PeerSettings) -> Result<Option<Known>, StoreError> {
    let (Some(store), Some(tls)) = (store, peer.tls.as_ref().filter(|tls| tls.trust == Trust::FirstUse)) else {
        return Ok(None);
    };
    Ok(store.known_peer(&peer.address.to_string(), &tls.server_name)?.and_then(Known::read))
}

fn store_failure(error: StoreError) -> Failure {
    Failure::App(AppError::Store(error))
}
