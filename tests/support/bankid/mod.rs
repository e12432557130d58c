//! A stand-in for BankID's service for relying parties, API v6.0: TLS with a client certificate, orders, errors.
//!
//! It believes exactly the leaves that a test names, as BankID's own published test certificate can only be believed:
//! nobody has the CA above it. A test decides what becomes of an order and of each answer, and afterwards reads what
//! arrived: requests byte for byte, when, on which connection and as whom.

mod call;
mod door;
mod identities;
mod orders;
mod sdk;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ServerConnection, StreamOwned, SupportedProtocolVersion};

pub(crate) use self::call::Call;
pub(crate) use self::door::Verdict;
pub(crate) use self::identities::{EXPIRED, LEGACY, MODERN, OTHER, PASSWORD, PEM, Published, password_file, path_of};
pub(crate) use self::orders::{COMPLETE, ERRORS, Order, Plan, State};
pub(crate) use self::sdk::Sdk;

use self::call::BASE;
use self::door::Door;
use self::orders::{Orders, Said};
use super::ca::{Ca, Leaf};
use super::clock::{Deadline, PATIENCE, eventually, now};

/// The service.
pub(crate) struct BankId {
    ca: Ca,
    shared: Arc<Shared>,
}

/// What becomes of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is sent.
    Answer,
    /// An error of BankID's in its place; the order does not notice the request.
    Error(&'static str),
    /// It is made, and sent once [`BankId::release`] was called.
    Hold,
    /// It is made, this many of its bytes are sent, and the connection ends.
    Cut(usize),
    /// The request is taken, and the connection ends; the order does not notice.
    Close,
    /// These bytes in its place; the order does not notice the request.
    Say(Vec<u8>),
}

struct Shared {
    port: u16,
    door: Door,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    calls: Vec<Call>,
    orders: Orders,
    /// What is to happen, by the last part of the path, such as `collect`.
    scripts: HashMap<String, VecDeque<Act>>,
    /// Open connections.
    open: BTreeMap<usize, TcpStream>,
    connections: usize,
    handshakes: usize,
    /// Why handshakes failed.
    refusals: Vec<String>,
    held: usize,
    released: usize,
    is_over: bool,
}

impl BankId {
    /// One that believes the published test certificate and no other.
    pub(crate) fn start() -> Self {
        Self::believing(&[MODERN.leaf()])
    }

    /// One that believes these leaves.
    pub(crate) fn believing(leaves: &[CertificateDer<'static>]) -> Self {
        let ca = Ca::new("root of the stand-in for BankID");
        let door = Door::new(&ca.issue(&["localhost", "127.0.0.1"]), leaves);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared { port, door, inner: Mutex::default(), changed: Condvar::new() });
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if state.lock().is_over {
                    return;
                }
                let state = Arc::clone(&state);
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { ca, shared }
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.shared.port
    }

    /// `https://localhost:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port())
    }

    /// Writes the root above its own certificate into `dir` as `bankid-root.pem`.
    pub(crate) fn write_root(&self, dir: &Path) -> PathBuf {
        self.ca.write(dir.join("bankid-root.pem"))
    }

    /// The root above its own certificate.
    pub(crate) fn ca(&self) -> &Ca {
        &self.ca
    }

    /// Speaks only these versions of TLS from now on.
    pub(crate) fn versions(&self, versions: &[&'static SupportedProtocolVersion]) {
        self.shared.door.speak(versions);
    }

    /// Judges who shows `leaf` like this from now on; what is open stays open.
    pub(crate) fn judge(&self, leaf: &CertificateDer<'static>, verdict: Verdict) {
        self.shared.door.judge(leaf, verdict);
    }

    /// What becomes of the orders that are made from now on.
    pub(crate) fn plan(&self, plan: Plan) {
        self.shared.lock().orders.plan = plan;
    }

    /// What becomes of the next answers to `method`, such as `collect`; those after them are sent.
    pub(crate) fn script(&self, method: &str, acts: impl IntoIterator<Item = Act>) {
        self.shared.lock().scripts.entry(method.to_owned()).or_default().extend(acts);
    }

    /// Sends one answer that is held, or the next one that will be.
    pub(crate) fn release(&self) {
        self.shared.lock().released += 1;
        self.shared.changed.notify_all();
    }

    /// Waits until `count` answers are held.
    pub(crate) fn await_held(&self, count: usize) {
        eventually("an answer is held", PATIENCE, || (self.shared.lock().held >= count).then_some(()));
    }

    /// Ends every open connection, as a service does that has grown tired of waiting.
    pub(crate) fn hang_up(&self) {
        for stream in self.shared.lock().open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Every request so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Call {
        self.shared.lock().calls.last().cloned().expect("a request has arrived")
    }

    /// Requests to `method` so far.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.shared.lock().calls.iter().filter(|call| call.method() == method).count()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// How many handshakes were finished.
    pub(crate) fn handshakes(&self) -> usize {
        self.shared.lock().handshakes
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Why handshakes failed.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.shared.lock().refusals.clone()
    }

    /// Every order so far.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.shared.lock().orders.all()
    }

    /// The order made last.
    pub(crate) fn order(&self) -> Order {
        self.orders().pop().expect("an order was made")
    }

    /// The smallest time between two collects of one order, as they arrived; none while no order was collected twice.
    pub(crate) fn smallest_gap(&self) -> Option<Duration> {
        self.orders().iter().filter_map(Order::smallest_gap).min()
    }
}

