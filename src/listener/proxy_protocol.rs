//! The PROXY protocol, versions 1 and 2: what a load balancer says of its client before the first byte.
//!
//! [`parse`] is pure and says how many bytes it is certain to need next, so that nothing behind the header is ever read
//! here. A header is at most 107 bytes in version 1, and 4 KiB of addresses and TLVs in version 2. TLVs are skipped.
//! Standard: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, §2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// How far a header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least so many further bytes belong to it.
    More(usize),
    /// It is whole, and says who the client is; `None` where it does not, and the connection's own address holds.
    Whole(Option<SocketAddr>),
}

/// Bytes that are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin with neither version's signature.
    #[error("no PROXY header")]
    Absent,
    /// It goes on for longer than it may.
    #[error("a PROXY header that is too long")]
    TooLong,
    /// A field of it is none.
    #[error("a malformed PROXY header")]
    Field,
}

/// Reads a header from the bytes so far, none of which lie behind it.
///
/// # Errors
///
/// [`Malformed`] as soon as the bytes cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Progress, Malformed> {
    if begins_as(bytes, SIGNATURE) {
        return binary(bytes);
    }
    if begins_as(bytes, WORD) {
        return text(bytes);
    }
    Err(Malformed::Absent)
}

/// Reads a header from a fresh connection, and nothing behind it. The caller limits it in time.
///
/// # Errors
///
/// [`ReadError`]; the connection is of no use then.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, ReadError> {
    let mut bytes = Vec::with_capacity(WORST_V1);
    loop {
        let missing = match parse(&bytes)? {
            Progress::Whole(client) => return Ok(client),
            Progress::More(missing) => missing,
        };
        let read = (&mut *stream).take(missing as u64).read_buf(&mut bytes).await?;
        match (read, bytes.is_empty()) {
            (0, true) => return Err(ReadError::Left),
            (0, false) => return Err(ReadError::Malformed(Malformed::Field)),
            _ => {}
        }
    }
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer left without a word, as checks of load balancers do.
    #[error("closed without a byte")]
    Left,
    /// Something else came.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Version 1, §2.1: a line of text.
fn text(bytes: &[u8]) -> Result<Progress, Malformed> {
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let is_ended = bytes.contains(&b'\n') || bytes.iter().rev().skip(1).any(|byte| *byte == b'\r');
        return match bytes.len() {
            _ if is_ended => Err(Malformed::Field),
            length if length >= WORST_V1 => Err(Malformed::TooLong),
            length if length < SHORTEST_V1 => Ok(Progress::More(SHORTEST_V1 - length)),
            // The line ends with two bytes, or with one when the first of them is there.
            length if bytes.ends_with(b"\r") || length + 1 == WORST_V1 => Ok(Progress::More(1)),
            _ => Ok(Progress::More(2)),
        };
    };
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Field)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Progress::Whole(None));
    }
    let fields: Vec<_> = words.collect();
    let [source, destination, source_port, destination_port] = fields[..] else { return Err(Malformed::Field) };
    let (source, _) = match family {
        Some("TCP4") => (ip::<Ipv4Addr>(source)?, ip::<Ipv4Addr>(destination)?),
        Some("TCP6") => (ip::<Ipv6Addr>(source)?, ip::<Ipv6Addr>(destination)?),
        _ => return Err(Malformed::Field),
    };
    port(destination_port)?;
    Ok(Progress::Whole(Some(SocketAddr::new(source, port(source_port)?))))
}

fn ip<T: std::str::FromStr + Into<IpAddr>>(word: &str) -> Result<IpAddr, Malformed> {
    word.parse::<T>().map(Into::into).map_err(|_| Malformed::Field)
}

/// Decimal, without a sign or leading zeros.
fn port(word: &str) -> Result<u16, Malformed> {
    let is_canonical = word == "0" || (!word.starts_with('0') && word.bytes().all(|digit| digit.is_ascii_digit()));
    word.parse().ok().filter(|_| is_canonical).ok_or(Malformed::Field)
}

