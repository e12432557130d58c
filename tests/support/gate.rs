//! A door on the way to a port: open, shut, or held until the test says so. A CA's validations come through it.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::clock::{Deadline, PATIENCE};
use super::raw;

/// The door.
pub(crate) struct Gate {
    port: u16,
    state: Arc<State>,
}

/// What happens to those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// They get through.
    Open,
    /// Their connection is closed.
    Shut,
    /// They wait.
    Held,
}

struct State {
    target: u16,
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    door: Door,
    /// Request heads of those who came, in order.
    heads: Vec<String>,
}

impl Gate {
    /// A door before `target`, a port that speaks plain HTTP.
    pub(crate) fn before(target: u16, door: Door) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state = State { target, inner: Mutex::new(Inner { door, heads: Vec::new() }), changed: Condvar::new() };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || state.pass(stream));
            }
        });
        Self { port, state }
    }

    /// Where to knock.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Opens or shuts it, for those who wait too.
    pub(crate) fn set(&self, door: Door) {
        self.state.lock().door = door;
        self.state.changed.notify_all();
    }

    /// Waits until somebody has come, and gives the target of the first request.
    pub(crate) fn first_target(&self) -> String {
        let deadline = Deadline::after(PATIENCE);
        let mut inner = self.state.lock();
        loop {
            if let Some(head) = inner.heads.first() {
                return head.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            assert!(!deadline.passed(), "nobody came to the gate");
            inner = self.state.wait(inner, deadline);
        }
    }

    /// How many came.
    pub(crate) fn visitors(&self) -> usize {
        self.state.lock().heads.len()
    }
}

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        inner: std::sync::MutexGuard<'a, Inner>,
        deadline: Deadline,
    ) -> std::sync::MutexGuard<'a, Inner> {
        self.changed.wait_timeout(inner, deadline.left()).unwrap_or_else(PoisonError::into_inner).0
    }

    fn pass(&self, mut visitor: TcpStream) {
        let Ok(head) = raw::read_head(&mut visitor) else { return };
        if self.knock(&head) == Door::Shut {
            return;
        }
        if let Ok(target) = raw::try_connect(self.target) {
            let _ = splice(visitor, target, &head);
        }
    }

    /// Notes who came, and waits as long as the door is held.
    fn knock(&self, head: &[u8]) -> Door {
        let deadline = Deadline::after(PATIENCE);
        let mut inner = self.lock();
        inner.heads.push(String::from_utf8_lossy(head).into_owned());
        self.changed.notify_all();
        while inner.door == Door::Held && !deadline.passed() {
            inner = self.wait(inner, deadline);
        }
        inner.door
    }
}

fn splice(mut visitor: TcpStream, mut target: TcpStream, head: &[u8]) -> io::Result<()> {
    target.write_all(head)?;
    let (mut from, mut to) = (visitor.try_clone()?, target.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    io::copy(&mut target, &mut visitor)?;
    visitor.shutdown(Shutdown::Both)
}
