//! Request facts to decision.

use http::{Method, Version};

use super::decision::{Action, Decision, Facts, Outcome, Reason};
use super::host::HostTable;
use super::redirect::{https_origin, push_escaped, status};
use super::report::{Would, place};
use super::{
    CanonicalPath, HostName, Mode, Observed, PathError, PathPrefix, PlainPolicy, RedirectMethods, Settings, Site,
    Stripped, Target,
};

/// Settings prepared for decisions: built once for each configuration, asked by every request.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    settings: Settings,
    hosts: HostTable,
    default_site: Option<usize>,
    orders: Vec<Orders>,
}

/// Indexes into the rules of one site, longest prefix first.
#[derive(Clone, Debug)]
struct Orders {
    routes: Vec<usize>,
    policies: Vec<usize>,
}

impl Routes {
    /// Prepares settings. Their order of paths does not matter; the longest prefix wins.
    pub fn new(settings: Settings) -> Self {
        let only = (settings.sites.len() == 1).then_some(0);
        let orders = settings.sites.iter().map(|site| Orders {
            routes: longest_first(site.routes.iter().map(|route| &route.path)),
            policies: longest_first(site.https.paths.iter().map(|(path, _)| path)),
        });
        Self {
            hosts: HostTable::new(&settings),
            default_site: settings.sites.iter().position(|site| site.is_default).or(only),
            orders: orders.collect(),
            settings,
        }
    }

    /// The settings it was built from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The site that a host belongs to.
    pub fn site(&self, host: &HostName<'_>) -> Option<usize> {
        self.hosts.site(host)
    }

