//! A real handshake that accepts whatever is shown, and keeps it.
//!
//! Nothing of value is ever sent over such a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Target;
use super::super::sight::{Shown, Trouble};
use super::old;
use crate::causes::with_causes;
use crate::pki::Certificate;

/// Connects, shakes hands, and tells what was shown.
pub(super) async fn shown(target: &Target, address: SocketAddr) -> Result<Shown, Trouble> {
    let tcp = connect(address).await?;
    let record = Arc::new(Record::default());
    let outcome = tokio::time::timeout(HANDSHAKE, handshake(tcp, &target.host, &record, &[b"h2", b"http/1.1"])).await;
    let trouble = match outcome {
        Ok(Ok(mut stream)) => {
            // In TLS 1.3 a server that demands a client's certificate says so behind the handshake.
            let broke = if record.asks_client.load(Ordering::Relaxed) { refusal(&mut stream).await } else { None };
            return Ok(record.told(Some(stream.get_ref().1), broke));
        }
        Ok(Err(error)) => trouble(&error),
        Err(_elapsed) => Trouble::Silent,
    };
    if record.is_empty() {
        if let Trouble::Broken(_) = trouble
            && let Some(shown) = old::shown(&target.host, address).await
        {
            return Ok(shown);
        }
        return Err(match trouble {
            Trouble::NotTls { .. } => Trouble::NotTls { speaks_http: speaks_http(address, &target.host).await },
            Trouble::Silent => Trouble::Broken("no handshake in time".to_owned()),
            trouble => trouble,
        });
    }
    Ok(record.told(None, Some(trouble.detail())))
}

/// As above, to send requests; whatever the server shows is taken.
pub(super) async fn connect_for_requests(host: &str, address: SocketAddr) -> Result<TlsStream<TcpStream>, Trouble> {
    let tcp = connect(address).await?;
    let outcome = tokio::time::timeout(HANDSHAKE, handshake(tcp, host, &Arc::default(), &[b"http/1.1"])).await;
    outcome.map_err(|_elapsed| Trouble::Silent)?.map_err(|error| trouble(&error))
}

/// Connects.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Trouble> {
    use io::ErrorKind as Kind;
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    connected.map_err(|_elapsed| Trouble::Silent)?.map_err(|error| match error.kind() {
        Kind::ConnectionRefused => Trouble::Refused,
        Kind::TimedOut => Trouble::Silent,
        Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::AddrNotAvailable => Trouble::NoRoute,
        _ => Trouble::Broken(error.to_string()),
    })
}

async fn handshake(
    tcp: TcpStream,
    host: &str,
    record: &Arc<Record>,
    protocols: &[&[u8]],
) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Recorder { provider: provider.clone(), record: record.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(Asked(record.clone())));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// The alert that follows when no certificate of ours came.
async fn refusal(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    match tokio::time::timeout(A_MOMENT, stream.read(&mut [0])).await {
        Ok(Err(error)) => Some(with_causes(&error)),
        Ok(Ok(_)) | Err(_) => None,
    }
}

fn trouble(error: &io::Error) -> Trouble {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => Trouble::NotTls { speaks_http: false },
        Some(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)) => Trouble::NameRefused,
        Some(other) => Trouble::Broken(other.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Trouble::Broken("the server closes the connection in the handshake".to_owned())
        }
        None => Trouble::Broken(error.to_string()),
    }
}

/// Whether a request of plain HTTP gets an answer.
async fn speaks_http(address: SocketAddr, host: &str) -> bool {
    let ask = async {
        let mut tcp = connect(address).await.ok()?;
        tcp.write_all(format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.ok()?;
        let mut start = [0; 5];
        tcp.read_exact(&mut start).await.ok()?;
        Some(start == *b"HTTP/")
    };
    tokio::time::timeout(CONNECT, ask).await.ok().flatten().unwrap_or(false)
}

/// What passes by in a handshake.
#[derive(Debug, Default)]
struct Record {
    chain: Mutex<Vec<CertificateDer<'static>>>,
    is_stapled: AtomicBool,
    asks_client: AtomicBool,
    is_unproven: AtomicBool,
}

impl Record {
    fn is_empty(&self) -> bool {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn told(&self, connection: Option<&ClientConnection>, broke: Option<String>) -> Shown {
        let sent = self.chain.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let total = sent.len();
        let chain: Vec<_> =
            sent.into_iter().take(MOST_CERTIFICATES).filter_map(|der| Certificate::read(der).ok()).collect();
        let version = connection.and_then(|connection| connection.protocol_version());
        let cipher = connection.and_then(|connection| connection.negotiated_cipher_suite());
        let alpn = connection.and_then(|connection| connection.alpn_protocol()).unwrap_or_default();
        Shown {
            version: version.map(|version| format!("{version:?}").replace("TLSv1_", "TLS 1.")).unwrap_or_default(),
            cipher: cipher.map(|cipher| format!("{:?}", cipher.suite())).unwrap_or_default(),
            alpn: String::from_utf8_lossy(alpn).into_owned(),
            is_stapled: self.is_stapled.load(Ordering::Relaxed),
            asks_client: self.asks_client.load(Ordering::Relaxed),
            unreadable: total.min(MOST_CERTIFICATES) - chain.len(),
            chain,
            broke,
            is_unproven: self.is_unproven.load(Ordering::Relaxed),
            is_old: false,
        }
    }
}

#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    record: Arc<Record>,
}

impl Recorder {
    /// A short RSA key cannot be checked here; that it is short is told elsewhere.
    fn proven(&self, certificate: &CertificateDer<'_>, outcome: &Result<HandshakeSignatureValid, rustls::Error>) {
        let is_short = Certificate::read(certificate.clone().into_owned())
            .is_ok_and(|leaf| leaf.rsa_bits().is_some_and(|bits| bits < 2048));
        if outcome.is_err() && !is_short {
            self.record.is_unproven.store(true, Ordering::Relaxed);
        }
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let sent = std::iter::once(end_entity).chain(intermediates).map(|it| it.clone().into_owned()).collect();
        *self.record.chain.lock().unwrap_or_else(PoisonError::into_inner) = sent;
        self.record.is_stapled.store(!ocsp_response.is_empty(), Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(certificate, &verify_tls12_signature(message, certificate, signature, algorithms));
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(certificate, &verify_tls13_signature(message, certificate, signature, algorithms));
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Notes that a client's certificate is asked for, and has none.
#[derive(Debug)]
struct Asked(Arc<Record>);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.asks_client.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

const CONNECT: Duration = Duration::from_secs(5);
const HANDSHAKE: Duration = Duration::from_secs(10);
const A_MOMENT: Duration = Duration::from_secs(2);
/// More than any server has a use for.
const MOST_CERTIFICATES: usize = 32;
