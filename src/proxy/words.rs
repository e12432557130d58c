//! pingora's errors in words for the operator.

use pingora::{Error, ErrorType};

/// What went wrong, and why, in one line.
///
/// # Why
///
/// pingora puts the bytes that it could not read into its errors: an upstream's cookies and a page's content would stand in
/// the log. Everything else that it says is kept.
pub(super) fn in_words(error: &Error) -> String {
    let mut words = Vec::new();
    let mut known: Option<&ErrorType> = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if known != Some(error.etype()) && !matches!(error.etype(), ErrorType::HTTPStatus(_)) {
            words.push(error.etype().as_str().to_owned());
        }
        known = Some(error.etype());
        words.extend(error.context.as_ref().map(|context| without_bytes(context.as_str()).to_owned()));
        let cause = error.cause.as_deref();
        next = cause.and_then(|cause| cause.downcast_ref::<Box<Error>>()).map(|inner| &**inner);
        words.extend(cause.filter(|_| next.is_none()).map(ToString::to_string));
    }
    words.retain(|word| !word.is_empty());
    words.join(": ")
}

/// What stands before the bytes of a message.
fn without_bytes(context: &str) -> &str {
    context.split_once(BYTES).map_or(context, |(before, _)| before).trim_end_matches([' ', ','])
}

/// What pingora writes before them.
const BYTES: &str = "buf: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_error_with_bytes_of_the_answer_when_told_then_everything_but_the_bytes() {
        let cause = std::io::Error::other("invalid header name");
        let inner = Error::because(ErrorType::InvalidHTTPHeader, "buf: Set-Cookie: session=secret\\r\\n", cause);
        let error = inner.more_context("Peer: addr: 127.0.0.1:80");
        assert_eq!(in_words(&error), "InvalidHTTPHeader: Peer: addr: 127.0.0.1:80: invalid header name");
    }

    #[test]
    fn given_nested_errors_when_told_then_each_type_and_context_once() {
        let inner = Error::explain(ErrorType::ConnectionClosed, "chunk of 7 bytes, buf: secret");
        let error = Error::because(ErrorType::ReadError, "while reading", inner);
        assert_eq!(in_words(&error), "ReadError: while reading: ConnectionClosed: chunk of 7 bytes");
    }

    #[test]
    fn given_a_status_of_ours_when_told_then_only_its_text() {
        let error = Error::explain(ErrorType::HTTPStatus(502), "upstream `a` is not believed");
        assert_eq!(in_words(&error), "upstream `a` is not believed");
    }
}
