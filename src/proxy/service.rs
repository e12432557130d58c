//! pingora's callbacks, in the order in which they run.

use std::any::Any;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::{HttpPeer, Peer as _};
use pingora::{Error, ErrorSource, ErrorType, Result};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{debug, info, warn};

use super::connection::{BODY_PAUSE, Connection};
use super::describe::{Description, Part};
use super::expulsion::Lasting;
use super::limiter::{Busy, Entered};
use super::log_id::LogId;
use super::loops::Loops;
use super::ntlm;
use super::progress::Progress;
use super::quota::Quota;
use super::record::{record, word};
use super::request::{
    self, facts, host_to_send, join_cookies, keep_sound_trace, lead_destination, request_host, tell_about, tell_as,
    to_origin_form, trace_id,
};
use super::response::{self, Mended, correct, make_end_to_end, promise_tls};
use super::troubles::{Look, Troubles};
use super::words::in_words;
use super::{Http1Observer, RETRIES, Snapshot};
use super::{answer, certificate, collected};
use crate::access::{Query, told_target};
use crate::challenge::Challenges;
use crate::metrics::{InFlight, RequestLimit, Rewrite, RouteMetrics, UpstreamMetrics, UpstreamTlsFailure};
use crate::pki::Fingerprint;
use crate::route::headers::{self, Peer, Received};
use crate::route::{
    self, Action, Admission, Agent, Answers, CertificateRefusal, Decision, Facts, Line, Links, News, Original, Outcome,
    Preset, Reason, Report, Stripped, Trouble,
};
use crate::time::{Clock, SystemClock};
use crate::tls::{Proof, Resolver, context_of};
use crate::upstream::{
    Affinity, AffinityRule, Chosen, Held, RequestBuffering, TlsFailure, Tried, Upstream, UpstreamError,
};

/// What pingora calls.
pub(super) struct Service {
    snapshot: Arc<ArcSwap<Snapshot>>,
    resolver: Arc<Resolver>,
    challenges: Challenges,
    on_http1: Http1Observer,
    report: Arc<Mutex<Report>>,
    troubles: Arc<Troubles>,
    loops: Loops,
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

impl Context {
    /// Whether the upstream has a peer that this request was not tried on.
    fn has_another_peer(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.upstream.has_another(self.tried))
    }

    /// Ends the passing on of a collected body.
    fn give_back(&mut self, session: &mut Session) {
        if let Some(slot) = self.passing.take() {
            collected::give_back(session, &slot);
        }
    }

    /// Which URLs are those of the upstream, and which the client's.
    fn links<'a>(&'a self, request: &'a RequestHeader) -> Option<Links<'a>> {
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
    fn answers(&self) -> Option<&Answers> {
        let target = self.target.as_ref()?;
        self.snapshot.route(target.site, target.route).map(|route| &route.answers)
    }

    /// The site's page for the time when no server can be reached; `None` when one was, or there is no such page.
    fn maintenance_page(&self, error: &Error) -> Option<Bytes> {
        let site = self.target.as_ref().map(|target| target.site)?;
        let page = self.snapshot.site(site)?.maintenance.as_ref()?;
        (!self.is_reached && *error.esource() == ErrorSource::Upstream).then(|| page.0.clone())
    }
}

/// Where a request goes.
pub(super) struct Target {
    site: usize,
    route: usize,
    stripped: Option<Box<Stripped>>,
    pub(super) upstream: Arc<Upstream>,
    /// The peer of the last try.
    pub(super) peer: Option<Chosen>,
    metrics: Arc<UpstreamMetrics>,
    quota: Arc<Quota>,
    body_limit: Option<u64>,
    _in_flight: InFlight,
    _entered: [Option<Entered>; 2],
}

impl Target {
    /// Bodies have to have a length.
    fn wants_length(&self) -> bool {
        self.upstream.settings().request_buffering == RequestBuffering::Length
    }

    /// The configuration gives each client connections of its own.
    fn is_own_by_rule(&self) -> bool {
        self.upstream.settings().affinity == AffinityRule::Connection
    }

    /// Whether the last try went over plain HTTP.
    fn is_plain(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.settings().tls.is_none())
    }

