//! What the page says, in all languages. A missing one does not compile.

mod closed;
mod frame;
mod problem;
mod reason;
mod time;

pub(super) use closed::{ByHand, because, event, limit, next, role, state, todo};
pub(super) use frame::FRAME;
pub(super) use problem::tell;
pub(super) use reason::{Advice, advice};
pub(super) use time::{day, days, days_left, distance, moment};

pub(super) use crate::language::{Lang, Say};

#[cfg(test)]
mod tests;
