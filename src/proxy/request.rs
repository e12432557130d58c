//! Requests: what is asked about them, and what the upstream is told.

use std::net::IpAddr;

use http::{HeaderValue, Version, header};
use pingora::Result;
use pingora::http::RequestHeader;

use super::Snapshot;
use super::connection::Connection;
use crate::route::headers::{self, Peer, Received};
use crate::route::{self, Facts, HeaderEdits, Links, Original, Preset, Site, Stripped};

/// What `route` is asked about.
pub(super) fn facts<'a>(request: &'a RequestHeader, connection: &Connection, snapshot: &Snapshot) -> Facts<'a> {
    Facts {
        secure: connection.is_secure,
        client: client(request, connection, snapshot),
        method: &request.method,
        version: request.version,
        target: request.raw_path(),
        host: request_host(request),
        server_name_site: connection.site.as_deref().and_then(|name| snapshot.site_by_name(name)),
        has_authorization: request.headers.contains_key(header::AUTHORIZATION)
            || request.headers.contains_key(header::PROXY_AUTHORIZATION),
        has_cookie: request.headers.contains_key(header::COOKIE),
    }
}

/// Who asks, as far as those in front of us are believed.
pub(super) fn client(request: &RequestHeader, connection: &Connection, snapshot: &Snapshot) -> Option<IpAddr> {
    let lines = request.headers.get_all(FORWARDED_FOR).iter();
    // A line that is no text names nobody.
    let lines = lines.map(|line| line.to_str().unwrap_or("unknown"));
    route::believed_client(connection.peer.ip(), |address| snapshot.is_trusted(address), lines)
}

/// The `Host` that the upstream is to get instead of the client's: the configured one, or the site's where HTTP/1.0 named
/// none, since the request goes on in HTTP/1.1 (RFC 9112 §3.2).
pub(super) fn host_to_send<'a>(
    configured: Option<&'a str>,
    site: Option<&'a Site>,
    request: &RequestHeader,
) -> Option<&'a str> {
    if configured.is_some() {
        return configured;
    }
    let is_missing = request.headers.get(header::HOST).is_none_or(HeaderValue::is_empty);
    site.filter(|_| is_missing)?.first_domain()
}

/// Sends the target without the prefix of its route, and tells the upstream what is missing. A trusted proxy may have
/// taken something away before us.
pub(super) fn strip(stripped: &Stripped, request: &mut RequestHeader) -> Result<()> {
    let outer = request.headers.get(FORWARDED_PREFIX).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let prefix = format!("{}{}", outer.trim_end_matches('/'), stripped.prefix);
    request.insert_header(FORWARDED_PREFIX, prefix)?;
    request.set_raw_path(&stripped.target)
}

/// Sets and removes what the operator wants; what a client writes to look like it goes too.
pub(super) fn edit(edits: &HeaderEdits, request: &mut RequestHeader) -> Result<()> {
    let disguised: Vec<_> = request.headers.keys().filter(|name| edits.is_disguised(name)).cloned().collect();
    for name in edits.remove.iter().chain(&disguised) {
        request.remove_header(name);
    }
    edits.set.iter().try_for_each(|(name, value)| request.insert_header(name.clone(), value.clone()))
}

/// Replaces what the client says about itself by what we know of it. Gives whether it speaks TLS, to us or to a proxy that
/// we believe.
pub(super) fn tell_about(peer: Peer<'_>, request: &mut RequestHeader) -> Result<bool> {
    let doomed: Vec<_> =
        request.headers.keys().filter(|name| headers::is_stripped(name.as_str(), peer.trusted)).cloned().collect();
    for name in doomed {
        request.remove_header(&name);
    }
    // What is left of these comes from a trusted peer.
    let [addresses, proto, host, port] =
        [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PORT].map(|name| joined(request, name));
    let received =
        Received { for_: addresses.as_deref(), proto: proto.as_deref(), host: host.as_deref(), port: port.as_deref() };
    let told = headers::forwarding(&Peer { received, ..peer });
    request.insert_header(FORWARDED_FOR, told.for_)?;
    request.insert_header(FORWARDED_PROTO, told.proto.as_ref())?;
    request.insert_header(FORWARDED_PORT, told.port.as_ref())?;
    if let Some(host) = &told.host {
        request.insert_header(FORWARDED_HOST, host.as_ref())?;
    }
    Ok(told.proto.eq_ignore_ascii_case("https"))
}

