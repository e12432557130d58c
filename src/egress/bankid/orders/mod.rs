//! The memory of orders: when a collect may go, and what becomes of its answer.
//!
//! All times are since one beginning, the same for all calls. An order is driven so: [`Orders::asks`] once for each collect
//! of the application, then [`Orders::collect`] as often as the [`Step`] says, and for each [`Turn`] that it gives exactly one
//! [`Orders::ended`], whatever has happened: also when the application has gone, which is what a guard is for.

mod answer;
mod memory;
mod news;
mod shelf;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::answer::Answer;
use self::memory::{Memory, Order, Stage, UnderWay};
pub use self::news::{Gap, News};
use self::shelf::Shelf;
pub use self::step::{Asking, Delivery, Ended, Step, Turn};
use super::{ErrorCode, Findings, OrderKey, Pace, Status};

/// What is remembered of a destination's orders.
///
/// # Why
///
/// BankID gives a final answer once (RFT6: it has to be archived), and wants no collect within a second of another
/// (RFT9). So collects of one order go one after another; the second counts from the moment at which the last one had its
/// answer, since only that proves when BankID had it; an answer that the application did not get is kept for it.
///
/// Memory has a bound. When it is full the order goes that would be forgotten next; it works on as after a restart, when
/// none is known: its collects are sent, and BankID answers.
pub struct Orders {
    memory: Memory,
    shelf: Shelf,
    turns: u64,
    news: News,
}

impl Orders {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::bounded(MOST_ORDERS, MOST_KEPT, MOST_KEPT_BYTES)
    }

    fn bounded(orders: usize, kept: usize, kept_bytes: usize) -> Self {
        Self { memory: Memory::new(orders), shelf: Shelf::new(kept, kept_bytes), turns: 0, news: News::default() }
    }

    /// BankID has created an order.
    pub fn created(&mut self, key: OrderKey, now: Duration) {
        self.sweep(now);
        if self.memory.look(&key).is_none() && self.makes_room(now) {
            self.memory.add(key, Stage::Open, now.saturating_add(OPEN));
        }
    }

    /// BankID has let an order be cancelled. A collect of it is the application's mistake, and BankID's to answer.
    pub fn cancelled(&mut self, key: OrderKey, now: Duration) {
        self.sweep(now);
        let is_new = self.memory.change(&key, |order| {
            let is_new = matches!(order.stage, Stage::Unknown | Stage::Open);
            if is_new {
                order.stage = Stage::Over;
            }
            is_new
        });
        self.news.cancelled += u64::from(is_new.unwrap_or(true));
    }

    /// The application asks for an order's state: once for each of its collects, when it arrives.
    ///
    /// Gives the time since its last one, where there was one.
    pub fn asks(&mut self, key: OrderKey, now: Duration) -> (Asking, Option<Gap>) {
        self.sweep(now);
        let before = self.memory.change(&key, |order| order.asked_at.replace(now)).flatten();
        (Asking { key, arrived: now }, before.map(|before| Gap::of(now.saturating_sub(before))))
    }

    /// What to do with a collect now.
    pub fn collect(&mut self, asking: &Asking, pace: Pace, now: Duration) -> Step {
        self.sweep(now);
        let Some(order) = self.memory.look(&asking.key) else { return self.first(asking, now) };
        let early = order.next_at.saturating_sub(now);
        let patience = asking.arrived.saturating_add(PATIENCE);
        match (order.stage, &order.turn) {
            (Stage::Final, _) => Step::AlreadyFinal,
            (Stage::Kept { place, .. }, None) => self.give(asking.key, place, now),
            (_, None) if early.is_zero() => self.send(asking.key, now),
            _ if pace == Pace::Reject && !early.is_zero() => Step::TooSoon { wait: early },
            _ if now >= patience => Step::TooSoon { wait: early.max(SECOND) },
            (_, Some(_)) => Step::Wait { until: patience },
            (_, None) => Step::Hold { until: order.next_at },
        }
    }

    /// BankID's answer to a collect has begun: the next may go a second after this. Not told, it is a second after the end.
    pub fn answered(&mut self, turn: &Turn, now: Duration) {
        self.memory.change(&turn.key, |order| {
            let Some(under_way) = order.turn.as_mut().filter(|under_way| under_way.number == turn.number) else {
                return;
            };
            under_way.is_answered = true;
            order.next_at = order.next_at.max(now.saturating_add(SECOND));
        });
    }

    /// A collect has ended.
    pub fn ended(&mut self, turn: Turn, ended: Ended, now: Duration) {
        let key = turn.key;
        let under_way =
            self.memory.change(&key, |order| order.turn.take_if(|under_way| under_way.number == turn.number));
        let Some(under_way) = under_way.flatten() else { return };
        if !under_way.is_answered && !matches!(ended, Ended::Given { .. } | Ended::Presumed) {
            self.memory.change(&key, |order| order.next_at = order.next_at.max(now.saturating_add(SECOND)));
        }
        match ended {
            Ended::Unanswered | Ended::Given { delivered: false } => {}
            Ended::Given { delivered: true } => self.given(key, now),
            Ended::Presumed => self.presume(key),
            Ended::Answered { status, found, delivery } if status.is_success() => self.told(key, found, delivery, now),
            Ended::Answered { found, .. } => self.refused(key, found, now),
        }
        self.sweep(now);
    }

    /// What was presumed of an answer's delivery is known now: it has arrived, or it has not.
    ///
    /// # Why
    ///
    /// An application that stands still for seconds, and gives up then, has not read what lies in its system's buffer. Until
    /// that is known its answer can be had again.
    pub fn settled(&mut self, key: OrderKey, has_arrived: bool, now: Duration) {
        self.sweep(now);
        let Some(order) = self.memory.look(&key) else { return };
        let Stage::Kept { place, is_final, is_presumed: true, was_undelivered } = order.stage else { return };
        if has_arrived {
            return self.given(key, now);
        }
        self.news.undelivered += u64::from(!was_undelivered);
        let stage = Stage::Kept { place, is_final, is_presumed: false, was_undelivered: true };
        self.set(key, stage, now.saturating_add(KEPT));
    }

    /// How many answers are kept that were not delivered, and how many collects are under way.
    pub fn unfinished(&self) -> (usize, usize) {
        self.memory.count(|order| order.is_undelivered(), |order| order.turn.is_some())
    }

    /// Forgets what is over, and tells what has happened since the last time. To be called at least at [`Self::next_due`],
    /// since kept answers have to go in time.
    pub fn news(&mut self, now: Duration) -> News {
        self.sweep(now);
        std::mem::take(&mut self.news)
    }

    /// When something is forgotten next.
    pub fn next_due(&self) -> Option<Duration> {
        self.memory.next_due()
    }
}