/// Version 2, §2.2: signature, version and command, family and protocol, length, addresses, TLVs.
fn binary(bytes: &[u8]) -> Result<Progress, Malformed> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD_V2) else {
        // As few as version 1 may have, while it is not certain which of them it is.
        let least = if bytes.is_empty() { SHORTEST_V1 } else { HEAD_V2 };
        return Ok(Progress::More(least - bytes.len()));
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > LONGEST_V2 {
        return Err(Malformed::TooLong);
    }
    let is_proxied = match head[12] {
        0x20 => false,
        0x21 => true,
        _ => return Err(Malformed::Field),
    };
    if rest.len() < length {
        return Ok(Progress::More(length - rest.len()));
    }
    // LOCAL is the load balancer itself. Of what is no TCP nothing is known to be done with.
    let client = match (is_proxied, head[13]) {
        (true, TCP4) => Some(told(rest, 4, |ip| Some(<[u8; 4]>::try_from(ip).ok()?.into()))?),
        (true, TCP6) => Some(told(rest, 16, |ip| Some(<[u8; 16]>::try_from(ip).ok()?.into()))?),
        _ => None,
    };
    Ok(Progress::Whole(client))
}

/// Source address, destination address, source port, destination port.
fn told(block: &[u8], length: usize, ip: impl Fn(&[u8]) -> Option<IpAddr>) -> Result<SocketAddr, Malformed> {
    let source = block.get(..length).and_then(ip);
    let port = block.get(2 * length..2 * length + 2).and_then(|port| <[u8; 2]>::try_from(port).ok());
    let whole = block.len() >= 2 * length + 4;
    match (source, port) {
        (Some(source), Some(port)) if whole => Ok(SocketAddr::new(source, u16::from_be_bytes(port))),
        _ => Err(Malformed::Field),
    }
}

fn begins_as(bytes: &[u8], signature: &[u8]) -> bool {
    let length = bytes.len().min(signature.len());
    bytes[..length] == signature[..length]
}

