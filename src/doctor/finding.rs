//! A finding: what, whom it hurts, how much.

use serde::{Serialize, Serializer};

use super::topic::Topic;
use super::words::{Lang, Told, tell};

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub(super) topic: Topic,
    pub(super) level: Level,
    /// Who refuses the server because of it.
    pub(super) breaks: Audiences,
    /// What stands in the places of its words.
    pub(super) facts: Facts,
}

/// Names and values, in the order in which they are shown.
pub(super) type Facts = Vec<(&'static str, String)>;

impl Finding {
    /// Its number, such as `PV0640`.
    pub fn code(&self) -> String {
        self.topic.to_string()
    }

    /// In words.
    pub fn told(&self, lang: Lang) -> Told {
        tell(self, lang)
    }

    /// Everybody refuses the server.
    pub(super) fn broken(topic: Topic, facts: Facts) -> Self {
        Self { topic, level: Level::Broken, breaks: Audiences::ALL, facts }
    }

    /// Some refuse the server.
    pub(super) fn broken_for(breaks: Audiences, topic: Topic, facts: Facts) -> Self {
        Self { topic, level: Level::Broken, breaks, facts }
    }

    /// Something on this side does not work; what clients see is another matter.
    pub(super) fn fault(topic: Topic, facts: Facts) -> Self {
        Self { topic, level: Level::Broken, breaks: Audiences::NONE, facts }
    }

    /// It works, and should be mended all the same.
    pub(super) fn mend(topic: Topic, facts: Facts) -> Self {
        Self { topic, level: Level::Mend, breaks: Audiences::NONE, facts }
    }

    /// Good to know.
    pub(super) fn note(topic: Topic, facts: Facts) -> Self {
        Self { topic, level: Level::Note, breaks: Audiences::NONE, facts }
    }
}

/// How much it matters, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Something does not work.
    Broken,
    /// It works today, or for most.
    Mend,
    /// Nothing to do.
    Note,
}

/// Who looks at a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Audience {
    Android,
    Iphone,
    Browsers,
}

impl Audience {
    pub(super) const EVERY: [Self; 3] = [Self::Android, Self::Iphone, Self::Browsers];

    const fn bit(self) -> u8 {
        match self {
            Self::Android => 1,
            Self::Iphone => 2,
            Self::Browsers => 4,
        }
    }
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Audiences(u8);

impl Audiences {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self(7);
    pub(super) const ANDROID: Self = Self(1);
    pub(super) const IPHONE: Self = Self(2);

    pub(super) const fn have(self, audience: Audience) -> bool {
        self.0 & audience.bit() != 0
    }
}

impl Serialize for Audiences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Audience::EVERY.into_iter().filter(|audience| self.have(*audience)))
    }
}
