//! Texts by a program of the operator's.
//!
//! It is started without a shell, as `command.. present|cleanup NAME VALUE`, with the same in the environment, and in a
//! process group of its own, so that what it has started dies with it. It exits with 0 when it is done.

use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tracing::debug;

use super::settings::ExecSettings;
use super::{DnsError, Provider};
use crate::platform;
use crate::store::TextRecord;

pub(super) struct Exec(pub(super) ExecSettings);

impl Exec {
    async fn run(&self, action: &'static str, text: &TextRecord) -> Result<(), DnsError> {
        let (program, arguments) = self.0.command.split_first().ok_or(DnsError::NoProvider)?;
        let mut command = Command::new(program);
        command.args(arguments).args([action, &text.name, &text.value]);
        command.env("PORTVAKT_DNS_ACTION", action).env("PORTVAKT_DNS_NAME", &text.name);
        command.env("PORTVAKT_DNS_VALUE", &text.value);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        platform::own_group(&mut command);
        let child = command.spawn().map_err(|source| DnsError::Spawn { program: program.clone(), source })?;
        let mut running = Running(child);
        let mut words = Vec::new();
        let ended = tokio::time::timeout(self.0.timeout, running.end(&mut words)).await;
        let (program, name, stderr) = (program.clone(), text.name.clone(), told(&words));
        match ended {
            Ok(Ok(status)) if status.success() => {
                debug!(program, action, name, stderr, "done");
                Ok(())
            }
            Ok(Ok(status)) => Err(DnsError::Failed { program, action, name, status, stderr }),
            Ok(Err(source)) => Err(DnsError::Spawn { program, source }),
            Err(_) => Err(DnsError::Late { program, action, name, after: self.0.timeout, stderr }),
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

/// A program that does not outlive this: whatever is left of its group is killed.
struct Running(Child);

impl Running {
    /// Waits for its end, and reads what it says meanwhile.
    async fn end(&mut self, words: &mut Vec<u8>) -> std::io::Result<std::process::ExitStatus> {
        let stderr = self.0.stderr.take();
        let reading = async {
            if let Some(stderr) = stderr {
                keep_last(stderr, words).await;
            }
        };
        let (status, ()) = tokio::join!(self.0.wait(), reading);
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // None when it has ended and was waited for: its number may be another's by now.
        if let Some(id) = self.0.id() {
            platform::kill_group(id);
        }
    }
}

/// Reads to the end and keeps the last bytes.
async fn keep_last(mut from: impl AsyncRead + Unpin, words: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        words.extend_from_slice(&buffer[..length]);
        let surplus = words.len().saturating_sub(LAST_WORDS);
        words.drain(..surplus);
    }
}

/// What a program said, on one line.
fn told(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ").chars().filter(|c| !c.is_control()).collect()
}

/// Bytes.
const LAST_WORDS: usize = 2048;

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
        let error = shell(&script, Duration::from_secs(1)).add(&text()).await.unwrap_err();
        assert!(error.to_string().ends_with("did not end within 1 s and was killed; it said: slow"), "{error}");

        // The far end of the pipe is closed when its only writer is dead.
        let read = tokio::task::spawn_blocking(move || std::fs::OpenOptions::new().read(true).write(true).open(pipe));
        assert!(read.await.unwrap().is_ok());
    }

    #[test]
    fn given_many_words_when_told_then_one_line() {
        assert_eq!(told(b"  a \r\n\n\x1b[31mb\n"), "a; [31mb");
    }
}
