//! Decryption by a password: PBES2 (RFC 8018 §6.2) and the older schemes of PKCS #12 (RFC 7292 appendix C).

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm as Aes, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, InnerIvInit, KeyIvInit};
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use x509_parser::asn1_rs::{Oid, oid};
use zeroize::Zeroizing;

use super::Password;
use super::asn1::{Malformed, Reader};

/// How much work one file may ask for: iterations over all of its parts. Programs write 2,000 to 600,000 of them; a
/// hostile file asks for thousands of millions.
pub(super) struct Budget(u32);

impl Budget {
    /// For one file.
    pub(super) fn new() -> Self {
        Self(MOST_ITERATIONS)
    }

    /// Takes from it.
    pub(super) fn spend(&mut self, iterations: u32) -> Result<NonZeroU32, PbeError> {
        let iterations = NonZeroU32::new(iterations).ok_or(PbeError::Malformed)?;
        self.0 = self.0.checked_sub(iterations.get()).ok_or(PbeError::TooManyIterations)?;
        Ok(iterations)
    }
}

/// Why something stays encrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PbeError {
    #[error("its encryption parameters cannot be read")]
    Malformed,
    #[error("it is encrypted by {0}, which is not supported")]
    Unsupported(String),
    #[error("it asks for more than {MOST_ITERATIONS} iterations of a password function")]
    TooManyIterations,
    #[error("the password is wrong, or the file is damaged")]
    WrongPassword,
}

impl From<Malformed> for PbeError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A password in the two forms that the schemes take.
pub(super) struct Passphrase<'a> {
    pub(super) password: &'a Password,
    /// For PKCS #12's own schemes.
    pub(super) bmp: &'a [u8],
}

/// Decrypts `data` as the AlgorithmIdentifier says that `algorithm` begins with.
pub(super) fn decrypt(
    algorithm: &mut Reader<'_>,
    data: &[u8],
    passphrase: &Passphrase<'_>,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let mut algorithm = algorithm.sequence()?;
    let scheme = algorithm.oid()?;
    if scheme == PBES2 {
        return pbes2(algorithm.sequence()?, data, passphrase.password, budget);
    }
    let Some((_, cipher)) = PKCS12_SCHEMES.iter().find(|(oid, _)| *oid == scheme) else {
        return Err(PbeError::Unsupported(name(&scheme)));
    };
    let mut parameters = algorithm.sequence()?;
    let (salt, iterations) = (parameters.octets()?, budget.spend(parameters.integer()?)?);
    // The key and the initial vector are derived apart, with the same number of iterations.
    budget.spend(iterations.get())?;
    let derive =
        |purpose, length| pkcs12_key(&SHA1_FOR_LEGACY_USE_ONLY, purpose, passphrase.bmp, &salt, iterations, length);
    cipher.decrypt(&derive(Purpose::Key, cipher.key_length()), &derive(Purpose::InitialVector, 8), data)
}

fn pbes2(
    mut parameters: Reader<'_>,
    data: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let (mut derivation, mut encryption) = (parameters.sequence()?, parameters.sequence()?);
    let function = derivation.oid()?;
    if function != PBKDF2 {
        return Err(PbeError::Unsupported(name(&function)));
    }
    let scheme = encryption.oid()?;
    let Some((_, cipher)) = PBES2_SCHEMES.iter().find(|(oid, _)| *oid == scheme) else {
        return Err(PbeError::Unsupported(name(&scheme)));
    };
    let initial_vector = encryption.octets()?;
    let mut key = Zeroizing::new(vec![0; cipher.key_length()]);
    pbkdf2_key(derivation.sequence()?, password, budget, &mut key)?;
    cipher.decrypt(&key, &initial_vector, data)
}

/// PBKDF2-params (RFC 8018 appendix A.2).
fn pbkdf2_key(
    mut parameters: Reader<'_>,
    password: &Password,
    budget: &mut Budget,
    key: &mut [u8],
) -> Result<(), PbeError> {
    let salt = parameters.octets()?;
    let iterations = budget.spend(parameters.integer()?)?;
    if parameters.peek() == Some(x509_parser::asn1_rs::Tag::Integer) {
        parameters.integer()?;
    }
    let function = if parameters.is_empty() { HMAC_SHA1 } else { parameters.sequence()?.oid()? };
    let Some((_, function)) = FUNCTIONS.iter().find(|(oid, _)| *oid == function) else {
        return Err(PbeError::Unsupported(name(&function)));
    };
    pbkdf2::derive(**function, iterations, &salt, password.as_bytes(), key);
    Ok(())
}

