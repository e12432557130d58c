//! A message to a program of the operator's: as JSON on its standard input, its head also in the environment.

use tokio::process::Command;
use tracing::debug;

use super::message::Message;
use super::send::SendError;
use super::settings::ProgramSettings;
use crate::platform::{self, Ended};

/// Runs the program, without a shell, in a process group of its own; exit code 0 means that the message was taken.
pub(super) async fn run(settings: &ProgramSettings, message: &Message) -> Result<(), SendError> {
    let Some((program, arguments)) = settings.command.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PORTVAKT_EVENT", message.kind.as_str())
        .env("PORTVAKT_SEVERITY", message.severity.as_str())
        .env("PORTVAKT_SUBJECT", &message.subject)
        .env("PORTVAKT_TITLE", &message.title);
    let input = message.json.to_string().into_bytes();
    let program = program.clone();
    match platform::run_bounded(command, input, settings.timeout).await {
        Ok(Ended::Exited { status, said }) if status.success() => {
            debug!(program, said, "notified");
            Ok(())
        }
        Ok(Ended::Exited { status, said }) => Err(SendError::Failed { program, status, said }),
        Ok(Ended::Killed { said }) => Err(SendError::Killed { program, after: settings.timeout, said }),
        Err(source) => Err(SendError::Run { program, source }),
    }
}
