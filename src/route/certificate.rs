//! `[site.client_certificates]`: who is let in by a certificate, and to whom it is told.

use std::fmt::Write;

use http::HeaderName;

use super::{CanonicalPath, Decision, Outcome, PathPrefix, Routes, Target};
use crate::pki::{Holder, SpkiPin};
use crate::time::Timestamp;

/// What a site wants of its clients' certificates. The default asks for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificates {
    /// On every path that has no rule of its own.
    pub mode: Demand,
    /// Below a path; the longest wins.
    pub paths: Vec<(PathPrefix, Demand)>,
    /// Who counts, of those whose certificate chains to a trust anchor.
    pub allow: Holders,
    /// In which headers the certificate is handed on.
    pub pass_on: Vec<HeaderName>,
    /// `Client-Cert-Chain` too.
    pub with_chain: bool,
}

/// What is wanted of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// It is not asked for a certificate, and none is handed on.
    #[default]
    Ignore,
    /// Without one it is served as well.
    Accept,
    /// Without one it is not.
    Require,
}

impl Demand {
    /// As in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Accept => "accept",
            Self::Require => "require",
        }
    }
}

/// Holders of certificates; each list that is not empty has to hold one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// subjectAltName, lower case: DNS names (`*.` for one label), addresses, mail addresses (`*@` for all of a host), URIs.
    pub names: Vec<String>,
    /// Common name or whole name of the issuer.
    pub issuers: Vec<String>,
    /// Public keys.
    pub pins: Vec<SpkiPin>,
}

/// What is known of the client of a request.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// No certificate.
    Nothing,
    /// The connection was opened when other certificates were believed.
    BeforeAChange,
    /// One that chains to a trust anchor.
    Certificate(&'a Holder),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It goes on, and the certificate is handed on.
    Known,
    /// It goes on, and nothing is said of a certificate.
    Unknown,
    /// It does not.
    Refused(CertificateRefusal),
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// It has shown none.
    Missing,
    /// It is not among those that are let in.
    NotListed,
    /// It has run out since the handshake.
    Expired,
    /// It was shown, or not, when other rules held; on a new connection it is asked again.
    BeforeAChange,
}

impl ClientCertificates {
    /// What is asked for in the handshake, where no path is known yet.
    ///
    /// A certificate is demanded there only when no path does without; else it may be shown, and each path decides.
    pub fn handshake(&self) -> Demand {
        let demands = || self.paths.iter().map(|(_, demand)| *demand).chain([self.mode]);
        match (demands().min(), demands().max()) {
            (Some(Demand::Require), _) => Demand::Require,
            (_, Some(Demand::Accept | Demand::Require)) => Demand::Accept,
            _ => Demand::Ignore,
        }
    }

    /// Decides about a request for `path`.
    pub fn admit(&self, path: &CanonicalPath<'_>, shown: Shown<'_>, now: Timestamp) -> Admission {
        if self.handshake() == Demand::Ignore {
            return Admission::Unknown;
        }
        let demand = self.demand(path);
        match (shown, demand) {
            (Shown::BeforeAChange, _) => Admission::Refused(CertificateRefusal::BeforeAChange),
            (_, Demand::Ignore) | (Shown::Nothing, Demand::Accept) => Admission::Unknown,
            (Shown::Nothing, Demand::Require) => Admission::Refused(CertificateRefusal::Missing),
            (Shown::Certificate(holder), demand) => match (self.objection(holder, now), demand) {
                (None, _) => Admission::Known,
                (Some(_), Demand::Accept | Demand::Ignore) => Admission::Unknown,
                (Some(refusal), Demand::Require) => Admission::Refused(refusal),
            },
        }
    }

    /// What a request for `target` asks for; what cannot be read has every certificate to show.
    pub fn demand_of(&self, target: &[u8]) -> Demand {
        with_path(target, |path| self.demand(path)).unwrap_or(Demand::Require)
    }

    fn admit_target(&self, target: &[u8], shown: Shown<'_>, now: Timestamp) -> Admission {
        let admission = with_path(target, |path| self.admit(path, shown, now));
        // It was parsed to be decided about, so it can be read; else nobody gets in by it.
        admission.unwrap_or(Admission::Refused(CertificateRefusal::Missing))
    }

    fn objection(&self, holder: &Holder, now: Timestamp) -> Option<CertificateRefusal> {
        match (now > holder.not_after, self.allow.has(holder)) {
            (true, _) => Some(CertificateRefusal::Expired),
            (false, false) => Some(CertificateRefusal::NotListed),
            (false, true) => None,
        }
    }

    /// The longest rule that holds.
    ///
    /// # Why
    ///
    /// What asks for less opens something up, so a path has to be spelled as the rule is; what demands a certificate holds
    /// for every spelling that a server may read as the path.
    fn demand(&self, path: &CanonicalPath<'_>) -> Demand {
        let holds = |(prefix, demand): &&(PathPrefix, Demand)| match demand {
            Demand::Require => path.may_be_below(prefix),
            Demand::Accept | Demand::Ignore => path.is_verbatim() && path.is_below(prefix),
        };
        let longest = self.paths.iter().filter(holds).max_by_key(|(prefix, _)| prefix.as_str().len());
        longest.map_or(self.mode, |(_, demand)| *demand)
    }
}

