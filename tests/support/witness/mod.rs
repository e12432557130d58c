//! Stands between portvakt and a CA. It passes every request on and remembers what became of each order; where a test has
//! written a [`Rule`], it does on the way what networks, proxies and CAs do on their worst days.

mod fault;
mod operation;
mod order;

pub(crate) use fault::{Fault, Rule};
pub(crate) use operation::{Asked, Operation};
pub(crate) use order::SeenOrder;

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use portvakt::time::{Clock, SystemClock};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

use super::ca::Ca;
use super::clock::{Deadline, PATIENCE, eventually, now};
use super::pebble::Pebble;
use super::raw::{self, Reply};
use super::tls;
use operation::Known;

/// The one in between. Portvakt is sent to [`Self::acme_section`].
pub(crate) struct Witness {
    dir: TempDir,
    shared: Arc<Shared>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What it was for.
    pub(crate) asked: Asked,
    /// When.
    pub(crate) at: Instant,
    /// Path of its URL.
    pub(crate) target: String,
    /// What its JWS carries; null without one.
    pub(crate) payload: Value,
}

struct Shared {
    port: u16,
    /// What every URL begins with.
    base: String,
    ca: u16,
    directory: String,
    client: tls::Shared,
    inner: Mutex<Inner>,
    /// Another request is there, or held ones are let go.
    moved: Condvar,
}

struct Inner {
    /// Connections that have not ended.
    open: usize,
    orders: Vec<SeenOrder>,
    requests: Vec<Request>,
    known: Known,
    rules: Vec<Rule>,
    /// Requests that are held.
    held: usize,
    /// How often held ones were let go.
    let_go: usize,
    /// How far the CA's clock is ahead of ours.
    skipped: Duration,
}

impl Witness {
    /// One before `pebble`.
    pub(crate) fn before(pebble: &Pebble) -> Self {
        Self::before_ca(pebble.port(), pebble.listener_roots(), "/dir")
    }

    /// One before the CA on `ca`, whose own certificate `roots` vouch for and whose directory is `directory`, a path.
    pub(crate) fn before_ca(ca: u16, roots: RootCertStore, directory: &str) -> Self {
        Self::begin(ca, roots, directory, None)
    }

