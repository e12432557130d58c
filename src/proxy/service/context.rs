//! What a request and its target know about themselves.

use bytes::Bytes;
use http::StatusCode;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource};
use tracing::{debug, error, warn};

use super::super::collected;
use super::super::request::request_host;
use super::refusals::failure_label;
use super::{Context, Target};
use crate::route::{Answers, Links};
use crate::upstream::{AffinityRule, RequestBuffering, TlsFailure};

impl Context {
    /// Whether the upstream has a peer that this request was not tried on.
    pub(super) fn has_another_peer(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.upstream.has_another(self.tried))
    }

    /// Ends the passing on of a collected body.
    pub(super) fn give_back(&mut self, session: &mut Session) {
        if let Some(slot) = self.passing.take() {
            collected::give_back(session, &slot);
        }
    }

    /// Which URLs are those of the upstream, and which the client's.
    pub(super) fn links<'a>(&'a self, request: &'a RequestHeader) -> Option<Links<'a>> {
        let (target, connection) = (self.target.as_ref()?, self.connection.as_ref()?);
        let is_believed = !connection.is_secure && self.snapshot.is_trusted(connection.peer.ip().to_canonical());
        let told = |name| request.headers.get(name).and_then(|value| value.to_str().ok()).filter(|_| is_believed);
        Some(Links {
            routes: self.snapshot.routes(),
            site: target.site,
            is_secure: connection.is_secure,
            host: told("x-forwarded-host").or_else(|| request_host(request)),
            is_secure_before: told("x-forwarded-proto").is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            origins: self.snapshot.origins(target.site, target.route),
            stripped: target.stripped.as_deref(),
        })
    }

    /// What is mended in the answer.
    pub(super) fn answers(&self) -> Option<&Answers> {
        let target = self.target.as_ref()?;
        self.snapshot.route(target.site, target.route).map(|route| &route.answers)
    }

    /// The site's page for the time when no server can be reached; `None` when one was, or there is no such page.
    pub(super) fn maintenance_page(&self, error: &Error) -> Option<Bytes> {
        let site = self.target.as_ref().map(|target| target.site)?;
        let page = self.snapshot.site(site)?.maintenance.as_ref()?;
        (!self.is_reached && *error.esource() == ErrorSource::Upstream).then(|| page.0.clone())
    }
}

impl Target {
    /// Bodies have to have a length.
    pub(super) fn wants_length(&self) -> bool {
        self.upstream.settings().request_buffering == RequestBuffering::Length
    }

    /// The configuration gives each client connections of its own.
    pub(super) fn is_own_by_rule(&self) -> bool {
        self.upstream.settings().affinity == AffinityRule::Connection
    }

    /// Whether the last try went over plain HTTP.
    pub(super) fn is_plain(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.settings().tls.is_none())
    }

    /// Tells the operator why a request got no answer, as often as is of use; what is left out stands at `debug`.
    pub(super) fn tell(
        &self,
        request_id: &str,
        trace_id: Option<&str>,
        status: StatusCode,
        failure: Option<TlsFailure>,
        text: &str,
    ) {
        let (upstream, status) = (&self.upstream.settings().name, status.as_u16());
        let fix = failure.map(|failure| format!("{}; more: portvakt help {}", failure.fix(), failure.code()));
        match self.quota.take() {
            Some(0) => warn!(upstream, request_id, trace_id, status, fix, "{text}"),
            Some(untold) => warn!(upstream, request_id, trace_id, status, fix, untold, "{text}"),
            None => debug!(upstream, request_id, trace_id, status, fix, "{text}"),
        }
    }
}

impl Drop for Target {
    /// Tells and counts that pingora could not read what the server showed, which ends the request in a panic (see
    /// `contained`); the next connection begins with a handshake that says why.
    fn drop(&mut self) {
        if !self.is_connecting || !std::thread::panicking() {
            return;
        }
        let failure = TlsFailure::Unreadable;
        self.metrics.tls_failed(failure_label(failure));
        self.metrics.unanswered();
        if let Some(peer) = &self.peer {
            peer.doubt();
        }
        let (upstream, code, fix) = (&self.upstream.settings().name, failure.code(), failure.fix());
        error!(upstream, code, fix, "the server behind cannot be talked to: {}", failure.cause());
    }
}
