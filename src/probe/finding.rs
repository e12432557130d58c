//! What a handshake proves about a certificate. Pure.

use std::fmt;

use super::{Fault, ServerName};
use crate::pki::{CertificateChain, Fingerprint};
use crate::time::Timestamp;

/// What came of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The handshake was completed.
    Shown {
        /// Last second of what was shown.
        not_after: Timestamp,
        /// What is wrong with it; empty when all is well.
        flaws: Vec<Flaw>,
    },
    /// There was none.
    Fault(Fault),
}

/// What is wrong with a certificate that was shown. `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Another leaf than the one published.
    #[error("another certificate is shown: sha256 {shown}")]
    Other {
        /// Its fingerprint.
        shown: Fingerprint,
    },
    /// The right leaf with other intermediates.
    #[error("the chain is not the one published")]
    OtherChain,
    /// It is not issued to the name that was asked for.
    #[error("it is not issued to this name")]
    NotForName,
    /// Its validity is over.
    #[error("it ended at {0}")]
    Ended(Timestamp),
    /// Its validity has not begun.
    #[error("it is not valid before {0}")]
    ToCome(Timestamp),
}

/// What is to be shown: enough to know it by, since there may be thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    leaf: Fingerprint,
    chain: Fingerprint,
}

impl From<&CertificateChain> for Published {
    fn from(chain: &CertificateChain) -> Self {
        Self { leaf: chain.leaf().fingerprint, chain: chain.fingerprint() }
    }
}

/// What is wrong with the chain that was shown to a client who asked for `name`; `published` is what should be.
pub fn judge(published: &Published, shown: &CertificateChain, name: &ServerName, now: Timestamp) -> Vec<Flaw> {
    let leaf = shown.leaf();
    let identity = if leaf.fingerprint != published.leaf {
        Some(Flaw::Other { shown: leaf.fingerprint })
    } else {
        (shown.fingerprint() != published.chain).then_some(Flaw::OtherChain)
    };
    let name = (!leaf.covers(&name.to_text())).then_some(Flaw::NotForName);
    let date = if leaf.not_after < now {
        Some(Flaw::Ended(leaf.not_after))
    } else {
        (now < leaf.not_before).then_some(Flaw::ToCome(leaf.not_before))
    };
    [identity, name, date].into_iter().flatten().collect()
}

impl Finding {
    /// Whether a client who came by now would have got what was published, in date and for its name.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Shown { flaws, .. } if flaws.is_empty())
    }

    /// Whether it says something about the certificate: a handshake that was completed, or that TLS itself refused.
    pub fn is_proof(&self) -> bool {
        match self {
            Self::Shown { .. } | Self::Fault(Fault::Refused(_)) => true,
            Self::Fault(Fault::Unreachable(_)) => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown { flaws, .. } if flaws.is_empty() => f.write_str("served as published"),
            Self::Shown { flaws, .. } => {
                f.write_str(&flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

/// What several looks prove together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every listener shows it under every name.
    Seen,
    /// Somewhere nobody answered, and nowhere anything was wrong.
    Unsure(String),
    /// Somewhere a client gets something else, or nothing.
    Wrong(String),
}

/// Sums up looks for one certificate: each with where it went, in words.
pub fn verdict<'a>(findings: impl IntoIterator<Item = (String, &'a Finding)>) -> Verdict {
    let mut unsure = None;
    for (place, finding) in findings {
        if finding.is_good() {
            continue;
        }
        let told = format!("{place}: {finding}");
        if finding.is_proof() {
            return Verdict::Wrong(told);
        }
        unsure.get_or_insert(told);
    }
    unsure.map_or(Verdict::Seen, Verdict::Unsure)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pki::Identity;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);
    const DAY: Duration = Duration::from_secs(86_400);

    fn chain(names: &[&str], from: Timestamp, until: Timestamp) -> CertificateChain {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Identity::self_signed(&names, from, until).unwrap().chain().clone()
    }

    fn with(chain: &CertificateChain, more: &CertificateChain) -> CertificateChain {
        let certificates = chain.certificates().iter().chain(more.certificates()).cloned().collect();
        CertificateChain::from_der(certificates).unwrap()
    }

    #[test]
    fn given_one_difference_when_judged_then_exactly_that_flaw() {
        let published = chain(&["a.test", "*.w.test", "192.0.2.7"], NOW - DAY, NOW + DAY);
        let other = chain(&["a.test"], NOW - DAY, NOW + DAY);
        let (ended, to_come) = (chain(&["a.test"], NOW - DAY, NOW - DAY), chain(&["a.test"], NOW + DAY, NOW + DAY));
        let dns = |name: &str| ServerName::Dns(name.to_owned());
        #[rustfmt::skip]
        let table = [
            ("as published",       &published, published.clone(),         dns("a.test"), vec![]),
            ("by wildcard",        &published, published.clone(),         dns("portvakt-probe.w.test"), vec![]),
            ("by address",         &published, published.clone(),         ServerName::Address([192, 0, 2, 7].into()), vec![]),
            ("another",            &published, other.clone(),             dns("a.test"), vec![Flaw::Other { shown: other.leaf().fingerprint }]),
            ("with a certificate more", &published, with(&published, &other), dns("a.test"), vec![Flaw::OtherChain]),
            ("for another name",   &published, published.clone(),         dns("b.test"), vec![Flaw::NotForName]),
            ("ended",              &ended,     ended.clone(),             dns("a.test"), vec![Flaw::Ended(NOW - DAY)]),
            ("to come",            &to_come,   to_come.clone(),           dns("a.test"), vec![Flaw::ToCome(NOW + DAY)]),
        ];
        for (what, published, shown, name, expected) in table {
            assert_eq!(judge(&published.into(), &shown, &name, NOW), expected, "{what}");
        }
    }

    #[test]
    fn given_findings_when_summed_up_then_only_what_tls_proves_is_wrong() {
        let good = Finding::Shown { not_after: NOW, flaws: vec![] };
        let flawed = Finding::Shown { not_after: NOW, flaws: vec![Flaw::OtherChain] };
        let refused = Finding::Fault(Fault::Refused("handshake failure".to_owned()));
        let silent = Finding::Fault(Fault::Unreachable("timed out".to_owned()));
        let (seen, unsure) = (Verdict::Seen, Verdict::Unsure("here: no answer: timed out".to_owned()));
        let wrong = Verdict::Wrong("here: the chain is not the one published".to_owned());
        let no_tls = Verdict::Wrong("here: no handshake: handshake failure".to_owned());
        let table: [(&[&Finding], &Verdict); 8] = [
            (&[], &seen),
            (&[&good, &good], &seen),
            (&[&silent], &unsure),
            (&[&good, &silent], &unsure),
            (&[&flawed], &wrong),
            (&[&refused], &no_tls),
            (&[&silent, &flawed], &wrong),
            (&[&good, &refused], &no_tls),
        ];
        for (findings, expected) in table {
            let told = verdict(findings.iter().map(|finding| ("here".to_owned(), *finding)));
            assert_eq!(told, *expected, "{findings:?}");
        }
    }
}
