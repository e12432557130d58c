//! Which of two client identities is in use, and what happens next.
//!
//! Nobody renews a client identity for us: a bank or another service sells a new one, and both are valid side by side for a
//! while. So the next one stands beside the first, and takes over at its date, after it was tried with success; or at
//! once, when the first is refused or runs out.
//!
//! # Why
//!
//! - What works is not given up for what nobody has tried: a new identity takes over from a good one only when a server
//!   has accepted it. From one that is refused or out of date it takes over at once, since that cannot make it worse.
//! - A refused identity is not gone back to while another works. New files lift a refusal, and so does an answer.
//! - Where both are refused every request fails, whichever is shown. The one that was refused longer ago gets another turn
//!   after [`PATIENCE`], so that a service which comes to its senses is noticed without a human; never more often, since
//!   identities that change with every request help nobody who reads the log.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Validity;
use crate::pki::Fingerprint;
use crate::time::Timestamp;

/// The identities of one name, what is known of them, and which one is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    first: Option<Fingerprint>,
    next: Option<Fingerprint>,
    /// The next one takes over not before.
    from: Option<Timestamp>,
    in_use: Option<Fingerprint>,
    /// Where it came from.
    origin: Option<Slot>,
    /// Those that are named above, each once.
    known: Vec<Candidate>,
}

/// Place of an identity in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// `identity`.
    #[serde(rename = "identity")]
    First,
    /// `next`.
    Next,
}

impl Slot {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::First, Self::Next];

    /// The key in the configuration, and the label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "identity",
            Self::Next => "next",
        }
    }
}

/// What is known of one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Of its chain.
    pub fingerprint: Fingerprint,
    /// That of its leaf.
    pub validity: Validity,
    /// When a server last accepted it, since it was last refused.
    pub accepted: Option<Timestamp>,
    /// That a server refuses it.
    pub refused: Option<Refused>,
    /// Tries in a row that reached nobody.
    unreachable: u32,
    /// Not tried again before.
    try_at: Option<Timestamp>,
}

/// That a server has refused an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When; the last time.
    pub at: Timestamp,
    /// In one word.
    pub why: Refusal,
    /// The server's own words.
    pub detail: String,
}

/// Why a server refuses an identity, as far as it says so: the closed set of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It wants a certificate and got none.
    Required,
    /// Run out.
    Expired,
    /// Revoked by its issuer.
    Revoked,
    /// Its issuer is none of those that the server believes.
    UnknownCa,
    /// Unfit, or in a way that the server does not tell.
    Bad,
    /// Known, but not let in.
    Other,
}

impl Refusal {
    /// All, in the order of declaration.
    pub const ALL: [Self; 6] = [Self::Required, Self::Expired, Self::Revoked, Self::UnknownCa, Self::Bad, Self::Other];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::UnknownCa => "unknown_ca",
            Self::Bad => "bad",
            Self::Other => "other",
        }
    }
}

/// In words, behind "the server says that".
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "it wants a client certificate, and got none",
            Self::Expired => "the certificate has expired",
            Self::Revoked => "the certificate is revoked",
            Self::UnknownCa => "it does not know the certificate's issuer",
            Self::Bad => "the certificate is not one that it takes",
            Self::Other => "the certificate is not let in",
        })
    }
}

/// How an identity stands at one moment, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    OutOfDate,
    Refused,
    Usable,
}

impl Candidate {
    fn standing(&self, now: Timestamp) -> Standing {
        if now < self.validity.not_before || now > self.validity.not_after {
            Standing::OutOfDate
        } else if self.refused.is_some() {
            Standing::Refused
        } else {
            Standing::Usable
        }
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        self.standing(now) == Standing::Usable
    }

