//! Which site a handshake is for, and with which identity it is answered.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;

use super::dated::Dated;
use super::{Judge, MinVersion, SiteSettings};
use crate::challenge::Challenges;
use crate::pki::{Certificate, Identity};

/// Picks the site and its configuration; shared by every TLS listener.
///
/// The table of sites is replaced whole by [`Resolver::apply`]; an identity by [`Resolver::publish`]. Handshakes under way
/// finish with what they began with.
pub struct Resolver {
    table: ArcSwap<Table>,
    challenges: Challenges,
    shared: Shared,
}

/// What all sites have in common, made once: with a thousand sites it would be most of their memory.
struct Shared {
    provider: Arc<CryptoProvider>,
    /// Sessions of TLS 1.2 clients that know no tickets. rustls resumes none under another server name (RFC 6066 §3).
    sessions: Arc<dyn StoresServerSessions>,
}

impl Default for Shared {
    fn default() -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Self { provider, sessions: ServerSessionMemoryCache::new(SESSIONS) }
    }
}

const SESSIONS: usize = 1024;

impl Resolver {
    /// A resolver without sites, which answers challenges only.
    pub fn new(challenges: Challenges) -> Self {
        Self { table: ArcSwap::default(), challenges, shared: Shared::default() }
    }

    /// Replaces the sites.
    ///
    /// A site whose settings stay the same keeps its sessions and tickets; one that stays by name keeps its identity, and that
    /// no HTTP/2 is offered.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, when the random source gives no ticket key.
    pub fn apply(&self, sites: &[SiteSettings]) -> Result<(), rustls::Error> {
        let old = self.table.load();
        let sites = sites
            .iter()
            .map(|settings| match old.by_name.get(&settings.name) {
                Some(site) if site.settings == *settings => Ok(site.clone()),
                before => Site::new(settings, before.map(|site| &**site), &self.shared).map(Arc::new),
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.table.store(Arc::new(Table::new(sites)));
        Ok(())
    }

    /// Serves `identity` in the new handshakes of the site `name`. Unknown names are ignored: the site was just removed.
    ///
    /// `is_from_ca` says that somebody else than we ourselves issued it; HSTS depends on it.
    pub fn publish(&self, name: &str, identity: &Identity, is_from_ca: bool) {
        if let Some(site) = self.table.load().by_name.get(name) {
            site.identity.is_from_ca.store(is_from_ca, Ordering::Relaxed);
            site.identity.key.store(Some(identity.certified()));
            site.identity.shown.store(Shown::of(identity).map(Arc::new));
        }
    }

    /// Whether the site `name` serves an identity that a CA issued, neither a placeholder nor one of our own making.
    pub fn is_from_ca(&self, name: &str) -> bool {
        self.table.load().by_name.get(name).is_some_and(|site| site.identity.is_from_ca.load(Ordering::Relaxed))
    }

    /// Offers no HTTP/2 for the site `name` any more; `false` when none was offered before, and for unknown names.
    pub fn offer_only_http1(&self, name: &str) -> bool {
        self.table
            .load()
            .by_name
            .get(name)
            .is_some_and(|site| !site.settings.is_http1_only && !site.has_ntlm.swap(true, Ordering::AcqRel))
    }

    /// Takes [`Resolver::offer_only_http1`] back; `false` when it was never said.
    pub fn offer_http2(&self, name: &str) -> bool {
        self.table.load().by_name.get(name).is_some_and(|site| site.has_ntlm.swap(false, Ordering::AcqRel))
    }

    /// Judges certificates of clients of the site `name` now; `None` where it asks for none.
    pub fn judge(&self, name: &str) -> Option<Arc<Judge>> {
        self.table.load().by_name.get(name)?.judge.clone()
    }

    /// What clients of the site `name` see of its certificate.
    pub fn shown(&self, name: &str) -> Option<Arc<Shown>> {
        self.table.load().by_name.get(name)?.identity.shown.load_full()
    }

    /// What a handshake gets that asks for `server_name` on the local address `local`.
    ///
    /// `None` is a name that nobody here has. Without a name it is the site of that address, else the default site, else
    /// the only one.
    pub fn choose(&self, server_name: Option<&str>, acme: bool, local: IpAddr) -> Option<Choice> {
        if acme {
            return self.challenges.alpn(server_name?).map(Choice::Challenge);
        }
        let table = self.table.load();
        let site = match server_name {
            Some(name) => table.by_domain(name),
            None => table.exact.get(&local.to_string()).or(table.default.as_ref()),
        };
        site.cloned().map(Choice::Site)
    }
}

/// What answers a handshake.
pub enum Choice {
    /// A site's own configuration.
    Site(Arc<Site>),
    /// The configuration that answers one tls-alpn-01 challenge (RFC 8737).
    Challenge(Arc<ServerConfig>),
}

/// One site's side of a handshake.
pub struct Site {
    name: Arc<str>,
    settings: SiteSettings,
    identity: Arc<CurrentIdentity>,
    /// Its server knows clients by their connections.
    has_ntlm: Arc<AtomicBool>,
    config: Arc<ServerConfig>,
    /// The same, made when it is needed.
    http1_only: OnceLock<Arc<ServerConfig>>,
    /// Of its clients' certificates.
    judge: Option<Arc<Judge>>,
}

impl Site {
    /// `before` is the site of this name that serves by now.
    fn new(settings: &SiteSettings, before: Option<&Self>, shared: &Shared) -> Result<Self, rustls::Error> {
        let identity = before.map(|site| site.identity.clone()).unwrap_or_default();
        let has_ntlm = before.map(|site| site.has_ntlm.clone()).unwrap_or_default();
        let versions: &[_] = match settings.min_version {
            MinVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            MinVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ServerConfig::builder_with_provider(shared.provider.clone()).with_protocol_versions(versions)?;
        let judge = match (&settings.clients, before.and_then(|site| site.judge.as_ref())) {
            (None, _) => None,
            (Some(trust), Some(before)) if before.is_of(trust) => Some(before.clone()),
            (Some(trust), before) => {
                Some(Arc::new(Judge::new(trust, &shared.provider, before.map(|before| &**before))?))
            }
        };
        let builder = match &judge {
            Some(judge) => builder.with_client_cert_verifier(judge.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(identity.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tickets = aws_lc_rs::Ticketer::new()?;
        (config.session_storage, config.ticketer) = (shared.sessions.clone(), tickets.clone());
        if let Some(judge) = &judge {
            // A session that began without a certificate, or with one of other rules, is not to be found again.
            let sessions: Arc<dyn StoresServerSessions> = ServerSessionMemoryCache::new(SESSIONS);
            config.session_storage = Arc::new(Dated::new(sessions, judge.clone()));
            config.ticketer = Arc::new(Dated::new(tickets, judge.clone()));
        }
        let (name, settings, config) = (settings.name.as_str().into(), settings.clone(), Arc::new(config));
        Ok(Self { name, settings, identity, has_ntlm, config, http1_only: OnceLock::new(), judge })
    }

    /// Judges its clients' certificates; `None` where it asks for none.
    pub fn judge(&self) -> Option<&Arc<Judge>> {
        self.judge.as_ref()
    }

    /// The site's name.
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Versions, ALPN and identity in rustls's form.
    pub fn config(&self) -> Arc<ServerConfig> {
        if !self.settings.is_http1_only && !self.has_ntlm.load(Ordering::Acquire) {
            return self.config.clone();
        }
        let http1_only = || {
            let mut config = ServerConfig::clone(&self.config);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        };
        self.http1_only.get_or_init(http1_only).clone()
    }
}

#[derive(Default)]
struct Table {
    by_name: HashMap<String, Arc<Site>>,
    exact: HashMap<String, Arc<Site>>,
    /// Keyed by what follows `*.`.
    wildcard: HashMap<String, Arc<Site>>,
    default: Option<Arc<Site>>,
}

impl Table {
    fn new(sites: Vec<Arc<Site>>) -> Self {
        let mut table = Self {
            default: match &sites[..] {
                [only] => Some(only.clone()),
                all => all.iter().find(|site| site.settings.is_default).cloned(),
            },
            ..Self::default()
        };
        for site in sites {
            for domain in &site.settings.domains {
                match domain.strip_prefix("*.") {
                    Some(parent) => table.wildcard.insert(parent.to_owned(), site.clone()),
                    None => table.exact.insert(domain.clone(), site.clone()),
                };
            }
            table.by_name.insert(site.settings.name.clone(), site);
        }
        table
    }

    fn by_domain(&self, name: &str) -> Option<&Arc<Site>> {
        self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }
}

/// What is told to servers of a certificate that clients were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Bits of its key.
    pub key_bits: u32,
    /// The whole issuer.
    pub issuer: String,
    /// The whole subject.
    pub subject: String,
}

impl Shown {
    fn of(identity: &Identity) -> Option<Self> {
        let leaf = Certificate::read(identity.chain().certificates().first()?.clone()).ok()?;
        let key_bits = leaf.facts().key_type.rsplit('-').next()?.parse().ok()?;
        Some(Self { key_bits, issuer: leaf.issuer().to_owned(), subject: leaf.subject().to_owned() })
    }
}

/// The identity that new handshakes of a site get; empty until the first one is published.
#[derive(Default)]
struct CurrentIdentity {
    key: ArcSwapOption<CertifiedKey>,
    shown: ArcSwapOption<Shown>,
    is_from_ca: AtomicBool,
}

impl ResolvesServerCert for CurrentIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.load_full()
    }
}

impl fmt::Debug for CurrentIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentIdentity(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_when_chosen_then_exact_before_wildcard_and_one_label_only() {
        let resolver = resolver(&[site("a", &["a.test", "www.a.test"], false), site("wild", &["*.a.test"], false)]);

        for (name, expected) in [
            ("a.test", Some("a")),
            ("www.a.test", Some("a")),
            ("x.a.test", Some("wild")),
            ("x.y.a.test", None),
            ("b.test", None),
            ("test", None),
        ] {
            assert_eq!(chosen(&resolver, Some(name), "127.0.0.1").as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn given_no_server_name_when_chosen_then_address_default_only_site() {
        let two = [site("a", &["a.test"], false), site("b", &["b.test", "127.0.0.9"], false)];
        assert_eq!(chosen(&resolver(&two), None, "127.0.0.1"), None);
        assert_eq!(chosen(&resolver(&two), None, "127.0.0.9").as_deref(), Some("b"));

        let with_default = [site("a", &["a.test"], true), two[1].clone()];
        assert_eq!(chosen(&resolver(&with_default), None, "127.0.0.1").as_deref(), Some("a"));
        assert_eq!(chosen(&resolver(&two[..1]), None, "127.0.0.1").as_deref(), Some("a"));
    }

    #[test]
    fn given_the_same_settings_when_applied_again_then_sessions_are_kept() {
        let sites = [site("a", &["a.test"], false)];
        let resolver = resolver(&sites);
        let before = config_of(&resolver, "a.test");

        resolver.apply(&sites).unwrap();
        assert!(Arc::ptr_eq(&before, &config_of(&resolver, "a.test")));

        resolver.apply(&[site("a", &["a.test", "b.test"], false)]).unwrap();
        assert!(!Arc::ptr_eq(&before, &config_of(&resolver, "a.test")));
    }

    #[test]
    fn given_a_site_with_ntlm_when_chosen_then_http_1_alone_until_taken_back_and_others_as_before() {
        let sites = [site("a", &["a.test"], false), site("b", &["b.test"], false)];
        let resolver = resolver(&sites);
        let alpn = |name| config_of(&resolver, name).alpn_protocols.len();

        assert!(resolver.offer_only_http1("a"), "this is new");
        assert!(!resolver.offer_only_http1("a") && !resolver.offer_only_http1("x"));
        assert_eq!((alpn("a.test"), alpn("b.test")), (1, 2));
        assert!(Arc::ptr_eq(&config_of(&resolver, "a.test"), &config_of(&resolver, "a.test")), "made once");
        resolver
            .apply(&[SiteSettings { min_version: MinVersion::Tls13, ..sites[0].clone() }, sites[1].clone()])
            .unwrap();
        assert_eq!(alpn("a.test"), 1, "other settings do not change it");

        assert!(resolver.offer_http2("a") && !resolver.offer_http2("a"));
        assert_eq!(alpn("a.test"), 2);
        resolver.apply(&[SiteSettings { is_http1_only: true, ..sites[0].clone() }]).unwrap();
        assert_eq!(alpn("a.test"), 1);
        assert!(!resolver.offer_only_http1("a"), "the configuration says so already");
    }

    #[test]
    fn given_an_unknown_challenge_when_chosen_then_nothing() {
        assert!(resolver(&[site("a", &["a.test"], true)]).choose(Some("a.test"), true, LOCAL).is_none());
    }

    fn resolver(sites: &[SiteSettings]) -> Resolver {
        let resolver = Resolver::new(Challenges::default());
        resolver.apply(sites).unwrap();
        resolver
    }

    fn site(name: &str, domains: &[&str], is_default: bool) -> SiteSettings {
        SiteSettings {
            name: name.into(),
            domains: domains.iter().map(|d| (*d).to_owned()).collect(),
            is_default,
            is_http1_only: false,
            min_version: MinVersion::Tls12,
            clients: None,
        }
    }

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn chosen(resolver: &Resolver, name: Option<&str>, local: &str) -> Option<String> {
        match resolver.choose(name, false, local.parse().unwrap())? {
            Choice::Site(site) => Some(site.name().to_string()),
            Choice::Challenge(_) => None,
        }
    }

    fn config_of(resolver: &Resolver, name: &str) -> Arc<ServerConfig> {
        match resolver.choose(Some(name), false, LOCAL) {
            Some(Choice::Site(site)) => site.config(),
            _ => panic!("no site"),
        }
    }
}
