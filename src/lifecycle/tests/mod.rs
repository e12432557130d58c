use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::failure::Class;
use super::*;

mod cas;

const DAY: u64 = 86_400;
const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

fn days(n: u64) -> Duration {
    Duration::from_secs(n * DAY)
}

fn asked() -> Asked {
    Asked { product: "m5.test".into(), way: "http-01".into(), cas: vec![], has_public_ca: false }
}

/// 90 days, issued ten days ago.
fn fresh() -> Validity {
    Validity { not_before: NOW - days(10), not_after: NOW + days(80) }
}

fn open(record: Option<Record>, served: Served) -> Lifecycle {
    Lifecycle::open(record, asked(), served, false, NOW, &mut rng())
}

fn failure(reason: Reason, retry: Retry) -> Failure {
    Failure { reason, retry, detail: "no".into(), fix: None }
}

fn obtains(step: Step) -> Option<(Kind, Why)> {
    match step {
        Step::Obtain { kind, why, .. } => Some((kind, why)),
        Step::Wait { .. } | Step::AskRenewalInfo => None,
    }
}

#[test]
fn given_what_is_served_when_polled_then_obtains_or_waits() {
    let year = Validity { not_before: NOW - days(360), not_after: NOW + days(5) };
    let table = [
        ("nothing", Served::Nothing, Some((Kind::Issue, Why::NothingServed))),
        ("placeholder", Served::Placeholder, Some((Kind::Issue, Why::NothingServed))),
        ("fresh", Served::Certificate(fresh()), None),
        (
            "past two thirds",
            Served::Certificate(Validity { not_before: NOW - days(61), not_after: NOW + days(29) }),
            Some((Kind::Renew, Why::RenewalDue)),
        ),
        ("a twentieth left", Served::Certificate(year), Some((Kind::Renew, Why::Emergency))),
        (
            "expired",
            Served::Certificate(Validity { not_before: NOW - days(91), not_after: NOW - days(1) }),
            Some((Kind::Renew, Why::Expired)),
        ),
    ];
    for (name, served, expected) in table {
        assert_eq!(obtains(open(None, served).poll(NOW)), expected, "{name}");
    }
}

#[test]
fn given_a_fresh_certificate_when_polled_then_waits_for_the_drawn_moment() {
    let life = open(None, Served::Certificate(fresh()));

    let due = life.status(NOW).renewal_due;
    assert_eq!(life.poll(NOW), Step::Wait { until: due, why: Why::RenewalPlanned });
    assert_eq!(obtains(life.poll(due.unwrap())), Some((Kind::Renew, Why::RenewalDue)));
}

#[test]
fn given_a_restart_when_opened_then_the_renewal_is_not_drawn_again() {
    let first = open(None, Served::Certificate(fresh()));

    let kept = serde_json::from_str(&serde_json::to_string(first.record()).unwrap()).unwrap();
    let mut other_chance = SmallRng::seed_from_u64(8);
    let second = Lifecycle::open(Some(kept), asked(), first.served(), false, NOW, &mut other_chance);
    let without_record = Lifecycle::open(None, asked(), first.served(), false, NOW, &mut other_chance);

    assert_eq!(second.record(), first.record());
    assert_ne!(without_record.status(NOW).renewal_due, first.status(NOW).renewal_due);
}

#[test]
fn given_changed_settings_when_opened_then_only_another_product_is_issued_anew() {
    let record = open(None, Served::Certificate(fresh())).record().clone();
    let table = [
        ("same", asked(), None),
        ("other way", Asked { way: "tls-alpn-01".into(), ..asked() }, None),
        (
            "other product",
            Asked { product: "acme m5.test api.m5.test".into(), ..asked() },
            Some((Kind::Issue, Why::AskedForSomethingElse)),
        ),
    ];
    for (name, asked, expected) in table {
        let served = Served::Certificate(fresh());
        let life = Lifecycle::open(Some(record.clone()), asked, served, false, NOW, &mut rng());
        assert_eq!(obtains(life.poll(NOW)), expected, "{name}");
    }
}