    fn refused_at(&self) -> Option<Timestamp> {
        self.refused.as_ref().map(|refused| refused.at)
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show this identity to the server once, and tell what came of it.
    Try(Fingerprint),
    /// Nothing before this time; `None` is until something happens.
    Wait(Option<Timestamp>),
}

impl Rotation {
    /// The files of `slot` hold this identity now. What is known of one that was there before is kept.
    pub fn offer(&mut self, slot: Slot, fingerprint: Fingerprint, validity: Validity) {
        if self.candidate(fingerprint).is_none() {
            let (accepted, refused, try_at) = (None, None, None);
            self.known.push(Candidate { fingerprint, validity, accepted, refused, unreachable: 0, try_at });
        }
        *self.place(slot) = Some(fingerprint);
        self.forget();
    }

    /// Nothing is configured for `slot` any more.
    pub fn withdraw(&mut self, slot: Slot) {
        *self.place(slot) = None;
        self.forget();
    }

    /// The next one takes over not before this time; `None` is as soon as it is valid.
    pub fn set_from(&mut self, from: Option<Timestamp>) {
        self.from = from;
    }

    /// A server has accepted it. Lifts a refusal.
    pub fn accepted(&mut self, fingerprint: Fingerprint, now: Timestamp) {
        if let Some(candidate) = self.candidate_mut(fingerprint) {
            candidate.accepted = Some(now);
            candidate.refused = None;
            candidate.unreachable = 0;
            candidate.try_at = None;
        }
    }

    /// A server has refused it. Gives whether that is news.
    pub fn refused(&mut self, fingerprint: Fingerprint, why: Refusal, detail: &str, now: Timestamp) -> bool {
        let Some(candidate) = self.candidate_mut(fingerprint) else { return false };
        let is_news = candidate.refused.as_ref().is_none_or(|before| before.why != why);
        candidate.accepted = None;
        candidate.refused = Some(Refused { at: now, why, detail: detail.to_owned() });
        is_news
    }

    /// The try reached nobody, which neither proves nor refutes anything.
    pub fn unreachable(&mut self, fingerprint: Fingerprint, now: Timestamp) {
        if let Some(candidate) = self.candidate_mut(fingerprint) {
            let pause = FIRST_PAUSE * 2_u32.pow(candidate.unreachable.min(10));
            candidate.unreachable = candidate.unreachable.saturating_add(1);
            candidate.try_at = Some(now + pause.min(LONGEST_PAUSE));
        }
    }

    /// Takes the best one into use. Gives it when it is another than before.
    pub fn settle(&mut self, now: Timestamp) -> Option<Fingerprint> {
        let best = self.best(now)?;
        let current = self.in_use.and_then(|current| self.candidate(current));
        let is_kept = current.is_some_and(|current| {
            current.fingerprint == best.fingerprint || (current.is_usable(now) && best.accepted.is_none())
        });
        if is_kept {
            return None;
        }
        let best = best.fingerprint;
        self.in_use = Some(best);
        self.origin = self.slot_in_use();
        self.forget();
        Some(best)
    }

    /// What is to be done now, after [`Rotation::settle`].
    pub fn step(&self, now: Timestamp) -> Step {
        match self.best(now).filter(|best| Some(best.fingerprint) != self.in_use) {
            // What is in use works, else this one would have taken over.
            Some(best) if best.try_at.is_none_or(|at| at <= now) => Step::Try(best.fingerprint),
            Some(best) => Step::Wait([best.try_at, self.turn(now)].into_iter().flatten().min()),
            None => Step::Wait(self.turn(now)),
        }
    }

    /// Where the files hold what is in use; `None` when they hold something else by now.
    pub fn slot_in_use(&self) -> Option<Slot> {
        let in_use = Some(self.in_use?);
        Slot::ALL.into_iter().find(|slot| self.offered(*slot) == in_use)
    }

    /// Where what is in use came from, though the files may hold something else by now.
    pub fn origin(&self) -> Option<Slot> {
        self.slot_in_use().or(self.origin)
    }

    /// What is in use.
    pub fn in_use(&self) -> Option<&Candidate> {
        self.candidate(self.in_use?)
    }

