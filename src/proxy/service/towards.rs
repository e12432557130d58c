//! The request as the upstream gets it.

use std::borrow::Cow;

use http::header;
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::super::describe::Description;
use super::super::log_id::LogId;
use super::super::request::{
    self, host_to_send, join_cookies, keep_sound_trace, lead_destination, request_host, tell_about, tell_as,
    to_origin_form,
};
use super::super::{Snapshot, certificate};
use super::{Context, Service};
use crate::route::headers::{Peer, Received};
use crate::route::{self, Original, Preset};
use crate::tls::Proof;

impl Service {
    /// Says who asks and how, leaves out what clients must not say, and asks as the configuration wants it.
    pub(super) fn address(&self, session: &Session, request: &mut RequestHeader, ctx: &mut Context) -> Result<()> {
        let (Some(target), Some(connection)) = (&ctx.target, &ctx.connection) else { return Ok(()) };
        let client = connection.peer.ip().to_canonical();
        let peer = Peer {
            address: client,
            trusted: ctx.snapshot.is_trusted(client),
            secure: connection.is_secure,
            host: request_host(session.req_header()),
            public_https_port: ctx.snapshot.routes().settings().public_https_port,
            received: Received::default(),
        };
        let is_https = tell_about(peer, request)?;
        if let Some(preset) = target.upstream.settings().preset {
            let id = (preset == Preset::Arr).then(|| *ctx.log_id.get_or_insert_with(LogId::random));
            let certificate = id.and_then(|_| self.shown_certificate(session, &ctx.snapshot, target.site));
            let whole = session.req_header().raw_path();
            let original = Original {
                is_https,
                host: peer.host,
                target: &route::Target::parse(whole).map_or(Cow::Borrowed(whole), |target| target.origin_form()),
                log_id: &id.map(|id| id.to_string()).unwrap_or_default(),
                certificate: certificate.as_deref(),
            };
            tell_as(preset, &original, request)?;
        }
        keep_sound_trace(request);
        join_cookies(request)?;
        if let Some(site) = ctx.snapshot.site(target.site) {
            let proven = connection.proof().and_then(Proof::certificate).filter(|_| ctx.is_known);
            certificate::hand_on(&site.client_certificates, ctx.snapshot.proofs(), proven, request)?;
        }
        let configured = target.upstream.settings().host.as_deref();
        if let Some(host) = host_to_send(configured, ctx.snapshot.site(target.site), request) {
            request.insert_header(header::HOST, host)?;
        }
        if request::names_places(request)
            && let Some(links) = ctx.links(session.req_header())
        {
            lead_destination(request, &links, !target.is_plain())?;
        }
        match &target.stripped {
            Some(stripped) => request::strip(stripped, request)?,
            None => to_origin_form(request)?,
        }
        if let Some(limit) = ctx.answers().and_then(|answers| answers.xml) {
            ctx.description = Description::ask(limit, request)?;
        }
        match ctx.snapshot.route(target.site, target.route) {
            Some(route) => request::edit(&route.request_headers, request),
            None => Ok(()),
        }
    }

    /// What `X-ARR-SSL` says of the certificate that the client was shown; `None` where a proxy in front of us has its own.
    fn shown_certificate(&self, session: &Session, snapshot: &Snapshot, site: usize) -> Option<String> {
        let cipher = &session.digest()?.ssl_digest.as_ref()?.cipher;
        let shown = self.resolver.shown(&snapshot.site(site)?.name)?;
        let cipher_bits = if cipher.contains("AES_128") { 128 } else { 256 };
        Some(format!("{}|{cipher_bits}|{}|{}", shown.key_bits, shown.issuer, shown.subject))
    }
}
