//! Who gets in: TLS that demands a client certificate and judges its leaf alone.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};

use super::super::clock::PATIENCE;
use super::{Leaf, Stream};

/// What the service thinks of a client certificate. One that no test has named is of an unknown CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Believed.
    Believed,
    /// Alert `unknown_ca`.
    UnknownCa,
    /// Alert `certificate_expired`.
    Expired,
    /// Alert `certificate_revoked`.
    Revoked,
    /// Alert `bad_certificate`.
    Bad,
    /// Let in, and answered with 401 `unauthorized`.
    Unauthorized,
}

/// The listener's side of every handshake.
pub(super) struct Door {
    identity: Leaf,
    rules: Mutex<Rules>,
}

struct Rules {
    versions: Vec<&'static SupportedProtocolVersion>,
    judge: Arc<Judge>,
    /// Anew after each change, so that no session outlives the rules that it began under.
    config: Arc<ServerConfig>,
}

impl Door {
    pub(super) fn new(identity: &Leaf, believed: &[CertificateDer<'static>]) -> Self {
        let known = believed.iter().map(|leaf| (leaf.clone(), Verdict::Believed)).collect();
        let (versions, judge) = (rustls::ALL_VERSIONS.to_vec(), Arc::new(Judge { known }));
        let config = server_config(identity, &versions, &judge);
        Self { identity: identity.clone(), rules: Mutex::new(Rules { versions, judge, config }) }
    }

    pub(super) fn speak(&self, versions: &[&'static SupportedProtocolVersion]) {
        let mut rules = self.lock();
        rules.versions = versions.to_vec();
        rules.config = server_config(&self.identity, &rules.versions, &rules.judge);
    }

    pub(super) fn judge(&self, leaf: &CertificateDer<'static>, verdict: Verdict) {
        let mut rules = self.lock();
        let others = rules.judge.known.iter().filter(|(known, _)| known != leaf).cloned();
        rules.judge = Arc::new(Judge { known: others.chain([(leaf.clone(), verdict)]).collect() });
        rules.config = server_config(&self.identity, &rules.versions, &rules.judge);
    }

    pub(super) fn verdict(&self, leaf: &CertificateDer<'_>) -> Verdict {
        self.lock().judge.verdict(leaf)
    }

    /// The handshake, finished; `refused` hears why it was not, before the caller does.
    pub(super) fn open(&self, mut stream: TcpStream, refused: impl FnOnce(String)) -> io::Result<Stream> {
        let config = Arc::clone(&self.lock().config);
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            if let Err(error) = complete_quietly(&mut connection, &mut stream) {
                refused(error.to_string());
                say_alert(&mut connection, stream);
                return Err(error);
            }
        }
        Ok(StreamOwned::new(connection, stream))
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One step of the handshake. Unlike `complete_io`, it leaves an alert to [`say_alert`].
fn complete_quietly(connection: &mut ServerConnection, stream: &mut TcpStream) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(stream)?;
    }
    if !connection.is_handshaking() {
        return Ok(());
    }
    if connection.read_tls(stream)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    connection.process_new_packets().map(|_| ()).map_err(io::Error::other)
}

/// Sends the alert and reads on until the caller has left: bytes that nobody has read would reset the connection, and the
/// alert with it.
fn say_alert(connection: &mut ServerConnection, mut stream: TcpStream) {
    while connection.wants_write() && connection.write_tls(&mut stream).is_ok_and(|length| length > 0) {}
    let _ = stream.flush();
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut rest = [0; 1024];
    while stream.read(&mut rest).is_ok_and(|length| length > 0) {}
}

fn server_config(
    identity: &Leaf,
    versions: &[&'static SupportedProtocolVersion],
    judge: &Arc<Judge>,
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("our own key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_protocol_versions(versions).expect("the provider has suites for these versions");
    let judge: Arc<Judge> = Arc::clone(judge);
    let config = config.with_client_cert_verifier(judge).with_single_cert(vec![identity.der.clone()], key);
    let mut config = config.expect("key and certificate belong together");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Knows leaves, and no CA.
#[derive(Debug)]
struct Judge {
    known: Vec<(CertificateDer<'static>, Verdict)>,
}

impl Judge {
    fn verdict(&self, leaf: &CertificateDer<'_>) -> Verdict {
        let known = self.known.iter().find(|(known, _)| known == leaf);
        known.map_or(Verdict::UnknownCa, |(_, verdict)| *verdict)
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let reason = match self.verdict(leaf) {
            Verdict::Believed | Verdict::Unauthorized => return Ok(ClientCertVerified::assertion()),
            Verdict::UnknownCa => CertificateError::UnknownIssuer,
            Verdict::Expired => CertificateError::Expired,
            Verdict::Revoked => CertificateError::Revoked,
            Verdict::Bad => CertificateError::BadEncoding,
        };
        Err(Error::InvalidCertificate(reason))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
