//! The access log: one JSON object for each request, written off the request's path.
//!
//! In: [`Settings`] and owned [`Record`]s. Out: lines in a file or on standard output. Imports `time`, `platform` and
//! serde. What is counted as dropped is told to whoever opened the log.
//!
//! Promises: a request never waits for the log: what does not fit into a bounded queue, or cannot be written, is dropped,
//! counted and told once a minute; a file that was moved away or is to be opened anew (`SIGHUP`) gets no line more after a
//! second; neither credentials nor cookies are ever in a record, and queries only where the operator asks for them.

mod record;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;

use http::StatusCode;

pub use record::{Record, told_target};
use writer::{Message, Writer};

/// `[log] access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Appended to; `None` is standard output.
    pub path: Option<PathBuf>,
    /// What becomes of queries, which may hold tokens and personal data.
    pub query: Query,
    /// One of so many requests is written, and every one that failed with 5xx; at least 1.
    pub sample: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { path: None, query: Query::default(), sample: 1 }
    }
}

/// `log.access.query`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Query {
    /// Only that there was one.
    #[default]
    Redact,
    /// As sent.
    Keep,
}

/// An open access log. Dropping it writes what is queued and closes it.
pub struct AccessLog {
    settings: Settings,
    sender: SyncSender<Message>,
    seen: AtomicU32,
    losses: Arc<Losses>,
}

/// Is told how many lines were lost.
pub type Dropped = Arc<dyn Fn(u64) + Send + Sync>;

/// Lines that were lost.
struct Losses {
    dropped: Dropped,
    untold: AtomicU64,
}

impl Losses {
    fn add(&self, lines: u64) {
        if lines > 0 {
            self.untold.fetch_add(lines, Ordering::Relaxed);
            (self.dropped)(lines);
        }
    }
}

impl AccessLog {
    /// Opens the log and starts its thread. A file that cannot be opened now is tried again, and told.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn open(settings: Settings, dropped: Dropped) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let losses = Arc::new(Losses { dropped, untold: AtomicU64::new(0) });
        let writer = Writer::new(settings.path.clone(), losses.clone());
        std::thread::Builder::new().name("access log".to_owned()).spawn(move || writer.run(&receiver))?;
        Ok(Self { settings, sender, seen: AtomicU32::new(0), losses })
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a request that was answered with `status` is to be written; counts it.
    pub fn wants(&self, status: Option<StatusCode>) -> bool {
        let is_due = self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.settings.sample);
        is_due || status.is_some_and(|status| status.is_server_error())
    }

    /// Queues a record; drops it when the queue is full.
    pub fn write(&self, record: Record) {
        match self.sender.try_send(Message::Record(Box::new(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.losses.add(1),
        }
    }

    /// Opens the file anew, as after it was moved away.
    pub fn reopen(&self) {
        // With a full queue the writer is stuck or looks at the file within a second anyway.
        let _ = self.sender.try_send(Message::Reopen);
    }

    /// Waits until everything queued by now is written, `limit` at most; blocks.
    pub fn flush(&self, limit: Duration) {
        let (done, written) = mpsc::sync_channel(1);
        let mut message = Message::Flush(done);
        let deadline = tokio::time::Instant::now() + limit;
        while let Err(TrySendError::Full(back)) = self.sender.try_send(message) {
            if tokio::time::Instant::now() >= deadline {
                return;
            }
            message = back;
            std::thread::sleep(FLUSH_PAUSE);
        }
        let _ = written.recv_timeout(deadline.saturating_duration_since(tokio::time::Instant::now()));
    }
}

/// Some seconds of a busy proxy, and a few megabytes.
const QUEUE: usize = 8192;
const FLUSH_PAUSE: Duration = Duration::from_millis(5);

#[cfg(all(test, unix))]
mod tests {
    use super::record::tests::record;
    use super::*;

    #[test]
    fn given_a_reader_that_does_not_read_when_more_is_written_than_fits_then_it_is_dropped_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        let settings = Settings { path: Some(path), ..Settings::default() };
        let log =
            AccessLog::open(settings, Arc::new(move |lines| _ = counted.fetch_add(lines, Ordering::Relaxed))).unwrap();

        (0..QUEUE + 100).for_each(|_| log.write(record()));
        log.flush(Duration::from_millis(1));

        // The thread may hold one that it has taken already.
        assert!((99..=100).contains(&dropped.load(Ordering::Relaxed)), "{dropped:?}");
    }

    #[test]
    fn given_records_when_flushed_or_dropped_then_every_line_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let settings = Settings { path: Some(path.clone()), ..Settings::default() };
        let log = AccessLog::open(settings, Arc::new(|_| {})).unwrap();
        (0..1000).for_each(|_| log.write(record()));

        log.flush(Duration::from_secs(60));

        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 1000);
        assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn given_a_sample_when_asked_then_one_of_so_many_and_every_failure() {
        let settings = Settings { path: Some("/dev/null".into()), sample: 10, ..Settings::default() };
        let log = AccessLog::open(settings, Arc::new(|_| {})).unwrap();
        let wanted = (0..100).filter(|_| log.wants(Some(StatusCode::OK))).count();
        assert_eq!(wanted, 10);
        assert!((0..100).all(|_| log.wants(Some(StatusCode::BAD_GATEWAY))));
    }
}
