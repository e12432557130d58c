//! HTTP/2 frame by frame (RFC 9113): for clients that no library would be, and one that is well-behaved.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::clock::PATIENCE;
use super::raw;
use super::tls::{self, Shared};

/// A connection that has agreed on h2 and sent its preface.
pub(crate) struct H2 {
    stream: tls::Stream,
    next: u32,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its type, such as [`DATA`].
    pub(crate) kind: u8,
    /// Its flags, such as [`END_STREAM`].
    pub(crate) flags: u8,
    /// Its stream; 0 is the connection.
    pub(crate) stream: u32,
    /// What it carries.
    pub(crate) payload: Vec<u8>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Status and body.
    Answered(u16, Vec<u8>),
    /// RST_STREAM with this error code.
    Reset(u32),
    /// GOAWAY with this error code.
    GoAway(u32),
    /// The connection was closed without a word.
    Closed,
}

impl End {
    /// The status, if there was an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status, _) => Some(*status),
            Self::Reset(_) | Self::GoAway(_) | Self::Closed => None,
        }
    }
}

impl H2 {
    /// Connects with the settings given as `(identifier, value)`. The peer keeps no table for us, so that its header blocks
    /// can be read on their own.
    pub(crate) fn connect(client: &Shared, port: u16, name: &str, settings: &[(u16, u32)]) -> io::Result<Self> {
        Self::over(client, raw::try_connect(port)?, name, settings)
    }

    /// As [`H2::connect`], on a connection that is there.
    pub(crate) fn over(client: &Shared, socket: TcpStream, name: &str, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut config = (**client).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = tls::over(&config.into(), socket, name)?;
        let mut connection = Self { stream, next: 1 };
        let mut all = vec![(SETTINGS_HEADER_TABLE_SIZE, 0)];
        all.extend_from_slice(settings);
        let begin = [PREFACE, &settings_frame(&all)].concat();
        connection.send(&begin)?;
        Ok(connection)
    }

    /// Reads and writes give up after `limit`.
    pub(crate) fn patience(&self, limit: Duration) {
        let _ = self.stream.sock.set_read_timeout(Some(limit));
        let _ = self.stream.sock.set_write_timeout(Some(limit));
    }

    /// The next stream that we may open.
    pub(crate) fn next_stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends the same bytes up to `times`, many at a time; gives how often, until nobody takes them any more.
    pub(crate) fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        let at_once = (16 * 1024 / bytes.len()).clamp(1, times);
        let many = bytes.repeat(at_once);
        let mut sent = 0;
        while sent < times && self.send(&many).is_ok() {
            sent += at_once;
        }
        sent
    }

    /// Reads one frame.
    pub(crate) fn read_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// A GET that a decent client makes.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> End {
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", path)];
        self.request(&fields, None)
    }

    /// Sends a request with exactly these fields and `body`, and reads how it ends.
    pub(crate) fn request(&mut self, fields: &[(&str, &str)], body: Option<&[u8]>) -> End {
        let stream = self.next_stream();
        let mut bytes = headers(stream, fields, body.is_none());
        if let Some(body) = body {
            bytes.extend(data(stream, body, true));
        }
        match self.send(&bytes) {
            Ok(()) => self.end_of(stream),
            // What was said before it closed still counts.
            Err(_) => self.end_of(stream),
        }
    }

    /// Reads until `stream` or the connection ends, answers what has to be answered, and gives windows back.
    ///
    /// # Panics
    /// When nothing more comes within the stream's patience.
    pub(crate) fn end_of(&mut self, stream: u32) -> End {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let frame = match self.read_frame() {
                Ok(frame) => frame,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("stream {stream}: neither an answer nor an end")
                }
                Err(_) => return End::Closed,
            };
            match frame.kind {
                GOAWAY if frame.code() != 0 => return End::GoAway(frame.code()),
                RST_STREAM if frame.stream == stream => return End::Reset(frame.code()),
                HEADERS if frame.stream == stream => status = status_of(&frame.payload),
                DATA if frame.stream == stream => body.extend_from_slice(&frame.payload),
                _ => {}
            }
            self.acknowledge(&frame);
            if frame.stream == stream && frame.flags & END_STREAM != 0 && matches!(frame.kind, HEADERS | DATA) {
                return End::Answered(status, body);
            }
        }
    }

    /// Reads until the connection ends; gives the error code of its GOAWAY, if there was one.
    pub(crate) fn ends(&mut self) -> Option<u32> {
        self.patience(PATIENCE);
        let mut code = None;
        loop {
            match self.read_frame() {
                Ok(frame) if frame.kind == GOAWAY => code = Some(frame.code()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the connection is still open")
                }
                Err(_) => return code,
            }
        }
    }

    fn acknowledge(&mut self, frame: &Frame) {
        let mut reply = Vec::new();
        match (frame.kind, frame.flags & ACK) {
            (SETTINGS, 0) => reply = self::frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => reply = self::frame(PING, ACK, 0, &frame.payload),
            (DATA, _) if !frame.payload.is_empty() => {
                let length = u32::try_from(frame.payload.len()).expect("frames are short");
                reply = window_update(0, length);
                if frame.flags & END_STREAM == 0 {
                    reply.extend(window_update(frame.stream, length));
                }
            }
            _ => {}
        }
        // The connection may be gone; the next read tells.
        let _ = if reply.is_empty() { Ok(()) } else { self.send(&reply) };
    }
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).expect("an error code");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS with a whole block.
pub(crate) fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | if end { END_STREAM } else { 0 }, stream, &block(fields))
}

