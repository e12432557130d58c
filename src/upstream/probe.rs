//! A TLS handshake of our own with an upstream, to read what it shows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{TlsSettings, Trust};
use crate::pki::{CertificateChain, LeafFacts};

/// What an upstream showed in a handshake that it was believed in.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Its chain as sent.
    pub chain: CertificateChain,
}

/// Why an upstream is not believed, or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// The handshake failed.
    #[error("TLS handshake with {address}")]
    Handshake {
        /// Where.
        address: SocketAddr,
        /// rustls's word.
        source: std::io::Error,
    },
    /// Took too long.
    #[error("no TLS handshake with {address} within {limit:?}")]
    Timeout {
        /// Where.
        address: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// The certificate cannot be read, so nothing about it can be believed.
    #[error("the certificate of {address} cannot be read")]
    Unreadable {
        /// Where.
        address: SocketAddr,
        /// What is wrong with it.
        source: crate::pki::ChainError,
    },
    /// Another certificate than the pinned one.
    #[error(
        "{address} shows a certificate that is not pinned: fingerprint {}, pin {}, issued to {}, valid until {}; expected {}",
        .leaf.fingerprint,
        .leaf.pin,
        .leaf.common_name,
        .leaf.not_after,
        .expected
    )]
    NotPinned {
        /// Where.
        address: SocketAddr,
        /// What it showed.
        leaf: Box<LeafFacts>,
        /// What is pinned.
        expected: String,
    },
}

impl ProbeError {
    /// Whether nobody answered.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. })
    }
}

/// Shakes hands with `address` and checks what it shows against `tls`.
///
/// # Errors
///
/// See [`ProbeError`]; `limit` covers connection and handshake.
pub(super) async fn probe(address: SocketAddr, tls: &TlsSettings, limit: Duration) -> Result<Probed, ProbeError> {
    let connected = tokio::time::timeout(limit, connect(address, tls)).await;
    let (_stream, probed) = connected.map_err(|_elapsed| ProbeError::Timeout { address, limit })??;
    Ok(probed)
}

/// Connects to `address` and checks what it shows against `tls`. The caller limits it in time.
///
/// # Errors
///
/// See [`ProbeError`].
pub(super) async fn connect(
    address: SocketAddr,
    tls: &TlsSettings,
) -> Result<(TlsStream<TcpStream>, Probed), ProbeError> {
    let (stream, chain) = handshake(address, tls).await?;
    let leaf = chain.leaf();
    if let Trust::Pinned { fingerprints, pins } = &tls.trust
        && !fingerprints.contains(&leaf.fingerprint)
        && !pins.contains(&leaf.pin)
    {
        let fingerprints = fingerprints.iter().map(|fingerprint| format!("fingerprint {fingerprint}"));
        let expected: Vec<_> = fingerprints.chain(pins.iter().map(|pin| format!("pin {pin}"))).collect();
        return Err(ProbeError::NotPinned { address, leaf: Box::new(leaf.clone()), expected: expected.join(" or ") });
    }
    Ok((stream, Probed { chain }))
}

async fn handshake(
    address: SocketAddr,
    tls: &TlsSettings,
) -> Result<(TlsStream<TcpStream>, CertificateChain), ProbeError> {
    let failed = |source| ProbeError::Handshake { address, source };
    let verifier = Arc::new(Recorder::new(&tls.trust).map_err(|e| failed(std::io::Error::other(e)))?);
    let config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(std::io::Error::other(e)))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(tls.server_name.clone()).map_err(|e| failed(std::io::Error::other(e)))?;
    let stream = TcpStream::connect(address).await.map_err(|source| ProbeError::Connect { address, source })?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(failed)?;
    let shown = std::mem::take(&mut *verifier.shown.lock().unwrap_or_else(PoisonError::into_inner));
    let chain = CertificateChain::from_der(shown).map_err(|source| ProbeError::Unreadable { address, source })?;
    Ok((stream, chain))
}

/// Checks the chain where there are trust anchors, and remembers it in any case.
///
/// With pins the chain is judged by the caller; that the peer owns the leaf's key is checked here all the same.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    anchors: Option<Arc<WebPkiServerVerifier>>,
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    fn new(trust: &Trust) -> Result<Self, rustls::client::VerifierBuilderError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let anchors = match trust {
            Trust::Anchors(anchors) => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(anchors.root_store()), provider.clone())
                    .build()?,
            ),
            Trust::Pinned { .. } => None,
        };
        Ok(Self { provider, anchors, shown: Mutex::default() })
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(anchors) = &self.anchors {
            anchors.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) =
            std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
