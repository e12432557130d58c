//! Clients that a server knows by their connections, kept apart.

use std::time::Duration;

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tracing::info;

use super::super::connection::Connection;
use super::super::ntlm;
use super::refusals::announced_length;
use super::{Context, Service};
use crate::upstream::Affinity;

/// Gives the client's connection upstream connections of its own, where the server may know the client by them.
pub(super) fn keep_apart(session: &mut Session, ctx: &Context, connection: &Connection) -> Result<()> {
    let is_shown = ntlm::is_shown(session.req_header());
    let is_asked = ctx.target.as_ref().is_some_and(|target| target.is_own_by_rule());
    if !is_shown && !is_asked {
        return Ok(());
    }
    if ctx.is_http2 {
        return Err(ntlm::needs_http1());
    }
    connection.bind();
    if is_shown {
        // The 401 of an NTLM round comes while the client still sends its body; the connection has to live on.
        live_on(session);
    }
    Ok(())
}

impl Service {
    /// Looks for a server that knows its clients by their connections, which then are the client's own, over HTTP/1.1 only.
    pub(super) fn recognise_ntlm(
        &self,
        session: &mut Session,
        response: &ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let (Some(target), Some(connection)) = (&ctx.target, &ctx.connection) else { return Ok(()) };
        if matches!(connection.affinity(), Affinity::Own(_)) && ntlm::ends_connection(response) {
            session.set_keepalive(None);
        }
        if !ntlm::is_asked_for(response) {
            return Ok(());
        }
        if let Some(site) = ctx.snapshot.site(target.site).filter(|site| self.resolver.offer_only_http1(&site.name)) {
            info!(site = site.name, upstream = target.upstream.settings().name, "{NTLM_SEEN}");
            (self.on_http1)(&site.name);
        }
        if ctx.is_http2 {
            return Err(ntlm::needs_http1());
        }
        connection.bind();
        if !ntlm::is_shown(session.req_header()) && announced_length(session) <= ntlm::READ_ON {
            ctx.read_on = Some(ntlm::READ_ON);
            live_on(session);
        }
        Ok(())
    }
}

/// Ends a request whose answer is out, and whose body has no end.
pub(super) fn stop_reading(session: &mut Session, body: &mut Option<Bytes>, ctx: &mut Context) -> Box<Error> {
    *body = None;
    session.set_keepalive(None);
    // It gets the time to read its answer.
    ctx.is_told = true;
    Error::explain(ErrorType::InvalidHTTPHeader, "the body goes on for too long behind a 401").into_down()
}

/// Lets the connection live on behind an answer that comes before the request's body has.
fn live_on(session: &mut Session) {
    session.as_downstream_mut().set_close_on_response_before_downstream_finish(false);
    session.as_downstream_mut().set_total_drain_timeout(Some(READ_ON_TIME));
}

/// For the rest of a body whose answer is out.
const READ_ON_TIME: Duration = Duration::from_secs(30);

const NTLM_SEEN: &str = "the server asks for NTLM or Negotiate, which HTTP/2 cannot carry: HTTP/1.1 alone is offered for this \
                         site from now on";
