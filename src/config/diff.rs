//! What a reload changes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Config, Egress};
use crate::source::{CertificateSettings, ClientIdentitySettings};
use crate::{route, tls, upstream};

/// One difference between two configurations. Its `Display` is a line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `state_dir` is another folder, which takes effect with a restart only.
    StateDir,
    /// The control socket lies elsewhere, which takes effect with a restart only.
    Control,
    /// `user` or `group` is another, which takes effect with a restart only.
    RunAs,
    /// Whether the process confines itself.
    Landlock,
    /// An address is listened on from now on.
    ListenerAdded {
        /// `http`, `https` or `admin`.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An address is no longer listened on.
    ListenerRemoved {
        /// `http`, `https` or `admin`.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// A site is there from now on.
    SiteAdded(String),
    /// A site is there no longer.
    SiteRemoved(String),
    /// Parts of a site are others.
    SiteChanged {
        /// Its name.
        site: String,
        /// Which parts, such as `domains`.
        parts: Vec<&'static str>,
    },
    /// An upstream is there from now on.
    UpstreamAdded(String),
    /// An upstream is there no longer.
    UpstreamRemoved(String),
    /// An upstream has other settings.
    UpstreamChanged(String),
    /// A way out is there from now on.
    EgressAdded(String),
    /// A way out is there no longer.
    EgressRemoved(String),
    /// A way out, or who we are there, is set otherwise.
    EgressChanged(String),
    /// A setting for all sites is another, such as `limits`.
    SettingChanged(&'static str),
}

impl Change {
    /// Whether it takes effect with a restart only.
    pub fn needs_restart(&self) -> bool {
        matches!(self, Self::StateDir | Self::Control | Self::RunAs | Self::Landlock)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateDir => f.write_str("`state_dir` changed; restart to use it"),
            Self::Control => f.write_str("`control` changed; restart to use it"),
            Self::RunAs => f.write_str("`user` or `group` changed; restart to use it"),
            Self::Landlock => f.write_str("`landlock` changed; restart to use it"),
            Self::ListenerAdded { listener, address } => write!(f, "{listener} listener `{address}` added"),
            Self::ListenerRemoved { listener, address } => write!(f, "{listener} listener `{address}` removed"),
            Self::SiteAdded(site) => write!(f, "site `{site}` added"),
            Self::SiteRemoved(site) => write!(f, "site `{site}` removed"),
            Self::SiteChanged { site, parts } => write!(f, "site `{site}` changed: {}", parts.join(", ")),
            Self::UpstreamAdded(upstream) => write!(f, "upstream `{upstream}` added"),
            Self::UpstreamRemoved(upstream) => write!(f, "upstream `{upstream}` removed"),
            Self::UpstreamChanged(upstream) => write!(f, "upstream `{upstream}` changed"),
            Self::EgressAdded(egress) => write!(f, "egress `{egress}` added"),
            Self::EgressRemoved(egress) => write!(f, "egress `{egress}` removed"),
            Self::EgressChanged(egress) => write!(f, "egress `{egress}` changed"),
            Self::SettingChanged(setting) => write!(f, "`{setting}` changed"),
        }
    }
}

/// What is different in `new`. Order means nothing, and neither do `files`.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.state_dir != new.state_dir {
        changes.push(Change::StateDir);
    } else if old.control != new.control {
        changes.push(Change::Control);
    }
    if old.run_as != new.run_as {
        changes.push(Change::RunAs);
    }
    if old.landlock != new.landlock {
        changes.push(Change::Landlock);
    }
    listeners(old, new, &mut changes);
    settings(old, new, &mut changes);
    compare(&sites(old), &sites(new), &mut changes, Change::SiteAdded, Change::SiteRemoved, |name, old, new| {
        let parts = old.parts_that_differ(new);
        (!parts.is_empty()).then(|| Change::SiteChanged { site: name.to_owned(), parts })
    });
    compare(
        &upstreams(old),
        &upstreams(new),
        &mut changes,
        Change::UpstreamAdded,
        Change::UpstreamRemoved,
        |name, old, new| (old != new).then(|| Change::UpstreamChanged(name.to_owned())),
    );
    compare(&egress(old), &egress(new), &mut changes, Change::EgressAdded, Change::EgressRemoved, |name, old, new| {
        (old != new).then(|| Change::EgressChanged(name.to_owned()))
    });
    changes
}

fn listeners(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let (old, new) = (&old.listen, &new.listen);
    for (listener, old, new) in
        [("http", &old.http, &new.http), ("https", &old.https, &new.https), ("admin", &old.admin, &new.admin)]
    {
        let gone = old.iter().filter(|address| !new.contains(address));
        changes.extend(gone.map(|address| Change::ListenerRemoved { listener, address: *address }));
        let come = new.iter().filter(|address| !old.contains(address));
        changes.extend(come.map(|address| Change::ListenerAdded { listener, address: *address }));
    }
}

