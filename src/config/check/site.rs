//! `[[site]]`.

use std::collections::HashMap;

use super::route::{Inherited, Routes};
use super::section::{Section, Text};
use super::upstream::Upstreams;
use super::{
    Check, Objection, answers, certificate, client_certificates, domain, egress, global, headers, https, limits,
    redirect, shape,
};
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::{Node, Table, Value};
use crate::source::{self, AcmeCas, CertificateSettings, ClientIdentitySettings};
use crate::tls::{MinVersion, SiteSettings};
use crate::upstream::AffinityRule;
use crate::{route, tls, upstream};

/// A domain of a site and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Domain<'a> {
    pub(super) name: String,
    pub(super) place: &'a Place,
}

/// All sites, in their order.
#[derive(Default)]
pub(super) struct Sites {
    route: Vec<route::Site>,
    tls: Vec<tls::SiteSettings>,
    certificates: Vec<CertificateSettings>,
    upstreams: Upstreams,
    names: Names,
    domains: Names,
    route_names: Names,
    default: Option<Place>,
    first_with_acme: Option<Place>,
}

/// What each room gets of the sites.
pub(super) struct ForRooms {
    pub(super) route: route::Settings,
    pub(super) tls: Vec<tls::SiteSettings>,
    pub(super) certificates: Vec<CertificateSettings>,
    pub(super) upstreams: Vec<upstream::Settings>,
    /// Who we are to those upstreams that ask.
    pub(super) identities: Vec<ClientIdentitySettings>,
}

/// Reads every site.
pub(super) fn read_all(check: &mut Check<'_>, root: &Section<'_>, acme: &AcmeCas, everywhere: &route::Limits) -> Sites {
    let tables = root.tables(check, "site");
    let is_empty = root.node("site").is_none_or(|node| matches!(&node.value, Value::List(items) if items.is_empty()));
    if is_empty && !egress::is_alone(root) {
        let problem = Problem::error(Code::MissingKey, "no `[[site]]` is configured").at(root.place());
        check.report(problem.fix("[[site]]\ndomain   = \"app.example.com\"\nupstream = \"http://127.0.0.1:8080\""));
    }
    let mut sites = Sites::default();
    for table in tables {
        sites.add(check, table, acme, everywhere);
    }
    sites
}

impl Sites {
    /// The first site that orders from a CA.
    pub(super) fn first_with_acme(&self) -> Option<&Place> {
        self.first_with_acme.as_ref()
    }

    /// Who has which name among upstreams.
    pub(super) fn upstream_names(&self) -> Names {
        self.upstreams.names()
    }

    /// What each room gets.
    pub(super) fn into_settings(mut self, public_https_port: u16, requests: Option<route::Rate>) -> ForRooms {
        let route = route::Settings { sites: self.route, public_https_port, requests };
        let (upstreams, identities) = self.upstreams.into_settings();
        let is_own =
            |upstream: usize| upstreams.get(upstream).is_some_and(|it| it.affinity == AffinityRule::Connection);
        for (tls, site) in self.tls.iter_mut().zip(&route.sites) {
            tls.is_http1_only = site.routes.iter().any(|route| is_own(route.upstream));
        }
        ForRooms { route, tls: self.tls, certificates: self.certificates, upstreams, identities }
    }

