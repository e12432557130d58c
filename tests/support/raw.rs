//! Bytes on a socket: for what no decent client would send, and to see exactly what comes back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::clock::PATIENCE;

/// An answer, read byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Status code.
    pub(crate) status: u16,
    /// As sent, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Decoded, when it was chunked.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The first value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the server says that this connection ends here.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// What a server did with the bytes it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered.
    Answered(Reply),
    /// It closed or reset the connection without a word.
    Closed,
}

impl Outcome {
    /// The status, if there was an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(reply) => Some(reply.status),
            Self::Closed => None,
        }
    }
}

/// A connection to `port` on loopback that gives up after [`PATIENCE`].
pub(crate) fn connect(port: u16) -> TcpStream {
    try_connect(port).unwrap_or_else(|error| panic!("cannot connect to port {port}: {error}"))
}

/// As [`connect`], for ports that may be closed.
pub(crate) fn try_connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection from another address of loopback.
pub(crate) fn connect_from(address: Ipv4Addr, port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of loopback");
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("the port is listened on");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
    stream
}

/// Sends `bytes` on a new connection and gives the first answer.
pub(crate) fn exchange(port: u16, bytes: &[u8]) -> Outcome {
    let mut stream = connect(port);
    // A server may refuse before all is read; what it said still counts.
    let _ = stream.write_all(bytes);
    match bytes.starts_with(b"HEAD ") {
        true => outcome(read_head_reply(&mut stream)),
        false => receive(&mut stream),
    }
}

/// A GET of `target` with `Host: host`, answered.
pub(crate) fn get(port: u16, host: &str, target: &str) -> Reply {
    request(port, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

/// Sends `text` on a new connection.
///
/// # Panics
/// When there is no answer.
pub(crate) fn request(port: u16, text: &str) -> Reply {
    match exchange(port, text.as_bytes()) {
        Outcome::Answered(reply) => reply,
        Outcome::Closed => panic!("port {port} closed the connection without an answer to {text:?}"),
    }
}

/// Reads one answer; an interim one (1xx but 101) is skipped.
pub(crate) fn receive(stream: &mut impl Read) -> Outcome {
    outcome(read_reply(stream))
}

fn outcome(result: io::Result<Reply>) -> Outcome {
    match result {
        Ok(reply) => Outcome::Answered(reply),
        Err(error) if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::TimedOut => {
            panic!("neither an answer nor a closed connection within {PATIENCE:?}")
        }
        Err(_) => Outcome::Closed,
    }
}

/// As [`receive`], with the error that ended it.
pub(crate) fn read_reply(stream: &mut impl Read) -> io::Result<Reply> {
    loop {
        let head = read_head(stream)?;
        let (status, headers) = parse_head(&head)?;
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let body = if bodiless(status) { Vec::new() } else { read_body(stream, &headers)? };
        return Ok(Reply { status, headers, body });
    }
}

/// An answer to HEAD: its framing describes a body that does not come.
pub(crate) fn read_head_reply(stream: &mut impl Read) -> io::Result<Reply> {
    let (status, headers) = parse_head(&read_head(stream)?)?;
    Ok(Reply { status, headers, body: Vec::new() })
}

/// Reads up to and with the empty line that ends a message's head.
pub(crate) fn read_head(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    Ok(head)
}

/// Splits a head's header lines; names are lower case.
pub(crate) fn parse_headers(head: &[u8]) -> Vec<(String, String)> {
    let head = String::from_utf8_lossy(head);
    let lines = head.split("\r\n").skip(1).filter(|line| !line.is_empty());
    let pairs = lines.filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()
}

/// The first value of `name` among `headers`.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Reads a body by its framing (RFC 9112 §6.3); without any it lasts until the end.
pub(crate) fn read_body(stream: &mut impl Read, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
    if header(headers, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return read_chunks(stream);
    }
    let mut body = Vec::new();
    match header(headers, "content-length").and_then(|value| value.parse::<u64>().ok()) {
        Some(length) => {
            stream.take(length).read_to_end(&mut body)?;
            if (body.len() as u64) < length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        None => {
            stream.read_to_end(&mut body)?;
        }
    }
    Ok(body)
}

/// Whether the peer has closed: nothing more comes. Panics when something does.
pub(crate) fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let _ = stream.set_read_timeout(Some(within));
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {
            assert!(rest.is_empty(), "the peer sent more: {:?}", String::from_utf8_lossy(&rest));
            true
        }
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Says that nothing more is sent, while answers are still read.
pub(crate) fn finish(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
}

fn read_chunks(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| io::Error::other(format!("chunk size {line:?}")))?;
        if size == 0 {
            while !read_line(stream)?.is_empty() {}
            return Ok(body);
        }
        let before = body.len() as u64;
        stream.take(size).read_to_end(&mut body)?;
        if body.len() as u64 - before < size {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        read_line(stream)?;
    }
}

fn read_line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn parse_head(head: &[u8]) -> io::Result<(u16, Vec<(String, String)>)> {
    let text = String::from_utf8_lossy(head);
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not a status line: {text:?}")))?;
    Ok((status, parse_headers(head)))
}

fn bodiless(status: u16) -> bool {
    status == 101 || status == 204 || status == 304
}
