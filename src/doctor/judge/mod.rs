//! From what was seen to what it means. Pure: the time comes with what was seen.

mod certificate;
mod http;
mod reach;

use super::finding::{Audience, Finding, Level};
use super::roots::Support;
use super::sight::Sight;
use super::topic::Topic;
use super::trust::Roots;
use crate::time::Timestamp;

/// What was seen, and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    /// The worst first.
    pub(super) findings: Vec<Finding>,
    pub(super) criteria: Criteria,
    /// When the served chain ends; `None` when no certificate was seen.
    pub(super) ends: Option<Timestamp>,
    /// Since which version phones accept it, by what is published about the root.
    pub(super) since: Option<&'static Support>,
    /// The root that vouches for it, and whether Mozilla lists it.
    pub(super) root: Option<(String, bool)>,
}

/// What FLOWFACT asks of a certificate. `None` where none was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Criteria {
    /// It is issued to the DNS name.
    pub(super) name: Option<bool>,
    /// It is in date.
    pub(super) date: Option<bool>,
    /// It comes from a trusted authority.
    pub(super) authority: Option<bool>,
}

impl Criteria {
    /// In the order in which they are told.
    pub(in crate::doctor) const fn each(self) -> [Option<bool>; 3] {
        [self.name, self.date, self.authority]
    }
}

/// What one audience makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepts,
    /// From this version of its system on.
    AcceptsSince(&'static str),
    /// Where somebody has put the private root.
    AcceptsWithRoot,
    Refuses(Topic),
    /// It shows no certificate to anybody.
    GetsNowhere(Topic),
}

/// Judges one URL.
pub(super) fn judge(sight: &Sight, roots: &Roots) -> Diagnosis {
    let mut diagnosis = Diagnosis {
        findings: reach::findings(sight),
        criteria: Criteria::default(),
        ends: None,
        since: None,
        root: None,
    };
    if let Some((_, shown)) = sight.first_shown() {
        certificate::judge(sight, shown, roots, &mut diagnosis);
    }
    diagnosis.findings.extend(http::findings(sight));
    diagnosis.findings.sort_by_key(|finding| finding.level);
    diagnosis
}

impl Diagnosis {
    /// Nothing is to be mended.
    pub(crate) fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.level == Level::Note)
    }

    pub(super) fn verdict(&self, audience: Audience) -> Verdict {
        if let Some(finding) = self.findings.iter().find(|finding| finding.breaks.have(audience)) {
            return match self.ends {
                Some(_) => Verdict::Refuses(finding.topic),
                None => Verdict::GetsNowhere(finding.topic),
            };
        }
        if self.root.as_ref().is_some_and(|(_, is_mozillas)| !is_mozillas) {
            return Verdict::AcceptsWithRoot;
        }
        let since = match audience {
            Audience::Android => self.since.and_then(|support| support.android),
            Audience::Iphone => self.since.and_then(|support| support.iphone),
            Audience::Browsers => None,
        };
        since.map_or(Verdict::Accepts, Verdict::AcceptsSince)
    }
}
