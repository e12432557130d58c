//! Arguments, exit codes, and the one place that prints an error with its causes.
//!
//! In: the command line. Out: an exit code: 0 well, 1 a problem that was told, 2 a command line that makes no sense.
//! Imports `app`, `config` and `platform`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::{self, App, AppError, Inherited};
use crate::config::{self, CommandLine, Loaded, Problems, Purpose, Style};
use crate::platform::Signals;

/// Puts TLS in front of a server that cannot be changed.
#[derive(Debug, Parser)]
#[command(name = "portvakt", version, about, long_about = None, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Obtain certificates, terminate TLS and forward requests until stopped.
    #[command(after_help = "Signals: SIGHUP reloads the configuration, SIGTERM and Ctrl-C drain and stop.")]
    Run(Run),
    /// Check a configuration and print every problem; exit code 1 when there is an error.
    Check(Check),
    /// Show the main job on this machine: a legacy server, an internal CA, HTTPS enforced on a path.
    Demo,
    /// The internal CA.
    #[command(subcommand)]
    Ca(Ca),
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    config: ConfigFile,
    /// Serve this domain without a configuration file.
    #[arg(long, value_name = "DOMAIN", requires = "upstream", conflicts_with = "config")]
    domain: Option<String>,
    /// The server to put TLS in front of, as in http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", requires = "domain")]
    upstream: Option<String>,
    /// Agree to the CA's terms of service.
    #[arg(long, requires = "domain")]
    agree_tos: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Do not open keys, certificates or ports: for checks where the configuration is written, not where it runs.
    #[arg(long)]
    offline: bool,
    /// Print one JSON object for each problem.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Ca {
    /// Print the internal CA's root in PEM, for those who are to trust it.
    Root {
        #[command(flatten)]
        config: ConfigFile,
    },
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
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Run(run) => self::run(&run),
        Command::Check(check) => self::check(&check),
        Command::Demo => block_on(app::demo(&mut std::io::stdout())),
        Command::Ca(Ca::Root { config }) => ca_root(config.path()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Run) -> Result<(), Failure> {
    let inherited = Inherited::from_environment()?;
    let (loaded, file) = match (&arguments.domain, &arguments.upstream) {
        (Some(domain), Some(upstream)) => {
            let line = CommandLine {
                domains: vec![domain.clone()],
                upstream: upstream.clone(),
                agree_tos: arguments.agree_tos,
                ..CommandLine::default()
            };
            (config::from_args(&line, Purpose::Run)?, None)
        }
        _ => (config::load(arguments.config.path(), Purpose::Run)?, Some(arguments.config.path().to_owned())),
    };
    print_problems(&loaded.warnings);
    app::log::start(&loaded.config.log).map_err(AppError::from)?;
    block_on(async move {
        let signals = Signals::new().map_err(AppError::Signals)?;
        let app = App::start(loaded.config, file, inherited).await?;
        app.run_until_stopped(signals).await;
        Ok(())
    })
}

fn check(arguments: &Check) -> Result<(), Failure> {
    let purpose = if arguments.offline { Purpose::CheckOffline } else { Purpose::Check };
    let path = arguments.config.path();
    let (warnings, outcome) = match config::load(path, purpose) {
        Ok(Loaded { warnings, .. }) => (warnings, Ok(())),
        Err(problems) => (problems, Err(Failure::Told)),
    };
    if arguments.json {
        print!("{}", warnings.to_json_lines());
    } else {
        print_problems(&warnings);
    }
    if outcome.is_ok() && !arguments.json {
        println!("{}: good", path.display());
    }
    outcome
}

fn ca_root(path: &Path) -> Result<(), Failure> {
    let loaded = config::load(path, Purpose::CheckOffline)?;
    let pem = app::internal_root(&loaded.config.state_dir)?;
    // A reader that is gone has what it wanted.
    let _ = std::io::stdout().write_all(pem.as_bytes());
    Ok(())
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

/// Why a command failed.
enum Failure {
    App(AppError),
    Problems(Problems),
    /// Printed already.
    Told,
}

impl Failure {
    fn print(&self) {
        match self {
            Self::App(AppError::Config(problems)) | Self::Problems(problems) => print_problems(problems),
            Self::App(error) => eprint!("{}", app::describe(error)),
            Self::Told => {}
        }
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

fn print_problems(problems: &Problems) {
    if problems.is_empty() {
        return;
    }
    let style = if std::io::stderr().is_terminal() { Style::Color } else { Style::Plain };
    eprint!("{}", problems.render(style));
}

/// Looked for in the working folder when no file is named.
const DEFAULT_CONFIG: &str = "portvakt.toml";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn given_the_arguments_then_clap_finds_no_contradiction() {
        Arguments::command().debug_assert();
    }
}
