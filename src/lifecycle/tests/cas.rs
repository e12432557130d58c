//! Renewal information, and the choice between CAs.

use super::*;
use crate::lifecycle::budget::Limits;
use crate::lifecycle::schedule::{HOUR, SHORTEST};

const FIRST: &str = "https://first.test/directory";
const SECOND: &str = "https://second.test/directory";

fn of_cas(cas: &[&str]) -> Asked {
    let has_public_ca = cas.iter().any(|ca| Limits::of(ca).is_some());
    Asked { cas: cas.iter().map(|ca| (*ca).to_owned()).collect(), has_public_ca, ..asked() }
}

fn open_with(cas: &[&str], served: Served) -> Lifecycle {
    Lifecycle::open(None, of_cas(cas), served, false, NOW, &mut rng())
}

fn window(start: Timestamp, end: Timestamp) -> Window {
    Window { start, end, explanation: None }
}

fn answer(start: Timestamp, end: Timestamp) -> InfoAnswer {
    InfoAnswer::Window { window: window(start, end), ask_again: Some(NOW + HOUR) }
}

/// 90 days, issued ten days ago, with the CA's word on it.
fn informed(answer: InfoAnswer) -> Lifecycle {
    let mut life = open_with(&[FIRST], Served::Certificate(fresh()));
    assert_eq!(life.poll(NOW), Step::AskRenewalInfo);
    life.informed(answer, NOW, &mut rng());
    life
}

#[test]
fn given_a_window_when_polled_then_it_alone_decides_and_the_emergency_stands_beside() {
    let fallback = informed(InfoAnswer::NotOffered).status(NOW).renewal_due.unwrap();
    let table = [
        ("earlier than the fallback", NOW + days(5), NOW + days(6), 5, 6),
        ("later than the fallback", NOW + days(60), NOW + days(61), 60, 61),
        ("behind the emergency", NOW + days(79), NOW + days(80), 75, 76),
        ("behind the end", NOW + days(790), NOW + days(800), 75, 76),
    ];
    for (name, start, end, from, to) in table {
        let life = informed(answer(start, end));
        let Step::Wait { until: Some(until), why: Why::RenewalPlanned } = life.poll(NOW) else { panic!("{name}") };
        assert!(until != fallback && NOW + days(from) <= until && until <= NOW + days(to), "{name}: {until}");
    }
}

#[test]
fn given_a_window_in_the_past_when_polled_then_renews_at_once() {
    let life = informed(answer(NOW - days(2), NOW - days(1)));
    assert_eq!(obtains(life.poll(NOW)), Some((Kind::Renew, Why::RenewalDue)));
}

#[test]
fn given_a_window_in_the_past_for_what_was_just_issued_when_polled_then_renews_at_once_and_the_next_brakes() {
    let mut life = open_with(&[FIRST], Served::Placeholder);
    let got = |life: &mut Lifecycle, now: Timestamp| {
        life.begin(Kind::Renew, 0, now);
        life.succeeded(Kind::Renew, Validity { not_before: now, not_after: now + days(90) }, now, &mut rng());
    };
    got(&mut life, NOW);
    life.informed(answer(NOW - days(2), NOW - days(1)), NOW + SHORTEST, &mut rng());
    assert_eq!(obtains(life.poll(NOW + SHORTEST)), Some((Kind::Renew, Why::RenewalDue)), "an incident at the CA");

    let second = NOW + HOUR;
    got(&mut life, second);
    life.informed(answer(NOW - days(2), NOW - days(1)), second, &mut rng());

    assert_eq!(life.poll(second), Step::Wait { until: Some(second + days(1)), why: Why::Loop });
    assert!(matches!(life.poll(second + days(1)), Step::AskRenewalInfo | Step::Obtain { .. }));
}

#[test]
fn given_one_certificate_after_the_other_that_is_due_soon_when_polled_then_a_public_ca_is_asked_ever_more_seldom() {
    const PUBLIC: &str = "https://acme-v02.api.letsencrypt.org/directory";
    for (ca, hours) in [(PUBLIC, [0, 3, 6, 12, 12]), (FIRST, [0, 3, 3, 3, 3])] {
        let mut life = open_with(&[ca], Served::Placeholder);
        let mut now = NOW;
        for hours in hours {
            life.begin(Kind::Renew, 0, now);
            // Our clock is half a day ahead.
            let not_before = now - 12 * HOUR;
            life.succeeded(Kind::Renew, Validity { not_before, not_after: not_before + days(1) }, now, &mut rng());
            let window = window(not_before + 11 * HOUR, not_before + 12 * HOUR);
            let early = InfoAnswer::Window { window, ask_again: Some(now + HOUR) };
            life.informed(early, now + Duration::from_secs(1), &mut rng());
            if hours > 0 {
                let until = now + hours * HOUR;
                assert_eq!(
                    life.poll(now + HOUR / 2),
                    Step::Wait { until: Some(until), why: Why::Loop },
                    "{ca} {hours}"
                );
            }
            now = now + hours * HOUR;
            let due = life.poll(now + Duration::from_secs(1));
            assert!(matches!(due, Step::AskRenewalInfo | Step::Obtain { .. }), "{ca} {hours} {due:?}");
        }
    }
}

