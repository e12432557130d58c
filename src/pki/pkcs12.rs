//! PKCS #12 files (RFC 7292): `.p12`, `.pfx`.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA224, SHA256, SHA384, SHA512};
use aws_lc_rs::hmac;
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Oid, Tag, oid};
use zeroize::Zeroizing;

use super::asn1::{Malformed, Reader};
use super::pbe::{self, Budget, Passphrase, PbeError, Purpose};
use super::{KeyError, Password, PrivateKey};

/// What a PKCS #12 file holds: certificates in any order, and one private key.
#[derive(Clone, Debug)]
pub struct Pkcs12 {
    /// All certificates in DER, in their order.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The only key.
    pub key: PrivateKey,
}

impl Pkcs12 {
    /// Reads a file, with a password or, when there is none, with an empty one.
    ///
    /// Integrity is checked before anything is decrypted (RFC 7292 §5.1); a file without integrity data is read too. The
    /// work that a file may ask for is bounded.
    ///
    /// # Errors
    ///
    /// [`Pkcs12Error`], one variant for each thing that the operator can do about it.
    pub fn read(der: &[u8], password: Option<&Password>) -> Result<Self, Pkcs12Error> {
        let container = Container::open(der)?;
        let given = password.cloned().unwrap_or_else(|| Password::new(""));
        let mut safe = container.read(&given).map_err(|error| match error {
            Pkcs12Error::WrongPassword if password.is_none() => Pkcs12Error::PasswordMissing,
            error => error,
        })?;
        match safe.keys.len() {
            1 => Ok(Self { certificates: safe.certificates, key: safe.keys.remove(0).1? }),
            0 => Err(Pkcs12Error::NoKey { certificates: safe.certificates.len() }),
            _ => Err(Pkcs12Error::SeveralKeys { names: names(&safe.keys) }),
        }
    }

    /// Whether bytes look like PKCS #12 and not like another thing in DER.
    pub fn is_likely(der: &[u8]) -> bool {
        Container::open(der).is_ok()
    }
}

/// Why a PKCS #12 file gives no key and certificates.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs12Error {
    /// Not PKCS #12, or cut short.
    #[error("the file is no PKCS #12, or it is damaged{hint}")]
    Malformed {
        /// What it looks like instead, behind a `; `, or nothing.
        hint: &'static str,
    },
    /// It needs a password, and none is given.
    #[error("the file needs a password, and none is given")]
    PasswordMissing,
    /// The password does not fit.
    #[error("the password is wrong, or the file is damaged")]
    WrongPassword,
    /// Encrypted or protected in a way that we do not read.
    #[error("the file uses {algorithm}, which is not supported")]
    Unsupported {
        /// Such as `scrypt`.
        algorithm: String,
    },
    /// It would keep us busy for too long.
    #[error("the file asks for millions of iterations of its password function, far beyond what programs write")]
    TooManyIterations,
    /// Certificates only.
    #[error("the file holds {certificates} certificates and no private key")]
    NoKey {
        /// How many.
        certificates: usize,
    },
    /// It is not said which of them is meant.
    #[error("the file holds several private keys, expected one: {names}")]
    SeveralKeys {
        /// Their friendly names.
        names: String,
    },
    /// The key cannot be used.
    #[error("the private key cannot be used")]
    Key(#[from] KeyError),
}

impl From<Malformed> for Pkcs12Error {
    fn from(_: Malformed) -> Self {
        Self::Malformed { hint: "" }
    }
}

impl From<PbeError> for Pkcs12Error {
    fn from(error: PbeError) -> Self {
        match error {
            PbeError::Malformed => Self::Malformed { hint: "" },
            PbeError::Unsupported(algorithm) => Self::Unsupported { algorithm },
            PbeError::TooManyIterations => Self::TooManyIterations,
            PbeError::WrongPassword => Self::WrongPassword,
        }
    }
}

/// The outer shell (RFC 7292 §4).
struct Container<'a> {
    /// The AuthenticatedSafe in DER.
    content: Zeroizing<Vec<u8>>,
    integrity: Option<Integrity<'a>>,
}

