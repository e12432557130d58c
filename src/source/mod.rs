//! Where identities come from.
//!
//! In: settings, and an [`Order`] for one certificate. Out: an [`Identity`], or why there is none. May import
//! `pki`, `challenge`, `store`, `dns`, `platform`, `lifecycle` (its failures) and `time`.

pub mod acme;

pub mod files;
pub mod internal;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use acme::{DnsSettings, ExternalAccount, Proxy};

use crate::lifecycle::budget::Limits;
use crate::lifecycle::{Failure, InfoAnswer};
use crate::pki::{Identity, KeyType, Password, TrustAnchors};
use crate::store::Store;
use crate::time::Timestamp;

/// Gives identities.
#[async_trait]
pub trait Source: Send + Sync {
    /// Gets an identity for the order; may take minutes. Dropping the future gives up; what was begun is in the store.
    ///
    /// `replaces` is what it is a renewal of, when the same CA has issued that (RFC 9773 §5).
    ///
    /// # Errors
    ///
    /// A [`Failure`] that says whether and when to try again.
    async fn obtain(&self, order: &Order, replaces: Option<&Identity>) -> Result<Identity, Failure>;

    /// Asks when the issuer wants `identity` to be renewed (RFC 9773 §4). Ends within a minute.
    async fn renewal_info(&self, _identity: &Identity) -> InfoAnswer {
        InfoAnswer::NotOffered
    }
}

/// Runs a call of the store, which waits for the disk, off the threads that serve requests.
pub(crate) async fn blocking<T: Send + 'static>(store: &Store, call: impl FnOnce(&Store) -> T + Send + 'static) -> T {
    let store = store.clone();
    off_thread(move || call(&store)).await
}

/// Runs what waits for the disk, or takes a while, off the threads that serve requests.
pub(crate) async fn off_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and nobody waits for us any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Held while something is done that must not be broken off: whoever ends the task of a certificate waits until it is free.
///
/// # Why
///
/// A task is ended by dropping it, wherever it waits. Between an order that is sent and its URL on the disk that would leave an
/// order at the CA that nobody knows, and that counts.
#[derive(Clone, Debug, Default)]
pub struct Unbroken(Arc<tokio::sync::Mutex<()>>);

impl Unbroken {
    /// Whether somebody holds it now.
    pub fn is_held(&self) -> bool {
        self.0.try_lock().is_err()
    }

    /// Waits until it is free, and holds it until the guard drops.
    pub async fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.0).lock_owned().await
    }
}

/// What is wanted from a [`Source`].
#[derive(Clone, Debug)]
pub struct Order {
    /// Name of the certificate: folder in the store.
    pub certificate: String,
    /// DNS names, lower case, and IP addresses (RFC 8555 §9.7.7).
    pub identifiers: Vec<String>,
    /// Attempts that have failed since the last success; another way may be tried then.
    pub failures: u32,
    /// The CA wants the certificate before to be replaced now, so that this one counts against no limit of its (RFC 9773 §4.2).
    pub is_in_window: bool,
    /// What must not be broken off.
    pub unbroken: Unbroken,
}

/// Where one certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each site, most of them the large one, none ever copied in a hurry"
)]
pub enum Settings {
    /// An ACME CA (RFC 8555), and perhaps others that help out.
    Acme(AcmeCas),
    /// The CA in our own state directory.
    Internal,
    /// Files that somebody else renews, watched.
    Files(FileSettings),
}

/// Files with an identity, and what opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// What lies in which file.
    pub form: FileForm,
    /// For a private key that is encrypted.
    pub password: Option<PasswordSource>,
}

/// Ways to keep an identity in files. They may be one file, and their order does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileForm {
    /// Certificates, and the private key.
    Pair {
        /// PEM, DER or PKCS #7; one at least.
        chain: Vec<PathBuf>,
        /// PKCS #8, PKCS #1 or SEC 1, in PEM or DER.
        key: PathBuf,
    },
    /// Both in PKCS #12.
    Pkcs12(PathBuf),
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The only line of a file, watched.
    File(PathBuf),
    /// The environment, when the configuration was read.
    Given(Password),
}

