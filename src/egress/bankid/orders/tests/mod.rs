mod laws;

use http::{HeaderMap, StatusCode};

use super::super::Hint;
use super::*;

const PENDING: &str = "pending";
const COMPLETE: &str = "complete";
const FAILED: &str = "failed";

/// The memory of one destination, and a clock in milliseconds.
struct Day {
    orders: Orders,
    pace: Pace,
    now: Duration,
}

impl Day {
    fn new() -> Self {
        Self::bounded(100, 100, 10_000)
    }

    fn bounded(orders: usize, kept: usize, kept_bytes: usize) -> Self {
        Self { orders: Orders::bounded(orders, kept, kept_bytes), pace: Pace::Hold, now: Duration::from_secs(100) }
    }

    fn later(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    fn created(&mut self, order: &str) -> OrderKey {
        self.orders.created(OrderKey::of(order), self.now);
        OrderKey::of(order)
    }

    fn collect(&mut self, key: OrderKey) -> Step {
        let (asking, _) = self.orders.asks(key, self.now);
        self.orders.collect(&asking, self.pace, self.now)
    }

    fn sent(&mut self, key: OrderKey) -> Turn {
        match self.collect(key) {
            Step::Send(turn) => turn,
            step => panic!("not sent: {step:?}"),
        }
    }

    fn kept(&mut self, key: OrderKey) -> (Turn, Vec<u8>) {
        match self.collect(key) {
            Step::Kept(turn, answer) => (turn, answer.pieces().collect::<Vec<_>>().concat()),
            step => panic!("not kept: {step:?}"),
        }
    }

    fn is_sent(&mut self, key: OrderKey) -> bool {
        let Step::Send(turn) = self.collect(key) else { return false };
        self.orders.ended(turn, Ended::Unanswered, self.now);
        true
    }

    fn ended(&mut self, turn: Turn, ended: Ended) {
        self.orders.ended(turn, ended, self.now);
    }

    fn news(&mut self) -> News {
        self.orders.news(self.now)
    }
}

fn found(status: &str) -> Findings {
    Findings { status: Some(Status::read(status.as_bytes())), whole: true, ..Findings::default() }
}

fn delivered(status: &str) -> Ended {
    Ended::Answered { status: StatusCode::OK, found: found(status), delivery: Delivery::Whole }
}

fn broken(status: &str, body: &[u8]) -> Ended {
    let delivery = Delivery::Broken(answer(body));
    Ended::Answered { status: StatusCode::OK, found: found(status), delivery }
}

fn presumed(status: &str, body: &[u8]) -> Ended {
    let delivery = Delivery::Presumed(answer(body));
    Ended::Answered { status: StatusCode::OK, found: found(status), delivery }
}

fn refused() -> Ended {
    let found = Findings { error: Some(ErrorCode::InvalidParameters), whole: true, ..Findings::default() };
    Ended::Answered { status: StatusCode::BAD_REQUEST, found, delivery: Delivery::Whole }
}

fn answer(body: &[u8]) -> Answer {
    let mut answer = Answer::new(StatusCode::OK, HeaderMap::new());
    answer.push(body);
    answer
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn given_a_collect_that_is_too_early_when_held_then_it_goes_after_a_second() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, delivered(PENDING));

    let until = day.now + SECOND;
    assert!(matches!(day.later(400).collect(key), Step::Hold { until: told } if told == until));
    assert!(matches!(day.later(599).collect(key), Step::Hold { until: told } if told == until));
    assert!(day.later(1).is_sent(key));
}

#[test]
fn given_a_collect_that_is_too_early_when_rejected_then_told_how_long_to_wait() {
    let mut day = Day::new();
    day.pace = Pace::Reject;
    let key = day.created("a");
    let turn = day.sent(key);

    assert!(matches!(day.later(100).collect(key), Step::TooSoon { wait } if wait == millis(900)), "one is under way");
    day.ended(turn, delivered(PENDING));
    assert!(matches!(day.later(400).collect(key), Step::TooSoon { wait } if wait == millis(600)));
    assert!(day.later(600).is_sent(key));
}

#[test]
fn given_a_slow_way_to_bankid_when_collected_again_then_the_second_counts_from_what_is_known_of_the_last() {
    let mut day = Day::new();
    let (told, untold) = (day.created("told"), day.created("untold"));
    let (first, second) = (day.sent(told), day.sent(untold));

    day.later(700);
    day.orders.answered(&first, day.now);
    day.later(200);
    day.ended(first, delivered(PENDING));
    day.ended(second, delivered(PENDING));

    assert!(matches!(day.later(799).collect(told), Step::Hold { .. }));
    assert!(day.later(1).is_sent(told), "a second after its answer began");
    assert!(matches!(day.later(199).collect(untold), Step::Hold { .. }));
    assert!(day.later(1).is_sent(untold), "a second after its answer ended");
}