impl<'a> Container<'a> {
    fn open(der: &'a [u8]) -> Result<Self, Pkcs12Error> {
        if der.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(Pkcs12Error::Malformed { hint: "; it is PEM: name it as `chain` and `key`" });
        }
        let mut pfx = Reader::new(der).sequence()?;
        if pfx.integer()? != 3 {
            return Err(Pkcs12Error::Malformed { hint: "" });
        }
        let mut info = pfx.sequence()?;
        let kind = info.oid()?;
        if kind == SIGNED_DATA {
            return Err(Pkcs12Error::Unsupported { algorithm: "public-key integrity".to_owned() });
        }
        if kind != DATA {
            return Err(Malformed.into());
        }
        let content = info.tagged(0)?.octets()?;
        let integrity = if pfx.is_empty() { None } else { Some(Integrity::read(pfx.sequence()?)?) };
        Ok(Self { content, integrity })
    }

    /// An empty password is two zero bytes to some programs and nothing to others.
    fn read(&self, password: &Password) -> Result<Safe, Pkcs12Error> {
        let mut budget = Budget::new();
        let bmp = password.to_bmp();
        let forms: &[&[u8]] = if password.is_empty() { &[&bmp, &[]] } else { &[&bmp] };
        let mut result = Err(Pkcs12Error::WrongPassword);
        for bmp in forms {
            result = self.read_as(&Passphrase { password, bmp }, &mut budget);
            if !matches!(result, Err(Pkcs12Error::WrongPassword)) {
                break;
            }
        }
        result
    }

    fn read_as(&self, passphrase: &Passphrase<'_>, budget: &mut Budget) -> Result<Safe, Pkcs12Error> {
        if let Some(integrity) = &self.integrity {
            integrity.check(&self.content, passphrase, budget)?;
        }
        let mut safe = Safe::default();
        let mut parts = Reader::new(&self.content).sequence()?;
        while !parts.is_empty() {
            let mut info = parts.sequence()?;
            let kind = info.oid()?;
            let contents = if kind == DATA {
                info.tagged(0)?.octets()?
            } else if kind == ENCRYPTED_DATA {
                decrypt(info.tagged(0)?, passphrase, budget)?
            } else {
                return Err(Pkcs12Error::Unsupported { algorithm: "encryption to a certificate".to_owned() });
            };
            safe.take(&contents, passphrase, budget, DEEPEST)?;
        }
        Ok(safe)
    }
}

/// EncryptedData (RFC 5652 §8).
fn decrypt(
    mut tagged: Reader<'_>,
    passphrase: &Passphrase<'_>,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
    let mut data = tagged.sequence()?;
    data.integer()?;
    let mut content = data.sequence()?;
    content.oid()?;
    let mut algorithm = Reader::new(content.raw()?);
    let encrypted = content.tagged_octets(0)?;
    Ok(pbe::decrypt(&mut algorithm, &encrypted, passphrase, budget)?)
}

/// MacData (RFC 7292 §4).
struct Integrity<'a> {
    algorithm: Oid<'a>,
    digest: Zeroizing<Vec<u8>>,
    salt: Zeroizing<Vec<u8>>,
    iterations: u32,
}

impl<'a> Integrity<'a> {
    fn read(mut data: Reader<'a>) -> Result<Self, Malformed> {
        let mut info = data.sequence()?;
        let algorithm = info.sequence()?.oid()?;
        let digest = info.octets()?;
        let salt = data.octets()?;
        let iterations = if data.is_empty() { 1 } else { data.integer()? };
        Ok(Self { algorithm, digest, salt, iterations })
    }

