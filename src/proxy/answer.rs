//! Answers of our own: short, plain, and telling the peer little.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::ResponseHeader;
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
    let body = Bytes::from(text.to_owned());
    let mut response = ResponseHeader::build(status, Some(headers.len() + 3))?;
    response.insert_header(header::CONTENT_LENGTH, body.len())?;
    if !body.is_empty() {
        response.insert_header(header::CONTENT_TYPE, "text/plain; charset=utf-8")?;
    }
    for (name, value) in headers {
        response.insert_header(*name, *value)?;
    }
    let is_head = session.req_header().method == http::Method::HEAD;
    session.write_response_header(Box::new(response), is_head || body.is_empty()).await?;
    if !is_head && !body.is_empty() {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
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
        _ => "the request could not be carried out",
    };
    let text = format!("{status}: {what}\nrequest id: {request_id}\n");
    send(session, status, &text, &[(REQUEST_ID, request_id), ("cache-control", "no-store")]).await
}

/// Takes what the client still sends, for a while, after the answer is out and before the connection is closed.
///
/// # Why
///
/// A socket that is closed with unread bytes resets the connection, and then the client never gets to read the answer (RFC
/// 9112 §9.6). HTTP/2 ends the stream without that.
pub(super) async fn linger(session: &mut Session) {
    let downstream = session.as_downstream_mut();
    if downstream.is_http2() || downstream.get_keepalive().is_some() || downstream.is_body_done() {
        return;
    }
    downstream.set_read_timeout(Some(LINGER_PAUSE));
    let rest = async { while let Ok(Some(_)) = downstream.read_request_body().await {} };
    // Who has not stopped by then does not read the answer anyway.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// Names the request in an error answer and in the log.
pub(super) const REQUEST_ID: &str = "portvakt-request-id";
/// As nginx waits for more of a body that nobody wants, and in all.
const LINGER_PAUSE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(30);
