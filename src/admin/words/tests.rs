use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::admin::problem::{Level, Matter, Problem};
use crate::admin::{Detail, EventKind};
use crate::lifecycle::budget::Limit;
use crate::lifecycle::{Reason, State};
use crate::metrics::CertificateRole;
use crate::time::Timestamp;

/// Every kind of matter, each with facts.
fn matters() -> Vec<Matter> {
    vec![
        Matter::ReloadFailed,
        Matter::Expired { reason: None, role: CertificateRole::Listener, is_manual: false },
        Matter::Expired { reason: None, role: CertificateRole::Listener, is_manual: true },
        Matter::Expired { reason: None, role: CertificateRole::ClientCa, is_manual: true },
        Matter::Expired { reason: None, role: CertificateRole::TrustAnchor, is_manual: true },
        Matter::Expired { reason: Some(Reason::Connection), role: CertificateRole::Listener, is_manual: false },
        Matter::Missing,
        Matter::Placeholder { reason: None },
        Matter::Placeholder { reason: Some(Reason::Dns) },
        Matter::NotServed { count: 3 },
        Matter::Failing { reason: Reason::Server, times: 1, is_emergency: false },
        Matter::Failing { reason: Reason::Server, times: 4, is_emergency: false },
        Matter::Failing { reason: Reason::Server, times: 4, is_emergency: true },
        Matter::Overdue,
        Matter::Ends { role: CertificateRole::Listener, days: 1 },
        Matter::Ends { role: CertificateRole::TrustAnchor, days: 9 },
        Matter::Ends { role: CertificateRole::ClientCa, days: 0 },
        Matter::ChainEnds { days: 2 },
        Matter::NotStored,
        Matter::NoIdentity,
        Matter::IdentityRefused { is_bankid: true, reason: "expired" },
        Matter::IdentityRefused { is_bankid: false, reason: "bad" },
        Matter::IdentityExpired { is_bankid: true },
        Matter::IdentityExpired { is_bankid: false },
        Matter::IdentityEnds { is_bankid: true, days: 12 },
        Matter::IdentityEnds { is_bankid: false, days: 12 },
        Matter::IdentityFiles,
        Matter::NextRefused { reason: "of another version" },
        Matter::Clock { behind: 7200 },
        Matter::Clock { behind: -7200 },
        Matter::CrlOld { refuses: true },
        Matter::CrlOld { refuses: false },
        Matter::CrlEnds { days: 0 },
        Matter::EgressUnreachable { address: "https://appapi2.bankid.com:443".to_owned() },
        Matter::EgressNotBelieved,
        Matter::NotTold { fix: Say::new("start it", "starta den", "start den her", "ihn starten") },
        Matter::UpstreamDown,
        Matter::PeersDown { down: 1, all: 2 },
        Matter::UpstreamEnds { days: 4 },
        Matter::UpstreamEnds { days: -4 },
        Matter::Answers,
    ]
}

fn problem(matter: Matter) -> Problem {
    let about = "m5".to_owned();
    Problem { level: Level::Mend, matter, about, code: None, detail: None, remedy: None, at: None }
}

/// Swedish and Norwegian may say the same.
fn differ(of: impl Fn(Lang) -> String) {
    let texts: BTreeSet<_> = Lang::ALL.into_iter().map(&of).collect();
    assert!(texts.len() >= 3, "two languages say the same: {texts:?}");
    for text in texts {
        assert!(!text.is_empty() && text == text.trim() && !text.contains(['<', '{']), "{text}");
        assert!(!text.ends_with('.'), "the page ends sentences: {text}");
    }
}

#[test]
fn given_every_matter_when_told_then_whole_in_every_language() {
    for matter in matters() {
        let problem = problem(matter);
        differ(|lang| tell(&problem, lang).title);
        differ(|lang| tell(&problem, lang).fix);
    }
}

