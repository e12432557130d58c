//! A request as the service got it.

use std::io;

use rustls::pki_types::CertificateDer;

use super::super::raw;
use super::Stream;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Which connection brought it, counted from zero.
    pub(crate) connection: usize,
    /// The name that the caller asked for (SNI).
    pub(crate) server_name: Option<String>,
    /// The protocol agreed by ALPN.
    pub(crate) alpn: Option<String>,
    /// The client certificate of the connection.
    pub(crate) leaf: CertificateDer<'static>,
    /// The bytes up to the empty line.
    pub(crate) head: Vec<u8>,
    /// Decoded, when it was chunked.
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// Reads the next request of a connection.
    pub(super) fn read(stream: &mut Stream, connection: usize) -> io::Result<Self> {
        let head = raw::read_head(stream)?;
        let body = read_body(stream, &head)?;
        let leaf = stream.conn.peer_certificates().and_then(|chain| chain.first());
        let alpn = stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        Ok(Self {
            connection,
            server_name: stream.conn.server_name().map(str::to_owned),
            alpn,
            leaf: leaf.expect("nobody gets in without a certificate").clone().into_owned(),
            head,
            body,
        })
    }

    /// The last part of the path, such as `collect`, or `phone/auth`.
    pub(crate) fn method(&self) -> String {
        method_of(&self.target()).to_owned()
    }

    /// The request target as it stood in the request line.
    pub(crate) fn target(&self) -> String {
        String::from_utf8_lossy(&self.head).split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The first value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        raw::header(&raw::parse_headers(&self.head), name).map(str::to_owned)
    }

    /// Whether a line of the head is `line`, byte for byte.
    pub(crate) fn has_line(&self, line: &str) -> bool {
        String::from_utf8_lossy(&self.head).split("\r\n").any(|known| known == line)
    }
}

fn read_body(stream: &mut Stream, head: &[u8]) -> io::Result<Vec<u8>> {
    let headers = raw::parse_headers(head);
    let is_framed = ["content-length", "transfer-encoding"].iter().any(|name| raw::header(&headers, name).is_some());
    if is_framed { raw::read_body(stream, &headers) } else { Ok(Vec::new()) }
}

fn method_of(target: &str) -> &str {
    let path = target.split('?').next().unwrap_or_default();
    path.strip_prefix(BASE).unwrap_or_else(|| path.rsplit('/').next().unwrap_or_default())
}

pub(super) const BASE: &str = "/rp/v6.0/";