    /// What the files of `slot` hold.
    pub fn of(&self, slot: Slot) -> Option<&Candidate> {
        self.candidate(self.offered(slot)?)
    }

    /// When the next one is to take over, at the earliest.
    pub fn takes_over_at(&self) -> Option<Timestamp> {
        let next = self.of(Slot::Next)?;
        Some(self.from.map_or(next.validity.not_before, |from| from.max(next.validity.not_before)))
    }

    /// All that are known: three at most.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        self.known.iter().map(|candidate| candidate.fingerprint)
    }

    /// The last second for which there is an identity that no server has refused.
    pub fn covered_until(&self) -> Option<Timestamp> {
        let unrefused = self.known.iter().filter(|candidate| candidate.refused.is_none());
        unrefused.map(|candidate| candidate.validity.not_after).max()
    }

    /// Why the one in use is it; `None` when there is none.
    pub fn why(&self, now: Timestamp) -> Option<Why> {
        let current = self.in_use()?;
        match current.standing(now) {
            Standing::OutOfDate if now < current.validity.not_before => return Some(Why::NothingValidYet),
            Standing::OutOfDate => return Some(Why::NothingValid),
            Standing::Refused => return Some(Why::NothingAccepted),
            Standing::Usable => {}
        }
        let other = |slot| self.of(slot).map(|candidate| candidate.standing(now));
        Some(match self.slot_in_use() {
            None => match self.best(now).map(|best| best.fingerprint == current.fingerprint) {
                Some(false) => Why::NewUntried,
                _ => Why::NewUnfit,
            },
            Some(Slot::First) => match other(Slot::Next) {
                None => Why::Alone,
                Some(Standing::Refused) => Why::NextRefused,
                Some(Standing::Usable) if self.is_due(now) => Why::NextUntried,
                Some(Standing::OutOfDate) if self.of(Slot::Next).is_some_and(|next| now > next.validity.not_after) => {
                    Why::NextExpired
                }
                Some(Standing::Usable | Standing::OutOfDate) => Why::NextLater,
            },
            Some(Slot::Next) => match other(Slot::First) {
                None => Why::FirstMissing,
                Some(Standing::Refused) => Why::FirstRefused,
                Some(Standing::OutOfDate) => Why::FirstOutOfDate,
                // New files, while this one stands in for those before them.
                Some(Standing::Usable) if !self.is_due(now) => Why::NewUntried,
                Some(Standing::Usable) => Why::NextDue,
            },
        })
    }

    /// The one that should be in use, if it were only for what is known of each.
    fn best(&self, now: Timestamp) -> Option<&Candidate> {
        let (first, next, current) = (self.of(Slot::First), self.of(Slot::Next), self.in_use());
        let usable = |candidate: Option<&'_ Candidate>| candidate.is_some_and(|it| it.is_usable(now));
        // Where nothing is in use yet, the next one has not been tried either.
        let due = next.filter(|_| self.is_due(now) && current.is_some());
        let in_order = [due, first, current, next];
        if let Some(best) = in_order.into_iter().find(|candidate| usable(*candidate)) {
            return best;
        }
        let is_refused = |it: &&Candidate| it.standing(now) == Standing::Refused;
        if let Some(current) = current.filter(is_refused) {
            return Some(self.next_turn(current, now).unwrap_or(current));
        }
        let refused = [first, next].into_iter().flatten().filter(is_refused);
        refused.min_by_key(|it| it.refused_at()).or(current).or(first).or(next)
    }

    /// Of refused ones the one that is to be shown after `current`, when it is its turn.
    fn next_turn(&self, current: &Candidate, now: Timestamp) -> Option<&Candidate> {
        let offered = Slot::ALL.into_iter().filter_map(|slot| self.of(slot));
        let waited = |it: &&Candidate| {
            let at = it.refused_at();
            it.standing(now) == Standing::Refused
                && at < current.refused_at()
                && at.is_some_and(|at| now.since(at) >= PATIENCE)
        };
        offered.filter(|it| it.fingerprint != current.fingerprint).filter(waited).min_by_key(|it| it.refused_at())
    }

