//! Since when phones know the roots of public authorities.
//!
//! # Why
//!
//! A phone that gets no updates keeps the roots that it was made with. That a root is in Mozilla's list says nothing of
//! phones from before. Only what its owner or the phone's maker has published stands here; of other roots it is told when
//! they were made, before which no phone can know them.

/// Since when a root is known, by version of the phone's system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Support {
    /// Common name of the root.
    pub(super) name: &'static str,
    /// First version of Android with it; `None` where it is not published.
    pub(super) android: Option<&'static str>,
    /// First version of iOS with it.
    pub(super) iphone: Option<&'static str>,
    /// Where that is published.
    pub(super) source: &'static str,
    /// When the row was held against its source; `None` where that was not done, and the row is from memory.
    pub(super) read: Option<&'static str>,
}

impl Support {
    /// A version as it is told: with a question mark where it is from memory.
    pub(super) fn told(&self, version: &str) -> String {
        if self.read.is_some() { version.to_owned() } else { format!("{version} (?)") }
    }
}

/// What is published about the root with this common name.
pub(super) fn support(name: &str) -> Option<&'static Support> {
    TABLE.iter().find(|support| support.name == name)
}

/// When it was last looked whether a root is missing from the table.
pub(super) const AS_OF: &str = "2026-11-22";

const LETS_ENCRYPT: &str = "letsencrypt.org/docs/certificate-compatibility";
const SECTIGO: &str = "sectigo.com, knowledge base: Sectigo Root Certificates (kA03l000000c4KV)";
const READ: Option<&str> = Some("2026-11-22");

const TABLE: &[Support] = &[
    Support { name: "ISRG Root X1", android: Some("7.1.1"), iphone: Some("10"), source: LETS_ENCRYPT, read: READ },
    Support { name: "ISRG Root X2", android: Some("14"), iphone: None, source: LETS_ENCRYPT, read: None },
    Support {
        name: "USERTrust RSA Certification Authority",
        android: Some("5.1"),
        iphone: Some("10"),
        source: SECTIGO,
        read: READ,
    },
    Support {
        name: "USERTrust ECC Certification Authority",
        android: Some("5.1"),
        iphone: Some("10"),
        source: SECTIGO,
        read: READ,
    },
    Support {
        name: "COMODO RSA Certification Authority",
        android: Some("5.1"),
        iphone: Some("10"),
        source: SECTIGO,
        read: READ,
    },
    Support {
        name: "COMODO ECC Certification Authority",
        android: Some("2.3"),
        iphone: Some("10"),
        source: SECTIGO,
        read: READ,
    },
];

/// Phones with an older system are few.
pub(super) const OLDEST_ANDROID: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Certificate, TrustAnchors};

    #[test]
    fn given_each_row_then_mozilla_has_a_root_of_that_name() {
        let mozilla = TrustAnchors::mozilla();
        let roots = mozilla.certificates().iter().map(|der| Certificate::read(der.clone()).unwrap());
        let names: Vec<_> = roots.map(|root| root.facts().common_name.clone()).collect();
        for row in TABLE {
            assert!(names.iter().any(|name| name == row.name), "{}", row.name);
            assert!(row.source.contains('.') && row.read.is_none_or(|day| day <= AS_OF), "{}", row.name);
        }
    }
}
