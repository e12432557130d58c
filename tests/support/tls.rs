//! TLS as a client that chooses versions, groups and names itself, and tells what was agreed.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::{Leaf, raw};

/// An open TLS connection.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// How a client shakes hands.
pub(crate) struct Client {
    config: ClientConfig,
}

/// A [`Client`] for many connections.
pub(crate) type Shared = Arc<ClientConfig>;

impl Client {
    /// Believes `roots`; both versions, all groups, no ALPN, every handshake a full one.
    pub(crate) fn new(roots: RootCertStore) -> Self {
        Self::with(roots, aws_lc_rs::default_provider(), rustls::ALL_VERSIONS)
    }

    /// As [`Self::new`], with these groups in this order.
    pub(crate) fn with_groups(roots: RootCertStore, groups: &[&'static dyn SupportedKxGroup]) -> Self {
        let provider = CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() };
        Self::with(roots, provider, rustls::ALL_VERSIONS)
    }

    /// As [`Self::new`], with these versions.
    pub(crate) fn with_versions(roots: RootCertStore, versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::with(roots, aws_lc_rs::default_provider(), versions)
    }

    /// Offers `protocols` by ALPN.
    pub(crate) fn alpn(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Sends no server name.
    pub(crate) fn without_sni(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    /// Keeps tickets and uses them.
    pub(crate) fn resuming(mut self) -> Self {
        self.config.resumption = Resumption::in_memory_sessions(16);
        self
    }

    /// Shows this certificate to whoever asks.
    pub(crate) fn showing(mut self, leaf: &Leaf) -> Self {
        let chain = CertificateDer::pem_slice_iter(leaf.chain.as_bytes()).collect::<Result<_, _>>().expect("a chain");
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("a key");
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).expect("they match");
        self.config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        self
    }

    /// For many connections.
    pub(crate) fn share(self) -> Shared {
        Arc::new(self.config)
    }

    /// One handshake with `port` under `name`.
    pub(crate) fn connect(self, port: u16, name: &str) -> io::Result<Stream> {
        connect(&self.share(), port, name)
    }

    fn with(roots: RootCertStore, provider: CryptoProvider, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions);
        let builder = builder.expect("the provider has suites for these versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self { config }
    }
}

/// A handshake with `port` on loopback under `name`, finished.
pub(crate) fn connect(config: &Shared, port: u16, name: &str) -> io::Result<Stream> {
    over(config, raw::try_connect(port)?, name)
}

/// As [`connect`], on a connection that is there.
pub(crate) fn over(config: &Shared, socket: TcpStream, name: &str) -> io::Result<Stream> {
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// The server's own certificate on `stream`.
pub(crate) fn leaf(stream: &Stream) -> CertificateDer<'static> {
    let chain = stream.conn.peer_certificates().expect("the handshake is finished");
    chain.first().expect("a server proves itself").clone().into_owned()
}

/// The group that was agreed, such as `X25519MLKEM768`.
pub(crate) fn group(stream: &Stream) -> String {
    let group = stream.conn.negotiated_key_exchange_group().expect("the handshake is finished");
    format!("{:?}", group.name())
}

/// The certificate that `port` serves for `name`, believed or not.
pub(crate) fn served(port: u16, name: &str) -> io::Result<CertificateDer<'static>> {
    use super::openssl::s_client;
    let said = s_client(port, &["-servername", name]);
    CertificateDer::from_pem_slice(said.text.as_bytes()).map_err(|_| io::Error::other(said.text))
}

/// Sends a request and reads the answer.
pub(crate) fn exchange(stream: &mut Stream, text: &str) -> io::Result<raw::Reply> {
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    raw::read_reply(stream)
}