    /// When time alone may change something.
    fn turn(&self, now: Timestamp) -> Option<Timestamp> {
        let second = Duration::from_secs(1);
        let of_each = self.known.iter().flat_map(|it| {
            let turn = it.refused_at().map(|at| at + PATIENCE);
            [Some(it.validity.not_before), Some(it.validity.not_after + second), turn]
        });
        of_each.chain([self.takes_over_at()]).flatten().filter(|at| *at > now).min()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now)
    }

    fn offered(&self, slot: Slot) -> Option<Fingerprint> {
        match slot {
            Slot::First => self.first,
            Slot::Next => self.next,
        }
    }

    fn place(&mut self, slot: Slot) -> &mut Option<Fingerprint> {
        match slot {
            Slot::First => &mut self.first,
            Slot::Next => &mut self.next,
        }
    }

    fn candidate(&self, fingerprint: Fingerprint) -> Option<&Candidate> {
        self.known.iter().find(|candidate| candidate.fingerprint == fingerprint)
    }

    fn candidate_mut(&mut self, fingerprint: Fingerprint) -> Option<&mut Candidate> {
        self.known.iter_mut().find(|candidate| candidate.fingerprint == fingerprint)
    }

    /// Lets go of what is neither offered nor in use.
    fn forget(&mut self) {
        let named = [self.first, self.next, self.in_use];
        self.known.retain(|candidate| named.contains(&Some(candidate.fingerprint)));
    }
}

/// Why an identity is in use; `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// First: there is no other.
    #[error("it is the only one")]
    Alone,
    /// First: the other's date has not come.
    #[error("the date of `next` has not come")]
    NextLater,
    /// First: the other has not been accepted by the server yet.
    #[error("`next` has not been accepted by the server yet")]
    NextUntried,
    /// First: the server refuses the other.
    #[error("the server refuses `next`")]
    NextRefused,
    /// First: the other has run out.
    #[error("`next` has expired")]
    NextExpired,
    /// Next: its date has come, and the server accepts it.
    #[error("its date has come")]
    NextDue,
    /// Next: there is no other that can be used.
    #[error("`identity` cannot be used")]
    FirstMissing,
    /// Next: the server refuses the first.
    #[error("the server refuses `identity`")]
    FirstRefused,
    /// Next: the first is not valid now.
    #[error("`identity` is not valid now")]
    FirstOutOfDate,
    /// From files that hold another by now, which the server has not accepted yet.
    #[error("the new one in the files has not been accepted by the server yet")]
    NewUntried,
    /// From files that hold another by now, which is refused or not valid.
    #[error("the new one in the files is refused or not valid now")]
    NewUnfit,
    /// Refused, and so is every other.
    #[error("the server refuses every identity")]
    NothingAccepted,
    /// Expired, and there is none that is valid.
    #[error("it has expired, and there is none that is valid")]
    NothingValid,
    /// Not valid yet, and there is none that is.
    #[error("it is not valid yet, and there is none that is")]
    NothingValidYet,
}

