//! Certificates that nobody renews for us: those that we show to services, such as BankID. Needs no network.

use super::super::finding::Finding;
use super::super::topic::Topic;
use crate::causes::with_causes;
use crate::config::Config;
use crate::lifecycle::outlook::{Level, Outlook};
use crate::source::FileSettings;
use crate::source::files::FilesSource;
use crate::time::Timestamp;

pub(super) fn findings(config: &Config, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for identity in &config.client_identities {
        let next = identity.next.as_ref().and_then(|next| ends(&next.files).ok());
        let facts = |date: Timestamp, detail: String| {
            vec![("name", identity.name.clone()), ("date", super::super::text::day(date)), ("detail", detail)]
        };
        match ends(&identity.files) {
            Err(detail) => findings.push(Finding::fault(Topic::IdentityEnds, facts(now, detail))),
            Ok(not_after) => {
                let outlook = Outlook::of(not_after, now);
                // One that is ready takes over by itself.
                let is_followed = next.is_some_and(|next| Outlook::of(next, now).level == Level::Fine);
                let finding = match outlook.level {
                    Level::Fine => None,
                    _ if is_followed => None,
                    Level::Order | Level::Urgent => {
                        Some(Finding::mend(Topic::IdentityEnds, facts(not_after, outlook.in_words())))
                    }
                    Level::Expired => Some(Finding::fault(Topic::IdentityEnds, facts(not_after, outlook.in_words()))),
                };
                findings.extend(finding);
            }
        }
    }
    findings
}

fn ends(files: &FileSettings) -> Result<Timestamp, String> {
    match FilesSource::new(files.clone()).load() {
        Ok(assembled) => Ok(assembled.identity.chain().leaf().not_after),
        Err(errors) => Err(errors.first().map(|error| with_causes(error)).unwrap_or_default()),
    }
}