#[test]
fn given_a_refusal_for_good_when_settings_change_then_tries_again() {
    let mut life = open(None, Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);
    life.failed(&failure(Reason::RejectedIdentifier, Retry::Never), NOW, &mut rng());
    let later = NOW + days(300);
    assert_eq!(life.poll(later), Step::Wait { until: None, why: Why::WaitingForChange });

    let changed = Asked { way: "tls-alpn-01".into(), ..asked() };
    let record = Some(life.record().clone());
    let life = Lifecycle::open(record, changed, Served::Placeholder, false, later, &mut rng());

    assert!(obtains(life.poll(later)).is_some());
}

#[test]
fn given_a_retry_after_when_settings_change_then_it_is_kept_for_the_same_product() {
    let two_hours = NOW + Duration::from_secs(7200);
    let mut life = open(None, Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);
    life.failed(&failure(Reason::RateLimited, Retry::At(two_hours)), NOW, &mut rng());

    let changed = Asked { way: "tls-alpn-01".into(), ..asked() };
    let record = Some(life.record().clone());
    let life = Lifecycle::open(record, changed, Served::Placeholder, false, NOW, &mut rng());

    assert_eq!(life.poll(NOW), Step::Wait { until: Some(two_hours), why: Why::IssuerSaysWait });
    assert!(obtains(life.poll(two_hours)).is_some());
}

#[test]
fn given_a_retry_after_out_of_bounds_when_failed_then_clamped() {
    let table = [
        ("in the past", NOW - days(1), NOW + schedule::SHORTEST),
        ("in a year", NOW + days(365), NOW + days(7)),
        ("in an hour", NOW + schedule::HOUR, NOW + schedule::HOUR),
    ];
    for (name, at, expected) in table {
        let mut life = open(None, Served::Placeholder);
        life.failed(&failure(Reason::RateLimited, Retry::At(at)), NOW, &mut rng());
        assert_eq!(life.poll(NOW), Step::Wait { until: Some(expected), why: Why::IssuerSaysWait }, "{name}");
    }
}

#[test]
fn given_a_death_in_an_attempt_when_opened_then_resumes_once_and_then_backs_off() {
    let mut life = open(None, Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);

    let died = Some(life.record().clone());
    let without_order = Lifecycle::open(died.clone(), asked(), Served::Placeholder, false, NOW, &mut rng());
    assert!(obtains(without_order.poll(NOW)).is_none());
    assert_eq!(without_order.status(NOW).consecutive_failures, 1);

    let mut resumed = Lifecycle::open(died, asked(), Served::Placeholder, true, NOW, &mut rng());
    assert!(obtains(resumed.poll(NOW)).is_some());
    resumed.begin(Kind::Issue, 0, NOW);

    let died_again = Some(resumed.record().clone());
    let second = Lifecycle::open(died_again, asked(), Served::Placeholder, true, NOW, &mut rng());
    assert!(obtains(second.poll(NOW)).is_none());
}

#[test]
fn given_a_crash_loop_when_restarted_a_hundred_times_then_attempts_follow_the_schedule() {
    let (mut record, mut begun, mut rng) = (None, 0, rng());
    for n in 0..100 {
        let now = NOW + Duration::from_secs(n);
        let mut life = Lifecycle::open(record, asked(), Served::Placeholder, true, now, &mut rng);
        if let Step::Obtain { kind, .. } = life.poll(now) {
            life.begin(kind, 0, now);
            begun += 1;
        }
        record = Some(life.record().clone());
    }
    // The attempt, its one resumption, and both again after the first minute of backoff.
    assert!(begun <= 4, "{begun}");
}

#[test]
fn given_a_success_when_polled_then_failures_are_forgotten() {
    let mut life = open(None, Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);
    life.failed(&failure(Reason::Dns, Retry::Backoff), NOW, &mut rng());
    let later = NOW + days(1);
    life.begin(Kind::Issue, 0, later);
    life.succeeded(Kind::Renew, Validity { not_before: later, not_after: later + days(90) }, later, &mut rng());

    let status = life.status(later);
    assert_eq!((status.state, status.consecutive_failures, status.last_failure), (State::Issued, 0, None));
    assert_eq!(status.next.action, Action::Renew);
    assert_eq!(status.next.why, "renewal is planned");
}

