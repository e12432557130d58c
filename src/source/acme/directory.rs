//! The directory object of a CA (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

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

impl Directory {
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

#[cfg(test)]
mod tests {
    use super::*;

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
