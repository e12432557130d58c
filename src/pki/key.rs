//! Private keys.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, RsaKeyPair,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use x509_parser::asn1_rs::Tag;
use zeroize::Zeroizing;

use super::asn1::{Malformed, Reader};
use super::pbe::{self, Budget, Passphrase, PbeError};
use super::pem::{self, Block, PemError};
use super::{Password, Pkcs12, SpkiPin};

/// A private key as PKCS #8 DER (RFC 5958), zeroized on drop. It can sign: what cannot be used is not read.
#[derive(Clone)]
pub struct PrivateKey(Arc<Zeroizing<Vec<u8>>>);

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generate`] when the cryptographic library fails, which no input causes.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let der = match key_type {
            KeyType::P256 => generate_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyType::P384 => generate_ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyType::Rsa2048 => generate_rsa(KeySize::Rsa2048),
            KeyType::Rsa3072 => generate_rsa(KeySize::Rsa3072),
            KeyType::Rsa4096 => generate_rsa(KeySize::Rsa4096),
        };
        der.map(Self::from_checked).ok_or(KeyError::Generate)
    }

    /// Makes a new key of the kind and size that [`LeafFacts::key_type`](super::LeafFacts::key_type) tells, such as
    /// `RSA-2048` or `P-256`; an RSA size that is not made here becomes the next larger one.
    ///
    /// # Errors
    ///
    /// [`KeyError::Kind`] for a kind that is not made here, [`KeyError::Generate`] as in [`PrivateKey::generate`].
    pub fn generate_like(key_type: &str) -> Result<Self, KeyError> {
        let bits = key_type.strip_prefix("RSA-").and_then(|bits| bits.parse::<u32>().ok());
        let der = match (key_type, bits) {
            ("P-256", _) => generate_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            ("P-384", _) => generate_ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            ("P-521", _) => generate_ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING),
            (_, Some(0..=2048)) => generate_rsa(KeySize::Rsa2048),
            (_, Some(2049..=3072)) => generate_rsa(KeySize::Rsa3072),
            (_, Some(3073..=4096)) => generate_rsa(KeySize::Rsa4096),
            (_, Some(4097..=8192)) => generate_rsa(KeySize::Rsa8192),
            _ => return Err(KeyError::Kind { key_type: key_type.to_owned() }),
        };
        der.map(Self::from_checked).ok_or(KeyError::Generate)
    }

    /// Reads the first private key of a PEM text: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    ///
    /// [`KeyError::Missing`] without such a block, [`KeyError::PasswordMissing`] when it is encrypted,
    /// [`KeyError::Pem`] when the block is broken, [`KeyError::Unsupported`] when no usable key is in it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_pem_with(pem, None)
    }

    /// Reads the first private key of a file: PKCS #8, PKCS #1 or SEC 1, in PEM or DER, PKCS #8 also encrypted.
    ///
    /// # Errors
    ///
    /// As [`PrivateKey::from_pem`], and [`KeyError::WrongPassword`], [`KeyError::UnsupportedEncryption`],
    /// [`KeyError::OldEncryption`] for what a password guards.
    pub fn from_file(bytes: &[u8], password: Option<&Password>) -> Result<Self, KeyError> {
        if !pem::is_der(bytes) {
            return Self::from_pem_with(bytes, password);
        }
        let Some(format) = Format::of_der(bytes) else {
            let is_pkcs12 = Pkcs12::is_likely(bytes);
            let found = if is_pkcs12 {
                "the file is PKCS #12, write it as `pkcs12 = \"...\"`"
            } else {
                "the file is DER of another kind"
            };
            return Err(KeyError::Missing { found: found.to_owned() });
        };
        format.read(Zeroizing::new(bytes.to_vec()), password)
    }

    /// Takes PKCS #8 in DER.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unsupported`] when no usable key is in it.
    pub(super) fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        Format::Pkcs8.read(der, None)
    }

    fn from_pem_with(pem: &[u8], password: Option<&Password>) -> Result<Self, KeyError> {
        let mut blocks = pem::blocks(pem);
        let Some((position, format)) =
            blocks.iter().enumerate().find_map(|(index, block)| Some((index, Format::of(block)?)))
        else {
            return Err(KeyError::Missing { found: pem::describe(pem, &blocks) });
        };
        let block = blocks.swap_remove(position);
        if block.is_encrypted {
            return Err(KeyError::OldEncryption);
        }
        format.read(block.body?, password)
    }

    /// PKCS #8 in PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", &self.0)
    }

    /// PKCS #8 in DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Pin of its public key, equal to that of every certificate for it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unsupported`] for a kind of key that does not tell its public half; none that [`PrivateKey`] reads.
    pub fn pin(&self) -> Result<SpkiPin, KeyError> {
        let key = self.signing_key()?;
        let public_key = key.public_key().ok_or_else(|| Format::Pkcs8.unsupported())?;
        Ok(SpkiPin::of(&public_key))
    }

    /// In rustls's form.
    pub(super) fn signing_key(&self) -> Result<Arc<dyn SigningKey>, KeyError> {
        any_supported_type(&self.as_pkcs8()).map_err(|_| Format::Pkcs8.unsupported())
    }

    /// In rcgen's form, for signing certificates and requests.
    pub(super) fn key_pair(&self) -> Result<Zeroizing<rcgen::KeyPair>, KeyError> {
        rcgen::KeyPair::try_from(&self.as_pkcs8()).map(Zeroizing::new).map_err(KeyError::Sign)
    }

    fn as_pkcs8(&self) -> PrivateKeyDer<'_> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.der()))
    }

    fn from_checked(der: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(der))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// Kind and size of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256; what every client of this century accepts.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA with 2048 bits, for old clients.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits; its handshakes cost the most.
    Rsa4096,
}

