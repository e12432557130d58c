//! The thread that writes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Losses, Record};
use crate::platform;

/// What the thread is sent.
pub(super) enum Message {
    Record(Box<Record>),
    Reopen,
    /// Everything before it is to be written; then the sender is dropped.
    Flush(SyncSender<()>),
}

pub(super) struct Writer {
    output: Output,
    losses: Arc<Losses>,
    /// Lines in `buffer`.
    lines: u64,
    buffer: Vec<u8>,
    /// The last write has failed; told once.
    is_failing: bool,
    /// It has failed in the middle of a line.
    is_torn: bool,
    looked_at: Instant,
    /// When losses were last told.
    told_at: Option<Instant>,
}

enum Output {
    Stdout,
    File { path: PathBuf, file: Option<File> },
}

impl Writer {
    pub(super) fn new(path: Option<PathBuf>, losses: Arc<Losses>) -> Self {
        let output = match path {
            None => Output::Stdout,
            Some(path) => Output::File { path, file: None },
        };
        let (buffer, looked_at) = (Vec::with_capacity(BATCH), Instant::now());
        Self { output, losses, lines: 0, buffer, is_failing: false, is_torn: false, looked_at, told_at: None }
    }

    /// Writes until every sender is gone.
    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
        // So that a wrong path is told at the start, not with the first request.
        if let Output::File { .. } = &self.output
            && let Err(error) = self.output.ready().map(drop)
        {
            self.failed(&error, 0);
        }
        loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.write(),
            }
            while self.buffer.len() < BATCH {
                let Ok(message) = receiver.try_recv() else { break };
                self.take(message);
            }
            self.write();
            self.tell();
        }
    }

    /// Tells once a minute what was lost.
    fn tell(&mut self) {
        let is_due = self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if !is_due || self.losses.untold.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.told_at = Some(Instant::now());
        let dropped = self.losses.untold.swap(0, Ordering::Relaxed);
        warn!(dropped, "lines of the access log were lost: its file or reader is too slow, or cannot be written");
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(record) => {
                record.write_line(&mut self.buffer);
                self.lines += 1;
            }
            Message::Reopen => {
                self.write();
                self.output.close();
            }
            Message::Flush(done) => {
                self.write();
                drop(done);
            }
        }
    }

    fn write(&mut self) {
        if self.looked_at.elapsed() >= LOOK_EVERY {
            self.looked_at = Instant::now();
            self.output.close_if_moved();
        }
        if self.buffer.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        match self.output.write(&self.buffer, &mut self.is_torn) {
            Ok(()) if std::mem::take(&mut self.is_failing) => info!("the access log is written again"),
            Ok(()) => {}
            Err(error) => self.failed(&error, lines),
        }
        self.buffer.clear();
    }

    fn failed(&mut self, error: &io::Error, lines: u64) {
        self.losses.add(lines);
        // Perhaps another file can be written.
        self.output.close();
        if !std::mem::replace(&mut self.is_failing, true) {
            let path = self.output.name();
            let fix = "make room, or let the folder be writable; requests go on, and it is tried again";
            error!(path, %error, fix, "the access log cannot be written: lines are lost");
        }
    }
}

impl Output {
    /// Writes whole lines; `is_torn` says whether the file ends in a part of one.
    fn write(&mut self, lines: &[u8], is_torn: &mut bool) -> io::Result<()> {
        let to: &mut dyn Write = match self {
            Self::Stdout => &mut io::stdout().lock(),
            Self::File { .. } => self.ready()?,
        };
        if *is_torn {
            to.write_all(b"\n")?;
            *is_torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let written = lines.len() - rest.len();
                    *is_torn = written > 0 && !lines[..written].ends_with(b"\n");
                    return Err(error);
                }
            }
        }
        to.flush()
    }

    /// The open file.
    fn ready(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Self::Stdout => Err(io::ErrorKind::Unsupported.into()),
            Self::File { file: Some(file), .. } => Ok(file),
            Self::File { path, file } => Ok(file.insert(platform::append_to(path)?)),
        }
    }

    fn close(&mut self) {
        if let Self::File { file, .. } = self {
            *file = None;
        }
    }

    fn close_if_moved(&mut self) {
        if let Self::File { path, file: open @ Some(_) } = self
            && open.as_ref().is_some_and(|file| !is_still(file, path))
        {
            *open = None;
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

/// Whether the name still leads to the file. Who cannot be asked is believed to.
fn is_still(file: &File, path: &Path) -> bool {
    match platform::is_same_file(file, path) {
        Ok(is_same) => is_same,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// How soon a moved file is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Written at once, in bytes.
const BATCH: usize = 64 * 1024;
