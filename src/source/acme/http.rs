//! HTTPS to a CA, with limits, and with what instant-acme drops.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER, USER_AGENT};
use http::response::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient, Problem};
use rustls::CertificateError;
use tokio::time::Instant;

use super::bounded::{LONGEST_DETAIL, cut};
use super::clients::{Ca, Kept};
use super::directory::{BadUrl, Directory};
use super::error::Step;
use super::seen::{self, Seen};
use crate::outward::Through;
use crate::source::ChallengeKind;
use crate::time::{Clock, Timestamp};

/// Talks to one CA for one attempt. Clones share [`Seen`].
#[derive(Clone)]
pub(super) struct CaClient {
    ca: Arc<Ca>,
    clock: Arc<dyn Clock>,
    seen: Seen,
}

impl CaClient {
    pub(super) fn new(ca: Arc<Ca>, clock: Arc<dyn Clock>) -> Self {
        Self { ca, clock, seen: Seen::default() }
    }

    /// What the latest responses said beside their bodies.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The CA's directory; kept for a while.
    pub(super) async fn directory(&self) -> Result<Arc<Directory>, TransportError> {
        if let Some(Kept { directory, .. }) = self.ca.kept(self.clock.now()) {
            return Ok(directory);
        }
        self.seen.doing(Step::Connect);
        let (parts, _) = self.get(self.ca.directory_url()).await?;
        let kept = self.ca.kept(self.clock.now());
        kept.map(|kept| kept.directory).ok_or(TransportError::NoDirectory { status: parts.status })
    }

    /// Has the CA say what time it is: its directory is asked for, whether it is kept or not.
    pub(super) async fn ask_time(&self) {
        self.ca.forget();
        // Whatever the answer, it has a date; without one nothing is known.
        let _ = self.directory().await;
    }

    /// Counts a challenge that the CA has looked at.
    pub(super) fn challenged(&self, kind: ChallengeKind, is_valid: bool) {
        self.ca.traffic.challenged(kind, is_valid);
    }

    /// A plain GET, without account or nonce. Errors are answers too.
    pub(super) async fn get(&self, url: &str) -> Result<(Parts, Bytes), TransportError> {
        let request = Request::builder().method(Method::GET).uri(url).header(USER_AGENT, AGENT);
        let request = request.body(BodyWrapper::default()).map_err(|source| TransportError::Url { source })?;
        self.exchange(request).await
    }