#[test]
fn given_a_number_when_told_then_why_and_what_to_do_about_that_server() {
    let of = |matter, code: &str| Problem { code: Some(code.to_owned()), ..problem(matter) };
    let pin = of(Matter::UpstreamDown, "PV0430");
    differ(|lang| tell(&pin, lang).why.expect("a number"));
    let told = tell(&pin, Lang::En);
    assert!(told.title.starts_with("No TLS with the server behind"), "{told:?}");
    assert!(told.why.is_some_and(|why| why.starts_with("It shows another certificate")));
    assert!(told.fix.starts_with("If the change was meant: `portvakt upstream accept m5`"), "{}", told.fix);

    let told = tell(&of(Matter::EgressNotBelieved, "PV0436"), Lang::De);
    assert!(told.why.is_some_and(|why| why.starts_with("Sein Zertifikat führt zu keinem Stammzertifikat")));
    assert!(told.fix.starts_with("`portvakt egress check m5`"), "{}", told.fix);

    let told = tell(&problem(Matter::IdentityRefused { is_bankid: true, reason: "revoked" }), Lang::Sv);
    assert_eq!(told.why.as_deref(), Some("Den säger att certifikatet är återkallat"));
}

#[test]
fn given_every_word_of_a_closed_set_when_told_then_in_every_language() {
    for reason in Reason::ALL {
        differ(|lang| advice(reason).what.to(lang).to_owned());
        differ(|lang| advice(reason).fix.to(lang).to_owned());
    }
    EventKind::ALL
        .into_iter()
        .filter(|kind| *kind != EventKind::Trouble)
        .for_each(|kind| differ(|lang| event(kind, lang).to_owned()));
    Limit::ALL.into_iter().for_each(|it| differ(|lang| limit(it, lang).to_owned()));
    State::ALL.into_iter().for_each(|it| differ(|lang| state(it, lang).to_owned()));
    let (until, name) = (Timestamp::from_unix(0), || "R11".to_owned());
    for told in [Detail::Issued { by: name(), until }, Detail::Until(until), Detail::Shown { name: name(), until }] {
        differ(|lang| detail(&told, lang, moment));
    }
}

#[test]
fn given_every_reason_of_a_next_step_when_told_then_there_are_words() {
    let reasons = [
        "nothing_served",
        "settings_changed",
        "expired",
        "requested",
        "emergency",
        "renewal_due",
        "renewal_planned",
        "backoff",
        "retry_after",
        "budget",
        "renewal_loop",
        "went_back",
        "refused",
        "too_many_failures",
        "attempt",
        "asking_the_ca",
        "files",
        "by_hand",
    ];
    for reason in reasons {
        differ(|lang| because(reason, lang).expect(reason).to_owned());
    }
    assert_eq!(because("of another version", Lang::En), None);
}

#[test]
fn given_a_distance_when_told_then_in_the_largest_unit_of_which_there_are_two() {
    let now = Timestamp::from_unix(1_000_000_000);
    #[rustfmt::skip]
    let table = [
        (now + Duration::from_secs(62 * 86_400 + 5), Lang::En, "in 62 days"),
        (now + Duration::from_secs(86_400),          Lang::Sv, "om 24 timmar"),
        (now - Duration::from_secs(7300),            Lang::Nb, "for 2 timer siden"),
        (now - Duration::from_secs(3 * 86_400),      Lang::De, "vor 3 Tagen"),
        (now + Duration::from_secs(1),               Lang::De, "jetzt"),
    ];
    for (at, lang, text) in table {
        assert_eq!(distance(at, now, lang), text);
    }
    assert_eq!((days(1, Lang::Sv), days(2, Lang::Sv)), ("1 dag".to_owned(), "2 dagar".to_owned()));
    assert_eq!(
        (days(0, Lang::De), days_left(0, Lang::De)),
        ("weniger als einem Tag".to_owned(), "weniger als ein Tag".to_owned())
    );
    assert_eq!((days_left(730, Lang::Sv), days_left(731, Lang::Sv)), ("730 dagar".to_owned(), "2 år".to_owned()));
    assert_eq!(days_left(3649, Lang::De), "9 Jahre");
    let span = Duration::from_secs(2 * 86_400);
    assert_eq!((length(span, Lang::De), length(span, Lang::En)), ("2 Tage".to_owned(), "2 days".to_owned()));
    assert_eq!((days(2, Lang::De), days_left(2, Lang::De)), ("2 Tagen".to_owned(), "2 Tage".to_owned()));
    assert_eq!(moment(Timestamp::from_unix(0)), "1970-01-01 00:00 UTC");
    assert_eq!(day(Timestamp::from_unix(0)), "1970-01-01");
}
