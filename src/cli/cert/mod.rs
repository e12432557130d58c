//! `portvakt cert ...`: certificates of our sites, in the store and in service.
//!
//! What is shown comes from the configuration and the state directory, so that it can be asked with the process stopped; a
//! running process adds what clients really get.

mod export;
mod list;
mod renew;
mod revoke;
mod rollback;
mod seen;
mod show;
pub(super) mod words;

use clap::Subcommand;

use self::seen::Running;
use super::failure::Failure;
use super::settings::ConfigFile;
use crate::app::{self, AppError};
use crate::config::{self, Config, Purpose, closest};
use crate::manager::{self, CertificateStatus, Refused};
use crate::source::CertificateSettings;
use crate::store::{Store, StoreError};
use crate::time::{Clock, SystemClock, Timestamp};

#[derive(Debug, Subcommand)]
pub(super) enum Cert {
    /// List every certificate: state, end, what happens next, and whether clients get it.
    List(list::List),
    /// Show one certificate: what happens next and why, its chain, what is kept, what clients get.
    Show(show::Show),
    /// Let a running process renew a certificate now, and wait for the outcome.
    Renew(renew::Renew),
    /// Write a certificate, and its key when asked, to files.
    Export(export::Export),
    /// Tell the CA that a certificate must not be believed any more, after another one is served.
    Revoke(revoke::Revoke),
    /// Go back to a certificate that is kept.
    Rollback(rollback::Rollback),
}

impl Cert {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.carry_out(),
            Self::Show(show) => show.carry_out(),
            Self::Renew(renew) => renew.carry_out(),
            Self::Export(export) => export.carry_out(),
            Self::Revoke(revoke) => revoke.carry_out(),
            Self::Rollback(rollback) => rollback.carry_out(),
        }
    }
}

/// What there is to know without asking a CA.
struct Known {
    config: Config,
    /// `None` before the first start.
    store: Option<Store>,
    /// `None` when no process runs.
    running: Option<Running>,
    now: Timestamp,
}

impl Known {
    fn read(file: &ConfigFile) -> Result<Self, Failure> {
        let config = config::load(file.path(), Purpose::CheckOffline)?.config;
        let store = app::store(&config)?;
        let running = Running::ask(&config.control);
        Ok(Self { config, store, running, now: SystemClock.now() })
    }

    /// How a certificate is, by what is kept of it.
    fn status(&self, settings: &CertificateSettings) -> CertificateStatus {
        manager::at_rest(self.store.as_ref(), settings, self.now)
    }

    /// What the process has in service, when the disk has another certificate.
    fn in_service(&self, status: &CertificateStatus) -> Option<&seen::InService> {
        let kept = status.leaf.as_ref().map(|leaf| leaf.fingerprint.to_string());
        self.running.as_ref()?.another(&status.name, kept.as_deref())
    }
}

/// The certificate of this name, or of the site that has this domain.
fn find<'a>(config: &'a Config, name: &str) -> Result<&'a CertificateSettings, Failure> {
    let all = &config.certificates;
    let by_name = all.iter().find(|certificate| certificate.name == name);
    let by_domain = || all.iter().find(|certificate| certificate.identifiers.iter().any(|own| own == name));
    by_name.or_else(by_domain).ok_or_else(|| unknown(all, name))
}

fn unknown(all: &[CertificateSettings], name: &str) -> Failure {
    let names: Vec<_> = all.iter().map(|certificate| certificate.name.as_str()).collect();
    let known: Vec<_> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Failure::Plain {
        what: format!("no certificate is called `{name}`"),
        why: match known.is_empty() {
            true => "the configuration has no `[[site]]`".to_owned(),
            false => format!("known are {}{more}", known.join(", ")),
        },
        fix: match closest(name, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "see `portvakt cert list`, or name another configuration with `--config`".to_owned(),
        },
    }
}

/// What the state directory does not give.
fn store_failure(error: StoreError) -> Failure {
    Failure::App(AppError::Store(error))
}

fn refused(refused: Refused) -> Failure {
    Failure::Plain { what: refused.what, why: refused.why, fix: refused.fix }
}

/// More would fill the screen.
const MOST_NAMES: usize = 8;