    /// Sends a request, within [`REQUEST_TIMEOUT`].
    pub(super) async fn exchange(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<(Parts, Bytes), TransportError> {
        if let Some(answer) = self.kept_answer(&request) {
            return Ok(answer);
        }
        let (url, begun, sent) = (request.uri().clone(), Instant::now(), self.clock.now());
        let operation = self.ca.operation(&url, self.seen.done());
        let outcome = tokio::time::timeout(REQUEST_TIMEOUT, self.send(request, sent)).await;
        let outcome = outcome.unwrap_or(Err(TransportError::Timeout { after: REQUEST_TIMEOUT }));
        let status = match &outcome {
            Ok((parts, _)) => Some(parts.status.as_u16()),
            Err(error) => error.status().map(|status| status.as_u16()),
        };
        self.ca.traffic.requested(self.ca.label(), operation, status, begun.elapsed());
        let (parts, body) = outcome.inspect_err(|_| self.ca.forget())?;
        if url == self.ca.directory_url() {
            self.keep_directory(&parts, &body)?;
        }
        Ok((parts, body))
    }

    async fn send(
        &self,
        request: Request<BodyWrapper<Bytes>>,
        sent: Timestamp,
    ) -> Result<(Parts, Bytes), TransportError> {
        let response = self.ca.http.request(request).await.map_err(|source| match source.is_connect() {
            true => TransportError::Connect { source: source.into(), proxy: self.ca.proxy() },
            false => TransportError::Exchange { source: source.into() },
        })?;
        let (parts, body) = response.into_parts();
        self.note(&parts, sent);
        if parts.status.is_redirection() {
            let to = parts.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            return Err(TransportError::Redirect { status: parts.status, to: cut(to.to_owned(), LONGEST_DETAIL) });
        }
        let body = Limited::new(body, RESPONSE_LIMIT).collect().await.map_err(TransportError::of_body)?.to_bytes();
        let is_error = parts.status.is_client_error() || parts.status.is_server_error();
        if is_error && serde_json::from_slice::<Problem>(&body).is_err() {
            return Err(TransportError::Status { status: parts.status });
        }
        if is_error {
            self.seen.note_problem(&body);
        }
        Ok((parts, body))
    }

    fn note(&self, parts: &Parts, sent: Timestamp) {
        let now = self.clock.now();
        self.seen.note(parts.status, &parts.headers, sent, now);
        if seen::date(&parts.headers).is_some() {
            self.ca.skewed(self.seen.skew(), now);
        }
        let wants_rest = matches!(parts.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if let Some(at) = self.seen.retry_after().filter(|_| wants_rest) {
            self.ca.traffic.retry_after(self.ca.label(), at);
        }
    }

    /// The directory as it was answered before.
    fn kept_answer(&self, request: &Request<BodyWrapper<Bytes>>) -> Option<(Parts, Bytes)> {
        let is_directory = request.method() == Method::GET && *request.uri() == self.ca.directory_url();
        let Kept { body, .. } = self.ca.kept(self.clock.now()).filter(|_| is_directory)?;
        Some((Response::new(()).into_parts().0, body))
    }

    fn keep_directory(&self, parts: &Parts, body: &Bytes) -> Result<(), TransportError> {
        if !parts.status.is_success() {
            // A problem document, which says why.
            return Ok(());
        }
        let directory = serde_json::from_slice::<Directory>(body);
        let directory = directory.map_err(|_| TransportError::NoDirectory { status: parts.status })?.checked();
        let directory = directory
            .map_err(|BadUrl { key, url }| TransportError::DirectoryUrl { key, url: cut(url, LONGEST_DETAIL) })?;
        self.ca.keep(body.clone(), directory, self.clock.now());
        Ok(())
    }
}

impl HttpClient for CaClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let (mut parts, body) = client.exchange(request).await?;
            // Noted. instant-acme would add it to a clock, which panics for the largest of numbers.
            parts.headers.remove(RETRY_AFTER);
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

/// Why no usable answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// No connection: name, address, proxy, TLS.
    #[error("no connection{}", Through(proxy))]
    Connect { source: Box<dyn StdError + Send + Sync>, proxy: Option<String> },
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
    /// No ACME server redirects, and who follows may be led in circles.
    #[error("answered `{status}` and redirects to `{to}`, which is not followed; is it an ACME server?")]
    Redirect { status: StatusCode, to: String },
    /// JSON with other keys, or something else.
    #[error("answered `{status}` with something that is no ACME directory (RFC 8555 §7.1.1)")]
    NoDirectory { status: StatusCode },
    /// A directory with a URL that cannot be asked.
    #[error("its directory names `{url}` as `{key}`, which is no https URL (RFC 8555 §7.1.1)")]
    DirectoryUrl { key: &'static str, url: String },
    /// The CA names something that is no URL.
    #[error("the CA names a URL that cannot be asked")]
    Url { source: http::Error },
}

impl TransportError {
    /// What is wrong with the CA's own certificate, when that is why there is no connection.
    pub(super) fn refused_certificate(&self) -> Option<&CertificateError> {
        let Self::Connect { source, .. } = self else { return None };
        match tls_error(source.as_ref())? {
            rustls::Error::InvalidCertificate(error) => Some(error),
            _ => None,
        }
    }

    /// Of an answer that cannot be used.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status } | Self::Redirect { status, .. } | Self::NoDirectory { status } => Some(*status),
            Self::Connect { .. }
            | Self::Exchange { .. }
            | Self::Timeout { .. }
            | Self::TooLong
            | Self::DirectoryUrl { .. }
            | Self::Url { .. } => None,
        }
    }

    fn of_body(source: Box<dyn StdError + Send + Sync>) -> Self {
        match source.is::<LengthLimitError>() {
            true => Self::TooLong,
            false => Self::Exchange { source },
        }
    }
}

impl From<TransportError> for instant_acme::Error {
    fn from(error: TransportError) -> Self {
        Self::Other(Box::new(error))
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

/// Who we are (RFC 8555 §6.1 wants it told).
pub(super) const AGENT: &str = concat!("portvakt/", env!("CARGO_PKG_VERSION"));

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const RESPONSE_LIMIT: usize = 1 << 20;
