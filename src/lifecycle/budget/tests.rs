use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const ACCOUNT: &str = "https://ca.test/account/1";

fn limits() -> &'static Limits {
    Limits::of("https://acme-v02.api.letsencrypt.org/directory").unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn ask(identifiers: &[String]) -> Ask<'_> {
    Ask { account: Some(ACCOUNT), identifiers, replaces: false }
}

fn left(ledger: &Ledger, limit: Limit, ask: &Ask<'_>, now: Timestamp) -> u32 {
    ledger.standings(limits(), ask, now).iter().find(|standing| standing.limit == limit).unwrap().left
}

#[test]
fn given_five_certificates_for_one_set_when_another_is_wanted_then_refused_until_a_token_is_back() {
    let (site, mut ledger) = (names(&["m5.example.se", "www.m5.example.se"]), Ledger::default());
    for _ in 0..5 {
        assert_eq!(ledger.judge(limits(), &ask(&site), NOW), Ok(()));
        ledger.orders(limits(), &ask(&site), NOW);
        ledger.issued(limits(), &ask(&site), NOW);
    }

    let refusal = ledger.judge(limits(), &ask(&site), NOW).unwrap_err();

    assert_eq!((refusal.limit, refusal.at), (Limit::SameSet, NOW + Duration::from_secs(120_960)));
    assert_eq!(
        refusal.to_string(),
        "5 certificates for exactly `m5.example.se, www.m5.example.se` within 7 d are all that it takes; one more is possible at 2027-01-16T17:36:00Z"
    );
    assert_eq!(ledger.judge(limits(), &ask(&site), refusal.at), Ok(()));
    assert!(ledger.judge(limits(), &ask(&site), refusal.at - Duration::from_secs(1)).is_err());
    let other = names(&["m5.example.se"]);
    assert_eq!(ledger.judge(limits(), &ask(&other), NOW), Ok(()), "another set");
    let by_ari = Ask { replaces: true, ..ask(&site) };
    assert_eq!(ledger.judge(limits(), &by_ari, NOW), Ok(()), "exempt");
}

#[test]
fn given_failed_validations_when_one_more_order_is_wanted_then_refused_for_every_set_with_that_name() {
    let (site, mut ledger) = (names(&["a.test.se", "b.test.se"]), Ledger::default());
    (0..5).for_each(|_| ledger.failed(limits(), ACCOUNT, "b.test.se", NOW));

    let refusal = ledger.judge(limits(), &ask(&site), NOW).unwrap_err();

    assert_eq!((refusal.limit, refusal.of.as_str()), (Limit::FailedAuthorizations, "b.test.se"));
    assert_eq!(refusal.at, NOW + Duration::from_secs(720));
    assert_eq!(ledger.judge(limits(), &ask(&site[..1]), NOW), Ok(()));
    let other = Ask { account: Some("https://ca.test/account/2"), ..ask(&site) };
    assert_eq!(ledger.judge(limits(), &other, NOW), Ok(()), "another account");
}

#[test]
fn given_two_empty_buckets_when_judged_then_the_one_that_fills_last_is_told() {
    let (site, mut ledger) = (names(&["m5.test.se"]), Ledger::default());
    (0..5).for_each(|_| ledger.issued(limits(), &ask(&site), NOW));
    (0..5).for_each(|_| ledger.failed(limits(), ACCOUNT, "m5.test.se", NOW));
    assert_eq!(ledger.judge(limits(), &ask(&site), NOW).unwrap_err().limit, Limit::SameSet);
}

#[test]
fn given_each_happening_when_noted_then_it_draws_on_what_the_table_says() {
    let site = names(&["m5.example.se"]);
    let full = [10, 300, 50, 5, 5, 1152];
    let by_ari = Ask { replaces: true, ..ask(&site) };
    type Happening<'a> = (&'a str, fn(&mut Ledger, &Ask<'_>, &Ask<'_>), [u32; 6]);
    let table: [Happening<'_>; 9] = [
        ("nothing", |_, _, _| (), full),
        ("an account", |ledger, _, _| ledger.registers(limits(), NOW), [9, 300, 50, 5, 5, 1152]),
        ("an order", |ledger, first, _| ledger.orders(limits(), first, NOW), [10, 299, 50, 5, 5, 1152]),
        (
            "an order that is not taken",
            |ledger, first, _| {
                ledger.orders(limits(), first, NOW);
                ledger.not_taken(limits(), first, NOW);
            },
            full,
        ),
        ("a certificate", |ledger, first, _| ledger.issued(limits(), first, NOW), [10, 300, 49, 4, 5, 1152]),
        (
            "the same set again",
            |ledger, first, _| {
                ledger.issued(limits(), first, NOW);
                ledger.orders(limits(), first, NOW);
                ledger.issued(limits(), first, NOW);
            },
            [10, 300, 49, 3, 5, 1152],
        ),
        (
            "by renewal information",
            |ledger, _, by_ari| {
                ledger.orders(limits(), by_ari, NOW);
                ledger.issued(limits(), by_ari, NOW);
            },
            full,
        ),
        ("a failure", |ledger, _, _| ledger.failed(limits(), ACCOUNT, "m5.example.se", NOW), [10, 300, 50, 5, 4, 1151]),
        (
            "a failure, then a certificate",
            |ledger, first, _| {
                ledger.failed(limits(), ACCOUNT, "m5.example.se", NOW);
                ledger.issued(limits(), first, NOW);
            },
            [10, 300, 49, 4, 4, 1152],
        ),
    ];
    for (name, happening, expected) in table {
        let mut ledger = Ledger::default();
        happening(&mut ledger, &ask(&site), &by_ari);
        assert_eq!(Limit::ALL.map(|limit| left(&ledger, limit, &ask(&site), NOW)), expected, "{name}");
    }
}

