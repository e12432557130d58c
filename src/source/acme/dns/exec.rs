//! Texts by a program of the operator's.
//!
//! It is started without a shell, as `command.. present|cleanup NAME VALUE`, with the same in the environment, and in a
//! process group of its own, so that what it has started dies with it. It exits with 0 when it is done.

use async_trait::async_trait;
use tokio::process::Command;
use tracing::debug;

use super::settings::ExecSettings;
use super::{DnsError, Provider};
use crate::platform::{self, Ended};
use crate::store::TextRecord;

pub(super) struct Exec(pub(super) ExecSettings);

impl Exec {
    async fn run(&self, action: &'static str, text: &TextRecord) -> Result<(), DnsError> {
        let (program, arguments) = self.0.command.split_first().ok_or(DnsError::NoProvider)?;
        let mut command = Command::new(program);
        command.args(arguments).args([action, &text.name, &text.value]);
        command.env("PORTVAKT_DNS_ACTION", action).env("PORTVAKT_DNS_NAME", &text.name);
        command.env("PORTVAKT_DNS_VALUE", &text.value);
        let (program, name) = (program.clone(), text.name.clone());
        match platform::run_bounded(command, Vec::new(), self.0.timeout).await {
            Ok(Ended::Exited { status, said }) if status.success() => {
                debug!(program, action, name, stderr = said, "done");
                Ok(())
            }
            Ok(Ended::Exited { status, said }) => Err(DnsError::Failed { program, action, name, status, stderr: said }),
            Ok(Ended::Killed { said }) => {
                Err(DnsError::Late { program, action, name, after: self.0.timeout, stderr: said })
            }
            Err(source) => Err(DnsError::Spawn { program, source }),
        }
    }
}

#[async_trait]
impl Provider for Exec {
    async fn add(&self, text: &TextRecord) -> Result<(), DnsError> {
        self.run("present", text).await
    }

    async fn remove(&self, text: &TextRecord) -> Result<(), DnsError> {
        self.run("cleanup", text).await
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text() -> TextRecord {
        let name = "_acme-challenge.m5.test".to_owned();
        TextRecord { asked: name.clone(), name, value: "a value; $(id)".to_owned() }
    }

    fn shell(script: &str, timeout: Duration) -> Exec {
        Exec(ExecSettings { command: ["/bin/sh", "-c", script, "hook"].map(str::to_owned).to_vec(), timeout })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn given_a_program_when_run_then_it_is_told_by_arguments_and_environment() {
        let script = r#"[ "$*" = "$PORTVAKT_DNS_ACTION $PORTVAKT_DNS_NAME $PORTVAKT_DNS_VALUE" ] && [ $# = 3 ] &&
            [ "$1" = present ] && [ "$2" = _acme-challenge.m5.test ] && [ "$3" = 'a value; $(id)' ]"#;
        assert!(shell(script, LONG).add(&text()).await.is_ok());
        assert!(shell(script, LONG).remove(&text()).await.is_err());
    }

    #[tokio::test]
    async fn given_a_program_that_fails_when_run_then_exit_code_and_last_words_are_told() {
        let error = shell("echo one >&2; echo two >&2; exit 3", LONG).remove(&text()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/bin/sh cleanup _acme-challenge.m5.test` ended with exit code 3; it said: one; two"
        );
        let missing = Exec(ExecSettings { command: vec!["/nowhere/hook".to_owned()], timeout: LONG });
        assert_eq!(missing.add(&text()).await.unwrap_err().to_string(), "cannot run `/nowhere/hook`");
    }

    #[tokio::test]
    async fn given_a_program_that_does_not_end_when_late_then_it_and_its_children_are_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let script = format!("mkfifo '{0}'; echo slow >&2; sleep 600 >'{0}' & cat '{0}'", pipe.display());
        let error = shell(&script, Duration::from_secs(3)).add(&text()).await.unwrap_err();
        assert!(error.to_string().ends_with("did not end within 3 s and was killed; it said: slow"), "{error}");

        // The far end of the pipe is closed when its only writer is dead.
        let read = tokio::task::spawn_blocking(move || std::fs::OpenOptions::new().read(true).write(true).open(pipe));
        assert!(read.await.unwrap().is_ok());
    }
}
