//! pingora's callbacks, in the order in which they run.

mod apart;
mod back;
mod buffering;
mod carry_out;
mod context;
mod failing;
mod refusals;
mod tell;
mod towards;

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::debug;

use self::apart::{keep_apart, stop_reading};
use self::refusals::{all_down, refuse_busy, refuse_certificate, upstream_error};
use super::connection::{BODY_PAUSE, Connection};
use super::describe::{Description, Part};
use super::limiter::Entered;
use super::log_id::LogId;
use super::loops::Loops;
use super::progress::Progress;
use super::quota::Quota;
use super::record::record;
use super::request::facts;
use super::response::make_end_to_end;
use super::room::Room;
use super::troubles::{Look, Troubles};
use super::{Http1Observer, RETRIES, Snapshot};
use super::{answer, certificate, collected};
use crate::challenge::Challenges;
use crate::metrics::{InFlight, RequestLimit, Rewrite, RouteMetrics, UpstreamMetrics};
use crate::pki::Fingerprint;
use crate::route::headers;
use crate::route::{self, Action, Admission, Outcome, Report, Stripped};
use crate::time::{Clock, SystemClock};
use crate::tls::{Resolver, context_of};
use crate::upstream::{Affinity, Chosen, Held, TlsFailure, Tried, Upstream};

/// What pingora calls.
pub(super) struct Service {
    snapshot: Arc<ArcSwap<Snapshot>>,
    resolver: Arc<Resolver>,
    challenges: Challenges,
    on_http1: Http1Observer,
    report: Arc<Mutex<Report>>,
    troubles: Arc<Troubles>,
    loops: Loops,
    /// For collected bodies.
    room: Arc<Room>,
    open: TaskTracker,
}

/// What the service has in common with the server.
pub(super) struct Shared {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) report: Arc<Mutex<Report>>,
    pub(super) troubles: Arc<Troubles>,
}

/// One request.
pub(super) struct Context {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) connection: Option<Arc<Connection>>,
    /// HTTP/2 only.
    progress: Option<Arc<Progress>>,
    pub(super) started: Instant,
    pub(super) route: Option<Arc<RouteMetrics>>,
    pub(super) target: Option<Target>,
    pub(super) is_upgrade: bool,
    /// Bytes of the body that may still be passed on; `None` is no limit.
    body_left: Option<u64>,
    /// Bytes of the body that are still read behind an answer that came early; `None` is no limit.
    read_on: Option<u64>,
    /// Also while another session stands for the client's.
    is_http2: bool,
    /// Where the client's session waits while a collected body goes on.
    passing: Option<collected::Slot>,
    /// Such a body is there once.
    is_collected: bool,
    /// The request for an upgrade waits until the end of its empty body has passed.
    held: Option<Held>,
    pub(super) tries: usize,
    /// The upstream's peers that it was tried on.
    pub(super) tried: Tried,
    pub(super) connecting_since: Option<Instant>,
    pub(super) id: Option<String>,
    /// Index of the site, where the request named one.
    pub(super) site: Option<usize>,
    /// The peer of the last try was connected to and believed.
    pub(super) is_reached: bool,
    /// From the last try's begin to the header of its answer; only where requests are logged.
    pub(super) upstream_took: Option<Duration>,
    /// What was done, for the access log.
    pub(super) outcome: &'static str,
    /// Why it failed, likewise.
    pub(super) failure: Option<&'static str>,
    /// An error answer of ours was sent.
    pub(super) is_told: bool,
    /// The begin of a refusal of the upstream, while it passes.
    look: Option<Look>,
    /// Whether the answer describes a service, and is to be corrected.
    description: Description,
    /// The request's GUID, where the upstream gets one.
    pub(super) log_id: Option<LogId>,
    /// The client identity that the last try showed.
    pub(super) shown: Option<Fingerprint>,
    /// The client's certificate is handed on.
    is_known: bool,
    /// Ends an answer that lasts, when it would not be given any more.
    watch: Option<AbortOnDropHandle<()>>,
    /// What was the matter with the server in the last try.
    tls_failure: Option<TlsFailure>,
    /// Ends the drain when the last one is dropped.
    _open: TaskTrackerToken,
}

