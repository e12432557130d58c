//! Keys that changes are signed with (TSIG, RFC 8945).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use zeroize::Zeroizing;

/// How a change is signed (RFC 8945 §6); those that are not broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The one that every server knows.
    #[default]
    HmacSha256,
    /// A longer one.
    HmacSha384,
    /// The longest.
    HmacSha512,
}

impl Algorithm {
    /// As BIND writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl From<Algorithm> for TsigAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HmacSha256 => Self::HmacSha256,
            Algorithm::HmacSha384 => Self::HmacSha384,
            Algorithm::HmacSha512 => Self::HmacSha512,
        }
    }
}

/// A key that we and a server have. Its `Debug` does not show the secret, which is zeroized on drop.
#[derive(Clone)]
pub struct TsigKey {
    /// As the server knows it.
    pub name: String,
    /// As the server knows it.
    pub algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
}

impl TsigKey {
    /// Takes the secret out of the text of a file: base64 alone, or a key as `tsig-keygen` writes it for BIND.
    ///
    /// # Errors
    ///
    /// [`SecretError`] for a text that holds none, or one that could be guessed.
    pub fn new(name: &str, algorithm: Algorithm, text: &str) -> Result<Self, SecretError> {
        let written = match text.split_once("secret") {
            Some((_, after)) => after.split('"').nth(1).ok_or(SecretError::Unclosed)?,
            None => text.trim(),
        };
        let secret = Zeroizing::new(BASE64_STANDARD.decode(written).map_err(|_| SecretError::NotBase64)?);
        if secret.len() < SHORTEST {
            return Err(SecretError::Short { length: secret.len() });
        }
        Ok(Self { name: name.to_owned(), algorithm, secret })
    }

    /// What signs messages. It keeps a copy of the secret that is not zeroized: hickory-proto takes no other.
    pub(super) fn signer(&self) -> Option<TSigner> {
        let name = super::parse(&self.name)?;
        TSigner::new(self.secret.to_vec(), self.algorithm.into(), name, FUDGE).ok()
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TsigKey").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why a text holds no secret of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// `secret` without quotes behind it.
    #[error("no text in quotes stands behind `secret`")]
    Unclosed,
    /// What is there is no base64.
    #[error("it is no base64")]
    NotBase64,
    /// Too short for a key.
    #[error("a secret of {length} bytes could be guessed; 16 are the least, 32 are usual")]
    Short {
        /// Bytes.
        length: usize,
    },
}

/// Seconds that the clocks may differ (RFC 8945 §10 recommends as many).
pub(super) const FUDGE: u16 = 300;

/// Bytes.
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn given_texts_when_read_then_the_secret_or_why_not() {
        let bind = format!("key \"k\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n");
        let table = [
            ("alone", format!(" {SECRET}\n"), Ok(b"0123456789abcdef0123456789abcdef".to_vec())),
            ("as BIND writes it", bind, Ok(b"0123456789abcdef0123456789abcdef".to_vec())),
            ("no base64", "not base64!".to_owned(), Err(SecretError::NotBase64)),
            ("no quotes", "secret abc;".to_owned(), Err(SecretError::Unclosed)),
            ("empty", String::new(), Err(SecretError::Short { length: 0 })),
            ("short", "MDEyMw==".to_owned(), Err(SecretError::Short { length: 4 })),
        ];
        for (name, text, expected) in table {
            let read = TsigKey::new("k", Algorithm::HmacSha256, &text).map(|key| key.secret.to_vec());
            assert_eq!(read, expected, "{name}");
        }
    }

    #[test]
    fn given_a_key_when_debugged_then_its_secret_is_not_shown() {
        let key = TsigKey::new("k", Algorithm::HmacSha512, SECRET).unwrap();
        assert_eq!(format!("{key:?}"), "TsigKey { name: \"k\", algorithm: HmacSha512, .. }");
    }
}
