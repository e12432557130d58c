//! `portvakt ca`.

use clap::Subcommand;

use super::failure::Failure;
use super::print_out;
use super::settings::ConfigFile;
use crate::app;
use crate::config::{self, Purpose};

#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// Print the internal CA's root in PEM, for those who are to trust it.
    #[command(after_help = "Example:
  portvakt ca root --config portvakt.toml > portvakt-root.pem")]
    Root {
        #[command(flatten)]
        config: ConfigFile,
    },
}

impl Ca {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let Self::Root { config } = self;
        let loaded = config::load(config.path(), Purpose::CheckOffline)?;
        print_out(&app::internal_root(&loaded.config)?);
        Ok(())
    }
}
