//! One handshake with a listener of our own, as a client makes it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{self, CertificateDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::{ServerName, Sources, Target};
use crate::pki::CertificateChain;

/// Makes handshakes; one for all targets.
pub struct Prober {
    config: Arc<ClientConfig>,
    sources: Sources,
}

impl Prober {
    /// Prepares handshakes, each of which is in `sources` while it lasts.
    ///
    /// # Errors
    ///
    /// [`ProberError`], which no input causes.
    pub fn new(sources: Sources) -> Result<Self, ProberError> {
        // A look a minute for each of a thousand names: the cheapest groups, which every server of ours has too.
        let provider = aws_lc_rs::default_provider();
        let provider = Arc::new(CryptoProvider { kx_groups: GROUPS.to_vec(), ..provider });
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(ProberError)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), sources })
    }

    /// Where looks come from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What a client gets there.
    ///
    /// # Errors
    ///
    /// [`Fault`] when there is no handshake within [`LIMIT`].
    pub async fn look(&self, target: &Target) -> Result<CertificateChain, Fault> {
        let looked = tokio::time::timeout(LIMIT, self.look_unlimited(target)).await;
        looked.unwrap_or_else(|_elapsed| Err(Fault::Unreachable(format!("no handshake within {LIMIT:?}"))))
    }

    async fn look_unlimited(&self, target: &Target) -> Result<CertificateChain, Fault> {
        let socket = socket(target.address).map_err(|error| Fault::unreachable(&error))?;
        let source = socket.local_addr().map_err(|error| Fault::unreachable(&error))?;
        // Known before the listener can ask.
        let _own = self.sources.add(source);
        let mut stream = socket.connect(target.address).await.map_err(|error| Fault::unreachable(&error))?;
        // Neither can fail on a socket that is there; without them a look only takes longer.
        let _ = (stream.set_nodelay(true), stream.set_zero_linger());
        if target.sends_header {
            stream.write_all(LOCAL).await.map_err(|error| Fault::unreachable(&error))?;
        }
        self.shake(target, stream).await
    }

    async fn shake(&self, target: &Target, stream: TcpStream) -> Result<CertificateChain, Fault> {
        let name = match &target.server_name {
            ServerName::Dns(name) => pki_types::ServerName::try_from(name.clone())
                .map_err(|error| Fault::Unreachable(format!("`{name}` cannot be asked for: {error}")))?,
            ServerName::Address(address) => pki_types::ServerName::from(*address),
        };
        let connector = TlsConnector::from(self.config.clone());
        let stream = connector.connect(name, stream).await.map_err(|error| Fault::of_handshake(&error))?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
        CertificateChain::from_der(shown).map_err(|error| Fault::Refused(error.to_string()))
    }
}

/// A socket on the address that is to be connected to, with a port that is ours.
fn socket(target: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let mut source = target;
    source.set_port(0);
    socket.bind(source)?;
    Ok(socket)
}

/// Why there was no handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody answered, or not to the end: nothing is known of a certificate.
    Unreachable(String),
    /// TLS itself failed: an alert, no common algorithm, a signature that does not hold, bytes that are not TLS.
    Refused(String),
}

impl Fault {
    fn unreachable(error: &io::Error) -> Self {
        Self::Unreachable(error.to_string())
    }

    fn of_handshake(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => Self::Refused(tls.to_string()),
            None => Self::unreachable(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no answer: {why}"),
            Self::Refused(why) => write!(f, "no handshake: {why}"),
        }
    }
}

/// Why no handshake can be prepared.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare handshakes with our own listeners")]
pub struct ProberError(#[source] rustls::Error);

/// Believes anybody who owns the key of what he shows: whether it is the right one is judged behind the handshake.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &pki_types::ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        EVERYBODYS.to_vec()
    }
}

/// What every browser and phone offers: no Ed25519, no P-521.
const EVERYBODYS: [SignatureScheme; 8] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA512,
];

const GROUPS: [&dyn SupportedKxGroup; 2] = [aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];

/// PROXY protocol 2: the load balancer speaks for itself, as in its own checks of health.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// From the connect to the end of the handshake.
pub const LIMIT: Duration = Duration::from_secs(5);
