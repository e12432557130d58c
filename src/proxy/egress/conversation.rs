//! One connection of an application: a request is read, judged, carried out, and answered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, header};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use tokio::time::Instant;
use tracing::debug;

use super::exchange::{self, Outgoing};
use super::local::{fail, refuse, tell};
use super::reading::Reading;
use super::rules::with_message;
use super::{Door, Egress};
use crate::egress::bankid::orders::Answer as Kept;
use crate::egress::bankid::{Asked, Call, Message, Refusal, UserMessage, judge};
use crate::metrics::method_label;
use crate::proxy::answer::{linger, request_id};
use crate::proxy::connection::{BODY_PAUSE, Connection, RECEIPT};
use crate::proxy::response::make_end_to_end;
use crate::time::{Clock, SystemClock};
use crate::upstream::{Answer, ExchangeError};

/// What pingora's server session is handed to.
pub(super) struct Conversation {
    door: Arc<Door>,
    pub(super) connection: Arc<Connection>,
}

/// A request, and what is known of it.
pub(super) struct Inquiry {
    pub(super) egress: Arc<Egress>,
    pub(super) call: Call,
    pub(super) method: Method,
    /// From here on, less the time that it is held back.
    pub(super) started: Instant,
}

impl Conversation {
    pub(super) fn new(door: Arc<Door>, connection: Arc<Connection>) -> Self {
        Self { door, connection }
    }

    /// Answers one request. `Err` when the connection is of no more use.
    async fn converse(&self, session: &mut ServerSession) -> Result<()> {
        let head = session.req_header();
        let mut inquiry = Inquiry {
            egress: self.door.egress(),
            call: Call::read(&head.method, target(head).unwrap_or_default()),
            method: head.method.clone(),
            started: Instant::now(),
        };
        let egress = inquiry.egress.clone();
        let status = match self.judge(&inquiry, session).await? {
            Ok((outgoing, Asked::Collect(order))) if let Some(bankid) = &egress.bankid => {
                self.collect(&mut inquiry, session, bankid, outgoing, order).await?
            }
            Ok((outgoing, asked)) => self.carry_out(&inquiry, session, outgoing, asked).await?,
            Err(refusal) => refuse(&egress, session, &refusal).await?,
        };
        inquiry.count(status);
        debug!(peer = %self.connection.peer, egress = egress.settings.name, %status, "request of an application");
        Ok(())
    }

