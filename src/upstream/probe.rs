//! A TLS handshake of our own with an upstream, to read what it shows.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::acquaintance::in_words;
use super::connect::HANDSHAKE_EXTRA;
use super::handshake::{Handshake, Met};
use super::{Address, PeerSettings, Timeouts, TlsFailure, TlsSettings};
use crate::lifecycle::rotation::Refusal;
use crate::pki::{CertificateChain, Identity, LeafFacts};
use crate::store::StoreError;
use crate::time::Timestamp;

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
    #[error("no TLS handshake with {address} ({}): {}", .failure.code(), .failure.cause())]
    Handshake {
        /// Where.
        address: SocketAddr,
        /// What is the matter with the server.
        failure: TlsFailure,
        /// What the server says about our client certificate, where it says something.
        refusal: Option<Refusal>,
        /// rustls's word.
        source: std::io::Error,
    },
    /// No handshake can be made with these settings.
    #[error("no handshake with {address} can be made")]
    Unfit {
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
    #[error("the certificate of {address} cannot be read ({})", TlsFailure::Unreadable.code())]
    Unreadable {
        /// Where.
        address: SocketAddr,
        /// What is wrong with it.
        source: crate::pki::ChainError,
    },
    /// Another certificate than the pinned one.
    #[error(
        "{address} shows a certificate that is not pinned: {}, pin {}; expected {}",
        in_words(.leaf),
        .leaf.pin,
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
    /// Another certificate than at first use.
    #[error(
        "{address} shows another certificate than the one that is believed since {since}: it shows {}; believed is {}{}",
        in_words(.shown),
        in_words(.known),
        if .shown.pin == .known.pin { "; the key is the same in both" } else { "" }
    )]
    Changed {
        /// Where.
        address: SocketAddr,
        /// From when on the known one is believed.
        since: Timestamp,
        /// What is believed.
        known: Box<LeafFacts>,
        /// What it showed.
        shown: Box<LeafFacts>,
    },
    /// To be believed at first use, but what is known cannot be read or kept.
    #[error("the certificate of {address} is to be believed at first use, and cannot be kept")]
    Forgetful {
        /// Where.
        address: SocketAddr,
        /// The file, and why.
        source: StoreError,
    },
    /// To be believed at first use, by somebody who keeps nothing.
    #[error("{address} is to be believed at first use, and was not met yet: {}", in_words(.leaf))]
    Unknown {
        /// Where.
        address: SocketAddr,
        /// What it showed.
        leaf: Box<LeafFacts>,
    },
}

impl ProbeError {
    /// Whether nobody answered.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. })
    }

    /// What is the matter with the server, once one has answered.
    pub fn failure(&self) -> Option<TlsFailure> {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Unfit { .. } => None,
            Self::Handshake { failure, .. } => Some(*failure),
            Self::Unreadable { .. } => Some(TlsFailure::Unreadable),
            Self::NotPinned { .. } | Self::Changed { .. } => Some(TlsFailure::Pin),
            Self::Forgetful { .. } | Self::Unknown { .. } => Some(TlsFailure::FirstUse),
        }
    }
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
    acquaintance: Option<Met<'_>>,
    limit: Duration,
) -> Result<(TlsStream<TcpStream>, Probed), ProbeError> {
    let handshake = Handshake::new(tls, identity).map_err(|source| ProbeError::Unfit { address, source })?;
    handshake.connect(address, acquaintance, limit).await
}

/// What a server shows, whether it is to be believed or not, for somebody who has to say whether it is. Nothing is sent.
///
/// # Errors
///
/// [`ProbeError`] when nobody answers, or no handshake comes about.
pub async fn look(peer: &PeerSettings, timeouts: Timeouts) -> Result<Probed, LookError> {
    let (Address::Tcp { host, port }, Some(tls)) = (&peer.address, &peer.tls) else { return Err(LookError::Plain) };
    let unresolved = |source| LookError::Resolve { host: host.clone(), source };
    let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(unresolved)?.collect();
    let mut last = LookError::Resolve { host: host.clone(), source: std::io::ErrorKind::NotFound.into() };
    for address in addresses {
        let handshake = Handshake::new(tls, None).map_err(|source| ProbeError::Unfit { address, source })?;
        match handshake.look(address, timeouts.connect + HANDSHAKE_EXTRA).await {
            Err(error) if error.is_unreachable() => last = error.into(),
            outcome => return outcome.map_err(LookError::Probe),
        }
    }
    Err(last)
}

/// Why a server could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It speaks no TLS.
    #[error("it is reached without TLS, so that it shows no certificate")]
    Plain,
    /// Its name has no address.
    #[error("the name `{host}` cannot be resolved")]
    Resolve {
        /// Which.
        host: String,
        /// The resolver's word.
        source: std::io::Error,
    },
    /// Nobody answers, or not in TLS.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}
