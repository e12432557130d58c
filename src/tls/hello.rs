//! The ClientHello, read before the handshake and without a socket.

use std::io;

use rustls::server::Acceptor;

use super::accept::{Failure, FailureReason};
use crate::challenge::ACME_TLS;

/// Takes the first bytes of a connection until they tell whom the client wants (RFC 8446 §4.1.2).
///
/// Holds at most 64 KiB and one more piece, however the hello is cut into records.
#[derive(Default)]
pub struct HelloReader {
    acceptor: Acceptor,
    raw: Vec<u8>,
}

/// What a ClientHello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Lower case.
    pub server_name: Option<String>,
    /// `acme-tls/1` is among the protocols (RFC 8737 §4).
    pub acme: bool,
}

/// Bytes that begin no handshake.
#[derive(Debug)]
pub struct BadHello {
    /// For the metric and the log.
    pub failure: Failure,
    /// What the client is told: an alert, or a page for one that speaks plain HTTP.
    pub answer: Vec<u8>,
}

impl HelloReader {
    /// Takes the next bytes; `None` until the hello is whole.
    ///
    /// # Errors
    ///
    /// [`BadHello`] when this is no ClientHello, one that rustls refuses, or one of more than 64 KiB.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Hello>, BadHello> {
        self.raw.extend_from_slice(bytes);
        if looks_like_http(&self.raw) {
            let failure = Failure::new(FailureReason::Other, "plain HTTP on a TLS port");
            return Err(BadHello { failure, answer: PLAIN_HTTP_ANSWER.to_vec() });
        }
        match self.feed(bytes)? {
            None if self.raw.len() > MAX_HELLO => Err(BadHello::decode_error(Failure::new(
                FailureReason::Other,
                format!("ClientHello larger than {MAX_HELLO} bytes"),
            ))),
            hello => Ok(hello),
        }
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Everything that was taken, to be put back.
    pub fn into_raw(self) -> Vec<u8> {
        self.raw
    }

    /// Gives bytes to rustls. Every byte is offered, since `read_tls` takes at most a record's worth at a time.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Hello>, BadHello> {
        while !bytes.is_empty() {
            self.acceptor.read_tls(&mut bytes).map_err(|error| BadHello::decode_error(Failure::io(error)))?;
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    return Ok(Some(Hello {
                        server_name: hello.server_name().map(str::to_ascii_lowercase),
                        acme: hello.alpn().is_some_and(|mut protocols| protocols.any(|p| p == ACME_TLS)),
                    }));
                }
                Err((error, mut alert)) => {
                    let mut answer = Vec::new();
                    // Writing to memory does not fail.
                    let _ = alert.write_all(&mut answer);
                    let failure = Failure::io(io::Error::other(error));
                    return Err(BadHello { failure, answer });
                }
            }
        }
        Ok(None)
    }
}

impl BadHello {
    fn decode_error(failure: Failure) -> Self {
        Self { failure, answer: alert_record(ALERT_DECODE_ERROR).to_vec() }
    }
}

/// A fatal alert in the clear (RFC 8446 §6, §5.1).
pub(super) const fn alert_record(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

fn looks_like_http(raw: &[u8]) -> bool {
    const METHODS: [&[u8]; 5] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI"];
    METHODS.iter().any(|method| raw.starts_with(method))
}

/// More than any client's hello, post-quantum key shares and tickets included.
const MAX_HELLO: usize = 64 * 1024;
/// RFC 8446 §6.2.
const ALERT_DECODE_ERROR: u8 = 50;
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 44\r\n\
connection: close\r\n\r\nThis port speaks HTTPS; the URL said http://";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    #[test]
    fn given_a_hello_when_cut_anywhere_then_read_the_same() {
        let whole = hello("M5.test", &[b"h2", ACME_TLS]);
        let expected = Hello { server_name: Some("m5.test".into()), acme: true };

        for cut in 1..whole.len() {
            let mut reader = HelloReader::default();
            assert_eq!(reader.push(&whole[..cut]).unwrap(), None, "{cut}");
            assert_eq!(reader.push(&whole[cut..]).unwrap().as_ref(), Some(&expected), "{cut}");
            assert_eq!(reader.into_raw(), whole);
        }
    }

    #[test]
    fn given_a_hello_of_one_byte_per_record_when_read_then_understood() {
        let whole = hello("m5.test", &[]);
        let records = one_byte_per_record(&whole);
        let mut reader = HelloReader::default();

        let read = records.chunks(4096).find_map(|piece| reader.push(piece).unwrap());

        assert_eq!(read.unwrap().server_name.as_deref(), Some("m5.test"));
    }

    #[test]
    fn given_a_hello_without_end_when_read_then_refused_after_64_kib() {
        for size in [1, 0x4000] {
            let mut reader = HelloReader::default();
            // A ClientHello of almost 16 MiB.
            let mut message = vec![1, 0xff, 0xff, 0xff, 3, 3];
            message.resize(1 << 17, 0);
            let records: Vec<u8> = message.chunks(size).flat_map(record).collect();

            let refused = records.chunks(4096).position(|piece| reader.push(piece).is_err());

            let taken = (refused.expect("refused in the end") + 1) * 4096;
            assert!(taken <= MAX_HELLO + 4096, "{taken} bytes in records of {size}");
        }
    }

    #[test]
    fn given_plain_http_when_read_then_told_so() {
        let refused = HelloReader::default().push(b"GET / HTTP/1.1\r\n").unwrap_err();
        assert_eq!(refused.answer, PLAIN_HTTP_ANSWER);
        let text = std::str::from_utf8(PLAIN_HTTP_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }

    proptest! {
        #[test]
        fn given_any_bytes_in_any_pieces_when_read_then_an_end_and_no_panic(
            mut raw in prop::collection::vec(any::<u8>(), 0..600), spoiled: bool, at in 0_usize..300, by: u8, size in 1_usize..64,
        ) {
            if spoiled {
                raw = hello("m5.test", &[b"http/1.1"]);
                let at = at % raw.len();
                raw[at] ^= by;
            }
            let mut reader = HelloReader::default();
            for piece in raw.chunks(size) {
                match reader.push(piece) {
                    Ok(None) => {}
                    Ok(Some(hello)) => {
                        let is_lower = |name: &String| !name.bytes().any(|byte| byte.is_ascii_uppercase());
                        prop_assert!(hello.server_name.as_ref().is_none_or(is_lower));
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
    }

    fn hello(name: &str, protocols: &[&[u8]]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut raw = Vec::new();
        connection.write_tls(&mut raw).unwrap();
        raw
    }

    /// The same handshake message in as many records as it has bytes (RFC 8446 §5.1).
    fn one_byte_per_record(raw: &[u8]) -> Vec<u8> {
        raw[5..].chunks(1).flat_map(record).collect()
    }

    fn record(fragment: &[u8]) -> Vec<u8> {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], fragment].concat()
    }
}
