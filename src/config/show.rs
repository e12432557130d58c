//! The configuration as it is in effect: what is written and every default, each with its origin.
//!
//! # Why
//!
//! Defaults are taken from `config/portvakt.toml`, which a test compares with the defaults of the rooms. So a new key is
//! shown as soon as it stands there, and needs nothing here, unless its default follows from something else: then
//! [`follow`] says from what. What is shown is a configuration again, which a test reads back.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::check::{Resolved, is_folder_name, is_label};
use super::origin::Origin;
use super::problem::{Place, Source};
use super::raw::{self, Entry, Node, Table, Value, string_literal};
use super::{Config, Egress, Machine};
use crate::egress::bankid;
use crate::notify;
use crate::route::{PathPrefix, Site};
use crate::source::Settings;
use crate::source::acme::{DnsSettings, ProviderSettings};

/// A configuration for people and programs to look at.
#[derive(Clone, Debug)]
pub struct Shown(Branch);

/// One value of it.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// As TOML.
    pub toml: &'a str,
    /// As JSON.
    pub json: &'a Json,
    /// Where it comes from.
    pub origin: &'a Origin,
}

#[derive(Clone, Debug)]
struct Branch {
    origin: Origin,
    entries: Vec<(String, Item)>,
}

#[derive(Clone, Debug)]
enum Item {
    Value { toml: String, json: Json, origin: Origin },
    Table(Branch),
    Tables(Vec<Branch>),
}

/// What is needed to show a configuration that was read.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// As written, all files in one.
    pub(super) root: Table,
    /// What written values stand for.
    pub(super) resolved: Resolved,
}

impl Tree {
    /// What is written.
    pub(super) fn written(&self) -> Shown {
        Shown(Overlay { resolved: None }.branch(&self.root, None))
    }

    /// What is written, and all that is not.
    pub(super) fn effective(&self, config: &Config) -> Shown {
        let overlay = Overlay { resolved: Some(&self.resolved) };
        let mut root = overlay.root(&self.root);
        follow(&mut root, config, &self.resolved);
        Shown(root)
    }
}

impl Shown {
    /// A configuration file, each value with its origin as a remark. Ends with a line break.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.0.write("", &mut out);
        out
    }

    /// An object with a list `settings` of `key`, `value`, `origin`, and `file` and `line` where it has any.
    pub fn to_json(&self) -> Json {
        let settings: Vec<_> = self
            .settings("")
            .into_iter()
            .map(|(key, setting)| {
                let (file, line) = match setting.origin {
                    Origin::File { name, line, .. } => (Some(name), Some(line)),
                    _ => (None, None),
                };
                let (origin, kind) = (setting.origin.to_string(), setting.origin.kind());
                json!({ "key": key, "value": setting.json, "kind": kind, "origin": origin, "file": file, "line": line })
            })
            .collect();
        json!({ "settings": settings })
    }

    /// Every value below a key, such as `site[0].upstream`; all of them below the empty text.
    pub fn settings(&self, below: &str) -> Vec<(String, Setting<'_>)> {
        let mut all = Vec::new();
        self.0.collect("", &mut all);
        let is_below = |key: &str| {
            key.strip_prefix(below)
                .is_some_and(|rest| below.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
        };
        all.retain(|(key, _)| is_below(key));
        all
    }

    /// Where a `[table]` begins.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        let (name, index) = key.strip_suffix(']')?.split_once('[')?;
        match self.0.get(name)? {
            Item::Tables(tables) => tables.get(index.parse::<usize>().ok()?).map(|table| &table.origin),
            Item::Value { .. } | Item::Table(_) => None,
        }
    }
}

impl Branch {
    fn get(&self, key: &str) -> Option<&Item> {
        self.entries.iter().find(|(own, _)| own == key).map(|(_, item)| item)
    }

    /// Sets a value that is not there yet.
    fn supply(&mut self, key: &str, toml: String, json: Json, origin: Origin) {
        if self.get(key).is_none() {
            self.entries.push((key.to_owned(), Item::Value { toml, json, origin }));
        }
    }