#[test]
fn given_a_collect_under_way_when_another_comes_then_it_waits_for_its_end() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);

    day.later(5000);
    let until = day.now + PATIENCE;
    assert!(matches!(day.collect(key), Step::Wait { until: told } if told == until));
    day.orders.answered(&turn, day.now);
    day.later(2000).ended(turn, delivered(PENDING));
    assert!(day.is_sent(key));
}

#[test]
fn given_a_collect_that_has_waited_for_long_when_asked_again_then_it_is_told() {
    let mut day = Day::new();
    let key = day.created("a");
    let _turn = day.sent(key);

    let (asking, _) = day.orders.asks(key, day.now);
    day.now += PATIENCE;
    assert!(matches!(day.orders.collect(&asking, Pace::Hold, day.now), Step::TooSoon { wait } if wait == SECOND));
}

#[test]
fn given_many_orders_when_collected_at_once_then_none_waits_for_another() {
    let mut day = Day::bounded(1000, 1, 1);
    let keys: Vec<_> = (0..500).map(|order| day.created(&order.to_string())).collect();
    let turns: Vec<_> = keys.iter().map(|key| day.sent(*key)).collect();
    assert_eq!(turns.len(), 500);
}

#[test]
fn given_a_final_answer_when_delivered_then_a_second_collect_is_answered_here() {
    for status in [COMPLETE, FAILED] {
        let mut day = Day::new();
        let key = day.created("a");
        let turn = day.sent(key);
        day.ended(turn, delivered(status));

        assert!(matches!(day.collect(key), Step::AlreadyFinal), "{status}");
        day.now += FINAL - millis(1);
        assert!(matches!(day.collect(key), Step::AlreadyFinal), "{status}");
        assert!(day.later(1).is_sent(key), "{status}: from here on BankID says it");
        let (completed, failed) = (u64::from(status == COMPLETE), u64::from(status == FAILED));
        assert_eq!(day.news(), News { completed, failed, ..News::default() });
    }
}

#[test]
fn given_a_final_answer_whose_delivery_broke_when_collected_then_it_is_given_until_delivered() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, broken(COMPLETE, b"evidence"));

    for delivered in [false, false, true] {
        let (turn, body) = day.later(10).kept(key);
        assert_eq!(body, b"evidence");
        assert!(matches!(day.collect(key), Step::Wait { .. }), "another is being given it");
        day.ended(turn, Ended::Given { delivered });
    }
    assert!(matches!(day.collect(key), Step::AlreadyFinal));
    assert_eq!(day.news(), News { completed: 1, undelivered: 1, ..News::default() });
    assert_eq!(day.orders.shelf.held(), (0, 0));
}

#[test]
fn given_a_kept_answer_when_three_minutes_are_over_then_it_is_gone_and_counted() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, broken(FAILED, b"evidence"));

    assert_eq!(day.orders.next_due(), Some(day.now + KEPT));
    day.now += KEPT;
    assert_eq!(day.news(), News { failed: 1, undelivered: 1, lost: 1, ..News::default() });
    assert_eq!((day.orders.shelf.held(), day.orders.memory.held()), ((0, 0), 0));
    assert!(day.is_sent(key), "BankID says that it is gone");
}

#[test]
fn given_an_answer_that_cannot_be_kept_when_its_delivery_breaks_then_it_is_lost_and_counted() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, broken(COMPLETE, &[0; Answer::LONGEST + 1]));

    assert_eq!(day.news(), News { completed: 1, undelivered: 1, lost: 1, ..News::default() });
    assert!(day.later(1000).is_sent(key));
}

#[test]
fn given_more_kept_answers_than_fit_when_another_comes_then_the_oldest_goes() {
    for (most, most_bytes) in [(2, 1000), (100, 10)] {
        let mut day = Day::bounded(100, most, most_bytes);
        let keys = ["a", "b", "c"].map(|order| {
            let key = day.created(order);
            let turn = day.sent(key);
            day.ended(turn, broken(COMPLETE, b"12345"));
            key
        });

        assert_eq!(day.orders.shelf.held(), (2, 10));
        assert_eq!(day.news(), News { completed: 3, undelivered: 3, lost: 1, ..News::default() });
        assert!(day.later(1000).is_sent(keys[0]));
        let _turns = [day.kept(keys[1]).0, day.kept(keys[2]).0];
    }
}

