//! What the system asks of the process.

/// A wish of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read the configuration again: SIGHUP.
    Reload,
    /// Finish and end: SIGTERM, Ctrl-C.
    Stop,
    /// Let the program's file take over: SIGUSR2.
    Upgrade,
}

/// The process's signals. From its making on they no longer end the process by themselves.
pub struct Signals(system::Signals);

impl Signals {
    /// Takes over the signals; must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system's own, when a handler cannot be installed.
    pub fn new() -> std::io::Result<Self> {
        system::Signals::new().map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        self.0.next().await
    }
}

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{self, SignalKind, signal};

    use super::Signal;

    pub(super) struct Signals {
        hangup: unix::Signal,
        terminate: unix::Signal,
        interrupt: unix::Signal,
        user: unix::Signal,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                hangup: signal(SignalKind::hangup())?,
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                user: signal(SignalKind::user_defined2())?,
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.hangup.recv() => Signal::Reload,
                _ = self.terminate.recv() => Signal::Stop,
                _ = self.interrupt.recv() => Signal::Stop,
                _ = self.user.recv() => Signal::Upgrade,
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows::{CtrlC, CtrlClose, CtrlShutdown, ctrl_c, ctrl_close, ctrl_shutdown};

    use super::Signal;

    pub(super) struct Signals {
        interrupt: CtrlC,
        close: CtrlClose,
        shutdown: CtrlShutdown,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Stop,
                _ = self.close.recv() => Signal::Stop,
                _ = self.shutdown.recv() => Signal::Stop,
            }
        }
    }
}
