//! TLS handshakes of our own.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::acquaintance::Acquaintance;
use super::failure::Circumstances;
use super::refusal::{alert_of, refusal};
use super::{ProbeError, Probed, TlsFailure, TlsSettings, Trust};
use crate::lifecycle::rotation::Refusal;
use crate::pki::{Certificate, CertificateChain, Identity};

/// How TLS is spoken to one peer, as one identity; made once for many connections.
///
/// # Why
///
/// rustls reads the key and the trust anchors whenever a configuration is made: 27 µs with an EC key, 390 µs with RSA. And
/// it resumes sessions only within one configuration, so that a session never outlives the identity that it was opened as.
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    trust: Trust,
    shown: Arc<Shown>,
    seen: Arc<SeenKey>,
}

/// Who knows what a server has shown at first use, and the name of its upstream.
#[derive(Clone, Copy)]
pub(super) struct Met<'a> {
    pub(super) acquaintance: &'a Arc<Acquaintance>,
    pub(super) upstream: &'a str,
}

impl Handshake {
    /// Prepares handshakes that show `identity` to whoever asks.
    ///
    /// # Errors
    ///
    /// rustls's word, for a server name or trust anchors that it cannot use.
    pub(super) fn new(tls: &TlsSettings, identity: Option<&Identity>) -> Result<Self, std::io::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = Arc::<SeenKey>::default();
        let verifier = Verifier::new(&tls.trust, &provider, seen.clone()).map_err(std::io::Error::other)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let identity = identity.map(Identity::certified);
        let shown = Arc::new(Shown { identity, was_asked: AtomicBool::new(false) });
        let mut config = builder.with_client_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(tls.server_name.clone()).map_err(std::io::Error::other)?;
        Ok(Self { config: Arc::new(config), name, trust: tls.trust.clone(), shown, seen })
    }

    /// What an error of a connection says about our certificate, with the alert that says so.
    pub(super) fn refusal(&self, error: &(dyn Error + 'static)) -> Option<(Refusal, AlertDescription)> {
        let alert = alert_of(error)?;
        let was_asked = self.shown.was_asked.load(Ordering::Relaxed);
        Some((refusal(alert, was_asked, self.shown.has_certs())?, alert))
    }

    /// Connects to `address` and shakes hands. `limit` covers both.
    ///
    /// # Errors
    ///
    /// See [`ProbeError`]. In TLS 1.3 a refusal of our identity comes later, with the first bytes that are read.
    pub(super) async fn connect(
        &self,
        address: SocketAddr,
        met: Option<Met<'_>>,
        limit: Duration,
    ) -> Result<(TlsStream<TcpStream>, Probed), ProbeError> {
        let (stream, probed) = self.shake(address, limit).await?;
        self.judge(address, met, &probed.chain).await?;
        Ok((stream, probed))
    }

    /// What the server shows, believed or not; with trust anchors only what they believe.
    ///
    /// # Errors
    ///
    /// As [`Handshake::connect`].
    pub(super) async fn look(&self, address: SocketAddr, limit: Duration) -> Result<Probed, ProbeError> {
        self.shake(address, limit).await.map(|(_stream, probed)| probed)
    }

    async fn shake(&self, address: SocketAddr, limit: Duration) -> Result<(TlsStream<TcpStream>, Probed), ProbeError> {
        let shaken = tokio::time::timeout(limit, self.shake_unlimited(address)).await;
        shaken.map_err(|_elapsed| ProbeError::Timeout { address, limit })?
    }

    async fn shake_unlimited(&self, address: SocketAddr) -> Result<(TlsStream<TcpStream>, Probed), ProbeError> {
        let stream = TcpStream::connect(address).await.map_err(|source| ProbeError::Connect { address, source })?;
        // Fails only on a socket that is gone; the handshake will tell.
        let _ = stream.set_nodelay(true);
        let connector = TlsConnector::from(self.config.clone());
        let shaken = connector.connect(self.name.clone(), stream).await;
        let stream = shaken.map_err(|source| self.failed(address, source))?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let chain = CertificateChain::from_der(shown).map_err(|source| ProbeError::Unreadable { address, source })?;
        Ok((stream, Probed { chain }))
    }

    fn failed(&self, address: SocketAddr, source: std::io::Error) -> ProbeError {
        let circumstances = Circumstances {
            was_asked: self.shown.was_asked.load(Ordering::Relaxed),
            has_identity: self.shown.has_certs(),
            rsa_bits: self.seen.rsa_bits(),
        };
        let failure = TlsFailure::of(&source, circumstances);
        let refusal = self.refusal(&source).map(|(refusal, _alert)| refusal);
        ProbeError::Handshake { address, failure, refusal, source }
    }

    /// Whether the leaf is a pinned one, or that of the first use; with trust anchors the chain was judged in the handshake.
    async fn judge(
        &self,
        address: SocketAddr,
        met: Option<Met<'_>>,
        chain: &CertificateChain,
    ) -> Result<(), ProbeError> {
        let leaf = chain.leaf();
        let (fingerprints, pins) = match (&self.trust, met) {
            (Trust::Anchors(_), _) => return Ok(()),
            (Trust::FirstUse, Some(met)) => return met.acquaintance.judge(met.upstream, address, chain).await,
            (Trust::FirstUse, None) => return Err(ProbeError::Unknown { address, leaf: Box::new(leaf.clone()) }),
            (Trust::Pinned { fingerprints, pins }, _) => (fingerprints, pins),
        };
        if fingerprints.contains(&leaf.fingerprint) || pins.contains(&leaf.pin) {
            return Ok(());
        }
        let fingerprints = fingerprints.iter().map(|fingerprint| format!("fingerprint {fingerprint}"));
        let expected: Vec<_> = fingerprints.chain(pins.iter().map(|pin| format!("pin {pin}"))).collect();
        Err(ProbeError::NotPinned { address, leaf: Box::new(leaf.clone()), expected: expected.join(" or ") })
    }
}

/// Shows one identity whatever authorities the server names: of those that are right few are named, and BankID's are not.
#[derive(Debug)]
struct Shown {
    identity: Option<Arc<CertifiedKey>>,
    /// A server has asked for it, in this handshake or an earlier one.
    was_asked: AtomicBool,
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

/// Checks the chain where there are trust anchors.
///
/// With pins the chain is judged behind the handshake; that the peer owns the leaf's key is checked here all the same.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    anchors: Option<Arc<WebPkiServerVerifier>>,
    seen: Arc<SeenKey>,
}

/// The size of the RSA key in the leaf that was shown last; 0 is another kind of key, or none yet.
#[derive(Debug, Default)]
struct SeenKey(AtomicUsize);

impl SeenKey {
    fn note(&self, leaf: &CertificateDer<'_>) {
        let bits = Certificate::read(leaf.clone().into_owned()).ok().and_then(|leaf| leaf.rsa_bits());
        self.0.store(bits.unwrap_or(0), Ordering::Relaxed);
    }

    fn rsa_bits(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bits| *bits != 0)
    }
}

impl Verifier {
    fn new(
        trust: &Trust,
        provider: &Arc<CryptoProvider>,
        seen: Arc<SeenKey>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let anchors = match trust {
            Trust::Anchors(anchors) => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(anchors.root_store()), provider.clone())
                    .build()?,
            ),
            Trust::Pinned { .. } | Trust::FirstUse => None,
        };
        Ok(Self { provider: provider.clone(), anchors, seen })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.note(end_entity);
        match &self.anchors {
            Some(anchors) => anchors.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Ok(ServerCertVerified::assertion()),
        }
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