    /// Decides about a request. Challenges come before: [`challenge_token`].
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        self.addressed(facts)
            .and_then(|addressed| self.decide_in_site(facts, &addressed))
            .unwrap_or_else(Decision::from)
    }

    /// What would have been done with a request over plain HTTP that a site in `observe` has served; `None` where nothing.
    pub fn observed(&self, facts: &Facts<'_>) -> Option<Observed> {
        let to = self.addressed(facts).ok().filter(|_| !facts.secure)?;
        let site = &self.settings.sites[to.site];
        let path = CanonicalPath::parse(if to.target.is_asterisk() { b"/" } else { to.target.path() }).ok()?;
        let route = self.route(to.site, &path).filter(|_| site.https.mode == Mode::Observe)?;
        let policy = self.policy(to.site, &path);
        let would = match (judge(facts, site, policy, to.target.is_asterisk()), policy.policy) {
            (Verdict::Allow, _) => return None,
            (Verdict::Redirect, _) => Would::Redirect,
            (Verdict::Block, _) => Would::RefuseCredentials,
            (Verdict::Reject, PlainPolicy::Reject) => Would::RefusePath,
            (Verdict::Reject, _) => Would::RefuseMethod,
        };
        Some(Observed { site: site.name.clone(), place: place(policy.rule, &site.routes[route].path, &path), would })
    }

    /// Finds out which site is meant.
    fn addressed<'a>(&self, facts: &Facts<'a>) -> Result<Addressed<'a>, Refusal> {
        if is_refused_method(facts.method) {
            return Err(Reason::Method.into());
        }
        let target = Target::parse(facts.target).map_err(Reason::Path)?;
        if target.is_asterisk() && facts.method != Method::OPTIONS {
            return Err(Reason::Path(PathError::NotAbsolute).into());
        }
        let host = named_host(facts, &target)?;
        let owner = host.as_ref().and_then(|host| self.hosts.owner(host));
        let site = match &host {
            Some(_) => owner.map(|owner| owner.site),
            None => facts.server_name_site.or(self.default_site),
        };
        let is_alias = owner.is_some_and(|owner| owner.is_alias);
        let misdirected = facts.secure && facts.server_name_site.is_some_and(|chosen| Some(chosen) != site);
        match site {
            Some(site) if !misdirected => Ok(Addressed { target, host, is_alias, site }),
            _ if facts.secure => Err(Reason::Misdirected.into()),
            _ => Err(Reason::HostUnknown.into()),
        }
    }

    fn decide_in_site(&self, facts: &Facts<'_>, to: &Addressed<'_>) -> Result<Decision, Refusal> {
        let site = &self.settings.sites[to.site];
        let refuse = |reason| Refusal { site: Some(to.site), reason };
        let path = if to.target.is_asterisk() { b"/" } else { to.target.path() };
        let path = CanonicalPath::parse(path).map_err(|error| refuse(Reason::Path(error)))?;
        if site.redirect_to.is_some() {
            return Ok(self.decide_elsewhere(facts, to, &path));
        }
        let route = self.route(to.site, &path).ok_or_else(|| refuse(Reason::NoRoute))?;
        let decision = |action, outcome| Decision { site: Some(to.site), route: Some(route), action, outcome };
        if !self.admits(to.site, route, &path, facts) {
            return Ok(decision(None, Outcome::Refuse(Reason::Address)));
        }
        let (action, outcome) = match facts.secure {
            true => (None, to.is_alias.then(|| self.redirect_or_refuse(facts.method, to))),
            false => self.enforce(facts, to, &path),
        };
        let outcome = outcome.unwrap_or_else(|| self.forward(to, route, &path));
        Ok(decision(action, outcome))
    }

    /// What a site gives that has nothing but a place to send its clients to.
    fn decide_elsewhere(&self, facts: &Facts<'_>, to: &Addressed<'_>, path: &CanonicalPath<'_>) -> Decision {
        let (action, outcome) = match facts.secure {
            _ if !self.settings.sites[to.site].allow_from.admits(facts.client) => {
                (None, Some(Outcome::Refuse(Reason::Address)))
            }
            true => (None, None),
            false => self.enforce(facts, to, path),
        };
        let outcome = outcome.unwrap_or_else(|| self.redirect_or_refuse(facts.method, to));
        Decision { site: Some(to.site), route: Some(0), action, outcome }
    }

    fn forward(&self, to: &Addressed<'_>, route: usize, path: &CanonicalPath<'_>) -> Outcome {
        let route = &self.settings.sites[to.site].routes[route];
        let upstream = route.upstream;
        if !route.strip_prefix || to.target.is_asterisk() {
            return Outcome::Forward { upstream, stripped: None };
        }
        match Stripped::new(&to.target, path, &route.path) {
            Ok(stripped) => Outcome::Forward { upstream, stripped: Some(Box::new(stripped)) },
            Err(error) => Outcome::Refuse(Reason::Path(error)),
        }
    }

    fn route(&self, site: usize, path: &CanonicalPath<'_>) -> Option<usize> {
        let routes = &self.settings.sites[site].routes;
        self.orders[site].routes.iter().copied().find(|&route| path.is_below(&routes[route].path))
    }

    /// Whether the client may come: by the rule of its route, and of every route that a Windows file system could find the
    /// path below.
    fn admits(&self, site: usize, route: usize, path: &CanonicalPath<'_>, facts: &Facts<'_>) -> bool {
        let routes = &self.settings.sites[site].routes;
        let is_disguised = |prefix| path.may_be_short_for(prefix) && !path.is_below(prefix);
        routes[route].allow_from.admits(facts.client)
            && routes.iter().all(|other| other.allow_from.admits(facts.client) || !is_disguised(&other.path))
    }

    /// What plain HTTP gets: an action, and an outcome unless it is forwarded.
    fn enforce(
        &self,
        facts: &Facts<'_>,
        to: &Addressed<'_>,
        path: &CanonicalPath<'_>,
    ) -> (Option<Action>, Option<Outcome>) {
        let site = &self.settings.sites[to.site];
        let verdict = judge(facts, site, self.policy(to.site, path), to.target.is_asterisk());
        // A site without a server of its own has nothing to serve while it is observed.
        let is_observed = site.https.mode == Mode::Observe && site.redirect_to.is_none();
        let leads_away = to.is_alias || site.redirect_to.is_some();
        let refuse = |reason| Some(Outcome::Refuse(reason));
        let (action, outcome) = match verdict {
            Verdict::Redirect if is_observed => (Action::WouldRedirect, None),
            Verdict::Reject | Verdict::Block if is_observed => (Action::WouldReject, None),
            Verdict::Allow if is_observed || !leads_away => (Action::Allowed, None),
            Verdict::Allow | Verdict::Redirect => match self.redirect(facts.method, to) {
                Some(redirect) => (Action::Redirected, Some(redirect)),
                None => (Action::Rejected, refuse(Reason::HostMissing)),
            },
            Verdict::Reject => (Action::Rejected, refuse(Reason::PlainHttp)),
            Verdict::Block => (Action::CredentialBlocked, refuse(Reason::Credentials)),
        };
        (Some(action), outcome)
    }

    /// Whether plain HTTP is let through to `path` or to something below it; a path that has no single meaning counts as
    /// reached.
    pub(super) fn is_plain_reachable_below(&self, site: usize, path: &[u8]) -> bool {
        let https = &self.settings.sites[site].https;
        let (Ok(canonical), Ok(prefix)) = (CanonicalPath::parse(path), PathPrefix::from_bytes(path)) else {
            return true;
        };
        https.mode == Mode::Observe
            || self.policy(site, &canonical).policy == PlainPolicy::Allow
            || https
                .paths
                .iter()
                .any(|(below, policy)| *policy == PlainPolicy::Allow && below.as_str().starts_with(prefix.as_str()))
    }

    /// The longest rule that holds, else `rest`.
    ///
    /// # Why
    ///
    /// `allow` opens something up, so a path has to be spelled as the rule is; any other spelling gets what would hold
    /// without the rule. What closes something holds for every spelling, 8.3 names among them.
    fn policy(&self, site: usize, path: &CanonicalPath<'_>) -> Policy<'_> {
        let https = &self.settings.sites[site].https;
        let holds = |&&(ref prefix, policy): &&(PathPrefix, PlainPolicy)| match policy {
            PlainPolicy::Allow => path.is_verbatim() && path.is_below(prefix),
            PlainPolicy::Redirect | PlainPolicy::Reject => path.may_be_below(prefix),
        };
        let mut rules = self.orders[site].policies.iter().map(|&rule| &https.paths[rule]);
        match rules.find(holds) {
            Some((prefix, policy)) => Policy { policy: *policy, rule: Some(prefix) },
            None => Policy { policy: https.rest, rule: None },
        }
    }

    fn redirect_or_refuse(&self, method: &Method, to: &Addressed<'_>) -> Outcome {
        self.redirect(method, to).unwrap_or(Outcome::Refuse(Reason::NoRoute))
    }

    /// The same place over HTTPS, on the host that the one asked for stands for; `None` where no host is known, and for
    /// `OPTIONS *`, which asks for no place.
    fn redirect(&self, method: &Method, to: &Addressed<'_>) -> Option<Outcome> {
        let site = &self.settings.sites[to.site];
        let port = self.settings.public_https_port;
        let mut location = match (&site.redirect_to, &to.host) {
            _ if to.target.is_asterisk() => return None,
            (Some(destination), _) => destination.as_str().to_owned(),
            (None, Some(host)) if !to.is_alias => https_origin(&host.in_url(), port),
            (None, _) => https_origin(site.first_domain()?, port),
        };
        push_escaped(&mut location, &to.target.origin_form());
        Some(Outcome::Redirect { status: status(site.https.mode, method), location })
    }
}