fn settings(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let differences = [
        ("limits", (old.listen.limits, old.route.requests) != (new.listen.limits, new.route.requests)),
        ("listen.proxy_protocol", old.listen.proxy_protocol != new.listen.proxy_protocol),
        ("listen.public_https_port", old.route.public_https_port != new.route.public_https_port),
        ("trusted_proxies", old.trusted_proxies != new.trusted_proxies),
        ("drain", old.drain != new.drain),
        ("watch", old.watch != new.watch),
        ("log", old.log != new.log),
        ("metrics", old.textfile != new.textfile),
        ("notify", old.notify != new.notify),
    ];
    let changed = differences.into_iter().filter(|(_, differs)| *differs);
    changes.extend(changed.map(|(setting, _)| Change::SettingChanged(setting)));
}

/// Adds what is only in `new`, only in `old`, and what `changed` finds between both.
fn compare<T>(
    old: &BTreeMap<&str, T>,
    new: &BTreeMap<&str, T>,
    changes: &mut Vec<Change>,
    added: impl Fn(String) -> Change,
    removed: impl Fn(String) -> Change,
    changed: impl Fn(&str, &T, &T) -> Option<Change>,
) {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    changes.extend(gone.map(|name| removed((*name).to_owned())));
    for (name, new) in new {
        match old.get(name) {
            Some(old) => changes.extend(changed(name, old, new)),
            None => changes.push(added((*name).to_owned())),
        }
    }
}

/// Each upstream, and who we are there.
fn upstreams(config: &Config) -> BTreeMap<&str, (&upstream::Settings, Option<&ClientIdentitySettings>)> {
    let named = config.upstreams.iter().map(|upstream| (upstream.name.as_str(), upstream));
    named.map(|(name, upstream)| (name, (upstream, identity(config, name)))).collect()
}

/// Each way out, and who we are there.
fn egress(config: &Config) -> BTreeMap<&str, (&Egress, Option<&ClientIdentitySettings>)> {
    let named = config.egress.iter().map(|egress| (egress.settings.name.as_str(), egress));
    named.map(|(name, egress)| (name, (egress, identity(config, name)))).collect()
}

fn identity<'a>(config: &'a Config, name: &str) -> Option<&'a ClientIdentitySettings> {
    config.client_identities.iter().find(|identity| identity.name == name)
}

fn sites(config: &Config) -> BTreeMap<&str, Site<'_>> {
    let parts = config.route.sites.iter().zip(&config.tls).zip(&config.certificates);
    parts
        .map(|((site, tls), certificate)| {
            (site.name.as_str(), Site { site, tls, certificate, upstreams: &config.upstreams })
        })
        .collect()
}

/// All that belongs to one site.
struct Site<'a> {
    site: &'a route::Site,
    tls: &'a tls::SiteSettings,
    certificate: &'a CertificateSettings,
    upstreams: &'a [upstream::Settings],
}

