//! Clients that are sent to where they are, again and again.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts answers that send a client back, in a table of fixed size: what falls on another's place forgets the other.
pub(super) struct Loops {
    places: Mutex<Box<[Place]>>,
    /// So that nobody can choose what falls together.
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Place {
    key: u64,
    since: Option<Instant>,
    points: u8,
}

impl Default for Loops {
    fn default() -> Self {
        let empty = Place { key: 0, since: None, points: 0 };
        Self { places: Mutex::new(vec![empty; PLACES].into()), hasher: RandomState::new() }
    }
}

impl Loops {
    /// Notes an answer to `who` that leads back to the URL that was asked for; whether that is a loop, once for each.
    ///
    /// # Why
    ///
    /// Applications send a client back once to see whether it keeps cookies, and the same again for a client that does not.
    /// So an answer that sets a cookie counts half. Browsers give up after twenty.
    pub(super) fn note(&self, who: impl std::hash::Hash, sets_cookie: bool) -> bool {
        let (now, key) = (Instant::now(), self.hasher.hash_one(who));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut places[usize::try_from(key % PLACES as u64).unwrap_or_default()];
        if place.key != key || place.since.is_none_or(|since| now.duration_since(since) > WINDOW) {
            *place = Place { key, since: Some(now), points: 0 };
        }
        place.points += if sets_cookie { 1 } else { 2 };
        let is_loop = place.points >= ENOUGH;
        if is_loop {
            *place = Place { key, since: Some(now), points: 0 };
        }
        is_loop
    }
}

/// Each takes 32 bytes.
const PLACES: usize = 1024;
/// A browser goes round in well under a second.
const WINDOW: Duration = Duration::from_secs(10);
/// Five answers, or ten that set a cookie.
const ENOUGH: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_a_client_sent_back_when_five_times_in_a_row_then_a_loop_each_time() {
        let loops = Loops::default();
        let noted: Vec<_> = (0..10).map(|_| loops.note(("10.0.0.1", "/a"), false)).collect();
        assert_eq!(noted.iter().filter(|is_loop| **is_loop).count(), 2);
        assert!(noted[4] && noted[9]);
    }

    #[tokio::test(start_paused = true)]
    async fn given_cookies_other_clients_or_time_when_noted_then_no_loop() {
        let loops = Loops::default();
        assert!(!(0..9).any(|_| loops.note("cookies", true)));
        assert!(loops.note("cookies", true));
        assert!(!(0..40).any(|client| loops.note(client, false)));
        for _ in 0..20 {
            assert!(!loops.note("a monitor", false));
            tokio::time::advance(WINDOW / 2 + Duration::from_millis(1)).await;
            assert!(!loops.note("another", false));
            tokio::time::advance(WINDOW / 2).await;
        }
    }
}