impl KeyType {
    /// For records and people, such as `P-256` or `RSA-2048`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A new key of this kind is not made here.
    #[error("no new key of the kind `{key_type}` can be made, only RSA, P-256, P-384 and P-521")]
    Kind {
        /// As a certificate tells it.
        key_type: String,
    },
    /// The certificate whose subject was to be taken cannot be read.
    #[error("the subject of the certificate cannot be read")]
    Subject,
    /// The key signs no requests.
    #[error("the key can sign no request")]
    NoRequest,
    /// No PEM block of a private key.
    #[error("no private key found, expected a PEM block `PRIVATE KEY`; {found}")]
    Missing {
        /// What the text looks like instead.
        found: String,
    },
    /// A password guards it, and none is given.
    #[error("the private key is encrypted, and no password is given")]
    PasswordMissing,
    /// A password guards it, and another one is given.
    #[error("the private key stays encrypted: the password is wrong, or the file is damaged")]
    WrongPassword,
    /// It is encrypted in a way that we do not read.
    #[error("the private key cannot be decrypted: {reason}")]
    UnsupportedEncryption {
        /// Why not.
        reason: String,
    },
    /// The encryption of PEM before PKCS #8 (RFC 1421), whose key is one round of MD5.
    #[error("the private key is encrypted in the old way of PEM (`Proc-Type: 4,ENCRYPTED`), which is not supported")]
    OldEncryption,
    /// The block of the key is broken.
    #[error("the private key's PEM block is broken")]
    Pem(#[from] PemError),
    /// The block holds nothing that we can sign with.
    #[error(
        "the {format} block holds no usable private key; \
         expected RSA with 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519"
    )]
    Unsupported {
        /// The form that its label promised.
        format: &'static str,
    },
    /// It cannot stand in a subjectAltName (RFC 5280 §4.2.1.6).
    #[error("no certificate can name `{identifier}`; expected a DNS name in ASCII or an IP address")]
    Identifier {
        /// As it was given.
        identifier: String,
    },
    /// The cryptographic library did not make one.
    #[error("no new private key could be made")]
    Generate,
    /// The key did not sign.
    #[error("the private key could not sign")]
    Sign(#[source] rcgen::Error),
}

/// Forms of private keys in PEM.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Pkcs8,
    Pkcs1,
    Sec1,
    Encrypted,
}

impl Format {
    fn of(block: &Block) -> Option<Self> {
        match block.label.as_str() {
            "PRIVATE KEY" => Some(Self::Pkcs8),
            "RSA PRIVATE KEY" => Some(Self::Pkcs1),
            "EC PRIVATE KEY" => Some(Self::Sec1),
            "ENCRYPTED PRIVATE KEY" => Some(Self::Encrypted),
            _ => None,
        }
    }