impl Drop for BankId {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        self.hang_up();
        // The listener wakes, sees the flag and closes.
        let _ = TcpStream::connect(("127.0.0.1", self.port()));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let number = {
            let mut inner = self.lock();
            let number = inner.connections;
            inner.connections += 1;
            inner.open.extend(stream.try_clone().map(|clone| (number, clone)));
            number
        };
        // A caller that leaves is no failure of the service's.
        let _ = self.greet(stream, number);
        self.lock().open.remove(&number);
    }

    fn greet(&self, stream: TcpStream, connection: usize) -> io::Result<()> {
        let mut stream = self.door.open(stream, |why| self.lock().refusals.push(why))?;
        self.lock().handshakes += 1;
        loop {
            let call = Call::read(&mut stream, connection)?;
            self.answer(&mut stream, call)?;
        }
    }

    fn answer(&self, stream: &mut Stream, call: Call) -> io::Result<()> {
        let arrived = now();
        let method = call.method();
        let mut inner = self.lock();
        inner.calls.push(call.clone());
        let act = inner.scripts.get_mut(&method).and_then(VecDeque::pop_front).unwrap_or(Act::Answer);
        let said = match &act {
            Act::Error(code) => Said::error(code),
            Act::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
            Act::Say(bytes) => Said::Raw(bytes.clone()),
            Act::Answer | Act::Hold | Act::Cut(_) => inner.reply(&self.door, &call, arrived),
        };
        drop(inner);
        let bytes = said.to_bytes();
        match act {
            Act::Cut(length) => {
                stream.write_all(&bytes[..length.min(bytes.len())])?;
                stream.flush()?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Act::Hold => self.await_release(),
            Act::Answer | Act::Error(_) | Act::Close | Act::Say(_) => {}
        }
        stream.write_all(&bytes)?;
        stream.flush()
    }

    fn await_release(&self) {
        let deadline = Deadline::after(PATIENCE);
        let mut inner = self.lock();
        inner.held += 1;
        while inner.released == 0 && !inner.is_over && !deadline.passed() {
            inner = self.changed.wait_timeout(inner, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.released = inner.released.saturating_sub(1);
        inner.held -= 1;
    }
}

impl Inner {
    /// What BankID says: first to the form of the request, then to what it asks for.
    fn reply(&mut self, door: &Door, call: &Call, arrived: Instant) -> Said {
        if door.verdict(&call.leaf) == Verdict::Unauthorized {
            return Said::error("unauthorized");
        }
        if !METHODS.contains(&call.method().as_str()) || !call.target().starts_with(BASE) {
            return Said::error("notFound");
        }
        if !call.head.starts_with(b"POST ") {
            return Said::error("methodNotAllowed");
        }
        if call.header("content-type").as_deref() != Some("application/json") {
            return Said::error("unsupportedMediaType");
        }
        self.orders.reply(&call.method(), &call.body, arrived)
    }
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

const METHODS: [&str; 7] = ["auth", "sign", "payment", "phone/auth", "phone/sign", "collect", "cancel"];
