//! The head of an HTTP/1 request, looked at before anything acts on it.
//!
//! # Why
//!
//! pingora reads a head of up to 1 MiB, forgives what two servers may read in two ways, and answers the rest with a page of
//! its own that names no request. So what is too large, malformed or ambiguous ends here; the rest it reads as before.

use http::{Method, StatusCode};

use crate::route::Target;

/// What is known of bytes that begin a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Sound so far; more is needed.
    Partial,
    /// Sound, and this long with its empty line. What stands behind belongs to the body.
    Whole(usize),
    /// Not to be acted on.
    Flawed(Flaw),
}

/// Why a head is refused (RFC 9112).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// More than 64 KiB, or more than 256 fields.
    #[error("the header is larger than 64 KiB or has more than 256 fields")]
    TooLarge,
    /// The first line is not `METHOD TARGET HTTP/1.x` (§3).
    #[error("the first line is no request of HTTP/1.1")]
    RequestLine,
    /// A line does not end with CR LF (§2.2).
    #[error("a line does not end with CR LF")]
    LineEnd,
    /// A line begins with a space (§5.2).
    #[error("a line is folded")]
    Folded,
    /// A field is no `name: value`, or holds a control character (§5.1, RFC 9110 §5.5).
    #[error("a field is malformed")]
    Field,
    /// Two `Host` fields, one with a user, or one that is not what an absolute target names (§3.2).
    #[error("the host is ambiguous")]
    Host,
    /// The end of the body could be read in two ways (§6.1, §6.3).
    #[error("the body's length is ambiguous")]
    Length,
    /// `CONNECT` makes a tunnel, which is not offered (RFC 9110 §9.3.6).
    #[error("CONNECT is not offered")]
    Connect,
}

impl Flaw {
    /// What the client is told.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestLine | Self::LineEnd | Self::Folded | Self::Field | Self::Host | Self::Length => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

impl Head {
    /// Looks at what has come of a request. Lines that end before `scanned` were looked at by an earlier call with the same
    /// beginning; a slow client must not make us read everything again for every byte.
    pub fn judge(bytes: &[u8], scanned: usize) -> Self {
        let from = scanned.min(bytes.len()).saturating_sub(3);
        let end = bytes[from..].windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4);
        let head = &bytes[..end.unwrap_or(bytes.len())];
        if let Err(flaw) = check_beginning(head, from) {
            return Self::Flawed(flaw);
        }
        match end {
            Some(end) if end > MOST_BYTES => Self::Flawed(Flaw::TooLarge),
            None if bytes.len() > MOST_BYTES => Self::Flawed(Flaw::TooLarge),
            None => Self::Partial,
            Some(end) => match check(head) {
                Ok(()) => Self::Whole(end),
                Err(flaw) => Self::Flawed(flaw),
            },
        }
    }
}

/// What can be said before the head is whole, so that nobody who speaks something else has to wait for an answer.
fn check_beginning(head: &[u8], from: usize) -> Result<(), Flaw> {
    let method = head.iter().take(LONGEST_METHOD).take_while(|&&byte| byte != b' ');
    if !method.copied().all(is_token) || head.first() == Some(&b' ') {
        return Err(Flaw::RequestLine);
    }
    let line_feeds = (from..head.len()).filter(|&at| head[at] == b'\n');
    if line_feeds.into_iter().any(|at| at == 0 || head[at - 1] != b'\r') {
        return Err(Flaw::LineEnd);
    }
    Ok(())
}

fn check(head: &[u8]) -> Result<(), Flaw> {
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = RequestLine::read(lines.next().unwrap_or_default())?;
    let mut framing = Framing::default();
    for (index, line) in lines.take_while(|line| !line.is_empty()).enumerate() {
        if index == MOST_FIELDS {
            return Err(Flaw::TooLarge);
        }
        let (name, value) = read_field(line)?;
        framing.take(name, value)?;
    }
    framing.check(&line)?;
    if line.method == Method::CONNECT.as_str().as_bytes() {
        return Err(Flaw::Connect);
    }
    Ok(())
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    is_old: bool,
}

impl<'a> RequestLine<'a> {
    /// The target may hold spaces, which old clients do not escape; it ends at the last one (RFC 9112 §3.2).
    fn read(line: &'a [u8]) -> Result<Self, Flaw> {
        let space = |byte: &u8| *byte == b' ';
        let first = line.iter().position(space).ok_or(Flaw::RequestLine)?;
        let last = line.iter().rposition(space).ok_or(Flaw::RequestLine)?;
        let target = line.get(first + 1..last).unwrap_or_default().trim_ascii();
        let is_old = match &line[last + 1..] {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Flaw::RequestLine),
        };
        let is_whole = !target.is_empty() && target.len() == last - first - 1;
        if !is_whole || target.iter().any(u8::is_ascii_control) || line[..first].is_empty() {
            return Err(Flaw::RequestLine);
        }
        Ok(Self { method: &line[..first], target, is_old })
    }
}

