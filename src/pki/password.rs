//! What opens an encrypted private key.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A password. Not shown by `Debug`, zeroized on drop; clones share.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<Zeroizing<String>>);

impl Password {
    /// Takes it as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// Takes the content of a file: UTF-8, a byte order mark and one line end at its end left out.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] for what is no text, has more than one line, or is too long for a password.
    pub fn from_file(bytes: &[u8]) -> Result<Self, PasswordError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() > LONGEST {
            return Err(PasswordError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PasswordError::NotText)?;
        if text.contains(['\n', '\0']) {
            return Err(PasswordError::SeveralLines);
        }
        Ok(Self::new(text))
    }

    /// Its bytes in UTF-8, as PBES2 takes it (RFC 8018 §3). For the eyes of cryptography alone.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// UTF-16 in big-endian order with a zero at its end, as PKCS #12 takes it (RFC 7292 appendix B.1).
    pub(super) fn to_bmp(&self) -> Zeroizing<Vec<u8>> {
        let mut bmp = Zeroizing::new(Vec::with_capacity(2 * self.0.len() + 2));
        for unit in self.0.encode_utf16().chain([0]) {
            bmp.extend_from_slice(&unit.to_be_bytes());
        }
        bmp
    }

    /// Whether it has no characters. Programs disagree on what the bytes of such a one are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Why a file holds no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Not UTF-8.
    #[error("the password file is not UTF-8 text; save it as UTF-8, with the password in its only line")]
    NotText,
    /// More than a line end follows the first line.
    #[error("the password file has several lines; expected the password in its only line")]
    SeveralLines,
    /// Nobody's password.
    #[error("the password file has more than {LONGEST} bytes; is it the right file?")]
    TooLong,
}

const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_one_file_when_read_then_its_only_line_is_the_password() {
        for (bytes, expected) in [
            (&b"hunter2"[..], Ok("hunter2")),
            (b"hunter2\n", Ok("hunter2")),
            (b"hunter2\r\n", Ok("hunter2")),
            (b"\xef\xbb\xbfhunter2\r\n", Ok("hunter2")),
            (b" two words ", Ok(" two words ")),
            (b"", Ok("")),
            (b"\n", Ok("")),
            (b"one\ntwo\n", Err(PasswordError::SeveralLines)),
            (b"\xff\xfeh\0", Err(PasswordError::NotText)),
            (&[b'x'; 5000], Err(PasswordError::TooLong)),
        ] {
            assert_eq!(Password::from_file(bytes), expected.map(Password::new), "{bytes:?}");
        }
    }

    #[test]
    fn given_a_password_when_debugged_then_not_shown() {
        assert_eq!(format!("{:?}", Password::new("hunter2")), "Password(..)");
    }

    #[test]
    fn given_a_password_when_written_for_pkcs12_then_utf16_with_a_zero() {
        assert_eq!(**Password::new("aö").to_bmp(), [0, b'a', 0, 0xf6, 0, 0]);
        assert_eq!(**Password::new("").to_bmp(), [0, 0]);
    }
}
