//! What is sent to a destination in place of an application's request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use pingora::http::RequestHeader;

use super::Egress;
use crate::proxy::response::nominated;
use crate::upstream::RequestBody;

/// A request on its way out.
pub(super) struct Outgoing {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Takes over what is meant for the destination: all but what describes the connection to us (RFC 9110 §7.6.1), the caller's
/// token, and the host, which is the destination's own. `None` for a target that is no URI: in its place nothing else is asked.
pub(super) fn outgoing(egress: &Egress, head: &RequestHeader, target: &str) -> Option<Outgoing> {
    let target = target.parse().ok()?;
    let mut headers = head.headers.clone();
    for name in nominated(&headers).iter().chain(&CONNECTION_FIELDS) {
        headers.remove(name);
    }
    if egress.settings.token.is_some() {
        headers.remove(header::AUTHORIZATION);
    }
    if let Some(host) = egress.client.settings().host.as_deref().and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert(header::HOST, host);
    }
    Some(Outgoing { method: head.method.clone(), target, headers, body: Bytes::new() })
}

impl Outgoing {
    pub(super) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// In hyper's form. The body has a length, whatever way the application has sent it.
    pub(super) fn into_request(self) -> Request<RequestBody> {
        let Self { method, target, mut headers, body } = self;
        if body.is_empty() && !matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            headers.remove(header::CONTENT_LENGTH);
        } else {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let body = Full::new(body).map_err(|never| match never {}).boxed();
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        request
    }
}

const CONNECTION_FIELDS: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];
