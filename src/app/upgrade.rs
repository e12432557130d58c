//! The program is started anew beside this process, takes over, and this process drains.
//!
//! ```text
//! predecessor                                     successor
//!   stops ordering certificates, starts the program
//!   sockets, `done` ------------------------------> reads the configuration, binds, publishes certificates
//!                  <------------------------------ `ready`
//!   names the main process, `go` -----------------> accepts
//!                  <------------------------------ `serving`
//!   stops accepting, ends its certificates' tasks
//!   closes the channel ---------------------------> orders certificates
//!   drains
//! ```
//!
//! # Why
//!
//! There is no moment without somebody who accepts: both accept from the same sockets, for milliseconds. Until `serving` is
//! heard the predecessor has given nothing up, so whatever goes wrong before, it serves on. Only one of both orders
//! certificates, and it is the one that accepts, since a CA's question about a challenge has to reach the process that
//! knows the answer; the store's lock would not see to that.

use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{error, info, warn};

use super::App;
use crate::listener::Sockets;
use crate::manager::Pause;
use crate::platform::{Channel, Notice, Successor};

impl App {
    /// Has the program's file, as it is now, take over. True when it serves: then this process has to drain.
    pub(super) async fn upgrade(&self) -> bool {
        let inner = &self.0;
        let _no_reload = inner.reloading.lock().await;
        inner.tell(&[Notice::Status("upgrading: starting the new program")]);
        match self.try_upgrade().await {
            Ok(id) => {
                info!(successor = id, "upgraded: the new process serves");
                inner.is_handed_over.store(true, Ordering::Release);
                true
            }
            Err(error) => {
                error!("UPGRADE FAILED, this process serves on: {}", crate::causes::with_causes(&error));
                let status = format!("{}; the last upgrade failed: {error}", inner.status_line());
                inner.tell(&[Notice::MainProcess(std::process::id()), Notice::Status(&status)]);
                false
            }
        }
    }

    async fn try_upgrade(&self) -> Result<u32, UpgradeError> {
        let inner = &self.0;
        let program = inner.program.as_ref().ok_or(UpgradeError::NoProgram)?;
        info!(program = %program.file().display(), "upgrading");
        // An order that lasts longer is gone on with by the successor.
        let pause = tokio::time::timeout(ORDER_LIMIT, inner.manager.pause()).await.ok();
        let mut successor = program.start_successor().map_err(UpgradeError::Start)?;
        self.hand_over(&mut successor).await?;
        inner.truth.stop();
        inner.listeners().stop_all();
        inner.local_sockets().stop();
        inner.manager.end().await;
        drop(pause);
        successor.channel().close();
        let id = successor.id();
        successor.release();
        Ok(id)
    }

    async fn hand_over(&self, successor: &mut Successor) -> Result<(), UpgradeError> {
        let inner = &self.0;
        let sent = self.send_sockets(&successor.channel());
        // Who cannot be told anything has ended, and how it ended says more.
        let heard = match sent {
            Ok(()) => hear(successor.channel(), READY, START_LIMIT).await,
            Err(error) => Err(UpgradeError::Channel(error)),
        };
        if let Err(error) = heard {
            return Err(outcome(successor, error).await);
        }
        inner.tell(&[Notice::MainProcess(successor.id())]);
        successor.channel().send(GO, None).map_err(UpgradeError::Channel)?;
        hear(successor.channel(), SERVING, SERVE_LIMIT).await
    }

    fn send_sockets(&self, channel: &Channel) -> io::Result<()> {
        channel.send(HELLO, None)?;
        self.0.listeners().each_socket(|address, socket, is_held| {
            let word = if is_held { HELD } else { OWN };
            channel.send(&format!("{word} {address}"), Some(socket))
        })?;
        channel.send(DONE, None)
    }
}

async fn hear(channel: Arc<Channel>, expected: &'static str, limit: Duration) -> Result<(), UpgradeError> {
    let heard = tokio::task::spawn_blocking(move || channel.receive(limit)).await;
    match heard.map_err(io::Error::other).flatten() {
        Ok(Some((word, _))) if word == expected => Ok(()),
        Ok(Some((word, _))) => Err(UpgradeError::Unexpected { word, expected }),
        Ok(None) => Err(UpgradeError::Gone),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(UpgradeError::Silent { expected, limit }),
        Err(error) => Err(UpgradeError::Channel(error)),
    }
}

