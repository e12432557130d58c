//! Whether `next` can follow `identity`.

use super::super::Check;
use super::super::identity_files::Files;
use super::super::section::Text;
use super::Audience;
use super::guard::{self, leaf};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::pki::LeafFacts;
use crate::time::Timestamp;

/// `next`, as far as it can be told.
pub(super) struct Next<'a> {
    pub(super) files: Files<'a>,
    pub(super) from: Option<Timestamp>,
}

impl Next<'_> {
    /// When it takes over by itself; `None` when its files are not known.
    fn begins(&self) -> Option<Timestamp> {
        let leaf = leaf(&self.files)?;
        Some(self.from.map_or(leaf.not_before, |from| from.max(leaf.not_before)))
    }

    /// Whether it is in use when `identity` cannot be.
    pub(super) fn has_begun(&self, now: Timestamp) -> bool {
        self.begins().is_some_and(|begins| begins <= now)
    }

    /// Whether nobody has to order anything for the end of `identity`.
    pub(super) fn outlasts(&self, identity: &LeafFacts) -> bool {
        leaf(&self.files).is_none_or(|next| next.not_after > identity.not_after)
    }
}

/// Judges what `next` is, and what it is beside `identity`.
pub(super) fn judge(check: &mut Check<'_>, identity: Option<&Files<'_>>, next: &Next<'_>, audience: Audience<'_>) {
    let (Some(new), Some(file)) = (leaf(&next.files), next.files.main) else { return };
    let now = check.environment.now();
    if new.not_after < now {
        guard::report_expired(check, new, file, audience, now);
        return;
    }
    if identity.and_then(leaf).is_some_and(|old| next.outlasts(old)) {
        guard::warn_of_end(check, new, file, audience, now);
    }
    let Some((old, old_file)) = identity.and_then(|files| Some((leaf(files)?, files.main?))) else { return };
    if let Some(doubt) = doubt(old, new, next.begins()) {
        let problem = Problem::warning(Code::DoubtfulNext, doubt.title).at(file.place);
        check.report(problem.related(old_file.place, "`identity`").why(doubt.why).fix(doubt.fix));
    }
    warn_of_name(check, old, new, [old_file, file], audience);
}

/// What is odd about a successor.
struct Doubt {
    title: String,
    why: &'static str,
    fix: &'static str,
}

fn doubt(old: &LeafFacts, new: &LeafFacts, begins: Option<Timestamp>) -> Option<Doubt> {
    if new.fingerprint == old.fingerprint {
        return Some(Doubt {
            title: "`next` is the certificate of `identity` once more".to_owned(),
            why: "when that ends, nothing takes over",
            fix: "give the new certificate, or leave `next` out until there is one",
        });
    }
    if begins.is_some_and(|begins| begins > new.not_after) {
        return Some(Doubt {
            title: format!("`next` ends at {}, before it takes over", new.not_after),
            why: "it would never be used, save when `identity` is refused",
            fix: "give an earlier `from`, or leave it out",
        });
    }
    if new.not_after < old.not_after {
        return Some(Doubt {
            title: format!("`next` ends at {}, before `identity` does at {}", new.not_after, old.not_after),
            why: "a successor that ends first is mostly the old certificate, in the wrong place",
            fix: "change them with each other, or give the new certificate",
        });
    }
    let begins = begins.filter(|begins| *begins > old.not_after)?;
    Some(Doubt {
        title: format!("nothing is valid from {}, when `identity` ends, to {begins}", old.not_after),
        why: "the service would refuse every request in between",
        fix: "give an earlier `from`, or leave it out; for a certificate that begins later, order another one",
    })
}

fn warn_of_name(
    check: &mut Check<'_>,
    old: &LeafFacts,
    new: &LeafFacts,
    [old_file, file]: [Text<'_>; 2],
    audience: Audience<'_>,
) {
    if audience.environment.is_none() || old.display_name == new.display_name {
        return;
    }
    let names = [quoted(&old.display_name), quoted(&new.display_name)];
    let title = format!("users will see another name: {} in place of {}", names[1], names[0]);
    let problem = Problem::warning(Code::NameChanges, title).at(file.place).related(old_file.place, "`identity`");
    let problem =
        problem.why("BankID shows them the attribute `name` (2.5.4.41) of the certificate as the party that asks");
    check.report(problem.fix("nothing, if that is meant; else ask your bank for one with the same name"));
}
