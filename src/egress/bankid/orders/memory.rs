//! Orders by their key, and by the time at which they are forgotten.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::OrderKey;

/// What is remembered of one order. Times are since one beginning.
pub(super) struct Order {
    /// Tells it from an earlier one of the same key.
    pub(super) number: u64,
    pub(super) stage: Stage,
    /// How long it is remembered, were it not for a collect.
    pub(super) lasts_until: Duration,
    /// When the application asked last.
    pub(super) asked_at: Option<Duration>,
    /// Before this no collect is sent.
    pub(super) next_at: Duration,
    /// The collect under way.
    pub(super) turn: Option<UnderWay>,
}

/// A collect under way.
pub(super) struct UnderWay {
    /// Of its [`Turn`](super::Turn).
    pub(super) number: u64,
    /// When it is taken for lost.
    pub(super) given_up_at: Duration,
    /// Its answer has begun.
    pub(super) is_answered: bool,
}

/// How far an order is, as seen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// BankID has not said that there is such an order.
    Unknown,
    /// Created, or seen pending.
    Open,
    /// An answer waits on the shelf. `is_presumed`: the application has it most likely.
    /// `was_undelivered`: counted as one that it did not get at once.
    Kept { place: u64, is_final: bool, is_presumed: bool, was_undelivered: bool },
    /// The final answer was delivered.
    Final,
    /// Cancelled, or gone: BankID's to answer.
    Over,
}

impl Order {
    /// Of its kept answer.
    pub(super) fn place(&self) -> Option<u64> {
        let Stage::Kept { place, .. } = self.stage else { return None };
        Some(place)
    }

    /// What is kept for it is not known to have arrived.
    pub(super) fn is_undelivered(&self) -> bool {
        matches!(self.stage, Stage::Kept { is_presumed: false, .. })
    }

    fn forget_at(&self) -> Duration {
        match &self.turn {
            Some(turn) => turn.given_up_at,
            None => self.lasts_until.max(self.next_at),
        }
    }

    /// Whether it can be forgotten without breaking the pace.
    fn is_idle(&self, now: Duration) -> bool {
        self.turn.is_none() && self.next_at <= now
    }
}

/// Every order that is remembered.
pub(super) struct Memory {
    orders: HashMap<OrderKey, Order>,
    /// By the time at which they are forgotten.
    queue: BTreeMap<(Duration, u64), OrderKey>,
    next: u64,
    most: usize,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { orders: HashMap::new(), queue: BTreeMap::new(), next: 0, most }
    }

    pub(super) fn look(&self, key: &OrderKey) -> Option<&Order> {
        self.orders.get(key)
    }

    /// Changes an order, if it is remembered, and with it the time at which it is forgotten.
    pub(super) fn change<T>(&mut self, key: &OrderKey, change: impl FnOnce(&mut Order) -> T) -> Option<T> {
        let order = self.orders.get_mut(key)?;
        let before = order.forget_at();
        let result = change(order);
        if order.forget_at() != before {
            self.queue.remove(&(before, order.number));
            self.queue.insert((order.forget_at(), order.number), *key);
        }
        Some(result)
    }

    /// Remembers a new order, for which there is room.
    pub(super) fn add(&mut self, key: OrderKey, stage: Stage, lasts_until: Duration) {
        let number = self.next;
        self.next += 1;
        let order = Order { number, stage, lasts_until, asked_at: None, next_at: Duration::ZERO, turn: None };
        self.queue.insert((order.forget_at(), number), key);
        self.orders.insert(key, order);
    }

    pub(super) fn is_full(&self) -> bool {
        self.orders.len() >= self.most
    }

    /// Forgets the first order whose time is over.
    pub(super) fn forget_due(&mut self, now: Duration) -> Option<Order> {
        let (&(at, _), &key) = self.queue.first_key_value()?;
        (at <= now).then(|| self.forget(key)).flatten()
    }

    /// Forgets an order to make room: of the first few, which will be forgotten next anyway, one that waits for nothing, and
    /// rather one without an answer that was not delivered. `None` if there is none.
    pub(super) fn push_out(&mut self, now: Duration) -> Option<Order> {
        let idle = |key: &&OrderKey| self.orders.get(*key).is_some_and(|order| order.is_idle(now));
        let is_kept =
            |key: &&OrderKey| matches!(self.orders.get(*key).map(|order| order.stage), Some(Stage::Kept { .. }));
        let first = || self.queue.values().take(LOOKED_AT).filter(idle);
        let key = *first().find(|key| !is_kept(key)).or_else(|| first().next())?;
        self.forget(key)
    }

    /// How many orders are the one, and how many the other.
    pub(super) fn count(&self, one: impl Fn(&Order) -> bool, other: impl Fn(&Order) -> bool) -> (usize, usize) {
        let of = |is: &dyn Fn(&Order) -> bool| self.orders.values().filter(|order| is(order)).count();
        (of(&one), of(&other))
    }

    /// When the next order is forgotten.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    fn forget(&mut self, key: OrderKey) -> Option<Order> {
        let order = self.orders.remove(&key)?;
        self.queue.remove(&(order.forget_at(), order.number));
        Some(order)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        assert_eq!(self.orders.len(), self.queue.len(), "an order without a time, or a time without an order");
        self.orders.len()
    }
}

/// So many are looked at for one to push out, so that a full memory costs little.
const LOOKED_AT: usize = 64;
