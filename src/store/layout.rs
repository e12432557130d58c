//! Where everything lies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::order::{JSON, ORDER};
use crate::pki::Fingerprint;

/// The paths in a state directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: Arc<Path>,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn version(&self) -> PathBuf {
        self.root.join("version")
    }

    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.root.join("certs").join(folder_name(name))
    }

    /// Of the order of a certificate at the CA with this directory.
    pub(super) fn order(&self, name: &str, directory: &str) -> PathBuf {
        self.certificate(name).join(format!("{ORDER}-{}{JSON}", directory_name(directory)))
    }

    pub(super) fn account(&self, directory: &str) -> PathBuf {
        self.root.join("acme").join(directory_name(directory))
    }

    /// `server_name` is what it is asked by; the host of its address mostly.
    pub(super) fn known_peer(&self, address: &str, server_name: &str) -> PathBuf {
        self.root.join("upstreams").join(format!("{}.json", folder_name(&format!("{address} {server_name}"))))
    }

    pub(super) fn notifier(&self, name: &str) -> PathBuf {
        self.root.join("notify").join(format!("{}{JSON}", folder_name(name)))
    }

    pub(super) fn ntlm_sites(&self) -> PathBuf {
        self.root.join("ntlm.json")
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.root.join("ca")
    }

    pub(super) fn lock(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(format!("{}.lock", folder_name(name)))
    }
}

/// A file name for any text: different for different texts, also where case does not matter, and legal everywhere.
///
/// Lower-case letters, digits, `-`, `_` and `.` stand for themselves, all else is `%` and two lower-case hex digits for each
/// byte. So is a dot at either end (hidden, `..`, cut off by Windows) and the first letter of a device name of Windows. A
/// long text keeps its beginning and ends in `~` and its SHA-256; `~` alone is the empty text.
fn folder_name(name: &str) -> String {
    if name.is_empty() {
        return "~".to_owned();
    }
    let last = name.len() - 1;
    let mut encoded = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let is_plain = match byte {
            b'a'..=b'z' => at != 0 || !is_device(name),
            b'0'..=b'9' | b'-' | b'_' => true,
            b'.' => at != 0 && at != last,
            _ => false,
        };
        match is_plain {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    if encoded.len() > LONGEST {
        encoded.truncate(KEPT);
        encoded = format!("{encoded}~{}", Fingerprint::of(name.as_bytes()));
    }
    encoded
}

/// The host, to be found by people, and a hash of the whole URL, to be unique.
fn directory_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host: String = rest.chars().take_while(|c| !matches!(c, '/' | '?' | '#')).take(KEPT).collect();
    let hash = Fingerprint::of(url.as_bytes()).to_string();
    format!("{}-{}", folder_name(&host), &hash[..16])
}

/// Windows opens a device for `con` and for `con.example.com` alike.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let is_numbered =
        |prefix| stem.strip_prefix(prefix).is_some_and(|rest: &str| matches!(rest.as_bytes(), [b'0'..=b'9']));
    matches!(stem, "con" | "prn" | "aux" | "nul") || is_numbered("com") || is_numbered("lpt")
}

/// Beyond this a name is shortened; encrypting file systems allow 143 bytes.
const LONGEST: usize = 120;
/// What is left of a long name, before `~` and 64 digits.
const KEPT: usize = 60;

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_name_when_encoded_then_readable_and_legal() {
        for (name, expected) in [
            ("m5.example.com", "m5.example.com"),
            ("*.example.com", "%2a.example.com"),
            ("M5", "%4d5"),
            ("[::1]:443", "%5b%3a%3a1%5d%3a443"),
            ("..", "%2e%2e"),
            ("../../etc", "%2e.%2f..%2fetc"),
            ("a.", "a%2e"),
            ("", "~"),
            ("~", "%7e"),
            ("%2a", "%252a"),
            ("con", "%63on"),
            ("com1.example.com", "%63om1.example.com"),
            ("com.example", "com.example"),
            ("å", "%c3%a5"),
        ] {
            assert_eq!(folder_name(name), expected);
        }
    }

    #[test]
    fn given_long_names_that_differ_at_the_end_when_encoded_then_short_and_different() {
        let names = ["a", "b"].map(|end| folder_name(&format!("{}{end}", "*".repeat(300))));
        assert!(names[0] != names[1] && names[0].len() <= 125, "{names:?}");
    }

    #[test]
    fn given_directories_when_named_then_the_host_is_seen_and_each_has_its_own() {
        let names = ["https://Acme.test:14000/dir", "https://Acme.test:14000/dir2"].map(directory_name);
        assert!(names[0].starts_with("%41cme.test%3a14000-"), "{names:?}");
        assert_ne!(names[0], names[1]);
    }

    proptest! {
        #[test]
        fn given_two_names_when_encoded_then_different_even_without_case(
            a in "([a-dA-D*%~.:/å]|con|%2a){0,60}",
            b in "([a-dA-D*%~.:/å]|con|%2a){0,60}",
        ) {
            prop_assert_eq!(a == b, folder_name(&a).to_lowercase() == folder_name(&b).to_lowercase());
        }

        #[test]
        fn given_any_name_when_encoded_then_one_plain_file_name(name: String) {
            let encoded = folder_name(&name);
            let path = Path::new(&encoded);
            let components: Vec<_> = path.components().collect();
            prop_assert!(matches!(components[..], [Component::Normal(_)]), "{}", encoded);
            prop_assert!(encoded.len() <= 125 && encoded.is_ascii() && !encoded.ends_with('.'));
            prop_assert!(!encoded.contains(['\\', ':', '*', '/', '\0', '<', '>', '"', '|', '?']));
        }

        #[test]
        fn given_any_directory_when_named_then_one_plain_file_name(url: String) {
            let encoded = directory_name(&url);
            prop_assert!(encoded.len() <= 160 && !encoded.contains(['/', '\\', ':']), "{}", encoded);
        }
    }
}