    /// Of bytes that are one SEQUENCE, by its first elements.
    fn of_der(der: &[u8]) -> Option<Self> {
        let mut inner = Reader::new(der).sequence().ok()?;
        match (inner.any().ok()?.tag(), inner.peek()?) {
            (Tag::Integer, Tag::Sequence) if !Pkcs12::is_likely(der) => Some(Self::Pkcs8),
            (Tag::Integer, Tag::Integer) => Some(Self::Pkcs1),
            (Tag::Integer, Tag::OctetString) => Some(Self::Sec1),
            (Tag::Sequence, Tag::OctetString) => Some(Self::Encrypted),
            _ => None,
        }
    }

    fn read(self, der: Zeroizing<Vec<u8>>, password: Option<&Password>) -> Result<PrivateKey, KeyError> {
        if self == Self::Encrypted {
            let plain = decrypt(&der, password.ok_or(KeyError::PasswordMissing)?)?;
            // One wrong password of 256 gives garbage with a good padding.
            let is_key = Self::of_der(&plain) == Some(Self::Pkcs8);
            return if is_key { Self::Pkcs8.read(plain, None) } else { Err(KeyError::WrongPassword) };
        }
        let der = self.to_pkcs8(der).ok_or_else(|| self.unsupported())?;
        let key = PrivateKey::from_checked(der);
        key.signing_key().map(|_| key).map_err(|_| self.unsupported())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pkcs8 | Self::Encrypted => "PKCS #8",
            Self::Pkcs1 => "PKCS #1",
            Self::Sec1 => "SEC 1",
        }
    }

    fn unsupported(self) -> KeyError {
        KeyError::Unsupported { format: self.name() }
    }

    fn to_pkcs8(self, der: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Pkcs8 => Some(der),
            Self::Pkcs1 => rsa_to_pkcs8(&RsaKeyPair::from_der(&der).ok()?),
            Self::Sec1 => {
                [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING]
                    .into_iter()
                    .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, &der).ok())
                    .and_then(|key| secret(key.to_pkcs8v1().ok()?))
            }
            Self::Encrypted => None,
        }
    }
}

/// EncryptedPrivateKeyInfo (RFC 5958 §3).
fn decrypt(der: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let malformed = |_: Malformed| PbeError::Malformed;
    let parts = || {
        let mut info = Reader::new(der).sequence()?;
        Ok((Reader::new(info.raw()?), info.octets()?))
    };
    let (mut algorithm, data) = parts().map_err(malformed)?;
    let passphrase = Passphrase { password, bmp: &password.to_bmp() };
    Ok(pbe::decrypt(&mut algorithm, &data, &passphrase, &mut Budget::new())?)
}

impl From<PbeError> for KeyError {
    fn from(error: PbeError) -> Self {
        match error {
            PbeError::WrongPassword => Self::WrongPassword,
            PbeError::Malformed | PbeError::Unsupported(_) | PbeError::TooManyIterations => {
                Self::UnsupportedEncryption { reason: error.to_string() }
            }
        }
    }
}

fn generate_ecdsa(curve: &'static EcdsaSigningAlgorithm) -> Option<Zeroizing<Vec<u8>>> {
    secret(EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).ok()?)
}

fn generate_rsa(size: KeySize) -> Option<Zeroizing<Vec<u8>>> {
    rsa_to_pkcs8(&RsaKeyPair::generate(size).ok()?)
}

fn rsa_to_pkcs8(key: &RsaKeyPair) -> Option<Zeroizing<Vec<u8>>> {
    let der: Pkcs8V1Der<'_> = key.as_der().ok()?;
    secret(&*der)
}