impl Holders {
    fn has(&self, holder: &Holder) -> bool {
        let is_named = |allowed: &String| holder.names.iter().any(|own| matches(allowed, own));
        (self.names.is_empty() || self.names.iter().any(is_named))
            && (self.issuers.is_empty()
                || self.issuers.iter().any(|allowed| *allowed == holder.issuer || *allowed == holder.issuer_name))
            && (self.pins.is_empty() || self.pins.contains(&holder.pin))
    }
}

/// Reads the path of a request's target; `None` where it has none that can be read.
fn with_path<T>(target: &[u8], then: impl FnOnce(&CanonicalPath<'_>) -> T) -> Option<T> {
    let target = Target::parse(target).ok();
    let path = target.as_ref().map_or(b"/".as_slice(), |it| if it.is_asterisk() { b"/" } else { it.path() });
    CanonicalPath::parse(path).ok().map(|path| then(&path))
}

/// Whether a name of a certificate is one that is allowed; a wildcard stands for one label, or for whoever has mail there.
fn matches(allowed: &str, own: &str) -> bool {
    if let Some(host) = allowed.strip_prefix("*@") {
        return own.split_once('@').is_some_and(|(who, at)| !who.is_empty() && at == host);
    }
    match allowed.strip_prefix("*.") {
        Some(parent) => own
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == parent && !label.contains(['@', '/', ':', '*'])),
        None => own == allowed,
    }
}

impl Routes {
    /// What a request that would be forwarded gets from the rules of its site about certificates.
    pub fn admission(&self, decision: &Decision, target: &[u8], shown: Shown<'_>, now: Timestamp) -> Admission {
        let Some(site) = decision.site.and_then(|site| self.settings().sites.get(site)) else {
            return Admission::Unknown;
        };
        if !matches!(decision.outcome, Outcome::Forward { .. }) {
            return Admission::Unknown;
        }
        site.client_certificates.admit_target(target, shown, now)
    }

    /// Why what a request for `target` of the site has opened is not to last; `None` also when the site is gone.
    pub fn objection(&self, site: &str, target: &[u8], shown: Shown<'_>, now: Timestamp) -> Option<CertificateRefusal> {
        let site = self.settings().sites.iter().find(|it| it.name == site)?;
        match site.client_certificates.admit_target(target, shown, now) {
            Admission::Refused(why) => Some(why),
            Admission::Known | Admission::Unknown => None,
        }
    }
}

impl CertificateRefusal {
    /// One line for the peer.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Missing => "a client certificate is required here, and none was shown; nothing was passed on",
            Self::NotListed => "your client certificate is not let in here; nothing was passed on",
            Self::Expired => "your client certificate has expired; nothing was passed on",
            Self::BeforeAChange => "what is asked of client certificates has changed; try again on a new connection",
        }
    }
}

/// A certificate as a field of RFC 9440 §2.1: a byte sequence of RFC 8941.
pub fn byte_sequence(base64: &str) -> String {
    format!(":{base64}:")
}

