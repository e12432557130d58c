//! A GET, and the redirects that follow from it on the same host.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::sight::{End, Hop, Trouble, Walk};
use super::tls;
use crate::causes::with_causes;

/// Where requests go: always to the address that was looked at.
pub(super) struct Way<'a> {
    pub(super) host: &'a str,
    pub(super) address: IpAddr,
}

/// What an answer says, without its body.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

impl Way<'_> {
    /// Follows redirects until an answer, another host, or a place where it was before with the same cookies.
    pub(super) async fn walk(&self, start: String) -> Walk {
        let (mut hops, mut url) = (Vec::new(), start);
        let (mut cookies, mut visited) = (BTreeMap::new(), Vec::new());
        let end = loop {
            let place = (url.clone(), cookies.clone());
            if visited.contains(&place) || hops.len() == MOST_HOPS {
                break End::Loop;
            }
            visited.push(place);
            let Some(uri) = url.parse::<Uri>().ok().filter(|uri| self.is_ours(uri)) else { break End::Elsewhere };
            let answer = match tokio::time::timeout(EXCHANGE, self.get(&uri, &cookies)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(Trouble::Refused)) if hops.is_empty() => break End::Refused,
                Ok(Err(trouble)) => break End::Failed(trouble.detail()),
                Err(_elapsed) => break End::Failed("no answer in time".to_owned()),
            };
            keep_cookies(&mut cookies, &answer.headers);
            let location = location(&uri, &answer);
            hops.push(Hop {
                url,
                status: answer.status.as_u16(),
                location: location.clone(),
                hsts: text(&answer.headers, &header::STRICT_TRANSPORT_SECURITY),
                open_cookies: open_cookies(&answer.headers),
                asks: asks(&answer.headers),
            });
            if location.is_empty() {
                break End::Answered;
            }
            url = location;
        };
        Walk { hops, end }
    }

    fn is_ours(&self, uri: &Uri) -> bool {
        uri.host()
            .is_some_and(|host| host.trim_matches(['[', ']']).trim_end_matches('.').eq_ignore_ascii_case(self.host))
    }

    async fn get(&self, uri: &Uri, cookies: &BTreeMap<String, String>) -> Result<Answer, Trouble> {
        let is_secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let address = SocketAddr::new(self.address, port);
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(target)
            .header(header::HOST, uri.authority().map(http::uri::Authority::as_str).unwrap_or_default())
            .header(header::USER_AGENT, concat!("portvakt/", env!("CARGO_PKG_VERSION"), " (doctor)"))
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close");
        if !cookies.is_empty() {
            let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request.body(Empty::new()).map_err(|error| Trouble::Broken(error.to_string()))?;
        match is_secure {
            true => exchange(tls::connect_for_requests(self.host, address).await?, request).await,
            false => exchange(tls::connect(address).await?, request).await,
        }
    }
}

/// Sends the request, and reads the answer's head.
async fn exchange<S>(stream: S, request: Request<Empty<&'static [u8]>>) -> Result<Answer, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Trouble::Broken(with_causes(&error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    // The body is of no interest, however long it is.
    driver.abort();
    let (parts, _) = answer.map_err(broken)?.into_parts();
    Ok(Answer { status: parts.status, headers: parts.headers })
}

/// Where the answer leads, as a whole URL without its fragment; empty when nowhere.
fn location(uri: &Uri, answer: &Answer) -> String {
    if !answer.status.is_redirection() {
        return String::new();
    }
    let location = text(&answer.headers, &header::LOCATION);
    let location = location.split('#').next().unwrap_or_default();
    if location.is_empty() || location.len() > LONGEST_URL {
        return String::new();
    }
    let (scheme, authority) = (uri.scheme_str().unwrap_or("https"), uri.authority().map_or("", |it| it.as_str()));
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}");
    }
    if location.contains("://") {
        // A path is there even where it is not written (RFC 3986 §6.2.3).
        let has_path = location.splitn(4, '/').count() > 3;
        return if has_path { location.to_owned() } else { format!("{location}/") };
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{authority}{folder}/{location}")
}

/// Servers that set a cookie and send back to the same page are no loop.
fn keep_cookies(cookies: &mut BTreeMap<String, String>, headers: &HeaderMap) {
    for value in headers.get_all(header::SET_COOKIE) {
        let pair = value.to_str().ok().and_then(|value| value.split(';').next()?.split_once('='));
        if let Some((name, value)) = pair.filter(|_| cookies.len() < MOST_COOKIES) {
            cookies.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
}

/// Names of the cookies that browsers send in clear too.
fn open_cookies(headers: &HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let open =
        cookies.filter(|cookie| !cookie.split(';').skip(1).any(|part| part.trim().eq_ignore_ascii_case("secure")));
    let names = open.filter_map(|cookie| Some(cookie.split(';').next()?.split_once('=')?.0.trim().to_owned()));
    names.filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME).take(MOST_COOKIES).collect()
}

/// Schemes that the answer asks for, one for each field: what else stands in it may be parameters.
fn asks(headers: &HeaderMap) -> Vec<String> {
    let fields = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let schemes = fields.filter_map(|field| field.split([' ', ',']).next()).filter(|scheme| !scheme.is_empty());
    schemes.filter(|scheme| scheme.len() <= LONGEST_NAME).take(MOST_COOKIES).map(str::to_owned).collect()
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_owned()
}

const EXCHANGE: Duration = Duration::from_secs(20);
/// As browsers, which give up after twenty.
const MOST_HOPS: usize = 20;
const MOST_COOKIES: usize = 32;
const LONGEST_URL: usize = 2048;
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn given_any_form_of_location_when_read_then_a_whole_url() {
        let uri: Uri = "https://a.example:8443/x/y?q".parse().unwrap();
        #[rustfmt::skip]
        let table = [
            ("/z", "https://a.example:8443/z"),
            ("z", "https://a.example:8443/x/z"),
            ("//b.example/z", "https://b.example/z"),
            ("http://b.example", "http://b.example/"),
            ("http://b.example/z#part", "http://b.example/z"),
            ("", ""),
        ];
        for (value, expected) in table {
            let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(location(&uri, &Answer { status: StatusCode::FOUND, headers }), expected, "{value}");
        }
    }

    #[test]
    fn given_cookies_and_challenges_when_read_then_those_without_secure_and_each_scheme() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1; Path=/; Secure", "b=2; HttpOnly", "c=secure", "d=4;secure", "=5", "e"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        for field in ["Negotiate", "NTLM", "Basic realm=\"NTLM\""] {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(field));
        }
        assert_eq!(open_cookies(&headers), ["b", "c"]);
        assert_eq!(asks(&headers), ["Negotiate", "NTLM", "Basic"]);
    }

    #[test]
    fn given_a_location_without_a_redirect_when_read_then_none() {
        let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static("/new"))]);
        let uri = "https://a.example/".parse().unwrap();
        assert_eq!(location(&uri, &Answer { status: StatusCode::CREATED, headers }), "");
    }
}