fn secret(der: impl AsRef<[u8]>) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(der.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [KeyType; 3] = [KeyType::P256, KeyType::P384, KeyType::Rsa2048];

    #[test]
    fn given_each_key_type_when_generated_then_signs_and_reads_back_from_pem() {
        for key_type in ALL {
            let key = PrivateKey::generate(key_type).unwrap();
            assert!(key.signing_key().is_ok() && key.key_pair().is_ok(), "{key_type:?}");
            assert_eq!(PrivateKey::from_pem(key.to_pem().as_bytes()).unwrap().der(), key.der(), "{key_type:?}");
        }
    }

    #[test]
    fn given_two_generated_keys_when_compared_then_they_differ() {
        let keys = [PrivateKey::generate(KeyType::P256).unwrap(), PrivateKey::generate(KeyType::P256).unwrap()];
        assert_ne!(keys[0].der(), keys[1].der());
    }

    #[test]
    fn given_the_older_forms_when_read_then_the_same_key_as_pkcs_8() {
        let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
        let pkcs1 = pem::encode("RSA PRIVATE KEY", &rsa_inside(rsa.der()));
        assert_eq!(PrivateKey::from_pem(pkcs1.as_bytes()).unwrap().der(), rsa.der());

        for (key_type, curve) in
            [(KeyType::P256, &ECDSA_P256_SHA256_ASN1_SIGNING), (KeyType::P384, &ECDSA_P384_SHA384_ASN1_SIGNING)]
        {
            let key = PrivateKey::generate(key_type).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(curve, key.der()).unwrap();
            let sec1: aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
            // As openssl writes it: the curve's parameters stand before the key.
            let text = format!(
                "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
                *pem::encode("EC PRIVATE KEY", sec1.as_ref())
            );
            let read = PrivateKey::from_pem(text.as_bytes()).unwrap();
            assert_eq!(read.pin().unwrap(), key.pin().unwrap(), "{key_type:?}");
        }
    }

    #[test]
    fn given_a_certificate_before_the_key_when_read_then_the_key_is_found() {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let text = format!("{}{}", *pem::encode("CERTIFICATE", b"x"), *key.to_pem());
        assert_eq!(PrivateKey::from_pem(text.as_bytes()).unwrap().der(), key.der());
    }

    #[test]
    fn given_one_fault_when_read_then_says_what_and_how_to_mend_it() {
        let good = PrivateKey::generate(KeyType::P256).unwrap().to_pem();
        let legacy = good.replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nM");
        for (text, word) in [
            (String::new(), "the text is empty"),
            (good.replace("PRIVATE KEY", "CERTIFICATE"), "holds `CERTIFICATE`"),
            (good.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "no password is given"),
            (legacy, "Proc-Type: 4,ENCRYPTED"),
            (good.replace("PRIVATE KEY", "RSA PRIVATE KEY"), "PKCS #1 block holds no usable private key"),
            (good.replace("PRIVATE KEY", "EC PRIVATE KEY").replacen("MI", "AA", 1), "SEC 1 block holds no usable"),
            (good.replacen("\nM", "\n!", 1), "PEM block is broken"),
            (good.replace("-----END", "----END"), "PEM block is broken"),
            (pem::encode("PRIVATE KEY", b"").to_string(), "PKCS #8 block holds no usable"),
        ] {
            let error = PrivateKey::from_pem(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn given_a_key_when_debugged_then_shows_nothing() {
        assert_eq!(format!("{:?}", PrivateKey::generate(KeyType::P256).unwrap()), "PrivateKey(..)");
    }

    proptest! {
        #[test]
        fn given_any_body_when_read_then_nothing_panics(
            label in prop_oneof![Just("PRIVATE KEY"), Just("RSA PRIVATE KEY"), Just("EC PRIVATE KEY")],
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = PrivateKey::from_pem(pem::encode(label, &body).as_bytes());
        }

        #[test]
        fn given_one_byte_changed_when_read_then_nothing_panics(at in 0usize..138, to: u8) {
            let mut der = PrivateKey::generate(KeyType::P256).unwrap().der().to_vec();
            let at = at % der.len();
            der[at] = to;
            let _ = PrivateKey::from_pem(pem::encode("PRIVATE KEY", &der).as_bytes());
        }
    }

    /// The PKCS #1 bytes in a PKCS #8 key of RSA (RFC 5958 §2): they begin with the second long SEQUENCE.
    fn rsa_inside(pkcs8: &[u8]) -> Vec<u8> {
        let start = pkcs8.windows(2).skip(4).position(|pair| pair == [0x30, 0x82]).unwrap() + 4;
        pkcs8[start..].to_vec()
    }
}
