//! A TLS server whose certificate changes from one connection to the next, as behind a load balancer, or in bad hands.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::ca::Leaf;
use super::raw::{header, parse_headers, read_body, read_head};

/// The server. It answers every request with 200 and the index of the leaf that its connection showed.
pub(crate) struct Shifty {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    leaves: Vec<Arc<CertifiedKey>>,
    /// Of the connections so far.
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Index of the one leaf that is shown; beyond the last, all in turn.
    shown: AtomicUsize,
    closes: AtomicBool,
}

impl Shifty {
    /// Shows `leaves` in turn, one on each connection.
    pub(crate) fn start(leaves: &[&Leaf]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state = Arc::new(State {
            leaves: leaves.iter().map(|leaf| certified(leaf)).collect(),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            shown: AtomicUsize::new(usize::MAX),
            closes: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { port, state }
    }

    /// Shows this one alone from now on, and closes each connection behind its answer.
    pub(crate) fn show(&self, index: usize) {
        self.state.shown.store(index, Ordering::SeqCst);
        self.state.closes.store(true, Ordering::SeqCst);
    }

    /// How many requests have arrived.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let turn = self.connections.fetch_add(1, Ordering::SeqCst) % self.leaves.len();
        let index = Some(self.shown.load(Ordering::SeqCst)).filter(|index| *index < self.leaves.len()).unwrap_or(turn);
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .ok()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Always(self.leaves[index].clone())));
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).ok()?, stream);
        loop {
            let head = read_head(&mut stream).ok()?;
            let headers = parse_headers(&head);
            if header(&headers, "content-length").is_some() {
                read_body(&mut stream, &headers).ok()?;
            }
            self.requests.fetch_add(1, Ordering::SeqCst);
            let closes = self.closes.load(Ordering::SeqCst);
            let connection = if closes { "close" } else { "keep-alive" };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: {connection}\r\n\r\n{index}");
            stream.write_all(answer.as_bytes()).ok()?;
            stream.flush().ok()?;
            if closes {
                stream.conn.send_close_notify();
                stream.flush().ok()?;
                // The other side has its end of it now.
                let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                let _ = stream.sock.read(&mut [0; 64]);
                return None;
            }
        }
    }
}

/// A leaf whose dates no X.509 library reads, while a handshake needs none of them.
pub(crate) fn unreadable(leaf: &Leaf) -> Leaf {
    // UTCTime is `YYMMDDhhmmssZ` (RFC 5280 §4.1.2.5.1).
    let mut der = leaf.der.to_vec();
    let at = der.windows(15).position(|window| window[..2] == [0x17, 13] && window[14] == b'Z');
    let at = at.expect("a certificate has a date");
    der[at + 4..at + 6].copy_from_slice(b"99");
    Leaf { chain: String::new(), key: leaf.key.clone(), der: CertificateDer::from(der) }
}

fn certified(leaf: &Leaf) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("a key");
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key that signs");
    Arc::new(CertifiedKey::new(vec![leaf.der.clone()], key))
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
