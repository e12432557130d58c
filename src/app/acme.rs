//! What operators do with ACME accounts and certificates by hand.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;

use super::{App, AppError, rights};
use crate::challenge::{Challenges, HTTP_PREFIX};
use crate::config::Config;
use crate::pki::Identity;
use crate::source::acme::{
    AcmeError, AcmeSource, Clients, Rehearsal, RevocationReason, RevokedBy, RolledOver, account_thumbprint, account_url,
};
use crate::source::{AcmeCas, AcmeSettings, CertificateSettings, Order, Settings, Unbroken};
use crate::store::{Store, StoreError};
use crate::time::SystemClock;

/// Why something cannot be done with an account or a certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeWorkError {
    /// The configuration names no such thing.
    #[error("{0}")]
    Unknown(String),
    /// The CA, or the way to it.
    #[error("the CA cannot do it")]
    Ca(#[from] AcmeError),
    /// The state directory.
    #[error("the state directory cannot be used")]
    Store(#[from] StoreError),
    /// We may not become the user that it belongs to.
    #[error("the state directory cannot be used")]
    Rights(#[source] Box<AppError>),
    /// The CA could not come to us.
    #[error("cannot listen where the CA comes to: `{address}`")]
    Listen {
        /// From `listen`.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// An account as it is kept.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountFacts {
    /// Of the CA.
    pub directory: String,
    /// `None` while it is not registered.
    pub account: Option<String>,
    /// `mailto:` URLs that the CA has been told.
    pub contact: Vec<String>,
    /// SHA-256 of its public key (RFC 7638), in base64url.
    pub thumbprint: Option<String>,
    /// A CAA record that lets this account alone order (RFC 8657).
    pub caa: Option<String>,
    /// Where it lies.
    pub file: PathBuf,
}

/// The accounts at the CAs of a configuration, or at one. Neither the CAs nor a running process are asked.
///
/// # Errors
///
/// [`AcmeWorkError`] when the state directory cannot be read, or no CA is as `directory` says.
pub fn acme_accounts(config: &Config, directory: Option<&str>) -> Result<Vec<AccountFacts>, AcmeWorkError> {
    let cas = match directory {
        Some(directory) => vec![one(config, Some(directory))?],
        None => all(config),
    };
    let store = open(config)?;
    cas.iter().map(|ca| facts(&store, ca)).collect()
}

/// Gives the account at a CA another key. A running process takes it up with its next request.
///
/// # Errors
///
/// [`AcmeWorkError`].
pub async fn roll_over_account(config: &Config, directory: Option<&str>) -> Result<RolledOver, AcmeWorkError> {
    let ca = one(config, directory)?;
    let source = source(ca, open(config)?, Challenges::default())?;
    Ok(source.roll_over().await?)
}

/// The certificate that is kept for a site now, and the CA that has issued it.
#[derive(Clone, Debug)]
pub struct Revocable {
    identity: Identity,
    ca: AcmeSettings,
}

impl Revocable {
    /// Its serial number in hex, and its last second.
    pub fn told(&self) -> String {
        let leaf = self.identity.chain().leaf();
        format!("serial {} for {}, valid until {}", leaf.serial, leaf.names.join(", "), leaf.not_after)
    }
}

/// Looks for what is to be revoked.
///
/// # Errors
///
/// [`AcmeWorkError`] when there is no certificate of that name, or no ACME CA has issued it.
pub fn revocable(config: &Config, certificate: &str) -> Result<Revocable, AcmeWorkError> {
    let store = open(config)?;
    let Some(stored) = store.load_identity(certificate)? else {
        return Err(AcmeWorkError::Unknown(format!("no certificate `{certificate}` is kept")));
    };
    let Some(directory) = stored.meta.directory else {
        let words = format!("no ACME CA is known to have issued the certificate `{certificate}`");
        return Err(AcmeWorkError::Unknown(words));
    };
    // A CA that has left the configuration since is reached by the same way as the first one.
    let like = all(config).into_iter().next().unwrap_or_default();
    let ca = one(config, Some(&directory)).unwrap_or(AcmeSettings { directory, ..like });
    Ok(Revocable { identity: stored.identity, ca })
}

/// Revokes it.
///
/// # Errors
///
/// [`AcmeWorkError`].
pub async fn revoke(config: &Config, what: &Revocable, reason: RevocationReason) -> Result<RevokedBy, AcmeWorkError> {
    let source = source(what.ca.clone(), open(config)?, Challenges::default())?;
    Ok(source.revoke(&what.identity, reason).await?)
}

impl App {
    /// Rehearses with the listeners that this process has.
    pub(super) async fn rehearse(
        &self,
        site: Option<&str>,
        directory: Option<&str>,
    ) -> Result<Rehearsal, AcmeWorkError> {
        let config = self.0.config.load_full();
        let (certificate, ca) = what_to_rehearse(&config, site, directory)?;
        rehearse_with(&config, &certificate, ca, self.0.challenges.clone()).await
    }
}

/// Rehearses where no process runs: listens itself for as long as it takes.
///
/// # Errors
///
/// [`AcmeWorkError`] when the rehearsal cannot begin; a step that fails is told in the [`Rehearsal`].
pub async fn rehearse_alone(
    config: &Config,
    site: Option<&str>,
    directory: Option<&str>,
) -> Result<Rehearsal, AcmeWorkError> {
    let (certificate, ca) = what_to_rehearse(config, site, directory)?;
    let challenges = Challenges::default();
    let mut serving = Vec::new();
    for (addresses, is_tls) in [(&config.listen.http, false), (&config.listen.https, true)] {
        for address in addresses {
            let bound = TcpListener::bind(address).await;
            let bound = bound.map_err(|source| AcmeWorkError::Listen { address: *address, source })?;
            serving.push(tokio::spawn(answer(bound, challenges.clone(), is_tls)));
        }
    }
    rights::become_user_of_state(config).map_err(|error| AcmeWorkError::Rights(Box::new(error)))?;
    let told = rehearse_with(config, &certificate, ca, challenges).await;
    serving.iter().for_each(tokio::task::JoinHandle::abort);
    told
}

fn what_to_rehearse(
    config: &Config,
    site: Option<&str>,
    directory: Option<&str>,
) -> Result<(CertificateSettings, AcmeSettings), AcmeWorkError> {
    let by_acme = |settings: &&CertificateSettings| matches!(settings.source, Settings::Acme(_));
    let named = |settings: &&CertificateSettings| {
        site.is_none_or(|site| settings.name == site || settings.identifiers.iter().any(|name| name == site))
    };
    let Some(certificate) = config.certificates.iter().filter(by_acme).find(named) else {
        let words = site.map_or_else(
            || "no site gets its certificate by ACME".to_owned(),
            |site| format!("no site `{site}` gets its certificate by ACME"),
        );
        return Err(AcmeWorkError::Unknown(words));
    };
    let Settings::Acme(cas) = &certificate.source else {
        return Err(AcmeWorkError::Unknown(format!("`{}` does not get its certificate by ACME", certificate.name)));
    };
    Ok((certificate.clone(), ca_for_rehearsal(cas, directory)?))
}

/// The CA that is named, else the first one's twin.
fn ca_for_rehearsal(cas: &AcmeCas, directory: Option<&str>) -> Result<AcmeSettings, AcmeWorkError> {
    let Some(directory) = directory else {
        return cas.for_rehearsal().ok_or_else(|| no_twin(&cas.first.directory));
    };
    match cas.of(directory) {
        Some(ca) => Ok(ca.clone()),
        None => Ok(AcmeSettings { directory: directory.to_owned(), profile: None, eab: None, ..cas.first.clone() }),
    }
}

fn no_twin(first: &str) -> AcmeWorkError {
    AcmeWorkError::Unknown(format!(
        "`{first}` has no twin for rehearsals that portvakt knows: set `staging` in `[acme]`, or name a CA with `--ca`"
    ))
}

async fn rehearse_with(
    config: &Config,
    certificate: &CertificateSettings,
    ca: AcmeSettings,
    challenges: Challenges,
) -> Result<Rehearsal, AcmeWorkError> {
    let store = Store::open(&config.state_dir)?.for_rehearsals()?;
    let source = source(ca, store, challenges)?;
    let order = Order {
        certificate: certificate.name.clone(),
        identifiers: certificate.identifiers.clone(),
        failures: 0,
        is_in_window: false,
        unbroken: Unbroken::default(),
    };
    Ok(source.rehearse(&order).await)
}

pub(super) fn open(config: &Config) -> Result<Store, AcmeWorkError> {
    rights::become_user_of_state(config).map_err(|error| AcmeWorkError::Rights(Box::new(error)))?;
    Ok(Store::open(&config.state_dir)?)
}

pub(super) fn source(ca: AcmeSettings, store: Store, challenges: Challenges) -> Result<AcmeSource, AcmeError> {
    AcmeSource::new(ca, store, challenges, Arc::new(SystemClock), &Clients::default())
}

/// Every CA that the certificates of a configuration may come from, each once.
fn all(config: &Config) -> Vec<AcmeSettings> {
    let mut cas: Vec<AcmeSettings> = Vec::new();
    for certificate in &config.certificates {
        let Settings::Acme(of) = &certificate.source else { continue };
        for ca in of.iter() {
            if !cas.iter().any(|known| known.directory == ca.directory) {
                cas.push(ca.clone());
            }
        }
    }
    cas
}

/// The CA with this directory, else the first.
fn one(config: &Config, directory: Option<&str>) -> Result<AcmeSettings, AcmeWorkError> {
    let cas = all(config);
    let known = cas.iter().map(|ca| format!("`{}`", ca.directory)).collect::<Vec<_>>().join(", ");
    let found = cas.into_iter().find(|ca| directory.is_none_or(|directory| ca.directory == directory));
    found.ok_or_else(|| {
        AcmeWorkError::Unknown(match directory {
            Some(directory) if !known.is_empty() => {
                format!("the configuration has no CA `{directory}`, only {known}")
            }
            _ => "no site of the configuration gets its certificate by ACME".to_owned(),
        })
    })
}

fn facts(store: &Store, ca: &AcmeSettings) -> Result<AccountFacts, AcmeWorkError> {
    let kept = store.load_account(&ca.directory)?;
    let account = kept.as_ref().and_then(account_url);
    let issuer = if ca.is_lets_encrypt() { AcmeSettings::LETS_ENCRYPT_ISSUER } else { "DOMAIN-OF-THE-CA" };
    Ok(AccountFacts {
        directory: ca.directory.clone(),
        contact: kept.as_ref().map(|kept| kept.contact.clone()).unwrap_or_default(),
        thumbprint: kept.as_ref().and_then(account_thumbprint),
        caa: account.as_ref().map(|account| format!("CAA 0 issue \"{issuer}; accounturi={account}\"")),
        account,
        file: store.account_file(&ca.directory),
    })
}

/// Answers challenges and nothing else.
async fn answer(listener: TcpListener, challenges: Challenges, is_tls: bool) {
    while let Ok((stream, _)) = listener.accept().await {
        let challenges = challenges.clone();
        tokio::spawn(async move {
            let answering = async {
                if is_tls { answer_tls(stream, &challenges).await } else { answer_http(stream, &challenges).await }
            };
            // Whoever is slow, or asks for something else, gets nothing.
            let _ = tokio::time::timeout(PATIENCE, answering).await;
        });
    }
}

async fn answer_http(stream: TcpStream, challenges: &Challenges) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while head.len() < LONGEST_HEAD && !matches!(line.as_str(), "\r\n" | "\n") {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        head.push_str(&line);
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = match path.strip_prefix(HTTP_PREFIX).and_then(|token| challenges.http(token)) {
        Some(key) => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{key}",
            key.len()
        ),
        None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

async fn answer_tls(stream: TcpStream, challenges: &Challenges) -> std::io::Result<()> {
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let name = hello.client_hello().server_name().unwrap_or_default().to_owned();
    match challenges.alpn(&name) {
        Some(config) => hello.into_stream(config).await?.shutdown().await,
        None => Ok(()),
    }
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
const LONGEST_HEAD: usize = 16 * 1024;
