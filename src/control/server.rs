//! The process's end of the socket.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Reply, Request};
use crate::platform::{LocalListener, LocalStream};

/// Who answers.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Carries a request out.
    async fn answer(&self, request: Request) -> Reply;
}

/// An open socket. Its name goes when it is dropped, unless another process has taken it over.
pub struct Server(LocalListener);

impl Server {
    /// Opens the socket at `path`, and the folder above it for our user alone where there is none.
    ///
    /// # Errors
    ///
    /// The system's: the path is too long for a socket, the folder may not be written, or there are no such sockets here.
    pub fn bind(path: &Path) -> io::Result<Self> {
        LocalListener::bind(path).map(Self)
    }

    /// Answers until it is dropped.
    pub async fn serve(self, handler: Arc<dyn Handler>) {
        loop {
            match self.0.accept().await {
                Ok(stream) => {
                    tokio::spawn(converse(stream, handler.clone()));
                }
                Err(error) => {
                    warn!(%error, "the control socket cannot accept");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn converse(mut stream: LocalStream, handler: Arc<dyn Handler>) {
    let request = match timeout(PATIENCE, read(&mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => return debug!(%error, "a request on the control socket makes no sense"),
        Err(_elapsed) => return debug!("a client of the control socket says nothing"),
    };
    debug!(?request, "an operator asks on the control socket");
    let is_wish = matches!(request, Request::Renew { .. } | Request::Rollback { .. });
    let reply = tokio::select! {
        reply = handler.answer(request) => reply,
        // What is not begun yet is nobody's wish any more; what is begun goes on.
        () = gone(&mut stream), if is_wish => return debug!("who asked on the control socket has gone"),
    };
    let line = serde_json::to_string(&reply).unwrap_or_default() + "\n";
    // A client that is gone wants no answer.
    let _ = timeout(PATIENCE, stream.write_all(line.as_bytes())).await;
}

/// Waits until the other end is closed; it has nothing more to say.
async fn gone(stream: &mut LocalStream) {
    let mut more = [0; 64];
    while matches!(stream.read(&mut more).await, Ok(1..)) {}
}

async fn read(stream: &mut LocalStream) -> io::Result<Request> {
    let mut line = String::new();
    BufReader::new(stream).take(LONGEST).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

const LONGEST: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    use super::super::{AskError, ask};
    use super::*;

    struct Echo;

    #[async_trait]
    impl Handler for Echo {
        async fn answer(&self, request: Request) -> Reply {
            match request {
                Request::Status => Reply::Done(serde_json::json!({ "well": true })),
                Request::Reload { .. }
                | Request::Rehearse { .. }
                | Request::Renew { .. }
                | Request::Rollback { .. }
                | Request::AcceptUpstream { .. }
                | Request::OfferHttp2 { .. }
                | Request::Answer { .. } => Reply::Failed(serde_json::json!("no")),
            }
        }
    }

    #[tokio::test]
    async fn given_a_socket_when_asked_then_answered_and_only_our_user_may_ask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");
        let serving = tokio::spawn(Server::bind(&path).unwrap().serve(Arc::new(Echo)));

        assert_eq!(ask(&path, Request::Status).await.unwrap(), Reply::Done(serde_json::json!({ "well": true })));
        assert_eq!(ask(&path, Request::Reload { color: false }).await.unwrap(), Reply::Failed(serde_json::json!("no")));
        let facts = std::fs::metadata(&path).unwrap();
        assert!(facts.file_type().is_socket());
        assert_eq!(facts.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        assert!(!path.exists(), "its name goes with it");
        assert!(matches!(ask(&path, Request::Status).await, Err(AskError::NobodyThere { .. })));
    }

    /// A stopped process: the kernel takes the connection, and nobody reads.
    #[tokio::test(start_paused = true)]
    async fn given_a_process_that_is_stuck_when_asked_for_its_status_then_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _stuck = std::os::unix::net::UnixListener::bind(&path).unwrap();

        assert!(matches!(ask(&path, Request::Status).await, Err(AskError::Silent { .. })));
    }

    #[tokio::test]
    async fn given_a_socket_of_a_dead_process_when_bound_then_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());

        let _serving = tokio::spawn(Server::bind(&path).unwrap().serve(Arc::new(Echo)));

        assert!(ask(&path, Request::Status).await.is_ok());
    }

    #[tokio::test]
    async fn given_two_processes_when_the_older_ends_then_the_newer_one_still_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let older = Server::bind(&path).unwrap();
        let _newer = tokio::spawn(Server::bind(&path).unwrap().serve(Arc::new(Echo)));

        drop(older);

        assert!(ask(&path, Request::Status).await.is_ok());
    }

    #[tokio::test]
    async fn given_a_file_in_its_place_when_bound_then_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();

        assert!(Server::bind(&path).is_err());

        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn given_nonsense_when_sent_then_the_next_one_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _serving = tokio::spawn(Server::bind(&path).unwrap().serve(Arc::new(Echo)));
        let mut stream = LocalStream::connect(&path).await.unwrap();
        stream.write_all(&[b'x'; 9000]).await.unwrap();
        drop(stream);

        assert!(ask(&path, Request::Status).await.is_ok());
    }

    #[test]
    fn given_a_path_too_long_for_a_socket_when_bound_then_an_error_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(120)).join("control.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        assert!(Server::bind(&path).err().unwrap().to_string().contains("bytes"));
    }
}