#[test]
fn given_ten_accounts_when_another_is_wanted_then_refused_until_a_token_is_back_and_one_that_was_not_made_is_none() {
    let mut ledger = Ledger::default();
    for _ in 0..10 {
        assert_eq!(ledger.judge_registration(limits(), NOW), Ok(()));
        ledger.registers(limits(), NOW);
    }
    let refusal = ledger.judge_registration(limits(), NOW).unwrap_err();
    assert_eq!((refusal.limit, refusal.at), (Limit::Registrations, NOW + Duration::from_secs(18 * 60)));
    assert!(refusal.to_string().starts_with("10 new accounts within 3 h are all"), "{refusal}");
    assert_eq!(ledger.judge_registration(limits(), refusal.at), Ok(()));
    assert_eq!(ledger.judge(limits(), &ask(&names(&["m5.test.se"])), NOW), Ok(()), "orders go on");

    ledger.not_registered(limits(), NOW);
    assert_eq!(ledger.judge_registration(limits(), NOW), Ok(()));
}

#[test]
fn given_three_hundred_orders_when_another_name_is_wanted_then_the_account_waits() {
    let mut ledger = Ledger::default();
    (0..300).for_each(|number| ledger.orders(limits(), &ask(&names(&[&format!("{number}.test.se")])), NOW));
    let refusal = ledger.judge(limits(), &ask(&names(&["new.test.se"])), NOW).unwrap_err();
    assert_eq!((refusal.limit, refusal.at), (Limit::Orders, NOW + Duration::from_secs(36)));
    let first = Ask { account: None, ..ask(&[]) };
    assert_eq!(ledger.judge(limits(), &first, NOW), Ok(()), "no account yet");
}

#[test]
fn given_a_ledger_when_kept_then_it_reads_and_a_later_version_too() {
    let (site, mut ledger) = (names(&["m5.test.se"]), Ledger::default());
    ledger.orders(limits(), &ask(&site), NOW);
    ledger.issued(limits(), &ask(&site), NOW);
    let text = serde_json::to_string(&ledger).unwrap();
    assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);

    let later = r#"{"version": 2, "more": [], "full_at": {"a_new_limit": {"x": 1}}, "issued": {}}"#;
    let later: Ledger = serde_json::from_str(later).unwrap();
    assert_eq!(later.judge(limits(), &ask(&site), NOW), Ok(()));
    assert!(serde_json::from_str::<Ledger>("{}").is_ok());
}

#[test]
fn given_more_sets_than_are_kept_when_noted_then_bounded_and_the_newest_stay() {
    let mut ledger = Ledger::default();
    for number in 0..2500_u64 {
        let site = names(&[&format!("{number}.se")]);
        ledger.issued(limits(), &ask(&site), NOW + Duration::from_secs(number));
    }
    let last = names(&["2499.se"]);
    assert_eq!(left(&ledger, Limit::SameSet, &ask(&last), NOW + Duration::from_secs(2500)), 4);
    let text = serde_json::to_string(&ledger).unwrap();
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
}

proptest! {
    /// Whoever asks first is never refused by the CA that the limits describe, which is counted here in another way.
    #[test]
    fn given_any_days_when_orders_are_judged_first_then_no_week_sees_more_than_nine_of_one_set(
        gaps in prop::collection::vec(0..100_000_u64, 1..80),
    ) {
        let (site, mut ledger, mut now, mut issued) = (names(&["m5.test.se"]), Ledger::default(), NOW, Vec::new());
        for gap in gaps {
            now = now + Duration::from_secs(gap);
            if ledger.judge(limits(), &ask(&site), now).is_ok() {
                ledger.issued(limits(), &ask(&site), now);
                issued.push(now);
            }
        }
        let week = Duration::from_secs(7 * 86_400);
        for (at, begin) in issued.iter().enumerate() {
            prop_assert!(issued[at..].iter().filter(|time| time.since(*begin) < week).count() <= 9);
        }
    }
}
