//! pebble: a real ACME server (RFC 8555) that checks challenges on ports of our choice and forgets all when it ends.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use super::ca::Ca;
use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::curl::Curl;
use super::home::Home;
use super::peers::program;
use super::ports::free_port;
use super::{dns, raw};

/// An ACME server: its place, and what it will do once started.
pub(crate) struct Pebble {
    dir: TempDir,
    acme: u16,
    management: u16,
    settings: Settings,
    child: Option<Child>,
}

/// How it behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Where http-01 is checked.
    pub(crate) http_port: u16,
    /// Where tls-alpn-01 is checked.
    pub(crate) tls_port: u16,
    /// Percent of good nonces that are refused all the same.
    pub(crate) nonce_reject: u8,
    /// Longest random delay before a challenge is checked, in seconds; zero is none.
    pub(crate) delay: u8,
    /// Life of a certificate, in seconds.
    pub(crate) validity: u32,
    /// Accounts must be bound to [`EAB_KID`] and its key.
    pub(crate) eab: bool,
    /// Chains to further roots that it offers beside the first.
    pub(crate) alternate_roots: u8,
    /// The names of its profiles.
    pub(crate) profiles: &'static [&'static str],
    /// Takes every challenge for answered without a look: for many names, and for many who are not at its ports.
    pub(crate) always_valid: bool,
    /// Whom it asks for names; `None` is one that gives every name the address 127.0.0.1.
    pub(crate) name_server: Option<SocketAddr>,
}

impl Settings {
    /// Checks on these ports, at once, and refuses nothing; certificates live for ninety days.
    pub(crate) fn on(http_port: u16, tls_port: u16) -> Self {
        Self {
            http_port,
            tls_port,
            nonce_reject: 0,
            delay: 0,
            validity: 90 * 86_400,
            eab: false,
            alternate_roots: 0,
            profiles: &["default"],
            always_valid: false,
            name_server: None,
        }
    }
}

impl Pebble {
    /// Starts one.
    pub(crate) fn start(settings: Settings) -> Self {
        let mut pebble = Self::stopped(settings);
        pebble.go();
        pebble
    }

