//! Laws of the memory of orders, over any sequence of happenings.

use proptest::prelude::*;

use super::*;

/// What may happen to one of a few orders.
#[derive(Clone, Debug)]
enum Happening {
    Created(u8),
    Cancelled(u8),
    Collect(u8, Pace),
    Answered(prop::sample::Index),
    Ended(prop::sample::Index, u8),
    Settled(u8, bool),
    Later(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let pace = prop_oneof![Just(Pace::Hold), Just(Pace::Reject)];
    prop_oneof![
        1 => (0..4_u8).prop_map(Happening::Created),
        1 => (0..4_u8).prop_map(Happening::Cancelled),
        6 => (0..4_u8, pace).prop_map(|(order, pace)| Happening::Collect(order, pace)),
        2 => any::<prop::sample::Index>().prop_map(Happening::Answered),
        5 => (any::<prop::sample::Index>(), 0..11_u8).prop_map(|(turn, how)| Happening::Ended(turn, how)),
        2 => (0..4_u8, any::<bool>()).prop_map(|(order, arrived)| Happening::Settled(order, arrived)),
        5 => prop_oneof![0..1200_u64, 0..400_000_u64].prop_map(Happening::Later),
    ]
}

/// What the laws need to know of an order.
#[derive(Default)]
struct Known {
    under_way: bool,
    last: Option<Duration>,
    kept: Option<u64>,
    is_presumed: bool,
    is_final: bool,
}

/// A turn under way: whose, whether it gives a kept answer, and which answer it is about.
struct UnderLaw {
    order: usize,
    turn: Turn,
    kept: Option<u64>,
    is_answered: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn given_any_day_when_lived_then_the_laws_hold(happenings in proptest::collection::vec(happening(), 0..120), most in 1..6_usize) {
        let mut day = Day::bounded(most, 2, 40);
        let mut known: [Known; 4] = Default::default();
        let mut turns: Vec<UnderLaw> = Vec::new();
        let mut answers = 0_u64;
        for happening in happenings {
            match happening {
                Happening::Later(millis) => {
                    // A turn that is given up may be followed by another: not the law that is looked at here.
                    let millis = if turns.is_empty() { millis } else { millis.min(1200) };
                    day.later(millis);
                }
                Happening::Created(order) => {
                    day.created(&order.to_string());
                }
                Happening::Cancelled(order) => day.orders.cancelled(OrderKey::of(&order.to_string()), day.now),
                Happening::Collect(order, pace) => {
                    day.pace = pace;
                    let order = usize::from(order);
                    let known = &mut known[order];
                    match day.collect(OrderKey::of(&order.to_string())) {
                        Step::Send(turn) => {
                            prop_assert!(!known.under_way, "two under way");
                            prop_assert!(known.last.is_none_or(|last| last + SECOND <= day.now), "two within a second");
                            (known.under_way, known.last) = (true, Some(day.now));
                            turns.push(UnderLaw { order, turn, kept: None, is_answered: false });
                        }
                        Step::Kept(turn, answer) => {
                            let body = answer.pieces().collect::<Vec<_>>().concat();
                            let number = u64::from_be_bytes(body[..8].try_into().unwrap());
                            prop_assert!(!known.under_way, "two under way");
                            prop_assert_eq!(known.kept, Some(number), "an answer of another order, or one that was delivered");
                            known.under_way = true;
                            turns.push(UnderLaw { order, turn, kept: Some(number), is_answered: false });
                        }
                        Step::Hold { until } => prop_assert!(pace == Pace::Hold && until > day.now && until <= day.now + SECOND),
                        Step::Wait { .. } => prop_assert!(known.under_way),
                        Step::TooSoon { wait } => prop_assert!(wait > Duration::ZERO && wait <= SECOND),
                        Step::AlreadyFinal => prop_assert!(known.is_final, "not delivered to the end"),
                    }
                }
                Happening::Settled(order, has_arrived) => {
                    let known = &mut known[usize::from(order)];
                    day.orders.settled(OrderKey::of(&order.to_string()), has_arrived, day.now);
                    if std::mem::take(&mut known.is_presumed) && has_arrived {
                        known.kept = None;
                    }
                }
                Happening::Answered(index) => {
                    let at = index.index(turns.len().max(1));
                    if let Some(law) = turns.get_mut(at).filter(|law| law.kept.is_none() && !law.is_answered) {
                        day.orders.answered(&law.turn, day.now);
                        law.is_answered = true;
                        known[law.order].last = Some(day.now);
                    }
                }
                Happening::Ended(index, how) => {
                    if turns.is_empty() {
                        continue;
                    }
                    let law = turns.swap_remove(index.index(turns.len()));
                    let known = &mut known[law.order];
                    known.under_way = false;
                    if law.kept.is_none() && !law.is_answered {
                        known.last = Some(day.now);
                    }
                    let ended = if law.kept.is_some() {
                        known.is_final |= how % 3 != 1;
                        match how % 3 {
                            0 => {
                                known.kept = None;
                                Ended::Given { delivered: true }
                            }
                            1 => Ended::Given { delivered: false },
                            _ => {
                                known.is_presumed = true;
                                Ended::Presumed
                            }
                        }
                    } else {
                        answers += 1;
                        let body = [&answers.to_be_bytes()[..], &[0; 8]].concat();
                        match how {
                            0 => Ended::Unanswered,
                            1 => refused(),
                            2 => delivered(PENDING),
                            3 => broken(PENDING, &body),
                            4 | 5 => {
                                known.is_final = true;
                                delivered(if how == 4 { COMPLETE } else { FAILED })
                            }
                            9 | 10 => {
                                (known.kept, known.is_presumed, known.is_final) = (Some(answers), true, true);
                                presumed(if how == 9 { FAILED } else { COMPLETE }, &body)
                            }
                            _ => {
                                (known.kept, known.is_presumed) = (Some(answers), false);
                                broken(if how == 6 { FAILED } else { COMPLETE }, &body)
                            }
                        }
                    };
                    day.ended(law.turn, ended);
                }
            }
            let (kept, bytes) = day.orders.shelf.held();
            prop_assert!(day.orders.memory.held() <= most && kept <= 2 && bytes <= 40);
            let news = day.orders.news;
            prop_assert!(news.lost <= news.undelivered && news.undelivered <= news.completed + news.failed + news.cancelled + answers);
        }
        day.now += UNDER_WAY + FINAL;
        day.news();
        prop_assert_eq!((day.orders.memory.held(), day.orders.shelf.held()), (0, (0, 0)), "nothing is kept for ever");
    }
}