    fn add(&mut self, check: &mut Check<'_>, table: &Table, acme: &AcmeCas, everywhere: &route::Limits) {
        let section = Section::open(check, table, &shape::SITE);
        let domains = self.domains(check, &section);
        let name = self.name(check, &section, &domains);
        let is_default = self.is_default(check, &section);
        let aliases = self.aliases(check, &section, &domains);
        let certified = [&domains[..], &aliases].concat();
        let source = certificate::read(check, &section, &certified, acme);
        if let (source::Settings::Acme(_), None) = (&source, &self.first_with_acme) {
            self.first_with_acme = Some(certificate::place(&section, &domains).clone());
        }
        let https = https::enforcement(check, &section);
        let hsts = https::hsts(check, &section, &https);
        let maintenance = maintenance(check, &section);
        let redirect_to = redirect::read(check, &section, &domains, https.mode);
        let allow_from = global::allow_from(check, &section).unwrap_or_default();
        let (limits, header_timeout) = limits::of_site(check, &section);
        let inherited = Inherited {
            allow_from: allow_from.clone(),
            headers: headers::read(check, &section),
            answers: answers::read(check, &section),
            body: limits.body.or(everywhere.body),
        };
        let mut routes = Routes::new(&name, &mut self.route_names, &mut self.upstreams, inherited);
        routes.read(check, &section);
        let routes = routes.finish(check, &section);
        let min_version = min_version(check, &section);
        let (client_certificates, clients) = client_certificates::read(check, &section);
        let identifiers = names(certified);
        let (domains, aliases) = (names(domains), names(aliases));
        self.tls.push(SiteSettings {
            name: name.clone(),
            domains: identifiers.clone(),
            is_default,
            min_version,
            is_http1_only: false,
            clients,
        });
        self.certificates.push(CertificateSettings { name: name.clone(), identifiers, source });
        let site = route::Site {
            name,
            domains,
            aliases,
            redirect_to,
            allow_from,
            limits: route::Limits { body: None, ..limits },
            header_timeout,
            is_default,
            https,
            hsts,
            client_certificates,
            routes,
            maintenance,
        };
        self.route.push(site);
    }

    /// Further names, which need one that is no wildcard to be sent to.
    fn aliases<'a>(&mut self, check: &mut Check<'_>, section: &Section<'a>, domains: &[Domain<'a>]) -> Vec<Domain<'a>> {
        let texts = section.strings(check, "aliases").unwrap_or_default();
        let is_wild = !domains.is_empty() && domains.iter().all(|domain| domain.name.starts_with("*."));
        if let Some(first) = texts.first().filter(|_| is_wild) {
            let problem = Problem::error(Code::Conflict, "`aliases` have no domain to be sent to").at(first.place);
            let problem = problem.why("requests for an alias are sent to the first domain that is no wildcard");
            check.report(problem.fix("put that domain first into `domains`"));
        }
        texts.into_iter().filter_map(|text| self.domain(check, text)).collect()
    }

    fn domains<'a>(&mut self, check: &mut Check<'_>, section: &Section<'a>) -> Vec<Domain<'a>> {
        let texts = match (section.node("domain"), section.node("domains")) {
            (Some(_), Some(second)) => {
                let problem =
                    Problem::error(Code::Conflict, "`domain` and `domains` exclude each other").at(&second.place);
                check.report(problem.fix("put every name into `domains`"));
                section.strings(check, "domains")
            }
            (Some(Node { value: Value::List(_), place }), None) => {
                let problem =
                    Problem::error(Code::WrongType, "`domain` takes one name").at(place).label("found a list");
                check.report(problem.fix(format!("write `domains = {}`", place.text())));
                None
            }
            (Some(_), None) => section.string(check, "domain").map(|text| vec![text]),
            (None, Some(_)) => section.strings(check, "domains"),
            (None, None) => Some(Vec::new()),
        };
        let Some(texts) = texts else { return Vec::new() };
        let is_misspelt = section.is_misspelt("domain") || section.is_misspelt("domains");
        if texts.is_empty() && !is_misspelt {
            let problem = section.missing("domain").why("requests and handshakes find their site by it");
            check.report(problem.fix("write `domain = \"app.example.com\"`, or `domains = [..]` for several"));
        }
        texts.into_iter().filter_map(|text| self.domain(check, text)).collect()
    }

    fn domain<'a>(&mut self, check: &mut Check<'_>, text: Text<'a>) -> Option<Domain<'a>> {
        let name = match domain::parse(text.value) {
            Ok(name) => name,
            Err(objection) => {
                let title = format!("{} cannot be the domain of a site", quoted(text.value));
                check.refuse(Code::InvalidDomain, title, text, objection);
                return None;
            }
        };
        if let Err(first) = self.domains.claim(&name, text.place) {
            let problem = Problem::error(Code::DuplicateDomain, format!("the domain {} stands twice", quoted(&name)))
                .at(text.place)
                .related(&first, "it stands here")
                .why("a request finds one site by its name; case makes no difference");
            check.report(problem.fix("keep it in one site; for another upstream below a path use `[[site.route]]`"));
            return None;
        }
        Some(Domain { name, place: text.place })
    }

    fn name(&mut self, check: &mut Check<'_>, section: &Section<'_>, domains: &[Domain<'_>]) -> String {
        let given = section.string(check, "name");
        let (name, place) = match (given, domains.first()) {
            (Some(text), _) => (text.value.to_owned(), text.place),
            (None, Some(domain)) => (domain.name.clone(), domain.place),
            (None, None) => return String::new(),
        };
        if let Some(text) = given.filter(|text| !is_folder_name(text.value)) {
            let problem =
                Problem::error(Code::InvalidName, format!("{} cannot be the name of a site", quoted(text.value)))
                    .at(text.place)
                    .why("it names a folder in `state_dir` and a label of metrics");
            check.report(problem.fix("use up to 100 letters, digits, `-`, `_` and `.`, not beginning with `.`"));
        }
        if let Err(first) = self.names.claim(&name, place) {
            check.report(duplicate_name("site", &name, place, &first));
            // Another name, so that its routes are not reported as well.
            return format!("{name}#{}", self.route.len());
        }
        name
    }

    fn is_default(&mut self, check: &mut Check<'_>, section: &Section<'_>) -> bool {
        let Some(given) = section.boolean(check, "default").filter(|given| given.value) else { return false };
        match &self.default {
            Some(first) => {
                let problem = Problem::error(Code::SeveralDefaults, "a second site is the default").at(given.place);
                let problem =
                    problem.related(first, "the first one").why("requests that name no host go to one site only");
                check.report(problem.fix("keep `default = true` in one site"));
            }
            None => self.default = Some(given.place.clone()),
        }
        true
    }
}