/// A chain as `Client-Cert-Chain` (RFC 9440 §2.2): a list, the leaf left out.
pub fn byte_sequences(base64: &[String]) -> String {
    let mut text = String::new();
    for (nth, one) in base64.iter().enumerate() {
        // Writing to memory does not fail.
        let _ = write!(text, "{}:{one}:", if nth == 0 { "" } else { ", " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Fingerprint;

    const NOW: Timestamp = Timestamp::from_unix(1_000);

    #[test]
    fn given_modes_when_asked_what_the_handshake_wants_then_a_demand_only_where_every_path_has_it() {
        use Demand::{Accept, Ignore, Require};
        for (mode, path, expected) in [
            (Ignore, Ignore, Ignore),
            (Ignore, Require, Accept),
            (Accept, Ignore, Accept),
            (Require, Accept, Accept),
            (Require, Require, Require),
        ] {
            assert_eq!(rules(mode, path).handshake(), expected, "{mode:?} {path:?}");
        }
        assert_eq!(ClientCertificates { mode: Require, ..ClientCertificates::default() }.handshake(), Require);
    }

    #[test]
    fn given_clients_when_they_come_then_admitted_by_path_and_certificate() {
        use Demand::{Accept, Require};
        let (good, old) = (holder("anna@example.com", 2_000), holder("anna@example.com", 999));
        let other = holder("eve@example.org", 2_000);
        let refused = Admission::Refused;
        #[rustfmt::skip]
        let table = [
            ("/",           Shown::Nothing,            Admission::Unknown),
            ("/",           Shown::Certificate(&good),  Admission::Known),
            ("/",           Shown::Certificate(&other), Admission::Unknown),
            ("/admin/",     Shown::Nothing,            refused(CertificateRefusal::Missing)),
            ("/ADMIN",      Shown::Nothing,            refused(CertificateRefusal::Missing)),
            ("/%61dmin/x",  Shown::Nothing,            refused(CertificateRefusal::Missing)),
            ("/x/../admin", Shown::Nothing,            refused(CertificateRefusal::Missing)),
            ("/admin/x",    Shown::Certificate(&good),  Admission::Known),
            ("/admin/x",    Shown::Certificate(&other), refused(CertificateRefusal::NotListed)),
            ("/admin/x",    Shown::Certificate(&old),   refused(CertificateRefusal::Expired)),
            ("/",           Shown::BeforeAChange,      refused(CertificateRefusal::BeforeAChange)),
        ];
        for (path, shown, expected) in table {
            let canonical = CanonicalPath::parse(path.as_bytes()).unwrap();
            assert_eq!(rules(Accept, Require).admit(&canonical, shown, NOW), expected, "{path} {shown:?}");
        }
    }

    #[test]
    fn given_no_rules_when_asked_then_nobody_is_asked_for_anything() {
        let canonical = CanonicalPath::parse(b"/").unwrap();
        let rules = ClientCertificates::default();
        for shown in [Shown::Nothing, Shown::BeforeAChange, Shown::Certificate(&holder("a", 2_000))] {
            assert_eq!(rules.admit(&canonical, shown, NOW), Admission::Unknown);
        }
    }

    #[test]
    fn given_a_way_around_when_a_path_asks_for_less_then_only_its_own_spelling_does() {
        for (path, expected) in [
            ("/open/x", Admission::Unknown),
            ("/open/../secret", Admission::Refused(CertificateRefusal::Missing)),
            ("/%6fpen/x", Admission::Refused(CertificateRefusal::Missing)),
        ] {
            let rules = ClientCertificates {
                mode: Demand::Require,
                paths: vec![(PathPrefix::parse("/open/").unwrap(), Demand::Ignore)],
                ..ClientCertificates::default()
            };
            let canonical = CanonicalPath::parse(path.as_bytes()).unwrap();
            assert_eq!(rules.admit(&canonical, Shown::Nothing, NOW), expected, "{path}");
        }
    }

    #[test]
    fn given_lists_when_a_holder_comes_then_each_of_them_counts() {
        let own = holder("door.staff.example.com", 2_000);
        #[rustfmt::skip]
        let table = [
            (Holders::default(), true),
            (Holders { names: vec!["door.staff.example.com".into()], ..Holders::default() }, true),
            (Holders { names: vec!["*.staff.example.com".into()], ..Holders::default() }, true),
            (Holders { names: vec!["*.example.com".into()], ..Holders::default() }, false),
            (Holders { issuers: vec!["Staff CA".into()], ..Holders::default() }, true),
            (Holders { issuers: vec!["O=Example, CN=Staff CA".into()], ..Holders::default() }, true),
            (Holders { issuers: vec!["Other CA".into()], ..Holders::default() }, false),
            (Holders { pins: vec![SpkiPin([1; 32])], ..Holders::default() }, true),
            (Holders { pins: vec![SpkiPin([2; 32])], ..Holders::default() }, false),
            (Holders { issuers: vec!["Staff CA".into()], pins: vec![SpkiPin([2; 32])], ..Holders::default() }, false),
        ];
        for (holders, expected) in table {
            assert_eq!(holders.has(&own), expected, "{holders:?}");
        }
        for (allowed, own, expected) in [
            ("*@example.com", "anna@example.com", true),
            ("*@example.com", "@example.com", false),
            ("*@example.com", "anna@example.com.evil.org", false),
            ("*.example.com", "anna@x.example.com", false),
        ] {
            assert_eq!(matches(allowed, own), expected, "{allowed} {own}");
        }
    }

    #[test]
    fn given_a_chain_when_written_then_as_a_list_of_byte_sequences() {
        assert_eq!(byte_sequence("AAE="), ":AAE=:");
        assert_eq!(byte_sequences(&["AAE=".into(), "AQ==".into()]), ":AAE=:, :AQ==:");
    }

    fn rules(mode: Demand, admin: Demand) -> ClientCertificates {
        ClientCertificates {
            mode,
            paths: vec![(PathPrefix::parse("/admin/").unwrap(), admin)],
            allow: Holders { names: vec!["*@example.com".into()], ..Holders::default() },
            ..ClientCertificates::default()
        }
    }

    fn holder(name: &str, not_after: i64) -> Holder {
        Holder {
            names: vec![name.to_owned()],
            issuer: "Staff CA".into(),
            issuer_name: "O=Example, CN=Staff CA".into(),
            pin: SpkiPin([1; 32]),
            fingerprint: Fingerprint([0; 32]),
            not_after: Timestamp::from_unix(not_after),
        }
    }
}
