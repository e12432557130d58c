//! What a caller shows to be let in.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// A caller's token (RFC 6750 §2.1). Not shown by `Debug`, zeroized on drop; clones share.
#[derive(Clone)]
pub struct Token(Arc<Zeroizing<String>>);

impl Token {
    /// Takes the content of a file, without white space at its ends. `None` for what no header field can carry, or what is
    /// so short that it could be guessed.
    pub fn from_file(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let is_sound = text.len() >= Self::SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    /// Whether the value of an `Authorization` field shows it. Takes the same time for every wrong token of its length.
    pub fn is_shown_by(&self, authorization: &[u8]) -> bool {
        let Some((scheme, shown)) = authorization.split_at_checked(SCHEME.len()) else { return false };
        scheme.eq_ignore_ascii_case(SCHEME) && verify_slices_are_equal(shown.trim_ascii(), self.0.as_bytes()).is_ok()
    }

    /// A token has so many characters at least.
    pub const SHORTEST: usize = 16;
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_token_when_shown_then_only_the_same_passes() {
        let token = Token::from_file(b"0123456789abcdef\n").unwrap();

        for shown in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef", "Bearer  0123456789abcdef "] {
            assert!(token.is_shown_by(shown.as_bytes()), "{shown}");
        }
        for other in
            ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcdef0", "0123456789abcdef"]
        {
            assert!(!token.is_shown_by(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn given_what_no_header_carries_or_anybody_guesses_when_read_then_no_token() {
        for file in [&b""[..], b"\n", b"short", b"0123456789 abcdef", b"0123456789abcde\xff0", b"0123456789\nabcdef"] {
            assert!(Token::from_file(file).is_none(), "{file:?}");
        }
    }
}
