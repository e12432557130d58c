//! A request as the access log has it.

use http::{Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use super::log_id::LogId;
use super::request::trace_id;
use super::service::Context;
use crate::access::{Query, Record, told_target};
use crate::metrics::NO_ROUTE;
use crate::route::Target;
use crate::time::Moment;

/// Everything about a request that has ended; `None` where not even its connection is known.
pub(super) fn record(session: &Session, ctx: &Context, query: Query) -> Option<Record> {
    let connection = ctx.connection.as_ref()?;
    let request = session.req_header();
    let peer = ctx.target.as_ref().and_then(|target| target.peer.as_ref());
    let field = |name| request.headers.get(name).map(|value| Record::field(value.as_bytes()));
    let tls = session.digest().and_then(|digest| digest.ssl_digest.as_ref());
    Some(Record {
        time: Moment::now(),
        request_id: ctx.id.clone().or_else(|| ctx.log_id.map(LogId::request_id)).or_else(|| field(REQUEST_ID)),
        trace_id: trace_id(request).map(str::to_owned),
        client: connection.peer.ip().to_canonical(),
        listener: connection.listener.name().to_owned(),
        site: ctx.site.and_then(|site| ctx.snapshot.site(site)).map(|site| site.name.clone()),
        route: ctx.route.as_ref().map(|route| route.name()).filter(|name| *name != NO_ROUTE).map(str::to_owned),
        method: request.method.clone(),
        path: path(request, query),
        protocol: if session.is_http2() { Version::HTTP_2 } else { request.version },
        tls: tls.map(|tls| tls.version.replace('_', ".")),
        status: session.response_written().map(|response| response.status.as_u16()),
        bytes_in: session.body_bytes_read(),
        bytes_out: session.body_bytes_sent(),
        duration_ms: ctx.started.elapsed(),
        upstream: ctx.target.as_ref().map(|target| target.upstream.settings().name.clone()),
        peer: peer.map(|peer| peer.settings().address.to_string()),
        upstream_ms: ctx.upstream_took,
        user_agent: field(header::USER_AGENT.as_str()),
        outcome: ctx.outcome,
        error: ctx.failure,
    })
}

/// Path and query, whatever form the client used: an absolute target may hold a password.
fn path(request: &RequestHeader, query: Query) -> String {
    let raw = request.raw_path();
    if raw.starts_with(b"/") || raw == b"*" {
        return told_target(raw, query);
    }
    match Target::parse(raw) {
        Ok(target) => told_target(&target.origin_form(), query),
        Err(_) => "(malformed)".to_owned(),
    }
}

/// Why a request failed, in one word.
pub(super) fn word(error: &Error) -> &'static str {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectProxyFailure, ConnectRefused, ConnectTimedout, ConnectionClosed,
        HTTPStatus, InvalidCert, ReadError, ReadTimedout, SocketError, TLSHandshakeFailure, TLSHandshakeTimedout,
        WriteError, WriteTimedout,
    };
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ReadTimedout | WriteTimedout) => "client_timeout",
        (ErrorSource::Downstream, ReadError | WriteError | ConnectionClosed) => "client_gone",
        (ErrorSource::Downstream, _) => "client_malformed",
        (ErrorSource::Upstream, ConnectRefused | ConnectTimedout | ConnectNoRoute | ConnectError | SocketError) => {
            "upstream_unreachable"
        }
        (ErrorSource::Upstream, ConnectProxyFailure | HTTPStatus(_)) => "upstream_unusable",
        (ErrorSource::Upstream, TLSHandshakeFailure | TLSHandshakeTimedout | InvalidCert) => "upstream_tls",
        (ErrorSource::Upstream, ReadTimedout | WriteTimedout) => "upstream_timeout",
        (ErrorSource::Upstream, _) => "upstream_broken",
        (ErrorSource::Internal | ErrorSource::Unset, _) => "internal",
    }
}

const REQUEST_ID: &str = "x-request-id";
