//! A server behind that records every byte it was sent, and misbehaves on request.
//!
//! The path says what it does: see [`Script`]. It speaks HTTP/1.1 over TCP, with keep-alive.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket};

use super::clock::{Deadline, PATIENCE};
use super::raw::{header, parse_headers, read_body, read_head};

/// The server.
pub(crate) struct Echo {
    port: u16,
    state: Arc<State>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Which connection brought it, counted from zero.
    pub(crate) connection: usize,
    /// The bytes up to the empty line.
    pub(crate) head: Vec<u8>,
    /// Decoded, when it was chunked; uploads keep none.
    pub(crate) body: Vec<u8>,
}

/// What a path does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// 200 with the request's head as body.
    Tell,
    /// `/hold`: 200, once [`Echo::release`] was called.
    Hold,
    /// `/stall`: no answer until the other side gives up.
    Stall,
    /// `/drip`: an event, and a second one once [`Echo::release`] was called.
    Drip,
    /// `/close`: the connection is closed without an answer.
    Close,
    /// `/leave`: an answer that promises to stay, and a connection that is closed behind it.
    Leave,
    /// `/half`: an answer that breaks off.
    Half,
    /// `/ws`: a WebSocket that sends back what it gets.
    WebSocket,
    /// `/upload`: counts what comes, answers with its length and checksum.
    Upload,
    /// `/continue`: asks for the body with 100, answers with it.
    Continue,
    /// `/early`: 413 before the body is read.
    Early,
    /// `/download/N`: N bytes of [`pattern`].
    Download(u64),
    /// `/cookie`: a cookie without Secure, and one with.
    Cookie,
    /// `/redirect`: an absolute redirect to `http://` and the host of the request.
    Redirect,
    /// `/ntlm`: as IIS, believes the name in `Authorization: NTLM` for the rest of the connection and says whom it believes.
    Ntlm,
    /// `/scripted`: the bytes given to [`Echo::script`].
    Scripted,
}

struct State {
    requests: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    uploaded: AtomicU64,
    dropped: AtomicBool,
    released: Mutex<usize>,
    changed: Condvar,
    scripted: Mutex<Vec<u8>>,
    /// Who has authenticated a connection.
    believed: Mutex<HashMap<usize, String>>,
}

impl Echo {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts it on `port`.
    pub(crate) fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state = Arc::new(State {
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            uploaded: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            released: Mutex::new(0),
            changed: Condvar::new(),
            scripted: Mutex::default(),
            believed: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.dropped.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&shared);
                let number = state.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || state.serve(stream, number));
            }
        });
        Self { port, state }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.state.requests().clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Received {
        self.state.requests().last().cloned().expect("a request has arrived")
    }

    /// Forgets the requests so far and gives them.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.requests())
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of bodies have arrived at `/upload`.
    pub(crate) fn uploaded(&self) -> u64 {
        self.state.uploaded.load(Ordering::SeqCst)
    }

    /// What `/scripted` answers from now on.
    pub(crate) fn script(&self, bytes: &[u8]) {
        *self.state.scripted.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
    }

    /// Lets one that waits at `/hold` or `/drip` go on.
    pub(crate) fn release(&self) {
        *self.state.released.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.state.changed.notify_all();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.state.dropped.store(true, Ordering::SeqCst);
        // The listener wakes, sees the flag and closes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Received {
    /// The method.
    pub(crate) fn method(&self) -> String {
        self.word(0)
    }

    /// The request target as it stood in the request line.
    pub(crate) fn target(&self) -> String {
        self.word(1)
    }

    /// The first value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        header(&self.headers(), name).map(str::to_owned)
    }

    /// All values of the header `name`.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.headers().into_iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        parse_headers(&self.head)
    }

    fn word(&self, index: usize) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let line = head.split("\r\n").next().unwrap_or_default();
        line.split(' ').nth(index).unwrap_or_default().to_owned()
    }
}