    fn check(&self, content: &[u8], passphrase: &Passphrase<'_>, budget: &mut Budget) -> Result<(), Pkcs12Error> {
        if self.algorithm == PBMAC1 {
            return Err(Pkcs12Error::Unsupported { algorithm: "PBMAC1 (RFC 9579)".to_owned() });
        }
        let Some((_, hash, mac)) = DIGESTS.iter().find(|(oid, ..)| *oid == self.algorithm) else {
            return Err(Pkcs12Error::Unsupported {
                algorithm: format!("the digest {}", self.algorithm.to_id_string()),
            });
        };
        let iterations = budget.spend(self.iterations)?;
        let key = pbe::pkcs12_key(hash, Purpose::Integrity, passphrase.bmp, &self.salt, iterations, hash.output_len());
        let key = hmac::Key::new(*mac, &key);
        hmac::verify(&key, content, &self.digest).map_err(|_| Pkcs12Error::WrongPassword)
    }
}

/// What was found so far.
#[derive(Default)]
struct Safe {
    certificates: Vec<CertificateDer<'static>>,
    /// Friendly name and key.
    keys: Vec<(Option<String>, Result<PrivateKey, KeyError>)>,
}

impl Safe {
    /// Takes a SafeContents (RFC 7292 §4.2).
    fn take(
        &mut self,
        contents: &[u8],
        passphrase: &Passphrase<'_>,
        budget: &mut Budget,
        depth: usize,
    ) -> Result<(), Pkcs12Error> {
        let mut bags = Reader::new(contents).sequence()?;
        while !bags.is_empty() {
            let mut bag = bags.sequence()?;
            let (kind, mut value) = (bag.oid()?, bag.tagged(0)?);
            let name = || friendly_name(bag);
            if kind == KEY_BAG {
                let key = Zeroizing::new(value.raw()?.to_vec());
                self.keys.push((name(), PrivateKey::from_pkcs8(key)));
            } else if kind == SHROUDED_KEY_BAG {
                let mut encrypted = value.sequence()?;
                let mut algorithm = Reader::new(encrypted.raw()?);
                let key = pbe::decrypt(&mut algorithm, &encrypted.octets()?, passphrase, budget)?;
                self.keys.push((name(), PrivateKey::from_pkcs8(key)));
            } else if kind == CERTIFICATE_BAG {
                self.certificates.extend(certificate(value)?);
            } else if kind == SAFE_CONTENTS_BAG {
                let depth = depth.checked_sub(1).ok_or(Malformed)?;
                self.take(value.raw()?, passphrase, budget, depth)?;
            }
            // Revocation lists and other secrets are of no use to us.
        }
        Ok(())
    }
}

