use std::time::Duration;

use super::facts::{CertificateFact, Facts, FailureFact, Role, ServerFact};
use super::ledger::{End, Ledger, SETTLE, Step};
use super::look::DAY;
use super::message::Message;
use super::*;
use crate::language::Lang;
use crate::lifecycle::State;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn certificate(name: &str) -> CertificateFact {
    CertificateFact {
        name: name.to_owned(),
        role: Role::Listener,
        state: State::Issued,
        not_before: Some(NOW - DAY * 300),
        not_after: Some(NOW + DAY * 65),
        sha256: "ab".to_owned(),
        is_manual: false,
        emergency: Some(NOW + DAY * 40),
        failures: 0,
        failure: None,
        next_attempt: None,
    }
}

fn by_hand(days_left: u32) -> CertificateFact {
    CertificateFact { is_manual: true, not_after: Some(NOW + DAY * days_left), ..certificate("m5") }
}

fn failed(failures: u32) -> CertificateFact {
    let failure = FailureFact { at: NOW - DAY, detail: "the CA says no".to_owned(), fix: None };
    CertificateFact { failures, failure: Some(failure), ..certificate("m5") }
}

fn server(sha256: &str) -> ServerFact {
    ServerFact {
        upstream: "legacy".to_owned(),
        address: "10.0.0.1:443".to_owned(),
        sha256: Some(sha256.to_owned()),
        not_after: None,
        refused: None,
    }
}

fn of(certificates: Vec<CertificateFact>) -> Facts {
    Facts { certificates, ..Facts::default() }
}

fn settings(language: Lang) -> Settings {
    let url = HookUrl::parse("https://hooks.test/geheim").expect("a URL");
    let channel = Channel::Webhook(WebhookSettings { url, token: None, trust_anchors: None, proxy: None });
    Settings { name: "ops".to_owned(), channel, events: Kind::ALL.to_vec(), language }
}

/// What is told when it is looked at these facts, by kind and days.
fn look(ledger: &mut Ledger, facts: &Facts, now: Timestamp) -> Vec<(Kind, Option<u32>)> {
    ledger.look(facts, &Kind::ALL, now);
    drain(ledger, now).into_iter().map(|event| (event.kind, event.days_left)).collect()
}

/// Sends all that waits.
fn drain(ledger: &mut Ledger, now: Timestamp) -> Vec<Event> {
    let mut all = Vec::new();
    let mut at = now + SETTLE;
    while ledger.poll(at) == Step::Send {
        all.extend(ledger.begin(String::new, at).events);
        assert_eq!(ledger.end(End::Delivered, at), None);
        at = at + HOUR;
    }
    all
}

fn event(subject: &str) -> Event {
    Event::new(Kind::Renewed, subject, NOW)
}

#[test]
fn given_an_end_when_looked_at_each_day_then_told_at_thirty_fourteen_seven_one_and_when_over() {
    let mut ledger = Ledger::default();
    let facts = of(vec![by_hand(40)]);
    let told: Vec<_> = (0..50u32)
        .flat_map(|day| look(&mut ledger, &facts, NOW + DAY * day + MINUTE).into_iter().map(move |told| (day, told)))
        .filter(|(_, (kind, _))| *kind == Kind::Expiring)
        .map(|(day, _)| 40 - i64::from(day))
        .collect();
    assert_eq!(told, [30, 14, 7, 1, 0]);
}

#[test]
fn given_five_days_left_when_first_seen_then_told_once_and_again_for_another_certificate() {
    let mut ledger = Ledger::default();
    let facts = of(vec![by_hand(5)]);
    assert_eq!(look(&mut ledger, &facts, NOW), [(Kind::Expiring, Some(5))]);
    let kept = serde_json::to_string(&ledger).unwrap();
    let mut again: Ledger = serde_json::from_str(&kept).unwrap();
    again.resume();
    assert_eq!(look(&mut again, &facts, NOW + MINUTE), []);

    let replaced = of(vec![CertificateFact { sha256: "cd".to_owned(), ..by_hand(5) }]);
    assert_eq!(look(&mut again, &replaced, NOW + MINUTE), [(Kind::Expiring, Some(4))]);
}

