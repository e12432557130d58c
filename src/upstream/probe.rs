//! A TLS handshake of our own with an upstream, to read what it shows.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::TlsSettings;
use super::handshake::Handshake;
use crate::pki::{CertificateChain, Identity, LeafFacts};

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
pub(super) async fn probe(
    address: SocketAddr,
    tls: &TlsSettings,
    identity: Option<&Identity>,
    limit: Duration,
) -> Result<Probed, ProbeError> {
    connect(address, tls, identity, limit).await.map(|(_stream, probed)| probed)
}

/// Connects to `address` and checks what it shows against `tls`.
///
/// # Errors
///
/// See [`ProbeError`]; `limit` covers connection and handshake.
pub(super) async fn connect(
    address: SocketAddr,
    tls: &TlsSettings,
    identity: Option<&Identity>,
    limit: Duration,
) -> Result<(TlsStream<TcpStream>, Probed), ProbeError> {
    let handshake = Handshake::new(tls, identity).map_err(|source| ProbeError::Handshake { address, source })?;
    handshake.connect(address, limit).await
}