    /// What is to be sent, or why nothing is.
    async fn judge(
        &self,
        inquiry: &Inquiry,
        session: &mut ServerSession,
    ) -> Result<std::result::Result<(Outgoing, Asked), Refusal>> {
        let egress = &inquiry.egress;
        let outgoing = match admit(egress, &inquiry.call, session.req_header()) {
            Ok(outgoing) => outgoing,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let body = match self.read_body(egress, session).await? {
            Ok(body) => body,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let asked = match &egress.settings.rules {
            Some(rules) => judge(&inquiry.call, rules, &body),
            None => Ok(Asked::Other),
        };
        Ok(asked.map(|asked| (outgoing.with_body(body), asked)))
    }

    async fn read_body(
        &self,
        egress: &Egress,
        session: &mut ServerSession,
    ) -> Result<std::result::Result<Bytes, Refusal>> {
        session.set_read_timeout(Some(BODY_PAUSE));
        if wants_continue(session.req_header()) {
            session.write_continue_response().await?;
        }
        let most = egress.settings.body;
        let mut body = BytesMut::new();
        loop {
            match session.read_request_body().await {
                Ok(None) => return Ok(Ok(body.freeze())),
                Ok(Some(part)) if (body.len() + part.len()) as u64 > most => {
                    return Ok(Err(Refusal::BodyTooLarge { most }));
                }
                Ok(Some(part)) => body.extend_from_slice(&part),
                Err(error) if matches!(error.etype(), ErrorType::ReadTimedout) => return Ok(Err(Refusal::BodyTooSlow)),
                Err(error) => return Err(error),
            }
        }
    }

    async fn carry_out(
        &self,
        inquiry: &Inquiry,
        session: &mut ServerSession,
        outgoing: Outgoing,
        asked: Asked,
    ) -> Result<StatusCode> {
        let egress = &inquiry.egress;
        let answer = match inquiry.send(outgoing).await {
            Ok(answer) => answer,
            Err(error) => return fail(egress, session, &error).await,
        };
        let Some(bankid) = egress.bankid.as_ref().filter(|bankid| bankid.tells_messages()) else {
            return self.pass_on(inquiry, session, Reading::of(answer), asked).await;
        };
        let mut reading = Reading::of(answer);
        match reading.gather(Kept::LONGEST).await {
            Ok(true) => {}
            Ok(false) => return self.pass_on(inquiry, session, reading, asked).await,
            Err(error) => return fail(egress, session, &error).await,
        }
        let (whole, found) = reading.finish();
        bankid.note(egress, asked, whole.status(), found);
        self.write(session, &whole, bankid.rules.user_message).await.map(|()| whole.status())
    }

    /// Passes an answer on as it comes. That of BankID is read on even when the application has left, since it tells of an
    /// order, but not for ever.
    pub(super) async fn pass_on(
        &self,
        inquiry: &Inquiry,
        session: &mut ServerSession,
        mut reading: Reading,
        asked: Asked,
    ) -> Result<StatusCode> {
        let egress = &inquiry.egress;
        let (status, begun) = (reading.status(), reading.take());
        self.heed_drain(session);
        let head = head_of(status, reading.headers())?;
        let mut left = session.write_response_header(Box::new(head)).await.err();
        for part in begun {
            if left.is_none() {
                left = session.write_response_body(part, false).await.err();
            }
        }
        let mut unheard = 0;
        while left.is_none() || (egress.bankid.is_some() && unheard <= Kept::LONGEST) {
            match reading.next().await {
                Ok(Some(part)) if left.is_none() => left = session.write_response_body(part, false).await.err(),
                Ok(Some(part)) => unheard += part.len(),
                Ok(None) => break,
                Err(error) => {
                    tell(egress, &error, &request_id());
                    // The application sees that something is missing: the connection ends before the body does.
                    return Error::e_explain(ErrorType::ConnectionClosed, "the answer broke off");
                }
            }
        }
        if let Some(error) = &left
            && egress.bankid.is_none()
        {
            return Error::e_explain(error.etype().clone(), "the application left before the answer's end");
        }
        let (_, found) = reading.finish();
        if let Some(bankid) = &egress.bankid {
            bankid.note(egress, asked, status, found);
        }
        match left {
            Some(error) => Err(error),
            None => session.finish_body().await.map(|()| status),
        }
    }

    /// Gives a whole answer, with the message for the user where that is wanted.
    ///
    /// # Errors
    ///
    /// The application's connection broke, or it did not take the answer within [`BODY_PAUSE`].
    pub(super) async fn write(&self, session: &mut ServerSession, answer: &Kept, wanted: UserMessage) -> Result<()> {
        let written = tokio::time::timeout(BODY_PAUSE, self.write_all(session, answer, wanted)).await;
        written.unwrap_or_else(|_| Error::e_explain(ErrorType::WriteTimedout, "the application does not read"))
    }

    async fn write_all(&self, session: &mut ServerSession, answer: &Kept, wanted: UserMessage) -> Result<()> {
        let (pieces, message) = with_message(answer, wanted);
        let mut head = head_of(answer.status(), answer.headers())?;
        head.remove_header(&header::TRANSFER_ENCODING);
        head.insert_header(header::CONTENT_LENGTH, pieces.iter().map(Bytes::len).sum::<usize>())?;
        if let Some(message) = message {
            head.insert_header(Message::HEADER, message)?;
        }
        self.heed_drain(session);
        session.write_response_header(Box::new(head)).await?;
        for piece in pieces {
            session.write_response_body(piece, false).await?;
        }
        session.finish_body().await
    }

    pub(super) fn heed_drain(&self, session: &mut ServerSession) {
        if self.connection.is_draining() {
            session.set_keepalive(None);
        }
    }

    /// Waits for what the application does with the last answer of a connection that ends with it.
    async fn see_off(&self, session: &mut ServerSession) {
        session.shutdown().await;
        let left = {
            let mut left = pin!(session.read_body_or_idle(true));
            match tokio::time::timeout(RECEIPT, &mut left).await {
                Ok(left) => Some(left),
                Err(_elapsed) => {
                    self.connection.presume_receipt();
                    tokio::select! {
                        left = left => Some(left),
                        () = tokio::time::sleep(self.connection.keep_alive_time()) => None,
                        () = self.connection.drain() => None,
                    }
                }
            }
        };
        let is_reset = matches!(left, Some(Err(error)) if matches!(error.etype(), ErrorType::ReadError));
        self.connection.give_receipt(!is_reset);
    }
}

#[async_trait]
impl HttpServerApp for Conversation {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        session.set_write_timeout(Some(BODY_PAUSE));
        match session.read_request().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                if matches!(error.etype(), ErrorType::InvalidHTTPHeader) {
                    // Who is gone cannot be told.
                    let _ = session.respond_error(400).await;
                }
                return None;
            }
        }
        if session.get_keepalive().is_some() {
            session.set_keepalive(self.connection.keep_alive());
        }
        if let Err(error) = self.converse(&mut session).await {
            debug!(peer = %self.connection.peer, "a connection of an application ended: {}", error.etype().as_str());
            return None;
        }
        linger(&mut session).await;
        if self.connection.awaits_receipt() && session.get_keepalive().is_none() {
            self.see_off(&mut session).await;
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reused = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(reused, settings))
    }
}

