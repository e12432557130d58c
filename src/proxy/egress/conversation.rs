//! One connection of an application: a request is read, judged, carried out, and answered.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, header};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::exchange::{self, Outgoing};
use super::{Door, Egress};
use crate::causes::with_causes;
use crate::proxy::answer::{REQUEST_ID, request_id};
use crate::proxy::connection::{BODY_PAUSE, Connection};
use crate::proxy::response::make_end_to_end;
use crate::time::{Clock, SystemClock};
use crate::upstream::{Answer, ExchangeError};

/// What pingora's server session is handed to.
pub(super) struct Conversation {
    door: Arc<Door>,
    connection: Arc<Connection>,
}

impl Conversation {
    pub(super) fn new(door: Arc<Door>, connection: Arc<Connection>) -> Self {
        Self { door, connection }
    }

    /// Answers one request. `Err` when the connection is of no more use.
    async fn converse(&self, session: &mut ServerSession) -> pingora::Result<()> {
        let started = Instant::now();
        let egress = self.door.egress();
        let status = match self.judge(&egress, session).await? {
            Ok(outgoing) => self.carry_out(&egress, session, outgoing).await?,
            Err(refusal) => refuse(&egress, session, &refusal).await?,
        };
        egress.metrics.answered("other", "other", status, started.elapsed());
        debug!(peer = %self.connection.peer, egress = egress.settings.name, %status, "request of an application");
        Ok(())
    }

    /// What is to be sent, or why nothing is.
    async fn judge(&self, egress: &Egress, session: &mut ServerSession) -> pingora::Result<Result<Outgoing, Refusal>> {
        let head = session.req_header();
        if let Some(token) = &egress.settings.token {
            let shown = head.headers.get(header::AUTHORIZATION);
            if !shown.is_some_and(|shown| token.is_shown_by(shown.as_bytes())) {
                return Ok(Err(Refusal::NoToken));
            }
        }
        let target = target(head).map(str::to_owned);
        let Some(target) = target.filter(|target| egress.settings.allows(&head.method, target)) else {
            return Ok(Err(Refusal::NotAllowed));
        };
        if announced(head).is_some_and(|length| length > egress.settings.body) {
            return Ok(Err(Refusal::TooLarge));
        }
        let outgoing = exchange::outgoing(egress, head, &target);
        let body = self.read_body(egress, session).await?;
        Ok(body.map(|body| outgoing.with_body(body)))
    }

    async fn read_body(&self, egress: &Egress, session: &mut ServerSession) -> pingora::Result<Result<Bytes, Refusal>> {
        session.set_read_timeout(Some(BODY_PAUSE));
        if wants_continue(session.req_header()) {
            session.write_continue_response().await?;
        }
        let mut body = BytesMut::new();
        while let Some(part) = session.read_request_body().await? {
            body.extend_from_slice(&part);
            if body.len() as u64 > egress.settings.body {
                return Ok(Err(Refusal::TooLarge));
            }
        }
        Ok(Ok(body.freeze()))
    }

    async fn carry_out(
        &self,
        egress: &Egress,
        session: &mut ServerSession,
        outgoing: Outgoing,
    ) -> pingora::Result<StatusCode> {
        match egress.client.send(outgoing.into_request()).await {
            Ok(answer) => {
                egress.metrics.heard(SystemClock.now());
                self.pass_on(egress, session, answer).await
            }
            Err(error) => fail(egress, session, &error).await,
        }
    }

    /// Passes the answer on as it comes; it is read to its end even when the application has left.
    async fn pass_on(
        &self,
        egress: &Egress,
        session: &mut ServerSession,
        mut answer: Answer,
    ) -> pingora::Result<StatusCode> {
        let status = answer.response.status();
        let mut head = ResponseHeader::build(status, Some(answer.response.headers().len() + 1))?;
        for (name, value) in answer.response.headers() {
            head.append_header(name.clone(), value.clone())?;
        }
        make_end_to_end(&mut head);
        if self.connection.is_draining() {
            session.set_keepalive(None);
        }
        let mut left = session.write_response_header(Box::new(head)).await.err();
        loop {
            match answer.next(BODY_PAUSE).await {
                Ok(Some(part)) if left.is_none() => left = session.write_response_body(part, false).await.err(),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    tell(egress, &error, &request_id());
                    // The application sees that something is missing: the connection ends before the body does.
                    return pingora::Error::e_explain(pingora::ErrorType::ConnectionClosed, "the answer broke off");
                }
            }
        }
        answer.done(egress.client.settings().timeouts.idle);
        match left {
            Some(error) => Err(error),
            None => session.finish_body().await.map(|()| status),
        }
    }
}

#[async_trait]
impl HttpServerApp for Conversation {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !matches!(session.read_request().await, Ok(true)) {
            return None;
        }
        session.set_keepalive(self.connection.keep_alive());
        if let Err(error) = self.converse(&mut session).await {
            debug!(peer = %self.connection.peer, "a connection of an application ended: {}", error.etype().as_str());
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reused = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(reused, settings))
    }
}

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoToken,
    NotAllowed,
    TooLarge,
}

async fn refuse(egress: &Egress, session: &mut ServerSession, refusal: &Refusal) -> pingora::Result<StatusCode> {
    let (status, reason, text) = match refusal {
        Refusal::NoToken => (StatusCode::UNAUTHORIZED, "token", "the caller's token is missing or wrong"),
        Refusal::NotAllowed => (StatusCode::NOT_FOUND, "not_allowed", "the allow-list does not name this request"),
        Refusal::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request's body is larger than the limit")
        }
    };
    egress.metrics.answered_here(reason);
    answer_here(session, status, text).await.map(|()| status)
}

async fn fail(egress: &Egress, session: &mut ServerSession, error: &ExchangeError) -> pingora::Result<StatusCode> {
    let id = request_id();
    tell(egress, error, &id);
    let status = match error {
        ExchangeError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        ExchangeError::Resolve { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    egress.metrics.answered_here("unreachable");
    answer_here(session, status, &format!("the destination gave no answer; request id: {id}")).await.map(|()| status)
}

fn tell(egress: &Egress, error: &ExchangeError, id: &str) {
    let Some(untold) = egress.quota.take() else { return };
    let name = &egress.settings.name;
    warn!(egress = name, request_id = id, untold, "no answer from the destination: {}", with_causes(error));
}

async fn answer_here(session: &mut ServerSession, status: StatusCode, text: &str) -> pingora::Result<()> {
    let body = Bytes::from(format!("{status}: {text}\n"));
    let mut head = ResponseHeader::build(status, Some(4))?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    head.insert_header(header::CONTENT_TYPE, "text/plain; charset=utf-8")?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    head.insert_header(REQUEST_ID, request_id())?;
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(body, true).await?;
    session.finish_body().await
}

/// Path and query, where the request names a path.
fn target(head: &RequestHeader) -> Option<&str> {
    if head.method == Method::CONNECT {
        return None;
    }
    let target = std::str::from_utf8(head.raw_path()).ok()?;
    target.starts_with('/').then_some(target)
}

fn announced(head: &RequestHeader) -> Option<u64> {
    head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn wants_continue(head: &RequestHeader) -> bool {
    let is_it = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    head.headers.get(header::EXPECT).is_some_and(is_it)
}