#[test]
fn given_an_answer_when_shifted_then_what_our_clock_has_counted_and_not_the_cas_window() {
    let InfoAnswer::Window { window, ask_again } = answer(NOW, NOW + HOUR).shifted(-36_000) else { panic!() };
    assert_eq!((window.start, window.end), (NOW, NOW + HOUR));
    assert_eq!(ask_again, Some(NOW + HOUR - Duration::from_secs(36_000)));
    assert_eq!(InfoAnswer::NotOffered.shifted(-36_000), InfoAnswer::NotOffered);
}

#[test]
fn given_a_time_that_the_ca_has_named_when_the_next_is_due_soon_again_then_it_stays() {
    let mut life = open_with(&[FIRST], Served::Placeholder);
    for _ in 0..2 {
        life.begin(Kind::Renew, 0, NOW);
        life.succeeded(Kind::Renew, Validity { not_before: NOW, not_after: NOW + days(90) }, NOW, &mut rng());
    }
    let until = NOW + 5 * HOUR;
    life.begin(Kind::Renew, 0, NOW);
    life.failed(&failure(Reason::RateLimited, Retry::At(until)), NOW, &mut rng());

    life.informed(answer(NOW - days(2), NOW - days(1)), NOW + HOUR, &mut rng());

    assert_eq!(life.poll(NOW + HOUR), Step::Wait { until: Some(until), why: Why::IssuerSaysWait });
}

#[test]
fn given_a_window_in_the_past_that_is_taken_back_when_the_next_one_is_due_early_then_it_is_the_first() {
    let mut life = open_with(&[FIRST], Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);
    life.succeeded(Kind::Renew, Validity { not_before: NOW, not_after: NOW + days(90) }, NOW, &mut rng());
    life.informed(answer(NOW - days(2), NOW - days(1)), NOW, &mut rng());
    life.informed(answer(NOW + days(60), NOW + days(61)), NOW + HOUR, &mut rng());
    assert_eq!(obtains(life.poll(NOW + HOUR)), None);

    let later = NOW + days(61);
    life.begin(Kind::Renew, 0, later);
    life.succeeded(Kind::Renew, Validity { not_before: later, not_after: later + days(90) }, later, &mut rng());
    life.informed(answer(NOW, NOW + days(1)), later, &mut rng());

    assert_eq!(obtains(life.poll(later)), Some((Kind::Renew, Why::RenewalDue)));
}

#[test]
fn given_the_same_window_when_told_again_then_the_moment_is_not_drawn_anew() {
    let mut life = informed(answer(NOW + days(20), NOW + days(40)));
    let due = life.status(NOW).renewal_due;

    life.informed(answer(NOW + days(20), NOW + days(40)), NOW + HOUR, &mut SmallRng::seed_from_u64(99));
    assert_eq!(life.status(NOW).renewal_due, due);

    life.informed(answer(NOW + days(20), NOW + days(41)), NOW + HOUR, &mut SmallRng::seed_from_u64(99));
    assert_ne!(life.status(NOW).renewal_due, due);
}

#[test]
fn given_a_restart_when_opened_then_window_moment_and_next_question_are_kept() {
    let life = informed(answer(NOW + days(20), NOW + days(40)));
    let kept = serde_json::from_str(&serde_json::to_string(life.record()).unwrap()).unwrap();

    let again = Lifecycle::open(Some(kept), of_cas(&[FIRST]), life.served(), false, NOW, &mut rng());

    assert_eq!(again.status(NOW), life.status(NOW));
    assert_eq!(again.info_due(NOW), Some(NOW + HOUR));
}

