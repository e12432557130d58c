//! Writing PKCS #12 (RFC 7292), for programs that take nothing else.
//!
//! # Why
//!
//! Certificates and key are encrypted by PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA256 (RFC 8018), the whole is guarded by
//! HMAC-SHA256: what OpenSSL 3 writes by itself, and what Windows Server 2019, Java 8u301 and their successors read. 3DES and
//! SHA-1, which older ones want and read alone, are written when they are asked for; RC2 never is.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{hmac, pbkdf2};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use des::TdesEde3;
use zeroize::Zeroizing;

use super::pbe::{self, Purpose};
use super::{CertificateChain, Password, PrivateKey};

/// For whom a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// AES-256 and SHA-256.
    #[default]
    Modern,
    /// 3DES and SHA-1 (RFC 7292 appendix C), for those that know nothing else, such as Windows before Server 2019.
    Old,
}

/// Writes a chain, and the key of its leaf when it is given, guarded by a password. `name` is what programs show of it.
///
/// # Errors
///
/// [`ExportError`] when the cryptographic library fails, which no input causes.
pub fn pkcs12(
    name: &str,
    chain: &CertificateChain,
    key: Option<&PrivateKey>,
    password: &Password,
    readers: Readers,
) -> Result<Vec<u8>, ExportError> {
    let of_leaf = attributes(name, chain);
    let bags = chain.certificates().iter().enumerate().map(|(index, certificate)| {
        let bag = sequence(&[X509_CERTIFICATE, &explicit(&octets(certificate))]);
        let attributes = if index == 0 { of_leaf.as_slice() } else { &[] };
        sequence(&[CERTIFICATE_BAG, &explicit(&bag), attributes])
    });
    let certificates = encrypt(&sequence(&[&bags.collect::<Vec<_>>().concat()]), password, readers)?;
    let content = sequence(&[DATA, &certificates.algorithm, &tlv(IMPLICIT_0, &certificates.data)]);
    let mut parts = sequence(&[ENCRYPTED_DATA, &explicit(&sequence(&[&integer(0), &content]))]);
    if let Some(key) = key {
        let encrypted = encrypt(key.der(), password, readers)?;
        let shrouded = sequence(&[&encrypted.algorithm, &octets(&encrypted.data)]);
        let bag = sequence(&[SHROUDED_KEY_BAG, &explicit(&shrouded), &of_leaf]);
        parts.extend(sequence(&[DATA, &explicit(&octets(&sequence(&[&bag])))]));
    }
    let safe = sequence(&[&parts]);
    let guard = guard(&safe, password, readers)?;
    Ok(sequence(&[&integer(3), &sequence(&[DATA, &explicit(&octets(&safe))]), &guard]))
}

/// The cryptographic library has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library cannot write PKCS #12")]
pub struct ExportError;

struct Encrypted {
    /// AlgorithmIdentifier (RFC 8018 appendix A.4).
    algorithm: Vec<u8>,
    data: Vec<u8>,
}

fn encrypt(plain: &[u8], password: &Password, readers: Readers) -> Result<Encrypted, ExportError> {
    match readers {
        Readers::Modern => encrypt_by_aes(plain, password),
        Readers::Old => encrypt_by_3des(plain, password),
    }
}

/// pbeWithSHAAnd3-KeyTripleDES-CBC.
fn encrypt_by_3des(plain: &[u8], password: &Password) -> Result<Encrypted, ExportError> {
    let (salt, bmp) = (random::<8>()?, password.to_bmp());
    let derive =
        |purpose, length| pbe::pkcs12_key(&SHA1_FOR_LEGACY_USE_ONLY, purpose, &bmp, &salt, OLD_ITERATIONS, length);
    let (key, initial_vector) = (derive(Purpose::Key, 24), derive(Purpose::InitialVector, 8));
    let cipher = cbc::Encryptor::<TdesEde3>::new_from_slices(&key, &initial_vector).map_err(|_| ExportError)?;
    let mut data = plain.to_vec();
    data.resize(plain.len() + 8, 0);
    let length = cipher.encrypt_padded::<Pkcs7>(&mut data, plain.len()).map_err(|_| ExportError)?.len();
    data.truncate(length);
    let parameters = sequence(&[&octets(&salt), &integer(OLD_ITERATIONS.get())]);
    Ok(Encrypted { algorithm: sequence(&[SHA1_AND_3DES, &parameters]), data })
}

fn encrypt_by_aes(plain: &[u8], password: &Password) -> Result<Encrypted, ExportError> {
    let salt = random::<16>()?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), &mut *key);
    let key = UnboundCipherKey::new(&AES_256, &*key).map_err(|_| ExportError)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| ExportError)?;
    // Encrypted in place: with room for the padding nothing is copied and left behind.
    let mut data = Vec::with_capacity(plain.len() + 16);
    data.extend_from_slice(plain);
    let context = key.encrypt(&mut data).map_err(|_| ExportError)?;
    let initial_vector: &[u8] = (&context).try_into().map_err(|_| ExportError)?;
    let function = sequence(&[HMAC_SHA256, NULL]);
    let derivation = sequence(&[&octets(&salt), &integer(ITERATIONS.get()), &function]);
    let parameters = sequence(&[&sequence(&[PBKDF2, &derivation]), &sequence(&[AES_256_CBC, &octets(initial_vector)])]);
    Ok(Encrypted { algorithm: sequence(&[PBES2, &parameters]), data })
}