#[test]
fn given_two_certificates_near_their_end_that_take_turns_when_looked_at_then_each_is_told_once() {
    let mut ledger = Ledger::default();
    let shown = |sha256: &str, day: u32| {
        let (role, sha256) = (Role::UpstreamPeer, sha256.to_owned());
        (of(vec![CertificateFact { role, sha256, ..by_hand(10) }]), NOW + DAY * day + MINUTE)
    };
    let told: Vec<_> = (0..6u32)
        .flat_map(|day| ["one", "two", "one"].map(|sha256| shown(sha256, day)))
        .flat_map(|(facts, at)| look(&mut ledger, &facts, at))
        .collect();
    let ends = [Some(9), Some(9), Some(6), Some(6)];
    assert_eq!(told, ends.map(|days| (Kind::Expiring, days)));
}

#[test]
fn given_an_end_that_a_clock_ahead_has_told_when_the_clock_is_right_then_the_true_end_is_told() {
    let mut ledger = Ledger::default();
    let facts = of(vec![by_hand(10)]);
    assert_eq!(look(&mut ledger, &facts, NOW + DAY * 365), [(Kind::Expiring, Some(0))]);
    let told: Vec<_> = (0..12u32).flat_map(|day| look(&mut ledger, &facts, NOW + DAY * day + MINUTE)).collect();
    let days: Vec<_> = told.iter().filter(|(kind, _)| *kind == Kind::Expiring).map(|(_, days)| *days).collect();
    assert_eq!(days, [Some(8), Some(6), Some(0), Some(0)]);
}

#[test]
fn given_a_certificate_when_looked_at_then_its_end_is_told_only_where_it_matters() {
    let short =
        |days: u32, left: u32| CertificateFact { not_before: Some(NOW + DAY * left - DAY * days), ..by_hand(left) };
    let table = [
        ("nothing renews it", by_hand(20), true),
        ("a CA renews it", CertificateFact { is_manual: false, ..by_hand(20) }, false),
        ("an anchor", CertificateFact { role: Role::TrustAnchor, ..by_hand(20) }, true),
        ("far away", by_hand(31), false),
        ("no dates", CertificateFact { not_after: None, ..by_hand(20) }, false),
        ("ninety days, renewed at thirty by somebody", short(90, 29), false),
        ("ninety days, not renewed at fourteen", short(90, 13), true),
        ("forty-five days, to be renewed at fifteen", short(45, 13), false),
        ("forty-five days, not renewed at seven", short(45, 6), true),
        ("six days, renewed at two", short(6, 2), false),
        ("six days, not renewed at one", short(6, 0), true),
    ];
    for (what, certificate, is_told) in table {
        let told = look(&mut Ledger::default(), &of(vec![certificate]), NOW + MINUTE);
        assert_eq!(told.iter().any(|(kind, _)| *kind == Kind::Expiring), is_told, "{what}: {told:?}");
    }
}

#[test]
fn given_a_certificate_that_ended_long_ago_when_looked_at_for_a_year_then_told_once() {
    let mut ledger = Ledger::default();
    let facts = of(vec![CertificateFact { not_after: Some(NOW - DAY * 200), ..by_hand(0) }]);
    let told = (0..365u32).flat_map(|day| look(&mut ledger, &facts, NOW + DAY * day));
    assert_eq!(told.filter(|(kind, _)| *kind == Kind::Expiring).count(), 1);
}

