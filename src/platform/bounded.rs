//! Programs of the operator's, which must not outlive the time that they have.

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{kill_group, own_group};

/// How a program ended. `said` are its last words on standard error, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited {
        /// Its exit status.
        status: ExitStatus,
        /// Its last words.
        said: String,
    },
    /// By us: its time was over.
    Killed {
        /// Its last words.
        said: String,
    },
}

/// Runs a program with `input` on its standard input, in a group of its own, so that what it has started dies with it
/// when `limit` is over; when it ends by itself, what it leaves behind is let be. What it writes to standard output is lost. It
/// need not read its input.
///
/// # Errors
///
/// The system's own, when it cannot be started or waited for.
pub async fn run_bounded(mut command: Command, input: Vec<u8>, limit: Duration) -> io::Result<Ended> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    own_group(&mut command);
    let mut running = Running(command.spawn()?);
    let mut words = Vec::new();
    let ended = tokio::time::timeout(limit, running.end(&input, &mut words)).await;
    let said = told(&words);
    match ended {
        Ok(status) => Ok(Ended::Exited { status: status?, said }),
        Err(_) => Ok(Ended::Killed { said }),
    }
}

/// A program that does not outlive this: whatever is left of its group is killed.
struct Running(Child);

impl Running {
    /// Feeds it, waits for its end, and reads what it says meanwhile.
    async fn end(&mut self, input: &[u8], words: &mut Vec<u8>) -> io::Result<ExitStatus> {
        let (stdin, stderr) = (self.0.stdin.take(), self.0.stderr.take());
        let feeding = async {
            if let Some(mut stdin) = stdin {
                // One that does not care what it is told has closed it.
                let _ = stdin.write_all(input).await;
            }
        };
        let reading = async {
            if let Some(stderr) = stderr {
                keep_last(stderr, words).await;
            }
        };
        let mut talking = pin!(async { tokio::join!(feeding, reading) });
        tokio::select! {
            status = self.0.wait() => {
                // What it leaves behind may hold its standard error open for as long as it likes.
                let _ = tokio::time::timeout(UNTIL_READ, talking).await;
                status
            }
            _ = &mut talking => self.0.wait().await,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // None when it has ended and was waited for: its number may be another's by now.
        if let Some(id) = self.0.id() {
            kill_group(id);
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

/// For last words that are on their way when a program has ended.
const UNTIL_READ: Duration = Duration::from_secs(1);
/// Bytes.
const LAST_WORDS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn given_many_words_when_told_then_one_line() {
        assert_eq!(told(b"  a \r\n\n\x1b[31mb\n"), "a; [31mb");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn given_input_when_the_program_reads_it_or_not_then_it_ends_by_itself() {
        let input = vec![b'a'; 1 << 20];
        let counted = run_bounded(shell("wc -c >&2"), input.clone(), Duration::from_secs(60)).await.unwrap();
        assert!(matches!(&counted, Ended::Exited { said, .. } if said == "1048576"), "{counted:?}");
        let deaf = run_bounded(shell("exit 7"), input, Duration::from_secs(60)).await.unwrap();
        assert!(matches!(deaf, Ended::Exited { status, .. } if status.code() == Some(7)), "{deaf:?}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn given_a_program_that_leaves_another_behind_when_it_ends_then_it_has_ended_and_was_not_killed() {
        let script = "echo done >&2; sleep 60 & exit 0";
        let ended = run_bounded(shell(script), b"in".to_vec(), Duration::from_secs(30)).await.unwrap();
        assert!(matches!(&ended, Ended::Exited { status, said } if status.success() && said == "done"), "{ended:?}");
    }
}