/// Where a request goes.
pub(super) struct Target {
    site: usize,
    route: usize,
    stripped: Option<Box<Stripped>>,
    pub(super) upstream: Arc<Upstream>,
    /// The peer of the last try.
    pub(super) peer: Option<Chosen>,
    /// A TLS connection is on its way to it.
    is_connecting: bool,
    metrics: Arc<UpstreamMetrics>,
    quota: Arc<Quota>,
    body_limit: Option<u64>,
    _in_flight: InFlight,
    _entered: [Option<Entered>; 2],
}

impl Service {
    pub(super) fn new(
        shared: Shared,
        resolver: Arc<Resolver>,
        challenges: Challenges,
        on_http1: Http1Observer,
        open: TaskTracker,
    ) -> Self {
        let Shared { snapshot, report, troubles } = shared;
        Self {
            snapshot,
            resolver,
            challenges,
            on_http1,
            report,
            troubles,
            loops: Loops::default(),
            room: Arc::default(),
            open,
        }
    }

    /// What an answer of our own says about HTTPS.
    fn hsts(&self, ctx: &Context, site: Option<usize>) -> Option<String> {
        let site = ctx.snapshot.site(site?).filter(|site| site.hsts.is_some())?;
        headers::hsts(site, ctx.connection.as_ref()?.is_secure, self.resolver.is_from_ca(&site.name))
    }
}

