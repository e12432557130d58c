//! Many clients at once, over TLS or plain HTTP, that count every request which did not go as it should.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::clock::{PATIENCE, eventually};
use super::raw;
use super::tls::{self, Shared};

/// Running clients.
pub(crate) struct Load {
    shared: Arc<State>,
    workers: Vec<JoinHandle<()>>,
}

/// What they call.
#[derive(Clone)]
pub(crate) struct Target {
    /// On loopback.
    pub(crate) port: u16,
    /// Server name and `Host`.
    pub(crate) name: String,
    /// Path.
    pub(crate) path: String,
    /// How to shake hands.
    pub(crate) client: Shared,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Finished handshakes.
    pub(crate) handshakes: usize,
    /// Complete answers with status 200.
    pub(crate) requests: usize,
    /// Everything else.
    pub(crate) failures: Vec<String>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// The server may close connections and refuse new ones from now on.
    ending: AtomicBool,
    /// The server may close connections that wait for their next request.
    closing_idle: AtomicBool,
    handshakes: AtomicUsize,
    requests: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// `fresh` clients make a connection for every request; `kept` ones keep theirs as long as the server does.
    pub(crate) fn start(target: &Target, fresh: usize, kept: usize) -> Self {
        let shared = Arc::new(State::default());
        let workers = (0..fresh + kept).map(|index| {
            let (state, target) = (Arc::clone(&shared), target.clone());
            thread::spawn(move || state.work(&target, index >= fresh))
        });
        let workers = workers.collect();
        Self { shared, workers }
    }

    /// How many requests have gone well.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many have not.
    pub(crate) fn failures(&self) -> usize {
        self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until `more` further requests have gone well.
    pub(crate) fn wait_for(&self, more: usize) {
        let goal = self.requests() + more;
        eventually("the load goes on", PATIENCE, || (self.requests() >= goal).then_some(()));
    }

    /// From now on a connection may be closed between two answers, and a new one refused: the server is being stopped.
    /// An answer that was begun must still be finished.
    pub(crate) fn expect_end(&self) {
        self.shared.ending.store(true, Ordering::SeqCst);
    }

    /// From now on a connection that has carried a request may be closed before the next: the request is then sent again on
    /// another (RFC 9112 §9.3.1).
    pub(crate) fn expect_end_of_idle(&self) {
        self.shared.closing_idle.store(true, Ordering::SeqCst);
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.join().expect("a client does not panic");
        }
        let failures = std::mem::take(&mut *self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner));
        Report {
            handshakes: self.shared.handshakes.load(Ordering::SeqCst),
            requests: self.shared.requests.load(Ordering::SeqCst),
            failures,
        }
    }
}

impl State {
    fn work(&self, target: &Target, keep: bool) {
        while !self.stop.load(Ordering::SeqCst) {
            let Some(mut stream) = self.connect(target) else { return };
            let mut is_reused = false;
            while self.request(target, &mut stream, keep, is_reused) == Next::SameConnection {
                is_reused = true;
            }
            if self.ending.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Shakes hands; gives nothing when the server is being stopped, or fails again and again.
    fn connect(&self, target: &Target) -> Option<tls::Stream> {
        for _ in 0..MOST_FAILURES {
            match tls::connect(&target.client, target.port, &target.name) {
                Ok(stream) => {
                    self.handshakes.fetch_add(1, Ordering::SeqCst);
                    return Some(stream);
                }
                Err(_) if self.ending.load(Ordering::SeqCst) || self.stop.load(Ordering::SeqCst) => return None,
                Err(error) => self.fail("handshake", &error),
            }
        }
        None
    }

    fn request(&self, target: &Target, stream: &mut tls::Stream, keep: bool, is_reused: bool) -> Next {
        let connection = if keep { "keep-alive" } else { "close" };
        let (path, name) = (&target.path, &target.name);
        let text = format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: {connection}\r\n\r\n");
        let sent = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
        let mut answer = Watched { inner: stream, read: 0 };
        match sent.and_then(|()| raw::read_reply(&mut answer)) {
            Ok(reply) if reply.status == 200 => {
                self.requests.fetch_add(1, Ordering::SeqCst);
                if reply.closes() || !keep || self.stop.load(Ordering::SeqCst) {
                    return Next::NewConnection;
                }
                Next::SameConnection
            }
            Ok(reply) => {
                self.fail("status", &io::Error::other(reply.status.to_string()));
                Next::NewConnection
            }
            Err(_) if self.ending.load(Ordering::SeqCst) && answer.read == 0 && keep => Next::NewConnection,
            Err(_) if self.closing_idle.load(Ordering::SeqCst) && answer.read == 0 && is_reused => Next::NewConnection,
            Err(error) => {
                self.fail("request", &error);
                Next::NewConnection
            }
        }
    }

    fn fail(&self, what: &str, error: &io::Error) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push(format!("{what}: {error}"));
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    SameConnection,
    NewConnection,
}

/// Knows whether an answer had begun.
struct Watched<'a> {
    inner: &'a mut tls::Stream,
    read: usize,
}

impl io::Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length;
        Ok(length)
    }
}

impl Report {
    /// # Panics
    /// When anything failed, or nothing happened.
    pub(crate) fn assert_flawless(&self) {
        let shown = self.failures.iter().take(5).collect::<Vec<_>>();
        assert!(self.failures.is_empty(), "{} of {} requests failed: {shown:?}", self.failures.len(), self.requests);
        assert!(self.requests > 0, "no request was made");
    }
}

const MOST_FAILURES: usize = 20;