#[test]
fn given_an_answer_when_noted_then_the_next_question_follows_rfc_9773() {
    let six_hours = NOW + HOUR * 6;
    let asked_again = |ask_again| InfoAnswer::Window { window: window(NOW + days(9), NOW + days(10)), ask_again };
    let failed = |temporary| InfoAnswer::Failed { temporary, ask_again: None, detail: "no".into() };
    let failed_until = |temporary, at| InfoAnswer::Failed { temporary, ask_again: Some(at), detail: "no".into() };
    #[rustfmt::skip]
    let table = [
        ("Retry-After", asked_again(Some(NOW + HOUR * 5)), NOW + HOUR * 5),
        ("too soon", asked_again(Some(NOW)), NOW + Duration::from_secs(60)),
        ("too late", asked_again(Some(NOW + days(30))), NOW + days(1)),
        ("none named", asked_again(None), six_hours),
        ("an empty window", answer(NOW + days(9), NOW + days(9)), six_hours),
        ("a window turned round", answer(NOW + days(9), NOW + days(8)), six_hours),
        ("a lasting failure", failed(false), six_hours),
        ("a lasting failure that names a time", failed_until(false, NOW + HOUR * 9), NOW + HOUR * 9),
        ("a lasting failure that names an early time", failed_until(false, NOW + HOUR), six_hours),
        ("a failure that names a time", failed_until(true, NOW + HOUR * 2), NOW + HOUR * 2),
        ("a failure that names a time too late", failed_until(true, NOW + days(30)), NOW + days(1)),
        ("not offered", InfoAnswer::NotOffered, NOW + days(1)),
    ];
    for (name, answer, expected) in table {
        assert_eq!(informed(answer).info_due(NOW), Some(expected), "{name}");
    }
    let soon = informed(failed(true)).info_due(NOW).unwrap();
    assert!(NOW + Duration::from_secs(48) <= soon && soon <= NOW + Duration::from_secs(72), "{soon}");
}

#[test]
fn given_no_answer_when_failing_then_the_window_known_before_counts() {
    let mut life = informed(answer(NOW + days(20), NOW + days(40)));
    let due = life.status(NOW).renewal_due;

    life.informed(
        InfoAnswer::Failed { temporary: false, ask_again: None, detail: "gone".into() },
        NOW + HOUR,
        &mut rng(),
    );

    let status = life.status(NOW + HOUR);
    assert_eq!(status.renewal_due, due);
    assert_eq!(status.info.and_then(|info| info.trouble).as_deref(), Some("gone"));
}

#[test]
fn given_an_expired_certificate_or_another_source_when_polled_then_nobody_is_asked() {
    let expired = Served::Certificate(Validity { not_before: NOW - days(91), not_after: NOW - days(1) });
    for (name, cas, served) in [
        ("expired", &[FIRST][..], expired),
        ("placeholder", &[FIRST], Served::Placeholder),
        ("no ACME CA", &[], Served::Certificate(fresh())),
    ] {
        assert_eq!(open_with(cas, served).info_due(NOW), None, "{name}");
    }
}

#[test]
fn given_a_success_by_a_clock_days_ahead_when_it_is_put_right_then_a_passed_window_brakes_no_more() {
    let mut life = open_with(&[FIRST], Served::Placeholder);
    let ahead = NOW + days(20);
    life.begin(Kind::Issue, 0, ahead);
    life.succeeded(Kind::Issue, Validity { not_before: NOW - days(1), not_after: NOW + days(1) }, ahead, &mut rng());

    life.informed(answer(NOW - days(2), NOW - days(1)), NOW, &mut rng());

    assert_eq!(obtains(life.poll(NOW)), Some((Kind::Renew, Why::RenewalDue)));
}

#[test]
fn given_a_hold_in_the_emergency_when_waiting_then_no_question_whose_time_has_passed_ends_it() {
    let mut life = informed(InfoAnswer::NotOffered);
    let now = fresh().emergency();
    life.begin(Kind::Renew, 0, now);
    life.failed(&failure(Reason::Server, Retry::Backoff), now, &mut rng());

    assert!(matches!(life.poll(now), Step::Wait { until: Some(until), why: Why::Backoff } if until > now));
    assert_eq!(life.info_due(now), None);
}

/// Fails `times` at the CA that is chosen, each when it may be asked again; gives the last moment.
fn fail(life: &mut Lifecycle, times: usize, reason: Reason, from: Timestamp) -> Timestamp {
    let mut now = from;
    for _ in 0..times {
        let (kind, ca) = loop {
            match life.poll(now) {
                Step::Obtain { kind, ca, .. } => break (kind, ca),
                Step::AskRenewalInfo => life.informed(InfoAnswer::NotOffered, now, &mut rng()),
                Step::Wait { until, .. } => now = until.unwrap(),
            }
        };
        life.begin(kind, ca, now);
        life.failed(&failure(reason, Retry::Backoff), now, &mut rng());
    }
    now
}

fn chosen(life: &Lifecycle, now: Timestamp) -> Option<usize> {
    match life.poll(now) {
        Step::Obtain { ca, .. } => Some(ca),
        Step::Wait { .. } | Step::AskRenewalInfo => None,
    }
}