impl Orders {
    /// The first collect of an order that was not seen being created, as after a restart.
    fn first(&mut self, asking: &Asking, now: Duration) -> Step {
        if !self.makes_room(now) {
            return Step::TooSoon { wait: SECOND };
        }
        self.memory.add(asking.key, Stage::Unknown, now);
        self.memory.change(&asking.key, |order| order.asked_at = Some(asking.arrived));
        self.send(asking.key, now)
    }

    fn send(&mut self, key: OrderKey, now: Duration) -> Step {
        self.memory.change(&key, |order| order.next_at = now.saturating_add(SECOND));
        Step::Send(self.turn(key, now))
    }

    fn give(&mut self, key: OrderKey, place: u64, now: Duration) -> Step {
        match self.shelf.look(place) {
            Some(answer) => Step::Kept(self.turn(key, now), answer),
            None => self.send(key, now),
        }
    }

    fn turn(&mut self, key: OrderKey, now: Duration) -> Turn {
        let number = self.turns;
        self.turns += 1;
        let under_way = UnderWay { number, given_up_at: now.saturating_add(UNDER_WAY), is_answered: false };
        self.memory.change(&key, |order| order.turn = Some(under_way));
        Turn { key, number }
    }

    /// A kept answer was delivered.
    fn given(&mut self, key: OrderKey, now: Duration) {
        let place = self.memory.change(&key, |order| {
            let Stage::Kept { place, is_final, .. } = order.stage else { return None };
            order.stage = if is_final { Stage::Final } else { Stage::Unknown };
            order.lasts_until = now.saturating_add(FINAL);
            Some(place)
        });
        if let Some(place) = place.flatten() {
            self.shelf.take(place);
        }
    }

    /// BankID told an order's state.
    fn told(&mut self, key: OrderKey, found: Findings, delivery: Delivery, now: Duration) {
        let status = found.status.filter(|_| found.whole);
        match (status, delivery) {
            (Some(Status::Pending), _) => self.set(key, Stage::Open, now.saturating_add(OPEN)),
            (Some(status @ (Status::Complete | Status::Failed)), delivery) => {
                self.count(key, status);
                match delivery {
                    Delivery::Whole => self.set(key, Stage::Final, now.saturating_add(FINAL)),
                    Delivery::Broken(answer) => self.keep(key, answer, true, now),
                    Delivery::Presumed(answer) if self.shelf.has_room_to_spare(&answer) => {
                        self.put(key, answer, true, true, now);
                    }
                    Delivery::Presumed(_) => self.set(key, Stage::Final, now.saturating_add(FINAL)),
                }
            }
            // It may be final: compressed perhaps, or new.
            (Some(Status::Other) | None, Delivery::Broken(answer)) => self.keep(key, answer, false, now),
            (Some(Status::Other) | None, Delivery::Whole | Delivery::Presumed(_)) => self.set(key, Stage::Unknown, now),
        }
    }