/// CertBag (RFC 7292 §4.2.3); `None` for what is not X.509.
fn certificate(mut value: Reader<'_>) -> Result<Option<CertificateDer<'static>>, Malformed> {
    let mut bag = value.sequence()?;
    if bag.oid()? != X509_CERTIFICATE {
        return Ok(None);
    }
    let der = bag.tagged(0)?.octets()?;
    Ok(Some(CertificateDer::from(der.to_vec())))
}

/// The name that a program has given to a key (RFC 2985 §5.5.1), fit for a message.
fn friendly_name(mut bag: Reader<'_>) -> Option<String> {
    let mut attributes = bag.set().ok()?;
    while let Ok(mut attribute) = attributes.sequence() {
        if attribute.oid().ok()? == FRIENDLY_NAME {
            let value = attribute.set().ok()?.any().ok().filter(|value| value.tag() == Tag::BmpString)?;
            let units = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            let name = char::decode_utf16(units).filter_map(Result::ok).filter(|c| !c.is_control());
            return Some(name.take(LONGEST_NAME).collect());
        }
    }
    None
}

fn names<T>(keys: &[(Option<String>, T)]) -> String {
    let shown = keys.iter().take(8).map(|(name, _)| match name {
        Some(name) => format!("`{name}`"),
        None => "one without a name".to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Bags in bags; nobody writes more than one level.
const DEEPEST: usize = 4;
const LONGEST_NAME: usize = 64;

const DATA: Oid<'static> = oid!(1.2.840.113549.1.7.1);
const SIGNED_DATA: Oid<'static> = oid!(1.2.840.113549.1.7.2);
const ENCRYPTED_DATA: Oid<'static> = oid!(1.2.840.113549.1.7.6);
const KEY_BAG: Oid<'static> = oid!(1.2.840.113549.1.12.10.1.1);
const SHROUDED_KEY_BAG: Oid<'static> = oid!(1.2.840.113549.1.12.10.1.2);
const CERTIFICATE_BAG: Oid<'static> = oid!(1.2.840.113549.1.12.10.1.3);
const SAFE_CONTENTS_BAG: Oid<'static> = oid!(1.2.840.113549.1.12.10.1.6);
const X509_CERTIFICATE: Oid<'static> = oid!(1.2.840.113549.1.9.22.1);
const FRIENDLY_NAME: Oid<'static> = oid!(1.2.840.113549.1.9.20);
const PBMAC1: Oid<'static> = oid!(1.2.840.113549.1.5.14);

static DIGESTS: [(Oid<'static>, &digest::Algorithm, hmac::Algorithm); 5] = [
    (oid!(1.3.14.3.2.26), &SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    (oid!(2.16.840.1.101.3.4.2.4), &SHA224, hmac::HMAC_SHA224),
    (oid!(2.16.840.1.101.3.4.2.1), &SHA256, hmac::HMAC_SHA256),
    (oid!(2.16.840.1.101.3.4.2.2), &SHA384, hmac::HMAC_SHA384),
    (oid!(2.16.840.1.101.3.4.2.3), &SHA512, hmac::HMAC_SHA512),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::{CertificateChain, Fingerprint, Identity};

    const MODERN: &[u8] = include_bytes!("../../tests/data/bankid/FPTestcert5_20240610.p12");
    const LEGACY: &[u8] = include_bytes!("../../tests/data/bankid/FPTestcert5_20240610-legacy.pfx");
    const EXPIRED: &[u8] = include_bytes!("../../tests/data/bankid/FPTestcert4_20220818.p12");
    const FINGERPRINT: &str = "EF15B3E1837BD4ADE7E4BFA1D0A07E9BE936E0389C10806077D0EB51271AD5F5";

    fn password() -> Password {
        Password::new("qwerty123")
    }

    #[test]
    fn given_bankids_files_when_read_then_their_certificate_and_its_key() {
        let expired = "514FB50581D65870E90CD308C3C4793525B52420E7E3E40F277F2D8B8A17334F";
        for (name, file, expected) in
            [("modern", MODERN, FINGERPRINT), ("legacy", LEGACY, FINGERPRINT), ("expired", EXPIRED, expired)]
        {
            let read = Pkcs12::read(file, Some(&password())).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(Fingerprint::of(&read.certificates[0]), expected.parse::<Fingerprint>().unwrap(), "{name}");
            let chain = CertificateChain::from_der(read.certificates).unwrap();
            Identity::new(chain, read.key).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn given_another_password_or_none_when_read_then_said_so() {
        for file in [MODERN, LEGACY] {
            let wrong = Pkcs12::read(file, Some(&Password::new("Qwerty123"))).unwrap_err();
            assert!(matches!(wrong, Pkcs12Error::WrongPassword), "{wrong}");
            let empty = Pkcs12::read(file, Some(&Password::new(""))).unwrap_err();
            assert!(matches!(empty, Pkcs12Error::WrongPassword), "{empty}");
            let none = Pkcs12::read(file, None).unwrap_err();
            assert!(matches!(none, Pkcs12Error::PasswordMissing), "{none}");
        }
    }

    #[test]
    fn given_a_changed_byte_anywhere_when_read_then_an_error_and_no_panic() {
        for file in [MODERN, LEGACY] {
            for position in (0..file.len()).step_by(7) {
                let mut changed = file.to_vec();
                changed[position] ^= 0x15;
                // Names of bags and unused bytes may change without harm only where the integrity data does not see them.
                if let Ok(read) = Pkcs12::read(&changed, Some(&password())) {
                    assert_eq!(read.certificates.len(), 1, "{position}");
                }
            }
        }
    }

    #[test]
    fn given_a_file_cut_anywhere_when_read_then_an_error() {
        for length in 0..MODERN.len() {
            assert!(Pkcs12::read(&MODERN[..length], Some(&password())).is_err(), "{length}");
        }
    }

    #[test]
    fn given_thousands_of_millions_of_iterations_when_read_then_refused_at_once() {
        // 2048 as the file has it, in its integrity data and in each of its parts.
        let count = [0x02, 0x02, 0x08, 0x00];
        let positions: Vec<_> = MODERN.windows(4).enumerate().filter(|(_, w)| *w == count).map(|(at, _)| at).collect();
        assert_eq!(positions.len(), 3);
        let last = positions[2];
        let mut hostile = MODERN.to_vec();
        // The same length, so that no other length has to change: the largest number in two bytes for the last, and
        // the salt's last two bytes given to the number.
        let (salt_length, salt) = (last - 9, 8);
        assert_eq!(hostile[salt_length], salt);
        hostile[salt_length] = salt - 2;
        hostile[last - 2..last + 4].copy_from_slice(&[0x02, 0x04, 0x7f, 0xff, 0xff, 0xff]);
        let error = Pkcs12::read(&hostile, Some(&password())).unwrap_err();
        assert!(matches!(error, Pkcs12Error::TooManyIterations), "{error}");
    }

    fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let inner = parts.concat();
        let length = u16::try_from(inner.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], &inner[..]].concat()
    }

    /// A file without encryption and integrity data, whose bags hold `keys` under their names.
    fn plain(keys: &[&str]) -> Vec<u8> {
        const TYPE_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
        const TYPE_KEY_BAG: [u8; 13] = [6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 1];
        const TYPE_NAME: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 20];
        let bags = keys.iter().map(|name| {
            let key = PrivateKey::generate(crate::pki::KeyType::P256).unwrap();
            let bmp: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let name = wrap(0x30, &[&TYPE_NAME, &wrap(0x31, &[&wrap(0x1e, &[&bmp])])]);
            wrap(0x30, &[&TYPE_KEY_BAG, &wrap(0xa0, &[key.der()]), &wrap(0x31, &[&name])])
        });
        let data = |content: &[u8]| wrap(0x30, &[&TYPE_DATA, &wrap(0xa0, &[&wrap(4, &[content])])]);
        let contents = wrap(0x30, &[&bags.collect::<Vec<_>>().concat()]);
        wrap(0x30, &[&[2, 1, 3], &data(&wrap(0x30, &[&data(&contents)]))])
    }

    #[test]
    fn given_no_key_or_several_when_read_then_refused_by_their_names() {
        let one = Pkcs12::read(&plain(&["one"]), None).unwrap();
        assert!(one.certificates.is_empty());
        let several = Pkcs12::read(&plain(&["site", "web\u{7}mail"]), None).unwrap_err().to_string();
        assert_eq!(several, "the file holds several private keys, expected one: `site`, `webmail`");
        assert!(matches!(Pkcs12::read(&plain(&[]), None), Err(Pkcs12Error::NoKey { certificates: 0 })));
    }

    #[test]
    fn given_other_files_when_asked_then_not_pkcs12() {
        assert!(Pkcs12::is_likely(MODERN) && Pkcs12::is_likely(LEGACY));
        for other in [&b""[..], b"-----BEGIN CERTIFICATE-----", b"\x30\x03\x02\x01\x03", &[0x30; 64]] {
            assert!(!Pkcs12::is_likely(other));
        }
        let pem = Pkcs12::read(b"-----BEGIN CERTIFICATE-----", None).unwrap_err().to_string();
        assert!(pem.contains("it is PEM"), "{pem}");
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Pkcs12::read(&bytes, None);
        }

        /// With the shell of a file and anything in it, so that the inner readers meet it.
        #[test]
        fn given_any_contents_when_taken_then_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let password = password();
            let passphrase = Passphrase { password: &password, bmp: &password.to_bmp() };
            let length = u8::try_from(bytes.len()).unwrap();
            let contents = [&[0x30, 0x81, length][..], &bytes].concat();
            let _ = Safe::default().take(&contents, &passphrase, &mut Budget::new(), DEEPEST);
            let container = Container { content: Zeroizing::new(contents), integrity: None };
            let _ = container.read(&password);
        }
    }
}
