//! Arguments, exit codes, and the one place that prints an error with its causes.
//!
//! In: the command line. Out: an exit code: 0 well, 1 a problem that was told, 2 a command line that makes no sense.
//! Imports `app`, `config` and `platform`. One file for each verb; what several need stands here and in `failure`.

mod ca;
mod check;
mod failure;
mod help;
mod run;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::failure::Failure;
use crate::app::{self, AppError};

/// Puts TLS in front of a server that cannot be changed.
#[derive(Debug, Parser)]
#[command(name = "portvakt", version, about, long_about = None, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Obtain certificates, terminate TLS and forward requests until stopped.
    Run(run::Run),
    /// Check a configuration and print every problem; exit code 1 when there is an error.
    Check(check::Check),
    /// Show the main job on this machine: a legacy server, an internal CA, HTTPS enforced on a path.
    Demo,
    /// The internal CA.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Tell about a verb, or about the code of a problem, such as PV0204.
    Help(help::Help),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn path(&self) -> &Path {
        self.config.as_deref().unwrap_or_else(|| Path::new(DEFAULT_CONFIG))
    }
}

/// Carries out the command line of this process.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(run) => run.carry_out(),
        Command::Check(check) => check.carry_out(),
        Command::Demo => block_on(app::demo(&mut std::io::stdout())),
        Command::Ca(ca) => ca.carry_out(),
        Command::Help(help) => help.carry_out(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, AppError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::App(AppError::Runtime(e)))?;
    let outcome = runtime.block_on(work);
    // What is still open after the drain is cut off here.
    runtime.shutdown_background();
    Ok(outcome?)
}

/// Prints to standard output. A reader that is gone has what it wanted.
fn print_out(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Looked for in the working folder when no file is named.
const DEFAULT_CONFIG: &str = "portvakt.toml";

const EXIT_CODES: &str = "Exit codes: 0 well, 1 a problem that was told, 2 a command line that makes no sense.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn given_the_arguments_then_clap_finds_no_contradiction() {
        Arguments::command().debug_assert();
    }
}
