//! `portvakt check`.

use clap::Args;

use super::failure::{Failure, print_problems};
use super::settings::ConfigFile;
use super::{block_on_alone, print_out};
use crate::app;
use crate::config::{self, Loaded, Problems, Purpose};
use crate::doctor;

#[derive(Debug, Args)]
#[command(
    after_help = "Each CA is asked what it offers, and DNS whether CAA lets it issue. Exit code 0: it can run, though there may be
warnings. 1: it cannot.

Examples:
  portvakt check --config portvakt.toml
  portvakt check --offline --json --config portvakt.toml    # in a pipeline, where there are no keys
  portvakt help PV0204                                      # more about the code of a problem"
)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Open no keys, certificates or ports, and ask no CA: for checks where the configuration is written, not where it runs.
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
        let (problems, confinement) = match config::load(path, purpose) {
            Ok(loaded) => {
                let confinement = app::confinement_in_words(&loaded.config);
                let asked = if self.offline { Problems::default() } else { ask_outside(&loaded)? };
                (loaded.warnings.with(asked), confinement)
            }
            Err(problems) => (problems, None),
        };
        let outcome = if problems.has_errors() { Err(Failure::Told) } else { Ok(()) };
        if self.json {
            print_out(&problems.to_json_lines());
        } else {
            print_problems(&problems);
        }
        if outcome.is_ok() && !self.json {
            print_out(&format!("{}{}: good\n", confinement.unwrap_or_default(), path.display()));
        }
        outcome
    }
}

/// What the CAs say to it, and CAA records about its names.
fn ask_outside(loaded: &Loaded) -> Result<Problems, Failure> {
    let views = block_on_alone(async { Ok(doctor::view_cas(&loaded.config).await) })?;
    Ok(loaded.judge(&views))
}
