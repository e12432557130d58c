//! Server name to identity, and the handshake as server.
//!
//! In: an accepted stream, [`SiteSettings`], identities published by `manager`, pending tls-alpn-01 challenges. Out: a
//! decrypted stream that knows its site, or an alert. Imports `pki` and `challenge`; pingora's stream types stay in here and
//! in `proxy`.
//!
//! Promises: an identity is swapped whole and only for new handshakes; a name that no site has gets `unrecognized_name`;
//! `acme-tls/1` never reaches HTTP; HTTP/2 is not offered where it would mix users up; sessions that began under other
//! rules about client certificates, or before a list or a trust anchor ran out, are not resumed; a client may not send more
//! than 64 KiB before it has said whom it wants.
//! Standards: RFC 8446, RFC 5246 (AEAD suites only), RFC 6066 §3, RFC 7301, RFC 8737.
//!
//! # Why
//!
//! pingora's own TLS listener has one ALPN list and one client policy for all names. So the ClientHello is read on the plain
//! stream, put back, and pingora's handshake runs with the [`rustls::ServerConfig`] of the site that was asked for.

mod accept;
mod clients;
mod dated;
mod hello;
mod judge;
mod resolver;

pub use accept::{Accepted, Failure, FailureReason, Version, accept, context_of};
pub use clients::{ClientCertificate, ClientCrl, ClientTrust, Handshaken, Proof};
pub use hello::{BadHello, Hello, HelloReader};
pub use judge::Judge;
pub use resolver::{Choice, Resolver, Shown, Site};

/// One site as the handshake sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSettings {
    /// Name of the site and of its certificate.
    pub name: String,
    /// Server names, lower case; `*.example.com` stands for one label.
    pub domains: Vec<String>,
    /// Takes handshakes without a server name.
    pub is_default: bool,
    /// Oldest version offered.
    pub min_version: MinVersion,
    /// HTTP/2 is not offered.
    pub is_http1_only: bool,
    /// Whose certificates are asked for; `None` asks for none.
    pub clients: Option<ClientTrust>,
}

/// `tls.min`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246), AEAD suites only.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}
