use rand::SeedableRng;

use super::*;

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
const NOW: Millis = 1_798_761_600_000;
const CLIENT: Client = Client { account: 1, address: 1 };
const NAMES: Names = Names { set: 0, domain: 0 };
const SIX_DAYS: Duration = Duration::from_secs(160 * 3_600);

struct Stage {
    ca: Ca,
    rng: SmallRng,
}

impl Stage {
    fn new() -> Self {
        Self { ca: Ca::new(100), rng: SmallRng::seed_from_u64(1) }
    }

    fn issue(&mut self, names: Names, replaces: Option<u64>, now: Millis) -> Result<Issued, Refusal> {
        let Self { ca, rng } = self;
        let order = ca.order(CLIENT, names, replaces, now, rng)?;
        if ca.look(CLIENT, names, order, now, rng)? == Status::Pending {
            assert_eq!(ca.validated(CLIENT, names, None, now, rng)?, Status::Ready);
        }
        ca.finalize(CLIENT, names, SIX_DAYS, now, rng)?;
        ca.download(CLIENT, names, now, rng)
    }
}

#[test]
fn given_the_same_names_when_ordered_again_and_again_then_five_a_week() {
    let mut stage = Stage::new();
    for nth in 0..5 {
        assert!(stage.issue(NAMES, None, NOW + nth).is_ok(), "{nth}");
    }
    let Err(Refusal::Limited(limit, at)) = stage.issue(NAMES, None, NOW + 5) else { panic!("a sixth was issued") };
    assert_eq!((limit, at), (Limit::SameSet, NOW + 7 * DAY / 5));
    assert!(stage.issue(NAMES, None, at).is_ok());
}

#[test]
fn given_replacements_when_in_the_window_then_without_limit_and_outside_of_it_counted() {
    let mut stage = Stage::new();
    let (mut issued, mut now) = (stage.issue(NAMES, None, NOW).unwrap(), NOW);
    for _ in 0..50 {
        now = window(issued.validity).start.as_unix() * 1_000;
        issued = stage.issue(NAMES, Some(issued.serial), now).unwrap();
    }
    assert_eq!(stage.ca.limits.high(Limit::SameSet), 1);
    for _ in 0..5 {
        issued = stage.issue(NAMES, Some(issued.serial), now).unwrap();
    }
    assert!(matches!(stage.issue(NAMES, Some(issued.serial), now), Err(Refusal::Limited(Limit::SameSet, _))));
}

#[test]
fn given_a_replaced_certificate_when_replaced_again_then_refused() {
    let mut stage = Stage::new();
    let first = stage.issue(NAMES, None, NOW).unwrap();
    stage.issue(NAMES, Some(first.serial), NOW + HOUR).unwrap();
    assert_eq!(stage.issue(NAMES, Some(first.serial), NOW + 2 * HOUR), Err(Refusal::AlreadyReplaced));

    let Stage { ca, rng } = &mut stage;
    let stranger = Client { account: 2, address: 2 };
    assert_eq!(ca.order(stranger, NAMES, Some(first.serial), NOW, rng), Err(Refusal::Gone));
}

#[test]
fn given_failed_validations_when_five_in_an_hour_then_the_next_order_is_refused() {
    let Stage { mut ca, mut rng } = Stage::new();
    for nth in 0..5 {
        ca.order(CLIENT, NAMES, None, NOW + nth, &mut rng).unwrap();
        let seen = ca.validated(CLIENT, NAMES, Some(Reason::Connection), NOW + nth, &mut rng);
        assert_eq!(seen, Ok(Status::Invalid));
    }
    let refused = ca.order(CLIENT, NAMES, None, NOW + 5, &mut rng);
    assert_eq!(refused, Err(Refusal::Limited(Limit::FailedAuthorizations, NOW + HOUR / 5)));
}

#[test]
fn given_many_names_of_a_domain_when_ordered_then_fifty_a_week_but_renewals_go_on() {
    let mut stage = Stage::new();
    let mut now = NOW;
    for set in 0..50 {
        now += 1_000;
        assert!(stage.issue(Names { set, domain: 7 }, None, now).is_ok(), "{set}");
    }
    let other = Names { set: 50, domain: 7 };
    assert!(matches!(stage.issue(other, None, now), Err(Refusal::Limited(Limit::Domain, _))));
    assert!(stage.issue(Names { set: 0, domain: 7 }, None, now).is_ok());
}

#[test]
fn given_an_incident_when_asked_then_the_window_has_passed_and_says_why() {
    let mut stage = Stage::new();
    let issued = stage.issue(NAMES, None, NOW).unwrap();
    let Stage { ca, rng } = &mut stage;
    let (calm, again) = ca.renewal_info(CLIENT, NAMES, issued.serial, NOW, rng).unwrap();
    assert!(seconds(NOW) < calm.start && calm.start < calm.end && calm.explanation.is_none());
    assert!((Duration::from_secs(17_280)..=Duration::from_secs(25_920)).contains(&again));

    assert_eq!(ca.revoke(100, NOW + HOUR, rng), [(0, issued.serial)]);

    let (window, _) = ca.renewal_info(CLIENT, NAMES, issued.serial, NOW + HOUR, rng).unwrap();
    assert!(window.end < seconds(NOW + HOUR) && window.explanation.is_some());
}

#[test]
fn given_weather_when_asked_then_as_it_says() {
    let mut stage = Stage::new();
    stage.ca.weather = Weather { is_away: true, ..Weather::default() };
    assert_eq!(stage.issue(NAMES, None, NOW), Err(Refusal::Away));
    stage.ca.weather = Weather { storm: Some((429, Some(HOUR), 100)), ..Weather::default() };
    assert_eq!(stage.issue(NAMES, None, NOW), Err(Refusal::Busy(429, Some(NOW + HOUR))));
    stage.ca.weather = Weather { bad_chains: true, ..Weather::default() };
    assert!(!stage.issue(NAMES, None, NOW).unwrap().is_sound);
}
