//! Whether each CA can be reached, is one, and offers what is asked of it.

use std::time::Duration;

use super::super::finding::Finding;
use super::super::topic::Topic;
use crate::config::Config;
use crate::source::acme::{Asked, Misfit, NoOffer, account_url, ask};
use crate::source::{AcmeSettings, Settings};
use crate::store::Store;

/// What was seen of one CA.
pub(super) struct Seen {
    pub(super) directory: String,
    pub(super) outcome: Result<Vec<Misfit>, NoOffer>,
    /// Names that it looks for in CAA records.
    pub(super) issuers: Vec<String>,
    /// URL of our account there.
    pub(super) account: Option<String>,
    skew: i64,
}

impl Seen {
    fn new(ca: &AcmeSettings, account: Option<String>, asked: Asked) -> Self {
        let issuers = asked.offer.as_ref().map(|offer| offer.issuers.clone()).unwrap_or_default();
        let outcome = asked.offer.map(|offer| offer.misfits(ca, account.is_some()));
        Self { directory: ca.directory.clone(), outcome, issuers, account, skew: asked.skew }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let unfit = |detail: String| {
            Finding::fault(Topic::CaUnfit, vec![("directory", self.directory.clone()), ("detail", detail)])
        };
        let mut findings = match &self.outcome {
            Ok(misfits) => misfits.iter().map(|misfit| unfit(misfit.to_string())).collect(),
            Err(error) => vec![unfit(error.to_string())],
        };
        // The clock may be judged even by an answer that is no directory.
        findings.extend(clock(self.skew));
        findings
    }
}

/// Asks each CA of the configuration for its directory.
pub(super) async fn look(config: &Config) -> Vec<Seen> {
    let mut cas: Vec<&AcmeSettings> = Vec::new();
    for certificate in &config.certificates {
        let Settings::Acme(settings) = &certificate.source else { continue };
        for ca in settings.iter() {
            if !cas.iter().any(|known| known.directory == ca.directory) {
                cas.push(ca);
            }
        }
    }
    // Looking makes no folder.
    let store = config.state_dir.is_dir().then(|| Store::open(&config.state_dir).ok()).flatten();
    let account = |ca: &AcmeSettings| account_url(&store.as_ref()?.load_account(&ca.directory).ok()??);
    let mut seen = Vec::new();
    for ca in cas {
        seen.push(Seen::new(ca, account(ca), ask(ca, LIMIT).await));
    }
    seen
}

/// How far the two clocks are apart; theirs is ahead by `skew` seconds.
fn clock(skew: i64) -> Option<Finding> {
    let apart = Duration::from_secs(skew.unsigned_abs());
    let direction = if skew > 0 { "behind" } else { "ahead" };
    let facts = vec![("minutes", (apart.as_secs() / 60).to_string()), ("detail", direction.to_owned())];
    match apart {
        apart if apart >= WRONG => Some(Finding::fault(Topic::ClockWrong, facts)),
        apart if apart >= ODD => Some(Finding::mend(Topic::ClockWrong, facts)),
        _ => None,
    }
}

const LIMIT: Duration = Duration::from_secs(20);
/// A CA's answer may be a few minutes old.
const ODD: Duration = Duration::from_secs(300);
const WRONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn given_two_clocks_when_compared_then_an_hour_is_too_much() {
        for (skew, expected) in [
            (0, None),
            (299, None),
            (300, Some(Level::Mend)),
            (-3599, Some(Level::Mend)),
            (-3600, Some(Level::Broken)),
            (i64::MIN, Some(Level::Broken)),
        ] {
            assert_eq!(clock(skew).map(|finding| finding.level), expected, "{skew}");
        }
        assert!(clock(300).unwrap().facts.contains(&("detail", "behind".to_owned())), "ours is");
    }
}
