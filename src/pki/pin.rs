//! Fingerprints and pins.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// SHA-256 of a certificate's DER. Reads and prints hex; colons and case do not matter when read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// SHA-256 over the SubjectPublicKeyInfo (RFC 7469 §2.4), written `sha256/BASE64`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpkiPin(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(sha256(certificate))
    }
}

impl SpkiPin {
    /// Of a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7).
    pub fn of(spki: &[u8]) -> Self {
        Self(sha256(spki))
    }
}

impl FromStr for Fingerprint {
    type Err = PinError;

    fn from_str(s: &str) -> Result<Self, PinError> {
        let malformed = || PinError::Malformed { expected: "64 hex digits", found: s.to_owned() };
        let digits: Vec<u8> = s.bytes().filter(|byte| *byte != b':').collect();
        let (pairs, []) = digits.as_chunks::<2>() else {
            return Err(malformed());
        };
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(malformed)
    }
}

impl FromStr for SpkiPin {
    type Err = PinError;

    fn from_str(s: &str) -> Result<Self, PinError> {
        let malformed = || PinError::Malformed {
            expected: "`sha256/` and 44 base64 characters that stand for 32 bytes",
            found: s.to_owned(),
        };
        let base64 = s.strip_prefix("sha256/").ok_or_else(malformed)?;
        let bytes = STANDARD.decode(base64).map_err(|_| malformed())?;
        bytes.try_into().map(Self).map_err(|_| malformed())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no pin.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Wrong length or alphabet.
    #[error("expected {expected}, found `{found}`")]
    Malformed {
        /// The form asked for.
        expected: &'static str,
        /// What was there.
        found: String,
    },
}

/// The digest of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_the_example_of_rfc_6234_when_hashed_then_prints_its_digest() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Fingerprint::of(b"abc").to_string(), abc);
        assert_eq!(SpkiPin::of(b"abc").to_string(), "sha256/ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn given_openssls_spelling_when_read_then_colons_and_case_do_not_matter() {
        let plain = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pairs: Vec<&str> = plain.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
        let spelled = pairs.join(":").to_uppercase();
        assert_eq!(spelled.parse::<Fingerprint>().unwrap(), plain.parse().unwrap());
    }

    #[test]
    fn given_one_fault_when_a_pin_is_read_then_says_what_was_expected() {
        let good = SpkiPin([7; 32]).to_string();
        for bad in [
            good.replace("sha256/", ""),
            good.replace("sha256/", "sha1/"),
            good.replace('=', ""),
            format!("{good}A"),
            good.replacen("Bw", "!!", 1),
            "sha256/AAAA".to_owned(),
        ] {
            let error = bad.parse::<SpkiPin>().unwrap_err().to_string();
            assert!(error.contains("sha256/") && error.contains(&bad), "{error}");
        }
    }

    #[test]
    fn given_one_fault_when_a_fingerprint_is_read_then_refused() {
        let good = Fingerprint([7; 32]).to_string();
        for bad in
            [good[1..].to_owned(), good[2..].to_owned(), format!("{good}00"), good.replacen('7', "g", 1), "ö".into()]
        {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn given_any_digest_when_printed_then_reads_back(bytes: [u8; 32]) {
            prop_assert_eq!(Fingerprint(bytes).to_string().parse::<Fingerprint>().unwrap(), Fingerprint(bytes));
            prop_assert_eq!(SpkiPin(bytes).to_string().parse::<SpkiPin>().unwrap(), SpkiPin(bytes));
        }

        #[test]
        fn given_any_text_when_read_then_nothing_panics(text: String) {
            let _ = text.parse::<Fingerprint>();
            let _ = text.parse::<SpkiPin>();
        }
    }
}
