//! Answers of our own: short, plain, and telling the peer little.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;

/// Sends `status` with a short text, and `headers`; the connection stays open when the request's body was read.
///
/// # Errors
///
/// The downstream's write error.
pub(super) async fn send(
    session: &mut Session,
    status: StatusCode,
    text: &str,
    headers: &[(&'static str, &str)],
) -> pingora::Result<()> {
    take_short_body(session).await;
    let body = Bytes::from(text.to_owned());
    let mut response = ResponseHeader::build(status, Some(headers.len() + 3))?;
    response.insert_header(header::CONTENT_LENGTH, body.len())?;
    if !body.is_empty() {
        response.insert_header(header::CONTENT_TYPE, "text/plain; charset=utf-8")?;
    }
    for (name, value) in headers {
        response.insert_header(*name, *value)?;
    }
    write(session, response, body).await
}

/// Sends an answer; without its body where the request was HEAD.
async fn write(session: &mut Session, response: ResponseHeader, body: Bytes) -> pingora::Result<()> {
    let has_body = session.req_header().method != http::Method::HEAD && !body.is_empty();
    session.write_response_header(Box::new(response), !has_body).await?;
    if has_body {
        session.write_response_body(Some(body), true).await
    } else if session.as_downstream().is_http2() {
        // pingora ends the stream with a body only; after a failed request it would reset it.
        session.write_response_body(None, true).await
    } else {
        Ok(())
    }
}

/// Sends an error answer that names the request, so that the log line can be found.
///
/// # Errors
///
/// The downstream's write error.
pub(super) async fn send_error(session: &mut Session, status: StatusCode, request_id: &str) -> pingora::Result<()> {
    let what = match status {
        StatusCode::SERVICE_UNAVAILABLE => "the server behind this address cannot be found right now",
        StatusCode::GATEWAY_TIMEOUT => "the server behind this address did not answer in time",
        StatusCode::BAD_GATEWAY => "the server behind this address could not be reached or gave no proper answer",
        StatusCode::PAYLOAD_TOO_LARGE => "the request's body is larger than what is taken here",
        _ => "the request could not be carried out",
    };
    let text = format!("{status}: {what}\nrequest id: {request_id}\n");
    send(session, status, &text, &[(REQUEST_ID, request_id), ("cache-control", "no-store")]).await
}

/// Sends the page for the time when no server can be reached, or a few words to a program that asks for JSON.
///
/// # Errors
///
/// The downstream's write error.
pub(super) async fn send_page(session: &mut Session, page: Bytes, request_id: &str) -> pingora::Result<()> {
    let accept = session.req_header().headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let (kind, body) = match accept.is_some_and(wants_json) {
        true => ("application/json", short_json(request_id).into()),
        false => ("text/html; charset=utf-8", page),
    };
    let mut response = ResponseHeader::build(StatusCode::SERVICE_UNAVAILABLE, Some(5))?;
    response.insert_header(header::CONTENT_LENGTH, body.len())?;
    response.insert_header(header::CONTENT_TYPE, kind)?;
    response.insert_header(header::RETRY_AFTER, RETRY_AFTER)?;
    response.insert_header(header::CACHE_CONTROL, "no-store")?;
    response.insert_header(REQUEST_ID, request_id)?;
    write(session, response, body).await
}

/// Whether a program asks: for JSON, and not for a page (RFC 9110 §12.5.1).
fn wants_json(accept: &str) -> bool {
    let accept = accept.to_ascii_lowercase();
    let asks_for = |kind: fn(&str) -> bool| {
        accept.split(',').filter_map(|range| range.split(';').next()).any(|range| kind(range.trim()))
    };
    asks_for(|kind| kind == "application/json" || kind.ends_with("+json")) && !asks_for(|kind| kind == "text/html")
}

/// The id is of hexadecimal digits.
fn short_json(request_id: &str) -> String {
    format!(
        "{{\"status\":503,\"error\":\"service unavailable\",\"retry_after\":{RETRY_AFTER},\"request_id\":\"{request_id}\"}}\n"
    )
}

/// Sixteen hex digits; names the request in the answer and in the log.
pub(super) fn request_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Takes what the client still sends, for a while, after the answer is out and before the connection is closed.
///
/// # Why
///
/// A socket that is closed with unread bytes resets the connection, and then the client never gets to read the answer (RFC
/// 9112 §9.6). HTTP/2 ends the stream without that.
pub(super) async fn linger(downstream: &mut ServerSession) {
    if downstream.is_http2() || downstream.get_keepalive().is_some() || downstream.is_body_done() {
        return;
    }
    downstream.set_read_timeout(Some(LINGER_PAUSE));
    let rest = async { while let Ok(Some(_)) = downstream.read_request_body().await {} };
    // Who has not stopped by then does not read the answer anyway.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// Takes a short body of HTTP/2 before the answer.
///
/// # Why
///
/// RFC 9113 §8.1 lets a server answer before the body is there. curl 7.88 stops sending then, with less than it announced;
/// that is malformed (§8.1.1), and the stream is reset with the answer. A form is there at once; an upload is cut off.
async fn take_short_body(session: &mut Session) {
    let downstream = session.as_downstream_mut();
    if !downstream.is_http2() || downstream.is_body_done() {
        return;
    }
    let rest = async {
        let mut taken = 0;
        while let Ok(Some(part)) = downstream.read_request_body().await {
            taken += part.len();
            if taken > SHORT_BODY {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(SHORT_WAIT, rest).await;
}

/// In seconds: soon enough after a restart, not too often for a page that many look at.
const RETRY_AFTER: u32 = 30;
/// Names the request in an error answer and in the log.
pub(super) const REQUEST_ID: &str = "portvakt-request-id";
/// As nginx waits for more of a body that nobody wants, and in all.
const LINGER_PAUSE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(30);
/// Bytes, and how long they are waited for.
const SHORT_BODY: usize = 64 * 1024;
const SHORT_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_a_client_accepts_when_asked_then_json_for_programs_only() {
        for (accept, expected) in [
            ("application/json", true),
            ("application/problem+json; q=0.9, */*", true),
            ("Application/JSON", true),
            ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", false),
            ("*/*", false),
            ("", false),
            ("application/jsonp", false),
        ] {
            assert_eq!(wants_json(accept), expected, "{accept}");
        }
    }
}
