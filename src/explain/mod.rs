//! What a request for a URL gets, told from the configuration alone.
//!
//! In: a [`Config`], its [`Shown`] form, a URL and a method. Out: an [`Explanation`], for people or as JSON. Imports
//! `config`, `route` and `tls`, and asks them what the traffic asks them: [`Routes::decide`] and [`Resolver::choose`].
//! Holds no rule of its own.
//!
//! Promises: opens no socket; says what a real request would get that has no credentials but the client
//! certificate that the site asks for, comes from an allowed address
//! and meets no limit.

mod client;
mod text;

use std::net::{IpAddr, Ipv4Addr};

use http::{Method, Uri, Version};
use serde::Serialize;

pub use self::client::ClientCertificate;
use crate::challenge::Challenges;
use crate::config::{Config, Shown, closest};
use crate::route::headers::{self, Peer, Received};
use crate::route::{
    self, Admission, AllowList, Decision, Facts, HeaderEdits, HostName, Original, Outcome, PathPrefix, Route, Routes,
    Settings, https_origin,
};
use crate::time::Timestamp;
use crate::tls::{Choice, Resolver};

/// What a request gets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explanation {
    /// As asked.
    pub method: String,
    /// As asked, with its scheme.
    pub url: String,
    /// The site that the host belongs to.
    pub site: Option<String>,
    /// Where the site stands, such as `portvakt.toml:3`.
    pub site_origin: Option<String>,
    /// The route, where the path was looked at.
    pub route: Option<String>,
    /// Over plain HTTP.
    pub http: Answer,
    /// Over TLS, with the client certificate that is asked for.
    pub https: Answer,
    /// Which that is; `None` where none is asked for.
    pub client_certificate: Option<ClientCertificate>,
    /// Headers of the request on its way to the upstream.
    pub request_headers: Headers,
    /// Headers of the answer on its way to the client, over TLS.
    pub response_headers: Headers,
    /// The settings that hold for this request.
    pub settings: Vec<Setting>,
    /// Every name that a site has; told where none has the host.
    pub names: Vec<String>,
    /// The name that was perhaps meant.
    pub meant: Option<String>,
}

/// What is done with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// It goes to an upstream.
    Forwarded {
        /// Its name.
        upstream: String,
        /// What the enforcement counts, over plain HTTP.
        action: Option<&'static str>,
    },
    /// The client is sent elsewhere.
    Redirected {
        /// The status.
        status: u16,
        /// `Location`.
        location: String,
        /// What the enforcement counts, over plain HTTP.
        action: Option<&'static str>,
    },
    /// We answer it.
    Refused {
        /// The status.
        status: u16,
        /// What the client is told.
        explanation: &'static str,
        /// What the enforcement counts, over plain HTTP.
        action: Option<&'static str>,
    },
    /// The TLS handshake ends with the alert `unrecognized_name`.
    HandshakeRefused,
    /// Nobody listens for it.
    #[default]
    NotListened,
}

/// What happens to headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Headers {
    /// Names, in lower case; `*` stands for any ending.
    pub removed: Vec<String>,
    /// `name: value`.
    pub set: Vec<String>,
    /// What else is done, in words.
    pub changed: Vec<String>,
}

/// A value of the configuration and where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// Such as `site[0].https.mode`.
    pub key: String,
    /// As TOML.
    pub value: String,
    /// Such as `default` or `portvakt.toml:3`.
    pub origin: String,
}

/// A URL that a client may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// Reads a URL; without a scheme it is `https://`.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when it is no `http` or `https` URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri: Uri = whole.parse().map_err(|_| UrlError(text.to_owned()))?;
        let is_known =
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
        let has_credentials = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if is_known && !has_credentials { Ok(Self(uri)) } else { Err(UrlError(text.to_owned())) }
    }

    fn authority(&self) -> &str {
        self.0.authority().map(http::uri::Authority::as_str).unwrap_or_default()
    }

    fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", |target| target.as_str())
    }

    fn ip(&self) -> Option<IpAddr> {
        self.0.host()?.trim_matches(['[', ']']).parse().ok()
    }
}

/// A text is no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the URL of a page; write it like `https://app.example.com/path`")]
pub struct UrlError(pub String);