/// The token of an `http-01` challenge that the request asks for (RFC 8555 §8.3).
///
/// Asked before [`Routes::decide`], for any host, over plain HTTP and TLS. Where the token is not pending, the request is
/// an ordinary one: the upstream may have an ACME client of its own.
pub fn challenge_token<'a>(method: &Method, target: &'a [u8]) -> Option<&'a str> {
    if !is_safe(method) {
        return None;
    }
    let token = Target::parse(target).ok()?.path().strip_prefix(CHALLENGE_PATH)?;
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_token = !token.is_empty() && token.len() <= LONGEST_TOKEN && token.iter().all(is_base64url);
    std::str::from_utf8(token).ok().filter(|_| is_token)
}

/// A request whose site is known.
struct Addressed<'a> {
    target: Target<'a>,
    /// `None`: HTTP/1.0 without `Host`.
    host: Option<HostName<'a>>,
    /// The host is one of the site's aliases.
    is_alias: bool,
    site: usize,
}

struct Refusal {
    site: Option<usize>,
    reason: Reason,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { site: None, reason }
    }
}

impl From<Refusal> for Decision {
    fn from(Refusal { site, reason }: Refusal) -> Self {
        Self { site, route: None, action: None, outcome: Outcome::Refuse(reason) }
    }
}

#[derive(Clone, Copy)]
struct Policy<'a> {
    policy: PlainPolicy,
    /// The path that the operator wrote down for it.
    rule: Option<&'a PathPrefix>,
}

/// What a request over plain HTTP deserves, before `observe` is looked at.
enum Verdict {
    Allow,
    Redirect,
    Reject,
    Block,
}

fn judge(facts: &Facts<'_>, site: &Site, Policy { policy, rule }: Policy<'_>, is_asterisk: bool) -> Verdict {
    let shows_credentials = facts.has_authorization || (facts.has_cookie && rule.is_some());
    let may_redirect = match site.https.redirect_methods {
        RedirectMethods::Safe => is_safe(facts.method),
        RedirectMethods::All => !is_asterisk,
    };
    match policy {
        PlainPolicy::Allow => Verdict::Allow,
        PlainPolicy::Redirect | PlainPolicy::Reject if shows_credentials => Verdict::Block,
        PlainPolicy::Redirect if may_redirect => Verdict::Redirect,
        PlainPolicy::Redirect | PlainPolicy::Reject => Verdict::Reject,
    }
}

