//! Clients' certificates in the handshake.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::pki::{Crl, Holder, TrustAnchors};

/// Which certificates of clients are believed (RFC 5280 §6), and whether one is demanded.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// A handshake without a certificate fails; else it goes on, and requests are judged one by one.
    pub is_required: bool,
    /// Whom a chain has to lead to.
    pub anchors: TrustAnchors,
    /// Whose certificates are revoked. With any, a leaf whose issuer has no list here is refused.
    pub crls: Vec<Crl>,
    /// A list whose `nextUpdate` has passed counts on; else it refuses everybody whom it speaks of.
    pub takes_old_crls: bool,
}

impl ClientTrust {
    /// What judges certificates in a handshake.
    ///
    /// # Errors
    ///
    /// rustls's word, for lists or trust anchors that it cannot use.
    pub fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
        let roots = Arc::new(self.anchors.root_store());
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        if !self.crls.is_empty() {
            builder = builder.with_crls(self.crls.iter().map(Crl::der)).only_check_end_entity_revocation();
        }
        if !self.takes_old_crls {
            builder = builder.enforce_revocation_expiration();
        }
        if !self.is_required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| rustls::Error::General(error.to_string()))
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (anchors, crls) = (self.anchors.certificates().len(), self.crls.len());
        write!(f, "ClientTrust(required: {}, anchors: {anchors}, crls: {crls})", self.is_required)
    }
}

/// A certificate that a client has shown in a handshake, or in the one that its session comes from.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// What it says.
    pub holder: Holder,
    /// As sent, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
}

impl ClientCertificate {
    /// `None` when nothing was shown, or it cannot be read.
    pub(super) fn read(chain: Option<&[CertificateDer<'static>]>) -> Option<Self> {
        let chain = chain?;
        let holder = Holder::read(chain.first()?).ok()?;
        Some(Self { holder, chain: chain.to_vec() })
    }
}

/// Is told how a handshake ended, before the first request.
pub trait Handshaken: Send + Sync + 'static {
    /// `trust` is the number of the rules that the certificate was judged by; see `Resolver::client_trust`.
    fn handshaken(&self, certificate: Option<ClientCertificate>, trust: Option<u64>);
}

/// Whoever only looks.
impl Handshaken for () {
    fn handshaken(&self, _certificate: Option<ClientCertificate>, _trust: Option<u64>) {}
}