/// Why it failed, in the words that help most: how the new process has ended, when it has.
async fn outcome(successor: &mut Successor, error: UpgradeError) -> UpgradeError {
    if !matches!(error, UpgradeError::Gone | UpgradeError::Channel(_)) {
        return error;
    }
    for _ in 0..END_LOOKS {
        if let Some(status) = successor.ended() {
            return UpgradeError::Ended(status);
        }
        tokio::time::sleep(END_LOOK).await;
    }
    error
}

/// The process that we are to take over from, which serves until we can.
#[derive(Debug)]
pub(super) struct Predecessor(Arc<Channel>);

impl Predecessor {
    /// Takes its sockets, when there is one.
    ///
    /// # Errors
    ///
    /// When standard input does not bring them.
    pub(super) fn meet() -> io::Result<Option<(Self, Sockets)>> {
        let Some(channel) = Channel::to_predecessor()? else { return Ok(None) };
        let mut sockets = Sockets::default();
        expect(&channel, HELLO)?;
        loop {
            let (word, socket) = channel.receive(START_LIMIT)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match (word.split_once(' '), socket) {
                (Some((kind @ (OWN | HELD), address)), Some(socket)) => {
                    sockets.add(parse(address)?, socket, kind == HELD);
                }
                _ if word == DONE => return Ok(Some((Self(Arc::new(channel)), sockets))),
                _ => return Err(unexpected(&word)),
            }
        }
    }

    /// Says that we could serve, and waits until we may.
    ///
    /// # Errors
    ///
    /// When it is gone, or has changed its mind.
    pub(super) async fn ask(&self) -> io::Result<()> {
        let channel = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || {
            channel.send(READY, None)?;
            expect(&channel, GO)
        });
        asked.await.map_err(io::Error::other)?
    }

    /// Says that we serve. Certificates are ordered when it has let go.
    pub(super) fn relieve(self, pause: Pause) {
        if let Err(error) = self.0.send(SERVING, None) {
            warn!(%error, "the process before this one is gone already");
        }
        tokio::task::spawn_blocking(move || {
            // Nothing more is said: it ends, and so does the wait.
            let _ = self.0.receive(LET_GO_LIMIT);
            drop(pause);
        });
    }
}

fn expect(channel: &Channel, expected: &str) -> io::Result<()> {
    match channel.receive(START_LIMIT)? {
        Some((word, _)) if word == expected => Ok(()),
        Some((word, _)) => Err(unexpected(&word)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn parse(address: &str) -> io::Result<SocketAddr> {
    address.parse().map_err(|_| unexpected(address))
}

fn unexpected(word: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{word}` is not understood"))
}

/// Why the new program does not serve.
#[derive(Debug, thiserror::Error)]
enum UpgradeError {
    #[error("it is not known which program this is")]
    NoProgram,
    #[error("the program cannot be started")]
    Start(#[source] io::Error),
    #[error("the new process has ended with {0}; its own words stand above")]
    Ended(ExitStatus),
    #[error("the new process has closed the channel")]
    Gone,
    #[error("the new process has not said `{expected}` within {limit:?}, and was killed")]
    Silent { expected: &'static str, limit: Duration },
    #[error("the new process said `{word}`, expected `{expected}`: is it a portvakt?")]
    Unexpected { word: String, expected: &'static str },
    #[error("the new process cannot be reached")]
    Channel(#[source] io::Error),
}

/// The first word names the language, so that a later portvakt can speak another.
const HELLO: &str = "portvakt handover 1";
const OWN: &str = "own";
const HELD: &str = "held";
const DONE: &str = "done";
const READY: &str = "ready";
const GO: &str = "go";
const SERVING: &str = "serving";

/// For reading the configuration, binding and publishing; no CA is waited for.
const START_LIMIT: Duration = Duration::from_secs(30);
const SERVE_LIMIT: Duration = Duration::from_secs(10);
/// For a certificate that is being ordered.
const ORDER_LIMIT: Duration = Duration::from_secs(30);
/// For ending the certificates' tasks.
const LET_GO_LIMIT: Duration = Duration::from_secs(30);
/// Between the end of its channel and the end of the process.
const END_LOOK: Duration = Duration::from_millis(20);
const END_LOOKS: usize = 100;
