//! Services whose host, root and rules are known here, so that nobody has to find them out, or mixes them.

use super::environment::Environment;
use crate::pki::TrustAnchors;

/// `preset`.
#[derive(Debug)]
pub struct Preset {
    /// As the configuration calls it.
    pub name: &'static str,
    /// Which certificates fit.
    pub environment: Environment,
    /// What may be the destination; the first one is it by default.
    pub services: [Service; 2],
    root: &'static str,
}

/// A host of a preset.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// On port 443.
    pub host: &'static str,
    /// What may be asked for where `allow` is not written.
    pub allow: &'static str,
    /// Whether the rules for relying parties are about its calls.
    pub has_rules: bool,
}

impl Preset {
    /// By its name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|preset| preset.name == name)
    }

    /// Its service at a host, in lower case.
    pub fn service(&self, host: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.host == host)
    }

    /// The only root that is believed there.
    pub fn trust_anchors(&self) -> TrustAnchors {
        TrustAnchors::from_pem(self.root.as_bytes()).expect("built in, and read by a test")
    }

    /// Every preset.
    pub const ALL: [Self; 2] = [
        Self {
            name: "bankid-production",
            environment: Environment::Production,
            services: [
                Service { host: "appapi2.bankid.com", allow: RP, has_rules: true },
                Service { host: "idcardapi.bankid.com", allow: ID_CARD, has_rules: false },
            ],
            root: include_str!("roots/bankid-production.pem"),
        },
        Self {
            name: "bankid-test",
            environment: Environment::Test,
            services: [
                Service { host: "appapi2.test.bankid.com", allow: RP, has_rules: true },
                Service { host: "idcardapi.test.bankid.com", allow: ID_CARD, has_rules: false },
            ],
            root: include_str!("roots/bankid-test.pem"),
        },
    ];
}

/// The collect of the API that `rules = "bankid"` knows; an identity is tried by one of an order that nobody has.
pub const COLLECT: &str = "/rp/v6.0/collect";

const RP: &str = "POST /rp/v6.0/*";
const ID_CARD: &str = "POST /rp/v1/verify";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Allowed;
    use crate::egress::environment::Root;
    use crate::pki::{CertificateChain, Fingerprint};

    #[test]
    fn given_every_preset_when_looked_at_then_one_root_of_its_environment_that_mozilla_does_not_have() {
        let published = [
            "E6A2D45C0A1051C959428649F86A09A9B2152CD551993CC2EB4CF094BDACBECB",
            "F3D0740EBFB3700E3B81AA791FEE451472698C84E199C2EB48A443FF1D5B405C",
        ];
        for (preset, published) in Preset::ALL.iter().zip(published) {
            let anchors = preset.trust_anchors();
            let [root] = anchors.certificates() else { panic!("{}: one root", preset.name) };
            let fingerprint = Fingerprint::of(root);
            assert_eq!(fingerprint, published.parse().unwrap(), "{}", preset.name);
            assert_eq!(Root::of(&fingerprint), Some(Root::Of(preset.environment)));
            assert!(!TrustAnchors::mozilla().certificates().contains(root));
            let chain = CertificateChain::from_der(vec![root.clone()]).unwrap();
            assert!(chain.leaf().is_ca && chain.not_after().to_string().starts_with("2034-12-31"));
        }
    }

    #[test]
    fn given_every_preset_when_looked_at_then_its_hosts_are_of_its_environment_and_its_entries_can_be_read() {
        for preset in &Preset::ALL {
            assert_eq!(Preset::find(preset.name).map(|found| found.name), Some(preset.name));
            for service in &preset.services {
                assert_eq!(Environment::of_host(service.host), Some(preset.environment));
                assert_eq!(preset.service(service.host), Some(service));
                let allowed: Allowed = service.allow.parse().unwrap();
                assert_eq!(allowed.matches(&http::Method::POST, COLLECT), service.has_rules, "{}", service.host);
            }
        }
        assert!(Preset::find("bankid").is_none() && Preset::ALL[0].service("appapi2.test.bankid.com").is_none());
    }
}
