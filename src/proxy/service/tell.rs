//! What operators are told of requests: mistakes in the set-up behind us, and what enforcement would do.

use std::sync::PoisonError;

use http::{Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use tracing::{info, warn};

use super::super::loops::Trail;
use super::super::{Snapshot, request};
use super::{Context, Service};
use crate::access::{Query, told_target};
use crate::metrics::RouteMetrics;
use crate::route::{self, Agent, Facts, Line, Links, News, Trouble};
use crate::time::{Clock, SystemClock};

impl Service {
    /// Tells a mistake in the set-up behind us, now and then. `about` is an upstream or a route.
    pub(super) fn explain(&self, about: &str, path: Option<&str>, trouble: Trouble) {
        if let Some(count) = self.troubles.note(trouble, about, SystemClock.now()) {
            warn!(about, path, count, fix = trouble.fix(), "{trouble}: {}", trouble.what());
        }
    }

    /// Counts and tells when a client is sent to where it is or was, again and again.
    pub(super) fn look_for_loop(
        &self,
        session: &Session,
        ctx: &Context,
        links: &Links<'_>,
        response: &ResponseHeader,
        route: &RouteMetrics,
    ) {
        let request = session.req_header();
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        let (Some(connection), true) = (&ctx.connection, is_read) else { return };
        let to = redirected_to(response, links);
        let mut trail = connection.trail();
        if to.is_none() && trail.is_none() {
            return;
        }
        let Ok(target) = route::Target::parse(request.raw_path()) else { return };
        let from = target.origin_form();
        let agent = request.headers.get(header::USER_AGENT).map(http::HeaderValue::as_bytes);
        let who = (request::client(request, connection, &ctx.snapshot), agent, links.host);
        let is_loop = match to {
            None => {
                Trail::arrived(&mut trail, || self.loops.key((who, &*from)));
                false
            }
            Some(to) if to.as_bytes() == &*from => {
                self.loops.note((who, request.raw_path()), response.headers.contains_key(header::SET_COOKIE))
            }
            Some(to) => {
                let [from, to] = [&*from, to.as_bytes()].map(|url| self.loops.key((who, url)));
                Trail::redirected(&mut trail, from, to)
            }
        };
        drop(trail);
        if is_loop {
            route.looped();
            self.explain(route.name(), Some(&told_target(&from, Query::Redact)), Trouble::RedirectLoop);
        }
    }

    /// Remembers what would have been done with an observed request, and tells what is new.
    pub(super) fn remember(&self, facts: &Facts<'_>, request: &RequestHeader, snapshot: &Snapshot) {
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
}

/// Where on this site an answer sends its client, in origin form.
fn redirected_to(response: &ResponseHeader, links: &Links<'_>) -> Option<String> {
    if !response.status.is_redirection() {
        return None;
    }
    let location = response.headers.get(header::LOCATION)?.to_str().ok()?;
    // What is not corrected leads back by way of our own redirect.
    let meant = links.url(location);
    links.place(meant.as_deref().unwrap_or(location))
}
