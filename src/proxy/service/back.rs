//! The answer as the client gets it.

use http::{StatusCode, Version, header};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::super::expulsion::Lasting;
use super::super::response::{self, Mended, correct, promise_tls};
use super::{Context, Service};
use crate::metrics::{Rewrite, RouteMetrics};

impl Service {
    /// Mends places and cookies, promises TLS, and ends what lasts when it would not be given any more.
    pub(super) fn hand_back(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let (Some(target), Some(connection)) = (&ctx.target, &ctx.connection) else { return Ok(()) };
        if connection.is_draining() {
            session.set_keepalive(None);
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // What follows is no body.
            ctx.body_left = None;
            // Both sides' read timeouts go on running on an upgraded connection.
            let idle = target.upstream.settings().timeouts.websocket_idle;
            session.set_read_timeout(Some(idle));
            session.set_write_timeout(Some(idle));
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS || is_stream_of_events(response) {
            ctx.watch = self.lasting(session, ctx).map(Lasting::watch);
        }
        if let (Some(links), Some(answers)) = (ctx.links(session.req_header()), ctx.answers()) {
            let mended = correct(response, &links, answers)?;
            if let Some(route) = &ctx.route {
                count_rewrites(route, mended);
                self.look_for_loop(session, ctx, &links, response, route);
            }
        }
        if let Some(site) = ctx.snapshot.site(target.site).filter(|_| connection.is_secure) {
            promise_tls(response, site, &self.resolver)?;
        }
        ctx.description.begin(session.req_header(), response)?;
        if ctx.description.is_held() && session.req_header().version == Version::HTTP_10 {
            session.set_keepalive(None);
        }
        match ctx.snapshot.route(target.site, target.route) {
            Some(route) => response::edit(&route.response_headers, response),
            None => Ok(()),
        }
    }

    /// An answer that goes on for as long as the client would get it again.
    fn lasting(&self, session: &Session, ctx: &Context) -> Option<Lasting> {
        Some(Lasting {
            connection: ctx.connection.clone()?,
            snapshot: self.snapshot.clone(),
            resolver: self.resolver.clone(),
            route: ctx.route.clone(),
            site: ctx.snapshot.site(ctx.target.as_ref()?.site)?.name.clone(),
            target: session.req_header().raw_path().to_vec(),
        })
    }
}

/// `text/event-stream` (HTML §9.2).
fn is_stream_of_events(response: &ResponseHeader) -> bool {
    let kind = response.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    kind.and_then(|kind| kind.get(..17)).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

fn count_rewrites(route: &RouteMetrics, mended: Mended) {
    if mended.location {
        route.rewrote(Rewrite::Location);
    }
    if mended.cookie {
        route.rewrote(Rewrite::Cookie);
    }
}