#[test]
fn given_two_client_identities_when_one_ends_then_told_unless_the_other_takes_over() {
    let identity =
        |name: &str, days| CertificateFact { name: name.to_owned(), role: Role::EgressClient, ..by_hand(days) };
    let is_told = |certificates| look(&mut Ledger::default(), &of(certificates), NOW).len();
    assert_eq!(is_told(vec![identity("bankid", 10), identity("bankid/next", 300)]), 0);
    assert_eq!(is_told(vec![identity("bankid", 300), identity("bankid/next", 10)]), 0, "the old one, after the change");
    assert_eq!(is_told(vec![identity("bankid", 10), identity("other/next", 300)]), 1);
    assert_eq!(is_told(vec![identity("bankid", 10), identity("bankid/next", 9)]), 1);
}

#[test]
fn given_failures_when_looked_at_then_told_when_serious_and_once_a_day() {
    let table = [
        ("well", certificate("m5"), false),
        ("twice", failed(2), false),
        ("three times", failed(3), true),
        ("once, and late", CertificateFact { emergency: Some(NOW), ..failed(1) }, true),
        ("once, and nothing is served", CertificateFact { state: State::Placeholder, ..failed(1) }, true),
        ("once, and it has ended", CertificateFact { state: State::Expired, ..failed(1) }, true),
        ("files, for a day", CertificateFact { is_manual: true, ..failed(1) }, true),
    ];
    for (what, certificate, is_told) in table {
        let facts = of(vec![certificate]);
        let mut ledger = Ledger::default();
        assert_eq!(
            look(&mut ledger, &facts, NOW),
            if is_told { vec![(Kind::Failing, None)] } else { vec![] },
            "{what}"
        );
        assert_eq!(look(&mut ledger, &facts, NOW + HOUR * 23), [], "{what}");
        assert_eq!(look(&mut ledger, &facts, NOW + DAY).len(), usize::from(is_told), "{what}");
    }
    let mut changing = CertificateFact { is_manual: true, ..failed(1) };
    changing.failure.as_mut().unwrap().at = NOW - MINUTE;
    assert_eq!(look(&mut Ledger::default(), &of(vec![changing]), NOW), [], "files that are being replaced");
}

#[test]
fn given_files_that_are_refused_again_every_ten_minutes_when_looked_at_each_minute_then_told_before_the_second_time() {
    let mut ledger = Ledger::default();
    let told_at = (0..60u32).find(|minute| {
        let mut refused = CertificateFact { is_manual: true, ..failed(1 + minute / 10) };
        refused.failure.as_mut().unwrap().at = NOW + MINUTE * (minute / 10 * 10);
        !look(&mut ledger, &of(vec![refused]), NOW + MINUTE * *minute).is_empty()
    });
    assert_eq!(told_at, Some(5));
}

#[test]
fn given_a_server_when_its_certificate_changes_then_told_but_not_the_first_and_not_those_that_take_turns() {
    let mut ledger = Ledger::default();
    let mut seen = |sha256: &str, refused: Option<&str>, at| {
        let server = ServerFact { refused: refused.map(str::to_owned), ..server(sha256) };
        look(&mut ledger, &Facts { servers: vec![server], ..Facts::default() }, at)
    };
    assert_eq!(seen("one", None, NOW), []);
    assert_eq!(seen("two", None, NOW), [(Kind::UpstreamChanged, None)]);
    assert_eq!(seen("one", None, NOW), []);
    assert_eq!(seen("two", Some("another one"), NOW + HOUR), [(Kind::PinChanged, None)]);
    assert_eq!(seen("two", Some("another one"), NOW + HOUR * 2), []);
}

#[test]
fn given_weeks_when_looked_at_then_a_heartbeat_each_also_when_the_clock_was_wrong() {
    let mut ledger = Ledger::default();
    let facts = of(vec![certificate("m5")]);
    let beats =
        |ledger: &mut Ledger, day: u32| look(ledger, &facts, NOW + DAY * day).contains(&(Kind::Heartbeat, None));
    let days: Vec<_> = (0..22).filter(|day| beats(&mut ledger, *day)).collect();
    assert_eq!(days, [7, 14, 21]);

    let mut ahead = Ledger::default();
    look(&mut ahead, &facts, NOW + DAY * 3650);
    assert!(!beats(&mut ahead, 0) && !beats(&mut ahead, 6) && beats(&mut ahead, 7));
}