/// Where every identity is refused, each gets another turn after this.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// After the first try that reached nobody; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);
    const DAY: Duration = Duration::from_secs(86_400);
    const FIRST: Fingerprint = Fingerprint([1; 32]);
    const NEXT: Fingerprint = Fingerprint([2; 32]);
    const NEWER: Fingerprint = Fingerprint([3; 32]);

    fn valid() -> Validity {
        Validity { not_before: NOW - DAY * 30, not_after: NOW + DAY * 30 }
    }

    fn expired() -> Validity {
        Validity { not_before: NOW - DAY * 60, not_after: NOW - DAY * 3 }
    }

    fn to_come() -> Validity {
        Validity { not_before: NOW + DAY, not_after: NOW + DAY * 60 }
    }

    /// The first alone and in use.
    fn first() -> Rotation {
        let mut rotation = Rotation::default();
        rotation.offer(Slot::First, FIRST, valid());
        assert_eq!(rotation.settle(NOW), Some(FIRST));
        rotation
    }

    /// The first in use, and a next whose date is a day away.
    fn both() -> Rotation {
        let mut rotation = first();
        rotation.set_from(Some(NOW + DAY));
        rotation.offer(Slot::Next, NEXT, valid());
        assert_eq!(rotation.settle(NOW), None);
        rotation
    }

    fn refused(rotation: &mut Rotation, fingerprint: Fingerprint, at: Timestamp) {
        rotation.refused(fingerprint, Refusal::Revoked, "received fatal alert: CertificateRevoked", at);
    }

    /// What is in use after it has settled, why, and what is to be done.
    fn outcome(mut rotation: Rotation, now: Timestamp) -> (Option<Fingerprint>, Option<Why>, Step) {
        rotation.settle(now);
        (rotation.in_use().map(|it| it.fingerprint), rotation.why(now), rotation.step(now))
    }

    fn with(mut rotation: Rotation, change: impl FnOnce(&mut Rotation)) -> Rotation {
        change(&mut rotation);
        rotation
    }

    #[test]
    fn given_each_state_when_settled_then_the_identity_the_reason_and_the_step_of_the_table() {
        let end = NOW + DAY * 30 + Duration::from_secs(1);
        let wait = |at| Step::Wait(Some(at));
        #[rustfmt::skip]
        let table = [
            ("nothing", Rotation::default(), None, None, Step::Wait(None)),
            ("first alone", first(), Some(FIRST), Some(Why::Alone), wait(end)),
            ("next is later", both(), Some(FIRST), Some(Why::NextLater), wait(NOW + DAY)),
            ("next is due", with(both(), |r| r.set_from(Some(NOW))), Some(FIRST), Some(Why::NextUntried), Step::Try(NEXT)),
            ("next has no date", with(both(), |r| r.set_from(None)), Some(FIRST), Some(Why::NextUntried), Step::Try(NEXT)),
            ("next is not valid yet", with(first(), |r| r.offer(Slot::Next, NEXT, to_come())), Some(FIRST), Some(Why::NextLater), wait(NOW + DAY)),
            ("next is expired", with(first(), |r| r.offer(Slot::Next, NEXT, expired())), Some(FIRST), Some(Why::NextExpired), wait(end)),
            ("next is due and accepted", with(both(), |r| { r.set_from(None); r.accepted(NEXT, NOW) }), Some(NEXT), Some(Why::NextDue), wait(end)),
            ("next is accepted before its date", with(both(), |r| r.accepted(NEXT, NOW)), Some(FIRST), Some(Why::NextLater), wait(NOW + DAY)),
            ("next is due and refused", with(both(), |r| { r.set_from(None); refused(r, NEXT, NOW) }), Some(FIRST), Some(Why::NextRefused), wait(NOW + PATIENCE)),
            ("next is due and unreachable", with(both(), |r| { r.set_from(None); r.unreachable(NEXT, NOW) }), Some(FIRST), Some(Why::NextUntried), wait(NOW + FIRST_PAUSE)),
            ("first is refused", with(both(), |r| refused(r, FIRST, NOW)), Some(NEXT), Some(Why::FirstRefused), wait(NOW + PATIENCE)),
            ("first is refused and alone", with(first(), |r| refused(r, FIRST, NOW)), Some(FIRST), Some(Why::NothingAccepted), wait(NOW + PATIENCE)),
            ("both are refused", with(both(), |r| { refused(r, FIRST, NOW); r.settle(NOW); refused(r, NEXT, NOW) }), Some(NEXT), Some(Why::NothingAccepted), wait(NOW + PATIENCE)),
            ("new files", with(first(), |r| r.offer(Slot::First, NEWER, valid())), Some(FIRST), Some(Why::NewUntried), Step::Try(NEWER)),
            ("new files, accepted", with(first(), |r| { r.offer(Slot::First, NEWER, valid()); r.accepted(NEWER, NOW) }), Some(NEWER), Some(Why::Alone), wait(end)),
            ("new files, refused", with(first(), |r| { r.offer(Slot::First, NEWER, valid()); refused(r, NEWER, NOW) }), Some(FIRST), Some(Why::NewUnfit), wait(NOW + PATIENCE)),
            ("new files, expired", with(first(), |r| r.offer(Slot::First, NEWER, expired())), Some(FIRST), Some(Why::NewUnfit), wait(end)),
            ("new files, refused, and a next for later", with(both(), |r| { r.offer(Slot::First, NEWER, valid()); refused(r, NEWER, NOW) }), Some(FIRST), Some(Why::NewUnfit), wait(NOW + PATIENCE)),
            ("new files instead of refused ones", with(first(), |r| { refused(r, FIRST, NOW); r.offer(Slot::First, NEWER, valid()) }), Some(NEWER), Some(Why::Alone), wait(end)),
            ("new files for the first while next stands in", with(both(), |r| { refused(r, FIRST, NOW); r.settle(NOW); r.offer(Slot::First, NEWER, valid()) }), Some(NEXT), Some(Why::NewUntried), Step::Try(NEWER)),
            ("next is withdrawn while in use", with(both(), |r| { refused(r, FIRST, NOW); r.settle(NOW); r.withdraw(Slot::Next) }), Some(NEXT), Some(Why::NewUnfit), wait(NOW + PATIENCE)),
        ];
        for (state, rotation, in_use, why, step) in table {
            assert_eq!(outcome(rotation, NOW), (in_use, why, step), "{state}");
        }
    }

    #[test]
    fn given_nothing_in_use_when_settled_then_the_best_at_once_and_untried() {
        let table = [
            ("both are good", valid(), valid(), FIRST),
            ("the first is expired", expired(), valid(), NEXT),
            ("the next is expired", valid(), expired(), FIRST),
            ("both are expired", expired(), expired(), FIRST),
            ("the first is to come", to_come(), valid(), NEXT),
        ];
        for (state, first, next, expected) in table {
            let mut rotation = Rotation::default();
            rotation.set_from(None);
            rotation.offer(Slot::First, FIRST, first);
            rotation.offer(Slot::Next, NEXT, next);
            assert_eq!(rotation.settle(NOW), Some(expected), "{state}");
        }
    }

    #[test]
    fn given_a_good_first_when_it_runs_out_then_an_untried_next_takes_over_at_once() {
        let mut rotation = first();
        rotation.set_from(Some(NOW + DAY * 40));
        rotation.offer(Slot::Next, NEXT, Validity { not_after: NOW + DAY * 90, ..valid() });
        assert_eq!(rotation.settle(NOW + DAY * 30), None);

        let late = NOW + DAY * 30 + Duration::from_secs(1);

        assert_eq!(rotation.settle(late), Some(NEXT));
        assert_eq!(rotation.why(late), Some(Why::FirstOutOfDate));
    }

    #[test]
    fn given_both_refused_when_requests_go_on_then_turns_change_once_a_minute_at_most() {
        let mut rotation = both();
        let mut changes = Vec::new();
        for second in 0..300 {
            let now = NOW + Duration::from_secs(second);
            let shown = rotation.in_use().unwrap().fingerprint;
            refused(&mut rotation, shown, now);
            changes.extend(rotation.settle(now).map(|_| second));
        }
        assert_eq!(changes, [0, 60, 120, 180, 240]);
    }

    #[test]
    fn given_a_refused_one_when_it_is_accepted_again_then_the_refusal_is_lifted() {
        let mut rotation = both();
        refused(&mut rotation, FIRST, NOW);
        rotation.settle(NOW);
        refused(&mut rotation, NEXT, NOW);
        let later = NOW + PATIENCE + PATIENCE;
        assert_eq!(rotation.settle(later), None, "refused in the same second: no turn yet");
        refused(&mut rotation, NEXT, later);
        assert_eq!(rotation.settle(later), Some(FIRST));

        rotation.accepted(FIRST, later);

        assert_eq!(rotation.settle(later), None);
        assert_eq!(rotation.why(later), Some(Why::NextRefused));
    }

    #[test]
    fn given_the_next_in_use_when_the_refused_first_stays_as_it_is_then_it_is_not_gone_back_to() {
        let mut rotation = both();
        refused(&mut rotation, FIRST, NOW);
        rotation.settle(NOW);
        for day in 1..29 {
            let now = NOW + DAY * day;
            rotation.accepted(NEXT, now);
            rotation.offer(Slot::First, FIRST, valid());
            assert_eq!(rotation.settle(now), None, "day {day}");
        }
    }

    #[test]
    fn given_tries_that_reach_nobody_when_counted_then_ever_more_seldom_up_to_an_hour() {
        let mut rotation = with(both(), |r| r.set_from(None));
        let mut now = NOW;
        for seconds in [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600] {
            assert_eq!(rotation.step(now), Step::Try(NEXT));
            rotation.unreachable(NEXT, now);
            assert_eq!(rotation.settle(now), None);
            let Step::Wait(Some(at)) = rotation.step(now) else { panic!("no wait") };
            assert_eq!(at.since(now).as_secs(), seconds);
            now = at;
        }
    }

    #[test]
    fn given_a_refusal_when_told_again_then_it_is_no_news() {
        let mut rotation = first();
        assert!(rotation.refused(FIRST, Refusal::Revoked, "", NOW));
        assert!(!rotation.refused(FIRST, Refusal::Revoked, "", NOW + DAY));
        assert!(rotation.refused(FIRST, Refusal::UnknownCa, "", NOW + DAY));
        assert!(!rotation.refused(NEWER, Refusal::UnknownCa, "", NOW), "of one that is long gone");
    }

    #[test]
    fn given_two_identities_when_asked_until_when_then_the_later_end_that_nobody_refuses() {
        let later = Validity { not_after: NOW + DAY * 500, ..valid() };
        let mut rotation = first();
        rotation.offer(Slot::Next, NEXT, later);
        assert_eq!(rotation.covered_until(), Some(later.not_after));
        refused(&mut rotation, NEXT, NOW);
        assert_eq!(rotation.covered_until(), Some(valid().not_after));
    }

    proptest! {
        #[test]
        fn given_whatever_happens_when_settled_again_at_the_same_time_then_nothing_changes(
            happenings in proptest::collection::vec((0_u8..8, 0_u8..3, 0_u64..40), 0..40)
        ) {
            let mut rotation = Rotation::default();
            let mut now = NOW;
            for (what, which, days) in happenings {
                let it = [FIRST, NEXT, NEWER][usize::from(which)];
                let slot = if which == 1 { Slot::Next } else { Slot::First };
                match what {
                    0 => rotation.offer(slot, it, valid()),
                    1 => rotation.offer(slot, it, expired()),
                    2 => rotation.offer(slot, it, to_come()),
                    3 => rotation.accepted(it, now),
                    4 => refused(&mut rotation, it, now),
                    5 => rotation.unreachable(it, now),
                    6 => rotation.set_from(Some(NOW + DAY * u32::try_from(days).unwrap())),
                    _ => now = now + Duration::from_secs(days * 86_400 / 4),
                }
                let was_usable = rotation.in_use().is_some_and(|it| it.is_usable(now));
                rotation.settle(now);
                prop_assert_eq!(rotation.settle(now), None);
                prop_assert!(rotation.known.len() <= 3);
                prop_assert_eq!(rotation.in_use().is_some(), !rotation.known.is_empty());
                prop_assert!(!was_usable || rotation.in_use().is_some_and(|it| it.is_usable(now)));
                if let Step::Wait(Some(at)) = rotation.step(now) {
                    prop_assert!(at > now);
                }
            }
        }
    }
}
