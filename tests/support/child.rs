//! A program that runs beside a test: its output is kept line by line, and it ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::clock::{Deadline, PATIENCE, eventually};

/// A running program.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    log: Arc<Log>,
}

impl Child {
    /// Starts `command` with nothing to read and both outputs kept.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: cannot start {command:?}: {error}"));
        let log = Arc::new(Log::default());
        keep(process.stdout.take(), Stream::Out, &log);
        keep(process.stderr.take(), Stream::Err, &log);
        Self { name: name.to_owned(), process, log }
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends the signal `name`, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "{}: cannot send SIG{name}", self.name);
    }

    /// The exit status, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("asking for the state of our own child works")
    }

    /// Waits for the end; both outputs are complete afterwards.
    ///
    /// # Panics
    /// When it still runs after `within`.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        let name = self.name.clone();
        let status = eventually(&format!("{name} ends"), within, || self.ended());
        self.log.wait_until(Deadline::after(PATIENCE), |state| (state.open == 0).then_some(()));
        status
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Every line so far, of both outputs.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.lock().lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Everything on standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.text_of(Stream::Out)
    }

    /// Everything on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.text_of(Stream::Err)
    }

    /// How many lines there are: a mark for [`Self::wait_line_after`].
    pub(crate) fn mark(&self) -> usize {
        self.log.lock().lines.len()
    }

    /// Waits for a line of which `wanted` is true, and gives it.
    pub(crate) fn wait_line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_line_after(0, what, wanted)
    }

    /// As [`Self::wait_line`], among the lines after `mark`.
    ///
    /// # Panics
    /// When the program ends without such a line, or [`PATIENCE`] does.
    pub(crate) fn wait_line_after(&self, mark: usize, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.log.wait_until(Deadline::after(PATIENCE), |state| {
            let line = state.lines.iter().skip(mark).map(|(_, line)| line).find(|line| wanted(line));
            match line {
                Some(line) => Some(Some(line.clone())),
                None if state.open == 0 => Some(None),
                None => None,
            }
        });
        found.flatten().unwrap_or_else(|| panic!("{}: no line that says: {what}", self.name))
    }

    fn text_of(&self, wanted: Stream) -> String {
        let state = self.log.lock();
        state.lines.iter().filter(|(stream, _)| *stream == wanted).map(|(_, line)| format!("{line}\n")).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if !thread::panicking() {
            return;
        }
        self.log.wait_until(Deadline::after(Duration::from_secs(1)), |state| (state.open == 0).then_some(()));
        eprintln!("---- log of {}", self.name);
        for line in self.lines() {
            eprintln!("{line}");
        }
    }
}

/// Which output a line came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    grown: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<(Stream, String)>,
    /// Outputs that have not reached their end.
    open: usize,
}

impl Log {
    fn lock(&self) -> std::sync::MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state now and after every line, until `probe` gives something or the deadline passes.
    fn wait_until<T>(&self, deadline: Deadline, probe: impl Fn(&LogState) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = probe(&state) {
                return Some(found);
            }
            if deadline.passed() {
                return None;
            }
            let waited = self.grown.wait_timeout(state, deadline.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn keep(output: Option<impl Read + Send + 'static>, stream: Stream, log: &Arc<Log>) {
    let Some(output) = output else { return };
    log.lock().open += 1;
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            log.lock().lines.push((stream, text));
            log.grown.notify_all();
            line.clear();
        }
        log.lock().open -= 1;
        log.grown.notify_all();
    });
}
