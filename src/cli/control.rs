//! `portvakt status` and `portvakt reload`: questions to a running process.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;
use super::settings::ConfigFile;
use super::status::Status;
use super::{block_on_alone, print_out};
use crate::app::Reloaded;
use crate::causes::with_causes;
use crate::config;
use crate::control::{AskError, Reply, Request, ask};

#[derive(Debug, Args)]
pub(super) struct Socket {
    #[command(flatten)]
    config: ConfigFile,
    /// The control socket; by default the one that the configuration names.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The verdict comes first, then what somebody has to do. Exit code 1: no process answers, for 4 s at most.

Examples:
  portvakt status
  portvakt status --json | jq '.certificates[].not_after'"
)]
pub(super) struct ShowStatus {
    #[command(flatten)]
    socket: Socket,
    /// Print JSON, as /status.json of the admin listener has it; `portvakt help status-json` prints its schema.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Waits for the outcome. Exit code 1: the configuration has errors, which are printed, and the old one serves on.

Example:
  portvakt reload --config /etc/portvakt/portvakt.toml"
)]
pub(super) struct Reload {
    #[command(flatten)]
    socket: Socket,
}

impl ShowStatus {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let reply = self.socket.ask(Request::Status)?;
        let (Reply::Done(status) | Reply::Failed(status)) = reply;
        if self.json {
            print_out(&format!("{status:#}\n"));
        } else {
            let is_colored = std::io::stdout().is_terminal();
            print_out(&understood::<Status>(status)?.to_text(is_colored));
        }
        Ok(())
    }
}

impl Reload {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let color = std::io::stderr().is_terminal();
        match self.socket.ask(Request::Reload { color })? {
            Reply::Done(told) => {
                let told = understood::<Reloaded>(told)?;
                eprint!("{}", told.warnings);
                print_out(&format!("{}\n", told.summary()));
                Ok(())
            }
            Reply::Failed(text) => {
                eprint!("{}", understood::<String>(text)?);
                eprintln!("reload failed; the old configuration serves on");
                Err(Failure::Told)
            }
        }
    }
}

impl Socket {
    /// The configuration that the process is taken to run with.
    pub(super) fn config(&self) -> &ConfigFile {
        &self.config
    }

    /// Somebody has named it, so a process is meant to be there.
    pub(super) fn is_given(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.try_ask(request)?.map_err(|error| self.failure(&error))
    }

    /// Asks, and leaves it to the caller what it means that nobody answers.
    pub(super) fn try_ask(&self, request: Request) -> Result<Result<Reply, AskError>, Failure> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => config::control_socket(self.config.path())?,
        };
        block_on_alone(async { Ok(ask(&path, request).await) })
    }

    pub(super) fn failure(&self, error: &AskError) -> Failure {
        failure(error, self.config.path())
    }
}

fn failure(error: &AskError, config: &Path) -> Failure {
    let source = std::error::Error::source(error).map(with_causes).unwrap_or_default();
    let fix = match error {
        AskError::NobodyThere { .. } => format!(
            "start it (`systemctl start portvakt`, or `portvakt run --config {}`), or name the file that it runs with, \
             or its socket: `--socket PATH`",
            config.display()
        ),
        AskError::Forbidden { .. } => "ask as the user that it runs as, or as root".to_owned(),
        AskError::Silent { .. } => "the process is stuck or stopped: keep its log, and start it again".to_owned(),
        AskError::Broken { .. } => "try again; the log says whether the process is well".to_owned(),
        AskError::Nonsense { .. } => "use the program of the same version as the process".to_owned(),
    };
    Failure::Plain { what: error.to_string(), why: source, fix }
}

pub(super) fn understood<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::Plain {
        what: "the process answers in another way than this program expects".to_owned(),
        why: error.to_string(),
        fix: "use the program of the same version as the process, or `--json`".to_owned(),
    })
}
