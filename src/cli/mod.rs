//! Arguments, exit codes, and the one place that prints an error with its causes.
//!
//! In: the command line. Out: an exit code: 0 well, 1 a problem that was told, 2 a command line that makes no sense.
//! Imports `app`, `config`, `control`, `doctor`, `explain`, `platform`, `simulate` and `upstream`. One file for each verb; what several need stands
//! here, in `failure` and in `settings`.

mod acme;
mod ca;
mod cert;
mod check;
mod control;
mod doctor;
mod egress;
mod explain;
mod failure;
mod generate;
mod help;
mod http2;
mod init;
mod notify;
mod rehearse;
mod run;
mod schema;
mod settings;
mod show;
mod simulate;
mod status;
mod upstream;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Print a commented configuration for one site.
    Init(init::Init),
    /// Show the configuration in effect.
    #[command(subcommand)]
    Config(show::Config),
    /// Print the JSON schema of the configuration, for editors and for checks before a file reaches a machine.
    Schema(schema::PrintSchema),
    /// Say what a request for a URL gets, and why.
    Explain(explain::Explain),
    /// Play the life of certificates through troubles of the CA, in virtual time.
    Simulate(simulate::Simulate),
    /// Show how a running process and its certificates stand, what happens next, and why.
    Status(control::ShowStatus),
    /// Let a running process read its configuration again, and wait for the outcome.
    Reload(control::Reload),
    /// Say whether phones and browsers accept a server, when it stops working, and how to mend it.
    Doctor(doctor::Doctor),
    /// Show the main job on this machine: a legacy server, an internal CA, HTTPS enforced on a path.
    Demo,
    /// Certificates of our sites: list, show, renew, export, go back, revoke.
    #[command(subcommand)]
    Cert(cert::Cert),
    /// Try the whole way to a certificate at the CA's twin for tries, and throw the certificate away.
    Rehearse(rehearse::Rehearse),
    /// The internal CA.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// The account at an ACME CA, and what the CA allows.
    #[command(subcommand)]
    Acme(acme::Acme),
    /// The servers behind, and the certificates that they are believed by.
    #[command(subcommand)]
    Upstream(upstream::Upstream),
    /// Sites that HTTP/2 is not offered for, since their servers use NTLM or Negotiate.
    #[command(subcommand)]
    Http2(http2::Http2),
    /// Services that demand a client certificate.
    #[command(subcommand)]
    Egress(egress::Egress),
    /// Messages to people who have no Prometheus: send a test.
    #[command(subcommand)]
    Notify(notify::Notify),
    /// Tell about a verb, or about the code of a problem, such as PV0204.
    Help(help::Help),
    /// Print a script that lets a shell complete verbs and flags.
    Completions(generate::Completions),
    /// Print the manual page, or write one for each verb.
    Man(generate::ManPages),
}

/// Carries out the command line of this process.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(run) => run.carry_out(),
        Command::Check(check) => check.carry_out(),
        Command::Demo => block_on(app::demo(&mut std::io::stdout())),
        Command::Cert(cert) => cert.carry_out(),
        Command::Rehearse(rehearse) => rehearse.carry_out(),
        Command::Ca(ca) => ca.carry_out(),
        Command::Acme(acme) => acme.carry_out(),
        Command::Upstream(upstream) => upstream.carry_out(),
        Command::Http2(http2) => http2.carry_out(),
        Command::Egress(egress) => egress.carry_out(),
        Command::Notify(notify) => notify.carry_out(),
        Command::Init(init) => init.carry_out(),
        Command::Config(config) => config.carry_out(),
        Command::Schema(schema) => schema.carry_out(),
        Command::Explain(explain) => explain.carry_out(),
        Command::Simulate(simulate) => simulate.carry_out(),
        Command::Doctor(doctor) => doctor.carry_out(),
        Command::Status(status) => status.carry_out(),
        Command::Reload(reload) => reload.carry_out(),
        Command::Help(help) => help.carry_out(),
        Command::Completions(completions) => completions.carry_out(),
        Command::Man(man) => man.carry_out(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}

/// Runs something short on this thread.
fn block_on_alone<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Failure::App(AppError::Runtime(e)))?.block_on(work)
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
    fn given_every_verb_then_the_readme_tells_of_it_in_the_words_of_the_help() {
        let readme = include_str!("../../README.md");
        for verb in Arguments::command().get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let is_told = |line: &str| line.starts_with(&format!("| `{}", verb.get_name())) && line.contains(&about);
            assert!(!about.is_empty() && readme.lines().any(is_told), "{}: {about}", verb.get_name());
        }
    }

    #[test]
    fn given_the_arguments_then_clap_finds_no_contradiction() {
        Arguments::command().debug_assert();
    }
}
