//! What operators ask of the keeper of a certificate.

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::NotSeen;

/// A wish, and who is told what came of it.
pub(crate) struct Wish {
    pub(super) what: Wanted,
    /// Told when it is taken up; where nobody hears that, it is too late.
    pub(super) begun: oneshot::Sender<()>,
    pub(super) asker: oneshot::Sender<Told>,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A new certificate now.
    Renewal {
        /// A time that the CA has named is not waited for either.
        force: bool,
    },
    /// A certificate that is kept.
    Generation {
        /// Which.
        number: u64,
        /// Also when it has expired.
        force: bool,
    },
}

/// What came of it: what there is now, or why there is nothing else than before.
pub type Told = Result<String, Refused>;

/// Why a wish was not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Refused {
    /// What did not come about.
    pub what: String,
    /// Why.
    pub why: String,
    /// How to mend it.
    pub fix: String,
}

impl Refused {
    pub(super) fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into() }
    }

    /// Somebody else may order the certificate now, and we may not.
    pub(super) fn held_by(what: &str, holder: Option<&str>) -> Self {
        let holder = holder.map(|holder| format!(" ({holder})")).unwrap_or_default();
        let why = format!("another process that shares the state directory is ordering{holder}");
        Self::new(what, why, "wait for what it gets, or ask that one")
    }
}

/// What becomes of a certificate that was just published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Clients get it.
    Seen,
    /// It stays in service, but nobody has seen it yet.
    Unseen(NotSeen),
    /// The one before comes back.
    GoBack(NotSeen),
}

/// Decides by what a look has shown and, where that was wrong, what the same look has shown of the one before, which was
/// served again for it; `None` when there is none.
///
/// # Why
///
/// A certificate goes only when it is to blame: when something is wrong with it that is not wrong with the one before. A
/// listener that is too busy to tell, or that somebody else answers on whatever is published, takes no certificate away.
pub(super) fn fate(new: Result<(), NotSeen>, before: Option<Result<(), NotSeen>>) -> Fate {
    match (new, before) {
        (Ok(()), _) => Fate::Seen,
        (Err(not_seen), Some(Ok(()))) if not_seen.is_certain => Fate::GoBack(not_seen),
        (Err(not_seen), _) => Fate::Unseen(not_seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_two_looks_when_decided_then_only_what_the_new_one_alone_has_wrong_takes_it_back() {
        let not_seen = |is_certain| NotSeen { detail: "another certificate".to_owned(), is_certain };
        let (wrong, silent) = (not_seen(true), not_seen(false));
        #[rustfmt::skip]
        let table = [
            ("seen",                                     Ok(()),              None,                       Fate::Seen),
            ("silent, nothing before",                   Err(silent.clone()), None,                       Fate::Unseen(silent.clone())),
            ("silent",                                   Err(silent.clone()), Some(Ok(())),               Fate::Unseen(silent.clone())),
            ("wrong, nothing before",                    Err(wrong.clone()),  None,                       Fate::Unseen(wrong.clone())),
            ("wrong, and the one before is seen",        Err(wrong.clone()),  Some(Ok(())),               Fate::GoBack(wrong.clone())),
            ("wrong, and the one before is wrong too",   Err(wrong.clone()),  Some(Err(wrong.clone())),   Fate::Unseen(wrong.clone())),
            ("wrong, and now nobody answers",            Err(wrong.clone()),  Some(Err(silent)),          Fate::Unseen(wrong)),
        ];
        for (what, new, before, expected) in table {
            assert_eq!(fate(new, before), expected, "{what}");
        }
    }
}
