//! The operator's end of the socket.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{Reply, Request};
use crate::platform::LocalStream;

/// Why a process could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No process answers there.
    #[error("no portvakt answers on the control socket `{}`", path.display())]
    NobodyThere {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody may, but not we.
    #[error("the control socket `{}` may not be opened by {}", path.display(), crate::platform::user())]
    Forbidden {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke, or there are no such sockets here.
    #[error("the control socket `{}` cannot be used", path.display())]
    Broken {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection stands, and nothing comes.
    #[error("no answer on the control socket `{}` for {} s", path.display(), STATUS_PATIENCE.as_secs())]
    Silent {
        /// Where.
        path: PathBuf,
    },
    /// Another program, or another version, answers.
    #[error("the answer on the control socket `{}` makes no sense", path.display())]
    Nonsense {
        /// Where.
        path: PathBuf,
        /// What was expected.
        source: serde_json::Error,
    },
}

/// Asks the process whose socket lies at `path`. Waits as long as it takes, since a reload may read a slow drive; but
/// for the status, which is in memory, [`STATUS_PATIENCE`].
///
/// # Errors
///
/// [`AskError`].
pub async fn ask(path: &Path, request: Request) -> Result<Reply, AskError> {
    if !matches!(request, Request::Status) {
        return exchange(path, request).await;
    }
    let silent = |_| Err(AskError::Silent { path: path.to_owned() });
    timeout(STATUS_PATIENCE, exchange(path, request)).await.unwrap_or_else(silent)
}

async fn exchange(path: &Path, request: Request) -> Result<Reply, AskError> {
    let mut stream = LocalStream::connect(path).await.map_err(|error| not_connected(path, error))?;
    let broken = |source| AskError::Broken { path: path.to_owned(), source };
    let mut line =
        serde_json::to_string(&request).map_err(|source| AskError::Nonsense { path: path.to_owned(), source })?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(broken)?;
    serde_json::from_str(&answer).map_err(|source| AskError::Nonsense { path: path.to_owned(), source })
}

fn not_connected(path: &Path, source: io::Error) -> AskError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NobodyThere { path, source },
        ErrorKind::PermissionDenied => AskError::Forbidden { path, source },
        _ => AskError::Broken { path, source },
    }
}

/// A process that is stuck is to be told from one that is well, by health checks too, which wait for 5 s.
const STATUS_PATIENCE: Duration = Duration::from_secs(4);
