//! The key of an account that the CA's operator has given out beside ACME (RFC 8555 §7.3.4).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::pki::{Password, PasswordError};
use crate::source::PasswordSource;

/// `eab`: who we are to the CA before we have an account there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// Its name, as the CA has told it.
    pub kid: String,
    /// Its MAC key in base64url.
    pub key: PasswordSource,
}

impl ExternalAccount {
    /// The bytes of the key.
    ///
    /// # Errors
    ///
    /// [`EabError`] when its file cannot be read or it is no key.
    pub(super) fn key(&self) -> Result<Zeroizing<Vec<u8>>, EabError> {
        match &self.key {
            PasswordSource::Given(given) => mac_key(given),
            PasswordSource::File(file) => {
                let path = || file.display().to_string();
                let bytes = std::fs::read(file).map(Zeroizing::new);
                let bytes = bytes.map_err(|source| EabError::Read { path: path(), source })?;
                let text = Password::from_file(&bytes).map_err(|source| EabError::Text { path: path(), source })?;
                mac_key(&text)
            }
        }
    }
}

/// The bytes of a MAC key: base64url, as RFC 8555 wants it; some CAs show plain base64, or pad.
///
/// # Errors
///
/// [`EabError::NoKey`], which does not show it.
pub fn mac_key(text: &Password) -> Result<Zeroizing<Vec<u8>>, EabError> {
    let text = std::str::from_utf8(text.as_bytes()).map(str::trim).unwrap_or_default();
    let engines = [&URL_SAFE_NO_PAD, &URL_SAFE, &STANDARD_NO_PAD, &STANDARD];
    let decoded = engines.iter().find_map(|engine| engine.decode(text).ok()).map(Zeroizing::new);
    decoded.filter(|key| key.len() >= SHORTEST).ok_or(EabError::NoKey)
}

/// Why there is no key to bind an account with.
#[derive(Debug, thiserror::Error)]
pub enum EabError {
    /// Its file.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not one line of text.
    #[error("`{path}` holds no key")]
    Text {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: PasswordError,
    },
    /// Not base64url, or too short to be one.
    #[error("it is no MAC key: expected at least {SHORTEST} bytes in base64url, as the CA shows it beside the `kid`")]
    NoKey,
}

/// CAs give out 32 bytes; pebble's sample has more. What is shorter than half of that is another thing.
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_keys_as_cas_show_them_when_read_then_their_bytes() {
        let bytes: Vec<u8> = (200..=255).collect();
        for text in [
            URL_SAFE_NO_PAD.encode(&bytes),
            URL_SAFE.encode(&bytes),
            STANDARD.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            format!(" {} ", URL_SAFE_NO_PAD.encode(&bytes)),
        ] {
            assert_eq!(*mac_key(&Password::new(&*text)).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn given_something_else_when_read_then_refused_and_not_shown() {
        for text in ["", "kid-1", "hunter2 hunter2 hunter2", "c2hvcnQ"] {
            let error = mac_key(&Password::new(text)).unwrap_err();
            assert!(matches!(error, EabError::NoKey) && !error.to_string().contains("hunter2"), "{text}");
        }
    }
}