#[test]
fn given_an_answer_that_arrived_most_likely_when_more_is_known_then_final_or_kept() {
    for has_arrived in [true, false] {
        let mut day = Day::new();
        let key = day.created("a");
        let turn = day.sent(key);
        day.ended(turn, presumed(COMPLETE, b"evidence"));
        assert_eq!(day.news(), News { completed: 1, ..News::default() });

        day.later(5000);
        day.orders.settled(key, has_arrived, day.now);

        assert_eq!(day.news(), News { undelivered: u64::from(!has_arrived), ..News::default() });
        if has_arrived {
            assert!(matches!(day.collect(key), Step::AlreadyFinal));
        } else {
            let (turn, body) = day.kept(key);
            assert_eq!(body, b"evidence");
            day.ended(turn, Ended::Presumed);
            day.orders.settled(key, false, day.now);
            assert_eq!(day.news(), News::default(), "counted once");
            day.now += KEPT;
            assert_eq!(day.news(), News { lost: 1, ..News::default() });
        }
    }
}

/// Who asks again while nothing is known has not got it, or asks without need.
#[test]
fn given_an_answer_that_arrived_most_likely_when_collected_then_given_again_and_never_lost() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, presumed(COMPLETE, b"evidence"));

    let (turn, body) = day.kept(key);
    assert_eq!(body, b"evidence");
    day.ended(turn, Ended::Presumed);
    assert_eq!(day.orders.unfinished(), (0, 0));
    day.now += KEPT;

    assert_eq!(day.news(), News { completed: 1, ..News::default() });
    assert_eq!(day.orders.shelf.held(), (0, 0));
}

/// What was not delivered is worth more than what was most likely.
#[test]
fn given_many_answers_that_arrived_most_likely_when_the_shelf_is_half_full_then_no_more_are_kept() {
    let mut day = Day::bounded(100, 4, 1000);
    for order in ["a", "b", "c"] {
        let key = day.created(order);
        let turn = day.sent(key);
        day.ended(turn, presumed(COMPLETE, b"evidence"));
    }
    assert_eq!(day.orders.shelf.held(), (2, 16));
    assert!(matches!(day.collect(OrderKey::of("c")), Step::AlreadyFinal));
}

#[test]
fn given_a_pending_answer_whose_delivery_broke_when_collected_then_bankid_is_asked_again() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, broken(PENDING, b"pending"));

    assert!(day.later(1000).is_sent(key));
    assert_eq!(day.news(), News::default());
}

#[test]
fn given_an_answer_that_cannot_be_read_when_its_delivery_breaks_then_it_is_given_once_and_is_not_final() {
    let cut = Findings { whole: false, ..found(PENDING) };
    for found in [Findings::default(), cut, found("brandNew")] {
        let mut day = Day::new();
        let key = day.created("a");
        let turn = day.sent(key);
        let delivery = Delivery::Broken(answer(b"\x1f\x8b"));
        day.ended(turn, Ended::Answered { status: StatusCode::OK, found, delivery });

        let (turn, body) = day.later(2000).kept(key);
        assert_eq!(body, b"\x1f\x8b");
        day.ended(turn, Ended::Given { delivered: true });
        assert!(day.is_sent(key));
    }
}

#[test]
fn given_an_order_that_was_cancelled_when_collected_then_bankid_answers() {
    let mut day = Day::new();
    let key = day.created("a");
    day.orders.cancelled(key, day.now);
    day.orders.cancelled(key, day.now);

    assert!(day.is_sent(key));
    day.now += OPEN;
    assert_eq!(day.news(), News { cancelled: 1, ..News::default() });
}

#[test]
fn given_a_cancel_while_a_collect_is_under_way_when_it_ends_then_one_end_is_counted() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    day.orders.cancelled(key, day.now);
    day.ended(
        turn,
        Ended::Answered {
            status: StatusCode::OK,
            found: Findings { hint: Some(Hint::Cancelled), ..found(FAILED) },
            delivery: Delivery::Whole,
        },
    );

    assert!(matches!(day.collect(key), Step::AlreadyFinal));
    assert_eq!(day.news(), News { cancelled: 1, ..News::default() });
}

#[test]
fn given_an_order_that_nobody_collects_when_its_time_is_over_then_it_is_counted() {
    let mut day = Day::new();
    let (never, once) = (day.created("never"), day.created("once"));
    day.now += OPEN - millis(1);
    let turn = day.sent(once);
    day.ended(turn, delivered(PENDING));

    assert_eq!(day.news(), News::default());
    assert_eq!(day.later(1).news(), News { never_collected: 1, ..News::default() });
    assert!(day.is_sent(never), "as an order that was never seen");
    day.now += OPEN;
    assert_eq!(day.news(), News { never_collected: 1, ..News::default() });
    assert_eq!(day.orders.memory.held(), 0);
}

