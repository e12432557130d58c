//! What a request calls.

use http::Method as HttpMethod;

use super::words::words;

/// The method and version of BankID's interface that a request calls, from its method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is called.
    pub method: Method,
    /// In which version.
    pub version: Version,
}

impl Call {
    /// Reads a request's method and its target (path and query). The path is compared as it is, case included.
    ///
    /// Only a POST calls something: whatever else comes is `other`, and BankID's to answer (405).
    pub fn read(method: &HttpMethod, target: &str) -> Self {
        let path = target.split(['?', '#']).next().unwrap_or(target);
        let Some((version, rest)) = path.strip_prefix("/rp/").map(|path| path.split_once('/').unwrap_or((path, "")))
        else {
            return Self { method: Method::Other, version: Version::UNKNOWN };
        };
        let version = Version::read(version);
        let method = if method == HttpMethod::POST { Method::of(&version, rest) } else { Method::Other };
        Self { method, version }
    }
}

words! {
    /// A method of the interface; its label is a metric's.
    Method {
        Auth = "auth",
        Sign = "sign",
        Payment = "payment",
        PhoneAuth = "phone_auth",
        PhoneSign = "phone_sign",
        Collect = "collect",
        Cancel = "cancel",
        Verify = "verify",
    }
}

impl Method {
    /// `rest` is the path behind the version. The ID card's interface, `v1`, has one method of its own.
    fn of(version: &Version, rest: &str) -> Self {
        match (version.as_str(), rest) {
            (Some("v1"), "verify") => Self::Verify,
            (Some("v1") | None, _) => Self::Other,
            (_, "auth") => Self::Auth,
            (_, "sign") => Self::Sign,
            (_, "payment") => Self::Payment,
            (_, "phone/auth") => Self::PhoneAuth,
            (_, "phone/sign") => Self::PhoneSign,
            (_, "collect") => Self::Collect,
            (_, "cancel") => Self::Cancel,
            _ => Self::Other,
        }
    }
}

/// A version of the interface as its path names it, `v6.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Option<Box<str>>);

impl Version {
    const UNKNOWN: Self = Self(None);

    fn read(segment: &str) -> Self {
        Self(is_version(segment).then(|| segment.into()))
    }

    /// As written in the path; `None` for what is no version.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Every label.
    pub const LABELS: &[&str] = &["v1", "v4", "v5", "v5.0", "v5.1", "v6.0", "other"];

    /// A version that is known, or `other`.
    pub fn label(&self) -> &'static str {
        Self::LABELS.iter().find(|label| Some(**label) == self.as_str()).unwrap_or(&"other")
    }
}

/// Whether a text is `v`, a number, and perhaps a dot and a number: `v5`, `v6.0`.
pub(super) fn is_version(text: &str) -> bool {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let Some(numbers) = text.strip_prefix('v') else { return false };
    numbers.split_once('.').map_or_else(|| is_number(numbers), |(major, minor)| is_number(major) && is_number(minor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_path_when_read_then_method_and_version() {
        #[rustfmt::skip]
        let table = [
            ("POST", "/rp/v6.0/auth",        "auth",       "v6.0"),
            ("POST", "/rp/v6.0/sign",        "sign",       "v6.0"),
            ("POST", "/rp/v6.0/payment",     "payment",    "v6.0"),
            ("POST", "/rp/v6.0/phone/auth",  "phone_auth", "v6.0"),
            ("POST", "/rp/v6.0/phone/sign",  "phone_sign", "v6.0"),
            ("POST", "/rp/v6.0/collect",     "collect",    "v6.0"),
            ("POST", "/rp/v6.0/collect?x=1", "collect",    "v6.0"),
            ("POST", "/rp/v6.0/cancel",      "cancel",     "v6.0"),
            ("POST", "/rp/v5.1/auth",        "auth",       "v5.1"),
            ("POST", "/rp/v7.0/auth",        "auth",       "other"),
            ("POST", "/rp/v1/verify",        "verify",     "v1"),
            ("POST", "/rp/v1/collect",       "other",      "v1"),
            ("POST", "/rp/v6.0/verify",      "other",      "v6.0"),
            ("POST", "/rp/v6.0/phone",       "other",      "v6.0"),
            ("POST", "/rp/v6.0/Collect",     "other",      "v6.0"),
            ("POST", "/rp/v6.0/collect/",    "other",      "v6.0"),
            ("POST", "/rp/v6.0",             "other",      "v6.0"),
            ("POST", "/rp/v4?wsdl",          "other",      "v4"),
            ("GET",  "/rp/v6.0/collect",     "other",      "v6.0"),
            ("POST", "/RP/v6.0/auth",        "other",      "other"),
            ("POST", "/rp/V6.0/auth",        "other",      "other"),
            ("POST", "/rp/190000000000/auth", "other",     "other"),
            ("POST", "/rp/",                 "other",      "other"),
            ("POST", "/",                    "other",      "other"),
            ("POST", "",                     "other",      "other"),
        ];
        for (method, target, label, version) in table {
            let call = Call::read(&HttpMethod::from_bytes(method.as_bytes()).unwrap(), target);
            assert_eq!((call.method.label(), call.version.label()), (label, version), "{method} {target}");
        }
    }

    proptest! {
        #[test]
        fn given_any_target_when_read_then_labels_of_the_closed_lists(target in "(/rp/)?(v[0-9.]{0,8})?\\PC*") {
            let call = Call::read(&HttpMethod::POST, &target);
            prop_assert!(Method::ALL.contains(&call.method));
            prop_assert!(Version::LABELS.contains(&call.version.label()));
        }
    }
}