    /// BankID answered with an error: an order that it knows is at its end if BankID knows it no more.
    fn refused(&mut self, key: OrderKey, found: Findings, now: Duration) {
        let is_gone = found.error == Some(ErrorCode::InvalidParameters);
        if is_gone && self.memory.look(&key).is_some_and(|order| order.stage == Stage::Open) {
            self.news.never_collected += 1;
            self.set(key, Stage::Over, now.saturating_add(FINAL));
        }
    }

    /// An end is counted once, and not that of an order which was cancelled meanwhile.
    fn count(&mut self, key: OrderKey, status: Status) {
        if self.memory.look(&key).is_none_or(|order| !matches!(order.stage, Stage::Unknown | Stage::Open)) {
            return;
        }
        match status {
            Status::Complete => self.news.completed += 1,
            Status::Failed => self.news.failed += 1,
            Status::Pending | Status::Other => {}
        }
    }

    fn keep(&mut self, key: OrderKey, answer: Answer, is_final: bool, now: Duration) {
        self.news.undelivered += 1;
        self.put(key, answer, is_final, false, now);
        while let Some((key, place)) = self.shelf.push_out() {
            let Some(order) = self.memory.look(&key).filter(|order| order.place() == Some(place)) else { continue };
            if order.is_undelivered() {
                self.lose(key, now);
            } else {
                self.set(key, Stage::Final, now.saturating_add(FINAL));
            }
        }
    }

    fn put(&mut self, key: OrderKey, answer: Answer, is_final: bool, is_presumed: bool, now: Duration) {
        match self.shelf.put(key, answer) {
            Some(place) => {
                let stage = Stage::Kept { place, is_final, is_presumed, was_undelivered: !is_presumed };
                self.set(key, stage, now.saturating_add(KEPT));
            }
            None => self.lose(key, now),
        }
    }

    fn presume(&mut self, key: OrderKey) {
        self.memory.change(&key, |order| {
            if let Stage::Kept { is_presumed, .. } = &mut order.stage {
                *is_presumed = true;
            }
        });
    }

    fn lose(&mut self, key: OrderKey, now: Duration) {
        self.news.lost += 1;
        self.set(key, Stage::Over, now.saturating_add(FINAL));
    }

    fn set(&mut self, key: OrderKey, stage: Stage, lasts_until: Duration) {
        self.memory.change(&key, |order| (order.stage, order.lasts_until) = (stage, lasts_until));
    }

    fn makes_room(&mut self, now: Duration) -> bool {
        if !self.memory.is_full() {
            return true;
        }
        self.news.pushed_out += 1;
        let Some(order) = self.memory.push_out(now) else { return false };
        self.forgotten(&order, false);
        true
    }

    fn sweep(&mut self, now: Duration) {
        while let Some(order) = self.memory.forget_due(now) {
            self.forgotten(&order, true);
        }
    }

    fn forgotten(&mut self, order: &Order, is_due: bool) {
        self.news.never_collected += u64::from(is_due && order.stage == Stage::Open);
        if let Some(place) = order.place() {
            self.news.lost += u64::from(order.is_undelivered());
            self.shelf.take(place);
        }
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self::new()
    }
}

/// No collect of an order within this time of another (RFT9).
const SECOND: Duration = Duration::from_secs(1);

/// How long a collect is held or waits for another; then the application asks for more than there is, and is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// After this without a collect, nobody will get the order's end: an order that nobody started dies after 30 seconds, and a
/// failed one can be collected for 5 minutes more (a completed one for 3).
const OPEN: Duration = Duration::from_secs(30 + 5 * 60);

/// How long a final answer waits for its application; as long as BankID itself would have kept it.
const KEPT: Duration = Duration::from_secs(3 * 60);

/// How long a second collect is answered here; after it BankID answers, in the same way.
const FINAL: Duration = Duration::from_secs(5 * 60);

/// A collect whose end was not told is taken for lost; longer than a sound timeout of a response.
const UNDER_WAY: Duration = Duration::from_secs(15 * 60);

/// Some hundred bytes each: a hundred new orders a second, each for as long as it is remembered.
const MOST_ORDERS: usize = 65_536;

const MOST_KEPT: usize = 1024;

/// Enough for all of the usual ones, and for some dozen of the longest.
const MOST_KEPT_BYTES: usize = 32 * 1024 * 1024;
