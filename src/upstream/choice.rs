//! Which peer takes a request: pure, so that the whole table can be shown.
//!
//! # Why
//!
//! The peer with the fewest requests in flight takes the next one, and chance decides between equals. An upstream has a
//! handful of peers, so all of them are looked at; taking the better of two drawn ones would save nothing. A slow peer gets
//! fewer requests without anybody measuring it, and long-lived WebSockets count for as long as they live.

use rand::{Rng, RngExt};

/// A peer as it is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) availability: Availability,
    /// Requests that it is answering, WebSockets included.
    pub(super) in_flight: usize,
    /// This request has been tried on it.
    pub(super) is_tried: bool,
}

/// Whether a peer is given requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    Up,
    /// It failed a moment ago: only when nobody better is left.
    Ejected,
    /// Its checks fail: no.
    Down,
}

impl Availability {
    pub(super) fn is_up(self) -> bool {
        self == Self::Up
    }

    pub(super) fn is_down(self) -> bool {
        self == Self::Down
    }

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Down => "down",
        }
    }
}

/// The index of the peer that takes the request; `None` when all are down.
///
/// A peer that was not tried yet goes before one that was, and one that is up before one that failed a moment ago. So the
/// last peer is never given up, and an only one, whose name may have further addresses, is tried again.
pub(super) fn choose(candidates: impl IntoIterator<Item = Candidate>, rng: &mut impl Rng) -> Option<usize> {
    let mut best: Option<(Rank, usize)> = None;
    let mut equals = 1_u32;
    for (index, candidate) in candidates.into_iter().enumerate() {
        let Some(rank) = Rank::of(candidate) else { continue };
        match best {
            Some((known, _)) if known < rank => {}
            Some((known, _)) if known == rank => {
                equals += 1;
                // Each of n equals is kept with chance 1/n.
                if rng.random_range(0..equals) == 0 {
                    best = Some((rank, index));
                }
            }
            _ => {
                equals = 1;
                best = Some((rank, index));
            }
        }
    }
    best.map(|(_, index)| index)
}

/// The less, the better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    tier: u8,
    in_flight: usize,
}

impl Rank {
    fn of(candidate: Candidate) -> Option<Self> {
        let tier = match (candidate.availability, candidate.is_tried) {
            (Availability::Up, false) => 0,
            (Availability::Ejected, false) => 1,
            (Availability::Up, true) => 2,
            (Availability::Ejected, true) => 3,
            (Availability::Down, _) => return None,
        };
        Some(Self { tier, in_flight: candidate.in_flight })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::Availability::{Down, Ejected, Up};
    use super::*;

    #[test]
    fn given_peers_when_chosen_then_by_tier_and_then_by_requests_in_flight() {
        #[rustfmt::skip]
        let table: [(&[Row], Option<usize>); 9] = [
            (&[], None),
            (&[(Up, 9, false)], Some(0)),
            (&[(Up, 2, false), (Up, 1, false)], Some(1)),
            (&[(Ejected, 0, false), (Up, 9, false)], Some(1)),
            (&[(Down, 0, false), (Ejected, 9, false)], Some(1)),
            (&[(Up, 0, true), (Up, 9, false)], Some(1)),
            (&[(Up, 0, true), (Ejected, 9, false)], Some(1)),
            (&[(Ejected, 0, true)], Some(0)),
            (&[(Down, 0, false), (Down, 0, false)], None),
        ];
        for (peers, expected) in table {
            assert_eq!(chosen(peers, 1), expected, "{peers:?}");
        }
    }

    #[test]
    fn given_equal_peers_when_chosen_often_then_each_gets_its_share() {
        let peers = [(Up, 0, false); 4];
        let mut counts = [0_u32; 4];
        for seed in 0..4000 {
            counts[chosen(&peers, seed).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn given_any_peers_when_chosen_then_none_is_better(
            peers in prop::collection::vec((0..3_u8, 0..4_usize, any::<bool>()), 0..8), seed: u64
        ) {
            let peers: Vec<_> = peers.into_iter().map(|(a, n, t)| ([Up, Ejected, Down][usize::from(a)], n, t)).collect();
            let rank = |&(availability, in_flight, is_tried)| Rank::of(Candidate { availability, in_flight, is_tried });

            let best = peers.iter().filter_map(rank).min();

            let got = chosen(&peers, seed).and_then(|index| rank(&peers[index]));
            prop_assert!(got == best);
        }
    }

    /// Availability, requests in flight, whether it was tried.
    type Row = (Availability, usize, bool);

    fn chosen(peers: &[Row], seed: u64) -> Option<usize> {
        let candidates =
            peers.iter().map(|&(availability, in_flight, is_tried)| Candidate { availability, in_flight, is_tried });
        choose(candidates, &mut SmallRng::seed_from_u64(seed))
    }
}
