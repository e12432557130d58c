//! Texts at a server of joohoi/acme-dns, which answers for one name of its own for each account.
//!
//! The operator's zone points to that name once (CNAME), and holds no credentials that we could lose. The server keeps
//! the last two texts of an account, as many as a wildcard and its base need, and has no way to remove one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use tracing::info;
use zeroize::Zeroizing;

use super::settings::AcmeDnsSettings;
use super::{DnsError, Provider};
use crate::dns::Resolver;
use crate::pki::TrustAnchors;
use crate::source::off_thread;
use crate::store::{self, StoreError, TextRecord};

pub(super) struct AcmeDns {
    pub(super) settings: AcmeDnsSettings,
    pub(super) resolver: Resolver,
}

impl AcmeDns {
    /// The account that is kept for a domain, else a new one, which is kept before it is used.
    async fn account(&self, domain: &str) -> Result<Account, DnsError> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let _guard = ONE_AT_A_TIME.lock().await;
        let mut accounts = self.load().await?;
        if let Some(account) = accounts.remove(domain) {
            return Ok(account);
        }
        let answer = self.post("register", None, "{}".to_owned()).await?;
        let refused = |_| DnsError::AcmeDnsRefused {
            url: format!("{}/register", self.settings.url),
            status: 201,
            words: "it is no account".to_owned(),
        };
        let mut account: Account = serde_json::from_slice(&answer).map_err(refused)?;
        account.server_url.clone_from(&self.settings.url);
        accounts.insert(domain.to_owned(), account.clone());
        self.save(accounts).await?;
        info!(domain, target = account.fulldomain, "registered at acme-dns");
        Ok(account)
    }

    async fn load(&self) -> Result<BTreeMap<String, Account>, DnsError> {
        let path = self.settings.account_file.clone();
        let loaded =
            off_thread(move || store::load_private(&path, "correct it, or move it away to register anew")).await;
        Ok(loaded.map_err(|source| self.unusable(source))?.unwrap_or_default())
    }

    async fn save(&self, accounts: BTreeMap<String, Account>) -> Result<(), DnsError> {
        let path = self.settings.account_file.clone();
        off_thread(move || store::save_private(&path, &accounts)).await.map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: StoreError) -> DnsError {
        DnsError::AccountFile { path: self.settings.account_file.clone(), source }
    }

    /// The text goes to a name of acme-dns's own, which the CA finds only through an alias.
    async fn require_alias(&self, text: &TextRecord, account: &Account) -> Result<(), DnsError> {
        if text.name.eq_ignore_ascii_case(&account.fulldomain) {
            return Ok(());
        }
        // The alias may be newer than what was looked up for this order.
        let found = match self.resolver.aliases(&text.asked).await?.pop() {
            Some(end) if end.eq_ignore_ascii_case(&account.fulldomain) => return Ok(()),
            Some(end) => format!("it is one of `{end}`"),
            None => "it is none".to_owned(),
        };
        Err(DnsError::NoAlias { asked: text.asked.clone(), target: account.fulldomain.clone(), found })
    }

    async fn post(&self, path: &str, account: Option<&Account>, body: String) -> Result<Bytes, DnsError> {
        let url = format!("{}/{path}", self.settings.url);
        let unreachable = |source| DnsError::AcmeDnsUnreachable { url: url.clone(), source };
        let answered = tokio::time::timeout(PATIENCE, send(&url, account, body)).await;
        let (status, body) = match answered {
            Ok(answered) => answered.map_err(unreachable)?,
            Err(late) => return Err(unreachable(late.into())),
        };
        match status {
            200..=299 => Ok(body),
            _ => {
                let words =
                    String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
                Err(DnsError::AcmeDnsRefused { url, status, words })
            }
        }
    }
}

#[async_trait]
impl Provider for AcmeDns {
    async fn add(&self, text: &TextRecord) -> Result<(), DnsError> {
        let domain = text.asked.strip_prefix("_acme-challenge.").unwrap_or(&text.asked);
        let account = self.account(domain).await?;
        self.require_alias(text, &account).await?;
        let body = json!({ "subdomain": account.subdomain, "txt": text.value }).to_string();
        self.post("update", Some(&account), body).await?;
        Ok(())
    }

    async fn remove(&self, _text: &TextRecord) -> Result<(), DnsError> {
        // The next two texts of the account take its place.
        Ok(())
    }
}

/// What acme-dns gives at registration, in the form that other clients (lego, goacmedns) keep too.
#[derive(Clone, Serialize, Deserialize)]
struct Account {
    username: String,
    password: Secret,
    fulldomain: String,
    subdomain: String,
    #[serde(default)]
    allowfrom: Vec<String>,
    #[serde(default)]
    server_url: String,
}

/// Zeroized on drop.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        Self::clone(&secret.0)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("fulldomain", &self.fulldomain).finish_non_exhaustive()
    }
}

/// Status and body of the answer to a POST.
async fn send(
    url: &str,
    account: Option<&Account>,
    body: String,
) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(TrustAnchors::mozilla().root_store())
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut request = Request::builder().method(Method::POST).uri(url).header(CONTENT_TYPE, "application/json");
    if let Some(account) = account {
        request = request.header("X-Api-User", &account.username).header("X-Api-Key", account.password.0.as_str());
    }
    let answer = client.request(request.body(Full::from(body))?).await?;
    let status = answer.status().as_u16();
    Ok((status, Limited::new(answer.into_body(), LARGEST).collect().await?.to_bytes()))
}

/// One request, connecting included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer; an account has 400.
const LARGEST: usize = 64 * 1024;
/// Characters of a refusal.
const MOST_WORDS: usize = 200;