#[test]
fn given_an_open_order_that_bankid_knows_no_more_when_collected_then_it_is_counted_once() {
    let mut day = Day::new();
    let key = day.created("a");
    for _ in 0..3 {
        let turn = day.later(2000).sent(key);
        day.ended(turn, refused());
    }
    day.now += OPEN;
    assert_eq!(day.news(), News { never_collected: 1, ..News::default() });
}

#[test]
fn given_an_error_that_passes_when_collected_again_then_the_order_is_still_open() {
    let mut day = Day::new();
    let key = day.created("a");
    let turn = day.sent(key);
    let found = Findings { error: Some(ErrorCode::Maintenance), whole: true, ..Findings::default() };
    day.ended(
        turn,
        Ended::Answered { status: StatusCode::SERVICE_UNAVAILABLE, found, delivery: Delivery::Broken(answer(b"x")) },
    );

    let turn = day.later(1000).sent(key);
    day.ended(turn, delivered(COMPLETE));
    assert_eq!(day.news(), News { completed: 1, ..News::default() });
}

#[test]
fn given_an_order_of_before_a_restart_when_collected_then_as_any_other() {
    let mut day = Day::new();
    let key = OrderKey::of("from before");
    let turn = day.sent(key);
    day.ended(turn, delivered(PENDING));
    assert!(matches!(day.collect(key), Step::Hold { .. }));

    let turn = day.later(1000).sent(key);
    day.ended(turn, delivered(COMPLETE));
    assert!(matches!(day.collect(key), Step::AlreadyFinal));
    assert_eq!(day.news(), News { completed: 1, ..News::default() });
}

#[test]
fn given_orders_that_do_not_exist_when_collected_then_paced_and_soon_forgotten() {
    let mut day = Day::new();
    let key = OrderKey::of("invented");
    let turn = day.sent(key);
    day.ended(turn, refused());

    assert!(matches!(day.later(999).collect(key), Step::Hold { .. }));
    assert_eq!(day.later(1).news(), News::default());
    assert_eq!(day.orders.memory.held(), 0);
}

#[test]
fn given_a_full_memory_when_an_order_is_created_then_the_oldest_goes() {
    let mut day = Day::bounded(2, 100, 10_000);
    let oldest = day.created("oldest");
    let older = day.later(1).created("older");
    day.later(1).created("newest");

    assert_eq!((day.orders.memory.held(), day.news().pushed_out), (2, 1));
    assert!(day.is_sent(older));
    assert_eq!(day.news(), News::default());
    let _turn = day.sent(oldest);
    assert_eq!(day.news(), News { pushed_out: 1, ..News::default() }, "it comes back, and the newest goes");
}

#[test]
fn given_a_memory_full_of_collects_when_more_come_then_they_are_told_to_wait() {
    let mut day = Day::bounded(2, 100, 10_000);
    let turns = [day.sent(OrderKey::of("a")), day.sent(OrderKey::of("b"))];

    assert!(matches!(day.collect(OrderKey::of("c")), Step::TooSoon { wait } if wait == SECOND));
    day.created("d");
    turns.into_iter().for_each(|turn| day.ended(turn, delivered(PENDING)));
    assert!(matches!(day.collect(OrderKey::of("c")), Step::TooSoon { .. }), "their pace is kept");
    assert!(day.later(1000).is_sent(OrderKey::of("c")));
    assert_eq!(day.orders.memory.held(), 2);
}

#[test]
fn given_a_kept_answer_when_memory_is_full_then_it_goes_last() {
    let mut day = Day::bounded(2, 100, 10_000);
    let key = day.created("a");
    let turn = day.sent(key);
    day.ended(turn, broken(COMPLETE, b"evidence"));
    day.later(2000);
    for order in 0..10 {
        day.created(&order.to_string());
    }

    assert_eq!(day.kept(key).1, b"evidence");
}

#[test]
fn given_a_turn_that_never_ended_when_it_is_given_up_then_the_order_goes_on_and_its_end_means_nothing() {
    let mut day = Day::new();
    let key = OrderKey::of("a");
    let lost = day.sent(key);
    day.now += UNDER_WAY;

    let turn = day.sent(key);
    day.ended(lost, delivered(COMPLETE));
    assert!(matches!(day.collect(key), Step::Wait { .. }));
    day.ended(turn, delivered(PENDING));
    assert_eq!(day.news(), News::default());
}

#[test]
fn given_collects_when_asked_then_the_gap_as_the_application_made_it() {
    let mut day = Day::new();
    let key = day.created("a");
    let gaps = [0, 0, 999, 1000, 5000, 5001].map(|after| {
        day.later(after);
        day.orders.asks(key, day.now).1.map(Gap::label)
    });
    let (under, over) = (Some("under_1s"), Some("over_5s"));
    assert_eq!(gaps, [None, under, under, Some("1s_to_5s"), Some("1s_to_5s"), over]);
}
