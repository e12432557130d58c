//! A message as JSON by POST.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use zeroize::Zeroizing;

use super::message::{Message, line};
use super::obstacle::Believes;
use super::send::SendError;
use super::settings::{HookUrl, NoSecret, WebhookSettings};
use crate::outward::Outward;
use crate::pki::TrustAnchors;
use crate::time::{Clock, SystemClock, Timestamp};

/// Posts a message; every status from 200 to 299 means that it was taken. Redirects are not followed: a token must not
/// wander.
pub(super) async fn post(settings: &WebhookSettings, message: &Message) -> Result<(), SendError> {
    let client = client(settings)?;
    let answer = client.request(request(settings, message)?).await.map_err(|source| unreached(settings, source))?;
    let (head, body) = answer.into_parts();
    if head.status.is_success() {
        return Ok(());
    }
    let (place, has_token) = (settings.url.to_string(), settings.token.is_some());
    if let Some(to) = head.headers.get(LOCATION).filter(|_| head.status.is_redirection()) {
        return Err(SendError::Redirect { place, status: head.status, to: host_of(to) });
    }
    let said = Limited::new(body, LONGEST_ANSWER).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said = line(&String::from_utf8_lossy(&said), LONGEST_TOLD);
    let retry_at = retry_at(&head.headers, SystemClock.now());
    Err(SendError::Status { place, status: head.status, said, retry_at, has_token })
}

fn unreached(settings: &WebhookSettings, source: hyper_util::client::legacy::Error) -> SendError {
    let place = settings.url.to_string();
    match source.is_connect() {
        true => SendError::Connect {
            place,
            proxy: settings.proxy.as_ref().map(ToString::to_string),
            believes: Believes::of(settings.trust_anchors.as_ref()),
            source: source.into(),
        },
        false => SendError::Exchange { place, source: source.into() },
    }
}

/// Where a redirect leads to, without its path, which may be secret.
fn host_of(location: &HeaderValue) -> String {
    let url = location.to_str().ok().and_then(HookUrl::parse);
    url.map_or_else(|| "another path of its own".to_owned(), |url| line(&url.to_string(), LONGEST_TOLD))
}

fn client(settings: &WebhookSettings) -> Result<Client<HttpsConnector<Outward>, Full<Bytes>>, SendError> {
    let anchors = settings.trust_anchors.clone().unwrap_or_else(TrustAnchors::mozilla);
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|source| SendError::Tls { source })?
        .with_root_certificates(anchors.root_store())
        .with_no_client_auth();
    // Plain HTTP was refused by the check, but for this machine itself, which no proxy leads to.
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Outward::new(settings.proxy.as_ref()));
    // A message each few days: nothing is worth to be kept open.
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}

fn request(settings: &WebhookSettings, message: &Message) -> Result<Request<Full<Bytes>>, SendError> {
    let mut request = Request::new(Full::new(Bytes::from(message.json.to_string())));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = settings.url.uri().clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(token) = &settings.token {
        let token = token.load()?;
        let value = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value = HeaderValue::from_str(&value).map_err(|_| NoSecret::Empty)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
fn retry_at(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(now + Duration::from_secs(seconds.into())),
        Err(_) => httpdate::parse_http_date(text).ok().map(Timestamp::from),
    }
}

const AGENT: &str = concat!("portvakt/", env!("CARGO_PKG_VERSION"));
/// Bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Characters.
const LONGEST_TOLD: usize = 200;
