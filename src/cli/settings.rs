//! Where a verb finds its settings: a file, or the command line alone.

use std::path::{Path, PathBuf};

use clap::Args;

use super::DEFAULT_CONFIG;
use crate::config::{self, CommandLine, Loaded, Problems, Purpose};

/// A configuration file.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

impl ConfigFile {
    pub(super) fn path(&self) -> &Path {
        &self.config
    }
}

/// A configuration file, or one site on the command line.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// The configuration file; `portvakt.toml` when neither it nor `--domain` is given.
    #[arg(long, short, value_name = "FILE", conflicts_with = "domains")]
    config: Option<PathBuf>,
    #[command(flatten)]
    site: OneSite,
}

impl Settings {
    /// Reads them; the file is `None` when everything came from the command line.
    pub(super) fn load(&self, purpose: Purpose) -> Result<(Loaded, Option<PathBuf>), Problems> {
        if let Some(line) = self.site.command_line() {
            return Ok((config::from_args(&line, purpose)?, None));
        }
        let file = self.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
        Ok((config::load(&file, purpose)?, Some(file)))
    }
}

/// One site without a configuration file.
#[derive(Debug, Args)]
pub(super) struct OneSite {
    /// Serve this domain without a configuration file; may be repeated.
    #[arg(long = "domain", value_name = "DOMAIN", requires = "upstream")]
    domains: Vec<String>,
    /// The server to put TLS in front of, as in http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", requires = "domains")]
    upstream: Option<String>,
    /// Agree to the CA's terms of service.
    #[arg(long, requires = "domains")]
    agree_tos: bool,
    /// A mail address that the CA may write to.
    #[arg(long, value_name = "MAIL", requires = "domains")]
    contact: Option<String>,
    /// The CA: letsencrypt, letsencrypt-staging or the https URL of its directory.
    #[arg(long, value_name = "CA", requires = "domains")]
    directory: Option<String>,
    /// Where the certificate comes from: acme or internal.
    #[arg(long, value_name = "SOURCE", requires = "domains")]
    certificate: Option<String>,
    /// Where keys and certificates are kept.
    #[arg(long, value_name = "FOLDER", requires = "domains")]
    state_dir: Option<PathBuf>,
}

impl OneSite {
    /// What was given; `None` without a domain.
    pub(super) fn command_line(&self) -> Option<CommandLine> {
        let upstream = self.upstream.clone().filter(|_| !self.domains.is_empty())?;
        Some(CommandLine {
            domains: self.domains.clone(),
            upstream,
            agree_tos: self.agree_tos,
            contact: self.contact.clone(),
            directory: self.directory.clone(),
            certificate: self.certificate.clone(),
            state_dir: self.state_dir.clone(),
        })
    }
}