/// Says what a request gets that carries no credentials.
///
/// # Errors
///
/// As [`Resolver::apply`].
pub fn explain(config: &Config, shown: &Shown, url: &Url, method: &Method) -> Result<Explanation, rustls::Error> {
    let routes = Routes::new(open_to_everybody(&config.route));
    let host = HostName::parse(url.authority()).ok();
    let plain = routes.decide(&facts(url, method, false, None));
    let secure = handshake(config, url, host.as_ref())?.map(|site| routes.decide(&facts(url, method, true, site)));
    let told = secure.as_ref().filter(|decision| decision.site.is_some()).unwrap_or(&plain);
    let site = told.site.and_then(|index| Some((index, config.route.sites.get(index)?)));
    let route = site.and_then(|(_, site)| site.routes.get(told.route?));
    let is_forwarded = |decision: &Decision| matches!(decision.outcome, Outcome::Forward { .. });
    let secure_forwarded = secure.as_ref().is_some_and(is_forwarded);
    let mut told = Explanation {
        method: method.to_string(),
        url: url.0.to_string(),
        route: route.map(|route| route.name.clone()),
        http: plain_answer(config, &routes, url, &plain),
        https: secure_answer(config, secure.as_ref()),
        ..Explanation::default()
    };
    if secure_forwarded || is_forwarded(&plain) {
        told.request_headers = request_headers(config, url, secure_forwarded);
        let forwarded = secure.as_ref().filter(|decision| is_forwarded(decision)).unwrap_or(&plain);
        if let Outcome::Forward { stripped: Some(stripped), .. } = &forwarded.outcome {
            told.request_headers.set.push(format!("x-forwarded-prefix: {}", stripped.prefix));
            told.request_headers.changed.push(format!("the path loses {} on its way", stripped.prefix));
        }
        if let Some(route) = route {
            told.request_headers.set.extend(preset_headers(config, url, secure_forwarded, route));
            add_edits(&mut told.request_headers, &route.request_headers);
        }
    }
    match site {
        Some((index, site)) => {
            told.site = Some(site.name.clone());
            told.site_origin = shown.origin(&format!("site[{index}]")).map(ToString::to_string);
            told.settings = settings(shown, index, route.map(|route| route.path.as_str()));
            if secure_forwarded {
                told.client_certificate = ClientCertificate::of(&site.client_certificates, url.target().as_bytes());
                told.response_headers = response_headers(config, &routes, index, route);
            }
        }
        None => {
            told.names =
                config.route.sites.iter().flat_map(|site| site.domains.iter().chain(&site.aliases).cloned()).collect();
            let meant = host.and_then(|host| closest(host.as_str(), told.names.iter().map(String::as_str)));
            told.meant = meant.map(str::to_owned);
        }
    }
    Ok(told)
}

fn plain_answer(config: &Config, routes: &Routes, url: &Url, decision: &Decision) -> Answer {
    if config.listen.http.is_empty() {
        return Answer::NotListened;
    }
    // Nobody shows a certificate without TLS, at any time.
    let (shown, now) = (route::Shown::Nothing, Timestamp::default());
    match routes.admission(decision, url.target().as_bytes(), shown, now) {
        Admission::Refused(why) => {
            let action = decision.action.map(|action| action.as_str());
            Answer::Refused { status: 403, explanation: why.explanation(), action }
        }
        Admission::Known | Admission::Unknown => answer(config, decision),
    }
}

fn secure_answer(config: &Config, decision: Option<&Decision>) -> Answer {
    match decision {
        _ if config.listen.https.is_empty() => Answer::NotListened,
        Some(decision) => answer(config, decision),
        None => Answer::HandshakeRefused,
    }
}

fn facts<'a>(url: &'a Url, method: &'a Method, secure: bool, server_name_site: Option<usize>) -> Facts<'a> {
    Facts {
        secure,
        client: None,
        method,
        version: Version::HTTP_11,
        target: url.target().as_bytes(),
        host: Some(url.authority()),
        server_name_site,
        has_authorization: false,
        has_cookie: false,
    }
}

/// The site of the handshake; `None` when it is refused. Clients send no address as server name (RFC 6066 §3).
fn handshake(config: &Config, url: &Url, host: Option<&HostName<'_>>) -> Result<Option<Option<usize>>, rustls::Error> {
    let resolver = Resolver::new(Challenges::default());
    resolver.apply(&config.tls)?;
    let server_name = host.map(HostName::as_str).filter(|_| url.ip().is_none());
    let local = url.ip().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Ok(match resolver.choose(server_name, false, local) {
        Some(Choice::Site(site)) => Some(config.route.sites.iter().position(|own| *own.name == *site.name())),
        Some(Choice::Challenge(_)) | None => None,
    })
}

fn answer(config: &Config, decision: &Decision) -> Answer {
    let action = decision.action.map(|action| action.as_str());
    match &decision.outcome {
        Outcome::Forward { upstream, .. } => {
            let upstream = config.upstreams.get(*upstream).map(|upstream| upstream.name.clone()).unwrap_or_default();
            Answer::Forwarded { upstream, action }
        }
        Outcome::Redirect { status, location } => {
            Answer::Redirected { status: status.as_u16(), location: location.clone(), action }
        }
        Outcome::Refuse(reason) => {
            Answer::Refused { status: reason.status().as_u16(), explanation: reason.explanation(), action }
        }
    }
}

fn request_headers(config: &Config, url: &Url, secure: bool) -> Headers {
    let told = headers::forwarding(&Peer {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        trusted: false,
        secure,
        host: Some(url.authority()),
        public_https_port: config.route.public_https_port,
        received: Received::default(),
    });
    let mut set = vec![
        "x-forwarded-for: <address of the client>".to_owned(),
        format!("x-forwarded-proto: {}", told.proto),
        format!("x-forwarded-port: {}", told.port),
    ];
    set.extend(told.host.map(|host| format!("x-forwarded-host: {host}")));
    let changed = match config.trusted_proxies.is_empty() {
        true => Vec::new(),
        false => vec!["from `trusted_proxies`, x-forwarded-* is kept and added to".to_owned()],
    };
    Headers { removed: headers::stripped(), set, changed }
}