    /// Tells the operator why a request got no answer, as often as is of use; what is left out stands at `debug`.
    fn tell(
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

impl Service {
    pub(super) fn new(
        shared: Shared,
        resolver: Arc<Resolver>,
        challenges: Challenges,
        on_http1: Http1Observer,
        open: TaskTracker,
    ) -> Self {
        let Shared { snapshot, report, troubles } = shared;
        Self { snapshot, resolver, challenges, on_http1, report, troubles, loops: Loops::default(), open }
    }

    /// Tells a mistake in the set-up behind us, now and then. `about` is an upstream or a route.
    fn explain(&self, about: &str, path: Option<&str>, trouble: Trouble) {
        if let Some(count) = self.troubles.note(trouble, about, SystemClock.now()) {
            warn!(about, path, count, fix = trouble.fix(), "{trouble}: {}", trouble.what());
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

    /// What `X-ARR-SSL` says of the certificate that the client was shown; `None` where a proxy in front of us has its own.
    fn shown_certificate(&self, session: &Session, snapshot: &Snapshot, site: usize) -> Option<String> {
        let cipher = &session.digest()?.ssl_digest.as_ref()?.cipher;
        let shown = self.resolver.shown(&snapshot.site(site)?.name)?;
        let cipher_bits = if cipher.contains("AES_128") { 128 } else { 256 };
        Some(format!("{}|{cipher_bits}|{}|{}", shown.key_bits, shown.issuer, shown.subject))
    }

    /// Counts and tells when a client is sent to where it is, again and again.
    fn look_for_loop(
        &self,
        session: &Session,
        ctx: &Context,
        links: &Links<'_>,
        response: &ResponseHeader,
        route: &RouteMetrics,
    ) {
        let request = session.req_header();
        let location = response.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        let (Some(location), Some(connection), true) = (location, &ctx.connection, is_read) else { return };
        let Ok(target) = route::Target::parse(request.raw_path()) else { return };
        // What is not corrected leads back by way of our own redirect.
        let meant = links.url(location);
        if !response.status.is_redirection()
            || !links.leads_back(&target.origin_form(), meant.as_deref().unwrap_or(location))
        {
            return;
        }
        let agent = request.headers.get(header::USER_AGENT).map(http::HeaderValue::as_bytes);
        let who = (request::client(request, connection, &ctx.snapshot), agent, links.host, request.raw_path());
        if self.loops.note(who, response.headers.contains_key(header::SET_COOKIE)) {
            route.looped();
            self.explain(route.name(), Some(&told_target(&target.origin_form(), Query::Redact)), Trouble::RedirectLoop);
        }
    }

    /// Answers an ACME http-01 challenge; `false` when this is none of ours (RFC 8555 §8.3).
    async fn answer_challenge(&self, session: &mut Session) -> Result<bool> {
        let request = session.req_header();
        let Some(token) = route::challenge_token(&request.method, request.raw_path()) else { return Ok(false) };
        let Some(authorization) = self.challenges.http(token) else { return Ok(false) };
        info!(host = request_host(request), "answering an http-01 challenge");
        answer::send(session, StatusCode::OK, &authorization, &[]).await?;
        Ok(true)
    }

    /// Answers what is answered here; `false` when an upstream has to.
    async fn carry_out(&self, session: &mut Session, ctx: &mut Context, decision: Decision) -> Result<bool> {
        let route = ctx.snapshot.route_metrics(&decision).clone();
        if let Some(action) = decision.action {
            route.enforced(action);
        }
        ctx.site = decision.site;
        if let Some(progress) = &ctx.progress {
            progress.routed(&route);
        }
        let answered = match (decision.outcome, decision.site.zip(decision.route)) {
            (Outcome::Forward { upstream, stripped }, Some((site, of_site))) => {
                ctx.route = Some(route.clone());
                let limit = ctx.snapshot.route(site, of_site).and_then(|route| route.limits.body);
                if limit.is_some_and(|limit| announced_length(session) > limit) {
                    return refuse_body(session, &route).await.map(|()| true);
                }
                let entered = match ctx.snapshot.limiters().enter(site, of_site) {
                    Ok(entered) => entered,
                    Err(busy) => return refuse_busy(session, &route, busy).await.map(|()| true),
                };
                let quota = ctx.snapshot.quota(upstream);
                let Some((upstream, metrics)) = ctx.snapshot.upstream(upstream) else {
                    return Error::e_explain(ErrorType::InternalError, "a route without its upstream");
                };
                let (upstream, metrics) = (upstream.clone(), metrics.clone());
                ctx.outcome = "forwarded";
                let in_flight = route.begin();
                let route = of_site;
                ctx.target = Some(Target {
                    site,
                    route,
                    stripped,
                    upstream,
                    peer: None,
                    metrics,
                    quota,
                    body_limit: limit,
                    _in_flight: in_flight,
                    _entered: entered,
                });
                Ok(false)
            }
            (Outcome::Redirect { status, location }, _) => {
                ctx.outcome = "redirected";
                let hsts = self.hsts(ctx, decision.site);
                let mut headers = vec![("location", &*location)];
                headers.extend(hsts.as_deref().map(|value| ("strict-transport-security", value)));
                answer::send(session, status, "", &headers).await.map(|()| true)
            }
            (Outcome::Refuse(reason), _) => {
                if reason == Reason::Address {
                    route.limited(RequestLimit::AllowFrom);
                }
                // Whatever body follows belongs to a request that is not wanted.
                session.set_keepalive(None);
                let text = format!("{}: {}\n", reason.status(), reason.explanation());
                answer::send(session, reason.status(), &text, &[("cache-control", "no-store")]).await.map(|()| true)
            }
            (Outcome::Forward { .. }, None) => {
                Error::e_explain(ErrorType::InternalError, "a request without its route")
            }
        };
        ctx.route = Some(route);
        answered
    }

    /// Remembers what would have been done with an observed request, and tells what is new.
    fn remember(&self, facts: &Facts<'_>, request: &RequestHeader, snapshot: &Snapshot) {
        let Some(observed) = snapshot.routes().observed(facts) else { return };
        let agent = Agent::of(request.headers.get(header::USER_AGENT).map(|value| value.as_bytes()));
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let news = report.record(SystemClock.now(), observed, agent, facts.method);
        drop(report);
        let Some(News { lines, more }) = news else { return };
        for Line { observed, agent, count, method, .. } in lines {
            let (site, path) = (observed.site, observed.place.as_deref().unwrap_or("other paths"));
            let (client, why) = (agent.in_words(), observed.would.why());
            match observed.would.refuses() {
                true => info!(site, path, client, method, count, "observed: would be refused over plain HTTP, {why}"),
                false => info!(site, path, client, method, count, "observed: would be sent to https"),
            }
        }
        if more > 0 {
            info!(more, "observed: more of it stands on the status page and in /status.json");
        }
    }

    /// Looks for a server that knows its clients by their connections, which then are the client's own, over HTTP/1.1 only.
    fn recognise_ntlm(&self, session: &mut Session, response: &ResponseHeader, ctx: &mut Context) -> Result<()> {
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
        collect_body(session, ctx).await
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
        mut error: Box<Error>,
    ) -> Box<Error> {
        let is_tls = matches!(error.etype(), ErrorType::TLSHandshakeFailure);
        // Nothing was sent yet, so any method may be tried again. Who is not believed will not be a moment later either, but
        // a handshake of our own tells why.
        let text = in_words(&error);
        ctx.tls_failure = TlsFailure::in_text(&text);
        let is_unclear = is_tls && ctx.tries == 1 && ctx.tls_failure != Some(TlsFailure::ClientCertRejected);
        let is_tried_again = ctx.tries <= RETRIES && (!is_tls || is_unclear || ctx.has_another_peer());
        if let Some(target) = &ctx.target {
            if let Some(failure) = ctx.tls_failure.filter(|_| !is_tried_again) {
                target.metrics.tls_failed(failure_label(failure));
            }
            if let Some(chosen) = &target.peer {
                if is_tls {
                    chosen.doubt();
                }
                chosen.identity_failed(ctx.shown, &text);
                chosen.connect_failed(peer.address().as_inet().copied(), text);
            }
        }
        error.set_retry(is_tried_again);
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        // In TLS 1.3 a peer refuses our certificate only here (RFC 8446 §4.4.2.4).
        if let Some(chosen) = ctx.target.as_ref().and_then(|target| target.peer.as_ref())
            && session.response_written().is_none()
        {
            chosen.identity_failed(ctx.shown, &in_words(&error));
        }
        let is_body_gone = ctx.is_collected || session.as_ref().retry_buffer_truncated();
        if !session.req_header().method.is_idempotent() || is_body_gone {
            error.set_retry(false);
            return error;
        }
        error.retry.decide_reuse(client_reused);
        // The peer went away before it answered: another one may do what is safe to be done twice (RFC 9110 §9.2.2).
        let has_left = *error.esource() == ErrorSource::Upstream
            && matches!(error.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError)
            && session.response_written().is_none();
        if has_left && ctx.has_another_peer() {
            error.set_retry(ctx.tries <= RETRIES);
        }
        error
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
        let Some(target) = &ctx.target else { return Ok(()) };
        if !reused && let Some(since) = ctx.connecting_since {
            target.metrics.connected(since.elapsed());
        }
        let leaf = digest.and_then(|d| d.ssl_digest.as_ref()).map(|tls| tls.cert_digest.as_slice());
        let Some(peer) = &target.peer else { return Ok(()) };
        peer.admit(leaf).await.map_err(|error| {
            let mut told = upstream_error(target, &error, &mut ctx.tls_failure);
            told.set_retry(ctx.tries <= RETRIES && target.upstream.has_another(ctx.tried));
            told
        })?;
        peer.connected();
        ctx.is_reached = true;
        if let (true, Some(Affinity::Own(bond))) = (ctx.is_upgrade, ctx.connection.as_ref().map(|it| it.affinity())) {
            ctx.held = Some(bond.hold());
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
        let (Some(target), Some(connection)) = (&ctx.target, &ctx.connection) else { return Ok(()) };
        let client = connection.peer.ip().to_canonical();
        let peer = Peer {
            address: client,
            trusted: ctx.snapshot.is_trusted(client),
            secure: connection.is_secure,
            host: request_host(session.req_header()),
            public_https_port: ctx.snapshot.routes().settings().public_https_port,
            received: Received::default(),
        };
        let is_https = tell_about(peer, request)?;
        if let Some(preset) = target.upstream.settings().preset {
            let id = (preset == Preset::Arr).then(|| *ctx.log_id.get_or_insert_with(LogId::random));
            let certificate = id.and_then(|_| self.shown_certificate(session, &ctx.snapshot, target.site));
            let whole = session.req_header().raw_path();
            let original = Original {
                is_https,
                host: peer.host,
                target: &route::Target::parse(whole).map_or(Cow::Borrowed(whole), |target| target.origin_form()),
                log_id: &id.map(|id| id.to_string()).unwrap_or_default(),
                certificate: certificate.as_deref(),
            };
            tell_as(preset, &original, request)?;
        }
        keep_sound_trace(request);
        join_cookies(request)?;
        if let Some(site) = ctx.snapshot.site(target.site) {
            let proven = connection.proof().and_then(Proof::certificate).filter(|_| ctx.is_known);
            certificate::hand_on(&site.client_certificates, ctx.snapshot.proofs(), proven, request)?;
        }
        let configured = target.upstream.settings().host.as_deref();
        if let Some(host) = host_to_send(configured, ctx.snapshot.site(target.site), request) {
            request.insert_header(header::HOST, host)?;
        }
        if request.headers.contains_key("destination")
            && let Some(links) = ctx.links(session.req_header())
        {
            lead_destination(request, &links, !target.is_plain())?;
        }
        match &target.stripped {
            Some(stripped) => request::strip(stripped, request)?,
            None => to_origin_form(request)?,
        }
        if let Some(limit) = ctx.answers().and_then(|answers| answers.xml) {
            ctx.description = Description::ask(limit, request)?;
        }
        match ctx.snapshot.route(target.site, target.route) {
            Some(route) => request::edit(&route.request_headers, request),
            None => Ok(()),
        }
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
                let better =
                    ctx.links(session.req_header()).and_then(|links| route::rewrite(&held, |url| links.url(url)));
                if let (Some(_), Some(route)) = (&better, &ctx.route) {
                    route.rewrote(Rewrite::Xml);
                }
                *body = Some(better.map_or_else(|| held.freeze(), Bytes::from));
            }
        }
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        ctx.give_back(session);
        if ntlm::ask_for_http1(session.as_downstream_mut(), error) {
            ctx.outcome = "http1_required";
            ctx.progress.iter().for_each(|progress| progress.answered());
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        (ctx.outcome, ctx.failure) = ("failed", Some(word(error)));
        let Some(status) = status_of(error) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let id = ctx.log_id.map_or_else(answer::request_id, LogId::request_id);
        let page = ctx.maintenance_page(error);
        let status = if page.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { status };
        if let Some(target) = &ctx.target
            && *error.esource() != ErrorSource::Downstream
        {
            target.metrics.unanswered();
            target.tell(&id, trace_id(session.req_header()), status, ctx.tls_failure, &in_words(error));
        }
        session.set_keepalive(None);
        if session.response_written().is_none() {
            // The client may be gone; then there is nobody to tell.
            let sent = match page {
                Some(page) => answer::send_page(session, page, &id).await,
                None => answer::send_error(session, status, &id).await,
            };
            ctx.is_told = sent.is_ok();
        }
        ctx.id = Some(id);
        FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false }
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

fn count_rewrites(route: &RouteMetrics, mended: Mended) {
    if mended.location {
        route.rewrote(Rewrite::Location);
    }
    if mended.cookie {
        route.rewrote(Rewrite::Cookie);
    }
}

/// Gives the client's connection upstream connections of its own, where the server may know the client by them.
fn keep_apart(session: &mut Session, ctx: &Context, connection: &Connection) -> Result<()> {
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

/// Collects a body of unknown length for a server that wants to know it; `true` when the answer is out already.
async fn collect_body(session: &mut Session, ctx: &mut Context) -> Result<bool> {
    let Some(target) = ctx.target.as_ref().filter(|target| target.wants_length() && !ctx.is_upgrade) else {
        return Ok(false);
    };
    if session.req_header().headers.contains_key(header::CONTENT_LENGTH) || session.as_downstream_mut().is_body_empty()
    {
        return Ok(false);
    }
    if session.req_header().headers.contains_key(header::EXPECT) {
        session.as_downstream_mut().write_continue_response().await?;
    }
    let (most, progress) = (target.body_limit.unwrap_or(collected::MOST), ctx.progress.clone());
    let heard = || progress.iter().for_each(|progress| progress.body(false));
    let Some(body) = collected::collect(session.as_downstream_mut(), most, heard).await? else {
        let route = ctx.route.clone().ok_or_else(|| Error::new(ErrorType::InternalError))?;
        return refuse_body(session, &route).await.map(|()| true);
    };
    let request = session.req_header_mut();
    request.remove_header(&header::TRANSFER_ENCODING);
    request.remove_header(&header::EXPECT);
    request.insert_header(header::CONTENT_LENGTH, body.length())?;
    progress.iter().for_each(|progress| progress.body(true));
    if body.length() > 0 {
        ctx.passing = Some(collected::pass_on(session, body));
        ctx.is_collected = true;
    }
    Ok(false)
}

/// Lets the connection live on behind an answer that comes before the request's body has.
fn live_on(session: &mut Session) {
    session.as_downstream_mut().set_close_on_response_before_downstream_finish(false);
    session.as_downstream_mut().set_total_drain_timeout(Some(READ_ON_TIME));
}

/// Ends a request whose answer is out, and whose body has no end.
fn stop_reading(session: &mut Session, body: &mut Option<Bytes>, ctx: &mut Context) -> Box<Error> {
    *body = None;
    session.set_keepalive(None);
    // It gets the time to read its answer.
    ctx.is_told = true;
    Error::explain(ErrorType::InvalidHTTPHeader, "the body goes on for too long behind a 401").into_down()
}

/// For the rest of a body whose answer is out.
const READ_ON_TIME: Duration = Duration::from_secs(30);

const NTLM_SEEN: &str = "the server asks for NTLM or Negotiate, which HTTP/2 cannot carry: HTTP/1.1 alone is offered for this \
                         site from now on";

/// Why no peer was chosen.
fn all_down(upstream: &Upstream) -> UpstreamError {
    let why = upstream.peers().iter().find_map(|peer| peer.last_error());
    UpstreamError::Down { upstream: upstream.settings().name.clone(), why }
}

/// `Content-Length`, where there is one that can be read.
fn announced_length(session: &Session) -> u64 {
    let length = session.req_header().headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

async fn refuse_body(session: &mut Session, route: &RouteMetrics) -> Result<()> {
    route.limited(RequestLimit::Body);
    session.set_keepalive(None);
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    let text = format!("{status}: the request's body is larger than what is taken here\n");
    answer::send(session, status, &text, &[("cache-control", "no-store")]).await
}

/// `text/event-stream` (HTML §9.2).
fn is_stream_of_events(response: &ResponseHeader) -> bool {
    let kind = response.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    kind.and_then(|kind| kind.get(..17)).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

async fn refuse_certificate(session: &mut Session, route: &RouteMetrics, why: CertificateRefusal) -> Result<()> {
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

async fn refuse_busy(session: &mut Session, route: &RouteMetrics, busy: Busy) -> Result<()> {
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

const fn failure_label(failure: TlsFailure) -> UpstreamTlsFailure {
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
        TlsFailure::Other => UpstreamTlsFailure::Other,
    }
}

fn upstream_error(target: &Target, error: &UpstreamError, told: &mut Option<TlsFailure>) -> Box<Error> {
    let text = error.with_causes();
    *told = error.failure();
    if let Some(failure) = *told {
        target.metrics.tls_failed(failure_label(failure));
    }
    let status = match error {
        UpstreamError::Resolve { .. } | UpstreamError::Down { .. } => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::NotBelieved { .. } | UpstreamError::JustTried { .. } | UpstreamError::Unusable { .. } => {
            StatusCode::BAD_GATEWAY
        }
    };
    Error::explain(ErrorType::HTTPStatus(status.as_u16()), text).into_up()
}

/// The answer to a failed request; `None` when the client is gone.
fn status_of(error: &Error) -> Option<StatusCode> {
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