/// Sets what applications look for that stood behind Microsoft's proxies.
pub(super) fn tell_as(preset: Preset, original: &Original<'_>, request: &mut RequestHeader) -> Result<()> {
    for (name, value) in preset.headers(original) {
        // A name in a certificate may hold what no header can; then the header is missing.
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.insert_header(name, value)?;
        }
    }
    Ok(())
}

/// Lets the upstream find the places that `Destination` and `If` of WebDAV name; what is no text is no URL of ours.
pub(super) fn lead_destination(request: &mut RequestHeader, links: &Links<'_>, is_tls: bool) -> Result<()> {
    let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let destination = text(DESTINATION).and_then(|destination| links.destination(destination, is_tls, host));
    let conditions = text(CONDITIONS).and_then(|conditions| links.conditions(conditions, is_tls, host));
    if let Some(better) = destination {
        request.insert_header(DESTINATION, better)?;
    }
    conditions.map_or(Ok(()), |better| request.insert_header(CONDITIONS, better))
}

/// Whether a request names a place beside its own, as WebDAV does.
pub(super) fn names_places(request: &RequestHeader) -> bool {
    [DESTINATION, CONDITIONS].into_iter().any(|name| request.headers.contains_key(name))
}

/// The trace that a request belongs to, when it says so soundly and once.
pub(super) fn trace_id(request: &RequestHeader) -> Option<&str> {
    let mut values = request.headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => route::trace_id(value.as_bytes()),
        _ => None,
    }
}

/// Passes a sound `traceparent` and its `tracestate` on unchanged, and takes away what nobody could go on with.
pub(super) fn keep_sound_trace(request: &mut RequestHeader) {
    if trace_id(request).is_none() {
        request.remove_header(TRACEPARENT);
        request.remove_header(TRACESTATE);
    }
}

fn joined(request: &RequestHeader, name: &str) -> Option<String> {
    let values: Vec<_> = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// HTTP/2 may split cookies over several fields; HTTP/1.1 servers expect one (RFC 9113 §8.2.3).
pub(super) fn join_cookies(request: &mut RequestHeader) -> Result<()> {
    let cookies: Vec<_> = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() < 2 {
        return Ok(());
    }
    let joined = cookies.join(&b"; "[..]);
    request.insert_header(header::COOKIE, joined)
}

/// Sends path and query only, whatever form the client used (RFC 9112 §3.2.1).
pub(super) fn to_origin_form(request: &mut RequestHeader) -> Result<()> {
    if request.raw_path().starts_with(b"/") {
        return Ok(());
    }
    let Ok(target) = route::Target::parse(request.raw_path()) else { return Ok(()) };
    let origin_form = target.origin_form().into_owned();
    request.set_raw_path(&origin_form)
}

/// `Host`, or what stands for it in HTTP/2 (RFC 9113 §8.3.1).
pub(super) fn request_host(request: &RequestHeader) -> Option<&str> {
    match request.headers.get(header::HOST) {
        Some(host) => Some(host.to_str().unwrap_or_default()),
        None if request.version == Version::HTTP_2 => request.uri.authority().map(http::uri::Authority::as_str),
        None => None,
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PREFIX: &str = "x-forwarded-prefix";
const DESTINATION: &str = "destination";
const CONDITIONS: &str = "if";
const FORWARDED_PORT: &str = "x-forwarded-port";