impl FileSettings {
    /// All files, the password's too.
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = match &self.form {
            FileForm::Pair { chain, key } => chain.iter().chain([key]).map(PathBuf::as_path).collect(),
            FileForm::Pkcs12(file) => vec![file],
        };
        if let Some(PasswordSource::File(file)) = &self.password {
            paths.push(file);
        }
        paths
    }

    /// The file that it is named by, for people.
    pub fn main(&self) -> &Path {
        match &self.form {
            FileForm::Pair { chain, key } => chain.first().unwrap_or(key),
            FileForm::Pkcs12(file) => file,
        }
    }
}

/// Whom we are to servers that ask for a certificate: files that somebody else renews, and perhaps those that come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentitySettings {
    /// Of the egress, or of the upstream that it is shown to; metric label.
    pub name: String,
    /// In use until the next one takes over.
    pub files: FileSettings,
    /// Takes over when its time has come, or when the first is refused.
    pub next: Option<NextIdentity>,
    /// How it is found out whether an identity is accepted.
    pub trial: Trial,
}

/// The identity that is to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextIdentity {
    /// Where it lies.
    pub files: FileSettings,
    /// Not before; `None` is as soon as it is valid.
    pub from: Option<Timestamp>,
}

/// The one exchange by which an identity is tried, before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A handshake, and a moment without an alert: TLS 1.3 tells of a refusal only behind the handshake (RFC 8446 §4.4.2.4).
    Handshake,
    /// A request. Every answer but 401 and 403 says that the identity was accepted.
    Request {
        /// Such as `GET`.
        method: String,
        /// Path and query.
        target: String,
    },
    /// BankID's `collect` with an orderRef that nobody has.
    BankId {
        /// Path of the method, such as `/rp/v6.0/collect`.
        target: String,
    },
}

/// ACME CAs in the order to be asked: `[acme]`, then each `[[acme.next]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeCas {
    /// Asked unless it fails for long.
    pub first: AcmeSettings,
    /// Asked in its place when time grows short.
    pub next: Vec<AcmeSettings>,
}

impl AcmeCas {
    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &AcmeSettings> {
        std::iter::once(&self.first).chain(&self.next)
    }

    /// Whether one of them is.
    pub fn has_public(&self) -> bool {
        self.iter().any(AcmeSettings::is_public)
    }

    /// The one of this index, counted from zero.
    pub fn get(&self, index: usize) -> Option<&AcmeSettings> {
        self.iter().nth(index)
    }

    /// The one with this directory.
    pub fn of(&self, directory: &str) -> Option<&AcmeSettings> {
        self.iter().find(|ca| ca.directory == directory)
    }

    /// The CA to rehearse at: the twin of the first that has one. What is set for another CA, profile and external account, is
    /// not the twin's.
    pub fn for_rehearsal(&self) -> Option<AcmeSettings> {
        let (ca, twin) = self.iter().find_map(|ca| Some((ca, ca.twin()?)))?;
        let like_its_own = || AcmeSettings { directory: twin.to_owned(), profile: None, eab: None, ..ca.clone() };
        Some(self.of(twin).cloned().unwrap_or_else(like_its_own))
    }
}

impl From<AcmeSettings> for AcmeCas {
    fn from(first: AcmeSettings) -> Self {
        Self { first, next: Vec::new() }
    }
}

