//! BankID's two environments, and what belongs to which.

use crate::pki::{Fingerprint, LeafFacts};

/// Where people log in, or where relying parties try their software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// People.
    Production,
    /// Tries.
    Test,
}

impl Environment {
    /// `production` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Test => "test",
        }
    }

    /// Of a host, in lower case. `None` when it is not BankID's.
    pub fn of_host(host: &str) -> Option<Self> {
        let is_below =
            |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_below("test.bankid.com") {
            return Some(Self::Test);
        }
        is_below("bankid.com").then_some(Self::Production)
    }

    /// Of a relying party's certificate, where that can be said safely.
    ///
    /// # Why
    ///
    /// Banks issue the certificates of both environments. The issuers of the test environment say so in their name, "... RP
    /// CA v1 for BankID Test"; those of production end in "for BankID". Whatever else an issuer is called may be either.
    pub fn of_identity(leaf: &LeafFacts) -> Option<Self> {
        if PUBLISHED.contains(&leaf.fingerprint) {
            return Some(Self::Test);
        }
        let issuer = leaf.issuer.to_ascii_lowercase();
        let (_, behind) = issuer.rsplit_once("for bankid")?;
        match behind.trim() {
            "test" => Some(Self::Test),
            "" => Some(Self::Production),
            _ => None,
        }
    }
}

/// Whether everybody has the private key of a certificate: BankID publishes it for tries.
pub fn is_published(fingerprint: &Fingerprint) -> bool {
    PUBLISHED.contains(fingerprint)
}

/// What a root is to BankID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The server certificates of an environment are issued by it.
    Of(Environment),
    /// The root of the SOAP service, which is gone; it expired in 2019.
    Gone,
}

impl Root {
    /// Known by its fingerprint.
    pub fn of(fingerprint: &Fingerprint) -> Option<Self> {
        ROOTS.iter().find(|(known, _)| known == fingerprint).map(|(_, root)| *root)
    }
}

/// Whether a text is the root that BankID's old guidelines print: six of its lines have lost their capitals, so that it
/// decodes and is no certificate.
pub fn is_garbled_guideline_root(pem: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(pem) else { return false };
    let inner = text.split("-----BEGIN CERTIFICATE-----").nth(1).and_then(|rest| rest.split("-----END").next());
    let letters: String = inner.unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
    Fingerprint::of(letters.to_ascii_lowercase().as_bytes()) == GUIDELINE
}

const fn hex(text: &str) -> Fingerprint {
    let bytes = text.as_bytes();
    assert!(bytes.len() == 64);
    let mut digest = [0; 32];
    let mut at = 0;
    while at < 32 {
        digest[at] = digit(bytes[2 * at]) * 16 + digit(bytes[2 * at + 1]);
        at += 1;
    }
    Fingerprint(digest)
}

const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'F' => byte - b'A' + 10,
        _ => panic!("written in upper-case hex"),
    }
}

/// FPTestcert5 (2024 to 2029), FPTestcert5 of another CA under the same file name (2024 to 2027), FPTestcert4 (to 2024).
const PUBLISHED: [Fingerprint; 3] = [
    hex("EF15B3E1837BD4ADE7E4BFA1D0A07E9BE936E0389C10806077D0EB51271AD5F5"),
    hex("2A8797B762B261222C13F7B0023016BF68D57CC630A62921C67D045DCBE630CB"),
    hex("514FB50581D65870E90CD308C3C4793525B52420E7E3E40F277F2D8B8A17334F"),
];

const ROOTS: [(Fingerprint, Root); 4] = [
    (hex("E6A2D45C0A1051C959428649F86A09A9B2152CD551993CC2EB4CF094BDACBECB"), Root::Of(Environment::Production)),
    (hex("F3D0740EBFB3700E3B81AA791FEE451472698C84E199C2EB48A443FF1D5B405C"), Root::Of(Environment::Test)),
    (hex("C3A72DAC169392267C7B69A92273607BBF4619CE6F6EB7FA9DC0C77B7107C757"), Root::Gone),
    (hex("A698EF9288106B15876B0C836164FC6785899295D2737EF5C80955E32AB12E70"), Root::Gone),
];

/// SHA-256 of its base64 in lower case, without line breaks.
const GUIDELINE: Fingerprint = hex("35362537E7570176378A974690852754914FFA821CD046A84C02675485465710");

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};

    use super::*;
    use crate::pki::{CertificateChain, Password, Pkcs12};

    fn data(file: &str) -> Vec<u8> {
        std::fs::read(format!("tests/data/bankid/{file}")).unwrap()
    }

    fn issued_by(issuer: &str) -> LeafFacts {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, issuer);
        let issuer = Issuer::new(ca, KeyPair::generate().unwrap());
        let leaf = CertificateParams::default().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        CertificateChain::from_der(vec![leaf.into()]).unwrap().leaf().clone()
    }

    #[test]
    fn given_hosts_when_asked_then_bankids_alone_have_an_environment() {
        for (host, expected) in [
            ("appapi2.bankid.com", Some(Environment::Production)),
            ("idcardapi.bankid.com", Some(Environment::Production)),
            ("appapi2.test.bankid.com", Some(Environment::Test)),
            ("test.bankid.com", Some(Environment::Test)),
            ("mytest.bankid.com", Some(Environment::Production)),
            ("notbankid.com", None),
            ("bankid.com.example.org", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(Environment::of_host(host), expected, "{host}");
        }
    }

    #[test]
    fn given_published_certificates_when_asked_then_known_to_be_of_the_test_environment() {
        for file in ["FPTestcert5_20240610.p12", "variant-2027.p12", "FPTestcert4_20220818.p12"] {
            let opened = Pkcs12::read(&data(file), Some(&Password::new("qwerty123"))).unwrap();
            let chain = CertificateChain::from_der(opened.certificates).unwrap();
            assert!(is_published(&chain.leaf().fingerprint), "{file}");
            assert_eq!(Environment::of_identity(chain.leaf()), Some(Environment::Test), "{file}");
        }
    }

    #[test]
    fn given_names_of_issuers_when_asked_then_only_what_they_clearly_say() {
        for (issuer, expected) in [
            ("Testbank A RP CA v1 for BankID Test", Some(Environment::Test)),
            ("BankID RP CA v1 for BankID TEST", Some(Environment::Test)),
            ("Example Bank RP CA v1 for BankID", Some(Environment::Production)),
            ("Testbank A RP CA v1 for BankID", Some(Environment::Production)),
            ("Example Bank RP CA v1 for BankID Tests and more", None),
            ("Test CA", None),
            ("", None),
        ] {
            assert_eq!(Environment::of_identity(&issued_by(issuer)), expected, "{issuer}");
        }
    }

    #[test]
    fn given_the_guidelines_root_when_asked_then_known_as_printed_and_as_it_was() {
        assert!(is_garbled_guideline_root(&data("guideline-garbled-root.pem")));
        let intact = data("historic-root-2008.pem");
        let chain = CertificateChain::from_pem(&intact).unwrap();
        assert_eq!(Root::of(&chain.leaf().fingerprint), Some(Root::Gone));
        let twin = CertificateChain::from_pem(&data("historic-root-test-2008.pem")).unwrap();
        assert_eq!(Root::of(&twin.leaf().fingerprint), Some(Root::Gone));
        for other in [&b""[..], b"\xff", include_bytes!("roots/bankid-test.pem")] {
            assert!(!is_garbled_guideline_root(other));
        }
    }
}