/// Takes `name: value` apart (RFC 9112 §5).
fn read_field(line: &[u8]) -> Result<(&[u8], &[u8]), Flaw> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Flaw::Folded);
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or(Flaw::Field)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_sound = !name.is_empty()
        && name.iter().copied().all(is_token)
        && !value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t');
    if is_sound { Ok((name, value.trim_ascii())) } else { Err(Flaw::Field) }
}

/// The fields that say where a request ends and for whom it is.
#[derive(Default)]
struct Framing<'a> {
    host: Option<&'a [u8]>,
    is_chunked: bool,
    has_length: bool,
}

impl<'a> Framing<'a> {
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Flaw> {
        if name.eq_ignore_ascii_case(b"host") {
            if self.host.replace(value).is_some() || value.contains(&b'@') {
                return Err(Flaw::Host);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if std::mem::replace(&mut self.is_chunked, true) || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Flaw::Length);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let is_number = (1..=MOST_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            if std::mem::replace(&mut self.has_length, true) || !is_number {
                return Err(Flaw::Length);
            }
        }
        Ok(())
    }

    fn check(&self, line: &RequestLine<'_>) -> Result<(), Flaw> {
        if self.is_chunked && (self.has_length || line.is_old) {
            return Err(Flaw::Length);
        }
        let is_origin = matches!(line.target, b"*" | [b'/', ..]);
        if is_origin || line.method == Method::CONNECT.as_str().as_bytes() {
            return Ok(());
        }
        let target = Target::parse(line.target).map_err(|_| Flaw::RequestLine)?;
        let authority = target.authority().unwrap_or_default();
        let is_plain = !authority.is_empty() && authority.iter().all(|byte| is_authority(*byte));
        if !is_plain || self.host.is_some_and(|host| host != authority) {
            return Err(Flaw::Host);
        }
        Ok(())
    }
}

/// What host, port and brackets are made of.
const fn is_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Twice what a Kerberos ticket of a member of very many groups takes; the same as in HTTP/2.
const MOST_BYTES: usize = 64 * 1024;
/// As many as pingora reads.
const MOST_FIELDS: usize = 256;
/// Every one of them fits into 64 bits.
const MOST_DIGITS: usize = 18;
/// What is looked at before the first line is whole.
const LONGEST_METHOD: usize = 32;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use pingora::protocols::http::ServerSession;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_sound_head_when_judged_then_whole_and_its_length() {
        for head in [
            "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET /a b\"c HTTP/1.1\r\nHost: m5.test\r\nX-Empty:\r\n\r\n",
            "GET http://m5.test:80/x HTTP/1.1\r\nHost: m5.test:80\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost:\tm5.test \r\n\r\n",
            "POST / HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 5\r\nX-B: \u{e5}\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: Chunked\r\n\r\n",
        ] {
            let with_body = [head.as_bytes(), b"\n\0body\r\n\r\n"].concat();
            assert_eq!(Head::judge(&with_body, 0), Head::Whole(head.len()), "{head:?}");
            for cut in 0..head.len() {
                assert_eq!(Head::judge(&head.as_bytes()[..cut], 0), Head::Partial, "{head:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn given_one_flaw_when_judged_then_it_is_named() {
        use Flaw::*;
        #[rustfmt::skip]
        let table = [
            ("GET /\r\nHost: m5.test\r\n",                                           RequestLine),
            ("GET  / HTTP/1.1\r\nHost: m5.test\r\n",                                 RequestLine),
            ("GET /  HTTP/1.1\r\nHost: m5.test\r\n",                                 RequestLine),
            ("GET /\t HTTP/1.1\r\nHost: m5.test\r\n",                                RequestLine),
            ("GET  HTTP/1.1\r\nHost: m5.test\r\n",                                   RequestLine),
            (" / HTTP/1.1\r\nHost: m5.test\r\n",                                     RequestLine),
            ("G(T / HTTP/1.1\r\nHost: m5.test\r\n",                                  RequestLine),
            ("GET / HTTP/1.2\r\nHost: m5.test\r\n",                                  RequestLine),
            ("GET / http/1.1\r\nHost: m5.test\r\n",                                  RequestLine),
            ("GET m5 HTTP/1.1\r\nHost: m5.test\r\n",                                 RequestLine),
            ("PRI * HTTP/2.0\r\n",                                                   RequestLine),
            ("GET / HTTP/1.1\nHost: m5.test\r\n",                                    LineEnd),
            ("GET / HTTP/1.1\r\nHost: m5.test\nX: y\r\n",                            LineEnd),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\n x\r\n",                            Folded),
            ("GET / HTTP/1.1\r\n\tHost: m5.test\r\n",                                Folded),
            ("GET / HTTP/1.1\r\nHost : m5.test\r\n",                                 Field),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\nX\r\n",                             Field),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\n: y\r\n",                           Field),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\nX: a\rb\r\n",                       Field),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\nX: a\0b\r\n",                       Field),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\nX\u{e5}: a\r\n",                    Field),
            ("GET / HTTP/1.1\r\nHost: m5.test\r\nHost: m5.test\r\n",                 Host),
            ("GET / HTTP/1.1\r\nHost: a@m5.test\r\n",                                Host),
            ("GET http://other.test/ HTTP/1.1\r\nHost: m5.test\r\n",                 Host),
            ("GET http:///x HTTP/1.1\r\nHost: m5.test\r\n",                          Host),
            ("GET http://a@m5.test/ HTTP/1.1\r\nHost: a\r\n",                        Host),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n",        Length),
            ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n",                          Length),
            ("POST / HTTP/1.1\r\nContent-Length: +5\r\n",                            Length),
            ("POST / HTTP/1.1\r\nContent-Length: 0x5\r\n",                           Length),
            ("POST / HTTP/1.1\r\nContent-Length:\r\n",                               Length),
            ("POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n",           Length),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", Length),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 5\r\n", Length),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",              Length),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n",          Length),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n",                Length),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: \u{b}chunked\r\n",               Field),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Length),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",                    Length),
            ("CONNECT m5.test:443 HTTP/1.1\r\nHost: m5.test:443\r\n",                Connect),
        ];
        for (head, flaw) in table {
            let head = format!("{head}\r\n");
            assert_eq!(Head::judge(head.as_bytes(), 0), Head::Flawed(flaw), "{head:?}");
        }
        let fields = "X: y\r\n".repeat(MOST_FIELDS + 1);
        let many = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(Head::judge(many.as_bytes(), 0), Head::Flawed(TooLarge));
        let large = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(MOST_BYTES));
        assert_eq!(Head::judge(large.as_bytes(), 0), Head::Flawed(TooLarge));
    }

    #[test]
    fn given_what_is_no_http_when_it_begins_then_refused_before_it_ends() {
        for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\0", b"\r\n", b" ", b"GET / HTTP/1.1\n"] {
            assert!(matches!(Head::judge(bytes, 0), Head::Flawed(_)), "{}", bytes.escape_ascii());
        }
    }

    /// Heads made of the pieces that matter.
    fn crooked() -> impl Strategy<Value = Vec<u8>> {
        #[rustfmt::skip]
        let pieces = prop::sample::select(vec![
            "GET ", "POST ", "/", "http://m5.test", "*", " ", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r\n", "\r\n\r\n", "\n", "\r", "\t", "\0", ":",
            "Host: m5.test\r\n", "Host: a\r\n", "Content-Length: 5\r\n", "Content-Length:", "5", "+", ",", "Transfer-Encoding: chunked\r\n",
            "chunked", "X: y\r\n", "Connection: close\r\n", "\u{e5}", "@", "\"", "//", "\\", "[", "%",
        ]);
        let wild = prop::collection::vec(pieces.clone(), 0..24).prop_map(|pieces| pieces.concat().into_bytes());
        let tame = prop::collection::vec(pieces, 0..4).prop_map(|pieces| {
            format!("GET /{} HTTP/1.1\r\nHost: m5.test\r\n{}\r\n\r\n", pieces.first().unwrap_or(&""), pieces.concat())
                .into_bytes()
        });
        prop_oneof![wild, tame]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn given_a_head_judged_whole_when_pingora_reads_it_then_it_has_no_objection(bytes in crooked()) {
            let Head::Whole(length) = Head::judge(&bytes, 0) else { return Ok(()) };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (_client, ours) = tokio::io::duplex(64);
                let mut session = ServerSession::new_http1(Box::new(ours));
                session.set_pipelined_prefix(BytesMut::from(&bytes[..]));
                prop_assert!(matches!(session.read_request().await, Ok(true)), "{}", bytes.escape_ascii());
                prop_assert!(!bytes[..length].windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'));
                Ok(())
            })?;
        }

        #[test]
        fn given_bytes_that_come_one_by_one_when_judged_then_the_same_in_the_end(bytes in crooked()) {
            let at_once = Head::judge(&bytes, 0);
            let judged = (1..=bytes.len()).map(|length| Head::judge(&bytes[..length], length - 1));
            let slowly = judged.into_iter().find(|head| *head != Head::Partial).unwrap_or(Head::Partial);
            match (at_once, slowly) {
                // A flaw behind the head is not of the head; one within may be seen later or earlier, not missed.
                (Head::Whole(_) | Head::Partial, slowly) => prop_assert_eq!(slowly, at_once),
                (Head::Flawed(_), slowly) => prop_assert!(matches!(slowly, Head::Flawed(_)), "{slowly:?}"),
            }
        }
    }
}
