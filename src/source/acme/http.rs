//! HTTPS to a CA, with limits, and with the response headers that instant-acme drops.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use httpdate::HttpDate;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient, Problem};
use rustls::crypto::aws_lc_rs;
use rustls::{CertificateError, ClientConfig};

use crate::pki::TrustAnchors;
use crate::time::{Clock, Timestamp};

/// A connection pool to one CA. Clones share pool and [`Seen`].
#[derive(Clone)]
pub(super) struct CaClient {
    http: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    clock: Arc<dyn Clock>,
    seen: Seen,
}

impl CaClient {
    /// Trusts these anchors only; HTTPS only, as RFC 8555 §6.1 wants.
    pub(super) fn new(anchors: &TrustAnchors, clock: Arc<dyn Clock>) -> Result<Self, rustls::Error> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(anchors.root_store())
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let http = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Ok(Self { http, clock, seen: Seen::default() })
    }

    /// What the latest responses said beside their bodies.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, TransportError> {
        let response = self.http.request(request).await.map_err(|source| match source.is_connect() {
            true => TransportError::Connect { source: source.into() },
            false => TransportError::Exchange { source: source.into() },
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE_LIMIT).collect().await.map_err(TransportError::of_body)?.to_bytes();
        self.seen.note(parts.status, &parts.headers, self.clock.now());
        let is_error = parts.status.is_client_error() || parts.status.is_server_error();
        if is_error && serde_json::from_slice::<Problem>(&body).is_err() {
            return Err(TransportError::Status { status: parts.status });
        }
        Ok(BytesResponse { parts, body: Box::new(body) })
    }
}

impl HttpClient for CaClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let sent = tokio::time::timeout(REQUEST_TIMEOUT, self.clone().send(request));
        Box::pin(async move {
            let outcome = sent.await.unwrap_or(Err(TransportError::Timeout { after: REQUEST_TIMEOUT }));
            outcome.map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

/// Status and headers of the latest response. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Latest>>);

#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    status: Option<u16>,
    retry_after: Option<Timestamp>,
    skew: i64,
}

impl Seen {
    /// HTTP status of the latest response.
    pub(super) fn status(&self) -> Option<u16> {
        self.latest().status
    }

    /// When the latest response asked to be back, if it did (RFC 9110 §10.2.3).
    pub(super) fn retry_after(&self) -> Option<Timestamp> {
        self.latest().retry_after
    }

    /// Seconds that the CA's clock is ahead of ours, from `Date`; behind when negative, zero when it never said.
    pub(super) fn skew(&self) -> i64 {
        self.latest().skew
    }

    fn latest(&self) -> Latest {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, status: StatusCode, headers: &HeaderMap, now: Timestamp) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.status = Some(status.as_u16());
        latest.retry_after = retry_after(headers, now);
        if let Some(date) = text(headers, &DATE).and_then(http_date) {
            latest.skew = date.as_unix().saturating_sub(now.as_unix());
        }
    }
}

/// `Retry-After` as seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let value = text(headers, &RETRY_AFTER)?;
    match value.parse::<u64>() {
        Ok(seconds) => Some(now + Duration::from_secs(seconds)),
        Err(_) => http_date(value),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn http_date(value: &str) -> Option<Timestamp> {
    HttpDate::from_str(value).ok().map(|date| std::time::SystemTime::from(date).into())
}

/// Why no usable answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// No connection: name, address, TLS.
    #[error("no connection")]
    Connect { source: Box<dyn StdError + Send + Sync> },
    /// The connection broke.
    #[error("the connection broke")]
    Exchange { source: Box<dyn StdError + Send + Sync> },
    /// Too slow.
    #[error("no answer within {} s", after.as_secs())]
    Timeout { after: Duration },
    /// More than any ACME answer holds.
    #[error("the answer is longer than {RESPONSE_LIMIT} bytes")]
    TooLong,
    /// An error that does not come from an ACME server (RFC 8555 §6.7 wants a problem document).
    #[error("answered `{status}` without a problem document; is it an ACME server?")]
    Status { status: StatusCode },
}

impl TransportError {
    /// What is wrong with the CA's own certificate, when that is why there is no connection.
    pub(super) fn refused_certificate(&self) -> Option<&CertificateError> {
        let Self::Connect { source } = self else { return None };
        match tls_error(source.as_ref())? {
            rustls::Error::InvalidCertificate(error) => Some(error),
            _ => None,
        }
    }

    fn of_body(source: Box<dyn StdError + Send + Sync>) -> Self {
        match source.is::<LengthLimitError>() {
            true => Self::TooLong,
            false => Self::Exchange { source },
        }
    }
}

/// Looks for rustls's error among the causes, and inside of I/O errors, which pass over what they hold.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(held) => tls_error(held),
        None => tls_error(error.source()?),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than any CA's, so that no request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const RESPONSE_LIMIT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn given_a_retry_after_when_read_then_absolute() {
        let table = [
            ("120", Some(NOW + Duration::from_secs(120))),
            (" 7 ", Some(NOW + Duration::from_secs(7))),
            ("Sun, 22 Nov 2026 03:33:00 GMT", Some(NOW + Duration::from_secs(7200))),
            ("soon", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999999", None),
        ];
        for (value, expected) in table {
            assert_eq!(retry_after(&headers(RETRY_AFTER, value), NOW), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn given_a_date_when_noted_then_the_skew_is_kept_and_retry_after_is_not() {
        let seen = Seen::default();
        seen.note(StatusCode::TOO_MANY_REQUESTS, &headers(RETRY_AFTER, "60"), NOW);
        assert_eq!((seen.status(), seen.retry_after()), (Some(429), Some(NOW + Duration::from_secs(60))));

        seen.note(StatusCode::OK, &headers(DATE, "Sun, 22 Nov 2026 01:34:00 GMT"), NOW);
        seen.note(StatusCode::OK, &HeaderMap::new(), NOW);

        assert_eq!((seen.status(), seen.retry_after(), seen.skew()), (Some(200), None, 60));
    }
}