/// The host that the request names: the target's authority, else `Host`; both must agree.
fn named_host<'a>(facts: &Facts<'a>, target: &Target<'a>) -> Result<Option<HostName<'a>>, Reason> {
    let parse = |text| HostName::parse(text).map_err(|_| Reason::HostMalformed);
    let header = facts.host.map(parse).transpose()?;
    let authority =
        target.authority().map(|raw| std::str::from_utf8(raw).map_err(|_| Reason::HostMalformed).and_then(parse));
    match (authority.transpose()?, header) {
        (Some(authority), Some(header)) if authority.as_str() != header.as_str() => Err(Reason::HostDiffers),
        (_, None) if facts.version == Version::HTTP_11 => Err(Reason::HostMissing),
        (None, None) if facts.version > Version::HTTP_11 => Err(Reason::HostMissing),
        (authority, header) => Ok(authority.or(header)),
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_refused_method(method: &Method) -> bool {
    matches!(*method, Method::CONNECT | Method::TRACE) || method.as_str() == "TRACK"
}

fn longest_first<'a>(prefixes: impl Iterator<Item = &'a PathPrefix>) -> Vec<usize> {
    let mut order: Vec<_> = prefixes.map(|prefix| prefix.as_str().len()).enumerate().collect();
    order.sort_by_key(|&(_, length)| std::cmp::Reverse(length));
    order.into_iter().map(|(index, _)| index).collect()
}

const CHALLENGE_PATH: &[u8] = b"/.well-known/acme-challenge/";

/// Far over what any CA sends; tokens have at least 128 bits (RFC 8555 §8.3).
const LONGEST_TOKEN: usize = 256;

#[cfg(test)]
pub(super) mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::route::{AllowList, Destination, Enforcement, Route};

    fn prefix(path: &str) -> PathPrefix {
        PathPrefix::parse(path).expect(path)
    }

    /// `m5.test` as in the issue: `rest = "redirect"`, `/M5UserAPI/` rejected, `/public/` allowed.
    pub(in crate::route) fn site() -> Site {
        let route =
            |path, upstream| Route { name: format!("m5:{path}"), path: prefix(path), upstream, ..Route::default() };
        Site {
            name: "m5".to_owned(),
            domains: vec!["m5.test".to_owned(), "*.wild.test".to_owned(), "::1".to_owned()],
            https: Enforcement {
                mode: Mode::Permanent,
                rest: PlainPolicy::Redirect,
                paths: vec![(prefix("/M5UserAPI/"), PlainPolicy::Reject), (prefix("/listed/"), PlainPolicy::Redirect)],
                redirect_methods: RedirectMethods::Safe,
            },
            routes: vec![route("/", 7), route("/api/", 8), route("/api/v2/", 9)],
            ..Site::default()
        }
    }

    /// [`site`] and a second one, `other.test`.
    pub(in crate::route) fn settings() -> Settings {
        let other = Site { name: "other".to_owned(), domains: vec!["other.test".to_owned()], ..site() };
        Settings { sites: vec![site(), other], public_https_port: 443, ..Settings::default() }
    }

    fn with_public_path() -> Settings {
        let mut settings = settings();
        settings.sites[0].https.paths.push((prefix("/public/"), PlainPolicy::Allow));
        settings
    }

    /// The RCO case: one path closed, the rest as it was.
    fn rco() -> Settings {
        let mut settings = settings();
        settings.sites[0].https.rest = PlainPolicy::Allow;
        settings
    }

    fn plain(target: &str) -> Facts<'_> {
        Facts {
            secure: false,
            client: Some(IpAddr::from([192, 0, 2, 7])),
            method: &Method::GET,
            version: Version::HTTP_11,
            target: target.as_bytes(),
            host: Some("m5.test"),
            server_name_site: None,
            has_authorization: false,
            has_cookie: false,
        }
    }

    fn secure(target: &str) -> Facts<'_> {
        Facts { secure: true, server_name_site: Some(0), ..plain(target) }
    }

    /// A decision in one line: `301 https://… redirected`, `403 PlainHttp rejected`, `-> 7 allowed`.
    fn told(settings: Settings, facts: &Facts<'_>) -> String {
        let decision = Routes::new(settings).decide(facts);
        let action = decision.action.map(|action| format!(" {}", action.as_str())).unwrap_or_default();
        match decision.outcome {
            Outcome::Forward { upstream, stripped: None } => format!("-> {upstream}{action}"),
            Outcome::Forward { upstream, stripped: Some(stripped) } => {
                format!("-> {upstream} {}{action}", String::from_utf8_lossy(&stripped.target))
            }
            Outcome::Redirect { status, location } => format!("{} {location}{action}", status.as_u16()),
            Outcome::Refuse(reason) => format!("{} {reason:?}{action}", reason.status().as_u16()),
        }
    }

    #[test]
    fn given_every_spelling_of_a_rejected_path_when_plain_then_403() {
        #[rustfmt::skip]
        let vectors = [
            "/M5UserAPI", "/m5userapi/", "/M5USERAPI/x", "/%4D5UserAPI/x", "/a/../M5UserAPI/x", "//M5UserAPI/x", "/\\M5UserAPI/x",
            "/M5UserAPI%2Fx", "/M5UserAPI./x", "/(S(abc))/M5UserAPI/x", "/M5UserAPI;x", "http://m5.test/M5UserAPI", "/M5User~1/x",
        ];
        for settings in [settings(), with_public_path(), rco()] {
            for vector in vectors {
                assert_eq!(told(settings.clone(), &plain(vector)), "403 PlainHttp rejected", "{vector}");
            }
        }
        assert_eq!(told(rco(), &plain("/M5UserAPI2/x")), "-> 7 allowed");
        assert_eq!(told(settings(), &plain("/M5UserAPI2/x")), "301 https://m5.test/M5UserAPI2/x redirected");
    }

    #[test]
    fn given_one_fact_changed_when_plain_then_its_answer() {
        let base = || plain("/x");
        #[rustfmt::skip]
        let table = [
            ("a GET",                base(),                                               "301 https://m5.test/x redirected"),
            ("a HEAD",               Facts { method: &Method::HEAD, ..base() },            "301 https://m5.test/x redirected"),
            ("a POST",               Facts { method: &Method::POST, ..base() },            "403 PlainHttp rejected"),
            ("OPTIONS *",            Facts { method: &Method::OPTIONS, ..plain("*") },     "403 PlainHttp rejected"),
            ("GET *",                plain("*"),                                           "400 Path(NotAbsolute)"),
            ("an authorization",     Facts { has_authorization: true, ..base() },          "403 Credentials credential_blocked"),
            ("a cookie",             Facts { has_cookie: true, ..base() },                 "301 https://m5.test/x redirected"),
            ("a POST with a cookie", Facts { method: &Method::POST, has_cookie: true, ..base() }, "403 PlainHttp rejected"),
            ("a listed path",        plain("/listed/x"),                                   "301 https://m5.test/listed/x redirected"),
            ("a cookie, listed",     Facts { has_cookie: true, ..plain("/listed/x") },     "403 Credentials credential_blocked"),
            ("a cookie, rejected",   Facts { has_cookie: true, ..plain("/M5UserAPI") },    "403 Credentials credential_blocked"),
            ("CONNECT",              Facts { method: &Method::CONNECT, ..plain("m5.test:443") }, "405 Method"),
            ("TRACE",                Facts { method: &Method::TRACE, ..base() },           "405 Method"),
            ("HTTP/1.0",             Facts { version: Version::HTTP_10, ..base() },        "301 https://m5.test/x redirected"),
            ("no host",              Facts { host: None, ..base() },                       "400 HostMissing"),
            ("no host, HTTP/2",      Facts { host: None, version: Version::HTTP_2, ..base() }, "400 HostMissing"),
            ("no host, HTTP/1.0",    Facts { host: None, version: Version::HTTP_10, ..base() }, "404 HostUnknown"),
            ("a foreign host",       Facts { host: Some("evil.test"), ..base() },          "404 HostUnknown"),
            ("a broken host",        Facts { host: Some("a@m5.test"), ..base() },          "400 HostMalformed"),
            ("an empty host",        Facts { host: Some(""), ..base() },                   "400 HostMalformed"),
            ("a port",               Facts { host: Some("M5.test.:5002"), ..base() },      "301 https://m5.test/x redirected"),
            ("a wildcard host",      Facts { host: Some("a.wild.test"), ..base() },        "301 https://a.wild.test/x redirected"),
            ("two labels",           Facts { host: Some("b.a.wild.test"), ..base() },      "404 HostUnknown"),
            ("an IPv6 host",         Facts { host: Some("[::1]:5002"), ..base() },         "301 https://[::1]/x redirected"),
            ("absolute-form",        plain("http://m5.test/x?y"),                          "301 https://m5.test/x?y redirected"),
            ("absolute-form, port",  plain("http://M5.TEST:80/x"),                         "301 https://m5.test/x redirected"),
            ("absolute, empty path", plain("http://m5.test?y"),                            "301 https://m5.test/?y redirected"),
            ("two hosts",            plain("http://other.test/x"),                         "400 HostDiffers"),
            ("userinfo",             plain("http://a@m5.test/x"),                          "400 HostMalformed"),
            ("absolute, no Host",    Facts { host: None, ..plain("http://m5.test/x") },    "400 HostMissing"),
            ("absolute, 1.0",        Facts { host: None, version: Version::HTTP_10, ..plain("http://m5.test/x") }, "301 https://m5.test/x redirected"),
            ("a double escape",      plain("/%2541"),                                      "400 Path(DoubleEscape)"),
            ("a NUL",                plain("/%00"),                                        "400 Path(Control)"),
        ];
        for (what, facts, expected) in table {
            assert_eq!(told(settings(), &facts), expected, "{what}");
        }
    }

    #[test]
    fn given_one_setting_changed_when_plain_then_its_answer() {
        type Change = fn(&mut Settings);
        let get = plain("/x");
        let post = Facts { method: &Method::POST, ..get };
        let rejected = plain("/M5UserAPI/x");
        let authorized = Facts { has_authorization: true, ..get };
        #[rustfmt::skip]
        let table: [(&str, Facts<'_>, Change, &str); 18] = [
            ("temporary",            get,        |s| s.sites[0].https.mode = Mode::Temporary,             "302 https://m5.test/x redirected"),
            ("observe",              get,        |s| s.sites[0].https.mode = Mode::Observe,               "-> 7 would_redirect"),
            ("observe, POST",        post,       |s| s.sites[0].https.mode = Mode::Observe,               "-> 7 would_reject"),
            ("observe, rejected",    rejected,   |s| s.sites[0].https.mode = Mode::Observe,               "-> 7 would_reject"),
            ("observe, credentials", authorized, |s| s.sites[0].https.mode = Mode::Observe,               "-> 7 would_reject"),
            ("rest = reject",        get,        |s| s.sites[0].https.rest = PlainPolicy::Reject,         "403 PlainHttp rejected"),
            ("rest = allow",         get,        |s| s.sites[0].https.rest = PlainPolicy::Allow,          "-> 7 allowed"),
            ("allow, credentials",   authorized, |s| s.sites[0].https.rest = PlainPolicy::Allow,          "-> 7 allowed"),
            ("allow, POST",          post,       |s| s.sites[0].https.rest = PlainPolicy::Allow,          "-> 7 allowed"),
            ("all methods",          post,       |s| s.sites[0].https.redirect_methods = RedirectMethods::All, "308 https://m5.test/x redirected"),
            ("all, GET",             get,        |s| s.sites[0].https.redirect_methods = RedirectMethods::All, "301 https://m5.test/x redirected"),
            ("all, credentials",     authorized, |s| s.sites[0].https.redirect_methods = RedirectMethods::All, "403 Credentials credential_blocked"),
            ("all, rejected",        rejected,   |s| s.sites[0].https.redirect_methods = RedirectMethods::All, "403 PlainHttp rejected"),
            ("all, temporary",       post,       |s| {
                s.sites[0].https.redirect_methods = RedirectMethods::All;
                s.sites[0].https.mode = Mode::Temporary;
            },                                                                                           "307 https://m5.test/x redirected"),
            ("all, OPTIONS *",       Facts { method: &Method::OPTIONS, ..plain("*") },
                                                 |s| s.sites[0].https.redirect_methods = RedirectMethods::All, "403 PlainHttp rejected"),
            ("another port",         get,        |s| s.public_https_port = 5001,                          "301 https://m5.test:5001/x redirected"),
            ("no route",             get,        |s| s.sites[0].routes.clear(),                           "404 NoRoute"),
            ("one site fewer",       get,        |s| { s.sites.remove(0); },                              "404 HostUnknown"),
        ];
        for (what, facts, change, expected) in table {
            let mut settings = settings();
            change(&mut settings);
            assert_eq!(told(settings, &facts), expected, "{what}");
        }
    }

    #[test]
    fn given_an_allowed_path_when_spelled_otherwise_then_rest_decides() {
        for path in ["/public", "/public/", "/PUBLIC/x", "/public/x.html", "/public/.hidden"] {
            assert_eq!(told(with_public_path(), &plain(path)), "-> 7 allowed", "{path}");
        }
        for path in ["/%70ublic/x", "//public/x", "/public./x", "/a/../public/x", "/public;x", "/public2"] {
            assert_eq!(
                told(with_public_path(), &plain(path)),
                format!("301 https://m5.test{path} redirected"),
                "{path}"
            );
        }
    }

    #[test]
    fn given_nested_rules_when_plain_then_the_longest_that_holds() {
        let mut settings = rco();
        settings.sites[0].https.paths.push((prefix("/m5userapi/ping/"), PlainPolicy::Allow));
        assert_eq!(told(settings.clone(), &plain("/M5UserAPI/ping/x")), "-> 7 allowed");
        assert_eq!(told(settings.clone(), &plain("/M5UserAPI/./ping/x")), "403 PlainHttp rejected");
        assert_eq!(told(settings, &plain("/M5UserAPI/pong")), "403 PlainHttp rejected");
    }

    #[test]
    fn given_routes_when_forwarded_then_the_longest_prefix_wins() {
        let routes = Routes::new(settings());
        for (path, route, upstream) in [
            ("/", 0, 7),
            ("/API", 1, 8),
            ("/api2", 0, 7),
            ("/api/v2/x", 2, 9),
            ("/api/v2/../x", 1, 8),
            ("/%61pi//v2", 2, 9),
        ] {
            let decision = routes.decide(&secure(path));
            let outcome = Outcome::Forward { upstream, stripped: None };
            let expected = Decision { site: Some(0), route: Some(route), action: None, outcome };
            assert_eq!(decision, expected, "{path}");
        }
    }

    #[test]
    fn given_one_fact_changed_when_secure_then_its_answer() {
        let base = || secure("/x");
        #[rustfmt::skip]
        let table = [
            ("a GET",                base(),                                                  "-> 7"),
            ("a rejected path",      secure("/M5UserAPI/x"),                                  "-> 7"),
            ("a POST, authorized",   Facts { method: &Method::POST, has_authorization: true, ..base() }, "-> 7"),
            ("OPTIONS *",            Facts { method: &Method::OPTIONS, ..secure("*") },       "-> 7"),
            ("a foreign host",       Facts { host: Some("evil.test"), ..base() },             "421 Misdirected"),
            ("another site's host",  Facts { host: Some("other.test"), ..base() },            "421 Misdirected"),
            ("no server name",       Facts { server_name_site: None, ..base() },              "-> 7"),
            ("no name, foreign",     Facts { server_name_site: None, host: Some("evil.test"), ..base() }, "421 Misdirected"),
            ("no host",              Facts { host: None, ..base() },                          "400 HostMissing"),
            ("no host, HTTP/1.0",    Facts { host: None, version: Version::HTTP_10, ..base() }, "-> 7"),
            ("none at all",          Facts { host: None, version: Version::HTTP_10, server_name_site: None, ..base() }, "421 Misdirected"),
            ("two hosts",            secure("https://other.test/x"),                          "400 HostDiffers"),
            ("a double escape",      secure("/%2541"),                                        "400 Path(DoubleEscape)"),
            ("CONNECT",              Facts { method: &Method::CONNECT, ..secure("m5.test:443") }, "405 Method"),
        ];
        for (what, facts, expected) in table {
            assert_eq!(told(settings(), &facts), expected, "{what}");
        }
    }

    #[test]
    fn given_no_host_in_http_1_0_when_there_is_a_default_then_it_answers() {
        let bare = Facts { host: None, version: Version::HTTP_10, ..plain("/x") };
        let mut with_default = settings();
        with_default.sites[1].is_default = true;
        assert_eq!(told(with_default, &bare), "301 https://other.test/x redirected");
        let mut only = settings();
        only.sites.truncate(1);
        assert_eq!(told(only.clone(), &bare), "301 https://m5.test/x redirected");
        only.sites[0].domains = vec!["*.wild.test".to_owned()];
        assert_eq!(told(only, &bare), "400 HostMissing rejected");
    }

    #[test]
    fn given_a_hostile_target_when_redirected_then_only_our_host_and_no_new_line() {
        #[rustfmt::skip]
        let table = [
            ("//evil.test/x",        "https://m5.test//evil.test/x"),
            ("/\\evil.test",         "https://m5.test/%5Cevil.test"),
            ("/%5cevil.test",        "https://m5.test/%5cevil.test"),
            ("/x?\r\nSet-Cookie: a", "https://m5.test/x?%0D%0ASet-Cookie:%20a"),
            ("/x?a=\"<>`{|}^#b",     "https://m5.test/x?a=%22%3C%3E%60%7B%7C%7D%5E%23b"),
            ("/\u{e5}?\u{f6}",       "https://m5.test/%C3%A5?%C3%B6"),
            ("/a?b=http://evil&c=%41[1]", "https://m5.test/a?b=http://evil&c=%41[1]"),
        ];
        for (target, location) in table {
            assert_eq!(told(settings(), &plain(target)), format!("301 {location} redirected"), "{target}");
        }
    }

    #[test]
    fn given_an_alias_when_asked_for_then_the_same_place_on_the_first_domain() {
        let alias = |facts| Facts { host: Some("www.m5.test"), ..facts };
        let post = |facts| Facts { method: &Method::POST, ..facts };
        let authorized = |facts| Facts { has_authorization: true, ..facts };
        #[rustfmt::skip]
        let table = [
            (Mode::Permanent, alias(secure("/x?y")),             "301 https://m5.test/x?y"),
            (Mode::Permanent, post(alias(secure("/x"))),         "308 https://m5.test/x"),
            (Mode::Temporary, alias(secure("/x")),               "302 https://m5.test/x"),
            (Mode::Temporary, post(alias(secure("/x"))),         "307 https://m5.test/x"),
            (Mode::Observe,   alias(secure("/x")),               "302 https://m5.test/x"),
            (Mode::Permanent, secure("/x"),                      "-> 7"),
            (Mode::Permanent, alias(plain("/x?y")),              "301 https://m5.test/x?y redirected"),
            (Mode::Permanent, post(alias(plain("/x"))),          "403 PlainHttp rejected"),
            (Mode::Permanent, authorized(alias(plain("/x"))),    "403 Credentials credential_blocked"),
            (Mode::Permanent, alias(plain("/M5UserAPI/x")),      "403 PlainHttp rejected"),
            (Mode::Permanent, alias(plain("/public/x")),         "301 https://m5.test/public/x redirected"),
            (Mode::Permanent, post(alias(plain("/public/x"))),   "308 https://m5.test/public/x redirected"),
            (Mode::Observe,   alias(plain("/x")),                "-> 7 would_redirect"),
            (Mode::Observe,   alias(plain("/M5UserAPI/x")),      "-> 7 would_reject"),
            (Mode::Observe,   alias(plain("/public/x")),         "-> 7 allowed"),
            (Mode::Permanent, alias(secure("/%2541")),           "400 Path(DoubleEscape)"),
            (Mode::Permanent, Facts { method: &Method::OPTIONS, ..alias(secure("*")) }, "404 NoRoute"),
            (Mode::Permanent, Facts { server_name_site: Some(1), ..alias(secure("/x")) }, "421 Misdirected"),
        ];
        for (mode, facts, expected) in table {
            let mut settings = with_public_path();
            settings.sites[0].aliases = vec!["www.m5.test".to_owned()];
            settings.sites[0].https.mode = mode;
            assert_eq!(told(settings, &facts), expected, "{mode:?} {facts:?}");
        }
    }

    fn elsewhere() -> Settings {
        let mut settings = settings();
        let site = &mut settings.sites[0];
        site.redirect_to = Some(Destination::parse("https://new.test/base").unwrap());
        site.routes.clear();
        settings
    }

    #[test]
    fn given_a_site_that_only_redirects_when_asked_then_there_with_path_and_query() {
        let post = |facts| Facts { method: &Method::POST, ..facts };
        #[rustfmt::skip]
        let table = [
            (secure("/x?y"),                                     "301 https://new.test/base/x?y"),
            (post(secure("/x")),                                 "308 https://new.test/base/x"),
            (plain("/x"),                                        "301 https://new.test/base/x redirected"),
            (post(plain("/x")),                                  "403 PlainHttp rejected"),
            (plain("/M5UserAPI/x"),                              "403 PlainHttp rejected"),
            (Facts { has_authorization: true, ..plain("/x") },   "403 Credentials credential_blocked"),
            (secure("//evil.test/x"),                            "301 https://new.test/base//evil.test/x"),
            (secure("/%00"),                                     "400 Path(Control)"),
            (Facts { host: Some("other.test"), ..plain("/x") },  "301 https://other.test/x redirected"),
        ];
        for (facts, expected) in table {
            assert_eq!(told(elsewhere(), &facts), expected, "{facts:?}");
        }
        let mut open = elsewhere();
        open.sites[0].https.rest = PlainPolicy::Allow;
        assert_eq!(told(open.clone(), &plain("/x")), "301 https://new.test/base/x redirected");
        open.sites[0].https.mode = Mode::Observe;
        assert_eq!(told(open, &plain("/x")), "302 https://new.test/base/x redirected");
    }

    #[test]
    fn given_a_list_of_clients_when_another_comes_then_403_before_anything_else() {
        let stranger = |facts| Facts { client: Some(IpAddr::from([203, 0, 113, 9])), ..facts };
        let unknown = |facts| Facts { client: None, ..facts };
        let list = || AllowList::new(vec!["192.0.2.0/24".parse().unwrap()]);
        let mut settings = rco();
        settings.sites[0].routes[1].allow_from = list();
        settings.sites[1].redirect_to = Some(Destination::parse("https://new.test").unwrap());
        settings.sites[1].allow_from = list();
        #[rustfmt::skip]
        let table = [
            (secure("/api/x"),                 "-> 8"),
            (stranger(secure("/api/x")),       "403 Address"),
            (unknown(secure("/api/x")),        "403 Address"),
            (stranger(secure("/api/v2/x")),    "-> 9"),
            (stranger(secure("/x")),           "-> 7"),
            (stranger(secure("/api")),         "403 Address"),
            (stranger(secure("/%61pi/x")),     "403 Address"),
            (stranger(secure("/x/../api/x")),  "403 Address"),
            (stranger(secure("/API./x")),      "403 Address"),
            (stranger(secure("/ap~1/x")),      "403 Address"),
            (secure("/ap~1/x"),                "-> 7"),
            (stranger(secure("/api/v2/~me")),  "-> 9"),
            (stranger(plain("/api/x")),        "403 Address"),
            (plain("/api/x"),                  "-> 8 allowed"),
            (Facts { host: Some("other.test"), ..stranger(plain("/x")) }, "403 Address"),
            (Facts { host: Some("other.test"), ..plain("/x") }, "301 https://new.test/x redirected"),
        ];
        for (facts, expected) in table {
            assert_eq!(told(settings.clone(), &facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn given_a_route_that_strips_when_forwarded_then_the_rest_and_what_is_ambiguous_is_refused() {
        let mut settings = rco();
        settings.sites[0].routes[1].strip_prefix = true;
        #[rustfmt::skip]
        let table = [
            (secure("/api/x?y"),         "-> 8 /x?y"),
            (secure("/api"),             "-> 8 /"),
            (secure("/apix"),            "-> 7"),
            (secure("/api/v2/x"),        "-> 9"),
            (secure("/api/../M5UserAPI/x"), "-> 7"),
            (secure("/api/../api/x"),    "400 Path(Ambiguous)"),
            (secure("/api%2f../x"),      "400 Path(Ambiguous)"),
            (secure("//api/x"),          "400 Path(Ambiguous)"),
            (plain("/api/../M5UserAPI"), "403 PlainHttp rejected"),
            (plain("/api/M5UserAPI"),    "-> 8 /M5UserAPI allowed"),
        ];
        for (facts, expected) in table {
            assert_eq!(told(settings.clone(), &facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn given_a_site_in_observe_when_asked_then_what_would_have_been_done_and_why() {
        let post = |facts| Facts { method: &Method::POST, ..facts };
        let mut settings = with_public_path();
        settings.sites[0].https.mode = Mode::Observe;
        let routes = Routes::new(settings);
        #[rustfmt::skip]
        let table = [
            (plain("/x/y"),                                     Some(("/x/", Would::Redirect))),
            (plain("/M5UserAPI/doors"),                         Some(("/m5userapi/", Would::RefusePath))),
            (post(plain("/M5User~1/doors")),                    Some(("/m5userapi/", Would::RefusePath))),
            (post(plain("/x/y")),                               Some(("/x/", Would::RefuseMethod))),
            (post(plain("/api/y")),                             Some(("/api/", Would::RefuseMethod))),
            (Facts { has_authorization: true, ..plain("/x") },  Some(("/x/", Would::RefuseCredentials))),
            (plain("/public/x"),                                None),
            (secure("/M5UserAPI/doors"),                        None),
            (Facts { host: Some("other.test"), ..plain("/x") }, None),
            (Facts { host: Some("evil.test"), ..plain("/x") },  None),
            (plain("/%00"),                                     None),
        ];
        for (facts, expected) in table {
            let observed = routes.observed(&facts);
            let told =
                observed.as_ref().map(|observed| (observed.place.as_deref().unwrap_or("others"), observed.would));
            assert_eq!(told, expected, "{facts:?}");
            let action = routes.decide(&facts).action;
            let is_counted = matches!(action, Some(Action::WouldRedirect | Action::WouldReject));
            assert_eq!(is_counted, expected.is_some(), "{facts:?}");
        }
    }

    #[test]
    fn given_a_challenge_path_when_asked_then_its_token() {
        #[rustfmt::skip]
        let table = [
            ("/.well-known/acme-challenge/aZ0-_",                 Some("aZ0-_")),
            ("/.well-known/acme-challenge/a?b",                   Some("a")),
            ("http://any.test:80/.well-known/acme-challenge/a",   Some("a")),
            ("/.well-known/acme-challenge/",                      None),
            ("/.well-known/acme-challenge",                       None),
            ("/.well-known/acme-challenge/a/b",                   None),
            ("/.well-known/acme-challenge/%61",                   None),
            ("/.well-known/acme-challenge/..",                    None),
            ("/.Well-Known/acme-challenge/a",                     None),
            ("//.well-known/acme-challenge/a",                    None),
        ];
        for (target, token) in table {
            assert_eq!(challenge_token(&Method::GET, target.as_bytes()), token, "{target}");
            assert_eq!(challenge_token(&Method::HEAD, target.as_bytes()), token, "{target}");
            assert_eq!(challenge_token(&Method::POST, target.as_bytes()), None, "{target}");
        }
        let long = format!("/.well-known/acme-challenge/{}", "a".repeat(LONGEST_TOKEN + 1));
        assert_eq!(challenge_token(&Method::GET, long.as_bytes()), None);
    }

    fn any_method() -> impl Strategy<Value = Method> {
        prop::sample::select(vec![
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::OPTIONS,
            Method::from_bytes(b"MOVE").expect("token"),
        ])
    }

    /// Ways to write one character of a path that IIS reads alike.
    fn respelled(character: char) -> impl Strategy<Value = String> {
        let upper = character.to_ascii_uppercase();
        let escape = |c: char| format!("%{:02x}", u32::from(c));
        prop::sample::select(vec![character.to_string(), upper.to_string(), escape(character), escape(upper)])
    }

    /// `/m5userapi/x` behind one disguise, and every letter in another spelling.
    fn disguised() -> impl Strategy<Value = String> {
        let before =
            prop::sample::select(vec!["/", "//", "/./", "/a/../", "/../", "/\\", "/(S(abc))/", "/(A(b)F(c))/", "/;x/"]);
        let name = "m5userapi".chars().map(respelled).collect::<Vec<_>>().prop_map(|letters| letters.concat());
        let after = prop::sample::select(vec![
            "",
            "/",
            "/x",
            "%2Fx",
            "\\x",
            "./x",
            ". ./x",
            "%20/x",
            ";a=b/x",
            "/(S(a))/x",
            ":$DATA",
            "/./x",
        ]);
        (before, name, after).prop_map(|(before, name, after)| format!("{before}{name}{after}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn given_a_disguised_path_when_plain_then_never_forwarded(target in disguised(), method in any_method()) {
            for settings in [settings(), with_public_path(), rco()] {
                let decision = Routes::new(settings).decide(&Facts { method: &method, ..plain(&target) });
                prop_assert!(matches!(decision.outcome, Outcome::Refuse(_)), "{target}: {decision:?}");
            }
        }

        #[test]
        fn given_any_bytes_when_decided_then_redirects_stay_on_our_host(
            target in prop_oneof![any::<Vec<u8>>(), "/\\PC*".prop_map(String::into_bytes), "http://m5.test\\PC*".prop_map(String::into_bytes)],
            host: Option<String>,
            is_secure: bool,
            has_authorization: bool,
            has_cookie: bool,
        ) {
            let host = host.as_deref().or(Some("m5.test"));
            let facts = Facts { target: &target, host, secure: is_secure, has_authorization, has_cookie, ..plain("/") };
            if let Outcome::Redirect { location, .. } = Routes::new(settings()).decide(&facts).outcome {
                prop_assert!(location.starts_with("https://m5.test/"), "{location}");
                prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
                prop_assert!(!is_secure);
            }
        }

        #[test]
        fn given_plain_when_forwarded_then_counted_as_allowed_or_observed(target in "/[a-zA-Z0-9/.%]{0,12}", method in any_method()) {
            let decision = Routes::new(with_public_path()).decide(&Facts { method: &method, ..plain(&target) });
            if matches!(decision.outcome, Outcome::Forward { .. }) {
                prop_assert_eq!(decision.action, Some(Action::Allowed));
                prop_assert!(target.to_ascii_lowercase().starts_with("/public"));
            }
        }
    }
}