#[test]
fn given_new_certificates_that_are_due_at_once_when_polled_then_the_second_in_a_row_brakes() {
    let over = Validity { not_before: NOW - days(100), not_after: NOW - days(10) };
    let mut life = open(None, Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);
    life.succeeded(Kind::Renew, over, NOW, &mut rng());
    assert_eq!(obtains(life.poll(NOW)), Some((Kind::Renew, Why::Expired)));

    life.begin(Kind::Renew, 0, NOW);
    life.succeeded(Kind::Renew, over, NOW, &mut rng());

    let tomorrow = NOW + days(1);
    assert_eq!(life.poll(NOW), Step::Wait { until: Some(tomorrow), why: Why::Loop });
    assert_eq!(life.status(NOW).next.reason, "renewal_loop");
    let kept: Record = serde_json::from_str(&serde_json::to_string(life.record()).unwrap()).unwrap();
    let mut life = Lifecycle::open(Some(kept), asked(), life.served(), false, NOW, &mut rng());
    assert_eq!(life.poll(NOW), Step::Wait { until: Some(tomorrow), why: Why::Loop }, "over a restart");

    // The third is one of them too, the fourth is good, and what comes after it is judged anew.
    life.begin(Kind::Renew, 0, tomorrow);
    life.succeeded(Kind::Renew, over, tomorrow, &mut rng());
    assert_eq!(life.poll(tomorrow), Step::Wait { until: Some(tomorrow + days(1)), why: Why::Loop });
    let good = Validity { not_before: tomorrow, not_after: tomorrow + days(90) };
    life.succeeded(Kind::Renew, good, tomorrow, &mut rng());
    assert_eq!(obtains(life.poll(tomorrow)), None);
    life.succeeded(Kind::Renew, over, tomorrow, &mut rng());
    assert!(obtains(life.poll(tomorrow)).is_some());
}

#[test]
fn given_limits_that_would_refuse_an_order_when_held_back_then_until_that_time_and_by_its_own_name() {
    let mut life = open(None, Served::Placeholder);
    let at = NOW + days(2);
    for _ in 0..2 {
        life.begin(Kind::Issue, 0, NOW);
        life.failed(&failure(Reason::Budget, Retry::At(at)), NOW, &mut rng());
        assert_eq!(life.poll(NOW), Step::Wait { until: Some(at), why: Why::Budget });
    }
    life.request(false, NOW);
    assert_eq!(life.poll(NOW), Step::Wait { until: Some(at), why: Why::Budget }, "an operator changes nothing");
    life.request(true, NOW);
    assert!(obtains(life.poll(NOW)).is_some(), "it is counted anew");
}

#[test]
fn given_a_hold_made_by_a_clock_years_ahead_when_it_is_put_right_then_tries_again() {
    let ahead = NOW + days(3650);
    let mut life = open(None, Served::Placeholder);
    for _ in 0..5 {
        life.failed(&failure(Reason::Network, Retry::Backoff), ahead, &mut rng());
    }
    assert!(obtains(life.poll(ahead)).is_none());

    assert!(obtains(life.poll(NOW)).is_some());
}

#[test]
fn given_an_attempt_when_it_runs_then_status_says_so() {
    let mut life = open(None, Served::Placeholder);
    life.begin(Kind::Issue, 0, NOW);

    let next = life.status(NOW).next;
    assert_eq!((next.action, next.at), (Action::Issue, Some(NOW)));
    assert!(next.why.contains("2027-01-15"), "{}", next.why);
}

#[test]
fn given_every_reason_when_named_then_the_names_differ_and_serde_agrees() {
    let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}

#[test]
fn given_a_record_of_another_version_when_read_then_known_fields_count() {
    let read: Record = serde_json::from_str(r#"{"consecutive_failures": 3, "from_the_future": true}"#).unwrap();

    assert_eq!(read, Record { consecutive_failures: 3, ..Record::default() });
}

fn any_reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(Reason::ALL.to_vec())
}