#[test]
fn given_troubles_when_reported_then_each_is_told_and_the_worst_says_how_much_it_matters() {
    let need = |about: &str, is_broken| Need {
        matter: "certificate_ends".to_owned(),
        is_broken,
        about: about.to_owned(),
        what: "It ends in 12 days".to_owned(),
        fix: "Order the next".to_owned(),
    };
    let mut ledger = Ledger::default();
    let down = CertificateFact { name: "down".to_owned(), state: State::Placeholder, ..certificate("") };
    let mut facts = Facts {
        certificates: vec![certificate("good"), down, CertificateFact { name: "old".to_owned(), ..by_hand(36) }],
        needs: vec![need("m5", false), need("", false)],
        ..Facts::default()
    };
    ledger.look(&facts, &[Kind::Heartbeat], NOW);
    let mut beat = |facts: &Facts, weeks: u32| {
        let now = NOW + DAY * (7 * weeks);
        ledger.look(facts, &[Kind::Heartbeat], now);
        let digest = ledger.begin(|| "id".to_owned(), now + SETTLE);
        ledger.end(End::Delivered, now + SETTLE);
        digest
    };

    let digest = beat(&facts, 1);

    let report = digest.events[0].report.as_ref().unwrap();
    assert_eq!((report.certificates, report.valid), (3, 2));
    assert_eq!(report.first_to_end.as_ref().map(|it| (&*it.name, it.days_left)), Some(("old", 29)));
    let message = Message::new(&digest, &settings(Lang::De), "box", NOW);
    assert!(message.text.contains("- m5: It ends in 12 days. Abhilfe: Order the next."), "{}", message.text);
    assert!(message.text.contains("- It ends in 12 days."), "{}", message.text);
    assert_eq!(message.json["severity"], "warning");

    facts.needs.push(need("api", true));
    let worse = Message::new(&beat(&facts, 2), &settings(Lang::De), "box", NOW);
    assert_eq!(
        (&worse.json["severity"], &worse.json["events"][0]["report"]["needs"][2]["level"]),
        (&"critical".into(), &"broken".into())
    );
}

#[test]
fn given_the_same_again_when_noted_then_one_message_and_the_next_says_how_often() {
    let mut ledger = Ledger::default();
    for _ in 0..4 {
        ledger.note(event("m5"), NOW);
    }
    assert_eq!(ledger.poll(NOW), Step::Wait(Some(NOW + SETTLE)), "others may come");
    let first = ledger.begin(String::new, NOW + SETTLE);
    assert_eq!((first.events.len(), first.repeated[0].times), (1, 3));
    ledger.end(End::Delivered, NOW + SETTLE);
    assert_eq!(ledger.poll(NOW + HOUR), Step::Wait(None));

    ledger.note(event("m5"), NOW + HOUR);
    assert_eq!(ledger.poll(NOW + HOUR * 2), Step::Wait(None), "the same on the same day");
    ledger.note(event("m5"), NOW + DAY);
    let next = ledger.begin(String::new, NOW + DAY + SETTLE);
    assert_eq!((next.events.len(), next.repeated[0].times), (1, 1));
}

#[test]
fn given_a_storm_when_noted_then_few_messages_and_nothing_is_forgotten_in_silence() {
    let mut ledger = Ledger::default();
    let (mut messages, mut told) = (Vec::new(), 0);
    for second in 0..7200 + 3600u32 * 24 {
        let now = NOW + Duration::from_secs(second.into());
        if second < 7200 {
            ledger.note(Event { at: now, ..event(&format!("site {second}")) }, now);
        }
        while ledger.poll(now) == Step::Send {
            let digest = ledger.begin(String::new, now);
            ledger.end(End::Delivered, now);
            messages.push(second);
            told += digest.events.len() + usize::try_from(digest.lost).unwrap();
        }
    }
    let in_two_hours = messages.iter().filter(|second| **second < 7200).count();
    assert_eq!(in_two_hours, 12, "six in each hour: {messages:?}");
    assert_eq!(told, 7200, "told one by one, or counted");
}