/// What is derived from a password, by its number in RFC 7292 appendix B.3.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    InitialVector = 2,
    Integrity = 3,
}

/// The key derivation of PKCS #12 (RFC 7292 appendix B.2).
pub(super) fn pkcs12_key(
    hash: &'static digest::Algorithm,
    purpose: Purpose,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.block_len();
    let padded = |bytes: &[u8]| bytes.len().next_multiple_of(block);
    let mut input = Zeroizing::new(Vec::with_capacity(padded(salt) + padded(password)));
    for part in [salt, password] {
        input.extend(part.iter().cycle().take(padded(part)));
    }
    let mut key = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
    while key.len() < length {
        let mut context = digest::Context::new(hash);
        context.update(&vec![purpose as u8; block]);
        context.update(&input);
        let mut output = context.finish();
        for _ in 1..iterations.get() {
            output = digest::digest(hash, output.as_ref());
        }
        key.extend_from_slice(output.as_ref());
        for part in input.chunks_exact_mut(block) {
            add(part, output.as_ref());
        }
    }
    key.truncate(length);
    key
}

/// `number + repeated + 1`, as big-endian numbers as long as `number`.
fn add(number: &mut [u8], repeated: &[u8]) {
    let length = number.len();
    let mut carry = 1u16;
    for index in (0..length).rev() {
        let sum = u16::from(number[index]) + u16::from(repeated[index % repeated.len()]) + carry;
        let [high, low] = sum.to_be_bytes();
        number[index] = low;
        carry = u16::from(high);
    }
}

/// Ciphers that keys are encrypted with, all of them in CBC mode with PKCS #7 padding.
#[derive(Clone, Copy)]
enum Cipher {
    Aes(&'static Aes, usize),
    TripleDes3,
    TripleDes2,
    /// With an effective key of as many bits.
    Rc2(usize),
}

impl Cipher {
    /// In bytes.
    fn key_length(self) -> usize {
        match self {
            Self::Aes(_, length) => length,
            Self::TripleDes3 => 24,
            Self::TripleDes2 => 16,
            Self::Rc2(bits) => bits / 8,
        }
    }

    fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, PbeError> {
        let mut data = Zeroizing::new(data.to_vec());
        let length = match self {
            Self::Aes(algorithm, _) => aes(algorithm, key, iv, &mut data),
            Self::TripleDes3 => {
                let cipher = cbc::Decryptor::<TdesEde3>::new_from_slices(key, iv).map_err(|_| PbeError::Malformed)?;
                cipher.decrypt_padded::<Pkcs7>(&mut data).map(<[u8]>::len).map_err(|_| PbeError::WrongPassword)
            }
            Self::TripleDes2 => {
                let cipher = cbc::Decryptor::<TdesEde2>::new_from_slices(key, iv).map_err(|_| PbeError::Malformed)?;
                cipher.decrypt_padded::<Pkcs7>(&mut data).map(<[u8]>::len).map_err(|_| PbeError::WrongPassword)
            }
            Self::Rc2(bits) => {
                let rc2 = Rc2::new_with_eff_key_len(key, bits);
                let cipher = cbc::Decryptor::<Rc2>::inner_iv_slice_init(rc2, iv).map_err(|_| PbeError::Malformed)?;
                cipher.decrypt_padded::<Pkcs7>(&mut data).map(<[u8]>::len).map_err(|_| PbeError::WrongPassword)
            }
        }?;
        data.truncate(length);
        Ok(data)
    }
}

fn aes(algorithm: &'static Aes, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<usize, PbeError> {
    let iv = FixedLength::<16>::try_from(iv).map_err(|_| PbeError::Malformed)?;
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| PbeError::Malformed)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| PbeError::Malformed)?;
    let plain = key.decrypt(data, DecryptionContext::Iv128(iv)).map_err(|_| PbeError::WrongPassword)?;
    Ok(plain.len())
}

/// What people call an algorithm, else its number.
fn name(oid: &Oid<'_>) -> String {
    let known = NAMES.iter().find(|(known, _)| known == oid);
    known.map_or_else(|| format!("the algorithm {}", oid.to_id_string()), |(_, name)| (*name).to_owned())
}

const MOST_ITERATIONS: u32 = 5_000_000;

const PBES2: Oid<'static> = oid!(1.2.840.113549.1.5.13);
const PBKDF2: Oid<'static> = oid!(1.2.840.113549.1.5.12);
const HMAC_SHA1: Oid<'static> = oid!(1.2.840.113549.2.7);

