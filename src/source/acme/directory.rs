//! The directory object of a CA (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;

/// What a CA offers, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    pub(super) revoke_cert: Option<String>,
    pub(super) key_change: Option<String>,
    /// RFC 9773 §4.1.
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

/// What a CA says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) terms_of_service: Option<String>,
    /// Names that a CAA record may hold (RFC 8659).
    pub(super) caa_identities: Vec<String>,
    pub(super) external_account_required: bool,
    /// Name and description (draft-ietf-acme-profiles).
    pub(super) profiles: BTreeMap<String, serde_json::Value>,
}

/// A URL of a directory that cannot be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadUrl {
    /// Its key in the directory.
    pub(super) key: &'static str,
    pub(super) url: String,
}

impl Directory {
    /// Looks whether its URLs can be asked, over TLS as RFC 8555 §6.1 wants. What it may leave out counts as left out when
    /// its URL is none: some CAs write an empty one.
    ///
    /// # Errors
    ///
    /// [`BadUrl`] for one that every CA has to have.
    pub(super) fn checked(self) -> Result<Self, BadUrl> {
        let needed = [("newNonce", &self.new_nonce), ("newAccount", &self.new_account), ("newOrder", &self.new_order)];
        if let Some((key, url)) = needed.into_iter().find(|(_, url)| !is_https(url)) {
            return Err(BadUrl { key, url: url.clone() });
        }
        let offered = |url: Option<String>| url.filter(|url| is_https(url));
        let (revoke_cert, key_change) = (offered(self.revoke_cert), offered(self.key_change));
        Ok(Self { revoke_cert, key_change, renewal_info: offered(self.renewal_info), ..self })
    }

    /// Where to ask when a certificate should be renewed; `id` is its RFC 9773 §4.1 name.
    pub(super) fn renewal_info(&self, id: &str) -> Option<String> {
        let base = self.renewal_info.as_deref()?;
        Some(format!("{}/{id}", base.trim_end_matches('/')))
    }

    /// The names of its profiles.
    pub(super) fn profiles(&self) -> Vec<&str> {
        self.meta.profiles.keys().map(String::as_str).collect()
    }
}

fn is_https(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    uri.scheme() == Some(&Scheme::HTTPS) && uri.host().is_some_and(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_urls_that_cannot_be_asked_when_checked_then_the_needed_ones_are_named_and_others_left_out() {
        let with = |key: &str, url: &str| {
            let mut text: serde_json::Value = serde_json::from_str(SHORT).unwrap();
            text[key] = url.into();
            serde_json::from_value::<Directory>(text).unwrap().checked()
        };
        for url in ["", "/new-order", "http://ca/o", "ftp://ca/o", "https://", "https://c a/o", "n\u{0}", "ca:443"] {
            for key in ["newNonce", "newAccount", "newOrder"] {
                assert_eq!(with(key, url), Err(BadUrl { key, url: url.to_owned() }));
            }
            assert_eq!(with("renewalInfo", url).unwrap().renewal_info, None, "{url}");
            assert_eq!(with("keyChange", url).unwrap().key_change, None, "{url}");
            assert_eq!(with("revokeCert", url).unwrap().revoke_cert, None, "{url}");
        }
        for url in ["https://ca/o", "https://[2001:db8::1]:14000/o?x=y", "HTTPS://CA.test/o"] {
            assert_eq!(with("newOrder", url).unwrap().new_order, url);
            assert_eq!(with("renewalInfo", url).unwrap().renewal_info.as_deref(), Some(url));
        }
    }

    const SHORT: &str = r#"{"newNonce": "https://ca/n", "newAccount": "https://ca/a", "newOrder": "https://ca/o"}"#;

    #[test]
    fn given_directories_when_read_then_what_is_absent_is_not_offered() {
        let short: Directory = serde_json::from_str(SHORT).unwrap();
        assert_eq!((short.renewal_info("x.y"), short.meta.external_account_required), (None, false));

        let text = r#"{"newNonce": "n", "newAccount": "a", "newOrder": "o", "newAuthz": 7,
            "renewalInfo": "https://ca/ari/", "meta": {"profiles": {"classic": "https://ca/classic", "shortlived": ""},
            "externalAccountRequired": true, "website": "https://ca"}}"#;
        let long: Directory = serde_json::from_str(text).unwrap();
        assert_eq!(long.renewal_info("x.y").as_deref(), Some("https://ca/ari/x.y"));
        assert_eq!(long.profiles(), ["classic", "shortlived"]);
        assert!(long.meta.external_account_required);
    }

    #[test]
    fn given_something_else_when_read_then_refused() {
        for text in ["{}", "[]", "<html>", "", r#"{"newNonce": "x"}"#] {
            assert!(serde_json::from_str::<Directory>(text).is_err(), "{text}");
        }
    }
}