impl Site<'_> {
    fn parts_that_differ(&self, new: &Self) -> Vec<&'static str> {
        let differences = [
            ("domains", self.site.domains != new.site.domains),
            ("aliases", self.site.aliases != new.site.aliases),
            ("redirect_to", self.site.redirect_to != new.site.redirect_to),
            ("limits", self.limits() != new.limits()),
            ("allow_from", self.site.allow_from != new.site.allow_from),
            ("default", self.site.is_default != new.site.is_default),
            ("https", self.site.https != new.site.https),
            ("maintenance", self.site.maintenance != new.site.maintenance),
            ("hsts", self.site.hsts != new.site.hsts),
            ("routes", !self.routes().eq(new.routes())),
            ("client_certificates", self.clients() != new.clients()),
            ("tls", self.tls.min_version != new.tls.min_version),
            ("certificate", self.certificate.source != new.certificate.source),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }

    fn limits(&self) -> (&route::Limits, Option<Duration>) {
        (&self.site.limits, self.site.header_timeout)
    }

    fn clients(&self) -> (&route::ClientCertificates, Option<&tls::ClientTrust>) {
        (&self.site.client_certificates, self.tls.clients.as_ref())
    }

    /// Each route and its upstream's name; an index would differ for no reason.
    fn routes(&self) -> impl Iterator<Item = (route::Route, Option<&str>)> {
        let upstream = |route: &route::Route| self.upstreams.get(route.upstream).map(|upstream| upstream.name.as_str());
        self.site.routes.iter().map(move |route| (route::Route { upstream: 0, ..route.clone() }, upstream(route)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Purpose, from_text};

    const BASE: &str = r#"
        state_dir = "state"
        control = "control.sock"
        drain = "30s"
        watch = true
        trusted_proxies = ["10.0.0.0/8"]
        listen = { http = ["127.0.0.1:80", "127.0.0.1:81"], https = "127.0.0.1:443", admin = [] }
        limits = { connections = 10 }
        log = { level = "info" }
        acme = { agree_tos = true }
        [[site]]
        domain = "a.example.com"
        upstream = "http://127.0.0.1:1"
        https = { mode = "permanent" }
        hsts = { max_age = "1d" }
        tls = { min = "1.2" }
        [[site]]
        domain = "b.example.com"
        default = true
        upstream = { url = "http://127.0.0.1:2", idle_timeout = "10s" }
    "#;

    fn config(text: &str) -> Config {
        from_text("test", text, Path::new("/nowhere"), Purpose::CheckOffline).unwrap().config
    }

    #[test]
    fn given_one_changed_line_when_compared_then_one_change() {
        for (from, to, expected) in [
            ("\"state\"", "\"other\"", "`state_dir` changed; restart to use it"),
            ("\"control.sock\"", "\"other.sock\"", "`control` changed; restart to use it"),
            ("watch = true", "watch = true\n user = 'a'", "`user` or `group` changed; restart to use it"),
            ("30s", "31s", "`drain` changed"),
            ("watch = true", "watch = false", "`watch` changed"),
            ("10.0.0.0/8", "11.0.0.0/8", "`trusted_proxies` changed"),
            ("= 10 ", "= 11 ", "`limits` changed"),
            ("\"info\"", "\"warn\"", "`log` changed"),
            ("watch = true", "watch = true\n metrics = { textfile = 'a.prom' }", "`metrics` changed"),
            ("watch = true", "watch = true\n notify = [{ webhook = 'https://a' }]", "`notify` changed"),
            ("admin = []", "admin = '127.0.0.1:9'", "admin listener `127.0.0.1:9` added"),
            (", \"127.0.0.1:81\"", "", "http listener `127.0.0.1:81` removed"),
            ("admin = []", "admin = [], proxy_protocol = '10.0.0.1'", "`listen.proxy_protocol` changed"),
            ("admin = []", "admin = [], public_https_port = 9", "`listen.public_https_port` changed"),
            ("agree_tos = true", "agree_tos = true, profile = 'x'", "site `a.example.com` changed: certificate"),
            (
                "domain = \"a.example.com\"",
                "domains = ['a.example.com', 'c.example.com']",
                "site `a.example.com` changed: domains",
            ),
            ("\"permanent\"", "\"permanent\", redirect_methods = 'all'", "site `a.example.com` changed: https"),
            ("\"1d\"", "\"2d\"", "site `a.example.com` changed: hsts"),
            ("\"1.2\"", "\"1.3\"", "site `a.example.com` changed: tls"),
            ("default = true", "default = false", "site `b.example.com` changed: default"),
            ("10s", "11s", "upstream `127.0.0.1:2` changed"),
        ] {
            let text = BASE.replacen(from, to, 1);
            assert_ne!(text, BASE, "{from}");
            let changes: Vec<_> = diff(&config(BASE), &config(&text)).iter().map(Change::to_string).collect();
            assert_eq!(changes.first().map(String::as_str), Some(expected), "{from} -> {to}: {changes:?}");
            let follows =
                changes[1..].iter().all(|change| change.contains("certificate") && expected.contains("certificate"));
            assert!(follows, "{from} -> {to}: {changes:?}");
        }
    }

    #[test]
    fn given_a_site_more_when_compared_then_it_and_its_upstream_are_added() {
        let more = format!("{BASE}\n[[site]]\ndomain = 'c.example.com'\nupstream = 'http://127.0.0.1:3'");
        let (small, large) = (config(BASE), config(&more));
        let lines = |old, new| diff(old, new).iter().map(Change::to_string).collect::<Vec<_>>();
        assert_eq!(lines(&small, &large), ["site `c.example.com` added", "upstream `127.0.0.1:3` added"]);
        assert_eq!(lines(&large, &small), ["site `c.example.com` removed", "upstream `127.0.0.1:3` removed"]);
    }

    #[test]
    fn given_another_upstream_when_compared_then_the_routes_changed() {
        let changes = diff(&config(BASE), &config(&BASE.replacen("127.0.0.1:1", "127.0.0.1:9", 1)));
        assert!(changes.contains(&Change::SiteChanged { site: "a.example.com".to_owned(), parts: vec!["routes"] }));
        assert_eq!(changes.len(), 3, "{changes:?}");
    }

    #[test]
    fn given_the_same_or_sites_in_another_order_when_compared_then_nothing() {
        let (head, sites) = BASE.split_once("[[site]]").unwrap();
        let (first, second) = sites.split_once("[[site]]").unwrap();
        let turned = config(&format!("{head}[[site]]{second}\n[[site]]{first}"));
        assert_eq!(diff(&config(BASE), &config(BASE)), []);
        assert_eq!(diff(&config(BASE), &turned), []);
    }
}
