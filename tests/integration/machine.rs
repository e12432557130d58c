//! A machine that is the same everywhere.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use portvakt::config::{CaView, CaaView, Config, Environment};
use portvakt::platform::Places;
use portvakt::source::acme::{NoOffer, Offer};
use portvakt::source::{AcmeSettings, Settings};
use portvakt::time::Timestamp;

/// A machine on the first of June 2026, without IPv6, whose port 81 is taken and whose port 82 is forbidden, with
/// a user and a group `portvakt`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FixedMachine {
    /// We run as root.
    pub(crate) is_root: bool,
    /// The user has no home.
    pub(crate) is_homeless: bool,
    /// The kernel has no Landlock.
    pub(crate) is_landless: bool,
    /// The process that is to have the configuration has confined itself to the folders of the test.
    pub(crate) is_confined: bool,
    /// `/run` is emptied by a restart.
    pub(crate) is_volatile: bool,
}

impl FixedMachine {
    /// The machine with what an example takes as given.
    pub(crate) fn with(given: impl Fn(&str) -> bool) -> Self {
        Self {
            is_root: given("root"),
            is_homeless: given("homeless"),
            is_landless: given("landless"),
            is_confined: given("confined"),
            is_volatile: given("volatile"),
        }
    }
}

impl Environment for FixedMachine {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(1_780_272_000)
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "HOME" if !self.is_homeless => Some("/home/operator".to_owned()),
            "EAB_KEY" => Some("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".to_owned()),
            "APP_HOST" => Some("127.0.0.1".to_owned()),
            _ => None,
        }
    }

    fn is_root(&self) -> bool {
        self.is_root
    }

    fn knows_user(&self, name: &str) -> bool {
        ["root", "nobody", "portvakt"].contains(&name)
    }

    fn knows_group(&self, name: &str) -> bool {
        ["root", "nogroup", "portvakt"].contains(&name)
    }

    fn accounts(&self) -> Vec<String> {
        ["root", "nobody", "nogroup", "portvakt"].map(str::to_owned).to_vec()
    }

    fn try_listen(&self, address: SocketAddr) -> io::Result<()> {
        match address.port() {
            81 => Err(ErrorKind::AddrInUse.into()),
            82 => Err(ErrorKind::PermissionDenied.into()),
            83 => Err(ErrorKind::AddrNotAvailable.into()),
            _ => Ok(()),
        }
    }

    fn is_volatile(&self, path: &Path) -> bool {
        self.is_volatile && path.starts_with("/run")
    }

    fn can_confine(&self) -> io::Result<()> {
        match self.is_landless {
            true => Err(io::Error::new(ErrorKind::Unsupported, "this kernel has no Landlock")),
            false => Ok(()),
        }
    }

    fn granted(&self) -> Option<&Places> {
        self.is_confined.then_some(&*GRANTED)
    }
}

static GRANTED: LazyLock<Places> = LazyLock::new(|| Places {
    read: vec![std::env::temp_dir().canonicalize().expect("a folder for temporary files")],
    write: vec!["/home/operator".into()],
    ..Places::default()
});

/// What is seen of the CAs of a configuration: `gone.example.com` answers nobody, `web.example.com` is none,
/// `known.example.com` wants to know its customers; each has the profile `classic` alone. CAA lets none issue to
/// `forbidden.example.com`, and the signatures of `broken.example.com` do not hold.
pub(crate) fn views(config: &Config) -> Vec<CaView> {
    let mut views: Vec<CaView> = Vec::new();
    for certificate in &config.certificates {
        let Settings::Acme(cas) = &certificate.source else { continue };
        views.extend(cas.iter().map(|ca| view(ca, &certificate.identifiers)));
    }
    views
}

fn view(ca: &AcmeSettings, names: &[String]) -> CaView {
    let host = ca.host();
    let issuers = vec![host.clone()];
    let refused = names.iter().filter_map(|name| {
        let (at, why) = match name.as_str() {
            "forbidden.example.com" => (Some("example.com".to_owned()), "only `another.example` may issue"),
            "broken.example.com" => (None, "the signatures do not hold"),
            _ => return None,
        };
        Some(CaaView { name: name.clone(), at, why: why.to_owned() })
    });
    let offer = Offer {
        issuers: issuers.clone(),
        needs_eab: host == "known.example.com",
        profiles: vec!["classic".to_owned()],
        ..Offer::default()
    };
    let outcome = match host.as_str() {
        "gone.example.com" => Err(NoOffer::Unreachable("no answer within 20 s".to_owned())),
        "web.example.com" => Err(NoOffer::NotAcme("answered `404 Not Found` without a problem document".to_owned())),
        _ => Ok(offer.misfits(ca, false)),
    };
    CaView { directory: ca.directory.clone(), outcome, issuers, refused: refused.collect() }
}
