//! NTLM and Negotiate: what shows that a server knows its clients by their connections, and what follows from it.

use h2::Reason;
use http::header;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};

use crate::route;

/// Whether credentials authenticate the connection, not the request (RFC 4559 §6). Any of several fields counts, since
/// nobody knows which one the upstream reads.
pub(super) fn is_shown(request: &RequestHeader) -> bool {
    request.headers.get_all(header::AUTHORIZATION).iter().any(route::is_connection_authentication)
}

/// Whether an answer asks for such credentials, or goes on with them. Several challenges may share a field (RFC 9110
/// §11.6.1).
pub(super) fn is_asked_for(response: &ResponseHeader) -> bool {
    response.headers.get_all(header::WWW_AUTHENTICATE).iter().any(route::asks_for_connection_authentication)
}

/// Whether the server ends its connection behind this answer (RFC 9112 §9.3).
pub(super) fn ends_connection(response: &ResponseHeader) -> bool {
    let options = response.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(',')).map(str::trim);
    if response.version == http::Version::HTTP_10 {
        return !options.any(|option| option.eq_ignore_ascii_case("keep-alive"));
    }
    options.any(|option| option.eq_ignore_ascii_case("close"))
}

/// The end of a request that came over HTTP/2, where several users may share a connection.
pub(super) fn needs_http1() -> Box<Error> {
    Error::explain(NEEDS_HTTP1, "NTLM and Negotiate authenticate a connection, which HTTP/2 shares").into_down()
}

/// Asks the client to try again over HTTP/1.1 (RFC 9113 §7), where that is why the request failed.
pub(super) fn ask_for_http1(downstream: &mut ServerSession, error: &Error) -> bool {
    let is_why = *error.etype() == NEEDS_HTTP1;
    if is_why {
        downstream.shutdown_with_reason(Reason::HTTP_1_1_REQUIRED);
    }
    is_why
}

const NEEDS_HTTP1: ErrorType = ErrorType::new("NeedsHttp1");
/// Of a request's body that is read although its answer, a 401, is out: so that the handshake can go on on the connection.
pub(super) const READ_ON: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_answer_when_it_ends_the_connection_then_told() {
        for (version, connection, expected) in [
            (http::Version::HTTP_11, None, false),
            (http::Version::HTTP_11, Some("keep-alive"), false),
            (http::Version::HTTP_11, Some("x, Close"), true),
            (http::Version::HTTP_10, None, true),
            (http::Version::HTTP_10, Some("Keep-Alive"), false),
        ] {
            let mut response = ResponseHeader::build(401, None).unwrap();
            response.set_version(version);
            if let Some(connection) = connection {
                response.insert_header(header::CONNECTION, connection).unwrap();
            }
            assert_eq!(ends_connection(&response), expected, "{version:?} {connection:?}");
        }
    }
}