    fn supply_text(&mut self, key: &str, text: &str, origin: Origin) {
        self.supply(key, literal(text), json!(text), origin);
    }

    fn write(&self, path: &str, out: &mut String) {
        let lines: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(key, item)| match item {
                Item::Value { toml, origin, .. } => Some((format!("{} = {toml}", bare(key)), origin)),
                Item::Table(_) | Item::Tables(_) => None,
            })
            .collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= WIDEST).max();
        for (line, origin) in lines {
            out.push_str(&format!("{line:<width$}  # {origin}\n", width = width.unwrap_or(0)));
        }
        let below = |key: &str| if path.is_empty() { bare(key) } else { format!("{path}.{}", bare(key)) };
        for (key, item) in &self.entries {
            match item {
                Item::Value { .. } => {}
                Item::Table(branch) => branch.write_under(&format!("[{}]", below(key)), &below(key), out),
                Item::Tables(all) => {
                    all.iter().for_each(|branch| branch.write_under(&format!("[[{}]]", below(key)), &below(key), out));
                }
            }
        }
    }

    fn write_under(&self, heading: &str, path: &str, out: &mut String) {
        out.push_str(&format!("\n{heading}  # {}\n", self.origin));
        self.write(path, out);
    }

    fn collect<'a>(&'a self, path: &str, all: &mut Vec<(String, Setting<'a>)>) {
        for (key, item) in &self.entries {
            let path = if path.is_empty() { bare(key) } else { format!("{path}.{}", bare(key)) };
            match item {
                Item::Value { toml, json, origin } => all.push((path, Setting { toml, json, origin })),
                Item::Table(branch) => branch.collect(&path, all),
                Item::Tables(branches) => {
                    for (index, branch) in branches.iter().enumerate() {
                        branch.collect(&format!("{path}[{index}]"), all);
                    }
                }
            }
        }
    }
}

/// Lays what is written over the defaults.
struct Overlay<'a> {
    /// `None`: values are shown as they are written.
    resolved: Option<&'a Resolved>,
}

