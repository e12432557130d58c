//! A handshake of old: one hello with the versions and ciphers that rustls leaves out.
//!
//! Up to TLS 1.2 the certificate crosses in clear (RFC 5246 §7.4.2), so that nothing has to be decrypted: the conversation
//! ends behind it. Windows Server 2012 R2 and older are seen in no other way.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::sight::Shown;
use super::tls;
use crate::pki::Certificate;

/// What a server shows to a client of old; `None` when that helps nothing either.
pub(super) async fn shown(host: &str, address: SocketAddr) -> Option<Shown> {
    tokio::time::timeout(LIMIT, ask(host, address)).await.ok().flatten()
}

async fn ask(host: &str, address: SocketAddr) -> Option<Shown> {
    let mut stream = tls::connect(address).await.ok()?;
    stream.write_all(&hello(host)).await.ok()?;
    let mut messages = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.ok()?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut body).await.ok()?;
        if head[0] != HANDSHAKE || messages.len() + body.len() > MOST_BYTES {
            return None;
        }
        messages.extend(body);
        if let Some(shown) = read(&messages) {
            return Some(shown);
        }
    }
}

/// ServerHello and Certificate, when both are there.
fn read(mut messages: &[u8]) -> Option<Shown> {
    let mut agreed = None;
    loop {
        let (kind, length) = (*messages.first()?, length_of(messages.get(1..4)?));
        let body = messages.get(4..4 + length)?;
        match kind {
            SERVER_HELLO => agreed = server_hello(body),
            CERTIFICATE => return told(agreed?, body),
            _ => {}
        }
        messages = messages.get(4 + length..)?;
    }
}

/// Version and cipher (RFC 5246 §7.4.1.3).
fn server_hello(body: &[u8]) -> Option<(u16, u16)> {
    let number = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let session = usize::from(*body.get(34)?);
    Some((number(0)?, number(35 + session)?))
}

fn told((version, cipher): (u16, u16), body: &[u8]) -> Option<Shown> {
    let mut rest = body.get(3..)?;
    let (mut chain, mut unreadable) = (Vec::new(), 0);
    while let Some(length) = rest.get(..3).map(length_of).filter(|_| chain.len() + unreadable < MOST_CERTIFICATES) {
        let Some(der) = rest.get(3..3 + length) else { break };
        match Certificate::read(CertificateDer::from(der.to_vec())) {
            Ok(certificate) => chain.push(certificate),
            Err(_) => unreadable += 1,
        }
        rest = rest.get(3 + length..).unwrap_or_default();
    }
    let version = match ProtocolVersion::from(version) {
        ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
        ProtocolVersion::TLSv1_1 => "TLS 1.1".to_owned(),
        ProtocolVersion::TLSv1_0 => "TLS 1.0".to_owned(),
        other => format!("{other:?}"),
    };
    let known = CIPHERS.iter().find(|(number, _)| *number == cipher);
    Some(Shown {
        version,
        cipher: known.map_or_else(|| format!("{cipher:#06x}"), |(_, name)| (*name).to_owned()),
        alpn: String::new(),
        is_stapled: false,
        asks_client: false,
        chain,
        unreadable,
        broke: None,
        is_unproven: false,
        is_old: true,
    })
}

/// Three bytes, big-endian.
fn length_of(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// A ClientHello of TLS 1.2 in one record (RFC 5246 §7.4.1.2).
fn hello(host: &str) -> Vec<u8> {
    let mut random = [0; 32];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
    let ciphers: Vec<u8> = CIPHERS.iter().flat_map(|(cipher, _)| cipher.to_be_bytes()).collect();
    let mut extensions = Vec::new();
    if host.parse::<std::net::IpAddr>().is_err() {
        let name = [&[0][..], &sized(host.as_bytes())].concat();
        extensions.extend([&[0, 0][..], &sized(&sized(&name))].concat());
    }
    // Curves, forms of points, and signatures, those with SHA-1 too.
    extensions.extend([&[0, 10][..], &sized(&sized(&[0, 29, 0, 23, 0, 24, 0, 25]))].concat());
    extensions.extend([&[0, 11][..], &sized(&[1, 0])].concat());
    let signatures = [4, 1, 4, 3, 5, 1, 5, 3, 6, 1, 6, 3, 8, 4, 8, 5, 8, 6, 2, 1, 2, 3, 2, 2];
    extensions.extend([&[0, 13][..], &sized(&sized(&signatures))].concat());
    let body = [&[3, 3][..], &random, &[0], &sized(&ciphers), &[1, 0], &sized(&extensions)].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &sized(&message)].concat()
}

/// Behind its length in two bytes. A host name and a list of ciphers are far shorter.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const LIMIT: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 256 * 1024;
const MOST_CERTIFICATES: usize = 32;
/// As IANA calls them; rustls has names only for its own. What Windows of old and other servers offer: ECDHE, DHE and RSA with CBC and GCM, triple DES last.
const CIPHERS: [(u16, &str); 25] = [
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
    (0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    (0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    (0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    (0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    (0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"),
    (0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::Identity;
    use crate::time::Timestamp;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind][..], &length[1..], body].concat()
    }

    fn three(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[1..], bytes].concat()
    }

    #[test]
    fn given_the_answer_of_an_old_server_when_read_then_version_cipher_and_chain() {
        let names = ["old.test".to_owned()];
        let identity = Identity::self_signed(&names, Timestamp::from_unix(0), Timestamp::from_unix(1)).unwrap();
        let hello = [&[3, 1][..], &[7; 32], &[2, 9, 9], &[0, 0x2f, 0]].concat();
        let chain = three(&three(&identity.chain().certificates()[0]));
        let answer = [message(SERVER_HELLO, &hello), message(CERTIFICATE, &chain)].concat();

        let shown = read(&answer).unwrap();

        assert_eq!((&*shown.version, &*shown.cipher), ("TLS 1.0", "TLS_RSA_WITH_AES_128_CBC_SHA"));
        assert_eq!(shown.chain[0].facts().names, names);
        assert!((0..answer.len()).all(|end| read(&answer[..end]).is_none()), "half an answer is none");
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[message(SERVER_HELLO, &bytes), message(CERTIFICATE, &bytes)].concat());
        }
    }
}