    fn begin(ca: u16, roots: RootCertStore, directory: &str, host: Option<&str>) -> Self {
        let (dir, own) = (TempDir::new().expect("a temporary folder"), Ca::new("root of the witness"));
        own.write(dir.path().join("root.pem"));
        let config = Arc::new(server_config(&own, host.unwrap_or("127.0.0.1")));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let base = host.map_or_else(|| format!("https://127.0.0.1:{port}"), |host| format!("https://{host}"));
        let inner = Mutex::new(Inner::new(&base, directory));
        let client = tls::Client::new(roots).share();
        let shared = Shared { port, base, ca, directory: directory.to_owned(), client, inner, moved: Condvar::new() };
        let shared = Arc::new(shared);
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, config) = (Arc::clone(&state), Arc::clone(&config));
                state.lock().open += 1;
                thread::spawn(move || {
                    // Whoever was killed has broken it off.
                    let _ = state.serve(config, stream);
                    state.lock().open -= 1;
                });
            }
        });
        Self { dir, shared }
    }

    /// As [`Self::before`], under the name of another CA: portvakt finds us there by [`Self::proxy`].
    pub(crate) fn in_the_name_of(host: &str, pebble: &Pebble) -> Self {
        Self::begin(pebble.port(), pebble.listener_roots(), "/dir", Some(host))
    }

    /// URL of an HTTP proxy that leads every connection here.
    pub(crate) fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.shared.port)
    }

    /// `[acme]` for a configuration.
    pub(crate) fn acme_section(&self) -> String {
        let (directory, anchors) = (self.directory(), self.trust_anchors());
        let anchors = anchors.display();
        format!("[acme]\ndirectory = \"{directory}\"\ntrust_anchors = \"{anchors}\"\nagree_tos = true\n")
    }

    /// URL of the directory, as portvakt is to ask for it.
    pub(crate) fn directory(&self) -> String {
        self.shared.url(&self.shared.directory)
    }

    /// The time passes at the CA: its answers are dated as much later.
    pub(crate) fn skip(&self, by: Duration) {
        self.shared.lock().skipped += by;
    }

    /// File with the root of our own certificate.
    pub(crate) fn trust_anchors(&self) -> PathBuf {
        self.dir.path().join("root.pem")
    }

    /// Has `rule` in force, after those that are.
    pub(crate) fn rule(&self, rule: Rule) {
        self.shared.lock().rules.push(rule);
    }

    /// Everything is passed on as it is from now on.
    pub(crate) fn heal(&self) {
        self.shared.lock().rules.clear();
    }

    /// Waits until a request is held.
    pub(crate) fn await_held(&self) {
        let deadline = Deadline::after(PATIENCE);
        let mut inner = self.shared.lock();
        while inner.held == 0 {
            assert!(!deadline.passed(), "no request came that a rule holds");
            inner = self.shared.wait(inner, deadline.left());
        }
    }

    /// Cuts the connections of all that is held, and takes back the rules.
    pub(crate) fn let_go(&self) {
        let mut inner = self.shared.lock();
        inner.rules.clear();
        inner.let_go += 1;
        self.shared.moved.notify_all();
    }

    /// Every request so far, in the order of their coming.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many requests of this kind have come.
    pub(crate) fn count(&self, operation: Operation) -> usize {
        self.shared.lock().requests.iter().filter(|request| request.asked.operation == operation).count()
    }

    /// How many requests belong to orders whose first identifier is `name`.
    pub(crate) fn count_of(&self, name: &str) -> usize {
        self.shared.lock().requests.iter().filter(|request| request.asked.name.as_deref() == Some(name)).count()
    }

    /// How many new orders for `name` were asked for, answered or not.
    pub(crate) fn orders_asked(&self, name: &str) -> usize {
        let is_its = |asked: &Asked| asked.operation == Operation::NewOrder && asked.name.as_deref() == Some(name);
        self.shared.lock().requests.iter().filter(|request| is_its(&request.asked)).count()
    }

    /// Waits until another order is asked for, though not longer than `patience`.
    pub(crate) fn await_order(&self, patience: Duration) {
        let inner = self.shared.lock();
        let before = inner.asked_orders();
        drop(self.shared.moved.wait_timeout_while(inner, patience, |inner| inner.asked_orders() == before));
    }

    /// Every order so far, in the order of their making; to be called when portvakt has ended, and complete then: what it
    /// had sent has been passed on, and the answer has been seen.
    pub(crate) fn orders(&self, pebble: &Pebble) -> Vec<SeenOrder> {
        eventually("every request of the dead has been answered", PATIENCE, || {
            let inner = self.shared.lock();
            (inner.open == 0 && inner.orders.len() == pebble.orders()).then(|| inner.orders.clone())
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, within: Duration) -> MutexGuard<'a, Inner> {
        self.moved.wait_timeout(inner, within).unwrap_or_else(PoisonError::into_inner).0
    }

    fn url(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }

    fn serve(&self, config: Arc<ServerConfig>, mut stream: TcpStream) -> io::Result<()> {
        if is_plain(&stream)? {
            // CONNECT, whatever its target (RFC 9110 §9.3.6).
            raw::read_head(&mut stream)?;
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        }
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut visitor = StreamOwned::new(connection, stream);
        loop {
            let head = raw::read_head(&mut visitor)?;
            let headers = raw::parse_headers(&head);
            let body = match raw::header(&headers, "content-length") {
                Some(_) => raw::read_body(&mut visitor, &headers)?,
                None => Vec::new(),
            };
            let request = String::from_utf8_lossy(&head).into_owned();
            let mut words = request.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let (asked, fault) = self.meet(target, &body);
            let pass = || self.pass(&asked, method, target, &head, &body);
            let reply = match fault {
                None => pass()?,
                Some(Fault::Answer(reply)) => reply,
                Some(Fault::Write(write)) => {
                    write(&mut visitor)?;
                    return visitor.flush();
                }
                Some(Fault::Change(change)) => {
                    let mut reply = pass()?;
                    change(&mut reply);
                    reply
                }
                Some(Fault::CutBefore) => return Ok(()),
                Some(Fault::CutAfter) => return pass().map(drop),
                Some(Fault::HoldBefore) => return self.hold(),
                Some(Fault::HoldAfter) => {
                    pass()?;
                    return self.hold();
                }
            };
            visitor.write_all(&encode(method, &reply))?;
            visitor.flush()?;
        }
    }

    /// Notes a request, and finds the fault that it meets.
    fn meet(&self, target: &str, body: &[u8]) -> (Asked, Option<Fault>) {
        let mut inner = self.lock();
        let asked = inner.known.judge(target, body);
        let plain = target.split('?').next().unwrap_or_default().to_owned();
        let payload = operation::payload(body).unwrap_or_default();
        inner.requests.push(Request { asked: asked.clone(), at: now(), target: plain, payload });
        let fault = inner.rules.iter_mut().find_map(|rule| rule.meet(&asked));
        self.moved.notify_all();
        (asked, fault)
    }

    fn pass(&self, asked: &Asked, method: &str, target: &str, head: &[u8], body: &[u8]) -> io::Result<Reply> {
        let mut reply = self.ask(method, head, body)?;
        let mut inner = self.lock();
        if inner.skipped > Duration::ZERO {
            let date = (SystemClock.now() + inner.skipped).to_http_date();
            reply.headers.retain(|(name, _)| name != "date");
            reply.headers.push(("date".to_owned(), date));
        }
        inner.known.learn(asked, &reply);
        inner.note(&self.url(target), &reply);
        Ok(reply)
    }

    fn hold(&self) -> io::Result<()> {
        let deadline = Deadline::after(PATIENCE);
        let mut inner = self.lock();
        let before = inner.let_go;
        inner.held += 1;
        self.moved.notify_all();
        while inner.let_go == before && !deadline.passed() {
            inner = self.wait(inner, deadline.left());
        }
        inner.held -= 1;
        Ok(())
    }

    /// Passes one request on. Its `Host` is ours, and so are the URLs that the CA makes of it.
    fn ask(&self, method: &str, head: &[u8], body: &[u8]) -> io::Result<Reply> {
        let mut ca = tls::connect(&self.client, self.ca, "127.0.0.1")?;
        ca.write_all(&[head, body].concat())?;
        ca.flush()?;
        match method {
            "HEAD" => raw::read_head_reply(&mut ca),
            _ => raw::read_reply(&mut ca),
        }
    }
}