const WORD: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const HEAD_V2: usize = 16;
/// `PROXY UNKNOWN` and the end of the line.
const SHORTEST_V1: usize = 15;
/// The end of the line included.
const WORST_V1: usize = 107;
/// Addresses take at most 216 bytes; the rest is for TLVs, such as a client certificate's name.
const LONGEST_V2: usize = 4096;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_lines_of_version_1_when_read_then_the_client_or_why_not() {
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
        let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
        #[rustfmt::skip]
        let table = [
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Ok(Some("192.0.2.7:56324"))),
            ("PROXY TCP6 2001:db8::7 ::1 65535 0\r\n",           Ok(Some("[2001:db8::7]:65535"))),
            ("PROXY UNKNOWN\r\n",                                Ok(None)),
            (&long,                                              Ok(None)),
            (&too_long,                                          Err(Malformed::TooLong)),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",      Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",      Err(Malformed::Field)),
            ("PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",       Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",       Err(Malformed::Field)),
            ("PROXY TCP4 2001:db8::7 ::1 1 2\r\n",               Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",       Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",       Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n",    Err(Malformed::Field)),
            ("PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",        Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",          Err(Malformed::Field)),
            ("PROXY TCP4 192.0.2.7\r198.51.100.1 1 2\r\n",       Err(Malformed::Field)),
            ("proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",        Err(Malformed::Absent)),
            ("GET / HTTP/1.1\r\n",                               Err(Malformed::Absent)),
            ("\u{16}\u{3}\u{1}",                                 Err(Malformed::Absent)),
        ];
        for (line, expected) in table {
            let expected = expected.map(|client| client.map(|client| client.parse().unwrap()));
            assert_eq!(read_all(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn given_headers_of_version_2_when_read_then_the_client_or_why_not() {
        let tcp4 = [&[192, 0, 2, 7, 198, 51, 100, 1][..], &[0xDC, 0x04, 1, 187]].concat();
        let mut tcp6 = vec![0_u8; 36];
        tcp6[15] = 7;
        tcp6[33] = 80;
        let with_tlv = [&tcp4[..], &[0x04, 0, 2, 9, 9]].concat();
        #[rustfmt::skip]
        let table = [
            ("TCP4",            header(0x21, 0x11, &tcp4),           Ok(Some("192.0.2.7:56324"))),
            ("TCP6",            header(0x21, 0x21, &tcp6),           Ok(Some("[::7]:80"))),
            ("with TLVs",       header(0x21, 0x11, &with_tlv),       Ok(Some("192.0.2.7:56324"))),
            ("LOCAL",           header(0x20, 0x00, &[]),             Ok(None)),
            ("LOCAL as TCP4",   header(0x20, 0x11, &tcp4),           Ok(None)),
            ("LOCAL, short",    header(0x20, 0x11, &[1]),            Ok(None)),
            ("unspecified",     header(0x21, 0x00, &[1, 2, 3]),      Ok(None)),
            ("UDP",             header(0x21, 0x12, &tcp4),           Ok(None)),
            ("Unix",            header(0x21, 0x31, &[0; 216]),       Ok(None)),
            ("no family",       header(0x21, 0xF1, &[]),             Ok(None)),
            ("short TCP4",      header(0x21, 0x11, &tcp4[..11]),     Err(Malformed::Field)),
            ("short TCP6",      header(0x21, 0x21, &tcp4),           Err(Malformed::Field)),
            ("version 1",       header(0x11, 0x11, &tcp4),           Err(Malformed::Field)),
            ("version 3",       header(0x31, 0x11, &tcp4),           Err(Malformed::Field)),
            ("command 2",       header(0x22, 0x11, &tcp4),           Err(Malformed::Field)),
            ("the longest",     header(0x20, 0x00, &[0; 4096]),      Ok(None)),
            ("too long",        header(0x20, 0x00, &[0; 4097]),      Err(Malformed::TooLong)),
        ];
        for (what, bytes, expected) in table {
            let expected = expected.map(|client| client.map(|client| client.parse().unwrap()));
            assert_eq!(read_all(&bytes), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_no_panic_and_it_ends(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = read_all(&bytes);
            let _ = read_all(&[SIGNATURE, &bytes].concat());
            let _ = read_all(&[WORD, &bytes].concat());
        }

        #[test]
        fn given_any_client_when_told_then_read_back_and_what_follows_is_left(ip: IpAddr, port: u16, rest: Vec<u8>) {
            let client = SocketAddr::new(ip, port);
            let local = if ip.is_ipv4() { "127.0.0.1" } else { "::1" };
            let family = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
            let line = format!("PROXY {family} {ip} {local} {port} 443\r\n").into_bytes();
            let (length, octets) = match ip {
                IpAddr::V4(ip) => (4, ip.octets().to_vec()),
                IpAddr::V6(ip) => (16, ip.octets().to_vec()),
            };
            let block = [&octets[..], &vec![0; length], &port.to_be_bytes(), &[1, 187]].concat();
            let binary = header(0x21, if length == 4 { 0x11 } else { 0x21 }, &block);
            for mut bytes in [line, binary] {
                let length = bytes.len();
                bytes.extend(&rest);
                prop_assert_eq!(read_counted(&bytes), (Ok(Some(client)), length));
            }
        }
    }

    #[tokio::test]
    async fn given_a_stream_when_read_then_what_follows_is_still_there() {
        let mut stream = &b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\nGET /"[..];
        assert_eq!(read(&mut stream).await.unwrap(), Some("192.0.2.7:1".parse().unwrap()));
        assert_eq!(stream, b"GET /");
        assert!(matches!(read(&mut &b""[..]).await, Err(ReadError::Left)));
        assert!(matches!(read(&mut &b"PROXY TCP4 1"[..]).await, Err(ReadError::Malformed(Malformed::Field))));
    }

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, block].concat()
    }

    fn read_all(bytes: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        read_counted(bytes).0
    }

    /// As [`read`] does, but never more than asked for, and how many bytes that were.
    fn read_counted(bytes: &[u8]) -> (Result<Option<SocketAddr>, Malformed>, usize) {
        let mut length = 0;
        loop {
            match parse(&bytes[..length]) {
                Ok(Progress::Whole(client)) => return (Ok(client), length),
                Ok(Progress::More(more)) if more > 0 && length < bytes.len() => {
                    length = (length + more).min(bytes.len())
                }
                Ok(Progress::More(_)) => return (Err(Malformed::Field), length),
                Err(error) => return (Err(error), length),
            }
        }
    }
}
