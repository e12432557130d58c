//! Stands between portvakt and a CA, passes every request on, and remembers what became of each order.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use portvakt::pki::CertificateChain;
use portvakt::time::{Clock, SystemClock};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

use super::ca::Ca;
use super::clock::{PATIENCE, eventually};
use super::pebble::Pebble;
use super::raw::{self, Reply};
use super::tls;

/// The one in between. Portvakt is sent to [`Self::acme_section`].
pub(crate) struct Witness {
    dir: TempDir,
    shared: Arc<Shared>,
}

/// An order that the CA has made (RFC 8555 §7.1.3), as its answers have told.
#[derive(Clone, Debug)]
pub(crate) struct SeenOrder {
    /// Its own URL.
    pub(crate) url: String,
    /// Its first identifier.
    pub(crate) name: String,
    /// Portvakt has gone on with it: something of it was asked for after it was made.
    pub(crate) is_continued: bool,
    /// It can give no certificate: the CA has called it or one of its authorizations invalid, or the certificate had
    /// ended when it was handed out.
    pub(crate) is_over: bool,
    /// The leaf that it gave, DER, once that was handed out.
    pub(crate) leaf: Option<Vec<u8>>,
    authorizations: Vec<String>,
    finalize: String,
    certificate: Option<String>,
}

struct Shared {
    port: u16,
    ca: u16,
    client: tls::Shared,
    inner: Mutex<Inner>,
    /// Another order is asked for.
    moved: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Connections that have not ended.
    open: usize,
    orders: Vec<SeenOrder>,
    /// How often a new order was asked for, answered or not.
    asked: usize,
}

impl Witness {
    /// One before `pebble`.
    pub(crate) fn before(pebble: &Pebble) -> Self {
        let (dir, ca) = (TempDir::new().expect("a temporary folder"), Ca::new("root of the witness"));
        ca.write(dir.path().join("root.pem"));
        let config = Arc::new(server_config(&ca));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let client = tls::Client::new(pebble.listener_roots()).share();
        let shared =
            Arc::new(Shared { port, ca: pebble.port(), client, inner: Mutex::default(), moved: Condvar::new() });
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

    /// `[acme]` for a configuration.
    pub(crate) fn acme_section(&self) -> String {
        let (directory, anchors) = (self.shared.url("/dir"), self.dir.path().join("root.pem"));
        let anchors = anchors.display();
        format!("[acme]\ndirectory = \"{directory}\"\ntrust_anchors = \"{anchors}\"\nagree_tos = true\n")
    }

    /// Waits until another order is asked for, though not longer than `patience`.
    pub(crate) fn await_order(&self, patience: Duration) {
        let inner = self.shared.lock();
        let before = inner.asked;
        drop(self.shared.moved.wait_timeout_while(inner, patience, |inner| inner.asked == before));
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
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, target: &str) -> String {
        format!("https://127.0.0.1:{}{target}", self.port)
    }

    fn serve(&self, config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<()> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut visitor = StreamOwned::new(connection, stream);
        loop {
            let head = raw::read_head(&mut visitor)?;
            let headers = raw::parse_headers(&head);
            let body = match raw::header(&headers, "content-length") {
                Some(_) => raw::read_body(&mut visitor, &headers)?,
                None => Vec::new(),
            };
            let request = String::from_utf8_lossy(&head);
            let mut words = request.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if target == NEW_ORDER {
                self.lock().asked += 1;
                self.moved.notify_all();
            }
            let reply = self.ask(method, &head, &body)?;
            self.lock().note(&self.url(target), &reply);
            visitor.write_all(&encode(method, &reply))?;
            visitor.flush()?;
        }
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
    fn note(&mut self, url: &str, reply: &Reply) {
        let json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if reply.status == 201 && json["finalize"].is_string() {
            self.orders.extend(SeenOrder::new(reply.header("location"), &json));
        } else if let Some(order) = self.orders.iter_mut().find(|order| order.is_of(url)) {
            order.note(url, reply, &json);
        }
    }
}

impl SeenOrder {
    fn new(url: Option<&str>, json: &Value) -> Option<Self> {
        let authorizations = json["authorizations"].as_array()?.iter().filter_map(Value::as_str);
        Some(Self {
            url: url?.to_owned(),
            name: json["identifiers"][0]["value"].as_str()?.to_owned(),
            is_continued: false,
            is_over: false,
            leaf: None,
            authorizations: authorizations.map(str::to_owned).collect(),
            finalize: json["finalize"].as_str()?.to_owned(),
            certificate: None,
        })
    }

    fn is_of(&self, url: &str) -> bool {
        self.url == url
            || self.finalize == url
            || self.certificate.as_deref() == Some(url)
            || self.authorizations.iter().any(|own| own == url)
    }

    fn note(&mut self, url: &str, reply: &Reply, json: &Value) {
        self.is_continued = true;
        self.is_over |= json["status"] == "invalid";
        if let Some(certificate) = json["certificate"].as_str() {
            self.certificate = Some(certificate.to_owned());
        }
        if self.certificate.as_deref() == Some(url) && reply.status == 200 {
            let chain = CertificateChain::from_pem(&reply.body).expect("the CA gives a chain");
            self.is_over |= chain.leaf().not_after <= SystemClock.now();
            self.leaf = chain.certificates().first().map(|leaf| leaf.to_vec());
        }
    }
}

/// Where pebble takes new orders.
const NEW_ORDER: &str = "/order-plz";

fn server_config(ca: &Ca) -> ServerConfig {
    let leaf = ca.issue(&["127.0.0.1"]);
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("our own key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("the provider has suites for these versions").with_no_client_auth();
    config.with_single_cert(vec![leaf.der], key).expect("key and certificate belong together")
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
