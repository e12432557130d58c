//! `portvakt check`.

use clap::Args;

use super::failure::{Failure, print_problems};
use super::print_out;
use super::settings::ConfigFile;
use crate::config::{self, Loaded, Purpose};

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: it can run, though there may be warnings. 1: it cannot.

Examples:
  portvakt check --config portvakt.toml
  portvakt check --offline --json --config portvakt.toml    # in a pipeline, where there are no keys
  portvakt help PV0204                                      # more about the code of a problem")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Do not open keys, certificates or ports: for checks where the configuration is written, not where it runs.
    #[arg(long)]
    offline: bool,
    /// Print one JSON object for each problem.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let purpose = if self.offline { Purpose::CheckOffline } else { Purpose::Check };
        let path = self.config.path();
        let (problems, outcome) = match config::load(path, purpose) {
            Ok(Loaded { warnings, .. }) => (warnings, Ok(())),
            Err(problems) => (problems, Err(Failure::Told)),
        };
        if self.json {
            print_out(&problems.to_json_lines());
        } else {
            print_problems(&problems);
        }
        if outcome.is_ok() && !self.json {
            print_out(&format!("{}: good\n", path.display()));
        }
        outcome
    }
}