#[async_trait]
impl ProxyHttp for Service {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context {
            snapshot: self.snapshot.load_full(),
            connection: None,
            progress: None,
            started: Instant::now(),
            route: None,
            target: None,
            is_upgrade: false,
            body_left: None,
            read_on: None,
            is_http2: false,
            passing: None,
            is_collected: false,
            held: None,
            tries: 0,
            tried: Tried::default(),
            connecting_since: None,
            id: None,
            site: None,
            is_reached: false,
            upstream_took: None,
            outcome: "refused",
            failure: None,
            is_told: false,
            look: None,
            description: Description::None,
            log_id: None,
            shown: None,
            is_known: false,
            watch: None,
            tls_failure: None,
            _open: self.open.token(),
        }
    }

    fn on_connection_reuse(&self, _session: &mut Session, ctx: &mut Context, kept: Box<dyn Any + Send + Sync>) {
        ctx.connection = kept.downcast::<Arc<Connection>>().ok().map(|connection| *connection);
    }

    fn persist_connection_context(&self, _session: &Session, ctx: &Context) -> Option<Box<dyn Any + Send + Sync>> {
        ctx.connection.clone().map(|connection| Box::new(connection) as _)
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        if ctx.connection.is_none() {
            // HTTP/2 has no kept context; there the TLS digest carries the connection.
            ctx.connection = session.digest().and_then(context_of::<Connection>).cloned();
        }
        let Some(connection) = &ctx.connection else {
            return Error::e_explain(ErrorType::InternalError, "a request without its connection");
        };
        ctx.is_http2 = session.as_downstream().is_http2();
        ctx.progress = session.req_header().extensions.get::<Arc<Progress>>().cloned();
        // What pingora has closed stays closed: Transfer-Encoding with Content-Length, say.
        if session.get_keepalive().is_some() {
            session.set_keepalive(connection.keep_alive());
        }
        session.set_read_timeout(Some(BODY_PAUSE));
        session.set_write_timeout(Some(BODY_PAUSE));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        if self.answer_challenge(session).await? {
            ctx.outcome = "challenge";
            return Ok(true);
        }
        let Some(connection) = ctx.connection.clone() else { return Ok(false) };
        let facts = facts(session.req_header(), &connection, &ctx.snapshot);
        let decision = ctx.snapshot.routes().decide(&facts);
        if matches!(decision.action, Some(Action::WouldRedirect | Action::WouldReject)) {
            self.remember(&facts, session.req_header(), &ctx.snapshot);
        }
        if let (Some(site), Outcome::Forward { .. } | Outcome::Redirect { .. }) = (decision.site, &decision.outcome) {
            let client = facts.client.unwrap_or_else(|| connection.peer.ip());
            if let Err(busy) = ctx.snapshot.limiters().take(site, decision.route, client) {
                let route = ctx.snapshot.route_metrics(&decision).clone();
                (ctx.site, ctx.route) = (Some(site), Some(route.clone()));
                return refuse_busy(session, &route, busy).await.map(|()| true);
            }
        }
        let now = SystemClock.now();
        let shown = certificate::shown(&connection, &self.resolver, now);
        match ctx.snapshot.routes().admission(&decision, facts.target, shown, now) {
            Admission::Known => ctx.is_known = true,
            Admission::Unknown => {}
            Admission::Refused(why) => {
                let route = ctx.snapshot.route_metrics(&decision).clone();
                (ctx.site, ctx.route) = (decision.site, Some(route.clone()));
                return refuse_certificate(session, &route, why).await.map(|()| true);
            }
        }
        if self.carry_out(session, ctx, decision).await? {
            return Ok(true);
        }
        ctx.is_upgrade = session.is_upgrade_req();
        keep_apart(session, ctx, &connection)?;
        self.collect_body(session, ctx).await
    }

    async fn upstream_peer(&self, _session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        let (Some(target), Some(connection)) = (&mut ctx.target, &ctx.connection) else {
            return Error::e_explain(ErrorType::InternalError, "a request without its target");
        };
        let affinity = connection.affinity();
        ctx.tries += 1;
        ctx.is_reached = false;
        // A body that is sent again is counted again.
        ctx.body_left = target.body_limit;
        ctx.connecting_since = Some(Instant::now());
        // Given back first, so that a peer that is tried again does not count this request against itself.
        target.peer = None;
        let preferred = connection.usual_peer(target.upstream.id());
        let Some(peer) = target.upstream.choose(ctx.tried, preferred) else {
            return Err(upstream_error(target, &all_down(&target.upstream), &mut ctx.tls_failure));
        };
        connection.remember_peer(target.upstream.id(), peer.index);
        ctx.tried.add(peer.index);
        let target_peer = &*target.peer.insert(peer);
        let made = target_peer.connection(&affinity, ctx.is_upgrade).await;
        ctx.shown = made.as_ref().ok().and_then(|connection| target_peer.shown(connection));
        target.is_connecting = made.is_ok() && !target.is_plain();
        made.map_err(|error| {
            let mut told = upstream_error(target, &error, &mut ctx.tls_failure);
            // Nothing was sent yet.
            let is_worth_it = error.is_unreachable() || target.upstream.has_another(ctx.tried);
            told.set_retry(ctx.tries <= RETRIES && is_worth_it);
            told
        })
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        ctx.not_connected(peer, error)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        ctx.broken_off(peer, session, error, client_reused)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        #[cfg(unix)] _fd: std::os::unix::io::RawFd,
        #[cfg(windows)] _sock: std::os::windows::io::RawSocket,
        digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        let Some(target) = &mut ctx.target else { return Ok(()) };
        target.is_connecting = false;
        let target = &*target;
        if !reused && let Some(since) = ctx.connecting_since {
            target.metrics.connected(since.elapsed());
        }
        let leaf = digest.and_then(|d| d.ssl_digest.as_ref()).map(|tls| tls.cert_digest.as_slice());
        let Some(peer) = &target.peer else { return Ok(()) };
        peer.admit(leaf).await.map_err(|error| {
            let mut told = upstream_error(target, &error, &mut ctx.tls_failure);
            // Nothing was sent yet.
            let is_worth_it = error.is_changed() || target.upstream.has_another(ctx.tried);
            told.set_retry(ctx.tries <= RETRIES && is_worth_it);
            told
        })?;
        peer.connected();
        ctx.is_reached = true;
        if let Some(Affinity::Own(bond)) = ctx.connection.as_ref().map(|it| it.affinity()) {
            bond.count(peer.id(), || target.metrics.pinned());
            if ctx.is_upgrade {
                ctx.held = Some(bond.hold());
            }
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        if let Some(progress) = &ctx.progress {
            progress.body(end_of_stream);
        }
        if end_of_stream {
            ctx.give_back(session);
            ctx.held.take().into_iter().for_each(Held::let_go_soon);
        }
        if let (Some(left), Some(part)) = (ctx.read_on, &*body) {
            ctx.read_on = left.checked_sub(part.len() as u64);
            if ctx.read_on.is_none() {
                return Err(stop_reading(session, body, ctx));
            }
        }
        let (Some(left), Some(part)) = (ctx.body_left, &*body) else { return Ok(()) };
        let after = u64::try_from(part.len()).ok().and_then(|length| left.checked_sub(length));
        ctx.body_left = Some(after.unwrap_or(0));
        if after.is_some() {
            return Ok(());
        }
        // Nothing more of it reaches the upstream, whose connection is closed before the body's end.
        *body = None;
        session.set_keepalive(None);
        if let Some(route) = &ctx.route {
            route.limited(RequestLimit::Body);
        }
        let status = ErrorType::HTTPStatus(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
        Err(Error::explain(status, "the request's body is larger than the limit").into_down())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        self.address(session, request, ctx)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        self.recognise_ntlm(session, response, ctx)?;
        make_end_to_end(response);
        if let Some(chosen) = ctx.target.as_ref().and_then(|target| target.peer.as_ref()) {
            chosen.identity_answered(ctx.shown);
        }
        if ctx.snapshot.access_log().is_some() {
            ctx.upstream_took = ctx.connecting_since.map(|since| since.elapsed());
        }
        let is_readable = !response.headers.contains_key(header::CONTENT_ENCODING);
        ctx.look = (response.status == StatusCode::FORBIDDEN && is_readable).then(Look::default);
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        if let Some(begin) = ctx.look.as_mut().and_then(|look| look.take(body.as_ref(), is_end)) {
            ctx.look = None;
            if let Some(target) = &ctx.target
                && let Some(trouble) = route::forbidden(&begin, target.is_plain())
            {
                target.metrics.explained(trouble);
                self.explain(&target.upstream.settings().name, None, trouble);
            }
        }
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        self.hand_back(session, response, ctx)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        match ctx.description.take(body.as_ref(), is_end) {
            Part::Passes => {}
            Part::Held => *body = None,
            Part::TooLong(held) => *body = Some(held.freeze()),
            Part::Whole(held) => {
                let links = ctx.links(session.req_header());
                let better = links.and_then(|links| held.corrected(|url| links.url(url)));
                if let (Some(_), Some(route)) = (&better, &ctx.route) {
                    route.rewrote(Rewrite::Xml);
                }
                *body = Some(better.map_or_else(|| held.into_bytes(), Bytes::from));
            }
        }
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        ctx.failed(session, error).await
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        // `fail_to_proxy` has told the operator; pingora's line would repeat it, with bytes of the request.
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        ctx.give_back(session);
        if let Some(log) = ctx.snapshot.access_log()
            && log.wants(session.response_written().map(|response| response.status))
            && let Some(record) = record(session, ctx, log.settings().query)
        {
            log.write(record);
        }
        let (Some(connection), Some(response)) = (&ctx.connection, session.response_written()) else { return };
        let (status, elapsed) = (response.status, ctx.started.elapsed());
        if let Some(progress) = ctx.progress.as_ref().filter(|_| error.is_none() || ctx.is_told) {
            progress.answered();
        }
        let method = &session.req_header().method;
        if let Some(route) = &ctx.route {
            route.answered(&connection.listener, method, status, elapsed);
        }
        if let Some(target) = ctx.target.as_ref().filter(|_| ctx.id.is_none()) {
            target.metrics.answered(status);
        }
        let id = ctx.id.as_deref();
        debug!(peer = %connection.peer, %method, %status, ?elapsed, request_id = id, error = error.is_some(), "request");
        if status != StatusCode::SWITCHING_PROTOCOLS && (error.is_none() || ctx.is_told) {
            ctx.target = None;
            answer::linger(session.as_downstream_mut()).await;
        }
    }
}
