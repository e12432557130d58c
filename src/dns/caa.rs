//! Who may issue certificates for a name (CAA): the decision that a CA takes before it issues.

/// The CAA records that rule a name (RFC 8659).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caa {
    /// The name that has them, which may lie above the one that was asked for; `None` when nothing is ruled.
    pub at: Option<String>,
    /// All of them.
    pub records: Vec<CaaRecord>,
}

/// One CAA record (RFC 8659 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaRecord {
    /// Who does not understand the tag must not issue.
    pub is_critical: bool,
    /// Such as `issue`; lower case.
    pub tag: String,
    /// Such as `letsencrypt.org; validationmethods=dns-01`.
    pub value: String,
}

/// A certificate that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaaRequest<'a> {
    /// Domain names by which the CA knows itself: `caaIdentities` of its directory (RFC 8555 §7.1.1).
    pub issuers: &'a [String],
    /// Whether it is for a wildcard.
    pub is_wildcard: bool,
    /// URL of the account, when there is one already (RFC 8657 §3).
    pub account: Option<&'a str>,
    /// Such as `http-01`, when that is known (RFC 8657 §4).
    pub method: Option<&'a str>,
}

/// Why a CA will not issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaaRefusal {
    /// Others may.
    #[error("only {allowed} may issue")]
    OtherIssuer {
        /// Their domain names.
        allowed: String,
    },
    /// `issue ";"`.
    #[error("no CA may issue")]
    Nobody,
    /// `accounturi` names others.
    #[error("only the account {allowed} may order from this CA")]
    OtherAccount {
        /// Their URLs.
        allowed: String,
    },
    /// `validationmethods` names others.
    #[error("only {allowed} may prove control for this CA")]
    OtherMethod {
        /// Such as `dns-01`.
        allowed: String,
    },
    /// A critical property that CAs do not know.
    #[error("the critical property `{tag}` is unknown, so that no CA may issue")]
    UnknownCritical {
        /// Its tag.
        tag: String,
    },
}

impl Caa {
    /// Whether a CA may issue (RFC 8659 §4.2 and §4.3, RFC 8657).
    ///
    /// # Errors
    ///
    /// The [`CaaRefusal`] that the CA would answer with.
    pub fn permits(&self, request: CaaRequest<'_>) -> Result<(), CaaRefusal> {
        if let Some(unknown) = self.records.iter().find(|record| record.is_critical && !is_known(&record.tag)) {
            return Err(CaaRefusal::UnknownCritical { tag: unknown.tag.clone() });
        }
        let ruling = self.ruling(request.is_wildcard);
        let Some(rules) = ruling else { return Ok(()) };
        let ours: Vec<_> = rules.iter().filter(|rule| is_one_of(&rule.issuer, request.issuers)).collect();
        if ours.is_empty() {
            let others: Vec<_> =
                rules.iter().filter(|rule| !rule.issuer.is_empty()).map(|rule| rule.issuer.as_str()).collect();
            return Err(match others[..] {
                [] => CaaRefusal::Nobody,
                _ => CaaRefusal::OtherIssuer { allowed: listed(others) },
            });
        }
        let by_account: Vec<_> =
            ours.iter().filter(|rule| fits(rule.parameter("accounturi"), request.account, |one| vec![one])).collect();
        if by_account.is_empty() {
            return Err(CaaRefusal::OtherAccount {
                allowed: listed(ours.iter().filter_map(|rule| rule.parameter("accounturi"))),
            });
        }
        if by_account.iter().any(|rule| {
            fits(rule.parameter("validationmethods"), request.method, |list| list.split(',').map(str::trim).collect())
        }) {
            return Ok(());
        }
        let allowed = by_account.iter().filter_map(|rule| rule.parameter("validationmethods"));
        Err(CaaRefusal::OtherMethod { allowed: listed(allowed) })
    }

    /// The properties that rule: `issuewild` for a wildcard where there is one, else `issue`; `None` when neither is there.
    fn ruling(&self, is_wildcard: bool) -> Option<Vec<IssueValue>> {
        let of = |tag: &str| {
            let rules: Vec<_> = self
                .records
                .iter()
                .filter(|record| record.tag == tag)
                .map(|record| IssueValue::parse(&record.value))
                .collect();
            (!rules.is_empty()).then_some(rules)
        };
        match is_wildcard {
            true => of("issuewild").or_else(|| of("issue")),
            false => of("issue"),
        }
    }
}

/// The value of `issue` or `issuewild`: an issuer, and parameters behind semicolons (RFC 8659 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueValue {
    /// Domain name of the CA in lower case; empty for "nobody", and for what is no domain name, which CAs take as that.
    pub issuer: String,
    /// Each part behind the issuer is `tag=value`, the value is printable, and no tag comes twice.
    pub is_well_formed: bool,
    /// Tags are lower case.
    parameters: Vec<(String, String)>,
}

