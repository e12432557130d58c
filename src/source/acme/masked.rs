//! The CA's own words, without what must not reach a log.

use crate::challenge::HTTP_PREFIX;

/// Cuts off challenge tokens and key authorizations (RFC 8555 §8.1), which CAs quote when a validation fails.
///
/// What stands in the path of http-01 is a token; so may be any word as long as a SHA-256 in base64url, and one half of a
/// key authorization always is.
pub(super) fn masked(words: &str) -> String {
    let mut masked = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(is_of_token) {
        let (before, found) = rest.split_at(start);
        let (word, after) = found.split_at(found.find(|c| !is_of_token(c)).unwrap_or(found.len()));
        masked.push_str(before);
        match word.len() >= DIGEST || masked.ends_with(HTTP_PREFIX) {
            true => masked.extend(word.chars().take(SHOWN).chain("...".chars())),
            false => masked.push_str(word),
        }
        rest = after;
    }
    masked + rest
}

/// Of the alphabet of base64url (RFC 4648 §5).
const fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Characters of a SHA-256 in base64url.
const DIGEST: usize = 43;
/// Enough to find it in another log.
const SHOWN: usize = 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "y9sqwdN_P_1jTrYJkPeU8jsG9_-RQo6h4UUbJ9RhUPc";

    #[test]
    fn given_words_of_a_ca_when_masked_then_only_tokens_are_cut() {
        let table = [
            (
                format!("Get \"http://m5.test/.well-known/acme-challenge/{TOKEN}\": refused"),
                "Get \"http://m5.test/.well-known/acme-challenge/y9sqwd...\": refused",
            ),
            (
                "http://m5.test/.well-known/acme-challenge/short: 404".into(),
                "http://m5.test/.well-known/acme-challenge/short...: 404",
            ),
            (format!("expected \"{TOKEN}.{TOKEN}\""), "expected \"y9sqwd....y9sqwd...\""),
            (
                "DNS problem: NXDOMAIN looking up A for a-rather-long.name.example.com é".into(),
                "DNS problem: NXDOMAIN looking up A for a-rather-long.name.example.com é",
            ),
            (String::new(), ""),
        ];
        for (words, expected) in table {
            assert_eq!(masked(&words), expected);
        }
    }

    proptest! {
        #[test]
        fn given_any_words_when_masked_then_no_token_is_left(before: String, after: String) {
            let words = masked(&format!("{before} {TOKEN} {after}"));
            prop_assert!(!words.contains(TOKEN));
        }
    }
}