impl Overlay<'_> {
    fn root(&self, written: &Table) -> Branch {
        let mut root = self.branch(written, Some(&DEFAULTS.root));
        let sites = tables(written, "site").into_iter().map(|site| self.site(site)).collect();
        let ways_out =
            tables(written, "egress").into_iter().map(|written| self.branch(written, Some(&DEFAULTS.egress)));
        let ways_out = ways_out.collect();
        root.entries.retain(|(key, _)| key != "site" && key != "egress");
        root.entries.push(("site".to_owned(), Item::Tables(sites)));
        root.entries.push(("egress".to_owned(), Item::Tables(ways_out)));
        root
    }

    fn site(&self, written: &Table) -> Branch {
        let mut site = self.branch(written, Some(&DEFAULTS.site));
        self.complete_upstream(written, &mut site);
        let routes = tables(written, "route").into_iter().map(|written| {
            let mut route = self.branch(written, None);
            self.complete_upstream(written, &mut route);
            route
        });
        let routes: Vec<_> = routes.collect();
        if !routes.is_empty() {
            site.entries.retain(|(key, _)| key != "route");
            site.entries.push(("route".to_owned(), Item::Tables(routes)));
        }
        site
    }

    /// `upstream` as a table, with its defaults.
    fn complete_upstream(&self, written: &Table, to: &mut Branch) {
        let Some(entry) = written.get("upstream") else { return };
        let alone;
        let table = match &entry.node.value {
            Value::Table(table) => table,
            _ => {
                let url = Entry { key: "url".to_owned(), key_place: entry.key_place.clone(), node: entry.node.clone() };
                alone = Table { place: entry.node.place.clone(), entries: vec![url] };
                &alone
            }
        };
        let branch = self.branch(table, Some(&DEFAULTS.upstream));
        to.entries.retain(|(key, _)| key != "upstream");
        to.entries.push(("upstream".to_owned(), Item::Table(branch)));
    }

    /// The keys of both, those of the default first.
    fn branch(&self, written: &Table, default: Option<&Table>) -> Branch {
        let mut entries = Vec::new();
        let defaults = default.map(|table| table.entries.as_slice()).unwrap_or_default();
        for default in defaults {
            let item = match written.get(&default.key) {
                Some(entry) => self.item(&entry.node, Some(&default.node)),
                None => self.default(&default.node),
            };
            entries.push((default.key.clone(), item));
        }
        for entry in &written.entries {
            if !entries.iter().any(|(key, _)| *key == entry.key) {
                entries.push((entry.key.clone(), self.item(&entry.node, None)));
            }
        }
        Branch { origin: Origin::of(&written.place), entries }
    }

    fn item(&self, node: &Node, default: Option<&Node>) -> Item {
        match (&node.value, default.map(|node| &node.value)) {
            (Value::Table(table), Some(Value::Table(default)))
                if !(table.entries.is_empty() && default.entries.is_empty()) =>
            {
                Item::Table(self.branch(table, Some(default)))
            }
            (Value::Table(table), _) if !table.entries.is_empty() => Item::Table(self.branch(table, None)),
            (Value::List(items), _) if !items.is_empty() && items.iter().all(is_table) => {
                let tables = items.iter().filter_map(|item| match &item.value {
                    Value::Table(table) => Some(self.branch(table, None)),
                    _ => None,
                });
                Item::Tables(tables.collect())
            }
            _ => Item::Value { toml: self.toml(node), json: self.json(node), origin: Origin::of(&node.place) },
        }
    }

    fn default(&self, node: &Node) -> Item {
        match &node.value {
            Value::Table(table) if !table.entries.is_empty() => {
                let entries = table.entries.iter().map(|entry| (entry.key.clone(), self.default(&entry.node)));
                Item::Table(Branch { origin: Origin::Default, entries: entries.collect() })
            }
            _ => Item::Value { toml: self.toml(node), json: self.json(node), origin: Origin::Default },
        }
    }

    fn toml(&self, node: &Node) -> String {
        match &node.value {
            Value::String(text) => match self.meant(&node.place) {
                Some(meant) => literal(meant),
                // As written: what a variable holds may be for nobody else to see.
                None if node.place.text().contains("${") => node.place.text().to_owned(),
                None => literal(text),
            },
            Value::Integer(number) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            // No key takes one, so none of them gets here.
            Value::Float | Value::Date => node.place.text().to_owned(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| self.toml(item)).collect::<Vec<_>>().join(", "))
            }
            Value::Table(table) if table.entries.is_empty() => "{}".to_owned(),
            Value::Table(table) => {
                let entry = |entry: &Entry| format!("{} = {}", bare(&entry.key), self.toml(&entry.node));
                format!("{{ {} }}", table.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn json(&self, node: &Node) -> Json {
        match &node.value {
            Value::String(text) => match self.meant(&node.place) {
                Some(meant) => json!(meant),
                None if node.place.text().contains("${") => json!(raw::unexpanded(&node.place)),
                None => json!(text),
            },
            Value::Integer(number) => json!(number),
            Value::Boolean(value) => json!(value),
            Value::Float | Value::Date => Json::Null,
            Value::List(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Table(table) => {
                table.entries.iter().map(|entry| (entry.key.clone(), self.json(&entry.node))).collect()
            }
        }
    }

    fn meant(&self, place: &Place) -> Option<&str> {
        self.resolved?.get(place)
    }
}

/// Adds the defaults that follow from something else.
fn follow(root: &mut Branch, config: &Config, resolved: &Resolved) {
    let origin = resolved.state_dir.map_or(Origin::Default, Origin::Variable);
    root.supply_text("state_dir", &config.state_dir.display().to_string(), origin);
    root.supply_text("control", &config.control.display().to_string(), Origin::Follows("in `state_dir`"));
    let number = config.route.public_https_port;
    for (key, item) in &mut root.entries {
        match (key.as_str(), item) {
            ("listen", Item::Table(listen)) => {
                follow_absent_sites(listen, config);
                let from = Origin::Follows("the port of `https`");
                listen.supply("public_https_port", number.to_string(), json!(number), from);
            }
            ("acme", Item::Table(acme)) => {
                acme.supply("agree_tos", "false".to_owned(), json!(false), Origin::Default);
                let proxy = config.certificates.iter().find_map(|certificate| match &certificate.source {
                    Settings::Acme(cas) => cas.first.proxy.as_ref(),
                    Settings::Internal | Settings::Files(_) => None,
                });
                if let Some(proxy) = proxy {
                    acme.supply_text("proxy", &proxy.to_string(), Origin::Variable("HTTPS_PROXY"));
                }
                let dns = config.certificates.iter().find_map(|certificate| match &certificate.source {
                    Settings::Acme(cas) => cas.first.dns.as_deref(),
                    Settings::Internal | Settings::Files(_) => None,
                });
                follow_dns(acme, dns);
            }
            ("site", Item::Tables(sites)) => {
                sites.iter_mut().zip(&config.route.sites).for_each(|(shown, site)| follow_site(shown, site, config));
            }
            ("notify", Item::Tables(notifiers)) => {
                notifiers.iter_mut().zip(&config.notify).for_each(|(shown, settings)| follow_notify(shown, settings));
            }
            ("egress", Item::Tables(ways_out)) => {
                ways_out.iter_mut().zip(&config.egress).for_each(|(shown, egress)| follow_egress(shown, egress));
            }
            _ => {}
        }
    }
}

/// Where somebody can change DNS, dns-01 is tried too.
fn follow_dns(acme: &mut Branch, dns: Option<&DnsSettings>) {
    if let (Some(dns), Some((_, Item::Table(shown)))) = (dns, acme.entries.iter_mut().find(|(key, _)| key == "dns")) {
        default_dns(shown, dns);
    }
    if !acme.entries.iter().any(|(key, _)| key == "dns") {
        return;
    }
    for (key, item) in &mut acme.entries {
        if let ("challenges", Item::Value { toml, json, origin: origin @ Origin::Default }) = (key.as_str(), item) {
            *toml = r#"["http-01", "tls-alpn-01", "dns-01"]"#.to_owned();
            (*json, *origin) = (json!(["http-01", "tls-alpn-01", "dns-01"]), Origin::Follows("there is `[acme.dns]`"));
        }
    }
}

/// The defaults of what is written; those of other providers mean nothing.
fn default_dns(shown: &mut Branch, dns: &DnsSettings) {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    shown.supply_text("propagation_timeout", &seconds(dns.propagation_timeout), Origin::Default);
    match &dns.provider {
        Some(ProviderSettings::Rfc2136(settings)) => {
            shown.supply("ttl", settings.ttl.to_string(), json!(settings.ttl), Origin::Default);
        }
        Some(ProviderSettings::Exec(settings)) => {
            shown.supply_text("timeout", &seconds(settings.timeout), Origin::Default);
        }
        Some(ProviderSettings::AcmeDns(_)) | None => {}
    }
}

/// Where there is no site, nobody is listened to unless it is written.
fn follow_absent_sites(listen: &mut Branch, config: &Config) {
    for (key, item) in &mut listen.entries {
        let is_off = match key.as_str() {
            "http" => config.listen.http.is_empty(),
            "https" => config.listen.https.is_empty(),
            _ => false,
        };
        if let (true, Item::Value { toml, json, origin: origin @ Origin::Default }) = (is_off, item) {
            (*toml, *json, *origin) = ("[]".to_owned(), json!([]), Origin::Follows("no `[[site]]`"));
        }
    }
}

fn follow_notify(shown: &mut Branch, settings: &notify::Settings) {
    if is_label(&settings.name) {
        shown.supply_text("name", &settings.name, Origin::Follows("the host or the program"));
    }
    let events: Vec<_> = settings.events.iter().map(|kind| kind.as_str()).collect();
    let toml = format!("[{}]", events.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "));
    shown.supply("events", toml, json!(events), Origin::Default);
    shown.supply_text("language", settings.language.tag(), Origin::Default);
    if let notify::Channel::Webhook(notify::WebhookSettings { proxy: Some(proxy), .. }) = &settings.channel {
        for (key, item) in &mut shown.entries {
            if let ("webhook", Item::Table(webhook)) = (key.as_str(), item) {
                webhook.supply_text("proxy", &proxy.to_string(), Origin::Variable("HTTPS_PROXY"));
            }
        }
    }
}

fn follow_egress(shown: &mut Branch, egress: &Egress) {
    let settings = &egress.settings;
    if is_label(&settings.name) {
        shown.supply_text("name", &settings.name, Origin::Follows("the host of `destination`"));
    }
    let destination = egress.upstream.host.as_ref().map(|host| format!("https://{host}"));
    destination
        .iter()
        .for_each(|destination| shown.supply_text("destination", destination, Origin::Follows("the preset")));
    let allow: Vec<_> = settings.allow.iter().map(ToString::to_string).collect();
    let toml = format!("[{}]", allow.iter().map(|entry| literal(entry)).collect::<Vec<_>>().join(", "));
    shown.supply("allow", toml, json!(allow), Origin::Follows("the preset"));
    let (rules, origin) = match settings.rules {
        Some(_) => ("bankid", Origin::Follows("the preset")),
        None => ("none", Origin::Default),
    };
    shown.supply_text("rules", rules, origin);
    if let Some(rules) = &settings.rules {
        follow_rules(shown, rules);
    }
    shown.supply("body", settings.body.to_string(), json!(settings.body), Origin::Default);
}

fn follow_rules(shown: &mut Branch, rules: &bankid::Settings) {
    let pace = match rules.pace {
        bankid::Pace::Hold => "hold",
        bankid::Pace::Reject => "reject",
    };
    let user_message = match rules.user_message {
        bankid::UserMessage::Off => "off",
        bankid::UserMessage::Header => "header",
        bankid::UserMessage::Field => "field",
    };
    shown.supply_text("pace", pace, Origin::Default);
    shown.supply_text("user_message", user_message, Origin::Default);
    let closed: Vec<_> = rules.closed.iter().map(bankid::ClosedVersion::name).collect();
    let toml = format!("[{}]", closed.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "));
    shown.supply("closed_versions", toml, json!(closed), Origin::Default);
}

fn follow_site(shown: &mut Branch, site: &Site, config: &Config) {
    if is_folder_name(&site.name) {
        shown.supply_text("name", &site.name, Origin::Follows("the first domain"));
    }
    for (key, item) in &mut shown.entries {
        match (key.as_str(), item) {
            ("upstream", Item::Table(upstream)) => follow_upstream(upstream, site, "/", config),
            ("route", Item::Tables(routes)) => routes.iter_mut().for_each(|route| follow_route(route, site, config)),
            _ => {}
        }
    }
}

fn follow_route(shown: &mut Branch, site: &Site, config: &Config) {
    let Some(Item::Value { json, .. }) = shown.get("path") else { return };
    let Some(path) = json.as_str().and_then(|path| PathPrefix::parse(path).ok()) else { return };
    if let Some(route) = site.routes.iter().find(|route| route.path == path).filter(|route| is_label(&route.name)) {
        shown.supply_text("name", &route.name, Origin::Follows("site:path"));
    }
    for (key, item) in &mut shown.entries {
        if let ("upstream", Item::Table(upstream)) = (key.as_str(), item) {
            follow_upstream(upstream, site, path.as_str(), config);
        }
    }
}

fn follow_upstream(shown: &mut Branch, site: &Site, path: &str, config: &Config) {
    let route = site.routes.iter().find(|route| route.path.as_str() == path);
    let Some(settings) = route.and_then(|route| config.upstreams.get(route.upstream)) else { return };
    if is_label(&settings.name) {
        shown.supply_text("name", &settings.name, Origin::Follows("host:port"));
    }
}

fn tables<'a>(table: &'a Table, key: &str) -> Vec<&'a Table> {
    let Some(Value::List(items)) = table.get(key).map(|entry| &entry.node.value) else { return Vec::new() };
    let table = |item: &'a Node| match &item.value {
        Value::Table(table) => Some(table),
        _ => None,
    };
    items.iter().filter_map(table).collect()
}

fn is_table(node: &Node) -> bool {
    matches!(node.value, Value::Table(_))
}

/// A text as TOML; `${` is no variable.
fn literal(text: &str) -> String {
    string_literal(&text.replace("${", "$${"))
}

/// A key, in quotes where it needs them.
fn bare(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_bare { key.to_owned() } else { string_literal(key) }
}

/// The defaults of `config/portvakt.toml`.
struct Defaults {
    root: Table,
    site: Table,
    upstream: Table,
    /// The limits in time are those of an upstream.
    egress: Table,
}

static DEFAULTS: LazyLock<Defaults> = LazyLock::new(|| {
    let text = include_str!("../../config/portvakt.toml").to_owned();
    let source = Arc::new(Source { order: usize::MAX, name: "config/portvakt.toml".to_owned(), text });
    let mut root = raw::parse(&source, &Machine::default()).0;
    let mut site = tables(&root, "site").first().map_or_else(|| nothing(&root), |site| (*site).clone());
    let mut upstream = match site.get("upstream").map(|entry| &entry.node.value) {
        Some(Value::Table(upstream)) => upstream.clone(),
        _ => nothing(&root),
    };
    without(&mut root, &["site", "state_dir", "control"]);
    without(&mut site, &["domain", "name", "upstream"]);
    without(&mut upstream, &["url", "name"]);
    for entry in &mut root.entries {
        match (entry.key.as_str(), &mut entry.node.value) {
            ("listen", Value::Table(listen)) => without(listen, &["public_https_port"]),
            ("acme", Value::Table(acme)) => without(acme, &["agree_tos"]),
            _ => {}
        }
    }
    let mut egress = upstream.clone();
    egress.entries.retain(|entry| ["connect_timeout", "response_timeout", "idle_timeout"].contains(&&*entry.key));
    Defaults { root, site, upstream, egress }
});

/// The default of `key` in the table at `path`, such as `site.https`; `None` where it has none, or follows from something
/// else.
pub(super) fn default(path: &str, key: &str) -> Option<Json> {
    let (mut table, inside) = match path {
        "egress" => (&DEFAULTS.egress, ""),
        "site.upstream" | "site.route.upstream" => (&DEFAULTS.upstream, ""),
        "site" => (&DEFAULTS.site, ""),
        _ => path.strip_prefix("site.").map_or((&DEFAULTS.root, path), |inside| (&DEFAULTS.site, inside)),
    };
    for part in inside.split('.').filter(|part| !part.is_empty()) {
        table = match &table.get(part)?.node.value {
            Value::Table(inner) => inner,
            _ => return None,
        };
    }
    let node = &table.get(key)?.node;
    let is_filled = matches!(&node.value, Value::Table(inner) if !inner.entries.is_empty());
    (!is_filled).then(|| Overlay { resolved: None }.json(node))
}

/// Takes keys out that stand in the sample as an example, or whose default follows from something else.
fn without(table: &mut Table, examples: &[&str]) {
    table.entries.retain(|entry| !examples.contains(&entry.key.as_str()));
}

fn nothing(like: &Table) -> Table {
    Table { place: like.place.clone(), entries: Vec::new() }
}

/// Remarks stand in one column beside lines up to this width.
const WIDEST: usize = 60;
