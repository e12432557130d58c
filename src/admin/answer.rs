//! Request to answer, without a socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;

use super::{Report, SCHEMA, State, Turn, page};
use crate::language::Lang;
use crate::metrics;
use crate::route::HostName;

/// For what may wait for the disk.
#[derive(Default)]
pub(super) struct Turns {
    metrics: Turn,
    status: Turn,
}

/// Answers one request; its body is not looked at.
pub(super) async fn answer<B>(state: Arc<dyn State>, turns: &Turns, request: Request<B>) -> Response<Full<Bytes>> {
    let request = request.map(drop);
    let turn = match request.uri().path() {
        "/metrics" => Some(&turns.metrics),
        "/" | "/status.json" => Some(&turns.status),
        _ => None,
    };
    let answered = match (admit(&request), turn) {
        (Err(refused), _) => refused,
        (Ok(()), None) => find(&*state, &request),
        (Ok(()), Some(turn)) => {
            let late = || Answer::text(StatusCode::SERVICE_UNAVAILABLE, LATE);
            turn.take(PATIENCE, move || find(&*state, &request)).await.unwrap_or_else(late)
        }
    };
    let Answer { status, content_type, body } = answered;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(fixed_headers().map(|(name, value)| (name, HeaderValue::from_static(value))));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    fn text(status: StatusCode, text: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: text.into() }
    }
}

/// Refuses what is not a question from somebody who knows this address.
fn admit(request: &Request<()>) -> Result<(), Answer> {
    let hosts = request.headers().get_all(HOST);
    if hosts.iter().count() > 1 || (hosts.iter().next().is_none() && request.version() > Version::HTTP_10) {
        return Err(Answer::text(StatusCode::BAD_REQUEST, "exactly one Host is required\n"));
    }
    let named = hosts.iter().map(HeaderValue::to_str).chain(request.uri().authority().map(|it| Ok(it.as_str())));
    if !named.into_iter().all(|host| host.is_ok_and(is_local)) {
        return Err(Answer::text(StatusCode::FORBIDDEN, "use an IP address or localhost as host name\n"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Answer::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served\n"));
    }
    Ok(())
}

/// Whether no DNS answer can have brought the client here: an IP address, or `localhost` (RFC 6761 §6.3).
fn is_local(host: &str) -> bool {
    HostName::parse(host).is_ok_and(|host| {
        let name = host.as_str();
        name.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
    })
}

fn find(state: &dyn State, request: &Request<()>) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        "/" => {
            Answer::ok("text/html; charset=utf-8", page::render(&state.status(), language(request.headers(), query)))
        }
        "/metrics" => Answer::ok(metrics::CONTENT_TYPE, state.metrics()),
        "/status.json" => status_json(state),
        "/status.schema.json" => Answer::ok("application/schema+json", SCHEMA),
        "/livez" if state.is_live() => Answer::text(StatusCode::OK, "live\n"),
        "/livez" => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "not live\n"),
        "/readyz" => readiness(state, query.split('&').any(|pair| pair == "cert=strict")),
        _ => Answer::text(StatusCode::NOT_FOUND, NOT_FOUND),
    }
}

/// What was chosen on the page, else what the browser likes best.
fn language(headers: &HeaderMap, query: &str) -> Lang {
    let chosen = query.split('&').find_map(|pair| Lang::from_tag(pair.strip_prefix("lang=")?));
    let accepted = || Lang::accepted(headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?);
    chosen.or_else(accepted).unwrap_or_default()
}

fn readiness(state: &dyn State, strict: bool) -> Answer {
    match state.readiness(strict) {
        Ok(()) => Answer::text(StatusCode::OK, "ready\n"),
        Err(reasons) => Answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{}\n", reasons.join("\n"))),
    }
}

fn status_json(state: &dyn State) -> Answer {
    match serde_json::to_vec_pretty(&Report::of(state.status())) {
        Ok(json) => Answer::ok("application/json", json),
        Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Shorter than Prometheus waits, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(8);
const LATE: &str = "not gathered in time: does the disk of `state_dir` answer?\n";
const NOT_FOUND: &str = "not found; there are /, /metrics, /livez, /readyz, /status.json and /status.schema.json\n";

/// The page loads nothing, runs nothing, and cannot be framed; its language is the reader's.
fn fixed_headers() -> [(HeaderName, &'static str); 5] {
    [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, page::policy()),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (VARY, "Accept-Language"),
    ]
}