    /// One that nobody has started yet.
    pub(crate) fn stopped(settings: Settings) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let pebble = Self { dir, acme: free_port(), management: free_port(), settings, child: None };
        let ca = Ca::new("root of pebble's own listener");
        ca.write(pebble.trust_anchors());
        ca.issue_for_late_clocks(&["127.0.0.1", "localhost", LETS_ENCRYPT]).write(pebble.dir.path(), "pebble");
        fs::write(pebble.dir.path().join("config.json"), pebble.configuration()).expect("the configuration is written");
        pebble
    }

    /// Starts it; what it knew before is forgotten, its place stays.
    pub(crate) fn go(&mut self) {
        let mut command = Command::new(program("pebble"));
        command
            .current_dir(self.dir.path())
            .args([
                "-config",
                "config.json",
                "-dnsserver",
                &self.settings.name_server.unwrap_or_else(dns::start).to_string(),
            ])
            .env("PEBBLE_WFE_NONCEREJECT", self.settings.nonce_reject.to_string())
            // Every order proves control anew, so that every test sees its challenges.
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_ALTERNATE_ROOTS", self.settings.alternate_roots.to_string());
        if self.settings.always_valid {
            command.env("PEBBLE_VA_ALWAYS_VALID", "1");
        }
        match self.settings.delay {
            0 => command.env("PEBBLE_VA_NOSLEEP", "1"),
            seconds => command.env("PEBBLE_VA_SLEEPTIME", seconds.to_string()),
        };
        let mut child = Child::start("pebble", &mut command);
        for port in [self.acme, self.management] {
            eventually("pebble listens", PATIENCE, || {
                assert!(child.ended().is_none(), "pebble has ended: {:?}", child.lines());
                raw::try_connect(port).ok()
            });
        }
        self.child = Some(child);
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.child = None;
    }

    /// URL of the directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.acme)
    }

    /// Port of the directory.
    pub(crate) fn port(&self) -> u16 {
        self.acme
    }

    /// File with the root of the directory's own certificate.
    pub(crate) fn trust_anchors(&self) -> PathBuf {
        self.dir.path().join("listener-root.pem")
    }

    /// `[acme]` for a configuration.
    pub(crate) fn acme_section(&self) -> String {
        let anchors = self.trust_anchors();
        format!(
            "[acme]\ndirectory = \"{}\"\ntrust_anchors = \"{}\"\nagree_tos = true\n",
            self.directory(),
            anchors.display()
        )
    }

    /// Writes the root of the certificates that it issues into a file.
    pub(crate) fn issued_root(&self) -> PathBuf {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let root = Curl::new().cacert(&self.trust_anchors()).get(&url);
        assert_eq!(root.status, 200);
        let path = self.dir.path().join("issued-root.pem");
        fs::write(&path, root.body).expect("the root is written");
        path
    }

    /// Common name of one of the roots that its certificates chain to, counted from zero.
    pub(crate) fn root_name(&self, index: u8) -> String {
        let url = format!("https://127.0.0.1:{}/roots/{index}", self.management);
        let root = Curl::new().cacert(&self.trust_anchors()).get(&url);
        assert_eq!(root.status, 200);
        let root = portvakt::pki::CertificateChain::from_pem(&root.body).expect("a certificate");
        root.leaf().common_name.clone()
    }

    /// The same, for a client of ours.
    pub(crate) fn issued_roots(&self) -> RootCertStore {
        roots(&self.issued_root())
    }

    /// What a client of ours believes the directory's own certificate by.
    pub(crate) fn listener_roots(&self) -> RootCertStore {
        roots(&self.trust_anchors())
    }

    /// Sets what it answers when it is asked when to renew a certificate (PEM of the leaf).
    pub(crate) fn set_renewal_info(&self, leaf: &str, answer: &serde_json::Value) {
        let body = serde_json::json!({ "certificate": leaf, "ariResponse": answer.to_string() }).to_string();
        let url = format!("https://127.0.0.1:{}/set-renewal-info/", self.management);
        let answer = Curl::new().cacert(&self.trust_anchors()).with(&["--data", &body]).get(&url);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// As [`Self::set_renewal_info`], for the first certificate that `home` keeps for the site of this name.
    pub(crate) fn set_renewal_info_of(&self, home: &Home, site: &str, answer: &serde_json::Value) {
        let chain = fs::read(home.state().join(format!("certs/{site}/1/chain.pem"))).expect("the first generation");
        let text = portvakt::pki::CertificateChain::from_pem(&chain).expect("a chain").to_pem();
        let end = text.find(END).expect("a leaf") + END.len();
        self.set_renewal_info(&text[..end], answer);
    }

    /// Whether it has revoked the certificate of this serial number, in hex.
    pub(crate) fn is_revoked(&self, serial: &str) -> bool {
        let url = format!("https://127.0.0.1:{}/cert-status-by-serial/{serial}", self.management);
        let answer = Curl::new().cacert(&self.trust_anchors()).get(&url);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().contains("\"Revoked\"")
    }

    /// How many accounts were made.
    pub(crate) fn accounts(&self) -> usize {
        self.count("There are now ", " accounts in memory")
    }

    /// How many orders were made.
    pub(crate) fn orders(&self) -> usize {
        self.count("There are now ", " orders in the db")
    }

    /// How many certificates were issued.
    pub(crate) fn issued(&self) -> usize {
        self.lines().iter().filter(|line| line.contains("Issued certificate serial")).count()
    }

    /// Waits for a line of its log that holds `text`.
    pub(crate) fn wait_line(&self, text: &str) -> String {
        self.child().wait_line(text, |line| line.contains(text))
    }

    /// Its log so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.child().lines()
    }

    fn child(&self) -> &Child {
        self.child.as_ref().expect("pebble was started")
    }

    /// The last number that its log gives between two texts.
    fn count(&self, before: &str, after: &str) -> usize {
        let lines = self.lines();
        // What happens at a time is told in any order.
        let told = lines.iter().filter_map(|line| line.split_once(before)?.1.strip_suffix(after)?.parse().ok());
        told.max().unwrap_or(0)
    }

    fn configuration(&self) -> String {
        let profile = serde_json::json!({ "description": "one of them", "validityPeriod": self.settings.validity });
        let profiles: serde_json::Map<_, _> =
            self.settings.profiles.iter().map(|name| ((*name).to_owned(), profile.clone())).collect();
        let settings = serde_json::json!({
            "listenAddress": format!("127.0.0.1:{}", self.acme),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": "pebble.pem",
            "privateKey": "pebble.key",
            "httpPort": self.settings.http_port,
            "tlsPort": self.settings.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.settings.eab,
            "externalAccountMACKeys": { EAB_KID: EAB_KEY },
            "retryAfter": { "authz": 1, "order": 1 },
            "profiles": profiles,
        });
        serde_json::json!({ "pebble": settings }).to_string()
    }
}

const END: &str = "-----END CERTIFICATE-----\n";

/// The name that Let's Encrypt's directory has in the world, which its listener's certificate is issued to as well.
pub(crate) const LETS_ENCRYPT: &str = "acme-v02.api.letsencrypt.org";

/// An account that pebble knows beside ACME.
pub(crate) const EAB_KID: &str = "kid-1";
/// Its MAC key.
pub(crate) const EAB_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// Trust anchors from a file that was written before.
pub(crate) fn roots(path: &Path) -> RootCertStore {
    let pem = fs::read(path).expect("the root was written");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    roots
}