static PKCS12_SCHEMES: [(Oid<'static>, Cipher); 4] = [
    (oid!(1.2.840.113549.1.12.1.3), Cipher::TripleDes3),
    (oid!(1.2.840.113549.1.12.1.4), Cipher::TripleDes2),
    (oid!(1.2.840.113549.1.12.1.5), Cipher::Rc2(128)),
    (oid!(1.2.840.113549.1.12.1.6), Cipher::Rc2(40)),
];

static PBES2_SCHEMES: [(Oid<'static>, Cipher); 4] = [
    (oid!(2.16.840.1.101.3.4.1.2), Cipher::Aes(&AES_128, 16)),
    (oid!(2.16.840.1.101.3.4.1.22), Cipher::Aes(&AES_192, 24)),
    (oid!(2.16.840.1.101.3.4.1.42), Cipher::Aes(&AES_256, 32)),
    (oid!(1.2.840.113549.3.7), Cipher::TripleDes3),
];

static FUNCTIONS: [(Oid<'static>, &pbkdf2::Algorithm); 4] = [
    (HMAC_SHA1, &pbkdf2::PBKDF2_HMAC_SHA1),
    (oid!(1.2.840.113549.2.9), &pbkdf2::PBKDF2_HMAC_SHA256),
    (oid!(1.2.840.113549.2.10), &pbkdf2::PBKDF2_HMAC_SHA384),
    (oid!(1.2.840.113549.2.11), &pbkdf2::PBKDF2_HMAC_SHA512),
];

static NAMES: [(Oid<'static>, &str); 8] = [
    (oid!(1.3.6.1.4.1.11591.4.11), "scrypt"),
    (oid!(1.2.840.113549.1.5.3), "MD5 and DES (PBES1)"),
    (oid!(1.2.840.113549.1.5.6), "MD5 and RC2 (PBES1)"),
    (oid!(1.2.840.113549.1.5.10), "SHA-1 and DES (PBES1)"),
    (oid!(1.2.840.113549.1.5.11), "SHA-1 and RC2 (PBES1)"),
    (oid!(1.2.840.113549.1.12.1.1), "RC4 with 128 bits"),
    (oid!(1.2.840.113549.1.12.1.2), "RC4 with 40 bits"),
    (oid!(1.3.14.3.2.7), "DES"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vectors that Bouncy Castle, OpenSSL and Go's `pkcs12` test with.
    #[test]
    fn given_known_passwords_when_derived_then_the_known_keys() {
        let rows = [
            (
                "smeg",
                &[0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f][..],
                Purpose::Key,
                1,
                24,
                "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3",
            ),
            (
                "smeg",
                &[0x64, 0x2b, 0x99, 0xab, 0x44, 0xfb, 0x4b, 0x1f],
                Purpose::Key,
                1,
                24,
                "f3a95fec48d7711e985cfe67908c5ab79fa3d7c5caa5d966",
            ),
            (
                "smeg",
                &[0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f],
                Purpose::InitialVector,
                1,
                8,
                "79993dfe048d3b76",
            ),
            (
                "smeg",
                &[0x3d, 0x83, 0xc0, 0xe4, 0x54, 0x6a, 0xc1, 0x40],
                Purpose::Integrity,
                1,
                20,
                "8d967d88f6caa9d714800ab3d48051d63f73a312",
            ),
            (
                "queeg",
                &[0x05, 0xde, 0xc9, 0x59, 0xac, 0xff, 0x72, 0xf7],
                Purpose::Key,
                1000,
                24,
                "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4",
            ),
            (
                "queeg",
                &[0x05, 0xde, 0xc9, 0x59, 0xac, 0xff, 0x72, 0xf7],
                Purpose::InitialVector,
                1000,
                8,
                "11dedad7758d4860",
            ),
        ];
        for (password, salt, purpose, iterations, length, expected) in rows {
            let (bmp, iterations) = (Password::new(password).to_bmp(), NonZeroU32::new(iterations).unwrap());
            let key = pkcs12_key(&SHA1_FOR_LEGACY_USE_ONLY, purpose, &bmp, salt, iterations, length);
            assert_eq!(hex(&key), expected);
        }
    }

    #[test]
    fn given_more_work_than_the_budget_when_spent_then_refused() {
        let mut budget = Budget::new();
        budget.spend(MOST_ITERATIONS - 1).unwrap();
        assert_eq!(budget.spend(2), Err(PbeError::TooManyIterations));
        assert!(budget.spend(1).is_ok());
        assert_eq!(budget.spend(0), Err(PbeError::Malformed));
        assert_eq!(Budget::new().spend(u32::MAX), Err(PbeError::TooManyIterations));
    }
}