impl Inner {
    fn new(base: &str, directory: &str) -> Self {
        let known = Known::new(base, directory);
        Self {
            open: 0,
            orders: Vec::new(),
            requests: Vec::new(),
            known,
            rules: Vec::new(),
            held: 0,
            let_go: 0,
            skipped: Duration::ZERO,
        }
    }

    fn asked_orders(&self) -> usize {
        self.requests.iter().filter(|request| request.asked.operation == Operation::NewOrder).count()
    }

    fn note(&mut self, url: &str, reply: &Reply) {
        let json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if reply.status == 201 && json["finalize"].is_string() {
            self.orders.extend(SeenOrder::new(reply.header("location"), &json));
        } else if let Some(order) = self.orders.iter_mut().find(|order| order.is_of(url)) {
            order.note(url, reply, &json);
        }
    }
}

fn server_config(ca: &Ca, name: &str) -> ServerConfig {
    let leaf = ca.issue_for_late_clocks(&[name]);
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("our own key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("the provider has suites for these versions").with_no_client_auth();
    config.with_single_cert(vec![leaf.der], key).expect("key and certificate belong together")
}

/// Whether HTTP comes, and no handshake.
fn is_plain(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first)? == 1 && first[0] == b'C')
}

/// The answer with a length in place of chunks.
fn encode(method: &str, reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Answer\r\n", reply.status);
    for (name, value) in &reply.headers {
        if !matches!(name.as_str(), "transfer-encoding" | "content-length") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if method != "HEAD" && reply.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    [head.as_bytes(), b"\r\n", &reply.body].concat()
}