proptest! {
    #[test]
    fn renewal_lies_in_the_validity_and_before_the_emergency(seed: u64, total in 0u64..4_000 * DAY) {
        let validity = Validity { not_before: NOW, not_after: NOW + Duration::from_secs(total) };
        let at = validity.draw_renewal(&mut SmallRng::seed_from_u64(seed));
        prop_assert!(validity.not_before <= at && at <= validity.emergency() && validity.emergency() <= validity.not_after);
    }

    #[test]
    fn backoff_lies_in_its_bounds(seed: u64, failures: u32, remaining in 0u64..400 * DAY, reason in any_reason()) {
        let remaining = Duration::from_secs(remaining);
        let delay = schedule::backoff(reason.class(), failures, remaining, &mut SmallRng::seed_from_u64(seed));
        prop_assert!(delay >= schedule::SHORTEST);
        prop_assert!(delay.as_secs_f64() <= 1.3 * DAY as f64);
        let without = if reason.class() == Class::Transient { 3600 } else { 6 * 3600 };
        let cap = if remaining.is_zero() { Duration::from_secs(without) } else { remaining / 8 };
        prop_assert!(delay <= cap.max(schedule::SHORTEST));
    }

    /// With nothing served and every attempt failing: hardly more than one an hour, never too many in one, none in a
    /// hold.
    #[test]
    fn a_week_of_failures_has_few_attempts(seed: u64, reasons in prop::collection::vec(any_reason(), 1..8), left in 0u64..60 * DAY) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let served = match left {
            0..DAY => Served::Placeholder,
            _ => Served::Certificate(Validity { not_before: NOW - days(300), not_after: NOW + Duration::from_secs(left) }),
        };
        let mut life = Lifecycle::open(None, asked(), served, false, NOW, &mut rng);
        let (mut now, mut attempts) = (NOW, Vec::new());
        while now < NOW + days(7) {
            match life.poll(now) {
                Step::Wait { until, .. } => {
                    let until = until.unwrap();
                    prop_assert!(until > now);
                    now = until;
                }
                Step::AskRenewalInfo => unreachable!("no ACME CA"),
                Step::Obtain { kind, .. } => {
                    life.begin(kind, 0, now);
                    life.failed(&failure(reasons[attempts.len() % reasons.len()], Retry::Backoff), now, &mut rng);
                    attempts.push(now);
                }
            }
        }
        prop_assert!(attempts.len() <= 200, "{}", attempts.len());
        for window in attempts.windows(FAILURES_PER_HOUR + 1) {
            prop_assert!(window[FAILURES_PER_HOUR].since(window[0]) >= schedule::HOUR);
        }
    }
}

#[test]
fn given_a_certificate_that_nobody_has_seen_when_shown_then_the_success_before_counts_until_it_is() {
    let mut life = open(None, Served::Certificate(fresh()));
    life.succeeded(Kind::Renew, fresh(), NOW, &mut rng());
    life.seen(NOW);
    assert_eq!((life.unseen(), life.status(NOW).last_success), (None, Some(NOW)));
    let later = NOW + days(60);
    life.succeeded(Kind::Renew, Validity { not_before: later, not_after: later + days(90) }, later, &mut rng());

    assert_eq!((life.unseen(), life.status(later).last_success), (Some(Kind::Renew), Some(NOW)));
    let kept: Record = serde_json::from_str(&serde_json::to_string(life.record()).unwrap()).unwrap();
    let mut again = Lifecycle::open(Some(kept), asked(), life.served(), false, later, &mut rng());
    assert_eq!(again.unseen(), Some(Kind::Renew), "over a restart");

    again.seen(later + days(1));
    again.seen(later + days(2));
    assert_eq!((again.unseen(), again.status(later).last_success), (None, Some(later + days(1))));
}

#[test]
fn given_a_certificate_that_clients_do_not_get_after_all_when_taken_back_then_the_one_before_counts() {
    let mut life = open(None, Served::Certificate(fresh()));
    life.succeeded(Kind::Renew, fresh(), NOW, &mut rng());
    life.seen(NOW);
    let due = life.status(NOW).renewal_due.unwrap();
    let new = Validity { not_before: due, not_after: due + days(90) };
    life.begin(Kind::Renew, 0, due);
    life.succeeded(Kind::Renew, new, due, &mut rng());

    life.took_back("m5.test", fresh(), Some(NOW), &mut rng());
    life.failed(&failure(Reason::NotServed, Retry::Backoff), due, &mut rng());

    let status = life.status(due);
    assert_eq!((life.served(), life.unseen()), (Served::Certificate(fresh()), None));
    assert_eq!((status.last_success, status.consecutive_failures), (Some(NOW), 1));
    let Step::Wait { until: Some(until), why: Why::Backoff } = life.poll(due) else { panic!("{:?}", life.poll(due)) };
    assert_eq!(obtains(life.poll(until)), Some((Kind::Renew, Why::RenewalDue)), "and it is tried again");
}