impl IssueValue {
    /// Reads it; what is no parameter is passed over.
    pub fn parse(value: &str) -> Self {
        let mut parts = value.split(';').map(str::trim);
        let issuer = parts.next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let (mut is_well_formed, mut parameters) = (true, Vec::<(String, String)>::new());
        for part in parts {
            let Some((tag, value)) = part.split_once('=') else {
                is_well_formed = false;
                continue;
            };
            let (tag, value) = (tag.trim().to_ascii_lowercase(), value.trim().to_owned());
            is_well_formed &= value.bytes().all(|byte| byte.is_ascii_graphic());
            is_well_formed &= !tag.is_empty() && !parameters.iter().any(|(other, _)| *other == tag);
            parameters.push((tag, value));
        }
        Self { issuer, is_well_formed, parameters }
    }

    /// The value of a parameter, by its tag in lower case.
    pub fn parameter(&self, tag: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == tag).map(|(_, value)| value.as_str())
    }
}

/// Whether a parameter admits what is wanted; one that is not there admits all, and what is not known yet is not judged.
fn fits(allowed: Option<&str>, wanted: Option<&str>, split: impl Fn(&str) -> Vec<&str>) -> bool {
    match (allowed, wanted) {
        (Some(allowed), Some(wanted)) => split(allowed).contains(&wanted),
        (None, _) | (_, None) => true,
    }
}

fn is_one_of(issuer: &str, issuers: &[String]) -> bool {
    issuers.iter().any(|own| own.eq_ignore_ascii_case(issuer))
}

/// Tags that CAs know; `contactemail` and `contactphone` are the CA/Browser Forum's, `issuemail` and `issuevmc` are not for TLS.
fn is_known(tag: &str) -> bool {
    ["issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"].contains(&tag)
}

fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tags, an exclamation mark before critical ones, and values.
    type Records<'a> = &'a [(&'a str, &'a str)];

    fn caa(records: Records<'_>) -> Caa {
        let records = records.iter().map(|(tag, value)| CaaRecord {
            is_critical: tag.starts_with('!'),
            tag: tag.trim_start_matches('!').to_owned(),
            value: (*value).to_owned(),
        });
        Caa { at: Some("m5.test".to_owned()), records: records.collect() }
    }

    #[test]
    fn given_records_when_judged_then_as_a_ca_would() {
        let issuers = ["ca.test".to_owned(), "second.test".to_owned()];
        let (plain, wild) = (false, true);
        let account = "https://ca.test/acct/1";
        let other = || CaaRefusal::OtherIssuer { allowed: "`other.test`".to_owned() };
        let table: [(&str, Records<'_>, bool, Result<(), CaaRefusal>); 16] = [
            ("nothing", &[], plain, Ok(())),
            ("iodef only", &[("iodef", "mailto:a@b.test")], plain, Ok(())),
            ("ours", &[("issue", "CA.test")], plain, Ok(())),
            ("our other name", &[("issue", "second.test; a=b")], plain, Ok(())),
            ("other", &[("issue", "other.test")], plain, Err(other())),
            ("one of two", &[("issue", "other.test"), ("issue", " ca.test ")], plain, Ok(())),
            ("nobody", &[("issue", ";")], plain, Err(CaaRefusal::Nobody)),
            ("nobody else", &[("issue", ";"), ("issue", "ca.test")], plain, Ok(())),
            ("wildcards apart", &[("issue", "ca.test"), ("issuewild", "other.test")], wild, Err(other())),
            ("wildcards apart, none", &[("issue", "ca.test"), ("issuewild", "other.test")], plain, Ok(())),
            ("wildcards too", &[("issue", "ca.test")], wild, Ok(())),
            ("wildcards only", &[("issuewild", "other.test")], plain, Ok(())),
            (
                "unknown and critical",
                &[("issue", "ca.test"), ("!new", "x")],
                plain,
                Err(CaaRefusal::UnknownCritical { tag: "new".to_owned() }),
            ),
            ("our account", &[("issue", "ca.test; accounturi=https://ca.test/acct/1")], plain, Ok(())),
            (
                "another account",
                &[("issue", "ca.test; accounturi=https://ca.test/acct/2")],
                plain,
                Err(CaaRefusal::OtherAccount { allowed: "`https://ca.test/acct/2`".to_owned() }),
            ),
            (
                "another method",
                &[("issue", "ca.test; validationmethods=dns-01,tls-alpn-01")],
                plain,
                Err(CaaRefusal::OtherMethod { allowed: "`dns-01,tls-alpn-01`".to_owned() }),
            ),
        ];
        for (name, records, is_wildcard, expected) in table {
            let request =
                CaaRequest { issuers: &issuers, is_wildcard, account: Some(account), method: Some("http-01") };
            assert_eq!(caa(records).permits(request), expected, "{name}");
        }
    }

    #[test]
    fn given_what_is_not_known_yet_when_judged_then_not_refused_for_it() {
        let issuers = ["ca.test".to_owned()];
        let request = CaaRequest { issuers: &issuers, is_wildcard: false, account: None, method: None };
        let restricted = caa(&[("issue", "ca.test; accounturi=https://ca.test/acct/2; validationmethods=dns-01")]);
        assert_eq!(restricted.permits(request), Ok(()));
    }
}
