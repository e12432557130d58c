//! Answers of upstreams: what of them is meant for us alone, and what has to be mended for a client that speaks TLS.

use http::{HeaderMap, HeaderName, StatusCode, header};
use pingora::Result;
use pingora::http::ResponseHeader;

use crate::route::{Answers, HeaderEdits, Links, Site, headers};
use crate::tls::Resolver;

/// Takes away what describes the connection to the upstream (RFC 9110 §7.6.1), and a length where there is no body.
///
/// HTTP/2 clients end a stream that carries such fields (RFC 9113 §8.2.2), and servers send them: Apache offers
/// `Upgrade: h2`. The framing stays, since it was believed when the answer was read.
pub(super) fn make_end_to_end(response: &mut ResponseHeader) {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    for name in nominated(&response.headers) {
        response.remove_header(&name);
    }
    for name in CONNECTION_FIELDS {
        response.remove_header(name);
    }
    if response.status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6 forbids it, and an HTTP/2 client would wait for the body.
        response.remove_header(&header::CONTENT_LENGTH);
    }
}

/// Sets and removes what the operator wants.
pub(super) fn edit(edits: &HeaderEdits, response: &mut ResponseHeader) -> Result<()> {
    for name in &edits.remove {
        response.remove_header(name);
    }
    edits.set.iter().try_for_each(|(name, value)| response.insert_header(name.clone(), value.clone()))
}

/// What was mended in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mended {
    /// A URL.
    pub(super) location: bool,
    /// A cookie.
    pub(super) cookie: bool,
}

/// Mends what an upstream says that knows nothing of the way to it.
pub(super) fn correct(response: &mut ResponseHeader, links: &Links<'_>, answers: &Answers) -> Result<Mended> {
    let mut mended = Mended::default();
    if answers.locations {
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            mended.location |= change(response, name, |url| links.url(url))?;
        }
        mended.location |= change(response, header::REFRESH, |value| links.refresh(value))?;
    }
    if answers.touches_cookies() {
        mended.cookie = change_cookies(response, |value| answers.cookie(links, value))?;
    }
    Ok(mended)
}

/// Says that the site speaks TLS only, where that is so.
pub(super) fn promise_tls(response: &mut ResponseHeader, site: &Site, resolver: &Resolver) -> Result<()> {
    if site.hsts.is_some()
        && let Some(hsts) = headers::hsts(site, true, resolver.is_from_ca(&site.name))
    {
        response.insert_header(header::STRICT_TRANSPORT_SECURITY, hsts)?;
    }
    Ok(())
}

/// Changes a header that stands once.
fn change(response: &mut ResponseHeader, name: HeaderName, better: impl Fn(&str) -> Option<String>) -> Result<bool> {
    let value = response.headers.get(&name).and_then(|value| value.to_str().ok());
    let Some(better) = value.and_then(better) else { return Ok(false) };
    response.insert_header(name, better)?;
    Ok(true)
}

/// Rewrites the cookies of an answer; untouched where none changes.
fn change_cookies(response: &mut ResponseHeader, better: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<bool> {
    let cookies: Vec<_> = response.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    let changed: Vec<_> = cookies.iter().map(|cookie| better(cookie.as_bytes())).collect();
    if changed.iter().all(Option::is_none) {
        return Ok(false);
    }
    response.remove_header(&header::SET_COOKIE);
    for (cookie, better) in cookies.into_iter().zip(changed) {
        match better {
            Some(better) => response.append_header(header::SET_COOKIE, better)?,
            None => response.append_header(header::SET_COOKIE, cookie)?,
        };
    }
    Ok(true)
}

/// The fields that `Connection` names, but for those of the framing.
pub(super) fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    names.filter(|name| ![header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name)).collect()
}

const CONNECTION_FIELDS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "te", "upgrade"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_fields_of_the_connection_when_made_end_to_end_then_they_and_the_nominated_ones_are_gone() {
        let mut response = response(200);
        for (name, value) in [
            ("Connection", "X-Internal, keep-alive"),
            ("Connection", "Content-Length"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Upgrade", "h2,h2c"),
            ("X-Internal", "1"),
            ("Content-Length", "2"),
            ("X-Kept", "1"),
        ] {
            response.append_header(name, value).unwrap();
        }

        make_end_to_end(&mut response);

        let mut left: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "x-kept"]);
    }

    #[test]
    fn given_a_switch_of_protocols_when_made_end_to_end_then_it_says_to_which() {
        let mut response = response(101);
        response.insert_header("Connection", "Upgrade").unwrap();
        response.insert_header("Upgrade", "websocket").unwrap();

        make_end_to_end(&mut response);

        assert_eq!(response.headers.len(), 2);
    }

    #[test]
    fn given_a_length_when_made_end_to_end_then_gone_only_where_no_body_may_follow() {
        for (status, kept) in [(200, true), (204, false), (304, true)] {
            let mut response = response(status);
            response.insert_header("Content-Length", "5").unwrap();
            make_end_to_end(&mut response);
            assert_eq!(response.headers.contains_key("content-length"), kept, "{status}");
        }
    }

    fn response(status: u16) -> ResponseHeader {
        ResponseHeader::build(status, None).unwrap()
    }
}
