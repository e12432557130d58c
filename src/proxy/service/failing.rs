//! When an upstream cannot be asked, or does not answer: whether it is tried again, and what the client is told.

use http::StatusCode;
use pingora::proxy::{FailToProxy, Session};
use pingora::upstreams::peer::{HttpPeer, Peer as _};
use pingora::{Error, ErrorSource, ErrorType};

use super::super::log_id::LogId;
use super::super::record::word;
use super::super::request::trace_id;
use super::super::words::in_words;
use super::super::{RETRIES, answer, ntlm};
use super::Context;
use super::refusals::{failure_label, status_of};
use crate::upstream::TlsFailure;

impl Context {
    /// The connection could not be made.
    pub(super) fn not_connected(&mut self, peer: &HttpPeer, mut error: Box<Error>) -> Box<Error> {
        let is_tls = matches!(error.etype(), ErrorType::TLSHandshakeFailure);
        if let Some(target) = &mut self.target {
            target.is_connecting = false;
        }
        // Nothing was sent yet, so any method may be tried again. Who is not believed will not be a moment later either, but
        // a handshake of our own tells why.
        let text = in_words(&error);
        self.tls_failure = TlsFailure::in_text(&text);
        let is_unclear = is_tls && self.tries == 1 && self.tls_failure != Some(TlsFailure::ClientCertRejected);
        let is_tried_again = self.tries <= RETRIES && (!is_tls || is_unclear || self.has_another_peer());
        if let Some(target) = &self.target {
            if let Some(failure) = self.tls_failure.filter(|_| !is_tried_again) {
                target.metrics.tls_failed(failure_label(failure));
            }
            if let Some(chosen) = &target.peer {
                if is_tls {
                    chosen.doubt();
                }
                chosen.identity_failed(self.shown, &text);
                chosen.connect_failed(peer.address().as_inet().copied(), text);
            }
        }
        error.set_retry(is_tried_again);
        error
    }

    /// The exchange has come to an early end.
    pub(super) fn broken_off(
        &mut self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        client_reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        // In TLS 1.3 a peer refuses our certificate only here (RFC 8446 §4.4.2.4).
        if let Some(chosen) = self.target.as_ref().and_then(|target| target.peer.as_ref())
            && session.response_written().is_none()
        {
            chosen.identity_failed(self.shown, &in_words(&error));
        }
        if !self.is_reached {
            // Who answered was not believed and was told nothing, so that any method may be tried again.
            return error;
        }
        let is_body_gone = self.is_collected || session.as_ref().retry_buffer_truncated();
        if !session.req_header().method.is_idempotent() || is_body_gone {
            error.set_retry(false);
            return error;
        }
        error.retry.decide_reuse(client_reused);
        // The peer went away before it answered: another one may do what is safe to be done twice (RFC 9110 §9.2.2).
        let has_left = *error.esource() == ErrorSource::Upstream
            && matches!(error.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError)
            && session.response_written().is_none();
        if has_left && self.has_another_peer() {
            error.set_retry(self.tries <= RETRIES);
        }
        error
    }

    /// The request is over without an answer of the upstream: the operator and, if possible, the client are told.
    pub(super) async fn failed(&mut self, session: &mut Session, error: &Error) -> FailToProxy {
        self.give_back(session);
        if ntlm::ask_for_http1(session.as_downstream_mut(), error) {
            self.outcome = "http1_required";
            self.progress.iter().for_each(|progress| progress.answered());
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        (self.outcome, self.failure) = ("failed", Some(word(error)));
        let Some(status) = status_of(error) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let id = self.log_id.map_or_else(answer::request_id, LogId::request_id);
        let page = self.maintenance_page(error);
        let status = if page.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { status };
        if let Some(target) = &self.target
            && *error.esource() != ErrorSource::Downstream
        {
            target.metrics.unanswered();
            target.tell(&id, trace_id(session.req_header()), status, self.tls_failure, &in_words(error));
        }
        session.set_keepalive(None);
        if session.response_written().is_none() {
            // The client may be gone; then there is nobody to tell.
            let sent = match page {
                Some(page) => answer::send_page(session, page, &id).await,
                None => answer::send_error(session, status, &id).await,
            };
            self.is_told = sent.is_ok();
        }
        self.id = Some(id);
        FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false }
    }
}
