//! A message as JSON by POST.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use http::uri::PathAndQuery;
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
use super::settings::{HookUrl, NoSecret, Secret, WebhookSettings};
use crate::outward::Outward;
use crate::pki::TrustAnchors;
use crate::time::{Clock, SystemClock, Timestamp};

/// Posts a message; every status from 200 to 299 means that it was taken. Redirects are not followed: a token must not
/// wander.
pub(super) async fn post(settings: &WebhookSettings, message: &Message) -> Result<(), SendError> {
    let client = client(settings)?;
    let token = settings.token.as_ref().map(Secret::load).transpose()?;
    let token = token.as_ref().map(|token| token.trim());
    let request = request(settings, token, message)?;
    let answer = client.request(request).await.map_err(|source| unreached(settings, source))?;
    let (head, body) = answer.into_parts();
    if head.status.is_success() {
        return Ok(());
    }
    let (place, has_token) = (settings.url.to_string(), token.is_some());
    if let Some(to) = head.headers.get(LOCATION).filter(|_| head.status.is_redirection()) {
        return Err(SendError::Redirect { place, status: head.status, to: host_of(to) });
    }
    let said = Limited::new(body, LONGEST_ANSWER).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said = line(&without(&String::from_utf8_lossy(&said), &secrets(&settings.url, token)), LONGEST_TOLD);
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

fn request(
    settings: &WebhookSettings,
    token: Option<&str>,
    message: &Message,
) -> Result<Request<Full<Bytes>>, SendError> {
    let mut request = Request::new(Full::new(Bytes::from(message.json.to_string())));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = settings.url.uri().clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(token) = token {
        let value = Zeroizing::new(format!("Bearer {token}"));
        let mut value = HeaderValue::from_str(&value).map_err(|_| NoSecret::Empty)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// What only the receiver and we may know, in small letters: the path with its query, as it is sent and as it is meant, and the
/// token.
fn secrets(url: &HookUrl, token: Option<&str>) -> Vec<Zeroizing<String>> {
    let path = url.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let meant = unescaped(path);
    let all = [Some(path), Some(&*meant), token].into_iter().flatten();
    all.map(|secret| Zeroizing::new(secret.to_lowercase())).collect()
}

/// With `%41` as `A` (RFC 3986 §2.1).
fn unescaped(text: &str) -> Zeroizing<String> {
    let (mut bytes, mut rest) = (Zeroizing::new(Vec::with_capacity(text.len())), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let meant = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(meant.unwrap_or(*first));
        rest = if meant.is_some() { &after[2..] } else { after };
    }
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a receiver said, without what is secret: many say which path they do not know, or which token they do not take. A
/// word, of letters and digits only, is told as `..` when it is a part of a secret or has one in it, so that it does not
/// matter how the signs between words were escaped, nor where it was cut off.
fn without(said: &str, secrets: &[Zeroizing<String>]) -> String {
    // Two bytes for each character: no word would be one.
    if said.contains('\0') {
        return String::new();
    }
    let is_between = |c: char| !c.is_alphanumeric();
    let is_secret = |word: &str| {
        let word = word.to_lowercase();
        let is_in = |secret: &Zeroizing<String>| secret.contains(&word);
        let has = |part: &str| part.chars().nth(2).is_some() && word.contains(part);
        let has_any = |secret: &Zeroizing<String>| secret.split(is_between).any(has);
        word.chars().nth(1).is_some() && secrets.iter().any(|secret| is_in(secret) || has_any(secret))
    };
    let pieces = said.split_inclusive(is_between).map(|piece| piece.split_at(piece.trim_end_matches(is_between).len()));
    pieces.flat_map(|(word, after)| [if is_secret(word) { ".." } else { word }, after]).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_receiver_that_repeats_the_path_or_the_token_when_told_then_only_its_own_words() {
        let url = HookUrl::parse("https://hooks.test/services/T0/Ge-heim%C3%A5r?key=dold%2Bx&v=7").unwrap();
        let secrets = secrets(&url, Some("qrs-en-0123456789+abc/def=="));
        let table = [
            ("", ""),
            ("invalid_payload: no text, 7 times", "invalid_payload: no text, 7 times"),
            ("Cannot POST /services/T0/Ge-heim%C3%A5r", "Cannot POST /../../..-..%..%.."),
            ("Cannot POST /services/T0/Ge-heimår?key=dold+x", "Cannot POST /../../..-..?..=..+x"),
            ("<pre>&#x2F;SERVICES&#x2F;t0</pre>", "<pre>&#x2F;..&#x2F;..</pre>"),
            (r"no \u002fservices\u002fT0 here", r"no \..\u002fT0 here"),
            ("%2Fservices%2FGe-heim", "%..%2FGe-.."),
            ("cut off: /services/T0/Ge-hei", "cut off: /../../..-.."),
            ("Bearer qrs-en-0123456789+abc/def== is wrong", "Bearer ..-..-..+../..== is wrong"),
            ("token 0123456 is wrong", "token .. is wrong"),
            ("/\0s\0e\0r\0v\0i\0c\0e\0s", ""),
        ];
        for (said, told) in table {
            assert_eq!(without(said, &secrets), told, "{said}");
        }
    }

    #[test]
    fn given_no_path_and_no_token_when_told_then_every_word() {
        let secrets = secrets(&HookUrl::parse("https://hooks.test").unwrap(), None);
        assert_eq!(without("Cannot POST / 100%", &secrets), "Cannot POST / 100%");
    }
}
