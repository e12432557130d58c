//! A stand-in for the service manager: it hears what sd_notify(3) sends.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::clock::{Deadline, PATIENCE};

/// A socket at which everything that arrives is kept.
pub(crate) struct Supervisor {
    path: PathBuf,
    heard: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Supervisor {
    /// Listens in `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket in a temporary folder");
        let heard: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let kept = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                kept.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                kept.1.notify_all();
            }
        });
        Self { path, heard }
    }

    /// Lets `command` tell us.
    pub(crate) fn listen_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", &self.path)
    }

    /// Every message so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a message after the first `mark` that has the line `wanted`, or one that begins so when it ends in `=`;
    /// gives how many messages there were up to it, and the message.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`].
    pub(crate) fn wait_for(&self, mark: usize, wanted: &str) -> (usize, String) {
        let deadline = Deadline::after(PATIENCE);
        let mut messages = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found = messages.iter().enumerate().skip(mark).find(|(_, message)| has(message, wanted));
            if let Some((index, message)) = found {
                return (index + 1, message.clone());
            }
            assert!(!deadline.passed(), "{wanted} was not told; heard was {messages:?}");
            let waited = self.heard.1.wait_timeout(messages, deadline.left());
            messages = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a message assigns to `name`.
pub(crate) fn value<'a>(message: &'a str, name: &str) -> &'a str {
    let assigned = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assigned.unwrap_or_else(|| panic!("no {name} in {message:?}"))
}

fn has(message: &str, wanted: &str) -> bool {
    message.lines().any(|line| if wanted.ends_with('=') { line.starts_with(wanted) } else { line == wanted })
}
