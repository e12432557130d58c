//! All words in all languages. A missing one does not compile.

mod answers;
mod certificate;
mod frame;
mod house;
mod reach;

use super::finding::{Facts, Finding};
use super::topic::Topic;
pub use crate::language::Lang;
pub(super) use crate::language::Say;

pub(super) use frame::FRAME;

/// What is said about one topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Short, and without facts.
    pub(super) title: Say,
    /// What was found.
    pub(super) what: Say,
    /// Why it matters.
    pub(super) why: Say,
    /// How to mend it.
    pub(super) fix: Say,
}

/// A finding in words, each without a full stop.
#[derive(Clone, Debug)]
pub struct Told {
    /// Short, and without facts.
    pub title: &'static str,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// How to mend it.
    pub fix: String,
}

/// Tells a finding.
pub(super) fn tell(finding: &Finding, lang: Lang) -> Told {
    fill(finding.topic, &finding.facts, lang)
}

/// What `portvakt help` says about a topic.
pub(super) fn help(topic: Topic) -> String {
    let told = fill(topic, &Facts::new(), Lang::En);
    format!(
        "{topic}: {}\nA finding of `portvakt doctor`, named `{}` in its JSON.\n\n{}.\n\nWhy it matters:\n    {}.\n\nHow to mend it:\n    {}.\n",
        told.title,
        topic.name(),
        told.what,
        told.why,
        told.fix
    )
}

/// The title of a topic.
pub(super) fn title(topic: Topic, lang: Lang) -> &'static str {
    page(topic).title.to(lang)
}

fn fill(topic: Topic, facts: &Facts, lang: Lang) -> Told {
    let page = page(topic);
    let fill = |say: Say| say.fill(lang, facts);
    Told { title: page.title.to(lang), what: fill(page.what), why: fill(page.why), fix: fill(page.fix) }
}

const fn page(topic: Topic) -> &'static Page {
    match topic {
        Topic::NameUnknown => &reach::NAME_UNKNOWN,
        Topic::NotReached => &reach::NOT_REACHED,
        Topic::AddressSilent => &reach::ADDRESS_SILENT,
        Topic::NoTls => &reach::NO_TLS,
        Topic::OldTls => &reach::OLD_TLS,
        Topic::HandshakeBroken => &reach::HANDSHAKE_BROKEN,
        Topic::NameRefused => &reach::NAME_REFUSED,
        Topic::OtherCertificate => &reach::OTHER_CERTIFICATE,
        Topic::ClientAsked => &reach::CLIENT_ASKED,
        Topic::WrongName => &certificate::WRONG_NAME,
        Topic::CommonNameOnly => &certificate::COMMON_NAME_ONLY,
        Topic::Expired => &certificate::EXPIRED,
        Topic::NotYetValid => &certificate::NOT_YET_VALID,
        Topic::SelfSigned => &certificate::SELF_SIGNED,
        Topic::UnknownIssuer => &certificate::UNKNOWN_ISSUER,
        Topic::MissingIntermediate => &certificate::MISSING_INTERMEDIATE,
        Topic::WeakKey => &certificate::WEAK_KEY,
        Topic::WeakSignature => &certificate::WEAK_SIGNATURE,
        Topic::WrongPurpose => &certificate::WRONG_PURPOSE,
        Topic::TooLong => &certificate::TOO_LONG,
        Topic::YoungRoot => &certificate::YOUNG_ROOT,
        Topic::Rejected => &certificate::REJECTED,
        Topic::EndsSoon => &certificate::ENDS_SOON,
        Topic::PrivateRoot => &certificate::PRIVATE_ROOT,
        Topic::PlainHttp => &answers::PLAIN_HTTP,
        Topic::RedirectLoop => &answers::REDIRECT_LOOP,
        Topic::Downgrade => &answers::DOWNGRADE,
        Topic::NoAnswer => &answers::NO_ANSWER,
        Topic::CookieInClear => &answers::COOKIE_IN_CLEAR,
        Topic::BoundLogin => &answers::BOUND_LOGIN,
        Topic::IdentityEnds => &house::IDENTITY_ENDS,
        Topic::PortTaken => &house::PORT_TAKEN,
        Topic::AddressElsewhere => &house::ADDRESS_ELSEWHERE,
        Topic::CaaForbids => &house::CAA_FORBIDS,
        Topic::DnssecBroken => &house::DNSSEC_BROKEN,
        Topic::ChallengeLost => &house::CHALLENGE_LOST,
        Topic::ClockWrong => &house::CLOCK_WRONG,
        Topic::CaUnfit => &house::CA_UNFIT,
        Topic::NameNotPublic => &house::NAME_NOT_PUBLIC,
        Topic::Storage => &house::STORAGE,
        Topic::UpstreamTrouble => &house::UPSTREAM_TROUBLE,
        Topic::UpstreamExposed => &house::UPSTREAM_EXPOSED,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::language::places;

    #[test]
    fn given_every_topic_when_told_then_each_language_has_the_same_facts_and_words_of_its_own() {
        for topic in Topic::EVERY {
            let page = page(*topic);
            for say in [page.title, page.what, page.why, page.fix] {
                say.assert_whole();
                assert!(Lang::ALL.iter().all(|lang| !say.to(*lang).ends_with('.')), "{topic}");
            }
            assert!(places(page.title.en).is_empty(), "{topic}");
        }
    }

    #[test]
    fn given_numbers_when_looked_at_then_each_is_in_our_range_and_unique() {
        let numbers: BTreeSet<_> = Topic::EVERY.iter().map(|topic| topic.number()).collect();
        assert_eq!(numbers.len(), Topic::EVERY.len());
        assert!(numbers.iter().all(|number| (640..685).contains(number)));
    }
}