/// MacData (RFC 7292 §4).
fn guard(safe: &[u8], password: &Password, readers: Readers) -> Result<Vec<u8>, ExportError> {
    type Guard = (&'static digest::Algorithm, hmac::Algorithm, &'static [u8], NonZeroU32);
    let (hash, mac, oid, iterations): Guard = match readers {
        Readers::Modern => (&SHA256, hmac::HMAC_SHA256, OID_SHA256, ITERATIONS),
        Readers::Old => (&SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, OID_SHA1, OLD_ITERATIONS),
    };
    let salt = random::<16>()?;
    let key = pbe::pkcs12_key(hash, Purpose::Integrity, &password.to_bmp(), &salt, iterations, hash.output_len());
    let tag = hmac::sign(&hmac::Key::new(mac, &key), safe);
    let info = sequence(&[&sequence(&[oid, NULL]), &octets(tag.as_ref())]);
    Ok(sequence(&[&info, &octets(&salt), &integer(iterations.get())]))
}

/// Name and id, which tie the key to its certificate (RFC 2985 §5.5).
fn attributes(name: &str, chain: &CertificateChain) -> Vec<u8> {
    let bmp: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let friendly = sequence(&[FRIENDLY_NAME, &tlv(SET, &tlv(BMP_STRING, &bmp))]);
    let id = sequence(&[LOCAL_KEY_ID, &tlv(SET, &octets(&chain.leaf().fingerprint.0))]);
    tlv(SET, &[friendly, id].concat())
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], ExportError> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ExportError)?;
    Ok(bytes)
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn explicit(content: &[u8]) -> Vec<u8> {
    tlv(EXPLICIT_0, content)
}

fn octets(content: &[u8]) -> Vec<u8> {
    tlv(OCTET_STRING, content)
}

fn integer(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    // A first bit that is set would be a sign.
    let sign: &[u8] = if bytes[first] >= 0x80 { &[0] } else { &[] };
    tlv(INTEGER, &[sign, &bytes[first..]].concat())
}

/// One element in DER (X.690 §10.1: the shortest form of the length).
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut out = Vec::with_capacity(content.len() + 2 + significant.len());
    out.push(tag);
    match (content.len(), u8::try_from(significant.len())) {
        (0..0x80, _) => out.push(significant.first().copied().unwrap_or(0)),
        (_, count) => {
            out.push(0x80 | count.unwrap_or(8));
            out.extend(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// Some tens of milliseconds; OpenSSL writes 2,048, which were many in 1999.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("it is not zero");

/// What old Windows and OpenSSL write themselves; a good password is what protects such a file.
const OLD_ITERATIONS: NonZeroU32 = NonZeroU32::new(2048).expect("it is not zero");

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const IMPLICIT_0: u8 = 0x80;
const EXPLICIT_0: u8 = 0xa0;
const NULL: &[u8] = &[0x05, 0x00];

/// OBJECT IDENTIFIERs, whole: 1.2.840.113549.1.7.1 and so on, as `pkcs12` reads them.
const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ENCRYPTED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06";
const SHROUDED_KEY_BAG: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
const CERTIFICATE_BAG: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
const X509_CERTIFICATE: &[u8] = b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
const FRIENDLY_NAME: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14";
const LOCAL_KEY_ID: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";
const PBES2: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
const PBKDF2: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
const HMAC_SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x09";
const AES_256_CBC: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
const SHA1_AND_3DES: &[u8] = b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03";
const OID_SHA1: &[u8] = b"\x06\x05\x2b\x0e\x03\x02\x1a";
const OID_SHA256: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Identity, Pkcs12, Pkcs12Error};
    use crate::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);

    #[test]
    fn given_an_identity_when_written_then_read_back_with_its_password_alone() {
        let identity = Identity::self_signed(&["m5.test".to_owned()], NOW, NOW).unwrap();
        let password = Password::new("pass wörd");

        for readers in [Readers::Modern, Readers::Old] {
            let der = pkcs12("m5.test", identity.chain(), Some(identity.key()), &password, readers).unwrap();

            let read = Pkcs12::read(&der, Some(&password)).unwrap();
            assert_eq!(read.certificates, identity.chain().certificates());
            assert_eq!(read.key.der(), identity.key().der());
            let wrong = Pkcs12::read(&der, Some(&Password::new("other")));
            assert!(matches!(wrong, Err(Pkcs12Error::WrongPassword)));
            assert!(!der.windows(32).any(|bytes| identity.key().der().windows(32).any(|key| key == bytes)));
        }
    }

    #[test]
    fn given_no_key_when_written_then_certificates_alone() {
        let identity = Identity::self_signed(&["m5.test".to_owned()], NOW, NOW).unwrap();
        let password = Password::new("p");

        let der = pkcs12("m5.test", identity.chain(), None, &password, Readers::Modern).unwrap();

        assert!(matches!(Pkcs12::read(&der, Some(&password)), Err(Pkcs12Error::NoKey { certificates: 1 })));
    }

    #[test]
    fn given_lengths_and_numbers_when_written_then_the_shortest_form() {
        assert_eq!(tlv(4, &[]), [4, 0]);
        assert_eq!(tlv(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(tlv(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[7; 256])[..4], [4, 0x82, 1, 0]);
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(100_000), [2, 3, 1, 0x86, 0xa0]);
    }
}
