//! Answers of our own to an application.

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use tracing::warn;

use super::Egress;
use crate::causes::with_causes;
use crate::egress::bankid::Refusal;
use crate::proxy::answer::{REQUEST_ID, request_id};
use crate::upstream::ExchangeError;

/// Answers why a request is not carried out. The connection is closed where the request's body was not read.
///
/// # Errors
///
/// The application's connection broke.
pub(super) async fn refuse(egress: &Egress, session: &mut ServerSession, refusal: &Refusal) -> Result<StatusCode> {
    answer(egress, session, refusal, &request_id()).await
}

/// Answers that the destination gave no answer; the log has more, under the same request id.
///
/// # Errors
///
/// The application's connection broke.
pub(super) async fn fail(egress: &Egress, session: &mut ServerSession, error: &ExchangeError) -> Result<StatusCode> {
    let id = request_id();
    tell(egress, error, &id);
    answer(egress, session, &refusal_of(error), &id).await
}

/// Tells the operator, now and then.
pub(super) fn tell(egress: &Egress, error: &ExchangeError, id: &str) {
    let Some(untold) = egress.quota.take() else { return };
    let name = &egress.settings.name;
    warn!(egress = name, request_id = id, untold, "no answer from the destination: {}", with_causes(error));
}

async fn answer(egress: &Egress, session: &mut ServerSession, refusal: &Refusal, id: &str) -> Result<StatusCode> {
    egress.metrics.answered_here(refusal.reason());
    // A number of ours, so that it is one.
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let body = Bytes::from(refusal.body());
    let mut head = ResponseHeader::build(status, Some(6))?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    head.insert_header(Refusal::HEADER, refusal.header())?;
    head.insert_header(REQUEST_ID, id)?;
    if let Some(wait) = refusal.retry_after() {
        head.insert_header(header::RETRY_AFTER, wait)?;
    }
    if let Some(scheme) = refusal.authenticate() {
        head.insert_header(header::WWW_AUTHENTICATE, scheme)?;
    }
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
    session.write_response_header(Box::new(head)).await?;
    if session.req_header().method != http::Method::HEAD {
        session.write_response_body(body, true).await?;
    }
    session.finish_body().await.map(|()| status)
}

/// What an application is told of a failed exchange.
fn refusal_of(error: &ExchangeError) -> Refusal {
    match error {
        ExchangeError::NoIdentity => Refusal::Unavailable,
        ExchangeError::Refused { .. } => Refusal::IdentityRefused,
        ExchangeError::Timeout { .. } => Refusal::TimedOut,
        ExchangeError::Broken { is_sent: true, .. } | ExchangeError::Renegotiation { .. } | ExchangeError::Switched => {
            Refusal::AnswerBroken
        }
        ExchangeError::Connect { source } if !source.is_unreachable() => Refusal::Untrusted,
        ExchangeError::Unusable { .. }
        | ExchangeError::Resolve { .. }
        | ExchangeError::Connect { .. }
        | ExchangeError::Broken { .. } => Refusal::Unreachable,
    }
}
