//! Settings as comparable texts.

pub use crate::source::host;

use crate::lifecycle::Asked;
use crate::source::{AcmeCas, AcmeSettings, CertificateSettings, Settings};

/// What a certificate's settings ask for. The texts are kept in the store, so their form is part of its layout.
pub(super) fn asked(settings: &CertificateSettings) -> Asked {
    let mut identifiers = settings.identifiers.clone();
    identifiers.sort_unstable();
    let identifiers = identifiers.join(",");
    match &settings.source {
        Settings::Acme(cas) => Asked {
            product: format!(
                "acme {} profile={} key={} for {identifiers}",
                cas.first.directory,
                cas.first.profile.as_deref().unwrap_or_default(),
                cas.first.key_type.as_str()
            ),
            way: ways(cas),
            cas: cas.iter().map(|ca| ca.directory.clone()).collect(),
            has_public_ca: cas.has_public(),
        },
        Settings::Internal => Asked { product: format!("internal for {identifiers}"), ..Asked::default() },
        Settings::Files(_) => Asked::default(),
    }
}

/// `acme`, `internal` or `files`.
pub(super) const fn source_name(source: &Settings) -> &'static str {
    match source {
        Settings::Acme(_) => "acme",
        Settings::Internal => "internal",
        Settings::Files(_) => "files",
    }
}

/// Who issues: host of the directory, `internal`, or a path.
pub fn issuer(source: &Settings) -> String {
    match source {
        Settings::Acme(cas) => cas.first.host(),
        Settings::Internal => "internal".to_owned(),
        Settings::Files(files) => files.main().display().to_string(),
    }
}

/// The profile that is set for the ACME CA that has issued, by its directory; `None` for none, and when nobody has.
pub(super) fn profile(source: &Settings, issued_by: Option<&str>) -> Option<String> {
    match source {
        Settings::Acme(cas) => cas.of(issued_by?)?.profile.clone(),
        Settings::Internal | Settings::Files(_) => None,
    }
}

/// Who issued a certificate that is kept, for people; `directory` is that of the ACME CA.
pub(super) fn issued_by(source: &Settings, directory: Option<&str>) -> String {
    match directory {
        Some(directory) => format!("acme {directory}"),
        None => source_name(source).to_owned(),
    }
}

/// The first CA in full, of the others what makes them others.
fn ways(cas: &AcmeCas) -> String {
    let next = cas.next.iter().map(|ca| format!("; then {} {}", ca.directory, way(ca)));
    std::iter::once(way(&cas.first)).chain(next).collect()
}

fn way(acme: &AcmeSettings) -> String {
    let challenges: Vec<&str> = acme.challenges.iter().map(|kind| kind.as_str()).collect();
    let anchors: Vec<String> =
        acme.trust_anchors.iter().flat_map(|anchors| anchors.certificates()).map(fingerprint).collect();
    let mut way = format!(
        "agree_tos={} contact={} challenges={} trust_anchors={}",
        acme.agree_tos,
        acme.contact.join(","),
        challenges.join(","),
        anchors.join(",")
    );
    // What is not set leaves the text of before these keys were known.
    let others = [
        ("eab", acme.eab.as_ref().map(|eab| eab.kid.clone())),
        ("proxy", acme.proxy.as_ref().map(ToString::to_string)),
        ("preferred_chain", acme.preferred_chain.clone()),
        ("dns", acme.dns.as_ref().map(ToString::to_string)),
    ];
    for (key, value) in others.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        way.push_str(&format!(" {key}={value}"));
    }
    way
}

fn fingerprint(certificate: &rustls::pki_types::CertificateDer<'_>) -> String {
    crate::pki::Fingerprint::of(certificate).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::dns::Server;
    use crate::pki::KeyType;
    use crate::source::ChallengeKind;
    use crate::source::acme::{DnsSettings, ProviderSettings, Rfc2136Settings};

    fn settings() -> CertificateSettings {
        let acme = AcmeSettings {
            directory: "https://ca.test:14000/dir".into(),
            trust_anchors: None,
            agree_tos: true,
            contact: vec![],
            challenges: vec![ChallengeKind::Http01],
            key_type: KeyType::P256,
            profile: None,
            ..AcmeSettings::default()
        };
        CertificateSettings {
            name: "m5".into(),
            identifiers: vec!["m5.test".into(), "api.m5.test".into()],
            source: Settings::Acme(acme.into()),
        }
    }

    fn dns(host: &str) -> Arc<DnsSettings> {
        let server = Server { host: host.into(), port: Server::PORT };
        let provider = ProviderSettings::Rfc2136(Rfc2136Settings { server, zone: None, tsig: None, ttl: 60 });
        Arc::new(DnsSettings {
            provider: Some(provider),
            resolvers: vec![],
            nameservers: vec![],
            propagation_timeout: Duration::from_secs(120),
        })
    }

    #[test]
    fn given_several_cas_when_one_has_issued_then_its_profile() {
        let of = |directory: &str, profile: Option<&str>| AcmeSettings {
            directory: directory.to_owned(),
            profile: profile.map(str::to_owned),
            ..AcmeSettings::default()
        };
        let source = Settings::Acme(AcmeCas { first: of("a", Some("short")), next: vec![of("b", None)] });
        for (issued_by, expected) in [(Some("a"), Some("short")), (Some("b"), None), (Some("gone"), None), (None, None)]
        {
            assert_eq!(profile(&source, issued_by).as_deref(), expected, "{issued_by:?}");
        }
        assert_eq!(profile(&Settings::Internal, Some("a")), None);
    }

    #[test]
    fn given_another_name_server_when_compared_then_the_way_differs() {
        let way = |host| asked(&changed(|acme| acme.dns = Some(dns(host)))).way;
        assert_eq!(way("ns1.test"), way("ns1.test"));
        assert_ne!(way("ns1.test"), way("ns2.test"));
    }

    fn changed(change: impl FnOnce(&mut AcmeSettings)) -> CertificateSettings {
        let mut settings = settings();
        if let Settings::Acme(cas) = &mut settings.source {
            change(&mut cas.first);
        }
        settings
    }

    #[test]
    fn given_one_change_when_compared_then_product_or_way_differs() {
        let base = asked(&settings());
        let table = [
            ("directory", changed(|acme| acme.directory.push('2')), true, false),
            ("profile", changed(|acme| acme.profile = Some("shortlived".into())), true, false),
            ("key type", changed(|acme| acme.key_type = KeyType::Rsa2048), true, false),
            ("identifiers", CertificateSettings { identifiers: vec!["m5.test".into()], ..settings() }, true, false),
            ("contact", changed(|acme| acme.contact.push("mailto:a@m5.test".into())), false, true),
            ("terms", changed(|acme| acme.agree_tos = false), false, true),
            ("challenges", changed(|acme| acme.challenges.push(ChallengeKind::TlsAlpn01)), false, true),
            ("who changes DNS", changed(|acme| acme.dns = Some(dns("ns1.test"))), false, true),
            ("nothing", settings(), false, false),
            (
                "order of identifiers",
                CertificateSettings { identifiers: vec!["api.m5.test".into(), "m5.test".into()], ..settings() },
                false,
                false,
            ),
        ];
        for (name, settings, product, way) in table {
            let asked = asked(&settings);
            assert_eq!((asked.product != base.product, asked.way != base.way), (product, way), "{name}");
        }
    }

    #[test]
    fn given_a_directory_when_shown_then_its_host_and_port() {
        assert_eq!(issuer(&settings().source), "ca.test:14000");
        assert_eq!(issuer(&changed(|acme| acme.directory = "not a url".into()).source), "not a url");
    }
}
