//! Answers of our own, and what failed requests are answered with.

use std::io;

use http::{StatusCode, header};
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::super::limiter::Busy;
use super::super::request::trace_id;
use super::super::{answer, certificate};
use super::{Context, Target};
use crate::metrics::{RequestLimit, RouteMetrics, UpstreamTlsFailure};
use crate::route::CertificateRefusal;
use crate::upstream::{TlsFailure, Upstream, UpstreamError};

/// Why no peer was chosen.
pub(super) fn all_down(upstream: &Upstream) -> UpstreamError {
    let why = upstream.peers().iter().find_map(|peer| peer.last_error());
    UpstreamError::Down { upstream: upstream.settings().name.clone(), why }
}

/// `Content-Length`, where there is one that can be read.
pub(super) fn announced_length(session: &Session) -> u64 {
    let length = session.req_header().headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

pub(super) async fn refuse_body(session: &mut Session, route: &RouteMetrics) -> Result<()> {
    route.limited(RequestLimit::Body);
    session.set_keepalive(None);
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    let text = format!("{status}: the request's body is larger than what is taken here\n");
    answer::send(session, status, &text, &[("cache-control", "no-store")]).await
}

/// For a body that cannot be kept until its length is known.
pub(super) async fn refuse_without_room(session: &mut Session, ctx: &mut Context, why: &io::Error) -> Result<()> {
    let (status, id) = (StatusCode::SERVICE_UNAVAILABLE, answer::request_id());
    if let Some(route) = &ctx.route {
        route.limited(RequestLimit::Collected);
    }
    if let Some(target) = &ctx.target {
        let text = format!("a body of unknown length cannot be kept until its end: {why}");
        target.tell(&id, trace_id(session.req_header()), status, None, &text);
    }
    session.set_keepalive(None);
    let text = format!("{status}: there is no room for this body right now\nrequest id: {id}\n");
    let headers = [("retry-after", NO_ROOM_FOR), ("cache-control", "no-store"), (answer::REQUEST_ID, &id)];
    answer::send(session, status, &text, &headers).await
}

pub(super) async fn refuse_certificate(
    session: &mut Session,
    route: &RouteMetrics,
    why: CertificateRefusal,
) -> Result<()> {
    route.client_certificate_refused(certificate::label(why));
    // Whatever body follows belongs to a request that is not wanted; and a new connection brings a new handshake.
    session.set_keepalive(None);
    let status = match why {
        CertificateRefusal::BeforeAChange => StatusCode::MISDIRECTED_REQUEST,
        CertificateRefusal::Missing | CertificateRefusal::NotListed | CertificateRefusal::Expired => {
            StatusCode::FORBIDDEN
        }
    };
    let text = format!("{status}: {}\n", why.explanation());
    answer::send(session, status, &text, &[("cache-control", "no-store")]).await
}

pub(super) async fn refuse_busy(session: &mut Session, route: &RouteMetrics, busy: Busy) -> Result<()> {
    let (limit, status, why, wait) = match busy {
        Busy::Requests(many) => {
            (RequestLimit::Requests, StatusCode::TOO_MANY_REQUESTS, "too many requests", many.retry_after())
        }
        Busy::Connections => (RequestLimit::Connections, StatusCode::SERVICE_UNAVAILABLE, "too many at once", 1),
    };
    route.limited(limit);
    if !session.as_downstream_mut().is_body_empty() {
        session.set_keepalive(None);
    }
    let (text, wait) = (format!("{status}: {why}\n"), wait.to_string());
    answer::send(session, status, &text, &[("retry-after", &wait), ("cache-control", "no-store")]).await
}

pub(super) const fn failure_label(failure: TlsFailure) -> UpstreamTlsFailure {
    match failure {
        TlsFailure::Pin => UpstreamTlsFailure::Pin,
        TlsFailure::Name => UpstreamTlsFailure::Name,
        TlsFailure::Expired => UpstreamTlsFailure::Expired,
        TlsFailure::UnknownCa => UpstreamTlsFailure::UnknownCa,
        TlsFailure::ClientCertRejected => UpstreamTlsFailure::ClientCertificateRejected,
        TlsFailure::OldProtocol => UpstreamTlsFailure::OldProtocol,
        TlsFailure::NoCommonSuite => UpstreamTlsFailure::NoCommonCipher,
        TlsFailure::WeakKey => UpstreamTlsFailure::WeakKey,
        TlsFailure::FirstUse => UpstreamTlsFailure::FirstUse,
        TlsFailure::Unreadable => UpstreamTlsFailure::Unreadable,
        TlsFailure::Other => UpstreamTlsFailure::Other,
    }
}

pub(super) fn upstream_error(target: &Target, error: &UpstreamError, told: &mut Option<TlsFailure>) -> Box<Error> {
    let text = error.with_causes();
    *told = error.failure();
    if let Some(failure) = *told {
        target.metrics.tls_failed(failure_label(failure));
    }
    let status = match error {
        UpstreamError::Resolve { .. } | UpstreamError::Down { .. } => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::NotBelieved { .. }
        | UpstreamError::JustTried { .. }
        | UpstreamError::Changed { .. }
        | UpstreamError::Unusable { .. } => StatusCode::BAD_GATEWAY,
    };
    Error::explain(ErrorType::HTTPStatus(status.as_u16()), text).into_up()
}

/// The answer to a failed request; `None` when the client is gone.
pub(super) fn status_of(error: &Error) -> Option<StatusCode> {
    let from_upstream = *error.esource() == ErrorSource::Upstream;
    let from_downstream = *error.esource() == ErrorSource::Downstream;
    match error.etype() {
        ErrorType::HTTPStatus(code) => StatusCode::from_u16(*code).ok(),
        ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed if from_downstream => None,
        ErrorType::ReadTimedout if from_downstream => Some(StatusCode::REQUEST_TIMEOUT),
        _ if from_downstream => Some(StatusCode::BAD_REQUEST),
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout | ErrorType::ReadTimedout if from_upstream => {
            Some(StatusCode::GATEWAY_TIMEOUT)
        }
        _ if from_upstream => Some(StatusCode::BAD_GATEWAY),
        _ => Some(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Seconds: other uploads are done by then, or another try does no harm.
const NO_ROOM_FOR: &str = "10";