impl State {
    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream, connection: usize) {
        let _ = stream.set_nodelay(true);
        while let Ok(head) = read_head(&mut stream) {
            let request = Received { connection, head, body: Vec::new() };
            if self.act(&mut stream, request).is_err() {
                return;
            }
        }
    }

    /// Carries out what the path says; an error ends the connection.
    fn act(&self, stream: &mut TcpStream, mut request: Received) -> io::Result<()> {
        let script = Script::of(&request.target());
        if !script.reads_body_itself() && has_body(&request) {
            request.body = read_body(stream, &request.headers())?;
        }
        self.requests().push(request.clone());
        let method = request.method();
        match script {
            Script::Tell => answer(stream, &method, 200, "", &request.head),
            Script::Hold => {
                self.await_release();
                answer(stream, &method, 200, "", b"released\n")
            }
            Script::Stall => stall(stream),
            Script::Drip => self.drip(stream),
            Script::Close => Err(io::ErrorKind::ConnectionAborted.into()),
            Script::Leave => {
                answer(stream, &method, 200, "", b"bye\n")?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Script::Half => half(stream),
            Script::WebSocket => web_socket(stream, &request),
            Script::Upload => self.upload(stream, &request),
            Script::Continue => ask_and_tell(stream, &request),
            Script::Early => {
                answer(stream, &method, 413, "Connection: close\r\n", b"too large\n")?;
                drain(stream)
            }
            Script::Download(length) => download(stream, length),
            Script::Cookie => answer(stream, &method, 200, COOKIES, b"cookies\n"),
            Script::Redirect => {
                let host = request.header("host").unwrap_or_default();
                answer(stream, &method, 302, &format!("Location: http://{host}/moved?a=b\r\n"), b"")
            }
            Script::Ntlm => self.believe(stream, &request),
            Script::Scripted => {
                let bytes = self.scripted.lock().unwrap_or_else(PoisonError::into_inner).clone();
                stream.write_all(&bytes)
            }
        }
    }

    fn believe(&self, stream: &mut TcpStream, request: &Received) -> io::Result<()> {
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let values = request.all("authorization");
        let mut shown = values.iter().filter_map(|value| value.split_once(char::is_whitespace));
        if let Some((_, name)) = shown.find(|(scheme, _)| scheme.eq_ignore_ascii_case("ntlm")) {
            believed.insert(request.connection, name.to_owned());
        }
        match believed.get(&request.connection) {
            Some(name) => answer(stream, &request.method(), 200, "", format!("{name}\n").as_bytes()),
            None => answer(stream, &request.method(), 401, "WWW-Authenticate: NTLM\r\n", b"nobody\n"),
        }
    }

    fn await_release(&self) {
        let deadline = Deadline::after(PATIENCE);
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        while *released == 0 && !deadline.passed() {
            released = self.changed.wait_timeout(released, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
        *released = released.saturating_sub(1);
    }

    fn drip(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        stream.write_all(b"d\r\ndata: first\n\n\r\n")?;
        self.await_release();
        stream.write_all(b"e\r\ndata: second\n\n\r\n0\r\n\r\n")
    }

    fn upload(&self, stream: &mut TcpStream, request: &Received) -> io::Result<()> {
        let mut counted = Counted { inner: stream, state: self, sum: Checksum::default() };
        read_and_forget(&mut counted, &request.headers())?;
        let text = format!("{}\n", counted.sum);
        answer(stream, "POST", 200, "", text.as_bytes())
    }
}

impl Script {
    fn of(target: &str) -> Self {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        match path {
            "/hold" => Self::Hold,
            "/stall" => Self::Stall,
            "/drip" => Self::Drip,
            "/close" => Self::Close,
            "/leave" => Self::Leave,
            "/half" => Self::Half,
            "/ws" => Self::WebSocket,
            "/upload" => Self::Upload,
            "/continue" => Self::Continue,
            "/early" => Self::Early,
            "/cookie" => Self::Cookie,
            "/redirect" => Self::Redirect,
            "/ntlm" => Self::Ntlm,
            "/scripted" => Self::Scripted,
            _ => match path.strip_prefix("/download/").and_then(|length| length.parse().ok()) {
                Some(length) => Self::Download(length),
                None => Self::Tell,
            },
        }
    }

    fn reads_body_itself(self) -> bool {
        matches!(self, Self::Upload | Self::Continue | Self::Early | Self::WebSocket)
    }
}

/// Byte `index` of what `/download` sends and uploads should send.
pub(crate) fn pattern(index: u64) -> u8 {
    // 251 is prime, so no buffer size divides the period.
    u8::try_from(index % 251).expect("below 251")
}

/// A running length and checksum (FNV-1a, 64 bits); its `Display` is `LENGTH CHECKSUM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    length: u64,
    hash: u64,
}

impl Checksum {
    /// Takes in more bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Of the first `length` bytes of the pattern.
    pub(crate) fn of_pattern(length: u64) -> Self {
        let mut sum = Self::default();
        (0..length).for_each(|index| sum.update(&[pattern(index)]));
        sum
    }

    /// Of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.update(bytes);
        sum
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self { length: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:016x}", self.length, self.hash)
    }
}

