//! Well-behaved clients beside an attack: every request of theirs must be answered, and the program must not grow.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::clock::{PATIENCE, eventually};
use super::h2::{End, H2};
use super::load::Target;
use super::raw;
use super::tls;

/// Clients over TLS: HTTP/1.1 on a connection each, HTTP/1.1 on one that is kept, HTTP/2.
pub(crate) struct Victims {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    memory: Memory,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Answered requests by kind of client.
    answered: [AtomicUsize; 3],
    failures: Mutex<Vec<String>>,
}

/// A process's memory, as the kernel counts it.
pub(crate) struct Memory {
    process: u32,
    before: u64,
}

impl Victims {
    /// Starts them against `target`; `process` is the server, whose memory is looked at.
    pub(crate) fn start(target: &Target, process: u32) -> Self {
        let shared = Arc::new(Shared::default());
        let workers = (0..3).map(|kind| {
            let (shared, target) = (Arc::clone(&shared), target.clone());
            thread::spawn(move || match kind {
                0 => shared.fresh(&target),
                1 => shared.kept(&target),
                _ => shared.h2(&target),
            })
        });
        let workers = workers.collect();
        let mut victims = Self { shared, workers, memory: Memory { process, before: 0 } };
        // Caches are warm and connections open before the memory is looked at.
        victims.wait_for(5);
        victims.memory = Memory::of(process);
        victims
    }

    /// Waits until each kind of client has had `more` answers.
    pub(crate) fn wait_for(&self, more: usize) {
        let count = |kind: usize| self.shared.answered[kind].load(Ordering::SeqCst);
        let goals: Vec<_> = (0..3).map(|kind| count(kind) + more).collect();
        eventually("the victims are served", PATIENCE, || {
            let failed = !self.shared.failures().is_empty();
            (failed || (0..3).all(|kind| count(kind) >= goals[kind])).then_some(())
        });
    }

    /// Ends them, after a few more answers.
    ///
    /// # Panics
    /// When one request failed, or the program has grown by more than `most` MiB.
    pub(crate) fn assert_unharmed(self, most: u64) {
        self.wait_for(5);
        self.memory.assert_within(most);
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.join().expect("a client does not panic");
        }
        let failures = self.shared.failures();
        assert!(failures.is_empty(), "{} requests failed: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    }
}

impl Shared {
    fn failures(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer and makes a short pause; `false` ends the client.
    fn goes_on(&self, kind: usize, result: Result<(), String>) -> bool {
        match result {
            Ok(()) => drop(self.answered[kind].fetch_add(1, Ordering::SeqCst)),
            Err(why) => {
                self.failures().push(format!("{}: {why}", ["fresh", "kept", "h2"][kind]));
                return false;
            }
        }
        thread::sleep(PACE);
        !self.stop.load(Ordering::SeqCst)
    }

    fn fresh(&self, target: &Target) {
        while self.goes_on(0, connect(target).and_then(|mut stream| get(target, &mut stream).map(drop))) {}
    }

    fn kept(&self, target: &Target) {
        let mut stream = connect(target);
        loop {
            let result = stream.as_mut().map_err(|why| why.clone()).and_then(|stream| get(target, stream));
            if result.as_ref().is_ok_and(raw::Reply::closes) {
                stream = connect(target);
            }
            if !self.goes_on(1, result.map(drop)) {
                return;
            }
        }
    }

    fn h2(&self, target: &Target) {
        let mut connection = match H2::connect(&target.client, target.port, &target.name, &[]) {
            Ok(connection) => connection,
            Err(error) => {
                self.goes_on(2, Err(error.to_string()));
                return;
            }
        };
        loop {
            let result = match connection.get(&target.name, &target.path) {
                End::Answered(200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            };
            if !self.goes_on(2, result) {
                return;
            }
        }
    }
}

fn connect(target: &Target) -> Result<tls::Stream, String> {
    tls::connect(&target.client, target.port, &target.name).map_err(|error| format!("handshake: {error}"))
}

fn get(target: &Target, stream: &mut tls::Stream) -> Result<raw::Reply, String> {
    let text = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", target.path, target.name);
    let reply = tls::exchange(stream, &text).map_err(|error| error.to_string())?;
    if reply.status == 200 { Ok(reply) } else { Err(format!("status {}", reply.status)) }
}

impl Memory {
    /// What `process` holds now.
    pub(crate) fn of(process: u32) -> Self {
        Self { process, before: kib(process, "VmRSS:") }
    }

    /// # Panics
    /// When it has held more than `most` MiB above what it held at first, at any time of its life.
    pub(crate) fn assert_within(&self, most: u64) {
        let grown = kib(self.process, "VmHWM:").saturating_sub(self.before) / 1024;
        assert!(grown <= most, "it has grown by {grown} MiB, {most} are allowed");
    }
}

/// A number of `/proc/PID/status`; nothing where there is none.
fn kib(process: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Between two requests of one client: an attack has to have processors, too.
const PACE: Duration = Duration::from_millis(5);
