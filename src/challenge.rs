//! Pending ACME challenges: what a CA will ask for in a moment.
//!
//! In: a token or a server name, from `source::acme`. Out: the answer, to `proxy` (http-01, RFC 8555 §8.3) and `tls`
//! (tls-alpn-01, RFC 8737). An entry lives exactly as long as its [`Pending`] guard. Imports libraries only.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// Every challenge that a CA may look at now. Clones share.
#[derive(Clone, Default)]
pub struct Challenges(Arc<Board>);

impl Challenges {
    /// Answers http-01 for `token` until the guard is dropped (RFC 8555 §8.3).
    pub fn publish_http(&self, token: &str, key_authorization: &str) -> Pending {
        let id = self.0.next_id();
        self.0.http.put(id, token, key_authorization.into());
        Pending { board: self.0.clone(), id, place: Place::Http, name: token.to_owned() }
    }

    /// Answers tls-alpn-01 for `server_name` until the guard is dropped (RFC 8737 §3).
    ///
    /// The name is what the CA sends as SNI: a DNS name in any case, or the reverse-zone name of an IP address
    /// (RFC 8738 §6). `config` comes from [`alpn_config`].
    pub fn publish_alpn(&self, server_name: &str, config: Arc<ServerConfig>) -> Pending {
        let (id, name) = (self.0.next_id(), server_name.to_ascii_lowercase());
        self.0.alpn.put(id, &name, config);
        Pending { board: self.0.clone(), id, place: Place::Alpn, name }
    }

    /// The key authorization to answer a GET on `/.well-known/acme-challenge/<token>` with.
    pub fn http(&self, token: &str) -> Option<Arc<str>> {
        self.0.http.look(token)
    }

    /// How to accept a handshake that offers only `acme-tls/1` for this server name.
    pub fn alpn(&self, server_name: &str) -> Option<Arc<ServerConfig>> {
        self.0.alpn.look(&server_name.to_ascii_lowercase())
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").field("http", &self.0.http.len()).field("alpn", &self.0.alpn.len()).finish()
    }
}

/// Keeps one challenge answered; dropping it takes the answer away.
#[must_use = "the challenge is answered only as long as the guard lives"]
pub struct Pending {
    board: Arc<Board>,
    id: u64,
    place: Place,
    name: String,
}

impl Drop for Pending {
    fn drop(&mut self) {
        match self.place {
            Place::Http => self.board.http.take(self.id, &self.name),
            Place::Alpn => self.board.alpn.take(self.id, &self.name),
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Makes the TLS settings of a tls-alpn-01 answer: this certificate, `acme-tls/1` and nothing else (RFC 8737 §3).
///
/// # Errors
///
/// Never with the built-in cryptography; rustls's own error is handed on.
pub fn alpn_config(certified: Arc<CertifiedKey>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(Arc::new(config))
}

/// The ALPN protocol id of a tls-alpn-01 validation (RFC 8737 §6.2).
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// Where every http-01 validation asks, followed by the token (RFC 8555 §8.3).
pub const HTTP_PREFIX: &str = "/.well-known/acme-challenge/";

#[derive(Default)]
struct Board {
    ids: AtomicU64,
    http: Shelf<Arc<str>>,
    alpn: Shelf<Arc<ServerConfig>>,
}

impl Board {
    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Http,
    Alpn,
}

/// Answers by name. Two certificates may hold one name at once: the later answer is given, and a guard takes only its
/// own away.
struct Shelf<T>(RwLock<HashMap<String, Vec<(u64, T)>>>);

impl<T: Clone> Shelf<T> {
    fn put(&self, id: u64, name: &str, answer: T) {
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        answers.entry(name.to_owned()).or_default().push((id, answer));
    }

    fn look(&self, name: &str) -> Option<T> {
        let answers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        answers.get(name)?.last().map(|(_, answer)| answer.clone())
    }

    fn take(&self, id: u64, name: &str) {
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(of_name) = answers.get_mut(name) else { return };
        of_name.retain(|(other, _)| *other != id);
        if of_name.is_empty() {
            answers.remove(name);
        }
    }

    fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    use super::*;

    fn config() -> Arc<ServerConfig> {
        let made = rcgen::generate_simple_self_signed(["m5.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certified = CertifiedKey::from_der(vec![made.cert.into()], key, &aws_lc_rs::default_provider()).unwrap();
        alpn_config(Arc::new(certified)).unwrap()
    }

    #[test]
    fn given_a_published_token_when_the_guard_drops_then_it_is_gone() {
        let challenges = Challenges::default();
        let pending = challenges.publish_http("token", "token.thumbprint");

        assert_eq!(challenges.clone().http("token").as_deref(), Some("token.thumbprint"));
        assert_eq!(challenges.http("other"), None);

        drop(pending);
        assert_eq!(challenges.http("token"), None);
    }

    #[test]
    fn given_two_answers_for_one_name_when_the_later_drops_then_the_earlier_is_given() {
        let challenges = Challenges::default();
        let first = challenges.publish_http("token", "first");
        let second = challenges.publish_http("token", "second");
        assert_eq!(challenges.http("token").as_deref(), Some("second"));

        drop(second);
        assert_eq!(challenges.http("token").as_deref(), Some("first"));
        drop(first);
        assert_eq!(challenges.http("token"), None);
    }

    #[test]
    fn given_a_server_name_in_another_case_when_asked_then_answers() {
        let challenges = Challenges::default();
        let pending = challenges.publish_alpn("M5.test", config());

        assert!(challenges.alpn("m5.TEST").is_some());
        drop(pending);
        assert!(challenges.alpn("m5.test").is_none());
    }

    #[test]
    fn given_a_validation_certificate_when_configured_then_only_acme_tls_is_spoken() {
        assert_eq!(config().alpn_protocols, vec![b"acme-tls/1".to_vec()]);
    }

    #[test]
    fn given_a_key_authorization_when_debugged_then_not_shown() {
        let challenges = Challenges::default();
        let pending = challenges.publish_http("tokentoken", "thumbprint");

        let shown = format!("{challenges:?} {pending:?}");
        assert!(!shown.contains("thumbprint") && !shown.contains("tokentoken"), "{shown}");
    }
}