/// `[acme]`, or an `[[acme.next]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// URL of the directory object (RFC 8555 §7.1.1).
    pub directory: String,
    /// For a CA that does not chain to a public root; `None` trusts Mozilla's roots.
    pub trust_anchors: Option<TrustAnchors>,
    /// The operator has agreed to the terms of service.
    pub agree_tos: bool,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// Challenge kinds in the order to be tried.
    pub challenges: Vec<ChallengeKind>,
    /// Key of the certificate.
    pub key_type: KeyType,
    /// Profile to ask for; must be one that the CA's directory names.
    pub profile: Option<String>,
    /// Who we are to a CA that gives accounts only to those whom it knows (RFC 8555 §7.3.4).
    pub eab: Option<ExternalAccount>,
    /// Common name of the issuer whose chain is taken, when the CA offers several (RFC 8555 §7.4.2).
    pub preferred_chain: Option<String>,
    /// On the way to the CA.
    pub proxy: Option<Proxy>,
    /// Directory of the CA's twin for rehearsals.
    pub staging: Option<String>,
    /// How texts come into DNS, and who is asked about them.
    pub dns: Option<Arc<DnsSettings>>,
}

impl AcmeSettings {
    /// The directory that is asked when none is set.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

    /// By which Let's Encrypt goes in DNS: CAA records, dns-persist-01.
    pub const LETS_ENCRYPT_ISSUER: &str = "letsencrypt.org";

    /// Its twin for tries: high limits, certificates that nobody trusts.
    pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

    /// Directory of the CA's twin for rehearsals: the one that is set, and Let's Encrypt's own.
    pub fn twin(&self) -> Option<&str> {
        let known = (self.directory == Self::LETS_ENCRYPT).then_some(Self::LETS_ENCRYPT_STAGING);
        self.staging.as_deref().or(known)
    }

    /// Whether nobody trusts what the CA issues.
    pub fn is_for_tries(&self) -> bool {
        self.directory == Self::LETS_ENCRYPT_STAGING
    }

    /// Host of the directory, and its port where it has another than 443: label `ca`.
    pub fn host(&self) -> String {
        host(&self.directory)
    }

    /// Whether browsers believe it, or its limits are known: such a CA has the right time.
    pub fn is_public(&self) -> bool {
        self.trust_anchors.is_none() || Limits::of(&self.directory).is_some()
    }

    /// Whether the CA is Let's Encrypt, staging included.
    pub fn is_lets_encrypt(&self) -> bool {
        [Self::LETS_ENCRYPT, Self::LETS_ENCRYPT_STAGING].contains(&self.directory.as_str())
    }
}

impl Default for AcmeSettings {
    /// Let's Encrypt, with both challenges; nothing is agreed to.
    fn default() -> Self {
        Self {
            directory: Self::LETS_ENCRYPT.to_owned(),
            trust_anchors: None,
            agree_tos: false,
            contact: Vec::new(),
            challenges: vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
            key_type: KeyType::default(),
            profile: None,
            eab: None,
            preferred_chain: None,
            proxy: None,
            staging: None,
            dns: None,
        }
    }
}

/// Host of a directory's URL, and its port where it has another than 443: the label `ca` of metrics.
pub fn host(directory: &str) -> String {
    let host = directory.parse::<http::Uri>().ok().and_then(|url| url.authority().map(ToString::to_string));
    host.unwrap_or_else(|| directory.to_owned())
}

/// How control over a name is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// RFC 8555 §8.3, over plain HTTP on port 80.
    Http01,
    /// RFC 8737, in a TLS handshake on port 443.
    TlsAlpn01,
    /// RFC 8555 §8.4, by a text in DNS; for wildcards too.
    Dns01,
    /// draft-ietf-acme-dns-persist, by a text in DNS that the operator publishes once; for wildcards too.
    DnsPersist01,
}

impl ChallengeKind {
    /// As in RFC 8555 §9.7.8.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }
}

/// One certificate that portvakt keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSettings {
    /// The site's name; metric label and folder in the store.
    pub name: String,
    /// What it is issued to: DNS names, lower case, and IP addresses (RFC 8555 §9.7.7).
    pub identifiers: Vec<String>,
    /// Where it comes from.
    pub source: Settings,
}