#[test]
fn given_a_receiver_that_is_down_when_tried_then_later_and_later_and_given_up_after_three_days() {
    let mut ledger = Ledger::default();
    ledger.note(event("m5"), NOW);
    let (mut now, mut pauses) = (NOW + SETTLE, Vec::new());
    let id = || "id".to_owned();
    loop {
        assert_eq!(ledger.poll(now), Step::Send);
        assert_eq!(ledger.begin(id, now).id, "id", "the same message each time");
        let Some(next) = ledger.end(End::Failed { failure: failure(), retry_at: None }, now) else { break };
        assert_eq!(ledger.poll(now), Step::Wait(Some(next)));
        pauses.push(next.since(now).as_secs() / 60);
        now = next;
    }
    assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert!(now.since(NOW) >= DAY * 3 && now.since(NOW) < DAY * 3 + HOUR * 2);
    ledger.note(event("other"), now);
    assert_eq!(ledger.begin(String::new, now + SETTLE).lost, 1, "the next one says so");
}

#[test]
fn given_a_clock_that_was_a_year_ahead_when_it_is_right_again_then_told_at_once_and_given_up_after_three_days() {
    let ahead = NOW + DAY * 365;
    let mut waiting = Ledger::default();
    waiting.note(Event { at: ahead, ..event("m5") }, ahead);
    assert_eq!(waiting.poll(NOW), Step::Send, "noted in the future");

    waiting.begin(String::new, ahead);
    waiting.end(End::Failed { failure: failure(), retry_at: None }, ahead);
    assert_eq!(waiting.poll(NOW), Step::Send, "to be tried again in the future");

    let mut now = NOW;
    while waiting.poll(now) == Step::Send {
        waiting.begin(String::new, now);
        now = waiting.end(End::Failed { failure: failure(), retry_at: None }, now).unwrap_or(now);
    }
    assert!(now.since(NOW) < DAY * 4, "begun in the future, tried for {} s", now.since(NOW).as_secs());
}

#[test]
fn given_retry_after_when_failed_then_kept_within_bounds() {
    for (asked, minutes) in [(MINUTE * 10, 10), (Duration::ZERO, 1), (DAY, 60)] {
        let mut ledger = Ledger::default();
        ledger.note(event("m5"), NOW);
        ledger.begin(String::new, NOW);
        let next = ledger.end(End::Failed { failure: failure(), retry_at: Some(NOW + asked) }, NOW).unwrap();
        assert_eq!(next.since(NOW), MINUTE * minutes);
    }
}

#[test]
fn given_a_death_while_sending_when_resumed_then_not_sent_again_and_said() {
    let mut ledger = Ledger::default();
    ledger.note(event("m5"), NOW);
    ledger.begin(String::new, NOW);
    let mut after: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
    after.resume();
    assert_eq!(after.poll(NOW + DAY), Step::Wait(None));
    after.note(event("m5"), NOW + MINUTE);
    assert_eq!(after.poll(NOW + HOUR), Step::Wait(None), "told today, as far as anybody knows");
    after.note(event("other"), NOW + MINUTE);
    assert_eq!(after.begin(String::new, NOW + HOUR).unsure, 1);

    // One that has failed and waits is known not to have arrived.
    let mut waiting = Ledger::default();
    waiting.note(event("m5"), NOW);
    waiting.begin(String::new, NOW);
    waiting.end(End::Failed { failure: failure(), retry_at: None }, NOW);
    waiting.resume();
    assert_eq!(waiting.poll(NOW + HOUR), Step::Send);
}