/// Counts a body while it passes.
struct Counted<'a> {
    inner: &'a mut TcpStream,
    state: &'a State,
    sum: Checksum,
}

fn has_body(request: &Received) -> bool {
    let length = request.header("content-length").is_some_and(|length| length != "0");
    length || request.header("transfer-encoding").is_some()
}

fn answer(stream: &mut TcpStream, method: &str, status: u16, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} Told\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{headers}\r\n");
    let mut bytes = head.into_bytes();
    if method != "HEAD" {
        bytes.extend(body);
    }
    stream.write_all(&bytes)
}

fn stall(stream: &mut TcpStream) -> io::Result<()> {
    drain(stream)?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Reads until the other side has closed.
fn drain(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(|_| ())
}

fn half(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this much")?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

fn ask_and_tell(stream: &mut TcpStream, request: &Received) -> io::Result<()> {
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = read_body(stream, &request.headers())?;
    answer(stream, "POST", 200, "", &body)
}

fn download(stream: &mut TcpStream, length: u64) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
    let part: Vec<u8> = (0..length.min(251 * 256)).map(pattern).collect();
    let mut left = length;
    while left > 0 {
        let sent = left.min(part.len() as u64);
        stream.write_all(&part[..usize::try_from(sent).expect("a part")])?;
        left -= sent;
    }
    Ok(())
}

fn web_socket(stream: &mut TcpStream, request: &Received) -> io::Result<()> {
    let Some(key) = request.header("sec-websocket-key") else {
        return answer(stream, "GET", 400, "", b"not a WebSocket\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")?;
    let protocol = request.header("sec-websocket-protocol").map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let protocol = protocol.unwrap_or_default();
    stream.write_all(format!("Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n").as_bytes())?;
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    while let Ok(message) = socket.read() {
        if message.is_close() {
            break;
        }
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            break;
        }
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Reads a body by its framing, piece by piece.
fn read_and_forget(stream: &mut Counted<'_>, headers: &[(String, String)]) -> io::Result<()> {
    if let Some(length) = header(headers, "content-length").and_then(|length| length.parse().ok()) {
        let read = io::copy(&mut stream.take(length), &mut io::sink())?;
        return if read == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    }
    loop {
        let size = chunk_size(stream.inner)?;
        if size == 0 {
            read_line(stream.inner)?;
            return Ok(());
        }
        let read = io::copy(&mut stream.take(size), &mut io::sink())?;
        read_line(stream.inner)?;
        if read != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn chunk_size(stream: &mut TcpStream) -> io::Result<u64> {
    let line = read_line(stream)?;
    u64::from_str_radix(line.trim(), 16).map_err(|_| io::Error::other(format!("chunk size {line:?}")))
}

fn read_line(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.sum.update(&buffer[..length]);
        self.state.uploaded.fetch_add(length as u64, Ordering::SeqCst);
        Ok(length)
    }
}

const COOKIES: &str = "Set-Cookie: session=1; path=/; HttpOnly\r\nSet-Cookie: other=2; Secure; SameSite=Lax\r\n";