#[test]
fn given_nothing_served_when_the_first_ca_is_in_trouble_thrice_then_the_second_is_asked() {
    for (reason, times, expected) in [
        (Reason::Server, 2, None),
        (Reason::Server, 3, Some(1)),
        (Reason::Network, 3, Some(1)),
        (Reason::RateLimited, 3, Some(1)),
        (Reason::Unauthorized, 3, None),
        (Reason::Caa, 3, None),
        (Reason::RejectedIdentifier, 3, None),
    ] {
        let mut life = open_with(&[FIRST, SECOND], Served::Placeholder);
        let now = fail(&mut life, times, reason, NOW);
        assert_eq!(chosen(&life, now), expected, "{reason:?} {times}");
    }
}

#[test]
fn given_nothing_served_when_the_first_ca_would_be_waited_for_long_then_the_second_is_asked_at_once() {
    let mut life = open_with(&[FIRST, SECOND], Served::Placeholder);
    let now = fail(&mut life, 8, Reason::Connection, NOW);
    assert_eq!(chosen(&life, now), None, "the second could not connect either");

    let now = fail(&mut life, 1, Reason::RateLimited, now);

    assert_eq!(chosen(&life, now), Some(1));
}

#[test]
fn given_a_certificate_with_time_left_when_the_first_ca_is_in_trouble_then_the_second_waits_for_the_last_third() {
    let validity = fresh();
    let mut life = open_with(&[FIRST, SECOND], Served::Certificate(validity));
    life.informed(InfoAnswer::NotOffered, NOW, &mut rng());
    let due = life.status(NOW).renewal_due.unwrap();
    let last_third = due + validity.emergency().since(due) / 3 * 2;

    let now = fail(&mut life, 4, Reason::Server, due);
    assert!(now < last_third && chosen(&life, now).is_none());

    let (mut now, mut asked) = (now, Vec::new());
    while asked.last() != Some(&1) {
        match life.poll(now) {
            Step::Obtain { kind, ca, .. } => {
                asked.push(ca);
                life.begin(kind, ca, now);
                life.failed(&failure(Reason::Server, Retry::Backoff), now, &mut rng());
            }
            Step::AskRenewalInfo => life.informed(InfoAnswer::NotOffered, now, &mut rng()),
            Step::Wait { until, .. } => now = until.unwrap(),
        }
    }
    assert!(last_third <= now && now < validity.emergency(), "{now}");
}

#[test]
fn given_a_success_at_the_second_ca_when_due_again_then_the_first_is_asked_first() {
    let mut life = open_with(&[FIRST, SECOND], Served::Placeholder);
    let now = fail(&mut life, 3, Reason::Server, NOW);
    life.begin(Kind::Issue, 1, now);
    life.succeeded(Kind::Renew, Validity { not_before: now, not_after: now + days(90) }, now, &mut rng());
    life.informed(InfoAnswer::NotOffered, now, &mut rng());

    let due = life.status(now).renewal_due.unwrap();
    life.informed(InfoAnswer::NotOffered, due, &mut rng());
    assert_eq!(chosen(&life, due), Some(0));
}

#[test]
fn given_a_death_in_an_attempt_when_opened_then_the_same_ca_is_gone_on_with() {
    let mut life = open_with(&[FIRST, SECOND], Served::Placeholder);
    let now = fail(&mut life, 3, Reason::Server, NOW);
    life.begin(Kind::Issue, 1, now);
    let record = Some(life.record().clone());

    let later = now + days(1);
    let again = Lifecycle::open(record, of_cas(&[FIRST, SECOND]), Served::Placeholder, true, later, &mut rng());

    assert_eq!(chosen(&again, later), Some(1));
}

#[test]
fn given_a_request_when_polled_then_renews_unless_the_ca_has_named_a_time() {
    let hold = |retry| {
        let mut life = informed(InfoAnswer::NotOffered);
        life.begin(Kind::Renew, 0, NOW);
        life.failed(&failure(Reason::RateLimited, retry), NOW, &mut rng());
        life
    };
    let named = Retry::At(NOW + days(1));
    for (name, mut life, force, expected) in [
        ("nothing is due", informed(InfoAnswer::NotOffered), false, true),
        ("refused for good", hold(Retry::Never), false, true),
        ("backoff", hold(Retry::Backoff), false, true),
        ("Retry-After", hold(named), false, false),
        ("Retry-After, forced", hold(named), true, true),
    ] {
        assert_eq!(chosen(&life, NOW), None, "{name}");
        life.request(force, NOW);
        assert_eq!(obtains(life.poll(NOW)), expected.then_some((Kind::Renew, Why::Requested)), "{name}");
    }
}