#[test]
fn given_an_operator_who_went_back_when_polled_then_nothing_before_the_emergency_unless_asked_for() {
    // Long past its renewal.
    let old = Validity { not_before: NOW - days(80), not_after: NOW + days(10) };
    let mut life = open(None, Served::Certificate(fresh()));
    life.went_back("m5.test", old, NOW, &mut rng());

    let until = Some(old.emergency());
    assert_eq!(life.poll(NOW), Step::Wait { until, why: Why::WentBack });
    assert_eq!(obtains(life.poll(old.emergency())), Some((Kind::Renew, Why::Emergency)));
    let kept = life.record().clone();
    let again = Lifecycle::open(Some(kept), asked(), Served::Certificate(old), false, NOW, &mut rng());
    assert_eq!(again.poll(NOW), Step::Wait { until, why: Why::WentBack }, "over a restart");

    life.request(false, NOW);
    assert_eq!(obtains(life.poll(NOW)), Some((Kind::Renew, Why::Requested)));
}

#[test]
fn given_an_operator_who_went_back_to_what_was_issued_for_other_names_when_polled_then_waits_all_the_same() {
    let mut life = open(None, Served::Certificate(fresh()));

    life.went_back("other.test", fresh(), NOW, &mut rng());

    assert_eq!(life.poll(NOW), Step::Wait { until: Some(fresh().emergency()), why: Why::WentBack });
}

#[test]
fn given_an_operator_who_went_back_to_an_expired_one_when_polled_then_an_hour_is_his() {
    let old = Validity { not_before: NOW - days(100), not_after: NOW - days(10) };
    let mut life = open(None, Served::Certificate(fresh()));

    life.went_back("m5.test", old, NOW, &mut rng());

    let hour = Duration::from_secs(3600);
    assert_eq!(life.poll(NOW), Step::Wait { until: Some(NOW + hour), why: Why::WentBack });
    assert_eq!(obtains(life.poll(NOW + hour)), Some((Kind::Renew, Why::Expired)));
}

#[test]
fn given_failures_when_two_in_a_row_are_the_operators_then_one_rehearsal_and_none_before_the_row_ends() {
    use Reason::{Connection, Dns, Server, Unauthorized};
    let table: [(&str, &[Reason], bool); 6] = [
        ("none", &[], false),
        ("one", &[Dns], false),
        ("two", &[Dns, Unauthorized], true),
        ("the CA's own", &[Server, Server], false),
        ("another between", &[Dns, Server, Connection], false),
        ("and two after it", &[Server, Connection, Dns], true),
    ];
    for (name, reasons, expected) in table {
        let mut life = open(None, Served::Placeholder);
        for reason in reasons {
            life.failed(&failure(*reason, Retry::Backoff), NOW, &mut rng());
        }
        assert_eq!(life.is_rehearsal_due(), expected, "{name}");
    }

    let fails = |life: &mut Lifecycle| life.failed(&failure(Dns, Retry::Backoff), NOW, &mut rng());
    let mut life = open(None, Served::Placeholder);
    (0..2).for_each(|_| fails(&mut life));
    let planned = life.poll(NOW);
    life.rehearsing("https://twin.test/dir", NOW);
    life.rehearsed(Err("challenge: refused".to_owned()));
    fails(&mut life);
    assert!(!life.is_rehearsal_due(), "one for a row");
    assert!(matches!(planned, Step::Wait { .. }) && matches!(life.poll(NOW), Step::Wait { .. }));
    let told = life.status(NOW).rehearsal.unwrap().to_string();
    assert!(told.starts_with("fails too") && told.ends_with("challenge: refused"), "{told}");

    let again = open(Some(life.record().clone()), Served::Placeholder);
    assert!(!again.is_rehearsal_due() && again.status(NOW).rehearsal.is_some(), "over a restart too");
    let other = Asked { way: "dns-01".into(), ..asked() };
    let changed = Lifecycle::open(Some(life.record().clone()), other, Served::Placeholder, false, NOW, &mut rng());
    assert_eq!(changed.status(NOW).rehearsal, None, "other settings begin another row");
    life.succeeded(Kind::Issue, fresh(), NOW, &mut rng());
    assert_eq!(life.status(NOW).rehearsal, None);
}