/// A header block of literals that go into no table and use no Huffman code (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        push_string(&mut block, name.as_bytes());
        push_string(&mut block, value.as_bytes());
    }
    block
}

/// A string literal (RFC 7541 §5.2), as it is.
pub(crate) fn push_string(block: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).expect("below 127"));
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).expect("below 128") | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).expect("below 128"));
    }
    block.extend_from_slice(text);
}

/// DATA.
pub(crate) fn data(stream: u32, body: &[u8], end: bool) -> Vec<u8> {
    frame(DATA, if end { END_STREAM } else { 0 }, stream, body)
}

/// SETTINGS.
pub(crate) fn settings_frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload = settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, &payload.collect::<Vec<u8>>())
}

/// WINDOW_UPDATE.
pub(crate) fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// RST_STREAM with CANCEL.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// `:status`, the first field of an answer, as our peer writes it without a table.
fn status_of(block: &[u8]) -> u16 {
    // Updates of the table's size may come first (RFC 7541 §6.3).
    let at = block.iter().position(|byte| byte & 0xe0 != 0x20).expect("a field");
    match block[at] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // A literal with the name of index 8.
        0x08 | 0x18 | 0x48 => digits(&block[at + 1..]),
        other => panic!("not a status: {other:#x} in {block:?}"),
    }
}

/// Three digits, plain or in the Huffman code: 0, 1 and 2 have five bits, the others six (RFC 7541 appendix B).
fn digits(text: &[u8]) -> u16 {
    let length = usize::from(text[0] & 0x7f);
    let bytes = &text[1..=length];
    if text[0] & 0x80 == 0 {
        return std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).expect("a status");
    }
    let mut bits = bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) << (64 - 8 * length);
    let mut number = 0;
    for _ in 0..3 {
        let five = bits >> 59;
        let (digit, width) = if five < 3 { (five, 5) } else { ((bits >> 58) - 0x19 + 3, 6) };
        number = number * 10 + u16::try_from(digit).expect("a digit");
        bits <<= width;
    }
    number
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frame types (RFC 9113 §6).
pub(crate) const DATA: u8 = 0;
/// See [`DATA`].
pub(crate) const HEADERS: u8 = 1;
/// See [`DATA`].
pub(crate) const PRIORITY: u8 = 2;
/// See [`DATA`].
pub(crate) const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub(crate) const SETTINGS: u8 = 4;
/// See [`DATA`].
pub(crate) const PING: u8 = 6;
/// See [`DATA`].
pub(crate) const GOAWAY: u8 = 7;
/// See [`DATA`].
pub(crate) const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub(crate) const CONTINUATION: u8 = 9;
/// Flag of SETTINGS and PING.
pub(crate) const ACK: u8 = 1;
/// Flag of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 1;
/// Flag of HEADERS and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 4;
const SETTINGS_HEADER_TABLE_SIZE: u16 = 1;
/// Setting: how much of a stream's body we take before we ask for more.
pub(crate) const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;
/// Error code of a peer that has had enough (RFC 9113 §7).
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