fn response_headers(config: &Config, routes: &Routes, index: usize, route: Option<&Route>) -> Headers {
    let mut headers = Headers::default();
    let Some(site) = config.route.sites.get(index) else { return headers };
    headers.changed.push("the fields of the connection are removed (RFC 9110 §7.6.1)".to_owned());
    if let Some(hsts) = headers::hsts(site, true, true) {
        headers.set.push(format!("strict-transport-security: {hsts} (once a CA's certificate is served)"));
    }
    if let Some(domain) = site.domains.iter().find(|domain| !domain.starts_with("*."))
        && route.is_some_and(|route| route.answers.locations)
    {
        let better = https_origin(domain, config.route.public_https_port);
        headers.changed.push(format!("location: http://{domain}/... becomes {better}/..."));
    }
    let cookies = route.is_some_and(|route| route.answers.cookies);
    if cookies && routes.secure_cookie(index, b"a=b").is_some() {
        headers.changed.push("set-cookie: Secure is added".to_owned());
    }
    if let Some(route) = route {
        mended(&mut headers, config, route);
        if route.strip_prefix && cookies {
            let prefix = route.path.as_str().trim_end_matches('/');
            headers.changed.push(format!("location, set-cookie: {prefix} is put back before paths"));
        }
        add_edits(&mut headers, &route.response_headers);
    }
    headers
}

/// What the preset of the upstream sets.
fn preset_headers(config: &Config, url: &Url, is_https: bool, route: &Route) -> Vec<String> {
    let Some(preset) = config.upstreams.get(route.upstream).and_then(|upstream| upstream.preset) else {
        return Vec::new();
    };
    let original = Original {
        is_https,
        host: Some(url.authority()),
        target: url.target().as_bytes(),
        log_id: "<GUID of the request>",
        certificate: Some("<bits of key and cipher, issuer and subject of the certificate>"),
    };
    let line = |(name, value): (&str, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(&value));
    preset.headers(&original).into_iter().map(line).collect()
}

/// What else is mended in answers.
fn mended(headers: &mut Headers, config: &Config, route: &Route) {
    let answers = &route.answers;
    let own = config.upstreams.get(route.upstream).map(|upstream| upstream.origins()).unwrap_or_default();
    let inner: Vec<_> = own.iter().chain(&answers.origins).map(ToString::to_string).collect();
    if answers.locations && !inner.is_empty() {
        let from = inner.join(", ");
        headers.changed.push(format!("location, content-location, refresh: {from} becomes what the client asked"));
    }
    if answers.http_only {
        headers.changed.push("set-cookie: HttpOnly is added".to_owned());
    }
    if let Some(same_site) = answers.same_site {
        headers.changed.push(format!("set-cookie: SameSite={} is added where there is none", same_site.as_str()));
    }
    if answers.xml.is_some() {
        headers.changed.push("addresses in WSDL and DISCO documents are corrected likewise".to_owned());
    }
}

/// What the operator sets and removes; values are not told, since they may be secret.
fn add_edits(headers: &mut Headers, edits: &HeaderEdits) {
    headers.removed.extend(edits.remove.iter().map(ToString::to_string));
    headers.set.extend(edits.set.iter().map(|(name, _)| format!("{name}: <as configured>")));
}

/// The same settings with a client from nowhere allowed in.
fn open_to_everybody(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for site in &mut settings.sites {
        site.allow_from = AllowList::default();
        site.routes.iter_mut().for_each(|route| route.allow_from = AllowList::default());
    }
    settings
}

/// What holds for every site, for this one, and for its route.
fn settings(shown: &Shown, site: usize, path: Option<&str>) -> Vec<Setting> {
    let site = format!("site[{site}]");
    let routes = format!("{site}.route");
    let matched = path.and_then(|path| route_table(shown, &routes, path));
    let holds = |key: &str| match &matched {
        // The route's own upstream takes the place of the site's.
        Some(route) if key.starts_with(&routes) => key.starts_with(route.as_str()),
        Some(_) => !key.starts_with(&format!("{site}.upstream.")),
        None => !key.starts_with(&routes),
    };
    let all = ["limits", "acme", site.as_str()].into_iter().flat_map(|table| shown.settings(table));
    all.filter(|(key, _)| holds(key))
        .map(|(key, setting)| Setting { key, value: setting.toml.to_owned(), origin: setting.origin.to_string() })
        .collect()
}

/// The `[[site.route]]` with this path, such as `site[0].route[1]`.
fn route_table(shown: &Shown, routes: &str, path: &str) -> Option<String> {
    let tables = (0..).map(|index| format!("{routes}[{index}]"));
    let paths = tables.map_while(|table| {
        let (_, written) = shown.settings(&format!("{table}.path")).into_iter().next()?;
        Some((table, PathPrefix::parse(written.json.as_str()?).ok()?))
    });
    paths.into_iter().find(|(_, written)| written.as_str() == path).map(|(table, _)| table)
}

#[cfg(test)]
mod tests;