#[test]
fn given_hostile_names_when_put_into_words_then_one_line_each_and_no_control_characters() {
    let hostile = "m5\r\nBcc: all@evil.test\n\n\u{1b}[2J\u{202e}\u{2028}x\0".to_owned();
    for kind in Kind::ALL {
        let mut event = Event::new(kind, &*hostile, NOW);
        (event.detail, event.fix, event.issuer) =
            (Some(hostile.repeat(400)), Some(hostile.clone()), Some(hostile.clone()));
        (event.role, event.not_after, event.days_left) = (Some(Role::UpstreamPeer), Some(NOW + DAY), Some(1));
        let mut ledger = Ledger::default();
        ledger.note(event.clone(), NOW);
        ledger.note(event, NOW);
        let digest = ledger.begin(|| "id".to_owned(), NOW);
        for language in Lang::ALL {
            let message = Message::new(&digest, &settings(language), &hostile, NOW);
            assert!(!message.title.contains(char::is_control), "{:?}", message.title);
            assert!(message.title.chars().count() <= 202 && message.text.len() < 60_000);
            assert!(!message.text.replace('\n', "").contains(char::is_control), "{:?}", message.text);
            assert!(!message.text.contains(['\u{202e}', '\u{2028}']));
            assert!(!message.subject.contains(char::is_control));
            assert!(!message.json.to_string().contains("\\u001b") && !message.json.to_string().contains("\\r"));
        }
    }
}

#[test]
fn given_an_event_when_told_then_words_and_json_say_the_same() {
    let mut ledger = Ledger::default();
    ledger.look(&of(vec![by_hand(5)]), &Kind::ALL, NOW);
    ledger.note(event("other"), NOW);
    let digest = ledger.begin(|| "id".to_owned(), NOW);

    let message = Message::new(&digest, &settings(Lang::En), "box", NOW);

    assert_eq!(message.title, "[portvakt box] 2 messages: m5: certificate ends in 5 days");
    assert!(message.text.contains("Nothing renews it: put new files in its place"), "{}", message.text);
    let told = &message.json["events"][0];
    assert_eq!((&told["event"], &told["subject"], &told["days_left"]), (&"expiring".into(), &"m5".into(), &5.into()));
    assert_eq!(message.json["severity"], "warning");
    let german = Message::new(&digest, &settings(Lang::De), "box", NOW);
    assert_eq!(german.title, "[portvakt box] 2 Meldungen: m5: Zertifikat läuft in 5 Tagen ab");
}

#[test]
fn given_settings_when_shown_then_nothing_secret() {
    let (url, token) =
        (HookUrl::parse("https://u:pw@hooks.test:8443/geheim?x=geheim").unwrap(), crate::pki::Password::new("geheim"));
    let webhook = WebhookSettings { url, token: Some(Secret::Given(token)), trust_anchors: None, proxy: None };
    let shown = format!("{webhook:?} {}", Channel::Webhook(webhook.clone()));
    assert!(!shown.contains("geheim") && !shown.contains("pw"), "{shown}");
    assert!(shown.contains("https://hooks.test:8443"), "{shown}");
    assert!(HookUrl::parse("hooks.test/x").is_none() && HookUrl::parse("https://").is_none());
}

fn failure() -> Failure {
    Failure { at: NOW, error: "nobody listens".to_owned(), remedy: Remedy::Listener }
}

#[test]
fn given_tries_when_shown_then_what_waits_why_it_failed_and_when_it_was_taken_also_after_a_restart() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.standing(), Standing::default());
    ledger.note(Event::new(Kind::Renewed, "m5", NOW), NOW);
    assert_eq!((ledger.standing().waiting, ledger.standing().next_try), (1, None));

    ledger.begin(|| "1".to_owned(), NOW);
    let next = ledger.end(End::Failed { failure: failure(), retry_at: None }, NOW);
    let kept: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
    let expected = Standing { delivered: None, failure: Some(failure()), waiting: 1, next_try: next };
    assert_eq!(kept.standing(), expected);

    ledger.begin(|| "1".to_owned(), NOW);
    ledger.end(End::Delivered, NOW);
    assert_eq!(ledger.standing(), Standing { delivered: Some(NOW), ..Standing::default() });
}