impl Inquiry {
    /// Sends it on, and notes that somebody has answered.
    pub(super) async fn send(&self, outgoing: Outgoing) -> std::result::Result<Answer, ExchangeError> {
        let answer = self.egress.client.send(outgoing.into_request()).await?;
        if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ExchangeError::Switched);
        }
        self.egress.metrics.heard(SystemClock.now());
        Ok(answer)
    }

    fn count(&self, status: StatusCode) {
        let (method, version) = match &self.egress.bankid {
            Some(_) => (self.call.method.label(), self.call.version.label()),
            None => (method_label(&self.method), ""),
        };
        self.egress.metrics.answered(method, version, status, self.started.elapsed());
    }
}

/// Whether a request may pass, as far as its head tells.
fn admit(egress: &Egress, call: &Call, head: &RequestHeader) -> std::result::Result<Outgoing, Refusal> {
    let settings = &egress.settings;
    if let Some(token) = &settings.token {
        let shown = head.headers.get(header::AUTHORIZATION);
        if !shown.is_some_and(|shown| token.is_shown_by(shown.as_bytes())) {
            return Err(Refusal::CallerToken);
        }
    }
    if let Some(rules) = &settings.rules {
        rules.check_version(call)?;
    }
    let target = target(head).filter(|target| settings.allows(&head.method, target)).ok_or(Refusal::NotAllowed)?;
    if announced(head).is_some_and(|length| length > settings.body) {
        return Err(Refusal::BodyTooLarge { most: settings.body });
    }
    exchange::outgoing(egress, head, target).ok_or(Refusal::NotAllowed)
}

/// The head of an answer as the application gets it. Where it has two framings, only that by which it was read (RFC 9112
/// §6.3): the application must not take the next answer for the rest of this one.
pub(super) fn head_of(status: StatusCode, headers: &http::HeaderMap) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(headers.len() + 1))?;
    for (name, value) in headers {
        head.append_header(name.clone(), value.clone())?;
    }
    make_end_to_end(&mut head);
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        head.remove_header(&header::CONTENT_LENGTH);
    }
    Ok(head)
}

/// Whether the application has closed or reset its connection; asks without waiting.
pub(super) async fn has_left(session: &mut ServerSession) -> bool {
    let error = {
        let mut idle = pin!(session.read_body_or_idle(true));
        poll_fn(|cx| {
            Poll::Ready(match idle.as_mut().poll(cx) {
                Poll::Ready(outcome) => outcome.err(),
                Poll::Pending => None,
            })
        })
        .await
    };
    let Some(error) = error else { return false };
    if !matches!(error.etype(), ErrorType::ConnectError) {
        return true;
    }
    // It has sent more before its answer came. Some of that is read, so that the connection cannot go on.
    session.set_keepalive(None);
    false
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
