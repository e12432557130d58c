//! What the page says, in all languages. A missing one does not compile.

mod closed;
mod coded;
mod frame;
mod identity;
mod notifier;
mod observed;
mod problem;
mod reason;
mod time;

pub(super) use closed::{ByHand, because, detail, event, limit, next, role, state, todo};
pub(super) use coded::coded;
pub(super) use frame::FRAME;
pub(super) use identity::{chosen, refused};
pub(super) use notifier::{LAST_DELIVERY, NO_ERROR, NOTIFIER, NOTIFIERS, STILL_TO_BE_TOLD, TRIED_AGAIN};
pub(super) use observed::{client, would};
pub(super) use problem::{sentence, tell};
pub(super) use reason::{Advice, advice};
pub(super) use time::{day, days, days_left, distance, length, moment};

pub(super) use crate::language::{Lang, Say};

#[cfg(test)]
mod tests;