/// `maintenance`: a file of HTML, read now and again when it changes.
fn maintenance(check: &mut Check<'_>, section: &Section<'_>) -> Option<route::Page> {
    let text = section.string(check, "maintenance")?;
    if !check.opens_files() {
        check.path(text);
        return None;
    }
    let html = check.read(text, "maintenance page")?;
    if html.len() > LARGEST_PAGE {
        let title = format!("the maintenance page {} has {} bytes", quoted(text.value), html.len());
        let objection = Objection::new("it is kept in memory", "make it smaller than 1 MiB; images may lie elsewhere");
        check.refuse(Code::PageTooLarge, title, text, objection);
        return None;
    }
    Some(route::Page(html.into()))
}

fn names(domains: Vec<Domain<'_>>) -> Vec<String> {
    domains.into_iter().map(|domain| domain.name).collect()
}

fn min_version(check: &mut Check<'_>, section: &Section<'_>) -> MinVersion {
    let Some(table) = section.table(check, "tls") else { return MinVersion::default() };
    let section = Section::open(check, table, &shape::TLS);
    section.choice(check, "min", &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)]).unwrap_or_default()
}

/// Far more than text and style take.
const LARGEST_PAGE: usize = 1 << 20;

/// A name that every file system takes, and that leads out of no folder.
pub(in crate::config) fn is_folder_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Reports a name that is taken.
pub(super) fn duplicate_name(what: &str, name: &str, place: &Place, first: &Place) -> Problem {
    Problem::error(Code::DuplicateName, format!("the {what} name {} is taken", quoted(name)))
        .at(place)
        .related(first, "taken here")
        .why("names are labels of metrics, and one label must mean one thing")
        .fix("give one of them another `name`")
}

/// Who has which name.
#[derive(Default)]
pub(super) struct Names(HashMap<String, Place>);

impl Names {
    /// Takes a name, or says who has it.
    pub(super) fn claim(&mut self, name: &str, place: &Place) -> Result<(), Place> {
        match self.0.get(name) {
            Some(first) => Err(first.clone()),
            None => {
                self.0.insert(name.to_owned(), place.clone());
                Ok(())
            }
        }
    }
}
