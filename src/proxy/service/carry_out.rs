//! What is answered here, and what goes on to an upstream.

use http::StatusCode;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tracing::info;

use super::super::answer;
use super::super::request::request_host;
use super::refusals::{announced_length, refuse_body, refuse_busy};
use super::{Context, Service, Target};
use crate::metrics::RequestLimit;
use crate::route::{self, Decision, Outcome, Reason};

impl Service {
    /// Answers an ACME http-01 challenge; `false` when this is none of ours (RFC 8555 §8.3).
    pub(super) async fn answer_challenge(&self, session: &mut Session) -> Result<bool> {
        let request = session.req_header();
        let Some(token) = route::challenge_token(&request.method, request.raw_path()) else { return Ok(false) };
        let Some(authorization) = self.challenges.http(token) else { return Ok(false) };
        info!(host = request_host(request), "answering an http-01 challenge");
        answer::send(session, StatusCode::OK, &authorization, &[]).await?;
        Ok(true)
    }

    /// Answers what is answered here; `false` when an upstream has to.
    pub(super) async fn carry_out(&self, session: &mut Session, ctx: &mut Context, decision: Decision) -> Result<bool> {
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
                    is_connecting: false,
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
}
