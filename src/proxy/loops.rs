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

impl Loops {
    /// A URL as a client asks for it, for a [`Trail`].
    pub(super) fn key(&self, url: impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(url)
    }
}

/// The redirects that one connection follows, for loops that lead through several URLs.
///
/// # Why
///
/// That one URL leads to another, again and again, is nothing: so does the front page for everybody who is not logged in. Only
/// who goes where he is sent, and comes back to where he was, goes round. That shows on one connection; a client that opens a
/// new one for each request is not seen here, and neither is a way through another host.
#[derive(Debug)]
pub(super) struct Trail {
    /// Asked for since the last lap, in order.
    asked: Vec<u64>,
    /// What the last redirect named.
    next: u64,
    laps: u8,
    since: Instant,
}

impl Trail {
    fn new(now: Instant) -> Self {
        Self { asked: Vec::new(), next: 0, laps: 0, since: now }
    }

    /// Notes that `from` was answered by a redirect to `to`; whether that closes one lap too many, once for each loop.
    pub(super) fn redirected(trail: &mut Option<Box<Self>>, from: u64, to: u64) -> bool {
        let now = Instant::now();
        let goes_on =
            trail.as_ref().is_some_and(|trail| trail.next == from && now.duration_since(trail.since) <= WINDOW);
        if !goes_on {
            *trail = None;
        }
        let on = trail.get_or_insert_with(|| Box::new(Self::new(now)));
        on.next = to;
        on.asked.push(from);
        if on.asked.contains(&to) {
            on.asked.clear();
            on.laps += 1;
        }
        let is_loop = on.laps >= LAPS;
        if is_loop || on.asked.len() >= LONGEST {
            *trail = None;
        }
        is_loop
    }

    /// Notes that `url` was answered by something else than a redirect: who was led there has arrived.
    pub(super) fn arrived(trail: &mut Option<Box<Self>>, url: impl FnOnce() -> u64) {
        if trail.as_ref().is_some_and(|trail| trail.next == url()) {
            *trail = None;
        }
    }
}

/// Of a loop; who looks whether a cookie is kept leads round once, or twice.
const LAPS: u8 = 3;
/// URLs of one loop: three laps fit into the twenty redirects after which browsers give up.
const LONGEST: usize = 6;
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
    async fn given_a_way_through_several_urls_when_it_comes_round_three_times_then_a_loop() {
        for length in 2..=LONGEST as u64 {
            let (mut trail, mut redirects, mut loops) = (None, 0, 0);
            while redirects < 20 {
                let (from, to) = (redirects % length, (redirects + 1) % length);
                redirects += 1;
                loops += usize::from(Trail::redirected(&mut trail, from, to));
                if loops > 0 {
                    break;
                }
            }
            assert_eq!((loops, redirects), (1, 3 * length), "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn given_redirects_that_end_or_belong_to_several_ways_when_noted_then_no_loop() {
        let mut trail = None;
        for _ in 0..20 {
            // To see whether cookies are kept, and there.
            assert!(!Trail::redirected(&mut trail, 1, 2) && !Trail::redirected(&mut trail, 2, 1));
            Trail::arrived(&mut trail, || 7);
            Trail::arrived(&mut trail, || 1);
            assert!(trail.is_none());
        }
        for _ in 0..20 {
            // The same redirect for one page after the other.
            assert!(!Trail::redirected(&mut trail, 1, 2) && !Trail::redirected(&mut trail, 3, 2));
        }
        for _ in 0..20 {
            assert!(!Trail::redirected(&mut trail, 1, 2));
            tokio::time::advance(WINDOW).await;
            assert!(!Trail::redirected(&mut trail, 2, 1));
        }
        for _ in 0..20 {
            // A chain without end is no loop, and takes no room.
            assert!(!(0..100).any(|url| Trail::redirected(&mut trail, url, url + 1)));
        }
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
