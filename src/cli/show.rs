//! `portvakt config`.

use clap::{Args, Subcommand};

use super::failure::{Failure, print_problems};
use super::print_out;
use super::settings::Settings;
use crate::config::Purpose;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Print the configuration, all files in one, each value with the place that it comes from.
    Show(Show),
}

#[derive(Debug, Args)]
#[command(
    after_help = "What is printed is a configuration again: paths are whole, and what a `${VARIABLE}` holds is not shown.

Examples:
  portvakt config show --effective
  portvakt config show --effective --json | jq '.settings[] | select(.kind != \"default\")'
  portvakt config show --effective --domain app.example.com --upstream http://127.0.0.1:8080 --agree-tos"
)]
pub(super) struct Show {
    #[command(flatten)]
    settings: Settings,
    /// Also every default.
    #[arg(long)]
    effective: bool,
    /// Print JSON: a list of keys, values and origins.
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let Self::Show(show) = self;
        let (loaded, _) = show.settings.load(Purpose::CheckOffline)?;
        print_problems(&loaded.warnings);
        let shown = if show.effective { loaded.effective() } else { loaded.written() };
        print_out(&if show.json { format!("{:#}\n", shown.to_json()) } else { shown.to_toml() });
        Ok(())
    }
}
