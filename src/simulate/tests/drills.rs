//! What an operator is told.

use std::time::Duration;

use super::*;
use crate::source::CertificateSettings;
use crate::time::Timestamp;

/// 2027-03-01 00:00:00 UTC.
const NOW: Timestamp = Timestamp::from_unix(1_803_859_200);
const DAYS: fn(u64) -> Duration = |days| Duration::from_secs(days * 86_400);

fn settings(nth: usize) -> CertificateSettings {
    fleet::settings(nth, &[0])
}

fn drill(life: Duration, outage: Duration) -> Drill {
    let certificates = vec![Kept { settings: settings(0), life: Life::Fixed(life), stored: None }];
    Drill { certificates, now: NOW, days: 100, outage, from: None, seed: 1 }
}

#[test]
fn given_ninety_days_when_the_ca_is_away_for_five_then_survives_and_says_with_how_much_left() {
    let report = drill(DAYS(90), DAYS(5)).run();
    assert!(report.survives());
    let text = report.to_string();
    assert!(
        text.starts_with("The certificate survives.\nacme-v02.api.letsencrypt.org is away for 5 d, from 2027-0"),
        "{text}"
    );
    assert!(text.contains("the worst moment that was found") && text.contains(", at the closest with 2"), "{text}");
    for words in [
        "renewal planned for 2027-0",
        "THE CA IS AWAY",
        "attempt failed, 3 in a row",
        "the CA is back",
        "renewed, valid until",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("ALERT PortvaktAcmeFailing (warning) fires"), "{text}");
    assert!(!text.contains("PortvaktRenewalEmergency"), "{text}");
}

#[test]
fn given_a_short_life_when_the_ca_is_away_for_longer_then_says_what_lapses_and_when() {
    let report = drill(Duration::from_secs(24 * 3_600), DAYS(2)).run();
    assert!(!report.survives());
    let text = report.to_string();
    assert!(text.starts_with("`s0` LAPSES: expired from 2027-03-"), "{text}");
    for words in [
        "EXPIRED: clients refuse it",
        "PortvaktRenewalOverdue (warning) fires",
        "PortvaktCertificateExpired (critical) fires",
        "PortvaktCertificateExpired (critical) ends",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn given_a_moment_when_drilled_then_the_outage_begins_there_and_an_idle_one_hits_nothing() {
    let from = NOW + DAYS(3);
    let report = Drill { from: Some(from), ..drill(DAYS(90), DAYS(5)) }.run();
    let text = report.to_string();
    assert!(report.survives() && text.contains("from 2027-03-04 00:00 to 2027-03-09 00:00.\n"), "{text}");
    assert!(text.contains("No alert would have fired."), "{text}");
}

#[test]
fn given_a_stored_certificate_when_drilled_then_its_life_is_gone_on_with() {
    let mut drill = drill(DAYS(90), DAYS(5));
    let validity = crate::lifecycle::Validity { not_before: NOW - DAYS(50), not_after: NOW + DAYS(40) };
    let meta = crate::store::Meta {
        source: "acme https://ca0.example/dir".to_owned(),
        issued_at: NOW - DAYS(50),
        identifiers: vec!["s0.example".to_owned()],
        product: String::new(),
        directory: Some("https://ca0.example/dir".to_owned()),
    };
    drill.certificates[0].stored = Some(Stored { validity, meta, record: None });

    let text = drill.run().to_string();

    assert!(text.contains("in the store, valid until 2027-04-10; renewed 2 times"), "{text}");
    // Two thirds of its ninety days, and a hundredth to each side.
    assert!(text.contains("2027-03-1") || text.contains("2027-03-09 "), "{text}");
}

#[test]
fn given_lets_encrypt_when_its_profile_is_known_then_the_life_is_as_published() {
    let table = [
        (None, "app.example.com", Life::Classic),
        (Some("tlsserver"), "app.example.com", Life::Fixed(DAYS(45))),
        (Some("shortlived"), "app.example.com", Life::Fixed(Duration::from_secs(160 * 3_600))),
        (None, "203.0.113.7", Life::Fixed(Duration::from_secs(160 * 3_600))),
    ];
    for (profile, name, life) in table {
        let acme = crate::source::AcmeSettings { profile: profile.map(str::to_owned), ..Default::default() };
        let settings = CertificateSettings {
            name: name.to_owned(),
            identifiers: vec![name.to_owned()],
            source: crate::source::Settings::Acme(acme.into()),
        };
        let kept = Kept::of(std::slice::from_ref(&settings), None, None);
        assert_eq!(kept[0].life, life, "{name} {profile:?}");
        let given = Kept::of(&[settings], None, Some(DAYS(7)));
        assert_eq!(given[0].life, Life::Fixed(DAYS(7)));
    }
}
